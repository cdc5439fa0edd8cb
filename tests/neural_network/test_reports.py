"""Reports on fitted networks: their history and their summary."""

import pickle
from itertools import combinations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from sknn_notes import MLPClassifier, MLPRegressor, Standardizer
from sknn_notes.layers import BatchNorm
from sknn_notes.model_selection import GridSearchCV
from sknn_notes.neural_network import _devices
from sknn_notes.neural_network._prepare import prepare
from sknn_notes.noise import GaussianNoise, StochasticPooling
from sknn_notes.schedules import Cosine

CURVES = {
    "loss": "loss_curve_",
    "validation_loss": "validation_loss_curve_",
    "validation_score": "validation_scores_",
}
BOTH = pytest.mark.parametrize(
    ("cls", "problem"), [(MLPClassifier, "three_classes"), (MLPRegressor, "one_target")]
)


def network(cls=MLPClassifier, **params):
    return cls(
        **{"hidden_layer_sizes": (8,), "max_iter": 4, "random_state": 0} | params
    )


def column(model, name, number=0):
    return [row[name] for row in model.history_ if row["network"] == number]


def assert_is_of_curves(model):
    for number, each in enumerate(model.networks_ or [model]):
        n_epochs = len(each.loss_curve_)
        assert column(model, "epoch", number) == list(range(1, n_epochs + 1))
        for name, attribute in CURVES.items():
            curve = getattr(each, attribute)
            values = [np.nan] * n_epochs if curve is None else curve
            np.testing.assert_array_equal(column(model, name, number), values)
    assert len(model.history_) == sum(
        len(each.loss_curve_) for each in model.networks_ or [model]
    )


# History


@BOTH
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("n_networks", [1, 2])
def test_the_history_has_the_curves(
    cls, problem, solver, early_stopping, n_networks, request
):
    model = network(
        cls, solver=solver, early_stopping=early_stopping, n_networks=n_networks
    )
    model.fit(*request.getfixturevalue(problem))
    assert_is_of_curves(model)
    assert_is_of_curves(pickle.loads(pickle.dumps(model)))


def test_the_best_epoch_is_a_row_of_the_history(three_classes):
    model = network(early_stopping=True, max_iter=60, learning_rate_init=0.05)
    model.fit(*three_classes)
    best = model.history_[model.best_epoch_ - 1]
    assert best["epoch"] == model.best_epoch_ < model.n_iter_
    assert best["validation_score"] == model.best_validation_score_


def test_a_warm_start_adds_to_the_history(three_classes):
    model = network(warm_start=True)
    for n_epochs in 4, 8:
        model.fit(*three_classes)
        assert column(model, "epoch") == list(range(1, n_epochs + 1))
        assert model.best_epoch_ == 4
    assert_is_of_curves(model)


def test_partial_fit_adds_to_the_history(three_classes):
    model = network()
    for n_calls in 1, 2, 3:
        model.partial_fit(*three_classes, classes=[0, 1, 2])
        assert column(model, "epoch") == list(range(1, n_calls + 1))
        assert model.best_epoch_ == model.n_iter_ == 1
    assert_is_of_curves(model)


def test_epochs_without_the_validation_of_later_ones_have_nan(three_classes):
    model = network(warm_start=True).fit(*three_classes)
    model.set_params(early_stopping=True).fit(*three_classes)
    known = model.validation_loss_curve_
    assert len(known) == 4
    np.testing.assert_array_equal(
        column(model, "validation_loss"), [np.nan] * 4 + known
    )


@pytest.mark.needs("scikit-learn>=1.9", "it knows PyTorch's arrays")
@pytest.mark.parametrize("n_networks", [1, 2])
def test_networks_trained_on_a_device_have_a_history(
    three_classes, n_networks, monkeypatch
):
    pytest.importorskip("torch")
    monkeypatch.setattr(_devices, "is_host", lambda spec: False)
    model = network(device="cpu", n_networks=n_networks, early_stopping=True)
    model.fit(*three_classes)
    assert model.executor_ == "torch on cpu"
    assert_is_of_curves(model)
    assert_counts(model)


def test_the_best_network_of_a_search_has_a_history(three_classes):
    search = GridSearchCV(network(), {"alpha": [0, 0.1]}, cv=2).fit(*three_classes)
    assert_is_of_curves(search.best_estimator_)
    assert_counts(search.best_estimator_)


def test_a_frame_takes_the_history(three_classes):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(network(n_networks=2).fit(*three_classes).history_)
    assert list(frame) == ["network", "epoch", *CURVES]
    losses = frame.pivot(index="epoch", columns="network", values="loss")
    assert losses.shape == (4, 2)


# Summary


def arrays(model):
    """Every array that a network publishes, but biases that no layer has."""
    has_norm = model.batch_norm_ is not None or model.layer_norm_ is not None
    kept = [*model.coefs_, *model.intercepts_[-1 if has_norm else 0 :]]
    for norms in model.batch_norm_, model.layer_norm_:
        kept += [array for norm in norms or [] for array in norm.values()]
    kept += [W for W in model.residual_coefs_ or [] if W is not None]
    if model.embedding_ is not None:
        names = {"features"}  # A table of indices, not of parameters.
        kept += [a for name, a in model.embedding_.items() if name not in names]
    kept += [] if model.feature_scales_ is None else [model.feature_scales_]
    return kept


def assert_counts(model):
    """The summary counts what the networks consist of."""
    summary, networks = model.summary(), model.networks_ or [model]
    all_arrays = [array for each in networks for array in arrays(each)]
    assert summary.n_parameters == sum(array.size for array in all_arrays)
    assert summary.nbytes == sum(array.nbytes for array in all_arrays)
    assert summary.n_networks == len(networks)
    first = sum(array.size for array in arrays(networks[0]))
    assert sum(layer["n_parameters"] for layer in summary.layers) == first


OPTIONS = {
    "no hidden layer": {"hidden_layer_sizes": ()},
    "three hidden layers": {"hidden_layer_sizes": (8, 8, 5)},
    "batch norm": {"batch_norm": True},
    "layer norm": {"layer_norm": True},
    "residual": {"residual": True},
    "periodic": {"embedding": "periodic"},
    "piecewise linear": {"embedding": "piecewise_linear"},
    "feature scaling": {"feature_scaling": True},
    "dropout": {"dropout": 0.2, "input_dropout": 0.1, "dropconnect": 0.1},
    "noise": {"augment": GaussianNoise()},
    "float32": {"dtype": "float32"},
    "networks": {"n_networks": 2},
    "early stopping": {"early_stopping": True},
}
PAIRS = [
    pair
    for pair in combinations(OPTIONS, 2)
    if pair not in {("batch norm", "layer norm")}
    and len({key for name in pair for key in OPTIONS[name]})
    == sum(len(OPTIONS[name]) for name in pair)
]


def assert_counts_all(model, X, y):
    assert_counts(model.fit(X, y))
    if model.n_networks == 1:
        theta = prepare(clone(model), X, y).network.theta
        assert model.summary().n_trained == theta.size


def test_an_embedding_saved_by_version_0_1_0_has_a_summary(three_classes):
    model = network(embedding="periodic").fit(*three_classes)
    embed, *_ = model._predictor.layers
    vars(embed).pop("n_units", None)  # That version did not save it.
    assert_counts(model)


@pytest.mark.filterwarnings("ignore:.* has no effect")
@pytest.mark.parametrize("pair", PAIRS, ids=", ".join)
def test_a_summary_counts_every_parameter(pair, three_classes):
    params = OPTIONS[pair[0]] | OPTIONS[pair[1]]
    assert_counts_all(network(max_iter=1, **params), *three_classes)


@pytest.mark.parametrize("option", OPTIONS)
def test_a_summary_counts_every_parameter_of_a_regressor(option, one_target):
    model = network(MLPRegressor, max_iter=1, **OPTIONS[option])
    assert_counts_all(model, *one_target)


@pytest.mark.parametrize(
    ("loss", "problem"),
    [("hierarchical_softmax", "three_classes"), ("log_loss", "labels")],
)
def test_a_summary_counts_the_raw_outputs(loss, problem, request):
    model = network(loss=loss).fit(*request.getfixturevalue(problem))
    assert_counts(model)


def test_a_summary_of_two_parameters_a_target(two_targets):
    model = network(MLPRegressor, loss="gaussian_nll").fit(*two_targets)
    assert_counts(model)
    assert model.summary().layers[-1]["output_shape"] == "(n_samples, 4)"


def test_a_summary_names_every_layer_in_order(three_classes):
    X, y = three_classes
    model = network(
        hidden_layer_sizes=(8, 8),
        residual=True,
        batch_norm=BatchNorm(momentum=0.2),
        dropout=[0.25, Cosine(start=0.5)],
        input_dropout=0.1,
        augment=[StochasticPooling(), GaussianNoise(std=0.1)],
        feature_scaling=True,
        dropconnect=0.2,
    )
    layers = model.fit(np.abs(X[:, :4]), y).summary().layers
    assert [layer["layer"] for layer in layers] == [
        "Input",
        "StochasticPooling()",
        "GaussianNoise()",
        "Dropout(0.1)",
        "FeatureScaling()",
        "Dense(dropconnect=0.2)",
        "BatchNorm(momentum=0.2)",
        "ReLU()",
        "Dropout(0.25)",
        "Residual()",
        "Dense(dropconnect=0.2)",
        "BatchNorm(momentum=0.2)",
        "ReLU()",
        "Dropout(Cosine(start=0.5))",
        "Residual()",
        "Dense(dropconnect=0.2)",
    ]
    n_units = [4, 1, 1, 1, 1, *[8] * 10, 3]
    shapes = [f"(n_samples, {n})" for n in n_units]
    assert [layer["output_shape"] for layer in layers] == shapes


TABLE = """\
Layer        Output shape    Arrays                  Parameters
-----------  --------------  ----------------------  ----------
Input        (n_samples, 6)                                   0
Dense()      (n_samples, 8)  W (6, 8)                        48
LayerNorm()  (n_samples, 8)  scale (8,), shift (8,)          16
ReLU()       (n_samples, 8)                                   0
Dense()      (n_samples, 3)  W (8, 3), b (3,)                27

Layers of the first of 20 networks. In all:
Parameters: 1,820 (1,820 trained, 0 not trained)
Memory: 14.2 KiB in float64, and 28.4 KiB of optimizer state"""


def test_a_summary_prints_as_a_table(three_classes):
    model = network(layer_norm=True, n_networks=20, max_iter=1).fit(*three_classes)
    assert repr(model.summary()) == TABLE


def test_the_memory_is_that_of_the_weights_and_of_the_solver(one_target):
    X, y = one_target
    summary = network(MLPRegressor).fit(X, y).summary()
    n = 5 * 8 + 8 + 8 + 1
    assert summary.n_parameters == n
    # Adam keeps two numbers for each.
    assert (summary.nbytes, summary.solver_nbytes) == (8 * n, 16 * n)
    single = network(MLPRegressor, dtype="float32").fit(X, y).summary()
    assert (single.nbytes, single.solver_nbytes) == (4 * n, 8 * n)
    lbfgs = network(MLPRegressor, solver="lbfgs").fit(X, y).summary()
    assert (lbfgs.nbytes, lbfgs.solver_nbytes) == (8 * n, 0)


def test_html_has_the_cells_of_the_table(three_classes):
    summary = network(embedding="periodic").fit(*three_classes).summary()
    html = summary._repr_html_()
    for layer in summary.layers:
        assert f"<td>{layer['n_parameters']:,}</td>" in html
        assert f"<td>{layer['layer']}</td>" in html
    assert f"Parameters: {summary.n_parameters:,}" in html


def test_a_frame_takes_the_layers(three_classes):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(network().fit(*three_classes).summary().layers)
    assert list(frame) == ["layer", "output_shape", "arrays", "n_parameters"]
    assert frame["n_parameters"].tolist() == [0, 56, 0, 27]


def test_a_summary_follows_a_loaded_model(three_classes):
    model = make_pipeline(Standardizer(), network(batch_norm=True)).fit(*three_classes)
    loaded = pickle.loads(pickle.dumps(model))
    assert repr(loaded[-1].summary()) == repr(model[-1].summary())


# Before a fit


@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
def test_what_is_not_fitted_has_neither(cls):
    model = cls()
    assert not hasattr(model, "history_")
    with pytest.raises(NotFittedError, match=f"This {cls.__name__} instance is not"):
        _ = model.history_
    with pytest.raises(NotFittedError, match=f"This {cls.__name__} instance is not"):
        model.summary()
