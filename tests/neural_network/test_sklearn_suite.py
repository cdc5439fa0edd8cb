"""Scikit-learn's own tests of its MLP, run on this library's classes.

The file is read from the installed package, its import is changed, and its tests become
this module's. Those left out are listed with the reason.
"""

import importlib.util
import inspect
from pathlib import Path

import pytest

import sknn_notes

LEFT_OUT = {
    "test_fit": "sets and reads private attributes by hand",
    "test_gradient": "calls a private method; the gradient checks are our own",
    "test_learning_rate_warmstart": "reads the private _optimizer",
    "test_adaptive_learning_rate": "reads the private _optimizer",
    "test_n_iter_no_change": "reads the private _no_improvement_count",
    "test_n_iter_no_change_inf": "reads the private _no_improvement_count",
    "test_early_stopping_stratified": "asks for an error where a class has one member, "
    "which stays in training here",
    "test_mlp_regressor_dtypes_casting": "compares float32 to float64 within 5e-4 of "
    "predictions near 0; test_target_scale compares them in the unit of the targets",
    "test_preserve_feature_names": "fits a classifier on one class, an error here",
}


def _read_suite():
    spec = importlib.util.find_spec("sklearn.neural_network.tests.test_mlp")
    source = Path(spec.origin).read_text()
    swap = "from sklearn.neural_network import MLPClassifier, MLPRegressor"
    assert swap in source
    source = source.replace(swap, "from sknn_notes import MLPClassifier, MLPRegressor")
    suite: dict = {"__name__": __name__}
    exec(compile(source, spec.origin, "exec"), suite)
    return {name: item for name, item in suite.items() if name.startswith("test_")}


# Its networks trained by L-BFGS are given learning rates and batch sizes.
pytestmark = pytest.mark.filterwarnings("ignore:.* has no effect")

SUITE = _read_suite()
globals().update({k: v for k, v in SUITE.items() if k not in LEFT_OUT})


@pytest.fixture(params=[42])
def global_random_seed(request):
    return request.param


def test_left_out_tests_exist():
    assert set(LEFT_OUT) <= set(SUITE)


def test_the_suite_ran_on_our_classes():
    function = next(f for f in SUITE.values() if inspect.isfunction(f))
    assert function.__globals__["MLPClassifier"] is sknn_notes.MLPClassifier
