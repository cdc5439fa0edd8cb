"""A device that runs out of memory, or goes away, while networks train on it.

The device is PyTorch's CPU, whose functions raise what those of a GPU raise.
"""

import gc
import pickle
import weakref

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning

from sknn_notes import MLPClassifier
from sknn_notes._engine.device import Device
from sknn_notes._engine.stack import Stack
from sknn_notes.model_selection import GridSearchCV

torch = pytest.importorskip("torch")
pytestmark = [
    pytest.mark.usefixtures("tensors"),
    pytest.mark.skipif(
        not hasattr(torch, "AcceleratorError"), reason="PyTorch 2.8 names the error"
    ),
]

X = np.random.default_rng(0).normal(size=(40, 4))
y = (X[:, 0] > 0).astype(int)
REMEDIES = {
    "full": (
        MemoryError,
        r"cpu ran out of memory for .*(Lower batch_size|Choose solver='adam')",
    ),
    "gone": (RuntimeError, r"cpu failed .*CUDA error: the launch failed\. .*process"),
}
EACH_FAULT = pytest.mark.parametrize("fault", REMEDIES)


def error_of(fault):
    if fault == "full":
        return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")
    error = torch.AcceleratorError.__new__(torch.AcceleratorError)
    RuntimeError.__init__(error, "CUDA error: the launch failed\nCompile with ...")
    return error


def network(**params):
    options = {"hidden_layer_sizes": (6,), "max_iter": 3, "random_state": 0}
    return MLPClassifier(**options | {"device": "cpu"} | params)


class Faulty(torch.overrides.TorchFunctionMode):
    """Raises an error in the n-th call of any function of PyTorch, and later ones."""

    def __init__(self, at=None, fault="full", lasts=False):
        super().__init__()
        self.at, self.fault, self.lasts, self.n_calls = at, fault, lasts, 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is torch._C._set_grad_enabled:
            # A setting of the thread, which no device takes part in.
            return function(*args, **(kwargs or {}))
        self.n_calls += 1
        if (
            self.at
            and self.n_calls >= self.at
            and (self.lasts or self.n_calls == self.at)
        ):
            raise error_of(self.fault)
        return function(*args, **(kwargs or {}))


KINDS = {
    "network": {},
    "early stopping": {"early_stopping": True, "batch_norm": True},
    "lbfgs": {"solver": "lbfgs"},
    "ensemble": {"n_networks": 3},
}


def n_calls(model):
    with Faulty() as mode:
        model.fit(X, y)
    return mode.n_calls


def check(model, fault, at):
    before = pickle.dumps(model)
    kind, message = REMEDIES[fault]
    # A device that has gone stays away.
    # Before the training, the question for the device fails.
    with (
        pytest.raises((kind, ValueError), match=f"{message}|PyTorch reports: CUDA "),
        Faulty(at, fault, lasts=fault == "gone"),
    ):
        model.fit(X, y)
    is_same = pickle.dumps(model) == before
    assert is_same, at
    assert torch.is_grad_enabled(), at


@EACH_FAULT
@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_in_any_operation_says_what_to_do(kind, fault):
    model = network(**KINDS[kind])
    expected = clone(model).fit(X, y).predict_proba(X)
    model.fit(X[::-1], y)
    last = n_calls(clone(model))
    step = max(1, last // 12)
    for at in [*range(1, last, step), last]:
        check(model, fault, at)
    np.testing.assert_array_equal(model.fit(X, y).predict_proba(X), expected)


def test_an_error_that_is_kept_keeps_no_memory_of_the_device(monkeypatch):
    stacks, make = weakref.WeakSet(), Stack.__init__

    def counted(self, *arguments, **options):
        stacks.add(self)
        make(self, *arguments, **options)

    def full(self, *arguments):
        raise error_of("full")

    monkeypatch.setattr(Stack, "__init__", counted)
    monkeypatch.setattr(Stack, "run_epoch", full)
    with pytest.raises(MemoryError) as kept:
        network().fit(X, y)
    gc.collect()
    assert kept.value.__cause__ is not None
    assert len(stacks) == 0


@EACH_FAULT
@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_a_search_goes_on_with_the_stacks_that_train(fault, monkeypatch):
    """Networks of another width are another stack."""
    run = Stack.run_epoch

    def run_epoch(self, plans):
        if self.network.shapes[0][1] == 6:
            raise error_of(fault)
        return run(self, plans)

    monkeypatch.setattr(Stack, "run_epoch", run_epoch)
    grid = {"hidden_layer_sizes": [(6,), (5,)]}
    search = GridSearchCV(network(), grid, cv=2)
    with pytest.warns(FitFailedWarning, match=REMEDIES[fault][1]):
        search.fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    np.testing.assert_array_equal(np.isfinite(scores), [False, True])
    assert search.best_params_ == {"hidden_layer_sizes": (5,)}


def test_an_error_that_is_not_the_devices_stays():
    error = RuntimeError("a part that fails")
    assert Device("cpu").explained(error) is error
