"""What an error says about a mistake: what was passed, what is accepted, what to do."""

import re
from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sknn_notes import MLPClassifier, MLPRegressor, Standardizer
from sknn_notes.initializers import INITIALIZERS, Normal, Orthogonal, Uniform
from sknn_notes.layers import BatchNorm
from sknn_notes.losses import Hinge, Huber, LogLoss, Quantile, SquaredError
from sknn_notes.noise import GaussianNoise, RandomCrop, RandomShift
from sknn_notes.optimizers import SGD, Adam
from sknn_notes.penalties import ElasticNet
from sknn_notes.schedules import InvScaling, Step


def classifier(**params):
    base = {"hidden_layer_sizes": (8,), "max_iter": 2, "random_state": 0}
    return MLPClassifier(**base | params)


def regressor(**params):
    base = {"hidden_layer_sizes": (8,), "max_iter": 2, "random_state": 0}
    return MLPRegressor(**base | params)


BOTH = pytest.mark.parametrize(
    ("make", "problem"),
    [(classifier, "three_classes"), (regressor, "one_target")],
    ids=["classifier", "regressor"],
)


def message_of(action, error_type=ValueError):
    with pytest.raises(error_type) as error:
        action()
    return str(error.value)


def fit_message(model, X, y):
    """Return the message of a fit that fails, which leaves the model unfitted."""
    message = message_of(lambda: model.fit(X, y), (ValueError, TypeError))
    assert not hasattr(model, "coefs_")
    assert not hasattr(model, "classes_")
    return message


# Names from elsewhere: the one that is meant here.

ALIASES = {
    "activation": {
        "sigmoid": "logistic",
        "linear": "identity",
        "swish": "silu",
        "ReLU": "relu",
        "leaky-relu": "leaky_relu",
        "LeakyReLU": "leaky_relu",
        "lrelu": "leaky_relu",
        "Tanh": "tanh",
        "rellu": "relu",
    },
    "solver": {
        "Adam": "adam",
        "AdamW": "adamw",
        "L-BFGS": "lbfgs",
        "l_bfgs_b": "lbfgs",
        "gd": "sgd",
        "nesterov": "sgd",
        "rms_prop": "rmsprop",
    },
    "init": {
        "xavier": "glorot_uniform",
        "xavier_normal": "glorot_normal",
        "he": "he_uniform",
        "kaiming": "he_uniform",
        "kaiming_normal": "he_normal",
        "kaiming_uniform": "he_uniform",
        "he-normal": "he_normal",
        "GlorotUniform": "glorot_uniform",
        "gaussian": "normal",
        "random_uniform": "uniform",
    },
    "penalty": {"ridge": "l2", "lasso": "l1", "elastic_net": "elasticnet", "L1": "l1"},
    "learning_rate": {
        "cosine_annealing": "cosine",
        "CosineAnnealingLR": "cosine",
        "reduce_on_plateau": "adaptive",
        "inv_scaling": "invscaling",
        "exponential_decay": "exponential",
        "StepLR": "step",
        "OneCycleLR": "onecycle",
        "1cycle": "onecycle",
        "one_cycle": "onecycle",
        "flatcosine": "flat_cosine",
        "flat_cos": "flat_cosine",
    },
    "batch_size": {"Auto": "auto"},
    "dtype": {"double": "float64", "single": "float32", "f32": "float32"},
    "dropout_scaling": {"Inverted": "inverted", "invert": "inverted"},
    "marginalization": {"monte carlo": "monte_carlo", "analytical": "analytic"},
    "scoring": {
        "auc": "roc_auc",
        "mse": "neg_mean_squared_error",
        "log_loss": "neg_log_loss",
        "roc-auc": "roc_auc",
        "val_loss": "loss",
    },
}


@BOTH
@pytest.mark.parametrize(
    ("name", "alias", "meant"),
    [(name, *pair) for name, pairs in ALIASES.items() for pair in pairs.items()],
)
def test_a_name_from_elsewhere(make, problem, name, alias, meant, request):
    X, y = request.getfixturevalue(problem)
    message = fit_message(make(**{name: alias}), X, y)
    assert f"{name!r} parameter of MLP" in message
    assert f"Got {alias!r} instead. Did you mean {meant!r}?" in message


@pytest.mark.parametrize(
    ("make", "alias", "meant"),
    [
        (classifier, "cross_entropy", "log_loss"),
        (classifier, "CrossEntropyLoss", "log_loss"),
        (classifier, "categorical_crossentropy", "log_loss"),
        (classifier, "softmax", "log_loss"),
        (classifier, "logistic", "log_loss"),
        (classifier, "logloss", "log_loss"),
        (classifier, "svm", "hinge"),
        (classifier, "hinges", "hinge"),
        (regressor, "mse", "squared_error"),
        (regressor, "MSELoss", "squared_error"),
        (regressor, "mean_squared_error", "squared_error"),
        (regressor, "mae", "absolute_error"),
        (regressor, "l1", "absolute_error"),
        (regressor, "smooth_l1", "huber"),
        (regressor, "pinball", "quantile"),
        (regressor, "Huber", "huber"),
    ],
)
def test_a_loss_from_elsewhere(make, alias, meant, two_classes):
    message = fit_message(make(loss=alias), *two_classes)
    assert f"Got {alias!r} instead. Did you mean {meant!r}?" in message


@pytest.mark.parametrize(
    "loss", ["squared_error", "mse", "mae", "huber", SquaredError(), Huber(delta=2.0)]
)
def test_a_regression_loss_is_not_for_a_classifier(loss, two_classes):
    message = fit_message(classifier(loss=loss), *two_classes)
    assert "regression loss, for MLPRegressor" in message
    assert "'log_loss'" in message


@pytest.mark.parametrize(
    "loss", ["log_loss", "hinge", "cross_entropy", Hinge(), LogLoss()]
)
def test_a_classification_loss_is_not_for_a_regressor(loss, one_target):
    message = fit_message(regressor(loss=loss), *one_target)
    assert "classification loss, for MLPClassifier" in message
    assert "'squared_error'" in message


# Mistakes, each with what the message holds.

MISTAKES = [
    # What is not provided, with what comes nearest.
    ({"activation": "selu"}, ["'selu' is not provided", "'elu'"]),
    ({"activation": "softplus"}, ["not provided", "'elu'"]),
    ({"activation": "softmax"}, ["loss='log_loss'", "'relu'"]),
    ({"solver": "nadam"}, ["'nadam' is not provided", "'adam'"]),
    ({"solver": "adagrad"}, ["not provided", "'rmsprop'"]),
    ({"init": "ones"}, ["'auto'"]),
    ({"penalty": "weight_decay"}, ["solver='adamw'"]),
    ({"dtype": "float16"}, ["'float32' or 'float64'"]),
    # Numbers in place of names.
    ({"learning_rate": 0.01}, ["learning_rate_init=0.01"]),
    ({"learning_rate": np.float32(0.5)}, ["learning_rate_init="]),
    ({"penalty": 0.1}, ["alpha=0.1"]),
    ({"init": 0.05}, ["Normal(std=0.05)"]),
    ({"solver": 0.1}, ["learning_rate_init=0.1"]),
    # Classes and objects of others in place of parts.
    ({"solver": Adam}, ["Pass an object, Adam(), in place of the class"]),
    ({"init": Normal}, ["Normal()"]),
    ({"penalty": ElasticNet}, ["ElasticNet()"]),
    ({"learning_rate": Step}, ["Step()"]),
    ({"batch_norm": BatchNorm}, ["BatchNorm()"]),
    ({"augment": GaussianNoise}, ["GaussianNoise()"]),
    ({"activation": np.tanh}, ["Did you mean 'tanh'?"]),
    ({"activation": [np.tanh]}, ["Did you mean 'tanh'?"]),
    ({"solver": Hinge()}, ["sknn_notes.optimizers.Optimizer", "Hinge()"]),
    ({"dtype": np.float32}, ["Did you mean 'float32'?"]),
    ({"dtype": np.dtype("float64")}, ["Did you mean 'float64'?"]),
    ({"dtype": float}, ["Did you mean 'float64'?"]),
    # None, True and numbers as text, and None for numbers.
    ({"penalty": "none"}, ["Pass None, without quotes"]),
    ({"max_norm": "None"}, ["Pass None, without quotes"]),
    ({"early_stopping": "True"}, ["Pass True, without quotes"]),
    ({"dropout": "0.5"}, ["Pass the number 0.5, without quotes"]),
    ({"max_iter": "100"}, ["Pass the number 100, without quotes"]),
    ({"alpha": None}, ["Pass 0."]),
    ({"dropout": None}, ["Pass 0."]),
    ({"input_dropout": None}, ["Pass 0."]),
    ({"n_iter_no_change": None}, ["Pass np.inf."]),
    ({"batch_size": None}, ["Pass len(X)"]),
    ({"batch_size": "full"}, ["Pass len(X)"]),
    ({"max_norm": np.inf}, ["Pass None for no bound"]),
    ({"max_norm": 0}, ["Pass None for no bound"]),
    ({"max_iter": np.inf}, ["Pass a large int"]),
    ({"early_stopping": 1}, ["True or False", "Pass True."]),
    ({"shuffle": 0}, ["True or False", "Pass False."]),
    ({"warm_start": "yes"}, ["True or False", "'yes'"]),
    # Numbers of the wrong kind or size.
    ({"max_iter": 1e3}, ["Pass an int, 1000."]),
    ({"batch_size": 32.0}, ["Pass an int, 32."]),
    ({"batch_size": 0.5}, ["int in the range [1, inf)"]),
    ({"hidden_layer_sizes": 100.0}, ["Pass an int, 100."]),
    ({"hidden_layer_sizes": (100.0, 50.0)}, ["integers", "Pass [100, 50]."]),
    ({"hidden_layer_sizes": (10.5,)}, ["integers", "10.5"]),
    ({"hidden_layer_sizes": ("10",)}, ["integers", "'10'"]),
    ({"hidden_layer_sizes": "100"}, ["Pass the number 100"]),
    ({"hidden_layer_sizes": None}, ["hidden_layer_sizes", "None"]),
    ({"hidden_layer_sizes": {8, 4}}, ["an array-like", "{8, 4}"]),
    ({"hidden_layer_sizes": {"a": 8}}, ["an array-like"]),
    ({"hidden_layer_sizes": [[8, 4]]}, ["integers", "such as (100, 50)"]),
    ({"hidden_layer_sizes": 10**18}, ["hidden_layer_sizes", "no array can hold"]),
    ({"hidden_layer_sizes": (10**9, 10**10)}, ["no array can hold"]),
    ({"dropout": 50}, ["Pass 0.5 for 50 %"]),
    ({"validation_fraction": 20}, ["Pass 0.2 for 20 %"]),
    ({"dropout": -0.1}, ["[0.0, 1.0)", "-0.1"]),
    ({"l1_ratio": 2}, ["[0.0, 1.0]"]),
    ({"tol": -1e-4}, ["tol", "[0.0, inf)"]),
    ({"tol": np.nan}, ["tol", "nan"]),
    ({"bias_init": np.inf}, ["bias_init", "inf"]),
    ({"power_t": 1j}, ["power_t", "1j"]),
    ({"input_dropout": [0.1]}, ["It takes one number"]),
    ({"learning_rate_init": [0.1]}, ["It takes one number"]),
    ({"n_mc_samples": 0}, ["n_mc_samples", "[1, inf)"]),
    ({"random_state": -1}, ["random_state", "2**32 - 1"]),
    ({"random_state": np.random.default_rng(0)}, ["pass an int drawn from it"]),
    # Arrays without dimensions.
    ({"hidden_layer_sizes": np.array(3)}, ["Pass the number 3, not an array"]),
    ({"alpha": np.array(0.5)}, ["Pass the number 0.5, not an array"]),
    ({"dropout": np.array(0.25)}, ["Pass the number 0.25, not an array"]),
    ({"max_norm": np.array(3.0)}, ["Pass the number 3.0, not an array"]),
    ({"max_iter": np.array(10)}, ["Pass the number 10, not an array"]),
    ({"learning_rate_init": np.array(0.1)}, ["Pass the number 0.1, not an array"]),
    # Numbers that no float can hold.
    ({"alpha": 10**400}, ["alpha", "too large for a float"]),
    ({"alpha": [10**400, 1.0]}, ["alpha", "(401 characters)"]),
    ({"tol": 10**400}, ["tol", "too large"]),
    ({"max_iter": 10**400}, ["max_iter", "too large"]),
    ({"learning_rate_init": 10**5000}, ["learning_rate_init", "too large"]),
    ({"bias_init": -(10**400)}, ["bias_init", "too large"]),
    ({"max_norm": 10**400}, ["max_norm", "too large"]),
    ({"epsilon": 10**400}, ["epsilon", "too large"]),
    ({"hidden_layer_sizes": 10**400}, ["hidden_layer_sizes", "too large"]),
    ({"learning_rate": InvScaling(power_t=10**400)}, ["power_t", "InvScaling"]),
    ({"init": Normal(std=1e200)}, ["std", "Normal", "1e+150]"]),
    ({"init": Orthogonal(gain=1e308)}, ["gain", "Orthogonal"]),
    ({"init": Uniform(std=1e308)}, ["std", "Uniform"]),
    # Numbers that the network's type cannot hold.
    ({"alpha": 1e300, "dtype": "float32"}, ["alpha", "float32", "inf", "'float64'"]),
    ({"alpha": [0.1, 1e300], "dtype": "float32"}, ["alpha", "1e+300"]),
    ({"bias_init": -1e39, "dtype": "float32"}, ["bias_init", "-inf"]),
    ({"learning_rate_init": 1e-50, "dtype": "float32"}, ["rounds to 0.0"]),
    ({"epsilon": 1e-300, "dtype": "float32"}, ["epsilon", "Adam", "0.0"]),
    ({"beta_2": 1 - 1e-9, "dtype": "float32"}, ["beta_2", "Adam", "1.0"]),
    ({"max_norm": 1e39, "dtype": "float32"}, ["max_norm", "float32"]),
    ({"init": Normal(std=1e100), "dtype": "float32"}, ["std", "Normal", "float32"]),
    ({"augment": GaussianNoise(std=1e60), "dtype": "float32"}, ["std", "Gaussian"]),
    ({"batch_norm": BatchNorm(eps=1e-50), "dtype": "float32"}, ["eps", "BatchNorm"]),
    # Parts in the wrong place.
    ({"augment": "gaussian_noise"}, ["augment", "sknn_notes.noise"]),
    ({"augment": [Normal()]}, ["augment", "Normal()"]),
    ({"batch_norm": 0.1}, ["batch_norm", "True or False", "BatchNorm"]),
    ({"activation": {"relu"}}, ["activation", "{'relu'}"]),
    ({"scoring": "accurracy"}, ["Did you mean 'accuracy'?"]),
]


@BOTH
@pytest.mark.parametrize(
    ("params", "parts"), MISTAKES, ids=[str(list(params)) for params, _ in MISTAKES]
)
def test_a_mistake_is_told_with_what_to_do(make, problem, params, parts, request):
    X, y = request.getfixturevalue(problem)
    message = fit_message(make(**params), X, y)
    assert [part for part in parts if part not in message] == [], message
    assert len(message) < 3000


@pytest.mark.parametrize(
    ("params", "phrase"),
    [
        (
            {"loss": 3},
            "one of ['hierarchical_softmax', 'hinge', 'log_loss', 'sampled_softmax', "
            "'squared_hinge'] or an instance of sknn_notes.losses.ClassificationLoss",
        ),
        (
            {"penalty": ()},
            "one of ['elasticnet', 'group_lasso', 'l1', 'l2'], an instance of "
            "sknn_notes.penalties.Penalty or None",
        ),
        (
            {"batch_norm": "on"},
            "True or False or an instance of sknn_notes.layers.BatchNorm",
        ),
        ({"init": ()}, f"one of {sorted(INITIALIZERS)}"),
        ({"dtype": ()}, "one of ['auto', 'float32', 'float64']"),
        ({"batch_size": ()}, "'auto' or an int in the range [1, inf)"),
        ({"n_iter_no_change": ()}, "an int in the range [1, inf) or inf"),
        ({"dropout_scaling": ()}, "one of ['inverted', 'standard']"),
    ],
)
def test_what_is_accepted_is_sorted_and_public(params, phrase, two_classes):
    message = fit_message(classifier(**params), *two_classes)
    assert f"must be {phrase}" in message
    assert "._" not in message.replace("['", "").split("Got")[0]


# Parameters of parts.


@pytest.mark.parametrize(
    ("params", "nested", "parts"),
    [
        ({"loss": "hinge"}, "loss__margin", ["loss='hinge'", "loss=Hinge()"]),
        ({}, "loss__margin", ["Hinge() or SquaredHinge()"]),
        ({"solver": "sgd"}, "solver__momentum", ["solver=SGD()"]),
        ({"penalty": None}, "penalty__l1_ratio", ["None", "ElasticNet()"]),
        ({"batch_norm": True}, "batch_norm__momentum", ["batch_norm=BatchNorm()"]),
        ({}, "init__std", ["Normal()", "Sparse()", "Uniform()"]),
        ({"augment": [GaussianNoise()]}, "augment__std", ["[GaussianNoise()]"]),
    ],
)
def test_a_parameter_of_a_name_needs_an_object(params, nested, parts, two_classes):
    model = classifier(**params)
    message = message_of(lambda: model.set_params(**{nested: 0.5}))
    assert [part for part in [nested, *parts] if part not in message] == [], message
    pipeline = make_pipeline(Standardizer(), model)
    search = GridSearchCV(pipeline, {f"mlpclassifier__{nested}": [0.5]}, cv=2)
    assert message_of(lambda: search.fit(*two_classes)) == message


def test_a_part_may_be_set_together_with_its_parameter():
    model = classifier(loss="hinge").set_params(loss=Hinge(), loss__margin=2.0)
    assert model.loss.margin == 2.0


def test_an_unknown_parameter_lists_those_that_exist():
    message = message_of(lambda: classifier().set_params(droput=0.5))
    assert "'droput'" in message
    assert "'dropout'" in message


# Every public call checks what it reads.

CHANGES = [
    ({"alpha": -1}, "alpha"),
    ({"dropout": 1.5}, "dropout"),
    ({"penalty": "ridge"}, "Did you mean 'l2'?"),
    ({"learning_rate_init": 0.0}, "learning_rate_init"),
    ({"solver": "adm"}, "Did you mean 'adam'?"),
    ({"loss": "los"}, "loss"),
    ({"max_norm": [-1.0, 1.0]}, "max_norm"),
    ({"shuffle": "yes"}, "shuffle"),
]


@BOTH
@pytest.mark.parametrize(
    ("change", "part"), CHANGES, ids=[str(change) for change, _ in CHANGES]
)
def test_partial_fit_checks_what_was_set_after_fit(
    make, problem, change, part, request
):
    X, y = request.getfixturevalue(problem)
    model = make().fit(X, y).set_params(**change)
    before = [W.copy() for W in model.coefs_]
    assert part in message_of(lambda: model.partial_fit(X, y))
    np.testing.assert_equal(model.coefs_, before)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"n_mc_samples": -3}, "n_mc_samples"),
        ({"n_mc_samples": 2.5}, "n_mc_samples"),
        ({"n_mc_samples": 10.0}, "Pass an int, 10."),
        ({"marginalization": "exact"}, "marginalization"),
        ({"marginalization": True}, "marginalization"),
    ],
)
def test_predictions_check_what_was_set_after_fit(change, part, two_classes):
    X, y = two_classes
    model = classifier(dropout=0.3, marginalization="monte_carlo").fit(X, y)
    model.set_params(**change)
    methods = ["predict", "predict_proba", "predict_log_proba", "decision_function"]
    if "n_mc_samples" in change:
        methods.append("predict_spread")
    for method in methods:
        assert part in message_of(lambda method=method: getattr(model, method)(X))
    message = message_of(lambda: model.score(X, y))
    assert part in message


def test_a_regressors_predictions_check_it_too(one_target):
    X, y = one_target
    model = regressor(dropout=0.3, marginalization="monte_carlo").fit(X, y)
    model.set_params(n_mc_samples=0)
    for method in (model.predict, model.predict_spread):
        assert "n_mc_samples" in message_of(lambda method=method: method(X))


# Numbers of other types.

TYPES = [np.float16, np.float32, np.float64, np.longdouble, Fraction]
SHARES = {
    "alpha": 0.5,
    "learning_rate_init": 0.25,
    "power_t": 0.5,
    "tol": 0.25,
    "beta_1": 0.5,
    "beta_2": 0.75,
    "epsilon": 0.125,
    "bias_init": 0.5,
    "l1_ratio": 0.25,
    "max_norm": 2.0,
    "dropout": 0.25,
    "input_dropout": 0.25,
    "dropconnect": 0.25,
    "validation_fraction": 0.25,
}


@BOTH
@pytest.mark.parametrize("number", TYPES)
def test_numbers_of_other_types_are_the_same_numbers(make, problem, number, request):
    X, y = request.getfixturevalue(problem)
    setting = {"penalty": "elasticnet", "learning_rate": "invscaling"}
    setting |= {"batch_size": 20, "early_stopping": True}
    ours = make(**SHARES, **setting).fit(X, y)
    theirs = make(**{k: number(v) for k, v in SHARES.items()}, **setting).fit(X, y)
    for a, b in zip(ours.coefs_, theirs.coefs_, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))


@pytest.mark.parametrize("number", TYPES)
def test_numbers_of_other_types_in_lists_and_parts(number, two_classes):
    X, y = two_classes

    def model(number):
        return classifier(
            alpha=[number(0.5), number(0.25)],
            dropout=[number(0.25)],
            solver=SGD(momentum=number(0.5)),
            loss=Hinge(margin=number(2.0)),
            augment=GaussianNoise(std=number(0.5)),
            batch_norm=BatchNorm(momentum=number(0.25)),
        )

    ours, theirs = model(float).fit(X, y), model(number).fit(X, y)
    np.testing.assert_array_equal(
        ours.decision_function(X), theirs.decision_function(X)
    )


@pytest.mark.parametrize("integer", [np.int8, np.uint8, np.int64])
def test_narrow_integers_do_not_overflow(integer, two_classes):
    X, y = two_classes
    X = np.tile(X, (1, 50))
    n_pixels = X.shape[1] // 3

    def model(integer):
        return classifier(
            hidden_layer_sizes=[integer(100)],
            batch_size=integer(60),
            n_iter_no_change=integer(100),
            augment=[
                RandomShift(image_shape=(integer(n_pixels), 3), max_shift=integer(1)),
                RandomCrop(
                    image_shape=(integer(n_pixels), 3), crop_shape=(integer(90), 3)
                ),
            ],
        )

    ours, theirs = model(int).fit(X, y), model(integer).fit(X, y)
    np.testing.assert_array_equal(ours.predict_proba(X), theirs.predict_proba(X))


@pytest.mark.parametrize("power_t", [200, 200.0, 1e300])
def test_a_rate_too_small_for_a_float_is_0(power_t, two_classes):
    X, y = two_classes
    model = classifier(learning_rate=InvScaling(power_t=power_t), max_iter=3).fit(X, y)
    again = classifier(learning_rate="invscaling", power_t=power_t, max_iter=3)
    np.testing.assert_array_equal(
        again.fit(X, y).predict_proba(X), model.predict_proba(X)
    )
    # The first epoch has the rate at the start; all others change nothing.
    assert model.loss_curve_[1] == pytest.approx(model.loss_curve_[2], rel=1e-12)


# Targets.


@pytest.mark.parametrize("columns", [1, 2])
@pytest.mark.parametrize("container", [sp.csr_array, sp.coo_matrix])
def test_a_regressor_takes_no_sparse_targets(columns, container, one_target):
    X, y = one_target
    Y = container(np.tile(y[:, None], columns))
    message = fit_message(regressor(), X, Y)
    assert "y.toarray()" in message


@pytest.mark.parametrize("loss", ["poisson", "squared_error", "huber"])
@pytest.mark.parametrize("kind", [str, "S", list])
def test_a_regressor_takes_no_text(loss, kind, one_target):
    X, y = one_target
    y = np.abs(y).astype(str)
    y = y.tolist() if kind is list else y.astype(kind)
    message = fit_message(regressor(loss=loss), X, y)
    assert "y.astype(float)" in message


@pytest.mark.parametrize("missing", [None, np.nan])
@pytest.mark.parametrize("kind", [list, object])
def test_a_missing_target_is_called_missing(missing, kind, one_target):
    X, y = one_target
    y = [missing, *y[1:]]
    message = fit_message(regressor(), X, y if kind is list else np.array(y, kind))
    assert "NaN" in message
    assert "large" not in message


@BOTH
def test_integers_that_no_float_holds_raise_as_data(make, problem, request):
    X, y = request.getfixturevalue(problem)
    huge = np.full(len(y), 10**400, dtype=object)
    message = message_of(lambda: make().fit(np.column_stack([huge, X]), y))
    what = "X and y" if make is regressor else "X"
    assert message.startswith(f"{what} must hold numbers of at most 1.8e+308")
    message = message_of(lambda: make().fit(X, y, sample_weight=huge))
    assert "sample_weight must hold numbers of at most 1.8e+308" in message
    if make is regressor:
        assert "X and y" in fit_message(make(), X, huge)
    else:
        model = make(class_weight={0: 10**400, 1: 1, 2: 1})
        assert "class_weight must hold numbers" in fit_message(model, X, y)


@pytest.mark.parametrize("kind", ["datetime64[D]", "timedelta64[s]"])
def test_a_regressor_takes_no_dates(kind, one_target):
    X, _ = one_target
    message = fit_message(regressor(), X, np.arange(len(X)).astype(kind))
    assert "needs numbers" in message


def test_targets_passed_for_validation_are_checked_as_well(one_target):
    X, y = one_target
    model = regressor(early_stopping=True)
    message = message_of(lambda: model.fit(X, y, X_val=X, y_val=y.astype(str)))
    assert "X_val, y_val" in message
    assert "astype(float)" in message


@pytest.mark.parametrize(
    ("n_classes", "n_samples", "kind", "warns"),
    [
        (100, 300, float, True),
        (150, 1000, float, True),
        (120, 600, np.float32, True),
        (100, 1000, float, False),
        (99, 300, float, False),
        (150, 600, int, False),
        (150, 600, str, False),
    ],
)
def test_many_floats_look_like_numbers(n_classes, n_samples, kind, warns):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_samples, 3))
    y = (np.arange(n_samples) % n_classes).astype(kind)
    model = classifier(hidden_layer_sizes=(), max_iter=1)
    if warns:
        with pytest.warns(UserWarning, match=f"{n_classes} different floats") as caught:
            model.fit(X, y)
        assert caught[0].filename == __file__
        assert "MLPRegressor" in str(caught[0].message)
    else:
        model.fit(X, y)


# Scorers.


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge", Hinge(margin=2.0)])
@pytest.mark.parametrize("scoring", ["neg_log_loss", "neg_brier_score", "roc_auc_ovr"])
def test_a_scorer_of_probabilities_needs_them(loss, scoring, two_classes):
    X, y = two_classes
    fitted = []

    class Recorded(MLPClassifier):
        def _train(self, *args):
            fitted.append(args)

    model = Recorded(loss=loss, early_stopping=True, scoring=scoring, random_state=0)
    message = fit_message(model, X, y)
    assert fitted == []
    assert f"scoring={scoring!r} needs predict_proba" in message
    assert "loss='log_loss'" in message


def test_a_scorer_of_decisions_is_no_scorer_of_a_regressor(one_target):
    X, y = one_target
    message = fit_message(regressor(early_stopping=True, scoring="roc_auc"), X, y)
    assert "scoring='roc_auc' needs" in message
    assert "MLPRegressor" in message
    assert "log_loss" not in message


@pytest.mark.parametrize(
    "result", [None, "good", [0.5, 0.5], {"accuracy": 0.5}], ids=str
)
def test_a_scorer_returns_a_number(result, two_classes):
    X, y = two_classes
    model = classifier(early_stopping=True, scoring=lambda *args: result)
    message = fit_message(model, X, y)
    assert "scoring=" in message
    assert repr(result) in message
    assert "validation set" in message
    assert "one number" in message


def test_an_error_of_a_scorer_tells_what_it_was_scoring(two_classes):
    X, y = two_classes

    class Mine(Exception):
        pass

    def broken(estimator, X, y):
        raise Mine("no")

    model = classifier(early_stopping=True, scoring=broken)
    with pytest.raises(Mine, match="no") as error:
        model.fit(X, y)
    (note,) = error.value.__notes__
    assert "broken" in note
    assert "validation set of 8 samples" in note
    assert not hasattr(model, "coefs_")


def test_quantile_and_delta_are_checked_as_parts(one_target):
    for loss, name in [(Quantile(quantile=1.0), "quantile"), (Huber(delta=0), "delta")]:
        message = fit_message(regressor(loss=loss), *one_target)
        assert f"{name!r} parameter of {type(loss).__name__}" in message


@pytest.mark.parametrize("sizes", [(100, 50), [20], 30])
def test_the_first_parameter_of_a_regressor_is_its_loss(sizes):
    X = np.eye(4)
    message = rf"Pass hidden_layer_sizes={re.escape(repr(sizes))}; loss is the first"
    with pytest.raises(ValueError, match=message):
        MLPRegressor(sizes).fit(X, X[:, 0])
