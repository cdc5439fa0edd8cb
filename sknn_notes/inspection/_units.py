"""What the hidden units do on some data: their outputs, slopes and gradients."""

from typing import NamedTuple

import numpy as np

# Relative to the steepest slope of the activation: a unit this flat on a sample is
# saturated there (tanh beyond 0.975), and one this flat on all samples is dead. A leaky
# ReLU of the usual slope, 0.01, lies between the two: it always passes some gradient.
SATURATED = 0.05
DEAD = 1e-3


class UnitStates(NamedTuple):
    """One array of shape (n_samples, n_units) per hidden layer in each list.

    ``slopes`` are the absolute slopes of the activations where the units stand,
    relative to the steepest; ``gradients`` is None without targets.
    """

    outputs: list
    slopes: list
    gradients: list | None


def unit_states(objective, X, y=None):
    """Return the states of all hidden units in one pass as in training, without noise.

    Gradients are those of the mean loss at the dense outputs, times the number of
    samples: without batch norm, of every sample's own loss.
    """
    network = objective.network
    hidden = network.layers[:-1]
    raw = network.forward(X)
    outputs = [layer.A.copy() for layer in hidden]
    slopes = [_slopes(layer) for layer in hidden]
    if y is None:
        return UnitStates(outputs, slopes, None)
    objective.loss.value_and_gradient(raw, y, None, network.delta)
    network.backward()
    gradients = [layer.delta * X.shape[0] for layer in hidden]
    return UnitStates(outputs, slopes, gradients)


def _slopes(layer):
    Z = layer.Z if layer.activation.keeps_input else layer.A
    slope = _derivative(layer.activation, layer.A, Z)
    z = np.linspace(-4, 4, 81)
    a = np.empty_like(z)
    layer.activation.forward(z, a)
    steepest = _derivative(
        layer.activation, a, z if layer.activation.keeps_input else a
    )
    return np.abs(slope) / np.abs(steepest).max()


def _derivative(activation, A, Z):
    slope, A = np.ones_like(A), A.copy()
    activation.backward(slope, A, Z.copy() if activation.keeps_input else A)
    return slope


def saturated_fractions(slopes):
    """Return each layer's share of (sample, unit) pairs at a flat end, as an array."""
    return np.array([np.mean(slope < SATURATED) for slope in slopes])


def dead_fractions(slopes):
    """Return each layer's share of units flat on every sample, as an array."""
    return np.array([np.mean((slope < DEAD).all(axis=0)) for slope in slopes])
