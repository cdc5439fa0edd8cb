"""Searches whose networks train as stacks on a device.

Tensors of the CPU stand for those of a GPU.
"""

import warnings

import numpy as np
import pytest
import sklearn.model_selection
from sklearn.datasets import load_digits, make_regression
from sklearn.exceptions import FitFailedWarning
from sklearn.pipeline import make_pipeline

from sknn_notes import MLPClassifier, MLPRegressor, Standardizer
from sknn_notes._engine.stack import Stack
from sknn_notes.model_selection import GridSearchCV, RandomizedSearchCV
from sknn_notes.neural_network import _devices

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.needs("scikit-learn>=1.9", "it knows PyTorch's arrays")


@pytest.fixture
def on_device(monkeypatch):
    """Return a function that fits a search on the device."""

    def fit(search, X, y, **params):
        with monkeypatch.context() as patch:
            patch.setattr(_devices, "is_host", lambda spec: False)
            return search.fit(X, y, **params)

    return fit


@pytest.fixture(autouse=True)
def one_thread():
    """Let small products run without waiting for threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def stacks(monkeypatch):
    """Return the sizes of the stacks, in the order in which they are made."""
    sizes, make = [], Stack.__init__

    def counting(self, members, *args, **kwargs):
        sizes.append(len(members))
        make(self, members, *args, **kwargs)

    monkeypatch.setattr(Stack, "__init__", counting)
    return sizes


def digits(n=300):
    X, y = load_digits(return_X_y=True)
    return X[:n] / 16, y[:n]


def network(**params):
    return MLPClassifier((20,), random_state=0, device="cpu", **params)


GRID = {"alpha": [0, 1e-3], "dropout": [0, 0.3]}


@pytest.mark.parametrize("max_iter", [1, 2])
@pytest.mark.parametrize("n_samples", [300, 305])
def test_scores_are_scikit_learns(max_iter, n_samples, on_device, stacks):
    X, y = digits(n_samples)
    options = {"cv": 3, "scoring": ["accuracy", "neg_log_loss"], "refit": False}
    theirs = sklearn.model_selection.GridSearchCV(
        network(max_iter=max_iter), GRID, **options
    )
    theirs.fit(X, y)
    ours = on_device(GridSearchCV(network(max_iter=max_iter), GRID, **options), X, y)
    for name in "mean_test_accuracy", "mean_test_neg_log_loss":
        expected = theirs.cv_results_[name]
        np.testing.assert_allclose(ours.cv_results_[name], expected, rtol=1e-9)
    assert sum(stacks) == 12
    assert len(stacks) == 1


def test_whole_fits_differ_by_less_than_seeds(on_device):
    # In float32 rounding grows over the epochs. What it may change is judged by what
    # another seed changes.
    X, y = digits(600)
    X = X.astype(np.float32)
    grid = {"random_state": [0, 1, 2, 3], "dropout": [0.2], "max_iter": [60]}
    options = {"cv": 3, "refit": False}
    theirs = sklearn.model_selection.GridSearchCV(network(), grid, **options).fit(X, y)
    ours = on_device(GridSearchCV(network(), grid, **options), X, y)
    scores = [each.cv_results_["mean_test_score"] for each in (theirs, ours)]
    spread = np.std(scores[0], ddof=1)
    assert np.mean(np.abs(scores[0] - scores[1])) <= spread


def test_models_end_by_themselves(on_device):
    X, y = digits()
    grid = {"learning_rate_init": [1e-3, 1e-2, 0.1], "n_iter_no_change": [1, 3]}
    estimator = network(max_iter=30, early_stopping=True, tol=1e-2)
    options = {"cv": 2, "refit": False}
    theirs = sklearn.model_selection.GridSearchCV(estimator, grid, **options).fit(X, y)
    ours = on_device(GridSearchCV(estimator, grid, **options), X, y)
    for name in "split0_test_score", "split1_test_score":
        np.testing.assert_allclose(ours.cv_results_[name], theirs.cv_results_[name])


def test_structures_make_stacks_and_their_size_is_bounded(on_device, stacks):
    X, y = digits()
    grid = {"hidden_layer_sizes": [(10,), (12,)], "alpha": [1e-4, 1e-3, 1e-2]}
    search = GridSearchCV(network(max_iter=1), grid, cv=2, refit=False)
    on_device(search, X, y)
    assert sorted(stacks) == [6, 6]
    stacks.clear()
    on_device(search.set_params(stack_size=4), X, y)
    assert sorted(stacks) == [2, 2, 4, 4]


def test_seconds_are_shares_of_the_stack(on_device):
    X, y = digits()
    search = GridSearchCV(network(max_iter=3), {"alpha": [1e-4] * 4}, cv=2, refit=False)
    seconds = on_device(search, X, y).cv_results_["mean_fit_time"]
    assert np.all(seconds > 0)
    assert np.max(seconds) < 10 * np.min(seconds)


@pytest.mark.filterwarnings("ignore:One or more of the test scores")
def test_a_failing_candidate_leaves_the_others(on_device):
    X, y = digits()
    grid = {"learning_rate_init": [1e-3, -1.0], "alpha": [1e-4, 1e-3]}
    search = GridSearchCV(network(max_iter=2), grid, cv=2, refit=False)
    with pytest.warns(FitFailedWarning, match="4 fits failed"):
        on_device(search, X, y)
    failed = np.isnan(search.cv_results_["mean_test_score"])
    rates = [params["learning_rate_init"] for params in search.cv_results_["params"]]
    assert failed.tolist() == [rate < 0 for rate in rates]
    with pytest.raises(ValueError, match="learning_rate_init"):
        on_device(search.set_params(error_score="raise"), X, y)


@pytest.mark.filterwarnings("ignore:One or more of the test scores")
def test_a_model_that_diverges_leaves_the_others(on_device):
    X, y = digits()
    grid = {"learning_rate_init": [1e-3, 1e200]}
    estimator = network(max_iter=3, solver="sgd")
    search = GridSearchCV(estimator, grid, cv=2, refit=False)
    with pytest.warns(FitFailedWarning, match="2 fits failed"):
        on_device(search, X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).tolist() == [True, False]


def test_a_pipeline_and_what_is_not_stacked(on_device, stacks):
    X, Y = make_regression(200, 6, n_targets=2, random_state=0)
    pipeline = make_pipeline(
        Standardizer(),
        MLPRegressor(
            hidden_layer_sizes=(10,), max_iter=3, random_state=0, device="cpu"
        ),
    )
    grid = {
        "standardizer__with_std": [True, False],
        "mlpregressor__solver": ["adam", "lbfgs"],
        "mlpregressor__alpha": [1e-4, 1e-2],
    }
    options = {"random_state": 0, "n_iter": 8, "cv": 2}
    theirs = sklearn.model_selection.RandomizedSearchCV(pipeline, grid, **options)
    theirs.fit(X, Y)
    ours = on_device(RandomizedSearchCV(pipeline, grid, **options), X, Y)
    expected = theirs.cv_results_["mean_test_score"]
    np.testing.assert_allclose(ours.cv_results_["mean_test_score"], expected, rtol=1e-6)
    # Both settings of the first step, in one stack; and the best one alone.
    assert stacks[0] == 8
    assert ours.best_params_ == theirs.best_params_


def test_an_interruption_ends_the_stacks(on_device, monkeypatch):
    X, y = digits()
    steps = Stack.run_epoch

    def interrupted(self, plans):
        steps(self, plans)
        raise KeyboardInterrupt

    monkeypatch.setattr(Stack, "run_epoch", interrupted)
    search = GridSearchCV(network(max_iter=5), {"alpha": [1e-4, 1e-3]}, cv=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(KeyboardInterrupt):
            on_device(search, X, y)
    assert not hasattr(search, "cv_results_")
