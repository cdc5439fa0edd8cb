"""The device that trains a network, by ``device`` and the inputs."""

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
        Validated inputs.

    Raises
    ------
    ImportError
        If PyTorch is missing.
    ValueError
        If there is no such device, or it does not support ``X``.
    """
    spec = estimator.device
    is_tensor = not (isinstance(X, np.ndarray | Rows) or issparse(X))
    if spec is None:
        return Device(X.device) if is_tensor else None
    if is_tensor and str(spec) not in (str(X.device), X.device.type):
        raise ValueError(
            f"X is on {X.device}, but device={spec!r}. Set device=None to train on the "
            "device of X, or move X."
        )
    if is_host(spec):
        return None
    device = _found(spec)
    if is_sparse(X):
        raise ValueError(
            f"device={spec!r} needs a dense X, but X is sparse. Pass X.toarray() if "
            "that fits into memory, or set device='cpu', where training reads only the "
            "stored entries."
        )
    return device


def is_host(spec):
    """Whether a device is the CPU."""
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
            f"{spec!r}, for which PyTorch reports: {str(error).splitlines()[0]}"
        ) from error
    return device
