"""What the hidden units do on some data: their outputs, slopes and gradients."""

from typing import Any, NamedTuple

import numpy as np

from sknn_notes._engine.objective import Objective
from sknn_notes._typing import Floats
from sknn_notes.activations import Activation

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

    outputs: list[Floats]
    slopes: list[Floats]
    gradients: list[Floats] | None


def unit_states(objective: Objective, X: Any, y: Any = None) -> UnitStates:
    """Return the states of all hidden units in one pass as in training, without noise.

    Gradients are those of the mean loss at the dense outputs, times the number of
    samples: without batch norm, of every sample's own loss.
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
    """Return each layer's share of (sample, unit) pairs at a flat end, as an array."""
    return np.array([np.mean(slope < SATURATED) for slope in slopes])


def dead_fractions(slopes: list[Floats]) -> Floats:
    """Return each layer's share of units flat on every sample, as an array."""
    return np.array([np.mean((slope < DEAD).all(axis=0)) for slope in slopes])
