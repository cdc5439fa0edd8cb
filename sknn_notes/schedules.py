"""Schedules of the learning rate: one class each, registered in ``SCHEDULES``.

A schedule with a ``start`` can also drive ``alpha`` or ``dropout``. It holds no state:
training asks it once per epoch, and passes the state of training as a ``Progress``.
"""

from dataclasses import dataclass
from math import inf, nan
from numbers import Integral, Real
from typing import Any

import numpy as np

from sknn_notes._checks import Interval, Registry, shown
from sknn_notes._part import Part
from sknn_notes._sklearn import StrOptions
from sknn_notes._typing import Floats

__all__ = [
    "SCHEDULES",
    "Adaptive",
    "Constant",
    "Cosine",
    "Exponential",
    "FlatCosine",
    "InvScaling",
    "InverseTime",
    "OneCycle",
    "Progress",
    "Schedule",
    "Step",
    "values",
]


@dataclass(frozen=True)
class Progress:
    """State of training before an epoch.

    Parameters
    ----------
    epoch : int, default=0
        Number of epochs done in this fit.
    n_steps : int, default=1
        Number of steps in the coming epoch.
    n_seen : int, default=0
        Number of samples seen by the network, as in ``t_``.
    n_plateaus : int, default=0
        Number of plateaus so far, where a plateau is more than ``n_iter_no_change``
        epochs without improvement.
    loss : float, default=nan
        Training loss of the last epoch, NaN before the first.
    max_iter : int, default=200
        Maximum number of epochs.

    Examples
    --------
    >>> from sknn_notes.schedules import Cosine, Progress
    >>> Cosine().rates(0.1, Progress(epoch=50, max_iter=100))
    array([0.05])
    """

    epoch: int = 0
    n_steps: int = 1
    n_seen: int = 0
    n_plateaus: int = 0
    loss: float = nan
    max_iter: int = 200


class Schedule(Part):
    """Base class of schedules.

    A subclass defines ``formula``. Its ``__init__`` only needs the parameters ``start``
    and ``warmup`` if users are to set them.

    Parameters
    ----------
    start : float, default=None
        Base value if the schedule drives ``alpha`` or ``dropout``. With None it drives
        the learning rate, with the base ``learning_rate_init``.
    warmup : float, default=0
        Number of epochs in which the rate rises linearly from near 0 to the rate of the
        schedule.

    Attributes
    ----------
    needs_max_iter : bool
        Whether the rate depends on ``max_iter``. ``partial_fit`` then raises an error,
        since the number of its calls is unknown.
    needs_plateaus : bool
        Whether the rate depends on plateaus. ``partial_fit`` then raises an error,
        since each call may bring different samples.

    Examples
    --------
    >>> from sknn_notes.schedules import Progress, Schedule
    >>> class Linear(Schedule):
    ...     needs_max_iter = True
    ...
    ...     def formula(self, base, epochs, progress):
    ...         return base * (1 - epochs / progress.max_iter)
    >>> Linear().rates(0.1, Progress(epoch=2, n_steps=2, max_iter=4))
    array([0.05 , 0.0375])
    >>> Linear(warmup=5).rates(0.1, Progress(epoch=2, n_steps=2, max_iter=4))
    array([0.025 , 0.0225])
    """

    needs_max_iter = False
    needs_plateaus = False

    @property
    def is_constant(self) -> bool:
        """Whether the rate is the same in every step."""
        return False

    _parameter_constraints: dict[str, list[Any]] = {
        "start": [None, Interval(Real, 0, inf, closed="left")],
        "warmup": [Interval(Real, 0, inf, closed="left")],
    }
    # The values for a subclass with an __init__ that sets neither.
    start: float | None = None
    warmup: float = 0

    def __init__(self, *, start: float | None = None, warmup: float = 0) -> None:
        self.start = start
        self.warmup = warmup

    def formula(
        self, base: float, epochs: Floats, progress: Progress
    ) -> float | Floats:
        """Return the rates of the coming epoch, without the warmup.

        Parameters
        ----------
        base : float
            Value that the schedule scales.
        epochs : ndarray of shape (n_steps,)
            Time of each step, in epochs since the start of training: step ``i`` of
            epoch ``e`` is at ``e + i / n_steps``.
        progress : Progress
            State of training before the epoch.

        Returns
        -------
        rates : float or ndarray of shape (n_steps,)
            One rate for the whole epoch, or one per step; finite and non-negative.
        """
        raise NotImplementedError

    def rates(self, base: float, progress: Progress) -> Floats:
        """Return the rate of each step of the coming epoch.

        Parameters
        ----------
        base : float
            ``learning_rate_init``, or ``start`` of the schedule.
        progress : Progress
            State of training before the epoch.

        Returns
        -------
        rates : ndarray of shape (n_steps,)
            Rates in float64.

        Raises
        ------
        ValueError
            If ``formula`` returns a rate that is negative or not finite, or the wrong
            number of rates.
        """
        epochs = progress.epoch + np.arange(progress.n_steps) / progress.n_steps
        rates = self._checked(self.formula(base, epochs, progress), epochs)
        if self.warmup:
            # Evaluated at the end of each step, so that the first rate is not 0.
            rates *= np.minimum(1, (epochs + 1 / progress.n_steps) / self.warmup)
        return rates

    def _checked(self, returned: Any, epochs: Floats) -> Floats:
        """Return the result of ``formula`` as a new array with a number per step."""
        n_steps = len(epochs)
        if isinstance(returned, float) and 0 <= returned < inf:
            return np.full(n_steps, returned)
        name = f"{type(self).__name__}.formula"
        try:
            numbers = np.array(returned, dtype=np.float64)
        except (TypeError, ValueError, OverflowError):
            numbers = None
        if numbers is None or numbers.shape not in ((), (n_steps,)):
            raise ValueError(
                f"{name} must return one number, or an array of shape ({n_steps},) "
                f"with one per step. Got {shown(returned)}."
            )
        rates = np.full(n_steps, numbers)
        if not 0 <= rates.min() <= rates.max() < inf:
            wrong = np.flatnonzero(~(np.isfinite(rates) & (rates >= 0)))
            raise ValueError(
                f"{name} must return numbers that are finite and >= 0. Got "
                f"{rates[wrong[0]]:g} at epoch {epochs[wrong[0]]:g}."
            )
        return rates

    def goes_on(self, rate: float) -> bool:
        """Return whether training continues after a plateau.

        Parameters
        ----------
        rate : float
            The learning rate of the last step.

        Returns
        -------
        goes_on : bool
        """
        return False


def values(spec: float | Schedule, progress: Progress, *, below: float = inf) -> Floats:
    """Return the value of a parameter at each step of the coming epoch.

    Parameters
    ----------
    spec : float or Schedule
        The value, or a schedule with a ``start``.
    progress : Progress
        State of training before the epoch.
    below : float, default=inf
        Upper bound, which values must not reach, such as 1 for ``dropout``.

    Returns
    -------
    values : ndarray of shape (n_steps,)
        Values in float64.

    Raises
    ------
    ValueError
        If a schedule has no ``start``, or returns a value that is negative, not finite,
        or too large.

    Examples
    --------
    >>> from sknn_notes.schedules import Cosine, Progress, values
    >>> halfway = Progress(epoch=50, n_steps=2, max_iter=100)
    >>> values(0.2, halfway)
    array([0.2, 0.2])
    >>> values(Cosine(start=0.2), halfway).round(4)
    array([0.1   , 0.0984])
    """
    if not isinstance(spec, Schedule):
        return np.full(progress.n_steps, float(spec))
    if spec.start is None:
        raise ValueError(
            f"{spec!r} has no value to scale. Pass one as its parameter start."
        )
    rates = spec.rates(spec.start, progress)
    if not np.all(rates < below):
        raise ValueError(
            f"{type(spec).__name__} must stay below {below:g} here. Got "
            f"{np.max(rates):g} in epoch {progress.epoch}."
        )
    return rates


class Constant(Schedule):
    """Constant rate ``learning_rate_init``, after the warmup if there is one.

    Parameters
    ----------
    start : float, default=None
        Base value for ``alpha`` or ``dropout``; replaces ``learning_rate_init``.
    warmup : float, default=0
        Number of epochs in which the rate rises linearly from near 0 to the rate of the
        schedule.

    References
    ----------
    Goyal, P. et al. (2017). Accurate, large minibatch SGD: training ImageNet in 1 hour.
    arXiv:1706.02677 (the warmup).

    Examples
    --------
    >>> from sknn_notes.schedules import Constant, Progress
    >>> Constant().rates(0.1, Progress(epoch=9, n_steps=2))
    array([0.1, 0.1])
    >>> Constant(warmup=2).rates(0.1, Progress(epoch=0, n_steps=4))
    array([0.0125, 0.025 , 0.0375, 0.05  ])
    """

    @property
    def is_constant(self) -> bool:
        return not self.warmup and type(self).formula is Constant.formula

    def formula(
        self, base: float, epochs: Floats, progress: Progress
    ) -> float | Floats:
        return base


class InvScaling(Schedule):
    """Rate that falls with the samples: ``learning_rate_init / (t + 1)**power_t``.

    ``t`` is the number of samples seen. All steps of an epoch have the same rate, as in
    scikit-learn.

    Parameters
    ----------
    power_t : float, default=0.5
        Exponent of the decay.
    start : float, default=None
        Base value for ``alpha`` or ``dropout``; replaces ``learning_rate_init``.
    warmup : float, default=0
        Number of epochs in which the rate rises linearly from near 0 to the rate of the
        schedule.

    Examples
    --------
    >>> from sknn_notes.schedules import InvScaling, Progress
    >>> InvScaling().rates(0.1, Progress(epoch=1, n_steps=2, n_seen=99))
    array([0.01, 0.01])
    """

    _parameter_constraints = Schedule._parameter_constraints | {
        "power_t": [Interval(Real, 0, None, closed="left")]
    }

    def __init__(
        self, *, power_t: float = 0.5, start: float | None = None, warmup: float = 0
    ) -> None:
        super().__init__(start=start, warmup=warmup)
        self.power_t = power_t

    def formula(
        self, base: float, epochs: Floats, progress: Progress
    ) -> float | Floats:
        return _divided(base, progress.n_seen + 1, float(self.power_t))


def _divided(base: float, number: float, power: float) -> float:
    """Return ``base / number**power``, or 0 if that is too small for a float."""
    try:
        return base / float(number**power)
    except OverflowError:
        return 0.0


class Adaptive(Schedule):
    """Rate that is divided by 5 at each plateau.

    Training continues after a plateau unless the rate is 1e-6 or less. With every other
    schedule of the learning rate it stops at the first plateau. ``partial_fit`` does
    not support this schedule: its calls may each bring different data, and losses on
    different data don't show a plateau.

    Parameters
    ----------
    start : float, default=None
        Base value for ``alpha`` or ``dropout``; replaces ``learning_rate_init``.
    warmup : float, default=0
        Number of epochs in which the rate rises linearly from near 0 to the rate of the
        schedule.

    Examples
    --------
    >>> from sknn_notes.schedules import Adaptive, Progress
    >>> Adaptive().rates(0.5, Progress(epoch=30, n_steps=2, n_plateaus=1))
    array([0.1, 0.1])
    """

    needs_plateaus = True

    def formula(
        self, base: float, epochs: Floats, progress: Progress
    ) -> float | Floats:
        return _divided(base, 5, progress.n_plateaus)

    def goes_on(self, rate: float) -> bool:
        return rate > 1e-6


class Step(Schedule):
    """Rate that falls by a factor every ``step_size`` epochs.

    It is ``learning_rate_init * gamma**(epoch // step_size)``.

    Parameters
    ----------
    step_size : int, default=30
        Number of epochs with the same rate.
    gamma : float, default=0.1
        Factor of the rate, in (0, 1].
    start : float, default=None
        Base value for ``alpha`` or ``dropout``; replaces ``learning_rate_init``.
    warmup : float, default=0
        Number of epochs in which the rate rises linearly from near 0 to the rate of the
        schedule.

    Examples
    --------
    >>> from sknn_notes.schedules import Progress, Step
    >>> Step(step_size=10, gamma=0.5).rates(0.1, Progress(epoch=29, n_steps=2))
    array([0.025, 0.025])
    """

    _parameter_constraints = Schedule._parameter_constraints | {
        "step_size": [Interval(Integral, 1, None, closed="left")],
        "gamma": [Interval(Real, 0, 1, closed="right")],
    }

    def __init__(
        self,
        *,
        step_size: int = 30,
        gamma: float = 0.1,
        start: float | None = None,
        warmup: float = 0,
    ) -> None:
        super().__init__(start=start, warmup=warmup)
        self.step_size = step_size
        self.gamma = gamma

    def formula(
        self, base: float, epochs: Floats, progress: Progress
    ) -> float | Floats:
        return base * self.gamma ** (progress.epoch // self.step_size)


class Exponential(Schedule):
    """Rate that falls exponentially: ``learning_rate_init * gamma**epoch``.

    It falls at every step, since ``epoch`` is a fraction within an epoch.

    Parameters
    ----------
    gamma : float, default=0.95
        Factor of the rate per epoch, in (0, 1]. 0.95 divides it by 10 in 45 epochs.
    start : float, default=None
        Base value for ``alpha`` or ``dropout``; replaces ``learning_rate_init``.
    warmup : float, default=0
        Number of epochs in which the rate rises linearly from near 0 to the rate of the
        schedule.

    Examples
    --------
    >>> from sknn_notes.schedules import Exponential, Progress
    >>> Exponential(gamma=0.25).rates(0.4, Progress(epoch=1, n_steps=2))
    array([0.1 , 0.05])
    """

    _parameter_constraints = Schedule._parameter_constraints | {
        "gamma": [Interval(Real, 0, 1, closed="right")]
    }

    def __init__(
        self, *, gamma: float = 0.95, start: float | None = None, warmup: float = 0
    ) -> None:
        super().__init__(start=start, warmup=warmup)
        self.gamma = gamma

    def formula(
        self, base: float, epochs: Floats, progress: Progress
    ) -> float | Floats:
        return base * self.gamma**epochs


class InverseTime(Schedule):
    """Rate that falls as ``learning_rate_init / (1 + gamma * epoch)``.

    It falls at every step, since ``epoch`` is a fraction within an epoch.

    Parameters
    ----------
    gamma : float, default=0.05
        Speed of the decay. The rate is halved after ``1 / gamma`` epochs, 20 by
        default.
    start : float, default=None
        Base value for ``alpha`` or ``dropout``; replaces ``learning_rate_init``.
    warmup : float, default=0
        Number of epochs in which the rate rises linearly from near 0 to the rate of the
        schedule.

    Examples
    --------
    >>> from sknn_notes.schedules import InverseTime, Progress
    >>> InverseTime(gamma=2.0).rates(0.1, Progress(epoch=2, n_steps=2))
    array([0.02      , 0.01666667])
    """

    _parameter_constraints = Schedule._parameter_constraints | {
        "gamma": [Interval(Real, 0, None, closed="left")]
    }

    def __init__(
        self, *, gamma: float = 0.05, start: float | None = None, warmup: float = 0
    ) -> None:
        super().__init__(start=start, warmup=warmup)
        self.gamma = gamma

    def formula(
        self, base: float, epochs: Floats, progress: Progress
    ) -> float | Floats:
        return base / (1 + self.gamma * epochs)


class Cosine(Schedule):
    """Rate that falls to 0 along half a cosine within ``max_iter`` epochs.

    It is ``learning_rate_init * (1 + cos(pi * epoch / max_iter)) / 2``, and falls at
    every step, since ``epoch`` is a fraction within an epoch. ``partial_fit`` does not
    support this schedule, since the number of its calls is unknown.

    Parameters
    ----------
    start : float, default=None
        Base value for ``alpha`` or ``dropout``; replaces ``learning_rate_init``.
    warmup : float, default=0
        Number of epochs in which the rate rises linearly from near 0 to the rate of the
        schedule.

    References
    ----------
    Loshchilov, I. and Hutter, F. (2017). SGDR: stochastic gradient descent with warm
    restarts. ICLR.

    Examples
    --------
    >>> from sknn_notes.schedules import Cosine, Progress
    >>> Cosine().rates(0.1, Progress(epoch=1, n_steps=2, max_iter=2))
    array([0.05      , 0.01464466])
    """

    needs_max_iter = True

    def formula(
        self, base: float, epochs: Floats, progress: Progress
    ) -> float | Floats:
        return base * _half_cosine(epochs / progress.max_iter)


def _half_cosine(share: Floats) -> Floats:
    """Return a value that falls from 1 to 0 while ``share`` rises from 0 to 1."""
    cosine: Floats = np.cos(np.pi * share)
    return (1 + cosine) / 2


class FlatCosine(Schedule):
    """Rate that is constant at first, then falls to 0 along half a cosine.

    It is ``learning_rate_init * (1 + cos(pi * x)) / 2``, where ``x`` is 0 for the first
    ``flat * max_iter`` epochs and then rises linearly to 1 at ``max_iter``.
    ``partial_fit`` does not support this schedule, since the number of its calls is
    unknown.

    Parameters
    ----------
    flat : float, default=0.5
        Fraction of ``max_iter`` with a constant rate, in [0, 1); 0 is ``Cosine``. The
        default is that of the reference, which uses this schedule for weight decay and
        dropout.
    start : float, default=None
        Base value for ``alpha`` or ``dropout``; replaces ``learning_rate_init``.
    warmup : float, default=0
        Number of epochs in which the rate rises linearly from near 0 to the rate of the
        schedule.

    References
    ----------
    Holzmüller, D., Grinsztajn, L. and Steinwart, I. (2024). Better by default: strong
    pre-tuned MLPs and boosted trees on tabular data. NeurIPS.

    Examples
    --------
    >>> from sknn_notes.schedules import FlatCosine, Progress
    >>> [FlatCosine().rates(0.1, Progress(e, max_iter=8)).item() for e in (0, 4, 6)]
    [0.1, 0.1, 0.05]
    """

    needs_max_iter = True
    _parameter_constraints = Schedule._parameter_constraints | {
        "flat": [Interval(Real, 0, 1, closed="left")]
    }

    def __init__(
        self, *, flat: float = 0.5, start: float | None = None, warmup: float = 0
    ) -> None:
        super().__init__(start=start, warmup=warmup)
        self.flat = flat

    def formula(
        self, base: float, epochs: Floats, progress: Progress
    ) -> float | Floats:
        share = (epochs / progress.max_iter - self.flat) / (1 - self.flat)
        return base * _half_cosine(np.maximum(share, 0))


class OneCycle(Schedule):
    """Rate that rises at first, then falls far below its first value.

    It rises from ``learning_rate_init / div_factor`` to ``learning_rate_init`` in
    ``pct_start * max_iter`` epochs. Until ``max_iter`` it falls to the first rate
    divided by ``final_div_factor``. Here ``learning_rate_init`` is the largest rate,
    often several times as large as a good constant rate. The momentum does not change.
    ``partial_fit`` does not support this schedule, since the number of its calls is
    unknown.

    Parameters
    ----------
    pct_start : float, default=0.3
        Fraction of ``max_iter`` in which the rate rises, in (0, 1).
    anneal_strategy : {'cos', 'linear'}, default='cos'
        Whether the rate rises and falls along half a cosine or a straight line.
    div_factor : float, default=25.0
        Ratio of the largest to the first rate, at least 1.
    final_div_factor : float, default=10000.0
        Ratio of the first to the last rate, at least 1.
    start : float, default=None
        Base value for ``alpha`` or ``dropout``, which is their largest value; replaces
        ``learning_rate_init``.
    warmup : float, default=0
        Number of epochs in which the rate rises linearly from near 0 to the rate of the
        schedule.

    References
    ----------
    Smith, L. N. (2018). A disciplined approach to neural network hyper-parameters: part
    1. arXiv:1803.09820.

    Examples
    --------
    >>> from sknn_notes.schedules import OneCycle, Progress
    >>> cycle = OneCycle(pct_start=0.5, anneal_strategy="linear", div_factor=10)
    >>> [cycle.rates(1.0, Progress(e, max_iter=4)).item() for e in range(4)]
    [0.1, 0.55, 1.0, 0.500005]
    """

    needs_max_iter = True
    _parameter_constraints = Schedule._parameter_constraints | {
        "pct_start": [Interval(Real, 0, 1, closed="neither")],
        "anneal_strategy": [StrOptions({"cos", "linear"})],
        "div_factor": [Interval(Real, 1, None, closed="left")],
        "final_div_factor": [Interval(Real, 1, None, closed="left")],
    }

    def __init__(
        self,
        *,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        start: float | None = None,
        warmup: float = 0,
    ) -> None:
        super().__init__(start=start, warmup=warmup)
        self.pct_start = pct_start
        self.anneal_strategy = anneal_strategy
        self.div_factor = div_factor
        self.final_div_factor = final_div_factor

    def formula(
        self, base: float, epochs: Floats, progress: Progress
    ) -> float | Floats:
        first = base / self.div_factor
        last = first / self.final_div_factor
        share, top = epochs / progress.max_iter, self.pct_start
        return np.where(
            share < top,
            self._between(first, base, share / top),
            self._between(base, last, (share - top) / (1 - top)),
        )

    def _between(self, one: float, other: float, share: Floats) -> Floats:
        if self.anneal_strategy == "cos":
            share = 1 - _half_cosine(share)
        return one + (other - one) * share


SCHEDULES: Registry[type[Schedule]] = Registry(
    {
        "adaptive": Adaptive,
        "constant": Constant,
        "cosine": Cosine,
        "exponential": Exponential,
        "flat_cosine": FlatCosine,
        "inverse_time": InverseTime,
        "invscaling": InvScaling,
        "onecycle": OneCycle,
        "step": Step,
    },
    aliases={
        "fixed": "constant",
        "none": "constant",
        "optimal": "'optimal' is not provided; 'inverse_time' is the closest.",
        "cosineannealing": "cosine",
        "cosineannealinglr": "cosine",
        "cosinedecay": "cosine",
        "cosinewarmup": "Pass an object, Cosine(warmup=5).",
        "exp": "exponential",
        "exponentialdecay": "exponential",
        "exponentiallr": "exponential",
        "fitflatcos": "flat_cosine",
        "flatcos": "flat_cosine",
        "flatcosineannealing": "flat_cosine",
        "inversetimedecay": "inverse_time",
        "1cycle": "onecycle",
        "linearwarmup": "Pass an object, Constant(warmup=5).",
        "onecyclelr": "onecycle",
        "onecyclepolicy": "onecycle",
        "plateau": "adaptive",
        "reduceonplateau": "adaptive",
        "reducelronplateau": "adaptive",
        "stepdecay": "step",
        "steplr": "step",
        "warmup": "Pass an object, Constant(warmup=5).",
    },
    number="Pass learning_rate_init={} for the rate that a schedule scales.",
    base=Schedule,
)
