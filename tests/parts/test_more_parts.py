"""More activations and initializers: by formula and against PyTorch."""

from math import exp, pi

import numpy as np
import pytest
from scipy.stats import kstest, norm

from sknn_notes.activations import ELU, GELU, LeakyReLU, SiLU
from sknn_notes.initializers import LSUV, Initializer, Orthogonal, Sparse

# Activations

ACTIVATIONS = [
    LeakyReLU(),
    LeakyReLU(negative_slope=0.3),
    LeakyReLU(negative_slope=0.0),
    ELU(),
    ELU(alpha=0.5),
    ELU(alpha=2.0),
    GELU(),
    SiLU(),
]
every_activation = pytest.mark.parametrize("part", ACTIVATIONS, ids=str)


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


def points(limit=6.0, dtype=np.float64):
    """Return values of both signs, none of them 0."""
    return np.linspace(-limit, limit, 100)[:, None].astype(dtype)


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
def test_by_hand_at_minus_two_zero_and_two(part, value, slope):
    Z = np.array([[-2.0, 0.0, 2.0]])
    np.testing.assert_allclose(forward(part, Z), [value], rtol=1e-13)
    np.testing.assert_allclose(derivative(part, Z), [slope], rtol=1e-13)


@every_activation
def test_the_derivative_is_the_slope(part):
    Z, step = points(), 1e-5
    slope = (forward(part, Z + step) - forward(part, Z - step)) / (2 * step)
    error = np.linalg.norm(derivative(part, Z) - slope)
    assert error <= 1e-9 * np.linalg.norm(slope)


@every_activation
@pytest.mark.parametrize("limit", [0.01, 3, 20])
def test_as_in_torch(part, limit):
    torch = pytest.importorskip("torch")
    functions = torch.nn.functional
    function = {
        LeakyReLU: lambda z: functions.leaky_relu(z, part.negative_slope),
        ELU: lambda z: functions.elu(z, part.alpha),
        GELU: functions.gelu,
        SiLU: functions.silu,
    }[type(part)]
    Z = torch.tensor(points(limit), requires_grad=True)
    A = function(Z)
    A.sum().backward()
    # atol: far below 0, 1 + erf cancels in PyTorch and not here.
    A = A.detach().numpy()
    np.testing.assert_allclose(forward(part, points(limit)), A, 1e-13, 1e-14)
    np.testing.assert_allclose(derivative(part, points(limit)), Z.grad, 1e-13, 1e-14)


@pytest.mark.parametrize("part", [GELU(), SiLU()], ids=str)
def test_far_below_zero_values_and_slopes_keep_their_digits(part):
    z = np.array([[-30.0, -10.0]])
    gate = {GELU: norm.cdf, SiLU: lambda z: 1 / (1 + np.exp(-z))}[type(part)](z)
    slope_of_gate = {GELU: norm.pdf(z), SiLU: gate * (1 - gate)}[type(part)]
    np.testing.assert_allclose(forward(part, z), z * gate, rtol=1e-12)
    np.testing.assert_allclose(derivative(part, z), gate + z * slope_of_gate, rtol=1e-9)


@every_activation
def test_forward_may_write_over_its_input_or_leave_it_alone(part):
    Z = points()
    expected = forward(part, Z)
    np.testing.assert_array_equal(Z, points())
    part.forward(Z, Z)
    np.testing.assert_array_equal(Z, expected)


@every_activation
def test_backward_multiplies_what_comes_from_above(part):
    Z = points()
    A = np.empty_like(Z) if part.keeps_input else Z
    part.forward(Z, A)
    above = np.linspace(-3, 3, Z.size)[:, None]
    delta = above.copy()
    part.backward(delta, A, Z)
    np.testing.assert_allclose(delta, above * derivative(part, points()), rtol=1e-14)


@pytest.mark.needs("numpy>=1.24", "expm1 does not warn of NaN")
@every_activation
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_huge_inputs_and_nan_and_the_type_pass(part, dtype):
    Z = np.array([[-1e18, 1e18, np.nan]], dtype)
    out = forward(part, Z)
    assert np.isfinite(out).tolist() == [[True, True, False]]
    assert out[0, 1] == Z[0, 1]
    slope = derivative(part, Z)
    assert out.dtype == slope.dtype == dtype
    assert slope[0, 1] == 1


@every_activation
def test_float32_is_as_good_as_it_can_be(part):
    Z = points(dtype=np.float32)
    wide = Z.astype(float)
    np.testing.assert_allclose(forward(part, Z), forward(part, wide), 1e-5)
    np.testing.assert_allclose(
        derivative(part, Z), derivative(part, wide), rtol=1e-5, atol=1e-6
    )


def test_smooth_ones_keep_their_input_and_all_are_of_the_relu_family():
    assert [cls for cls in (ELU, GELU, LeakyReLU, SiLU) if cls.keeps_input] == [
        GELU,
        SiLU,
    ]
    assert all(cls.rectifies for cls in (ELU, GELU, LeakyReLU, SiLU))


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (LeakyReLU(negative_slope=1.0), "'negative_slope' parameter of LeakyReLU"),
        (LeakyReLU(negative_slope=-0.1), "'negative_slope' parameter of LeakyReLU"),
        (ELU(alpha=0.0), "'alpha' parameter of ELU"),
        (Sparse(n_connections=0), "'n_connections' parameter of Sparse"),
        (Sparse(std=0.0), "'std' parameter of Sparse"),
        (Orthogonal(gain=0.0), "'gain' parameter of Orthogonal"),
    ],
)
def test_parameters_outside_their_domain_are_refused(part, message):
    with pytest.raises(ValueError, match=message):
        part.check()


# Initializers


def draw(init, fan_in=40, fan_out=30, seed=0):
    return init.draw(fan_in, fan_out, None, np.random.default_rng(seed))


@pytest.mark.parametrize("init", [Sparse(), Orthogonal(), LSUV()], ids=str)
def test_draws_are_float64_and_repeat_with_the_seed(init):
    W = draw(init)
    assert W.dtype == np.float64
    np.testing.assert_array_equal(W, draw(init))
    assert not np.array_equal(W, draw(init, seed=1))


@pytest.mark.parametrize("n_connections", [1, 3, 10, 39, 40, 100])
def test_every_unit_has_exactly_its_connections(n_connections):
    W = draw(Sparse(n_connections=n_connections))
    np.testing.assert_array_equal((W != 0).sum(axis=0), min(n_connections, 40))


def test_connections_are_at_places_that_are_equally_likely():
    places = draw(Sparse(n_connections=4), 10, 20_000) != 0
    # 6 standard deviations of the share of a binomial.
    bound = 6 * np.sqrt(0.4 * 0.6 / 20_000)
    np.testing.assert_allclose(places.mean(axis=1), 0.4, atol=bound)
    pairs = (places.T.astype(float).T @ places.T) / 20_000
    off_diagonal = pairs[~np.eye(10, dtype=bool)]
    np.testing.assert_allclose(off_diagonal, 0.4 * 3 / 9, atol=bound)


@pytest.mark.parametrize("std", [0.01, 0.5])
def test_the_weights_of_connections_are_gaussian(std):
    W = draw(Sparse(std=std), 100, 500)
    assert kstest(W[W != 0] / std, "norm").pvalue > 1e-3


@pytest.mark.parametrize(("fan_in", "fan_out"), [(40, 30), (30, 40), (20, 20), (1, 5)])
@pytest.mark.parametrize("gain", [1.0, 2.0])
def test_columns_or_rows_are_orthonormal(fan_in, fan_out, gain):
    W = draw(Orthogonal(gain=gain), fan_in, fan_out)
    assert W.shape == (fan_in, fan_out)
    gram = W.T @ W if fan_in >= fan_out else W @ W.T
    np.testing.assert_allclose(gram, gain**2 * np.eye(len(gram)), atol=1e-13)


def test_a_layer_that_does_not_shrink_keeps_lengths():
    X = np.random.default_rng(1).normal(size=(50, 30))
    for fan_out in (30, 80):
        Z = X @ draw(Orthogonal(), 30, fan_out)
        lengths = np.linalg.norm(Z, axis=1)
        np.testing.assert_allclose(lengths, np.linalg.norm(X, axis=1), rtol=1e-12)


def test_rotations_are_equally_likely():
    """The angle of the first column is uniform, and half of the maps are mirrors."""
    maps = [draw(Orthogonal(), 2, 2, seed) for seed in range(2000)]
    angles = [np.arctan2(W[1, 0], W[0, 0]) for W in maps]
    assert kstest(angles, "uniform", (-pi, 2 * pi)).pvalue > 1e-3
    mirrors = np.mean([np.linalg.det(W) < 0 for W in maps])
    assert mirrors == pytest.approx(0.5, abs=6 * 0.5 / np.sqrt(2000))


def test_lsuv_starts_orthonormal_and_asks_for_data():
    np.testing.assert_array_equal(draw(LSUV()), draw(Orthogonal()))
    assert LSUV.needs_data
    assert not Initializer.needs_data
    assert not Orthogonal.needs_data


@pytest.mark.parametrize("bias", [0.0, 3.0])
def test_one_lsuv_step_gives_unit_variance(bias):
    X = 5 * np.random.default_rng(1).normal(size=(50, 40)) + 2
    W, init = draw(LSUV()), LSUV()
    W *= init.scale(X @ W + bias)
    assert np.var(X @ W + bias) == pytest.approx(1, rel=1e-12)
    assert init.scale(X @ W + bias) == pytest.approx(1, rel=1e-12)


def test_lsuv_by_hand():
    # The mean is 1 and the variance (9 + 1 + 4 + 0 + 1 + 9) / 6 = 4.
    Z = np.array([[4.0, 0.0, 3.0], [1.0, 0.0, -2.0]])
    assert LSUV().scale(Z) == pytest.approx(0.5, rel=1e-14)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e30])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_outputs_that_do_not_vary_are_left_alone(value, dtype):
    assert LSUV().scale(np.full((7, 3), value, dtype)) == 1


def test_lsuv_lets_a_signal_through_ten_relu_layers():
    scaled = unscaled = np.random.default_rng(1).normal(size=(200, 50))
    for seed in range(10):
        W = draw(LSUV(), 50, 50, seed)
        unscaled = np.maximum(unscaled @ W, 0)
        Z = scaled @ W
        scaled = np.maximum(Z * LSUV().scale(Z), 0)
    assert np.std(unscaled) < 0.1
    assert np.std(scaled) > 0.5
