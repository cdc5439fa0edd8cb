"""Networks trained side by side on a device equal those trained separately."""

import gc
import pickle
import weakref

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from sknn_notes import MLPClassifier, MLPRegressor
from sknn_notes._engine import stacked_data
from sknn_notes._engine.device import Device
from sknn_notes._engine.finite import DivergenceError
from sknn_notes._engine.side_by_side import stacks_of, train_side_by_side
from sknn_notes._engine.stack import Stack
from sknn_notes._messages import Listening
from sknn_notes.activations import ELU, Activation, LeakyReLU
from sknn_notes.embeddings import Periodic
from sknn_notes.layers import BatchNorm, LayerNorm
from sknn_notes.losses import (
    Hinge,
    Huber,
    LogLoss,
    Quantile,
    SampledSoftmax,
    SquaredHinge,
    Tweedie,
)
from sknn_notes.neural_network import _devices
from sknn_notes.neural_network._prepare import prepare
from sknn_notes.noise import GaussianNoise, RandomShift
from sknn_notes.optimizers import SGD, RMSProp
from sknn_notes.penalties import ElasticNet
from sknn_notes.schedules import Constant, Cosine, Exponential, InvScaling, Schedule

pytestmark = [
    pytest.mark.usefixtures("tensors"),
    pytest.mark.filterwarnings("ignore:.* has no effect"),
    pytest.mark.filterwarnings("ignore:.*no better than"),
]

rng = np.random.default_rng(0)
X = rng.normal(size=(50, 6))
TARGETS = {
    "classes": np.argmax(X[:, :3] + rng.normal(size=(50, 3)), axis=1),
    "two classes": (X[:, 0] > 0).astype(int),
    "labels": (X[:, :3] > 0.2).astype(int),
    "number": np.abs(X[:, 0]) + 0.1,
}
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def network(kind="classes", **params):
    cls = MLPRegressor if kind == "number" else MLPClassifier
    options = {
        "hidden_layer_sizes": (8, 6),
        "alpha": 0.01,
        "batch_size": 16,
        "learning_rate_init": 0.01,
        "max_iter": 3,
        "random_state": 0,
    }
    return cls(**{**options, **params})


class Stacks:
    """Trainings of some networks that are stacked.

    Parameters
    ----------
    models : list of estimator
        They are fitted.
    data : list of (X, y, dict of fit's parameters)
    most : int, default=None
        Most networks of a stack.

    Attributes
    ----------
    sizes : list of int
        How many networks each stack has.
    errors : list of (Exception or None)
        What each network raised.
    told : list of Listening
        What each warned of.
    """

    def __init__(self, models, data, most=None):
        self.models = [model.set_params(device="cpu") for model in models]
        self.trainings, self.members = [], []
        self.errors: list = [None] * len(models)
        self.told = [Listening(f"{i}") for i in range(len(models))]
        for model, (X, y, fit), told in zip(self.models, data, self.told, strict=True):
            weight = fit.get("sample_weight")
            val = None
            if "X_val" in fit:
                val = fit["X_val"], fit["y_val"], fit.get("sample_weight_val")
            training = prepare(model, X, y, weight, validation=val)
            self.trainings.append(training)
            self.members.append(training.member(context=told))
        self._device, self._most = Device("cpu"), most
        stacks = stacks_of(self.members, self._device, most)
        self.sizes = sorted(map(len, stacks), reverse=True)

    def train(self):
        """Train them all, and keep in ``ended`` the order in which they were done."""
        self.ended = []
        self.interrupted = train_side_by_side(
            self.members, self._device, self._most, self._finish
        )
        assert len(set(self.ended)) == len(self.ended)
        return self

    def _finish(self, member):
        i = self.members.index(member)
        self.ended.append(i)
        try:
            with self.told[i]:
                self.trainings[i].take(member)
                self.trainings[i].end()
                self.trainings[i].publish()
        except Exception as error:
            self.errors[i] = error


@pytest.fixture
def agree(assert_agree):
    """Return a function that trains networks in stacks, and compares with the CPU's."""

    def compare(models, data, sizes=None, most=None):
        stacks = Stacks([clone(model) for model in models], data, most)
        assert stacks.sizes == (sizes or [len(models)])
        stacks.train()
        assert sorted(stacks.ended) == list(range(len(models)))
        assert not any(stacks.errors)
        alone = []
        for model, own, (X, y, fit) in zip(models, stacks.models, data, strict=True):
            alone.append(clone(model).set_params(device=None).fit(X, y, **fit))
            assert_agree(own.set_params(device=None), alone[-1], X)
        return stacks, alone

    return compare


def data_of(kind, n, dtype=np.float64):
    return [(X.astype(dtype), TARGETS[kind], {})] * n


# Numbers that differ


def vary(kind="classes", /, common=(), **values):
    """Return a kind of targets, and parameters for each model."""
    rows = zip(*values.values(), strict=True)
    return kind, [
        {**dict(common), **dict(zip(values, row, strict=True))} for row in rows
    ]


def different():
    yield vary(alpha=(0, 0.01, 1))
    yield vary(alpha=([0, 0.1, 0], [0.1, 0.1, 0.1], [0, 0, 0]))
    for penalty in "l1", "elasticnet", "group_lasso":
        common = {"penalty": penalty, "solver": "sgd"}
        yield vary(common=common, alpha=(0.001, 0.01, 1), max_norm=(1, 0.5, 0.3))
        yield vary(common={"penalty": penalty}, alpha=([0.1, 0.1, 0], 0.1, [1, 0, 0.1]))
    yield vary(penalty=[ElasticNet(l1_ratio=a) for a in (0, 0.1, 1)])
    rates = (0.1, 0.2, 0.2, 0.5)
    for scaling in "inverted", "standard":
        common = {"dropout_scaling": scaling, "early_stopping": True}
        yield vary(common=common, dropout=rates, random_state=range(4))
        yield vary(common=common, input_dropout=rates, dropconnect=rates[::-1])
    # Without dropout a generator draws less, and random_state=0 is another one.
    yield vary(dropout=(0.1, 0.0, [0.0, 0.2], [0.2, 0.0]), random_state=(0, 0, 0, 1))
    common = {"dropconnect": 0.1, "augment": GaussianNoise(), "early_stopping": True}
    yield vary(common=common, dropout=(0.0, 0.0, [0.0, 0.2], [0.2, 0.0]))
    yield vary(input_dropout=(0.0, 0.2), random_state=(0, 0))
    # With random_state=0 the CPU's own float32 fit is 1e-4 off its float64 one.
    common = {"dropout": Exponential(start=0.2), "batch_norm": True, "random_state": 1}
    yield vary(common=common, input_dropout=(0.0, 0.2))
    yield vary(learning_rate_init=(0.001, 0.01, 0.5))
    for solver in {"solver": "adam"}, {"solver": "adamw"}:
        yield vary(common=solver, beta_1=(0, 0.1, 0.9))
        yield vary(common=solver, beta_2=(0.1, 0.99, 0.999))
        yield vary(common=solver, epsilon=(1e-8, 1e-3, 0.1))
    numbers = (0.1, 1e-8), (0, 0.1), (0.9, 0.1)
    yield vary(solver=[RMSProp(rho=a, epsilon=b) for a, b in numbers])
    for penalty in {"penalty": "l2"}, {"penalty": "l1"}:
        for nesterovs in False, True:
            solvers = [
                SGD(momentum=a, nesterovs_momentum=nesterovs) for a in (0, 0.1, 1)
            ]
            yield vary(common=penalty, solver=solvers)
    yield vary(max_norm=(0.1, 0.2, 1), clip_norm=(0.2, 0.1, 0.05))
    yield vary(max_norm=([None, 0.1, 1], [None, 0.2, 1]))
    for kind in "classes", "two classes", "labels":
        yield vary(kind, loss=[LogLoss(label_smoothing=a) for a in (0, 0.1, 0.2)])
        yield vary(kind, loss=[Hinge(margin=a) for a in (0.1, 0.2, 1)])
        yield vary(kind, loss=[SquaredHinge(margin=a) for a in (0.1, 0.2, 1)])
    yield vary("number", loss=[Huber(delta=a) for a in (0.1, 0.2, 1)])
    yield vary("number", loss=[Tweedie(power=a) for a in (1, 1.5, 2, 3)])
    yield vary("number", loss=[Quantile(quantile=a) for a in (0.1, 0.5, 0.9)])
    yield vary("number", embedding=[Periodic(sigma=a) for a in (0.1, 0.2)])
    slopes = [LeakyReLU(negative_slope=a) for a in (0.1, 0.1, 0)]
    yield vary(
        activation=[[a, ELU(alpha=b)] for a, b in zip(slopes, (1, 2, 2), strict=True)]
    )
    # Two layers of the first model are equal, those of the others are not.
    others = [LeakyReLU(negative_slope=a) for a in (0.1, 0.2, 0.2)]
    yield vary(activation=[list(pair) for pair in zip(slopes, others, strict=True)])
    for stopping in {"early_stopping": False}, {"early_stopping": True}:
        norms = [BatchNorm(eps=a, momentum=a) for a in (0.1, 0.2, 0.5)]
        yield vary(common=stopping, batch_norm=norms, random_state=(0, 0, 1))
    yield vary(layer_norm=[LayerNorm(eps=a) for a in (0.1, 0.5)], residual=(True, True))
    noises = [GaussianNoise(std=a) for a in (0, 0.1, 0.2, 0.2)]
    yield vary(augment=noises, random_state=(0, 0, 1, 1))
    yield vary(common={"loss": "hierarchical_softmax"}, alpha=(0, 0.1))
    yield vary(common={"dropout": 0.2}, random_state=range(4))
    yield vary(class_weight=("balanced", {0: 2.0}))
    yield vary(max_iter=(1, 2, 3, 5), penalty=["l1"] * 4, solver=["sgd"] * 4)
    starts, rates = (0.1, 0.2, 0.2), ("adaptive", "cosine", InvScaling(power_t=0.2))
    for stopping in False, True:
        for penalty in "l2", "l1", None:
            yield vary(
                common={
                    "dropout_scaling": "standard",
                    "early_stopping": stopping,
                    "penalty": penalty,
                },
                alpha=[
                    [Cosine(start=a), 0.1, Exponential(start=a / 2)] for a in starts
                ],
                dropout=[[a, Exponential(start=a)] for a in starts],
                learning_rate=rates,
            )


@pytest.mark.one_in(3)
@each_dtype
@pytest.mark.parametrize("case", [*different()], ids=str)
def test_numbers_may_differ(case, dtype, agree):
    kind, params = case
    models = [network(kind, **own) for own in params]
    agree(models, data_of(kind, len(models), dtype))


class Softsign(Activation):
    """A part of the user's."""

    def __init__(self, *, c=1.0):
        self.c = c

    def forward(self, Z, xp):
        return self.c * Z / (1 + xp.abs(Z))

    def backward(self, delta, A, Z, xp):
        return delta * self.c * (1 - xp.abs(A) / self.c) ** 2


SHIFTS = [RandomShift(image_shape=(2, 3), max_shift=a) for a in (1, 0)]
NOT_ALIKE = [
    (vary(hidden_layer_sizes=(4, 5, 4)), [2, 1]),
    (vary(loss=("hinge", "squared_hinge", "hinge")), [2, 1]),
    (vary(activation=("relu", "tanh", "relu")), [2, 1]),
    (vary(solver=("adam", "adamw", "adam")), [2, 1]),
    (vary(penalty=("l1", "l2", None, "l1")), [2, 1, 1]),
    # Without strength there are no proximal steps.
    (vary(common={"penalty": "l1", "solver": "sgd"}, alpha=(0, 0.1, 0, 1)), [2, 2]),
    (vary(residual=(True, False)), [1, 1]),
    (vary(batch_norm=(True, False)), [1, 1]),
    (vary(batch_size=(16, 17)), [1, 1]),
    (vary(shuffle=(True, False)), [1, 1]),
    (vary(alpha=(0.1, Constant(start=0.1))), [1, 1]),
    (vary(max_norm=(1.0, None)), [1, 1]),
    (vary(clip_norm=(1.0, None)), [1, 1]),
    (vary(penalize_bias=(True, False)), [1, 1]),
    (vary(dropout=(0.1, Constant(start=0.1), 0.0, [0.1, 0.0])), [3, 1]),
    (vary(dropout=(0.1, 0.1), dropout_scaling=("inverted", "standard")), [1, 1]),
    (vary(solver=[SGD(nesterovs_momentum=a) for a in (True, False)]), [1, 1]),
    (vary(embedding=[Periodic(n_frequencies=a) for a in (3, 4)]), [1, 1]),
    (vary(augment=SHIFTS), [1, 1]),
    (vary(loss=[SampledSoftmax(n_negatives=1)] * 2, solver=["sgd"] * 2), [1, 1]),
    (vary(activation=[Softsign(c=a) for a in (1.0, 2.0)]), [1, 1]),
]


@pytest.mark.parametrize("case", NOT_ALIKE, ids=str)
def test_what_is_not_alike_goes_into_stacks_of_its_own(case, agree):
    (kind, params), sizes = case
    agree([network(kind, **own) for own in params], data_of(kind, len(params)), sizes)


def test_other_kinds_of_targets_and_inputs(agree):
    kinds = "classes", "two classes", "labels", "number"
    models = [network(kind) for kind in kinds]
    agree(models, [(X, TARGETS[kind], {}) for kind in kinds], [1] * 4)
    y = TARGETS["classes"]
    data = [(X, y, {}), (X.astype(np.float32), y, {}), (X[:, :5], y, {})]
    agree([network()] * 3, data, [1] * 3)


# Rows that differ


def folds(n, dtype=np.float64, kind="classes", **weights):
    """Return the training data of ``n`` folds, of 50 rows that are no multiple of n."""
    parts = [np.arange(50) % n != i for i in range(n)]
    y = TARGETS[kind]
    return [
        (X[part].astype(dtype), y[part], {k: w[part] for k, w in weights.items()})
        for part in parts
    ]


@pytest.mark.one_in(3)
@each_dtype
@pytest.mark.parametrize("seeds", [(0, 0, 0, 0), (0, 0, 1, 1), (0, 1, 2, 3)])
@pytest.mark.parametrize("batch_size", [5, 10, 16])
@pytest.mark.parametrize(
    "params",
    [
        {"dropout": 0.2, "input_dropout": 0.1},
        {"shuffle": False, "penalty": "l1", "solver": "sgd"},
        {"augment": GaussianNoise(std=0.2), "layer_norm": True},
        {"early_stopping": True, "validation_fraction": 0.25, "clip_norm": 0.1},
    ],
    ids=str,
)
def test_folds(params, batch_size, seeds, dtype, agree):
    """Of 37 and 38 rows; the last batches are filled up to the longest."""
    models = [
        network(**params, batch_size=batch_size, random_state=seed) for seed in seeds
    ]
    agree(models, folds(4, dtype))


@pytest.mark.parametrize("kind", TARGETS)
def test_folds_with_weights(kind, agree):
    weight = np.linspace(0, 2, 50)
    models = [network(kind, random_state=i // 2, dropout=0.1) for i in range(4)]
    agree(models, folds(4, kind=kind, sample_weight=weight))


def test_batch_norm_counts_rows(agree):
    models = [network(batch_norm=True, random_state=i // 2) for i in range(4)]
    agree(models, folds(4), [2, 2])


def test_two_models_a_fold(agree):
    data = folds(4)
    models = [network(alpha=a, dropout=0.2) for a in (0.01, 0.1) for _ in data]
    agree(models, data * 2)
    agree(models, [each for each in data for _ in range(2)])


def test_folds_of_one_matrix(agree):
    """Early stopping trains on rows of the whole, others for each seed."""
    models = [network(early_stopping=True, random_state=i // 2) for i in range(6)]
    agree(models, data_of("classes", 6))


def test_targets_and_weights_differ(agree):
    y = TARGETS["classes"]
    agree([network()] * 3, [(X, np.roll(y, i), {}) for i in range(3)])
    weights = [{"sample_weight": np.roll(np.linspace(0, 2, 50), i)} for i in range(3)]
    models = [network(random_state=i % 2) for i in range(3)]
    agree(models, [(X, y, weight) for weight in weights])
    some = [(X, y, weight) for weight in (weights[0], {}, weights[0])]
    agree([network()] * 3, some, [2, 1])
    numbers = [(X, scale * TARGETS["number"], {}) for scale in (1, -1, 1000)]
    agree([network("number")] * 3, numbers)


def test_validation_sets_differ(agree):
    y = TARGETS["classes"]
    data = [(X, y, {"X_val": X[:n], "y_val": y[:n]}) for n in (10, 20, 20)]
    models = [
        network(early_stopping=True, random_state=i, scoring=scoring, batch_norm=True)
        for i, scoring in enumerate((None, "loss", "balanced_accuracy"))
    ]
    agree(models, data)


# Many generators


@pytest.mark.parametrize("n_rows", [[13] * 5, [13, 12, 13, 12, 11]])
def test_an_order_of_the_device_has_every_row_once(n_rows, monkeypatch):
    """Of many generators it takes a word each, and makes the orders itself."""
    monkeypatch.setattr(stacked_data, "_MOST_SHUFFLES", 3)
    seen, take = [], stacked_data.StackedData.batch

    def batch(self, position, size, is_filled):
        found = take(self, position, size, is_filled)
        seen.append([x if x is None else x.numpy() for x in found])
        return found

    monkeypatch.setattr(stacked_data.StackedData, "batch", batch)
    rows = np.arange(13.0).reshape(-1, 1)
    models = [
        network("number", random_state=i, batch_size=5, max_iter=2) for i in range(5)
    ]
    data = [(rows[:n] * [1, -1], np.arange(float(n)), {}) for n in n_rows]
    stacks = Stacks(models, data).train()
    assert stacks.sizes == [5]
    orders = []
    for epoch in seen[:3], seen[3:]:
        for i, n in enumerate(n_rows):
            given = []
            for X_batch, _, weight in epoch:
                counts = np.ones(X_batch.shape[-2]) if weight is None else weight[i]
                given += X_batch[i, counts > 0, 0].tolist()
            assert sorted(given) == list(range(n))
            orders.append(tuple(given))
    assert len(set(orders)) == 10
    # Another fit has the same ones.
    again = Stacks([clone(model) for model in models], data).train()
    for one, other in zip(models, again.models, strict=True):
        np.testing.assert_array_equal(one.coefs_[0], other.coefs_[0])


def test_many_generators_without_a_shuffle(agree):
    """Their noise is that of each, as on the CPU."""
    common = {"hidden_layer_sizes": 2, "shuffle": False, "dropout": 0.3}
    models = [network(**common, max_iter=1, random_state=i) for i in range(70)]
    agree(models, data_of("classes", 70))


# The end of each training


ENDS = [
    {"early_stopping": True, "dropout": 0.1},
    {"early_stopping": True, "batch_norm": True, "scoring": "balanced_accuracy"},
    {"dropout": Exponential(start=0.2), "dropout_scaling": "standard"},
    {"penalty": "l1", "solver": "sgd", "alpha": 0.001},
]


@pytest.mark.parametrize("seeds", [range(7), [0] * 7], ids=["other seeds", "one seed"])
@pytest.mark.parametrize("params", ENDS, ids=str)
def test_each_ends_by_itself(params, seeds, agree):
    rates = (0.001, 0.003, 0.01, 0.03, 0.1, 0.03, 0.01)
    options = {"max_iter": 40, "n_iter_no_change": 1, "tol": 0.05, **params}
    models = [
        network(**options, learning_rate_init=rate, random_state=seed)
        for seed, rate in zip(seeds, rates, strict=True)
    ]
    stacks, alone = agree(models, data_of("classes", 7))
    assert len({fit.n_iter_ for fit in alone}) > 1
    n_epochs = [alone[i].n_iter_ for i in stacks.ended]
    assert n_epochs == sorted(n_epochs)


@pytest.fixture
def built(monkeypatch):
    """Return the sizes of all stacks that are built."""
    sizes, init = [], Stack.__init__

    def counting(self, members, *args, **options):
        sizes.append(len(members))
        init(self, members, *args, **options)

    monkeypatch.setattr(Stack, "__init__", counting)
    return sizes


def test_a_stack_shrinks(agree, built):
    models = [network(max_iter=n, dropout=0.2, random_state=n % 2) for n in range(1, 9)]
    agree(models, folds(4) * 2)
    assert built == [8, 4, 2, 1]


@pytest.fixture
def memory(monkeypatch):
    """Return a function that sets what is free, at every time that it is asked for."""

    def free(*sizes):
        left = list(sizes)

        def take(device):
            return left.pop(0) if left[1:] else left[0]

        monkeypatch.setattr(Device, "free_memory", take)

    return free


def test_inputs_stay_on_the_device(agree, built, memory):
    """A smaller stack reads those of the larger one, whatever memory is free."""
    models = [network(max_iter=n, dropout=0.2) for n in (1, 1, 3, 3, 2, 2, 4, 4)]
    stacks = Stacks([clone(model) for model in models], folds(4) * 2)
    memory(10**9, 10**9, 0)
    stacks.train()
    assert built == [8, 4, 2]
    for own, model, (X, y, _) in zip(stacks.models, models, folds(4) * 2, strict=True):
        np.testing.assert_allclose(own.coefs_[0], model.fit(X, y).coefs_[0], 1e-9, 1e-9)


def test_members_go_on_from_where_they_left(assert_agree):
    """Generators and solvers are those of each, though some left earlier."""
    y = TARGETS["classes"]
    models = [network(max_iter=n, dropout=0.2, warm_start=True) for n in (1, 2, 4, 5)]
    alone = [clone(model).fit(X, y).fit(X, y) for model in models]
    Stacks(models, data_of("classes", 4)).train()
    for own, other in zip(models, alone, strict=True):
        assert_agree(own.set_params(device=None).fit(X, y), other, X)


def test_warm_starts_in_stacks(assert_agree):
    """Those with as many steps behind them are alike."""
    y = TARGETS["classes"]
    models = [
        network(alpha=a, warm_start=True, max_iter=n, batch_norm=True).fit(X, y)
        for a, n in ((0, 2), (0.1, 2), (0.2, 2), (0.1, 3))
    ]
    alone = [pickle.loads(pickle.dumps(model)).fit(X, y) for model in models]
    stacks = Stacks(models, data_of("classes", 4)).train()
    assert stacks.sizes == [3, 1]
    for own, other in zip(models, alone, strict=True):
        assert_agree(own.set_params(device=None), other, X)


@pytest.mark.parametrize("most", [1, 2, 3])
def test_the_size_of_stacks_is_limited(most, agree):
    models = [network(alpha=0.1 * i, dropout=0.1) for i in range(5)]
    sizes = {1: [1] * 5, 2: [2, 2, 1], 3: [3, 2]}[most]
    agree(models, data_of("classes", 5), sizes, most)


def test_the_memory_limits_stacks(agree, memory):
    models = [network(alpha=0.1 * i) for i in range(5)]
    (member,) = Stacks([clone(models[0])], data_of("classes", 1)).members
    memory(5 * member.n_bytes())
    agree(models, data_of("classes", 5), [2, 2, 1])


def test_a_member_is_no_larger_than_a_fit(agree):
    """What it has is its own, not a part of the stack."""
    models = [network(alpha=0.1 * i, batch_norm=True) for i in range(6)]
    stacks, alone = agree(models, data_of("classes", 6))
    for own, one in zip(stacks.models, alone, strict=True):
        own.executor_ = one.executor_
        assert len(pickle.dumps(own)) == len(pickle.dumps(one))
        for array in own.coefs_[0], own._training_state.optimizer_state["m"]:
            assert array.base is None or array.base.size == 145


def test_nothing_keeps_the_memory_of_a_stack(monkeypatch):
    stacks, init = [], Stack.__init__

    def following(self, *args, **options):
        stacks.append(weakref.ref(self))
        init(self, *args, **options)

    monkeypatch.setattr(Stack, "__init__", following)
    models = [network(hidden_layer_sizes=n, early_stopping=True) for n in (3, 4)]
    trained = Stacks(models, data_of("classes", 2)).train()
    gc.collect()
    assert [stack() for stack in stacks] == [None, None]
    assert trained.sizes == [1, 1]


# Recorded steps


@pytest.fixture
def recording(monkeypatch):
    """Let steps be recorded, as a GPU does it: after that no Python runs in them."""
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch, "compile", lambda function, dynamic: function)

    def recorded(self, function, changed, others, is_long=False):
        before = [tensor.clone() for tensor in changed]
        # The warm-up is a run, and so is the trace.
        for run in lambda *_: function(), self._compiled:
            replay = run(function, [*changed, *others])
            for tensor, old in zip(changed, before, strict=True):
                tensor.copy_(old)
        return replay

    monkeypatch.setattr(Device, "recorded", recorded)


def recorded():
    starts = 0.1, 0.2, 0.2
    yield vary(
        dropout=[Exponential(start=a) for a in starts],
        alpha=[Cosine(start=a) for a in starts],
        learning_rate=("adaptive", "cosine", "invscaling"),
    )
    yield vary(common={"penalty": "l1", "solver": "sgd"}, alpha=starts, max_norm=starts)
    yield vary(common={"penalty": "group_lasso", "clip_norm": 0.1}, alpha=starts)
    yield vary(
        common={"batch_norm": True, "early_stopping": True}, random_state=range(3)
    )
    yield vary(augment=[GaussianNoise(std=a) for a in starts], dropconnect=starts)
    yield vary(
        "number", embedding=[Periodic(sigma=a) for a in starts], residual=[True] * 3
    )
    yield vary(
        common={"loss": "hierarchical_softmax", "solver": "rmsprop"}, alpha=starts
    )
    yield vary(
        common={"loss": "hinge", "solver": "adamw"}, alpha=starts, max_iter=(1, 2, 5)
    )


@pytest.mark.parametrize("case", [*recorded()], ids=str)
def test_recorded_steps(case, agree, recording):
    kind, params = case
    models = [network(kind, **own) for own in params]
    agree(models, data_of(kind, len(models)))


def test_recorded_steps_of_folds(agree, recording):
    models = [
        network(dropout=0.2, random_state=i // 2, max_iter=i + 1) for i in range(4)
    ]
    weight = np.linspace(0, 2, 50)
    agree(models, folds(4, sample_weight=weight))


# What goes wrong


class Growing(Schedule):
    """Overflows the weights in an epoch."""

    def __init__(self, *, at=1):
        self.at = at

    def formula(self, base, epochs, progress):
        return np.where(epochs < self.at, base, 1e30)


@each_dtype
@pytest.mark.parametrize("early_stopping", [False, True])
def test_each_diverges_by_itself(early_stopping, dtype, assert_agree):
    schedules = "constant", Growing(at=1), "cosine", Growing(at=2), "adaptive"
    models = [
        network("number", solver="sgd", learning_rate=each, dropout=0.1, max_iter=4)
        for each in schedules
    ]
    data = data_of("number", 5, dtype)
    for model in models:
        model.set_params(early_stopping=early_stopping)
    alone = [clone(model) for model in models]
    stacks = Stacks(models, data)
    assert stacks.sizes == [5]
    stacks.train()
    for i in (1, 3):
        if early_stopping:
            categories = {told.category for told in stacks.told[i].told}
            assert ConvergenceWarning in categories
            assert models[i].n_iter_ == i // 2 + 2
            assert models[i].best_epoch_ <= i // 2 + 1
            assert np.isfinite(models[i].predict(X)).all()
        else:
            assert isinstance(stacks.errors[i], DivergenceError)
            assert f"in epoch {i // 2 + 2} at" in str(stacks.errors[i])
            assert not hasattr(models[i], "coefs_")
    for i in (0, 2, 4):
        assert stacks.errors[i] is None
        assert "training loss became" not in str(stacks.told[i].told)
        other = alone[i].fit(*data[i][:2])
        assert_agree(models[i].set_params(device=None), other, X)


class Failing(Schedule):
    def __init__(self, *, at=1):
        self.at = at

    def formula(self, base, epochs, progress):
        if progress.epoch == self.at:
            raise RuntimeError(f"no rate for epoch {self.at}")
        return base


@pytest.mark.parametrize("at", [0, 2])
def test_an_error_of_a_schedule_ends_one(at, assert_agree):
    models = [network(learning_rate=rate) for rate in ("constant", Failing(at=at))]
    stacks = Stacks(models, data_of("classes", 2)).train()
    assert str(stacks.errors[1]) == f"no rate for epoch {at}"
    assert not hasattr(models[1], "coefs_")
    alone = network().fit(X, TARGETS["classes"])
    assert_agree(models[0].set_params(device=None), alone, X)
    both = [network(learning_rate=Failing(at=at)) for _ in range(2)]
    errors = Stacks(both, data_of("classes", 2)).train().errors
    assert [str(error) for error in errors] == [f"no rate for epoch {at}"] * 2


def test_an_error_of_a_scorer_ends_one(assert_agree):
    def score(estimator, X, y):
        raise RuntimeError("no score")

    models = [
        network(early_stopping=True, scoring=each, random_state=i)
        for i, each in enumerate((None, score, "loss"))
    ]
    stacks = Stacks(models, data_of("classes", 3)).train()
    assert [str(error) for error in stacks.errors] == ["None", "no score", "None"]
    for i in (0, 2):
        own = models[i].set_params(device=None)
        assert_agree(own, clone(own).fit(X, TARGETS["classes"]), X)


class Broken(Softsign):
    def forward(self, Z, xp):
        raise RuntimeError("broken on purpose")


def test_an_error_of_a_step_ends_its_stack(assert_agree):
    models = [network(activation=each) for each in (Broken(), "relu")]
    stacks = Stacks(models, data_of("classes", 2)).train()
    assert [str(error) for error in stacks.errors] == ["broken on purpose", "None"]
    own = models[1].set_params(device=None)
    assert_agree(own, clone(own).fit(X, TARGETS["classes"]), X)


def test_different_inputs_that_do_not_fit_raise(assert_agree, memory):
    models = [network(), network(), network(hidden_layer_sizes=4)]
    data = [*folds(2), *data_of("classes", 1)]
    stacks = Stacks(models, data)
    memory(10**9, 10**9, 1000)
    stacks.train()
    for error in stacks.errors[:2]:
        assert isinstance(error, MemoryError)
        assert "Use fewer folds at a time" in str(error)
    # One alone is sent in pieces.
    own = models[2].set_params(device=None)
    assert_agree(own, clone(own).fit(X, TARGETS["classes"]), X)


class Interrupting(Schedule):
    """Stands for a user, who interrupts at the start of an epoch."""

    def formula(self, base, epochs, progress):
        if progress.epoch == 2:
            raise KeyboardInterrupt
        return base


@pytest.mark.parametrize("early_stopping", [False, True])
def test_an_interruption_ends_all(early_stopping, assert_agree):
    common = {"early_stopping": early_stopping, "penalty": "l1", "solver": "sgd"}
    rates = "constant", Interrupting(), "adaptive", "constant"
    models = [
        network(**common, learning_rate=rate, random_state=i, max_iter=n)
        for i, (rate, n) in enumerate(zip(rates, (5, 5, 5, 1), strict=True))
    ]
    stacks = Stacks(models, data_of("classes", 4)).train()
    assert stacks.interrupted
    assert stacks.errors == [None] * 4
    assert stacks.ended == [3, 0, 1, 2]
    for i in range(3):
        told = [each.message for each in stacks.told[i].told]
        assert any("interrupted by user after 2 epochs" in line for line in told)
        # They have what two epochs leave, and go on from there.
        own = models[i].set_params(device=None, learning_rate="constant", max_iter=2)
        assert_agree(own, clone(own).fit(X, TARGETS["classes"]), X)
        own.set_params(warm_start=True).fit(X, TARGETS["classes"])
    assert not any("interrupted" in each.message for each in stacks.told[3].told)


def test_an_interruption_of_a_later_stack():
    """The first stack is done by then, and the last one has not begun."""
    sizes, rates = (3, 3, 4, 5), ("constant", "constant", Interrupting(), "constant")
    models = [
        network(hidden_layer_sizes=size, learning_rate=rate)
        for size, rate in zip(sizes, rates, strict=True)
    ]
    stacks = Stacks(models, data_of("classes", 4)).train()
    assert stacks.interrupted
    assert stacks.ended == [0, 1, 2]
    interrupted = [training.monitor.interrupted for training in stacks.trainings]
    assert interrupted == [False, False, True, False]


def test_what_is_done_is_not_interrupted(monkeypatch):
    """The user interrupts between the last epoch of some and their end."""
    original = Stack.bring_home
    calls = iter(range(9))

    def bring_home(self, indices):
        if next(calls) == 0:
            raise KeyboardInterrupt
        original(self, indices)

    monkeypatch.setattr(Stack, "bring_home", bring_home)
    models = [network(max_iter=n) for n in (1, 3)]
    stacks = Stacks(models, data_of("classes", 2)).train()
    assert stacks.ended == [0, 1]
    interrupted = [training.monitor.interrupted for training in stacks.trainings]
    assert interrupted == [False, True]


def test_a_device_without_memory_says_what_to_do(monkeypatch):
    torch = pytest.importorskip("torch")

    def full(self, *args):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(Stack, "run_epoch", full)
    monkeypatch.setattr(_devices, "is_host", lambda spec: False)
    X, y = np.random.default_rng(0).normal(size=(20, 3)), np.arange(20) % 2
    with pytest.raises(MemoryError, match="for a network"):
        MLPClassifier(device="cpu").fit(X, y)
