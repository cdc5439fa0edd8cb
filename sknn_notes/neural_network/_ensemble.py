"""Training of an ensemble: several networks in one estimator, with different seeds."""

import copy
from contextlib import nullcontext
from threading import Event, Lock
from typing import Any

from sklearn.base import clone
from sklearn.utils import check_random_state

from sknn_notes._arrays import numpy_dtype
from sknn_notes._engine.side_by_side import train_side_by_side
from sknn_notes._messages import Listening, pass_on, warn
from sknn_notes._threads import n_threads, run_on_threads
from sknn_notes.neural_network._devices import device_of
from sknn_notes.neural_network._prepare import dtypes, is_first, prepare
from sknn_notes.neural_network._shared import Shared
from sknn_notes.neural_network._validation import Fold, of_validation


def networks_to_continue(estimator, partial):
    """Return the fitted networks that a fit continues; none for a first fit."""
    networks = [] if is_first(estimator, partial) else estimator._members
    if estimator.n_networks < len(networks):
        raise ValueError(
            f"n_networks={estimator.n_networks} is less than the {len(networks)} "
            "networks fitted so far, which warm_start=True and partial_fit continue. "
            f"Set n_networks to {len(networks)} or more, or set warm_start=False and "
            "call fit to start from new weights."
        )
    return networks


def fit_networks(estimator, X, y, sample_weight, *, validation, partial, tasks, record):
    """Fit all networks of an estimator, and set its fitted attributes.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    X, y, sample_weight, validation, partial
        Arguments of ``prepare``.
    tasks : NetworkTasks or None
        Callback tasks, which follow every network and every epoch.
    record : FitRecord or None
        Record of the networks; if the fit is resumed, it holds their progress.

    Raises
    ------
    KeyboardInterrupt
        If the user interrupts before any network has completed an epoch.
    """
    data = _checked(estimator, X, y, sample_weight, validation, partial)
    networks, folds = _start(estimator, partial)
    training = _Training(estimator, networks, folds, data, partial, tasks, record)
    n_jobs = min(n_threads(estimator.n_jobs), estimator.n_networks)
    training.run(n_jobs)
    networks, folds = training.trained()
    if training.interrupted:
        if not networks:
            raise KeyboardInterrupt
        warn(
            f"Training interrupted by user: {len(networks)} of {estimator.n_networks} "
            "networks are kept, with the weights reached so far.",
        )
    pass_on(training.told, estimator.n_networks, "networks")
    names = getattr(estimator, "feature_names_in_", None)
    if names is not None:
        for network in networks:
            network.feature_names_in_ = names
    fitted = _fitted_attributes(networks[0])
    vars(estimator).update(fitted, networks_=networks, _folds=folds)
    if tasks is not None:
        tasks.end_fit(lambda: copy.deepcopy(_fitted_attributes(estimator)))


def _checked(estimator, X, y, sample_weight, validation, partial):
    """Return the data as arrays, so that no network converts them again."""
    first = is_first(estimator, partial)
    types = dtypes(estimator, estimator._resolve("solver"), first)
    X, y = estimator._validate_data(X, y, types, first)
    sample_weight = estimator._check_weights(sample_weight, X, partial)
    if validation is not None:
        X_val, y_val, *weight = validation
        with of_validation():
            dtype = numpy_dtype(X)
            X_val, y_val = estimator._validate_data(X_val, y_val, dtype, reset=False)
        validation = X_val, y_val, *weight
    return X, y, sample_weight, validation


def _start(estimator, partial):
    """Return the networks to train and their folds; earlier networks are copied."""
    earlier = networks_to_continue(estimator, partial)
    folds = [None] if earlier == [estimator] else estimator._folds if earlier else []
    networks = [_network(estimator, each.random_state, each) for each in earlier]
    n, k = len(earlier), estimator.n_networks
    if n < k:
        random_state = check_random_state(estimator.random_state)
        seed, *seeds = random_state.randint(2**31 - 1, size=1 + k).tolist()
        networks += [_network(estimator, seed) for seed in seeds[n:]]
        folds = folds + [Fold(seed, i, k) for i in range(n, k)]
    return networks, folds


def _network(estimator, seed, earlier=None):
    """Return an estimator with one network, which may continue an earlier one."""
    network = clone(estimator)
    network.set_params(n_networks=1, n_jobs=None, random_state=seed)
    # The ensemble calls the callbacks.
    vars(network).pop("_skl_callbacks", None)
    if hasattr(estimator, "classes_"):
        # They were passed to the first call of partial_fit.
        network.classes_ = estimator.classes_
    if earlier is not None:
        vars(network).update(_fitted_attributes(earlier), networks_=None)
    # The networks get arrays without names.
    vars(network).pop("feature_names_in_", None)
    return network


def _fitted_attributes(estimator):
    """Return the attributes that fits have set, by name."""
    params = estimator.get_params(deep=False)
    return {
        name: value
        for name, value in vars(estimator).items()
        if name not in params and "callback" not in name
    }


class _Training:
    """Training of all networks, one after the other, on threads or on a device.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    networks : list of MLPClassifier or MLPRegressor
    folds : list of (Fold or None)
    data : tuple of (X, y, sample_weight, validation)
    partial : bool
    tasks : NetworkTasks or None
    record : FitRecord or None

    Attributes
    ----------
    told : list of Told
        Warnings of the networks.
    interrupted : bool
        Whether the user interrupted the training.
    """

    def __init__(self, estimator, networks, folds, data, partial, tasks, record):
        self.estimator, self.networks, self.folds = estimator, networks, folds
        self.data, self.partial = data, partial
        self.tasks, self.record = tasks, record
        self.told: list = []
        self.interrupted = False
        self._stop, self._lock = Event(), Lock()

    def run(self, n_jobs):
        """Train up to ``n_jobs`` networks at the same time."""
        if self.tasks is not None:
            self.tasks.begin_fit()
        indices = range(len(self.networks))
        device = device_of(self.estimator, self.data[0])
        if device is not None and self.estimator._resolve("solver").stochastic:
            told = self._run_in_stack(indices, device)
        elif n_jobs == 1:
            told = [self._train(i, nullcontext) for i in indices]
        else:
            told = self._run_on_threads(indices, n_jobs)
        self.told = [each for some in told for each in some]

    def _run_on_threads(self, indices, n_jobs):
        told: dict[int, list] = {}

        def train(i):
            told[i] = self._train(i, nullcontext)

        try:
            run_on_threads(train, len(indices), n_jobs)
        except KeyboardInterrupt:
            self.interrupted = True
        return [told[i] for i in sorted(told)]

    def _run_in_stack(self, indices, device):
        """Train all networks on a device; return the warnings of each."""
        X, y, sample_weight, validation = self.data
        shared = Shared()
        listening = [Listening(f"Network {index}") for index in indices]
        running: dict[int, Any] = {}
        members = []

        for index in indices:
            network, record = self.networks[index], self.record
            if record is not None and index in record.finished:
                attributes, told = record.finished[index]
                vars(network).update(attributes)
                listening[index].told += told
                continue
            with listening[index]:
                training = prepare(
                    network,
                    X,
                    y,
                    sample_weight,
                    validation=validation,
                    partial=self.partial,
                    fold=self.folds[index],
                    shared=shared,
                )
                epochs = _Epochs(network, index, self.tasks, self._stop, self._lock)
                progress = None if record is None else record.follow(index, training)
                member = training.member(epochs, progress, listening[index])
            running[id(member)] = index, training, epochs
            members.append(member)

        def finish(member):
            index, training, epochs = running.pop(id(member))
            with listening[index]:
                training.take(member)
                training.end(epochs)
                training.publish()
            if self.record is not None and not training.monitor.interrupted:
                network = self.networks[index]
                told = listening[index].told
                self.record.finish(index, _fitted_attributes(network), told)

        self.interrupted = train_side_by_side(members, device, finish=finish)
        return [each.told for each in listening]

    def _train(self, index, limit):
        """Train one network unless training was stopped; return its warnings."""
        if self._stop.is_set():
            return []
        X, y, sample_weight, validation = self.data
        network, record = self.networks[index], self.record
        if record is not None and index in record.finished:
            attributes, told = record.finished[index]
            vars(network).update(attributes)
            return told
        with Listening(f"Network {index}") as told, limit():
            training = prepare(
                network,
                X,
                y,
                sample_weight,
                validation=validation,
                partial=self.partial,
                fold=self.folds[index],
            )
            epochs = _Epochs(network, index, self.tasks, self._stop, self._lock)
            progress = None if record is None else record.follow(index, training)
            training.run(epochs, progress)
            training.publish()
        if training.monitor.interrupted:
            self.interrupted = True
            self._stop.set()
        if record is not None and not self._stop.is_set():
            # A callback may be writing the record on the thread of another network.
            with self._lock:
                record.finish(index, _fitted_attributes(network), told)
        return told

    def trained(self):
        """Return the networks that have completed an epoch, in this fit or earlier.

        Returns
        -------
        networks : list of MLPClassifier or MLPRegressor
        folds : list of (Fold or None)
            None for a network that was trained with ``n_networks=1``.
        """
        pairs = [
            (network, fold)
            for network, fold in zip(self.networks, self.folds, strict=True)
            if getattr(network, "loss_curve_", ())
        ]
        return [network for network, _ in pairs], [fold for _, fold in pairs]


class _Epochs:
    """Callback tasks of the epochs of one network, which also stop its training.

    Only one thread at a time calls the callbacks.
    """

    def __init__(self, network, index, tasks, stop, lock):
        self._network, self._stop, self._lock = network, stop, lock
        self._tasks: Any = None
        if tasks is not None:
            with lock:
                self._tasks = tasks.of(index)

    def begin_fit(self, fitted):
        def attributes():
            # Callbacks get an estimator with this network alone.
            return _fitted_attributes(self._network) | fitted()

        self._call("begin_fit", attributes)

    def begin(self):
        self._call("begin")

    def end(self):
        return bool(self._call("end")) or self._stop.is_set()

    def end_fit(self):
        self._call("end_fit")

    def _call(self, name, *arguments):
        if self._tasks is not None:
            with self._lock:
                return getattr(self._tasks, name)(*arguments)
        return None
