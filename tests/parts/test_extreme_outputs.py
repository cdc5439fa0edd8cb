"""Losses of raw outputs of any size, against their formulas in high precision.

Values and slopes are right wherever the data type can represent them.
"""

import numpy as np
import pytest

from sknn_notes.losses import (
    CLASSIFICATION_LOSSES,
    REGRESSION_LOSSES,
    AbsoluteError,
    Gamma,
    GaussianNLL,
    HierarchicalSoftmax,
    Hinge,
    Huber,
    LogLoss,
    Poisson,
    Quantile,
    SampledSoftmax,
    SquaredError,
    SquaredHinge,
    Tweedie,
)

mpmath = pytest.importorskip("mpmath")
mp, mpf = mpmath.mp, mpmath.mpf

N_ROWS = 12


@pytest.fixture(autouse=True)
def overflow_is_silent():
    """Ignore overflows as a training does, which checks the loss."""
    with np.errstate(all="ignore"):
        yield


# The formulas. They take a loss, the raw outputs of a sample and its target: the index
# of a class, or a list of numbers.


def softplus(f):
    return mp.log1p(mp.exp(f)) if f <= 0 else f + mp.log1p(mp.exp(-f))


def log_sum_exp(f):
    return max(f) + mp.log(mp.fsum(mp.exp(each - max(f)) for each in f))


def log_loss(loss, f, y):
    s = mpf(loss.label_smoothing)
    if isinstance(y, int):
        return log_sum_exp(f) - (1 - s) * f[y] - s * mp.fsum(f) / len(f)
    return mp.fsum(
        softplus(a) - ((1 - s) * b + s / 2) * a for a, b in zip(f, y, strict=True)
    )


def hinge(loss, f, y, power=1):
    margin = mpf(loss.margin)
    if isinstance(y, int):
        leads = [f[y] - each for k, each in enumerate(f) if k != y]
    else:
        leads = [(2 * b - 1) * a for a, b in zip(f, y, strict=True)]
    return mp.fsum(max(margin - lead, mpf(0)) ** power for lead in leads)


def path(loss, f, y):
    nodes, right = (each[0].tolist() for each in loss.tree_.paths(np.array([y])))
    turns = [(f[n], r) for n, r in zip(nodes, right, strict=True) if n >= 0]
    return mp.fsum(softplus(-f if right else f) for f, right in turns)


def huber(loss, f, y):
    delta, sizes = mpf(loss.delta), [abs(a - b) for a, b in zip(f, y, strict=True)]
    return mp.fsum(r * r / 2 if r <= delta else delta * (r - delta / 2) for r in sizes)


def pinball(loss, f, y):
    total, value = mpf(0), mpf(0)
    for k, level in enumerate(loss.levels):
        value = f[0] if k == 0 else value + softplus(f[k])
        r = value - y[0]
        total += max((1 - mpf(level)) * r, -mpf(level) * r)
    return total


def gaussian(loss, f, y):
    return (f[1] + (y[0] - f[0]) ** 2 * mp.exp(-f[1])) / 2


def gamma(loss, f, y):
    return f[0] + y[0] * mp.exp(-f[0]) - mp.log(y[0]) - 1


def tweedie(loss, f, y):
    def box_cox(log, a):
        return mp.expm1(a * log) / a if a else log

    f, y, a, b = f[0], y[0], 2 - mpf(loss.power), 1 - mpf(loss.power)
    if y == 0:
        return mp.exp(a * f) / a
    gain, pull = (box_cox(f, c) - box_cox(mp.log(y), c) for c in (a, b))
    return gain - y * pull


FORMULAS = {
    AbsoluteError: lambda loss, f, y: abs(f[0] - y[0]),
    Gamma: gamma,
    GaussianNLL: gaussian,
    HierarchicalSoftmax: path,
    Hinge: hinge,
    Huber: huber,
    LogLoss: log_loss,
    Poisson: lambda loss, f, y: tweedie(Tweedie(power=1), f, y),
    Quantile: pinball,
    SampledSoftmax: log_loss,
    SquaredError: lambda loss, f, y: (f[0] - y[0]) ** 2 / 2,
    SquaredHinge: lambda loss, f, y: hinge(loss, f, y, power=2),
    Tweedie: tweedie,
}
# Exponentials of sums of logarithms. The error of the sum is a relative error of the
# result.
EXPONENTIAL = Gamma, GaussianNLL, Poisson, Tweedie
CASES = [
    *(
        (cls(), kind)
        for cls in CLASSIFICATION_LOSSES.values()
        for kind in ("multiclass", "multilabel")
        if kind in cls.tasks
    ),
    *((cls(), "numbers") for cls in REGRESSION_LOSSES.values()),
    (LogLoss(label_smoothing=0.25), "multiclass"),
    (LogLoss(label_smoothing=0.25), "multilabel"),
    (Hinge(margin=0.125), "multiclass"),
    (SquaredHinge(margin=4.0), "multilabel"),
    (HierarchicalSoftmax(tree=(0, (1, 2))), "multiclass"),
    (Huber(delta=0.25), "numbers"),
    (Quantile(0.75), "numbers"),
    (Quantile([0.125, 0.5, 0.75]), "numbers"),
    *((Tweedie(power=power), "numbers") for power in (1, 1.75, 2, 3)),
]
each_case = pytest.mark.parametrize(
    "case", CASES, ids=[f"{loss}-{kind}" for loss, kind in CASES]
)
each_dtype = pytest.mark.parametrize(
    "dtype", ["float32", pytest.param("float64", marks=pytest.mark.nightly)]
)


def test_every_loss_has_its_formula_here():
    losses = {*CLASSIFICATION_LOSSES.values(), *REGRESSION_LOSSES.values()}
    assert losses == FORMULAS.keys()


# Cases and their exact results.


def data_of(loss, kind, dtype):
    """Return raw outputs of any size, and targets."""
    rng = np.random.default_rng(0)
    n_outputs = 1 if kind == "numbers" else 3
    top = 10.0 ** (38 if dtype == "float32" else 300)
    sizes = [0, 1e-30, 1e-3, 0.5, 1.25, 3, 10, 30, 85, 150, 600, 1e4]
    sizes += [np.sqrt(top), np.sqrt(10 * top), top / 10, top]
    shape = N_ROWS, loss.n_raw(n_outputs)
    raw = rng.choice(sizes, shape) * rng.choice([-1, 1], shape)
    # Some rows are equal, with a large value in common.
    raw[:3] = np.array([top, -top, 85])[:, None]
    if kind == "multiclass":
        return raw.astype(dtype), rng.integers(3, size=N_ROWS)
    if kind == "multilabel":
        return raw.astype(dtype), rng.integers(2, size=shape).astype(dtype)
    # No target equals an output, where some losses have no slope.
    y = rng.choice([0.25, 2, 1e-3, 100, 1e10, np.sqrt(top) / 4], (N_ROWS, 1))
    if isinstance(loss, Poisson) or (isinstance(loss, Tweedie) and loss.power < 2):
        y[::4] = 0
    elif not isinstance(loss, EXPONENTIAL) or isinstance(loss, GaussianNLL):
        y *= rng.choice([-1, 1], y.shape)
    return raw.astype(dtype), y.astype(dtype)


def exact(loss, kind, dtype):
    """Return a loss with its data, exact values, and slopes by tiny differences."""
    if kind != "numbers":
        loss.start(np.arange(3), None)
    raw, y = data_of(loss, kind, dtype)
    formula, step = FORMULAS[type(loss)], mpf(10) ** -40
    # Digits for the largest numbers or their squares, and for the step.
    n_digits = 120 if dtype == "float32" else 380
    if isinstance(loss, SquaredHinge | SquaredError):
        n_digits *= 2
    with mp.workdps(n_digits):
        values, slopes = [], []
        for own, target in zip(raw, y, strict=True):
            f = [mpf(float(each)) for each in own]
            label = [mpf(float(t)) for t in target] if y.ndim == 2 else int(target)
            values.append(as_float(formula(loss, f, label), dtype))
            for k in range(len(f)):
                up, down = (
                    formula(loss, [*f[:k], f[k] + h, *f[k + 1 :]], label)
                    for h in (step, -step)
                )
                slopes.append(as_float((up - down) / (2 * step), dtype))
    return loss, raw, y, np.array(values), np.array(slopes).reshape(raw.shape)


def as_float(number, dtype):
    """Return a number as float64, as infinite if the dtype cannot represent it."""
    if abs(number) > float(np.finfo(dtype).max):
        return float(mp.sign(number)) * np.inf
    return float(number)


def check(actual, desired, dtype, amplification):
    """Compare numbers up to a few units of rounding of themselves and of 1.

    Slopes are differences of numbers up to 1, so these are their natural units.
    """
    representable = np.isfinite(desired)
    assert actual.dtype == dtype
    assert (np.isfinite(actual) == representable).all()
    bound = 8 * np.finfo(dtype).eps * (1 + amplification * np.abs(desired))
    error = np.abs(actual.astype(float) - desired)
    assert (error <= bound)[representable].all()


def amplification_of(loss, raw, y):
    if not isinstance(loss, EXPONENTIAL):
        return np.ones(len(raw))
    logs = np.abs(np.log(np.abs(y), out=np.zeros_like(y), where=y != 0))
    arguments = np.max(np.abs(raw), axis=1) + np.max(logs, axis=1)
    # Larger arguments have results that are infinite or 0.
    return 1 + np.minimum(arguments, 2 * np.log(np.finfo(raw.dtype).max))


@each_case
@each_dtype
def test_losses_and_slopes_are_exact_up_to_rounding(every_form, case, dtype):
    loss, raw, y, values, slopes = exact(*case, dtype)
    factor = amplification_of(loss, raw, y)
    for form in every_form:
        losses, gradient = form.losses(loss, raw, y)
        check(losses, values, dtype, factor)
        check(gradient, slopes, dtype, factor[:, None])


# Losses of chosen outputs


@each_dtype
@pytest.mark.parametrize("name", ["sampled_softmax", "hierarchical_softmax"])
def test_losses_of_chosen_outputs_are_exact_up_to_rounding(form, name, dtype):
    cls = CLASSIFICATION_LOSSES[name]
    n_own = 1 if name == "sampled_softmax" else 3
    raw, _ = data_of(LogLoss(), "multiclass", dtype)
    targets = np.random.default_rng(1).integers(2, size=raw.shape).astype(dtype)
    losses, gradient = form.chosen(cls(), raw, targets[:, :n_own])
    values = []
    with mp.workdps(400):
        for own, target in zip(raw, targets, strict=True):
            f = [mpf(float(each)) for each in own]
            if name == "sampled_softmax":
                value = log_sum_exp(f) - f[0]
            else:
                value = mp.fsum(
                    softplus(-a if t else a) for a, t in zip(f, target, strict=True)
                )
            values.append(as_float(value, dtype))
    check(losses, np.array(values), dtype, 1)
    assert np.isfinite(gradient).all()


# The mean over samples


@pytest.mark.parametrize("weighted", [False, True])
def test_the_mean_is_finite_where_the_sum_is_not(weighted):
    raw = np.full((60, 1), 1e38, np.float32)
    weight = np.ones(60, np.float32) if weighted else None
    value, gradient = AbsoluteError().mean(raw, 0 * raw, weight, np)
    assert value == pytest.approx(1e38)
    assert gradient == pytest.approx(1 / 60)
