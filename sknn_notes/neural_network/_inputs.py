"""Validation of the inputs of a network; memory maps are not loaded as a whole."""

from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial

import numpy as np

from sknn_notes._arrays import namespace
from sknn_notes._engine.rows import Rows, blocks_of
from sknn_notes._sklearn import assert_all_finite, check_X_y, validate_data
from sknn_notes.neural_network._shared import Shared


def validated(estimator, *data, dtype, reset, order=None, **checks):
    """Validate X, and y if it is passed, as scikit-learn does.

    A memory map that needs a conversion is not converted as a whole: its values are
    checked here block by block, and its rows are converted when they are read.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    *data : X, or X and y
        Data as the user passed them.
    dtype : dtype or list of dtype
        Data types that X may have; any other type is converted to the first one.
    reset, order, **checks
        Arguments of ``validate_data``.

    Returns
    -------
    X : {ndarray, CSR array, Rows, tensor} of shape (n_samples, n_features)
        A tensor stays on its device. ``Rows`` stand for a memory map that has another
        data type or memory order than requested.
    y : ndarray
        Only if it was passed.
    """
    X = data[0]
    inputs = None if reset else _inputs.get()
    if inputs is not None and inputs.X is X:
        key = estimator.n_features_in_, str(dtype)
        checked = partial(_checked, estimator, X, dtype=dtype, order=order)
        return inputs.results.once(key, lambda: checked(reset=reset))
    return _checked(estimator, *data, dtype=dtype, reset=reset, order=order, **checks)


def _checked(estimator, *data, dtype, reset, order, **checks):
    X = data[0]
    types = dtype if isinstance(dtype, list) else [dtype]
    if is_tensor(X):
        return _validated_tensor(estimator, *data, types=types, reset=reset, **checks)
    if not _is_converted(X, types, order):
        return validate_data(
            estimator,
            *data,
            accept_sparse="csr",
            dtype=dtype,
            order=order,
            reset=reset,
            **checks,
        )
    found = validate_data(
        estimator, *data, dtype=None, ensure_all_finite=False, reset=reset, **checks
    )
    X, *y = found if len(data) == 2 else (found,)
    rows = Rows(X, dtype=X.dtype if X.dtype in types else types[0])
    if X.dtype.kind == "f":
        for block in blocks_of(rows):
            assert_all_finite(
                block, estimator_name=type(estimator).__name__, input_name="X"
            )
    return (rows, *y) if y else rows


class Inputs:
    """Inputs that several networks predict on and that are checked only once.

    The networks have been fitted on data with the same columns.

    Parameters
    ----------
    X : object
        Data as passed to ``predict``; they must not change.
    """

    def __init__(self, X):
        self.X, self.results = X, Shared()

    @contextmanager
    def known(self):
        """In the block, let networks reuse the inputs as others have checked them."""
        token = _inputs.set(self)
        try:
            yield
        finally:
            _inputs.reset(token)


_inputs: ContextVar[Inputs | None] = ContextVar("_inputs", default=None)


def is_tensor(X):
    """Whether X is an array of another library, which may be on a device."""
    return hasattr(X, "__dlpack__") and not isinstance(X, np.ndarray)


def _validated_tensor(estimator, X, y=None, *, types, reset, **checks):
    """Validate X on its device, and y on the CPU."""
    xp = namespace(X)
    dtypes = [getattr(xp, np.dtype(each).name) for each in types]
    X = validate_data(estimator, X, dtype=dtypes, reset=reset)
    if y is None:
        return X
    _, y = check_X_y(np.zeros((len(X), 1)), y, **checks)
    return X, y


def _is_converted(X, types, order):
    """Whether X is a memory map that scikit-learn would convert as a whole."""
    if not isinstance(X, np.memmap) or X.ndim != 2 or X.dtype.kind not in "biuf":
        return False
    return X.dtype not in types or (order == "C" and not X.flags.c_contiguous)
