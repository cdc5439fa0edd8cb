"""Scikit-learn's own tests of StandardScaler and MinMaxScaler, run on ours.

The file is read from the installed package, its import is changed, and its tests that
name one of the two classes become this module's. Those left out are listed with the
reason.
"""

import importlib.util
import inspect
from pathlib import Path

import numpy as np
import pytest

from sknn_notes import MinMaxNormalizer, Standardizer

LEFT_OUT = {
    "test_standard_scaler_near_constant_features": (
        "calls a feature constant by the rounding of scikit-learn's sums, which grows "
        "with the number of rows; ours keeps what the data resolves"
    ),
    "test_min_max_scaler_zero_variance_features": (
        "maps a constant feature to the low end of the range; ours to the middle"
    ),
    "test_min_max_scaler_1d": (
        "maps a single row to the low end of the range; ours to the middle"
    ),
}


class MinMaxScaler(MinMaxNormalizer):
    """MinMaxNormalizer with scikit-learn's default range."""

    def __init__(
        self,
        feature_range=(0, 1),
        *,
        per="feature",
        clip=False,
        n_channels=None,
        channels="last",
        copy=True,
    ):
        super().__init__(
            feature_range,
            per=per,
            clip=clip,
            n_channels=n_channels,
            channels=channels,
            copy=copy,
        )


def _read_suite():
    spec = importlib.util.find_spec("sklearn.preprocessing.tests.test_data")
    source = Path(spec.origin).read_text()
    for name in ("MinMaxScaler", "StandardScaler"):
        swap = f"    {name},\n"
        assert swap in source
        source = source.replace(swap, "", 1)
    suite: dict = {
        "__name__": __name__,
        "MinMaxScaler": MinMaxScaler,
        "StandardScaler": Standardizer,
    }
    exec(compile(source, spec.origin, "exec"), suite)
    assert suite["StandardScaler"] is Standardizer
    code = dict(_functions(source))
    return {
        name: _with_lists(suite[name])
        for name, text in code.items()
        if name.startswith("test_") and ("StandardScaler" in text or "MinMax" in text)
    }


def _with_lists(test):
    """Make lists of the generators that a test is parametrized with."""
    marks = getattr(test, "pytestmark", [])
    for mark in marks:
        if mark.name == "parametrize":
            names, values = mark.args
            object.__setattr__(mark, "args", (names, list(values)))
    return test


def _functions(source):
    """Yield the name of every function and its text, decorators included."""
    for block in source.split("\n\n\n"):
        for line in block.splitlines():
            if line.startswith("def "):
                yield line[4:].split("(")[0], block
                break


# Of scikit-learn's own QuantileTransformer, in tests of several scalers.
pytestmark = [
    pytest.mark.filterwarnings("ignore:n_quantiles"),
    pytest.mark.usefixtures("array_api"),
]

SUITE = _read_suite()
globals().update({k: v for k, v in SUITE.items() if k not in LEFT_OUT})


@pytest.mark.needs("scikit-learn>=1.9", "its suite is the one with all of them")
def test_left_out_tests_exist():
    assert set(LEFT_OUT) <= set(SUITE)


def test_the_suite_ran_on_our_classes():
    functions = [f for f in SUITE.values() if inspect.isfunction(f)]
    assert len(functions) > 25
    assert functions[0].__globals__["StandardScaler"] is Standardizer
    assert functions[0].__globals__["MinMaxScaler"] is MinMaxScaler


def test_near_constant_features_are_kept_whatever_the_number_of_rows():
    for n_samples in (10, 100, 10_000):
        for spread in (1e-12, 1e-8, 1.0):
            X = np.full((n_samples, 1), 1.0)
            X[::2] += spread
            assert Standardizer().fit(X).scale_ == pytest.approx(X.std(), rel=1e-9)
