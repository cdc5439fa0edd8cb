"""Activations: by hand, against differences, and what every one promises."""

import numpy as np
import pytest

from sknn_notes.activations import ACTIVATIONS, Identity, Logistic, ReLU, Tanh

every_activation = pytest.mark.parametrize(
    "activation", ACTIVATIONS.values(), ids=ACTIVATIONS
)


def forward(part, Z):
    out = np.empty_like(Z)
    part.forward(Z, out)
    return out


def derivative(part, Z):
    """Return the derivative at Z as the network asks for it: A may share Z's memory."""
    Z = Z.copy()
    A = np.empty_like(Z) if part.keeps_input else Z
    part.forward(Z, A)
    delta = np.ones_like(Z)
    part.backward(delta, A, Z)
    return delta


def points(dtype=np.float64):
    """Values of both signs, none within 0.01 of zero."""
    return np.concatenate([np.linspace(-6, -0.01, 50), np.linspace(0.01, 6, 50)])[
        :, None
    ].astype(dtype)


@pytest.mark.parametrize(
    ("activation", "value", "slope"),
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
def test_by_hand_at_minus_two_zero_and_two(activation, value, slope):
    Z = np.array([[-2.0, 0.0, 2.0]])
    np.testing.assert_allclose(forward(activation, Z), [value], rtol=1e-14)
    np.testing.assert_allclose(derivative(activation, Z), [slope], rtol=1e-14)


@every_activation
def test_the_derivative_is_the_slope(activation):
    part, Z, step = activation(), points(), 1e-5
    slope = (forward(part, Z + step) - forward(part, Z - step)) / (2 * step)
    error = np.linalg.norm(derivative(part, Z) - slope)
    assert error <= 1e-8 * np.linalg.norm(slope)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_as_in_torch(name):
    torch = pytest.importorskip("torch")
    functions = {
        "elu": torch.nn.functional.elu,
        "gelu": torch.nn.functional.gelu,
        "identity": torch.nn.Identity(),
        "leaky_relu": torch.nn.functional.leaky_relu,
        "logistic": torch.sigmoid,
        "relu": torch.relu,
        "silu": torch.nn.functional.silu,
        "tanh": torch.tanh,
    }
    Z = torch.tensor(points(), requires_grad=True)
    A = functions[name](Z)
    A.sum().backward()
    part = ACTIVATIONS[name]()
    # atol: 1 - tanh(z)**2, ours, and 1 + erf(z), PyTorch's, cancel far out.
    np.testing.assert_allclose(forward(part, points()), A.detach(), 1e-13, 1e-15)
    np.testing.assert_allclose(derivative(part, points()), Z.grad, 1e-13, 1e-15)


@every_activation
def test_forward_may_write_over_its_input(activation):
    part, Z = activation(), points()
    expected = forward(part, Z)
    part.forward(Z, Z)
    np.testing.assert_array_equal(Z, expected)


@every_activation
def test_forward_leaves_an_input_elsewhere_alone(activation):
    Z = points()
    forward(activation(), Z)
    np.testing.assert_array_equal(Z, points())


@every_activation
def test_backward_multiplies_what_comes_from_above(activation):
    part, Z = activation(), points()
    A = np.empty_like(Z) if part.keeps_input else Z
    part.forward(Z, A)
    above = np.linspace(-3, 3, Z.size)[:, None]
    delta = above.copy()
    part.backward(delta, A, Z)
    np.testing.assert_allclose(delta, above * derivative(part, points()), rtol=1e-14)


@pytest.mark.needs("numpy>=1.24", "expm1 does not warn of NaN")
@every_activation
def test_nan_passes(activation):
    Z = np.array([[np.nan, 1.0]])
    assert np.isnan(forward(activation(), Z)).tolist() == [[True, False]]


@every_activation
def test_float32_stays_float32(activation):
    part, Z = activation(), points(np.float32)
    np.testing.assert_allclose(
        forward(part, Z), forward(part, Z.astype(float)), rtol=1e-5
    )
    np.testing.assert_allclose(
        derivative(part, Z), derivative(part, Z.astype(float)), atol=1e-6
    )


@every_activation
def test_huge_inputs_do_not_overflow(activation):
    Z = np.array([[-1e30, 1e30]])
    assert np.isfinite(forward(activation(), Z)).all()
    assert np.isfinite(derivative(activation(), Z)).all()


def test_the_relu_family_asks_for_hes_variance():
    family = {"elu", "gelu", "leaky_relu", "relu", "silu"}
    for name, cls in ACTIVATIONS.items():
        assert cls.rectifies == (name in family), name
