"""What searches do with their fits: what is shared, told, interrupted, left alone."""

import pickle
import signal
import sys
import threading
import weakref
from time import perf_counter

import numpy as np
import pytest
import sklearn.model_selection as of_sklearn
from joblib import parallel_backend
from joblib.parallel import SequentialBackend, ThreadingBackend, get_active_backend
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.datasets import make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from threadpoolctl import ThreadpoolController, threadpool_limits

from sknn_notes import MLPClassifier, MLPRegressor, Standardizer
from sknn_notes.losses import Quantile
from sknn_notes.model_selection import GridSearchCV, RandomizedSearchCV

X, y = make_classification(90, 6, random_state=0)
SMALL = {"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0}
ALPHAS = [1e-4, 1e-2, 1.0]


class Recorder(TransformerMixin, BaseEstimator):
    """Records every fit: its rows, parameters and active backend of joblib."""

    fits: list = []

    def __init__(self, factor=1.0):
        self.factor = factor

    def fit(self, X, y=None):
        self.fits.append((X.shape, self.factor, type(get_active_backend()[0])))
        return self

    def transform(self, X):
        return X * self.factor


@pytest.fixture
def fits():
    Recorder.fits.clear()
    return Recorder.fits


def search(grid, *steps, n_jobs=1, cv=3, **options):
    """Return a search over pipelines that end with a small network."""
    model = make_pipeline(*(steps or [Recorder()]), MLPClassifier(**SMALL))
    return GridSearchCV(model, grid, n_jobs=n_jobs, cv=cv, **options)


def test_transformers_are_fitted_once_for_each_split_and_their_parameters(fits):
    grid = {"mlpclassifier__alpha": ALPHAS, "recorder__factor": [1.0, 2.0]}
    results = search(grid, n_jobs=2, refit=False).fit(X, y).cv_results_
    assert sorted(factor for _, factor, _ in fits) == [1.0] * 3 + [2.0] * 3
    assert {shape for shape, *_ in fits} == {(60, 6)}
    assert (results["mean_fit_time"] > 0).all()


def test_equal_parameters_of_different_types_are_not_mixed_up(fits):
    grid = {"recorder__factor": [1, 1.0, True, np.float64(1)]}
    search(grid, refit=False, cv=2).fit(X, y)
    assert [type(factor) for _, factor, _ in fits[::2]] == [
        int,
        float,
        bool,
        np.float64,
    ]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_the_last_fit_sees_the_backend_of_the_caller(fits, n_jobs):
    with parallel_backend("threading", n_jobs=2):
        search({}, n_jobs=n_jobs).fit(X, y)
        assert isinstance(get_active_backend()[0], ThreadingBackend)
    *inside, (_, _, last) = fits
    assert {backend for *_, backend in inside} == {
        ThreadingBackend if n_jobs == 1 else SequentialBackend
    }
    assert last is ThreadingBackend


def test_n_jobs_of_the_context_counts():
    threads = set()

    def score(estimator, X, y):
        threads.add(threading.get_ident())
        barrier.wait(timeout=20)
        return 0.0

    barrier = threading.Barrier(2)
    with parallel_backend("loky", n_jobs=2):
        search({}, n_jobs=None, cv=4, scoring=score, refit=False).fit(X, y)
    assert len(threads) == 2
    assert threading.get_ident() not in threads


def test_jobs_share_the_threads_of_blas():
    counts = set()

    def score(estimator, X, y):
        counts.update(each.get_num_threads() for each in blas)
        return 0.0

    blas = ThreadpoolController().select(user_api="blas").lib_controllers
    with threadpool_limits(2, user_api="blas"):
        if {each.get_num_threads() for each in blas} != {2}:
            pytest.skip("BLAS is built for one thread")
        search({}, n_jobs=2, scoring=score, refit=False).fit(X, y)
    assert counts == {1}


class Elsewhere(SequentialBackend):
    """A backend that is not joblib's own, as those of clusters."""

    n_jobs_asked = 0

    def effective_n_jobs(self, n_jobs):
        type(self).n_jobs_asked += 1
        return 1


def test_other_backends_run_the_search_themselves(fits):
    grid = {"mlpclassifier__alpha": ALPHAS}
    with parallel_backend(Elsewhere()):
        search(grid, refit=False).fit(X, y)
    assert Elsewhere.n_jobs_asked
    assert len(fits) == 9
    assert {backend for *_, backend in fits} == {Elsewhere}


def test_networks_are_not_kept():
    alive = weakref.WeakSet()
    most = 0

    def score(estimator, X, y):
        nonlocal most
        alive.add(estimator)
        most = max(most, len(alive))
        return 0.0

    network = MLPClassifier(**SMALL)
    grid = {"alpha": list(np.geomspace(1e-5, 1, 10))}
    GridSearchCV(network, grid, n_jobs=1, refit=False, scoring=score).fit(X, y)
    assert most <= 3


@pytest.mark.filterwarnings("always::sklearn.exceptions.ConvergenceWarning")
def test_warnings_are_told_once():
    grid = {"mlpclassifier__max_iter": [2, 3, 4], "mlpclassifier__batch_size": [50]}
    with pytest.warns(ConvergenceWarning) as told:
        search(grid, n_jobs=2, cv=4, refit=False).fit(X, y)
    texts = [str(w.message) for w in told if "Maximum iterations" in str(w.message)]
    assert len(texts) == 1
    assert texts[0].endswith("(In 12 of 12 fits.)")
    assert {w.category for w in told} == {ConvergenceWarning}
    assert {w.filename for w in told} == {__file__}


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_an_interruption_ends_the_search(n_jobs):
    scored = []

    def score(estimator, X, y):
        scored.append(estimator.max_iter)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        return 0.0

    endless = MLPClassifier((4,), n_iter_no_change=np.inf, random_state=0)
    grid = {"max_iter": [1] + [10**6] * 4}
    searching = GridSearchCV(
        endless, grid, cv=[(range(60), range(60, 90))], n_jobs=n_jobs, scoring=score
    )
    begin = perf_counter()
    with pytest.raises(KeyboardInterrupt):
        searching.fit(X, y)
    assert perf_counter() - begin < 20
    assert scored == [1]
    assert not hasattr(searching, "cv_results_")


def test_an_error_ends_the_search():
    endless = MLPClassifier((4,), n_iter_no_change=np.inf, random_state=0)
    grid = [{"alpha": [-1.0]}, {"max_iter": [10**6]}]
    with pytest.raises(ValueError, match="'alpha' parameter"):
        GridSearchCV(endless, grid, cv=2, n_jobs=2, error_score="raise").fit(X, y)


@pytest.mark.needs("scikit-learn>=1.9", "it has callbacks")
@pytest.mark.parametrize("of", ["search", "network"])
def test_callbacks_follow_each_fit(of):
    class Counter:
        begun = 0

        def setup(self, estimator, context):
            pass

        def teardown(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context):
            Counter.begun += context.task_name == counted

        def on_fit_task_end(self, estimator, context):
            pass

    counted = {"search": "candidate-split-evaluation", "network": "epoch"}[of]
    network = MLPClassifier(**SMALL)
    searching = GridSearchCV(network, {"alpha": ALPHAS}, cv=2, refit=False)
    (searching if of == "search" else network).set_callbacks(Counter())
    searching.fit(X, y)
    assert Counter.begun == {"search": 6, "network": 18}[of]


@pytest.mark.parametrize("stack_size", [0, "all", 1.5, None])
def test_stack_size_is_checked(stack_size):
    with pytest.raises(ValueError, match="'stack_size' parameter of GridSearchCV"):
        search({}, stack_size=stack_size).fit(X, y)


def test_stack_size_does_not_change_results():
    grid = {"mlpclassifier__alpha": ALPHAS}
    one, other = (
        search(grid, Standardizer(), stack_size=size).fit(X, y).cv_results_
        for size in (1, "auto")
    )
    np.testing.assert_array_equal(one["mean_test_score"], other["mean_test_score"])


@pytest.mark.parametrize(
    ("name", "value"),
    [("cv", "five"), ("n_jobs", "two"), ("error_score", "ignore"), ("verbose", -1)],
)
def test_parameters_are_checked(name, value):
    with pytest.raises(ValueError, match=f"'?{name}'?"):
        search({}, **{name: value}).fit(X, y)


def test_searches_are_those_of_scikit_learn():
    grid = GridSearchCV(LogisticRegression(), {"C": [1.0]}, stack_size=2)
    assert isinstance(grid, of_sklearn.GridSearchCV)
    assert clone(grid).stack_size == 2
    theirs = of_sklearn.GridSearchCV(LogisticRegression(), {"C": [1.0]})
    assert grid.get_params().keys() == theirs.get_params().keys() | {"stack_size"}
    drawn = RandomizedSearchCV(LogisticRegression(), {"C": [1.0]})
    assert isinstance(drawn, of_sklearn.RandomizedSearchCV)


def test_a_fitted_search_is_saved():
    fitted = search({"mlpclassifier__alpha": ALPHAS}, Standardizer()).fit(X, y)
    loaded = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(loaded.predict(X), fitted.predict(X))


def test_a_search_cross_validated():
    scores = of_sklearn.cross_val_score(
        search({"mlpclassifier__alpha": ALPHAS}, Standardizer()), X, y, cv=2
    )
    theirs = of_sklearn.GridSearchCV(
        make_pipeline(Standardizer(), MLPClassifier(**SMALL)),
        {"mlpclassifier__alpha": ALPHAS},
        cv=3,
    )
    np.testing.assert_array_equal(
        scores, of_sklearn.cross_val_score(theirs, X, y, cv=2)
    )


def test_candidates_share_nothing_that_differs_in_a_late_digit_or_element():
    quantiles = [np.linspace(0.01, 0.99, 50) for _ in range(3)]
    quantiles[1][45] += 1e-3
    quantiles[2][0] += 1e-12
    trained = []

    def score(model, X, y):
        trained.append(model._targets.loss.quantile)
        return 0.0

    grid = {"loss": [Quantile(quantile=quantile) for quantile in quantiles]}
    model = MLPRegressor(**SMALL)
    GridSearchCV(model, grid, cv=2, refit=False, scoring=score).fit(X, y)
    assert sorted(map(tuple, trained)) == sorted(map(tuple, 2 * quantiles))


def test_a_fit_of_ones_own_is_called():
    class Own(MLPClassifier):
        def fit(self, X, y):
            self.own_rows_ = len(X)
            return super().fit(X, y)

    def score(model, X, y):
        return model.own_rows_

    model = Own(**SMALL)
    searching = GridSearchCV(model, {"alpha": ALPHAS}, cv=2, scoring=score)
    assert set(searching.fit(X, y).cv_results_["mean_test_score"]) == {45.0}


def test_parameters_that_fit_does_not_have_raise_its_error():
    model = MLPClassifier(**SMALL)
    searching = GridSearchCV(model, {"alpha": ALPHAS}, cv=2, refit=False)
    with pytest.raises(ValueError, match="unexpected keyword argument 'weights'"):
        searching.fit(X, y, weights=1)


def test_batch_norm_needs_rows_whatever_came_before():
    grid = {"hidden_layer_sizes": [(), (4,)]}
    model = MLPClassifier(batch_norm=True, batch_size=1, max_iter=2, random_state=0)
    with pytest.raises(ValueError, match="batches of at least 2 samples"):
        GridSearchCV(model, grid, cv=2, error_score="raise").fit(X, y)
