"""Bad input: an error that says what to do."""

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.exceptions import NotFittedError

from sknn_notes import MLPClassifier, MLPRegressor
from sknn_notes.losses import Hinge, LogLoss, SquaredError
from sknn_notes.optimizers import SGD, Adam
from sknn_notes.penalties import Penalty


def classifier(**params):
    return MLPClassifier(
        **{"hidden_layer_sizes": (8,), "max_iter": 5, "random_state": 0, **params}
    )


def regressor(**params):
    return MLPRegressor(
        **{"hidden_layer_sizes": (8,), "max_iter": 5, "random_state": 0, **params}
    )


def state(model):
    """Return a hash of every attribute: of arrays by value, of generators by state."""
    return {name: joblib.hash(value) for name, value in vars(model).items()}


def rejects(action, error_type, *parts):
    """Assert that the action fails with a message that holds all of the parts."""
    with pytest.raises(error_type) as error:
        action()
    message = str(error.value)
    assert [part for part in parts if part not in message] == [], message


# Parameters


BOTH = pytest.mark.parametrize(
    ("make", "problem"),
    [(classifier, "three_classes"), (regressor, "two_targets")],
    ids=["classifier", "regressor"],
)


@BOTH
@pytest.mark.parametrize(
    ("params", "parts"),
    [
        # Unknown names: all that exist, and the nearest.
        ({"activation": "rellu"}, ["activation", "'rellu'", "'tanh'", "'relu'?"]),
        ({"activation": ["rellu"]}, ["activation", "'rellu'", "'tanh'", "'relu'?"]),
        ({"solver": "adm"}, ["solver", "'adm'", "'sgd'", "Did you mean 'adam'?"]),
        ({"init": "he_nromal"}, ["init", "'he_nromal'", "Did you mean 'he_normal'?"]),
        ({"penalty": "ll2"}, ["penalty", "'ll2'", "Did you mean 'l2'?"]),
        ({"learning_rate": "constnat"}, ["learning_rate", "Did you mean 'constant'?"]),
        ({"loss": "xyz"}, ["loss", "'xyz'", "must be one of"]),
        ({"dtype": "float16"}, ["dtype", "'float16'", "'float32'", "'auto'"]),
        # Sizes.
        ({"hidden_layer_sizes": 0}, ["hidden_layer_sizes", "[1, inf)", "Got 0"]),
        ({"hidden_layer_sizes": -3}, ["hidden_layer_sizes", "[1, inf)", "Got -3"]),
        ({"hidden_layer_sizes": (5, 0)}, ["hidden_layer_sizes", "> 0", "[5, 0]"]),
        ({"hidden_layer_sizes": (5, -2)}, ["hidden_layer_sizes", "> 0", "[5, -2]"]),
        (
            {"hidden_layer_sizes": (5, 5), "n_hidden_layers": 2},
            ["n_hidden_layers", "(5, 5)", "Pass an int"],
        ),
        ({"n_hidden_layers": -1}, ["n_hidden_layers", "[0, inf)", "Got -1"]),
        ({"batch_size": 0}, ["batch_size", "[1, inf)", "Got 0"]),
        ({"batch_size": -5}, ["batch_size", "[1, inf)", "Got -5"]),
        ({"max_iter": 0}, ["max_iter", "[1, inf)", "Got 0"]),
        # Dropout.
        ({"dropout": 1.0}, ["dropout", "[0.0, 1.0)", "Got 1.0"]),
        ({"dropout": -0.1}, ["dropout", "[0.0, 1.0)", "Got -0.1"]),
        ({"dropout": [1.0]}, ["dropout", "[0.0, 1.0)", "Got 1.0"]),
        ({"dropout": ["half"]}, ["dropout", "[0.0, 1.0)", "'half'"]),
        ({"dropout": [np.nan]}, ["dropout", "[0.0, 1.0)", "nan"]),
        (
            {"dropout": [0.1, 0.2]},
            ["dropout", "per hidden layer", "1 here", "2 values"],
        ),
        ({"input_dropout": 1.0}, ["input_dropout", "[0.0, 1.0)", "Got 1.0"]),
        # Strengths and rates.
        ({"alpha": -1.0}, ["alpha", "[0.0, inf)", "Got -1.0"]),
        ({"alpha": np.inf}, ["alpha", "[0.0, inf)", "Got inf"]),
        ({"alpha": [1.0, -1.0]}, ["alpha", "[0.0, inf)", "Got -1.0"]),
        ({"alpha": [1.0]}, ["alpha", "per weight matrix", "2 here", "1 values"]),
        ({"learning_rate_init": 0.0}, ["learning_rate_init", "Got 0.0"]),
        ({"momentum": 1.5, "solver": "sgd"}, ["momentum", "Got 1.5"]),
        ({"beta_1": 1.0}, ["beta_1", "Got 1.0"]),
        ({"bias_init": np.nan}, ["bias_init", "nan"]),
        # Parts.
        ({"solver": SGD(momentum=2.0)}, ["momentum", "SGD", "Got 2.0"]),
        ({"solver": Adam}, ["solver", "Adam"]),
        ({"solver": Hinge()}, ["solver", "Optimizer", "Hinge()"]),
        ({"loss": Adam()}, ["loss", "Loss", "Adam()"]),
        ({"activation": [Adam()]}, ["activation", "Adam()"]),
        ({"activation": [3]}, ["activation", "3"]),
        (
            {"activation": ["relu", "tanh"]},
            ["activation", "per hidden layer", "1 here", "Got 2"],
        ),
        # Combinations.
        (
            {"solver": "lbfgs", "dropout": 0.5},
            ["'lbfgs'", "dropout=0.5", "solver='adam'"],
        ),
        (
            {"solver": "lbfgs", "input_dropout": 0.5},
            ["'lbfgs'", "input_dropout=0.5", "solver='adam'"],
        ),
        (
            {"early_stopping": True, "validation_fraction": 0.01},
            ["validation"],
        ),
    ],
    ids=lambda value: repr(value) if isinstance(value, dict) else "",
)
def test_parameters_that_cannot_be_raise(make, problem, params, parts, request):
    X, y = request.getfixturevalue(problem)
    model = make(**params)
    before = state(model)
    rejects(lambda: model.fit(X, y), (ValueError, TypeError), *parts)
    assert state(model) == before


@BOTH
def test_sizes_that_are_no_integers_raise(make, problem, request):
    X, y = request.getfixturevalue(problem)
    model = make(hidden_layer_sizes=(5.5,))
    rejects(lambda: model.fit(X, y), TypeError, "hidden_layer_sizes", "integers", "5.5")


def test_a_margin_that_is_not_positive_raises(three_classes):
    X, y = three_classes
    model = classifier(loss=Hinge(margin=0.0))
    rejects(lambda: model.fit(X, y), ValueError, "margin", "Hinge", "Got 0.0")


@pytest.mark.parametrize(
    ("class_weight", "parts"),
    [
        ("equal", ["class_weight", "'balanced'", "'equal'"]),
        ({7: 1.0}, ["class_weight", "[0, 1, 2]"]),
        ({0: -1.0, 1: 1.0, 2: 1.0}, ["class_weight", "-1.0"]),
        ({0: np.nan, 1: 1.0, 2: 1.0}, ["class_weight", "nan"]),
        ({0: 0.0, 1: 0.0, 2: 0.0}, ["weight", "zero"]),
    ],
)
def test_class_weights_that_cannot_be_raise(three_classes, class_weight, parts):
    X, y = three_classes
    model = classifier(class_weight=class_weight)
    rejects(lambda: model.fit(X, y), ValueError, *parts)


def test_a_batch_larger_than_the_data_is_clipped_with_a_warning(three_classes):
    X, y = three_classes
    with pytest.warns(UserWarning, match=r"batch_size=500.*90 training samples"):
        clipped = classifier(batch_size=500).fit(X, y)
    np.testing.assert_array_equal(
        clipped.predict_proba(X), classifier(batch_size=90).fit(X, y).predict_proba(X)
    )


def test_weight_decay_rejects_a_penalty_that_tells_none(three_classes):
    class Quartic(Penalty):
        def value(self, W, alpha, xp=np):
            return alpha * xp.sum(W**4)

        def gradient(self, W, alpha, xp=np):
            return 4 * alpha * W**3

    X, y = three_classes
    classifier(penalty=Quartic()).fit(X, y)
    rejects(
        lambda: classifier(penalty=Quartic(), solver="adamw").fit(X, y),
        ValueError,
        "adamw",
        "decay",
    )


# Data


def with_value(X, value):
    X = X.copy()
    X[3, 2] = value
    return X


@BOTH
@pytest.mark.parametrize(("value", "word"), [(np.nan, "NaN"), (np.inf, "infinity")])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_input_that_is_not_finite_raises(
    make, problem, value, word, container, request
):
    X, y = request.getfixturevalue(problem)
    bad = container(with_value(X, value))
    model = make()
    rejects(lambda: model.fit(bad, y), ValueError, "X", word)
    model.fit(X, y)
    before = state(model)
    for method in (model.predict, lambda X: model.partial_fit(X, y)):
        rejects(lambda method=method: method(bad), ValueError, "X", word)
    assert state(model) == before


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
@pytest.mark.filterwarnings("ignore:invalid value encountered in reduce")
def test_input_too_large_for_the_computing_type_raises(one_target):
    X, y = one_target
    model = regressor(dtype="float32")
    rejects(lambda: model.fit(with_value(X, 1e300), y), ValueError, "X", "float32")


def test_targets_too_large_for_the_computing_type_raise(one_target):
    X, y = one_target
    model = regressor(dtype="float32")
    rejects(lambda: model.fit(X, y * 1e300), ValueError, "y", "float32")


@pytest.mark.parametrize(("value", "word"), [(np.nan, "NaN"), (np.inf, "infinity")])
def test_targets_that_are_not_finite_raise(two_targets, value, word):
    X, Y = two_targets
    Y = Y.copy()
    Y[0, 1] = value
    rejects(lambda: regressor().fit(X, Y), ValueError, "y", word)


@BOTH
@pytest.mark.parametrize(
    ("shape", "parts"),
    [
        (lambda X, y: (X[:, 0], y), ["1D array"]),
        (lambda X, y: (X[:, :, None], y), ["dim 3"]),
        (lambda X, y: (X[:-1], y), ["inconsistent numbers of samples"]),
        (lambda X, y: (X[:0], y[:0]), ["0 sample(s)"]),
        (lambda X, y: (X[:, :0], y), ["0 feature(s)"]),
        (lambda X, y: (X, None), ["y"]),
    ],
    ids=["1-D X", "3-D X", "lengths", "no rows", "no columns", "no y"],
)
def test_wrong_shapes_raise(make, problem, shape, parts, request):
    X, y = request.getfixturevalue(problem)
    rejects(lambda: make().fit(*shape(X, y)), ValueError, *parts)


@BOTH
def test_another_number_of_features_raises(make, problem, request):
    X, y = request.getfixturevalue(problem)
    model = make().fit(X, y)
    before = state(model)
    n = X.shape[1]
    for method in (model.predict, lambda X: model.partial_fit(X, y)):
        rejects(lambda method=method: method(X[:, 1:]), ValueError, f"{n - 1} features")
    assert state(model) == before


@BOTH
@pytest.mark.parametrize(
    ("weight", "parts"),
    [
        (lambda n: -np.ones(n), ["Negative", "sample_weight"]),
        (lambda n: np.full(n, np.nan), ["NaN"]),
        (lambda n: np.full(n, np.inf), ["infinity"]),
        (lambda n: np.zeros(n), ["eights", "zero"]),
        (lambda n: np.ones(n - 1), ["sample_weight", "expected"]),
        (lambda n: np.ones((n, 1)), ["1D"]),
    ],
    ids=["negative", "NaN", "infinite", "all zero", "length", "2-D"],
)
def test_wrong_weights_raise(make, problem, weight, parts, request):
    X, y = request.getfixturevalue(problem)
    model = make()
    before = state(model)
    rejects(lambda: model.fit(X, y, sample_weight=weight(len(X))), ValueError, *parts)
    assert state(model) == before


@BOTH
@pytest.mark.parametrize("row", [0, -1])
def test_a_split_that_leaves_a_side_without_weight_raises(make, problem, row, request):
    X, y = request.getfixturevalue(problem)
    weight = np.zeros(len(X))
    # One of the rows is drawn for training, the other for validation.
    weight[row] = 1.0
    model = make(early_stopping=True, validation_fraction=0.5)
    before = state(model)
    rejects(
        lambda: model.fit(X, y, sample_weight=weight),
        ValueError,
        "weight",
        "validation",
    )
    assert state(model) == before


# Targets


def test_one_class_raises(three_classes):
    X, _ = three_classes
    model = classifier()
    rejects(lambda: model.fit(X, np.full(len(X), 3)), ValueError, "2 classes", "[3]")
    rejects(
        lambda: model.partial_fit(X, np.full(len(X), 3), classes=[3]),
        ValueError,
        "2 classes",
        "[3]",
    )


def test_continuous_targets_of_a_classifier_raise(one_target):
    X, y = one_target
    rejects(lambda: classifier().fit(X, y), ValueError, "continuous", "regression")


def test_several_multi_class_columns_raise(three_classes):
    X, y = three_classes
    rejects(
        lambda: classifier().fit(X, np.column_stack([y, y])),
        ValueError,
        "columns",
        "0 and 1",
        "MultiOutputClassifier",
    )


@pytest.mark.parametrize("values", [(-1, 1), (1, 2)])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_labels_other_than_0_and_1_raise(labels, values, method, container):
    X, Y = labels
    Y = container(np.array(values)[Y])
    more = {"classes": np.arange(4)} if method == "partial_fit" else {}
    rejects(
        lambda: getattr(classifier(loss="hinge"), method)(X, Y, **more),
        ValueError,
        "0 and 1",
    )


def test_poisson_rejects_negative_targets(one_target):
    X, y = one_target
    model = regressor(loss="poisson")
    rejects(lambda: model.fit(X, y), ValueError, "poisson", "y >= 0", "squared_error")
    rejects(lambda: model.partial_fit(X, y), ValueError, "poisson", "y >= 0")


@pytest.mark.parametrize(
    ("model", "parts"),
    [
        (classifier(loss="squared_error"), ["loss", "'squared_error'", "'log_loss'"]),
        (classifier(loss=SquaredError()), ["loss", "ClassificationLoss"]),
        (regressor(loss="hinge"), ["loss", "'hinge'", "'squared_error'"]),
        (regressor(loss=LogLoss()), ["loss", "RegressionLoss"]),
    ],
)
def test_a_loss_for_other_targets_raises(three_classes, model, parts):
    X, y = three_classes
    rejects(lambda: model.fit(X, y), ValueError, *parts)


def test_words_are_no_targets_of_a_regressor(one_target):
    X, _ = one_target
    with pytest.raises(ValueError, match="convert"):
        regressor().fit(X, np.full(len(X), "high"))


# partial_fit and warm_start


def test_partial_fit_needs_all_classes_first(three_classes):
    X, y = three_classes
    rejects(lambda: classifier().partial_fit(X, y), ValueError, "classes", "first call")


def test_labels_that_are_not_in_classes_raise(three_classes):
    X, y = three_classes
    model = classifier()
    before = state(model)
    rejects(
        lambda: model.partial_fit(X, y, classes=[0, 1]), ValueError, "[0 1]", "[0 1 2]"
    )
    assert state(model) == before
    model.partial_fit(X, y, classes=[0, 1, 2])
    before = state(model)
    rejects(lambda: model.partial_fit(X, y + 1), ValueError, "[0 1 2]", "[1 2 3]")
    rejects(lambda: model.partial_fit(X, y.astype(str)), ValueError, "'0' '1' '2'")
    rejects(
        lambda: model.partial_fit(X, y, classes=[0, 1]),
        ValueError,
        "[0, 1]",
        "last call",
    )
    assert state(model) == before


def test_another_kind_of_targets_raises_in_partial_fit(three_classes, labels):
    X, y = three_classes
    model = classifier().fit(X, y)
    rejects(
        lambda: model.partial_fit(X, np.eye(3, dtype=int)[y]), ValueError, "(90, 3)"
    )
    X, Y = labels
    model = classifier().fit(X, Y)
    rejects(lambda: model.partial_fit(X, Y[:, 0]), ValueError, "(80,)")
    rejects(lambda: model.partial_fit(X, Y[:, :3]), ValueError, "classes")


def test_another_number_of_targets_raises_in_partial_fit(two_targets):
    X, Y = two_targets
    model = regressor().fit(X, Y)
    rejects(lambda: model.partial_fit(X, Y[:, 0]), ValueError, "1 output", "2")


def test_partial_fit_rejects_to_balance(three_classes):
    X, y = three_classes
    model = classifier(class_weight="balanced")
    rejects(
        lambda: model.partial_fit(X, y, classes=[0, 1, 2]),
        ValueError,
        "'balanced'",
        "dict",
        "compute_class_weight",
    )


@BOTH
def test_partial_fit_rejects_early_stopping(make, problem, request):
    X, y = request.getfixturevalue(problem)
    first = {"classes": [0, 1, 2]} if make is classifier else {}
    rejects(
        lambda: make(early_stopping=True).partial_fit(X, y, **first),
        ValueError,
        "early_stopping=True",
        "early_stopping=False",
    )


@BOTH
@pytest.mark.parametrize("method", ["partial_fit", "fit"])
def test_another_shape_of_the_network_raises_when_going_on(
    make, problem, method, request
):
    X, y = request.getfixturevalue(problem)
    model = make(warm_start=True).fit(X, y).set_params(hidden_layer_sizes=(4, 4))
    before = state(model)
    rejects(
        lambda: getattr(model, method)(X, y),
        ValueError,
        f"[{X.shape[1]}, 8, {model.n_outputs_}]",
        f"[{X.shape[1]}, 4, 4, {model.n_outputs_}]",
        "warm_start=False",
    )
    assert state(model) == before


def test_a_warm_start_with_other_classes_raises(three_classes):
    X, y = three_classes
    model = classifier(warm_start=True).fit(X, y)
    before = state(model)
    rejects(lambda: model.fit(X, y + 1), ValueError, "warm_start", "[0 1 2]", "[1 2 3]")
    assert state(model) == before


def test_methods_need_a_fit(three_classes):
    X, _ = three_classes
    names = ("predict", "predict_proba", "predict_log_proba", "decision_function")
    for name in names:
        rejects(lambda name=name: getattr(classifier(), name)(X), NotFittedError, "fit")
    rejects(lambda: regressor().predict(X), NotFittedError, "fit")
