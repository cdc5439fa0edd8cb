"""What the fits of several estimators to the same data compute once."""

from threading import Lock


class Shared:
    """Results of the preparation of a fit, by what they depend on.

    Every fit has one for its data and one for its parameters. Fits to the same ``X``,
    ``y`` and ``sample_weight`` may have the first in common: what it holds, they do not
    change. Other threads wait for what one of them computes.
    """

    def __init__(self):
        self._results = {}
        self._locks = {}

    def once(self, key, make):
        """Return what ``make()`` returned for the key before, or returns now.

        Where it raises an error, the next call with the key tries again.
        """
        if key not in self._results:
            with self._locks.setdefault(key, Lock()):
                if key not in self._results:
                    self._results[key] = make()
        return self._results[key]
