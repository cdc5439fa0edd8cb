"""Several networks in one estimator equal as many fits, averaged by hand."""

import pickle
import threading
import time
import warnings
from itertools import pairwise

import numpy as np
import pytest
from scipy.special import logit
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import estimator_checks_generator

from sknn_notes import MLPClassifier, MLPRegressor, Standardizer, _threads
from sknn_notes._engine import monitor as engine_monitor
from sknn_notes.inspection import ActivationsDisplay, UncertaintyDisplay, sanity_check
from sknn_notes.neural_network._validation import Fold, hold_out

PROBLEMS = ["two_classes", "three_classes", "labels"]
every_problem = pytest.mark.parametrize("problem", PROBLEMS)
every_target = pytest.mark.parametrize("problem", [*PROBLEMS, "one_target"])


def network(problem="three_classes", **params):
    cls = MLPRegressor if "target" in problem else MLPClassifier
    base = {"hidden_layer_sizes": (8,), "max_iter": 6, "random_state": 0}
    if params.get("solver") != "lbfgs":
        base |= {"batch_size": 20, "learning_rate_init": 0.01}
    return cls(**base | {"n_networks": 3} | params)


def single(model, i, **params):
    """Return an estimator of one network, what network i should equal."""
    seed = model.networks_[i].random_state
    return clone(model).set_params(
        n_networks=1, n_jobs=None, random_state=seed, **params
    )


def by_hand(model, X, y, **fit_params):
    return [single(model, i).fit(X, y, **fit_params) for i in range(3)]


def assert_same(a, b):
    assert len(a.coefs_) == len(b.coefs_)
    for x, y in zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True):
        np.testing.assert_array_equal(x, y)
    assert a.loss_curve_ == b.loss_curve_


def response(model, X):
    return model.predict_proba(X) if hasattr(model, "classes_") else model.predict(X)


# Equal to k fits

VARIANTS = {
    "plain": {},
    "norms": {"batch_norm": True, "residual": True, "hidden_layer_sizes": (8, 8)},
    "noise": {"dropout": 0.3, "input_dropout": 0.1, "layer_norm": True},
    "lbfgs": {"solver": "lbfgs"},
    "float32": {"dtype": "float32", "penalty": "l1", "alpha": 0.01},
    "schedule": {"learning_rate": "onecycle", "solver": "sgd", "init": "lsuv"},
}


@every_target
@pytest.mark.parametrize("params", VARIANTS.values(), ids=VARIANTS)
def test_it_equals_single_fits_averaged_by_hand(problem, params, request):
    X, y = request.getfixturevalue(problem)
    model = network(problem, **params).fit(X, y)
    singles = by_hand(model, X, y)
    for ours, theirs in zip(model.networks_, singles, strict=True):
        assert_same(ours, theirs)
        assert ours.get_params() == theirs.get_params()
    mean = np.mean([response(each, X) for each in singles], axis=0)
    np.testing.assert_allclose(response(model, X), mean, rtol=1e-6, atol=1e-12)
    assert_same(model, singles[0])


def test_seeds_are_drawn_from_random_state(three_classes):
    X, y = three_classes
    seeds = [each.random_state for each in network().fit(X, y).networks_]
    assert len({*seeds, 0}) == 4
    assert all(type(seed) is int for seed in seeds)
    more = network(n_networks=5).fit(X, y).networks_
    assert [each.random_state for each in more[:3]] == seeds
    state = np.random.RandomState(0)
    one, other = (network(random_state=state).fit(X, y) for _ in range(2))
    assert [each.random_state for each in one.networks_] == seeds
    assert other.networks_[0].random_state not in seeds


@every_target
def test_weights_and_classes_reach_every_network(problem, request):
    X, y = request.getfixturevalue(problem)
    weight = np.random.default_rng(0).random(len(y))
    params = {}
    if problem != "one_target":
        params["class_weight"] = "balanced"
    model = network(problem, **params).fit(X, y, sample_weight=weight)
    for ours, theirs in zip(
        model.networks_, by_hand(model, X, y, sample_weight=weight), strict=True
    ):
        assert_same(ours, theirs)


@pytest.mark.parametrize("n_jobs", [2, 5, -1])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_results_do_not_depend_on_n_jobs(n_jobs, early_stopping, three_classes):
    X, y = three_classes
    params = {"dropout": 0.2, "early_stopping": early_stopping}
    one = network(**params).fit(X, y)
    several = network(**params, n_jobs=n_jobs).fit(X, y)
    for a, b in zip(one.networks_, several.networks_, strict=True):
        assert_same(a, b)


def test_one_network_is_an_estimator_without_members(three_classes):
    X, y = three_classes
    model = network(n_networks=1).fit(X, y)
    assert model.networks_ is None
    assert all(each.networks_ is None for each in network().fit(X, y).networks_)
    params = {"early_stopping": True, "scoring": "accuracy"}
    several = network(**params).fit(X, y).set_params(n_networks=1).fit(X, y)
    assert_same(several, network(**params, n_networks=1).fit(X, y))
    assert several.networks_ is None


# Predictions


@every_problem
@pytest.mark.parametrize("loss", ["log_loss", "hierarchical_softmax"])
def test_decisions_are_logarithms_of_averaged_probabilities(problem, loss, request):
    if problem == "labels" and loss != "log_loss":
        pytest.skip("it takes no labels")
    X, y = request.getfixturevalue(problem)
    model = network(problem, loss=loss).fit(X, y)
    proba, decisions = model.predict_proba(X), model.decision_function(X)
    expected = {
        "two_classes": lambda: logit(proba[:, 1]),
        "three_classes": lambda: np.log(proba),
        "labels": lambda: logit(proba),
    }[problem]()
    np.testing.assert_allclose(decisions, expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(model.predict_log_proba(X), np.log(proba), rtol=1e-9)
    if problem == "labels":
        chosen = (proba > 0.5).astype(int)
    else:
        np.testing.assert_allclose(proba.sum(axis=1), 1)
        chosen = model.classes_[proba.argmax(axis=1)]
    np.testing.assert_array_equal(model.predict(X), chosen)


@every_problem
@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
def test_raw_outputs_are_averaged_without_probabilities(problem, loss, request):
    X, y = request.getfixturevalue(problem)
    model = network(problem, loss=loss).fit(X, y)
    each = [single.decision_function(X) for single in model.networks_]
    np.testing.assert_allclose(model.decision_function(X), np.mean(each, axis=0))
    assert not hasattr(model, "predict_proba")


@pytest.mark.parametrize(
    "loss", ["squared_error", "absolute_error", "huber", "quantile", "poisson"]
)
def test_predictions_of_a_regressor_are_averaged_in_its_unit(loss, two_targets):
    X, y = two_targets
    y = 1000 + 50 * y
    y = y / 500 if loss == "poisson" else y
    model = network("two_targets", loss=loss).fit(X, y)
    each = [single.predict(X) for single in model.networks_]
    np.testing.assert_allclose(model.predict(X), np.mean(each, axis=0))


@every_target
def test_the_spread_is_the_disagreement_of_the_networks(problem, request):
    X, y = request.getfixturevalue(problem)
    model = network(problem).fit(X, y)
    each = np.array([response(single, X) for single in model.networks_])
    if problem == "two_classes":
        each = each[:, :, 1:]
    spread = model.predict_spread(X).reshape(each.shape[1:])
    np.testing.assert_allclose(spread, each.std(axis=0), rtol=1e-6, atol=1e-12)


@every_target
def test_with_noise_the_spread_is_the_total_deviation(problem, request):
    X, y = request.getfixturevalue(problem)
    params = {"dropout": 0.3, "marginalization": "monte_carlo", "n_mc_samples": 7}
    model = network(problem, **params).fit(X, y)
    mean = np.array([response(each, X) for each in model.networks_])
    within = np.array([each.predict_spread(X) for each in model.networks_])
    np.testing.assert_allclose(response(model, X), mean.mean(axis=0), rtol=1e-9)
    if problem == "two_classes":
        mean = mean[:, :, 1:]
    mean = mean.reshape(within.shape)
    total = np.sqrt((within**2).mean(axis=0) + mean.var(axis=0))
    np.testing.assert_allclose(model.predict_spread(X), total, rtol=1e-8)


def test_predictions_come_in_the_type_of_the_network(three_classes):
    X, y = three_classes
    model = network(dtype="float32").fit(X, y)
    for method in ("predict_proba", "predict_log_proba", "decision_function"):
        assert getattr(model, method)(X).dtype == np.float32


def test_many_rows_are_predicted_like_few(three_classes):
    X, y = three_classes
    model = network().fit(X, y)
    many = model.predict_proba(np.tile(X, (50, 1)))
    np.testing.assert_allclose(many[-len(X) :], model.predict_proba(X), rtol=1e-10)


# Early stopping: what each network holds out


def held_out(n, fraction, strata=None, k=5, seed=3):
    return [hold_out(n, fraction, 0, strata, Fold(seed, i, k))[1] for i in range(k)]


@pytest.mark.parametrize("n", [20, 101, 337])
@pytest.mark.parametrize(
    ("k", "fraction"), [(2, 0.5), (2, 0.1), (3, 0.6), (5, 0.2), (5, 0.8), (7, 0.3)]
)
@pytest.mark.parametrize("n_classes", [0, 2, 6])
def test_every_row_trains_some_network(n, k, fraction, n_classes):
    strata = None
    if n_classes:
        strata = np.random.default_rng(0).integers(n_classes, size=n)
    parts = held_out(n, fraction, strata, k)
    assert set.intersection(*map(set, parts)) == set()
    sizes = [len(part) for part in parts]
    assert max(sizes) <= np.ceil(fraction * n)
    assert min(sizes) >= min(np.ceil(fraction * n), n - np.ceil(n / k)) - n_classes


def test_a_fifth_of_five_networks_is_five_fold_cross_validation():
    parts = held_out(100, 0.2)
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(100))
    parts = held_out(103, 0.2)
    assert {len(part) for part in parts} == {21}
    assert set(np.concatenate(parts)) == set(range(103))


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.5])
def test_windows_keep_the_shares_of_the_classes(fraction):
    strata = np.repeat([0, 1, 2, 3], [700, 200, 97, 3])
    counts = np.bincount(strata)
    for part in held_out(1000, fraction, strata):
        shares = np.bincount(strata[part], minlength=4)
        assert np.all(np.abs(shares - fraction * counts) < 2)


def test_a_member_of_every_class_is_trained_on():
    strata = np.repeat([0, 1, 2, 3], [60, 30, 1, 1])
    for part in held_out(92, 0.5, strata):
        assert np.all(np.bincount(strata[part], minlength=4) < np.bincount(strata))


@every_target
@pytest.mark.parametrize("weighted", [False, True])
def test_under_early_stopping_it_equals_fits_with_the_validation_set_passed(
    problem, weighted, request
):
    X, y = request.getfixturevalue(problem)
    weight = np.random.default_rng(0).random(len(y)) + 0.5 if weighted else None
    params = {"early_stopping": True, "validation_fraction": 0.25, "dropout": 0.2}
    model = network(problem, **params, max_iter=15).fit(X, y, weight)
    strata = y if problem in ("two_classes", "three_classes") else None
    parts = []
    for i, ours in enumerate(model.networks_):
        fold = model._folds[i]
        train, held = hold_out(len(y), 0.25, 0, strata, fold)
        parts.append(set(held))
        validation = {"X_val": X[held], "y_val": y[held]}
        if weighted:
            validation["sample_weight_val"] = weight[held]
        theirs = single(model, i, validation_fraction=0.1)
        part = None if weight is None else weight[train]
        theirs.fit(X[train], y[train], part, **validation)
        assert_same(ours, theirs)
        assert ours.validation_scores_ == theirs.validation_scores_
        assert ours.best_epoch_ == theirs.best_epoch_
    assert len(parts[0]) == np.ceil(0.25 * len(y))
    assert not any(a == b for a, b in pairwise(parts))
    assert set.intersection(*parts) == set()


def test_a_validation_set_that_is_passed_serves_all(three_classes):
    X, y = three_classes
    model = network(early_stopping=True).fit(X[:60], y[:60], X_val=X[60:], y_val=y[60:])
    singles = by_hand(model, X[:60], y[:60], X_val=X[60:], y_val=y[60:])
    for ours, theirs in zip(model.networks_, singles, strict=True):
        assert_same(ours, theirs)


def test_more_than_can_be_held_out_raises(three_classes):
    X, y = three_classes
    model = network(early_stopping=True, validation_fraction=0.7)
    with pytest.raises(ValueError, match=r"validation_fraction=0\.7 is more than 2/3"):
        model.fit(X, y)
    assert not hasattr(model, "coefs_")
    model.set_params(n_networks=4).fit(X, y)


def test_rows_without_weight_are_held_out_by_no_network(three_classes):
    X, y = three_classes
    weight = np.ones(len(y))
    weight[::3] = 0
    params = {"early_stopping": True, "batch_norm": True}
    model = network(**params).fit(X, y, weight)
    kept = weight > 0
    other = network(**params).fit(X[kept], y[kept], weight[kept])
    for a, b in zip(model.networks_, other.networks_, strict=True):
        assert_same(a, b)


# Fits that continue


def test_warm_start_continues_all(three_classes):
    X, y = three_classes
    model = network(warm_start=True).fit(X, y)
    before = model.predict_proba(X)
    singles = [s.set_params(warm_start=True) for s in by_hand(model, X, y)]
    model.set_params(learning_rate_init=0.02).fit(X, y)
    for ours, theirs in zip(model.networks_, singles, strict=True):
        assert_same(ours, theirs.set_params(learning_rate_init=0.02).fit(X, y))
    assert np.any(before != model.predict_proba(X))


@pytest.mark.parametrize("early_stopping", [False, True])
def test_warm_start_adds_networks(early_stopping, three_classes):
    X, y = three_classes
    params = {"early_stopping": early_stopping}
    model = network(n_networks=1, warm_start=True, **params).fit(X, y)
    assert len(model.set_params(n_networks=2).fit(X, y).networks_) == 2
    model.set_params(n_networks=4).fit(X, y)
    assert [len(each.loss_curve_) for each in model.networks_] == [18, 12, 6, 6]
    assert model.networks_[0].random_state == 0
    alone = network(n_networks=1, warm_start=True, **params)
    for _ in range(3):
        alone.fit(X, y)
    assert_same(model, alone)
    model.set_params(n_networks=3)
    with pytest.raises(ValueError, match="n_networks=3 is less than the 4 networks"):
        model.fit(X, y)
    with pytest.raises(ValueError, match="n_networks=1 is less than the 4 networks"):
        model.set_params(n_networks=1).fit(X, y)
    assert len(model.networks_) == 4
    assert model.set_params(warm_start=False).fit(X, y).networks_ is None


@every_target
def test_partial_fit_shows_every_network_the_chunk(problem, request):
    X, y = request.getfixturevalue(problem)
    model = network(problem)
    first = {}
    if problem != "one_target":
        first["classes"] = np.arange(y.shape[1]) if y.ndim == 2 else np.unique(y)
    for rows in (slice(0, 40), slice(40, None)):
        model.partial_fit(X[rows], y[rows], **first)
    for i, ours in enumerate(model.networks_):
        theirs = single(model, i)
        for rows in (slice(0, 40), slice(40, None)):
            theirs.partial_fit(X[rows], y[rows], **first)
        assert_same(ours, theirs)
    assert model.t_ == len(y)


def test_data_frames_give_names_to_all_networks(three_classes):
    pd = pytest.importorskip("pandas")
    X, y = three_classes
    X = pd.DataFrame(X, columns=list("abcdef"))
    model = network(warm_start=True, early_stopping=True)
    for _ in range(2):
        model.fit(X, y, X_val=X[:30], y_val=y[:30])
    for each in [model, *model.networks_]:
        assert list(each.feature_names_in_) == list("abcdef")
        each.predict(X)
    model.set_params(early_stopping=False).partial_fit(X, y)
    with pytest.raises(ValueError, match=r"^X_val, y_val.*feature names"):
        model.set_params(early_stopping=True).fit(
            X, y, X_val=X.rename(columns={"a": "z"}), y_val=y
        )


def test_words_are_classes(three_classes):
    X, y = three_classes
    words = np.array(["a", "bb", "ccc"], dtype=object)[y]
    model = network().fit(X, words)
    np.testing.assert_array_equal(
        model.predict(X), words[[np.flatnonzero(y == c)[0] for c in range(3)]][
            network().fit(X, y).predict(X)
        ]
    )  # fmt: skip
    assert model.networks_[1].classes_.tolist() == ["a", "bb", "ccc"]


# What fits tell


@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_warning_of_several_networks_comes_once(n_jobs, solver, three_classes):
    X, y = three_classes
    message = "Maximum iterations" if solver == "adam" else "failed to converge"
    with pytest.warns(ConvergenceWarning, match=message) as caught:
        network(max_iter=2, n_jobs=n_jobs, solver=solver).fit(X, y)
    assert {w.filename for w in caught} == {__file__}
    told = [str(w.message) for w in caught if message in str(w.message)]
    assert len(told) == 1
    assert told[0].endswith("(In 3 of 3 networks.)")


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_warning_about_parameters_comes_once(n_jobs, three_classes):
    X, y = three_classes
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        network(batch_size=1000, momentum=0.5, n_jobs=n_jobs).fit(X, y)
    told = [w for w in caught if w.category is not ConvergenceWarning]
    assert {w.filename for w in told} == {__file__}
    messages = sorted(str(w.message) for w in told)
    assert len(messages) == 2
    assert "batch_size=1000" in messages[0]
    assert messages[1].startswith("momentum=0.5 has no effect")


def test_warnings_of_partial_fit_point_to_its_line(three_classes):
    X, y = three_classes
    with pytest.warns(UserWarning, match=r"momentum=0\.5 has no effect") as caught:
        network(momentum=0.5).partial_fit(X, y, classes=[0, 1, 2])
    assert caught[0].filename == __file__


def test_n_jobs_of_one_network_has_no_effect(three_classes):
    X, y = three_classes
    with pytest.warns(UserWarning, match="n_jobs=2 has no effect: n_networks=1"):
        network(n_networks=1, n_jobs=2).fit(X, y)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_lines_name_the_network(n_jobs, three_classes, capsys):
    X, y = three_classes
    network(verbose=True, n_jobs=n_jobs, max_iter=2).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    for i in range(3):
        own = [line for line in lines if line.startswith(f"Network {i}: ")]
        epochs = [line.split(": ")[1].split(",")[0] for line in own[1:]]
        assert epochs == ["Iteration 1", "Iteration 2"]
    assert len(lines) == 9


# What goes wrong


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_failure_leaves_the_estimator_as_it_was(n_jobs, one_target):
    X, y = one_target
    model = network("one_target", n_jobs=n_jobs, warm_start=True).fit(X, y)
    before, networks = model.predict(X), list(model.networks_)
    model.set_params(learning_rate_init=1e300)
    with pytest.raises(ValueError, match="non-finite"):
        model.fit(X, y)
    np.testing.assert_array_equal(model.predict(X), before)
    assert model.networks_ == networks
    new = network("one_target", n_jobs=n_jobs, learning_rate_init=1e300)
    with pytest.raises(ValueError, match="non-finite"):
        new.fit(X, y)
    assert not [name for name in vars(new) if name.endswith("_")]


def test_a_failure_on_one_thread_ends_the_others(three_classes):
    X, y = three_classes
    seed = network().fit(X, y).networks_[0].random_state
    begun = threading.Event()

    def scorer(estimator, X, y):
        if estimator.random_state != seed:
            begun.set()
            return estimator.score(X, y)
        assert begun.wait(60)
        raise RuntimeError("no")

    endless = {"max_iter": 10**6, "n_iter_no_change": np.inf}
    model = network(n_jobs=2, early_stopping=True, scoring=scorer, **endless)
    with pytest.raises(RuntimeError, match="no") as error:
        model.fit(X, y)
    assert "scored the validation set" in error.value.__notes__[0]
    assert not hasattr(model, "coefs_")


def interrupting(monkeypatch, at):
    """Let the at-th epoch of all be interrupted, as by the user's Ctrl-C."""
    calls = []
    update = engine_monitor.Monitor.update

    def interrupted(self, loss):
        calls.append(0)
        if len(calls) == at:
            raise KeyboardInterrupt
        update(self, loss)

    monkeypatch.setattr(engine_monitor.Monitor, "update", interrupted)


def test_an_interruption_keeps_the_networks_that_have_begun(three_classes, monkeypatch):
    X, y = three_classes
    interrupting(monkeypatch, at=9)
    with pytest.warns(UserWarning, match="interrupted by user") as caught:
        model = network(warm_start=True).fit(X, y)
    messages = [str(w.message) for w in caught if "interrupted" in str(w.message)]
    assert "2 of 3 networks are kept" in messages[0]
    assert "after 2 epochs" in messages[1]
    assert [each.n_iter_ for each in model.networks_] == [6, 2]
    np.testing.assert_allclose(
        model.predict_proba(X),
        np.mean([each.predict_proba(X) for each in model.networks_], axis=0),
    )
    assert [each.n_iter_ for each in model.fit(X, y).networks_] == [6, 6, 6]


def test_an_interruption_before_the_first_epoch_raises(three_classes, monkeypatch):
    X, y = three_classes
    interrupting(monkeypatch, at=1)
    model = network()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    assert not hasattr(model, "coefs_")


def test_an_interruption_while_threads_train_ends_them(three_classes, monkeypatch):
    X, y = three_classes
    wait, calls = _threads._Thread.wait, []

    def interrupted(self):
        calls.append(self)
        if len(calls) == 1:
            time.sleep(0.3)
            raise KeyboardInterrupt
        wait(self)

    monkeypatch.setattr(_threads._Thread, "wait", interrupted)
    model = network(n_jobs=3, max_iter=10**6, n_iter_no_change=np.inf)
    with pytest.warns(UserWarning, match=r"interrupted by user: \d of 3") as told:
        model.fit(X, y)
    assert len(told) == 1
    assert 1 <= len(model.networks_) <= 3
    assert all(0 < each.n_iter_ < 10**6 for each in model.networks_)


# Copies, searches, callbacks


def test_copies_predict_the_same(three_classes):
    X, y = three_classes
    model = network().fit(X, y)
    copied = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copied.predict_proba(X), model.predict_proba(X))
    assert copied.coefs_ is copied.networks_[0].coefs_
    again = clone(model)
    assert again.get_params() == model.get_params()
    np.testing.assert_array_equal(
        again.fit(X, y).predict_proba(X), model.predict_proba(X)
    )


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_search_over_the_number_of_networks(n_jobs, three_classes):
    X, y = three_classes
    pipeline = make_pipeline(Standardizer(), network(n_jobs=2))
    grid = {"mlpclassifier__n_networks": [2, 3]}
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=n_jobs).fit(X, y)
    assert len(search.best_estimator_[-1].networks_) in (2, 3)


@pytest.mark.needs("scikit-learn>=1.9", "it has callbacks")
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_callbacks_see_every_epoch_of_every_network(n_jobs, three_classes):
    X, y = three_classes
    events, fitted = [], []

    class Recorder:
        def setup(self, estimator, context):
            pass

        def teardown(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context):
            events.append(f"begin {context.task_name} {context.task_id}")

        def on_fit_task_end(self, estimator, context, *, X, fitted_estimator):
            assert isinstance(estimator, MLPClassifier)
            events.append(f"end {context.task_name} {context.task_id}")
            fitted.append((context.task_name, fitted_estimator.predict_proba(X)))

    model = network(max_iter=2, n_jobs=n_jobs).set_callbacks(Recorder())
    model.fit(X, y)
    plain = network(max_iter=2).fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(X), plain.predict_proba(X))
    assert len(events) == 2 * (1 + 3 + 6)
    assert (events[0], events[-1]) == ("begin fit 0", "end fit 0")
    for i in range(3):
        assert events.count(f"end network {i}") == 1
    np.testing.assert_array_equal(fitted[-1][1], model.predict_proba(X))
    if n_jobs is None:
        networks = [proba for name, proba in fitted if name == "network"]
        for proba, each in zip(networks, plain.networks_, strict=True):
            np.testing.assert_array_equal(proba, each.predict_proba(X))
    assert not any(hasattr(each, "_skl_callbacks") for each in model.networks_)


@pytest.mark.needs("scikit-learn>=1.9", "it has callbacks")
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_scikit_learns_callbacks_watch_an_ensemble(n_jobs, three_classes, capsys):
    from sklearn.callback import ProgressBar, ScoringMonitor

    X, y = three_classes
    monitor = ScoringMonitor(scoring="accuracy")
    model = network(max_iter=2, n_jobs=n_jobs).set_callbacks(monitor, ProgressBar())
    model.fit(X, y)
    log = monitor.get_logs().data_as_pandas
    assert (log["task_name"] == "epoch").sum() == 6
    assert log["accuracy"].iloc[-1] == model.score(X, y)


# Inspection


def test_checks_before_a_training_look_at_one_network(three_classes):
    X, y = three_classes
    assert len(sanity_check(network(max_iter=50), X, y).findings) > 3


def test_displays_take_the_first_network(three_classes, one_target):
    plt = pytest.importorskip("matplotlib.pyplot")
    X, y = three_classes
    model = network().fit(X, y)
    ours = ActivationsDisplay.from_estimator(model, X)
    theirs = ActivationsDisplay.from_estimator(model.networks_[0], X)
    np.testing.assert_equal(ours.outputs, theirs.outputs)
    X, y = one_target
    model = network("one_target").fit(X[:, :1], y)
    display = UncertaintyDisplay.from_estimator(model, X[:, :1])
    np.testing.assert_array_equal(display.spread, model.predict_spread(X[:, :1]))
    plt.close("all")


# scikit-learn's own checks


@pytest.mark.one_in(3)
@pytest.mark.filterwarnings("ignore:Got batch_size")
@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        pytest.param(estimator, check, id=f"{type(estimator).__name__}-{i}")
        for cls in (MLPClassifier, MLPRegressor)
        for i, (estimator, check) in enumerate(
            estimator_checks_generator(
                cls(
                    hidden_layer_sizes=(20,),
                    learning_rate_init=0.02,
                    max_iter=30,
                    n_networks=2,
                )
            )
        )
    ],
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)
