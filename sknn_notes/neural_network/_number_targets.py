"""Targets of regressors, and their standardization."""

import copy
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import r2_score
from sklearn.utils import check_array

from sknn_notes._arrays import unit_near
from sknn_notes._checks import holding_numbers
from sknn_notes._engine.prediction import spread_of
from sknn_notes._messages import warn
from sknn_notes._numpy import errstate
from sknn_notes._part import kept
from sknn_notes._typing import Floats
from sknn_notes.layers._base import Fitted
from sknn_notes.links import unit_of
from sknn_notes.neural_network._guidance import check_numbers
from sknn_notes.neural_network._targets import Targets, with_finite_sum


class NumberTargets(Targets):
    """Targets that are numbers, one or several per sample.

    Parameters
    ----------
    n_outputs : int
    """

    numeric = True
    scale: Any = None
    standardizes: bool

    def __init__(self, n_outputs: int) -> None:
        self.n_outputs = n_outputs

    @classmethod
    def start(
        cls, estimator: Any, y: Any, sample_weight: Floats | None, partial: bool
    ) -> tuple[Self, Any]:
        """Return the targets of a first fit, and the validated ``y``."""
        return cls(_width(y)).resume(estimator, y, sample_weight, partial)

    def resume(
        self, estimator: Any, y: Any, sample_weight: Floats | None, partial: bool
    ) -> tuple[Self, Any]:
        """Return the targets of a fit that continues, and the validated ``y``.

        ``partial_fit`` keeps the scale of its first chunk.
        """
        targets = copy.copy(self)
        targets.loss = kept(estimator._resolve("loss"), self.loss)
        standardizes = estimator.standardize_target and targets._may_standardize
        targets.standardizes = standardizes
        if not standardizes:
            targets.scale = TargetScale.identity(self.n_outputs)
        elif not partial:
            targets.scale = None
        targets.attributes = {
            "n_outputs_": self.n_outputs,
            "out_activation_": targets.link.name,
        }
        return targets, targets.check(y)

    @property
    def link(self) -> Any:
        """Link from raw outputs to predictions in the unit of ``y``."""
        link = self.loss.link()
        return link if self.scale is None else link.in_unit(self.scale.scale)

    @property
    def _may_standardize(self) -> bool:
        """Whether the loss supports standardized targets."""
        return unit_of(self.loss.link()) is not None

    @property
    def _raw_scale(self) -> "TargetScale":
        """Scale from raw outputs of the network to raw outputs in the unit of ``y``."""
        unit = unit_of(self.loss.link())
        return self.scale if unit is None else TargetScale(*unit(*self.scale))

    def check(self, y: Any) -> Any:
        """Return ``y`` if its number of outputs is right and the loss supports it."""
        check_numbers(y)
        if _width(y) != self.n_outputs:
            raise ValueError(
                f"y has {_width(y)} outputs, but the network fitted so far has "
                f"{self.n_outputs}."
            )
        self.loss.check_targets(y)
        return y

    def learn_scale(self, y: Any, weight: Floats | None) -> None:
        if self.scale is None:
            self.scale = TargetScale.from_targets(y.reshape(len(y), -1), weight)

    def encode(self, y: Any, dtype: Any) -> Floats:
        """Return standardized targets, shape (n_samples, n_outputs)."""
        y = y.reshape(len(y), -1)
        with np.errstate(over="ignore"):
            encoded = self.scale.standardize(y).astype(dtype, order="C")
            # Predictions are in the unit of y, and in this type too.
            fits = np.isfinite(y.astype(dtype)).all() and np.isfinite(encoded).all()
        if not fits:
            raise ValueError(
                f"y has values too large for {dtype}, the data type of the network. "
                "Scale y, or set dtype='float64'."
            )
        self.scale.check_resolution(np.finfo(dtype), y.min(axis=0) < y.max(axis=0))
        return encoded

    def check_validation(self, encoded: NDArray[Any]) -> None:
        distance = float(np.min(np.median(np.abs(encoded), axis=0)))
        if self.standardizes and distance > 100:
            warn(
                f"The validation targets lie {distance:.3g} standard deviations from "
                "the training targets. Pass y_val in the unit of y. "
                "TransformedTargetRegressor transforms y alone, and MLPRegressor "
                "does not need it.",
            )

    def decode(self, response: Floats) -> Floats:
        """Return predictions; those of a single output lose the axis of outputs."""
        return response[:, 0] if self.n_outputs == 1 else response

    def moments(self, raw: Floats) -> Floats:
        """Return means and standard deviations, shape (n_samples, n_outputs, 2)."""
        return np.stack([self.link.inverse(raw), self.link.std(raw)], axis=-1)

    def quantiles(self, raw: Floats) -> Floats:
        """Return quantiles, shape (n_samples, n_outputs, n_quantiles)."""
        return self.link.quantiles(raw)

    def predicted(self, raw: Floats) -> Floats:
        """Return predictions on the scale of training, (n_samples, n_outputs)."""
        return self.loss.link().inverse(raw)

    def score(
        self,
        predicted: NDArray[Any],
        encoded: NDArray[Any],
        sample_weight: Floats | None,
    ) -> float:
        """Return R2, or NaN if a prediction is not finite."""
        if not np.isfinite(predicted).all():
            return float("nan")
        return r2(encoded, predicted, sample_weight)

    def remedy(self, encoded: NDArray[Any]) -> str:
        largest = np.max(np.abs(encoded))
        if largest < 100:
            return ""
        if not self._may_standardize:
            return f"y reaches {largest:.3g}: divide it by a constant."
        if not self.standardizes:
            return f"y reaches {largest:.3g}: set standardize_target=True."
        return (
            f"y has outliers, up to {largest:.3g} standard deviations from its mean: "
            "check them, transform y, or choose loss='huber'."
        )

    def publish(self, network: Any) -> Fitted:
        fitted = network.fitted
        (*coefs, W), (*intercepts, b) = fitted.coefs, fitted.intercepts
        W, b = self._raw_scale.publish(W, b)
        return fitted._replace(coefs=[*coefs, W], intercepts=[*intercepts, b])

    def keep(self, network: Any) -> None:
        # As trained, since the published layer is rounded in the unit of y.
        fitted = network.fitted
        self._trained = self._raw_scale, fitted.coefs[-1], fitted.intercepts[-1]

    def load(self, network: Any, estimator: Any) -> None:
        super().load(network, estimator)
        scale, W, b = self._trained
        shown = estimator.coefs_[-1], estimator.intercepts_[-1]
        if not all(map(np.array_equal, scale.publish(W, b), shown)):
            # The user has set the fitted attributes, in the unit of y.
            scale, (W, b) = TargetScale.identity(len(shown[1])), shown
        W, b = scale.change(W, b, self._raw_scale)
        output = network.p[-1]
        output["W"][...], output["b"][...] = W, b


def moments_of_mixture(passes: Floats, axis: int = 0) -> Floats:
    """Return mean and standard deviation of a mixture with equal weights.

    By the law of total variance, the variance is the mean of the variances plus the
    variance of the means.

    Parameters
    ----------
    passes : array-like of shape (n_passes, ..., 2)
        Means and standard deviations of the distributions.
    axis : int, default=0
        Axis of the passes, which is the first one.

    Returns
    -------
    moments : ndarray of shape (..., 2)
    """
    mean, std = np.moveaxis(np.asarray(passes), -1, 0)
    largest = np.max(std, axis=axis)
    # With this unit, squares neither overflow nor underflow.
    unit = np.where(largest > 0, largest, 1)
    inner = unit * np.sqrt(np.mean((std / unit) ** 2, axis=axis))
    outer = spread_of(mean)
    return np.stack([np.mean(mean, axis=axis), np.hypot(inner, outer)], axis=-1)


def r2(y: Any, predicted: Floats, sample_weight: Any = None) -> float:
    """Return R2, the coefficient of determination, of finite predictions.

    scikit-learn squares numbers in the unit of ``y``, which may overflow or underflow.
    It is -inf if the predictions are further away than the type can square.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
    predicted : ndarray of the same shape
    sample_weight : array-like of shape (n_samples,), default=None
    """
    dtypes = [np.float64, np.float32]
    with holding_numbers("y"):
        y = check_array(y, ensure_2d=False, dtype=dtypes, input_name="y")
    if y.shape == predicted.shape:  # Otherwise scikit-learn says what is wrong.
        unit = unit_near(y)
        with np.errstate(over="ignore"):
            predicted = predicted / unit
        # Beyond this distance, the sum of squares may overflow.
        if np.max(np.abs(predicted)) > np.finfo(predicted.dtype).max ** 0.4:
            return -np.inf
        y = y / unit
    weight = with_finite_sum(sample_weight)
    return float(r2_score(y, predicted, sample_weight=weight))


def _width(y: Any) -> int:
    return 1 if y.ndim == 1 else y.shape[1]


class TargetScale(NamedTuple):
    """Mean and standard deviation of each output, by which targets are standardized.

    The fitted attributes of the output layer include the inverse transform, so that the
    network predicts in the unit of ``y``. For that, the link of the loss gives a mean
    and a scale for every raw output.

    Parameters
    ----------
    mean, scale : ndarray of shape (n_outputs,)
        Statistics of the training targets, in float64.
    """

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def identity(cls, n_outputs: int) -> Self:
        """Return the scale that changes nothing."""
        return cls(np.zeros(n_outputs), np.ones(n_outputs))

    @classmethod
    def from_targets(cls, y: Floats, sample_weight: Floats | None) -> Self:
        """Return the weighted mean and standard deviation; a constant has scale 1.

        Multiplying ``y`` by a power of two multiplies both exactly by it.

        Parameters
        ----------
        y : ndarray of shape (n_samples, n_outputs)
        sample_weight : ndarray of shape (n_samples,) or None
            Weights that are all zero are treated as equal.
        """
        if sample_weight is not None and not sample_weight.any():
            sample_weight = None
        if sample_weight is not None:
            # Only ratios matter; the sum must not overflow.
            sample_weight = sample_weight / unit_near(sample_weight)
        y = y.astype(np.float64)
        # Neither the sum nor the squares overflow.
        unit = unit_near(y)
        y /= unit
        mean = np.average(y, axis=0, weights=sample_weight)
        # Rounding may lead out of the range, which overflows for the largest floats.
        mean = np.clip(mean, y.min(axis=0), y.max(axis=0))
        y -= mean
        scale = np.sqrt(np.average(y * y, axis=0, weights=sample_weight))
        # Rounding errors of a constant are no variation.
        constant = scale <= 8 * np.finfo(np.float64).eps * np.abs(mean)
        scale *= unit
        return cls(mean * unit, np.where(constant | (scale == 0), 1.0, scale))

    def standardize(self, y: Floats) -> Floats:
        """Return standardized targets."""
        return (y - self.mean) / self.scale

    @errstate(over="ignore", invalid="ignore")
    def publish(self, W: Floats, b: Floats) -> tuple[Floats, Floats]:
        """Return weights and biases of the output layer in the unit of ``y``.

        They are infinite or NaN if they overflow.
        """
        weights = (W * self.scale).astype(W.dtype)
        return weights, (b * self.scale + self.mean).astype(b.dtype)

    @errstate(over="ignore", invalid="ignore")
    def change(self, W: Floats, b: Floats, new: Self) -> tuple[Floats, Floats]:
        """Return the output layer with the same predictions for the scale ``new``."""
        weights = (W * (self.scale / new.scale)).astype(W.dtype)
        shift = (self.mean - new.mean) / new.scale
        return weights, (b * (self.scale / new.scale) + shift).astype(b.dtype)

    def check_resolution(self, limits: Any, varies: NDArray[Any]) -> None:
        """Raise ValueError if a type is too coarse for targets in their unit.

        ``limits`` is the ``numpy.finfo`` of the type; ``varies`` is False for constant
        outputs, which are not checked.
        """
        mean, scale = (array[varies] for array in self)
        steps = scale / np.maximum(np.abs(mean) * limits.eps, limits.tiny)
        if np.min(steps, initial=np.inf) < 10:
            i = np.argmin(steps)
            raise ValueError(
                f"y has mean {mean[i]:.6g} and standard deviation {scale[i]:.3g}, "
                f"which {limits.dtype} can't distinguish from a constant. Subtract a "
                "constant from y, scale it, or set dtype='float64'."
            )
