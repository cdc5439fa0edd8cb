"""Docstrings completed by a shared text."""

from sknn_notes._docstrings import completed

SHARED = """
Parameters
----------
alpha : float, default=1.0
    Strength
    of the penalty.
tol : float
    Shared tolerance.
**options : dict
    Options.
unused : int
    Not in the signature.

Attributes
----------
loss_ : float
    Loss.

Notes
-----
Shared notes.

Examples
--------
Shared example.
"""


def test_own_entries_win_and_the_signature_orders_them():
    @completed(SHARED)
    class Estimator:
        """Do something.

        Parameters
        ----------
        tol : float
            Own tolerance.

        Attributes
        ----------
        classes_ : ndarray
            Classes.

        See Also
        --------
        Other : Another one.

        Examples
        --------
        Own example.
        """

        def __init__(self, tol, alpha=1.0, **options):
            pass

    assert Estimator.__doc__ == (
        "Do something.\n"
        "\n"
        "Parameters\n"
        "----------\n"
        "tol : float\n"
        "    Own tolerance.\n"
        "alpha : float, default=1.0\n"
        "    Strength\n"
        "    of the penalty.\n"
        "**options : dict\n"
        "    Options.\n"
        "\n"
        "Attributes\n"
        "----------\n"
        "loss_ : float\n"
        "    Loss.\n"
        "classes_ : ndarray\n"
        "    Classes.\n"
        "\n"
        "See Also\n"
        "--------\n"
        "Other : Another one.\n"
        "\n"
        "Notes\n"
        "-----\n"
        "Shared notes.\n"
        "\n"
        "Examples\n"
        "--------\n"
        "Own example.\n"
    )


def test_no_docstring_stays_none():
    def function(tol):
        pass

    assert completed(SHARED)(function).__doc__ is None


def test_own_parameters_that_the_signature_lacks_are_kept():
    @completed(SHARED)
    def function(X, y):
        """Do something.

        Parameters
        ----------
        X, y : ndarray
            Data.
        """

    assert "X, y : ndarray\n    Data.\n" in function.__doc__
