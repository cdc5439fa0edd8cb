"""Equality of functions, and the functions that they call.

A class that is defined in a notebook rather than a module is sent to other processes by
value. Every task then creates new objects of the same functions.
"""

from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any

_LIBRARY = __package__.partition(".")[0]
_first: dict[Any, FunctionType] = {}


def first_of(function):
    """Return the first function seen with the same code and constants."""
    try:
        return _first.setdefault(_content(function, ()), function)
    except (
        TypeError,
        ValueError,
    ):  # A constant without a hash, a cell without a value.
        return function


def functions_of(*functions: FunctionType) -> Iterator[FunctionType]:
    """Yield functions of other packages, and all such functions that they call."""
    pending, seen = list(functions), set()
    while pending:
        function = pending.pop()
        if _is_own(function) and function not in seen:
            seen.add(function)
            pending += _constants(function)
            yield function


def _content(value, parents):
    """Return a key that is equal for equal constants and equal functions."""
    if isinstance(value, tuple):
        return tuple(_content(each, parents) for each in value)
    if not _is_own(value):
        # 0.0 equals -0.0, and 1 equals 1.0.
        return type(value), repr(value) if isinstance(value, float) else value
    if value in parents:
        return parents.index(value)
    constants = tuple(_constants(value))
    return value.__qualname__, value.__code__, _content(constants, (*parents, value))


def _is_own(value):
    return isinstance(value, FunctionType) and not (
        f"{value.__module__}.".startswith(f"{_LIBRARY}.")
    )


def _constants(function):
    """Return the defaults of a function and the values of the outer names it uses."""
    named = function.__globals__
    return [
        *(function.__defaults__ or ()),
        *(function.__kwdefaults__ or {}).values(),
        *(cell.cell_contents for cell in function.__closure__ or ()),
        *(named[name] for name in _names(function.__code__) if name in named),
    ]


def _names(code):
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
