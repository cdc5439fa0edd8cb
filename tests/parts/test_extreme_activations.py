"""Activations of pre-activations of any size, against formulas in high precision."""

import numpy as np
import pytest

from sknn_notes.activations import (
    ACTIVATIONS,
    ELU,
    GELU,
    Identity,
    LeakyReLU,
    Logistic,
    ReLU,
    SiLU,
    Tanh,
)

mpmath = pytest.importorskip("mpmath")
mp, mpf = mpmath.mp, mpmath.mpf


@pytest.fixture(autouse=True)
def overflow_is_silent():
    """Ignore overflows as a training does."""
    with np.errstate(all="ignore"):
        yield


def logistic(z):
    e = mp.exp(-abs(z))
    return (1 if z >= 0 else e) / (1 + e)


def gelu(part, z):
    # Beyond, the distribution function is 0 or 1 to any precision.
    return z * mp.erfc(-z / mp.sqrt(2)) / 2 if abs(z) < 1000 else max(z, mpf(0))


FORMULAS = {
    ELU: lambda part, z: z if z > 0 else part.alpha * mp.expm1(z),
    GELU: gelu,
    Identity: lambda part, z: z,
    LeakyReLU: lambda part, z: max(z, mpf(part.negative_slope) * z),
    Logistic: lambda part, z: logistic(z),
    ReLU: lambda part, z: max(z, mpf(0)),
    SiLU: lambda part, z: z * logistic(z),
    Tanh: lambda part, z: 2 * logistic(2 * z) - 1,
}


def test_every_activation_has_its_formula_here():
    assert {*ACTIVATIONS.values()} == FORMULAS.keys()


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize(
    "dtype", ["float32", pytest.param("float64", marks=pytest.mark.nightly)]
)
def test_values_and_slopes_are_exact_up_to_rounding(every_form, name, dtype):
    top = 10.0 ** (38 if dtype == "float32" else 300)
    sizes = [1e-30, 1e-3, 0.5, 1, 3, 5, 9, 13, 30, 37, 85, 110, 600, 1e4]
    sizes += [np.sqrt(top), np.sqrt(10 * top), top]
    Z = np.array([sizes, [-size for size in sizes]]).astype(dtype)
    part = ACTIVATIONS[name]()
    formula, step = FORMULAS[type(part)], mpf(10) ** -40
    values, slopes = np.empty((2, *Z.shape))
    with mp.workdps(120 if dtype == "float32" else 380):
        for place in np.ndindex(Z.shape):
            z = mpf(float(Z[place]))
            up, down = formula(part, z + step), formula(part, z - step)
            values[place], slopes[place] = formula(part, z), (up - down) / (2 * step)
    for form in every_form:
        for actual, exact in zip(form.activate(part, Z), (values, slopes), strict=True):
            assert actual.dtype == dtype
            # Probabilities and differences of them are rounded in units of 1.
            bound = 16 * np.finfo(dtype).eps * (1 + np.abs(exact))
            assert (np.abs(actual - exact) <= bound).all()
