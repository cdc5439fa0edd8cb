"""The network: a list of layers over a flat vector of parameters."""

from itertools import pairwise

import numpy as np

from sknn_notes._arrays import copied, namespace, to_numpy
from sknn_notes._engine.layout import Layout
from sknn_notes.activations import Identity
from sknn_notes.layers._activate import Activate
from sknn_notes.layers._base import Fitted, Flow
from sknn_notes.layers._batch_norm import BatchNormLayer
from sknn_notes.layers._dense import Dense
from sknn_notes.layers._dropout import Dropout, Mask
from sknn_notes.layers._embeddings import Embed
from sknn_notes.layers._feature_scaling import FeatureScaling
from sknn_notes.layers._input_noise import InputNoise
from sknn_notes.layers._layer_norm import LayerNormLayer
from sknn_notes.layers._residual import Fork, Join
from sknn_notes.schedules import Schedule


class Network:
    """Layers whose arrays are views of flat vectors.

    ``theta`` contains all learned arrays, ``grad`` their gradients at the same
    positions, ``running`` the running averages for prediction.

    Parameters
    ----------
    layers : list of Layer
    dtype : dtype
        float32 or float64.
    last : sequence of (int, str), default=()
        Arrays at the end of the vector; see ``Layout``.
    """

    def __init__(self, layers, dtype, last=()):
        self.layers = layers
        self.layout = Layout(layers, last)
        self.theta = np.zeros(self.layout.size, dtype)
        self.grad = np.zeros_like(self.theta)
        self.running = np.zeros(self.layout.n_averages, dtype)
        self.bind()
        for layer, p in zip(layers, self.p, strict=True):
            layer.start(p)
        self.n_random = sum(layer.is_random for layer in layers)

    def bind(self):
        """Set the views of the vectors, after the vectors have been replaced.

        The vectors may be arrays of another namespace, and may have a leading axis of
        models. The batch may then have that axis, too; without it, all models share the
        batch.
        """
        self.p = self.layout.views(self.theta, self.running, self.xp)
        self.g = self.layout.views(self.grad, xp=self.xp)

    @property
    def xp(self):
        """The array namespace of the vectors."""
        return namespace(self.theta)

    @property
    def dense(self):
        """The dense layers and their arrays, in order."""
        pairs = zip(self.layers, self.p, strict=True)
        return [(layer, p) for layer, p in pairs if isinstance(layer, Dense)]

    @property
    def shapes(self):
        """The shapes of the weight matrices of the dense layers."""
        return [(layer.n_inputs, layer.n_units) for layer, _ in self.dense]

    @property
    def n_inputs(self):
        """Number of inputs, before an embedding."""
        embedding = self.embedding
        return self.shapes[0][0] if embedding is None else embedding.n_features_

    @property
    def embedding(self):
        """The embedding, or None."""
        return next((x.embedding for x in self.layers if isinstance(x, Embed)), None)

    @property
    def activations(self):
        """The activations of the hidden layers."""
        return [x.activation for x in self.layers if isinstance(x, Activate)]

    @property
    def has_batch_norm(self):
        """Whether units are normalized over the rows of a batch."""
        return any(isinstance(layer, BatchNormLayer) for layer in self.layers)

    @property
    def has_noise(self):
        """Whether training draws random numbers."""
        return self.n_random > 0

    @property
    def fitted(self):
        """The arrays as fitted attributes of an estimator, views of ``theta``."""
        coefs = [p["W"] for _, p in self.dense]
        zeros = self.xp.zeros_like
        embeddings, scalings = self._of(Embed), self._of(FeatureScaling)
        return Fitted(
            coefs,
            # Zeros if a normalization makes the biases redundant.
            [p["b"] if "b" in p else zeros(p["W"][..., 0, :]) for _, p in self.dense],
            self._of(BatchNormLayer),
            self._of(LayerNormLayer),
            [p.get("W") for p in self._of(Join)] if self._of(Join) else None,
            self.embedding.shown(embeddings[0]) if embeddings else None,
            scalings[0]["factors"] if scalings else None,
        )

    def _of(self, kind):
        """Return the arrays of the layers of a class, None if there are none."""
        pairs = zip(self.layers, self.p, strict=True)
        return [p for layer, p in pairs if isinstance(layer, kind)] or None

    def load(self, fitted):
        """Copy the arrays of an estimator into the network."""
        for layer, p in zip(self.layers, self.p, strict=True):
            for name, array in layer.fitted(fitted).items():
                p[name][...] = to_numpy(array)

    def initialize(self, init, bias_init, rng):
        """Draw the weights with the initializer ``init``; set all biases."""
        activations = [*self.activations, Identity()]
        init.start(len(activations) - 1)
        with np.errstate(all="ignore"):
            for layer, p in zip(self.layers, self.p, strict=True):
                layer.draw(p, rng)
                if "W" not in p:
                    continue
                is_dense = isinstance(layer, Dense)
                activation = activations[layer.depth] if is_dense else Identity()
                shape = p["W"].shape
                p["W"][...] = init.draw(*shape, activation, rng)
                if "b" in p:
                    p["b"][...] = bias_init
                    if not bias_init:
                        p["b"][...] = init.draw_biases(*shape, activation, rng)
        self._check_start(init)

    def calibrate(self, init, X):
        """Scale the weights layer by layer, as ``init`` requires for ``X``."""
        flow = Flow(self.theta)
        with np.errstate(all="ignore"):
            for layer, p in zip(self.layers, self.p, strict=True):
                if isinstance(layer, Dense):
                    p["W"] *= init.scale(X @ p["W"])
                X, _ = layer.forward(p, X, flow)
        self._check_start(init)

    def _check_start(self, init):
        if not np.isfinite(self.theta).all():
            raise ValueError(
                f"With init={init!r}, the initial weights and biases are not finite "
                f"in {self.theta.dtype.name}, the dtype of the network. Choose smaller "
                "ones, scale X if init depends on it, or set dtype='float64'."
            )

    def forward(self, X, keys=None):
        """Return the raw outputs for a batch.

        Parameters
        ----------
        X : {array, sparse array} of shape (..., n_samples, n_inputs)
        keys : iterable of int, default=None
            One key per layer that draws random numbers. None disables the noise.
        """
        keys = None if keys is None else iter(keys)
        self._flow, self.kept = Flow(self.theta, keys), []
        for layer, p in zip(self.layers, self.p, strict=True):
            X, kept = layer.forward(p, X, self._flow)
            self.kept.append(kept)
        return X

    @property
    def hidden_states(self):
        """Outputs and inputs (or None) of each activation in the last ``forward``."""
        pairs = zip(self.layers, self.kept, strict=True)
        return [kept for layer, kept in pairs if isinstance(layer, Activate)]

    def backward(self, delta, seen=None):
        """Fill ``grad`` for the batch of the last ``forward``.

        Parameters
        ----------
        delta : array of shape (..., n_samples, n_outputs)
            Gradient with respect to the raw outputs; it may be overwritten.
        seen : list, default=None
            Receives the gradients with respect to the outputs of the dense layers, the
            last layer first.
        """
        first = next(i for i, layer in enumerate(self.layers) if layer.parameters())
        for i in range(len(self.layers) - 1, first - 1, -1):
            if seen is not None and isinstance(self.layers[i], Dense):
                seen.append(copied(delta, self.xp))
            delta = self.layers[i].backward(
                self.p[i], self.g[i], delta, self.kept[i], self._flow, i > first
            )

    def update_running(self):
        """Update the running averages with the last batch."""
        for layer, p, kept in zip(self.layers, self.p, self.kept, strict=True):
            layer.update_running(p, kept)

    def set_running(self):
        """Set the running averages to those of the last batch, all the data."""
        for layer, p, kept in zip(self.layers, self.p, self.kept, strict=True):
            layer.set_running(p, kept)


def hidden_layers(
    units,
    activations,
    *,
    dropout=None,
    input_dropout=0.0,
    dropconnect=0.0,
    inverted=True,
    batch_norm=None,
    layer_norm=None,
    residual=False,
    augment=(),
    embedding=None,
    feature_scaling=False,
    chooses_outputs=False,
):
    """Return the layers of a network, in order.

    Parameters
    ----------
    units : list of int
        Numbers of inputs (after the embedding, if any), of units of each hidden layer,
        and of outputs.
    activations : list of Activation
        One per hidden layer.
    dropout : sequence of (float or Schedule) or None, default=None
        Probability of dropping a unit, one per hidden layer.
    input_dropout, dropconnect : float, default=0.0
        Probability of dropping an input, a weight.
    inverted : bool, default=True
        Whether dropout scales the kept units in training rather than in prediction.
    batch_norm : BatchNorm or None, default=None
    layer_norm : LayerNorm or None, default=None
    residual : bool, default=False
        Whether to add the input of each hidden layer to its output.
    augment : sequence of Noise, default=()
        Noise on the inputs, in order.
    embedding : Embedding or None, default=None
        Initialized embedding; it comes after the noise.
    feature_scaling : bool, default=False
        Whether the (embedded) inputs are multiplied by learned factors.
    chooses_outputs : bool, default=False
        Whether training steps need single outputs. Their weights are then adjacent.
    """

    def mask(rate):
        if isinstance(rate, Schedule):
            assert rate.start is not None  # The estimators check it.
            return Mask(rate.start, inverted)
        return Mask(rate, inverted) if rate else None

    n_inputs = units[0] if embedding is None else embedding.n_features_
    layers: list = [InputNoise(noise, n_inputs) for noise in augment]
    layers += [] if embedding is None else [Embed(embedding)]
    if input_dropout:
        layers.append(Dropout(mask(input_dropout), 0, units[0]))
    layers += [FeatureScaling(units[0])] if feature_scaling else []
    shapes = list(pairwise(units))
    has_norm = batch_norm is not None or layer_norm is not None
    for depth, (activation, shape) in enumerate(
        zip(activations, shapes[:-1], strict=True)
    ):
        n_units = shape[1]
        drops = mask(dropout[depth]) if dropout is not None else None
        fork = Fork(depth, *shape)
        layers += [fork] if residual else []
        layers.append(
            Dense(*shape, depth, has_bias=not has_norm, dropconnect=mask(dropconnect))
        )
        if batch_norm is not None:
            layers.append(BatchNormLayer(batch_norm, n_units, depth))
        if layer_norm is not None:
            layers.append(LayerNormLayer(layer_norm, n_units, depth))
        layers.append(Activate(activation, depth, n_units, drops))
        if drops:
            schedule = dropout[depth] if isinstance(dropout[depth], Schedule) else None
            layers.append(Dropout(drops, depth, n_units, schedule))
        layers += [Join(fork)] if residual else []
    layers.append(
        Dense(
            *shapes[-1],
            len(activations),
            is_output=True,
            dropconnect=mask(dropconnect),
            transposed=chooses_outputs and len(shapes) > 1 and not dropconnect,
        )
    )
    return layers
