"""The number of BLAS threads while networks train and predict."""

import os
import sys
from threading import Barrier, Thread

import numpy as np
import pytest
from sklearn.datasets import make_classification
from threadpoolctl import ThreadpoolController, threadpool_limits

from sknn_notes import MLPClassifier
from sknn_notes._threads import (
    _BlasThreads,
    quick_switches,
    run_on_threads,
    threads_for,
)

BLAS = ThreadpoolController().select(user_api="blas")
SMALL = 50, (64, 182, 182, 10)
LARGE = 2000, (784, 1024, 10)


def counts():
    return [library.get_num_threads() for library in BLAS.lib_controllers]


@pytest.fixture
def two_threads():
    """The threads that a caller has set."""
    with threadpool_limits(2, user_api="blas"):
        if set(counts()) != {2}:
            pytest.skip("BLAS is built for one thread")
        yield


def test_small_products_get_one_thread(two_threads):
    with threads_for(*SMALL):
        assert set(counts()) == {1}
    assert set(counts()) == {2}


def test_large_products_get_the_threads_that_are_set(two_threads):
    with threads_for(*LARGE):
        assert set(counts()) == {2}


def test_limits_of_the_caller_hold():
    with threadpool_limits(1, user_api="blas"), threads_for(*LARGE):
        assert set(counts()) == {1}


def test_the_threads_are_restored_after_an_error(two_threads):
    with pytest.raises(KeyError), threads_for(*SMALL):
        raise KeyError
    assert set(counts()) == {2}


def test_the_smallest_request_counts_and_the_last_one_out_restores(two_threads):
    begun, may_end = Barrier(2), Barrier(2)

    def small():
        with threads_for(*SMALL):
            begun.wait()
            may_end.wait()

    thread = Thread(target=small)
    with threads_for(*LARGE):
        thread.start()
        begun.wait()
        assert set(counts()) == {1}
        may_end.wait()
        thread.join()
        assert set(counts()) == {2}
    assert set(counts()) == {2}


def test_a_fit_and_a_prediction_choose_their_threads(two_threads):
    seen = []

    def scorer(estimator, X, y):
        seen.append(set(counts()))
        return estimator.score(X, y)

    X, y = make_classification(n_samples=200, n_features=60, random_state=0)
    model = MLPClassifier(
        (100,), max_iter=3, early_stopping=True, scoring=scorer, random_state=0
    )
    expected = model.fit(X, y).predict_proba(X)
    assert seen == [{1}] * 3
    assert set(counts()) == {2}
    with threadpool_limits(1, user_api="blas"):
        np.testing.assert_allclose(model.predict_proba(X), expected)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork")
def test_a_forked_process_has_the_threads_that_were_set(two_threads):
    with threads_for(*SMALL):
        child = os.fork()
        if child == 0:
            os._exit(0 if set(counts()) == {2} else 1)
        _, status = os.waitpid(child, 0)
        assert set(counts()) == {1}
    assert os.waitstatus_to_exitcode(status) == 0


def test_a_process_may_be_forked_between_the_search_for_libraries_and_a_limit():
    blas = _BlasThreads()
    with blas.limit(1):
        pass
    # As ``count`` finds one that was loaded since.
    blas._shared.append(object())
    blas.forget()


def test_threads_switch_quickly_while_several_run():
    before = sys.getswitchinterval()
    seen = []
    run_on_threads(lambda i: seen.append(sys.getswitchinterval()), 4, 2)
    assert max(seen) < before
    assert sys.getswitchinterval() == before
    with quick_switches(), quick_switches():
        pass
    assert sys.getswitchinterval() == before
