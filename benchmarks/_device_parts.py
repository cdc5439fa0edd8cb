"""Check that every part gives the same results on a device as on the CPU."""

from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone

from _device import classifier, compiled, largest, numpy_alone, on_card, say
from parts import Step, cases
from sknn_notes import MLPClassifier, MLPRegressor
from sknn_notes.initializers import INITIALIZERS

BATCH_SIZE, N_ROWS = 32, 141
REGISTRIES = "activation", "loss", "penalty", "solver", "schedule", "embedding", "noise"
# Rounding differences of sums in another order.
LIMITS = {"float64": 1e-8, "float32": 2e-3}
# Code that does not depend on the dtype.
FLOAT64_ALONE = "schedule", "embedding", "noise", "initializer", "lbfgs"


class Case(NamedTuple):
    """An estimator and its training data."""

    estimator: Any
    data: tuple
    fit_params: dict[str, Any] = {}

    def fit(self, device):
        """Return the estimator, fitted on a device or, with None, on the CPU."""
        estimator = clone(self.estimator).set_params(device=device)
        return estimator.fit(*self.data, **self.fit_params)


def case_of(step, dtype):
    """Return the case of a step of ``parts.py``."""
    data = tuple(
        each[:N_ROWS].astype(dtype) if each.dtype.kind == "f" else each[:N_ROWS]
        for each in step.data(BATCH_SIZE)
    )
    make = MLPRegressor if "output" in step.task else MLPClassifier
    estimator = make(
        hidden_layer_sizes=step.hidden,
        batch_size=BATCH_SIZE,
        max_iter=2,
        random_state=0,
        **step.parameters,
    )
    return Case(estimator, data)


def families(dtype):
    """Return cases by family and name: the registries, and what has none."""
    found: dict[str, dict[str, Case]] = {}
    for name, (step, _) in cases().items():
        family, _, rest = name.partition(" ")
        if family not in REGISTRIES:
            family, rest = "layers and limits", name
        step_dtype = "float64" if name == "float64" else dtype
        found.setdefault(family, {})[rest] = case_of(step, step_dtype)
    found["initializer"] = {name: _case(dtype, init=name) for name in INITIALIZERS}
    found["more of layers"] = {
        "dropout by layer": _case(dtype, (20, 15), dropout=[0.0, 0.3]),
        "standard dropout, bounds": _case(
            dtype, dropout=0.3, max_norm=0.5, clip_norm=0.1
        ),
        "all together": _case(
            dtype,
            (20, 20),
            dropout=0.2,
            input_dropout=0.1,
            batch_norm=True,
            residual=True,
            penalty="l1",
            alpha=[1e-3, 1e-4, 0.0],
            max_norm=1.0,
            clip_norm=1.0,
        ),
        "no shuffle": _case(dtype, shuffle=False),
        "one batch": _case(dtype, batch_size=N_ROWS),
    }
    case = _case(dtype)
    validation = dict(zip(["X_val", "y_val"], case.data, strict=True))
    found["early stopping"] = {
        "loss": _case(dtype, early_stopping=True, scoring="loss"),
        "accuracy": _case(dtype, early_stopping=True),
        "validation set": case._replace(fit_params=validation),
        "batch norm, dropout": _case(
            dtype, early_stopping=True, batch_norm=True, dropout=0.5
        ),
    }
    found["lbfgs"] = {
        "plain": _case(dtype, solver="lbfgs"),
        "layers": _case(dtype, (20, 20), solver="lbfgs", layer_norm=True),
    }
    found["ensemble"] = {
        "three networks": _case(dtype, n_networks=3, dropout=0.2),
        "early stopping": _case(dtype, n_networks=3, early_stopping=True),
    }
    if dtype == "float32":
        for family in FLOAT64_ALONE:
            del found[family]
    return found


def _case(dtype, hidden=(100,), **parameters):
    parameters = {"batch_size": BATCH_SIZE, "max_iter": 2} | parameters
    estimator = classifier(hidden, **parameters)
    return case_of(Step(), dtype)._replace(estimator=estimator)


def results(estimator):
    """Return the curves of the networks of an estimator, and their weights."""
    networks = getattr(estimator, "networks_", None) or [estimator]
    curves, weights = [], []
    for network in networks:
        curves.append(network.loss_curve_)
        if network.validation_loss_curve_ is not None:
            curves.append(network.validation_loss_curve_)
        weights += [w.ravel() for w in [*network.coefs_, *network.intercepts_]]
    return np.concatenate(curves), np.concatenate(weights)


def compare(name, found, expected):
    """Return differences of a case: of losses and of weights, and errors."""
    values = []
    for make in (found, expected):
        begin = perf_counter()
        try:
            value = results(make())
        except Exception as error:
            value = error
        values.append((value, perf_counter() - begin))
    (ours, seconds), (theirs, _) = values
    row = {"name": name, "seconds": seconds, "losses": 0.0, "weights": 0.0}
    if isinstance(ours, Exception):
        if type(ours) is not type(theirs) or str(ours) != str(theirs):
            row["error"] = _told(ours)
    elif isinstance(theirs, Exception):
        row["error"] = f"on the CPU alone: {_told(theirs)}"
    else:
        row["losses"], row["weights"] = map(largest, ours, theirs)
    return row


def _told(error):
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]


def show(family, dtype, rows):
    """Print a family in one row; return it."""
    errors = [row for row in rows if "error" in row]
    worst = max(rows, key=lambda row: row["losses"])
    weights = max(rows, key=lambda row: row["weights"])
    total = sum(row["seconds"] for row in rows)
    bad = [row["name"] for row in rows if not row["losses"] <= LIMITS[dtype]]
    say(
        f"{family:20} {dtype:8} {len(rows):5} {worst['losses']:9.1e} "
        f"{weights['weights']:9.1e} {total:6.1f}  {worst['name']}"
    )
    for row in errors:
        say(f"  ERROR      {row['name']}: {row['error']}")
    if bad:
        say(f"  ABOVE      {', '.join(bad)}")
    return {"family": family, "dtype": dtype, "rows": rows, "bad": len(errors + bad)}


def warm_starts(card, dtype):
    """Return rows of fits that continue on another device."""
    case = _case(dtype, warm_start=True, max_iter=1, dropout=0.2, batch_norm=True)

    def on(*devices):
        estimator = clone(case.estimator)
        for device in devices:
            estimator.set_params(device=device).fit(*case.data)
        return estimator

    def on_cpu():
        return on(None, None)

    return [
        compare("device, CPU", lambda: on(card.name, None), on_cpu),
        compare("CPU, device", lambda: on(None, card.name), on_cpu),
        compare("device, device", lambda: on(card.name, card.name), on_cpu),
    ]


def compiled_steps(card, dtype):
    """Return rows that compare compiled with recorded steps."""
    rows = []
    for name, case in {
        "dropout, batch norm": _case(dtype, dropout=0.2, batch_norm=True),
        "three networks, l1": _case(dtype, n_networks=3, penalty="l1", clip_norm=1.0),
    }.items():

        def fit(always, case=case):
            with compiled(always):
                return case.fit(card.name)

        rows.append(compare(name, lambda: fit(True), lambda: fit(False)))
    return rows


@on_card
def run(card, report, options):
    """Compare losses of two epochs, and the weights after them."""
    say(
        f"{'family':20} {'dtype':8} {'cases':>5} {'losses':>9} {'weights':>9} "
        f"{'s':>6}  largest"
    )
    found = []
    with numpy_alone(), compiled(False):
        for dtype in LIMITS:
            for family, members in families(dtype).items():
                rows = [
                    compare(
                        name,
                        lambda case=case: case.fit(card.name),
                        lambda case=case: case.fit(None),
                    )
                    for name, case in members.items()
                ]
                found.append(show(family, dtype, rows))
            rows = warm_starts(card, dtype)
            found.append(show("warm start", dtype, rows))
            if dtype == "float64":
                rows = compiled_steps(card, dtype)
                found.append(show("compiled, recorded", dtype, rows))
    n_bad = sum(family["bad"] for family in found)
    report.target("cases that differ", n_bad, most=0, always=True)
    return {"families": found}
