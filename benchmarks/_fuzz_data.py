"""Data for the fuzzer: half of it ordinary, half of it odd in one way or another."""

import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

try:
    import polars
except ImportError:
    polars = None


def one(rng, options):
    """Return one of the options."""
    return options[int(rng.integers(len(options)))]


def chance(rng, probability):
    return rng.random() < probability


# Values of a matrix, as float64.


def _normal(rng, shape):
    return rng.normal(size=shape)


def _with(value, share=0.1):
    """Return a function that draws normal values, some of them replaced."""

    def values(rng, shape):
        return np.where(rng.random(shape) < share, value, rng.normal(size=shape))

    return values


def _of_scale(scale):
    return lambda rng, shape: scale * rng.normal(size=shape)


def _of_scales(rng, shape):
    exponents = rng.integers(-300, 300, size=shape[-1:])
    return rng.normal(size=shape) * 10.0**exponents


VALUES = {
    "normal": _normal,
    "positive": lambda rng, shape: rng.exponential(size=shape),
    "counts": lambda rng, shape: rng.poisson(2.0, size=shape).astype(float),
    "mostly zero": _with(0.0, share=0.8),
    "zero": lambda rng, shape: np.zeros(shape),
    "constant": lambda rng, shape: np.full(shape, 0.1),
    "negative zero": lambda rng, shape: np.full(shape, -0.0),
    "offset": lambda rng, shape: 1e9 + rng.normal(size=shape),
    "NaN": _with(np.nan),
    "only NaN": lambda rng, shape: np.full(shape, np.nan),
    "infinity": _with(np.inf),
    "both infinities": _with(-np.inf, share=0.5),
    "outlier": _with(1e12, share=0.05),
    "1e30": _of_scale(1e30),
    "1e38": _of_scale(1e38),
    "1e154": _of_scale(1e154),
    "1e307": _of_scale(1e307),
    "1e-30": _of_scale(1e-30),
    "1e-160": _of_scale(1e-160),
    "subnormal": _of_scale(1e-310),
    "mixed scales": _of_scales,
    "largest": lambda rng, shape: np.full(shape, np.finfo(float).max),
    "wide": lambda rng, shape: one(rng, [-1, 1]) * 10.0 ** rng.integers(-9, 9, shape),
}
_FINITE = ["normal", "positive", "counts", "mostly zero", "constant", "offset"]
DTYPES = [
    *("f8", "f4", "f2", "i1", "u1", "i4", "i8", "u8", "?", ">f8", ">i4", "g"),
    *("O", "U", "S", "c16", "M8[s]", "m8[s]"),
]

# Layouts of an array: the same values elsewhere in memory.


def _memory_map(array):
    # The file goes when nothing maps it any more.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "array")
        array = np.ascontiguousarray(array)
        if array.size == 0 or array.dtype.hasobject:
            return array
        array.tofile(path)
        return np.memmap(path, dtype=array.dtype, mode="r", shape=array.shape)


def _strided(array):
    wide = np.repeat(array, 2, axis=-1)
    return wide[..., ::2]


def _unaligned(array):
    if array.dtype.hasobject:
        return array
    memory = np.empty(array.nbytes + 1, dtype=np.uint8)
    view = memory[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


def _read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


LAYOUTS = {
    "Fortran order": np.asfortranarray,
    "reversed rows": lambda array: array[::-1].copy()[::-1],
    "reversed columns": lambda array: array[..., ::-1].copy()[..., ::-1],
    "strided": _strided,
    "unaligned": _unaligned,
    "read-only": _read_only,
    "memory map": _memory_map,
    "broadcast row": lambda array: np.broadcast_to(array[:1], array.shape),
}

# Containers of a matrix.


def _of_format(name):
    return lambda rng, array: getattr(sparse, name)(array)


def _int64_csr(rng, array):
    X = sparse.csr_array(array)
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    return X


def _unsorted_csr(rng, array):
    X = sparse.csr_array(array)
    for begin, end in zip(X.indptr[:-1], X.indptr[1:], strict=True):
        X.indices[begin:end] = X.indices[begin:end][::-1].copy()
        X.data[begin:end] = X.data[begin:end][::-1].copy()
    X.has_sorted_indices = False
    return X


def _with_duplicates(rng, array):
    X = sparse.coo_array(array)
    twice = [np.concatenate([each, each]) for each in X.coords]
    data = np.concatenate([X.data, X.data])
    X = sparse.coo_array((data, tuple(twice)), shape=X.shape)
    return X if chance(rng, 0.5) else X.tocsr(copy=False)


def _stored_zeros(rng, array):
    X = sparse.csr_array(np.ones(array.shape))
    X.data = np.array(array.ravel())
    return X


def _frame(rng, array):
    names = [f"x{i}" for i in range(array.shape[1])]
    labels = one(rng, [names, list(range(len(names))), [*range(len(names) - 1), "a"]])
    index = one(rng, [None, np.arange(len(array))[::-1] * 7])
    return pd.DataFrame(array, columns=labels[: len(names)] or None, index=index)


def _nullable_frame(rng, array):
    table = pd.DataFrame(array, columns=[f"x{i}" for i in range(array.shape[1])])
    table = table.convert_dtypes()
    return table.mask(rng.random(table.shape) < 0.1) if chance(rng, 0.5) else table


def mixed_frame(rng, array):
    """Return a frame that has columns of text, categories, dates and missing values."""
    table = pd.DataFrame(array, columns=[f"x{i}" for i in range(array.shape[1])])
    n = len(table)
    words = np.array(["red", "blue", "green", "ünïcode", ""], dtype=object)
    extra = {
        "text": words[rng.integers(len(words), size=n)],
        "category": pd.Categorical(words[rng.integers(3, size=n)]),
        "missing text": np.where(rng.random(n) < 0.3, None, words[0]),
        "integer": pd.array(rng.integers(5, size=n), dtype="Int64"),
        "flag": rng.random(n) < 0.5,
        "date": pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(n), unit="D"),
        "mixed": np.where(rng.random(n) < 0.5, 1, "a").astype(object),
        "empty": [None] * n,
        "NA": pd.array([pd.NA] * n, dtype="Float64"),
    }
    chosen = [name for name in extra if chance(rng, 0.25)]
    return table.assign(**{name: extra[name] for name in chosen})


def _polars(rng, array):
    if polars is None:
        return array
    columns = {f"x{i}": column.tolist() for i, column in enumerate(array.T)}
    return polars.DataFrame(columns, strict=False)


def _masked(rng, array):
    return np.ma.masked_array(array, mask=rng.random(array.shape) < 0.1)


def _objects(rng, array):
    other = one(rng, [None, "a", "1.5", pd.NA, 10**400, {}, [1], True, b"1", 1j])
    return np.where(rng.random(array.shape) < 0.1, other, array.astype(object))


FORMATS = [
    f"{a}_{b}"
    for a in ("csr", "csc", "coo", "lil", "dok", "dia", "bsr")
    for b in ("matrix", "array")
]
CONTAINERS = {
    "list": lambda rng, array: array.tolist(),
    "tuple of arrays": lambda rng, array: tuple(array),
    "matrix": lambda rng, array: np.matrix(array),
    "masked": _masked,
    "objects": _objects,
    "frame": _frame,
    "nullable frame": _nullable_frame,
    "mixed frame": mixed_frame,
    "polars": _polars,
    "1-D": lambda rng, array: array.ravel(),
    "3-D": lambda rng, array: array[..., None],
    "series": lambda rng, array: pd.Series(array.ravel()),
    "generator": lambda rng, array: (row for row in array),
    "scalar": lambda rng, array: one(rng, [None, 1.0, "text", {}, object()]),
    "ragged": lambda rng, array: [[1.0], [1.0, 2.0]],
    "int64 csr": _int64_csr,
    "unsorted csr": _unsorted_csr,
    "duplicates": _with_duplicates,
    "stored zeros": _stored_zeros,
    **{name: _of_format(name) for name in FORMATS},
}
_SPARSE = ["int64 csr", "unsorted csr", "duplicates", "stored zeros", *FORMATS]


def shape_of(rng):
    """Return a number of samples and of features."""
    if chance(rng, 0.7):
        return int(rng.integers(4, 40)), int(rng.integers(1, 6))
    return one(rng, [0, 1, 2, 3, 300, 1000]), one(rng, [0, 1, 2, 30])


def inputs(rng, shape):
    """Return a matrix X in any of its forms, and a description."""
    odd = rng.choice(6, p=[0.5, 0.15, 0.08, 0.1, 0.1, 0.07])
    kind = one(rng, list(VALUES)) if odd in (1, 5) else one(rng, _FINITE)
    array, about = VALUES[kind](rng, shape), [kind, str(shape)]
    if odd in (2, 5):
        about.append(one(rng, DTYPES))
        array = converted(array, about[-1])
    elif chance(rng, 0.2):
        array = converted(array, "f4")
        about.append("f4")
    if odd in (3, 5):
        about.append(one(rng, list(LAYOUTS)))
        array = LAYOUTS[about[-1]](array)
    if odd == 4 or (odd == 5 and chance(rng, 0.5)):
        about.append(one(rng, _SPARSE if chance(rng, 0.4) else list(CONTAINERS)))
        try:
            with warnings.catch_warnings(action="ignore"):
                array = CONTAINERS[about[-1]](rng, array)
        except Exception:  # such as a sparse matrix of strings
            about.append("impossible")
    return array, ", ".join(about)


def converted(array, dtype):
    """Return an array of another type; what overflows takes any value."""
    if dtype in ("M8[s]", "m8[s]", "i1", "u1", "i4", "i8", "u8", ">i4"):
        array = np.clip(np.nan_to_num(array, posinf=1e9, neginf=-1e9), -1e9, 1e9)
        array = array.astype(np.int64)
    with np.errstate(all="ignore"):
        return array.astype(dtype)


# Targets.


def _labels(n_classes, dtype):
    def labels(rng, n):
        y = np.resize(np.arange(n_classes), n)
        rng.shuffle(y)
        return np.array([f"class {i}" for i in y]) if dtype == "U" else y.astype(dtype)

    return labels


def _in(container, labels):
    return lambda rng, n: container(labels(rng, n))


def _some(value, labels):
    """Return a function that draws labels as objects, some of them replaced."""

    def drawn(rng, n):
        return np.where(rng.random(n) < 0.2, value, labels(rng, n).astype(object))

    return drawn


def _numbers(kind, n_outputs=None):
    shape = () if n_outputs is None else (n_outputs,)
    return lambda rng, n: VALUES[kind](rng, (n, *shape))


def _multilabel(n_labels):
    return lambda rng, n: rng.integers(2, size=(n, n_labels))


_TWO, _THREE = _labels(2, "i8"), _labels(3, "i8")
CLASSES = {
    "two": _TWO,
    "three": _THREE,
    "text": _labels(3, "U"),
    "bool": _labels(2, "?"),
    "floats": _labels(3, "f8"),
    "multilabel": _multilabel(3),
}
ODD_CLASSES = {
    "one": _labels(1, "i8"),
    "as many as samples": lambda rng, n: np.arange(n),
    "bytes": _labels(2, "S"),
    "float16": _labels(3, "f2"),
    "uint64": lambda rng, n: _TWO(rng, n).astype("u8") + 2**63,
    "datetime": _labels(2, "M8[s]"),
    "objects": _in(lambda y: y.astype(object), _labels(3, "U")),
    "list": _in(np.ndarray.tolist, _THREE),
    "column": _in(lambda y: y[:, None], _THREE),
    "series": _in(pd.Series, _labels(3, "U")),
    "categories": _in(pd.Categorical, _labels(3, "U")),
    "nullable": _in(lambda y: pd.Series(y, dtype="Int64"), _THREE),
    "frame": _in(lambda y: pd.DataFrame({"y": y}), _THREE),
    "frame of labels": _in(pd.DataFrame, _multilabel(2)),
    "sparse labels": _in(sparse.csr_array, _multilabel(3)),
    "sparse matrix of labels": _in(sparse.csr_matrix, _multilabel(3)),
    "one label": _multilabel(1),
    "constant label": lambda rng, n: np.ones((n, 2), dtype=int),
    "several outputs": lambda rng, n: rng.integers(3, size=(n, 2)),
    "missing": _some(None, _labels(2, "U")),
    "NaN": _some(np.nan, _TWO),
    "mixed": _some("a", _TWO),
    "huge ints": _some(10**30, _TWO),
    "continuous": _numbers("normal"),
    "huge": _numbers("1e307"),
}
NUMBERS = {
    **{kind: _numbers(kind) for kind in _FINITE},
    "two outputs": _numbers("normal", 2),
}
ODD_NUMBERS = {
    **{kind: _numbers(kind) for kind in VALUES},
    **{f"{kind}, two": _numbers(kind, 2) for kind in ("1e307", "constant", "NaN")},
    "column": _numbers("normal", 1),
    "no output": _numbers("normal", 0),
    "three axes": lambda rng, n: rng.normal(size=(n, 2, 2)),
    "float16": _in(lambda y: y.astype("f2"), _numbers("normal")),
    "float32": _in(lambda y: y.astype("f4"), _numbers("1e30")),
    "longdouble": _in(lambda y: y.astype("g"), _numbers("normal")),
    "text": lambda rng, n: rng.normal(size=n).astype("U"),
    "objects": lambda rng, n: rng.normal(size=n).astype(object),
    "missing": _some(None, _numbers("normal")),
    "complex": _in(lambda y: y.astype(complex), _numbers("normal")),
    "list": _in(np.ndarray.tolist, _numbers("normal")),
    "series": _in(pd.Series, _numbers("normal")),
    "nullable": _in(lambda y: pd.Series(y, dtype="Float64"), _numbers("normal")),
    "sparse": _in(sparse.csr_array, _numbers("normal", 2)),
    "huge ints": _some(10**400, _numbers("normal")),
}


def targets(rng, n, numeric):
    """Return targets of ``n`` samples in any of their forms, and a description."""
    if chance(rng, 0.03):
        other = one(rng, [None, 1.0, "text", {}, ()])
        return other, f"y {shown(other)}"
    if chance(rng, 0.05):
        numeric = not numeric
    usual, odd = (NUMBERS, ODD_NUMBERS) if numeric else (CLASSES, ODD_CLASSES)
    drawn = odd if chance(rng, 0.25) else usual
    kind = one(rng, list(drawn))
    if chance(rng, 0.03):
        n += 1
    return drawn[kind](rng, n), f"y {kind}"


WEIGHTS = {
    "ones": lambda rng, n: np.ones(n),
    "random": lambda rng, n: rng.exponential(size=n),
    "counts": lambda rng, n: rng.integers(3, size=n),
    "mostly 0": lambda rng, n: (rng.random(n) < 0.2).astype(float),
    "float32": lambda rng, n: rng.random(n, dtype=np.float32),
    "list": lambda rng, n: rng.random(n).tolist(),
    "series": lambda rng, n: pd.Series(rng.random(n)),
    "number": lambda rng, n: 2.0,
}
ODD_WEIGHTS = {
    "zeros": lambda rng, n: np.zeros(n),
    "one positive": lambda rng, n: np.eye(1, max(n, 1), 0)[0, :n],
    "negative": lambda rng, n: rng.normal(size=n),
    "NaN": lambda rng, n: np.where(rng.random(n) < 0.2, np.nan, 1.0),
    "infinite": lambda rng, n: np.where(rng.random(n) < 0.2, np.inf, 1.0),
    "huge": lambda rng, n: 1e308 * rng.random(n),
    "tiny": lambda rng, n: 1e-300 * rng.random(n),
    "subnormal": lambda rng, n: np.full(n, 5e-324),
    "unequal": lambda rng, n: 10.0 ** rng.integers(-300, 300, size=n),
    "short": lambda rng, n: np.ones(max(n - 1, 0)),
    "column": lambda rng, n: np.ones((n, 1)),
    "text": lambda rng, n: np.full(n, "1"),
    "objects": lambda rng, n: np.ones(n, dtype=object),
    "bool": lambda rng, n: rng.random(n) < 0.5,
    "complex": lambda rng, n: np.ones(n, dtype=complex),
    "huge ints": lambda rng, n: [10**400] * n,
    "float16": lambda rng, n: np.full(n, 6e4, dtype=np.float16),
    "name": lambda rng, n: "balanced",
}


def weights(rng, n):
    """Return sample weights, mostly none, and a description."""
    if chance(rng, 0.7):
        return None, ""
    drawn = ODD_WEIGHTS if chance(rng, 0.4) else WEIGHTS
    kind = one(rng, list(drawn))
    return drawn[kind](rng, n), f"weights {kind}"


def shown(value):
    """Return a short ``repr`` without addresses."""
    text = "an object" if type(value) is object else repr(value)
    return text if len(text) < 80 else f"{text[:77]}..."
