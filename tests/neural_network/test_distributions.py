"""Regressors that predict distributions: mean and spread, and several quantiles."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import mean_pinball_loss
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

from sknn_notes import MLPRegressor, Standardizer
from sknn_notes.losses import REGRESSION_LOSSES, GaussianNLL, Quantile

LEVELS = [0.1, 0.5, 0.9]
DISTRIBUTIONS = ["gaussian_nll", Quantile(LEVELS)]
every_distribution = pytest.mark.parametrize("loss", DISTRIBUTIONS, ids=str)


def network(loss, **params):
    options = {"hidden_layer_sizes": (20,), "learning_rate_init": 0.01}
    return MLPRegressor(loss, **{**options, "random_state": 0, **params})


@pytest.fixture(scope="module")
def data():
    """Noise that grows along the feature."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(1000, 1))
    spread = 0.1 + 0.3 * (X[:, 0] + 1)
    return X, np.sin(3 * X[:, 0]) + spread * rng.normal(size=1000), spread


def raw_outputs(model, X):
    hidden = np.maximum(X @ model.coefs_[0] + model.intercepts_[0], 0)
    return hidden @ model.coefs_[1] + model.intercepts_[1]


def distribution(model, X):
    if hasattr(model, "predict_quantiles"):
        return [model.predict(X), model.predict_quantiles(X)]
    return list(model.predict(X, return_std=True))


# Mean and spread


def test_the_spread_follows_the_noise(data):
    X, y, spread = data
    model = network("gaussian_nll").fit(X, 100 * y + 1000)
    mean, std = model.predict(X, return_std=True)
    np.testing.assert_array_equal(mean, model.predict(X))
    assert mean.shape == std.shape == (1000,)
    assert np.corrcoef(std, spread)[0, 1] > 0.95
    assert np.std((100 * y + 1000 - mean) / std) == pytest.approx(1, abs=0.05)


def test_published_weights_are_mean_and_log_variance_in_the_unit_of_the_targets(data):
    X, y, _ = data
    Y = np.column_stack([1e5 + 1e4 * y, -1e-3 * y])
    model = network("gaussian_nll", max_iter=20).fit(X, Y)
    mean, std = model.predict(X, return_std=True)
    assert mean.shape == std.shape == (1000, 2)
    raw = raw_outputs(model, X)
    assert raw.shape == (1000, 4)
    np.testing.assert_allclose(mean, raw[:, :2], rtol=1e-12)
    np.testing.assert_allclose(std, np.exp(raw[:, 2:] / 2), rtol=1e-12)
    # The curve is that of the likelihood, on standardized targets.
    z = (Y - Y.mean(axis=0)) / Y.std(axis=0)
    m, s = (mean - Y.mean(axis=0)) / Y.std(axis=0), std / Y.std(axis=0)
    nll = np.log(s) + (z - m) ** 2 / (2 * s**2)
    loss, _ = GaussianNLL().per_sample(np.hstack([m, 2 * np.log(s)]), z, np)
    np.testing.assert_allclose(loss, nll.sum(axis=1), rtol=1e-9)


@pytest.mark.parametrize("loss", ["squared_error", "poisson", Quantile(LEVELS)])
def test_other_losses_have_no_standard_deviation(loss, data):
    X, y, _ = data
    model = network(loss, max_iter=1).fit(X, np.exp(y))
    with pytest.raises(ValueError, match=r"return_std=True.*loss='gaussian_nll'"):
        model.predict(X, return_std=True)


def test_monte_carlo_adds_the_variance_of_the_means(data):
    X, y, _ = data
    model = network("gaussian_nll", dropout=0.3, max_iter=10).fit(X, 50 * y)
    model.set_params(marginalization="monte_carlo", n_mc_samples=7)
    mean, std = model.predict(X, return_std=True)
    passes = []
    model._mean(X, lambda targets, raw: passes.append(raw) or raw)
    means, variances = np.split(np.array(passes), 2, axis=-1)
    np.testing.assert_allclose(mean, means.mean(axis=0)[:, 0], rtol=1e-12)
    total = np.exp(variances).mean(axis=0) + means.var(axis=0)
    np.testing.assert_allclose(std, np.sqrt(total)[:, 0], rtol=1e-12)
    spread = model.predict_spread(X)
    np.testing.assert_allclose(spread, means.std(axis=0), rtol=1e-9)
    assert np.all(spread[:, 0] < std)


@pytest.mark.parametrize("exponent", [-900, 900])
def test_extreme_units_keep_the_standard_deviation(exponent, data):
    X, y, _ = data
    model = network(
        "gaussian_nll", dropout=0.3, max_iter=3, marginalization="monte_carlo"
    )
    _, expected = model.fit(X, y).predict(X, return_std=True)
    _, std = clone(model).fit(X, 2.0**exponent * y).predict(X, return_std=True)
    np.testing.assert_allclose(std, 2.0**exponent * expected, rtol=1e-10)


def test_a_network_that_learns_targets_exactly_stays_finite():
    X = np.random.default_rng(0).normal(size=(50, 3))
    for y in (np.zeros(50), np.full(50, 7.0), X[:, 0]):
        model = network("gaussian_nll", max_iter=300, n_iter_no_change=300).fit(X, y)
        mean, std = model.predict(X, return_std=True)
        np.testing.assert_allclose(mean, y, atol=0.3)
        assert np.isfinite(model.loss_curve_).all()
        assert np.all(std > 0)
        assert np.all(std < 0.3)


# Quantiles


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_quantiles_hold_their_shares_and_never_cross(data, n_outputs):
    X, y, _ = data
    Y = np.column_stack([1000 + 100 * y, 1e-3 * y])[:, :n_outputs]
    model = network(Quantile(LEVELS)).fit(X, Y.squeeze())
    for points in (X, 50 * X):
        quantiles = model.predict_quantiles(points)
        assert quantiles.shape == (1000, *([2] if n_outputs == 2 else []), 3)
        assert np.all(np.diff(quantiles, axis=-1) >= 0)
        np.testing.assert_array_equal(model.predict(points), quantiles[..., 1])
    below = Y.squeeze()[..., None] <= model.predict_quantiles(X)
    np.testing.assert_allclose(
        below.mean(axis=0), np.tile(LEVELS, below.shape[1:-1] + (1,)), atol=0.04
    )
    assert model.score(X, Y.squeeze()) > 0.5


def test_several_quantiles_do_not_pay_for_not_crossing(data):
    X, y, _ = data
    quantiles = network(Quantile(LEVELS)).fit(X, y).predict_quantiles(X)
    for k, q in enumerate(LEVELS):
        alone = network(Quantile(q)).fit(X, y).predict(X)
        loss = mean_pinball_loss(y, quantiles[:, k], alpha=q)
        assert loss < 1.03 * mean_pinball_loss(y, alone, alpha=q)


@pytest.mark.parametrize(
    ("levels", "nearest"),
    [([0.1, 0.4, 0.8], 1), ([0.3, 0.7], 0), ([0.6, 0.9], 0), ([0.05, 0.45], 1)],
)
def test_predict_returns_the_quantile_nearest_to_the_median(data, levels, nearest):
    X, y, _ = data
    model = network(Quantile(levels), max_iter=2).fit(X, y)
    quantiles = model.predict_quantiles(X)
    np.testing.assert_array_equal(model.predict(X), quantiles[:, nearest])


def test_published_weights_of_quantiles(data):
    X, y, _ = data
    y = 1000 + 100 * y
    model = network(Quantile(LEVELS), max_iter=5).fit(X, y)
    raw = raw_outputs(model, X)
    steps = y.std() * np.logaddexp(0, raw[:, 1:])
    expected = np.cumsum(np.hstack([raw[:, :1], steps]), axis=1)
    np.testing.assert_allclose(model.predict_quantiles(X), expected, rtol=1e-12)


def test_one_quantile_is_the_prediction(data):
    X, y, _ = data
    for loss in ("quantile", Quantile(0.8)):
        model = network(loss, max_iter=5).fit(X, y)
        assert model.out_activation_ == "identity"
        quantiles = model.predict_quantiles(X)
        np.testing.assert_array_equal(quantiles, model.predict(X)[:, None])
    same = network(Quantile([0.8]), max_iter=5).fit(X, y)
    np.testing.assert_array_equal(same.predict_quantiles(X), quantiles)


@pytest.mark.parametrize("loss", [*REGRESSION_LOSSES, None, Quantile([0.1, 0.9])])
def test_only_quantile_losses_have_predict_quantiles(loss):
    model = MLPRegressor(loss)
    expected = loss == "quantile" or isinstance(loss, Quantile)
    assert hasattr(model, "predict_quantiles") == expected
    if not expected:
        with pytest.raises(AttributeError, match=r"predicts no quantiles.*Quantile\("):
            model.predict_quantiles  # noqa: B018


def test_what_was_fitted_counts(data):
    X, y, _ = data
    model = network(Quantile(LEVELS), max_iter=1).fit(X, y)
    assert hasattr(model.set_params(loss="squared_error"), "predict_quantiles")
    assert model.predict_quantiles(X).shape == (1000, 3)


def test_monte_carlo_averages_quantiles(data):
    X, y, _ = data
    model = network(Quantile(LEVELS), dropout=0.3, max_iter=5).fit(X, 50 * y)
    model.set_params(marginalization="monte_carlo", n_mc_samples=5)
    passes, link = [], model._targets.link
    model._mean(X, lambda _, raw: passes.append(link.quantiles(raw)[:, 0]) or raw)
    quantiles = model.predict_quantiles(X)
    np.testing.assert_allclose(quantiles, np.mean(passes, axis=0), rtol=1e-12)
    assert np.all(np.diff(quantiles) >= 0)
    np.testing.assert_allclose(model.predict(X), quantiles[:, 1], rtol=1e-12)
    spread = model.predict_spread(X)[:, 0]
    np.testing.assert_allclose(spread, np.std(passes, axis=0)[:, 1], rtol=1e-9)


@pytest.mark.parametrize("quantile", [[0.9, 0.1], [0.5, 0.5], [], [0.0, 0.5]])
def test_quantiles_are_checked_before_training(quantile, data):
    X, y, _ = data
    with pytest.raises(ValueError, match="strictly increasing"):
        network(Quantile(quantile)).fit(X, y)


# Both


@every_distribution
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_distributions_do_not_depend_on_the_unit(loss, early_stopping, dtype, data):
    X, y, _ = data
    model = network(loss, early_stopping=early_stopping, max_iter=20, dtype=dtype)
    center, width = distribution(model.fit(X, y), X)
    curve = model.loss_curve_
    model = clone(model).fit(X, 1024 * y)
    scaled, wider = distribution(model, X)
    assert scaled.dtype == wider.dtype == dtype
    np.testing.assert_allclose(scaled, 1024 * center, rtol=1e-5)
    np.testing.assert_allclose(wider, 1024 * width, rtol=1e-4, atol=1e-2)
    assert model.loss_curve_ == curve


@every_distribution
def test_scoring_watches_predictions_in_the_unit_of_the_targets(loss, data):
    X, y, _ = data
    model = network(loss, early_stopping=True, scoring=None, max_iter=20)
    model.fit(X, 1e3 + 1e2 * y, X_val=X[:200], y_val=1e3 + 1e2 * y[:200])
    score = model.score(X[:200], 1e3 + 1e2 * y[:200])
    assert model.best_validation_score_ == pytest.approx(score, abs=1e-9)


@every_distribution
def test_training_goes_on_where_it_stopped(loss, data):
    X, y, _ = data
    y = 1000 + 100 * y
    long = network(loss, max_iter=6, shuffle=False).fit(X, y)
    parts = network(loss, max_iter=3, shuffle=False, warm_start=True)
    parts.fit(X, y).fit(X, y)
    stream = network(loss, shuffle=False, batch_size=200).fit(X, y)
    for a, b in zip(distribution(long, X), distribution(parts, X), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)
    stream = network(loss)
    for _ in range(30):
        stream.partial_fit(X, y)
    assert stream.score(X, y) > 0.5
    # On another scale, from the same predictions.
    before = stream.predict(X)
    stream.set_params(warm_start=True, learning_rate_init=1e-12, max_iter=1)
    stream.fit(X, y)
    np.testing.assert_allclose(stream.predict(X), before, rtol=1e-6)


@every_distribution
def test_weights_set_by_hand_are_gone_on_from(loss, data):
    X, y, _ = data
    model = network(loss, max_iter=5, warm_start=True).fit(X, 1000 + 100 * y)
    model.intercepts_[-1] = (
        model.intercepts_[-1] + np.array([50, 0.1, 0.2])[: len(model.intercepts_[-1])]
    )
    before = distribution(model, X)
    model.set_params(learning_rate_init=1e-12, max_iter=1).fit(X, 1000 + 100 * y)
    for a, b in zip(distribution(model, X), before, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


@every_distribution
def test_another_number_of_quantiles_cannot_go_on(loss, data):
    X, y, _ = data
    model = network(loss, max_iter=1, warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match=r"raw outputs.*loss"):
        model.set_params(loss="squared_error").fit(X, y)


@every_distribution
def test_sample_weights_are_repetitions(loss, data):
    X, y, _ = data
    weight = np.random.default_rng(1).integers(0, 3, size=len(y))
    rows = np.repeat(np.arange(len(y)), weight)
    options = {"solver": "sgd", "max_iter": 20}
    weighted = network(loss, batch_size=len(y), **options).fit(X, y, weight)
    repeated = network(loss, batch_size=len(rows), **options).fit(X[rows], y[rows])
    for a, b in zip(distribution(weighted, X), distribution(repeated, X), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-7)


@every_distribution
def test_without_standardizing_targets_are_trained_on_as_they_are(loss, data):
    X, y, _ = data
    model = network(loss, standardize_target=False).fit(X, y)
    by_hand = network(loss).fit(X, (y - y.mean()) / y.std())
    assert model.score(X, y) == pytest.approx(
        by_hand.score(X, (y - y.mean()) / y.std()), abs=0.02
    )


@every_distribution
def test_they_work_in_pipelines_searches_and_pickles(loss, data):
    X, y, _ = data
    pipeline = make_pipeline(Standardizer(), network(loss, max_iter=20)).fit(X, y)
    loaded = pickle.loads(pickle.dumps(pipeline))
    if loss == "gaussian_nll":
        for a, b in zip(
            pipeline.predict(X, return_std=True),
            loaded.predict(X, return_std=True),
            strict=True,
        ):
            np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(pipeline.predict(X), loaded.predict(X))
    assert np.mean(cross_val_score(pipeline, X, y, cv=2)) > 0.3


def test_quantiles_are_searched(data):
    X, y, _ = data
    grid = {"loss__quantile": [0.5, [0.1, 0.5, 0.9], [0.05, 0.1]]}
    search = GridSearchCV(network(Quantile(), max_iter=30), grid, cv=2).fit(X, y)
    assert search.best_params_["loss__quantile"] != [0.05, 0.1]


# Deviances


@pytest.mark.parametrize("loss", ["gamma", "tweedie"])
def test_deviances_predict_positive_means(loss, data):
    X, _, _ = data
    rng = np.random.default_rng(0)
    y = np.exp(2 * X[:, 0]) * rng.gamma(3, size=len(X)) / 3
    if loss == "tweedie":
        y[::10] = 0
    model = network(loss).fit(X, y)
    assert model.predict(X).min() > 0
    assert model.out_activation_ == "exp"
    share = 0.9 if loss == "tweedie" else 1
    ratio = model.predict(X) / (share * np.exp(2 * X[:, 0]))
    assert np.all(np.abs(np.log(ratio)) < 0.4)
    with pytest.raises(ValueError, match=f"{loss}|Tweedie"):
        model.fit(X, -y)
