"""What a fit tells the user: warnings, and lines under ``verbose``.

A network of an ensemble tells it to the ensemble, which passes on once what several of
its networks warn of; its lines name the network.
"""

import sys
import warnings
from collections import Counter
from contextvars import ContextVar, Token
from types import FrameType
from typing import Any, NamedTuple

from sklearn.exceptions import ConvergenceWarning


class Told(NamedTuple):
    """A warning, and the place in the code that it comes from."""

    message: str
    category: type[Warning]
    place: tuple[str, int]


class Listening:
    """Collects the warnings of a block, and begins its lines with a name.

    Other threads are not affected, as they are by ``warnings.catch_warnings``. Several
    blocks may use it, one after the other.

    Parameters
    ----------
    name : str

    Attributes
    ----------
    told : list of Told
        What the blocks have warned of.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.told: list[Told] = []
        self._tokens: list[Token[Any]] = []

    def __enter__(self) -> list[Told]:
        self._tokens.append(_listener.set(self))
        return self.told

    def __exit__(self, *error: Any) -> None:
        _listener.reset(self._tokens.pop())


_listener: ContextVar[Listening | None] = ContextVar("_listener", default=None)


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn of the line of the user's that called, or tell whoever listens."""
    listener = _listener.get()
    if listener is None:
        warnings.warn(message, category, stacklevel=_level())
        return
    caller = sys._getframe(1)
    place = caller.f_code.co_filename, caller.f_lineno
    listener.told.append(Told(message, category, place))


def _level() -> int:
    """Return how far up the caller of ``warn`` was called from other code than this."""
    frame, level = sys._getframe(2), 2
    while frame.f_back is not None and _is_between(frame):
        frame, level = frame.f_back, level + 1
    return level


def _is_between(frame: FrameType) -> bool:
    package = frame.f_globals.get("__name__", "").partition(".")[0]
    return package in ("sknn_notes", "sklearn", "numpy", "joblib", "contextlib")


def pass_on(told: list[Told], total: int, what: str) -> None:
    """Warn once of what several fits warn of from the same place in the code.

    Parameters
    ----------
    told : list of Told
    total : int
        Number of fits.
    what : str
        What they are fits of, in the plural.
    """
    counts = Counter(each.place for each in told)
    seen: set[Any] = set()
    for message, category, place in told:
        if issubclass(category, ConvergenceWarning):
            # Fits differ in the numbers of the message.
            key: Any = place
            message += f" (In {counts[place]} of {total} {what}.)"
        else:
            key = message
        if key not in seen:
            seen.add(key)
            warn(message, category)


def say(line: str) -> None:
    """Print a line in one piece, so that those of several threads don't mix."""
    listener = _listener.get()
    print(f"{line}\n" if listener is None else f"{listener.name}: {line}\n", end="")
