"""Parameters for the fuzzer: valid values, values at a boundary, and wrong ones."""

import numpy as np
from sklearn.model_selection import KFold
from sklearn.tree import DecisionTreeRegressor

from _fuzz_data import chance, one
from sknn_notes import (
    Centerer,
    MinMaxNormalizer,
    MLPClassifier,
    MLPRegressor,
    PiecewiseLinearEncoder,
    RobustStandardizer,
    Standardizer,
    Whitener,
)
from sknn_notes.activations import ELU, LeakyReLU
from sknn_notes.embeddings import Periodic, PiecewiseLinear
from sknn_notes.initializers import Sparse
from sknn_notes.layers import BatchNorm, LayerNorm
from sknn_notes.losses import (
    HierarchicalSoftmax,
    Hinge,
    Huber,
    LogLoss,
    Quantile,
    SampledSoftmax,
    Tweedie,
)
from sknn_notes.model_selection import GridSearchCV, RandomizedSearchCV
from sknn_notes.noise import (
    FractionalMaxPooling,
    GaussianNoise,
    RandomCrop,
    RandomFlip,
    RandomShift,
    StochasticPooling,
)
from sknn_notes.optimizers import SGD, Adam, RMSProp
from sknn_notes.penalties import GroupLasso
from sknn_notes.schedules import Cosine, InverseTime, OneCycle
from sknn_notes.tabular import TabularMLPClassifier, TabularMLPRegressor


def _score(estimator, X, y):
    return -float(len(X) if isinstance(X, np.ndarray) else X.shape[0])


NETWORK = {
    "hidden_layer_sizes": [(), (4,), (4, 3), 5, [3], np.array([2, 3]), (1,), (4, 4, 4)],
    "n_hidden_layers": [None, 0, 1, 2],
    "activation": [
        *("relu", "tanh", "logistic", "identity", "elu", "gelu", "silu", "leaky_relu"),
        *(["tanh"], ELU(alpha=1e3), LeakyReLU(negative_slope=0)),
    ],
    "solver": [
        *("adam", "adamw", "sgd", "rmsprop", "lbfgs"),
        *(SGD(momentum=0), Adam(beta_2=0), RMSProp(rho=0)),
    ],
    "alpha": [
        *(0.0, 1e-3, 1.0, 1e10, 1e300, 5e-324, [0.1, 0.0], np.float16(0.1)),
        *(InverseTime(start=0.1), OneCycle(start=1.0)),
    ],
    "batch_size": ["auto", 1, 2, 7, 1000, 2**70],
    "learning_rate": [
        *("constant", "adaptive", "cosine", "exponential", "flat_cosine"),
        *("inverse_time", "invscaling", "onecycle", "step"),
        *(Cosine(start=0.1, warmup=2), OneCycle(warmup=0.5), InverseTime(gamma=0)),
    ],
    "learning_rate_init": [1e-3, 0.1, 10.0, 1e10, 1e300, 5e-324, 1],
    "power_t": [0.5, 0, 1e3, 1e308],
    "max_iter": [1, 2, 3, np.int8(2)],
    "shuffle": [True, False, np.True_],
    "random_state": [0, 2**32 - 1, None, np.int64(3)],
    "tol": [0, 1e-4, 1e300],
    "verbose": [False, True, 1, 0],
    "warm_start": [True, False],
    "momentum": [0, 0.9, 1, 1.0],
    "nesterovs_momentum": [True, False],
    "early_stopping": [True, False],
    "validation_fraction": [0.1, 0.5, 0, 0.999, 1e-9],
    "beta_1": [0, 0.9, 0.999999999999],
    "beta_2": [0, 0.999, 1 - 1e-16],
    "epsilon": [1e-8, 5e-324, 1.0, 1e300],
    "n_iter_no_change": [1, 10, np.inf],
    "max_fun": [1, 10, 2**70],
    "init": [
        *("auto", "zeros", "normal", "uniform", "lecun_normal", "glorot_uniform"),
        *("he_normal", "sparse", "orthogonal", "lsuv", Sparse(n_connections=1)),
    ],
    "bias_init": [0, 0.01, -1.0, 1e30, 1e300],
    "penalty": ["l1", "l2", "elasticnet", "group_lasso", None, GroupLasso()],
    "l1_ratio": [0, 0.5, 1],
    "penalize_bias": [True, False],
    "max_norm": [None, 1.0, 5e-324, 1e300, [1.0, None], [2, 3]],
    "dropout": [0, 0.5, 0.999999, [0.2], Cosine(start=0.5), np.float32(0.25)],
    "input_dropout": [0, 0.2, 1 - 1e-16],
    "dropconnect": [0, 0.2, 0.9],
    "dropout_scaling": ["inverted", "standard"],
    "marginalization": ["analytic", "monte_carlo"],
    "n_mc_samples": [1, 2, 3],
    "batch_norm": [True, False, BatchNorm(momentum=1.0)],
    "layer_norm": [True, False, LayerNorm()],
    "residual": [True, False],
    "embedding": [
        *(None, "periodic", "piecewise_linear", Periodic(sigma=1e10)),
        *(Periodic(n_frequencies=1, n_units=1), PiecewiseLinear(n_bins=2)),
    ],
    "feature_scaling": [True, False],
    "clip_norm": [None, 1.0, 5e-324, 1e300],
    "augment": [
        *(None, GaussianNoise(), GaussianNoise(std=1e30), [], [GaussianNoise()] * 2),
        *(RandomShift(), RandomFlip(image_shape=(2, 2)), RandomCrop(crop_shape=1)),
        *(StochasticPooling(image_shape=(2, 2)), FractionalMaxPooling()),
    ],
    "scoring": ["loss", None, "accuracy", "r2", "neg_log_loss", "roc_auc", _score],
    "dtype": ["auto", "float32", "float64"],
    "n_networks": [1, 2],
    "n_jobs": [None, 1, 2, -1, 0],
    "device": [None, "cpu", "cuda", "gpu", ""],
}
CLASSIFIER = {
    **NETWORK,
    "loss": [
        *("log_loss", "hinge", "squared_hinge", "hierarchical_softmax"),
        *("sampled_softmax", LogLoss(label_smoothing=0.1), Hinge(margin=1e30)),
        *(HierarchicalSoftmax(tree="huffman"), HierarchicalSoftmax(tree=((0, 1), 2))),
        *(HierarchicalSoftmax(tree=[0, [1]]), SampledSoftmax(n_negatives=1)),
        SampledSoftmax(distribution="uniform"),
    ],
    "class_weight": [
        *(None, "balanced", {0: 2, 1: 1}, {}, {0: 0}, {0: 1e308, 1: 1e308}, [{0: 1}]),
        *({"class 0": 2}, {0: -1}, {0: np.nan}, {9: 1}, [{0: 1, 1: 2}] * 3, {0: "a"}),
    ],
}
REGRESSOR = {
    **NETWORK,
    "loss": [
        *("squared_error", "absolute_error", "huber", "poisson", "gamma", "tweedie"),
        *("quantile", "gaussian_nll", Huber(delta=1e-300), Quantile([0.1, 0.9])),
        *(Tweedie(power=1.0), Tweedie(power=2.0), Quantile(0.999)),
    ],
    "standardize_target": [True, False],
}
_PER = {
    "per": ["feature", "all", "channel"],
    "n_channels": [None, 1, 2, 3, 2**70],
    "channels": ["first", "last"],
    "copy": [True, False],
}
_RANDOM = {"subsample": [10_000, 1, 2, 5, 2**70], "random_state": [0, None, 7]}
SHRINKAGE = [None, "ledoit_wolf", "oas", 0, 1, 0.5, 5e-324]
TABLE = {
    "quality": ["fast"],
    "categorical_features": ["from_dtype", None, [0], ["x0"], [True], [], [-1], "x0"],
    "time_limit": [None, 0.1, 1e-9, 1e300],
    "n_jobs": [None, 1, 2],
    "random_state": [0, None],
    "verbose": [False, True],
}
GRIDS = [
    *({"alpha": [0.0, 0.1]}, {"hidden_layer_sizes": [(2,), (3,)]}, {"alpha": []}, {}),
    *({"nothing": [1]}, {"alpha": [-1.0, 0.1]}, {"alpha": 1.0}, [], None, "alpha"),
    [{"solver": ["sgd"], "momentum": [0.5]}, {"solver": ["adam"]}],
]
SEARCH = {
    "scoring": [None, "accuracy", "r2", ["accuracy", "r2"], "nothing", _score],
    "n_jobs": [None, 1, 2],
    "refit": [True, False, "accuracy"],
    "cv": [2, 3, None, 1, 1000, [], KFold(2)],
    "verbose": [0, 1, 10],
    "error_score": [np.nan, "raise", 0],
    "return_train_score": [True, False],
    "stack_size": ["auto", 1, 0, 2**70],
}

# The share of the cases, and the parameters of each estimator.
ESTIMATORS = {
    MLPClassifier: (0.36, CLASSIFIER),
    MLPRegressor: (0.33, REGRESSOR),
    Centerer: (0.04, _PER),
    Standardizer: (
        0.05,
        {**_PER, "with_mean": [True, False], "with_std": [True, False], "ddof": [0, 1]},
    ),
    RobustStandardizer: (
        0.05,
        {**_PER, **_RANDOM, "clip": [None, 3.0, 1, 5e-324, 1e300]},
    ),
    MinMaxNormalizer: (
        0.04,
        {
            **_PER,
            "feature_range": [(-1, 1), (0, 1), (1, 0), (0, 0), (0, 1e308), [0, 1]],
            "clip": [True, False],
        },
    ),
    Whitener: (
        0.05,
        {
            "method": ["pca", "zca", "pca_cor", "zca_cor", "cholesky"],
            "n_components": [None, 1, 2, 0.5, 100, 1 - 1e-16],
            "whiten": [True, False],
            "eps": [0, 1e-5, 1e300, 5e-324],
            "ddof": [0, 1],
            "shrinkage": SHRINKAGE,
        },
    ),
    PiecewiseLinearEncoder: (
        0.05,
        {
            **_RANDOM,
            "n_bins": [2, 3, 8, 1, 1000],
            "bins": ["quantile", "tree", DecisionTreeRegressor(max_leaf_nodes=3)],
            "keep_inputs": [True, False],
            "scale": [None, 0.5, 1e300, 5e-324],
            "clip_ends": [True, False],
        },
    ),
    TabularMLPClassifier: (
        0.006,
        {**TABLE, "class_weight": CLASSIFIER["class_weight"]},
    ),
    TabularMLPRegressor: (0.006, TABLE),
    GridSearchCV: (0.008, {**SEARCH, "param_grid": GRIDS}),
    RandomizedSearchCV: (
        0.01,
        {**SEARCH, "param_distributions": GRIDS, "n_iter": [1, 2, 0, 2**70]},
    ),
}

# What small networks are, unless a case says something else.
SMALL = {
    "hidden_layer_sizes": (4,),
    "max_iter": 2,
    "n_mc_samples": 2,
    "random_state": 0,
}
# Parameters that would take hours or gigabytes if they were huge.
COSTLY = {
    *("hidden_layer_sizes", "n_hidden_layers", "max_iter", "n_mc_samples"),
    *("n_networks", "n_iter", "n_bins", "cv", "stack_size", "quality"),
}


class Unreadable:
    """An object whose ``repr`` fails."""

    def __repr__(self):
        raise ValueError("no repr")


def wrong_value(rng, name):
    """Return a value that hardly any parameter accepts."""
    values = [
        *("", "none", "adam", b"l2", "nan", -1, 0, -0.5, 1.5, np.nan, True, None, 1j),
        *([], (), {}, [None], ["relu", 1], (1, -2), (4.0,), [[1, 2]], {1, 2}),
        *(np.array(1.0), np.array([0.5]), np.array(["a"]), np.zeros((2, 2)), range(3)),
        *(object(), Unreadable(), len, Adam, Adam(), SGD(momentum=2.0), Cosine()),
        *(GroupLasso(groups="x"), Quantile([0.9, 0.1]), Quantile([]), Tweedie(power=9)),
        *(np.random.default_rng(0), np.datetime64("2020-01-01"), float, Ellipsis),
    ]
    if name not in COSTLY:
        values += [10**400, 1e308, -1e308, np.inf, -np.inf, 2**70, [1e308]]
    return one(rng, values)


def parameters(rng, cls):
    """Return parameters of an estimator, few of them wrong, if any."""
    domains = ESTIMATORS[cls][1]
    if chance(rng, 0.1):
        chosen = [name for name in domains if chance(rng, 0.5)]
    else:
        n = min(int(rng.integers(6)), len(domains))
        chosen = rng.choice(list(domains), size=n, replace=False).tolist()
    drawn = {name: one(rng, domains[name]) for name in chosen}
    if chance(rng, 0.12):
        name = one(rng, list(domains))
        drawn[name] = wrong_value(rng, name)
    return drawn


def estimator(rng, cls):
    """Return an unfitted estimator, and the parameters that it was given."""
    drawn = parameters(rng, cls)
    return cls(**base(cls) | drawn), drawn


def base(cls):
    """Return the parameters that a case starts from."""
    if cls in (MLPClassifier, MLPRegressor):
        return SMALL
    if issubclass(cls, GridSearchCV | RandomizedSearchCV):
        grid = "param_grid" if cls is GridSearchCV else "param_distributions"
        rest = {} if cls is GridSearchCV else {"n_iter": 2, "random_state": 0}
        network = MLPClassifier(**SMALL)
        return {"estimator": network, grid: {"alpha": [0.1, 1.0]}, "cv": 2, **rest}
    if cls in (TabularMLPClassifier, TabularMLPRegressor):
        return {"quality": "fast", "random_state": 0}
    return {}
