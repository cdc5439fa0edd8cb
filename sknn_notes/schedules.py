"""Schedules of the learning rate: one class each, registered in ``SCHEDULES``.

A schedule also drives ``alpha`` or ``dropout``, given a ``start`` of its own. It holds
no state: it is asked once an epoch, and reads from a ``Progress`` where training is.
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
    """Where training is before an epoch.

    Parameters
    ----------
    epoch : int, default=0
        Epochs already done in this fit.
    n_steps : int, default=1
        Steps of the coming epoch.
    n_seen : int, default=0
        Samples already shown to the network, as in ``t_``.
    n_plateaus : int, default=0
        Plateaus already met: runs of more than ``n_iter_no_change`` epochs without
        improvement.
    loss : float, default=nan
        Training loss of the last finished epoch, NaN before the first.
    max_iter : int, default=200
        The number of epochs that training may take.

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

    A subclass writes ``formula``. Its own ``__init__`` takes ``start`` and ``warmup``
    only where they are wanted.

    Parameters
    ----------
    start : float, default=None
        Base value where the schedule drives ``alpha`` or ``dropout``. None is for the
        learning rate, whose base is then ``learning_rate_init``.
    warmup : float, default=0
        Epochs over which the rate climbs linearly from near 0 to the schedule's.

    Attributes
    ----------
    needs_max_iter : bool
        Whether the rate depends on ``max_iter``, so that ``partial_fit``, which never
        knows how many calls will come, raises an error for the schedule.
    needs_plateaus : bool
        Whether the rate depends on plateaus, so that ``partial_fit``, whose calls may
        each bring other samples, raises an error for the schedule.

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
    # What holds for a subclass whose own __init__ sets neither.
    start: float | None = None
    warmup: float = 0

    def __init__(self, *, start: float | None = None, warmup: float = 0) -> None:
        self.start = start
        self.warmup = warmup

    def formula(
        self, base: float, epochs: Floats, progress: Progress
    ) -> float | Floats:
        """Return the rate at some moments of the coming epoch, without the warmup.

        Parameters
        ----------
        base : float
            The value that the schedule scales.
        epochs : ndarray of shape (n_steps,)
            The moment of each step, in epochs from the start of training: step ``i``
            of epoch ``e`` is at ``e + i / n_steps``.
        progress : Progress
            Where training is before the epoch.

        Returns
        -------
        rates : float or ndarray of shape (n_steps,)
            One rate for the whole epoch, or one per step; finite and not negative.
        """
        raise NotImplementedError

    def rates(self, base: float, progress: Progress) -> Floats:
        """Return the rate of each step of the coming epoch.

        Parameters
        ----------
        base : float
            ``learning_rate_init``, or the ``start`` of the schedule.
        progress : Progress
            Where training is before the epoch.

        Returns
        -------
        rates : ndarray of shape (n_steps,)
            Of type float64.

        Raises
        ------
        ValueError
            If ``formula`` returns a number that is negative or not finite, or numbers
            for another number of steps.
        """
        epochs = progress.epoch + np.arange(progress.n_steps) / progress.n_steps
        rates = self._checked(self.formula(base, epochs, progress), epochs)
        if self.warmup:
            # The end of a step, so that the first one is not at 0.
            rates *= np.minimum(1, (epochs + 1 / progress.n_steps) / self.warmup)
        return rates

    def _checked(self, returned: Any, epochs: Floats) -> Floats:
        """Return what ``formula`` returned as a new array with a number per step."""
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
        The value itself, or a schedule with a ``start``.
    progress : Progress
        Where training is before the epoch.
    below : float, default=inf
        What every value has to be less than, such as 1 for ``dropout``.

    Returns
    -------
    values : ndarray of shape (n_steps,)
        Of type float64.

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
    """The rate stays at ``learning_rate_init``, after the warmup if there is one.

    Parameters
    ----------
    start : float, default=None
        Base value for ``alpha`` or ``dropout``; replaces ``learning_rate_init``.
    warmup : float, default=0
        Epochs over which the rate climbs linearly from near 0 to the schedule's.

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
    """The rate falls with the samples seen: ``learning_rate_init / (t + 1)**power_t``.

    It is the same for all steps of an epoch, as in scikit-learn.

    Parameters
    ----------
    power_t : float, default=0.5
        Exponent of the decay.
    start : float, default=None
        Base value for ``alpha`` or ``dropout``; replaces ``learning_rate_init``.
    warmup : float, default=0
        Epochs over which the rate climbs linearly from near 0 to the schedule's.

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
    """Return ``base / number**power``, 0 where that is too small for a float."""
    try:
        return base / float(number**power)
    except OverflowError:
        return 0.0


class Adaptive(Schedule):
    """The rate is divided by 5 at each plateau.

    Training stops at a plateau met at a rate of 1e-6 or less; under every other
    schedule of the learning rate it stops at the first. Not for ``partial_fit``:
    patience counts epochs over the data, and the losses of chunks differ by chance.

    Parameters
    ----------
    start : float, default=None
        Base value for ``alpha`` or ``dropout``; replaces ``learning_rate_init``.
    warmup : float, default=0
        Epochs over which the rate climbs linearly from near 0 to the schedule's.

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
    """The rate falls by a factor every ``step_size`` epochs.

    ``learning_rate_init * gamma**(epoch // step_size)``.

    Parameters
    ----------
    step_size : int, default=30
        Epochs between two falls.
    gamma : float, default=0.1
        What the rate is multiplied by, in (0, 1].
    start : float, default=None
        Base value for ``alpha`` or ``dropout``; replaces ``learning_rate_init``.
    warmup : float, default=0
        Epochs over which the rate climbs linearly from near 0 to the schedule's.

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
    """The rate falls by a factor every epoch: ``learning_rate_init * gamma**epoch``.

    It falls at every step: ``epoch`` counts parts of epochs, too.

    Parameters
    ----------
    gamma : float, default=0.95
        What the rate is multiplied by, in (0, 1]. 0.95 divides it by 10 in 45 epochs.
    start : float, default=None
        Base value for ``alpha`` or ``dropout``; replaces ``learning_rate_init``.
    warmup : float, default=0
        Epochs over which the rate climbs linearly from near 0 to the schedule's.

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
    """The rate falls with the epochs: ``learning_rate_init / (1 + gamma * epoch)``.

    It falls at every step: ``epoch`` counts parts of epochs, too.

    Parameters
    ----------
    gamma : float, default=0.05
        Speed of the decay: after ``1 / gamma`` epochs the rate is halved, by default
        after 20.
    start : float, default=None
        Base value for ``alpha`` or ``dropout``; replaces ``learning_rate_init``.
    warmup : float, default=0
        Epochs over which the rate climbs linearly from near 0 to the schedule's.

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
    """The rate falls to 0 along half a cosine that lasts ``max_iter`` epochs.

    ``learning_rate_init * (1 + cos(pi * epoch / max_iter)) / 2``, at every step:
    ``epoch`` counts parts of epochs, too. Not for ``partial_fit``, which does not know
    how many epochs are to come.

    Parameters
    ----------
    start : float, default=None
        Base value for ``alpha`` or ``dropout``; replaces ``learning_rate_init``.
    warmup : float, default=0
        Epochs over which the rate climbs linearly from near 0 to the schedule's.

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
    """Fall from 1 to 0 while ``share`` goes from 0 to 1."""
    cosine: Floats = np.cos(np.pi * share)
    return (1 + cosine) / 2


class FlatCosine(Schedule):
    """The rate stays for a share of training, then falls to 0 along half a cosine.

    ``learning_rate_init * (1 + cos(pi * x)) / 2``, where ``x`` is 0 for the first
    ``flat * max_iter`` epochs and then rises linearly to 1 at ``max_iter``. Not for
    ``partial_fit``, which does not know how many epochs are to come.

    Parameters
    ----------
    flat : float, default=0.5
        Share of ``max_iter`` for which the rate stays, in [0, 1); 0 is ``Cosine``. The
        default is the reference's, which drives weight decay and dropout by it.
    start : float, default=None
        Base value for ``alpha`` or ``dropout``; replaces ``learning_rate_init``.
    warmup : float, default=0
        Epochs over which the rate climbs linearly from near 0 to the schedule's.

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
    """The rate rises for a share of training, then falls far below where it began.

    It rises from ``learning_rate_init / div_factor`` to ``learning_rate_init`` over
    ``pct_start * max_iter`` epochs, then falls until ``max_iter`` to what it began
    with, divided by ``final_div_factor``. Here ``learning_rate_init`` is the largest
    rate, often several times what a constant rate would be. The momentum stays as it
    is. Not for ``partial_fit``, which does not know how many epochs are to come.

    Parameters
    ----------
    pct_start : float, default=0.3
        Share of ``max_iter`` for which the rate rises, in (0, 1).
    anneal_strategy : {'cos', 'linear'}, default='cos'
        Whether it rises and falls along half a cosine or a straight line.
    div_factor : float, default=25.0
        The largest rate divided by the first one, at least 1.
    final_div_factor : float, default=10000.0
        The first rate divided by the last one, at least 1.
    start : float, default=None
        Base value for ``alpha`` or ``dropout``, the largest that they have; replaces
        ``learning_rate_init``.
    warmup : float, default=0
        Epochs over which the rate climbs linearly from near 0 to the schedule's.

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
        "optimal": "'optimal' is not provided; 'inverse_time' comes nearest.",
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
