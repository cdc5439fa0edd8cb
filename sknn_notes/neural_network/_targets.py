"""What an estimator knows about its targets: one object for each kind of target.

``start`` builds it on a first fit, and ``resume`` returns a new one for a fit that
continues: an object that the estimator was fitted with does not change.
"""

from typing import Any

# Sums of many weights up to here, and products with weights of classes, are finite.
LARGE_WEIGHT = 1e100


class Targets:
    """The targets of an estimator; the methods here suit targets that need no more.

    A kind of target adds ``start``, ``resume``, ``check``, ``encode``, ``response``,
    ``decode`` and ``score``. Here ``y`` are targets as the first three return them, and
    ``encoded`` are those that the loss takes.

    Attributes
    ----------
    loss : Loss
        With what it learned from the targets.
    n_outputs : int
        Number of targets a sample has.
    attributes : dict
        The fitted attributes of the estimator that describe its targets.
    """

    numeric = False
    loss: Any = None
    n_outputs: int
    attributes: dict

    def strata(self, y):
        """Return the codes of the classes that a split keeps the shares of, or None."""

    def weights(self, y, sample_weight, partial=False):
        """Return the weights of the samples in the loss, or None for equal ones.

        ``partial_fit`` takes them as they are, and they may all be zero.
        """
        return sample_weight

    def learn_scale(self, y, weight):
        """Learn the unit of the targets from the rows to train on."""

    def check_validation(self, encoded):
        """Warn where validation targets are unlike those to train on."""

    def remedy(self, encoded):
        """Return what the targets tell about a training that went wrong, or ''."""
        return ""

    def publish(self, network):
        """Return the weights and biases that the fitted estimator shows and uses."""
        return network.coefs, network.intercepts

    def keep(self, network):
        """Keep what ``load`` needs besides what is published."""

    def load(self, network, estimator):
        """Set a network's parameters to the fitted ones, where training stopped."""
        network.load(estimator.coefs_, estimator.intercepts_, estimator.batch_norm_)
