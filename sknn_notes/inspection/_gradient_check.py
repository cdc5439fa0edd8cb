"""The gradient of an objective against centered differences, at a few coordinates."""

import numpy as np

from sknn_notes._engine.network import Network
from sknn_notes._engine.objective import Objective
from sknn_notes._typing import Floats, Integers
from sknn_notes.inspection._subject import Batch

_STEP = 1e-5
_N_PROBES = 8
# Gradients so many times larger than the rounding of a difference count in full.
_ABOVE_ROUNDING = 1e5


def gradient_errors(
    objective: Objective, batch: Batch, rng: np.random.Generator
) -> tuple[float, str]:
    """Return the largest relative error over the parameter arrays, and its array.

    Per weight matrix, bias and scale, the coordinates of the largest gradients and some
    random ones are probed in float64; probes with a kink between their two ends are
    left out. Gradients that drown in the rounding of the differences make no error.

    Returns
    -------
    error : float
        NaN where every probe sat at a kink.
    name : str
        The array with this error.
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
    """Return the centered difference, and how far the slopes of its halves differ."""
    before = array[place]
    array[place] = before + _STEP
    above = objective(*batch)
    array[place] = before - _STEP
    below = objective(*batch)
    array[place] = before
    slope = (above - below) / (2 * _STEP)
    return slope, abs(above - 2 * middle + below) / _STEP
