"""From parameters to a network, its objective and what can't be combined."""

from typing import Any

from scipy.sparse import issparse

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

    def _refuse(self, what, reason):
        values = {name: self._flat[name] for name in what.split(", ")}
        raise ValueError(
            f"solver={self._flat['solver']!r} can't train with "
            f"{', '.join(f'{k}={v!r}' for k, v in values.items())}: {reason}. Choose "
            f"solver='adam' or 'sgd', or leave out {what}."
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
        if self.augment and issparse(X):
            raise ValueError(
                f"augment={self._flat['augment']!r} works on dense inputs; X is "
                "sparse. Pass X.toarray(), or leave out augment."
            )
        n_inputs = X.shape[1]
        for i, noise in enumerate(self.augment):
            if i < len(fitted) and kept(noise, fitted[i]) is fitted[i]:
                self.augment[i] = fitted[i]
                n_inputs = fitted[i].n_outputs_
            else:
                noise.n_outputs_ = n_inputs = noise.start(n_inputs, rng)
        return n_inputs

    def check_inputs(self, X):
        """Raise ValueError if a noise part can't take what reaches it."""
        for i, noise in enumerate(self.augment):
            # Past a part that may put out negative values nothing is promised.
            if i == 0 or all(n.keeps_non_negative() for n in self.augment[:i]):
                noise.check_input(X)
            elif noise.needs_non_negative:
                raise ValueError(
                    f"{noise!r} takes inputs of at least 0, and the parts before it "
                    "may put out negative ones. Change their order."
                )

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
