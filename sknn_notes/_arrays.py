"""Functions for array code that the array API lacks.

The definitions of parts use the array API, where ``xp`` is the namespace of the arrays.
They index from the right, so that there may be a leading axis of models. A number of a
part may then be an array with one number for each model, in the dtype of the network.
It has the shape (..., 1, 1), or (..., 1) for an optimizer, which works on vectors.

Definitions need version 2024.12 of the array API, without boolean indexing and without
shapes that depend on values. Some functions below also exist in numpy: older versions
than 2.1 lack them, or PyTorch does not accept the same arguments.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special
from scipy.sparse import issparse
from sklearn import get_config
from sklearn.utils import get_tags

from sknn_notes._compile import helper
from sknn_notes._sklearn import array_namespace, has_array_dispatch
from sknn_notes._typing import Array, ArrayNamespace, Scalar

__all__ = [
    "add_at",
    "arange",
    "astype",
    "beside",
    "concatenated",
    "copied",
    "Halves",
    "equal_numbers",
    "expit",
    "fill_bits",
    "fitted_elsewhere",
    "float_dtypes",
    "from_numpy",
    "full",
    "input_namespace",
    "keeping_constants",
    "maximum",
    "minimum",
    "namespace",
    "ndtr",
    "normals",
    "numpy_dtype",
    "of_matrices",
    "of_rows",
    "put_along_last_axis",
    "put_at",
    "random_halves",
    "random_mask",
    "random_words",
    "softplus",
    "take",
    "to_numpy",
    "transpose",
    "unit_near",
]


# Namespaces by the type of an array.
_namespaces: dict[type, Any] = {}


def namespace(array: Any) -> Any:
    """Return the array namespace of an array, plain numpy for numpy arrays."""
    kind = type(array)
    if kind not in _namespaces:
        is_numpy = issubclass(kind, np.ndarray | np.generic)
        _namespaces[kind] = np if is_numpy else array_namespace(array)
    return _namespaces[kind]


def input_namespace(X: Any, estimator: Any) -> Any:
    """Return the array namespace in which an estimator computes.

    It is the namespace of X if X is an array and scikit-learn's array API dispatch is
    enabled. Otherwise it is numpy, which has to be able to convert X.

    Parameters
    ----------
    X : object
        As passed to a method of the estimator.
    estimator : estimator
        Its tag ``array_api_support`` tells whether it supports other array libraries.

    Raises
    ------
    TypeError
        If dispatch is disabled and numpy can't convert X, such as an array on a GPU. If
        dispatch is enabled and the estimator supports only numpy arrays.
    """
    if isinstance(X, np.ndarray) or not hasattr(X, "__dlpack_device__"):
        return np
    name, kind = type(estimator).__name__, f"{type(X).__module__}.{type(X).__name__}"
    supported = get_tags(estimator).array_api_support
    if get_config()["array_api_dispatch"]:
        if supported or not has_array_dispatch:
            return array_namespace(X)
        raise TypeError(
            f"{name} supports only numpy arrays, but got {kind} while "
            "array_api_dispatch is enabled. Pass a numpy array."
        )
    try:
        np.asarray(X)
    except (TypeError, ValueError, RuntimeError, BufferError) as error:
        device = getattr(X, "device", "its device")
        advice = "Pass a numpy array."
        if supported:
            advice = (
                "Call it under sklearn.config_context(array_api_dispatch=True) to "
                "compute there (scikit-learn 1.9 or later), or pass a numpy array."
            )
        raise TypeError(
            f"{name} got {kind} on {device}, which numpy can't read: "
            f"{str(error).rstrip('.')}. {advice}"
        ) from error
    return np


def fitted_elsewhere(estimator: Any, array: Array, method: str) -> ValueError:
    """Return the error for numpy arrays passed to an estimator fitted on others.

    Parameters
    ----------
    estimator : estimator
    array : array
        A fitted array that is not a numpy array.
    method : str
        Name of the method that was called.
    """
    name, library = type(estimator).__name__, namespace(array).__name__
    return ValueError(
        f"{name} was fitted on arrays of {library}, but array API dispatch is "
        f"disabled. Call {method} under "
        "sklearn.config_context(array_api_dispatch=True), or move the estimator to "
        "numpy: "
        "sklearn.utils._array_api.move_estimator_to(estimator, numpy, 'cpu')."
    )


def float_dtypes(like: Array, xp: ArrayNamespace) -> tuple[Any, ...]:
    """Return float64 and float32, or those of them that the device of ``like`` has."""
    if xp is np:
        return np.dtype(np.float64), np.dtype(np.float32)
    dtypes = xp.__array_namespace_info__().dtypes(
        kind="real floating", device=like.device
    )
    return tuple(dtypes[name] for name in ("float64", "float32") if name in dtypes)


def astype(x: Array, dtype: Any, xp: ArrayNamespace) -> Array:
    """Return an array converted to a dtype."""
    return x.astype(dtype) if xp is np else xp.astype(x, dtype)


def concatenated(arrays: Sequence[Array], xp: ArrayNamespace) -> Array:
    """Return arrays concatenated along their last axis."""
    return np.concatenate(arrays, -1) if xp is np else xp.concat(arrays, axis=-1)


def copied(x: Array, xp: ArrayNamespace) -> Array:
    """Return a copy of an array."""
    return x.copy() if xp is np else xp.asarray(x, copy=True)


def beside(x: Array, y: Array, xp: ArrayNamespace) -> Array:
    """Return matrices concatenated along their last axis; models may share ``x``."""
    x = xp.broadcast_to(x, (*y.shape[:-2], *x.shape[-2:]))
    return concatenated([x, y], xp)


def arange(n: int, like: Array, xp: ArrayNamespace) -> Array:
    """Return the integers below ``n``, on the device of ``like``."""
    return np.arange(n) if xp is np else xp.arange(n, device=like.device)


# Arrays that ``from_numpy`` has created, by their contents.
_constants: ContextVar[dict[Any, Array] | None] = ContextVar("constants", default=None)


@contextmanager
def keeping_constants(kept: dict[Any, Array]) -> Iterator[None]:
    """Let ``from_numpy`` reuse the arrays in a dict, and add new ones.

    A step that is recorded on a device may only use arrays on that device.
    """
    token = _constants.set(kept)
    try:
        yield
    finally:
        _constants.reset(token)


def full(shape: Any, value: Any, like: Array, xp: ArrayNamespace) -> Array:
    """Return an array of one value, with the dtype and device of ``like``."""
    if xp is np:
        return np.full(shape, value, like.dtype)
    return xp.full(shape, value, dtype=like.dtype, device=like.device)


def from_numpy(array: NDArray[Any], like: Array, xp: ArrayNamespace) -> Array:
    """Return a numpy array as an array of the namespace, on the device of ``like``."""
    if xp is np:
        return array
    kept = _constants.get()
    if kept is None:
        return xp.asarray(array, device=like.device)
    key = array.dtype.str, array.shape, array.tobytes()
    if key not in kept:
        kept[key] = xp.asarray(array, device=like.device)
    return kept[key]


def to_numpy(array: Array) -> Any:
    """Return an array of any namespace and device as a numpy or scipy array."""
    if isinstance(array, np.ndarray) or issparse(array):
        return array
    if hasattr(array, "cpu"):  # PyTorch
        return array.detach().cpu().numpy()
    if hasattr(array, "get"):  # CuPy
        return array.get()
    return np.from_dlpack(array)


def numpy_dtype(x: Array) -> np.dtype[Any]:
    """Return the numpy dtype that corresponds to the dtype of an array."""
    return np.dtype(str(x.dtype).rpartition(".")[2])


def maximum(x: Array, y: Any, xp: ArrayNamespace) -> Array:
    """Return the elementwise maximum of an array and an array or number."""
    return xp.maximum(x, y if xp is np else _array(y, x, xp))


def minimum(x: Array, y: Any, xp: ArrayNamespace) -> Array:
    """Return the elementwise minimum of an array and an array or number."""
    return xp.minimum(x, y if xp is np else _array(y, x, xp))


def _array(y: Any, like: Array, xp: ArrayNamespace) -> Array:
    if hasattr(y, "ndim"):
        return y
    return xp.full((), y, dtype=like.dtype, device=like.device)


def transpose(x: Array) -> Array:
    """Return matrices with rows and columns exchanged."""
    if x.ndim == 2:
        return x.T
    return x.swapaxes(-1, -2) if isinstance(x, np.ndarray) else x.mT


def _special(name: str, x: Array, xp: ArrayNamespace) -> Array | None:
    """Return a special function of ``x``, or None if the namespace lacks it."""
    if xp is np:
        return getattr(special, name)(x)
    # PyTorch's namespace has the same names.
    function = getattr(getattr(xp, "special", None), name, None)
    return None if function is None else function(x)


def expit(x: Array, xp: ArrayNamespace) -> Array:
    """Return the logistic function ``1 / (1 + exp(-x))``."""
    result = _special("expit", x, xp)
    if result is None:
        below = xp.exp(-xp.abs(x))
        result = xp.where(x < 0, below, xp.ones_like(x)) / (1 + below)
    return result


def ndtr(x: Array, xp: ArrayNamespace) -> Array:
    """Return the probability that a standard normal variable is at most ``x``."""
    result = _special("ndtr", x, xp)
    if result is None:
        result = from_numpy(special.ndtr(np.from_dlpack(x)), x, xp)
    return result


def softplus(x: Array, xp: ArrayNamespace) -> Array:
    """Return ``log(1 + exp(x))`` without overflow."""
    return xp.log1p(xp.exp(-xp.abs(x))) + maximum(x, 0, xp)


def take(x: Array, y: Array, xp: ArrayNamespace) -> Array:
    """Return the element of each row at its index ``y``, of shape (..., n_samples)."""
    if xp is np and x.ndim == 2:
        return x[np.arange(len(y)), y]
    return _along_last_axis(x, _places(x, y, xp), xp)[..., 0]


def add_at(x: Array, y: Array, number: Any, xp: ArrayNamespace) -> Array:
    """Return ``x`` with a number added to the element of each row at its index ``y``.

    ``x`` is changed in place if possible.
    """
    if xp is np and x.ndim == 2:
        x[np.arange(len(y)), y] += number
        return x
    places = _places(x, y, xp)
    values = _along_last_axis(x, places, xp) + number
    return put_along_last_axis(x, places, values, xp)


def put_at(x: Array, y: Array, values: Array, xp: ArrayNamespace) -> Array:
    """Return ``x`` with values at the index ``y`` of each row, in place if possible.

    Parameters
    ----------
    x : array of shape (..., n_samples, n)
    y : array of int of shape (..., n_samples)
    values : array of shape (..., n_samples)
    """
    return put_along_last_axis(x, _places(x, y, xp), values[..., None], xp)


def _places(x: Array, y: Array, xp: ArrayNamespace) -> Array:
    """Return one index per row, for functions along the last axis."""
    return xp.broadcast_to(y, x.shape[:-1])[..., None]


def _along_last_axis(x: Array, places: Array, xp: ArrayNamespace) -> Array:
    """Return the elements at non-negative indices along the last axis."""
    if hasattr(x, "gather"):  # PyTorch; take_along_axis would check the signs
        return x.gather(-1, places)
    return xp.take_along_axis(x, places, axis=-1)


def put_along_last_axis(
    x: Array, places: Array, values: Array, xp: ArrayNamespace
) -> Array:
    """Return ``x`` with values at indices along its last axis, in place if possible.

    Parameters
    ----------
    x : array of shape (..., n)
    places, values : array of shape (..., m)
        Indices, without repetition, and values.
    """
    if xp is np:
        np.put_along_axis(x, places, values, axis=-1)
        return x
    if hasattr(x, "scatter"):  # PyTorch
        return x.scatter(-1, places, values)
    every = arange(x.shape[-1], x, xp)
    for i in range(places.shape[-1]):
        x = xp.where(places[..., i, None] == every, values[..., i, None], x)
    return x


def of_rows(number: Scalar) -> Scalar:
    """Return a number of a part, in the shape of arrays with one value per row.

    A number that differs between models has the shape (..., 1, 1).
    """
    return number[..., 0] if getattr(number, "ndim", 0) else number


def of_matrices(number: Scalar) -> Scalar:
    """Return a number with one value per vector, (..., 1), for use with matrices."""
    return number[..., None] if getattr(number, "ndim", 0) else number


def equal_numbers(a: Scalar, b: Scalar) -> bool:
    """Return whether two numbers are equal; False for arrays of numbers."""
    return not (getattr(a, "ndim", 0) or getattr(b, "ndim", 0)) and a == b


# Random bits.


def random_words(key: Any, places: Array, xp: ArrayNamespace = np) -> Array:
    """Return the random 32-bit words at some positions of a stream.

    A word is a hash of its position and the key (Wellons' "lowbias32", with half of the
    key before each multiplication). Words can thus be computed anywhere and in
    parallel.

    Parameters
    ----------
    key : int or array of int64 of shape (..., 1)
        Keys of 64 bits. Each gives a stream.
    places : array of int of shape (n_words,)
        Positions, left unchanged.
    xp : module, default=numpy
        The array namespace of ``places``.

    Returns
    -------
    words : array of shape (..., n_words)
        In uint32 for numpy, else in int64.
    """
    if xp is not np:
        return astype(_signed_words(key, places, xp), xp.int64, xp) & 0xFFFFFFFF
    words = places.astype(np.uint32)
    low, high = np.uint32(int(key) & 0xFFFFFFFF), np.uint32(int(key) >> 32)
    words *= np.uint32(0x9E3779B9)
    words += low
    words ^= words >> np.uint32(16)
    words *= np.uint32(0x21F0AAAD)
    words ^= high
    words ^= words >> np.uint32(15)
    words *= np.uint32(0xD35A2D97)
    words ^= words >> np.uint32(15)
    return words


def _signed_words(key: Any, places: Array, xp: ArrayNamespace) -> Array:
    """Return the same bits as int32, for libraries without shifts of uint32.

    A product of int32 overflows to its lower 32 bits, which are the same for uint32.
    """

    def signed(number: Any) -> Any:
        return (number & 0xFFFFFFFF) - ((number & 0x80000000) << 1)

    key = key if hasattr(key, "ndim") and key.ndim else int(key)
    low, high = signed(key), signed(key >> 32)
    if hasattr(key, "ndim"):
        low, high = astype(low, xp.int32, xp), astype(high, xp.int32, xp)
    words = astype(places, xp.int32, xp) * signed(0x9E3779B9) + low
    words ^= (words >> 16) & 0xFFFF
    words *= signed(0x21F0AAAD)
    words ^= high
    words ^= (words >> 15) & 0x1FFFF
    words *= signed(0xD35A2D97)
    words ^= (words >> 15) & 0x1FFFF
    return words


@helper
def fill_bits(key: Any, start: int, n_words: int, bits: Any) -> None:
    """Fill an array with the random words of a stream from a position on, compiled."""
    word = np.uint32  # Products of 32-bit words have 64 bits unless they are truncated.
    low, high = word(key), word(key >> np.uint64(32))
    for i in range(n_words):
        x = word(word(word(start + i) * word(0x9E3779B9)) + low)
        x = word(x ^ (x >> word(16)))
        x = word(word(x * word(0x21F0AAAD)) ^ high)
        x = word(x ^ (x >> word(15)))
        x = word(x * word(0xD35A2D97))
        bits[i] = word(x ^ (x >> word(15)))


def random_mask(
    key: Any,
    shape: tuple[int, ...],
    threshold: int,
    xp: ArrayNamespace = np,
    like: Array = None,
) -> Array:
    """Return a random mask of this shape: where 16 random bits are below ``threshold``.

    Each row starts with a new word, and each element uses half a word. The mask is on
    the device of ``like``. Keys of shape (..., 1) give several masks. ``Halves`` may be
    passed in place of a key, to reuse its bits.
    """
    n_rows, n_columns = shape
    if isinstance(key, Halves):
        return key.array[..., :n_rows, :n_columns] < threshold
    return random_halves(key, shape, xp, like)[..., :n_columns] < threshold


class Halves(NamedTuple):
    """The result of ``random_halves`` for at least as many rows."""

    array: Any


def random_halves(
    key: Any, shape: tuple[int, ...], xp: ArrayNamespace = np, like: Array = None
) -> Array:
    """Return 16 random bits for each element; the number of columns is rounded up."""
    n_rows, n_columns = shape
    n_words = -(-n_columns // 2)
    places = _places_of_words(n_rows * n_words, like, xp)
    words = (random_words if xp is np else _signed_words)(key, places, xp)
    halves = xp.stack([words & 0xFFFF, (words >> 16) & 0xFFFF], axis=-1)
    return xp.reshape(halves, (*words.shape[:-1], n_rows, 2 * n_words))


def _places_of_words(n: int, like: Array, xp: ArrayNamespace) -> Array:
    # Not created on the device: the compiler of its steps would take their large
    # products for indices, and fail.
    return from_numpy(np.arange(n), like, xp)


def normals(
    key: Any, shape: tuple[int, ...], xp: ArrayNamespace = np, like: Array = None
) -> Array:
    """Return standard normal numbers with the method of Box and Muller.

    Each row starts with new words, and two words give two numbers. They are float64, on
    the device of ``like``. Keys of shape (..., 1) give several arrays.
    """
    n_rows, n_columns = shape
    n_pairs = -(-n_columns // 2)
    words = random_words(key, _places_of_words(n_rows * 2 * n_pairs, like, xp), xp)
    leading = words.shape[:-1]
    words = astype(words, xp.float64, xp)
    uniforms = xp.reshape(words, (*leading, n_rows, n_pairs, 2))
    radius = xp.sqrt(-2 * xp.log((uniforms[..., 0] + 0.5) / 2**32))
    angle = uniforms[..., 1] * (2 * xp.pi / 2**32)
    pairs = xp.stack([radius * xp.cos(angle), radius * xp.sin(angle)], axis=-1)
    pairs = xp.reshape(pairs, (*leading, n_rows, 2 * n_pairs))
    return pairs[..., :n_columns]


def unit_near(values: NDArray[Any]) -> NDArray[Any]:
    """Return a power of two near the largest absolute value of each column.

    Dividing by it is exact, and sums and squares of the quotients don't overflow.
    """
    exponent = np.frexp(np.max(np.abs(values), axis=0))[1] - 1
    return np.asarray(np.ldexp(np.ones((), dtype=values.dtype), exponent))
