"""Schedules of the learning rate: one class each, registered in ``SCHEDULES``.

A schedule holds no state. It reads where training stands: the epoch (from 0), the
samples seen so far, and the plateaus met so far (stretches of ``n_iter_no_change``
epochs without improvement).
"""

from math import cos, pi
from numbers import Integral, Real

from sknn_notes._checks import Interval, Registry
from sknn_notes._part import Part

__all__ = [
    "SCHEDULES",
    "Adaptive",
    "Constant",
    "Cosine",
    "Exponential",
    "InvScaling",
    "InverseTime",
    "Schedule",
    "Step",
]


class Schedule(Part):
    """Base class of learning-rate schedules.

    Attributes
    ----------
    needs_max_iter : bool
        Whether the rate depends on ``max_iter``, so that ``partial_fit``, which never
        knows how many calls will come, raises an error for the schedule.
    needs_plateaus : bool
        Whether the rate depends on plateaus, so that ``partial_fit``, whose calls may
        each bring other samples, raises an error for the schedule.
    """

    needs_max_iter = False
    needs_plateaus = False

    def rate(self, base, *, epoch, n_seen, n_plateaus, max_iter):
        """Return the learning rate of the coming epoch.

        Parameters
        ----------
        base : float
            ``learning_rate_init``.
        epoch : int
            Epochs already done in this fit.
        n_seen : int
            Samples already shown to the network, as in ``t_``.
        n_plateaus : int
            Plateaus already met.
        max_iter : int
            The number of epochs that training may take.
        """
        raise NotImplementedError

    def goes_on(self, rate):
        """Whether training goes on after a plateau met at the rate ``rate``."""
        return False


class Constant(Schedule):
    """The rate stays ``learning_rate_init``.

    Examples
    --------
    >>> from sknn_notes.schedules import Constant
    >>> Constant().rate(0.1, epoch=9, n_seen=900, n_plateaus=0, max_iter=10)
    0.1
    """

    def rate(self, base, *, epoch, n_seen, n_plateaus, max_iter):
        return base


class InvScaling(Schedule):
    """The rate falls with the samples seen: ``learning_rate_init / (t + 1)**power_t``.

    Parameters
    ----------
    power_t : float, default=0.5
        Exponent of the decay.

    Examples
    --------
    >>> from sknn_notes.schedules import InvScaling
    >>> InvScaling().rate(0.1, epoch=1, n_seen=99, n_plateaus=0, max_iter=10)
    0.01
    """

    _parameter_constraints = {"power_t": [Interval(Real, 0, None, closed="left")]}

    def __init__(self, *, power_t=0.5):
        self.power_t = power_t

    def rate(self, base, *, epoch, n_seen, n_plateaus, max_iter):
        return _divided(base, n_seen + 1, float(self.power_t))


def _divided(base, number, power):
    """Return ``base / number**power``, 0 where that is too small for a float."""
    try:
        return base / number**power
    except OverflowError:
        return 0.0


class Adaptive(Schedule):
    """The rate is divided by 5 at each plateau.

    Training stops at a plateau met at a rate of 1e-6 or less. Not for ``partial_fit``:
    patience counts epochs over the data, and the losses of chunks differ by chance.

    Examples
    --------
    >>> from sknn_notes.schedules import Adaptive
    >>> Adaptive().rate(0.5, epoch=30, n_seen=900, n_plateaus=1, max_iter=200)
    0.1
    """

    needs_plateaus = True

    def rate(self, base, *, epoch, n_seen, n_plateaus, max_iter):
        return _divided(base, 5, n_plateaus)

    def goes_on(self, rate):
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

    Examples
    --------
    >>> from sknn_notes.schedules import Step
    >>> Step(step_size=10, gamma=0.5).rate(
    ...     0.1, epoch=29, n_seen=900, n_plateaus=0, max_iter=100)
    0.025
    """

    _parameter_constraints = {
        "step_size": [Interval(Integral, 1, None, closed="left")],
        "gamma": [Interval(Real, 0, 1, closed="right")],
    }

    def __init__(self, *, step_size=30, gamma=0.1):
        self.step_size = step_size
        self.gamma = gamma

    def rate(self, base, *, epoch, n_seen, n_plateaus, max_iter):
        return base * self.gamma ** (epoch // self.step_size)


class Exponential(Schedule):
    """The rate falls by a factor every epoch: ``learning_rate_init * gamma**epoch``.

    Parameters
    ----------
    gamma : float, default=0.95
        What the rate is multiplied by, in (0, 1]. 0.95 divides it by 10 in 45 epochs.

    Examples
    --------
    >>> from sknn_notes.schedules import Exponential
    >>> Exponential(gamma=0.5).rate(
    ...     0.1, epoch=2, n_seen=900, n_plateaus=0, max_iter=100)
    0.025
    """

    _parameter_constraints = {"gamma": [Interval(Real, 0, 1, closed="right")]}

    def __init__(self, *, gamma=0.95):
        self.gamma = gamma

    def rate(self, base, *, epoch, n_seen, n_plateaus, max_iter):
        return base * self.gamma**epoch


class InverseTime(Schedule):
    """The rate falls with the epochs: ``learning_rate_init / (1 + gamma * epoch)``.

    Parameters
    ----------
    gamma : float, default=0.05
        Speed of the decay: after ``1 / gamma`` epochs the rate is halved, by default
        after 20.

    Examples
    --------
    >>> from sknn_notes.schedules import InverseTime
    >>> InverseTime(gamma=0.5).rate(
    ...     0.1, epoch=2, n_seen=900, n_plateaus=0, max_iter=100)
    0.05
    """

    _parameter_constraints = {"gamma": [Interval(Real, 0, None, closed="left")]}

    def __init__(self, *, gamma=0.05):
        self.gamma = gamma

    def rate(self, base, *, epoch, n_seen, n_plateaus, max_iter):
        return base / (1 + self.gamma * epoch)


class Cosine(Schedule):
    """The rate falls to 0 along half a cosine that lasts ``max_iter`` epochs.

    ``learning_rate_init * (1 + cos(pi * epoch / max_iter)) / 2``. Not for
    ``partial_fit``, which does not know how many epochs are to come.

    References
    ----------
    Loshchilov, I. and Hutter, F. (2017). SGDR: stochastic gradient descent with warm
    restarts. ICLR.

    Examples
    --------
    >>> from sknn_notes.schedules import Cosine
    >>> Cosine().rate(0.1, epoch=50, n_seen=900, n_plateaus=0, max_iter=100)
    0.05
    """

    needs_max_iter = True

    def rate(self, base, *, epoch, n_seen, n_plateaus, max_iter):
        return base * (1 + cos(pi * epoch / max_iter)) / 2


SCHEDULES: Registry[type[Schedule]] = Registry(
    {
        "adaptive": Adaptive,
        "constant": Constant,
        "cosine": Cosine,
        "exponential": Exponential,
        "inverse_time": InverseTime,
        "invscaling": InvScaling,
        "step": Step,
    },
    aliases={
        "fixed": "constant",
        "none": "constant",
        "optimal": "'optimal' is not provided; 'inverse_time' comes nearest.",
        "cosineannealing": "cosine",
        "cosineannealinglr": "cosine",
        "cosinedecay": "cosine",
        "exp": "exponential",
        "exponentialdecay": "exponential",
        "exponentiallr": "exponential",
        "inversetimedecay": "inverse_time",
        "plateau": "adaptive",
        "reduceonplateau": "adaptive",
        "reducelronplateau": "adaptive",
        "stepdecay": "step",
        "steplr": "step",
    },
    number="Pass learning_rate_init={} for the rate at the start.",
)
