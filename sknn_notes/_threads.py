"""The number of BLAS threads that the matrix products of a network are worth."""

import os
import sys
from contextlib import contextmanager, nullcontext
from itertools import pairwise
from threading import Lock

from joblib import effective_n_jobs
from joblib.parallel import ThreadingBackend, get_active_backend
from threadpoolctl import ThreadpoolController

# Multiplications that occupy one thread for so long that waking it is worth it.
_PRODUCT_PER_THREAD = 2**21
# BLAS itself gives smaller products to one thread: of matrices, and of a matrix and a
# vector.
_SMALL_PRODUCT, _SMALL_VECTOR_PRODUCT = 2**18, 2**13


class _BlasThreads:
    """Limits the threads of every BLAS library that is loaded.

    For most of them the number of threads is a property of the process. Of the limits
    that hold at the same time the smallest one counts, and the last one to end restores
    the numbers that were set before the first one began. OpenBLAS on OpenMP keeps a
    number for every thread.
    """

    def __init__(self):
        self._lock = Lock()
        self._limits = []
        self._shared, self._by_thread = [], []
        self._before, self._now = [], None
        self._n_modules = 0

    @contextmanager
    def limit(self, n_threads):
        """Use at most ``n_threads``, and never more than are set, within the block."""
        with self._lock:
            if not self._limits:
                self._find_libraries()
                self._before = [blas.get_num_threads() for blas in self._shared]
            self._limits.append(n_threads)
            self._set(min(self._limits))
        own = [(blas, blas.get_num_threads()) for blas in self._by_thread]
        for blas, before in own:
            blas.set_num_threads(min(n_threads, before))
        try:
            yield
        finally:
            for blas, before in own:
                blas.set_num_threads(before)
            with self._lock:
                self._limits.remove(n_threads)
                self._set(min(self._limits, default=None))

    def count(self):
        """Return the largest number of threads that a library has now."""
        with self._lock:
            if not self._limits:
                self._find_libraries()
            libraries = [*self._shared, *self._by_thread]
            return max((blas.get_num_threads() for blas in libraries), default=1)

    def _find_libraries(self):
        # Looking takes milliseconds. A new library comes with a module that uses it.
        if len(sys.modules) != self._n_modules:
            self._n_modules = len(sys.modules)
            found = ThreadpoolController().select(user_api="blas").lib_controllers
            self._by_thread = [blas for blas in found if _counts_by_thread(blas)]
            self._shared = [blas for blas in found if not _counts_by_thread(blas)]

    def _set(self, n_threads):
        for blas, before in zip(self._shared, self._before, strict=True):
            now, wanted = _least(self._now, before), _least(n_threads, before)
            if now != wanted:
                # threadpoolctl lets the first thread alone set the number, until it
                # clears its claim. Here any thread may, one at a time.
                release = getattr(blas, "clear_controlling_thread", lambda force: None)
                release(force=True)
                blas.set_num_threads(wanted)
                release(force=True)
        self._now = n_threads

    def forget(self):
        """Restore the threads in a process that was forked while a limit held."""
        self._lock = Lock()
        self._limits = []
        self._set(None)


def _least(limit, before):
    return before if limit is None else min(limit, before)


def _counts_by_thread(blas):
    layer = getattr(blas, "threading_layer", None)
    return blas.internal_api == "openblas" and layer == "openmp"


_blas = _BlasThreads()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_blas.forget)


def n_threads(n_jobs):
    """Return how many threads of this process ``n_jobs`` stands for.

    Under joblib's own backends it is what joblib takes it for. The backends of a
    cluster count all its workers, which can't run a thread of this process: None is 1
    there, and negative numbers count the cores of this machine.
    """
    backend, _ = get_active_backend()
    if type(backend).__module__ == ThreadingBackend.__module__:
        return effective_n_jobs(n_jobs)
    return ThreadingBackend().effective_n_jobs(n_jobs)


def share_of_threads(n_jobs):
    """Return a function that limits BLAS within a context, for jobs at the same time.

    Each of ``n_jobs`` threads calls it, and together they have the threads that are set
    for the thread that asks for it.
    """
    share = max(1, _blas.count() // n_jobs)
    return lambda: _blas.limit(share)


def threads_for(n_rows, units):
    """Return a context in which BLAS has the threads that the products are worth.

    A thread that waits for a product costs more than the product where that is small,
    above all while something else runs on the machine. Limits that the caller has set
    hold.

    Parameters
    ----------
    n_rows : int
        Rows that pass through the network at a time.
    units : sequence of int
        Number of inputs, and of units of each layer.
    """
    largest = n_rows * max(a * b for a, b in pairwise(units))
    vectors = largest if n_rows == 1 else n_rows * max(units)
    if largest < _SMALL_PRODUCT and vectors < _SMALL_VECTOR_PRODUCT:
        return nullcontext()
    return _blas.limit(max(1, largest // _PRODUCT_PER_THREAD))
