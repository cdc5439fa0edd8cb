"""Parameters that both estimators share: their domains and values per layer."""

from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from typing import Any, TypeAlias, cast

import numpy as np
from sklearn.metrics import get_scorer_names

from sknn_notes._checks import Interval, Names, Registry, plain, shown
from sknn_notes._part import resolve
from sknn_notes._sklearn import Options, StrOptions
from sknn_notes._typing import Floats, Integers
from sknn_notes.activations import ACTIVATIONS, Activation
from sknn_notes.embeddings import EMBEDDINGS, Embedding
from sknn_notes.initializers import INITIALIZERS, Initializer
from sknn_notes.layers import BatchNorm, LayerNorm
from sknn_notes.noise import Noise
from sknn_notes.optimizers import OPTIMIZERS, Optimizer
from sknn_notes.penalties import PENALTIES, Penalty
from sknn_notes.schedules import SCHEDULES, Schedule

# Types of parameters.
Sizes: TypeAlias = int | Sequence[int] | Integers
PerLayer: TypeAlias = float | Schedule | Sequence[float | Schedule] | Floats

# Registry of the names that each parameter accepts.
REGISTRIES: dict[str, Registry[Any]] = {
    "activation": ACTIVATIONS,
    "embedding": EMBEDDINGS,
    "init": INITIALIZERS,
    "learning_rate": SCHEDULES,
    "penalty": PENALTIES,
    "solver": OPTIMIZERS,
}


# Names that do not stand for parts, with aliases that errors suggest them for.
BATCH_SIZES: Registry[None] = Registry(
    {"auto": None},
    aliases=dict.fromkeys(
        ["full", "all", "none", "NoneType"], "Pass len(X) for all samples at once."
    ),
)
SCORINGS: Registry[None] = Registry(
    dict.fromkeys(["loss", *get_scorer_names()]),
    aliases={
        "acc": "accuracy",
        "auc": "roc_auc",
        "cross_entropy": "neg_log_loss",
        "log_loss": "neg_log_loss",
        "mae": "neg_mean_absolute_error",
        "mean_absolute_error": "neg_mean_absolute_error",
        "mean_squared_error": "neg_mean_squared_error",
        "mse": "neg_mean_squared_error",
        "rmse": "neg_root_mean_squared_error",
        "val_loss": "loss",
    },
)
DTYPES: Registry[None] = Registry(
    dict.fromkeys(["auto", "float32", "float64"]),
    aliases={
        "double": "float64",
        "float": "float64",
        "half": "The network computes in 'float32' or 'float64'.",
        "float16": "The network computes in 'float32' or 'float64'.",
        "single": "float32",
    },
)


def part(registry: Registry[Any], base: type) -> list[Any]:
    """Return the constraints of a parameter that accepts a name or a part."""
    return [Names(registry), base]


# Domains of single values of the parameters that may also be given per layer.
STRENGTH = Interval(Real, 0, None, closed="left")
DROPOUT_RATE = Interval(Real, 0, 1, closed="left")
MAX_NORM = Interval(Real, 0, None, closed="neither")
LEARNING_RATE = Interval(Real, 0, None, closed="neither")

CONSTRAINTS: dict[str, list[Any]] = {
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "activation": [*part(ACTIVATIONS, Activation), list, tuple],
    "solver": part(OPTIMIZERS, Optimizer),
    "alpha": [STRENGTH, Schedule, "array-like"],
    "batch_size": [Names(BATCH_SIZES), Interval(Integral, 1, None, closed="left")],
    "learning_rate": part(SCHEDULES, Schedule),
    "learning_rate_init": [LEARNING_RATE],
    "power_t": [Interval(Real, 0, None, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
    "tol": [Interval(Real, 0, None, closed="left")],
    "verbose": ["verbose"],
    "warm_start": ["boolean"],
    "momentum": [Interval(Real, 0, 1, closed="both")],
    "nesterovs_momentum": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="left")],
    "beta_1": [Interval(Real, 0, 1, closed="left")],
    "beta_2": [Interval(Real, 0, 1, closed="left")],
    "epsilon": [Interval(Real, 0, None, closed="neither")],
    "n_iter_no_change": [
        Interval(Integral, 1, None, closed="left"),
        Options(Real, {np.inf}),
    ],
    "max_fun": [Interval(Integral, 1, None, closed="left")],
    "n_hidden_layers": [None, Interval(Integral, 0, None, closed="left")],
    "init": part(INITIALIZERS, Initializer),
    "bias_init": [Interval(Real, None, None, closed="neither")],
    "penalty": [None, *part(PENALTIES, Penalty)],
    "l1_ratio": [Interval(Real, 0, 1, closed="both")],
    "penalize_bias": ["boolean"],
    "max_norm": [None, MAX_NORM, "array-like"],
    "dropout": [DROPOUT_RATE, Schedule, "array-like"],
    "input_dropout": [DROPOUT_RATE],
    "dropconnect": [DROPOUT_RATE],
    "dropout_scaling": [StrOptions({"inverted", "standard"})],
    "marginalization": [StrOptions({"analytic", "monte_carlo"})],
    "n_mc_samples": [Interval(Integral, 1, None, closed="left")],
    "batch_norm": ["boolean", BatchNorm],
    "layer_norm": ["boolean", LayerNorm],
    "residual": ["boolean"],
    "embedding": [None, *part(EMBEDDINGS, Embedding)],
    "feature_scaling": ["boolean"],
    "clip_norm": [None, Interval(Real, 0, None, closed="neither")],
    "augment": [None, Noise, list, tuple],
    "scoring": [Names(SCORINGS), callable, None],
    "dtype": [Names(DTYPES)],
    "n_networks": [Interval(Integral, 1, None, closed="left")],
    "n_jobs": [None, Integral],
    "device": [None, str],
}


def hidden_sizes(hidden_layer_sizes: Any, n_hidden_layers: int | None) -> list[int]:
    """Return the number of units of each hidden layer."""
    if n_hidden_layers is not None:
        if isinstance(hidden_layer_sizes, Iterable):
            raise ValueError(
                "n_hidden_layers needs one int as hidden_layer_sizes, got "
                f"hidden_layer_sizes={hidden_layer_sizes!r} with n_hidden_layers="
                f"{n_hidden_layers}. Pass an int, or set n_hidden_layers=None."
            )
        return [int(hidden_layer_sizes)] * n_hidden_layers
    if not isinstance(hidden_layer_sizes, Iterable):
        hidden_layer_sizes = [hidden_layer_sizes]
    sizes = list(hidden_layer_sizes)
    if not all(isinstance(size, Integral) for size in sizes):
        raise TypeError(
            f"hidden_layer_sizes must hold integers, got {shown(sizes)}. "
            f"{_advice_on_sizes(sizes)}"
        )
    if any(size <= 0 for size in sizes):
        raise ValueError(
            f"hidden_layer_sizes must be > 0, got {shown(sizes)}. Leave out layers "
            "without units; () is a linear model."
        )
    return [int(size) for size in sizes]


def _advice_on_sizes(sizes: list[Any]) -> str:
    try:
        whole = [int(size) for size in sizes if float(size).is_integer()]
    except (TypeError, ValueError):
        return "Pass one int per hidden layer, such as (100, 50)."
    return f"Pass {whole}." if len(whole) == len(sizes) else "Round them."


def per_layer(
    name: str,
    value: Any,
    n: int,
    what: str,
    constraint: Interval,
    none: bool = False,
    schedules: bool = False,
) -> list[Any]:
    """Return ``value`` as a list of ``n`` values, one per layer.

    Parameters
    ----------
    name : str
        Name of the parameter.
    value : object
        One value for all layers, or a sequence of them.
    n : int
        Number of values.
    what : str
        What one value belongs to, such as "hidden layer".
    constraint : Interval
        Domain of a value.
    none : bool, default=False
        Whether a value may also be None.
    schedules : bool, default=False
        Whether a value may also be a schedule, which is copied and checked.
    """
    if isinstance(value, Schedule):
        return [_scheduled(name, value, constraint)] * n
    if isinstance(value, str) or not isinstance(value, Iterable):
        return [plain(value)] * n
    values = list(value)
    if len(values) != n:
        raise ValueError(
            f"{name} must be one value or a list with one value per {what}, {n} here. "
            f"Got {len(values)} values: {shown(values)}."
        )
    for i, item in enumerate(values):
        if schedules and isinstance(item, Schedule):
            values[i] = _scheduled(name, item, constraint)
        elif constraint.is_satisfied_by(item) or (none and item is None):
            values[i] = plain(item)
        else:
            others = " or a Schedule" if schedules else ""
            raise ValueError(
                f"Each value of {name} must be {constraint}{others}. Got "
                f"{shown(item)} in {shown(list(value))}."
            )
    return values


def _scheduled(name: str, spec: Schedule, constraint: Interval) -> Schedule:
    """Return a checked copy of the schedule that drives a parameter."""
    schedule: Schedule = resolve(spec, SCHEDULES)
    if schedule.start is None:
        raise ValueError(
            f"{name}={shown(spec)} has no start value. Pass start to "
            f"{type(spec).__name__}, {constraint}."
        )
    check_start(name, schedule, constraint)
    return schedule


def check_start(name: str, schedule: Schedule, constraint: Interval) -> None:
    """Raise ValueError if a schedule starts outside the domain of a parameter."""
    if schedule.start is not None and not constraint.is_satisfied_by(schedule.start):
        raise ValueError(
            f"The start of {name}={shown(schedule)} must be {constraint}. Got "
            f"{shown(schedule.start)}."
        )


def value_at_start(spec: float | Schedule) -> float:
    """Return a number, or the ``start`` of a schedule."""
    start = spec.start if isinstance(spec, Schedule) else spec
    return float(cast(float, start))


def base_rate(estimator: Any) -> tuple[str, float]:
    """Return the parameter that sets the base of the learning rate, and its value."""
    start = getattr(estimator.learning_rate, "start", None)
    if start is None:
        return "learning_rate_init", float(estimator.learning_rate_init)
    return "learning_rate__start", float(start)
