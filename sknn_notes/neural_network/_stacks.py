"""Fits of many networks in stacks, on a device."""

from contextlib import contextmanager
from time import perf_counter
from typing import Any

import numpy as np

from sknn_notes._arrays import input_namespace
from sknn_notes._checks import check_parameters
from sknn_notes._engine.side_by_side import train_side_by_side
from sknn_notes._messages import Listening
from sknn_notes.neural_network._devices import device_of
from sknn_notes.neural_network._fit import prepare
from sknn_notes.neural_network._namespaces import as_inputs, as_numpy
from sknn_notes.neural_network._shared import Shared
from sknn_notes.neural_network._targets import move_arrays
from sknn_notes.neural_network._validation import check_given


def fits_in_stack(job):
    """Tell whether a network may be trained beside others on a device.

    It is a single one without callbacks, and its solver goes by batches.
    """
    estimator = job.estimator
    is_plain = estimator.n_networks == 1 and not hasattr(estimator, "_skl_callbacks")
    if not is_plain or "checkpoint" in job.fit_params:
        return False
    try:
        X = as_inputs(job.X, input_namespace(job.X, estimator))
        is_stochastic = estimator._resolve("solver").stochastic
        return is_stochastic and device_of(estimator, X) is not None
    except Exception:  # Its own fit says what is wrong.
        return False


class StackedFit:
    """The fit of one network among others.

    Parameters
    ----------
    index : int
        Of the job.
    job : Job
    shared : Shared
        What fits to the same rows have computed.

    Attributes
    ----------
    seconds : float
    error : Exception or None
    member : Member or None
        None if the fit failed before the training.
    """

    def __init__(self, index, job, shared):
        self.index, self.estimator, self._X = index, job.estimator, job.X
        self.seconds, self._listening = 0.0, Listening(f"Fit {index}")
        self.error: Any = None
        self.member: Any = None
        with self._catching():
            self._training = self._prepared(job, shared)
            self.member = self._training.member(context=self._listening)

    def _prepared(self, job, shared):
        estimator, X, y = self.estimator, job.X, job.y
        check_parameters(estimator)
        weight, val = job.fit_params.get("sample_weight"), job.fit_params
        names = "X_val", "y_val", "sample_weight_val"
        validation = check_given(estimator, X, *(val.get(name) for name in names))
        self._xp = input_namespace(X, estimator)
        if validation is not None:
            X_val, *others = validation
            validation = as_inputs(X_val, self._xp), *map(as_numpy, others)
        X = shared.once("inputs", lambda: as_inputs(X, self._xp))
        y, weight = shared.once("targets", lambda: (as_numpy(y), as_numpy(weight)))
        return prepare(estimator, X, y, weight, validation=validation, shared=shared)

    def finish(self):
        """Set the fitted attributes after the training."""
        self.seconds += self.member.seconds
        with self._catching():
            self._training.take(self.member)
            self._training.end()
            self._training.publish()
            if self._xp is not np:
                move_arrays(self.estimator, self._X, self._xp)

    @property
    def told(self):
        """What the fit has warned of."""
        return self._listening.told

    @contextmanager
    def _catching(self):
        begin = perf_counter()
        with self._listening, np.errstate(under="ignore"):
            try:
                yield
            except Exception as error:
                self.error = error
        self.seconds += perf_counter() - begin


def fit_in_stacks(jobs, indices, stack_size, finish):
    """Fit networks beside each other on their devices.

    Parameters
    ----------
    jobs : list of Job
    indices : list of int
        Of the jobs, which ``fits_in_stack`` tells.
    stack_size : int or None
        Most networks of a stack; None is what the memory of the device allows.
    finish : callable
        ``finish(fit)`` is called with every ``StackedFit`` that is over.

    Raises
    ------
    KeyboardInterrupt
        If the user interrupts, after the epoch.
    """
    shared: dict[tuple, Shared] = {}
    fits: dict[int, StackedFit] = {}
    devices: dict[str, Any] = {}
    for index in indices:
        job = jobs[index]
        weight = job.fit_params.get("sample_weight")
        rows = shared.setdefault((id(job.X), id(job.y), id(weight)), Shared())
        fit = StackedFit(index, job, rows)
        if fit.error is not None:
            finish(fit)
            continue
        fits[id(fit.member)] = fit
        device = fit._training.device
        devices.setdefault(str(device), (device, []))[1].append(fit.member)

    def end(member):
        fit = fits.pop(id(member))
        fit.finish()
        finish(fit)

    for device, members in devices.values():
        if train_side_by_side(members, device, stack_size, end):
            raise KeyboardInterrupt
