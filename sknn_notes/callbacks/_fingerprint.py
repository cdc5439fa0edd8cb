"""Fingerprints of data, to check that a fit is resumed with the same data."""

import math
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from sknn_notes._arrays import to_numpy

# Of a larger array, evenly spaced rows are hashed, this many bytes in total.
_MOST_BYTES = 2**26


class Fingerprint(NamedTuple):
    """Form, shape, dtype and hash of an array."""

    form: str
    shape: tuple[int, ...]
    dtype: str
    digest: str

    def __str__(self) -> str:
        return f"a {self.form} of shape {self.shape} and type {self.dtype}"


def fingerprints(data: dict[str, Any]) -> dict[str, Fingerprint | None]:
    """Return the fingerprint of each array, or None for None.

    Parameters
    ----------
    data : dict of str to (array-like, sparse matrix or None)
        The arguments of ``fit``.
    """
    return {name: _fingerprint(value) for name, value in data.items()}


def check_same(kept: Any, data: dict[str, Any]) -> None:
    """Raise ValueError unless data have the same fingerprints as before."""
    for name, now in fingerprints(data).items():
        before = kept[name]
        if now == before:
            continue
        if before is None:
            found = "was not passed to that fit"
        elif now is None:
            found = f"is missing. That fit had {before}"
        elif now[:3] == before[:3]:
            found = f"has other values. Both are {now}"
        else:
            found = f"is {now}. That fit had {before}"
        raise ValueError(
            "A fit has to be resumed with the same data in the same order, but "
            f"{name} {found}."
        )


def _fingerprint(value: Any) -> Fingerprint | None:
    if value is None:
        return None
    if issparse(value):
        rows = value.tocsr()
        form, parts = "sparse matrix", [rows.indptr, rows.indices, rows.data]
        # Indices have 32 or 64 bits, depending on how the matrix was created.
        parts[:2] = [part.astype(np.int64) for part in map(_sample, parts[:2])]
    else:
        # Tensors may be on a device.
        value = to_numpy(value) if hasattr(value, "__dlpack__") else np.asarray(value)
        form, parts = "dense array", [value]
    digest = blake2b(digest_size=16)
    for part in map(_sample, parts):
        if part.dtype == object:
            part = part.astype(str)
        digest.update(part.tobytes())
    return Fingerprint(form, value.shape, str(value.dtype), digest.hexdigest())


def _sample(array: NDArray[Any]) -> NDArray[Any]:
    step = math.ceil(array.nbytes / _MOST_BYTES)
    return array[::step] if step > 1 else array
