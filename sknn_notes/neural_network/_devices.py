"""Where a network is trained: what ``device`` and the inputs say."""

import numpy as np
from scipy.sparse import issparse

from sknn_notes._engine.device import Device
from sknn_notes._engine.rows import Rows, is_sparse


def device_of(estimator, X):
    """Return the device that trains a network, or None for the CPU.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    X : {ndarray, sparse array, Rows, tensor} of shape (n_samples, n_features)
        Validated.

    Raises
    ------
    ImportError
        If PyTorch is missing.
    ValueError
        If there is no such device, or it can't take ``X``.
    """
    spec = estimator.device
    is_tensor = not (isinstance(X, np.ndarray | Rows) or issparse(X))
    if spec is None:
        return Device(X.device) if is_tensor else None
    if is_tensor and str(spec) not in (str(X.device), X.device.type):
        raise ValueError(
            f"X is on {X.device} and device={spec!r}. Set device=None to train where X "
            "is, or move X."
        )
    if is_host(spec):
        return None
    device = _found(spec)
    if is_sparse(X):
        raise ValueError(
            f"device={spec!r} takes dense X; X is sparse. Pass X.toarray() if that "
            "fits into memory, or set device='cpu', whose steps read no more than the "
            "entries."
        )
    return device


def is_host(spec):
    """Tell whether a device is the CPU, where numpy's arrays are."""
    return spec == "cpu"


def _found(spec):
    try:
        device = Device(spec)
    except ImportError as error:
        raise ImportError(
            f"device={spec!r} needs PyTorch. Install it with pip install torch, or set "
            "device=None."
        ) from error
    except (RuntimeError, AssertionError) as error:
        raise ValueError(
            f"device must be None, 'cpu', 'cuda' or 'cuda:1' for the second GPU. Got "
            f"{spec!r}, for which PyTorch says: {str(error).splitlines()[0]}"
        ) from error
    return device
