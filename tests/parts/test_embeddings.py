"""What every embedding does, and the formulas of each."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sknn_notes import MLPClassifier, MLPRegressor
from sknn_notes._checks import InvalidParameterError
from sknn_notes.embeddings import EMBEDDINGS, Embedding, Periodic, PiecewiseLinear

every_embedding = pytest.mark.parametrize("name", EMBEDDINGS)
every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def inputs(dtype=np.float64, n=60):
    rng = np.random.default_rng(0)
    return np.column_stack(
        [rng.normal(size=n), rng.integers(2, size=n), rng.exponential(size=n)]
    ).astype(dtype)


def started(part, X):
    """Return the initial arrays of an embedding."""
    part.start(X)
    p = {name: np.empty(shape, X.dtype) for name, shape in part.parameters().items()}
    part.draw(p, np.random.default_rng(1))
    return p | {name: array.astype(X.dtype) for name, array in part.constants().items()}


# Every embedding


@every_dtype
@every_embedding
def test_the_features_come_first(name, dtype):
    part, X = EMBEDDINGS[name](), inputs(dtype)
    before = X.copy()
    p = started(part, X)
    out, _ = part.forward(p, X, np)
    assert out.dtype == dtype
    assert out.shape == (len(X), part.n_outputs_)
    assert part.n_features_ == X.shape[1]
    assert_array_equal(out[:, : X.shape[1]], X)
    assert_array_equal(X, before)


@every_embedding
def test_rows_do_not_depend_on_each_other(name):
    part, X = EMBEDDINGS[name](), inputs()
    p = started(part, X)
    out, _ = part.forward(p, X, np)
    assert_allclose(part.forward(p, X[3:4], np)[0], out[3:4], rtol=1e-12)


@every_embedding
def test_no_output_exceeds_the_bound(name):
    part, X = EMBEDDINGS[name](), inputs()
    p = started(part, X)
    for factor in (1, 10, 1000):
        out, _ = part.forward(p, factor * X, np)
        size = np.abs(out).max()
        assert size <= part.bound(p, np.abs(factor * X).max()) * (1 + 1e-12)


@every_embedding
def test_the_same_seed_draws_the_same(name):
    one, other = (started(EMBEDDINGS[name](), inputs()) for _ in range(2))
    for key in one:
        assert_array_equal(one[key], other[key])


# Periodic


def test_periodic_by_hand():
    part = Periodic(n_frequencies=2, n_units=1)
    part.start(np.zeros((1, 2)))
    p = {
        "frequencies": np.array([[0.25, 0.5], [1.0, 0.0]]),
        "phases": np.array([[0.0, 0.25], [0.5, 0.0]]),
        "weights": np.array([[[1.0], [10.0]], [[2.0], [3.0]]]),
        "biases": np.array([[0.5], [-1.0]]),
    }
    # cos(pi / 2), cos(3 pi / 2); cos(3 pi), cos(0)
    out, _ = part.forward(p, np.array([[1.0, 1.0]]), np)
    assert_allclose(out, [[1, 1, 0.5, 2 * -1 + 3 - 1]], atol=1e-14)
    # cos(pi), cos(5 pi / 2); cos(5 pi / 2), cos(0)
    out, _ = part.forward(p, np.array([[2.0, 0.75]]), np)
    assert_allclose(out, [[2, 0.75, -0.5, 2]], atol=1e-14)
    part.activation = "relu"
    out, _ = part.forward(p, np.array([[2.0, 0.75]]), np)
    assert_allclose(out, [[2, 0.75, 0, 2]], atol=1e-14)


def test_periodic_starts_from_its_distributions():
    part = Periodic(n_frequencies=50, n_units=4, sigma=0.3)
    p = started(part, np.zeros((1, 40)))
    assert_allclose(p["frequencies"].std(), 0.3, rtol=0.05)
    assert_allclose(np.abs(p["phases"]).max(), np.pi, rtol=0.01)
    assert_allclose(p["phases"].std(), np.pi / 3**0.5, rtol=0.05)
    for name in ("weights", "biases"):
        assert_allclose(np.abs(p[name]).max(), 50**-0.5, rtol=0.05)


@pytest.mark.parametrize(
    "part",
    [
        Periodic(sigma=0.0),
        Periodic(n_frequencies=0),
        Periodic(n_units=0),
        Periodic(activation="tanh"),
        PiecewiseLinear(n_bins=0),
    ],
    ids=str,
)
def test_parameters_outside_their_domains_raise(part):
    with pytest.raises(InvalidParameterError, match=type(part).__name__):
        MLPRegressor(embedding=part).fit(inputs(), np.arange(60.0))


# Piecewise linear


def test_piecewise_linear_by_hand():
    X = np.array([0.0, 1, 2, 3, 4, 5, 6, 8, 12]).reshape(-1, 1)
    part = PiecewiseLinear(n_bins=2)
    p = started(part, X)
    assert_array_equal(p["lower"], [0, 4])
    assert_array_equal(p["width"], [4, 8])
    raw = np.column_stack([np.clip(X / 4, 0, 1), np.clip((X - 4) / 8, 0, 1)])
    expected = (raw - raw.mean(axis=0)) / raw.std(axis=0)
    assert_allclose(part.forward(p, X, np)[0][:, 1:], expected)


def test_columns_of_one_or_two_values_have_no_components():
    X = inputs()
    X[:, 2] = 7
    part = PiecewiseLinear(n_bins=4)
    p = started(part, X)
    assert_array_equal(part.features_, 0)
    X = X[:, 1:]
    p = started(part, X)
    assert part.n_outputs_ == 2
    assert_array_equal(part.forward(p, X, np)[0], X)


# Names and parts that users define


@pytest.mark.parametrize(
    ("name", "hint"),
    [("plr", "activation='relu'"), ("ple", "piecewise_linear"), ("pbld", "periodic")],
)
def test_other_names_are_understood(name, hint):
    with pytest.raises(InvalidParameterError, match=hint):
        MLPRegressor(embedding=name).fit(inputs(), np.arange(60.0))


class Squares(Embedding):
    """Each feature and its square; it has neither loops nor ``onnx``."""

    def start(self, X, sample_weight=None):
        self.n_features_, self.n_outputs_ = X.shape[1], 2 * X.shape[1]
        return self.n_outputs_

    def forward(self, p, X, xp):
        return np.hstack([X, X * X]), None

    def bound(self, p, size):
        return max(size, size * size)


def test_an_embedding_of_a_user():
    X = inputs()
    y = (X[:, 0] ** 2 > 1).astype(int)
    model = MLPClassifier((), embedding=Squares(), learning_rate_init=0.1)
    model.set_params(random_state=0).fit(X, y)
    assert model.score(X, y) > 0.95
    assert model.coefs_[0].shape == (6, 1)
    assert model.executor_.startswith("numpy (")


def test_a_registered_embedding_is_known_by_its_name():
    EMBEDDINGS.register("squares", Squares)
    try:
        model = MLPRegressor(embedding="squares", max_iter=3, random_state=0)
        assert len(model.fit(inputs(), np.arange(60.0)).coefs_[0]) == 6
    finally:
        del EMBEDDINGS["squares"]
