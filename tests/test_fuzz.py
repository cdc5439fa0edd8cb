"""Cases of the fuzzer in ``benchmarks``: whatever is passed, nothing odd happens."""

import importlib
import logging
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from sknn_notes import MLPClassifier, MLPRegressor, Standardizer, _kernels

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
pytestmark = [
    pytest.mark.skipif(not BENCHMARKS.exists(), reason="needs a checkout"),
    # Findings depend on the errors and warnings of scikit-learn.
    pytest.mark.needs("scikit-learn>=1.8", "earlier versions have other errors"),
]


@pytest.fixture(scope="module")
def fuzzer():
    """The cases of the fuzzer, with steps in numpy, which compiles nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SKNN_NOTES_KERNELS", "numpy")
        _kernels.active.cache_clear()
        patch.syspath_prepend(BENCHMARKS)
        logging.disable()
        yield importlib.import_module("_fuzz_cases")
    logging.disable(logging.NOTSET)
    _kernels.active.cache_clear()


@pytest.mark.parametrize(
    "seeds",
    [range(200), pytest.param(range(200, 20_000), marks=pytest.mark.nightly)],
    ids=["200", "20000"],
)
def test_every_call_works_or_says_why_not(fuzzer, seeds):
    outcomes = Counter()
    for number in seeds:
        case = fuzzer.draw(0, number)
        results, findings = fuzzer.run(case)
        assert not findings, f"case {number}: {case}\n{findings}"
        outcomes.update(results)
    # The cases reach both ends.
    assert outcomes["works"] > len(seeds)
    assert outcomes["ValueError"] > len(seeds) / 4


def test_a_case_can_be_drawn_again(fuzzer):
    assert str(fuzzer.draw(0, 7)) == str(fuzzer.draw(0, 7))
    assert str(fuzzer.draw(0, 7)) != str(fuzzer.draw(1, 7))


class BadFit(MLPClassifier):
    def fit(self, X, y):
        self.changed = True
        X[0] = 9
        np.float64(1.0) / np.float64(0.0)
        return {}["no such key"]


class BadPredictions(MLPClassifier):
    def predict(self, X):
        return np.full(len(X), 2)

    def predict_proba(self, X):
        return np.full((len(X), 2), 1.0)

    def decision_function(self, X):
        return np.full(len(X), np.nan)


def test_mistakes_of_a_fit_are_found(fuzzer):
    fit = fuzzer.Call("fit", {"X": np.ones((4, 2)), "y": np.arange(4) % 2})
    _, findings = fuzzer.run(fuzzer.Case(BadFit, {}, [fit]))
    assert {finding.kind for finding in findings} == {
        "error KeyError",
        "changed by a failed fit",
        "changed input",
        "warning RuntimeWarning",
    }


def test_mistakes_of_predictions_are_found_in_the_smallest_case(fuzzer):
    X, y = np.random.default_rng(0).normal(size=(4, 2)), np.arange(4) % 2
    fit = fuzzer.Call("fit", {"X": X, "y": y})
    names = "predict", "predict_proba", "decision_function"
    calls = [fit, *(fuzzer.Call(name, {"X": X}) for name in names)]
    case = fuzzer.Case(BadPredictions, {"alpha": 1.0, "loss": "log_loss"}, calls)
    _, findings = fuzzer.run(case)
    assert [finding.kind for finding in findings] == [
        "label of no class",
        "sum of probabilities",
        "not finite",
    ]
    small = fuzzer.smaller(case, findings[1].key)
    assert small.params == {}
    assert [call.method for call in small.calls] == ["fit", "predict_proba"]


@pytest.mark.parametrize(
    "estimator", [MLPRegressor, Standardizer], ids=lambda c: c.__name__
)
def test_ordinary_use_is_no_finding(fuzzer, estimator):
    X = np.random.default_rng(0).normal(size=(9, 2))
    query = "predict" if estimator is MLPRegressor else "transform"
    calls = [
        fuzzer.Call("fit", {"X": X, "y": X[:, 0]}),
        fuzzer.Call(query, {"X": X}),
        fuzzer.Call("pickle", {}),
        fuzzer.Call(query, {"X": X[:, :1]}),
    ]
    outcomes, findings = fuzzer.run(fuzzer.Case(estimator, {}, calls))
    assert outcomes == ["works", "works", "works", "ValueError"]
    assert not findings
