"""Sampled softmax: by hand, against PyTorch, and against the softmax over all."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from sknn_notes.losses import SampledSoftmax

DISTRIBUTIONS = pytest.mark.parametrize(
    "distribution", ["frequency", "log_uniform", "uniform"]
)


def started(n_classes=12, seed=0, **params):
    """Return a loss, started with the frequencies of the classes."""
    loss = SampledSoftmax(**params)
    counts = np.random.default_rng(seed).integers(1, 9, n_classes).astype(float)
    loss.start(np.arange(n_classes), counts)
    return loss


def batch(n_classes=12, seed=0):
    rng = np.random.default_rng(seed)
    return 2 * rng.normal(size=(6, n_classes)), rng.integers(0, n_classes, 6)


def drawn(loss, key):
    """Return the classes that a key draws, with repetitions."""
    y = np.zeros(1, int)
    choice = loss.choose(y, [key], np.float64)
    classes = choice.shared[0]
    classes, shift = classes[classes >= 0], choice.shift[0][classes >= 0]
    q = loss.probabilities_[classes]
    times = np.exp(shift) * loss.n_negatives * q
    return np.repeat(classes, np.round(times).astype(int))


def test_the_loss_by_hand():
    loss = SampledSoftmax(n_negatives=1, distribution="uniform")
    loss.start(np.arange(4), None)
    raw = np.log([[1.0, 2.0, 3.0, 4.0]])
    key = next(key for key in range(99) if drawn(loss, key) == [2])
    # exp(f_2) / q_2 = 12 estimates the sum of the others.
    losses, gradient = loss.sampled(raw, np.array([0]), key, np)
    np.testing.assert_allclose(losses, np.log(13))
    np.testing.assert_allclose(gradient, [[-12 / 13, 0, 12 / 13, 0]])
    # Only the true class itself is drawn, so the loss is 0.
    losses, gradient = loss.sampled(raw, np.array([2]), key, np)
    np.testing.assert_allclose(losses, 0, atol=1e-15)
    np.testing.assert_allclose(gradient, 0, atol=1e-15)


@DISTRIBUTIONS
@pytest.mark.parametrize("n_negatives", [1, 5, 10])
def test_loss_and_gradient_are_pytorchs(distribution, n_negatives):
    torch = pytest.importorskip("torch")
    loss = started(n_negatives=n_negatives, distribution=distribution)
    raw, y = batch()
    for key in range(5):
        leaf = torch.tensor(raw, requires_grad=True)
        classes = drawn(loss, key)
        assert len(classes) == n_negatives
        log_q = np.log(n_negatives * loss.probabilities_[classes])
        negatives = leaf[:, classes] - torch.tensor(log_q)
        hits = torch.tensor(y[:, None] == classes)
        own = leaf[np.arange(len(y)), y][:, None]
        logits = torch.cat([own, negatives.masked_fill(hits, -np.inf)], dim=1)
        target = torch.zeros(len(y), dtype=torch.long)
        expected = torch.nn.functional.cross_entropy(logits, target, reduction="none")
        expected.sum().backward()
        losses, gradient = loss.sampled(raw, y, key, np)
        np.testing.assert_allclose(losses, expected.detach(), rtol=1e-10, atol=1e-14)
        np.testing.assert_allclose(gradient, leaf.grad, rtol=1e-10, atol=1e-14)


@DISTRIBUTIONS
def test_the_gradient_is_that_of_the_loss_of_one_draw(distribution):
    loss = started(n_negatives=5, distribution=distribution)
    raw, y = batch()
    _, gradient = loss.sampled(raw, y, 7, np)
    for j in range(raw.shape[1]):
        step = np.zeros_like(raw)
        step[:, j] = 1e-6
        up, down = (loss.sampled(raw + s, y, 7, np)[0] for s in (step, -step))
        np.testing.assert_allclose((up - down) / 2e-6, gradient[:, j], atol=1e-8)


def test_more_negatives_come_nearer_to_the_full_softmax():
    raw, y = batch(50)
    expected = -log_softmax(raw, axis=1)[np.arange(len(y)), y]
    pull = softmax(raw, axis=1)
    pull[np.arange(len(y)), y] -= 1
    errors = []
    for n_negatives in (1, 8, 48):
        loss = started(50, n_negatives=n_negatives, distribution="uniform")
        pairs = [loss.sampled(raw, y, key, np) for key in range(300)]
        mean, gradient = (np.mean(each, axis=0) for each in zip(*pairs, strict=True))
        errors.append((np.abs(mean - expected).mean(), np.abs(gradient - pull).max()))
    assert (np.diff(errors, axis=0) < 0).all()
    assert max(errors[-1]) < 0.2


@DISTRIBUTIONS
def test_classes_are_drawn_from_the_distribution(distribution):
    loss = started(n_negatives=10, distribution=distribution)
    classes = np.concatenate([drawn(loss, key) for key in range(2000)])
    shares = np.bincount(classes, minlength=12) / len(classes)
    # Four standard deviations.
    np.testing.assert_allclose(shares, loss.probabilities_, atol=4 * 0.5 / 20000**0.5)
    assert loss.probabilities_.sum() == pytest.approx(1)


def test_a_class_without_samples_is_never_drawn():
    loss = SampledSoftmax(n_negatives=2, distribution="frequency")
    loss.start(np.arange(6), np.array([0.0, 1.0, 0.0, 3.0, 2.0, 0.0]))
    assert set(np.concatenate([drawn(loss, key) for key in range(200)])) == {1, 3, 4}


@pytest.mark.parametrize("n_classes", [2, 6])
def test_all_classes_are_used_where_there_are_no_more(n_classes):
    assert not started(n_classes, n_negatives=5).is_random
    assert started(7, n_negatives=5).is_random
