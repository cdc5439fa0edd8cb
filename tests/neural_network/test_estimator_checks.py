"""Scikit-learn's checks of the estimator contract, on defaults and real choices."""

import pytest
import sklearn.neural_network
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

import sknn_notes
from sknn_notes import MLPClassifier, MLPRegressor
from sknn_notes.losses import Hinge

NAMES = ["MLPClassifier", "MLPRegressor"]


def checked(estimator):
    """Return {status: names of checks} for all checks on the estimator."""
    outcome = {"passed": set(), "failed": set(), "skipped": set()}
    for result in check_estimator(estimator, on_fail=None, on_skip=None):
        status, name = result["status"], result["check_name"]
        # Those of array libraries are skipped where a library is missing.
        if status == "failed" or not name.startswith("check_array_api"):
            outcome[status].add(name)
    return outcome


@pytest.fixture(scope="module", params=NAMES)
def outcomes(request):
    """Outcomes of the checks on our class and on scikit-learn's of the same name."""
    ours = checked(getattr(sknn_notes, request.param)())
    # What runs does not depend on how long it trains.
    theirs = checked(getattr(sklearn.neural_network, request.param)(max_iter=5))
    return ours, theirs


def test_defaults_fail_no_check(outcomes):
    ours, _ = outcomes
    assert ours["failed"] == set()


def test_no_check_is_skipped_that_runs_for_scikit_learns_own(outcomes):
    ours, theirs = outcomes
    assert theirs["passed"] | theirs["failed"] <= ours["passed"]
    assert ours["skipped"] <= theirs["skipped"]


# Real configurations, each with the checks that can't hold for it and why. A check that
# is named here and passes after all is a failure: its entry is stale.

DRAWS = "repeated rows change the number of rows, and with it the random draws"
BATCHES = "repeated rows fall into other batches than weighted rows"
ROUNDING = "the check compares to 1e-7, which is the rounding of float32"
NOTHING_HELD_OUT = "partial_fit has no data to hold out for early stopping"
NO_BALANCE = "partial_fit can't balance classes that it sees one batch at a time"
TINY_SPLIT = "a tenth of the few rows of the check is no validation set"

WEIGHTS = [
    "check_sample_weight_equivalence_on_dense_data",
    "check_sample_weight_equivalence_on_sparse_data",
]
PARTIAL_FIT = [
    "check_estimators_partial_fit_n_features",
    "check_fit_score_takes_y",
    "check_n_features_in_after_fitting",
]
EARLY_STOPPING = {
    **dict.fromkeys(WEIGHTS, DRAWS),
    **dict.fromkeys(PARTIAL_FIT, NOTHING_HELD_OUT),
    "check_estimators_nan_inf": TINY_SPLIT,
    "check_fit2d_1feature": TINY_SPLIT,
}
PER_LAYER = {
    "hidden_layer_sizes": (50, 20),
    "activation": ["tanh", "relu"],
    "alpha": [1e-4, 0.0, 1e-3],
    "dropout": [0.1, 0.0],
}


def fast(estimator_class, **params):
    return estimator_class(**{"learning_rate_init": 0.02, "max_iter": 30} | params)


CONFIGURATIONS = [
    (
        fast(MLPClassifier, dropout=0.2, input_dropout=0.1),
        dict.fromkeys(WEIGHTS, DRAWS),
    ),
    (fast(MLPClassifier, loss=Hinge(margin=0.5)), {}),
    # A few iterations, before probabilities round to 0 or 1.
    (MLPClassifier(solver="lbfgs", max_iter=15), {}),
    (
        fast(MLPClassifier, early_stopping=True),
        EARLY_STOPPING,
    ),
    (fast(MLPClassifier, batch_size=16), dict.fromkeys(WEIGHTS, BATCHES)),
    (
        MLPClassifier(hidden_layer_sizes=(), solver="sgd", learning_rate_init=0.05),
        {},
    ),
    (
        fast(MLPClassifier, class_weight="balanced"),
        dict.fromkeys(PARTIAL_FIT, NO_BALANCE),
    ),
    (fast(MLPClassifier, dtype="float32"), dict.fromkeys(WEIGHTS, ROUNDING)),
    (fast(MLPClassifier, **PER_LAYER), dict.fromkeys(WEIGHTS, DRAWS)),
    (fast(MLPRegressor, dropout=0.2, input_dropout=0.1), dict.fromkeys(WEIGHTS, DRAWS)),
    # Few iterations: over many, rounding takes L-BFGS to another of several minima.
    (MLPRegressor(solver="lbfgs", hidden_layer_sizes=20, max_iter=20), {}),
    (
        fast(MLPRegressor, early_stopping=True),
        {**EARLY_STOPPING, "check_regressors_no_decision_function": TINY_SPLIT},
    ),
    (fast(MLPRegressor, batch_size=16), dict.fromkeys(WEIGHTS, BATCHES)),
    (
        MLPRegressor(hidden_layer_sizes=(), solver="sgd", learning_rate_init=0.05),
        {},
    ),
    (
        fast(MLPRegressor, dtype="float32", batch_size=7),
        dict.fromkeys(WEIGHTS, BATCHES),
    ),
    (fast(MLPRegressor, **PER_LAYER), dict.fromkeys(WEIGHTS, DRAWS)),
]


# Every third one runs with each change, the others nightly.
OFTEN = [estimator for estimator, _ in CONFIGURATIONS[::3]]
NIGHTLY = [estimator for estimator, _ in CONFIGURATIONS if estimator not in OFTEN]


def expected_failures(estimator):
    return next(reasons for known, reasons in CONFIGURATIONS if known is estimator)


# The data of some checks has fewer rows than a batch.
@pytest.mark.one_in(3)
@pytest.mark.filterwarnings("ignore:Got batch_size")
@parametrize_with_checks(OFTEN, expected_failed_checks=expected_failures)
def test_real_configurations(estimator, check):
    run(estimator, check)


@pytest.mark.nightly
@pytest.mark.filterwarnings("ignore:Got batch_size")
@parametrize_with_checks(NIGHTLY, expected_failed_checks=expected_failures)
def test_more_configurations(estimator, check):
    run(estimator, check)


def run(estimator, check):
    name = check.func.__name__
    # Two checks pass or fail by chance, so that no expectation holds.
    if estimator.dtype == "float32" and name == "check_methods_subset_invariance":
        pytest.skip(ROUNDING)
    if estimator.early_stopping and name == "check_class_weight_classifiers":
        pytest.skip(TINY_SPLIT)
    check(estimator)


def counterpart(estimator):
    """Return scikit-learn's own estimator of the same parameters, None without one."""
    known = getattr(sklearn.neural_network, type(estimator).__name__)().get_params()
    default = type(estimator)().get_params()
    changed = {
        name: value
        for name, value in estimator.get_params(deep=False).items()
        if value != default[name]
    }
    if not changed.keys() <= known.keys():
        return None
    return getattr(sklearn.neural_network, type(estimator).__name__)(**changed)


@pytest.mark.needs("scikit-learn>=1.7", "its MLPs take sample weights")
@pytest.mark.filterwarnings("ignore:Got `batch_size`")
@pytest.mark.parametrize(
    ("theirs", "check_name"),
    [
        pytest.param(counterpart(estimator), name, id=f"{estimator}-{name}")
        for estimator, reasons in CONFIGURATIONS
        for name in reasons
        if counterpart(estimator) is not None
    ],
)
def test_scikit_learns_own_fails_the_same_checks(theirs, check_name):
    check = getattr(estimator_checks, check_name)
    with pytest.raises((AssertionError, ValueError)):
        check(type(theirs).__name__, theirs)
