"""Properties that hold for any network and any data, searched for exceptions.

Hypothesis draws the parameters. ``HYPOTHESIS_PROFILE=many`` draws many more of them.
The optimizers amplify rounding, so trainings have few steps.
"""

import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st
from sklearn.base import clone

from sknn_notes import MLPClassifier, MLPRegressor, _kernels
from sknn_notes._engine.finite import DivergenceError
from sknn_notes.activations import ACTIVATIONS
from sknn_notes.initializers import Initializer
from sknn_notes.losses import CLASSIFICATION_LOSSES, REGRESSION_LOSSES
from sknn_notes.optimizers import Adam, AdamW, RMSProp
from sknn_notes.penalties import PENALTIES

# A training has some thousand roundings, and its steps may amplify each a thousandfold.
TOLERANCE = 1e4 * 1e3 * np.finfo(np.float64).eps
# Adam must not turn the rounding error of a sum that is 0 into a full step.
SMOOTH = {"epsilon": 1e-3}
SOLVERS = ["sgd", Adam(**SMOOTH), AdamW(**SMOOTH), RMSProp(**SMOOTH)]
# Its negative classes are drawn for each row.
LOSSES = [name for name in CLASSIFICATION_LOSSES if name != "sampled_softmax"]
FEATURES, HIDDEN = 4, [(), (7,), (7, 6)]
POSITIVE = "gamma", "poisson", "tweedie"

many = os.environ.get("HYPOTHESIS_PROFILE") == "many"
few_examples = settings() if many else settings(max_examples=12)
seeds = st.integers(0, 2**32 - 1)


@pytest.fixture(
    scope="module",
    autouse=True,
    params=["numpy", pytest.param("numba", marks=pytest.mark.nightly)],
)
def kernels(request):
    """Make the steps with numpy, which compiles nothing for new structures."""
    if request.param not in _kernels.available():
        pytest.skip(f"{request.param} is not installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SKNN_NOTES_KERNELS", request.param)
        _kernels.active.cache_clear()
        yield
    _kernels.active.cache_clear()


pytestmark = pytest.mark.filterwarnings("ignore:.* has no effect")


def one_of(*values):
    return st.sampled_from(values)


@st.composite
def networks(draw, kind=None, losses=None, norms=("batch", "layer", None), **fixed):
    """Return a network that trains for a few steps on all samples at once."""
    kind = kind or draw(one_of(MLPClassifier, MLPRegressor))
    names = losses or (LOSSES if kind is MLPClassifier else list(REGRESSION_LOSSES))
    norm = draw(one_of(*norms))
    params = {
        "loss": draw(one_of(*names)),
        "hidden_layer_sizes": draw(one_of(*HIDDEN)),
        "activation": draw(one_of(*ACTIVATIONS)),
        "solver": draw(one_of(*SOLVERS)),
        "penalty": draw(one_of(None, *PENALTIES)),
        "alpha": draw(st.floats(0, 1)),
        "l1_ratio": draw(st.floats(0, 1)),
        "penalize_bias": draw(st.booleans()),
        "learning_rate_init": draw(st.floats(1e-4, 0.03)),
        "momentum": draw(st.floats(0, 1)),
        "nesterovs_momentum": draw(st.booleans()),
        "init": draw(one_of("auto", "he_normal", "orthogonal", "normal")),
        "max_norm": draw(one_of(None, 0.5, 2.0)),
        "clip_norm": draw(one_of(None, 0.1, 1.0)),
        "dropconnect": draw(one_of(0.0, 0.3)),
        "batch_norm": norm == "batch",
        "layer_norm": norm == "layer",
        "residual": draw(st.booleans()),
        "feature_scaling": draw(st.booleans()),
        "random_state": draw(seeds),
    }
    return kind(**{**params, "max_iter": 3, "dtype": "float64", **fixed})


@st.composite
def data_for(draw, network, n_samples=None):
    """Return X and y without ties, at which the slopes of losses would jump."""
    rng = np.random.default_rng(draw(seeds))
    n = n_samples or draw(st.integers(12, 40))
    X = rng.normal(size=(n, FEATURES))
    if isinstance(network, MLPRegressor):
        y = rng.normal(size=(n, 2) if draw(st.booleans()) else n)
        return X, np.exp(y) if network.loss in POSITIVE else y
    n_classes = draw(one_of(2, 3, 5))
    return X, np.concatenate(
        [np.arange(n_classes), rng.integers(n_classes, size=n - n_classes)]
    )


def outputs(network, X):
    """Return raw scores of a classifier, predictions of a regressor."""
    return getattr(network, "decision_function", network.predict)(X)


def assert_equal(one, other, X, other_X=None):
    """Assert that two networks predict the same, to rounding."""
    expected = outputs(one, X)
    scale = 1 + np.abs(expected).max()
    found = outputs(other, X if other_X is None else other_X)
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE * scale)


def fitted(network, *data):
    try:
        return clone(network).fit(*data)
    except DivergenceError:  # The steps are too large for this loss.
        reject()


@few_examples
@given(st.data(), networks())
def test_the_order_of_samples_does_not_matter_in_full_batches(data, network):
    X, y = data.draw(data_for(network))
    order = np.array(data.draw(st.permutations(range(len(X)))))
    weight = data.draw(one_of(None, 0.5 + np.arange(len(X)) % 3))
    other = None if weight is None else weight[order]
    one = fitted(network, X, y, weight)
    assert_equal(one, fitted(network, X[order], y[order], other), X)


# Batch norm averages over rows, whatever their weights.
@few_examples
@given(st.data(), networks(norms=["layer", None], shuffle=False))
def test_whole_weights_count_repeated_samples(data, network):
    X, y = data.draw(data_for(network))
    counts = np.array(data.draw(st.lists(st.integers(1, 3), min_size=40)))[: len(X)]
    rows = np.repeat(np.arange(len(X)), counts)
    one = fitted(network, X[rows], y[rows])
    assert_equal(one, fitted(network, X, y, counts), X)


@few_examples
@given(st.data(), networks(shuffle=False))
def test_samples_of_weight_0_do_not_count(data, network):
    X, y = data.draw(data_for(network))
    weight = np.random.default_rng(data.draw(seeds)).exponential(size=len(X))
    # The first five samples have all classes.
    dropped = data.draw(st.sets(st.integers(5, len(X) - 1)))
    weight[list(dropped)] = 0
    kept = weight > 0
    one = fitted(network, X[kept], y[kept], weight[kept])
    assert_equal(one, fitted(network, X, y, weight), X)


RELABELINGS = {
    "floats": lambda y: 2.0 * y - 3,
    "large": lambda y: 10**12 * y - 7,
    "strings": lambda y: np.array(["no", "other", "po", "yes", "zero"])[y],
    "objects": lambda y: np.array(["no", "other", "po", "yes", "zero"], object)[y],
    "dates": lambda y: y.astype("datetime64[D]"),
}


@few_examples
@given(st.data(), networks(MLPClassifier), one_of(*RELABELINGS))
def test_labels_of_the_same_order_give_the_same_network(data, network, kind):
    X, y = data.draw(data_for(network))
    labels = RELABELINGS[kind](y)
    one, other = fitted(network, X, y), fitted(network, X, labels)
    np.testing.assert_array_equal(outputs(one, X), outputs(other, X))
    expected = RELABELINGS[kind](one.predict(X))
    np.testing.assert_array_equal(other.predict(X), expected)


class Permuted(Initializer):
    """Gaussian weights, with the inputs and the outputs of the network permuted."""

    def __init__(self, inputs=None, outputs=None):
        self.inputs, self.outputs = inputs, outputs

    def draw(self, fan_in, fan_out, activation, rng):
        W = rng.normal(size=(fan_in, fan_out)) / np.sqrt(fan_in)
        if self.inputs is not None and fan_in == len(self.inputs):
            W = W[self.inputs]
        if self.outputs is not None and fan_out == len(self.outputs):
            W = W[:, self.outputs]
        return W


def permuted(network, **orders):
    return clone(network).set_params(init=Permuted(**orders))


@few_examples
@given(
    st.data(), networks(MLPClassifier, losses=["log_loss", "hinge"], dropconnect=0.0)
)
def test_the_order_of_classes_does_not_matter(data, network):
    X, y = data.draw(data_for(network))
    n_classes = y.max() + 1
    assume(n_classes > 2)
    # The new label of each class.
    order = np.array(data.draw(st.permutations(range(n_classes))))
    one = permuted(network).fit(X, y)
    other = permuted(network, outputs=np.argsort(order)).fit(X, order[y])
    expected, found = outputs(one, X), outputs(other, X)[:, order]
    scale = 1 + np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE * scale)


@few_examples
@given(st.data(), networks(dropconnect=0.0))
def test_the_order_of_features_does_not_matter(data, network):
    X, y = data.draw(data_for(network))
    order = np.array(data.draw(st.permutations(range(FEATURES))))
    one = permuted(network).fit(X, y)
    other = permuted(network, inputs=order).fit(X[:, order], y)
    assert_equal(one, other, X, X[:, order])


@few_examples
@given(
    st.data(),
    networks(MLPRegressor, [x for x in REGRESSION_LOSSES if x not in POSITIVE]),
    st.floats(-250, 250),
    st.floats(-10, 10),
)
def test_the_unit_of_the_targets_does_not_matter(data, network, exponent, shift):
    X, y = data.draw(data_for(network))
    unit = 10**exponent
    one, other = fitted(network, X, y), fitted(network, X, unit * (y + shift))
    expected, found = one.predict(X), other.predict(X) / unit - shift
    # The shift costs digits of y.
    scale = 1 + np.abs(expected).max() + abs(shift)
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE * scale)
    score = one.score(X, y)
    assert other.score(X, unit * (y + shift)) == pytest.approx(score, abs=1e-6 * scale)


# The learning rate is constant: schedules count epochs, and each call is one.
@few_examples
@given(st.data(), st.integers(2, 6), networks(shuffle=False, max_iter=1))
def test_partial_fit_may_be_split_between_batches(data, batch_size, network):
    network.set_params(batch_size=batch_size)
    noise = data.draw(one_of({}, {"dropout": 0.3, "input_dropout": 0.1}))
    network.set_params(**noise)
    options = {}
    if isinstance(network, MLPRegressor):
        # The first chunk sets the scale of the targets.
        network.set_params(standardize_target=False)
    n_batches = data.draw(st.integers(3, 6))
    X, y = data.draw(data_for(network, n_batches * batch_size))
    if isinstance(network, MLPClassifier):
        options["classes"] = np.unique(y)
    cuts = data.draw(st.sets(st.integers(1, n_batches - 1)))
    ends = [0, *(batch_size * cut for cut in sorted(cuts)), len(X)]
    whole = clone(network).partial_fit(X, y, **options)
    parts = clone(network)
    for begin, end in pairwise(ends):
        parts.partial_fit(X[begin:end], y[begin:end], **options)
    assert_equal(whole, parts, X)


noisy = st.fixed_dictionaries(
    {
        "dropout": one_of(0.0, 0.4),
        "input_dropout": one_of(0.0, 0.2),
        "batch_size": one_of(4, 10),
        "marginalization": one_of("analytic", "monte_carlo"),
        "n_mc_samples": st.just(3),
        "early_stopping": st.booleans(),
        "validation_fraction": st.just(0.4),
    }
)


@few_examples
@given(st.data(), networks(n_networks=3), noisy)
def test_the_same_seed_gives_the_same_networks_on_any_threads(data, network, noise):
    network.set_params(**noise)
    X, y = data.draw(data_for(network, 40))
    expected = outputs(fitted(network, X, y), X)
    threaded = clone(network).set_params(n_jobs=3)
    np.testing.assert_array_equal(outputs(threaded.fit(X, y), X), expected)
    with ThreadPoolExecutor(3) as pool:
        fits = [pool.submit(fitted, network, X, y) for _ in range(3)]
        for each in fits:
            np.testing.assert_array_equal(outputs(each.result(), X), expected)


@few_examples
@given(st.data(), networks(warm_start=True), noisy)
def test_pickling_changes_nothing(data, network, noise):
    network.set_params(**noise)
    X, y = data.draw(data_for(network, 40))
    unfitted = pickle.loads(pickle.dumps(network))
    model = fitted(network, X, y)
    np.testing.assert_array_equal(outputs(unfitted.fit(X, y), X), outputs(model, X))
    loaded = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(outputs(loaded, X), outputs(model, X))
    # Training continues from the same state of the optimizer and the generator.
    loaded.fit(X, y)
    np.testing.assert_array_equal(outputs(loaded, X), outputs(model.fit(X, y), X))


FIT_AND_PREDICT = """
import pickle, sys, warnings
warnings.simplefilter("ignore")
with open(sys.argv[1], "rb") as file:
    problems = pickle.load(file)
found = []
for network, X, y in problems:
    network.fit(X, y)
    found.append(getattr(network, "decision_function", network.predict)(X))
with open(sys.argv[1], "wb") as file:
    pickle.dump(found, file)
"""


@pytest.mark.nightly
@settings(max_examples=3)
@given(st.data(), st.lists(networks(n_networks=2), min_size=5, max_size=5), noisy)
def test_another_process_finds_the_same_networks(tmp_path_factory, data, drawn, noise):
    path = tmp_path_factory.mktemp("problems") / "problems.pickle"
    problems = []
    for network in drawn:
        X, y = data.draw(data_for(network.set_params(**noise), 40))
        problems.append((network, X, y))
    path.write_bytes(pickle.dumps(problems))
    subprocess.run([sys.executable, "-c", FIT_AND_PREDICT, path], check=True)
    for problem, found in zip(problems, pickle.loads(path.read_bytes()), strict=True):
        expected = outputs(fitted(*problem), problem[1])
        np.testing.assert_array_equal(found, expected)


@few_examples
@given(
    st.data(),
    networks(MLPClassifier, [x for x in LOSSES if "hinge" not in x]),
    noisy,
    st.floats(-30, 30),
    one_of("float32", "float64"),
    one_of(1, 2),
)
def test_probabilities_sum_to_1_for_inputs_of_any_size(
    data, network, noise, exponent, dtype, n_networks
):
    network.set_params(**noise, dtype=dtype, n_networks=n_networks)
    X, y = data.draw(data_for(network, 40))
    model = network.fit(X, y)
    far = 10**exponent * np.vstack([X, np.sign(X), np.eye(FEATURES)])
    P, logs = model.predict_proba(far), model.predict_log_proba(far)
    assert np.isfinite(P).all()
    assert np.isfinite(outputs(model, far)).all()
    assert P.min() >= 0
    eps = np.finfo(P.dtype).eps
    np.testing.assert_allclose(P.sum(axis=1), 1, rtol=0, atol=16 * eps)
    # Beyond the smallest number, a probability is 0 and its logarithm is not.
    np.testing.assert_allclose(np.exp(logs), P, rtol=1e3 * eps, atol=1e3 * eps)
    labels = network.classes_[np.argmax(P, axis=1)]
    tied = np.sort(P, axis=1)[:, -2] >= P.max(axis=1)
    np.testing.assert_array_equal(model.predict(far)[~tied], labels[~tied])


@few_examples
@given(st.data(), networks(), noisy, one_of(1, 2))
def test_predictions_do_not_depend_on_the_rows_that_come_together(
    data, network, noise, n_networks
):
    network.set_params(**noise, n_networks=n_networks)
    X, y = data.draw(data_for(network, 40))
    model = network.fit(X, y)
    many_rows = np.random.default_rng(0).normal(size=(1500, FEATURES))
    expected = outputs(model, many_rows)
    scale = 1 + np.abs(expected).max()
    chosen = data.draw(st.lists(st.integers(0, 1499), min_size=1, max_size=5))
    for rows in [chosen, chosen[:1], slice(None, None, -1), slice(7, 1400)]:
        found = outputs(model, many_rows[rows])
        atol = TOLERANCE * scale
        np.testing.assert_allclose(found, expected[rows], rtol=0, atol=atol)
