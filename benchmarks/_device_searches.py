"""Searches and ensembles: many networks on the device at once."""

import os
from contextlib import nullcontext
from functools import partial
from unittest.mock import patch

import numpy as np
from sklearn import model_selection
from sklearn.datasets import load_digits
from sklearn.model_selection import ParameterGrid
from sklearn.neural_network import MLPClassifier as SklearnMLPClassifier
from threadpoolctl import threadpool_limits

from _device import classifier, compiled, largest, on_card, sample, say, timed_fit
from _timing import seconds
from sknn_notes import MLPClassifier
from sknn_notes.model_selection import GridSearchCV
from sknn_notes.neural_network import _ensemble

N_SPLITS = 5
DIGITS = {"alpha": [1e-5, 1e-4, 1e-3], "dropout": [0.0, 0.1, 0.25, 0.5]}
LARGE = {
    "alpha": np.logspace(-6, -1, 10).tolist(),
    "learning_rate_init": np.logspace(-4, -2, 10).tolist(),
    "dropout": np.linspace(0.05, 0.5, 10).tolist(),
}


def some_of(grid, n):
    """Return ``n`` random candidates of a grid, as grids with one value each."""
    candidates = list(ParameterGrid(grid))
    places = np.random.default_rng(0).permutation(len(candidates))[:n]
    return [{k: [v] for k, v in candidates[i].items()} for i in sorted(places)]


def search(estimator, candidates, **options):
    """Return a search of this library without a refit."""
    return GridSearchCV(
        estimator,
        candidates,
        cv=N_SPLITS,
        refit=False,
        error_score="raise",
        **options,
    )


def show(found):
    """Print where the seconds of a search went, and the number of stacks."""
    for name, value in found.items():
        say(f"  {name:22} {value:8.3f}")


def on_cpu(estimator, candidates, data, n_jobs):
    """Return the seconds of a search on several threads, with one BLAS thread each."""
    searching = search(estimator, candidates, n_jobs=n_jobs)
    with threadpool_limits(1, "blas"):
        return seconds(lambda: searching.fit(*data)), searching


@on_card
def digits(card, report, options):
    """Time twelve candidates on the digits, with the default number of epochs."""
    options.compiling.wait()
    numbers = {}
    X, y = load_digits(return_X_y=True)
    X = X / 16
    n_jobs = os.cpu_count()
    max_iter = card.pick(200, 5)
    for dtype in ("float64", "float32"):
        data = X.astype(dtype), y
        estimator = MLPClassifier(random_state=0, max_iter=max_iter)
        on_card = MLPClassifier(random_state=0, max_iter=max_iter, device=card.name)
        searching = search(on_card, DIGITS, n_jobs=card.pick(8, 1))
        for run in ("first", "second"):
            spans = timed_fit(searching, *data, n_threads=1)
            say(f"digits, {dtype}, {run} search on the device")
            found = spans.table()
            show(found)
            numbers[f"{dtype}, {run}"] = found
        report.target(
            f"digits, {dtype}: seconds after set-up",
            found["total"] - found["set-up"],
            most=1,
        )
        cpu, theirs = on_cpu(estimator, DIGITS, data, n_jobs)
        means = [each.cv_results_["mean_test_score"] for each in (searching, theirs)]
        gap = float(np.abs(np.subtract(*means)).max())
        say(f"  {n_jobs} threads of the CPU: {cpu:.3f} s; scores differ by {gap:.4f}")
        numbers[f"{dtype}, CPU"] = {"seconds": cpu, "largest gap of scores": gap}
    numbers["scikit-learn"] = _sklearn_digits(X, y, max_iter)
    return numbers


def _sklearn_digits(X, y, max_iter):
    """Return the seconds of scikit-learn's search on one core, from a few fits."""
    cv = list(model_selection.StratifiedKFold(N_SPLITS).split(X, y))[:1]
    searching = model_selection.GridSearchCV(
        SklearnMLPClassifier(random_state=0, max_iter=max_iter),
        {"alpha": DIGITS["alpha"]},
        cv=cv,
        refit=False,
    )
    with threadpool_limits(1, "blas"):
        few = seconds(lambda: searching.fit(X, y))
    n_fits = N_SPLITS * len(ParameterGrid(DIGITS))
    n_few = len(DIGITS["alpha"])
    say(
        f"  scikit-learn, 1 core: {n_few} fits in {few:.2f} s, "
        f"{n_fits} in about {few * n_fits / n_few:.0f} s"
    )
    return {"fits": n_few, "seconds": few, "all": few * n_fits / n_few}


@on_card
def large(card, report, options):
    """Time a search over many candidates, and a few of them on the CPU."""
    options.compiling.wait()
    n_rows, n_inputs = card.pick((20_000, 50), (500, 10))
    n_epochs, n_jobs = card.pick(20, 2), os.cpu_count()
    data = sample(n_rows, n_inputs, 2)
    n = options.candidates or card.pick(1000, 6)
    say(f"{n} candidates x {N_SPLITS} folds, {n_rows} x {n_inputs}, {n_epochs} epochs")
    numbers = {"candidates": n}
    network = classifier(max_iter=n_epochs, device=card.name)
    searching = search(network, some_of(LARGE, n), n_jobs=card.pick(n_jobs, 1))
    n_steps = n_epochs * -(-n_rows * (N_SPLITS - 1) // N_SPLITS // 200)
    for name, context in {
        "as it comes": nullcontext(),
        "never compiled": compiled(False),
    }.items():
        card.forget()
        with context:
            found = timed_fit(searching, *data, n_threads=1).table()
        say(f"{name}:")
        show(found)
        step = 1e6 * found["- epochs"] / (n * N_SPLITS * n_steps)
        found["us a step of a model"] = step
        say(f"  us a step of a model   {step:8.3f}")
        if card.is_gpu:
            found["peak of memory"] = card.peak()
            say(f"  peak of GPU memory     {found['peak of memory'] / 2**30:8.2f} GiB")
        numbers[name] = found
        if not found["  - of it trace"]:
            break  # Nothing was compiled: the second run would be the same.
    for cores, few, target in [
        (1, card.pick(4, 2), 100),
        (n_jobs, card.pick(2 * n_jobs, 2), 6),
    ]:
        few = min(few, n)
        candidates = some_of(LARGE, few)
        cpu, _ = on_cpu(classifier(max_iter=n_epochs), candidates, data, cores)
        whole = cpu * n / few
        say(
            f"CPU, {cores} x 1 thread: {few} candidates in {cpu:.2f} s, so {n} in "
            f"{cpu:.2f} x {n} / {few} = {whole:.0f} s"
        )
        numbers[f"CPU, {cores}"] = {"candidates": few, "seconds": cpu}
        for name in [x for x in ("as it comes", "never compiled") if x in numbers]:
            total = numbers[name]["total"]
            say(f"  {name}: {whole:.1f} / {total:.2f} = {whole / total:.1f}")
            what = f"search, {name}: times as fast as {cores} cores"
            report.target(what, whole / total, least=target)
    return numbers


@on_card
def ensembles(card, report, options):
    """Time twenty networks of one estimator, and compare with training them singly."""
    options.compiling.wait()
    n_networks, n_jobs = card.pick(20, 3), os.cpu_count()
    data = sample(card.pick(10_000, 400), card.pick(64, 10), 10)
    settings = {"max_iter": card.pick(20, 3), "dropout": 0.2}
    settings["n_networks"] = n_networks
    each = partial(classifier, **settings)
    numbers = {}
    with compiled(False):
        stacked = timed_fit(each(device=card.name), *data)
        numbers["stack"] = stacked.table()
        with one_by_one():
            numbers["one after the other"] = timed_fit(
                each(device=card.name), *data
            ).table()
    with threadpool_limits(1, "blas"):
        estimator = each(n_jobs=n_jobs)
        numbers["CPU"] = {"total": seconds(lambda: estimator.fit(*data))}
    say(f"{n_networks} networks of 100 hidden units, {settings['max_iter']} epochs")
    for name, found in numbers.items():
        set_up = f" ({found['set-up']:.3f} s set-up)" if "set-up" in found else ""
        say(f"  {name:22} {found['total']:8.3f} s{set_up}")
    ratio = numbers["one after the other"]["total"] / numbers["stack"]["total"]
    report.target("ensemble: times as fast as one after the other", ratio, least=1)
    ratio = numbers["CPU"]["total"] / numbers["stack"]["total"]
    report.target(f"ensemble: times as fast as {n_jobs} cores", ratio, least=1)
    numbers["differences"] = _differences(card, report, n_networks, data)
    return numbers


def _differences(card, report, n_networks, data):
    """Compare networks of stacks with networks trained alone, in float64."""
    X, y = data[0].astype("float64"), data[1]
    numbers = {}
    for name, settings in {
        "dropout": {"dropout": 0.2},
        "early stopping": {"early_stopping": True, "batch_norm": True},
    }.items():
        make = partial(classifier, max_iter=3, n_networks=n_networks, **settings)
        with compiled(False):
            together = make(device=card.name).fit(X, y)
            with one_by_one():
                alone = make(device=card.name).fit(X, y)
        cpu = make(n_jobs=os.cpu_count()).fit(X, y)
        for other, expected in ("alone", alone), ("CPU", cpu):
            pairs = zip(together.networks_, expected.networks_, strict=True)
            gaps = [max(map(largest, one.coefs_, two.coefs_)) for one, two in pairs]
            numbers[f"{name}, {other}"] = gaps
            what = f"ensemble, {name}: weights differ from {other}"
            report.target(what, max(gaps), most=1e-6, always=True)
    return numbers


def one_by_one():
    """Return a context in which the networks of an ensemble don't form a stack."""
    train = partial(_ensemble.train_side_by_side, most=1)
    return patch.object(_ensemble, "train_side_by_side", train)
