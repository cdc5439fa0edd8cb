"""From parameters to a network, its objective and what can't be combined."""

from typing import Any

from sknn_notes._component import check_name, kept, resolve
from sknn_notes._engine.network import Network
from sknn_notes._engine.objective import Objective
from sknn_notes.activations import ACTIVATIONS, Activation
from sknn_notes.initializers import INITIALIZERS
from sknn_notes.neural_network._parameters import (
    DROPOUT_RATE,
    MAX_NORM,
    STRENGTH,
    hidden_sizes,
    per_layer,
)
from sknn_notes.noise import Noise
from sknn_notes.noise._base import check_inputs
from sknn_notes.normalization import BatchNorm
from sknn_notes.penalties import PENALTIES


class Plan:
    """The resolved parts and per-layer values of an estimator's parameters.

    Everything that can be wrong with the parameters together is found here, before any
    array of the network exists.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    loss : Loss
    solver : Optimizer
    """

    def __init__(self, estimator, loss, solver):
        self.loss, self.solver = loss, solver
        flat = estimator.get_params(deep=False)
        self.hidden = hidden_sizes(flat["hidden_layer_sizes"], flat["n_hidden_layers"])
        n_hidden = len(self.hidden)
        self.activations = _activations(estimator, n_hidden)
        self.init = resolve(flat["init"], INITIALIZERS, flat)
        self.bias_init = float(flat["bias_init"])
        self.penalty = None
        if flat["penalty"] is not None:
            self.penalty = resolve(flat["penalty"], PENALTIES, flat)
        self.penalize_bias = flat["penalize_bias"]
        self.batch_norm = _batch_norm(flat["batch_norm"])
        self.augment = _augment(estimator)
        self.inverted = flat["dropout_scaling"] == "inverted"
        self.dropconnect = flat["dropconnect"]
        self.input_dropout = flat["input_dropout"]
        self.dropout = per_layer(
            "dropout", flat["dropout"], n_hidden, "hidden layer", DROPOUT_RATE
        )
        n_weights = n_hidden + 1
        self.alphas = per_layer(
            "alpha", flat["alpha"], n_weights, "weight matrix", STRENGTH
        )
        self.max_norms = per_layer(
            "max_norm",
            flat["max_norm"],
            n_weights,
            "weight matrix",
            MAX_NORM,
            none=True,
        )
        self._flat = flat
        self._check_solver()

    def _check_solver(self):
        """Refuse what the solver can't handle."""
        names = ("dropout", "input_dropout", "dropconnect")
        noise = [name for name in names if _nonzero(self._flat[name])]
        noise += ["augment"] if self.augment else []
        if noise and not self.solver.stochastic:
            self._refuse(
                ", ".join(noise),
                "it minimises one fixed objective over all the data, and noise makes "
                "it random",
            )
        if self._constrained and not self.solver.stochastic:
            self._refuse("max_norm", "it takes no constraints")
        kinks = (
            self.penalty is not None and not self.penalty.smooth and any(self.alphas)
        )
        if kinks and not self.solver.proximal:
            self._refuse("penalty", "it needs a smooth penalty, such as 'l2'")
        if self.solver.decoupled and self._undecayed:
            self._refuse(
                "penalty", "it applies what the penalty's decay returns, which is 0"
            )

    def _refuse(self, what, reason):
        values = {name: self._flat[name] for name in what.split(", ")}
        raise ValueError(
            f"solver={self._flat['solver']!r} can't train with "
            f"{', '.join(f'{k}={v!r}' for k, v in values.items())}: {reason}. Choose "
            f"solver='adam' or 'sgd', or leave out {what}."
        )

    @property
    def _undecayed(self):
        """Whether there is a smooth penalty that weight decay would leave out."""
        return (
            self.penalty is not None
            and self.penalty.smooth
            and any(alpha and not self.penalty.decay(alpha) for alpha in self.alphas)
        )

    @property
    def _constrained(self):
        return any(norm is not None for norm in self.max_norms)

    def start_noise(self, X, rng, fitted):
        """Return the number of inputs that the noise parts leave of ``X``'s features.

        Parameters
        ----------
        X : {ndarray, sparse array} of shape (n_samples, n_features)
        rng : numpy.random.Generator
        fitted : list of Noise
            The parts of the fit that goes on, empty for a new one; those that have not
            changed stay as they are.
        """
        n_inputs = X.shape[1]
        fitted = list(fitted)
        for i, noise in enumerate(self.augment):
            if fitted and kept(noise, fitted[0]) is fitted[0]:
                self.augment[i] = fitted.pop(0)
            else:
                # What follows a new part is new, too: its inputs may be others.
                fitted.clear()
                noise.n_outputs_ = noise.start(n_inputs, rng)
            n_inputs = self.augment[i].n_outputs_
        return n_inputs

    def check_inputs(self, X):
        """Raise ValueError if a noise part can't take what reaches it."""
        check_inputs(self.augment, X)

    def network(self, n_inputs, n_raw, dtype):
        """Return a network without weights."""
        return Network(
            [n_inputs, *self.hidden, n_raw],
            self.activations,
            dtype,
            dropout=self.dropout,
            input_dropout=self.input_dropout,
            dropconnect=self.dropconnect,
            inverted=self.inverted,
            batch_norm=self.batch_norm,
            augment=self.augment,
        )

    def objective(self, network):
        """Return the objective over a network."""
        return Objective(
            network,
            self.loss,
            self.penalty,
            self.alphas,
            self.penalize_bias,
            self.max_norms if self._constrained else None,
            self.solver.decoupled,
        )


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
        check_name(type(estimator).__name__, "activation", spec, ACTIVATIONS)
        if not isinstance(spec, str | Activation):
            raise ValueError(
                "Each value of activation must be a name or an Activation. Got "
                f"{spec!r} in {specs}."
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


def _batch_norm(spec):
    if isinstance(spec, BatchNorm):
        return resolve(spec, {})
    return BatchNorm() if spec else None
