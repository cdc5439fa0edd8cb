"""Messages of a fit: warnings, and lines with ``verbose``.

The networks of an ensemble send their messages to the ensemble. It issues a warning of
several networks only once, and prefixes lines with the name of the network.
"""

import sys
import warnings
from collections import Counter
from contextvars import ContextVar, Token
from types import FrameType
from typing import Any, NamedTuple
from weakref import ref

from sklearn.exceptions import ConvergenceWarning


class Told(NamedTuple):
    """A warning, and the place in the code where it was issued."""

    message: str
    category: type[Warning]
    place: tuple[str, int]


class Listening:
    """Collects the warnings of a block, and prefixes its lines with a name.

    Unlike ``warnings.catch_warnings``, it does not affect other threads. Several blocks
    may use it, one after the other.

    Parameters
    ----------
    name : str

    Attributes
    ----------
    told : list of Told
        Warnings of the blocks.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.told: list[Told] = []
        self._tokens: list[Token[Any]] = []

    def __enter__(self) -> list[Told]:
        self._tokens.append(_listener.set(ref(self)))
        return self.told

    def __exit__(self, *error: Any) -> None:
        _listener.reset(self._tokens.pop())


# A weak reference, since an interruption may keep a block from ending.
_listener: ContextVar[ref[Listening] | None] = ContextVar("_listener", default=None)


def _current() -> Listening | None:
    """Return the innermost listener of this thread, or None."""
    listener = _listener.get()
    return None if listener is None else listener()


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Issue a warning for the line in the user's code, or send it to the listener."""
    listener = _current()
    if listener is None:
        warnings.warn(message, category, stacklevel=_level())
        return
    caller = sys._getframe(1)
    place = caller.f_code.co_filename, caller.f_lineno
    listener.told.append(Told(message, category, place))


def _level() -> int:
    """Return the stack level of the user's code, as seen from ``warn``."""
    frame, level = sys._getframe(2), 2
    while frame.f_back is not None and _is_between(frame):
        frame, level = frame.f_back, level + 1
    return level


def _is_between(frame: FrameType) -> bool:
    package = frame.f_globals.get("__name__", "").partition(".")[0]
    return package in ("sknn_notes", "sklearn", "numpy", "joblib", "contextlib")


def pass_on(told: list[Told], total: int, what: str) -> None:
    """Issue each warning of several fits once.

    Parameters
    ----------
    told : list of Told
    total : int
        Number of fits.
    what : str
        What was fitted, in the plural.
    """
    counts = Counter(each.place for each in told)
    seen: set[Any] = set()
    for message, category, place in told:
        if issubclass(category, ConvergenceWarning):
            # The messages of different fits contain different numbers.
            key: Any = place
            message += f" (In {counts[place]} of {total} {what}.)"
        else:
            key = message
        if key not in seen:
            seen.add(key)
            warn(message, category)


def say(line: str) -> None:
    """Print a line in one piece, so that lines of several threads don't mix."""
    listener = _current()
    print(f"{line}\n" if listener is None else f"{listener.name}: {line}\n", end="")
