"""Preparation of a training: checks of data and parameters, network and batches."""

import copy
import pickle
from functools import cache
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from sknn_notes._arrays import numpy_dtype
from sknn_notes._checks import shown
from sknn_notes._engine.batches import Batches
from sknn_notes._engine.prediction import Predictor
from sknn_notes._engine.rows import rows_of
from sknn_notes._engine.training import TrainingState
from sknn_notes._messages import warn
from sknn_notes.neural_network._build import Plan
from sknn_notes.neural_network._devices import device_of
from sknn_notes.neural_network._fit import Training
from sknn_notes.neural_network._guidance import check_scorer
from sknn_notes.neural_network._inactive import tell_inactive
from sknn_notes.neural_network._parameters import (
    LEARNING_RATE,
    check_start,
)
from sknn_notes.neural_network._shared import Shared
from sknn_notes.neural_network._targets import fitted_arrays
from sknn_notes.neural_network._validation import (
    ValidationSet,
    check_watched,
    check_weighted,
    hold_out,
    of_validation,
)


def is_first(estimator, partial):
    """Whether a fit starts from new weights."""
    return not hasattr(estimator, "coefs_") or not (estimator.warm_start or partial)


def prepare(
    estimator,
    X,
    y,
    sample_weight=None,
    *,
    validation=None,
    partial=False,
    fold=None,
    shared=None,
    known=None,
):
    """Check the data and the parameters, and build what training needs.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        The attributes that describe the data are set: number of features, classes.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
    sample_weight : array-like of shape (n_samples,), default=None
    validation : tuple of (X_val, y_val, sample_weight_val), default=None
    partial : bool, default=False
        Whether ``partial_fit`` was called, which trains for one epoch.
    fold : Fold, default=None
        Rows that early stopping holds out, for one network of an ensemble.
    shared : Shared, default=None
        Results that first fits to the same data share.
    known : Shared, default=None
        Results that first fits with the same parameters share.

    Returns
    -------
    training : Training
    """
    first = is_first(estimator, partial)
    # A fit that continues has its own targets, and shares nothing.
    shared = shared if shared is not None and first else Shared()
    known = known if known is not None and first else Shared()
    parameters = _parameters(estimator)
    solver = known.once(("solver", parameters), lambda: estimator._resolve("solver"))
    types = dtypes(estimator, solver, first)
    X, y, sample_weight = _validated(
        estimator, X, y, sample_weight, types, first, partial, shared
    )
    begin = estimator._target_kind.start if first else estimator._targets.resume
    spec = _what_targets_read(estimator), str(types)
    targets, y = shared.once(
        ("targets", spec), lambda: begin(estimator, y, sample_weight, partial)
    )
    vars(estimator).update(targets.attributes)

    def plan_fit():
        plan = Plan(estimator, targets.loss, solver)
        schedule = _schedule(estimator, plan, partial)
        check_scorer(estimator)
        tell_inactive(estimator, plan, validation is not None)
        return plan, schedule

    plan, schedule = known.once(("plan", parameters), plan_fit)
    # Copies of what a fit changes.
    plan = copy.copy(plan)
    plan.loss, plan.init = targets.loss, copy.copy(plan.init)
    plan.check_inputs(X)
    kind = "device", estimator.device, type(X)
    device = known.once(kind, lambda: device_of(estimator, X))
    state = _start_state(estimator, first, partial)
    # A copy, since the targets learn from the rows to train on.
    estimator._targets = copy.copy(targets)

    def divide():
        loss_weight = targets.weights(y, sample_weight, partial)
        data = X, y, sample_weight, loss_weight
        return _divided(estimator, plan, data, validation, state, partial, fold)

    has_validation = validation is not None or estimator.early_stopping
    norm = plan.has_batch_norm, bool(plan.hidden)
    batches_of = "batches", spec, norm, solver.stochastic
    key = *batches_of, estimator.batch_size, estimator.shuffle
    if has_validation:  # The rows held out depend on the seed.
        shared = Shared()
    batches, validation, targets = shared.once(key, divide)
    if device is None:
        batches = batches.own()
    estimator._targets = copy.copy(targets)
    network = _network(estimator, plan, batches, state, first)
    return Training(
        estimator,
        plan,
        schedule,
        network,
        batches,
        validation,
        state,
        first,
        partial,
        device,
    )


def _validated(estimator, X, y, sample_weight, types, first, partial, shared):
    """Return the validated data; set the attributes that describe the features."""

    def validate():
        data = estimator._validate_data(X, y, types, first)
        weight = estimator._check_weights(sample_weight, data[0], partial)
        names = "n_features_in_", "feature_names_in_"
        seen = {k: v for k, v in vars(estimator).items() if k in names}
        return *data, weight, seen

    *data, seen = shared.once(("data", str(types)), validate)
    vars(estimator).update(seen)
    return data


def _parameters(estimator):
    """Return a key of the parameters that a plan depends on."""
    values = estimator.get_params(deep=False)
    if values["augment"] is not None or values["embedding"] is not None:
        return id(estimator)  # Parts that learn from the data.
    del values["random_state"]
    return tuple((k, _token(v)) for k, v in values.items())


def _token(value):
    """Return a key that is equal only for exactly equal values.

    The key of a value that can't be pickled is its identity.
    """
    if value is None or isinstance(value, str | int | float):
        return type(value), value
    try:
        return type(value), pickle.dumps(value)
    except Exception:  # Each kind of object raises its own.
        return type(value), id(value)


def _what_targets_read(estimator):
    """Return a key of the parameters that targets depend on."""
    cls: Any = type(estimator)
    names = "class_weight", "standardize_target", "loss", *_of_losses(cls)
    values = [getattr(estimator, name, None) for name in names]
    return cls, *map(_token, values)


@cache
def _of_losses(cls):
    """Return the parameters of an estimator that some loss takes."""
    registry = cls._registries["loss"]
    return sorted({name for x in registry.values() for name in x._get_param_names()})


def _divided(estimator, plan, data, validation, state, partial, fold):
    """Return the training batches, the validation set and the fitted targets."""
    targets = estimator._targets
    if plan.has_batch_norm and not partial:
        data = _weighted_rows(*data)
    X, y, sample_weight, loss_weight = data
    if validation is not None:
        validation = _check_validation(estimator, plan, numpy_dtype(X), *validation)
    elif estimator.early_stopping:
        rows, validation = _split(
            estimator, X, y, sample_weight, loss_weight, state, partial, fold
        )
        X, y, _, loss_weight = rows
    targets.learn_scale(y, loss_weight)
    dtype = numpy_dtype(X)
    y = targets.encode(y, dtype)
    if validation is not None:
        encoded = targets.encode(validation.y, dtype)
        validation = validation._replace(targets=encoded)
        targets.check_validation(encoded)
        check_watched(estimator, validation)
    batches = _batches(estimator, X, y, loss_weight, plan, partial)
    return batches, validation, targets


def dtypes(estimator, solver, first):
    """Return the data types that X may have; others are converted to the first one."""
    if not solver.stochastic:
        return np.float64
    if not first:
        return numpy_dtype(estimator.coefs_[0])
    if estimator.dtype != "auto":
        return np.dtype(estimator.dtype)
    return [np.float64, np.float32]


def _start_state(estimator, first, partial):
    if first:
        random_state = check_random_state(estimator.random_state)
        seed = random_state.randint(2**31 - 1, size=5)
        rng = np.random.Generator(np.random.SFC64(seed[1:].tolist()))
        return TrainingState(rng, lasting_seed=int(seed[0]))
    # A copy, so that a call that fails changes nothing.
    state = copy.deepcopy(estimator._training_state)
    if not partial:
        state.epoch = state.n_plateaus = state.n_without_improvement = 0
        state.loss = np.nan
    return state


def _weighted_rows(X, y, sample_weight, loss_weight):
    """Drop the samples of weight 0, which batch norm would count like any other."""
    data = X, y, sample_weight, loss_weight
    if loss_weight is None or loss_weight.all():
        return data
    return _some(np.flatnonzero(loss_weight), *data)


def _some(rows, X, *arrays):
    """Return some rows of the data; those of X are read when they are needed."""
    return [rows_of(X, rows), *(None if a is None else a[rows] for a in arrays)]


def _check_validation(estimator, plan, dtype, X_val, y_val, sample_weight_val):
    """Check the validation set that was passed to ``fit``, and return it."""
    with of_validation():
        X, y = estimator._validate_data(X_val, y_val, dtype, reset=False)
        y = estimator._targets.check(y)
        plan.check_inputs(X)
        weight = estimator._check_weights(sample_weight_val, X, partial=False)
        loss_weight = estimator._targets.weights(y, weight)
    return ValidationSet("X_val, y_val", X, y, None, weight, loss_weight)


def _split(estimator, X, y, sample_weight, loss_weight, state, partial, fold):
    """Return the rows to train on, and a validation set of the rows held out."""
    if partial:
        raise ValueError(
            "partial_fit does not support early_stopping=True, since it has no data to "
            "hold out. Set early_stopping=False."
        )
    data = X, y, sample_weight, loss_weight
    strata = estimator._targets.strata(y)
    fraction = estimator.validation_fraction
    parts = hold_out(X.shape[0], fraction, state.lasting_seed, strata, fold)
    train_part, held_out = (_some(rows, *data) for rows in parts)
    if loss_weight is not None:
        check_weighted(train_part[3], held_out[3])
    name = f"the held-out {len(parts[1])} of {X.shape[0]} samples"
    X_val, y_val, *weights = held_out
    return train_part, ValidationSet(name, X_val, y_val, None, *weights)


def _schedule(estimator, plan, partial):
    """Return the schedule of the learning rate; check that schedules can be used."""
    schedule = estimator._resolve("learning_rate")
    check_start("learning_rate", schedule, LEARNING_RATE)
    if partial:
        for name, each in [("learning_rate", schedule), *plan.schedules]:
            _check_endless(name, getattr(estimator, name), each)
    return schedule


def _check_endless(name, spec, schedule):
    """Raise ValueError if ``partial_fit`` can't follow a schedule."""
    of_rate = name == "learning_rate"
    other = "'inverse_time'" if of_rate else "InverseTime(start=...)"
    if schedule.needs_max_iter:
        raise ValueError(
            f"{name}={spec!r} is defined over max_iter epochs, and partial_fit does "
            "not know how many there will be. Choose another schedule, such as "
            f"{other}."
        )
    if schedule.needs_plateaus:
        raise ValueError(
            f"{name}={spec!r} waits for n_iter_no_change epochs without improvement. "
            "With partial_fit there are no epochs over the same data: each call may "
            "bring other samples, whose losses differ by chance. Choose another "
            f"schedule, such as {other}, or lower "
            f"{'learning_rate_init' if of_rate else name} yourself between calls."
        )


def _batches(estimator, X, y, sample_weight, plan, partial):
    if sample_weight is not None:
        # partial_fit does not know the mean over all chunks.
        if not partial:
            sample_weight = sample_weight / np.max(sample_weight)
            sample_weight /= np.mean(sample_weight)
        with np.errstate(over="ignore"):
            sample_weight = sample_weight.astype(numpy_dtype(X))
            total = np.sum(sample_weight)
        if not np.isfinite(total):
            raise ValueError(
                "The sample weights, multiplied with the class weights, are too large "
                f"for {numpy_dtype(X)}. partial_fit does not normalize them: divide "
                "sample_weight by its mean over all the data."
            )
    stochastic, min_rows = plan.solver.stochastic, 1
    if plan.batch_norm is not None and plan.hidden:
        min_rows = 2
        if X.shape[0] < 2 or (stochastic and estimator.batch_size == 1):
            raise ValueError(
                "batch_norm needs batches of at least 2 samples. Got "
                f"{X.shape[0]} samples with batch_size={estimator.batch_size!r}. Pass "
                "more samples at once, or set batch_norm=False."
            )
    return Batches(
        X,
        y,
        sample_weight,
        batch_size=_batch_size(estimator, X.shape[0]) if stochastic else X.shape[0],
        shuffle=estimator.shuffle and stochastic,
        min_rows=min_rows,
    )


def _batch_size(estimator, n_samples):
    if estimator.batch_size == "auto":
        return min(200, n_samples)
    if estimator.batch_size > n_samples:
        warn(
            f"Got batch_size={estimator.batch_size}, larger than the {n_samples} "
            "training samples. It is going to be clipped.",
        )
    return min(estimator.batch_size, n_samples)


def _network(estimator, plan, batches, state, first):
    """Return the network with its initial weights; set the estimator's predictor."""
    fitted_noise = [] if first else estimator._predictor.augment
    n_inputs = plan.start_noise(batches.X, state.rng, fitted_noise)
    if plan.embedding is not None:
        fitted = None if first else estimator._predictor.embedding
        weight = batches.sample_weight
        n_inputs = plan.start_embedding(batches.X, weight, fitted)
    n_raw = plan.loss.n_raw(estimator.n_outputs_)
    network = plan.network(n_inputs, n_raw, numpy_dtype(batches.X))
    if first:
        network.initialize(plan.init, plan.bias_init, state.rng)
        if plan.init.needs_data:
            network.calibrate(plan.init, batches.sample(state.rng))
    else:
        _check_same_shape(estimator, network)
        estimator._targets.load(network, estimator)
    estimator._predictor = Predictor(network, state.lasting_seed)
    return network


def _check_same_shape(estimator, network):
    coefs, intercepts = estimator.coefs_, estimator.intercepts_
    fitted = [len(coefs[0]), *(len(b) for b in intercepts)]
    asked = [network.shapes[0][0], *(fan_out for _, fan_out in network.shapes)]
    arrays = fitted_arrays(estimator), network.fitted
    embeddings = estimator._predictor.embedding, network.embedding
    had, has = (
        {
            "batch_norm": each.batch_norms is not None,
            "layer_norm": each.layer_norms is not None,
            "residual": each.residuals is not None,
            "embedding": repr(each_embedding),
            "feature_scaling": each.feature_scales is not None,
        }
        for each, each_embedding in zip(arrays, embeddings, strict=True)
    )
    if fitted[-1] != asked[-1]:
        raise ValueError(
            f"The network fitted so far has {fitted[-1]} raw outputs, and "
            f"loss={shown(estimator.loss)} needs {asked[-1]}. Keep the loss to "
            "continue training, or set warm_start=False and call fit to start from new "
            "weights."
        )
    if (fitted, had) != (asked, has):
        changed = [name for name in had if had[name] != has[name]] or ["batch_norm"]
        before, now = (
            " and ".join(f"{name}={each[name]}" for name in changed)
            for each in (had, has)
        )
        raise ValueError(
            f"The network fitted so far has layers of {fitted} units and {before}; the "
            f"parameters now require {asked} and {now}. Keep hidden_layer_sizes and "
            f"{', '.join(changed)} to continue training, or set warm_start=False and "
            "call fit to start from new weights."
        )
