"""The monitor: curves, the best weights, and scikit-learn's plateaus."""

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier as ReferenceClassifier

from sknn_notes import MLPClassifier
from sknn_notes._engine.monitor import Monitor


def watch_loss(theta=None, *, tol=0.1, n_iter_no_change=2, best=np.inf, verbose=False):
    return Monitor(
        [np.zeros(2) if theta is None else theta],
        tol=tol,
        n_iter_no_change=n_iter_no_change,
        best=best,
        evaluate=None,
        verbose=verbose,
    )


def watch_score(theta, scores, *, tol=0.1, n_iter_no_change=2, best=-np.inf):
    """Return a monitor whose validation scores are these, one after the other."""
    scores = iter(scores)
    return Monitor(
        [theta],
        tol=tol,
        n_iter_no_change=n_iter_no_change,
        best=best,
        evaluate=lambda: (next(scores), 0.0),
        verbose=False,
    )


def epochs_until_plateau(losses, tol, n_iter_no_change):
    """Return after how many epochs scikit-learn's rule stops, or None."""
    best, count = np.inf, 0
    for epoch, loss in enumerate(losses, start=1):
        count = count + 1 if loss > best - tol else 0
        best = min(best, loss)
        if count > n_iter_no_change:
            return epoch
    return None


# Losses


def test_every_loss_is_kept_and_the_best_remembered():
    monitor = watch_loss()
    for loss in (3.0, 1.0, 2.0):
        monitor.update(loss)
    assert monitor.losses == [3, 1, 2]
    assert monitor.best == 1


def test_an_improvement_smaller_than_tol_counts_as_none():
    monitor = watch_loss(tol=0.25)
    counts = []
    for loss in (1.0, 0.875, 0.75, 0.25, 0.5):
        monitor.update(loss)
        counts.append(monitor.n_without_improvement)
    assert counts == [0, 1, 2, 0, 1]


def test_an_improvement_of_exactly_tol_counts():
    monitor = watch_loss(tol=0.25)
    monitor.update(1.0)
    monitor.update(0.75)
    assert monitor.n_without_improvement == 0


def test_small_improvements_lower_the_bar():
    """The best falls with every improvement, however small, as in scikit-learn."""
    monitor = watch_loss(tol=0.5)
    for loss in (1.0, 0.75, 0.5):
        monitor.update(loss)
    assert monitor.best == 0.5
    assert monitor.n_without_improvement == 2


@pytest.mark.parametrize("n_iter_no_change", [1, 2, 5])
def test_a_plateau_is_more_epochs_than_n_iter_no_change(n_iter_no_change):
    monitor = watch_loss(n_iter_no_change=n_iter_no_change)
    monitor.update(1.0)
    for _ in range(n_iter_no_change):
        monitor.update(1.0)
        assert not monitor.on_plateau
    monitor.update(1.0)
    assert monitor.on_plateau


def test_an_infinite_n_iter_no_change_never_stops():
    monitor = watch_loss(n_iter_no_change=np.inf)
    for _ in range(1000):
        monitor.update(1.0)
    assert not monitor.on_plateau


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("n_iter_no_change", [1, 3])
def test_plateaus_are_scikit_learns(seed, n_iter_no_change):
    rng = np.random.default_rng(seed)
    losses = np.exp(-np.arange(60) / 10) + rng.exponential(0.05, size=60)
    expected = epochs_until_plateau(losses, 0.01, n_iter_no_change)
    monitor = watch_loss(tol=0.01, n_iter_no_change=n_iter_no_change)
    stopped = None
    for epoch, loss in enumerate(losses, start=1):
        monitor.update(loss)
        if monitor.on_plateau:
            stopped = epoch
            break
    assert stopped == expected


def test_without_a_score_the_last_weights_stay():
    theta = np.array([1.0, 2.0])
    monitor = watch_loss(theta)
    monitor.update(1.0)
    theta[:] = 5
    monitor.update(9.0)
    monitor.restore_best()
    np.testing.assert_array_equal(theta, 5)


# Scores


def train_on(theta, scores, **options):
    """Return the monitor of a training whose epoch i sets every weight to i."""
    monitor = watch_score(theta, scores, **options)
    for epoch in range(1, len(scores) + 1):
        theta[:] = epoch
        monitor.update(1.0)
    return monitor


def test_the_weights_of_the_best_score_are_restored():
    theta = np.zeros(3)
    monitor = train_on(theta, [0.1, 0.5, 0.9, 0.4, 0.8])
    monitor.restore_best()
    np.testing.assert_array_equal(theta, 3)
    assert monitor.best == 0.9
    assert monitor.scores == [0.1, 0.5, 0.9, 0.4, 0.8]


def test_the_first_of_equal_scores_is_the_best():
    theta = np.zeros(3)
    train_on(theta, [0.1, 0.9, 0.9]).restore_best()
    np.testing.assert_array_equal(theta, 2)


def test_a_better_score_is_kept_even_if_it_gains_less_than_tol():
    theta = np.zeros(3)
    monitor = train_on(theta, [0.5, 0.55], tol=0.1)
    assert monitor.n_without_improvement == 1
    monitor.restore_best()
    np.testing.assert_array_equal(theta, 2)


def test_a_score_that_is_nan_is_never_the_best():
    theta = np.zeros(3)
    monitor = train_on(theta, [0.5, np.nan, 0.4, np.nan])
    assert monitor.n_without_improvement == 3
    assert monitor.on_plateau
    monitor.restore_best()
    np.testing.assert_array_equal(theta, 1)


def test_scores_that_are_all_nan_leave_the_last_weights():
    theta = np.zeros(3)
    train_on(theta, [np.nan, np.nan]).restore_best()
    np.testing.assert_array_equal(theta, 2)


def test_a_training_that_goes_on_competes_with_the_best_so_far():
    theta = np.full(3, 7.0)
    train_on(theta, [0.5, 0.6], best=0.9).restore_best()
    np.testing.assert_array_equal(theta, 7)


def test_restoring_copies():
    theta = np.zeros(3)
    monitor = train_on(theta, [0.9, 0.1])
    monitor.restore_best()
    theta[:] = 100
    monitor.restore_best()
    np.testing.assert_array_equal(theta, 1)


# Losses that are not finite


def test_a_divergence_is_rescued_only_by_a_score():
    assert not watch_loss().diverged(np.inf)
    assert not watch_score(np.zeros(2), []).diverged(np.inf)
    monitor = train_on(np.zeros(2), [0.5])
    assert monitor.diverged(np.nan)
    assert np.isnan(monitor.losses[-1])
    assert np.isnan(monitor.scores[-1])
    assert len(monitor.losses) == len(monitor.scores)


# Printing


def test_verbose_begins_each_line_as_scikit_learn_does(executor, capsys):
    X, y = np.eye(20), np.arange(20) % 2
    lines = []
    for cls in (ReferenceClassifier, MLPClassifier):
        cls(random_state=0, max_iter=3, verbose=True).fit(X, y)
        printed = capsys.readouterr().out.splitlines()
        lines.append([line.split(" = ")[0] for line in printed])
    # Who makes the steps comes first.
    assert lines[1][0].startswith("The steps run in num")
    assert lines[0] == lines[1][1:]
