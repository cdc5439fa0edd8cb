"""Checks of parameters, and errors that say what to pass instead."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from sknn_notes import _sklearn
from sknn_notes._sklearn import (
    InvalidParameterError,
    Options,
    StrOptions,
    make_constraint,
)

T = TypeVar("T")


class Registry(dict[str, T]):
    """A family of parts, by their names.

    Parameters
    ----------
    parts : dict of str to Part subclass
    aliases : dict of str to str, optional
        Names that other libraries use. The value is a name in the registry, or a
        sentence that says what to do.
    number : str, optional
        Sentence that says what to do with a number, or several, passed in place of a
        name. ``{}`` stands for what was passed.
    base : class, optional
        The class that every part of the family inherits from.
    """

    def __init__(
        self,
        parts: Mapping[str, T],
        aliases: Mapping[str, str] | None = None,
        number: str = "",
        base: type | None = None,
    ) -> None:
        super().__init__(parts)
        self.base = base
        self.aliases = {_squeezed(k): v for k, v in (aliases or {}).items()}
        self.number = number

    def register(self, name: str, part: T | None = None) -> Any:
        """Add a part under a name, which the estimators accept from then on.

        Parameters
        ----------
        name : str
        part : class, optional
            If it is left out, a decorator of the class is returned.

        Raises
        ------
        TypeError
            If it is not a class of the family, or can't be created without arguments.
        ValueError
            If another part has this name.

        Examples
        --------
        >>> from sknn_notes import MLPRegressor
        >>> from sknn_notes.losses import REGRESSION_LOSSES, SquaredError
        >>> @REGRESSION_LOSSES.register("my_squared_error")
        ... class MySquaredError(SquaredError):
        ...     pass
        >>> MLPRegressor(loss="my_squared_error").loss
        'my_squared_error'
        >>> del REGRESSION_LOSSES["my_squared_error"]
        """
        if part is None:
            return lambda part: self.register(name, part)
        if not isinstance(name, str) or not name.isidentifier():
            raise ValueError(f"The name of a part must be an identifier. Got {name!r}.")
        if not (isinstance(part, type) and issubclass(part, self.base or object)):
            family = self.base and public_name(self.base)
            raise TypeError(f"A part must be a subclass of {family}. Got {part!r}.")
        try:
            part()
        except TypeError as error:
            raise TypeError(
                f"All parameters of {part.__qualname__} need defaults: {error}."
            ) from error
        known: Any = self.get(name)
        # Running a notebook cell again defines the class again.
        if known is not None and known.__qualname__ != getattr(
            part, "__qualname__", None
        ):
            raise ValueError(
                f"{name!r} is already the name of {known.__qualname__}. Choose another "
                f"name; those in use are {sorted(self)}."
            )
        self[name] = part
        return part


class Names(StrOptions):
    """Constraint: a name that is in a registry at the time of the check.

    Parameters
    ----------
    registry : Registry
    """

    def __init__(self, registry: Registry[Any]) -> None:
        super().__init__(set(registry))
        self.registry = registry

    def is_satisfied_by(self, val: Any) -> bool:
        return isinstance(val, str) and val in self.registry


class Interval(_sklearn.Interval):
    """Constraint: a number in a range that a float can hold."""

    def is_satisfied_by(self, val: Any) -> bool:
        if not isinstance(val, self.type):
            return False
        try:
            return float(val) in self
        except OverflowError:
            return False


def plain(value: Any) -> Any:
    """Return a number as Python's bool, int or float, and anything else unchanged.

    Computations with numpy's narrow types would overflow or round.
    """
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) else value


# Simple values that have passed the checks: a search repeats them in every fit.
_SIMPLE, _MOST_VALID = (type(None), bool, int, float, str), 10_000
_valid: set[tuple[Any, ...]] = set()


def check_parameters(owner: Any, names: Iterable[str] | None = None) -> None:
    """Raise an error if a parameter of ``owner`` lies outside its domain.

    Parameters
    ----------
    owner : object
        It has ``get_params`` and ``_parameter_constraints``.
    names : iterable of str, optional
        Parameters to check; all of them by default.

    Raises
    ------
    InvalidParameterError
        A ValueError and a TypeError. It says which parameter is wrong, what is accepted
        and what was passed and, where it can guess, what to pass instead.
    """
    domains = owner._parameter_constraints
    if names is None:
        names = owner.get_params(deep=False)
    cls = type(owner)
    for name in names:
        if domains.get(name, "no_validation") != "no_validation":
            value = getattr(owner, name)
            _check_once(cls, name, value, domains[name])


def _check_once(cls: type, name: str, value: Any, constraints: list[Any]) -> None:
    """Check a parameter, unless it is a simple value that has passed before."""
    is_simple = type(value) in _SIMPLE
    key = cls, name, type(value), value if is_simple else None
    if key in _valid:
        return
    check_value(cls.__name__, name, value, constraints)
    if is_simple:
        if len(_valid) >= _MOST_VALID:
            _valid.clear()
        _valid.add(key)


def check_value(owner: str, name: str, value: Any, constraints: list[Any]) -> None:
    """Raise InvalidParameterError unless ``value`` meets one of the constraints."""
    if not any(_satisfied(constraint, value) for constraint in constraints):
        advice = _advice(value, constraints)
        raise InvalidParameterError(
            f"The {name!r} parameter of {owner} must be {_accepted(constraints)}. Got "
            f"{shown(value)} instead.{' ' if advice else ''}{advice}"
        )


def check_nested(owner: Any, name: str, values: Mapping[str, Any]) -> None:
    """Raise ValueError if ``name`` sets a parameter of a part that is not an object.

    Parameters
    ----------
    owner : object
        The object whose parameters are set.
    name : str
        A name such as "loss__margin"; names without "__" pass.
    values : mapping of str to object
        All values that are set in the same call.
    """
    parameter, nested, inner = name.partition("__")
    if not nested or not hasattr(owner, parameter):
        return
    part = values.get(parameter, getattr(owner, parameter))
    if hasattr(part, "set_params"):
        return
    constraints = owner._parameter_constraints.get(parameter, [])
    offered = [
        cls
        for cls in _classes(constraints)
        if inner.partition("__")[0] in cls._get_param_names()
    ]
    named = [cls for cls in offered if cls is _class_of(part, constraints)] or offered
    calls = " or ".join(f"{cls.__name__}()" for cls in named)
    raise ValueError(
        f"{name} sets a parameter of an object, but {parameter}={shown(part)} is not "
        f"one. Pass {parameter}={calls or 'an object'}, whose parameters can be set "
        "and searched."
    )


def _classes(constraints: Iterable[Any]) -> Iterator[Any]:
    """Yield the classes of parts that the constraints accept."""
    for constraint in constraints:
        if isinstance(constraint, type) and hasattr(constraint, "set_params"):
            yield constraint
        yield from getattr(constraint, "registry", {}).values()


def _class_of(name: Any, constraints: Iterable[Any]) -> Any:
    registries = (getattr(c, "registry", {}) for c in constraints)
    if not isinstance(name, str):
        return None
    return next((r[name] for r in registries if name in r), None)


def _satisfied(constraint: Any, value: Any) -> bool:
    if isinstance(constraint, str) and constraint == "array-like":
        unordered = isinstance(value, str | set | frozenset | Mapping)
        if unordered or getattr(value, "shape", None) == ():
            return False
    return bool(make_constraint(constraint).is_satisfied_by(value))


@contextmanager
def holding_numbers(what: str) -> Iterator[None]:
    """Name the argument in errors of converting it to floats.

    An int too large for a float raises ValueError instead of OverflowError.
    """
    try:
        yield
    except OverflowError as error:
        raise ValueError(
            f"{what} must hold numbers of at most {np.finfo(float).max:.2g}, the "
            f"largest float; {error}."
        ) from None
    except (TypeError, ValueError) as error:
        text = str(error)
        says = "could not convert", "float() argument must be", "could not be promoted"
        if not any(phrase in text for phrase in says):
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        # numpy goes on to explain what a common type is.
        reason = text.partition(". This means")[0].removesuffix(".")
        raise kind(f"{what} must hold numbers; {reason}.") from None


def present(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return a mask of the values that are not missing (None, NaN, NA or NaT)."""
    return np.array(
        [
            not (
                value is None
                or is_pandas_missing(value)
                or (isinstance(value, Real) and value != value)
            )
            for value in values
        ],
        dtype=bool,
    )


def is_pandas_missing(value: Any) -> bool:
    """Whether a value is one of pandas' missing values."""
    return type(value).__name__ in ("NAType", "NaTType")


def shown(value: Any) -> str:
    """Return a ``repr`` that never raises and is never long."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        return f"a {type(value).__name__} too large to be shown"
    return text if len(text) <= 200 else f"{text[:150]}... ({len(text)} characters)"


def public_name(cls: type) -> str:
    """Return the full name by which users import a class."""
    module = [part for part in cls.__module__.split(".") if not part.startswith("_")]
    return ".".join([*(part for part in module if part != "builtins"), cls.__name__])


_PHRASES = {
    "array-like": "an array-like",
    "boolean": "True or False",
    "cv_object": "an int of at least 2, a splitter, an iterable of splits or None",
    "random_state": "an int from 0 to 2**32 - 1, a numpy.random.RandomState",
    "verbose": "True, False or an int of at least 0",
}


def _accepted(constraints: list[Any]) -> str:
    """Return a description of the values that the constraints accept."""
    phrases = [_phrase(constraint) for constraint in constraints if constraint]
    if None in constraints or "random_state" in constraints:
        phrases.append("None")
    *first, last = phrases
    return f"{', '.join(first)} or {last}" if first else last


def _phrase(constraint: Any) -> str:
    if isinstance(constraint, str):
        return _PHRASES[constraint]
    if isinstance(constraint, StrOptions):
        names = sorted(_names(constraint))
        return f"one of {names}" if len(names) > 1 else repr(names[0])
    if constraint is callable:
        return "a callable"
    if isinstance(constraint, Options):
        return " or ".join(sorted(map(str, constraint.options)))
    if isinstance(constraint, type):
        article = "a " if constraint in (list, tuple, str) else "an instance of "
        return article + public_name(constraint)
    return str(make_constraint(constraint))


def _names(options: Any) -> Any:
    return getattr(options, "registry", options.options)


# Strings that are meant as constants of Python.
_CONSTANTS = {"none": None, "null": None, "true": True, "false": False}


def _advice(value: Any, constraints: list[Any]) -> str:
    """Return a sentence that says what to pass instead, or "" if none is known."""

    def fits(other: Any) -> bool:
        return any(_satisfied(constraint, other) for constraint in constraints)

    if isinstance(value, str):
        return _advice_on_text(value, fits) or _advice_on_name(value, constraints)
    if isinstance(value, type):
        families = tuple(c for c in constraints if isinstance(c, type))
        if issubclass(value, families):
            return f"Pass an object, {value.__name__}(), in place of the class."
    if value is None and (fits(0) or fits(np.inf)):
        return "Pass 0." if fits(0) else "Pass np.inf."
    if isinstance(value, Real):
        return _advice_on_name(value, constraints) or _advice_on_number(value, fits)
    if isinstance(value, np.random.Generator):
        return "A Generator changes with every fit; pass an int drawn from it."
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        number = value.item()
        return f"Pass the number {number!r}, not an array." if fits(number) else ""
    if isinstance(value, Iterable) and (fits(0.5) or fits(2)):
        return "It takes one number."
    return _advice_on_name(value, constraints)


def _advice_on_text(text: str, fits: Callable[[Any], bool]) -> str:
    if text.lower() in _CONSTANTS and fits(_CONSTANTS[text.lower()]):
        return f"Pass {_CONSTANTS[text.lower()]}, without quotes."
    for number in (int, float):
        try:
            if fits(number(text)):
                return f"Pass the number {number(text)!r}, without quotes."
        except ValueError:
            pass
    return ""


def _advice_on_number(value: Any, fits: Callable[[Any], bool]) -> str:
    try:
        number = float(value)
    except OverflowError:
        return "It is too large for a float."
    if isinstance(value, bool | np.bool_):
        return ""
    if number in (0, 1) and fits(bool(number)):
        return f"Pass {bool(number)}."
    if number.is_integer() and fits(int(number)):
        return f"Pass an int, {int(number)}."
    if number in (0, np.inf) and fits(None) and (fits(1) or fits(1.0)):
        return "Pass None for no bound."
    if number == np.inf and fits(10**9):
        return "Pass a large int, such as 10**9."
    if 10 <= number < 100 and fits(number / 100) and not fits(2.0):
        return f"Pass {number / 100:g} for {number:g} %."
    return ""


def _advice_on_name(value: Any, constraints: list[Any]) -> str:
    for names in (_names(c) for c in constraints if isinstance(c, StrOptions)):
        if isinstance(value, bool):
            advice = ""
        elif isinstance(value, Real | tuple | list):
            advice = getattr(names, "number", "").format(shown(value))
        else:
            advice = nearest(value, names)
        if advice:
            return advice
    return ""


def nearest(value: Any, names: Any) -> str:
    """Return a sentence about the name that ``value`` probably means, or "".

    Parameters
    ----------
    value : object
        A wrong name, or a class, function or object with a name like that of a part.
    names : Registry or iterable of str
    """
    called = getattr(value, "__name__", type(value).__name__)
    if isinstance(value, str | np.dtype):
        called = str(value)
    meant = {_squeezed(name): name for name in names}
    meant |= getattr(names, "aliases", {})
    if _squeezed(called) in meant:
        found = meant[_squeezed(called)]
        return f"Did you mean {found!r}?" if found in names else found
    if not isinstance(value, str | type):
        return ""
    near = get_close_matches(called, names, n=1)
    return f"Did you mean {near[0]!r}?" if near else ""


def _squeezed(name: str) -> str:
    return "".join(char for char in name.lower() if char.isalnum())
