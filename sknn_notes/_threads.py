"""Threads: how many BLAS threads products are worth, and calls side by side."""

import os
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar, copy_context
from itertools import pairwise
from threading import Event, Lock, Thread
from typing import Any, TypeVar

from joblib import effective_n_jobs, parallel_backend
from joblib.parallel import SequentialBackend, ThreadingBackend, get_active_backend
from sklearn import config_context, get_config
from threadpoolctl import ThreadpoolController

T = TypeVar("T")

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

    def __init__(self) -> None:
        self._lock = Lock()
        self._limits: list[int] = []
        self._shared: list[Any] = []
        self._by_thread: list[Any] = []
        self._before: list[int] = []
        self._now: int | None = None
        self._n_modules = 0

    @contextmanager
    def limit(self, n_threads: int) -> Iterator[None]:
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

    def count(self) -> int:
        """Return the largest number of threads that a library has now."""
        with self._lock:
            if not self._limits:
                self._find_libraries()
            libraries = [*self._shared, *self._by_thread]
            return max((blas.get_num_threads() for blas in libraries), default=1)

    def _find_libraries(self) -> None:
        # Looking takes milliseconds. A new library comes with a module that uses it.
        if len(sys.modules) != self._n_modules:
            self._n_modules = len(sys.modules)
            found = ThreadpoolController().select(user_api="blas").lib_controllers
            self._by_thread = [blas for blas in found if _counts_by_thread(blas)]
            self._shared = [blas for blas in found if not _counts_by_thread(blas)]

    def _set(self, n_threads: int | None) -> None:
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

    def forget(self) -> None:
        """Restore the threads in a process that was forked while a limit held."""
        self._lock = Lock()
        self._limits = []
        self._set(None)


def _least(limit: int | None, before: int) -> int:
    return before if limit is None else min(limit, before)


def _counts_by_thread(blas: Any) -> bool:
    layer = getattr(blas, "threading_layer", None)
    return blas.internal_api == "openblas" and layer == "openmp"


_blas = _BlasThreads()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_blas.forget)


def n_threads(n_jobs: int | None) -> int:
    """Return how many threads of this process ``n_jobs`` stands for.

    Under joblib's own backends it is what joblib takes it for. The backends of a
    cluster count all its workers, which can't run a thread of this process: None is 1
    there, and negative numbers count the cores of this machine.
    """
    if on_this_machine():
        return int(effective_n_jobs(n_jobs))
    return int(ThreadingBackend().effective_n_jobs(n_jobs))


def on_this_machine() -> bool:
    """Tell whether joblib's active backend is one of its own, not of a cluster."""
    backend, _ = get_active_backend()
    return bool(type(backend).__module__ == ThreadingBackend.__module__)


def share_of_threads(n_jobs: int) -> Callable[[], AbstractContextManager[None]]:
    """Return a function that limits BLAS within a context, for jobs at the same time.

    Each of ``n_jobs`` threads calls it, and together they have the threads that are set
    for the thread that asks for it.
    """
    share = max(1, _blas.count() // n_jobs)
    return lambda: _blas.limit(share)


class _QuickSwitches:
    """Lets threads keep Python's lock for a shorter time while others wait for it.

    Compiled steps run without it, and wait for it when they return. The interval is the
    process's: the last block to end restores what was set before the first.
    """

    _SECONDS = 2e-4

    def __init__(self) -> None:
        self._lock, self._n_blocks = Lock(), 0

    @contextmanager
    def __call__(self) -> Iterator[None]:
        with self._lock:
            if not self._n_blocks:
                self._before = sys.getswitchinterval()
                sys.setswitchinterval(min(self._before, self._SECONDS))
            self._n_blocks += 1
        try:
            yield
        finally:
            with self._lock:
                self._n_blocks -= 1
                if not self._n_blocks:
                    sys.setswitchinterval(self._before)


quick_switches = _QuickSwitches()

_stop: ContextVar[Event | None] = ContextVar("_stop", default=None)


def stopped() -> bool:
    """Tell whether the calls are to end that ``run_on_threads`` runs, this among them.

    The user has interrupted them, or another one has raised an error.
    """
    stop = _stop.get()
    return stop is not None and stop.is_set()


def run_on_threads(function: Callable[[int], Any], n_calls: int, n_jobs: int) -> None:
    """Call ``function(i)`` for i below ``n_calls`` on ``n_jobs`` threads.

    The threads share the BLAS threads of the caller. They have its context variables
    and its configuration of scikit-learn. Where there are several of them, joblib
    starts no further ones inside.

    Raises
    ------
    KeyboardInterrupt
        If the user interrupts, as soon as the running calls have asked ``stopped``.
    Exception
        The first one that a call raises, as soon as the others have.
    """
    share, config, stop = share_of_threads(n_jobs), get_config(), Event()
    backend, n_inner = get_active_backend()
    if n_jobs > 1:
        backend, n_inner = SequentialBackend(), 1
    waiting, errors = deque(range(n_calls)), {}

    def work() -> None:
        _stop.set(stop)
        inner = parallel_backend(backend, n_jobs=n_inner)
        with config_context(**config), inner, share():
            while waiting and not stop.is_set():
                call()

    def call() -> None:
        try:
            i = waiting.popleft()
        except IndexError:  # Another thread was faster.
            return
        try:
            function(i)
        except BaseException as error:
            # A call that was interrupted since it is to end is no reason of its own.
            if not (isinstance(error, KeyboardInterrupt) and stop.is_set()):
                errors[i] = error
            stop.set()

    # A thread does not inherit context variables.
    threads = [Thread(target=copy_context().run, args=(work,)) for _ in range(n_jobs)]
    started = []
    quick = quick_switches() if n_jobs > 1 else nullcontext()
    # No executor: an interruption may come while it holds locks that its threads need.
    with quick:
        try:
            for thread in threads:
                thread.start()
                started.append(thread)
            for thread in started:
                _wait_for(thread)
        finally:
            stop.set()
            for thread in started:
                _wait_for(thread)
    if errors:
        raise errors[min(errors)]


def _wait_for(thread: Thread) -> None:
    """Join a thread; an interruption shows between two waits at the latest."""
    while thread.is_alive():
        thread.join(0.05)


def ahead(function: Callable[[], T]) -> Callable[[], T]:
    """Call a function on another thread; return one that waits for its result."""
    config = get_config()
    done: list[Any] = []

    def call() -> None:
        try:
            with config_context(**config):
                done.append((function(), None))
        except BaseException as error:
            done.append((None, error))

    def result() -> T:
        _wait_for(thread)
        value: T
        value, error = done[0]
        if error is not None:
            raise error
        return value

    thread = Thread(target=copy_context().run, args=(call,))
    thread.start()
    return result


def threads_for(n_rows: int, units: Sequence[int]) -> AbstractContextManager[None]:
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
