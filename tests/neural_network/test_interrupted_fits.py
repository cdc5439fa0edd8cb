"""A user who interrupts training keeps what it has reached."""

import numpy as np
import pytest

from sknn_notes import MLPClassifier
from sknn_notes.losses import LogLoss


def classifier(**params):
    return MLPClassifier(
        **{"hidden_layer_sizes": (8,), "max_iter": 5, "random_state": 0, **params}
    )


class InterruptedLoss(LogLoss):
    """The log loss, but the user presses Ctrl-C during the n-th evaluation."""

    def __init__(self, n=1):
        super().__init__()
        self.n = n
        self.count = 0

    def mean(self, raw, y, sample_weight, xp):
        self.count += 1
        if self.count == self.n:
            raise KeyboardInterrupt
        return super().mean(raw, y, sample_weight, xp)


def assert_usable(model, X, y):
    assert all(np.isfinite(W).all() for W in model.coefs_)
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1)
    assert model.predict(X).shape == y.shape
    assert len(model.loss_curve_) == model.n_iter_


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_an_interrupt_keeps_the_weights_reached(three_classes, solver):
    X, y = three_classes
    params = {"solver": solver, "batch_size": 30, "max_iter": 50}
    # Three batches an epoch: the tenth is the first of the fourth epoch.
    model = classifier(loss=InterruptedLoss(10), **params)
    with pytest.warns(UserWarning, match="interrupted by user after 3 epochs"):
        model.fit(X, y)
    assert_usable(model, X, y)
    three_epochs = classifier(**params | {"max_iter": 3}).fit(X, y)
    np.testing.assert_allclose(model.predict_proba(X), three_epochs.predict_proba(X))
    assert model.loss_curve_ == pytest.approx(three_epochs.loss_curve_)
    assert model.t_ == three_epochs.t_


@pytest.mark.filterwarnings("ignore:Training interrupted by user")
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_training_can_go_on_after_an_interrupt(three_classes, solver):
    X, y = three_classes
    model = classifier(
        loss=InterruptedLoss(10), solver=solver, batch_size=30, max_iter=50
    ).fit(X, y)
    before = model.loss_
    model.set_params(loss="log_loss")
    for _ in range(30):
        model.partial_fit(X, y)
    assert model.loss_ < before


@pytest.mark.filterwarnings("ignore:Training interrupted by user")
def test_an_interrupt_in_the_first_epoch_leaves_a_usable_model(three_classes):
    X, y = three_classes
    model = classifier(loss=InterruptedLoss(2), batch_size=30).fit(X, y)
    assert_usable(model, X, y)
    model.set_params(loss="log_loss", warm_start=True)
    assert np.isfinite(model.partial_fit(X, y).fit(X, y).predict_proba(X)).all()


def test_an_interrupt_under_early_stopping_restores_the_best_weights(three_classes):
    X, y = three_classes
    params = {
        "early_stopping": True,
        "validation_fraction": 0.2,
        "learning_rate_init": 0.05,
        "n_iter_no_change": 100,
        "max_iter": 100,
    }
    model = classifier(loss=InterruptedLoss(40), **params)
    with pytest.warns(UserWarning, match="interrupted by user after 39 epochs"):
        model.fit(X, y)
    assert_usable(model, X, y)
    best_epoch = int(np.argmax(model.validation_scores_)) + 1
    assert best_epoch < 39
    best = classifier(**params | {"max_iter": best_epoch}).fit(X, y)
    np.testing.assert_allclose(model.predict_proba(X), best.predict_proba(X))


def test_an_interrupt_of_lbfgs_keeps_the_last_iterate(three_classes):
    X, y = three_classes
    model = classifier(solver="lbfgs", loss=InterruptedLoss(12), max_iter=50)
    with pytest.warns(UserWarning, match="interrupted by user"):
        model.fit(X, y)
    assert_usable(model, X, y)
    assert 0 < model.n_iter_ < 12
    assert model.loss_ == pytest.approx(model.loss_curve_[-1])
    same = classifier(solver="lbfgs", max_iter=model.n_iter_).fit(X, y)
    np.testing.assert_allclose(model.predict_proba(X), same.predict_proba(X))


def test_an_interrupt_of_lbfgs_under_early_stopping_restores_the_best(three_classes):
    X, y = three_classes
    model = classifier(
        solver="lbfgs",
        loss=InterruptedLoss(40),
        max_iter=100,
        early_stopping=True,
        validation_fraction=0.2,
        n_iter_no_change=100,
    )
    with pytest.warns(UserWarning, match="interrupted by user"):
        model.fit(X, y)
    assert_usable(model, X, y)
    assert model.best_validation_score_ == max(model.validation_scores_)


@pytest.mark.filterwarnings("ignore:Training interrupted by user")
def test_an_interrupt_in_partial_fit_leaves_a_usable_model(three_classes):
    X, y = three_classes
    model = classifier(loss=InterruptedLoss(2), batch_size=30)
    model.partial_fit(X, y, classes=[0, 1, 2])
    assert_usable(model, X, y)
