"""One call that fits many networks, each to its own data."""

from functools import partial
from numbers import Integral
from queue import SimpleQueue
from time import perf_counter
from typing import Any, NamedTuple

from sknn_notes._checks import Interval, check_value
from sknn_notes._messages import Listening
from sknn_notes._sklearn import StrOptions
from sknn_notes._threads import n_threads, run_on_threads, stopped
from sknn_notes.neural_network._search_fits import (
    PreparedFit,
    SharedResults,
    can_be_prepared,
    fit_in_stacks,
    fits_in_stack,
)

# Maximum number of threads that score networks while a device trains others.
_MOST_FINISHING = 3

STACK_SIZE = [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")]


class Job(NamedTuple):
    """A network to fit in place.

    Jobs whose ``X`` and ``y`` are the same objects share rows.
    """

    estimator: Any
    X: Any
    y: Any
    fit_params: dict[str, Any]


class Outcome(NamedTuple):
    """Result of a fit: its time, its error if it failed, and its warnings."""

    seconds: float
    error: BaseException | None
    told: list


def fit_together(jobs, *, n_jobs=None, stack_size="auto", finish=None):
    """Fit many networks in place.

    On a device, networks that differ only in numerical parameters are trained as one
    stack, whose time is divided among them. Others are trained on threads: compiled
    steps release Python's lock, and nothing is copied. Data and parameters are checked
    once.

    Parameters
    ----------
    jobs : list of Job
        A job is not read after ``finish`` was called for it, so ``finish`` may replace
        it to free the network.
    n_jobs : int, default=None
        Number of threads, with the meaning of scikit-learn's ``n_jobs``.
    stack_size : "auto" or int, default="auto"
        Maximum number of networks that a device trains at once.
    finish : callable, default=None
        ``finish(i, outcome)`` is called as soon as job ``i`` is done or has failed. The
        calls come from several threads.

    Returns
    -------
    outcomes : list of Outcome
        Outcomes in the order of the jobs.

    Raises
    ------
    KeyboardInterrupt
        If the user interrupts; raised after the epochs that are running.
    Exception
        Any error that ``finish`` raises, which also ends all fits.
    """
    check_value("fit_together", "stack_size", stack_size, STACK_SIZE)
    outcomes: list[Any] = [None] * len(jobs)

    shared = SharedResults(jobs)

    def run(i):
        outcome = _fit(i, jobs[i], shared)
        if stopped():
            return
        outcomes[i] = outcome
        if finish is not None:
            finish(i, outcome)

    n_jobs = max(1, min(n_threads(n_jobs), len(jobs)))
    stacked = {i for i, job in enumerate(jobs) if fits_in_stack(job, shared)}
    others = [i for i in range(len(jobs)) if i not in stacked]
    n_threads_of_others = max(1, min(n_jobs, len(others)))
    run_on_threads(lambda i: run(others[i]), len(others), n_threads_of_others)
    if stacked:
        most = None if stack_size == "auto" else stack_size
        stacks = partial(fit_in_stacks, jobs, sorted(stacked), shared, most)
        _run_stacks(stacks, n_jobs, outcomes, finish)
    return outcomes


def _run_stacks(fit_stacks, n_jobs, outcomes, finish):
    """Fit networks in stacks, and call ``finish`` on threads at the same time."""
    # More threads would wait for Python's lock, and make the training wait for it.
    n_jobs = min(n_jobs, _MOST_FINISHING)
    waiting: SimpleQueue = SimpleQueue()

    def work():
        while (index := waiting.get()) is not None and not stopped():
            if finish is not None:
                finish(index, outcomes[index])

    def end(fit):
        outcomes[fit.index] = Outcome(fit.seconds, fit.error, fit.told)
        waiting.put(fit.index)

    def train():
        try:
            fit_stacks(end)
        finally:
            for _ in range(n_jobs):
                waiting.put(None)

    run_on_threads(lambda i: work() if i else train(), 1 + n_jobs, 1 + n_jobs)


def _fit(i, job, shared):
    if can_be_prepared(job):
        fit = PreparedFit(i, job, shared)
        if fit.error is None:
            fit.run()
        return Outcome(fit.seconds, fit.error, fit.told)
    begin, error = perf_counter(), None
    with Listening(f"Fit {i}") as told:
        try:
            job.estimator.fit(job.X, job.y, **job.fit_params)
        except Exception as raised:
            error = raised
    return Outcome(perf_counter() - begin, error, told)
