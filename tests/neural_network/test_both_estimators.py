"""What the classifier and the regressor share: data, precision, layers, draws."""

import inspect
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn.neural_network
from sklearn.exceptions import ConvergenceWarning

import sknn_notes
from sknn_notes import MLPClassifier, MLPRegressor
from sknn_notes.activations import ReLU, Tanh
from sknn_notes.initializers import Zeros

BOTH = pytest.mark.parametrize("estimator_class", [MLPClassifier, MLPRegressor])


def network(estimator_class, **params):
    if estimator_class is MLPRegressor:
        # What holds for both holds for targets as they are.
        params = {"standardize_target": False, **params}
    return estimator_class(
        **{
            "hidden_layer_sizes": (10,),
            "learning_rate_init": 0.01,
            "max_iter": 10,
            "random_state": 0,
            **params,
        }
    )


def outputs(model, X):
    """Return what the last layer puts out."""
    if isinstance(model, MLPClassifier):
        return model.decision_function(X)
    return model.predict(X)


# Signatures


@pytest.mark.needs("scikit-learn>=1.7", "its MLPs take sample weights and the loss")
@BOTH
def test_parameters_of_scikit_learns_class_come_first_and_alike(estimator_class):
    name = estimator_class.__name__
    ours = inspect.signature(estimator_class).parameters
    theirs = inspect.signature(getattr(sklearn.neural_network, name)).parameters
    assert list(ours)[: len(theirs)] == list(theirs)
    for parameter in theirs.values():
        assert ours[parameter.name].default == parameter.default
        assert ours[parameter.name].kind == parameter.kind


@pytest.mark.needs("scikit-learn>=1.7", "its MLPs take sample weights and the loss")
@BOTH
def test_new_parameters_are_keyword_only(estimator_class):
    name = estimator_class.__name__
    ours = inspect.signature(estimator_class).parameters
    theirs = inspect.signature(getattr(sklearn.neural_network, name)).parameters
    new = ours.keys() - theirs.keys()
    assert {"dropout", "init", "penalty", "dtype"} <= new
    assert all(ours[n].kind is inspect.Parameter.KEYWORD_ONLY for n in new)


@pytest.mark.needs("scikit-learn>=1.7", "its MLPs take sample weights and the loss")
@BOTH
def test_public_methods_of_scikit_learns_class_take_the_same_arguments(estimator_class):
    theirs = getattr(sklearn.neural_network, estimator_class.__name__)
    for name, method in inspect.getmembers(theirs, callable):
        if name.startswith("_"):
            continue
        ours = inspect.signature(getattr(estimator_class, name)).parameters
        wanted = inspect.signature(method).parameters
        by_place = [
            p for p in wanted if wanted[p].kind != inspect.Parameter.KEYWORD_ONLY
        ]
        assert list(ours)[: len(by_place)] == by_place, name
        assert all(ours[p].default == wanted[p].default for p in wanted), name


@BOTH
def test_fitted_attributes_of_scikit_learns_class_are_all_there(
    estimator_class, three_classes
):
    X, y = three_classes
    theirs = getattr(sklearn.neural_network, estimator_class.__name__)(max_iter=2)
    wanted = {name for name in vars(theirs.fit(X, y)) if name.endswith("_")}
    assert wanted <= vars(network(estimator_class).fit(X, y)).keys()


def test_every_public_estimator_is_exported():
    assert {"MLPClassifier", "MLPRegressor"} <= set(sknn_notes.__all__)


# Sparse input

CONTAINERS = pytest.mark.parametrize(
    "container", [sp.csr_array, sp.csr_matrix, sp.csc_array, sp.csc_matrix]
)


@pytest.mark.filterwarnings("ignore:.* has no effect")
@BOTH
@CONTAINERS
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_sparse_input_gives_the_network_of_dense_input(
    estimator_class, container, solver, mostly_zeros
):
    X, y = mostly_zeros
    params = {"solver": solver, "batch_size": 16}
    if solver != "lbfgs":
        params["dropout"] = 0.3
    dense = network(estimator_class, **params).fit(X, y)
    sparse = network(estimator_class, **params).fit(container(X), y)
    np.testing.assert_allclose(
        outputs(sparse, container(X)), outputs(dense, X), rtol=1e-6, atol=1e-9
    )


def in_parts(X):
    """Return CSR whose entries are stored in two parts, out of order, among zeros."""
    X = sp.coo_array(X)
    data = np.concatenate([3 * X.data, np.zeros(5), -2 * X.data])
    rows = np.concatenate([X.row, np.arange(5), X.row])
    columns = np.concatenate([X.col, np.arange(5), X.col])
    order = np.lexsort((-np.arange(len(data)), rows))
    ends = np.cumsum(np.bincount(rows, minlength=X.shape[0]))
    return sp.csr_array(
        (data[order], columns[order], np.concatenate([[0], ends])), X.shape
    )


def coo_in_parts(X):
    X = sp.coo_array(X)
    twice = [np.tile(indices, 2) for indices in (X.row, X.col)]
    return sp.coo_array((np.tile(X.data / 2, 2), twice), X.shape)


@BOTH
@pytest.mark.parametrize(
    "container",
    [sp.csr_array, sp.csr_matrix, sp.csc_array, sp.coo_array, in_parts, coo_in_parts],
)
def test_sparse_input_is_dropped_as_dense_input(
    estimator_class, container, mostly_zeros
):
    X, y = mostly_zeros
    S = container(X)
    np.testing.assert_allclose(S.toarray(), X)
    params = {"input_dropout": 0.3, "batch_size": 16}
    dense = network(estimator_class, **params).fit(X, y)
    sparse = network(estimator_class, **params).fit(S, y)
    np.testing.assert_allclose(sparse.loss_curve_, dense.loss_curve_, rtol=1e-9)
    np.testing.assert_allclose(outputs(sparse, S), outputs(dense, X), rtol=1e-6)
    for model in (dense, sparse):
        model.set_params(marginalization="monte_carlo", n_mc_samples=3)
    np.testing.assert_allclose(outputs(sparse, S), outputs(dense, X), rtol=1e-6)


@BOTH
def test_sparse_input_is_left_unchanged(estimator_class, mostly_zeros):
    X, y = mostly_zeros
    S = sp.csr_array(X)
    network(estimator_class, input_dropout=0.3).fit(S, y).predict(S)
    np.testing.assert_array_equal(S.toarray(), X)


@BOTH
def test_sparse_input_is_taken_by_early_stopping_and_partial_fit(
    estimator_class, mostly_zeros
):
    X, y = mostly_zeros
    S = sp.csr_array(X)
    dense = network(estimator_class, early_stopping=True).fit(X, y)
    sparse = network(estimator_class, early_stopping=True).fit(S, y)
    np.testing.assert_allclose(outputs(sparse, S), outputs(dense, X), rtol=1e-6)
    for model, data in ((dense, X), (sparse, S)):
        model.set_params(early_stopping=False).partial_fit(data, y)
    np.testing.assert_allclose(outputs(sparse, S), outputs(dense, X), rtol=1e-6)


# Precision


def dtypes(model):
    return {array.dtype.name for array in (*model.coefs_, *model.intercepts_)}


@BOTH
@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_float32_stays_float32(estimator_class, solver, container, three_classes):
    X, y = three_classes
    X = container(X.astype(np.float32))
    weight = np.ones(len(y))
    model = network(estimator_class, solver=solver, dropout=0.2, input_dropout=0.2)
    model.fit(X, y, sample_weight=weight).partial_fit(X, y)
    assert dtypes(model) == {"float32"}
    assert outputs(model, X).dtype == np.float32
    if estimator_class is MLPClassifier:
        assert model.predict_proba(X).dtype == np.float32
        assert model.predict_log_proba(X).dtype == np.float32


@BOTH
@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int64, bool])
def test_every_other_type_is_computed_in_float64(estimator_class, dtype, three_classes):
    X, y = three_classes
    X = X.astype(dtype)
    model = network(estimator_class).fit(X, y)
    assert dtypes(model) == {"float64"}
    assert outputs(model, X).dtype == np.float64


@BOTH
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("given", [np.float32, np.float64])
def test_dtype_overrules_the_type_of_the_data(
    estimator_class, dtype, given, three_classes
):
    X, y = three_classes
    model = network(estimator_class, dtype=dtype).fit(X.astype(given), y)
    assert dtypes(model) == {dtype}
    for data in (X, X.astype(np.float32)):
        assert outputs(model, data).dtype == dtype


@BOTH
def test_both_precisions_start_from_the_same_draws(estimator_class, three_classes):
    X, y = three_classes
    params = {"dropout": 0.3, "input_dropout": 0.3, "max_iter": 3}
    single = network(estimator_class, dtype="float32", **params).fit(X, y)
    double = network(estimator_class, dtype="float64", **params).fit(X, y)
    np.testing.assert_allclose(outputs(single, X), outputs(double, X), atol=1e-4)


@pytest.mark.filterwarnings("ignore:.* has no effect")
@BOTH
def test_lbfgs_computes_in_float64(estimator_class, three_classes):
    X, y = three_classes
    model = network(estimator_class, solver="lbfgs").fit(X.astype(np.float32), y)
    assert dtypes(model) == {"float64"}


@pytest.mark.filterwarnings("ignore:.* has no effect")
@BOTH
def test_lbfgs_computes_in_float64_after_a_start_in_float32(
    estimator_class, three_classes
):
    X, y = three_classes
    X = X.astype(np.float32)
    model = network(estimator_class, warm_start=True).fit(X, y)
    model.set_params(solver="lbfgs").fit(X, y)
    assert dtypes(model) == {"float64"}


# Layers


@BOTH
@pytest.mark.parametrize("sizes", [7, [7], np.array([7]), np.int64(7)])
def test_one_hidden_layer_in_every_spelling(estimator_class, sizes, three_classes):
    X, y = three_classes
    model = network(estimator_class, hidden_layer_sizes=sizes).fit(X, y)
    same = network(estimator_class, hidden_layer_sizes=(7,)).fit(X, y)
    np.testing.assert_array_equal(outputs(model, X), outputs(same, X))


@BOTH
@pytest.mark.parametrize("n_hidden_layers", [0, 1, 3])
def test_n_hidden_layers_repeats_one_size(
    estimator_class, n_hidden_layers, three_classes
):
    X, y = three_classes
    params = {"hidden_layer_sizes": 6, "n_hidden_layers": n_hidden_layers}
    model = network(estimator_class, **params).fit(X, y)
    same = network(estimator_class, hidden_layer_sizes=(6,) * n_hidden_layers)
    np.testing.assert_array_equal(outputs(model, X), outputs(same.fit(X, y), X))
    assert model.n_layers_ == n_hidden_layers + 2


@BOTH
@pytest.mark.parametrize("sizes", [(), [], np.array([], dtype=int)])
def test_no_hidden_layer_is_a_linear_model(estimator_class, sizes, three_classes):
    X, y = three_classes
    model = network(estimator_class, hidden_layer_sizes=sizes).fit(X, y)
    linear = X @ model.coefs_[0] + model.intercepts_[0]
    np.testing.assert_allclose(outputs(model, X), np.squeeze(linear))


@BOTH
@pytest.mark.parametrize("pair", [["tanh", "relu"], (Tanh(), ReLU())])
def test_an_activation_per_layer(estimator_class, pair, three_classes):
    X, y = three_classes
    model = network(estimator_class, hidden_layer_sizes=(5, 4), activation=pair)
    model.fit(X, y)
    W, b = model.coefs_, model.intercepts_
    hidden = np.maximum(np.tanh(X @ W[0] + b[0]) @ W[1] + b[1], 0)
    by_hand = np.squeeze(hidden @ W[2] + b[2])
    np.testing.assert_allclose(outputs(model, X), by_hand)


@BOTH
def test_an_alpha_per_weight_matrix(estimator_class, three_classes):
    X, y = three_classes
    params = {"hidden_layer_sizes": (5, 4), "max_iter": 1, "batch_size": len(X)}
    still = {"learning_rate_init": 1e-15}
    alpha = np.array([0.5, 0.0, 2.0])
    with_penalty = network(estimator_class, alpha=alpha, **params, **still).fit(X, y)
    without = network(estimator_class, alpha=0.0, **params, **still).fit(X, y)
    squares = [np.sum(W**2) for W in without.coefs_]
    expected = 0.5 * np.sum(alpha * squares)
    assert with_penalty.loss_ - without.loss_ == pytest.approx(expected)


@pytest.mark.filterwarnings("ignore:.* has no effect")
@BOTH
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_equal_values_per_layer_equal_one_value(estimator_class, solver, three_classes):
    X, y = three_classes
    params = {"hidden_layer_sizes": (5, 4), "solver": solver, "penalize_bias": True}
    dropout = 0.0 if solver == "lbfgs" else 0.3
    one = network(estimator_class, alpha=0.1, dropout=dropout, **params)
    listed = network(estimator_class, alpha=[0.1] * 3, dropout=[dropout] * 2, **params)
    np.testing.assert_allclose(
        outputs(listed.fit(X, y), X), outputs(one.fit(X, y), X), rtol=1e-7
    )


@pytest.mark.filterwarnings("ignore:.* has no effect")
@BOTH
def test_a_strong_alpha_empties_its_layer_only(estimator_class, three_classes):
    X, y = three_classes
    params = {"solver": "lbfgs", "max_iter": 100}
    free = network(estimator_class, alpha=0.0, **params).fit(X, y)
    model = network(estimator_class, alpha=[10.0, 0.0], **params).fit(X, y)
    assert np.abs(model.coefs_[0]).max() < 0.1 * np.abs(free.coefs_[0]).max()
    assert np.abs(model.coefs_[1]).max() > 0.1 * np.abs(free.coefs_[1]).max()


@BOTH
def test_dropout_of_a_layer_reaches_that_layer_only(estimator_class, three_classes):
    X, y = three_classes
    params = {"hidden_layer_sizes": (5, 4), "max_iter": 1}
    none, first, second = (
        network(estimator_class, dropout=dropout, **params).fit(X, y)
        for dropout in ([0.0, 0.0], [0.5, 0.0], [0.0, 0.5])
    )
    assert none.loss_ == network(estimator_class, **params).fit(X, y).loss_
    assert len({none.loss_, first.loss_, second.loss_}) == 3


@BOTH
def test_bias_init_and_init_set_the_start(estimator_class, three_classes):
    X, y = three_classes
    model = network(
        estimator_class,
        init=Zeros(),
        bias_init=0.25,
        learning_rate_init=1e-15,
        max_iter=1,
    ).fit(X, y)
    for W, b in zip(model.coefs_, model.intercepts_, strict=True):
        np.testing.assert_allclose(W, 0, atol=1e-12)
        np.testing.assert_allclose(b, 0.25)


@BOTH
def test_dropout_is_absent_from_prediction(estimator_class, three_classes):
    X, y = three_classes
    model = network(estimator_class, dropout=0.5, input_dropout=0.3).fit(X, y)
    np.testing.assert_array_equal(outputs(model, X), outputs(model, X))
    hidden = np.maximum(X @ model.coefs_[0] + model.intercepts_[0], 0)
    by_hand = np.squeeze(hidden @ model.coefs_[1] + model.intercepts_[1])
    np.testing.assert_allclose(outputs(model, X), by_hand)


# Draws

NOISE = {"dropout": 0.3, "input_dropout": 0.2, "batch_size": 16}


@BOTH
def test_the_same_seed_gives_the_same_network(estimator_class, three_classes):
    X, y = three_classes
    first, second = (network(estimator_class, **NOISE).fit(X, y) for _ in range(2))
    np.testing.assert_array_equal(outputs(first, X), outputs(second, X))
    again = outputs(first.fit(X, y), X)
    np.testing.assert_array_equal(again, outputs(second, X))


@BOTH
@pytest.mark.parametrize("early_stopping", [False, True])
def test_another_seed_gives_another_network(
    estimator_class, early_stopping, three_classes
):
    X, y = three_classes
    first, second = (
        network(estimator_class, random_state=seed, early_stopping=early_stopping)
        for seed in (0, 1)
    )
    assert not np.allclose(
        outputs(first.fit(X, y), X), outputs(second.fit(X, y), X), rtol=1e-3
    )


@BOTH
def test_no_seed_gives_a_new_network_every_time(estimator_class, three_classes):
    X, y = three_classes
    model = network(estimator_class, random_state=None)
    first = outputs(model.fit(X, y), X)
    assert not np.allclose(first, outputs(model.fit(X, y), X), rtol=1e-3)


@BOTH
def test_an_instance_as_seed_moves_on(estimator_class, three_classes):
    X, y = three_classes
    first, second = (
        network(estimator_class, random_state=np.random.RandomState(5))
        for _ in range(2)
    )
    np.testing.assert_array_equal(
        outputs(first.fit(X, y), X), outputs(second.fit(X, y), X)
    )
    before = outputs(first, X)
    assert not np.allclose(outputs(first.fit(X, y), X), before, rtol=1e-3)


@BOTH
def test_fitting_leaves_the_global_random_state_alone(estimator_class, three_classes):
    X, y = three_classes
    np.random.seed(7)  # noqa: NPY002
    network(estimator_class, **NOISE).fit(X, y)
    drawn = np.random.random()  # noqa: NPY002
    np.random.seed(7)  # noqa: NPY002
    assert drawn == np.random.random()  # noqa: NPY002


@BOTH
def test_without_shuffling_the_order_of_samples_is_kept(estimator_class, three_classes):
    X, y = three_classes
    params = {"batch_size": 15, "shuffle": False, "max_iter": 1}
    whole = network(estimator_class, **params).fit(X, y)
    first = {"classes": [0, 1, 2]} if estimator_class is MLPClassifier else {}
    parts = network(estimator_class, **params)
    for start in range(0, len(X), 15):
        rows = slice(start, start + 15)
        parts.partial_fit(X[rows], y[rows], **first)
    np.testing.assert_allclose(outputs(parts, X), outputs(whole, X), rtol=1e-9)


# Prediction


@BOTH
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_predictions_do_not_depend_on_the_rows_that_come_together(
    estimator_class, container, three_classes
):
    X, y = three_classes
    model = network(estimator_class).fit(X, y)
    many = container(np.tile(X, (100, 1)))
    together = outputs(model, many)
    pieces = [
        outputs(model, many[start : start + 500])
        for start in range(0, many.shape[0], 500)
    ]
    np.testing.assert_allclose(together, np.concatenate(pieces), rtol=1e-12, atol=1e-13)


@BOTH
def test_weights_put_in_by_hand_are_used(estimator_class, three_classes):
    X, y = three_classes
    model = network(estimator_class).fit(X, y)
    model.coefs_[-1] = np.zeros_like(model.coefs_[-1])
    model.intercepts_[-1][:] = 3.0
    np.testing.assert_array_equal(outputs(model, X), np.full_like(outputs(model, X), 3))


@BOTH
@pytest.mark.parametrize("method", ["partial_fit", "fit"])
def test_training_goes_on_from_weights_put_in_by_hand(
    estimator_class, method, three_classes
):
    X, y = three_classes
    donor = network(estimator_class, random_state=1).fit(X, y)
    model = network(
        estimator_class, learning_rate_init=1e-15, max_iter=1, warm_start=True
    ).fit(X, y)
    model.coefs_ = [W.copy() for W in donor.coefs_]
    model.intercepts_ = [b.copy() for b in donor.intercepts_]
    getattr(model, method)(X, y)
    np.testing.assert_allclose(outputs(model, X), outputs(donor, X))


@BOTH
def test_training_leaves_weights_taken_out_alone(estimator_class, three_classes):
    X, y = three_classes
    model = network(estimator_class).fit(X, y)
    taken = model.coefs_[0]
    before = taken.copy()
    model.partial_fit(X, y)
    np.testing.assert_array_equal(taken, before)


@BOTH
@pytest.mark.parametrize(
    "arrange",
    [
        np.asfortranarray,
        pytest.param(
            lambda X: np.repeat(X, 2, axis=1)[:, ::2],
            marks=pytest.mark.needs(
                "numpy>=2.3", "BLAS multiplies arrays with strides, too"
            ),
            id="strides",
        ),
    ],
)
def test_memory_order_and_strides_of_the_input_do_not_matter(
    estimator_class, arrange, three_classes
):
    X, y = three_classes
    model = network(estimator_class).fit(X, y)
    data = arrange(X)
    np.testing.assert_array_equal(
        outputs(network(estimator_class).fit(data, y), data), outputs(model, X)
    )


@BOTH
@pytest.mark.parametrize("learning_rate", ["constant", "invscaling", "adaptive"])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_every_schedule_serves_every_stochastic_solver(
    estimator_class, learning_rate, solver, three_classes
):
    X, y = three_classes
    model = network(estimator_class, learning_rate=learning_rate, solver=solver)
    assert np.isfinite(outputs(model.fit(X, y), X)).all()


# Warnings


def wild_scorer(estimator, X, y):
    return next(SCORES)


SCORES = iter([])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"max_iter": 1}, "Maximum iterations"),
        ({"batch_size": 1000}, "clipped"),
        ({"init": "zeros", "n_hidden_layers": 2, "hidden_layer_sizes": 5}, "constant"),
        ({"early_stopping": True, "scoring": wild_scorer}, "not finite after"),
    ],
)
@BOTH
def test_warnings_point_to_the_line_of_the_fit(
    estimator_class, params, message, three_classes
):
    global SCORES
    SCORES = iter([float("nan")] + [0.5] * 100)
    X, y = three_classes
    model = estimator_class(**{"max_iter": 30, "random_state": 0, **params})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y)
    files = [w.filename for w in caught if message in str(w.message)]
    assert files
    assert set(files) == {__file__}


def test_the_warning_of_a_divergence_points_there_too(three_classes):
    X, y = three_classes
    model = MLPRegressor(
        solver="sgd", learning_rate_init=5.0, early_stopping=True, random_state=0
    )
    with pytest.warns(ConvergenceWarning, match="best weights") as caught:
        model.fit(X, y)
    assert {w.filename for w in caught} == {__file__}


# What the caller passes stays as it is


def unsorted(X):
    """Return X with every row's entries in another order, and some of them twice."""
    X = sp.csr_matrix(X)[:, ::-1]
    X = sp.csr_matrix((X.data, X.indices[:], X.indptr), shape=X.shape)
    halves = np.repeat(X.data / 2, 2)
    return sp.csr_matrix((halves, np.repeat(X.indices, 2), 2 * X.indptr), shape=X.shape)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
@pytest.mark.parametrize("read_only", [False, True])
def test_sparse_input_is_left_alone(solver, loss, read_only, mostly_zeros):
    X, y = mostly_zeros
    X = unsorted(X)
    arrays = X.data, X.indices, X.indptr
    for array in arrays:
        array.flags.writeable = not read_only
    before = [array.copy() for array in arrays]
    model = MLPRegressor(loss=loss, solver=solver, max_iter=3, random_state=0)
    model.fit(X, y).predict(X)
    if solver == "adam":
        model.partial_fit(X, y)
    for array, copy in zip((X.data, X.indices, X.indptr), before, strict=True):
        np.testing.assert_array_equal(array, copy)
