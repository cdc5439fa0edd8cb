"""Bad input: an error that says what to do, and an estimator as it was before.

Also what ends training early: a loss that is no longer finite, and the user.
"""

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning, NotFittedError

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


# Nothing is left half-changed


@BOTH
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda X, y: (with_value(X, np.nan), y), "NaN"),
        (lambda X, y: (X[:, 1:], y), "features"),
        (lambda X, y: (X[1:], y), "inconsistent numbers of samples"),
        (lambda X, y: (np.full_like(X, 1e308), y), "training loss became"),
    ],
    ids=["NaN", "features", "lengths", "divergence"],
)
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_a_partial_fit_that_fails_leaves_no_trace(
    make, problem, spoil, message, solver, request
):
    X, y = request.getfixturevalue(problem)
    params = {"solver": solver, "dropout": 0.3, "batch_size": 16}
    failing, untouched = (make(**params).fit(X, y) for _ in range(2))
    before = state(failing)
    with pytest.raises(ValueError, match=message):
        failing.partial_fit(*spoil(X, y))
    assert state(failing) == before
    # Weights, the solver's moments and the generator all stand where they stood.
    for _ in range(2):
        failing.partial_fit(X, y)
        untouched.partial_fit(X, y)
    np.testing.assert_array_equal(failing.predict(X), untouched.predict(X))
    assert failing.loss_curve_ == untouched.loss_curve_


@BOTH
@pytest.mark.parametrize("warm_start", [False, True])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_fit_that_fails_leaves_the_last_one_in_place(
    make, problem, warm_start, early_stopping, request
):
    X, y = request.getfixturevalue(problem)
    model = make(warm_start=warm_start, early_stopping=early_stopping, dropout=0.2)
    model.fit(X, y)
    before, predicted = state(model), model.predict(X)
    spoiled = {
        "infinity": (with_value(X, np.inf), y),
        "inconsistent": (X[:-1], y),
    }
    for message, bad in spoiled.items():
        with pytest.raises(ValueError, match=message):
            model.fit(*bad)
        assert state(model) == before
    np.testing.assert_array_equal(model.predict(X), predicted)


@BOTH
@pytest.mark.parametrize(
    "params",
    [{"early_stopping": True}, {"warm_start": True}, {}],
    ids=["early stopping", "warm start", "plain"],
)
def test_a_fit_that_diverges_leaves_the_last_one_in_place(
    make, problem, params, request
):
    X, y = request.getfixturevalue(problem)
    model = make(dropout=0.2, **params).fit(X, y)
    before = state(model)
    with pytest.raises(ValueError, match="training loss became"):
        model.fit(np.full_like(X, 1e308), y)
    assert state(model) == before


@BOTH
def test_a_warm_start_that_diverges_under_early_stopping_keeps_where_it_started(
    make, problem, request
):
    X, y = request.getfixturevalue(problem)
    model = make(warm_start=True, early_stopping=True).fit(X, y)
    predicted = model.predict(X)
    # The loss of its first weights is not finite, so that none are better.
    with pytest.raises(ValueError, match="training loss became"):
        model.fit(np.full_like(X, 1e308), y)
    np.testing.assert_array_equal(model.predict(X), predicted)


def test_a_fit_that_fails_on_new_columns_keeps_the_old_names(three_classes):
    X, y = three_classes
    model = classifier().fit(pd.DataFrame(X, columns=list("abcdef")), y)
    before = state(model)
    bad = pd.DataFrame(with_value(X, np.nan), columns=list("uvwxyz"))
    rejects(lambda: model.fit(bad, y), ValueError, "NaN")
    rejects(
        lambda: model.fit(pd.DataFrame(X, columns=list("uvwxyz")), np.ones(len(y))),
        ValueError,
        "2 classes",
    )
    assert state(model) == before


def test_a_fit_that_fails_late_takes_back_the_classes(three_classes):
    X, y = three_classes
    model = classifier(solver="lbfgs", dropout=0.5)
    rejects(lambda: model.fit(X, y), ValueError, "lbfgs")
    assert not hasattr(model, "classes_")
    assert not hasattr(model, "n_features_in_")
    assert state(model) == state(classifier(solver="lbfgs", dropout=0.5))


@pytest.mark.filterwarnings("error::sklearn.exceptions.ConvergenceWarning")
def test_a_warning_turned_into_an_error_leaves_no_trace(three_classes):
    X, y = three_classes
    model = classifier(warm_start=True)
    before = state(model)
    with pytest.raises(ConvergenceWarning):
        model.fit(X, y)
    assert state(model) == before


class Broken(Adam):
    """Adam, but its eighth step fails after it has changed everything."""

    def step(self, theta, grad, rate, state, xp=np):
        super().step(theta, grad, rate, state, xp)
        if state["t"] == 8:
            raise RuntimeError("broken")


def test_an_error_in_a_part_of_ones_own_leaves_no_trace(three_classes):
    X, y = three_classes
    model = classifier(solver=Broken(), batch_size=90, max_iter=5).fit(X, y)
    model.partial_fit(X, y).partial_fit(X, y)
    before = state(model)
    with pytest.raises(RuntimeError, match="broken"):
        model.partial_fit(X, y)
    assert state(model) == before
    assert model.t_ == 7 * len(X)


# A loss that is not finite


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_divergence_is_an_error_with_epoch_rate_and_remedies(two_targets, solver):
    X, Y = two_targets
    model = regressor(solver=solver, learning_rate_init=1e80, max_iter=50)
    before = state(model)
    rejects(
        lambda: model.fit(X, Y),
        ValueError,
        "epoch",
        "learning rate of 1e+80",
        "Standardizer",
        "learning_rate_init",
    )
    assert state(model) == before


def test_divergence_in_the_last_step_names_the_epoch_too(one_target):
    X, y = one_target
    model = regressor(solver="sgd", learning_rate_init=1e200, max_iter=1)
    rejects(
        lambda: model.fit(X * 1e150, y),
        ValueError,
        "epoch 1",
        "1e+200",
        "Standardizer",
    )


class NanAt(SquaredError):
    """The squared error, but NaN at the n-th evaluation."""

    def __init__(self, n=1):
        self.n = n
        self.count = 0

    def mean(self, raw, y, sample_weight, xp):
        self.count += 1
        value, gradient = super().mean(raw, y, sample_weight, xp)
        return float("nan") if self.count == self.n else value, gradient


def test_divergence_stops_at_once(one_target):
    X, y = one_target

    class Counting(Adam):
        n_steps = 0

        def step(self, *args):
            Counting.n_steps += 1
            super().step(*args)

    model = regressor(loss=NanAt(7), solver=Counting(), batch_size=20, max_iter=50)
    rejects(lambda: model.fit(X, y), ValueError, "nan", "epoch 2")
    assert Counting.n_steps == 6


def test_divergence_under_early_stopping_keeps_the_best_weights(one_target):
    X, y = one_target
    params = {"early_stopping": True, "validation_fraction": 0.25, "batch_size": 20}
    params |= {"learning_rate_init": 0.01, "max_iter": 50}
    # Three batches an epoch: the tenth is the first of the fourth epoch.
    model = regressor(loss=NanAt(10), **params)
    with pytest.warns(ConvergenceWarning, match=r"nan in epoch 4.*best weights"):
        model.fit(X, y)
    three_epochs = regressor(**params | {"max_iter": 3}).fit(X, y)
    np.testing.assert_allclose(model.predict(X), three_epochs.predict(X))
    assert model.best_validation_score_ == pytest.approx(
        three_epochs.best_validation_score_
    )
    assert len(model.validation_scores_) == len(model.loss_curve_) == model.n_iter_


def test_divergence_under_early_stopping_in_the_first_epoch_is_an_error(one_target):
    X, y = one_target
    model = regressor(loss=NanAt(1), early_stopping=True)
    before = state(model)
    rejects(lambda: model.fit(X, y), ValueError, "nan", "epoch 1")
    assert state(model) == before


def test_real_divergence_under_early_stopping_leaves_a_usable_model(two_targets):
    X, Y = two_targets
    model = regressor(
        solver="sgd", learning_rate_init=5.0, early_stopping=True, max_iter=50
    )
    with pytest.warns(ConvergenceWarning, match="best weights"):
        model.fit(X, Y)
    assert np.isfinite(model.predict(X)).all()
    assert all(np.isfinite(W).all() for W in model.coefs_)


def test_lbfgs_says_that_the_start_is_not_finite(one_target):
    X, y = one_target
    model = regressor(solver="lbfgs")
    rejects(
        lambda: model.fit(X * 1e200, y), ValueError, "first iteration", "Standardizer"
    )
    assert not hasattr(model, "coefs_")


# The user interrupts


class InterruptedLoss(LogLoss):
    """The log loss, but the user presses Ctrl-C during the n-th evaluation."""

    def __init__(self, n=1):
        super().__init__()
        self.n = n
        self.count = 0

    def mean(self, raw, y, sample_weight, xp):
        self.count += 1
        if self.count == self.n:
            raise KeyboardInterrupt
        return super().mean(raw, y, sample_weight, xp)


def assert_usable(model, X, y):
    assert all(np.isfinite(W).all() for W in model.coefs_)
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1)
    assert model.predict(X).shape == y.shape
    assert len(model.loss_curve_) == model.n_iter_


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_an_interrupt_keeps_the_weights_reached(three_classes, solver):
    X, y = three_classes
    params = {"solver": solver, "batch_size": 30, "max_iter": 50}
    # Three batches an epoch: the tenth is the first of the fourth epoch.
    model = classifier(loss=InterruptedLoss(10), **params)
    with pytest.warns(UserWarning, match="interrupted by user after 3 epochs"):
        model.fit(X, y)
    assert_usable(model, X, y)
    three_epochs = classifier(**params | {"max_iter": 3}).fit(X, y)
    np.testing.assert_allclose(model.predict_proba(X), three_epochs.predict_proba(X))
    assert model.loss_curve_ == pytest.approx(three_epochs.loss_curve_)
    assert model.t_ == three_epochs.t_


@pytest.mark.filterwarnings("ignore:Training interrupted by user")
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_training_can_go_on_after_an_interrupt(three_classes, solver):
    X, y = three_classes
    model = classifier(
        loss=InterruptedLoss(10), solver=solver, batch_size=30, max_iter=50
    ).fit(X, y)
    before = model.loss_
    model.set_params(loss="log_loss")
    for _ in range(30):
        model.partial_fit(X, y)
    assert model.loss_ < before


@pytest.mark.filterwarnings("ignore:Training interrupted by user")
def test_an_interrupt_in_the_first_epoch_leaves_a_usable_model(three_classes):
    X, y = three_classes
    model = classifier(loss=InterruptedLoss(2), batch_size=30).fit(X, y)
    assert_usable(model, X, y)
    model.set_params(loss="log_loss", warm_start=True)
    assert np.isfinite(model.partial_fit(X, y).fit(X, y).predict_proba(X)).all()


def test_an_interrupt_under_early_stopping_restores_the_best_weights(three_classes):
    X, y = three_classes
    params = {
        "early_stopping": True,
        "validation_fraction": 0.2,
        "learning_rate_init": 0.05,
        "n_iter_no_change": 100,
        "max_iter": 100,
    }
    model = classifier(loss=InterruptedLoss(40), **params)
    with pytest.warns(UserWarning, match="interrupted by user after 39 epochs"):
        model.fit(X, y)
    assert_usable(model, X, y)
    best_epoch = int(np.argmax(model.validation_scores_)) + 1
    assert best_epoch < 39
    best = classifier(**params | {"max_iter": best_epoch}).fit(X, y)
    np.testing.assert_allclose(model.predict_proba(X), best.predict_proba(X))


def test_an_interrupt_of_lbfgs_keeps_the_last_iterate(three_classes):
    X, y = three_classes
    model = classifier(solver="lbfgs", loss=InterruptedLoss(12), max_iter=50)
    with pytest.warns(UserWarning, match="interrupted by user"):
        model.fit(X, y)
    assert_usable(model, X, y)
    assert 0 < model.n_iter_ < 12
    assert model.loss_ == pytest.approx(model.loss_curve_[-1])
    same = classifier(solver="lbfgs", max_iter=model.n_iter_).fit(X, y)
    np.testing.assert_allclose(model.predict_proba(X), same.predict_proba(X))


def test_an_interrupt_of_lbfgs_under_early_stopping_restores_the_best(three_classes):
    X, y = three_classes
    model = classifier(
        solver="lbfgs",
        loss=InterruptedLoss(40),
        max_iter=100,
        early_stopping=True,
        validation_fraction=0.2,
        n_iter_no_change=100,
    )
    with pytest.warns(UserWarning, match="interrupted by user"):
        model.fit(X, y)
    assert_usable(model, X, y)
    assert model.best_validation_score_ == max(model.validation_scores_)


@pytest.mark.filterwarnings("ignore:Training interrupted by user")
def test_an_interrupt_in_partial_fit_leaves_a_usable_model(three_classes):
    X, y = three_classes
    model = classifier(loss=InterruptedLoss(2), batch_size=30)
    model.partial_fit(X, y, classes=[0, 1, 2])
    assert_usable(model, X, y)


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
