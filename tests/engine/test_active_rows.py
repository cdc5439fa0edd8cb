"""Steps on the active rows of large matrices give what steps on all rows would."""

import copy
import pickle
import tracemalloc

import numpy as np
import pytest
from scipy import sparse

from sknn_notes import MLPClassifier, MLPRegressor, _kernels
from sknn_notes._engine import active, active_executor
from sknn_notes.callbacks import Checkpoint, _storage
from sknn_notes.losses import HierarchicalSoftmax, SampledSoftmax
from sknn_notes.optimizers import SGD
from sknn_notes.schedules import InverseTime

N_CLASSES = 120
pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning",
    "ignore:The training loss:UserWarning",
)


@pytest.fixture(scope="module")
def rows():
    """Sparse rows with all that CSR allows, and three classes.

    Some rows are empty, some name a column twice or hold a 0, columns are not sorted,
    and some never occur.
    """
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 4, size=30)
    columns = rng.integers(0, 90, size=counts.sum())
    columns[1] = columns[0]
    data = rng.normal(size=len(columns))
    data[5] = 0
    X = sparse.csr_array((data, columns, np.r_[0, np.cumsum(counts)]), shape=(30, 100))
    return X, np.arange(30) % 3


@pytest.fixture(scope="module")
def many_classes():
    """Dense and sparse rows, and classes of which some are frequent."""
    rng = np.random.default_rng(1)
    y = np.r_[np.arange(N_CLASSES), rng.integers(0, 4, size=N_CLASSES)]
    X = sparse.random(len(y), 300, 0.01, format="csr", random_state=0)
    return rng.normal(size=(len(y), 5)), X, y


def fit(data, cls=MLPClassifier, hidden=(5,), **params):
    options = {"max_iter": 3, "batch_size": 8, "learning_rate_init": 0.02}
    options |= {"random_state": 0, "n_iter_no_change": 99, **params}
    return cls(hidden_layer_sizes=hidden, **copy.deepcopy(options)).fit(*data)


@pytest.fixture
def fit_whole(monkeypatch):
    """A function as ``fit``, whose steps are on all rows."""

    def fit_all(*args, **params):
        with monkeypatch.context() as patch:
            patch.setattr(active_executor, "capacities", lambda *_: (0, 0))
            return fit(*args, **params)

    return fit_all


@pytest.fixture
def sizes(monkeypatch):
    """A list of the numbers of active rows that fits have room for."""
    seen, capacities = [], active_executor.capacities

    def spy(*args):
        seen.append(capacities(*args))
        return seen[-1]

    monkeypatch.setattr(active_executor, "capacities", spy)
    return seen


def theta(model):
    return np.concatenate([a.ravel() for a in (*model.coefs_, *model.intercepts_)])


def assert_near(one, other, error=1e-9):
    """The numbers of two models differ by a share of their mean size, on average."""
    a, b = theta(one), theta(other)
    assert np.mean(np.abs(a - b)) <= error * np.mean(np.abs(b))


PLAIN = SGD(momentum=0)
HEAVY = SGD(momentum=0.9, nesterovs_momentum=False)

# Sparse inputs


@pytest.mark.parametrize(
    "params",
    [
        {"solver": HEAVY, "alpha": 0.1},
        {"solver": SGD(), "alpha": InverseTime(start=0.1), "penalize_bias": True},
        {"solver": SGD(), "alpha": [0, 0.1], "learning_rate": "cosine"},
        {"solver": SGD(), "penalty": None, "hidden": (), "shuffle": False},
        {"solver": PLAIN, "penalty": "l1", "alpha": 0.1},
        {"solver": PLAIN, "penalty": "elasticnet", "alpha": 0.1, "batch_size": 1},
        {"solver": SGD(), "dropout": 0.3, "class_weight": "balanced"},
    ],
    ids=str,
)
def test_sgd_on_sparse_rows_is_that_on_dense_ones(executor, rows, sizes, params):
    X, y = rows
    assert_near(fit((X, y), **params), fit((X.toarray(), y), **params))
    assert sizes[0][0] > 0
    assert sizes[1] == (0, 0)


@pytest.mark.parametrize(
    "params",
    [
        {"solver": "adam", "penalty": None},
        {"solver": "adamw", "alpha": 0.1, "learning_rate": "inverse_time"},
        {"solver": "rmsprop", "penalty": None},
    ],
    ids=str,
)
def test_adaptive_steps_without_a_pull_are_nearly_exact(executor, rows, params):
    X, y = rows
    assert_near(fit((X, y), **params), fit((X.toarray(), y), **params), 1e-5)


@pytest.mark.parametrize("penalty", ["l1", "l2", "elasticnet"])
@pytest.mark.parametrize("solver", ["adam", "rmsprop", HEAVY], ids=str)
def test_penalized_steps_are_close(rows, solver, penalty):
    X, y = rows
    params = {"solver": solver, "penalty": penalty, "alpha": 1e-3}
    params["learning_rate_init"] = 1e-3
    whole = fit((X.toarray(), y), **params)
    model = fit((X, y), **params)
    start = fit((X, y), solver=PLAIN, learning_rate_init=1e-300)
    # As a share of what training has changed.
    moved = np.mean(np.abs(theta(whole) - theta(start)))
    assert np.mean(np.abs(theta(model) - theta(whole))) < 0.04 * moved
    assert model.loss_curve_ == pytest.approx(whole.loss_curve_, rel=0.03)


@pytest.mark.parametrize("form", ["csc", "int64", "float32"])
def test_every_form_of_a_sparse_matrix_is_the_same(executor, rows, form):
    X, y = rows
    params = {"solver": "sgd", "dtype": "float32" if form == "float32" else "float64"}
    if form == "int64":
        other = X.copy()
        other.indices = other.indices.astype(np.int64)
        other.indptr = other.indptr.astype(np.int64)
    elif form == "float32":
        other = X.astype(np.float32)
    else:
        other = X.asformat(form)
    assert_near(
        fit((other, y), **params),
        fit((X.toarray(), y), **params),
        1e-5 if form == "float32" else 1e-9,
    )


def test_regression_and_labels_train_on_active_rows(executor, rows):
    X, y = rows
    labels = np.stack([y == 0, y == 1], axis=1).astype(int)
    weight = np.linspace(0.1, 2, len(y))
    for cls, target in ((MLPRegressor, (y * 1.5)), (MLPClassifier, labels)):
        models = [
            cls(
                hidden_layer_sizes=(4,),
                solver="sgd",
                max_iter=2,
                random_state=0,
                batch_size=8,
            )
            for _ in range(2)
        ]
        for model, form in zip(models, (X, X.toarray()), strict=True):
            if cls is MLPRegressor:
                model.fit(form, target, sample_weight=weight)
            else:
                model.fit(form, target)
        assert_near(*models)


# When rows catch up


@pytest.mark.parametrize("penalty", ["l2", "l1"])
def test_it_makes_no_difference_when_rows_catch_up(
    executor, rows, monkeypatch, penalty
):
    params = {"solver": PLAIN if penalty == "l1" else HEAVY, "penalty": penalty}
    params |= {"alpha": 0.1, "batch_size": 1}
    expected = fit(rows, **params)
    monkeypatch.setattr(active, "N_IDLE", 3)
    model = fit(rows, **params)
    assert_near(model, expected)
    assert model.loss_curve_ == pytest.approx(expected.loss_curve_, rel=0.1)


def test_the_loss_counts_the_penalty_on_idle_rows(executor, rows, fit_whole):
    params = {"solver": HEAVY, "alpha": 0.3}
    model, whole = fit(rows, **params), fit_whole(rows, **params)
    assert model.loss_curve_ == pytest.approx(whole.loss_curve_, rel=0.01)
    # The first of an epoch's steps sees all rows as they are.
    params["batch_size"] = 30
    model, whole = fit(rows, **params), fit_whole(rows, **params)
    assert model.loss_curve_ == pytest.approx(whole.loss_curve_, rel=1e-10)


def test_a_jump_at_the_end_of_an_epoch_leaves_the_loss_positive(executor, rows):
    X, y = rows
    data, params = (100 * X, y), {"solver": SGD(), "penalty": "elasticnet"}
    params |= {"alpha": 0.3, "learning_rate_init": 0.1, "batch_size": 1}
    assert min(fit(data, layer_norm=True, **params).loss_curve_) > 0


@pytest.mark.parametrize("solver", [HEAVY, "adam", "rmsprop"], ids=str)
def test_l1_gives_exact_zeros_where_columns_never_occur(executor, rows, solver):
    X, y = rows
    params = {"solver": solver, "penalty": "l1", "alpha": [0.1, 0], "max_iter": 10}
    model = fit((X, y), **params)
    never = np.setdiff1d(np.arange(100), X.indices)
    assert (model.coefs_[0][never] == 0).all()
    assert (model.coefs_[1] != 0).all()


# Many classes

LOSSES = [
    HierarchicalSoftmax(tree="huffman"),
    SampledSoftmax(n_negatives=1, distribution="uniform"),
    SampledSoftmax(n_negatives=N_CLASSES - 2),
]


@pytest.fixture
def small_trees(monkeypatch):
    """Train nodes one by one in trees of any size."""
    monkeypatch.setattr("sknn_notes.losses._hierarchical._SPEED", 1)


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
@pytest.mark.parametrize("is_sparse", [False, True], ids=["dense", "sparse"])
def test_chosen_outputs_train_as_among_all(
    executor, many_classes, small_trees, sizes, fit_whole, loss, is_sparse
):
    dense, X, y = many_classes
    data = (X if is_sparse else dense), y
    # Both matrices are penalized alike.
    params = {"loss": loss, "solver": HEAVY, "alpha": 0.01, "max_iter": 2}
    assert_near(fit(data, **params), fit_whole(data, **params))
    assert (sizes[0][0] > 0) == is_sparse
    assert sizes[0][1] > 0


def test_l1_thresholds_rows_of_both_matrices(
    executor, many_classes, small_trees, fit_whole
):
    _, X, y = many_classes
    params = {"loss": LOSSES[0], "solver": PLAIN, "penalty": "l1", "alpha": 0.02}
    model, whole = fit((X, y), **params), fit_whole((X, y), **params)
    assert_near(model, whole)
    assert (model.coefs_[-1] == 0).any()


def test_one_dense_layer_behind_noise_trains_as_among_all(
    executor, many_classes, small_trees, fit_whole
):
    dense, _, y = many_classes
    params = {"loss": LOSSES[0], "solver": "sgd", "hidden": (), "input_dropout": 0.2}
    assert_near(fit((dense, y), **params), fit_whole((dense, y), **params))


def test_dropconnect_trains_all_outputs(executor, many_classes, small_trees, sizes):
    dense, X, y = many_classes
    params = {"loss": HierarchicalSoftmax(), "dropconnect": 0.2, "max_iter": 1}
    assert fit((dense, y), **params).executor_.startswith(executor)
    # Why it is not compiled names no place in memory.
    assert " at 0x" not in fit((X, y), **params).executor_
    assert sizes == [(0, 0), (0, 0)]


# Both executors


@pytest.mark.skipif(len(_kernels.available()) < 2, reason="needs numba")
@pytest.mark.parametrize("solver", ["adam", SGD()], ids=str)
def test_executors_agree(use, many_classes, solver):
    _, X, y = many_classes
    params = {"solver": solver, "penalty": "elasticnet", "alpha": 1e-3}
    params |= {"loss": SampledSoftmax(n_negatives=20), "batch_norm": True}
    models = []
    for name in ("numba", "numpy"):
        use(name)
        models.append(fit((X, y), **params))
        assert models[-1].executor_.startswith(name)
    assert_near(*models)


# Fits that are cut short

CONTINUED = [
    {"solver": "adam", "penalty": "l1"},
    {"solver": SGD(), "loss": SampledSoftmax(n_negatives=9, distribution="uniform")},
]


@pytest.mark.parametrize("params", CONTINUED, ids=str)
def test_a_pickled_network_trains_on_bit_for_bit(executor, many_classes, params):
    _, X, y = many_classes
    model = MLPClassifier((5,), batch_size=8, random_state=0, **copy.deepcopy(params))
    model.partial_fit(X, y, classes=np.arange(N_CLASSES))
    other = pickle.loads(pickle.dumps(model))
    for each in (model, other):
        each.partial_fit(X, y)
        each.set_params(warm_start=True, max_iter=2).fit(X, y)
    np.testing.assert_array_equal(theta(model), theta(other))


@pytest.mark.parametrize("params", CONTINUED, ids=str)
def test_a_checkpoint_resumes_bit_for_bit(
    executor, many_classes, monkeypatch, tmp_path, params
):
    _, X, y = many_classes
    path, write = tmp_path / "fit.ckpt", _storage.write
    whole = fit((X, y), **params)

    def write_and_cut(*args):
        write(*args)
        raise SystemExit

    model = MLPClassifier((5,)).set_params(**whole.get_params(deep=False))
    with monkeypatch.context() as patch:
        patch.setattr(_storage, "write", write_and_cut)
        with pytest.raises(SystemExit):
            model.fit(X, y, checkpoint=Checkpoint(path))
    resumed = Checkpoint.load(path).resume(X, y)
    np.testing.assert_array_equal(theta(resumed), theta(whole))
    assert resumed.loss_curve_ == whole.loss_curve_


def test_weights_are_whole_after_an_interruption(executor, rows, monkeypatch):
    stop = iter([False, True])
    run_epoch = active_executor.ActiveExecutor.run_epoch

    def run_and_stop(self, *args):
        value = run_epoch(self, *args)
        if next(stop):
            raise KeyboardInterrupt
        return value

    params = {"solver": SGD(), "penalty": "l1"}
    expected = fit(rows, max_iter=2, **params)
    monkeypatch.setattr(active_executor.ActiveExecutor, "run_epoch", run_and_stop)
    with pytest.warns(UserWarning, match="interrupted"):
        model = fit(rows, max_iter=9, **params)
    np.testing.assert_array_equal(theta(model), theta(expected))


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_divergence_raises_a_clear_error(executor, rows, solver):
    X, y = rows
    params = {"learning_rate_init": 1e300, "solver": solver}
    with pytest.raises(ValueError, match="learning_rate_init"):
        fit((1e10 * X, y * 1.0), MLPRegressor, **params)


# Memory


def test_an_epoch_needs_no_memory_for_idle_columns(executor, monkeypatch):
    monkeypatch.setattr(active, "_CHUNK_SIZE", 2**12)
    peaks: list[int] = []
    run_epoch = active_executor.ActiveExecutor.run_epoch

    def measured(self, *args):
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        value = run_epoch(self, *args)
        peaks.append(tracemalloc.get_traced_memory()[1] - before)
        return value

    monkeypatch.setattr(active_executor.ActiveExecutor, "run_epoch", measured)
    last = []
    for n_columns in (10_000, 100_000):
        columns = np.arange(0, n_columns, n_columns // 100)
        shape = len(columns), n_columns
        X = sparse.csr_array((np.ones(shape[0]), (range(shape[0]), columns)), shape)
        tracemalloc.start()
        fit((X, columns % 3), hidden=(2,))
        tracemalloc.stop()
        last.append(peaks[-1])
    # A row of all columns would take 800,000 bytes.
    assert last[1] < last[0] + 50_000
