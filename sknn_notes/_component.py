"""Parts: objects that may be passed in place of a name, and how names find them."""

from collections.abc import Mapping
from difflib import get_close_matches
from inspect import signature
from typing import Any

from sklearn.base import clone

from sknn_notes._base import BaseObject


class Component(BaseObject):
    """Base class of every part.

    Its parameters are read, set and searched as an estimator's. A subclass declares
    ``__init__`` with keyword parameters, ``_parameter_constraints`` in scikit-learn's
    form, and the methods of its family.
    """

    _parameter_constraints: dict = {}

    def check(self) -> None:
        """Raise an error that names the parameter if one lies outside its domain."""
        self._validate_params()


def check_name(owner: str, parameter: str, spec: Any, registry: Mapping) -> None:
    """Raise ValueError if ``spec`` is a string that is no name in ``registry``.

    The error lists the names that exist and the nearest one.
    """
    if not isinstance(spec, str) or spec in registry:
        return
    near = get_close_matches(spec, registry, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(
        f"The {parameter!r} parameter of {owner} must be one of {sorted(registry)}, "
        f"or an instance of one of their classes. Got {spec!r} instead.{hint}"
    )


def resolve(spec: Any, registry: Mapping, flat: Mapping | None = None) -> Any:
    """Return a new part for ``spec``, checked; what the user passed is never changed.

    Parameters
    ----------
    spec : str or Component
        A name in ``registry``, or a part, which is cloned.
    registry : mapping of str to Component subclass
    flat : mapping of str to object, optional
        Parameters of the estimator. A part made from its name takes those that it has
        a parameter for; a part passed as an object keeps its own.
    """
    if isinstance(spec, str):
        accepted = signature(registry[spec]).parameters
        part = registry[spec](
            **{k: v for k, v in (flat or {}).items() if k in accepted}
        )
    else:
        part = clone(spec)
    part.check()
    return part


def kept(new: Any, fitted: Any) -> Any:
    """Return ``fitted`` if it is the same part as ``new``, with what it learned."""
    same = type(new) is type(fitted) and new.get_params() == fitted.get_params()
    return fitted if same else new
