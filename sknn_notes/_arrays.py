"""What the definitions of parts need beside the array API's own functions.

Definitions are written against the array API: ``xp`` is the namespace of the arrays.
They index from the right, so that a leading axis of models may stand in front. A part's
number may then be an array with one for each model, in the dtype of the network: of
shape (..., 1, 1) or, for a solver, which sees vectors, (..., 1).

Of the array API they need its version 2024.12, but not indexing with masks or shapes
that depend on values. What is here and in numpy's namespace, too, is what numpy
lacks before 2.1, or what PyTorch's does not take.
"""

from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np
from scipy import special
from scipy.sparse import issparse
from sklearn import get_config
from sklearn.utils import get_tags

from sknn_notes._compile import helper
from sknn_notes._sklearn import array_namespace, has_array_dispatch

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
    "logistic_cost",
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
    "take",
    "to_numpy",
    "transpose",
    "xlogy",
]


# The namespaces of types of arrays.
_namespaces: dict[type, Any] = {}


def namespace(array):
    """Return the array namespace of an array, plain numpy for numpy's own."""
    kind = type(array)
    if kind not in _namespaces:
        is_numpy = issubclass(kind, np.ndarray | np.generic)
        _namespaces[kind] = np if is_numpy else array_namespace(array)
    return _namespaces[kind]


def input_namespace(X, estimator):
    """Return the namespace that an estimator computes in for what is passed to it.

    It is that of X if X is an array and scikit-learn's array API dispatch is on, else
    numpy's, which then has to be able to read X.

    Parameters
    ----------
    X : object
        As passed to a method of the estimator.
    estimator : estimator
        Its tag ``array_api_support`` says if it takes arrays of other libraries.

    Raises
    ------
    TypeError
        If X is an array on another device and dispatch is off, or is an array of
        another library, dispatch is on and the estimator takes numpy's alone.
    """
    if isinstance(X, np.ndarray) or not hasattr(X, "__dlpack_device__"):
        return np
    name, kind = type(estimator).__name__, f"{type(X).__module__}.{type(X).__name__}"
    supported = get_tags(estimator).array_api_support
    if get_config()["array_api_dispatch"]:
        if supported or not has_array_dispatch:
            return array_namespace(X)
        raise TypeError(
            f"{name} takes numpy arrays only. Got {kind} while array_api_dispatch is "
            "on. Pass a numpy array."
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


def fitted_elsewhere(estimator, array, method):
    """Return the error of an estimator that can't take numpy's as it was fitted.

    Parameters
    ----------
    estimator : estimator
    array : array
        A fitted array, of another library than numpy.
    method : str
        The name of the method that is called.
    """
    name, library = type(estimator).__name__, namespace(array).__name__
    return ValueError(
        f"{name} was fitted on arrays of {library}, and array API dispatch is off. "
        f"Call {method} under sklearn.config_context(array_api_dispatch=True), or "
        "move the estimator to numpy: "
        "sklearn.utils._array_api.move_estimator_to(estimator, numpy, 'cpu')."
    )


def float_dtypes(like, xp):
    """Return float64 and float32, or the one that there is where ``like`` is."""
    if xp is np:
        return np.dtype(np.float64), np.dtype(np.float32)
    dtypes = xp.__array_namespace_info__().dtypes(
        kind="real floating", device=like.device
    )
    return tuple(dtypes[name] for name in ("float64", "float32") if name in dtypes)


def astype(x, dtype, xp):
    """Return an array in another dtype."""
    return x.astype(dtype) if xp is np else xp.astype(x, dtype)


def concatenated(arrays, xp):
    """Return arrays side by side along their last axis."""
    return np.concatenate(arrays, -1) if xp is np else xp.concat(arrays, axis=-1)


def copied(x, xp):
    """Return a copy of an array."""
    return x.copy() if xp is np else xp.asarray(x, copy=True)


def beside(x, y, xp):
    """Return matrices side by side; models that share ``x`` get it each."""
    x = xp.broadcast_to(x, (*y.shape[:-2], *x.shape[-2:]))
    return concatenated([x, y], xp)


def arange(n, like, xp):
    """Return the integers below ``n`` where the array ``like`` is."""
    return np.arange(n) if xp is np else xp.arange(n, device=like.device)


# Arrays that ``from_numpy`` has made, by what they hold.
_constants: ContextVar[dict | None] = ContextVar("constants", default=None)


@contextmanager
def keeping_constants(kept):
    """Let ``from_numpy`` look in a dict for what it has made before, and keep it there.

    A step that a device records may use what is on the device alone.
    """
    token = _constants.set(kept)
    try:
        yield
    finally:
        _constants.reset(token)


def full(shape, value, like, xp):
    """Return an array of one value, with the dtype of ``like`` and where that is."""
    if xp is np:
        return np.full(shape, value, like.dtype)
    return xp.full(shape, value, dtype=like.dtype, device=like.device)


def from_numpy(array, like, xp):
    """Return an array of numpy's as one of the namespace, where ``like`` is."""
    if xp is np:
        return array
    kept = _constants.get()
    if kept is None:
        return xp.asarray(array, device=like.device)
    key = array.dtype.str, array.shape, array.tobytes()
    if key not in kept:
        kept[key] = xp.asarray(array, device=like.device)
    return kept[key]


def to_numpy(array):
    """Return an array of any namespace and device as one of numpy's or scipy's."""
    if isinstance(array, np.ndarray) or issparse(array):
        return array
    if hasattr(array, "cpu"):  # PyTorch
        return array.detach().cpu().numpy()
    if hasattr(array, "get"):  # CuPy
        return array.get()
    return np.from_dlpack(array)


def numpy_dtype(x: Any) -> np.dtype[Any]:
    """Return numpy's dtype for that of an array of any namespace."""
    return np.dtype(str(x.dtype).rpartition(".")[2])


def maximum(x, y, xp):
    """Return the larger of an array and an array or a number."""
    return xp.maximum(x, y if xp is np else _array(y, x, xp))


def minimum(x, y, xp):
    """Return the smaller of an array and an array or a number."""
    return xp.minimum(x, y if xp is np else _array(y, x, xp))


def _array(y, like, xp):
    if hasattr(y, "ndim"):
        return y
    return xp.full((), y, dtype=like.dtype, device=like.device)


def transpose(x):
    """Return matrices with rows and columns exchanged."""
    if x.ndim == 2:
        return x.T
    return x.swapaxes(-1, -2) if isinstance(x, np.ndarray) else x.mT


def _special(name, x, xp):
    """Return a special function that the array API lacks, or None."""
    if xp is np:
        return getattr(special, name)(x)
    # PyTorch's namespace has the same names.
    function = getattr(getattr(xp, "special", None), name, None)
    return None if function is None else function(x)


def expit(x, xp):
    """Return the logistic function ``1 / (1 + exp(-x))``."""
    result = _special("expit", x, xp)
    if result is None:
        below = xp.exp(-xp.abs(x))
        result = xp.where(x < 0, below, xp.ones_like(x)) / (1 + below)
    return result


def ndtr(x, xp):
    """Return the probability that a standard normal variable is at most ``x``."""
    result = _special("ndtr", x, xp)
    if result is None:
        result = from_numpy(special.ndtr(np.from_dlpack(x)), x, xp)
    return result


def logistic_cost(x, y, xp):
    """Return ``log(1 + exp(x)) - y * x``, which never overflows.

    Where ``y`` is 0 or 1, small results keep all their digits.
    """
    return xp.log1p(xp.exp(-xp.abs(x))) + (maximum(x, 0, xp) - y * x)


def xlogy(x, y, xp):
    """Return ``x * log(y)``, 0 where ``x`` is 0."""
    zero = x == 0
    return x * xp.log(xp.where(zero, xp.ones_like(y), y))


def take(x, y, xp):
    """Return the element of every row at its index ``y``, shape (..., n_samples)."""
    if xp is np and x.ndim == 2:
        return x[np.arange(len(y)), y]
    return _along_last_axis(x, _places(x, y, xp), xp)[..., 0]


def add_at(x, y, number, xp):
    """Return ``x`` with a number added to the element of every row at its index ``y``.

    It is ``x`` itself if possible.
    """
    if xp is np and x.ndim == 2:
        x[np.arange(len(y)), y] += number
        return x
    places = _places(x, y, xp)
    values = _along_last_axis(x, places, xp) + number
    return put_along_last_axis(x, places, values, xp)


def put_at(x, y, values, xp):
    """Return ``x`` with values at every row's index ``y``, set in place if possible.

    Parameters
    ----------
    x : array of shape (..., n_samples, n)
    y : array of int of shape (..., n_samples)
    values : array of shape (..., n_samples)
    """
    return put_along_last_axis(x, _places(x, y, xp), values[..., None], xp)


def _places(x, y, xp):
    """Return an index a row, for functions along the last axis."""
    return xp.broadcast_to(y, x.shape[:-1])[..., None]


def _along_last_axis(x, places, xp):
    """Return the elements at places along the last axis, of which none is negative."""
    if hasattr(x, "gather"):  # PyTorch, whose other function looks at the signs
        return x.gather(-1, places)
    return xp.take_along_axis(x, places, axis=-1)


def put_along_last_axis(x, places, values, xp):
    """Return ``x`` with values at places along its last axis, set in place if possible.

    Parameters
    ----------
    x : array of shape (..., n)
    places, values : array of shape (..., m)
        No place occurs twice.
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


def of_rows(number):
    """Return a part's number for what has one value a row.

    A number that differs between models has the shape (..., 1, 1).
    """
    return number[..., 0] if getattr(number, "ndim", 0) else number


def of_matrices(number):
    """Return what has one value a vector, (..., 1), for matrices."""
    return number[..., None] if getattr(number, "ndim", 0) else number


def equal_numbers(a, b):
    """Whether two numbers are equal; arrays of a number a model count as different."""
    return not (getattr(a, "ndim", 0) or getattr(b, "ndim", 0)) and a == b


# Random bits.


def random_words(key, places, xp=np):
    """Return the random 32-bit words at places of a stream.

    A word is a hash of its place and the key alone (Wellons' "lowbias32", with half of
    the key before each multiplication), so that it can be made anywhere, and many at a
    time.

    Parameters
    ----------
    key : int or array of int64 of shape (..., 1)
        Of 64 bits; several keys give as many streams.
    places : array of int of shape (n_words,)
        Left unchanged.
    xp : module, default=numpy
        The array namespace of ``places``.

    Returns
    -------
    words : array of shape (..., n_words)
        Of uint32, or of int64 except in numpy.
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


def _signed_words(key, places, xp):
    """Return the same bits as int32, for libraries without shifts of uint32.

    Products of int32 are cut to their lower half, which is that of uint32.
    """

    def signed(number):
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
def fill_bits(key, start, n_words, bits):
    """Fill an array with the random words of a stream from a place on, compiled."""
    word = np.uint32  # Products of 32 bits are 64 bits wide unless they are cut.
    low, high = word(key), word(key >> np.uint64(32))
    for i in range(n_words):
        x = word(word(word(start + i) * word(0x9E3779B9)) + low)
        x = word(x ^ (x >> word(16)))
        x = word(word(x * word(0x21F0AAAD)) ^ high)
        x = word(x ^ (x >> word(15)))
        x = word(x * word(0xD35A2D97))
        bits[i] = word(x ^ (x >> word(15)))


def random_mask(key, shape, threshold, xp=np, like=None):
    """Return where 16 random bits are below ``threshold``, an array of this shape.

    A row starts with a word of its own, of which every element takes half. The mask is
    where the array ``like`` is. Several keys of shape (..., 1) give as many masks, and
    ``Halves`` in place of a key what was made of it before.
    """
    n_rows, n_columns = shape
    if isinstance(key, Halves):
        return key.array[..., :n_rows, :n_columns] < threshold
    return random_halves(key, shape, xp, like)[..., :n_columns] < threshold


class Halves(NamedTuple):
    """What ``random_halves`` returned, for as many rows or more."""

    array: Any


def random_halves(key, shape, xp=np, like=None):
    """Return 16 random bits for each element of an array, and a column more or none."""
    n_rows, n_columns = shape
    n_words = -(-n_columns // 2)
    places = _places_of_words(n_rows * n_words, like, xp)
    words = (random_words if xp is np else _signed_words)(key, places, xp)
    halves = xp.stack([words & 0xFFFF, (words >> 16) & 0xFFFF], axis=-1)
    return xp.reshape(halves, (*words.shape[:-1], n_rows, 2 * n_words))


def _places_of_words(n, like, xp):
    # Not made on the device: what compiles its steps would take large products of
    # them for indices, and fail.
    return from_numpy(np.arange(n), like, xp)


def normals(key, shape, xp=np, like=None):
    """Return standard normal numbers, two from every two words (Box and Muller).

    A row starts with words of its own. The numbers are float64, where the array
    ``like`` is. Several keys of shape (..., 1) give as many arrays.
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
