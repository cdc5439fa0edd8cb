"""Losses: by hand, against differences, against others, and what each promises."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import clone

from sknn_notes.losses import (
    CLASSIFICATION_LOSSES,
    REGRESSION_LOSSES,
    ClassificationLoss,
    Gamma,
    GaussianNLL,
    Hinge,
    Huber,
    LogLoss,
    Poisson,
    Quantile,
    SquaredError,
    SquaredHinge,
    Tweedie,
)

# Form of the targets of a task; "binary" is the case of one label.
KINDS = {"multiclass": "classes", "multilabel": "labels"}

# Each loss with its defaults, and some with other parameters.
PARTS = [
    *(
        (cls(), KINDS[t])
        for cls in CLASSIFICATION_LOSSES.values()
        for t in cls.tasks
        if t in KINDS
    ),
    *((cls(), "outputs") for cls in REGRESSION_LOSSES.values()),
    (SquaredHinge(margin=0.3), "classes"),
    (SquaredHinge(margin=3.0), "labels"),
    (LogLoss(label_smoothing=0.2), "classes"),
    (LogLoss(label_smoothing=0.2), "labels"),
    (Huber(delta=0.2), "outputs"),
    (Quantile(quantile=0.9), "outputs"),
    (Quantile([0.1, 0.5, 0.9]), "outputs"),
    *((Tweedie(power=power), "outputs") for power in (1, 1.9, 2, 3)),
]
every_loss = pytest.mark.parametrize(
    ("loss", "kind"), [pytest.param(*case, id=f"{case[0]}-{case[1]}") for case in PARTS]
)
every_regression_loss = pytest.mark.parametrize(
    "loss", REGRESSION_LOSSES.values(), ids=REGRESSION_LOSSES
)


def losses_of_labels():
    return [c for c in CLASSIFICATION_LOSSES.values() if "multilabel" in c.tasks]


def losses_with_an_output_per_class():
    return [cls for cls in CLASSIFICATION_LOSSES.values() if cls().n_raw(3) == 3]


def make_loss(loss):
    """Return a copy of a loss, started for three classes."""
    loss = clone(loss)
    if isinstance(loss, ClassificationLoss):
        loss.start(np.arange(3), counts=None)
    return loss


def make_case(kind, loss=None, n=20, n_outputs=3):
    """Return raw outputs and targets, of classes, labels or outputs."""
    rng = np.random.default_rng(0)
    n_raw = n_outputs if loss is None else loss.n_raw(n_outputs)
    raw = rng.normal(scale=2, size=(n, n_raw))
    if kind == "classes":
        return raw, rng.integers(n_outputs, size=n)
    if kind == "labels":
        return raw, rng.integers(2, size=raw.shape).astype(float)
    y = rng.poisson(2.0, size=(n, n_outputs)).astype(float)
    return raw, y + needs_positive(loss)


def needs_positive(loss):
    """Return whether a loss does not support targets of 0."""
    try:
        loss.check_targets(np.zeros((1, 1)))
    except ValueError:
        return True
    except AttributeError:  # no loss of numbers
        return False
    return False


def columns_of(raw, j, n_outputs=3):
    """Return the raw outputs for one of several targets."""
    return raw[:, j::n_outputs]


# By hand


LN = np.log


# Contract of all losses


@every_loss
def test_the_gradient_is_the_slope(form, loss, kind):
    part = make_loss(loss)
    raw, y = make_case(kind, part)
    step = 1e-5
    _, gradient = form.losses(part, raw, y)
    slope = np.empty_like(raw)
    for j in range(raw.shape[1]):
        move = step * (np.arange(raw.shape[1]) == j)
        above, below = (
            form.losses(part, raw + move, y),
            form.losses(part, raw - move, y),
        )
        slope[:, j] = (above[0] - below[0]) / (2 * step)
    assert np.linalg.norm(gradient - slope) <= 1e-8 * np.linalg.norm(gradient)


@every_loss
def test_losses_are_one_number_a_sample_and_not_negative(form, loss, kind):
    part = make_loss(loss)
    raw, y = make_case(kind, part)
    before = raw.copy(), y.copy()
    losses, gradient = form.losses(part, raw, y)
    assert losses.shape == (20,)
    # Likelihoods of densities may be above 1.
    assert np.all(losses >= 0) or isinstance(loss, GaussianNLL)
    assert gradient.shape == raw.shape
    np.testing.assert_array_equal(raw, before[0])
    np.testing.assert_array_equal(y, before[1])


@every_loss
def test_memory_order_changes_nothing(form, loss, kind):
    part = make_loss(loss)
    raw, y = make_case(kind, part)
    losses, gradient = form.losses(part, raw, y)
    by_columns, d_by_columns = form.losses(part, np.asfortranarray(raw), y)
    np.testing.assert_allclose(by_columns, losses, rtol=1e-13)
    np.testing.assert_allclose(d_by_columns, gradient, rtol=1e-13)


@every_loss
def test_float32_stays_float32(form, loss, kind):
    part = make_loss(loss)
    raw, y = make_case(kind, part)
    narrow_y = y if kind == "classes" else y.astype(np.float32)
    losses, gradient = form.losses(part, raw.astype(np.float32), narrow_y)
    wide, d_wide = form.losses(part, raw, y)
    assert losses.dtype == gradient.dtype == np.float32
    np.testing.assert_allclose(losses, wide, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(gradient, d_wide, rtol=1e-5, atol=1e-5)


@every_loss
def test_a_sample_does_not_depend_on_the_others(form, loss, kind):
    part = make_loss(loss)
    raw, y = make_case(kind, part)
    losses, gradient = form.losses(part, raw, y)
    one, d_one = form.losses(part, raw[4:5], y[4:5])
    np.testing.assert_allclose(one, losses[4:5], rtol=1e-13)
    np.testing.assert_allclose(d_one, gradient[4:5], rtol=1e-13)


@every_loss
def test_nan_in_the_raw_outputs_is_not_hidden(form, loss, kind):
    part = make_loss(loss)
    raw, y = make_case(kind, part)
    raw[3] = np.nan
    raw[5, 0] = np.nan
    losses, _ = form.losses(part, raw, y)
    assert np.flatnonzero(np.isnan(losses)).tolist() == [3, 5]


@every_loss
def test_the_value_is_the_mean_of_the_losses(loss, kind):
    part = make_loss(loss)
    raw, y = make_case(kind, part)
    losses, gradient = part.per_sample(raw, y, np)
    value, mean_gradient = part.mean(raw, y, None, np)
    assert value == pytest.approx(losses.mean(), rel=1e-13)
    np.testing.assert_allclose(mean_gradient, gradient / 20, rtol=1e-13)


@every_loss
def test_the_value_weights_the_losses(loss, kind):
    part = make_loss(loss)
    raw, y = make_case(kind, part)
    weight = np.random.default_rng(1).exponential(size=20)
    losses, gradient = part.per_sample(raw, y, np)
    value, mean_gradient = part.mean(raw, y, weight, np)
    assert value == pytest.approx(np.sum(weight * losses) / 20, rel=1e-13)
    expected = weight[:, None] * gradient / 20
    np.testing.assert_allclose(mean_gradient, expected, rtol=1e-13)


@every_loss
def test_models_may_stand_in_front(loss, kind):
    """The raw outputs of several models for the same targets."""
    part = make_loss(loss)
    raw, y = make_case(kind, part)
    models = np.stack([raw, raw[::-1], raw + 1])
    losses, gradient = part.per_sample(models, np.stack([y, y, y]), np)
    for model in range(3):
        alone, d_alone = part.per_sample(models[model], y, np)
        np.testing.assert_allclose(losses[model], alone, rtol=1e-13)
        np.testing.assert_allclose(gradient[model], d_alone, rtol=1e-13, atol=1e-16)


@every_loss
def test_the_loops_are_the_definition(loss, kind, both_forms):
    """This includes many samples, for which loops are vectorized."""
    part, (definition, loops) = make_loss(loss), both_forms
    raw, y = make_case(kind, part, n=1001)
    losses, gradient = loops.losses(part, raw, y)
    expected, d_expected = definition.losses(part, raw, y)
    np.testing.assert_allclose(losses, expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(gradient, d_expected, rtol=1e-12, atol=1e-14)


@every_regression_loss
def test_regression_losses_sum_over_outputs(form, loss):
    assert_sums_over_outputs(form, loss())


def test_several_quantiles_sum_over_outputs(form):
    assert_sums_over_outputs(form, Quantile([0.1, 0.3, 0.6, 0.9]))


def assert_sums_over_outputs(form, loss):
    raw, y = make_case("outputs", loss)
    losses, gradient = form.losses(loss, raw, y)
    total = 0
    for j in range(3):
        value, slope = form.losses(loss, columns_of(raw, j), y[:, [j]])
        total += value
        np.testing.assert_allclose(columns_of(gradient, j), slope, rtol=1e-13)
    np.testing.assert_allclose(losses, total, rtol=1e-13)


@pytest.mark.parametrize("loss", losses_of_labels())
def test_classification_losses_sum_over_labels(form, loss):
    raw, y = make_case("labels")
    losses, gradient = form.losses(loss(), raw, y)
    columns = [form.losses(loss(), raw[:, [j]], y[:, [j]]) for j in range(3)]
    np.testing.assert_allclose(losses, sum(c[0] for c in columns), rtol=1e-13)
    np.testing.assert_allclose(gradient, np.hstack([c[1] for c in columns]), rtol=1e-13)


@pytest.mark.parametrize("loss", losses_with_an_output_per_class())
def test_raising_the_right_output_lowers_the_loss(form, loss):
    raw, y = make_case("classes")
    losses, _ = form.losses(loss(), raw, y)
    raw[np.arange(20), y] += 1
    raised, _ = form.losses(loss(), raw, y)
    assert np.all(raised <= losses)
    assert raised.sum() < losses.sum()


@pytest.mark.parametrize("loss", losses_with_an_output_per_class())
def test_the_gradient_of_classes_sums_to_zero(form, loss):
    """Only differences between classes count."""
    _, gradient = form.losses(loss(), *make_case("classes"))
    np.testing.assert_allclose(gradient.sum(axis=1), 0, atol=1e-14)


@every_regression_loss
def test_a_perfect_prediction_costs_nothing(form, loss):
    _, y = make_case("outputs")
    y += 1
    raw = np.array([loss().link().raw(row) for row in y])
    losses, gradient = form.losses(loss(), raw, y)
    np.testing.assert_allclose(loss().link().inverse(raw), y, rtol=1e-14)
    np.testing.assert_allclose(losses, 0, atol=1e-14)
    if loss is not GaussianNLL:  # which would narrow the distribution
        np.testing.assert_allclose(gradient, 0, atol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_gaussian_is_finite_wherever_its_likelihood_is(form, dtype):
    limits = np.finfo(dtype)
    huge = np.log(limits.max) * 0.9
    # Residual, log-variance. exp(-s) alone overflows in all but the last two.
    cases = [
        (0, -1e4),
        (np.sqrt(limits.tiny), -1.2 * huge),
        (limits.tiny, -1.9 * huge),
        (1e-15, -huge),
        (np.sqrt(limits.max) / 8, 1.5 * huge),
        (3, 1e4),
    ]
    raw = np.array(cases, dtype)
    losses, gradient = form.losses(GaussianNLL(), raw, np.zeros((len(raw), 1), dtype))
    r, s = raw.astype(np.longdouble).T
    square = np.exp(2 * np.log(np.where(r, r, 1)) - s) * (r != 0)
    slope = np.exp(np.log(np.where(r, r, 1)) - s) * (r != 0)
    keep = slope < limits.max
    rtol = 2000 * limits.eps
    np.testing.assert_allclose(losses, (s + square) / 2, rtol=rtol)
    np.testing.assert_allclose(gradient[:, 1], (1 - square) / 2, rtol=rtol)
    np.testing.assert_allclose(gradient[keep, 0], slope[keep], rtol=rtol, atol=1e-30)
    assert keep.sum() >= 5


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "loss",
    [GaussianNLL(), Gamma(), Tweedie(), Tweedie(power=3), Quantile([0.2, 0.5, 0.9])],
    ids=str,
)
def test_no_other_constant_is_better(loss, weighted):
    rng = np.random.default_rng(0)
    y = rng.gamma(2, size=(200, 2))
    weight = rng.integers(2, size=200).astype(float) if weighted else None
    best = loss.constant(y, weight, loss.n_raw(2))

    def value(raw):
        losses, _ = loss.per_sample(np.tile(raw, (200, 1)), y, np)
        return np.average(losses, weights=weight)

    for _ in range(50):
        assert value(best) <= value(best + 0.1 * rng.normal(size=best.shape))


@pytest.mark.parametrize(
    "quantile",
    [
        [],
        [0.5, 0.1],
        [0.5, 0.5],
        [0.0, 0.5],
        [0.5, 1.0],
        ["a"],
        [[0.1, 0.9]],
        (0.9, 0.1),
    ],
    ids=str,
)
def test_quantiles_out_of_order_are_an_error(quantile):
    with pytest.raises(ValueError, match=r"'quantile'.*strictly increasing.*Got"):
        Quantile(quantile).check()
    with pytest.raises(ValueError, match=r"'quantile'.*strictly increasing.*Got"):
        Quantile(np.array([0.3, 0.2])).check()


@pytest.mark.parametrize(
    ("loss", "value", "match"),
    [
        (Gamma(), 0.0, r"'gamma'.*y > 0.*0\.0.*'tweedie'.*'squared_error'"),
        (Tweedie(), -1.0, r"power=1\.5.*y >= 0.*-1\.0.*'squared_error'"),
        (Tweedie(power=2), 0.0, r"power=2.*y > 0.*power below 2"),
        (Tweedie(power=3), -1.0, r"power=3.*y > 0.*-1\.0"),
    ],
    ids=str,
)
def test_targets_outside_of_the_domain_are_an_error(loss, value, match):
    loss.check_targets(np.array([[1.0]]))
    with pytest.raises(ValueError, match=match):
        loss.check_targets(np.array([[1.0], [value]]))


def test_tweedie_takes_zeros_below_a_power_of_2():
    Tweedie(power=1.9).check_targets(np.zeros((2, 1)))
    with pytest.raises(ValueError, match=r"power.*Tweedie.*\[1.0, inf\)"):
        Tweedie(power=0.5).check()


# Extreme numbers


huge = st.floats(-1e300, 1e300)


@settings(deadline=None)
@given(
    arrays(np.float64, (4, 3), elements=huge),
    arrays(np.int64, 4, elements=st.integers(0, 2)),
)
def test_log_loss_of_classes_is_finite_for_finite_outputs(form, raw, y):
    losses, gradient = form.losses(LogLoss(), raw, y)
    assert np.all(np.isfinite(losses))
    assert np.all(losses >= 0)
    assert np.all(np.abs(gradient) <= 1 + 1e-15)


@settings(deadline=None)
@given(
    arrays(np.float64, (4, 3), elements=huge),
    arrays(np.int64, (4, 3), elements=st.integers(0, 1)),
)
def test_log_loss_of_labels_is_finite_for_finite_outputs(form, raw, y):
    losses, gradient = form.losses(LogLoss(), raw, y.astype(float))
    assert np.all(np.isfinite(losses))
    assert np.all(losses >= 0)
    assert np.all(np.abs(gradient) <= 1)


def test_log_loss_keeps_small_losses(form):
    losses, _ = form.losses(LogLoss(), np.array([[40.0]]), np.array([[1.0]]))
    np.testing.assert_allclose(losses, [np.exp(-40)], rtol=1e-12)


# Predictions


@pytest.mark.parametrize("multiclass", [True, False])
def test_probabilities_belong_to_the_loss(multiclass):
    raw = np.array([[0.0, LN(3)]])
    expected = [[1 / 4, 3 / 4]] if multiclass else [[1 / 2, 3 / 4]]
    np.testing.assert_allclose(LogLoss().link(multiclass).inverse(raw), expected)
    np.testing.assert_allclose(
        LogLoss().link(multiclass).log_inverse(raw), np.log(expected)
    )


@pytest.mark.parametrize("multiclass", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_log_probabilities_stay_finite(multiclass, dtype):
    raw = np.array([[1e4, -1e4], [30.0, -30.0]], dtype)
    p = LogLoss().link(multiclass).inverse(raw)
    log_p = LogLoss().link(multiclass).log_inverse(raw)
    assert p.dtype == log_p.dtype == dtype
    np.testing.assert_allclose(p[0], [1, 0])
    np.testing.assert_allclose(log_p[0], [0, -2e4 if multiclass else -1e4])
    np.testing.assert_allclose(np.exp(log_p), p, rtol=1e-4)


def test_only_log_loss_has_probabilities():
    assert LogLoss().link().gives_probabilities
    assert not Hinge().link().gives_probabilities


def test_names_of_output_activations_are_scikit_learns():
    assert LogLoss().link(multiclass=True).name == "softmax"
    assert LogLoss().link(multiclass=False).name == "logistic"
    assert Hinge().link(multiclass=True).name == "identity"
    assert SquaredError().link().name == "identity"
    assert Poisson().link().name == "exp"


def test_poisson_raises_for_negative_targets():
    with pytest.raises(ValueError, match=r"'poisson'.*y >= 0.*-2.*'squared_error'"):
        Poisson().check_targets(np.array([[1.0], [-2.0]]))


def test_poisson_takes_targets_of_zero():
    Poisson().check_targets(np.array([[1.0], [0.0]]))


# Parameters and defaults


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
def test_parameters_outside_their_domain_raise(loss, message):
    with pytest.raises(ValueError, match=message):
        loss.check()


@pytest.mark.parametrize("loss", [LogLoss(), Hinge(), SquaredHinge()])
def test_a_loss_is_for_all_tasks_with_one_raw_output_each_by_default(loss):
    assert isinstance(loss, ClassificationLoss)
    assert loss.tasks == ("binary", "multiclass", "multilabel")
    assert not loss.indices_for_two
    assert not loss.is_random
    assert not loss.chooses
    assert loss.n_chosen == (0, 0)
    before = dict(vars(loss))
    assert loss.start(np.arange(3), np.ones(3)) is None
    assert vars(loss) == before
    assert loss.n_raw(3) == 3
    raw = np.ones((2, 3))
    assert loss.link().scores(raw) is raw
