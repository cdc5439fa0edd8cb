"""Transformers of arrays of PyTorch and array_api_strict, on the arrays' device.

Arrays of array_api_strict on "device1" stand for those of a GPU: numpy can't read them.
"""

import pickle
import subprocess
import sys

import numpy as np
import pytest
import sklearn
from scipy import sparse
from sklearn.base import clone

from sknn_notes import (
    Centerer,
    MinMaxNormalizer,
    PiecewiseLinearEncoder,
    RobustStandardizer,
    Standardizer,
    Whitener,
    _arrays,
    _sklearn,
)
from sknn_notes.preprocessing import _array_kernels

needs_dispatch = pytest.mark.needs("scikit-learn>=1.9", "it dispatches arrays")
DEFAULTS = [Centerer(), Standardizer(), MinMaxNormalizer(), Whitener()]
SCALERS = [
    *DEFAULTS[:3],
    Centerer(per="all"),
    Centerer(per="channel", n_channels=2),
    Standardizer(with_mean=False),
    Standardizer(with_std=False),
    Standardizer(with_mean=False, with_std=False),
    Standardizer(ddof=1),
    Standardizer(per="all"),
    Standardizer(per="channel", n_channels=2, channels="first"),
    MinMaxNormalizer((-0.3, 0.1), clip=True),
    MinMaxNormalizer(per="channel", n_channels=3),
]
WHITENERS = [
    Whitener(),
    Whitener(n_components=2, whiten=False),
    Whitener(n_components=0.9, ddof=1),
    Whitener(shrinkage=0.1),
    Whitener("zca", shrinkage="ledoit_wolf"),
    Whitener("zca", eps=0),
    Whitener("pca_cor", shrinkage="oas"),
    Whitener("zca_cor", shrinkage=0.2),
    Whitener("cholesky"),
]


def each(transformers):
    return pytest.mark.parametrize("transformer", transformers, ids=repr)


class Torch:
    """Tensors of the CPU."""

    def __init__(self):
        self.xp = pytest.importorskip("torch")

    def array(self, x):
        return self.xp.asarray(x.copy())

    def numpy(self, x):
        assert isinstance(x, self.xp.Tensor)
        return x.numpy()


class Cuda(Torch):
    """Tensors of a GPU."""

    def __init__(self):
        super().__init__()
        if not self.xp.cuda.is_available():
            pytest.skip("needs a GPU")

    def array(self, x):
        return self.xp.asarray(x, device="cuda")

    def numpy(self, x):
        assert x.is_cuda
        return x.cpu().numpy()


class Strict:
    """Arrays of a device that numpy can't read."""

    device_name = "device1"

    def __init__(self):
        self.xp = pytest.importorskip("array_api_strict")
        self.device = self.xp.Device(self.device_name)

    def array(self, x):
        return self.xp.asarray(x, device=self.device, copy=True)

    def numpy(self, x):
        assert x.device == self.device
        return np.asarray(x.to_device(self.xp.Device("CPU_DEVICE")))


class StrictWithoutFloat64(Strict):
    device_name = "no_float64"


@pytest.fixture(params=[Torch, Cuda, Strict], ids=lambda cls: cls.__name__)
def library(request):
    return request.param()


@pytest.fixture
def strict():
    return Strict()


@pytest.fixture
def dispatch(array_api):
    with sklearn.config_context(array_api_dispatch=True):
        yield


@pytest.fixture
def X(rng):
    """Columns of other units, far from zero, and one that is constant."""
    X = rng.normal(size=(60, 4)) @ rng.normal(size=(4, 4))
    X = X * [1, 1e-4, 1e4, 0] + [0, 1e4, 1, 3.3]
    return np.c_[X, X[:, 0] + rng.normal(size=60), rng.normal(size=60)]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def assert_agree(library, ours, theirs, X, rtol=1e-9):
    """Compare an estimator of arrays with one of numpy, and what they make of X."""
    for name, expected in vars(theirs).items():
        if isinstance(expected, np.ndarray):
            found = library.numpy(getattr(ours, name))
            assert found.dtype == expected.dtype
            np.testing.assert_allclose(found, expected, rtol, atol=rtol, err_msg=name)
        elif name.endswith("_") and expected is not None:
            np.testing.assert_allclose(float(getattr(ours, name)), expected, rtol)
    Z = theirs.transform(X)
    found = ours.transform(library.array(X))
    tolerance = rtol if X.dtype == np.float64 else 1e-5
    size = np.nanmax(np.abs(Z))
    assert library.numpy(found).dtype == Z.dtype
    np.testing.assert_allclose(library.numpy(found), Z, tolerance, tolerance * size)
    back = library.numpy(ours.inverse_transform(library.array(Z)))
    expected = theirs.inverse_transform(Z)
    # An entry that is small among large ones has their rounding.
    size = np.nan_to_num(np.abs(expected)).max(axis=0)
    np.testing.assert_array_equal(np.isnan(back), np.isnan(expected))
    assert (np.nan_to_num(np.abs(back - expected)) <= tolerance * size).all()


@pytest.mark.one_in(3)
@needs_dispatch
@pytest.mark.filterwarnings("ignore:.* of 6 directions map to 0")
@each([*SCALERS, *WHITENERS])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_are_those_of_numpy(transformer, dtype, library, X, dispatch):
    X = X.astype(dtype)
    if dtype == np.float32 and transformer in WHITENERS:
        X = X - X.mean(axis=0)
    theirs = clone(transformer).fit(X)
    ours = clone(transformer).fit(library.array(X))
    assert_agree(library, ours, theirs, X)


@needs_dispatch
@each(SCALERS)
def test_missing_values_are_left_out(transformer, library, X, dispatch):
    X[::3, 0] = X[:, 2] = np.nan
    theirs = clone(transformer).fit(X)
    assert_agree(library, clone(transformer).fit(library.array(X)), theirs, X)


@needs_dispatch
@each(WHITENERS)
def test_fewer_rows_than_features(transformer, library, rng, dispatch):
    X = rng.normal(size=(5, 8))
    if transformer.method == "cholesky":
        transformer = clone(transformer).set_params(eps=0.1)
    theirs = clone(transformer).fit(X)
    ours = clone(transformer).fit(library.array(X))
    assert_agree(library, ours, theirs, X)
    for matrix in ("whitening_matrix", "dewhitening_matrix"):
        found, expected = (getattr(each, matrix)() for each in (ours, theirs))
        np.testing.assert_allclose(library.numpy(found), expected, atol=1e-9)


@needs_dispatch
@pytest.mark.parametrize("mean", [1e4, 1e8])
def test_a_large_mean_costs_no_digits(mean, library, rng, dispatch):
    X = mean + rng.normal(size=(1000, 3)).round(3)
    exact = np.longdouble(X)
    found = Standardizer().fit(library.array(X))
    np.testing.assert_allclose(library.numpy(found.var_), exact.var(axis=0), 1e-12)
    whitener = Whitener().fit(library.array(X))
    found = library.numpy(whitener.explained_variance_).sum()
    np.testing.assert_allclose(found, exact.var(axis=0).sum(), 1e-12)


@needs_dispatch
@pytest.mark.parametrize("level", [0.0, 0.1, 1e8])
def test_a_constant_column_has_scale_1(level, library, dispatch):
    X = library.array(np.full((1000, 2), level))
    standardizer = Standardizer().fit(X)
    assert (library.numpy(standardizer.scale_) == 1).all()
    assert (library.numpy(standardizer.var_) == 0).all()
    np.testing.assert_allclose(library.numpy(standardizer.transform(X)), 0, atol=1e-15)


@needs_dispatch
@pytest.mark.parametrize("transformer", [Centerer(), Standardizer(ddof=1)], ids=repr)
def test_weights_come_from_anywhere(transformer, library, X, rng, dispatch):
    weights = rng.integers(0, 4, size=len(X)).astype(float)
    theirs = clone(transformer).fit(X, sample_weight=weights)
    for given in (weights, list(weights), library.array(weights)):
        ours = clone(transformer).fit(library.array(X), sample_weight=given)
        assert_agree(library, ours, theirs, X)
    ours = clone(transformer).fit(library.array(X), sample_weight=2.0)
    assert_agree(library, ours, clone(transformer).fit(X, sample_weight=2.0), X)


@needs_dispatch
@pytest.mark.filterwarnings("ignore:.* of 6 directions map to 0")
@each([*DEFAULTS, Standardizer(per="all"), Whitener("zca_cor", shrinkage="oas")])
def test_chunks_of_a_stream(transformer, library, X, dispatch):
    theirs, ours = clone(transformer), clone(transformer)
    for chunk in np.split(X, [7, 30]):
        theirs.partial_fit(chunk)
        ours.partial_fit(library.array(chunk))
    assert_agree(library, ours, theirs, X)


@needs_dispatch
def test_a_weighted_stream(library, X, rng, dispatch):
    weights = 1e200 * rng.uniform(size=len(X))
    theirs, ours = Standardizer(), Standardizer()
    for rows in (slice(20), slice(20, 60)):
        theirs.partial_fit(X[rows], sample_weight=weights[rows])
        ours.partial_fit(library.array(X[rows]), sample_weight=weights[rows])
    theirs.partial_fit(X)
    ours.partial_fit(library.array(X))
    assert_agree(library, ours, theirs, X)


@needs_dispatch
def test_blocks_of_rows_make_one_fit(library, X, dispatch, monkeypatch):
    from sknn_notes.preprocessing import _array_kernels

    monkeypatch.setattr(_array_kernels, "BLOCK_SIZE", 64)
    monkeypatch.setattr(_array_kernels, "GRAM_ROWS", 7)
    for transformer in (Standardizer(), MinMaxNormalizer(), Whitener("pca_cor")):
        theirs = clone(transformer).fit(X)
        assert_agree(library, clone(transformer).fit(library.array(X)), theirs, X)


@needs_dispatch
@each(SCALERS[:3])
def test_integers_become_floats(transformer, library, rng, dispatch):
    X = rng.integers(0, 255, size=(20, 4))
    theirs = clone(transformer).fit(X)
    found = clone(transformer).fit_transform(library.array(X))
    expected = theirs.transform(X)
    np.testing.assert_allclose(library.numpy(found), expected, atol=1e-12)


@needs_dispatch
def test_half_precision_is_kept(X, dispatch):
    torch = pytest.importorskip("torch")
    Z = Standardizer().fit_transform(torch.asarray(X).to(torch.float16))
    assert Z.dtype == torch.float16
    expected = Standardizer().fit_transform(X.astype(np.float16))
    np.testing.assert_allclose(Z.numpy(), expected, atol=1e-3)


@needs_dispatch
@each([*DEFAULTS, Whitener("cholesky"), Whitener("zca_cor", shrinkage=0.1)])
def test_a_device_without_float64(transformer, rng, dispatch):
    library = StrictWithoutFloat64()
    X = rng.normal(3, 2, size=(60, 4)).astype(np.float32)
    ours, theirs = clone(transformer).fit(library.array(X)), clone(transformer).fit(X)
    found = library.numpy(ours.transform(library.array(X)))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, theirs.transform(X), atol=1e-4)
    back = library.numpy(ours.inverse_transform(library.array(found)))
    np.testing.assert_allclose(back, X, atol=1e-4)


@needs_dispatch
@each(SCALERS[:3])
def test_copy_false_works_in_place(transformer, library, X, dispatch):
    ours = clone(transformer).set_params(copy=False).fit(library.array(X))
    given = library.array(X)
    Z = ours.transform(given)
    np.testing.assert_array_equal(library.numpy(given), library.numpy(Z))
    np.testing.assert_allclose(library.numpy(ours.inverse_transform(Z)), X)
    given = library.array(X)
    ours.set_params(copy=True).transform(given)
    np.testing.assert_array_equal(library.numpy(given), X)


@needs_dispatch
@each(DEFAULTS)
def test_infinity_and_overflow_raise(transformer, library, X, dispatch):
    ours = clone(transformer).fit(library.array(X))
    X[3, 0] = np.inf
    with pytest.raises(ValueError, match="Input X contains infinity"):
        ours.transform(library.array(X))
    with pytest.raises(ValueError, match="Input X contains infinity"):
        clone(transformer).fit(library.array(X))
    X[3, 0], X[4, 0] = 1.7e308, -1.7e308
    if not isinstance(transformer, Centerer):
        with pytest.raises(ValueError, match="overflow float64"):
            clone(transformer).fit(library.array(X))


@needs_dispatch
@each(DEFAULTS)
def test_sparse_matrices_raise(transformer, library, X, dispatch):
    ours = clone(transformer).fit(library.array(X))
    with pytest.raises((TypeError, ValueError), match="Sparse data was passed"):
        ours.transform(sparse.csr_array(X))


@needs_dispatch
def test_sparse_matrices_have_no_place_on_a_device(library, X, dispatch):
    ours = Standardizer(with_mean=False).fit(library.array(X))
    with pytest.raises(ValueError, match="not compatible with the sparse array"):
        ours.transform(sparse.csr_array(X))
    ours = Standardizer(with_mean=False).fit(sparse.csr_array(X))
    with pytest.raises(ValueError, match="must use the same namespace"):
        ours.transform(library.array(X))


@needs_dispatch
@each(DEFAULTS)
@pytest.mark.parametrize("method", ["transform", "inverse_transform", "partial_fit"])
def test_another_namespace_or_device_raises(transformer, method, strict, X, dispatch):
    fitted = clone(transformer).partial_fit(strict.array(X))
    for other in (X, strict.xp.asarray(X)):
        name = rf"{type(transformer).__name__}\.{method}\(\) must use the same namespa"
        with pytest.raises(ValueError, match=name):
            getattr(fitted, method)(other)
    with pytest.raises(ValueError, match="must use the same namespace"):
        getattr(clone(transformer).partial_fit(X), method)(strict.array(X))


@needs_dispatch
@each(DEFAULTS)
@pytest.mark.parametrize("method", ["transform", "inverse_transform", "partial_fit"])
def test_fitted_under_dispatch_it_needs_dispatch(transformer, method, X, dispatch):
    library = Torch()
    fitted = clone(transformer).partial_fit(library.array(X))
    message = rf"fitted on arrays of .*Call {method} under .*array_api_dispatch=True"
    with (
        sklearn.config_context(array_api_dispatch=False),
        pytest.raises(ValueError, match=message),
    ):
        getattr(fitted, method)(library.array(X))


@pytest.mark.one_in(3)
@needs_dispatch
@each([*SCALERS, *WHITENERS])
@pytest.mark.filterwarnings("ignore:.* of 6 directions map to 0")
@pytest.mark.parametrize("stream", [False, True])
def test_a_fitted_transformer_moves(transformer, stream, library, X, dispatch):
    from sklearn.utils._array_api import get_namespace_and_device, move_estimator_to

    if isinstance(transformer.get_params().get("shrinkage"), str) and stream:
        transformer = clone(transformer).set_params(shrinkage="oas")
    half = X[:30] if stream else X
    fit = "partial_fit" if stream else "fit"
    theirs = getattr(clone(transformer), fit)(half)
    xp, _, device = get_namespace_and_device(library.array(X))
    moved = move_estimator_to(theirs, xp, device)
    assert_agree(library, moved, theirs, X)
    back = move_estimator_to(moved, np, "cpu")
    np.testing.assert_allclose(back.transform(X), theirs.transform(X), atol=1e-9)
    if stream:
        for each, chunk in ((theirs, X[30:]), (moved, library.array(X[30:]))):
            each.partial_fit(chunk)
        assert_agree(library, moved, theirs, X)


@needs_dispatch
@each(DEFAULTS)
def test_pickle_and_names_of_outputs(transformer, library, X, dispatch):
    fitted = clone(transformer).fit(library.array(X))
    again = pickle.loads(pickle.dumps(fitted))
    given = library.array(X)
    found, expected = again.transform(given), fitted.transform(given)
    np.testing.assert_array_equal(library.numpy(found), library.numpy(expected))
    names = clone(transformer).fit(X).get_feature_names_out()
    np.testing.assert_array_equal(fitted.get_feature_names_out(), names)


@each([*DEFAULTS, RobustStandardizer(), PiecewiseLinearEncoder()])
def test_tensors_of_the_cpu_are_read_by_numpy(transformer, X):
    library = Torch()
    ours = clone(transformer).fit(library.array(X))
    found = ours.transform(library.array(X))
    assert isinstance(found, np.ndarray)
    np.testing.assert_array_equal(found, clone(transformer).fit(X).transform(X))


@needs_dispatch
@each(DEFAULTS)
def test_a_device_array_asks_for_dispatch(transformer, strict, X):
    fitted = clone(transformer).partial_fit(X)
    message = rf"{type(fitted).__name__} got array_api_strict.*device1.*can't read.*"
    message += r"config_context\(array_api_dispatch=True\)"
    for method in ("fit", "partial_fit", "transform", "inverse_transform"):
        with pytest.raises(TypeError, match=message):
            getattr(fitted, method)(strict.array(X))


@needs_dispatch
def test_weights_on_a_device_ask_for_dispatch(strict, X):
    with pytest.raises(TypeError, match=r"config_context\(array_api_dispatch=True\)"):
        Standardizer().fit(X, sample_weight=strict.array(np.ones(len(X))))


@needs_dispatch
@each([RobustStandardizer(), PiecewiseLinearEncoder()])
def test_transformers_that_take_numpy_arrays_alone(transformer, strict, X, array_api):
    fitted = clone(transformer).fit(X)
    for method in ("fit", "transform"):
        with pytest.raises(TypeError, match=r"can't read: .*\. Pass a numpy array\.$"):
            getattr(fitted, method)(strict.array(X))
        with (
            sklearn.config_context(array_api_dispatch=True),
            pytest.raises(TypeError, match="supports only numpy arrays"),
        ):
            getattr(fitted, method)(strict.array(X))


@needs_dispatch
@each(DEFAULTS)
def test_export_to_onnx_asks_for_numpy(transformer, library, X, dispatch):
    pytest.importorskip("skl2onnx")
    from sknn_notes.onnx import to_onnx

    fitted = clone(transformer).fit(library.array(X))
    with pytest.raises(TypeError, match="and a graph is made of numpy"):
        to_onnx(fitted, X)


@needs_dispatch
def test_an_older_scikit_learn_says_so(strict, X, monkeypatch, dispatch):
    for module in (_arrays, _sklearn):
        monkeypatch.setattr(module, "has_array_dispatch", False)
    with pytest.raises(ImportError, match=r"need scikit-learn 1\.9 or later"):
        Standardizer().fit(strict.array(X))


@needs_dispatch
@pytest.mark.usefixtures("dispatch")
@pytest.mark.parametrize("value", [1.0, np.nan, np.inf])
def test_kernels_tell_whether_all_values_are_finite(library, value, monkeypatch):
    monkeypatch.setattr(_array_kernels, "BLOCK_SIZE", 6)  # Blocks of two rows.
    X = np.arange(18.0).reshape(6, 3)
    X[1, 2] = value
    X, one = library.array(X), library.array(np.ones(3))
    W, bounds = library.array(np.eye(3)), (-1.0, 1.0)
    with np.errstate(invalid="ignore"):
        found = [
            _array_kernels.affine(X, one, one, one, one, library.xp.empty_like(X)),
            _array_kernels.rescale(X, one, one, one, bounds, library.xp.empty_like(X)),
            _array_kernels.project(X, one, W, library.xp.empty_like(X)),
        ]
    assert found == 3 * [np.isfinite(value)]


@needs_dispatch
def test_dispatch_as_users_switch_it_on():
    pytest.importorskip("torch")
    code = """
import os
os.environ["SCIPY_ARRAY_API"] = "1"
import sklearn, torch
from sknn_notes import Standardizer, Whitener
X = torch.asarray([[0.0, 1.0], [2.0, 5.0], [4.0, 3.0]])
with sklearn.config_context(array_api_dispatch=True):
    for transformer in (Standardizer(), Whitener("cholesky")):
        Z = transformer.fit_transform(X)
        assert isinstance(Z, torch.Tensor) and Z.dtype == torch.float32
    print(Standardizer().fit(X).mean_)
Whitener("cholesky").fit(X.numpy())
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert told.stdout == "tensor([2., 3.], dtype=torch.float64)\n", told.stderr
