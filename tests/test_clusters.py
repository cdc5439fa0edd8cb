"""Searches, incremental training and prediction on a Dask cluster."""

import os
import re
import signal
import sys
import threading
from contextlib import chdir
from pathlib import Path

import cloudpickle
import numpy as np
import pytest

pytest.importorskip("distributed", reason="the extra dask brings it")

import dask.array as da
from distributed import get_worker
from joblib import Parallel, delayed, parallel_config
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_info, threadpool_limits

from sknn_notes import MLPClassifier, Standardizer, _kernels
from sknn_notes._compile import cast, helper
from sknn_notes.activations import Activation
from sknn_notes.clusters import RecoverableClient
from sknn_notes.losses import Hinge

PAGE = Path(__file__).resolve().parents[1] / "docs" / "user_guide" / "clusters.rst"

# The workers may find another package named tests, which some packages install.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


def code_blocks():
    """Return the Python blocks of the page on clusters."""
    text = PAGE.read_text(encoding="utf-8")
    found = re.findall(r"^\.\. code-block:: python\n\n((?:   .*\n|\n)+)", text, re.M)
    return [re.sub(r"^   ", "", block, flags=re.M) for block in found]


# Functions of a test module are sent to the workers by name, and those that a function
# returns by value.
def make_scorer():
    def scorer(model, X, y):
        blas = [each for each in threadpool_info() if each["user_api"] == "blas"]
        return {
            "score": -log_loss(y, model.predict_proba(X)),
            "pid": os.getpid(),
            "n_threads": max(each["num_threads"] for each in blas),
        }

    return scorer


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """What the blocks of the page leave behind: two worker processes, and more."""
    namespace = {"__name__": "__main__"}
    # The page's own code starts the cluster, here with its dashboard on a free port.
    first, *rest = code_blocks()
    first = first.replace("LocalCluster(", "LocalCluster(dashboard_address=':0', ")
    exec(compile(first, PAGE.name, "exec"), namespace)
    try:
        with chdir(tmp_path_factory.mktemp("page")):
            for block in rest:
                exec(compile(block, PAGE.name, "exec"), namespace)
        yield namespace
    finally:
        namespace["client"].close()
        namespace["cluster"].close()


@pytest.fixture
def client(page):
    """The client of a cluster whose two workers are there."""
    page["client"].wait_for_workers(2, timeout=60)
    return page["client"]


@pytest.fixture(scope="module")
def data():
    """So many rows that joblib sends them, and the indices of folds, apart."""
    return make_classification(
        n_samples=1200, n_features=8, n_informative=5, n_classes=3, random_state=0
    )


def network(**params):
    options = {"hidden_layer_sizes": 8, "max_iter": 3, "dropout": 0.1}
    return MLPClassifier(**options | params, random_state=0)


def scores(search):
    """Return the scores of all folds, and who computed them, by name."""
    names = [name for name in search.cv_results_ if name.startswith("split")]
    return {
        of: np.array([search.cv_results_[n] for n in names if n.endswith(f"_{of}")])
        for of in ("score", "pid", "n_threads")
    }


def test_the_page_trains_and_predicts_as_locally(page):
    X, y, chunk = page["X"], page["y"], page["chunk"]
    with threadpool_limits(1):
        expected = clone(page["search"]).fit(X, y)
        np.testing.assert_array_equal(
            page["search"].cv_results_["mean_test_score"],
            expected.cv_results_["mean_test_score"],
        )
        np.testing.assert_array_equal(
            page["scores"]["test_score"],
            cross_validate(page["search"].estimator, X, y, cv=3)["test_score"],
        )
        np.testing.assert_array_equal(
            page["scores"]["test_score"], page["scores_of_rows"]["test_score"]
        )
        scaler, model = clone(page["scaler"]), clone(page["model"])
        starts = range(0, len(X), chunk)
        for i in starts:
            scaler.partial_fit(X[i : i + chunk])
        for i in starts:
            Z = scaler.transform(X[i : i + chunk])
            model.partial_fit(Z, y[i : i + chunk], classes=np.unique(y))
        np.testing.assert_array_equal(page["model"].coefs_[0], model.coefs_[0])
        by_block = [
            model.predict_proba(scaler.transform(X[i : i + chunk])) for i in starts
        ]
    # A worker may compute with another number of threads, hence in another order.
    np.testing.assert_allclose(page["proba"].compute(), np.concatenate(by_block))
    assert page["proba"].shape == (len(X), 3)
    assert page["proba"].numblocks == (len(starts), 1)


def test_a_search_has_the_scores_of_a_local_one(client, data):
    model = make_pipeline(Standardizer(), network())
    grid = {
        "mlpclassifier__alpha": [1e-4, 1e-2],
        "mlpclassifier__loss": ["log_loss"],
        "mlpclassifier__dropout": [0.0, 0.2],
    }
    search = GridSearchCV(model, grid, cv=3, scoring=make_scorer(), refit="score")
    with threadpool_limits(1):
        here = scores(clone(search).fit(*data))
    with parallel_config("dask"):
        there = scores(search.fit(*data))
    # The same machine and the same number of threads: bit for bit.
    np.testing.assert_array_equal(there["score"], here["score"])
    assert set(here["pid"].flat) == {os.getpid()}
    assert set(there["pid"].flat) == set(client.run(os.getpid).values())
    assert set(there["n_threads"].flat) == {1}


@pytest.mark.needs("scikit-learn>=1.9", "it has callbacks")
def test_parts_and_callbacks_reach_the_workers(client, data):
    class StopAfterTwo:
        def setup(self, estimator, context):
            self.n_epochs = 0

        def teardown(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context):
            pass

        def on_fit_task_end(self, estimator, context, **data):
            self.n_epochs += context.task_name == "epoch"
            return self.n_epochs == 2

    model = network(loss=Hinge(margin=0.5)).set_callbacks(StopAfterTwo())
    with parallel_config("dask"):
        there = cross_validate(model, *data, cv=2, return_estimator=True)
    here = cross_validate(model, *data, cv=2, return_estimator=True)
    for far, near in zip(there["estimator"], here["estimator"], strict=True):
        assert far.n_iter_ == near.n_iter_ == 2
        assert far.loss.margin == 0.5
        np.testing.assert_array_equal(far.coefs_[0], near.coefs_[0])


@pytest.mark.nightly
@pytest.mark.skipif(
    not _kernels.active().__name__.endswith("_numba"), reason="nothing is compiled"
)
def test_a_worker_compiles_loops_that_it_was_sent_once(client, data):
    @helper
    def bounded(z):
        return cast(1, z) + abs(z)

    class Softsign(Activation):
        def forward(self, Z, xp):
            return Z / (1 + xp.abs(Z))

        def backward(self, delta, A, Z, xp):
            delta *= (1 - xp.abs(A)) ** 2
            return delta

        @staticmethod
        def value(z, p):
            return z / bounded(z)

        @staticmethod
        def slope(a, z, p):
            return (cast(1, a) - abs(a)) ** 2

    def fit(model):
        from sknn_notes._compile import _numba

        executor = model.fit(*data).executor_
        return os.getpid(), executor, _numba.n_operations()

    model = network(activation=Softsign())
    with parallel_config("dask"):
        done = Parallel(batch_size=1)(delayed(fit)(clone(model)) for _ in range(6))
    assert {executor for _, executor, _ in done} == {"numba"}
    # Every worker compiles at its first fit, and no more after it.
    pids = {pid for pid, _, _ in done}
    assert len({(pid, n) for pid, _, n in done}) == len(pids)


def test_networks_of_an_ensemble_share_the_thread_of_their_task(client, data):
    def threads(n_jobs):
        seen = set()

        def scorer(model, X, y):
            seen.add(threading.get_ident())
            return 0.0

        network(n_networks=3, n_jobs=n_jobs, early_stopping=True, scoring=scorer).fit(
            *data
        )
        return len(seen), threading.get_ident() in seen

    with parallel_config("dask"):
        assert threads(None) == (1, True)
        assert threads(2) == (2, False)
        assert Parallel()(delayed(threads)(None) for _ in range(2)) == [(1, True)] * 2


def test_a_fit_computes_a_dask_array(data):
    X, y = data
    far = da.from_array(X, chunks=(400, 8)), da.from_array(y, chunks=400)
    np.testing.assert_array_equal(
        network().fit(*far).coefs_[0], network().fit(X, y).coefs_[0]
    )
    assert isinstance(network().fit(*far).predict(far[0]), np.ndarray)


# The last one: a worker takes seconds to start again.
def test_a_killed_worker_costs_time_and_not_the_result(client, data, tmp_path):
    killed = tmp_path / "killed"
    score = make_scorer()

    def deadly(model, X, y):
        # Both workers have begun; one of them dies, with the data that it holds.
        with killed.open("a") as file:
            file.write(f"{get_worker().address}\n")
        if len(killed.read_text().split()) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return score(model, X, y)

    grid = {"alpha": [1e-5, 1e-4, 1e-3, 1e-2]}
    search = GridSearchCV(network(), grid, cv=3, refit=False, error_score="raise")
    with threadpool_limits(1):
        here = scores(clone(search).set_params(scoring=score).fit(*data))
    with parallel_config("dask", client=RecoverableClient(client), scatter=[*data]):
        there = scores(search.set_params(scoring=deadly).fit(*data))
    np.testing.assert_array_equal(there["score"], here["score"])
    # What the dead worker had not delivered was computed again.
    assert len(killed.read_text().split()) > here["score"].size
