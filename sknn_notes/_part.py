"""Parts: objects that can be passed in place of a name, and how a name is resolved."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.base import clone

from sknn_notes._base import BaseObject
from sknn_notes._checks import nearest, plain


class Part(BaseObject):
    """Base class of every part.

    The parameters of a part can be read, set and searched like those of an estimator. A
    subclass defines ``__init__`` with keyword parameters, ``_parameter_constraints`` in
    scikit-learn's form, and the methods of its family.
    """

    _parameter_constraints: dict[str, list[Any]] = {}

    def check(self) -> None:
        """Raise an error that names a parameter if one lies outside its domain."""
        self._validate_params()


def resolve(
    spec: Any, registry: Mapping[str, Any], flat: Mapping[str, Any] | None = None
) -> Any:
    """Return a new, checked part for ``spec``, which is never changed.

    The numbers of the part are Python's own types, whatever types were passed.

    Parameters
    ----------
    spec : str or Part
        A name in ``registry``, or a part, which is cloned.
    registry : mapping of str to Part subclass
    flat : mapping of str to object, optional
        Parameters of the estimator. A part given by its name takes the ones that it
        has; a part passed as an object keeps its own.
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
    """A part lacks another form of its definition, such as the compiled loops.

    Parameters
    ----------
    part : object
    """

    def __init__(self, part: Any) -> None:
        super().__init__(f"{part!r} has no loops")
        self.part = part


def form_of(part: Any, name: str, *definition: str) -> Any:
    """Return a method of a part that computes the same as its definition.

    Parameters
    ----------
    part : Part
    name : str
        Name of the method.
    *definition : str
        Methods of the definition. A class that overrides one of them has to override
        ``name``, too: the inherited one computes another formula.

    Raises
    ------
    NoLoopsError
        If the part has no such method, or only one of another formula.
    """
    for cls in type(part).__mro__:
        if vars(cls).get(name) is not None:
            return getattr(part, name)
        if any(method in vars(cls) for method in definition):
            break
    raise NoLoopsError(part)


def kept(new: Any, fitted: Any) -> Any:
    """Return ``fitted``, which has learned, if it equals ``new``, else ``new``."""
    return fitted if _equal(new, fitted) else new


def _equal(a: Any, b: Any) -> bool:
    # Not recursive, since a tree of classes may be deep.
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
