"""What the fits of several estimators to the same data compute once."""


class Shared:
    """Results of the preparation of a fit, by what they depend on.

    Every fit has one for its data and one for its parameters. Fits to the same ``X``,
    ``y`` and ``sample_weight`` may have the first in common: what it holds, they do not
    change. On threads, two of them may compute the same at once.
    """

    def __init__(self):
        self._results = {}

    def once(self, key, make):
        """Return what ``make()`` returned for the key before, or returns now."""
        if key not in self._results:
            self._results[key] = make()
        return self._results[key]
