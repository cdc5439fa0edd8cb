"""Checkpoints: a fit that was cut short ends where it would have ended without."""

import copy
import errno
import importlib
import os
import pickle
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state

from sknn_notes import MLPClassifier, MLPRegressor, Whitener, _kernels
from sknn_notes.callbacks import Checkpoint, _checkpoint, _storage
from sknn_notes.layers import BatchNorm
from sknn_notes.losses import Hinge
from sknn_notes.noise import FractionalMaxPooling, GaussianNoise
from sknn_notes.schedules import Cosine

NEEDS_CALLBACKS = pytest.mark.needs("scikit-learn>=1.9", "it has callbacks")


class Cut(BaseException):
    """Ends a fit, as the end of the process would."""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "fit.ckpt"


@pytest.fixture(autouse=True)
def no_wait_for_the_disk(monkeypatch):
    """Waiting for it is most of the time; processes that are killed do wait."""
    monkeypatch.setattr(_storage.os, "fsync", lambda descriptor: None)


@pytest.fixture
def cutting(monkeypatch):
    """Return a context that ends the fit in it after some writes of its checkpoint."""

    @contextmanager
    def context(n_writes):
        write, left = _storage.write, [n_writes]

        def write_and_cut(*args):
            write(*args)
            left[0] -= 1
            if left[0] <= 0:
                raise Cut

        with monkeypatch.context() as patch:
            patch.setattr(_storage, "write", write_and_cut)
            with pytest.raises(Cut):
                yield

    return context


@pytest.fixture
def cut(cutting, path):
    """Return a function that ends a fit after some writes, and loads the last one."""

    def fit(estimator, n_writes, *data, **options):
        with cutting(n_writes):
            estimator.fit(*data, checkpoint=Checkpoint(path), **options)
        return Checkpoint.load(path)

    return fit


def n_epochs_in(path):
    """Return how many epochs the network in a file has made."""
    return Checkpoint.load(path)._record.progress[0].state.epoch


def network(cls=MLPClassifier, **params):
    options = {"hidden_layer_sizes": (6,), "max_iter": 6, "random_state": 0}
    return cls(**{**options, "batch_size": 16, **params})


def assert_same(one, other):
    """Two networks hold the same numbers, bit for bit."""
    assert one.get_params().keys() == other.get_params().keys()
    for name in vars(other):
        if name.endswith("_") and name != "networks_":
            np.testing.assert_equal(getattr(one, name), getattr(other, name), name)
    draws = [copy.deepcopy(x._training_state.rng).random(3) for x in (one, other)]
    np.testing.assert_array_equal(*draws)
    for pair in zip(one.networks_ or (), other.networks_ or (), strict=True):
        assert_same(*pair)


# The same fit

NETWORKS = [
    network(solver="sgd", penalty="l1", early_stopping=True, n_iter_no_change=1),
    network(solver="sgd", learning_rate="adaptive", n_iter_no_change=1, tol=0.1),
    network(solver="adamw", batch_norm=BatchNorm(), augment=GaussianNoise(std=0.2)),
    network(solver="rmsprop", dtype="float32", learning_rate="onecycle", loss=Hinge()),
    network(dropout=Cosine(start=0.5), dropout_scaling="standard", alpha=0.01),
    network(augment=FractionalMaxPooling(image_shape=(2, 3)), shuffle=False),
    network(embedding="periodic", early_stopping=True, scoring="loss", tol=1.0),
    network(n_networks=3, dropout=0.2, early_stopping=True, validation_fraction=0.3),
    network(n_networks=3, n_jobs=2, dropout=0.2),
    network(MLPRegressor, dropout=0.2),
    network(MLPRegressor, loss="gaussian_nll", early_stopping=True, n_networks=2),
]


@pytest.mark.parametrize("n_writes", [2, 9])
@pytest.mark.parametrize("model", NETWORKS, ids=str)
def test_a_resumed_fit_is_the_same(model, n_writes, three_classes, one_target, cut):
    X, y = one_target if isinstance(model, MLPRegressor) else three_classes
    y = y * 100 + 1000 if isinstance(model, MLPRegressor) else y
    whole = clone(model).fit(X, y)
    n_epochs = whole.n_iter_ * model.n_networks
    resumed = cut(clone(model), min(n_writes, n_epochs), X, y).resume(X, y)
    assert_same(resumed, whole)
    assert set(vars(resumed)) == set(vars(whole))


def test_every_epoch_of_a_fit_can_be_resumed(three_classes, cut):
    X, y = three_classes
    model = network(early_stopping=True, dropout=0.1, n_iter_no_change=2, max_iter=10)
    whole = clone(model).fit(X, y)
    for n_writes in range(1, whole.n_iter_ + 1):
        assert_same(cut(clone(model), n_writes, X, y).resume(X, y), whole)


def test_a_fit_is_resumed_more_than_once(three_classes, cut, cutting, path):
    X, y = three_classes
    model = network(random_state=None, dropout=0.2)
    # The generator that random_state=None stands for.
    state = check_random_state(None).get_state()
    whole = clone(model).fit(X, y)
    check_random_state(None).set_state(state)
    checkpoint = cut(model, 2, X, y)
    for n_epochs in (2, 3, 4):
        with cutting(2):
            checkpoint.resume(X, y)
        checkpoint = Checkpoint.load(path)
        assert n_epochs_in(path) == n_epochs
    resumed = checkpoint.resume(X, y)
    assert_same(resumed, whole)
    assert resumed.random_state is None


def test_a_generator_is_left_where_the_fit_would_have(three_classes, cut):
    X, y = three_classes
    models = [network(random_state=np.random.RandomState(0)) for _ in range(2)]
    models[0].fit(X, y)
    resumed = cut(models[1], 3, X, y).resume(X, y)
    assert_same(resumed, models[0])
    assert resumed.random_state.randint(1000) == models[0].random_state.randint(1000)


@pytest.mark.parametrize("n_networks", [1, 2])
def test_a_warm_start_is_resumed(n_networks, three_classes, cut):
    X, y = three_classes
    options = {"warm_start": True, "n_networks": n_networks, "early_stopping": True}
    models = [network(**options, dropout=0.2).fit(X, y) for _ in range(2)]
    models[0].fit(X, y)
    resumed = cut(models[1], 3, X, y).resume(X, y)
    assert_same(resumed, models[0])
    assert len(resumed.loss_curve_) == 12
    # It goes on from there, too.
    assert_same(resumed.fit(X, y), models[0].fit(X, y))


def test_validation_data_and_weights(two_targets, cut):
    X, Y = two_targets
    weight = np.linspace(0, 2, 60)
    options = {"sample_weight": weight, "X_val": X[60:], "y_val": Y[60:]}
    model = network(MLPRegressor, early_stopping=True)
    whole = clone(model).fit(X[:60], Y[:60], **options)
    checkpoint = cut(model, 3, X[:60], Y[:60], **options)
    assert_same(checkpoint.resume(X[:60], Y[:60], **options), whole)
    options["X_val"] = X[59:79]
    with pytest.raises(ValueError, match="X_val has other values"):
        checkpoint.resume(X[:60], Y[:60], **options)
    del options["sample_weight"]
    with pytest.raises(ValueError, match=r"sample_weight is missing\. That fit had a"):
        checkpoint.resume(X[:60], Y[:60], **options)


def test_sparse_data(mostly_zeros, cut):
    X, y = mostly_zeros
    S = sparse.csr_array(X)
    whole = network().fit(S, y)
    checkpoint = cut(network(), 3, S, y)
    with pytest.raises(ValueError, match="X is a dense array"):
        checkpoint.resume(X, y)
    assert_same(checkpoint.resume(sparse.coo_array(X), y), whole)


def test_networks_that_are_done_stay_done(three_classes, cut, monkeypatch):
    X, y = three_classes
    model = network(n_networks=3)
    whole = clone(model).fit(X, y)
    checkpoint = cut(model, 15, X, y)  # Two networks made 6 epochs each.
    written = []
    monkeypatch.setattr(_storage, "write", lambda path, _: written.append(path))
    assert_same(checkpoint.resume(X, y), whole)
    assert len(written) == 4 + 1


def test_a_fit_that_has_ended_is_resumed_to_its_end(three_classes, path):
    X, y = three_classes
    for n_networks in (1, 2):
        model = network(n_networks=n_networks)
        model.fit(X, y, checkpoint=Checkpoint(path, every_n_epochs=4))
        assert_same(Checkpoint.load(path).resume(X, y), model)


def test_it_warns_as_the_whole_fit_does(three_classes, cut):
    X, y = three_classes
    for n_networks in (1, 2):
        model = network(n_networks=n_networks)
        with pytest.warns(ConvergenceWarning) as whole:
            clone(model).fit(X, y)
        # The first of two networks has warned by then.
        checkpoint = cut(model, 6 * n_networks - 1, X, y)
        with pytest.warns(ConvergenceWarning) as resumed:
            checkpoint.resume(X, y)
        assert [str(w.message) for w in resumed] == [str(w.message) for w in whole]


def test_names_of_features_and_labels(three_classes, cut):
    pd = pytest.importorskip("pandas")
    X, y = three_classes
    X = pd.DataFrame(X, columns=list("abcdef"))
    y = pd.Series(y).map({0: "red", 1: "green", 2: "blue"})
    whole = network(n_networks=2).fit(X, y)
    resumed = cut(network(n_networks=2), 8, X, y).resume(X, y)
    assert_same(resumed, whole)
    np.testing.assert_array_equal(resumed.predict(X), whole.predict(X))


def test_in_a_pipeline(three_classes, cut, path):
    X, y = three_classes
    pipeline = make_pipeline(StandardScaler(), network())
    whole = clone(pipeline).fit(X, y)
    options = {"mlpclassifier__checkpoint": Checkpoint(path, every_n_epochs=2)}
    pipeline.fit(X, y, **options)
    resumed = Checkpoint.load(path).resume(pipeline[0].transform(X), y)
    assert_same(resumed, whole[-1])


def test_in_a_search_the_refit_is_written(three_classes, writes, path):
    X, y = three_classes
    search = GridSearchCV(network(), {"alpha": [0, 1]}, cv=2)
    search.fit(X, y, checkpoint=Checkpoint(path, every_n_epochs=4))
    assert writes == [0, 4]


@pytest.mark.skipif(len(_kernels.available()) == 1, reason="numba is not installed")
def test_another_executor_warns(three_classes, cut, monkeypatch):
    X, y = three_classes
    checkpoint = cut(network(), 3, X, y)
    whole = network().fit(X, y)
    other = "numpy" if whole.executor_ == "numba" else "numba"
    kernels = importlib.import_module(f"sknn_notes._kernels._{other}")
    monkeypatch.setattr(_kernels, "active", lambda: kernels)
    message = (
        f"started in {whole.executor_.split()[0]}.* continues in {other}.*to rounding"
    )
    with pytest.warns(UserWarning, match=message):
        resumed = checkpoint.resume(X, y)
    np.testing.assert_allclose(resumed.coefs_[0], whole.coefs_[0])


# scikit-learn's callbacks


class Scorer:
    """Makes every epoch better, and calls a method of its class for each."""

    n_calls = 0

    def __call__(self, model, X, y):
        self.n_calls += 1
        self.called()
        return self.n_calls

    def called(self):
        pass


class StopAfter:
    """A callback with a state of its own."""

    def __init__(self, n_epochs):
        self.left = n_epochs

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        self.left -= context.task_name == "epoch"
        return self.left == 0


@NEEDS_CALLBACKS
@pytest.mark.parametrize("n_networks", [1, 2])
def test_it_is_a_callback(n_networks, three_classes, path):
    X, y = three_classes
    whole = network(n_networks=n_networks).fit(X, y)
    checkpoint = Checkpoint(path, every_n_epochs=4)
    model = network(n_networks=n_networks).set_callbacks(checkpoint).fit(X, y)
    assert_same(model, whole)
    resumed = Checkpoint.load(path).resume(X, y)
    assert_same(resumed, whole)
    (callback,) = resumed._skl_callbacks
    assert repr(callback) == f"Checkpoint({path!r}, every_n_epochs=4)"


@NEEDS_CALLBACKS
def test_other_callbacks_are_resumed(three_classes, cut):
    X, y = three_classes
    whole = network().set_callbacks(StopAfter(5)).fit(X, y)
    assert whole.n_iter_ == 5
    for n_writes in (1, 3, 5):
        model = network().set_callbacks(StopAfter(5))
        assert_same(cut(model, n_writes, X, y).resume(X, y), whole)


@NEEDS_CALLBACKS
def test_a_scoring_monitor_goes_on(three_classes, cut):
    from sklearn.callback import ScoringMonitor

    X, y = three_classes
    model = network().set_callbacks(ScoringMonitor(scoring="accuracy"))
    resumed = cut(model, 4, X, y).resume(X, y)
    (monitor,) = resumed._skl_callbacks
    log = [row for each in monitor.get_logs(select="all") for row in each.data]
    assert sum(row["task_name"] == "epoch" for row in log) == 6


@NEEDS_CALLBACKS
def test_it_is_a_callback_of_networks_alone(three_classes, path):
    with pytest.raises(TypeError, match=r"for MLPClassifier and MLPRegressor, got W"):
        Whitener().set_callbacks(Checkpoint(path)).fit(*three_classes)


# When it writes


@pytest.fixture
def writes(monkeypatch):
    """The number of epochs after which each checkpoint was written."""
    epochs = []

    def write(path, content):
        epochs.append(len(content[1].progress[0].epochs["epochs"]))

    monkeypatch.setattr(_storage, "write", write)
    return epochs


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [0, 1, 2, 3, 4, 5]),
        ({"every_n_epochs": 2}, [0, 2, 4]),
        ({"every_n_minutes": 0.05}, [0, 3]),
        ({"every_n_epochs": 4, "every_n_minutes": 0.05}, [0, 3]),
        ({"every_n_epochs": 2, "every_n_minutes": 1}, [0, 2, 4]),
    ],
)
def test_when_it_writes(options, expected, writes, three_classes, path, monkeypatch):
    scorer = Scorer()
    # An epoch takes a second.
    monkeypatch.setattr(_checkpoint, "monotonic", lambda: scorer.n_calls)
    model = network(early_stopping=True, scoring=scorer)
    model.fit(*three_classes, checkpoint=Checkpoint(path, **options))
    assert writes == expected


# Faults


def leftovers(path):
    return sorted(each.name for each in path.parent.iterdir() if each != path)


def test_a_full_disk_is_a_warning(three_classes, cut, path, monkeypatch):
    X, y = three_classes
    whole = network(dropout=0.2).fit(X, y)
    n_writes = 0

    def dump(content, file, protocol, dump=pickle.dump):
        nonlocal n_writes
        n_writes += 1
        if n_writes > 3:
            file.write(b"some of it")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        dump(content, file, protocol)

    monkeypatch.setattr(_storage.pickle, "dump", dump)
    message = "could not be written: .*No space left on device.*Training continues"
    with pytest.warns(UserWarning, match=message) as record:
        model = network(dropout=0.2).fit(X, y, checkpoint=Checkpoint(path))
    assert len([w for w in record if w.category is UserWarning]) == 3
    monkeypatch.undo()
    assert_same(model, whole)
    assert leftovers(path) == []
    assert n_epochs_in(path) == 2
    assert_same(Checkpoint.load(path).resume(X, y), whole)


LIMITED = """
import resource, sys, warnings
import numpy as np
from sknn_notes import MLPClassifier
from sknn_notes.callbacks import Checkpoint, _storage
path, write, written = sys.argv[1], _storage.write, []
rng = np.random.default_rng(0)
X, y = rng.normal(size=(50, 4)), rng.integers(2, size=50)

def write_until_the_limit(*args):
    written.append(write(*args))
    if len(written) == 3:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))

_storage.write = write_until_the_limit
model = MLPClassifier(5, max_iter=6, random_state=0)
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    try:
        model.fit(X, y, checkpoint=Checkpoint(path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
print(model.n_iter_, *{str(w.message) for w in told if "checkpoint" in str(w.message)})
"""


@pytest.mark.skipif(os.name != "posix", reason="limits are of Unix")
def test_a_write_that_the_system_ends(path):
    command = [sys.executable, "-c", LIMITED, path]
    # Without numba it starts faster.
    env = {**os.environ, "SKNN_NOTES_KERNELS": "numpy"}
    done = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
    n_iter, warning = done.stdout.split(maxsplit=1)
    assert n_iter == "6"
    assert "File too large. Training continues" in warning
    assert leftovers(path) == []
    assert n_epochs_in(path) == 2


class Interruption(Scorer):
    """A user who interrupts the fourth epoch."""

    def called(self):
        if self.n_calls == 4:
            raise KeyboardInterrupt


def test_an_interruption_leaves_the_last_file(three_classes, path):
    X, y = three_classes
    model = network(early_stopping=True, scoring=Interruption())
    with pytest.warns(UserWarning, match="interrupted by user after 3 epochs"):
        model.fit(X, y, checkpoint=Checkpoint(path))
    assert leftovers(path) == []
    assert n_epochs_in(path) == 3


@pytest.mark.parametrize("n_networks", [1, 2])
def test_an_interruption_while_writing(n_networks, three_classes, path, monkeypatch):
    X, y = three_classes
    whole = network(n_networks=n_networks).fit(X, y)
    n_writes = 0

    def dump(content, file, protocol, dump=pickle.dump):
        nonlocal n_writes
        n_writes += 1
        if n_writes == 4:
            raise KeyboardInterrupt
        dump(content, file, protocol)

    with monkeypatch.context() as patch:
        patch.setattr(_storage.pickle, "dump", dump)
        with pytest.warns(UserWarning, match="interrupted by user"):
            stopped = network(n_networks=n_networks).fit(
                X, y, checkpoint=Checkpoint(path)
            )
    assert stopped.n_iter_ == 3
    assert leftovers(path) == []
    assert_same(Checkpoint.load(path).resume(X, y), whole)


def test_places_that_cannot_be_written(three_classes, tmp_path, monkeypatch):
    X, y = three_classes
    unusable = np.full_like(X, np.nan)  # Any work would raise another error.
    with pytest.raises(FileNotFoundError, match=r"the folder .*missing does not exist"):
        network().fit(unusable, y, checkpoint=Checkpoint(tmp_path / "missing" / "f"))
    with pytest.raises(IsADirectoryError, match="it is a folder"):
        network().fit(unusable, y, checkpoint=Checkpoint(tmp_path))

    def touch(path, exist_ok):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(type(tmp_path), "touch", touch)
    with pytest.raises(
        PermissionError, match=r"written: Permission denied. Pass a pat"
    ):
        network().fit(unusable, y, checkpoint=Checkpoint(tmp_path / "f"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes everywhere"
)
def test_a_read_only_folder(three_classes, tmp_path):
    X, y = three_classes
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError, match="can't be written: Permission denied"):
        network().fit(X, y, checkpoint=Checkpoint(tmp_path / "fit.ckpt"))


def test_what_a_killed_process_left_is_removed(three_classes, path):
    left = path.with_name(f".{path.name}.01234567.tmp")
    left.write_bytes(b"some of it")
    network().fit(*three_classes, checkpoint=Checkpoint(path))
    assert leftovers(path) == []


# What cannot be


def test_other_data_raise(three_classes, cut):
    X, y = three_classes
    checkpoint = cut(network(), 2, X, y)
    other = X.copy()
    other[-1, -1] += 1e-9
    for data, message in [
        ((other, y), "X has other values. Both are a dense array of shape .90, 6"),
        ((X, y[::-1]), "y has other values"),
        ((X[:80], y[:80]), r"X is a dense array of shape \(80, 6\).*That fit had .*90"),
        ((X.astype(np.float32), y), "X is .*float32. That fit had .*float64"),
        ((X, y, np.ones(90)), "sample_weight was not passed to that fit"),
    ]:
        with pytest.raises(ValueError, match=message):
            checkpoint.resume(*data)
    assert checkpoint.resume(X.tolist(), y.tolist()).n_iter_ == 6


def test_lbfgs(three_classes, path):
    with pytest.raises(ValueError, match="solver='lbfgs' does not support checkpoints"):
        network(solver="lbfgs").fit(*three_classes, checkpoint=Checkpoint(path))
    assert not path.exists()


def test_what_cannot_be_pickled(three_classes, path):
    model = network(early_stopping=True, scoring=lambda model, X, y: 1.0)
    with pytest.raises(TypeError, match="a parameter or a callback can't be pickled"):
        model.fit(*three_classes, checkpoint=Checkpoint(path))
    assert not hasattr(model, "coefs_")
    assert not path.exists()
    assert leftovers(path) == []


def test_a_path_is_not_a_checkpoint(three_classes):
    with pytest.raises(TypeError, match=r"must be a Checkpoint of .* Got 'fit.ckpt'"):
        network().fit(*three_classes, checkpoint="fit.ckpt")


def test_parameters_are_checked(path):
    for options, message in [
        ({"every_n_epochs": 0}, "'every_n_epochs' parameter of Checkpoint"),
        ({"every_n_epochs": 1.5}, "'every_n_epochs' parameter of Checkpoint"),
        ({"every_n_minutes": 0}, "'every_n_minutes' parameter of Checkpoint"),
        ({"path": 3}, "'path' parameter of Checkpoint"),
    ]:
        with pytest.raises((ValueError, TypeError), match=message):
            Checkpoint(**{"path": path, **options})


def test_files_that_are_no_checkpoints(three_classes, path):
    with pytest.raises(FileNotFoundError):
        Checkpoint.load(path)
    path.write_bytes(pickle.dumps(network()))
    with pytest.raises(ValueError, match="is not a checkpoint"):
        Checkpoint.load(path)
    X, y = three_classes
    network().fit(X, y, checkpoint=Checkpoint(path))
    written = path.read_bytes()
    path.write_bytes(written[: len(written) // 2])
    with pytest.raises(ValueError, match="is damaged"):
        Checkpoint.load(path)
    first, _, rest = written.split(b"\n", 2)
    path.write_bytes(b"\n".join([first, b"version 9.8.7", rest]))
    with pytest.raises(ValueError, match=r"written by version 9.8.7 .*sknn_notes==9.8"):
        Checkpoint.load(path)


def test_resuming_takes_a_loaded_checkpoint(three_classes, path):
    checkpoint = Checkpoint(path)
    network().fit(*three_classes, checkpoint=checkpoint)
    with pytest.raises(ValueError, match=r"holds no fit.*Checkpoint.load\('.*ckpt'\)"):
        checkpoint.resume(*three_classes)
