"""Losses: by hand, against differences, against others, and what each promises."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics

from sknn_notes.losses import (
    CLASSIFICATION_LOSSES,
    REGRESSION_LOSSES,
    Hinge,
    LogLoss,
    Poisson,
    SquaredError,
)

# What the targets of a task look like; "binary" is the case of one label.
KINDS = {"multiclass": "classes", "multilabel": "labels"}

CASES = [
    pytest.param(cls, KINDS[task], id=f"{name}-{KINDS[task]}")
    for name, cls in CLASSIFICATION_LOSSES.items()
    for task in cls.tasks
    if task in KINDS
] + [
    pytest.param(cls, "outputs", id=f"{name}-outputs")
    for name, cls in REGRESSION_LOSSES.items()
]
every_loss = pytest.mark.parametrize(("loss", "kind"), CASES)
every_regression_loss = pytest.mark.parametrize(
    "loss", REGRESSION_LOSSES.values(), ids=REGRESSION_LOSSES
)


def losses_of_labels():
    return [c for c in CLASSIFICATION_LOSSES.values() if "multilabel" in c.tasks]


def losses_with_an_output_per_class():
    return [cls for cls in CLASSIFICATION_LOSSES.values() if cls().n_raw(3) == 3]


def make_loss(cls):
    """Return a loss of its defaults that is ready for three classes."""
    loss = cls()
    if cls in CLASSIFICATION_LOSSES.values():
        loss.start(np.arange(3), counts=None)
    return loss


def evaluate(loss, raw, y):
    """Return the loss of every sample and its gradient."""
    gradient = np.full_like(raw, np.nan)
    return loss.per_sample(raw, y, gradient), gradient


def make_case(kind, loss=None, n=20, seed=0):
    """Return raw outputs and targets, of three classes, labels or outputs."""
    rng = np.random.default_rng(seed)
    n_raw = 3 if loss is None else loss.n_raw(3)
    raw = rng.normal(scale=2, size=(n, n_raw))
    if kind == "classes":
        return raw, rng.integers(3, size=n)
    if kind == "labels":
        return raw, rng.integers(2, size=raw.shape).astype(float)
    return raw, rng.poisson(2.0, size=raw.shape).astype(float)


# By hand

LN = np.log


@pytest.mark.parametrize(
    ("loss", "raw", "y", "value", "gradient"),
    [
        # exp(f) = 1, 2, 5, of which the second is right: p = 1/8, 2/8, 5/8.
        (LogLoss(), [0, LN(2), LN(5)], 1, LN(4), [1 / 8, -6 / 8, 5 / 8]),
        # p = 1/3 and 3/4, of labels 0 and 1.
        (LogLoss(), [-LN(2), LN(3)], [0, 1], LN(1.5) + LN(4 / 3), [1 / 3, -1 / 4]),
        # 0.5 - 1 + 1 = 0.5 from the first; -3 - 1 + 1 < 0 from the third.
        (Hinge(), [0.5, 1, -3], 1, 0.5, [1, -1, 0]),
        # Both others are too near: (3 - 1 + 1) + (0.5 - 1 + 1).
        (Hinge(), [3, 1, 0.5], 1, 3.5, [1, -2, 1]),
        (Hinge(margin=3), [0.5, 1, -3], 1, 2.5, [1, -1, 0]),
        # 1 + 0.5 for the label 0, 1 - 0.25 for the label 1, none for the last.
        (Hinge(), [0.5, 0.25, 7], [0, 1, 1], 2.25, [1, -1, 0]),
        (Hinge(margin=0.5), [0.5, 0.25, 7], [0, 1, 1], 1.25, [1, -1, 0]),
        (SquaredError(), [1, 2], [4, 1], 5, [-3, 1]),
        # 2 - 3 ln 2 + 3 ln 3 - 3, and 1 for the target 0.
        (Poisson(), [LN(2), 0], [3, 0], 3 * LN(1.5), [-1, 1]),
    ],
)
def test_by_hand(loss, raw, y, value, gradient):
    raw = np.array([raw], float)
    y = np.array([y], int if np.isscalar(y) else float)
    losses, computed = evaluate(loss, raw, y)
    np.testing.assert_allclose(losses, [value], rtol=1e-14)
    np.testing.assert_allclose(computed, [gradient], rtol=1e-14)


def test_two_classes_are_one_logistic_or_a_softmax_of_two():
    f = np.linspace(-4, 4, 9)[:, None]
    for label in (0, 1):
        one, d_one = evaluate(LogLoss(), f, np.full(f.shape, float(label)))
        two, d_two = evaluate(LogLoss(), np.hstack([0 * f, f]), np.full(9, label))
        np.testing.assert_allclose(one, two, rtol=1e-13)
        np.testing.assert_allclose(d_one[:, 0], d_two[:, 1], rtol=1e-13)


def test_the_hinge_of_classes_counts_every_class_that_is_too_near():
    """Weston and Watkins sum over classes, where Crammer and Singer take the worst."""
    raw, y = make_case("classes")
    losses, _ = evaluate(Hinge(), raw, y)
    assert losses.mean() > metrics.hinge_loss(y, raw, labels=[0, 1, 2])
    at_chance, _ = evaluate(Hinge(), np.zeros((1, 5)), np.array([2]))
    np.testing.assert_array_equal(at_chance, [4])


def test_a_margin_met_exactly_is_met():
    losses, gradient = evaluate(Hinge(), np.array([[2.0, 1.0]]), np.array([0]))
    assert not losses.any()
    assert not gradient.any()


# Other implementations


def test_log_loss_of_classes_is_scikit_learns():
    raw, y = make_case("classes")
    p = LogLoss().probabilities(raw, multiclass=True)
    losses, _ = evaluate(LogLoss(), raw, y)
    expected = metrics.log_loss(y, p, labels=[0, 1, 2])
    assert losses.mean() == pytest.approx(expected, rel=1e-12)


def test_log_loss_of_labels_is_the_sum_of_scikit_learns():
    raw, y = make_case("labels")
    p = LogLoss().probabilities(raw, multiclass=False)
    losses, _ = evaluate(LogLoss(), raw, y)
    expected = sum(metrics.log_loss(y[:, j], p[:, j]) for j in range(3))
    assert losses.mean() == pytest.approx(expected, rel=1e-12)


def test_hinge_of_labels_is_the_sum_of_scikit_learns():
    raw, y = make_case("labels")
    losses, _ = evaluate(Hinge(), raw, y)
    expected = sum(metrics.hinge_loss(y[:, j], raw[:, j]) for j in range(3))
    assert losses.mean() == pytest.approx(expected, rel=1e-12)


def test_squared_error_is_half_of_scikit_learns_summed():
    raw, y = make_case("outputs")
    losses, _ = evaluate(SquaredError(), raw, y)
    expected = 3 * metrics.mean_squared_error(y, raw) / 2
    assert losses.mean() == pytest.approx(expected, rel=1e-12)


def test_poisson_is_half_of_scikit_learns_deviance_summed():
    raw, y = make_case("outputs")
    losses, _ = evaluate(Poisson(), raw, y)
    expected = 3 * metrics.mean_poisson_deviance(y.ravel(), np.exp(raw).ravel()) / 2
    assert losses.mean() == pytest.approx(expected, rel=1e-12)


# Promises of every loss


@every_loss
def test_the_gradient_is_the_slope(loss, kind):
    part = make_loss(loss)
    raw, y = make_case(kind, part)
    step = 1e-5
    _, gradient = evaluate(part, raw, y)
    slope = np.empty_like(raw)
    for j in range(raw.shape[1]):
        move = step * (np.arange(raw.shape[1]) == j)
        above, below = evaluate(part, raw + move, y), evaluate(part, raw - move, y)
        slope[:, j] = (above[0] - below[0]) / (2 * step)
    assert np.linalg.norm(gradient - slope) <= 1e-7 * np.linalg.norm(gradient)


@every_loss
def test_losses_are_one_number_a_sample_and_not_negative(loss, kind):
    part = make_loss(loss)
    raw, y = make_case(kind, part)
    before = raw.copy(), y.copy()
    losses, gradient = evaluate(part, raw, y)
    assert losses.shape == (20,)
    assert np.all(losses >= 0)
    assert gradient.shape == raw.shape
    np.testing.assert_array_equal(raw, before[0])
    np.testing.assert_array_equal(y, before[1])


@every_loss
def test_memory_order_changes_nothing(loss, kind):
    part = make_loss(loss)
    raw, y = make_case(kind, part)
    losses, gradient = evaluate(part, raw, y)
    by_columns, d_by_columns = evaluate(part, np.asfortranarray(raw), y)
    np.testing.assert_allclose(by_columns, losses, rtol=1e-13)
    np.testing.assert_allclose(d_by_columns, gradient, rtol=1e-13)


@every_loss
def test_float32_stays_float32(loss, kind):
    part = make_loss(loss)
    raw, y = make_case(kind, part)
    narrow_y = y if kind == "classes" else y.astype(np.float32)
    losses, gradient = evaluate(part, raw.astype(np.float32), narrow_y)
    wide, d_wide = evaluate(part, raw, y)
    assert losses.dtype == gradient.dtype == np.float32
    np.testing.assert_allclose(losses, wide, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(gradient, d_wide, rtol=1e-4, atol=1e-5)


@every_loss
def test_a_sample_does_not_depend_on_the_others(loss, kind):
    part = make_loss(loss)
    raw, y = make_case(kind, part)
    losses, gradient = evaluate(part, raw, y)
    one, d_one = evaluate(part, raw[4:5], y[4:5])
    np.testing.assert_allclose(one, losses[4:5], rtol=1e-13)
    np.testing.assert_allclose(d_one, gradient[4:5], rtol=1e-13)


@every_loss
def test_nan_in_the_raw_outputs_is_not_hidden(loss, kind):
    part = make_loss(loss)
    raw, y = make_case(kind, part)
    raw[3] = np.nan
    losses, _ = evaluate(part, raw, y)
    assert np.flatnonzero(np.isnan(losses)).tolist() == [3]


@every_loss
def test_the_value_is_the_mean_of_the_losses(loss, kind):
    part = make_loss(loss)
    raw, y = make_case(kind, part)
    losses, gradient = evaluate(part, raw, y)
    out = np.empty_like(raw)
    value = part.value_and_gradient(raw, y, None, out)
    assert type(value) is float
    assert value == pytest.approx(losses.mean(), rel=1e-13)
    np.testing.assert_allclose(out, gradient / 20, rtol=1e-13)


@every_loss
def test_the_value_weights_the_losses(loss, kind):
    part = make_loss(loss)
    raw, y = make_case(kind, part)
    weight = np.random.default_rng(1).exponential(size=20)
    losses, gradient = evaluate(part, raw, y)
    out = np.empty_like(raw)
    value = part.value_and_gradient(raw, y, weight, out)
    assert value == pytest.approx(np.sum(weight * losses) / 20, rel=1e-13)
    np.testing.assert_allclose(out, weight[:, None] * gradient / 20, rtol=1e-13)


@every_regression_loss
def test_regression_losses_sum_over_outputs(loss):
    raw, y = make_case("outputs")
    losses, gradient = evaluate(loss(), raw, y)
    columns = [evaluate(loss(), raw[:, [j]], y[:, [j]]) for j in range(3)]
    np.testing.assert_allclose(losses, sum(c[0] for c in columns), rtol=1e-13)
    np.testing.assert_allclose(gradient, np.hstack([c[1] for c in columns]), rtol=1e-13)


@pytest.mark.parametrize("loss", losses_of_labels())
def test_classification_losses_sum_over_labels(loss):
    raw, y = make_case("labels")
    losses, gradient = evaluate(loss(), raw, y)
    columns = [evaluate(loss(), raw[:, [j]], y[:, [j]]) for j in range(3)]
    np.testing.assert_allclose(losses, sum(c[0] for c in columns), rtol=1e-13)
    np.testing.assert_allclose(gradient, np.hstack([c[1] for c in columns]), rtol=1e-13)


@pytest.mark.parametrize("loss", losses_with_an_output_per_class())
def test_raising_the_right_output_lowers_the_loss(loss):
    raw, y = make_case("classes")
    losses, _ = evaluate(loss(), raw, y)
    raw[np.arange(20), y] += 1
    raised, _ = evaluate(loss(), raw, y)
    assert np.all(raised <= losses)
    assert raised.sum() < losses.sum()


@pytest.mark.parametrize("loss", losses_with_an_output_per_class())
def test_the_gradient_of_classes_sums_to_zero(loss):
    """Only differences between classes count."""
    _, gradient = evaluate(loss(), *make_case("classes"))
    np.testing.assert_allclose(gradient.sum(axis=1), 0, atol=1e-14)


@every_regression_loss
def test_a_perfect_prediction_costs_nothing(loss):
    _, y = make_case("outputs")
    y += 1
    raw = np.log(y) if loss.out_activation == "exp" else y
    losses, gradient = evaluate(loss(), raw, y)
    np.testing.assert_allclose(loss().predict(raw), y, rtol=1e-14)
    np.testing.assert_allclose(losses, 0, atol=1e-14)
    np.testing.assert_allclose(gradient, 0, atol=1e-14)


# Numbers as large as they come

huge = st.floats(-1e300, 1e300)


@settings(deadline=None)
@given(
    arrays(np.float64, (4, 3), elements=huge),
    arrays(np.int64, 4, elements=st.integers(0, 2)),
)
def test_log_loss_of_classes_is_finite_for_finite_outputs(raw, y):
    losses, gradient = evaluate(LogLoss(), raw, y)
    assert np.all(np.isfinite(losses))
    assert np.all(losses >= 0)
    assert np.all(np.abs(gradient) <= 1 + 1e-15)


@settings(deadline=None)
@given(
    arrays(np.float64, (4, 3), elements=huge),
    arrays(np.int64, (4, 3), elements=st.integers(0, 1)),
)
def test_log_loss_of_labels_is_finite_for_finite_outputs(raw, y):
    losses, gradient = evaluate(LogLoss(), raw, y.astype(float))
    assert np.all(np.isfinite(losses))
    assert np.all(losses >= 0)
    assert np.all(np.abs(gradient) <= 1)


def test_log_loss_keeps_small_losses():
    losses, _ = evaluate(LogLoss(), np.array([[40.0]]), np.array([[1.0]]))
    np.testing.assert_allclose(losses, [np.exp(-40)], rtol=1e-12)


# Predictions


@pytest.mark.parametrize("multiclass", [True, False])
def test_probabilities_belong_to_the_loss(multiclass):
    raw = np.array([[0.0, LN(3)]])
    expected = [[1 / 4, 3 / 4]] if multiclass else [[1 / 2, 3 / 4]]
    np.testing.assert_allclose(LogLoss().probabilities(raw, multiclass), expected)
    np.testing.assert_allclose(
        LogLoss().log_probabilities(raw, multiclass), np.log(expected)
    )


@pytest.mark.parametrize("multiclass", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_log_probabilities_stay_finite(multiclass, dtype):
    raw = np.array([[1e4, -1e4], [30.0, -30.0]], dtype)
    p = LogLoss().probabilities(raw, multiclass)
    log_p = LogLoss().log_probabilities(raw, multiclass)
    assert p.dtype == log_p.dtype == dtype
    np.testing.assert_allclose(p[0], [1, 0])
    np.testing.assert_allclose(log_p[0], [0, -2e4 if multiclass else -1e4])
    np.testing.assert_allclose(np.exp(log_p), p, rtol=1e-4)


def test_only_log_loss_has_probabilities():
    assert LogLoss.has_probabilities
    assert not Hinge.has_probabilities
    assert not hasattr(Hinge(), "probabilities")


def test_names_of_output_activations_are_scikit_learns():
    assert LogLoss().out_activation(multiclass=True) == "softmax"
    assert LogLoss().out_activation(multiclass=False) == "logistic"
    assert Hinge().out_activation(multiclass=True) == "identity"
    assert SquaredError().out_activation == "identity"
    assert Poisson().out_activation == "exp"


def test_poisson_refuses_negative_targets():
    with pytest.raises(ValueError, match=r"'poisson'.*y >= 0.*-2.*'squared_error'"):
        Poisson().check_targets(np.array([[1.0], [-2.0]]))


def test_poisson_takes_targets_of_zero():
    Poisson().check_targets(np.array([[1.0], [0.0]]))
