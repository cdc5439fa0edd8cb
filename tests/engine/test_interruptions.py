"""An interruption anywhere in the monitor leaves curves that fit together."""

import sys
import warnings

import numpy as np
import pytest

from sknn_notes import MLPClassifier
from sknn_notes._engine import monitor

OPTIONS = [
    {"solver": "adam"},
    {"solver": "adam", "early_stopping": True},
    {"solver": "sgd", "early_stopping": True, "batch_norm": True, "verbose": True},
    {"solver": "lbfgs"},
    {"solver": "lbfgs", "early_stopping": True, "batch_norm": True},
]


def fit_interrupted(at, **parameters):
    """Return a model whose fit is interrupted at the n-th line of the monitor.

    Returns
    -------
    model : MLPClassifier
    reached : bool
        Whether the monitor has as many lines to go through.
    """
    X = np.random.default_rng(0).normal(size=(40, 3))
    model = MLPClassifier(
        5, max_iter=3, random_state=0, validation_fraction=0.3, **parameters
    )
    seen = 0

    def in_monitor(frame, event, arg):
        nonlocal seen
        if event == "line":
            seen += 1
            if seen == at:
                raise KeyboardInterrupt
        return in_monitor

    def trace(frame, event, arg):
        return in_monitor if frame.f_code.co_filename == monitor.__file__ else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        model.fit(X, X[:, 0] > 0)
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(before)
    return model, seen >= at


@pytest.mark.filterwarnings("ignore:.* has no effect")
@pytest.mark.parametrize("parameters", OPTIONS, ids=str)
def test_curves_fit_together_after_an_interruption_anywhere(executor, parameters):
    whole, _ = fit_interrupted(0, **parameters)
    at, reached, lengths = 1, True, set()
    while reached:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model, reached = fit_interrupted(at, **parameters)
        at += 1
        if not hasattr(model, "coefs_"):
            continue  # Interrupted before the first epoch or after the last.
        n_epochs = len(model.loss_curve_)
        lengths.add(n_epochs)
        assert model.n_iter_ == n_epochs
        # Before its first iteration lbfgs has the loss of the start.
        at_start = parameters["solver"] == "lbfgs" and n_epochs == 1
        assert at_start or model.loss_curve_ == whole.loss_curve_[:n_epochs]
        assert n_epochs == 0 or model.loss_ == model.loss_curve_[-1]
        if "early_stopping" in parameters:
            assert len(model.validation_scores_) == n_epochs
            assert len(model.validation_loss_curve_) == n_epochs
            best = max(model.validation_scores_, default=-np.inf)
            assert model.best_validation_score_ == best
        assert np.isfinite(model.predict_proba(np.ones((1, 3)))).all()
    assert lengths >= {1, 2, 3}
