"""What every estimator, transformer and part has: a version when saved, a page."""

import warnings
from typing import Any, Self

from sklearn.base import BaseEstimator
from sklearn.exceptions import InconsistentVersionWarning

from sknn_notes._checks import check_nested, check_parameters
from sknn_notes._version import __version__

# Where the documentation is served; the HTML representations link to it.
DOCS_URL = "https://sknn-notes.readthedocs.io/en/stable/"

# Rooms whose names are public at the top of the package.
_REEXPORTED = {"neural_network", "preprocessing"}


class OtherVersionWarning(InconsistentVersionWarning):
    """An object is loaded by another version of this library than saved it.

    A filter on scikit-learn's warning covers it; the attributes named for versions of
    scikit-learn hold those of this library.
    """

    def __str__(self) -> str:
        return (
            f"{self.estimator_name} was saved by version "
            f"{self.original_sklearn_version} of sknn_notes and is loaded by version "
            f"{self.current_sklearn_version}. It may fail or predict something else. "
            "Load it with the version that saved it, or fit it again; see\n"
            f"{DOCS_URL}user_guide/persistence.html"
        )


class BaseObject(BaseEstimator):
    """Base of every class of this library that has parameters."""

    _param_names: list[str]
    _doc_link_module = "sknn_notes"
    _doc_link_template = f"{DOCS_URL}api/generated/{{public_name}}.html"

    def _doc_link_url_param_generator(self) -> dict[str, str]:
        package, room = type(self).__module__.split(".")[:2]
        module = package if room in _REEXPORTED else f"{package}.{room}"
        return {"public_name": f"{module}.{type(self).__name__}"}

    @classmethod
    def _get_param_names(cls) -> list[str]:
        # scikit-learn inspects the signature at every call, which took half the time
        # of a partial_fit on few rows.
        if "_param_names" not in vars(cls):
            cls._param_names = super()._get_param_names()
        return cls._param_names

    def _validate_params(self) -> None:
        # scikit-learn calls it before each fit; these errors say what to do.
        check_parameters(self)

    def set_params(self, **params: Any) -> Self:
        """Set parameters; ``part__parameter`` sets one of a part passed as an object.

        Parameters
        ----------
        **params : dict
            New values.

        Returns
        -------
        self : object
            The same object.

        Raises
        ------
        ValueError
            If there is no such parameter, or the part is none with parameters.
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
