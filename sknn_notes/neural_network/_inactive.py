"""Warnings of parameters that were set but have no effect because of others."""

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from inspect import signature
from typing import cast

import numpy as np

from sknn_notes._checks import shown
from sknn_notes._messages import warn
from sknn_notes.neural_network._parameters import REGISTRIES

# Parameters that this process has warned of; a search would repeat each warning.
told: set[str] = set()

_silent = ContextVar("_silent", default=False)


@contextmanager
def untold():
    """Suppress the warnings in the block, which sets parameters for the user."""
    token = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(token)


def tell_inactive(estimator, plan, has_validation_set):
    """Warn of each parameter that was set but has no effect, once per process.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Estimator during ``fit`` or ``partial_fit``.
    plan : Plan
        Plan of its parameters.
    has_validation_set : bool
        Whether ``X_val`` was passed.
    """
    if _silent.get():
        return
    for name, reason in inactive(estimator, plan, has_validation_set):
        if name not in told:
            value = shown(getattr(estimator, name))
            warn(f"{name}={value} has no effect: {reason}.")
            told.add(name)


def inactive(estimator, plan, has_validation_set) -> Iterator[tuple[str, str]]:
    """Yield the parameters that were set but have no effect, each with the reason.

    Values equal to the default are not reported, nor are the parameters of a penalty
    with ``alpha=0``, a value that searches include.
    """
    defaults = _defaults(cast(Hashable, type(estimator)))
    for name, reason in [
        *_of_parts(estimator),
        *_of_lbfgs(estimator, plan),
        *_of_schedules(estimator, plan),
        *_of_validation(estimator, has_validation_set),
        *_of_layers(estimator, plan),
        *_of_noise(plan),
        *_of_networks(estimator),
    ]:
        if name in defaults and not _equal(getattr(estimator, name), defaults[name]):
            yield name, reason


@cache
def _defaults(cls: Hashable) -> dict:
    parameters = signature(cast(type, cls)).parameters
    return {name: parameter.default for name, parameter in parameters.items()}


def _equal(value, default):
    return value is default or bool(np.array_equal(value, default))


# Parts that take parameters of the estimator when they are passed by name.
_WITH_PARAMETERS = ("solver", "learning_rate", "penalty")


@cache
def _flat_parameters(part: str, cls: Hashable) -> list[str]:
    """Return the parameters of an estimator that parts of one registry take."""
    parts = REGISTRIES[part].values()
    taken = {name for each in parts for name in each._get_param_names()}
    return sorted(taken & _defaults(cls).keys())


# Pairs of penalty and l1_ratio that agree.
_SAID_TWICE = [("l1", 1), ("l2", 0)]


def _of_parts(estimator):
    for part in _WITH_PARAMETERS:
        spec, registry = getattr(estimator, part), REGISTRIES[part]
        for name in _flat_parameters(part, cast(Hashable, type(estimator))):
            if spec is None:
                yield name, f"{part}=None"
            elif isinstance(spec, str):
                known = name in registry[spec]._get_param_names()
                if not known and (spec, getattr(estimator, name)) not in _SAID_TWICE:
                    yield name, f"{part}={spec!r} has no such parameter"
            elif name in spec.get_params(deep=False):
                yield (
                    name,
                    f"{part} is an object with parameters of its own; set it there, as "
                    f"{type(spec).__name__}({name}=...)",
                )
            else:
                yield name, f"{part}={type(spec).__name__}(...) has no such parameter"


def _of_lbfgs(estimator, plan):
    if plan.solver.stochastic:
        return
    owner = type(plan.solver).__name__
    yield "batch_size", f"{owner} uses all samples at once"
    yield "clip_norm", f"{owner} chooses its steps by a line search"
    for name in ("learning_rate", "learning_rate_init"):
        yield name, f"{owner} has no learning rate"
    if estimator.dtype != "float64":
        yield "dtype", f"{owner} computes in float64"


def _of_schedules(estimator, plan):
    schedule = estimator.learning_rate
    if isinstance(schedule, str):
        schedule = REGISTRIES["learning_rate"][schedule]
    without = ""
    if estimator.n_iter_no_change == np.inf:
        without = "with n_iter_no_change=inf there are no plateaus"
    elif not schedule.needs_plateaus:
        without = "training ends at the first plateau unless learning_rate='adaptive'"
    for name, each in [("learning_rate", schedule), *plan.schedules]:
        if each.needs_plateaus and without:
            yield name, without
    if schedule.start is not None:
        yield (
            "learning_rate_init",
            f"learning_rate={shown(schedule)} has a start of its own",
        )


def _of_validation(estimator, has_validation_set):
    if not estimator.early_stopping:
        for name in ("scoring", "validation_fraction"):
            yield name, "early_stopping=False, so there is no validation set"
    elif has_validation_set:
        yield "validation_fraction", "the validation set was passed as X_val"


def _of_layers(estimator, plan):
    if not plan.hidden:
        names = "activation", "batch_norm", "dropout", "layer_norm", "residual"
        for name in names:
            value = getattr(estimator, name)
            # These values suit a linear model.
            if not (_equal(value, []) or _equal(value, "identity")):
                yield name, "the network has no hidden layer"
    if plan.penalty is None:
        if any(plan.alphas):
            yield "alpha", "penalty=None"
        yield "penalize_bias", "penalty=None"
    elif plan.penalty.sees_matrices:
        owner = type(plan.penalty).__name__
        yield "penalize_bias", f"{owner} penalizes groups of weights, without biases"


def _of_noise(plan):
    drops = any(plan.dropout) or plan.input_dropout or plan.dropconnect
    if not drops:
        yield "dropout_scaling", "dropout, input_dropout and dropconnect are 0"
    if not (drops or plan.augment):
        for name in ("marginalization", "n_mc_samples"):
            yield name, "there is no dropout or augment to average over"


def _of_networks(estimator):
    if estimator.n_networks == 1:
        yield "n_jobs", "n_networks=1, and a single network is trained on one thread"
