"""Without hidden layers the network is a linear model, and minimizes as its solvers do.

What is compared is the objective, computed here from the weights of both, relative to
scikit-learn's. Training is full batch, so that the only error left is that of the
optimization.
"""

import numpy as np
import pytest
from scipy.special import logsumexp
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.linear_model import (
    ElasticNet,
    HuberRegressor,
    Lasso,
    LogisticRegression,
    PoissonRegressor,
    QuantileRegressor,
    Ridge,
)
from sklearn.preprocessing import scale
from sklearn.svm import LinearSVC

from sknn_notes import MLPClassifier, MLPRegressor
from sknn_notes.losses import Huber, Quantile
from sknn_notes.optimizers import SGD, Adam
from sknn_notes.schedules import Exponential

DATA = {"wine": load_wine, "breast cancer": load_breast_cancer}
SOLVERS = {
    "sgd": SGD(momentum=0.0),
    "momentum": SGD(nesterovs_momentum=False),
    "nesterov": SGD(),
    "adam": Adam(),
}
every_solver = pytest.mark.parametrize("solver", SOLVERS)


def load(name):
    X, y = DATA[name](return_X_y=True)
    return scale(X), y


def diabetes():
    X, y = load_diabetes(return_X_y=True)
    return scale(X), scale(y)


def counts():
    X, y = diabetes()
    return X, np.round(np.exp(0.7 * y + 1))


def linear(cls, X, **parameters):
    """Return a network without hidden layers, trained on all of ``X`` at a time."""
    return cls(
        hidden_layer_sizes=(),
        batch_size=len(X),
        n_iter_no_change=np.inf,
        random_state=0,
        **parameters,
    )


def penalty(W, alpha, l1_ratio):
    return alpha * (l1_ratio * np.abs(W).sum() + (1 - l1_ratio) / 2 * np.sum(W**2))


def assert_as_low(objective, network, reference, rtol):
    """Neither objective is lower than the other by more than ``rtol`` of it."""
    lowest = objective(reference.coef_.T, reference.intercept_)
    ours = objective(
        network.coefs_[0].reshape(reference.coef_.T.shape), network.intercepts_[0]
    )
    assert ours == pytest.approx(lowest, rel=rtol, abs=0)


# Logistic regression

LOGISTIC = {
    "sgd": {"learning_rate_init": 0.4, "max_iter": 5000},
    "momentum": {"learning_rate_init": 0.05, "max_iter": 3000},
    "nesterov": {"learning_rate_init": 0.05, "max_iter": 3000},
    "adam": {
        "learning_rate_init": 0.1,
        "max_iter": 6000,
        "learning_rate": Exponential(gamma=0.9985),
    },
}


def logistic_objective(X, y, alpha, l1_ratio):
    def objective(W, b):
        raw = X @ W + b
        if raw.shape[1] == 1:
            raw = np.hstack([np.zeros_like(raw), raw])
        losses = logsumexp(raw, axis=1) - raw[np.arange(len(y)), y]
        return losses.mean() + penalty(W, alpha, l1_ratio)

    return objective


def logistic_regression(X, y, alpha, l1_ratio):
    return LogisticRegression(
        C=1 / (alpha * len(y)),
        l1_ratio=l1_ratio,
        solver="saga",
        tol=1e-10,
        max_iter=10**5,
        random_state=0,
    ).fit(X, y)


@pytest.mark.one_in(4)
@pytest.mark.needs("scikit-learn>=1.8", "l1_ratio alone chooses the penalty")
@every_solver
@pytest.mark.parametrize("name", ["l2", "elasticnet", "l1"])
@pytest.mark.parametrize("data", DATA)
def test_log_loss_is_logistic_regression(data, name, solver):
    X, y = load(data)
    alpha, l1_ratio = 0.1, {"l2": 0.0, "elasticnet": 0.5, "l1": 1.0}[name]
    training = LOGISTIC[solver]
    if (data, name, solver) == ("breast cancer", "l1", "adam"):
        # Of features that stand in for each other almost equally well L1 keeps one.
        # Adam, whose steps are as long in each, takes its time to find out which.
        training = training | {
            "learning_rate": Exponential(gamma=0.9996),
            "max_iter": 24000,
        }
    network = linear(
        MLPClassifier,
        X,
        solver=SOLVERS[solver],
        penalty=name,
        l1_ratio=l1_ratio,
        alpha=alpha,
        **training,
    ).fit(X, y)
    reference = logistic_regression(X, y, alpha, l1_ratio)
    objective = logistic_objective(X, y, alpha, l1_ratio)
    assert_as_low(objective, network, reference, rtol=1e-8)
    np.testing.assert_array_equal(network.coefs_[0].T == 0, reference.coef_ == 0)
    assert (network.coefs_[0] == 0).any() == (name != "l2")


@pytest.mark.parametrize("solver", ["sgd", "adam", "adamw", "rmsprop"])
@pytest.mark.parametrize("name", ["l1", "elasticnet"])
def test_the_share_of_exact_zeros_grows_along_alpha(name, solver):
    X, y = load("wine")
    shares = []
    for alpha in (0.001, 0.03, 0.1, 0.3, 1.0, 10.0):
        network = linear(
            MLPClassifier,
            X,
            solver=solver,
            penalty=name,
            alpha=alpha,
            learning_rate=Exponential(gamma=0.99),
            learning_rate_init=0.02,
            max_iter=500,
        ).fit(X, y)
        shares.append(np.mean(network.coefs_[0] == 0))
    assert shares == sorted(shares)
    assert len(set(shares)) >= 4
    assert shares[0] < 0.2
    assert shares[-1] == 1


def test_l2_makes_weights_small_and_none_zero():
    X, y = load("wine")
    network = linear(MLPClassifier, X, alpha=10.0, solver="sgd", learning_rate_init=0.1)
    network.fit(X, y)
    assert np.abs(network.coefs_[0]).max() < 0.1
    assert (network.coefs_[0] != 0).all()


# Support vector machines: LinearSVC penalizes the bias, too

HINGES = {
    ("hinge", 0.01): 1e-5,
    ("hinge", 0.1): 1e-3,
    ("squared_hinge", 0.01): 1e-9,
    ("squared_hinge", 0.1): 1e-3,
}


@pytest.mark.one_in(3)
@pytest.mark.parametrize("solver", ["momentum", "nesterov", "adam"])
@pytest.mark.parametrize(("loss", "C"), HINGES)
def test_binary_hinges_are_linear_support_vector_machines(loss, C, solver):
    X, y = load("breast cancer")
    alpha, sign = 1 / (C * len(y)), 2 * y[:, None] - 1
    network = linear(
        MLPClassifier,
        X,
        loss=loss,
        penalize_bias=True,
        alpha=alpha,
        solver=SOLVERS[solver],
        learning_rate=Exponential(gamma=0.999),
        learning_rate_init=0.05 if solver == "adam" else 0.02,
        max_iter=8000,
    ).fit(X, y)
    reference = LinearSVC(loss=loss, C=C, tol=1e-9, max_iter=10**6, random_state=0).fit(
        X, y
    )

    def objective(W, b):
        losses = np.maximum(0, 1 - sign * (X @ W + b)) ** (1 + (loss != "hinge"))
        return losses.mean() + penalty(W, alpha, 0.0) + penalty(b, alpha, 0.0)

    assert_as_low(objective, network, reference, HINGES[loss, C])


# Regression


def pinball(q):
    return lambda f, y: np.maximum(q * (y - f), (q - 1) * (y - f))


def half_square(f, y):
    return (f - y) ** 2 / 2


def poisson_deviance(f, y):
    # Up to what depends on the targets alone, which has no part in the minimum.
    return np.exp(f) - y * f


# Data, loss, share of L1, scikit-learn's model at alpha = 0.1, the loss of a sample as
# a function of raw output and target, and the tolerance.
REGRESSION = {
    "ridge": (
        diabetes,
        "squared_error",
        0.0,
        lambda n: Ridge(alpha=0.1 * n, tol=1e-12),
        half_square,
        1e-9,
    ),
    "lasso": (
        diabetes,
        "squared_error",
        1.0,
        lambda n: Lasso(alpha=0.1, tol=1e-12),
        half_square,
        1e-12,
    ),
    "elastic net": (
        diabetes,
        "squared_error",
        0.5,
        lambda n: ElasticNet(alpha=0.1, l1_ratio=0.5, tol=1e-12),
        half_square,
        1e-12,
    ),
    "poisson": (
        counts,
        "poisson",
        0.0,
        lambda n: PoissonRegressor(alpha=0.1, tol=1e-10, max_iter=1000),
        poisson_deviance,
        1e-8,
    ),
    "median": (
        diabetes,
        Quantile(quantile=0.5),
        1.0,
        lambda n: QuantileRegressor(quantile=0.5, alpha=0.1),
        pinball(0.5),
        1e-5,
    ),
    "upper quantile": (
        diabetes,
        Quantile(quantile=0.8),
        1.0,
        lambda n: QuantileRegressor(quantile=0.8, alpha=0.1),
        pinball(0.8),
        1e-5,
    ),
    "absolute error": (
        diabetes,
        "absolute_error",
        1.0,
        # Its loss for the median is half of the absolute error.
        lambda n: QuantileRegressor(quantile=0.5, alpha=0.1 / 2),
        lambda f, y: np.abs(f - y),
        1e-5,
    ),
}


@pytest.mark.one_in(4)
@every_solver
@pytest.mark.parametrize("case", REGRESSION)
def test_regression_losses_are_scikit_learns_linear_models(case, solver):
    data, loss, l1_ratio, make, loss_of_sample, rtol = REGRESSION[case]
    X, y = data()
    network = trained_regressor(loss, solver, X, y, 0.1, l1_ratio)

    def objective(W, b):
        return loss_of_sample(X @ W + b, y).mean() + penalty(W, 0.1, l1_ratio)

    reference = make(len(y)).fit(X, y)
    assert_as_low(objective, network, reference, rtol)
    zeros = reference.coef_ == 0
    assert zeros.any() == (l1_ratio > 0)
    np.testing.assert_array_equal(network.coefs_[0][zeros], 0)


def trained_regressor(loss, solver, X, y, alpha, l1_ratio):
    rates = {"sgd": 0.2, "momentum": 0.02, "nesterov": 0.02, "adam": 0.02}
    if loss == "poisson":
        # Its curvature grows with the counts.
        rates["sgd"] = 0.1
    return linear(
        MLPRegressor,
        X,
        loss=loss,
        penalty="elasticnet",
        l1_ratio=l1_ratio,
        alpha=alpha,
        solver=SOLVERS[solver],
        learning_rate=Exponential(gamma=0.998),
        learning_rate_init=rates[solver],
        max_iter=4500,
        standardize_target=False,
    ).fit(X, y)


@every_solver
def test_huber_is_huber_regression_with_delta_in_units_of_the_targets(solver):
    X, y = diabetes()
    y[::20] += 5
    reference = HuberRegressor(alpha=4.0, tol=1e-9, max_iter=10**4).fit(X, y)
    delta = reference.epsilon * reference.scale_
    # It minimizes the loss in units of its scale, times the scale, without the ½.
    alpha = reference.alpha * reference.scale_ / len(y)

    def objective(W, b):
        r = np.abs(X @ W + b - y)
        losses = np.where(r <= delta, r**2 / 2, delta * (r - delta / 2))
        return losses.mean() + penalty(W, alpha, 0.0)

    assert 0.05 < np.mean(np.abs(reference.predict(X) - y) > delta) < 0.5
    network = trained_regressor(Huber(delta=delta), solver, X, y, alpha, 0.0)
    assert_as_low(objective, network, reference, rtol=2e-5)


# Shapes


def test_a_linear_network_has_one_weight_matrix():
    X, y = load("wine")
    network = linear(MLPClassifier, X, max_iter=2).fit(X, y)
    assert [W.shape for W in network.coefs_] == [(13, 3)]
    assert [b.shape for b in network.intercepts_] == [(3,)]
    assert network.n_layers_ == 2
    np.testing.assert_allclose(
        network.decision_function(X), X @ network.coefs_[0] + network.intercepts_[0]
    )
