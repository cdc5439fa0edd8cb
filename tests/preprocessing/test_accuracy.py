"""Accuracy against exact arithmetic, and fitting what doesn't fit in memory."""

import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

from sknn_notes import Centerer, Standardizer, Whitener


def exact_moments(column):
    """Mean and variance of a column without any rounding but the last."""
    values = [Fraction(float(value)) for value in column]
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / len(values)
    return float(mean), float(variance)


# The mean in units of the standard deviation.
RATIOS = {np.float64: 1e8, np.float32: 1e4}


@pytest.mark.parametrize("dtype", RATIOS, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("chunk", [1, 300, 3000])
def test_a_large_mean_costs_no_accuracy(dtype, chunk):
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(3000, 3)) + RATIOS[dtype] * np.array([1, -1, 0])).astype(
        dtype
    )
    X[0, 2] = RATIOS[dtype]  # An outlier where an algorithm might take its shift from.
    scaler, whitener = Standardizer(), Whitener(eps=0)
    for start in range(0, len(X), chunk):
        scaler.partial_fit(X[start : start + chunk])
    for start in range(0, len(X), max(chunk, 30)):
        whitener.partial_fit(X[start : start + max(chunk, 30), :2])
    eps = np.finfo(np.float64).eps
    for j in range(3):
        mean, variance = exact_moments(X[:, j])
        bound = np.spacing(abs(mean)) + 10 * eps * np.sqrt(variance)
        assert abs(scaler.mean_[j] - mean) <= bound
        assert scaler.var_[j] == pytest.approx(variance, rel=1e-12)
    np.testing.assert_allclose(whitener.mean_, scaler.mean_[:2], rtol=2 * eps)
    diagonal = (
        whitener.dewhitening_matrix().T @ whitener.dewhitening_matrix()
    ).diagonal()
    np.testing.assert_allclose(diagonal, scaler.var_[:2], rtol=1e-12)
    # What is left of the mean is below the resolution of the data itself.
    residual = scaler.transform(X).astype(np.float64).mean(axis=0)
    np.testing.assert_allclose(
        residual, 0, atol=2 * np.finfo(dtype).eps * RATIOS[dtype]
    )


def test_float32_is_centered_exactly():
    X = (np.random.default_rng(0).normal(size=(500, 2)) + 1e4).astype(np.float32)
    Z = Centerer().fit(X).transform(X)
    exact = X.astype(np.float64) - X.astype(np.float64).mean(axis=0)
    np.testing.assert_allclose(Z, exact, rtol=1e-6)


def test_per_all_with_offsets_between_features():
    X = np.random.default_rng(0).normal(size=(400, 3)) + 1e8
    mean, variance = exact_moments(X.ravel())
    fitted = Standardizer(per="all").fit(X)
    assert fitted.mean_[0] == mean
    assert fitted.var_[0] == pytest.approx(variance, rel=1e-12)


LIMITED = """
import resource, sys
import numpy as np
from sknn_notes import Centerer, MinMaxNormalizer, Standardizer, Whitener

X = np.memmap(sys.argv[1], dtype=sys.argv[2], mode="r", shape=(int(sys.argv[3]), 64))
transformers = [Centerer(), Standardizer(), MinMaxNormalizer(), Whitener("zca")]
for transformer in transformers:
    transformer.fit(X[:500])
with open("/proc/self/status") as status:
    used = next(int(l.split()[1]) for l in status if l.startswith("VmData")) * 1024
limit = used + X.nbytes // 4
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
try:
    np.ones(X.nbytes // 2, dtype=np.uint8)
except MemoryError:
    pass
else:
    sys.exit("the limit does not hold")
for transformer in transformers:
    transformer.fit(X)
    assert transformer.n_samples_seen_ == len(X)
assert abs(transformers[1].mean_ - transformers[0].mean_).max() == 0
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of Linux")
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_a_memory_mapped_array_is_fitted_in_chunks(tmp_path, dtype):
    path = tmp_path / "data.bin"
    n_samples = (64 << 20) // (64 * np.dtype(dtype).itemsize)
    data = np.memmap(path, dtype=dtype, mode="w+", shape=(n_samples, 64))
    # Most of the file stays a hole; the fit reads all of it.
    data[::1000] = np.random.default_rng(0).integers(0, 255, data[::1000].shape)
    data.flush()
    del data
    subprocess.run(
        [sys.executable, "-c", LIMITED, path, dtype, str(n_samples)], check=True
    )
