"""Max norm through the estimators: no unit's incoming weights are ever longer."""

import numpy as np
import pytest
from sklearn.base import clone

from sknn_notes import MLPClassifier, MLPRegressor
from sknn_notes.optimizers import OPTIMIZERS
from sknn_notes.penalties import PENALTIES

STOCHASTIC = [name for name, cls in OPTIMIZERS.items() if cls.stochastic]
every_solver = pytest.mark.parametrize("solver", STOCHASTIC)
ROUNDING = 1 + 1e-12


def lengths(W):
    """Return the length of every unit's incoming vector."""
    return np.linalg.norm(W, axis=0)


def classifier(**parameters):
    defaults = {
        "hidden_layer_sizes": (8, 7),
        "learning_rate_init": 0.1,
        "batch_size": 20,
        "max_iter": 10,
        "random_state": 0,
    }
    return MLPClassifier(**(defaults | parameters))


def watched(solver, thetas):
    """Return the named solver, made to keep a copy of theta before every update."""
    cls = OPTIMIZERS[solver]

    class Watched(cls):
        def step(self, theta, grad, rate, state, xp=np):
            thetas.append(theta.copy())
            super().step(theta, grad, rate, state, xp)

        def proximal_step(self, theta, grad, rate, state, prox, xp=np):
            # Nesterov's theta is ahead of the iterate.
            thetas.append(state.get("iterate", theta).copy())
            # Past ``step``, which the adaptive solvers call from here.
            solver = cls(**self.get_params())
            solver.proximal_step(theta, grad, rate, state, prox, xp)

    return Watched()


@pytest.mark.filterwarnings("ignore:.* has no effect")
@every_solver
@pytest.mark.parametrize("dropout", [0.0, 0.4], ids=["plain", "dropout"])
@pytest.mark.parametrize("penalty", [*PENALTIES, None])
def test_it_holds_after_every_update(three_classes, penalty, dropout, solver):
    X, y = three_classes
    thetas = []
    model = classifier(
        solver=watched(solver, thetas),
        hidden_layer_sizes=(8,),
        penalty=penalty,
        alpha=0.003,
        dropout=dropout,
        input_dropout=dropout / 2,
        max_norm=0.5,
    ).fit(X, y)
    assert len(thetas) == 50
    # The first update starts from the weights as they were drawn.
    for theta in thetas[1:]:
        W, V = theta[:48].reshape(6, 8), theta[48:72].reshape(8, 3)
        assert lengths(W).max() <= 0.5 * ROUNDING
        assert lengths(V).max() <= 0.5 * ROUNDING
    for W in model.coefs_:
        assert lengths(W).max() <= 0.5 * ROUNDING
    assert lengths(model.coefs_[0]).max() > 0.49


@every_solver
def test_it_holds_after_every_partial_fit(three_classes, solver):
    X, y = three_classes
    model = classifier(solver=solver, max_norm=0.3, learning_rate_init=1.0)
    for start in range(0, len(y), 30):
        rows = slice(start, start + 30)
        model.partial_fit(X[rows], y[rows], classes=[0, 1, 2])
        for W in model.coefs_:
            assert lengths(W).max() <= 0.3 * ROUNDING


def test_it_bounds_the_units_and_not_the_inputs(one_target):
    X, y = one_target
    model = MLPRegressor(
        hidden_layer_sizes=(50,),
        init="he_uniform",
        max_norm=1.0,
        learning_rate_init=0.1,
        max_iter=30,
        random_state=0,
    ).fit(X, y)
    W = model.coefs_[0]
    assert lengths(W).max() <= ROUNDING
    # What goes out of one input to fifty units is far longer.
    assert np.linalg.norm(W, axis=1).min() > 2


def test_biases_are_free(one_target):
    X, y = one_target
    model = MLPRegressor(
        hidden_layer_sizes=(),
        solver="sgd",
        max_norm=0.1,
        learning_rate_init=0.1,
        random_state=0,
    ).fit(X, y + 50)
    assert lengths(model.coefs_[0]) == pytest.approx(0.1)
    assert model.intercepts_[0] > 45


def test_scale_and_shift_of_batch_norm_are_free(three_classes):
    X, y = three_classes
    model = classifier(max_norm=0.05, batch_norm=True, max_iter=30).fit(X, y)
    for fitted in model.batch_norm_:
        assert np.linalg.norm(fitted["scale"]) > 1
    for W in model.coefs_:
        assert lengths(W).max() <= 0.05 * ROUNDING


def test_every_layer_may_have_its_own(three_classes):
    X, y = three_classes
    norms = [0.5, 0.25, 0.125]
    model = classifier(max_norm=norms).fit(X, y)
    for W, norm in zip(model.coefs_, norms, strict=True):
        assert lengths(W).max() == pytest.approx(norm)


@pytest.mark.parametrize("bounded", [0, 1, 2])
def test_none_leaves_a_layer_unbounded(three_classes, bounded):
    X, y = three_classes
    norms = [None] * 3
    norms[bounded] = 0.2
    model = classifier(max_norm=norms, max_iter=20).fit(X, y)
    for i, W in enumerate(model.coefs_):
        if i == bounded:
            assert lengths(W).max() == pytest.approx(0.2)
        else:
            assert lengths(W).max() > 1


@every_solver
def test_a_bound_out_of_reach_changes_nothing(three_classes, solver):
    X, y = three_classes
    models = [
        classifier(solver=solver, max_norm=norm, dropout=0.2).fit(X, y)
        for norm in (None, 1e6, [None] * 3)
    ]
    for model in models[1:]:
        for ours, free in zip(model.coefs_, models[0].coefs_, strict=True):
            np.testing.assert_array_equal(ours, free)


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("hidden_layer_sizes", [(30,), (20, 20, 20)])
def test_a_rate_of_ten_leaves_the_network_finite(
    three_classes, hidden_layer_sizes, nesterov
):
    X, y = three_classes
    model = classifier(
        hidden_layer_sizes=hidden_layer_sizes,
        solver="sgd",
        nesterovs_momentum=nesterov,
        max_norm=3.0,
        learning_rate_init=10.0,
        n_iter_no_change=np.inf,
        max_iter=100,
    ).fit(X, y)
    assert np.isfinite(model.loss_curve_).all()
    for array in (*model.coefs_, *model.intercepts_):
        assert np.isfinite(array).all()
    assert np.isfinite(model.decision_function(X)).all()


def test_without_it_that_rate_is_the_end_of_training(three_classes):
    X, y = three_classes
    model = classifier(
        hidden_layer_sizes=(20, 20, 20),
        activation="leaky_relu",
        solver="sgd",
        learning_rate_init=10.0,
        n_iter_no_change=np.inf,
    )
    with pytest.raises(ValueError, match="finite"):
        clone(model).fit(X, y)
    bounded = model.set_params(max_norm=3.0).fit(X, y)
    assert np.isfinite(bounded.loss_curve_).all()


@pytest.mark.parametrize("penalty", ["l1", "elasticnet"])
def test_exact_zeros_and_the_bound_hold_together(three_classes, penalty):
    X, y = three_classes
    model = classifier(
        hidden_layer_sizes=(20,), penalty=penalty, alpha=0.05, max_norm=0.4, max_iter=60
    ).fit(X, y)
    W = model.coefs_[0]
    assert 0.2 < np.mean(W == 0) < 1
    assert lengths(W).max() == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("max_norm", "message"),
    [
        (0.0, "max_norm"),
        (-1.0, "max_norm"),
        ([1.0, 1.0], "one value per weight matrix, 3 here. Got 2 values"),
        ([1.0, 0.0, None], "Each value of max_norm must be .* Got 0.0"),
    ],
)
def test_a_bound_that_cannot_be_raises(three_classes, max_norm, message):
    with pytest.raises(ValueError, match=message):
        classifier(max_norm=max_norm).fit(*three_classes)
