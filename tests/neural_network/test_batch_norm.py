"""Batch norm through the estimators: its numbers, averages, batches and its use."""

import copy
from functools import partial

import numpy as np
import pytest

from sknn_notes import MLPClassifier, MLPRegressor
from sknn_notes.initializers import Normal
from sknn_notes.layers import BatchNorm


@pytest.fixture
def torch():
    """PyTorch on one thread: arrays this small lose much to waiting for others."""
    module = pytest.importorskip("torch")
    n_threads = module.get_num_threads()
    module.set_num_threads(1)
    yield module
    module.set_num_threads(n_threads)


def classifier(**parameters):
    defaults = {
        "hidden_layer_sizes": (7, 5),
        "batch_norm": True,
        "batch_size": 16,
        "max_iter": 8,
        "random_state": 0,
    }
    return MLPClassifier(**(defaults | parameters))


def parameters_of(model):
    """Return the fitted arrays, all of them, as copies."""
    fitted = [array for norm in model.batch_norm_ for array in norm.values()]
    return copy.deepcopy([*model.coefs_, *model.intercepts_, *fitted])


def assert_same(model, other, rtol=0):
    for a, b in zip(parameters_of(model), parameters_of(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)


def statistics(model, X):
    """Return mean and biased variance of every hidden layer's inputs on all of ``X``.

    The layers are normalized with these statistics, not with the running ones.
    """
    result, A = [], X
    for W, norm in zip(model.coefs_[:-1], model.batch_norm_, strict=True):
        Z = A @ W
        mean, var = Z.mean(axis=0), Z.var(axis=0)
        result.append((mean, var))
        Z = (Z - mean) / np.sqrt(var + 1e-5) * norm["scale"] + norm["shift"]
        A = np.maximum(Z, 0)
    return result


# PyTorch's


@pytest.mark.filterwarnings("ignore:.* has no effect")
@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("task", ["classes", "two classes", "targets"])
def test_training_and_prediction_are_torchs(torch, solver, task, three_classes):
    X, y = three_classes
    X, y = X[:43], y[:43]
    if task == "two classes":
        y = y % 2
    elif task == "targets":
        y = X[:, :2] + 0.1 * y[:, None]
    options = {
        "hidden_layer_sizes": (7, 5),
        "batch_norm": BatchNorm(momentum=0.3, eps=1e-4),
        "solver": solver,
        "learning_rate_init": 0.02,
        "shuffle": False,
        "batch_size": 10,
        "random_state": 1,
        "alpha": 0.01,
        # The placements of epsilon differ, which here is below rounding.
        "epsilon": 1e-300,
    }
    cls = MLPClassifier
    if task == "targets":
        cls = partial(MLPRegressor, standardize_target=False)
    # A rate that rounding swallows leaves the weights as they were drawn.
    start = cls(**options, max_iter=1).set_params(
        learning_rate_init=1e-300, solver="sgd"
    )
    start.fit(X, y)
    weights = [torch.tensor(W, requires_grad=True) for W in start.coefs_]
    bias = torch.tensor(start.intercepts_[-1], requires_grad=True)
    norms = [torch.nn.BatchNorm1d(n, eps=1e-4, momentum=0.3).double() for n in (7, 5)]
    learned = [p for norm in norms for p in norm.parameters()]

    def forward(A):
        for W, norm in zip(weights[:-1], norms, strict=True):
            A = torch.relu(norm(A @ W))
        return A @ weights[-1] + bias

    def loss(raw, target):
        if task == "targets":
            return 0.5 * ((raw - target) ** 2).sum(1).mean()
        if task == "two classes":
            logistic = torch.nn.functional.binary_cross_entropy_with_logits
            return logistic(raw[:, 0], target.double())
        return torch.nn.functional.cross_entropy(raw, target)

    if solver == "adam":
        optimizer = torch.optim.Adam([*weights, bias, *learned], lr=0.02, eps=1e-300)
    else:
        optimizer = torch.optim.SGD(
            [*weights, bias, *learned], lr=0.02, momentum=0.9, nesterov=True
        )
    inputs, targets = torch.tensor(X), torch.tensor(y)
    curve = []
    for _ in range(3):
        total = 0.0
        for rows in torch.arange(len(X)).split(10):
            value = loss(forward(inputs[rows]), targets[rows])
            value = value + 0.005 * sum((W**2).sum() for W in weights)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            total += value.item() * len(rows)
        curve.append(total / len(X))

    model = cls(**options, max_iter=3).fit(X, y)
    np.testing.assert_allclose(model.loss_curve_, curve, rtol=1e-10)
    for ours, theirs in zip(model.coefs_, weights, strict=True):
        np.testing.assert_allclose(ours, theirs.detach().numpy(), 1e-8, 1e-11)
    for ours, norm in zip(model.batch_norm_, norms, strict=True):
        theirs = {
            "scale": norm.weight,
            "shift": norm.bias,
            "mean": norm.running_mean,
            "var": norm.running_var,
        }
        for name, tensor in theirs.items():
            np.testing.assert_allclose(
                ours[name], tensor.detach().numpy(), 1e-8, 1e-11, err_msg=name
            )
    for norm in norms:
        norm.eval()
    raw = forward(inputs).detach().numpy()
    predict = model.predict if task == "targets" else model.decision_function
    expected = raw[:, 0] if task == "two classes" else raw
    np.testing.assert_allclose(predict(X), expected, 1e-8, 1e-10)


# What a fit leaves behind


def test_the_attribute_holds_four_arrays_a_hidden_layer(three_classes):
    X, y = three_classes
    model = classifier().fit(X.astype(np.float32), y)
    assert len(model.batch_norm_) == 2
    for fitted, n_units in zip(model.batch_norm_, (7, 5), strict=True):
        assert set(fitted) == {"scale", "shift", "mean", "var"}
        for array in fitted.values():
            assert array.shape == (n_units,)
            assert array.dtype == np.float32
        assert np.all(fitted["var"] > 0)
        assert not np.array_equal(fitted["scale"], np.ones(n_units))


@pytest.mark.filterwarnings("ignore:.* has no effect")
@pytest.mark.parametrize("hidden_layer_sizes", [(7,), ()])
def test_there_is_none_without_it_or_without_hidden_layers(
    three_classes, hidden_layer_sizes
):
    X, y = three_classes
    model = classifier(hidden_layer_sizes=hidden_layer_sizes, batch_norm=False)
    assert model.fit(X, y).batch_norm_ is None
    if hidden_layer_sizes == ():
        assert model.set_params(batch_norm=True).fit(X, y).batch_norm_ is None


@pytest.mark.filterwarnings("ignore:.* has no effect")
@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_the_biases_it_makes_redundant_are_zeros(three_classes, solver):
    X, y = three_classes
    model = classifier(solver=solver, bias_init=0.5, penalize_bias=True).fit(X, y)
    for b in model.intercepts_[:-1]:
        np.testing.assert_array_equal(b, 0)
    assert (model.intercepts_[-1] != 0).all()


def test_the_newest_batch_alone_counts_at_a_momentum_of_one(three_classes):
    X, y = three_classes
    model = classifier(
        hidden_layer_sizes=(7,),
        batch_norm=BatchNorm(momentum=1.0),
        batch_size=90,
        max_iter=1,
        solver="sgd",
        learning_rate_init=1e-300,
    ).fit(X, y)
    Z = X @ model.coefs_[0]
    np.testing.assert_allclose(model.batch_norm_[0]["mean"], Z.mean(axis=0), 1e-12)
    np.testing.assert_allclose(model.batch_norm_[0]["var"], Z.var(0, ddof=1), 1e-12)


def test_the_averages_start_from_zero_and_one(three_classes):
    X, y = three_classes
    model = classifier(
        hidden_layer_sizes=(7,),
        batch_norm=BatchNorm(momentum=0.25),
        batch_size=90,
        max_iter=2,
        solver="sgd",
        learning_rate_init=1e-300,
    ).fit(X, y)
    Z = X @ model.coefs_[0]
    fitted, share = model.batch_norm_[0], 1 - 0.75**2
    np.testing.assert_allclose(fitted["mean"], share * Z.mean(axis=0), 1e-12)
    np.testing.assert_allclose(
        fitted["var"], 0.75**2 + share * Z.var(axis=0, ddof=1), 1e-12
    )


def test_prediction_does_not_depend_on_the_rows_around(three_classes):
    X, y = three_classes
    model = classifier().fit(X, y)
    together = model.predict_proba(X)
    alone = np.vstack([model.predict_proba(row[None]) for row in X])
    np.testing.assert_allclose(alone, together, rtol=1e-12)
    np.testing.assert_allclose(model.predict_proba(X[::-3]), together[::-3], 1e-12)


@pytest.mark.filterwarnings("ignore:.* has no effect")
def test_lbfgs_predicts_with_the_statistics_of_the_final_weights(three_classes):
    X, y = three_classes
    model = classifier(solver="lbfgs", max_iter=15, alpha=0.1).fit(X, y)
    for fitted, (mean, var) in zip(
        model.batch_norm_, statistics(model, X), strict=True
    ):
        np.testing.assert_allclose(fitted["mean"], mean, atol=1e-10)
        np.testing.assert_allclose(fitted["var"], var, rtol=1e-10)


@pytest.mark.filterwarnings("ignore:.* has no effect")
def test_lbfgs_reports_the_loss_that_its_predictions_have(three_classes):
    X, y = three_classes
    model = classifier(solver="lbfgs", alpha=0.0, max_iter=15).fit(X, y)
    log_proba = model.predict_log_proba(X)[np.arange(len(y)), y]
    assert model.loss_ == pytest.approx(-log_proba.mean(), rel=1e-9)


# Going on, and going back


@pytest.mark.parametrize("solver", ["sgd", "adam", "adamw", "rmsprop"])
def test_partial_fits_carry_the_running_averages(three_classes, solver):
    X, y = three_classes
    whole = classifier(solver=solver, max_iter=4).fit(X, y)
    steps = classifier(solver=solver)
    for _ in range(4):
        steps.partial_fit(X, y, classes=[0, 1, 2])
    assert_same(whole, steps)


def test_a_warm_start_carries_the_running_averages(three_classes):
    X, y = three_classes
    whole = classifier(max_iter=6, n_iter_no_change=np.inf).fit(X, y)
    halves = classifier(max_iter=3, n_iter_no_change=np.inf, warm_start=True)
    halves.fit(X, y).fit(X, y)
    assert_same(whole, halves)


def test_a_new_fit_starts_its_averages_anew(three_classes):
    X, y = three_classes
    model = classifier().fit(100 + X, y)
    assert_same(model.fit(X, y), classifier().fit(X, y))


@pytest.mark.filterwarnings("ignore:.* has no effect")
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_early_stopping_restores_the_averages_of_the_best_weights(
    three_classes, solver
):
    X, y = three_classes

    def stopped(max_iter):
        return classifier(
            solver=solver,
            early_stopping=True,
            validation_fraction=0.3,
            learning_rate_init=0.05,
            n_iter_no_change=12,
            max_iter=max_iter,
        ).fit(X, y)

    model = stopped(100)
    best = int(np.argmax(model.validation_scores_)) + 1
    assert 1 < best < len(model.validation_scores_) - 3
    assert_same(model, stopped(best))


def test_switching_it_when_going_on_raises(three_classes):
    X, y = three_classes
    for before in (True, False):
        model = classifier(batch_norm=before, warm_start=True).fit(X, y)
        model.set_params(batch_norm=not before)
        with pytest.raises(ValueError, match=rf"batch_norm={before}.*{not before}"):
            model.fit(X, y)


# Batches that can be normalized


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_last_batch_of_one_row_is_merged_into_the_one_before(one_target, shuffle):
    X, y = one_target
    model = MLPRegressor(
        hidden_layer_sizes=(5,),
        batch_norm=BatchNorm(momentum=1.0),
        batch_size=20,
        shuffle=shuffle,
        max_iter=3,
        random_state=0,
        solver="sgd",
        learning_rate_init=1e-300,
    ).fit(X[:61], y[:61])
    assert model.t_ == 3 * 61
    if not shuffle:
        # At a momentum of 1 the last batch is what is left. It has 21 rows.
        fitted = model.batch_norm_[0]
        Z = X[40:61] @ model.coefs_[0]
        np.testing.assert_allclose(fitted["mean"], Z.mean(axis=0), 1e-12)
        np.testing.assert_allclose(fitted["var"], Z.var(axis=0, ddof=1), 1e-12)
    assert np.isfinite(model.loss_curve_).all()


def test_samples_without_weight_are_not_among_its_statistics(three_classes):
    X, y = three_classes
    weight = (np.arange(len(X)) % 3 > 0).astype(float)
    kept = weight > 0
    options = {"batch_norm": True, "max_iter": 3, "random_state": 0}
    one = MLPClassifier(**options).fit(X[kept], y[kept])
    other = MLPClassifier(**options)
    other.fit(np.where(kept[:, None], X, 100.0), y, sample_weight=weight)
    np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X))


def test_a_partial_fit_on_one_row_raises(three_classes):
    X, y = three_classes
    model = classifier(batch_size="auto").fit(X, y)
    before = parameters_of(model)
    with pytest.raises(ValueError, match=r"batch_norm.* at least 2.*Got 1 samples"):
        model.partial_fit(X[:1], y[:1])
    for a, b in zip(before, parameters_of(model), strict=True):
        np.testing.assert_array_equal(a, b)
    model.partial_fit(X[:2], y[:2])


@pytest.mark.parametrize("batch_norm", [True, BatchNorm()])
def test_batches_of_one_row_raise(three_classes, batch_norm):
    X, y = three_classes
    with pytest.raises(ValueError, match=r"batch_norm.*batch_size=1\."):
        classifier(batch_norm=batch_norm, batch_size=1).fit(X, y)


@pytest.mark.filterwarnings("ignore:.* has no effect")
def test_lbfgs_knows_no_batch_size(three_classes):
    X, y = three_classes
    model = classifier(solver="lbfgs", batch_size=1).fit(X, y)
    assert np.isfinite(model.loss_)


@pytest.mark.parametrize(
    ("part", "name"),
    [(BatchNorm(momentum=0.0), "momentum"), (BatchNorm(eps=0.0), "eps")],
)
def test_a_parameter_outside_its_domain_raises(three_classes, part, name):
    with pytest.raises(ValueError, match=f"'{name}' parameter of BatchNorm"):
        classifier(batch_norm=part).fit(*three_classes)


# What it is for


def test_it_rescues_a_bad_init(three_classes):
    X, y = three_classes

    def deep(batch_norm):
        return classifier(
            hidden_layer_sizes=(20,) * 6,
            init=Normal(std=0.01),
            batch_norm=batch_norm,
            learning_rate_init=0.01,
            n_iter_no_change=np.inf,
            max_iter=60,
        ).fit(X, y)

    with_it, without = deep(True), deep(False)
    # Without, the signal dies on its way and the network stays at chance, ln 3.
    assert without.loss_curve_[-1] > 0.95 * np.log(3)
    assert with_it.loss_curve_[-1] < 0.3
    assert with_it.score(X, y) > 0.9


def test_it_forgets_the_scale_of_the_weights_before_it(three_classes):
    X, y = three_classes
    outputs = [
        classifier(
            init=Normal(std=std),
            batch_norm=BatchNorm(momentum=1.0, eps=1e-300),
            batch_size=90,
            solver="sgd",
            learning_rate_init=1e-300,
            max_iter=1,
        )
        .fit(X, y)
        .decision_function(X)
        / std
        for std in (1e-3, 1.0)
    ]
    np.testing.assert_allclose(*outputs, rtol=1e-9, atol=1e-9)


@pytest.mark.filterwarnings("ignore:.* has no effect")
def test_without_hidden_layers_there_is_nothing_to_normalize():
    X = np.random.default_rng(0).normal(size=(20, 3))
    y = np.arange(20) % 2
    model = MLPClassifier((), batch_norm=True, batch_size=1, max_iter=2).fit(X, y)
    model.set_params(batch_size="auto").partial_fit(X[:1], y[:1])
    assert model.batch_norm_ is None
