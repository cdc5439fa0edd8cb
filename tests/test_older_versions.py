"""What the library adds where scikit-learn is older than the newest version."""

import importlib.util
import sys

import numpy as np
import pytest
from sklearn.utils import class_weight, validation

from sknn_notes import MLPClassifier, Whitener, _callbacks, _sklearn
from sknn_notes.callbacks import Checkpoint


def fresh(module):
    """Import a module of the library once more, under another name."""
    spec = importlib.util.spec_from_file_location("fresh", module.__file__)
    copy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(copy)
    return copy


@pytest.fixture
def before_1_9(monkeypatch):
    """scikit-learn's functions without the parameters that newer versions have."""
    check, compute = validation._check_sample_weight, class_weight.compute_class_weight

    def older_check(sample_weight, X, **options):
        zeros = not np.any(sample_weight)
        return np.array(sample_weight) if zeros else check(sample_weight, X, **options)

    def older_compute(class_weight, *, classes, y):
        return compute(class_weight, classes=classes, y=y)

    monkeypatch.setattr(validation, "_check_sample_weight", older_check)
    monkeypatch.setattr(class_weight, "compute_class_weight", older_compute)
    monkeypatch.setitem(sys.modules, "sklearn.callback", None)


@pytest.mark.parametrize("base", [MLPClassifier, Whitener])
def test_set_callbacks_says_which_version_it_needs(before_1_9, base):
    mixin = fresh(_callbacks).CallbackSupportMixin

    class Estimator(base):
        set_callbacks = mixin.set_callbacks

    assert not hasattr(Estimator(), "set_callbacks")
    with pytest.raises(AttributeError, match=r"Callbacks of Estimator need.*1\.9"):
        Estimator().set_callbacks()


@pytest.mark.parametrize("n_networks", [1, 2])
def test_fit_takes_a_checkpoint(before_1_9, n_networks, tmp_path, monkeypatch):
    mixin = fresh(_callbacks).CallbackSupportMixin
    name = "_init_callback_context"
    monkeypatch.setattr(MLPClassifier, name, getattr(mixin, name), raising=False)
    X, y = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) % 2
    model = MLPClassifier(5, max_iter=6, random_state=0, n_networks=n_networks)
    checkpoint = Checkpoint(tmp_path / "fit.ckpt", every_n_epochs=4)
    model.fit(X, y, checkpoint=checkpoint)
    assert not hasattr(model, "_skl_callbacks")
    resumed = Checkpoint.load(tmp_path / "fit.ckpt").resume(X, y)
    np.testing.assert_array_equal(resumed.coefs_[0], model.coefs_[0])


def test_weights_of_zero_alone_raise(before_1_9):
    check = fresh(_sklearn)._check_sample_weight
    X, zeros = np.ones((3, 2)), np.zeros(3)
    with pytest.raises(ValueError, match="at least one non-zero"):
        check(zeros, X, dtype=np.float64)
    np.testing.assert_array_equal(
        check(zeros, X, dtype=np.float64, allow_all_zero_weights=True), zeros
    )
    with pytest.raises(ValueError, match="Negative values"):
        check([1, -1, 0], X, ensure_non_negative=True)
    np.testing.assert_array_equal(check([1, 0, 2], X), [1, 0, 2])


@pytest.mark.needs("scikit-learn>=1.7", "it weighs samples itself")
@pytest.mark.parametrize("spec", ["balanced", {"a": 2, "b": 1, "c": 0.5}, None])
@pytest.mark.parametrize("weights", [None, [1.0, 2, 3, 4, 0.5]])
def test_balanced_class_weights_count_sample_weights(before_1_9, spec, weights):
    y, classes = np.array(list("babca")), np.array(list("abc"))
    np.testing.assert_allclose(
        fresh(_sklearn).compute_class_weight(
            spec, classes=classes, y=y, sample_weight=weights
        ),
        _sklearn.compute_class_weight(
            spec, classes=classes, y=y, sample_weight=weights
        ),
    )
