"""States of the hidden units on some data: outputs, slopes and gradients."""

from typing import Any, NamedTuple

import numpy as np

from sknn_notes._engine.objective import Objective
from sknn_notes._typing import Floats
from sknn_notes.activations import Activation

# Slopes relative to the steepest slope of the activation: below the first one a unit is
# saturated on a sample (tanh beyond 0.975), below the second one on all samples it is
# dead. A leaky ReLU of slope 0.01 lies between the two: it always passes some gradient.
SATURATED = 0.05
DEAD = 1e-3


class UnitStates(NamedTuple):
    """Lists of one array of shape (n_samples, n_units) per hidden layer.

    ``slopes`` are the absolute slopes of the activations at the inputs of the units,
    relative to the steepest slope. ``gradients`` is None without targets.
    """

    outputs: list[Floats]
    slopes: list[Floats]
    gradients: list[Floats] | None


def unit_states(objective: Objective, X: Any, y: Any = None) -> UnitStates:
    """Return the states of all hidden units in a training pass without noise.

    The gradients are those of the mean loss with respect to the dense outputs, times
    the number of samples. Without batch norm, this is the gradient of the loss of each
    sample.
    """
    network = objective.network
    if y is None:
        network.forward(X)
    else:
        _, delta = objective.mean_loss(X, y)
    states = network.hidden_states
    outputs = [A.copy() for A, _ in states]
    slopes = [
        _slopes(activation, *state)
        for activation, state in zip(network.activations, states, strict=True)
    ]
    if y is None:
        return UnitStates(outputs, slopes, None)
    gradients: list[Floats] = []
    network.backward(delta, gradients)
    gradients = [delta * X.shape[0] for delta in gradients[:0:-1]]
    return UnitStates(outputs, slopes, gradients)


def _slopes(activation: Activation, A: Floats, Z: Floats) -> Floats:
    slope = activation.backward(np.ones_like(A), A, Z, np)
    z = np.linspace(-4, 4, 81)[None]
    steepest = activation.backward(np.ones_like(z), activation.forward(z, np), z, np)
    relative: Floats = np.abs(slope) / np.abs(steepest).max()
    return relative


def saturated_fractions(slopes: list[Floats]) -> Floats:
    """Return the fraction of saturated (sample, unit) pairs of each layer."""
    return np.array([np.mean(slope < SATURATED) for slope in slopes])


def dead_fractions(slopes: list[Floats]) -> Floats:
    """Return the fraction of dead units of each layer."""
    return np.array([np.mean((slope < DEAD).all(axis=0)) for slope in slopes])
