"""Limits of BLAS threads, and calls on several threads."""

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

# Number of multiplications per thread for which it pays to wake one.
_PRODUCT_PER_THREAD = 2**21
# BLAS itself computes smaller products on one thread: of two matrices, and of a matrix
# and a vector.
_SMALL_PRODUCT, _SMALL_VECTOR_PRODUCT = 2**18, 2**13


class _BlasThreads:
    """Limits the number of threads of all loaded BLAS libraries.

    Most libraries have one number of threads for the whole process. Of several limits
    at the same time the smallest one applies, and when the last limit ends, the numbers
    from before the first limit are restored. OpenBLAS with OpenMP has a number for each
    thread.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._limits: dict[object, int] = {}
        self._shared: list[Any] = []
        self._by_thread: list[Any] = []
        self._before: list[int] = []
        self._now: int | None = None
        self._n_modules = 0

    @contextmanager
    def limit(self, n_threads: int) -> Iterator[None]:
        """Use at most ``n_threads`` within the block, and never more than are set."""
        key = object()
        own: list[tuple[Any, int]] = []
        # An interruption anywhere restores the numbers.
        try:
            with self._lock:
                if not self._limits:
                    self._find_libraries()
                    self._before = [blas.get_num_threads() for blas in self._shared]
                self._limits[key] = n_threads
                self._set(min(self._limits.values()))
            own += [(blas, blas.get_num_threads()) for blas in self._by_thread]
            for blas, before in own:
                blas.set_num_threads(min(n_threads, before))
            yield
        finally:
            for blas, before in own:
                blas.set_num_threads(before)
            with self._lock:
                if self._limits.pop(key, None) is not None:
                    self._set(min(self._limits.values(), default=None))

    def count(self) -> int:
        """Return the largest number of threads of any library."""
        with self._lock:
            if not self._limits:
                self._find_libraries()
            libraries = [*self._shared, *self._by_thread]
            return max((blas.get_num_threads() for blas in libraries), default=1)

    def _find_libraries(self) -> None:
        # A search takes milliseconds. A new library is loaded by a new module.
        if len(sys.modules) != self._n_modules:
            self._n_modules = len(sys.modules)
            found = ThreadpoolController().select(user_api="blas").lib_controllers
            self._by_thread = [blas for blas in found if _counts_by_thread(blas)]
            self._shared = [blas for blas in found if not _counts_by_thread(blas)]

    def _set(self, n_threads: int | None) -> None:
        last, self._now = self._now, n_threads
        for blas, before in zip(self._shared, self._before, strict=True):
            wanted = _least(n_threads, before)
            if wanted != _least(last, before):
                # threadpoolctl only lets the thread that sets the number first change
                # it, until it is released. Here any thread may, one at a time.
                release = getattr(blas, "clear_controlling_thread", lambda force: None)
                release(force=True)
                blas.set_num_threads(wanted)
                release(force=True)

    def forget(self) -> None:
        """Restore the threads in a process that was forked during a limit."""
        self._lock = Lock()
        self._limits = {}
        # Without a limit, libraries may have been found since the last one.
        if self._now is not None:
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
    """Return the number of threads of this process that ``n_jobs`` means.

    With joblib's own backends it is joblib's number of jobs. The backend of a cluster
    counts all its workers, which can't run threads of this process. None then means 1,
    and negative numbers refer to the cores of this machine.
    """
    if on_this_machine():
        return int(effective_n_jobs(n_jobs))
    return int(ThreadingBackend().effective_n_jobs(n_jobs))


def on_this_machine() -> bool:
    """Return whether joblib's active backend is one of its own, not a cluster's."""
    backend, _ = get_active_backend()
    return bool(type(backend).__module__ == ThreadingBackend.__module__)


def share_of_threads(n_jobs: int) -> Callable[[], AbstractContextManager[None]]:
    """Return a function that returns a context with a share of the BLAS threads.

    Each of ``n_jobs`` threads calls it. Together they use as many BLAS threads as the
    calling thread may use.
    """
    share = max(1, _blas.count() // n_jobs)
    return lambda: _blas.limit(share)


class _QuickSwitches:
    """Shortens the interval after which a thread releases Python's lock to others.

    Compiled steps run without the lock, and wait for it when they return. The interval
    applies to the process. When the last block ends, the previous value is restored.
    """

    _SECONDS = 2e-4

    def __init__(self) -> None:
        self._lock = Lock()
        self._blocks: set[object] = set()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        key = object()
        try:
            with self._lock:
                if not self._blocks:
                    self._before = sys.getswitchinterval()
                self._blocks.add(key)
                sys.setswitchinterval(min(self._before, self._SECONDS))
            yield
        finally:
            with self._lock:
                if key in self._blocks:
                    self._blocks.remove(key)
                    if not self._blocks:
                        sys.setswitchinterval(self._before)

    def forget(self) -> None:
        """Restore the interval in a process that was forked during a block."""
        self._lock = Lock()
        if self._blocks:
            self._blocks.clear()
            sys.setswitchinterval(self._before)


quick_switches = _QuickSwitches()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=quick_switches.forget)

_stop: ContextVar[Event | None] = ContextVar("_stop", default=None)


def stopped() -> bool:
    """Return whether the current call of ``run_on_threads`` has to end.

    The user has interrupted the calls, or another call has raised an error.
    """
    stop = _stop.get()
    return stop is not None and stop.is_set()


def run_on_threads(function: Callable[[int], Any], n_calls: int, n_jobs: int) -> None:
    """Call ``function(i)`` for i below ``n_calls`` on ``n_jobs`` threads.

    The threads share the BLAS threads of the caller, and have its context variables and
    its configuration of scikit-learn. If there are several threads, joblib starts no
    further threads within them.

    Raises
    ------
    KeyboardInterrupt
        If the user interrupts, once the running calls have checked ``stopped``.
    Exception
        The first error of a call, once the other calls have ended.
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
        except IndexError:  # Another thread took the last call.
            return
        try:
            function(i)
        except BaseException as error:
            # A call that ends because of another error is not an error itself.
            if not (isinstance(error, KeyboardInterrupt) and stop.is_set()):
                errors[i] = error
            stop.set()

    threads = [_Thread(work) for _ in range(n_jobs)]
    started = []
    quick = quick_switches() if n_jobs > 1 else nullcontext()
    # Not an executor: an interruption might leave it holding locks of its threads.
    with quick:
        try:
            for thread in threads:
                started.append(thread)
                thread.start()
            for thread in threads:
                thread.wait()
        finally:
            stop.set()
            for thread in started:
                # An interrupted start may have created the thread, or not.
                if thread.begun.wait(0.5):
                    thread.wait()
    if errors:
        raise errors[min(errors)]


class _Thread(Thread):
    """A thread with the context variables of its creator.

    Before Python 3.13, an interrupted ``join`` marks a running thread as ended.
    """

    def __init__(self, function: Callable[[], Any]) -> None:
        self.begun, self._ended = Event(), Event()
        # Threads do not inherit context variables.
        super().__init__(target=copy_context().run, args=(function,))

    def run(self) -> None:
        self.begun.set()
        try:
            super().run()
        finally:
            self._ended.set()

    def wait(self) -> None:
        """Wait in short steps until the function has returned, and join."""
        while not self._ended.wait(0.05):
            pass
        self.join()


def ahead(function: Callable[[], T]) -> Callable[[], T]:
    """Call a function on another thread; return one that waits for the result."""
    config = get_config()
    done: list[Any] = []

    def call() -> None:
        try:
            with config_context(**config):
                done.append((function(), None))
        except BaseException as error:
            done.append((None, error))

    def result() -> T:
        thread.wait()
        value: T
        value, error = done[0]
        if error is not None:
            raise error
        return value

    thread = _Thread(call)
    thread.start()
    return result


def threads_for(n_rows: int, units: Sequence[int]) -> AbstractContextManager[None]:
    """Return a context in which BLAS uses as many threads as the products justify.

    For a small product, the threads cost more time than they save, especially if the
    machine is busy. Limits set by the caller still apply.

    Parameters
    ----------
    n_rows : int
        Number of rows that pass through the network at a time.
    units : sequence of int
        Number of inputs, followed by the number of units of each layer.
    """
    largest = n_rows * max(a * b for a, b in pairwise(units))
    vectors = largest if n_rows == 1 else n_rows * max(units)
    if largest < _SMALL_PRODUCT and vectors < _SMALL_VECTOR_PRODUCT:
        return nullcontext()
    return _blas.limit(max(1, largest // _PRODUCT_PER_THREAD))
