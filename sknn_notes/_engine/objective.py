"""The objective of a batch and its gradient, for L-BFGS, checks and displays."""

from sknn_notes._engine.executor import Executor
from sknn_notes._engine.program import Step, as_value, is_lost, run


class Objective:
    """``J = mean of the weighted losses + penalty``, with its gradient.

    Parameters
    ----------
    program : Program
        Program without a stochastic optimizer, so that the gradient includes that of
        the penalty.
    batch : tuple of (X, y, sample_weight), default=None
        Example of the batches that will be evaluated most, for which compiled
        operations are used if possible.
    """

    def __init__(self, program, batch=None):
        self.program, self.network, self.loss = program, program.network, program.loss
        self.executor = None
        if batch is not None:
            X, y, _ = batch
            self.executor = Executor(program, X, y, X.shape[0])

    def __call__(self, X, y, sample_weight=None, keys=None):
        """Return the value for a batch and fill ``network.grad``.

        ``sample_weight`` has mean 1 over the whole training set. With ``keys``, the
        forward pass includes the training noise.
        """
        if self.executor is None:
            step = Step(X, y, sample_weight, keys)
            run(self.program.objective, step)
            value = step.value
        else:
            value = self.executor.objective(X, y, sample_weight, keys)
        if is_lost(value):
            return value
        step = Step(None, None)
        run(self.program.updates, step)
        return value + step.value

    def mean_loss(self, X, y, sample_weight=None, keys=None):
        """Return the mean loss of a batch, and its gradient for the raw outputs."""
        step = Step(X, y, sample_weight, keys)
        for stage in self.program.objective[:2]:
            stage.run(step)
        return step.value, step.delta

    def penalty(self):
        """Return the penalty for the current weights."""
        penalized = self.program.penalized
        theta = self.network.theta
        return as_value(penalized.value(theta, self.network.xp)) if penalized else 0.0

    def mean(self, batches, rng):
        """Return the mean over the batches of an epoch, without updating parameters."""
        total, n = 0.0, self.program.n_random
        for X, y, sample_weight in batches.epoch(rng):
            keys = rng.bit_generator.random_raw(n) if n else None
            total += self.mean_loss(X, y, sample_weight, keys)[0] * len(y)
        return total / batches.n_samples + self.penalty()
