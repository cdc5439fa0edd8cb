"""Cache of what several fits to the same data have in common."""

from threading import Lock


class Shared:
    """Results of preparing a fit, by keys that say what they depend on.

    Every fit has one cache for its data and one for its parameters. Fits to the same
    ``X``, ``y`` and ``sample_weight`` may share the first one; they must not change the
    results in it. While one thread computes a result, others that need it wait.
    """

    def __init__(self):
        self._results = {}
        self._locks = {}

    def once(self, key, make):
        """Return the result for the key; call ``make()`` if there is none yet.

        If ``make`` raises an error, the next call with the key tries again.
        """
        if key not in self._results:
            with self._locks.setdefault(key, Lock()):
                if key not in self._results:
                    self._results[key] = make()
        return self._results[key]
