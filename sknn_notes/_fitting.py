"""A fit that fails leaves the estimator unchanged; one thread at a time fits it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any
from weakref import ref

# The fits that are running, by the id of their estimators: the thread, and the
# estimator itself, since an id is used again.
_running: dict[int, tuple[int, ref[Any]]] = {}
if hasattr(os, "register_at_fork"):
    # The fits of other threads do not run in a forked process.
    os.register_at_fork(after_in_child=_running.clear)


@contextmanager
def unchanged_on_error(estimator: Any) -> Iterator[None]:
    """Restore the attributes of an estimator if the block raises an error.

    Blocks of one thread may be nested.

    Raises
    ------
    RuntimeError
        If another thread is in such a block of the same estimator.
    """
    key, own = id(estimator), (get_ident(), ref(estimator))
    try:
        # A single call, which no other thread interrupts.
        thread, fitted = _running.setdefault(key, own)
        if fitted() is not estimator:  # left by an interruption
            _running[key] = own
        elif thread != own[0]:
            raise RuntimeError(
                f"This {type(estimator).__name__} is being fitted by another thread. "
                "Fit a copy in each thread, sklearn.base.clone(estimator)."
            )
        before = dict(vars(estimator))
        try:
            yield
        except BaseException:
            vars(estimator).clear()
            vars(estimator).update(before)
            raise
    finally:
        if _running.get(key) is own:
            del _running[key]
