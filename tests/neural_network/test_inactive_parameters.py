"""Parameters that were set and cannot act, because of others, are warned of once."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from sknn_notes import MLPClassifier, MLPRegressor
from sknn_notes.inspection import sanity_check
from sknn_notes.layers import BatchNorm
from sknn_notes.neural_network import _inactive
from sknn_notes.neural_network._build import Plan
from sknn_notes.optimizers import LBFGS, SGD, Adam
from sknn_notes.penalties import L1, ElasticNet
from sknn_notes.schedules import Adaptive, Cosine, InvScaling

BOTH = pytest.mark.parametrize("estimator_class", [MLPClassifier, MLPRegressor])


def network(estimator_class=MLPClassifier, **params):
    base = {"hidden_layer_sizes": (4,), "max_iter": 2, "random_state": 0}
    return estimator_class(**base | params)


def told(model, X, y, **fit_params):
    """Return what a fit warns of, apart from convergence."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y, **fit_params)
    return [str(w.message) for w in caught if "has no effect" in str(w.message)]


# Each with the parameter that cannot act, and a word of the reason.
INACTIVE = [
    # Parameters of a solver, for another one or beside an object.
    ({"momentum": 0.5}, "momentum", "solver='adam'"),
    ({"nesterovs_momentum": False}, "nesterovs_momentum", "solver='adam'"),
    ({"momentum": 0.5, "solver": "rmsprop"}, "momentum", "solver='rmsprop'"),
    ({"momentum": 0.5, "solver": SGD()}, "momentum", "SGD(momentum=...)"),
    ({"momentum": 0.5, "solver": Adam()}, "momentum", "Adam(...)"),
    ({"beta_1": 0.5, "solver": "sgd"}, "beta_1", "solver='sgd'"),
    ({"beta_2": 0.5, "solver": "rmsprop"}, "beta_2", "solver='rmsprop'"),
    ({"beta_1": 0.5, "solver": Adam(beta_1=0.8)}, "beta_1", "Adam(beta_1=...)"),
    ({"epsilon": 1e-3, "solver": "sgd"}, "epsilon", "solver='sgd'"),
    ({"max_fun": 10}, "max_fun", "solver='adam'"),
    ({"max_fun": 10, "solver": "sgd"}, "max_fun", "solver='sgd'"),
    ({"max_fun": 10, "solver": LBFGS()}, "max_fun", "LBFGS(max_fun=...)"),
    # Of a penalty.
    ({"l1_ratio": 0.3}, "l1_ratio", "penalty='l2'"),
    ({"l1_ratio": 0.3, "penalty": "l1"}, "l1_ratio", "penalty='l1'"),
    ({"l1_ratio": 0.3, "penalty": None}, "l1_ratio", "penalty=None"),
    ({"l1_ratio": 0.3, "penalty": ElasticNet()}, "l1_ratio", "ElasticNet(l1_ratio="),
    ({"l1_ratio": 0.3, "penalty": L1()}, "l1_ratio", "L1(...)"),
    ({"alpha": 0.1, "penalty": None}, "alpha", "penalty=None"),
    ({"alpha": [0.1, 0.0], "penalty": None}, "alpha", "penalty=None"),
    ({"penalize_bias": True, "penalty": None}, "penalize_bias", "penalty=None"),
    # Of a schedule.
    ({"power_t": 0.3}, "power_t", "learning_rate='constant'"),
    ({"power_t": 0.3, "learning_rate": "step"}, "power_t", "learning_rate='step'"),
    ({"power_t": 0.3, "learning_rate": InvScaling()}, "power_t", "InvScaling(power_t="),
    (
        {"learning_rate": "adaptive", "n_iter_no_change": np.inf},
        "learning_rate",
        "n_iter_no_change=inf",
    ),
    (
        {"learning_rate": Adaptive(), "n_iter_no_change": np.inf},
        "learning_rate",
        "n_iter_no_change=inf",
    ),
    (
        {"learning_rate": Cosine(start=0.1), "learning_rate_init": 0.2},
        "learning_rate_init",
        "learning_rate=Cosine(start=0.1) has a start of its own",
    ),
    # L-BFGS.
    ({"solver": "lbfgs", "batch_size": 20}, "batch_size", "all samples at once"),
    (
        {"solver": "lbfgs", "learning_rate_init": 0.1},
        "learning_rate_init",
        "no learning rate",
    ),
    ({"solver": LBFGS(), "learning_rate": "step"}, "learning_rate", "no learning rate"),
    ({"solver": "lbfgs", "dtype": "float32"}, "dtype", "float64"),
    # No hidden layer.
    ({"hidden_layer_sizes": (), "dropout": 0.5}, "dropout", "no hidden layer"),
    ({"hidden_layer_sizes": (), "activation": "tanh"}, "activation", "no hidden layer"),
    ({"hidden_layer_sizes": (), "batch_norm": True}, "batch_norm", "no hidden layer"),
    (
        {"hidden_layer_sizes": (), "batch_norm": BatchNorm()},
        "batch_norm",
        "no hidden layer",
    ),
    # No validation set.
    ({"scoring": "loss2"}, "scoring", "early_stopping=False"),
    ({"validation_fraction": 0.3}, "validation_fraction", "early_stopping=False"),
    # No noise.
    ({"dropout_scaling": "standard"}, "dropout_scaling", "dropout"),
    ({"marginalization": "monte_carlo"}, "marginalization", "no dropout"),
    ({"n_mc_samples": 5}, "n_mc_samples", "no dropout"),
]


@BOTH
@pytest.mark.parametrize(
    ("params", "name", "reason"), INACTIVE, ids=[str(params) for params, *_ in INACTIVE]
)
def test_a_parameter_that_cannot_act_is_told(
    estimator_class, params, name, reason, two_classes
):
    if name == "scoring":
        params = {"scoring": "accuracy" if estimator_class is MLPClassifier else "r2"}
    X, y = two_classes
    model = network(estimator_class, **params)
    (message,) = told(model, X, y)
    assert message.startswith(f"{name}={params[name]!r} has no effect: ")
    assert reason in message


ACTIVE = [
    {},
    # What acts.
    {"solver": "sgd", "momentum": 0.5, "nesterovs_momentum": False},
    {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3},
    {"solver": "adamw", "beta_1": 0.5, "epsilon": 1e-3},
    {"solver": "rmsprop", "epsilon": 1e-3},
    {"solver": "lbfgs", "max_fun": 100, "alpha": 0.1},
    {"penalty": "elasticnet", "l1_ratio": 0.3},
    {"learning_rate": "invscaling", "power_t": 0.3},
    {"learning_rate": "adaptive", "n_iter_no_change": 5},
    {"learning_rate": Cosine(start=0.1)},
    {"learning_rate": Cosine(), "learning_rate_init": 0.2},
    {"early_stopping": True, "validation_fraction": 0.3},
    {"early_stopping": True, "scoring": None},
    {"dropout": 0.5, "n_mc_samples": 5},
    {"dropconnect": 0.5, "marginalization": "monte_carlo"},
    {"input_dropout": 0.5, "dropout_scaling": "standard"},
    {"hidden_layer_sizes": (), "input_dropout": 0.5, "dropout_scaling": "standard"},
    # What says what is so in any case.
    {"hidden_layer_sizes": (), "activation": "identity", "dropout": []},
    {"hidden_layer_sizes": (), "activation": []},
    {"penalty": "l2", "l1_ratio": 0},
    {"penalty": "l1", "l1_ratio": 1.0},
    {"penalty": None, "alpha": 0.0},
    {"solver": "lbfgs", "dtype": "float64"},
    {"solver": "lbfgs", "shuffle": False},
    # The default, in other words.
    {"momentum": np.float64(0.9), "solver": SGD()},
    {"power_t": 0.5, "max_fun": 15000, "l1_ratio": 0.5},
    {"batch_size": "auto", "solver": "lbfgs", "learning_rate_init": 1e-3},
    # A penalty of strength 0, as in a search.
    {"alpha": 0, "penalty": "elasticnet", "l1_ratio": 0.3, "penalize_bias": True},
]


@BOTH
@pytest.mark.parametrize("params", ACTIVE, ids=str)
def test_a_parameter_that_acts_or_is_the_default_is_not(
    estimator_class, params, two_classes
):
    X, y = two_classes
    assert told(network(estimator_class, **params), X, y) == []


def test_a_share_held_out_cannot_act_beside_a_validation_set(two_classes):
    X, y = two_classes
    model = network(early_stopping=True, validation_fraction=0.3)
    (message,) = told(model, X, y, X_val=X, y_val=y)
    assert message.startswith("validation_fraction=0.3 has no effect")
    assert "X_val" in message


def test_a_process_is_told_once_of_the_same_parameter(two_classes):
    X, y = two_classes
    model = network(momentum=0.5)
    assert len(told(model, X, y)) == 1
    assert told(clone(model).set_params(momentum=0.7), X, y) == []
    assert told(network(momentum=0.5, solver="rmsprop"), X, y) == []
    assert len(told(network(power_t=0.1), X, y)) == 1


def test_a_search_is_told_once(two_classes):
    X, y = two_classes
    grid = {"momentum": [0.1, 0.2, 0.3, 0.4], "alpha": [0.0, 0.1]}
    assert len(told(GridSearchCV(network(), grid, cv=2), X, y)) == 1


def test_partial_fit_tells_it_too(two_classes):
    X, y = two_classes
    with pytest.warns(UserWarning, match=r"momentum=0\.5 has no effect"):
        network(momentum=0.5).partial_fit(X, y, classes=[0, 1])


def test_the_warning_points_to_the_line_of_the_fit(two_classes):
    X, y = two_classes
    with pytest.warns(UserWarning, match="no effect") as caught:
        network(momentum=0.5).fit(X, y)
    assert caught[0].filename == __file__


def test_a_warning_turned_into_an_error_comes_again(two_classes):
    X, y = two_classes
    for _ in range(2):
        with pytest.raises(UserWarning, match=r"momentum=0\.5 has no effect"):
            network(momentum=0.5).fit(X, y)


def test_the_library_does_not_tell_of_what_it_sets_itself(two_classes):
    X, y = two_classes
    model = network(alpha=0.1, dropout=0.3, dropout_scaling="standard", max_iter=50)
    sanity_check(model, X, y)
    # Nor does it use up what the user has to be told.
    sanity_check(network(momentum=0.5, max_iter=50), X, y)
    assert len(told(network(momentum=0.5), X, y)) == 1


def inactive_of(**params):
    """Return what cannot act before a training starts, with the reasons."""
    model = network(**params)
    made = Plan(model, model._resolve("loss"), model._resolve("solver"))
    return dict(_inactive.inactive(model, made, False))


@pytest.mark.parametrize("name", ["alpha", "dropout"])
def test_a_schedule_that_waits_for_plateaus_needs_them(name):
    schedule = {name: Adaptive(start=0.1)}
    reason = "training ends at the first plateau unless learning_rate='adaptive'"
    assert inactive_of(**schedule) == {name: reason}
    assert inactive_of(**schedule, learning_rate="adaptive") == {}
    told = inactive_of(**schedule, learning_rate=Adaptive(), n_iter_no_change=np.inf)
    assert set(told) == {name, "learning_rate"}


def test_schedules_of_alpha_and_dropout_act():
    assert inactive_of(alpha=Cosine(start=0.1)) == {}
    assert inactive_of(dropout=[Cosine(start=0.1)], n_mc_samples=5) == {}
    told = inactive_of(alpha=[Cosine(start=0.1), 0.0], penalty=None)
    assert told == {"alpha": "penalty=None"}
    told = inactive_of(hidden_layer_sizes=(), dropout=Cosine(start=0.1))
    assert told == {"dropout": "the network has no hidden layer"}
