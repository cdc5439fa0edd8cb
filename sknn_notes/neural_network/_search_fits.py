"""Fits of many networks that share the preparation of their data and parameters."""

from contextlib import contextmanager, suppress
from threading import Event
from time import perf_counter
from typing import Any

import numpy as np

from sknn_notes._arrays import input_namespace
from sknn_notes._checks import check_parameters
from sknn_notes._engine.side_by_side import train_side_by_side
from sknn_notes._messages import Listening
from sknn_notes._threads import ahead, stopped
from sknn_notes.neural_network._classifier import MLPClassifier
from sknn_notes.neural_network._devices import device_of
from sknn_notes.neural_network._namespaces import as_inputs, as_numpy
from sknn_notes.neural_network._prepare import prepare
from sknn_notes.neural_network._regressor import MLPRegressor
from sknn_notes.neural_network._shared import Shared
from sknn_notes.neural_network._targets import move_arrays
from sknn_notes.neural_network._validation import check_given

_VALIDATION = "X_val", "y_val", "sample_weight_val"
_FIT_PARAMS = {"sample_weight", *_VALIDATION}

# Number of fits that are prepared and trained at a time; a stack of this size fills a
# GPU.
_CHUNK = 1024


class SharedResults:
    """Results that the fits of a search share.

    Parameters
    ----------
    jobs : list of Job
    """

    def __init__(self, jobs):
        self._of_rows = {self._rows(job): Shared() for job in jobs}
        self.of_parameters = Shared()

    def of_rows(self, job):
        """Return the results that fits to the rows of a job share."""
        return self._of_rows[self._rows(job)]

    @staticmethod
    def _rows(job):
        return id(job.X), id(job.y), id(job.fit_params.get("sample_weight"))


def can_be_prepared(job):
    """Whether a job is a plain fit of one network, without callbacks.

    A subclass that overrides ``fit``, or a parameter that ``fit`` does not have, makes
    it any other fit.
    """
    estimator = job.estimator
    is_plain = estimator.n_networks == 1 and not hasattr(estimator, "_skl_callbacks")
    is_ours = type(estimator).fit in (MLPClassifier.fit, MLPRegressor.fit)
    params = {k for k, v in job.fit_params.items() if k != "checkpoint" or v}
    return is_plain and is_ours and params <= _FIT_PARAMS


def fits_in_stack(job, shared):
    """Whether a network may be trained together with others on a device."""
    if not can_be_prepared(job):
        return False
    estimator = job.estimator
    solver = estimator.solver
    key = "in stack", estimator.device, type(job.X), type(solver), repr(solver)
    return shared.of_parameters.once(key, lambda: _is_stochastic_on_device(job))


def _is_stochastic_on_device(job):
    estimator = job.estimator
    try:
        X = as_inputs(job.X, input_namespace(job.X, estimator))
        is_stochastic = estimator._resolve("solver").stochastic
        return is_stochastic and device_of(estimator, X) is not None
    except Exception:  # The fit itself will raise the error.
        return False


class PreparedFit:
    """Fit of one network, which shares its preparation with others.

    Parameters
    ----------
    index : int
        Index of the job.
    job : Job
    shared : SharedResults

    Attributes
    ----------
    seconds : float
    error : Exception or None
    training : Training
        Only if there is no error.
    """

    def __init__(self, index, job, shared):
        self.index, self.estimator, self._X = index, job.estimator, job.X
        self.seconds, self._listening = 0.0, Listening(f"Fit {index}")
        self.error: Any = None
        self.training: Any = None
        with self._catching():
            self.training = self._prepared(job, shared)

    def _prepared(self, job, shared):
        estimator, rows, params = self.estimator, shared.of_rows(job), job.fit_params
        check_parameters(estimator)
        given = (params.get(name) for name in _VALIDATION)
        validation = check_given(estimator, job.X, *given)
        self._xp = input_namespace(job.X, estimator)
        if validation is not None:
            X_val, *others = validation
            validation = as_inputs(X_val, self._xp), *map(as_numpy, others)
        weight = params.get("sample_weight")
        X = rows.once("inputs", lambda: as_inputs(job.X, self._xp))
        y, weight = rows.once("targets", lambda: (as_numpy(job.y), as_numpy(weight)))
        return prepare(
            estimator,
            X,
            y,
            weight,
            validation=validation,
            shared=rows,
            known=shared.of_parameters,
        )

    def run(self):
        """Train on this thread."""
        with self._catching():
            self.training.run()
            self._publish()

    def member(self):
        """Return the member of a stack that a device trains, or None after an error."""
        with self._catching():
            return self.training.member(context=self._listening)

    def take(self, member):
        """Take the results of a member that a device has trained."""
        self.seconds += member.seconds
        with self._catching():
            self.training.take(member)
            self.training.end()
            self._publish()

    def _publish(self):
        self.training.publish()
        if self._xp is not np:
            move_arrays(self.estimator, self._X, self._xp)

    @property
    def told(self):
        """Warnings of the fit."""
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


def fit_in_stacks(jobs, indices, shared, stack_size, finish):
    """Fit networks in stacks on their devices.

    Parameters
    ----------
    jobs : list of Job
    indices : list of int
        Indices of the jobs for which ``fits_in_stack`` is true.
    shared : SharedResults
    stack_size : int or None
        Maximum number of networks in a stack; None is what fits into the memory of the
        device.
    finish : callable
        ``finish(fit)`` is called with every ``PreparedFit`` that is done or has failed.

    Raises
    ------
    KeyboardInterrupt
        If the user interrupts; raised after the current epoch.
    """
    all_chunks = _chunks(jobs, indices)
    chunks, over = iter(all_chunks), Event()

    def prepare_next():
        pairs = []
        for i in next(chunks, ()):
            if stopped() or over.is_set():
                raise KeyboardInterrupt
            fit = PreparedFit(i, jobs[i], shared)
            pairs.append((fit, None if fit.error else fit.member()))
        return pairs

    # The next chunk is prepared while one is trained.
    waiting = ahead(prepare_next)
    try:
        while pairs := waiting():
            waiting = ahead(prepare_next)
            n_alike = sum(len(chunk) == len(pairs) for chunk in all_chunks)
            _train(pairs, stack_size, n_alike, finish)
    finally:
        # No thread may continue, whatever ended the loop.
        over.set()
        with suppress(BaseException):
            waiting()


def _chunks(jobs, indices):
    """Split the indices of jobs into chunks; keep networks of a kind together."""

    def kind(index):
        params = jobs[index].estimator.get_params(deep=False)
        simple = {k: v for k, v in params.items() if isinstance(v, str | bool | int)}
        return repr(params["hidden_layer_sizes"]), repr(simple)

    if len(indices) > _CHUNK:
        indices = sorted(indices, key=kind)
    size = -(-len(indices) // -(-len(indices) // _CHUNK))
    return [indices[start : start + size] for start in range(0, len(indices), size)]


def _train(pairs, stack_size, n_alike, finish):
    """Train prepared fits, those on the same device together.

    ``n_alike`` is the number of chunks of this size.
    """
    fits: dict[int, PreparedFit] = {}
    devices: dict[str, Any] = {}
    for fit, member in pairs:
        if member is None:
            finish(fit)
            continue
        fits[id(member)] = fit
        device = fit.training.device
        devices.setdefault(str(device), (device, []))[1].append(member)

    def end(member):
        fit = fits.pop(id(member))
        fit.take(member)
        finish(fit)

    for device, members in devices.values():
        if train_side_by_side(members, device, stack_size, end, n_alike):
            raise KeyboardInterrupt
