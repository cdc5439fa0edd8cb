"""The base class of all estimators, transformers and parts."""

import warnings
from typing import Any, Self

from sklearn.base import BaseEstimator
from sklearn.exceptions import InconsistentVersionWarning

from sknn_notes._checks import check_nested, check_parameters
from sknn_notes._version import __version__

# The HTML representations of estimators link to the documentation.
DOCS_URL = "https://sknn-notes.readthedocs.io/en/stable/"

# Packages whose names users import from sknn_notes itself.
_REEXPORTED = {"neural_network", "preprocessing"}


class OtherVersionWarning(InconsistentVersionWarning):
    """The object was saved with a different version of sknn_notes.

    It is a subclass of scikit-learn's warning, so filters on that one apply. The
    attributes named after versions of scikit-learn hold versions of this library.
    """

    def __str__(self) -> str:
        return (
            f"{self.estimator_name} was saved with version "
            f"{self.original_sklearn_version} of sknn_notes and is loaded with version "
            f"{self.current_sklearn_version}. It may fail, or its predictions may "
            "differ. Load it with the version that saved it, or fit it again; see\n"
            f"{DOCS_URL}user_guide/persistence.html"
        )


class BaseObject(BaseEstimator):
    """Base class of everything in this library that has parameters."""

    _param_names: list[str]
    _doc_link_module = "sknn_notes"
    _doc_link_template = f"{DOCS_URL}api/generated/{{public_name}}.html"

    def _doc_link_url_param_generator(self) -> dict[str, str]:
        package, room = type(self).__module__.split(".")[:2]
        module = package if room in _REEXPORTED else f"{package}.{room}"
        return {"public_name": f"{module}.{type(self).__name__}"}

    @classmethod
    def _get_param_names(cls) -> list[str]:
        # scikit-learn inspects the signature at every call, which takes half the time
        # of a partial_fit on few rows.
        if "_param_names" not in vars(cls):
            cls._param_names = super()._get_param_names()
        return cls._param_names

    def _validate_params(self) -> None:
        # scikit-learn calls this before each fit. Our errors say what to do.
        check_parameters(self)

    def set_params(self, **params: Any) -> Self:
        """Set parameters; ``part__parameter`` sets a parameter of a part.

        Parameters
        ----------
        **params : dict
            New values, by the names of the parameters.

        Returns
        -------
        self : object
            The object itself.

        Raises
        ------
        ValueError
            If there is no such parameter, or if ``part__parameter`` is set and the part
            is not an object.
        """
        for name in params:
            check_nested(self, name, params)
        super().set_params(**params)
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_sknn_notes_version": __version__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        saved_by = state.pop("_sknn_notes_version", "before 0.1.0")
        if saved_by != __version__:
            warnings.warn(
                OtherVersionWarning(
                    estimator_name=type(self).__name__,
                    current_sklearn_version=__version__,
                    original_sklearn_version=saved_by,
                ),
                stacklevel=2,
            )
        super().__setstate__(state)
