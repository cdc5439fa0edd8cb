"""Docstrings that take what they do not say from a text that several share."""

import inspect
import re
from collections.abc import Callable
from typing import Any, TypeVar

Documented = TypeVar("Documented", bound=Callable[..., Any])

# The order in which numpydoc has them.
_TITLES = [
    "",
    "Parameters",
    "Attributes",
    "Returns",
    "Yields",
    "Raises",
    "Warns",
    "See Also",
    "Notes",
    "References",
    "Examples",
]
_TITLE = re.compile(r"^(\w[\w ]*)\n-+\n", re.MULTILINE)
# An entry begins with a line that is not indented.
_ENTRY = re.compile(r"^(?=\S)", re.MULTILINE)


def _sections(text: str) -> dict[str, str]:
    """Return the sections of a docstring by title; what stands before them by ''."""
    head, *rest = _TITLE.split(inspect.cleandoc(text) + "\n")
    bodies = zip(rest[::2], rest[1::2], strict=True)
    return {"": head} | dict(bodies)


def _entries(body: str) -> dict[str, str]:
    """Return the entries of a section by name; ``**kwargs`` without its stars."""
    entries = {}
    for text in filter(str.strip, _ENTRY.split(body)):
        first, *rest = text.strip().split("\n")
        # A line that the source continues has the indentation of the next one within.
        first = " ".join(first.split())
        entries[first.split(" :")[0].lstrip("*")] = "\n".join([first, *rest])
    return entries


def _place(section: tuple[str, str]) -> int:
    return _TITLES.index(section[0])


def completed(shared: str) -> Callable[[Documented], Documented]:
    """Complete the docstring of a class or function by a shared text.

    Parameters
    ----------
    shared : str
        A docstring with sections, as numpydoc has them. Of its parameters those are
        taken that the signature names, of its attributes all; the docstring's own
        entries win. Parameters come in the order of the signature. Any other section is
        taken if the docstring lacks it.

    Returns
    -------
    decorator : callable
        It changes ``__doc__`` and returns the object itself.

    Examples
    --------
    >>> @completed('''
    ... Parameters
    ... ----------
    ... tol : float
    ...     Tolerance.
    ... max_iter : int
    ...     Largest number of epochs.
    ... ''')
    ... def fit(X, tol):
    ...     '''Fit.
    ...
    ...     Parameters
    ...     ----------
    ...     X : ndarray
    ...         Training data.
    ...     '''
    >>> fit.__doc__.splitlines()[-4:]
    ['X : ndarray', '    Training data.', 'tol : float', '    Tolerance.']
    """
    common = _sections(shared)

    def complete(documented: Documented) -> Documented:
        if documented.__doc__ is None:  # Python runs with -OO.
            return documented
        own = _sections(documented.__doc__)
        parts = common | own
        for title in ("Parameters", "Attributes"):
            entries = _entries(own.get(title, ""))
            merged = _entries(common.get(title, "")) | entries
            if title == "Parameters":
                named = inspect.signature(documented).parameters
                merged = {name: merged[name] for name in named if name in merged}
                merged |= entries  # Also a name that the signature lacks.
            parts[title] = "\n".join(merged.values())
        documented.__doc__ = "\n".join(
            f"{title}\n{'-' * len(title)}\n{body.strip()}\n" if title else body
            for title, body in sorted(parts.items(), key=_place)
            if body.strip()
        ).replace("\n\n\n", "\n\n")
        return documented

    return complete
