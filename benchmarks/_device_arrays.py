"""Arrays of other libraries: scikit-learn's checks, and copies of the inputs."""

from functools import partial
from unittest import SkipTest

import numpy as np
import sklearn
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from _device import (
    classifier,
    compiled,
    largest,
    numpy_alone,
    on_card,
    sample,
    say,
    timed_fit,
)
from sknn_notes import (
    Centerer,
    MinMaxNormalizer,
    MLPClassifier,
    MLPRegressor,
    Standardizer,
    Whitener,
)

ESTIMATORS = [
    Centerer(),
    Standardizer(),
    MinMaxNormalizer(),
    Whitener(),
    MLPClassifier(max_iter=3),
    MLPRegressor(max_iter=3),
]


def where(check):
    """Return the namespaces and devices of one of scikit-learn's checks, as text."""
    given = [*check.keywords.values()] if isinstance(check, partial) else []
    return " ".join(
        "/".join(map(str, each)) if isinstance(each, tuple) else str(each)
        for each in given
        if each is not None
    )


def checked(estimator):
    """Run scikit-learn's checks; return the numbers of them by outcome, and errors."""
    from sklearn.utils.estimator_checks import _yield_array_api_checks

    name = type(estimator).__name__
    row = {"name": name, "passed": 0, "skipped": 0, "failed": 0, "errors": []}
    for check in _yield_array_api_checks(estimator):
        try:
            check(name, clone(estimator))
        except SkipTest:
            row["skipped"] += 1
        except Exception as error:
            row["failed"] += 1
            line = (str(error).strip().splitlines() or [""])[0]
            row["errors"].append(f"{where(check)}: {type(error).__name__}: {line}")
        else:
            row["passed"] += 1
    say(f"{name:20}", *(f"{row[k]:8}" for k in ("passed", "skipped", "failed")))
    for error in row["errors"][:5]:
        say(f"  FAILED     {error[:200]}")
    return row


def watching(torch, size):
    """Return a context that notes copies of ``size`` numbers or more to the host."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Watch(TorchDispatchMode):
        def __init__(self):
            super().__init__()
            self.copies = []

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            given = [x for x in args if isinstance(x, torch.Tensor)]
            if (
                isinstance(result, torch.Tensor)
                and not result.is_cuda
                and result.numel() >= size
                and any(x.is_cuda for x in given)
            ):
                self.copies.append(str(function))
            return result

    return Watch()


@on_card
def pipeline(card, report, options):
    """Fit a pipeline on tensors of the device, and count copies to the host."""
    torch = card.torch
    X, y = sample(card.pick(20_000, 400), card.pick(784, 20), 10)
    model = make_pipeline(Standardizer(), classifier(max_iter=3, dropout=0.2))
    inputs, targets = torch.asarray(X, device=card.name), torch.asarray(y)
    with numpy_alone():
        model.fit(X, y)
    expected, curve = model.predict_proba(X), model[-1].loss_curve_
    card.forget()
    before = card.peak()
    with (
        sklearn.config_context(array_api_dispatch=True),
        watching(torch, X.size // 2) as watch,
        compiled(False),
    ):
        spans = timed_fit(model, inputs, targets.to(card.name))
        proba = model.predict_proba(inputs)
    with watching(torch, X.size // 2) as proof:
        inputs.cpu()
    if card.is_gpu and not proof.copies:
        raise RuntimeError("The watch does not see copies: what it says means nothing.")
    stays = proba.device.type == card.name.partition(":")[0]
    row = {
        "losses": largest(model[-1].loss_curve_, curve),
        "probabilities": float(np.abs(proba.cpu().numpy() - expected).max()),
        "copies": watch.copies,
        "seconds": spans.total,
        "memory, in sizes of X": card.is_gpu and (card.peak() - before) / X.nbytes,
    }
    say(
        f"Pipeline on tensors: {spans.total:.2f} s; losses differ by "
        f"{row['losses']:.1e}, probabilities by {row['probabilities']:.1e}; memory at "
        f"its peak {row['memory, in sizes of X']:.1f} times that of X."
    )
    report.target("pipeline: copies of X to the host", len(watch.copies), most=0)
    report.target("pipeline: losses differ", row["losses"], most=1e-3, always=True)
    report.target("pipeline: results on the device", stays, least=1, always=True)
    return row


def run(card, report, options):
    """Run the checks that this version of scikit-learn has, and the pipeline."""
    found = []
    say(f"{'estimator':20} {'passed':>8} {'skipped':>8} {'failed':>8}")
    for estimator in ESTIMATORS:
        try:
            with numpy_alone():
                found.append(checked(estimator))
        except ImportError as error:
            say(f"scikit-learn {sklearn.__version__} has no such checks: {error}")
            return {}
    n_failed = sum(row["failed"] for row in found)
    report.target("array API checks that fail", n_failed, most=0, always=True)
    return {"checks": found, "pipeline": pipeline(card, report, options)}
