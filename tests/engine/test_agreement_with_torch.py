"""Training agrees with PyTorch's, from the same weights through the same batches."""

from collections import Counter

import numpy as np
import pytest

from sknn_notes import MLPClassifier, MLPRegressor
from sknn_notes.activations import ACTIVATIONS, ELU, LeakyReLU
from sknn_notes.embeddings import EMBEDDINGS, Periodic, PiecewiseLinear
from sknn_notes.layers import BatchNorm, LayerNorm
from sknn_notes.layers._base import Layer
from sknn_notes.losses import (
    CLASSIFICATION_LOSSES,
    REGRESSION_LOSSES,
    HierarchicalSoftmax,
    Hinge,
    Huber,
    LogLoss,
    Quantile,
    SampledSoftmax,
    SquaredHinge,
    Tweedie,
)
from sknn_notes.noise import GaussianNoise
from sknn_notes.optimizers import OPTIMIZERS, SGD, Adam, AdamW, RMSProp
from sknn_notes.penalties import PENALTIES, ElasticNet, GroupLasso

from .._covering import covering

pytest.importorskip("torch")
from . import _torch_parts as formulas
from ._torch_training import Training

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    # A network of one layer has no activation to set, for example.
    pytest.mark.filterwarnings("ignore:.* has no effect"),
]

# 23 samples in batches of 5: the last one of an epoch has 3.
N_SAMPLES, N_FEATURES, N_CLASSES, BATCH_SIZE, N_EPOCHS = 23, 6, 4, 5, 2

rng = np.random.default_rng(0)
X = rng.normal(size=(N_SAMPLES, N_FEATURES)) / 2
TARGETS = {
    "classes": rng.permutation(np.arange(N_SAMPLES) % N_CLASSES),
    "two classes": rng.permutation(np.arange(N_SAMPLES) % 2),
    "many classes": rng.permutation(np.arange(N_SAMPLES) % 12),
    "labels": rng.integers(2, size=(N_SAMPLES, 3)),
    "number": rng.normal(size=N_SAMPLES),
    "numbers": rng.normal(size=(N_SAMPLES, 3)),
    "number, a count": rng.poisson(2.0, size=N_SAMPLES).astype(float),
    "numbers, counts": rng.poisson(2.0, size=(N_SAMPLES, 3)).astype(float),
    "numbers, positive": rng.gamma(2.0, size=(N_SAMPLES, 2)) + 0.1,
}
WEIGHT = rng.exponential(size=N_SAMPLES)
WEIGHT[:BATCH_SIZE] = 0

# What stands for a name, in turn: for a loss, the kind of targets and the loss.
VARIANTS = {
    "absolute_error": [("numbers", "absolute_error"), ("number", "absolute_error")],
    "gamma": [("numbers, positive", "gamma")],
    "gaussian_nll": [("numbers", "gaussian_nll"), ("number", "gaussian_nll")],
    "hierarchical_softmax": [
        ("classes", "hierarchical_softmax"),
        ("classes", HierarchicalSoftmax(tree=(0, ((3, 1), 2)))),
        ("two classes", "hierarchical_softmax"),
    ],
    "hinge": [
        ("classes", "hinge"),
        ("two classes", "hinge"),
        ("labels", Hinge(margin=0.25)),
        ("classes", Hinge(margin=0.25)),
    ],
    "huber": [("numbers", "huber"), ("number", Huber(delta=0.3))],
    "log_loss": [
        ("classes", "log_loss"),
        ("two classes", "log_loss"),
        ("labels", "log_loss"),
        ("classes", LogLoss(label_smoothing=0.3)),
        ("labels", LogLoss(label_smoothing=0.3)),
    ],
    "poisson": [("numbers, counts", "poisson"), ("number, a count", "poisson")],
    "quantile": [
        ("numbers", "quantile"),
        ("number", Quantile(0.2)),
        ("numbers", Quantile([0.1, 0.4, 0.9])),
    ],
    "squared_error": [("numbers", "squared_error"), ("number", "squared_error")],
    "squared_hinge": [
        ("classes", SquaredHinge(margin=0.5)),
        ("two classes", "squared_hinge"),
        ("labels", "squared_hinge"),
    ],
    "tweedie": [
        ("numbers, counts", "tweedie"),
        ("numbers, counts", Tweedie(power=1)),
        ("numbers, positive", Tweedie(power=2)),
        ("numbers, positive", Tweedie(power=2.5)),
    ],
    "elu": ["elu", ELU(alpha=0.5)],
    "leaky_relu": ["leaky_relu", LeakyReLU(negative_slope=0.3)],
    "elasticnet": ["elasticnet", ElasticNet(l1_ratio=0.2)],
    "group_lasso": ["group_lasso", GroupLasso(groups="units")],
    # The rounding error of a gradient moves a weight by up to rate / epsilon times as
    # much, so that epsilon is large here.
    "adam": [Adam(epsilon=1e-3), Adam(beta_1=0.5, beta_2=0.8, epsilon=1e-2)],
    "adamw": [AdamW(epsilon=1e-3), AdamW(beta_1=0.0, beta_2=0.9, epsilon=1e-2)],
    "rmsprop": [RMSProp(epsilon=1e-3), RMSProp(rho=0.5, epsilon=1e-2)],
    "sgd": [SGD(), SGD(momentum=0.0), SGD(momentum=0.5, nesterovs_momentum=False)],
    "periodic": [
        Periodic(n_frequencies=5, n_units=2),
        Periodic(n_frequencies=3, n_units=2, activation="relu"),
    ],
    "piecewise_linear": [PiecewiseLinear(n_bins=4)],
    "batch norm": [
        {"batch_norm": True},
        {"batch_norm": BatchNorm(momentum=0.3, eps=1e-3)},
        {"batch_norm": BatchNorm(momentum=1.0, eps=1e-2)},
    ],
    "layer norm": [{"layer_norm": True}, {"layer_norm": LayerNorm(eps=0.1)}],
    "no norm": [{}],
    # The rates are exact in the 16 bits of a mask.
    "no noise": [{}],
    "dropout": [
        {"dropout": 0.375},
        {"dropout": [0.25, 0.5, 0.0], "dropout_scaling": "standard"},
    ],
    "dropconnect": [
        {"dropconnect": 0.125, "input_dropout": 0.25},
        {"dropconnect": 0.125, "input_dropout": 0.25, "dropout_scaling": "standard"},
    ],
    "augment": [{"augment": GaussianNoise(std=0.2)}],
}
LOSSES = [*CLASSIFICATION_LOSSES, *REGRESSION_LOSSES]
DOMAINS = {
    # Steps of the sampled softmax on all weights are tested below.
    "loss": [name for name in LOSSES if name != "sampled_softmax"],
    "activation": list(ACTIVATIONS),
    "penalty": [None, *PENALTIES],
    "solver": [name for name in OPTIMIZERS if OPTIMIZERS[name].stochastic],
    "norm": ["no norm", "batch norm", "layer norm"],
    "noise": ["no noise", "dropout", "dropconnect", "augment"],
    "embedding": [None, *EMBEDDINGS],
    "hidden_layer_sizes": [(7,), (7, 5), (6, 6), (6, 5, 4)],
    "max_norm": [None, 1.0, [0.8, None, 0.5, 1.0]],
    "alpha": [0.3, [0.5, 0.0, 1.0, 0.2]],
    "residual": [False, True],
    "feature_scaling": [False, True],
    "penalize_bias": [False, True],
    "clip_norm": [None, 0.3],
    "weighted": [False, True],
}


def cases(seed=0):
    """Return kinds of targets and parameters, with every pair of two values."""
    turns = Counter()

    def next_of(name):
        variants = VARIANTS.get(name, [name])
        turns[name] += 1
        return variants[turns[name] % len(variants)]

    found = []
    for case in covering(DOMAINS, seed):
        for name in "activation", "penalty", "solver", "embedding":
            case[name] = next_of(case[name])
        case |= next_of(case.pop("norm")) | next_of(case.pop("noise"))
        n_hidden = len(case["hidden_layer_sizes"])
        sizes = {"alpha": n_hidden + 1, "max_norm": n_hidden + 1, "dropout": n_hidden}
        for name, size in sizes.items():
            if isinstance(case.get(name), list):
                case[name] = case[name][:size]
        kind, case["loss"] = next_of(case["loss"])
        found.append((kind, case))
    return found


CASES = cases()


def shown(case):
    kind, parameters = case
    return f"{kind}-{parameters['loss']}-{parameters['solver']}-{parameters['penalty']}"


def network(kind, **parameters):
    cls = MLPClassifier
    if kind.startswith("number"):
        cls = MLPRegressor
        parameters["standardize_target"] = False
    options = {
        "hidden_layer_sizes": (7, 5),
        "alpha": 0.3,
        "bias_init": 0.1,
        "learning_rate_init": 0.001,
        "batch_size": BATCH_SIZE,
        "max_iter": N_EPOCHS,
        "shuffle": False,
        "random_state": 3,
    }
    return cls(**(options | parameters))


def arrays(value, name):
    """Yield the arrays in nested containers, with a name."""
    if isinstance(value, dict):
        for key in value:
            yield from arrays(value[key], f"{name} {key}")
    elif isinstance(value, list) and not isinstance(value[0], float):
        for i, each in enumerate(value):
            yield from arrays(each, f"{name} {i}")
    elif value is not None:
        yield name, np.asarray(value)


def assert_trained_as(fit, training, executor, rtol_curve=1e-12):
    """Assert that a fit agrees with PyTorch's.

    A step adds up to 30 products of numbers near 1, each of which is off by at most
    2**-53. That is 1e-14 after a few steps; the tolerance leaves room for numbers that
    are larger, and for errors that later steps amplify.
    """
    # Compiled steps of the sampled softmax are on the outputs that were drawn.
    assert fit.executor_.startswith((executor, "numpy (SampledSoftmax"))
    has_scores = hasattr(fit, "decision_function")
    outputs = fit.decision_function(X) if has_scores else fit.predict(X)
    own = {**vars(fit), "prediction": outputs}
    for name, desired in training.fitted(X).items():
        actual = dict(arrays(own[name], name))
        for key, array in arrays(desired, name):
            found = actual.pop(key).reshape(array.shape)
            rtol = rtol_curve if name == "loss_curve_" else 1e-11
            np.testing.assert_allclose(found, array, rtol, 1e-13, err_msg=key)
        assert not actual or name == "embedding_"


@pytest.fixture
def agrees(use, fits):
    """Return a function that compares the fits by all executors with PyTorch's."""

    def compare(kind, parameters, weight=None, rtol_curve=1e-12):
        model, y = network(kind, **parameters), TARGETS[kind]
        use("numpy")
        training = Training(model, X, y, weight)
        for fit, executor in fits(model, lambda x: x.fit(X, y, sample_weight=weight)):
            assert_trained_as(fit, training, executor, rtol_curve)
        return training

    return compare


@pytest.mark.parametrize("case", CASES, ids=shown)
def test_every_pair_of_parts(case, agrees):
    kind, parameters = case
    parameters = parameters.copy()
    agrees(kind, parameters, WEIGHT if parameters.pop("weighted") else None)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(1, 10))
def test_every_pair_of_parts_in_other_company(seed, agrees):
    for kind, parameters in cases(seed):
        agrees(kind, parameters, WEIGHT if parameters.pop("weighted") else None)


# Classes of layers, and the parameters of a case that has them.
LAYERS = {
    "Activate": "activation",
    "BatchNormLayer": "batch_norm",
    "ChosenOutputs": None,  # See the sampled softmax below.
    "Dense": "hidden_layer_sizes",
    "Dropout": "dropout",
    "Embed": "embedding",
    "FeatureScaling": "feature_scaling",
    "Fork": "residual",
    "InputNoise": "augment",
    "Join": "residual",
    "LayerNormLayer": "layer_norm",
}


def kinds_of(cls):
    return {x for kind in cls.__subclasses__() for x in (kind, *kinds_of(kind))}


def test_every_part_and_layer_is_among_the_cases():
    registered = set(ACTIVATIONS.values()), {OPTIMIZERS[x] for x in DOMAINS["solver"]}
    assert (set(formulas.ACTIVATIONS), set(formulas.OPTIMIZERS)) == registered
    losses = {*CLASSIFICATION_LOSSES.values(), *REGRESSION_LOSSES.values()}
    assert set(formulas.LOSSES) == losses
    assert set(formulas.PENALTIES) == set(PENALTIES.values())
    assert {kind.__name__ for kind in kinds_of(Layer)} == LAYERS.keys()
    for parameter in filter(None, LAYERS.values()):
        assert any(case.get(parameter) for _, case in CASES), parameter
    counts = Counter(
        repr(value)
        for kind, case in CASES
        for value in [(kind, case["loss"]), *case.values()]
    )
    for variants in VARIANTS.values():
        for variant in variants:
            values = variant.values() if isinstance(variant, dict) else [variant]
            assert all(counts[repr(value)] or value == 0.0 for value in values), variant


@pytest.mark.parametrize(
    "solver",
    [
        *(
            Adam(beta_1=beta_1, beta_2=beta_2, epsilon=epsilon)
            for beta_1, beta_2 in [(0.9, 0.999), (0.5, 0.8), (0.0, 0.9)]
            for epsilon in [1e-8, 1e-2]
        ),
        *(RMSProp(rho=rho, epsilon=eps) for rho in [0.9, 0.5] for eps in [1e-8, 1e-2]),
        AdamW(beta_1=0.8, beta_2=0.99, epsilon=1e-8),
        SGD(momentum=0.5, nesterovs_momentum=False),
        SGD(momentum=1.0),
    ],
    ids=str,
)
def test_options_of_solvers(solver, agrees):
    agrees("classes", {"solver": solver, "learning_rate_init": 0.01})


def test_options_of_solvers_among_the_parameters_of_the_estimator(fits, use):
    y = TARGETS["classes"]
    for name, part in {
        "sgd": SGD(momentum=0.5, nesterovs_momentum=False),
        "adam": Adam(beta_1=0.5, beta_2=0.8, epsilon=1e-4),
    }.items():
        use("numpy")
        training = Training(network("classes", solver=part), X, y)
        flat = network("classes", solver=name, **part.get_params())
        for fit, executor in fits(flat, lambda model: model.fit(X, y)):
            assert_trained_as(fit, training, executor)


@pytest.mark.parametrize("solver", [SGD(), Adam(epsilon=1e-4)], ids=str)
@pytest.mark.parametrize("clip_norm", [0.05, 0.8, 100.0])
def test_clipped_gradients(clip_norm, solver, agrees):
    training = agrees("classes", {"clip_norm": clip_norm, "solver": solver})
    assert len(training.lengths) == 5 * N_EPOCHS
    assert (max(training.lengths) > clip_norm) == (clip_norm < 100)


@pytest.mark.parametrize("penalty", [None, *PENALTIES])
@pytest.mark.parametrize("solver", ["adamw", "sgd"])
def test_no_hidden_layer(solver, penalty, agrees):
    solver = VARIANTS[solver][0]
    agrees(
        "classes",
        {
            "hidden_layer_sizes": (),
            "penalty": penalty,
            "solver": solver,
            "feature_scaling": True,
            "input_dropout": 0.25,
        },
    )


@pytest.mark.parametrize(
    "loss",
    [
        SampledSoftmax(n_negatives=1),
        SampledSoftmax(n_negatives=5, distribution="frequency"),
        SampledSoftmax(n_negatives=5, distribution="uniform"),
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "parameters",
    [
        # Steps on the outputs that were drawn, exact for these solvers.
        {"solver": SGD(), "penalty": None, "layer_norm": True, "residual": True},
        {"solver": RMSProp(epsilon=1e-4), "penalty": None, "dropout": 0.25},
        {"solver": SGD(momentum=0.5, nesterovs_momentum=False), "alpha": 0.3},
        {"solver": SGD(), "alpha": 0.3},
        # Steps on all weights.
        {"solver": Adam(epsilon=1e-4), "max_norm": 0.8},
        {"solver": AdamW(epsilon=1e-4), "penalty": "group_lasso"},
        {"solver": Adam(epsilon=1e-4), "penalty": "l1", "dropconnect": 0.25},
        {"solver": RMSProp(epsilon=1e-4), "hidden_layer_sizes": ()},
    ],
    ids=str,
)
def test_sampled_softmax(loss, parameters, agrees):
    parameters = {"loss": loss, "batch_size": 2, **parameters}
    # The penalty on outputs between the steps that draw them is interpolated.
    agrees(
        "many classes", parameters, rtol_curve=1e-2 if "alpha" in parameters else 1e-12
    )


def lbfgs_cases():
    """Return each loss once, with other options in turn."""
    options = [
        {"penalty": "l2", "alpha": [0.1, 0.0, 0.2], "penalize_bias": True},
        {"batch_norm": True, "residual": True},
        {"layer_norm": True, "feature_scaling": True},
        {"embedding": Periodic(n_frequencies=3, n_units=2), "penalty": None},
        {"embedding": PiecewiseLinear(n_bins=4)},
    ]
    smooth = [name for name in ACTIVATIONS if name not in ("relu", "leaky_relu")]
    losses = [pair for name in DOMAINS["loss"] for pair in VARIANTS[name]]
    found = []
    for i, (kind, loss) in enumerate(losses):
        case = {"loss": loss, "activation": smooth[i % len(smooth)], "solver": "lbfgs"}
        weight = WEIGHT if i % 2 else None
        case = {**options[i % len(options)], **case, "max_iter": 3}
        found.append((kind, case, weight))
    return found


@pytest.mark.parametrize(
    "case", lbfgs_cases(), ids=lambda case: f"{case[0]}-{case[1]['loss']}"
)
def test_lbfgs_with_every_loss(case, agrees):
    training = agrees(*case)
    assert 0 < len(training.curve) <= 3


def test_partial_fit_goes_on_as_the_same_solver(fits, use):
    y = TARGETS["classes"]
    model = network("classes", solver=Adam(epsilon=1e-4))
    use("numpy")
    training = Training(model, X, y)

    def fit(model):
        for _ in range(N_EPOCHS):
            model.partial_fit(X, y, classes=np.arange(N_CLASSES))
        return model

    for partial, executor in fits(model, fit):
        assert_trained_as(partial, training, executor)
