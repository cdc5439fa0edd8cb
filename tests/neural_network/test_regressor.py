"""The regressor: targets, losses, weights, and how training goes."""

import numpy as np
import pytest
from sklearn.metrics import r2_score

from sknn_notes import MLPRegressor
from sknn_notes.losses import SquaredError


def network(**params):
    return MLPRegressor(
        **{
            "hidden_layer_sizes": (10,),
            "learning_rate_init": 0.01,
            "max_iter": 20,
            "random_state": 0,
            **params,
        }
    )


# Targets


def test_a_loss_is_resolved_once_a_fit(one_target):
    checks = []

    class Counted(SquaredError):
        def check(self):
            checks.append(self)
            super().check()

    X, y = one_target
    model = network(loss=Counted(), early_stopping=True)
    model.fit(X, y, X_val=X[:20], y_val=y[:20])
    assert len(checks) == 1


@pytest.mark.filterwarnings("ignore:.* has no effect")
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_one_target(one_target, solver):
    X, y = one_target
    model = network(solver=solver, max_iter=200, alpha=0.0).fit(X, y)
    assert model.n_outputs_ == 1
    assert model.coefs_[-1].shape == (10, 1)
    assert model.predict(X).shape == y.shape
    assert model.score(X, y) > 0.9


@pytest.mark.filterwarnings("ignore:.* has no effect")
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_two_targets(two_targets, solver):
    X, Y = two_targets
    model = network(solver=solver, max_iter=200, alpha=0.0).fit(X, Y)
    assert model.n_outputs_ == 2
    assert model.predict(X).shape == Y.shape
    assert model.score(X, Y) > 0.9


@pytest.mark.filterwarnings("ignore:A column-vector y was passed")
def test_a_column_is_one_target(one_target):
    X, y = one_target
    model = network().fit(X, y[:, None])
    np.testing.assert_array_equal(model.predict(X), network().fit(X, y).predict(X))


def test_integer_targets_are_numbers(one_target):
    X, y = one_target
    whole = np.round(10 * y).astype(int)
    by_int, by_float = network().fit(X, whole), network().fit(X, whole.astype(float))
    np.testing.assert_array_equal(by_int.predict(X), by_float.predict(X))


def test_boolean_targets_are_numbers(one_target):
    X, y = one_target
    models = [
        MLPRegressor(max_iter=3, random_state=0).fit(X, target)
        for target in (y > 0, (y > 0).astype(float))
    ]
    np.testing.assert_array_equal(*[model.predict(X) for model in models])


def test_plain_lists_are_taken(two_targets):
    X, Y = two_targets
    model = network().fit(X.tolist(), Y.tolist())
    np.testing.assert_array_equal(
        model.predict(X.tolist()), network().fit(X, Y).predict(X)
    )


def test_fit_leaves_the_targets_alone(two_targets):
    X, Y = two_targets
    X_before, Y_before = X.copy(), Y.copy()
    network(input_dropout=0.2, dropout=0.2).fit(X, Y)
    np.testing.assert_array_equal(X, X_before)
    np.testing.assert_array_equal(Y, Y_before)


# Losses


def test_the_squared_error_is_half_of_the_sum_over_targets(two_targets):
    X, Y = two_targets
    model = network(batch_size=len(X), max_iter=1, learning_rate_init=1e-12, alpha=0.0)
    model.fit(X, Y)
    by_hand = 0.5 * np.mean(np.sum((model.predict(X) - Y) ** 2, axis=1))
    assert model.loss_ == pytest.approx(by_hand, rel=1e-9)
    assert model.out_activation_ == "identity"


@pytest.mark.filterwarnings("ignore:.* has no effect")
def test_an_unpenalised_linear_network_is_least_squares(two_targets):
    X, Y = two_targets
    model = network(
        hidden_layer_sizes=(), solver="lbfgs", alpha=0.0, max_iter=500, tol=1e-10
    ).fit(X, Y)
    design = np.column_stack([X, np.ones(len(X))])
    exact = np.linalg.lstsq(design, Y, rcond=None)[0]
    np.testing.assert_allclose(model.coefs_[0], exact[:-1], atol=1e-6)
    np.testing.assert_allclose(model.intercepts_[0], exact[-1], atol=1e-6)


@pytest.mark.filterwarnings("ignore:.* has no effect")
def test_a_linear_network_with_l2_is_ridge_regression(two_targets):
    X, Y = two_targets
    alpha = 0.3
    model = network(
        hidden_layer_sizes=(), solver="lbfgs", alpha=alpha, max_iter=500, tol=1e-10
    ).fit(X, Y)
    # sum ||e||² / (2 n) + alpha / 2 ||W||²; the intercept is free.
    Xc, Yc = X - X.mean(axis=0), Y - Y.mean(axis=0)
    gram = Xc.T @ Xc / len(X) + alpha * np.eye(X.shape[1])
    np.testing.assert_allclose(
        model.coefs_[0], np.linalg.solve(gram, Xc.T @ Yc / len(X)), atol=1e-6
    )


@pytest.mark.filterwarnings("ignore:.* has no effect")
def test_penalising_the_bias_shrinks_it(one_target):
    X, y = one_target
    params = {"hidden_layer_sizes": (), "solver": "lbfgs", "alpha": 1.0, "tol": 1e-9}
    params["standardize_target"] = False
    free = network(**params, max_iter=200).fit(X, y + 5)
    shrunk = network(**params, max_iter=200, penalize_bias=True).fit(X, y + 5)
    assert abs(shrunk.intercepts_[0][0]) < 0.6 * abs(free.intercepts_[0][0])


@pytest.mark.filterwarnings("ignore:.* has no effect")
def test_without_penalty_alpha_has_no_effect(one_target):
    X, y = one_target
    strong = network(penalty=None, alpha=100.0).fit(X, y)
    none = network(alpha=0.0).fit(X, y)
    np.testing.assert_array_equal(strong.predict(X), none.predict(X))


@pytest.mark.filterwarnings("ignore:.* has no effect")
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_poisson_predicts_positive_means(one_target, solver):
    X, y = one_target
    rate = np.exp(0.5 * y)
    model = network(loss="poisson", solver=solver, max_iter=200, n_iter_no_change=99)
    model.fit(X, rate)
    predicted = model.predict(X)
    assert (predicted > 0).all()
    assert r2_score(rate, predicted) > 0.9
    assert model.out_activation_ == "exp"


@pytest.mark.filterwarnings("ignore:.* has no effect")
def test_a_poisson_network_without_inputs_predicts_the_mean():
    counts = np.random.default_rng(0).poisson(3.0, 50)
    model = network(
        loss="poisson", hidden_layer_sizes=(), solver="lbfgs", tol=1e-10, max_iter=100
    ).fit(np.zeros((50, 1)), counts)
    np.testing.assert_allclose(model.predict(np.zeros((1, 1))), counts.mean(), 1e-5)


# Weights of samples


@pytest.mark.filterwarnings("ignore:.* has no effect")
@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_a_weight_is_a_number_of_repetitions(two_targets, solver, loss):
    X, Y = two_targets
    Y = np.abs(Y)
    weight = np.random.default_rng(0).integers(0, 4, len(X))
    kept = weight > 0
    params = {"solver": solver, "loss": loss}
    repeated = network(batch_size=weight.sum(), **params)
    repeated.fit(np.repeat(X, weight, 0), np.repeat(Y, weight, 0))
    weighted = network(batch_size=kept.sum(), **params)
    weighted.fit(X[kept], Y[kept], sample_weight=weight[kept])
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-5)
    np.testing.assert_allclose(weighted.loss_curve_, repeated.loss_curve_, rtol=1e-6)


@pytest.mark.filterwarnings("ignore:.* has no effect")
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_samples_of_weight_zero_do_not_count(one_target, solver):
    X, y = one_target
    kept = np.arange(len(X)) % 3 > 0
    with_zeros = network(solver=solver, batch_size=len(X))
    with_zeros.fit(X, np.where(kept, y, 100.0), sample_weight=kept.astype(float))
    without = network(solver=solver, batch_size=kept.sum()).fit(X[kept], y[kept])
    np.testing.assert_allclose(with_zeros.predict(X), without.predict(X), atol=1e-6)


def test_a_batch_without_weight_is_harmless(one_target):
    X, y = one_target
    weight = np.ones(len(X))
    weight[:30] = 0
    model = network(batch_size=10, shuffle=False).fit(X, y, sample_weight=weight)
    assert np.isfinite(model.predict(X)).all()


# partial_fit, warm_start and early stopping


def test_partial_fits_in_a_row_are_the_epochs_of_a_fit(two_targets):
    X, Y = two_targets
    params = {"batch_size": 16, "dropout": 0.3, "shuffle": False}
    parts = network(**params)
    for _ in range(3):
        parts.partial_fit(X, Y)
    whole = network(max_iter=3, **params).fit(X, Y)
    np.testing.assert_array_equal(parts.predict(X), whole.predict(X))
    assert parts.loss_curve_ == whole.loss_curve_


def test_partial_fit_takes_weights(one_target):
    X, y = one_target
    weight = np.random.default_rng(0).random(len(X))
    weight /= weight.mean()
    part = network().partial_fit(X, y, weight)
    whole = network(max_iter=1).fit(X, y, weight)
    np.testing.assert_allclose(part.predict(X), whole.predict(X))


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_a_warm_start_is_a_longer_fit(two_targets, solver):
    X, Y = two_targets
    params = {"solver": solver, "dropout": 0.3, "batch_size": 16, "shuffle": False}
    warm = network(warm_start=True, max_iter=3, **params).fit(X, Y)
    warm.set_params(max_iter=4).fit(X, Y)
    cold = network(max_iter=7, **params).fit(X, Y)
    np.testing.assert_array_equal(warm.predict(X), cold.predict(X))
    assert warm.loss_curve_ == cold.loss_curve_


@pytest.mark.filterwarnings("ignore:.* has no effect")
def test_a_warm_start_of_lbfgs_goes_on(one_target):
    X, y = one_target
    model = network(solver="lbfgs", warm_start=True, max_iter=5).fit(X, y)
    losses = [model.fit(X, y).loss_ for _ in range(4)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0]


def test_early_stopping_watches_r2(one_target):
    X, y = one_target
    params = {"early_stopping": True, "scoring": None}
    model = network(**params, learning_rate_init=0.05, max_iter=200)
    model.fit(X, y)
    assert model.best_loss_ is None
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert 0.5 < model.best_validation_score_ <= 1
    assert len(model.validation_scores_) == len(model.loss_curve_) == model.n_iter_


@pytest.mark.filterwarnings("ignore:.* has no effect")
def test_early_stopping_works_under_lbfgs(one_target):
    X, y = one_target
    params = {"early_stopping": True, "scoring": "r2"}
    model = network(**params, solver="lbfgs", max_iter=100).fit(X, y)
    assert model.best_validation_score_ == max(model.validation_scores_) > 0.8
    assert len(model.validation_scores_) == len(model.loss_curve_) == model.n_iter_


def test_attributes_are_complete_and_of_their_types(two_targets):
    X, Y = two_targets
    model = network().fit(X, Y)
    assert [W.shape for W in model.coefs_] == [(5, 10), (10, 2)]
    assert [b.shape for b in model.intercepts_] == [(10,), (2,)]
    assert model.n_layers_ == 3
    assert model.n_features_in_ == 5
    assert model.n_iter_ == len(model.loss_curve_) == 20
    assert model.t_ == 20 * len(X)
    assert model.loss_ == model.loss_curve_[-1]
    assert model.best_loss_ == min(model.loss_curve_)
    assert model.validation_scores_ is None
    assert model.best_validation_score_ is None
    assert not hasattr(model, "classes_")
    assert not hasattr(model, "decision_function")
    assert not hasattr(model, "predict_proba")
