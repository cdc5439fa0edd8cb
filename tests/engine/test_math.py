"""The functions of compiled loops against ones of higher precision."""

from functools import cache

import numpy as np
import pytest
from scipy import special

pytest.importorskip("numba")

DTYPES = [np.float32, np.float64]
# The largest errors in units in the last place, as the docstrings say.
BOUNDS = {
    "exp": 1,
    "expm1": 2,
    "log": 1,
    "log1p": 1.3,
    "tanh": 2.6,
    "logistic": 2.5,
    "softplus": 2.1,
    "ndtr": 5,
}
each_function = pytest.mark.parametrize("name", BOUNDS)
each_dtype = pytest.mark.parametrize("dtype", DTYPES)


@cache
def over_array(name):
    """Return a compiled loop with the flags of the library, for they could do harm."""
    from numba import njit

    from sknn_notes._compile import _math
    from sknn_notes._compile._numba import OPTIONS

    function = getattr(_math, name)

    @njit(**OPTIONS)
    def loop(x, out):
        for i in range(x.size):
            out[i] = function(x[i])

    return loop


def compute(name, x):
    out = np.empty_like(x)
    over_array(name)(x, out)
    return out


def need_precision_beyond(dtype):
    if dtype == np.float64 and np.finfo(np.longdouble).eps > 2e-19:
        pytest.skip("longdouble is no more precise than float64 on this platform")


def reference(name, x):
    """Compute in float64 for float32, else in what is wider than float64."""
    if name == "ndtr" and x.dtype == np.float64:
        return normal_distribution(x.astype(np.longdouble))
    x = x.astype(np.float64 if x.dtype == np.float32 else np.longdouble)
    if name == "ndtr":
        return special.ndtr(x)
    if name in ("logistic", "softplus"):
        e = np.exp(-np.abs(x))
        if name == "softplus":
            return np.maximum(x, 0) + np.log1p(e)
        return np.where(x < 0, e, 1) / (1 + e)
    return getattr(np, name)(x)


def normal_distribution(x):
    """Compute by the series up to 2, by the continued fraction beyond."""
    a = np.abs(x)
    density = np.exp(-a * a / 2) / np.sqrt(2 * np.arccos(np.longdouble(-1)))
    small = np.minimum(a, 2)
    term = total = small
    for k in range(3, 71, 2):
        term = term * small * small / k
        total = total + term
    large = fraction = np.maximum(a, 2)
    for k in range(200, 0, -1):
        fraction = large + k / fraction
    tail = np.where(a < 2, 0.5 - density * total, density / fraction)
    return np.where(x < 0, tail, 1 - tail)


def arguments(name, dtype):
    rng = np.random.default_rng(0)
    info = np.finfo(dtype)
    n = 5_000 if name == "ndtr" else 50_000
    any_size = np.exp(
        rng.uniform(np.log(info.smallest_subnormal), 0.99 * np.log(info.max), n)
    )
    if name == "log1p":
        parts = [np.linspace(0, 1, n), any_size[any_size <= 1]]
    elif name == "log":
        parts = [any_size, np.linspace(0.5, 2, n), np.linspace(0.99, 1.01, n)]
    else:
        both = [any_size, np.linspace(0, 1, n), np.linspace(0, 20, n)]
        both += [np.linspace(0, 800, n), np.linspace(0, 110, n)]
        parts = [*both, *(-x for x in both)]
    return np.concatenate(parts).astype(dtype)


@each_dtype
def test_cosine_and_sine_of_turns(dtype):
    from numba import njit

    from sknn_notes._compile._math import cos_sin_turns
    from sknn_notes._compile._numba import OPTIONS

    @njit(**OPTIONS)
    def loop(u, cos, sin):
        for i in range(u.size):
            cos[i], sin[i] = cos_sin_turns(u[i])

    rng = np.random.default_rng(0)
    sizes = np.exp(rng.uniform(-20, 20, 20_000)) * rng.choice([-1, 1], 20_000)
    quarters = np.arange(-40, 41) / 8
    u = np.concatenate([np.linspace(-3, 3, 20_001), sizes, quarters]).astype(dtype)
    cos, sin = np.empty_like(u), np.empty_like(u)
    loop(u, cos, sin)
    need_precision_beyond(dtype)
    wide = u.astype(np.longdouble)
    angle = 2 * np.arccos(np.longdouble(-1)) * (wide - np.rint(wide))
    bound = 1.5 * np.finfo(dtype).eps
    assert np.max(np.abs(cos - np.cos(angle))) <= bound
    assert np.max(np.abs(sin - np.sin(angle))) <= bound
    n = len(quarters)
    np.testing.assert_array_equal(np.abs(cos[-n::2]) + np.abs(sin[-n::2]), 1)

    special_values = np.array([np.nan, np.inf, -np.inf, np.finfo(dtype).max], dtype)
    cos, sin = np.empty_like(special_values), np.empty_like(special_values)
    loop(special_values, cos, sin)
    np.testing.assert_array_equal(cos, [np.nan, np.nan, np.nan, 1])


@each_dtype
@each_function
def test_errors(name, dtype):
    need_precision_beyond(dtype)
    x = arguments(name, dtype)
    result = compute(name, x)
    with np.errstate(over="ignore"):
        exact = reference(name, x)
        rounded = exact.astype(dtype)
    np.testing.assert_array_equal(np.isinf(result), np.isinf(rounded))
    finite = np.isfinite(rounded)
    ulp = np.spacing(np.abs(rounded[finite])).astype(exact.dtype)
    assert np.max(np.abs(result[finite] - exact[finite]) / ulp) <= BOUNDS[name]


@each_dtype
@pytest.mark.parametrize(
    ("name", "at_infinity", "at_minus_infinity", "at_zero"),
    [
        ("exp", np.inf, 0, 1),
        ("expm1", np.inf, -1, 0),
        ("log", np.inf, np.nan, -np.inf),
        ("tanh", 1, -1, 0),
        ("logistic", 1, 0, 0.5),
        ("softplus", np.inf, 0, np.log(2)),
        ("ndtr", 1, 0, 0.5),
    ],
)
def test_special_values(name, at_infinity, at_minus_infinity, at_zero, dtype):
    large = np.finfo(dtype).max
    x = np.array([np.nan, np.inf, -np.inf, -large, 0, -0.0], dtype)
    limits = [at_infinity, at_minus_infinity, at_minus_infinity, at_zero, at_zero]
    expected = np.array([np.nan, *limits], dtype)
    rtol = 2 * np.finfo(dtype).eps
    np.testing.assert_allclose(compute(name, x), expected, rtol=rtol)
    at_large = {"softplus": large, "log": np.log(large)}.get(name, at_infinity)
    np.testing.assert_allclose(compute(name, x[3:4] * -1), at_large, rtol=rtol)


@each_dtype
@pytest.mark.parametrize("name", ["expm1", "tanh", "log1p"])
def test_zero_keeps_its_sign(name, dtype):
    result = compute(name, np.array([0.0, -0.0], dtype))
    np.testing.assert_array_equal(np.signbit(result), [False, True])


@each_dtype
def test_nan_stays_nan_in_log1p(dtype):
    assert np.isnan(compute("log1p", np.array([np.nan], dtype)))


@each_dtype
@each_function
def test_loops_are_vectorized(name, dtype):
    compute(name, np.ones(1, dtype))
    kind = {np.float32: "float", np.float64: "double"}[dtype]
    [code] = [
        code
        for signature, code in over_array(name).inspect_llvm().items()
        if signature[0].dtype.name == np.dtype(dtype).name
    ]
    assert f"x {kind}>" in code


def test_other_types_are_an_error():
    from numba.core.errors import TypingError

    with pytest.raises(TypingError, match="exp takes float32 or float64, got int64"):
        compute("exp", np.arange(3))


@cache
def normal_pairs():
    from numba import njit

    from sknn_notes._compile import _math
    from sknn_notes._compile._numba import OPTIONS

    @njit(**OPTIONS)
    def loop(words, std, out):
        for i in range(out.shape[1]):
            out[0, i], out[1, i] = _math.normal_pair(words[0, i], words[1, i], std)

    return loop


@each_dtype
def test_normals_are_those_of_box_and_muller(dtype):
    need_precision_beyond(dtype)
    words = np.random.default_rng(0).integers(0, 2**32, (2, 100_000), dtype=np.uint32)
    words[:, :4] = [[0, 0, 2**32 - 1, 2**32 - 1], [0, 2**31, 2**30, 2**32 - 1]]
    out = np.empty(words.shape, dtype)
    normal_pairs()(words, dtype(0.5), out)
    u = (words[0].astype(dtype) + dtype(0.5)) * dtype(2.0**-32)
    radius = 0.5 * np.sqrt(-2 * np.log(u.astype(np.longdouble)))
    angle = np.arccos(np.longdouble(-1)) * (words[1].view(np.int32) / 2.0**31)
    expected = radius * np.array([np.cos(angle), np.sin(angle)])
    assert np.all(np.abs(out - expected) <= 3 * np.finfo(dtype).eps * radius)


@each_dtype
def test_normals_are_normal_and_independent(dtype):
    words = np.random.default_rng(0).integers(0, 2**32, (2, 200_000), dtype=np.uint32)
    out = np.empty(words.shape, dtype)
    normal_pairs()(words, dtype(1), out)
    np.testing.assert_allclose(out.mean(axis=1), 0, atol=0.01)
    np.testing.assert_allclose(np.cov(out), np.eye(2), atol=0.01)
    np.testing.assert_allclose(np.cov(out**2), 2 * np.eye(2), atol=0.05)
    np.testing.assert_allclose((out.astype(float) ** 4).mean(axis=1), 3, atol=0.1)
