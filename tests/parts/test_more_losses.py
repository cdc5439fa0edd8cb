"""Squared hinge, label smoothing and robust regression: by hand, against others."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import huber as scipy_huber
from scipy.special import log_softmax
from sklearn import metrics

from sknn_notes.losses import (
    AbsoluteError,
    ClassificationLoss,
    Hinge,
    Huber,
    LogLoss,
    Quantile,
    SquaredError,
    SquaredHinge,
)

# Everything here with parameters of its own, and the kind of target it is tested on.
CASES = [
    (SquaredHinge(), "classes"),
    (SquaredHinge(margin=0.3), "classes"),
    (SquaredHinge(margin=3.0), "labels"),
    (LogLoss(label_smoothing=0.2), "classes"),
    (LogLoss(label_smoothing=0.2), "labels"),
    (AbsoluteError(), "outputs"),
    (Huber(), "outputs"),
    (Huber(delta=0.2), "outputs"),
    (Quantile(), "outputs"),
    (Quantile(quantile=0.9), "outputs"),
]
every_case = pytest.mark.parametrize(("loss", "kind"), CASES, ids=str)


def evaluate(loss, raw, y):
    gradient = np.full_like(raw, np.nan)
    return loss.per_sample(raw, y, gradient), gradient


def make_case(kind, n=20, n_outputs=4):
    rng = np.random.default_rng(0)
    raw = np.asfortranarray(rng.normal(scale=2, size=(n, n_outputs)))
    if kind == "classes":
        return raw, rng.integers(n_outputs, size=n)
    if kind == "labels":
        return raw, rng.integers(2, size=raw.shape).astype(float)
    return raw, rng.normal(scale=2, size=raw.shape)


@pytest.mark.parametrize(
    ("loss", "raw", "y", "value", "gradient"),
    [
        # 0.5 - 1 + 1 = 0.5 from the first; -3 - 1 + 1 < 0 from the third.
        (SquaredHinge(), [0.5, 1, -3], 1, 0.25, [1, -1, 0]),
        # (3 - 1 + 1)**2 + (0.5 - 1 + 1)**2.
        (SquaredHinge(), [3, 1, 0.5], 1, 9.25, [6, -7, 1]),
        (SquaredHinge(margin=3), [0.5, 1, -3], 1, 6.25, [5, -5, 0]),
        # 1.5**2 for the label 0, 0.75**2 for the label 1, none for the last.
        (SquaredHinge(), [0.5, 0.25, 7], [0, 1, 1], 2.8125, [3, -1.5, 0]),
        (SquaredHinge(margin=0.5), [0.5, 0.25, 7], [0, 1, 1], 1.0625, [2, -0.5, 0]),
        # ln 4 plus 0.3 (f_1 - mean(f)) = 0.3 (ln 2 - ln(10) / 3).
        (
            LogLoss(label_smoothing=0.3),
            [0, np.log(2), np.log(5)],
            1,
            np.log(4) + 0.3 * (np.log(2) - np.log(10) / 3),
            [1 / 8 - 0.1, 2 / 8 - 0.8, 5 / 8 - 0.1],
        ),
        # Targets 0.1 and 0.9; f = 0 costs ln 2 whatever the target.
        (LogLoss(label_smoothing=0.2), [0, 0], [0, 1], 2 * np.log(2), [0.4, -0.4]),
        (AbsoluteError(), [1, 2, 3], [4, 1, 3], 4, [-1, 1, 0]),
        # 1 (3 - 1/2) + 0.5**2 / 2, and nothing.
        (Huber(), [1, 1.5, 3], [4, 1, 3], 2.625, [-1, 0.5, 0]),
        # 2 (3 - 1) + 0.5**2 / 2.
        (Huber(delta=2), [1, 1.5, 3], [4, 1, 3], 4.125, [-2, 0.5, 0]),
        (Quantile(), [1, 2, 3], [4, 1, 3], 2, [-0.5, 0.5, 0]),
        # 0.75 * 3 below the target, 0.25 * 1 above.
        (Quantile(quantile=0.75), [1, 2, 3], [4, 1, 3], 2.5, [-0.75, 0.25, 0]),
    ],
)
def test_by_hand(loss, raw, y, value, gradient):
    raw = np.array([raw], float)
    y = np.array([y], int if np.isscalar(y) else float)
    losses, computed = evaluate(loss, raw, y)
    np.testing.assert_allclose(losses, [value], rtol=1e-14)
    np.testing.assert_allclose(computed, [gradient], rtol=1e-14, atol=1e-16)


@every_case
def test_the_gradient_is_the_slope(loss, kind):
    raw, y = make_case(kind)
    step = 1e-5
    _, gradient = evaluate(loss, raw, y)
    slope = np.empty_like(raw)
    for j in range(raw.shape[1]):
        move = step * (np.arange(raw.shape[1]) == j)
        above, below = evaluate(loss, raw + move, y), evaluate(loss, raw - move, y)
        slope[:, j] = (above[0] - below[0]) / (2 * step)
    assert np.linalg.norm(gradient - slope) <= 1e-8 * np.linalg.norm(gradient)


@every_case
@pytest.mark.parametrize("order", ["C", "F"])
def test_float32_and_memory_order_change_nothing(loss, kind, order):
    raw, y = make_case(kind)
    wide, d_wide = evaluate(loss, raw, y)
    narrow_y = y if kind == "classes" else y.astype(np.float32)
    narrow = raw.astype(np.float32, order=order)
    losses, gradient = evaluate(loss, narrow, narrow_y)
    assert losses.dtype == gradient.dtype == np.float32
    np.testing.assert_allclose(losses, wide, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(gradient, d_wide, rtol=1e-5, atol=1e-5)


@every_case
def test_raw_outputs_and_targets_are_left_alone(loss, kind):
    raw, y = make_case(kind)
    before = raw.copy(), y.copy()
    evaluate(loss, raw, y)
    np.testing.assert_array_equal(raw, before[0])
    np.testing.assert_array_equal(y, before[1])


@every_case
def test_nan_in_the_raw_outputs_is_not_hidden(loss, kind):
    raw, y = make_case(kind)
    raw[3, 1] = np.nan
    losses, _ = evaluate(loss, raw, y)
    assert np.flatnonzero(np.isnan(losses)).tolist() == [3]


# Squared hinge


@pytest.mark.parametrize("margin", [0.5, 1.0, 2.0])
def test_the_squared_hinge_of_classes_is_torchs(margin):
    """PyTorch averages over the classes what we sum."""
    torch = pytest.importorskip("torch")
    raw, y = make_case("classes")
    f = torch.tensor(raw, requires_grad=True)
    expected = torch.nn.functional.multi_margin_loss(
        f, torch.tensor(y), p=2, margin=margin, reduction="none"
    )
    (4 * expected).sum().backward()
    losses, gradient = evaluate(SquaredHinge(margin=margin), raw, y)
    np.testing.assert_allclose(losses, 4 * expected.detach(), rtol=1e-12)
    np.testing.assert_allclose(gradient, f.grad, rtol=1e-12, atol=1e-14)


def test_the_squared_hinge_of_one_label_is_the_hinge_squared():
    raw, y = make_case("labels", n_outputs=1)
    hinge, _ = evaluate(Hinge(margin=0.7), raw, y)
    squared, _ = evaluate(SquaredHinge(margin=0.7), raw, y)
    np.testing.assert_allclose(squared, hinge**2, rtol=1e-13)


@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_the_squared_hinge_at_chance(n_classes):
    raw = np.zeros((1, n_classes))
    losses, gradient = evaluate(SquaredHinge(), raw, np.array([1]))
    np.testing.assert_array_equal(losses, [n_classes - 1])
    assert gradient.sum() == 0
    losses, _ = evaluate(SquaredHinge(), raw, np.ones_like(raw))
    np.testing.assert_array_equal(losses, [n_classes])


def test_the_squared_hinge_has_no_probabilities():
    assert not SquaredHinge.has_probabilities
    assert not hasattr(SquaredHinge(), "probabilities")


# Label smoothing


@pytest.mark.parametrize("share", [0.0, 0.1, 0.9])
def test_smoothed_classes_are_torchs(share):
    torch = pytest.importorskip("torch")
    raw, y = make_case("classes")
    f = torch.tensor(raw, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(
        f, torch.tensor(y), label_smoothing=share, reduction="none"
    )
    expected.sum().backward()
    losses, gradient = evaluate(LogLoss(label_smoothing=share), raw, y)
    np.testing.assert_allclose(losses, expected.detach(), rtol=1e-12)
    np.testing.assert_allclose(gradient, f.grad, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.9])
def test_smoothed_labels_are_torchs(share):
    torch = pytest.importorskip("torch")
    raw, y = make_case("labels")
    expected = torch.nn.functional.binary_cross_entropy_with_logits(
        torch.tensor(raw), torch.tensor((1 - share) * y + share / 2), reduction="none"
    ).sum(dim=1)
    losses, _ = evaluate(LogLoss(label_smoothing=share), raw, y)
    np.testing.assert_allclose(losses, expected, rtol=1e-12)


def test_smoothing_of_two_classes_is_that_of_a_softmax_of_two():
    f, loss = np.linspace(-4, 4, 9)[:, None], LogLoss(label_smoothing=0.3)
    for label in (0, 1):
        one, d_one = evaluate(loss, f, np.full(f.shape, float(label)))
        two, d_two = evaluate(loss, np.hstack([0 * f, f]), np.full(9, label))
        np.testing.assert_allclose(one, two, rtol=1e-13)
        np.testing.assert_allclose(d_one[:, 0], d_two[:, 1], rtol=1e-13)


def test_smoothing_is_a_mixture_of_targets():
    raw, y = make_case("classes")
    targets = 0.6 * np.eye(4)[y] + 0.4 / 4
    expected = -np.sum(targets * log_softmax(raw, axis=1), axis=1)
    losses, gradient = evaluate(LogLoss(label_smoothing=0.4), raw, y)
    np.testing.assert_allclose(losses, expected, rtol=1e-13)
    np.testing.assert_allclose(gradient.sum(axis=1), 0, atol=1e-14)


def test_smoothing_leaves_the_loss_at_chance():
    loss = LogLoss(label_smoothing=0.5)
    losses, _ = evaluate(loss, np.zeros((1, 7)), np.array([3]))
    np.testing.assert_allclose(losses, [np.log(7)], rtol=1e-14)
    losses, _ = evaluate(loss, np.zeros((1, 7)), np.ones((1, 7)))
    np.testing.assert_allclose(losses, [7 * np.log(2)], rtol=1e-14)


# Regression


def test_absolute_error_is_scikit_learns_summed():
    raw, y = make_case("outputs")
    losses, _ = evaluate(AbsoluteError(), raw, y)
    expected = 4 * metrics.mean_absolute_error(y, raw)
    assert losses.mean() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.95])
def test_quantile_is_scikit_learns_summed(quantile):
    raw, y = make_case("outputs")
    losses, _ = evaluate(Quantile(quantile=quantile), raw, y)
    expected = 4 * metrics.mean_pinball_loss(y, raw, alpha=quantile)
    assert losses.mean() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("delta", [0.1, 1.0, 5.0])
def test_huber_is_scipys_and_torchs(delta):
    torch = pytest.importorskip("torch")
    raw, y = make_case("outputs")
    losses, gradient = evaluate(Huber(delta=delta), raw, y)
    expected = scipy_huber(delta, raw - y).sum(axis=1)
    np.testing.assert_allclose(losses, expected, rtol=1e-12)
    f = torch.tensor(raw, requires_grad=True)
    torch.nn.functional.huber_loss(
        f, torch.tensor(y), reduction="sum", delta=delta
    ).backward()
    np.testing.assert_allclose(gradient, f.grad, rtol=1e-12)


def test_huber_lies_between_the_squared_and_the_absolute_error():
    raw, y = make_case("outputs")
    squared, _ = evaluate(SquaredError(), raw, y)
    wide, _ = evaluate(Huber(delta=1e3), raw, y)
    np.testing.assert_allclose(wide, squared, rtol=1e-12)
    absolute, _ = evaluate(AbsoluteError(), raw, y)
    narrow, _ = evaluate(Huber(delta=1e-9), raw, y)
    np.testing.assert_allclose(narrow / 1e-9, absolute, rtol=1e-7)


@pytest.mark.parametrize(
    ("loss", "statistic"),
    [
        (SquaredError(), np.mean),
        (AbsoluteError(), np.median),
        (Quantile(quantile=0.8), lambda y: np.quantile(y, 0.8)),
        (Quantile(quantile=0.1), lambda y: np.quantile(y, 0.1)),
    ],
    ids=["mean", "median", "0.8 quantile", "0.1 quantile"],
)
def test_the_best_constant_is_the_statistic_that_the_loss_predicts(loss, statistic):
    y = np.random.default_rng(0).exponential(size=(999, 1))

    def mean_loss(constant):
        return evaluate(loss, np.full_like(y, constant), y)[0].mean()

    best = minimize_scalar(mean_loss, bounds=(0, 5), method="bounded").x
    assert best == pytest.approx(statistic(y), abs=0.01)


@pytest.mark.parametrize("loss", [AbsoluteError(), Huber(), Quantile(quantile=0.3)])
def test_a_perfect_prediction_costs_nothing(loss):
    y = np.arange(3.0)[:, None]
    losses, gradient = evaluate(loss, y, y)
    assert not losses.any()
    assert not gradient.any()
    np.testing.assert_array_equal(loss.predict(y), y)
    assert loss.out_activation == "identity"


# Parameters, and what a loss tells the classifier by default


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (LogLoss(label_smoothing=1.0), "'label_smoothing' parameter of LogLoss"),
        (LogLoss(label_smoothing=-0.1), "'label_smoothing' parameter of LogLoss"),
        (SquaredHinge(margin=0.0), "'margin' parameter of SquaredHinge"),
        (Huber(delta=0.0), "'delta' parameter of Huber"),
        (Quantile(quantile=0.0), "'quantile' parameter of Quantile"),
        (Quantile(quantile=1.0), "'quantile' parameter of Quantile"),
    ],
)
def test_parameters_outside_their_domain_are_refused(loss, message):
    with pytest.raises(ValueError, match=message):
        loss.check()


@pytest.mark.parametrize("loss", [LogLoss(), Hinge(), SquaredHinge()])
def test_a_loss_is_for_all_tasks_with_one_raw_output_each_by_default(loss):
    assert isinstance(loss, ClassificationLoss)
    assert loss.tasks == ("binary", "multiclass", "multilabel")
    assert not loss.indices_for_two
    before = dict(vars(loss))
    assert loss.start(np.arange(3), np.ones(3)) is None
    assert vars(loss) == before
    assert loss.n_raw(3) == 3
    raw = np.ones((2, 3))
    assert loss.scores(raw) is raw
