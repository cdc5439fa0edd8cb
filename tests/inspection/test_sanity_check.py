"""Findings of ``sanity_check`` for good and bad set-ups, and its report."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
)
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknn_notes import MLPClassifier, MLPRegressor, Standardizer, Whitener
from sknn_notes.activations import Activation
from sknn_notes.initializers import Normal
from sknn_notes.inspection import Finding, SanityReport, sanity_check
from sknn_notes.losses import (
    CLASSIFICATION_LOSSES,
    REGRESSION_LOSSES,
    HierarchicalSoftmax,
    Hinge,
    LogLoss,
    SquaredError,
    SquaredHinge,
)
from sknn_notes.penalties import L2
from sknn_notes.schedules import Constant


def statuses(report, *but):
    return {f.status for f in report.findings if f.check not in but}


@pytest.fixture(scope="module")
def numbers(iris):
    X, _ = iris
    target = np.column_stack([X[:, 0] - X[:, 1] ** 2, X[:, 2]])
    return X, (target - target.mean(axis=0)) / target.std(axis=0)


# Good set-ups pass


@pytest.mark.parametrize("loss", CLASSIFICATION_LOSSES)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_good_classifiers_pass(iris, loss, n_classes):
    X, y = iris
    X, y = X[y > 2 - n_classes], y[y > 2 - n_classes]
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    model = MLPClassifier(50, loss=loss, learning_rate_init=0.005)
    report = sanity_check(model, X, np.array(["a", "b", "c"])[y])
    assert statuses(report) == {"pass"}, report


@pytest.mark.parametrize("loss", REGRESSION_LOSSES)
def test_good_regressors_pass(numbers, loss):
    X, y = numbers
    y = np.exp(y / 2) if loss in ("poisson", "gamma", "tweedie") else y
    model = MLPRegressor(loss=loss, learning_rate_init=0.003)
    for dtype in ("float64", "float32"):
        report = sanity_check(model, X.astype(dtype), y)
        assert statuses(report) == {"pass"}, report


@pytest.mark.parametrize(
    "parameters",
    [
        {"dropout": 0.3, "batch_norm": True, "activation": "tanh"},
        {"penalty": "l1", "early_stopping": True, "class_weight": "balanced"},
        {"solver": "adamw", "dtype": "float32", "learning_rate": "cosine"},
        {"solver": "sgd", "learning_rate_init": 0.05, "max_norm": 3.0},
        {"loss": LogLoss(label_smoothing=0.1), "warm_start": True, "batch_size": 10},
        {"loss": HierarchicalSoftmax(tree=((0, 1), 2)), "alpha": [0.01, 0.02]},
    ],
)
def test_good_parameters_pass(iris, parameters):
    defaults = {"hidden_layer_sizes": 50, "learning_rate_init": 0.005}
    model = MLPClassifier(**(defaults | parameters))
    report = sanity_check(model, *iris)
    assert statuses(report) == {"pass"}, report


def test_labels_and_pipelines(digits):
    X, y = digits
    labels = np.column_stack([y % 2, y > 4, y == 0]).astype(int)
    model = make_pipeline(Whitener(eps=0.1), MLPClassifier(random_state=0))
    report = sanity_check(model, X, labels)
    assert statuses(report) == {"pass"}
    assert report["loss at chance"].found.endswith("2.079 (3 ln 2)")


def test_sparse_inputs_need_no_center(iris):
    X = csr_array(np.abs(iris[0]) * (np.abs(iris[0]) > 1))
    model = MLPClassifier(50, learning_rate_init=0.005)
    report = sanity_check(model, X, iris[1])
    assert statuses(report, "overfit") == {"pass"}, report


def test_lbfgs_skips_the_learning_rate(iris):
    report = sanity_check(MLPClassifier(solver="lbfgs"), *iris)
    assert report["learning rate"].status == "skip"
    assert statuses(report, "learning rate") == {"pass"}


def test_a_linear_model_has_no_dead_units(iris):
    report = sanity_check(
        MLPClassifier((), penalty=None, learning_rate_init=0.1), *iris
    )
    assert report["dead units"].status == report["penalty"].status == "skip"


def test_the_estimator_stays_as_it_is(iris, fitted):
    before, weights = dict(vars(fitted)), [W.copy() for W in fitted.coefs_]
    sanity_check(fitted, *iris)
    assert vars(fitted).keys() == before.keys()
    assert all(value is before[name] for name, value in vars(fitted).items())
    for W, copy in zip(fitted.coefs_, weights, strict=True):
        assert_array_equal(W, copy)


def test_reports_repeat(iris):
    model = MLPClassifier(10, dropout=0.3)
    assert repr(sanity_check(model, *iris)) == repr(sanity_check(model, *iris))


# What holds a network


@pytest.mark.parametrize(
    "parameters",
    [
        {"transformer": StandardScaler()},
        {"func": np.log1p, "inverse_func": np.expm1},
        {},
    ],
    ids=["transformer", "function", "nothing"],
)
@pytest.mark.parametrize("n_targets", [1, 2])
def test_transformed_targets(iris, parameters, n_targets):
    X, y = iris[0], np.exp(iris[0][:, : 2 if n_targets == 2 else 1]).squeeze()
    network = MLPRegressor(hidden_layer_sizes=30, random_state=0)
    if "transformer" in parameters:
        seen = StandardScaler().fit_transform(y.reshape(150, -1)).reshape(y.shape)
    else:
        seen = parameters.get("func", np.asarray)(y)
    wrapped = TransformedTargetRegressor(network, **parameters)
    expected = sanity_check(network, X, seen)
    assert repr(sanity_check(wrapped, X, y)) == repr(expected)
    assert not hasattr(wrapped, "regressor_")


@pytest.mark.parametrize(
    "search",
    [
        GridSearchCV(MLPClassifier(), {"alpha": [0.0, 5.0]}, cv=2),
        RandomizedSearchCV(MLPClassifier(), {"alpha": [0.0, 5.0]}, n_iter=1, cv=2),
        HalvingGridSearchCV(MLPClassifier(), {"alpha": [0.0, 5.0]}, cv=2),
    ],
    ids=lambda search: type(search).__name__,
)
def test_searches(iris, search):
    """Before the search its estimator is checked, then the best one."""
    network = MLPClassifier(20, max_iter=3, alpha=0.3, random_state=0)
    search = clone(search).set_params(estimator=network)
    expected = repr(sanity_check(network, *iris))
    assert repr(sanity_check(search, *iris)) == expected
    assert not hasattr(search, "best_estimator_")
    search.fit(*iris)
    best = repr(sanity_check(search.best_estimator_, *iris))
    assert repr(sanity_check(search, *iris)) == best != expected


def test_a_network_within_several():
    rng = np.random.default_rng(0)
    X = 50 + 9 * rng.normal(size=(100, 4))
    y = 1e4 * X[:, 0]
    network = MLPRegressor(hidden_layer_sizes=30, random_state=0)
    steps = make_pipeline(Standardizer(), network)
    target = TransformedTargetRegressor(steps, transformer=StandardScaler())
    search = GridSearchCV(target, {"regressor__mlpregressor__alpha": [0, 1]})
    report = sanity_check(make_pipeline(Standardizer(), search), X, y)
    expected = sanity_check(
        network,
        Standardizer().fit_transform(X),
        StandardScaler().fit_transform(y[:, None])[:, 0],
    )
    assert {f.check: f.status for f in report.findings} == {
        f.check: f.status for f in expected.findings
    }


@pytest.mark.parametrize(
    "estimator",
    [
        TransformedTargetRegressor(),
        GridSearchCV(LogisticRegression(), {"C": [1]}),
        MultiOutputRegressor(MLPRegressor()),
        CalibratedClassifierCV(MLPClassifier()),
        MLPClassifier,
    ],
    ids=["no regressor", "another search", "several", "calibrated", "class"],
)
def test_what_holds_no_network_or_many(iris, estimator):
    message = "a TransformedTargetRegressor of one, a search over one, or a Pipeline"
    with pytest.raises(TypeError, match=message):
        sanity_check(estimator, *iris)


# Chance


@pytest.mark.parametrize(
    ("loss", "chance"),
    [
        (LogLoss(), np.log(3)),
        (Hinge(margin=0.5), 2 * 0.5),
        (SquaredHinge(margin=0.5), 2 * 0.25),
        (HierarchicalSoftmax(tree=((0, 1), 2)), 5 / 3 * np.log(2)),
    ],
)
def test_the_loss_of_small_weights(iris, loss, chance):
    report = sanity_check(MLPClassifier(10, loss=loss), *iris)
    assert f"chance is {chance:.4g}" in report["loss at chance"].found
    assert report["loss at chance"].found.startswith(f"{chance:.4g}"[:3])


def test_large_biases_start_above_chance(iris):
    model = MLPClassifier(10, bias_init=5.0, init="normal")
    assert sanity_check(model, *iris)["loss at chance"].status == "pass"
    model = MLPClassifier(10, loss="hinge", bias_init=5.0)
    report = sanity_check(model, iris[0], iris[1] > 1)
    assert report["loss at chance"].status == "fail"


# What goes wrong


def test_unscaled_inputs(iris):
    X, y = 100 * iris[0] + 500, iris[1]
    report = sanity_check(MLPClassifier(20, random_state=0), X, y)
    assert report["inputs"].status == "fail"
    assert "sknn_notes.Standardizer() before" in report["inputs"].change
    assert report["loss at start"].status == "fail"
    scaled = make_pipeline(Standardizer(), MLPClassifier(20, random_state=0))
    assert sanity_check(scaled, X, y)["inputs"].status == "pass"


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda X: X + 6, "warn"),
        (lambda X: X / 100, "warn"),
        (lambda X: X * [1, 1, 1, 30], "fail"),
        (lambda X: 0 * X + 1, "fail"),
        (lambda X: csr_array(20 * np.abs(X)), "fail"),
    ],
)
def test_inputs_of_other_scales(iris, change, status):
    report = sanity_check(MLPClassifier(5), change(iris[0]), iris[1])
    assert report["inputs"].status == status


@pytest.mark.parametrize("sparse", [False, True])
def test_constant_inputs(iris, sparse):
    X = np.column_stack([iris[0], np.zeros(150), np.full(150, 0.1)])
    report = sanity_check(MLPClassifier(5), csr_array(X) if sparse else X, iris[1])
    assert report["constant inputs"].status == "warn"
    assert report["constant inputs"].found.startswith("2 of 6")
    report = sanity_check(MLPClassifier(5), X[:, :5], iris[1])
    assert report["constant inputs"].status == "pass"


def test_targets_of_other_scales(numbers):
    X, y = numbers
    report = sanity_check(MLPRegressor(), X, 1000 * y)
    assert report["targets"].status == "pass"
    report = sanity_check(MLPRegressor(standardize_target=False), X, 1000 * y)
    assert report["targets"].status == "fail"
    assert "standardize_target=True" in report["targets"].change
    report = sanity_check(MLPRegressor(), X, 0 * y[:, 0])
    assert report["targets"].status == "fail"


def test_large_weights_start_above_chance(iris):
    report = sanity_check(MLPClassifier(50, init=Normal(std=5.0)), *iris)
    assert report["loss at start"].status == "fail"


def test_a_penalty_that_outweighs_the_data(iris):
    report = sanity_check(MLPClassifier(50, alpha=1.0), *iris)
    assert report["penalty"].status == "warn"


class NoValue(L2):
    """A penalty that forgets its value."""

    def value(self, W, alpha, xp=np):
        return 0 * super().value(W, alpha, xp)


def test_a_penalty_without_value(iris):
    report = sanity_check(MLPClassifier(penalty=NoValue(), alpha=0.5), *iris)
    assert report["penalty"].status == "fail"
    assert report["gradient"].status == "fail"


class HalfGradient(LogLoss):
    """A loss whose gradient is half of what it should be."""

    def per_sample(self, raw, y, xp):
        losses, gradient = super().per_sample(raw, y, xp)
        return losses, 0.5 * gradient


class OneWrong(SquaredError):
    """A loss whose gradient is wrong where the prediction is too high."""

    def per_sample(self, raw, y, xp):
        losses, gradient = super().per_sample(raw, y, xp)
        return losses, xp.abs(gradient)


class WrongSlope(Activation):
    """A square whose derivative lacks its factor 2."""

    keeps_input = True

    def forward(self, Z, xp):
        return Z * Z

    def backward(self, delta, A, Z, xp):
        return delta * Z


def test_wrong_gradients_are_caught(iris, numbers):
    report = sanity_check(MLPClassifier(loss=HalfGradient()), *iris)
    assert report["gradient"].status == "fail"
    assert "error up to 0.5" in report["gradient"].found
    report = sanity_check(MLPRegressor(loss=OneWrong()), *numbers)
    assert report["gradient"].status == "fail"
    report = sanity_check(MLPClassifier(activation=WrongSlope()), *iris)
    assert report["gradient"].status == "fail"
    assert "1" in report["gradient"].found[-10:]


@pytest.mark.parametrize("parameters", [{"init": "zeros"}, {"batch_norm": True}])
def test_gradients_are_checked_where_they_exist(iris, parameters):
    report = sanity_check(MLPClassifier(20, **parameters), *iris)
    assert report["gradient"].status == "pass"


def test_too_high_a_learning_rate(iris):
    report = sanity_check(MLPClassifier(50, learning_rate_init=0.5), *iris)
    assert report["learning rate"].status in ("warn", "fail")
    assert report["learning rate"].change.startswith("Lower learning_rate_init=0.5")
    model = MLPRegressor(solver="sgd", learning_rate_init=1e4)
    report = sanity_check(model, iris[0], iris[0][:, 0])
    assert report["learning rate"].found == "the loss became infinite or NaN"
    assert report["overfit"].status == "fail"


def test_too_low_a_learning_rate(iris):
    report = sanity_check(MLPClassifier(50, learning_rate_init=1.5e-6), *iris)
    assert report["learning rate"].status == "warn"
    assert report["learning rate"].change.startswith("Raise learning_rate_init=1.5e-06")
    report = sanity_check(MLPClassifier(50, learning_rate_init=1e-7), *iris)
    assert report["learning rate"].status == "fail"
    assert report["learning rate"].change.startswith("Raise learning_rate_init=1e-07")
    assert report["overfit"].status == "fail"


def test_a_start_of_the_schedule_is_what_is_named(iris):
    model = MLPClassifier(50, learning_rate=Constant(start=0.5))
    report = sanity_check(model, *iris)
    assert report["learning rate"].change.startswith("Lower learning_rate__start=0.5")


def test_a_long_warmup_does_not_look_like_a_low_rate(iris):
    steps = [
        sanity_check(MLPClassifier(20, learning_rate=schedule), *iris)["learning rate"]
        for schedule in ("constant", Constant(warmup=10**6))
    ]
    assert [step.status for step in steps] == ["pass", "pass"]


def raw_regressor(**parameters):
    """Return a regressor that learns the targets in their own unit."""
    model = MLPRegressor(random_state=0, **parameters)
    if "standardize_target" in model.get_params():
        model.set_params(standardize_target=False)
    return model


@pytest.mark.parametrize("offset", [3e5, -2e4, 1e8])
@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber"])
def test_a_loss_that_does_not_move(iris, offset, loss):
    """The steps are of the right size, and go nowhere."""
    y = offset + iris[0][:, 0]
    report = sanity_check(raw_regressor(loss=loss), iris[0], y)
    assert report["learning rate"].status == "fail"
    assert "the loss hardly changes. Scale targets" in report["learning rate"].change
    scaled = TransformedTargetRegressor(
        raw_regressor(loss=loss), transformer=StandardScaler()
    )
    report = sanity_check(scaled, iris[0], y)
    assert report["learning rate"].status == "pass"


@pytest.mark.parametrize("rate", [1e-12, 1e-9])
def test_steps_too_small_to_move_the_loss(iris, rate):
    model = MLPClassifier(20, solver="sgd", learning_rate_init=rate)
    report = sanity_check(model, *iris)
    assert report["learning rate"].status == "fail"
    assert report["learning rate"].change.startswith("Raise learning_rate_init")


def test_a_loss_that_rises(iris):
    model = MLPClassifier(50, solver="sgd", learning_rate_init=30.0, loss="hinge")
    report = sanity_check(model, *iris)
    assert report["learning rate"].status == "fail"
    assert report["learning rate"].change.startswith("Lower learning_rate_init=30")


def test_dead_units(iris):
    """Large negative biases keep every unit off, so that nothing is learned."""
    report = sanity_check(MLPClassifier(50, bias_init=-50.0), *iris)
    assert report["dead units"].status == "fail"
    assert "100% dead at the start" in report["dead units"].found
    assert report["overfit"].status == "fail"


def test_units_that_die_of_the_learning_rate(digits):
    X, y = digits
    model = MLPClassifier(
        (50, 50), solver="sgd", learning_rate_init=5.0, loss="hinge", random_state=0
    )
    report = sanity_check(model, X, y)
    assert report["dead units"].status == "fail"
    assert not report["dead units"].found.startswith("100%")
    assert "100% dead after 50 steps" in report["dead units"].found


def test_saturated_units(iris):
    model = MLPClassifier(50, activation="tanh", init=Normal(std=20.0))
    report = sanity_check(model, *iris)
    assert report["dead units"].status == "warn"
    assert "saturated at the start" in report["dead units"].found


def test_weights_of_zero(iris):
    report = sanity_check(MLPClassifier(20, init="zeros"), *iris)
    assert report["penalty"].status == "fail"
    assert report["learning rate"].found == "no step changes the weights"
    assert report["dead units"].status == "fail"


def test_equal_samples_of_different_classes_cannot_be_overfit():
    X, y = np.zeros((60, 3)), np.arange(60) % 2
    X[:, 0] = np.arange(60) // 30
    report = sanity_check(MLPClassifier(20), X, y)
    assert report["overfit"].status == "fail"


def test_fewer_than_twenty_samples_of_rare_classes():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(15, 4)), np.r_[np.zeros(13, int), 1, 2]
    report = sanity_check(MLPClassifier(50, learning_rate_init=0.005), X, y)
    assert report["overfit"].status == "pass"
    assert report["overfit"].found.startswith("15 samples")


def test_equal_targets_tell_nothing_of_overfitting(numbers):
    y = np.r_[np.zeros(149), 1]
    report = sanity_check(MLPRegressor(loss="poisson"), numbers[0], y)
    assert report["overfit"].status == "skip"


@pytest.mark.parametrize("batch_size", [1, 7, "auto"])
def test_one_sample_more_than_batches_hold(batch_size):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(201, 4))
    model = MLPClassifier(10, "tanh", batch_size=batch_size, random_state=0)
    report = sanity_check(model, X, X[:, 0] > 0)
    assert "in 50 steps" in report["learning rate"].found


def test_weights_of_rare_classes_leave_chance_where_it_is():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(5000, 3)), np.arange(5000) % 400 == 0
    report = sanity_check(MLPClassifier(5, class_weight="balanced"), X, y)
    assert report["loss at chance"].status == "pass"


def test_other_estimators_raise(iris):
    with pytest.raises(TypeError, match="sanity_check takes an MLPClassifier"):
        sanity_check(clone(Standardizer()), *iris)


# The report

FINDINGS = [
    Finding("inputs", "pass", "means 0, deviations 1"),
    Finding("gradient", "fail", "relative error up to 0.5, " * 4, "Look at " * 12),
]


def test_the_table_is_aligned():
    lines = str(SanityReport(FINDINGS)).splitlines()
    assert lines[0].split() == ["check", "status", "found", "change"]
    assert lines[1].replace("  ", "").strip("-") == ""
    starts = [lines[0].index(name) for name in ("status", "found", "change")]
    for line in lines[2:]:
        assert all(line[i - 2 : i].strip() == "" for i in starts)
    assert max(map(len, lines)) <= 120
    assert lines[2].split()[:2] == ["inputs", "pass"]


def test_findings_by_name():
    report = SanityReport(FINDINGS)
    assert report["gradient"] == FINDINGS[1]
    with pytest.raises(KeyError, match=r"no check 'loss'; it has \['inputs'"):
        report["loss"]


def test_as_a_frame():
    pytest.importorskip("pandas")
    frame = SanityReport(FINDINGS).to_frame()
    assert list(frame.columns) == ["check", "status", "found", "change"]
    assert list(frame["status"]) == ["pass", "fail"]
