"""Comparison of a gradient with centered differences, at a few coordinates."""

import numpy as np

from sknn_notes._engine.network import Network
from sknn_notes._engine.objective import Objective
from sknn_notes._typing import Floats, Integers
from sknn_notes.inspection._subject import Batch

_STEP = 1e-5
_N_PROBES = 8
# The relative error is damped for gradients below so many times the rounding error of
# a difference.
_ABOVE_ROUNDING = 1e5


def gradient_errors(
    objective: Objective, batch: Batch, rng: np.random.Generator
) -> tuple[float, str]:
    """Return the largest relative error over the parameter arrays, and its array.

    In each weight matrix, bias and scale, the coordinates with the largest gradients
    and some random ones are probed in float64. Probes across a point where the
    objective is not differentiable are left out. Gradients below the rounding error of
    the differences count as correct.

    Returns
    -------
    error : float
        NaN if no probe could be used.
    name : str
        Name of the array with this error.
    """
    value = objective(*batch)
    rounding = 4 * np.finfo(float).eps * max(1, abs(value)) / _STEP
    worst, worst_name = np.nan, ""
    for name, array, gradient in _arrays(objective.network):
        places = _places(gradient, rng)
        probes = [_probe(objective, batch, array, place, value) for place in places]
        slopes, jumps = np.array(probes).T
        kept = jumps <= 1e-3 * np.abs(gradient).max() + rounding
        if not kept.any():
            continue
        analytic, numeric = gradient[places][kept], slopes[kept]
        size = max(np.linalg.norm(analytic), np.linalg.norm(numeric))
        error = np.linalg.norm(analytic - numeric) / (size + _ABOVE_ROUNDING * rounding)
        if not error <= worst:
            worst, worst_name = error, name
    return worst, worst_name


def _arrays(network: Network) -> list[tuple[str, Floats, Floats]]:
    """Return name, flat view and gradient of every parameter array."""
    names = {"W": "weights", "b": "biases", "shift": "shifts", "scale": "scales"}
    return [
        (
            f"{names.get(entry.name, entry.name)} {entry.depth + 1}",
            network.theta[entry.start : entry.stop],
            network.grad[entry.start : entry.stop].copy(),
        )
        for entry in network.layout.learned
    ]


def _places(gradient: Floats, rng: np.random.Generator) -> Integers:
    n = min(_N_PROBES // 2, len(gradient))
    largest = np.argpartition(np.abs(gradient), -n)[-n:]
    return np.union1d(largest, rng.integers(len(gradient), size=n))


def _probe(
    objective: Objective, batch: Batch, array: Floats, place: int, middle: float
) -> tuple[float, float]:
    """Return the centered difference, and the difference of its one-sided slopes."""
    before = array[place]
    array[place] = before + _STEP
    above = objective(*batch)
    array[place] = before - _STEP
    below = objective(*batch)
    array[place] = before
    slope = (above - below) / (2 * _STEP)
    return slope, abs(above - 2 * middle + below) / _STEP
