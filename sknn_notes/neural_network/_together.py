"""Many networks, each with data of its own, fitted by one call."""

from numbers import Integral
from time import perf_counter
from typing import Any, NamedTuple

from sknn_notes._checks import Interval, check_value
from sknn_notes._messages import listening
from sknn_notes._sklearn import StrOptions
from sknn_notes._threads import n_threads, run_on_threads, stopped

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
    """How a fit went: its time, its error if it failed, and what it warned of."""

    seconds: float
    error: BaseException | None
    told: list


def fit_together(jobs, *, n_jobs=None, stack_size="auto", finish=None):
    """Fit many networks in place.

    Every network is fitted by its own method ``fit``, on threads: compiled steps run
    without Python's lock, and nothing is copied.

    Parameters
    ----------
    jobs : list of Job
        An element is not read any more when ``finish`` is called for it, which may
        replace it to let go of a network.
    n_jobs : int, default=None
        Number of threads, as scikit-learn counts jobs.
    stack_size : "auto" or int, default="auto"
        The most networks that are trained at once on a device.
    finish : callable, default=None
        ``finish(i, outcome)`` is called as soon as job ``i`` is done, whether it failed
        or not, from several threads.

    Returns
    -------
    outcomes : list of Outcome
        In the order of the jobs.

    Raises
    ------
    KeyboardInterrupt
        If the user interrupts, after the epochs that are running.
    Exception
        What ``finish`` raises. It ends all the fits, too.
    """
    check_value("fit_together", "stack_size", stack_size, STACK_SIZE)
    outcomes: list[Any] = [None] * len(jobs)

    def run(i):
        outcome = _fit(i, jobs[i])
        if stopped():
            return
        outcomes[i] = outcome
        if finish is not None:
            finish(i, outcome)

    run_on_threads(run, len(jobs), max(1, min(n_threads(n_jobs), len(jobs))))
    return outcomes


def _fit(i, job):
    begin, error = perf_counter(), None
    with listening(f"Fit {i}") as told:
        try:
            job.estimator.fit(job.X, job.y, **job.fit_params)
        except Exception as raised:
            error = raised
    return Outcome(perf_counter() - begin, error, told)
