"""The objective: penalized loss of a batch and its gradient, for every solver."""

import math

import numpy as np

from sknn_notes import _kernels


class Objective:
    """``J = mean of the weighted losses + penalty``, its gradient in ``network.grad``.

    Parameters
    ----------
    network : Network
    loss : Loss
    penalty : Penalty or None
    alphas : list of float
        The penalty's strength, one per layer.
    penalize_bias : bool, default=False
        Whether the penalty covers the biases.
    max_norms : list of float or None, default=None
        Largest length of a unit's incoming weights, one per layer.
    decoupled : bool, default=False
        Whether the solver shrinks the weights by ``decay`` instead of following the
        penalty's gradient.
    """

    def __init__(
        self,
        network,
        loss,
        penalty,
        alphas,
        penalize_bias=False,
        max_norms=None,
        decoupled=False,
    ):
        self.network, self.loss, self.penalty = network, loss, penalty
        self.max_norms, self.decoupled = max_norms, decoupled
        self.segments = []
        if penalty is not None:
            self.segments = _segments(network, alphas, penalize_bias)

    @property
    def smooth(self):
        """Whether the gradient tells all, so that no proximal step is needed."""
        return self.penalty is None or self.penalty.smooth or not self.segments

    def __call__(self, X, y, sample_weight=None, rng=None):
        """Return the value for a batch and fill ``network.grad``.

        ``sample_weight`` has mean 1 over the whole training set. With ``rng`` the
        forward pass carries the training noise.
        """
        network = self.network
        value = self._mean_loss(X, y, sample_weight, rng)
        if not math.isfinite(value):
            return value
        network.backward()
        for stretch, alpha in self.segments:
            weights = network.theta[stretch]
            if self.decoupled:
                value += self.penalty.value(weights, alpha)
            else:
                value += self.penalty.add_gradient(
                    weights, alpha, network.grad[stretch]
                )
        return value

    def _mean_loss(self, X, y, sample_weight, rng):
        raw = self.network.forward(X, rng)
        return self.loss.value_and_gradient(raw, y, sample_weight, self.network.delta)

    def mean(self, batches, rng):
        """Return the mean over an epoch's batches, and leave the parameters alone."""
        total = 0.0
        for X, y, sample_weight in batches.epoch(rng):
            total += self._mean_loss(X, y, sample_weight, rng) * len(y)
        value = total / batches.n_samples
        for stretch, alpha in self.segments:
            value += self.penalty.value(self.network.theta[stretch], alpha)
        return value

    def decay(self, rate):
        """Shrink the weights as the penalty's L2 part asks for, at this step size."""
        for stretch, alpha in self.segments:
            self.network.theta[stretch] *= 1 - rate * self.penalty.decay(alpha)

    def prox(self, step):
        """Move the parameters by the penalty's proximal step, then project them."""
        for stretch, alpha in self.segments:
            own = step if np.isscalar(step) else step[stretch]
            self.penalty.prox(self.network.theta[stretch], alpha, own)
        self.project()

    def project(self):
        """Shorten the incoming weights of the units that exceed the max norm."""
        if self.max_norms is None:
            return
        for layer, norm in zip(self.network.layers, self.max_norms, strict=True):
            if norm is not None:
                _kernels.active().project_columns(layer.W, norm)


def _segments(network, alphas, penalize_bias):
    """Return (slice of theta, alpha) for every stretch under a penalty."""
    if len(set(alphas)) == 1:
        end = network.n_weights + (network.n_biases if penalize_bias else 0)
        stretches = [(0, end, alphas[0])]
    else:
        stretches, start, start_b = [], 0, network.n_weights
        for layer, alpha in zip(network.layers, alphas, strict=True):
            stretches.append((start, start + layer.W.size, alpha))
            start += layer.W.size
            # Batch norm's shift takes the place of a bias and is never penalized.
            if penalize_bias and not layer.batch_norm:
                stretches.append((start_b, start_b + layer.b.size, alpha))
                start_b += layer.b.size
    return [
        (slice(start, end), float(alpha))
        for start, end, alpha in stretches
        if alpha > 0
    ]
