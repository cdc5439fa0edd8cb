"""Parts: objects that may be passed in place of a name, and how names find them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.base import clone

from sknn_notes._base import BaseObject
from sknn_notes._checks import nearest, plain


class Part(BaseObject):
    """Base class of every part.

    Its parameters are read, set and searched as an estimator's. A subclass declares
    ``__init__`` with keyword parameters, ``_parameter_constraints`` in scikit-learn's
    form, and the methods of its family.
    """

    _parameter_constraints: dict[str, list[Any]] = {}

    def check(self) -> None:
        """Raise an error that names the parameter if one lies outside its domain."""
        self._validate_params()


def resolve(
    spec: Any, registry: Mapping[str, Any], flat: Mapping[str, Any] | None = None
) -> Any:
    """Return a new part for ``spec``, checked; what the user passed is never changed.

    Its numbers are Python's own, whatever types they were passed in.

    Parameters
    ----------
    spec : str or Part
        A name in ``registry``, or a part, which is cloned.
    registry : mapping of str to Part subclass
    flat : mapping of str to object, optional
        Parameters of the estimator. A part made from its name takes those that it has
        a parameter for; a part passed as an object keeps its own.
    """
    if isinstance(spec, str):
        if spec not in registry:
            raise ValueError(
                f"{spec!r} is not one of {sorted(registry)}. {nearest(spec, registry)}"
            )
        flat = flat or {}
        accepted = registry[spec]._get_param_names()
        part = registry[spec](**{k: flat[k] for k in accepted if k in flat})
    else:
        part = clone(spec)
    part.check()
    for name, value in part.get_params(deep=False).items():
        setattr(part, name, plain(value))
    return part


class NoLoopsError(TypeError):
    """A part has no form of its definition, such as the loops of the compiled step.

    Parameters
    ----------
    part : object
    """

    def __init__(self, part: Any) -> None:
        super().__init__(f"{part!r} has no loops")
        self.part = part


def form_of(part: Any, name: str, *definition: str) -> Any:
    """Return a form of a part that computes the same as its definition.

    Parameters
    ----------
    part : Part
    name : str
        Attribute that holds the form.
    *definition : str
        Methods that define what the form computes. A class that overrides one and does
        not bring the form with it has none: the inherited one is of another formula.

    Raises
    ------
    NoLoopsError
        If there is none.
    """
    for cls in type(part).__mro__:
        if vars(cls).get(name) is not None:
            return getattr(part, name)
        if any(method in vars(cls) for method in definition):
            break
    raise NoLoopsError(part)


def kept(new: Any, fitted: Any) -> Any:
    """Return ``fitted`` if it is the same part as ``new``, with what it learned."""
    return fitted if _equal(new, fitted) else new


def _equal(a: Any, b: Any) -> bool:
    # A loop in place of recursion, since a tree of classes may be deep.
    pending = [(a, b)]
    while pending:
        a, b = pending.pop()
        if a is b:
            continue
        if isinstance(a, Part) and type(a) is type(b):
            names = a.get_params(deep=False)
            pending += [(getattr(a, name), getattr(b, name)) for name in names]
        elif isinstance(a, tuple | list) and type(a) is type(b) and len(a) == len(b):
            pending += zip(a, b, strict=True)
        elif not np.array_equal(a, b):
            return False
    return True
