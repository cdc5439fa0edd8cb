"""Activations: by hand, against differences, and what every one promises."""

import os
import subprocess
import sys
from math import exp

import numpy as np
import pytest
from scipy.stats import norm

from sknn_notes._arrays import namespace
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

# Each with its defaults, and some with other parameters.
PARTS = [
    *(cls() for cls in ACTIVATIONS.values()),
    LeakyReLU(negative_slope=0.3),
    LeakyReLU(negative_slope=0.0),
    ELU(alpha=0.5),
    ELU(alpha=2.0),
]
# Without those of scikit-learn, which have wider bounds.
OURS = [part for part in PARTS if type(part) in (LeakyReLU, ELU, GELU, SiLU)]
every_activation = pytest.mark.parametrize("part", PARTS, ids=str)
every_one_of_ours = pytest.mark.parametrize("part", OURS, ids=str)


def points(dtype=np.float64):
    """Values of both signs, none within 0.01 of zero."""
    return np.concatenate([np.linspace(-6, -0.01, 50), np.linspace(0.01, 6, 50)])[
        :, None
    ].astype(dtype)


@pytest.mark.parametrize(
    ("part", "value", "slope"),
    [
        (Identity(), [-2, 0, 2], [1, 1, 1]),
        (ReLU(), [0, 0, 2], [0, 0, 1]),
        (
            Tanh(),
            [-0.9640275800758169, 0, 0.9640275800758169],
            [0.07065082485316443, 1, 0.07065082485316443],
        ),
        (
            Logistic(),
            [0.11920292202211755, 0.5, 0.8807970779778823],
            [0.1049935854035065, 0.25, 0.1049935854035065],
        ),
    ],
    ids=str,
)
def test_by_hand_at_minus_two_zero_and_two(form, part, value, slope):
    A, slopes = form.activate(part, np.array([[-2.0, 0.0, 2.0]]))
    np.testing.assert_allclose(A, [value], rtol=1e-14)
    np.testing.assert_allclose(slopes, [slope], rtol=1e-14)


@pytest.mark.parametrize(
    ("part", "value", "slope"),
    [
        (LeakyReLU(negative_slope=0.1), [-0.2, 0, 2], [0.1, 0.1, 1]),
        (ELU(), [exp(-2) - 1, 0, 2], [exp(-2), 1, 1]),
        (ELU(alpha=3), [3 * exp(-2) - 3, 0, 2], [3 * exp(-2), 3, 1]),
        (
            GELU(),
            [-2 * norm.cdf(-2), 0, 2 * norm.cdf(2)],
            [
                norm.cdf(-2) - 2 * norm.pdf(2),
                0.5,
                norm.cdf(2) + 2 * norm.pdf(2),
            ],
        ),
        (
            SiLU(),
            [-2 / (1 + exp(2)), 0, 2 / (1 + exp(-2))],
            [
                (1 - exp(2)) / (1 + exp(2)) ** 2,
                0.5,
                (1 + 3 * exp(-2)) / (1 + exp(-2)) ** 2,
            ],
        ),
    ],
    ids=str,
)
def test_by_formula_at_minus_two_zero_and_two(form, part, value, slope):
    A, slopes = form.activate(part, np.array([[-2.0, 0.0, 2.0]]))
    np.testing.assert_allclose(A, [value], rtol=1e-13)
    np.testing.assert_allclose(slopes, [slope], rtol=1e-13)


@every_activation
def test_the_derivative_is_the_slope(form, part):
    Z, step = points(), 1e-5
    above, below = form.activate(part, Z + step)[0], form.activate(part, Z - step)[0]
    slope = (above - below) / (2 * step)
    error = np.linalg.norm(form.activate(part, Z)[1] - slope)
    assert error <= 1e-8 * np.linalg.norm(slope)


@every_one_of_ours
def test_the_derivative_is_the_slope_closely(form, part):
    Z, step = np.linspace(-6, 6, 100)[:, None], 1e-5
    above, below = form.activate(part, Z + step)[0], form.activate(part, Z - step)[0]
    slope = (above - below) / (2 * step)
    error = np.linalg.norm(form.activate(part, Z)[1] - slope)
    assert error <= 1e-9 * np.linalg.norm(slope)


@pytest.mark.parametrize(
    ("part", "Z", "atol"),
    # atol: far from 0, our 1 - tanh(z)**2 and PyTorch's 1 + erf(z) cancel.
    [pytest.param(cls(), points(), 1e-15, id=n) for n, cls in ACTIVATIONS.items()]
    # Far below 0, 1 + erf cancels in PyTorch, but not here.
    + [
        pytest.param(part, np.linspace(-n, n, 100)[:, None], 1e-14, id=f"{part}-{n}")
        for part in OURS
        for n in (0.01, 3, 6, 20)
    ],
)
def test_as_in_torch(form, part, Z, atol):
    torch = pytest.importorskip("torch")
    functions = torch.nn.functional
    function = {
        ELU: lambda z: functions.elu(z, part.alpha),
        GELU: functions.gelu,
        Identity: torch.nn.Identity(),
        LeakyReLU: lambda z: functions.leaky_relu(z, part.negative_slope),
        Logistic: torch.sigmoid,
        ReLU: torch.relu,
        SiLU: functions.silu,
        Tanh: torch.tanh,
    }[type(part)]
    z = torch.tensor(Z, requires_grad=True)
    expected = function(z)
    expected.sum().backward()
    A, slopes = form.activate(part, Z)
    np.testing.assert_allclose(A, expected.detach(), 1e-13, atol)
    np.testing.assert_allclose(slopes, z.grad, 1e-13, atol)


@pytest.mark.parametrize("part", [GELU(), SiLU()], ids=str)
def test_far_below_zero_values_and_slopes_keep_their_digits(form, part):
    z = np.array([[-30.0, -10.0]])
    gate = {GELU: norm.cdf, SiLU: lambda z: 1 / (1 + np.exp(-z))}[type(part)](z)
    slope_of_gate = {GELU: norm.pdf(z), SiLU: gate * (1 - gate)}[type(part)]
    A, slopes = form.activate(part, z)
    np.testing.assert_allclose(A, z * gate, rtol=1e-12)
    np.testing.assert_allclose(slopes, gate + z * slope_of_gate, rtol=1e-9)


@every_activation
def test_the_input_is_left_alone(form, part):
    Z = points()
    form.activate(part, Z)
    np.testing.assert_array_equal(Z, points())


@every_activation
def test_backward_multiplies_what_comes_from_above(part):
    Z = points()
    A, kept = part.forward(Z, np), Z if part.keeps_input else None
    above = np.linspace(-3, 3, Z.size)[:, None]
    delta = part.backward(above.copy(), A, kept, np)
    slopes = part.backward(np.ones_like(Z), A, kept, np)
    np.testing.assert_allclose(delta, above * slopes, rtol=1e-14)


@pytest.mark.needs("numpy>=1.24", "expm1 does not warn of NaN")
@every_activation
def test_models_may_stand_in_front(part):
    """A stack of layers, one per model, gives the same as each layer alone."""
    Z = np.random.default_rng(0).normal(size=(2, 3, 5, 4))
    A, kept = part.forward(Z, np), Z if part.keeps_input else None
    delta = part.backward(np.ones_like(Z), A, kept, np)
    for model in np.ndindex(2, 3):
        alone = part.forward(Z[model], np)
        kept = Z[model] if part.keeps_input else None
        slopes = part.backward(np.ones_like(alone), alone, kept, np)
        np.testing.assert_allclose(A[model], alone, rtol=1e-14)
        np.testing.assert_allclose(delta[model], slopes, rtol=1e-14)


def test_tensors_of_pytorch_have_a_namespace():
    torch = pytest.importorskip("torch")
    Z = torch.tensor(points())
    A = Tanh().forward(Z, namespace(Z))
    np.testing.assert_allclose(A, np.tanh(points()), rtol=1e-13)


@every_activation
def test_nan_passes(form, part):
    A, _ = form.activate(part, np.array([[np.nan, 1.0]]))
    assert np.isnan(A).tolist() == [[True, False]]


@every_activation
def test_float32_stays_float32(form, part):
    Z = points(np.float32)
    A, slopes = form.activate(part, Z)
    wide, d_wide = form.activate(part, Z.astype(float))
    assert A.dtype == slopes.dtype == np.float32
    np.testing.assert_allclose(A, wide, rtol=1e-5)
    np.testing.assert_allclose(slopes, d_wide, atol=1e-6)


@every_activation
def test_huge_inputs_do_not_overflow(form, part):
    A, slopes = form.activate(part, np.array([[-1e30, 1e30]]))
    assert np.isfinite(A).all()
    assert np.isfinite(slopes).all()


@every_one_of_ours
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_huge_inputs_and_nan_and_the_type_pass(form, part, dtype):
    Z = np.array([[-1e18, 1e18, np.nan]], dtype)
    A, slopes = form.activate(part, Z)
    assert np.isfinite(A).tolist() == [[True, True, False]]
    assert A[0, 1] == Z[0, 1]
    assert A.dtype == slopes.dtype == dtype
    assert slopes[0, 1] == 1


def test_the_relu_family_asks_for_hes_variance():
    family = {"elu", "gelu", "leaky_relu", "relu", "silu"}
    for name, cls in ACTIVATIONS.items():
        assert cls.rectifies == (name in family), name


def test_what_an_activation_keeps_and_where_it_is_flat():
    assert [n for n, cls in ACTIVATIONS.items() if cls.keeps_input] == ["gelu", "silu"]
    assert [n for n, cls in ACTIVATIONS.items() if cls.flat_at_zero] == ["relu"]


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (LeakyReLU(negative_slope=1.0), "'negative_slope' parameter of LeakyReLU"),
        (LeakyReLU(negative_slope=-0.1), "'negative_slope' parameter of LeakyReLU"),
        (ELU(alpha=0.0), "'alpha' parameter of ELU"),
    ],
)
def test_parameters_outside_their_domain_raise(part, message):
    with pytest.raises(ValueError, match=message):
        part.check()


def test_the_first_function_that_a_process_compiles_may_call_elementary_ones(tmp_path):
    pytest.importorskip("numba")
    code = (
        "from sknn_notes._compile import address\n"
        "from sknn_notes.activations import Tanh\n"
        "from sknn_notes.layers._activate import forward\n"
        "address(forward, Tanh.value, dtype='float64')"
    )
    # The cache is empty, so that nothing can be loaded.
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
