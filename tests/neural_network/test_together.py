"""Many networks fitted by one call."""

import threading
from concurrent.futures import ThreadPoolExecutor
from time import sleep

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.exceptions import ConvergenceWarning

from sknn_notes import MLPClassifier
from sknn_notes.neural_network import _devices, _search_fits
from sknn_notes.neural_network._search_fits import SharedResults, fit_in_stacks
from sknn_notes.neural_network._shared import Shared
from sknn_notes.neural_network._together import Job, fit_together

X, y = make_classification(60, 4, random_state=0)


def jobs(*alphas):
    network = MLPClassifier((3,), max_iter=2, random_state=0)
    return [Job(clone(network).set_params(alpha=a), X, y, {}) for a in alphas]


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_networks_are_those_of_their_own_fits(n_jobs):
    together = jobs(1e-4, 1e-2, 1.0)
    outcomes = fit_together(together, n_jobs=n_jobs)
    for job, outcome in zip(together, outcomes, strict=True):
        alone = clone(job.estimator).fit(X, y)
        np.testing.assert_array_equal(job.estimator.coefs_[0], alone.coefs_[0])
        assert outcome.seconds > 0
        assert outcome.error is None
        assert ConvergenceWarning in [told.category for told in outcome.told]


def test_a_failing_fit_leaves_the_others_alone():
    together = jobs(-1.0, 1e-4)
    failed, fitted = fit_together(together)
    assert "'alpha' parameter" in str(failed.error)
    assert fitted.error is None
    assert not hasattr(together[0].estimator, "coefs_")


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_the_end_of_every_fit_is_told(n_jobs):
    ended = {}
    outcomes = fit_together(
        jobs(1e-4, -1.0, 1.0), n_jobs=n_jobs, finish=ended.__setitem__
    )
    assert [ended[i] for i in range(3)] == outcomes


def test_parameters_of_fit_are_passed_on():
    network = MLPClassifier((3,), max_iter=2, early_stopping=True, random_state=0)
    job = Job(network, X, y, {"X_val": X[:9], "y_val": y[:9]})
    (outcome,) = fit_together([job])
    assert outcome.error is None
    assert len(network.validation_scores_) == 2


def test_no_jobs():
    assert fit_together([]) == []


@pytest.mark.parametrize("stack_size", [0, "all", 2.5])
def test_stack_size_is_checked(stack_size):
    with pytest.raises(ValueError, match=r"'stack_size' parameter of fit_together"):
        fit_together([], stack_size=stack_size)


def test_threads_wait_for_what_one_of_them_computes():
    shared, made = Shared(), []

    def make():
        made.append(1)
        sleep(0.05)
        if len(made) == 1:
            raise ValueError("the first one")
        return object()

    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(shared.once, "key", make) for _ in range(4)]
    assert len(made) == 2
    failed = [future for future in futures if future.exception()]
    assert len(failed) == 1
    assert len({id(each.result()) for each in futures if each not in failed}) == 1


@pytest.fixture
def chunks(monkeypatch):
    """Train on tensors of the CPU, as on a device, a few networks at a time."""
    pytest.importorskip("torch")
    monkeypatch.setattr(_devices, "is_host", lambda spec: False)
    monkeypatch.setattr(_search_fits, "_CHUNK", 4)


def jobs_on_a_device(n):
    made = jobs(*np.logspace(-5, 0, n))
    for job in made:
        job.estimator.set_params(device="cpu")
    return made


def test_more_networks_than_are_prepared_at_a_time(chunks):
    together = jobs_on_a_device(10)
    outcomes = fit_together(together, n_jobs=2)
    assert [outcome.error for outcome in outcomes] == [None] * 10
    for job in together:
        alone = clone(job.estimator).fit(X, y)
        np.testing.assert_allclose(job.estimator.coefs_[0], alone.coefs_[0], 1e-6)


def test_nothing_is_prepared_after_the_end(chunks, monkeypatch):
    """The next networks are prepared meanwhile, until training fails."""
    original, begun = _search_fits.PreparedFit, []

    def prepared(index, *arguments):
        begun.append(index)
        if index >= 4:
            sleep(0.3)
        return original(index, *arguments)

    def finish(fit):
        raise RuntimeError("the end")

    monkeypatch.setattr(_search_fits, "PreparedFit", prepared)
    together = jobs_on_a_device(8)
    before = threading.active_count()
    with pytest.raises(RuntimeError, match="the end"):
        fit_in_stacks(together, range(8), SharedResults(together), None, finish)
    assert threading.active_count() == before
    assert len(begun) < 8
