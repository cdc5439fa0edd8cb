"""The inputs of a network, validated; memory maps stay in their files."""

from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial

import numpy as np
from sklearn.utils import assert_all_finite, check_X_y
from sklearn.utils.validation import validate_data

from sknn_notes._arrays import namespace
from sknn_notes._engine.rows import Rows, blocks_of
from sknn_notes.neural_network._shared import Shared


def validated(estimator, *data, dtype, reset, order=None, **checks):
    """Validate X, and y where it is passed, as scikit-learn does.

    A memory map that would have to be converted is not: its rows are converted when
    they are read, and checked here block by block.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    *data : X, or X and y
        As passed by the user.
    dtype : dtype or list of dtype
        The types that X may have; the first one stands for others.
    reset, order, **checks
        As ``validate_data`` takes them.

    Returns
    -------
    X : {ndarray, CSR array, Rows, tensor} of shape (n_samples, n_features)
        A tensor of a device stays there. ``Rows`` are of a memory map of another type,
        or in another order, than asked for.
    y : ndarray
        If it was passed.
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
    """Inputs that several networks predict from, which are checked once.

    The networks are fitted to data of the same columns.

    Parameters
    ----------
    X : object
        As passed to ``predict``, by whoever keeps it as it is.
    """

    def __init__(self, X):
        self.X, self.results = X, Shared()

    @contextmanager
    def known(self):
        """Let networks take in the block what others have made of the inputs."""
        token = _inputs.set(self)
        try:
            yield
        finally:
            _inputs.reset(token)


_inputs: ContextVar[Inputs | None] = ContextVar("_inputs", default=None)


def is_tensor(X):
    """Tell whether X lies on a device, where it stays."""
    return hasattr(X, "__dlpack__") and not isinstance(X, np.ndarray)


def _validated_tensor(estimator, X, y=None, *, types, reset, **checks):
    """Validate X where it is, and y on the CPU."""
    xp = namespace(X)
    dtypes = [getattr(xp, np.dtype(each).name) for each in types]
    X = validate_data(estimator, X, dtype=dtypes, reset=reset)
    if y is None:
        return X
    _, y = check_X_y(np.zeros((len(X), 1)), y, **checks)
    return X, y


def _is_converted(X, types, order):
    """Tell whether X is a memory map that scikit-learn would convert as a whole."""
    if not isinstance(X, np.memmap) or X.ndim != 2 or X.dtype.kind not in "biuf":
        return False
    return X.dtype not in types or (order == "C" and not X.flags.c_contiguous)
