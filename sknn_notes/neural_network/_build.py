"""Builds network and objective from parameters, and checks their combinations."""

from itertools import pairwise
from typing import Any

import numpy as np

from sknn_notes._arrays import to_numpy
from sknn_notes._checks import Interval, check_value, plain, shown
from sknn_notes._engine.network import Network, hidden_layers
from sknn_notes._engine.objective import Objective
from sknn_notes._engine.program import Program
from sknn_notes._engine.rows import as_matrix, blocks_of
from sknn_notes._part import kept, resolve
from sknn_notes.activations import ACTIVATIONS, Activation
from sknn_notes.embeddings import EMBEDDINGS
from sknn_notes.embeddings._base import check_dense
from sknn_notes.initializers import INITIALIZERS
from sknn_notes.layers import BatchNorm, LayerNorm
from sknn_notes.neural_network._inputs import is_tensor
from sknn_notes.neural_network._parameters import (
    CONSTRAINTS,
    DROPOUT_RATE,
    LEARNING_RATE,
    MAX_NORM,
    STRENGTH,
    hidden_sizes,
    part,
    per_layer,
    value_at_start,
)
from sknn_notes.noise import Noise
from sknn_notes.noise._base import check_inputs
from sknn_notes.penalties import PENALTIES
from sknn_notes.schedules import Schedule


class Plan:
    """Parts and per-layer values that the parameters of an estimator stand for.

    Invalid combinations of parameters raise here, before any array of the network is
    allocated.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    loss : Loss
    solver : Optimizer

    Attributes
    ----------
    alphas, dropout : list of float or Schedule
        One value per weight matrix, and one per hidden layer; each schedule is a
        checked copy with a ``start``.
    """

    def __init__(self, estimator, loss, solver):
        self.loss, self.solver = loss, solver
        flat = {k: plain(v) for k, v in estimator.get_params(deep=False).items()}
        self.hidden = hidden_sizes(flat["hidden_layer_sizes"], flat["n_hidden_layers"])
        n_hidden = len(self.hidden)
        self.activations = _activations(estimator, n_hidden)
        self.init = resolve(flat["init"], INITIALIZERS, flat)
        self.bias_init = float(flat["bias_init"])
        self.penalty = None
        if flat["penalty"] is not None:
            self.penalty = resolve(flat["penalty"], PENALTIES, flat)
        self.penalize_bias = flat["penalize_bias"]
        self.batch_norm = _norm(flat["batch_norm"], BatchNorm)
        self.layer_norm = _norm(flat["layer_norm"], LayerNorm)
        if self.batch_norm is not None and self.layer_norm is not None:
            raise ValueError(
                f"batch_norm={flat['batch_norm']!r} and layer_norm="
                f"{flat['layer_norm']!r} both normalize the inputs of the activations. "
                "Set one of them to False."
            )
        self.residual = flat["residual"]
        self.clip_norm = flat["clip_norm"]
        self.augment = _augment(estimator)
        self.embedding = None
        if flat["embedding"] is not None:
            self.embedding = resolve(flat["embedding"], EMBEDDINGS)
        self.feature_scaling = flat["feature_scaling"]
        self.inverted = flat["dropout_scaling"] == "inverted"
        self.dropconnect = flat["dropconnect"]
        self.input_dropout = flat["input_dropout"]
        self.dropout = per_layer(
            "dropout",
            flat["dropout"],
            n_hidden,
            "hidden layer",
            DROPOUT_RATE,
            schedules=True,
        )
        n_weights = n_hidden + 1
        self.alphas = per_layer(
            "alpha",
            flat["alpha"],
            n_weights,
            "weight matrix",
            STRENGTH,
            schedules=True,
        )
        self.max_norms = per_layer(
            "max_norm",
            flat["max_norm"],
            n_weights,
            "weight matrix",
            MAX_NORM,
            none=True,
        )
        self._flat, self._owner = flat, type(estimator).__name__
        # Networks that were checked; copies of the plan share the list.
        self._checked: list[tuple] = []
        self._check_solver()

    def _check_solver(self):
        """Raise ValueError if the solver does not support the other parameters."""
        names = ("dropout", "input_dropout", "dropconnect")
        noise = [name for name in names if _nonzero(self._flat[name])]
        noise += ["augment"] if self.augment else []
        if noise and not self.solver.stochastic:
            self._raise(
                ", ".join(noise),
                "it minimizes a fixed objective over all the data, which noise would "
                "make random",
            )
        if self._constrained and not self.solver.stochastic:
            self._raise("max_norm", "it does not support constraints")
        is_rough = (
            self.penalty is not None and not self.penalty.smooth and any(self.alphas)
        )
        if is_rough and not self.solver.proximal:
            self._raise("penalty", "it needs a smooth penalty, such as 'l2'")
        varies = self.penalty is not None and "alpha" in dict(self.schedules)
        if varies and not self.solver.stochastic:
            self._raise("alpha", "it minimizes a fixed objective")
        if self.solver.decoupled and self._undecayed:
            self._raise(
                "penalty",
                "it applies the decay of a penalty, and this one has none",
            )

    def _raise(self, what, reason):
        values = {name: self._flat[name] for name in what.split(", ")}
        raise ValueError(
            f"solver={self._flat['solver']!r} can't train with "
            f"{', '.join(f'{k}={v!r}' for k, v in values.items())}: {reason}. Choose "
            f"solver='adam' or 'sgd', or leave out {what}."
        )

    @property
    def schedules(self):
        """Pairs of a parameter's name and its schedule."""
        values = [("alpha", alpha) for alpha in self.alphas]
        values += [("dropout", rate) for rate in self.dropout]
        return [pair for pair in values if isinstance(pair[1], Schedule)]

    @property
    def _undecayed(self):
        """Whether there is a smooth penalty that weight decay would ignore."""
        return (
            self.penalty is not None
            and self.penalty.smooth
            and any(
                alpha and not self.penalty.decay(alpha)
                for alpha in map(value_at_start, self.alphas)
            )
        )

    @property
    def has_norm(self):
        """Whether the hidden layers are normalized."""
        return self.batch_norm is not None or self.layer_norm is not None

    @property
    def has_batch_norm(self):
        """Whether the hidden layers are normalized over the rows of a batch."""
        return self.batch_norm is not None

    @property
    def _constrained(self):
        return any(norm is not None for norm in self.max_norms)

    def start_noise(self, X, rng, fitted):
        """Start the noise parts; return the number of inputs after them.

        Parameters
        ----------
        X : {ndarray, sparse array} of shape (n_samples, n_features)
        rng : numpy.random.Generator
        fitted : list of Noise
            Noise parts of the fit that is continued, empty for a new fit. Parts that
            have not changed are kept.
        """
        n_inputs = X.shape[1]
        fitted = list(fitted)
        for i, noise in enumerate(self.augment):
            if fitted and kept(noise, fitted[0]) is fitted[0]:
                self.augment[i] = fitted.pop(0)
            else:
                # Parts after a new one are new too, since their inputs may differ.
                fitted.clear()
                noise.n_outputs_ = noise.start(n_inputs, rng)
            n_inputs = self.augment[i].n_outputs_
        return n_inputs

    def check_inputs(self, X):
        """Raise ValueError if the noise parts or the embedding do not support ``X``."""
        for block in blocks_of(X) if self.augment else ():
            check_inputs(self.augment, block)
        check_dense(self.embedding, X)

    def start_embedding(self, X, sample_weight, fitted):
        """Start the embedding; return the number of inputs after it.

        Parameters
        ----------
        X : {ndarray, sparse array, Rows} of shape (n_samples, n_features)
            Rows to train on.
        sample_weight : ndarray of shape (n_samples,) or None
        fitted : Embedding or None
            Embedding of the fit that is continued; it is kept if it has not changed.
        """
        self.embedding = kept(self.embedding, fitted)
        if self.embedding is not fitted:
            X = to_numpy(X) if is_tensor(X) else X
            for noise in self.augment:
                X = noise.predict(as_matrix(X))
            self.embedding.start(X, sample_weight)
        return self.embedding.n_outputs_

    def network(self, n_inputs, n_raw, dtype):
        """Return a network without weights.

        Raises
        ------
        ValueError
            If there are more weights than an array can hold, or a parameter leaves its
            domain when it is rounded to ``dtype``.
        """
        units = [n_inputs, *self.hidden, n_raw]
        if (self.loss, n_inputs, n_raw, dtype) not in self._checked:
            self._check_size(units)
            self._check_numbers(np.dtype(dtype).type)
            self._checked.append((self.loss, n_inputs, n_raw, dtype))
        layers = hidden_layers(
            units,
            self.activations,
            dropout=self.dropout,
            input_dropout=self.input_dropout,
            dropconnect=self.dropconnect,
            inverted=self.inverted,
            batch_norm=self.batch_norm,
            layer_norm=self.layer_norm,
            residual=self.residual,
            augment=self.augment,
            embedding=self.embedding,
            feature_scaling=self.feature_scaling,
            chooses_outputs=self.loss.chooses,
        )
        return Network(layers, dtype)

    def _check_size(self, units):
        n_weights = sum(a * b for a, b in pairwise(units))
        if n_weights > _MOST_WEIGHTS:
            raise ValueError(
                f"hidden_layer_sizes={shown(self._flat['hidden_layer_sizes'])} needs "
                f"more than {_MOST_WEIGHTS:.0e} weights, which no array can hold. "
                "Pass the number of units of each hidden layer, such as (100, 50)."
            )

    def _check_numbers(self, number):
        """Raise ValueError if a number leaves its domain when rounded to a type."""
        numbers = [
            (self._owner, name, self._flat[name], CONSTRAINTS[name])
            for name in _COMPUTED_WITH
        ]
        schedule = self._flat["learning_rate"]
        numbers.append((self._owner, "learning_rate", schedule, [LEARNING_RATE]))
        parts = [self.loss, self.solver, self.penalty, self.init]
        parts += [self.batch_norm, self.layer_norm, self.embedding]
        for each in filter(None, [*parts, *self.activations, *self.augment]):
            domains = each._parameter_constraints
            for name in domains.keys() & each.get_params(deep=False).keys():
                value = getattr(each, name)
                numbers.append((type(each).__name__, name, value, domains[name]))
        for owner, name, value, domain in numbers:
            for item in value if isinstance(value, list | tuple) else [value]:
                item = item.start if isinstance(item, Schedule) else item
                if isinstance(item, float) and not _survives(item, number, domain):
                    raise ValueError(
                        f"The {name!r} parameter of {owner} is {item!r}, which "
                        f"{number.__name__}, the data type of the computation, rounds "
                        f"to {_rounded(item, number)}. Pass a number that it can "
                        "represent, or set dtype='float64'."
                    )

    def program(self, network):
        """Return the training step of a network."""
        return Program(
            network,
            self.loss,
            self.penalty,
            self.alphas,
            self.penalize_bias,
            self.max_norms,
            self.solver,
            self.clip_norm,
        )

    def objective(self, network, batch=None):
        """Return the objective of a network; see ``Objective``."""
        program = Program(
            network, self.loss, self.penalty, self.alphas, self.penalize_bias
        )
        return Objective(program, batch)


# Numerical parameters of the estimator that are cast to the type of the network.
_COMPUTED_WITH = ("alpha", "bias_init", "learning_rate_init", "max_norm")
_MOST_WEIGHTS = 2**60


def _rounded(value, number):
    with np.errstate(over="ignore", under="ignore"):
        return float(number(value))


def _survives(value, number, constraints):
    """Whether a number stays in its domain when it is rounded to a type."""
    domains = [c for c in constraints if isinstance(c, Interval)]
    rounded = _rounded(value, number)
    return not domains or any(domain.is_satisfied_by(rounded) for domain in domains)


def _nonzero(value: Any) -> bool:
    try:
        return any(value)
    except TypeError:
        return bool(value)


def _activations(estimator, n_hidden):
    specs = estimator.activation
    if not isinstance(specs, list | tuple):
        specs = [specs] * n_hidden
    if len(specs) != n_hidden:
        raise ValueError(
            "activation must be one activation or a list with one per hidden layer, "
            f"{n_hidden} here. Got {len(specs)}: {specs}."
        )
    for spec in specs:
        check_value(
            type(estimator).__name__, "activation", spec, part(ACTIVATIONS, Activation)
        )
    return [resolve(spec, ACTIVATIONS) for spec in specs]


def _augment(estimator):
    specs = estimator.augment
    if specs is None:
        return []
    specs = specs if isinstance(specs, list | tuple) else [specs]
    for spec in specs:
        if not isinstance(spec, Noise):
            raise TypeError(
                "augment must be None, a part of sknn_notes.noise or a list of them. "
                f"Got {spec!r}."
            )
    return [resolve(spec, {}) for spec in specs]


def _norm(spec, kind):
    if isinstance(spec, kind):
        return resolve(spec, {})
    return kind() if spec else None
