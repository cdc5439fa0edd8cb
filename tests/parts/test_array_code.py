"""Every definition holds in any array library, and for several models at once.

Models are stacked along a leading axis; numbers of parts may differ between them. What
comes out is compared with each model by itself in numpy.
"""

import sys
from functools import partial
from itertools import product
from numbers import Real

import numpy as np
import pytest
from scipy import special

from sknn_notes import _arrays
from sknn_notes._checks import Interval
from sknn_notes._engine.layout import Layout
from sknn_notes._engine.network import Network, hidden_layers
from sknn_notes._engine.objective import Objective
from sknn_notes._engine.program import Program, Step, run
from sknn_notes._sklearn import StrOptions
from sknn_notes.activations import ACTIVATIONS
from sknn_notes.embeddings import Periodic, PiecewiseLinear
from sknn_notes.layers._activate import Activate
from sknn_notes.layers._base import Flow, Layer
from sknn_notes.layers._batch_norm import BatchNorm, BatchNormLayer
from sknn_notes.layers._dense import Dense
from sknn_notes.layers._dropout import Dropout, Mask
from sknn_notes.layers._embeddings import Embed
from sknn_notes.layers._feature_scaling import FeatureScaling
from sknn_notes.layers._input_noise import InputNoise
from sknn_notes.layers._layer_norm import LayerNorm, LayerNormLayer
from sknn_notes.layers._residual import Fork, Join
from sknn_notes.losses import (
    CLASSIFICATION_LOSSES,
    REGRESSION_LOSSES,
    Gamma,
    Quantile,
    Tweedie,
)
from sknn_notes.noise import GaussianNoise
from sknn_notes.optimizers import OPTIMIZERS
from sknn_notes.penalties import PENALTIES

N_MODELS = 3
KEY = 0x0123456789ABCDEF


# Array libraries.


class NumPy:
    """Arrays of numpy."""

    xp = np

    def array(self, x):
        return np.array(x)

    def numpy(self, x):
        return np.asarray(x)


class Strict:
    """Arrays that support only what the standard requires.

    They are on a device of their own, since nothing may come from another one unasked.
    """

    def __init__(self):
        self.xp = pytest.importorskip("array_api_strict")

    def array(self, x):
        return self.xp.asarray(x, device=self.xp.Device("device1"), copy=True)

    def numpy(self, x):
        assert x.device == self.xp.Device("device1")
        return np.from_dlpack(x)


class PyTorch:
    """Tensors of PyTorch on the CPU."""

    def __init__(self):
        self.torch = pytest.importorskip("torch")
        self.xp = _arrays.namespace(self.torch.zeros(1))

    def array(self, x):
        return self.torch.tensor(x)

    def numpy(self, x):
        return x.numpy()


@pytest.fixture(params=[NumPy, Strict, PyTorch], scope="module")
def library(request):
    """An array library; the strict one has only what array code needs."""
    library = request.param()
    if request.param is not Strict:
        yield library
        return
    with library.xp.ArrayAPIStrictFlags(
        api_version="2024.12",
        boolean_indexing=False,
        data_dependent_shapes=False,
        enabled_extensions=(),
    ):
        yield library


@pytest.fixture(autouse=True)
def overflow_is_silent():
    """Silence numpy as training does."""
    with np.errstate(all="ignore"):
        yield


each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


# Arguments of calls: arrays and numbers that models share, or one for each model.


class Own:
    """An array for each model."""

    def __init__(self, arrays):
        self.arrays = np.asarray(arrays)

    def of(self, i):
        return self.arrays[i].copy()

    def stacked(self, library):
        return library.array(self.arrays)


class Number:
    """A number for each model, which has ``n_axes`` axes of length 1 in a stack."""

    def __init__(self, values, dtype, n_axes=2):
        self.values, self.n_axes = np.asarray(values, dtype), n_axes

    def of(self, i):
        return self.values[i].item()

    def stacked(self, library):
        return library.array(self.values.reshape(-1, *[1] * self.n_axes))


class Parts:
    """A part for each model, and one part with the numbers of all models.

    Parameters
    ----------
    make : callable
        Makes a part.
    numbers : dict of Number
        Its parameters that differ.
    """

    def __init__(self, make, numbers):
        self.make, self.numbers = make, numbers

    def _with(self, values):
        part = self.make()
        for name, value in values.items():
            setattr(part, name, value)
        return part

    def of(self, i):
        return self._with({k: number.of(i) for k, number in self.numbers.items()})

    def stacked(self, library):
        return self._with(
            {k: number.stacked(library) for k, number in self.numbers.items()}
        )


def variants(registry):
    """Return the class of a part and a value of each non-numeric parameter."""
    found = []
    for name in registry:
        cls = registry[name]
        domains = {}
        for parameter, domain in cls._parameter_constraints.items():
            options = [x for x in domain if isinstance(x, StrOptions)]
            if options:
                domains[parameter] = sorted(options[0].options)
            elif "boolean" in domain:
                domains[parameter] = [False, True]
        for values in product(*domains.values()):
            choice = dict(zip(domains, values, strict=True))
            found.append(pytest.param((cls, choice), id=f"{name}-{choice or ''}"))
    return found


def parts_of(variant, dtype, n_axes=2, start=None):
    """Return parts of a variant with different numbers for each model."""
    cls, choice = variant
    numbers = {}
    for name, domain in cls._parameter_constraints.items():
        interval = next((x for x in domain if isinstance(x, Interval)), None)
        if interval is not None and interval.type is Real:
            values = within(interval, getattr(cls(**choice), name))
            numbers[name] = Number(values, dtype, n_axes)

    def make():
        part = cls(**choice)
        if start is not None:
            start(part)
        return part

    return Parts(make, numbers)


def within(interval, default):
    """Return a number within an interval for each model."""
    low, high = interval.left, interval.right
    if low is not None and high is not None:
        return [low + (high - low) * share for share in (0.25, 0.5, 0.75)]
    if low is not None and default > low:
        return [low + (default - low) * factor for factor in (0.5, 1, 2)]
    return [default, default + 0.25, default + 0.5] if high is None else [default] * 3


def check(library, call, *inputs, tolerance=64):
    """Compare the results of ``call(xp, *inputs)`` for single models and for a stack.

    It returns arrays in a list. ``tolerance`` is in units of rounding.
    """

    def of(i, wrap=lambda x: x):
        own = [x.of(i) if hasattr(x, "of") else x for x in inputs]
        return [wrap(x.copy()) if isinstance(x, np.ndarray) else x for x in own]

    def stacked(x):
        if hasattr(x, "of"):
            return x.stacked(library)
        return library.array(x) if isinstance(x, np.ndarray) else x

    expected = [call(np, *of(i)) for i in range(N_MODELS)]
    alone = call(library.xp, *of(1, library.array))
    together = call(library.xp, *map(stacked, inputs))
    assert len(alone) == len(together) == len(expected[0]) > 0
    for j in range(len(alone)):
        agree(library, alone[j], expected[1][j], tolerance)
        agree(library, together[j], [values[j] for values in expected], tolerance)


def agree(library, result, expected, tolerance):
    """Compare arrays up to rounding, and their shapes and dtypes exactly."""
    expected = np.asarray(expected)
    result = np.asarray(result) if isinstance(result, float) else library.numpy(result)
    assert result.shape == expected.shape
    if expected.dtype.kind != "f":
        np.testing.assert_array_equal(result, expected)
        return
    assert result.dtype == expected.dtype
    rounding = tolerance * np.finfo(expected.dtype).eps
    size = np.max(np.abs(expected), initial=0, where=np.isfinite(expected))
    np.testing.assert_allclose(result, expected, rtol=rounding, atol=rounding * size)


# Array functions.


def test_namespaces():
    torch = pytest.importorskip("torch")
    strict = pytest.importorskip("array_api_strict")
    assert _arrays.namespace(np.zeros(2)) is np
    assert _arrays.namespace(np.float32(2)) is np
    assert _arrays.namespace(strict.asarray([1.0])) is strict
    xp = _arrays.namespace(torch.zeros(2))
    # PyTorch's own ``max`` has no ``axis``.
    assert xp.max(torch.ones(2, 3), axis=-1).shape == (2,)


def test_an_array_library_is_asked_for_by_name(monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(_arrays, "_namespaces", {})
    monkeypatch.setitem(sys.modules, "sklearn.externals.array_api_compat", None)
    with pytest.raises(
        ImportError, match=r"torch\.Tensor arrays need scikit-learn 1\.9"
    ):
        _arrays.namespace(torch.zeros(2))


@each_dtype
@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("expit", special.expit),
        ("ndtr", special.ndtr),
    ],
)
def test_functions(name, reference, dtype, library):
    x = np.array([[-800, -20, -1, -1e-8], [0, 0.5, 3, 800]], dtype)
    result = getattr(_arrays, name)(library.array(x), library.xp)
    agree(library, result, reference(x).astype(dtype), 8)


@each_dtype
def test_functions_of_several_arrays(dtype, library):
    xp, array = library.xp, library.array
    x = np.arange(24, dtype=dtype).reshape(2, 3, 4)
    y = np.array([[0, 3, 1], [2, 2, 0]])

    def same(result, expected):
        agree(library, result, expected, 8)

    same(_arrays.transpose(array(x)), x.swapaxes(1, 2))
    same(_arrays.transpose(array(x[0])), x[0].T)
    same(_arrays.astype(array(y), array(x).dtype, xp), y.astype(dtype))
    same(_arrays.from_numpy(x, array(y), xp), x)
    same(_arrays.arange(3, array(x), xp), np.arange(3))
    same(_arrays.maximum(array(x), 5, xp), np.maximum(x, 5))
    same(_arrays.minimum(array(x), array(x[0]), xp), np.minimum(x, x[0]))
    hot = np.eye(4, dtype=bool)[y]
    same(_arrays.add_at(array(x), array(y), 2.0, xp), np.where(hot, x + 2, x))
    same(
        _arrays.put_at(array(x), array(y), array(-x[..., 0]), xp),
        np.where(hot, -x[..., :1], x),
    )
    expected = np.take_along_axis(x, y[..., None], axis=-1)[..., 0]
    same(_arrays.take(array(x), array(y), xp), expected)
    same(
        _arrays.take(array(x), array(y[0]), xp),
        np.stack([z[range(3), y[0]] for z in x]),
    )
    same(_arrays.take(array(x[0]), array(y[0]), xp), expected[0])
    places = y[..., None] + np.array([[[0, 1]]]) * (1 - 2 * (y[..., None] > 1))
    values = -x[..., :2]
    expected = x.copy()
    np.put_along_axis(expected, places, values, axis=-1)
    same(
        _arrays.put_along_last_axis(array(x), array(places), array(values), xp),
        expected,
    )
    number = array(x[:, :1, :1])
    same(_arrays.of_rows(number), x[:, :1, 0])
    same(_arrays.of_matrices(_arrays.of_rows(number)), x[:, :1, :1])
    assert _arrays.of_rows(2.0) == _arrays.of_matrices(2.0) == 2.0
    assert _arrays.equal_numbers(2, 2.0)
    assert not _arrays.equal_numbers(number, number)
    original = array(x)
    copy = _arrays.copied(original, xp)
    copy += 1
    same(original, x)


def test_random_numbers(library):
    xp, like = library.xp, library.array(np.zeros(1))
    places = np.array([0, 1, 2**31, 2**32 - 1])
    expected = _arrays.random_words(KEY, places)
    words = library.numpy(_arrays.random_words(KEY, library.array(places), xp))
    np.testing.assert_array_equal(words, expected)
    mask = _arrays.random_mask(KEY, (40, 7), 20000, xp, like)
    agree(library, mask, _arrays.random_mask(KEY, (40, 7), 20000), 0)
    agree(
        library,
        _arrays.normals(KEY, (40, 7), xp, like),
        _arrays.normals(KEY, (40, 7)),
        8,
    )


# Losses.

CLASSES = np.array([0, 1, 2, 3, 2, 1, 0])


def class_targets(rng, n, task):
    """Return targets of a kind, and the number of outputs."""
    if task == "multiclass":
        return rng.permutation(np.resize(CLASSES, n)), 4
    return rng.integers(0, 2, (n, 4 if task == "multilabel" else 1)) * 1.0, None


@pytest.mark.one_in(3)
@each_dtype
@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
@pytest.mark.parametrize("variant", variants(CLASSIFICATION_LOSSES))
def test_losses_for_classes(variant, task, dtype, library):
    cls, _ = variant
    if task not in cls.tasks:
        pytest.skip("The loss is for other targets.")
    rng = np.random.default_rng(0)
    n, n_classes = 9, 4 if task == "multiclass" else 2
    if task == "binary" and cls.indices_for_two:
        ys = rng.integers(0, 2, (N_MODELS, n))
    else:
        ys = np.array([class_targets(rng, n, task)[0] for _ in range(N_MODELS)])
        ys = ys if task == "multiclass" else ys.astype(dtype)

    def start(loss):
        loss.start(np.arange(n_classes), np.arange(1, n_classes + 1))

    n_raw = cls().n_raw(1 if task == "binary" else 4)
    check_loss(library, parts_of(variant, dtype, start=start), ys, n_raw, rng, dtype)


@each_dtype
@pytest.mark.parametrize("variant", variants(REGRESSION_LOSSES))
def test_losses_for_numbers(variant, dtype, library):
    rng = np.random.default_rng(0)
    ys = rng.poisson(1, (N_MODELS, 9, 2)).astype(dtype)
    if variant[0] in (Gamma, Tweedie):  # Some powers take positive targets alone.
        ys += 0.5
    n_raw = variant[0](**variant[1]).n_raw(2)
    check_loss(library, parts_of(variant, dtype), ys, n_raw, rng, dtype)


@each_dtype
def test_several_quantiles(dtype, library):
    rng = np.random.default_rng(0)
    ys = rng.normal(size=(N_MODELS, 9, 2)).astype(dtype)
    parts = Parts(lambda: Quantile([0.1, 0.5, 0.9]), {})
    check_loss(library, parts, ys, 6, rng, dtype)


def check_loss(library, parts, ys, n_raw, rng, dtype):
    """Check a loss with shared and separate targets and weights of models."""

    def call(xp, loss, raw, y, sample_weight):
        before = _arrays.copied(raw, xp)
        results = [*loss.per_sample(raw, y, xp), *loss.mean(raw, y, sample_weight, xp)]
        assert xp.all(raw == before)
        return results

    raw = Own(3 * rng.normal(size=(N_MODELS, ys.shape[1], n_raw)).astype(dtype))
    weights = rng.random((N_MODELS, ys.shape[1])).astype(dtype)
    for y, weight in [(ys[0], None), (ys[0], weights[0]), (Own(ys), Own(weights))]:
        for loss in parts, Parts(parts.make, {}):
            check(library, call, loss, raw, y, weight)


# Activations.


@each_dtype
@pytest.mark.parametrize("variant", variants(ACTIVATIONS))
def test_activations(variant, dtype, library):
    rng = np.random.default_rng(0)
    Z = 3 * rng.normal(size=(N_MODELS, 9, 5)).astype(dtype)
    Z[:, 0] = 0
    Z[:, 1] *= 30
    delta = rng.normal(size=Z.shape).astype(dtype)

    def call(xp, part, Z, delta):
        before = _arrays.copied(Z, xp)
        A = part.forward(Z, xp)
        assert xp.all(before == Z)
        kept = Z if part.keeps_input else None
        return [A, part.backward(delta, A, kept, xp)]

    parts = parts_of(variant, dtype)
    for part in parts, Parts(parts.make, {}):
        check(library, call, part, Own(Z), Own(delta))


# Penalties.


@each_dtype
@pytest.mark.parametrize("variant", variants(PENALTIES))
def test_penalties(variant, dtype, library):
    rng = np.random.default_rng(0)
    W = Own(rng.normal(size=(N_MODELS, 6, 5)).astype(dtype))
    W.arrays[:, :, 2] = W.arrays[:, 2] = 0
    steps = Own(rng.random(W.arrays.shape).astype(dtype))
    rates = Number([0.125, 0.25, 0.5], dtype)

    def call(xp, part, W, alpha, step):
        gradient = part.gradient(W, alpha, xp)
        results = [part.value(W, alpha, xp), part.prox(W, alpha, step, xp)]
        return results if gradient is None else [*results, gradient]

    parts = parts_of(variant, dtype)
    for part, alpha, step in product(
        [parts, Parts(parts.make, {})],
        [0.5, Number([0.25, 0.5, 2.0], dtype)],
        [0.25, rates, steps],
    ):
        check(library, call, part, W, alpha, step)


# Optimizers.


@each_dtype
@pytest.mark.parametrize("variant", variants(OPTIMIZERS))
def test_optimizers(variant, dtype, library):
    cls, _ = variant
    if not cls.stochastic:
        pytest.skip("It makes no steps.")
    rng = np.random.default_rng(0)
    theta = Own(rng.normal(size=(N_MODELS, 7)).astype(dtype))
    grads = Own(rng.normal(size=(N_MODELS, 3, 7)).astype(dtype))

    def steps(xp, part, theta, grads, rate):
        state = part.start(theta, xp)
        for t in range(3):
            grad = _arrays.copied(grads[..., t, :], xp)
            part.step(theta, grad, rate, state, xp)
        return [theta]

    def proximal_steps(xp, part, theta, grads, rate):
        state = part.start(theta, xp)

        def prox(size):
            theta[...] = theta / (1 + size)

        part.begin_epoch(theta, state, xp)
        for t in range(3):
            grad = _arrays.copied(grads[..., t, :], xp)
            part.proximal_step(theta, grad, rate, state, prox, xp)
        ahead = _arrays.copied(theta, xp)
        part.end_epoch(theta, state)
        return [theta, ahead]

    parts = parts_of(variant, dtype, n_axes=1)
    for call in [steps, proximal_steps] if cls.proximal else [steps]:
        for part in parts, Parts(parts.make, {}):
            for rate in 0.125, Number([0.125, 0.25, 0.5], dtype, 1):
                check(library, call, part, theta, grads, rate)


# Layers.


def masks(dtype, inverted):
    """Return masks with a different rate for each model."""
    each = [Mask(rate, inverted) for rate in (0.25, 0.5, 0.75)]
    kinds = {
        "threshold": np.int64,
        "training_scale": dtype,
        "prediction_scale": dtype,
    }
    numbers = {
        name: Number([getattr(mask, name) for mask in each], kind)
        for name, kind in kinds.items()
    }
    return Parts(lambda: Mask(0.5, inverted), numbers)


def gaussian_noises(dtype):
    return parts_of(
        (GaussianNoise, {}), dtype, start=lambda noise: noise.start(5, None)
    )


def embeddings(variant, dtype):
    X = np.random.default_rng(0).normal(size=(30, 5)).astype(dtype)
    return parts_of(variant, dtype, start=lambda part: part.start(X))


def no_parts(dtype):
    return Parts(lambda: None, {})


def connected(layers, n_units):
    """Return layers of 5 inputs with a residual connection around them."""
    fork = Fork(0, 5, n_units)
    return [fork, *layers, Join(fork)]


# What shows a class of layers, with 5 inputs: layers made of a part, its parts for the
# models, the number of outputs, and whether they may come first in a network.
SHOWN = {
    Activate: [
        (
            lambda part: [Activate(part, 0, 5)],
            lambda dtype: parts_of((ACTIVATIONS["leaky_relu"], {}), dtype),
            5,
            False,
        )
    ],
    BatchNormLayer: [
        (
            lambda part: [BatchNormLayer(part, 5, 0)],
            lambda dtype: parts_of((BatchNorm, {}), dtype),
            5,
            False,
        )
    ],
    LayerNormLayer: [
        (
            lambda part: [LayerNormLayer(part, 5, 0)],
            lambda dtype: parts_of((LayerNorm, {}), dtype),
            5,
            False,
        )
    ],
    Dense: [
        (lambda part: [Dense(5, 4, 0)], no_parts, 4, True),
        (lambda part: [Dense(5, 4, 0, is_output=True)], no_parts, 4, True),
        *(
            (
                lambda part: [Dense(5, 4, 0, has_bias=False, dropconnect=part)],
                partial(masks, inverted=inverted),
                4,
                True,
            )
            for inverted in (False, True)
        ),
    ],
    Dropout: [
        (lambda part: [Dropout(part, 0, 5)], partial(masks, inverted=inverted), 5, True)
        for inverted in (False, True)
    ],
    Fork: [
        (lambda part: connected([Dense(5, 5, 0)], 5), no_parts, 5, True),
        (lambda part: connected([Dense(5, 4, 0)], 4), no_parts, 4, True),
    ],
    InputNoise: [(lambda part: [InputNoise(part, 5)], gaussian_noises, 5, True)],
}
SHOWN |= {
    Embed: [
        (lambda part: [Embed(part)], partial(embeddings, variant), n_outputs, True)
        for variant, n_outputs in [
            ((Periodic, {}), 20),
            ((Periodic, {"activation": "relu"}), 20),
            ((PiecewiseLinear, {}), 45),
        ]
    ],
    FeatureScaling: [(lambda part: [FeatureScaling(5)], no_parts, 5, True)],
}
SHOWN[Join] = SHOWN[Fork]
LAYERS = [x for x in Layer.__subclasses__() if x.__module__.startswith("sknn_notes.")]


@each_dtype
@pytest.mark.parametrize("cls", LAYERS)
def test_layers(cls, dtype, library):
    rng = np.random.default_rng(0)

    def draw(*shape):
        return Own((0.5 + rng.random((N_MODELS, *shape))).astype(dtype))

    for make, parts, n_outputs, may_be_first in SHOWN[cls]:
        layout = Layout(make(parts(dtype).of(0)))
        A, delta, theta = draw(8, 5), draw(8, n_outputs), draw(layout.size)
        running = draw(layout.n_averages)
        for part in parts(dtype), Parts(parts(dtype).make, {}):
            call = partial(passes, make=make)
            check(library, call, part, A, delta, theta, running, tolerance=128)
            if may_be_first:
                call = partial(passes, make=make, is_first=True)
                args = part, A.arrays[0], delta, theta, running
                check(library, call, *args, tolerance=128)


def passes(xp, part, A, delta, theta, running, make, is_first=False):
    """Return the results of some layers in training and in prediction."""
    layers, grad = make(part), xp.zeros_like(theta)
    layout = Layout(layers)
    p, g = layout.views(theta, running, xp), layout.views(grad, xp=xp)

    flow, out, kept = Flow(theta, iter([KEY] * len(layers))), A, []
    before = _arrays.copied(A, xp)
    for layer, own in zip(layers, p, strict=True):
        out, needed = layer.forward(own, out, flow)
        kept.append(needed)
    assert xp.all(before == A)
    outputs = [out]
    for layer, own, needed in zip(layers, p, kept, strict=True):
        layer.update_running(own, needed)
    for i in reversed(range(len(layers))):
        needed = i > 0 or not is_first
        delta = layers[i].backward(p[i], g[i], delta, kept[i], flow, needed)
    gradients = [grad, running] + ([] if is_first or delta is None else [delta])

    # The other noise is drawn with numpy.
    rngs = [None] if isinstance(layers[0], InputNoise) else [None, generator()]
    for rng in rngs:
        flow, out = Flow(theta, rng=rng), A
        for layer, own in zip(layers, p, strict=True):
            out = layer.predict(own, out, flow)
        outputs.append(out)
    # Shared inputs have one result as long as no parameter differs.
    shape = (*theta.shape[:-1], *out.shape[-2:])
    return [xp.broadcast_to(x, shape) for x in outputs] + gradients


def generator():
    return np.random.default_rng(0)


# Networks and whole steps.

NETWORKS = {
    "plain": {},
    "batch norm and dropout": {
        "batch_norm": BatchNorm(),
        "dropout": [0.5, 0.25],
        "input_dropout": 0.25,
    },
    "layer norm, residual and noise": {
        "layer_norm": LayerNorm(),
        "residual": True,
        "dropconnect": 0.25,
        "augment": [GaussianNoise()],
    },
}


def network_of(name, dtype):
    """Return a network and vectors for each model."""
    for noise in NETWORKS[name].get("augment", ()):
        noise.start(5, None)
    activations = [ACTIVATIONS["leaky_relu"](), ACTIVATIONS["tanh"]()]
    network = Network(hidden_layers([5, 6, 4, 3], activations, **NETWORKS[name]), dtype)
    rng = np.random.default_rng(0)
    theta = network.theta + rng.normal(size=(N_MODELS, network.layout.size)) / 2
    running = network.running + rng.random((N_MODELS, network.layout.n_averages))
    return network, Own(theta.astype(dtype)), Own(running.astype(dtype))


def use(network, xp, theta, running):
    """Give a network other vectors."""
    network.theta, network.grad = theta, xp.zeros_like(theta)
    network.running = running
    network.bind()


def batches(rng, dtype):
    """Return shared and separate batches of models."""
    X = rng.normal(size=(N_MODELS, 8, 5)).astype(dtype)
    y = rng.integers(0, 3, (N_MODELS, 8))
    weights = rng.random((N_MODELS, 8)).astype(dtype)
    return [(X[0], y[0], None), (Own(X), Own(y), Own(weights))]


@each_dtype
@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name, dtype, library):
    network, theta, running = network_of(name, dtype)
    loss = CLASSIFICATION_LOSSES["log_loss"]()

    def call(xp, theta, running, X, y, sample_weight):
        use(network, xp, theta, running)
        seen = []
        raw = network.forward(X, [KEY] * network.n_random)
        value, delta = loss.mean(raw, y, sample_weight, xp)
        network.backward(delta, seen)
        network.update_running()
        return [raw, value, network.grad, network.running, *network.fitted.intercepts]

    for batch in batches(np.random.default_rng(0), dtype):
        check(library, call, theta, running, *batch, tolerance=512)


def as_array(value, like, xp):
    """Return an objective, which is a float for a single model, as an array."""
    if isinstance(value, float):
        return xp.sum(like[:1]) * 0 + value
    return value


@each_dtype
@pytest.mark.parametrize("penalty", variants(PENALTIES))
def test_objectives(penalty, dtype, library):
    network, theta, running = network_of("batch norm and dropout", dtype)
    loss = CLASSIFICATION_LOSSES["log_loss"]()

    def call(xp, penalty, theta, running, X, y, sample_weight, alpha):
        use(network, xp, theta, running)
        objective = Objective(Program(network, loss, penalty, [alpha] * 3))
        value = objective(X, y, sample_weight, [KEY] * network.n_random)
        values = [as_array(x, theta, xp) for x in (value, objective.penalty())]
        return [network.grad, *values]

    for batch in batches(np.random.default_rng(0), dtype):
        for alpha in 0.5, Number([0.25, 0.5, 2.0], dtype):
            part = parts_of(penalty, dtype)
            check(library, call, part, theta, running, *batch, alpha, tolerance=512)


def test_a_lost_model_leaves_the_others_alone(library):
    network, theta, running = network_of("plain", np.float64)
    X, y, _ = batches(np.random.default_rng(0), np.float64)[0]
    loss, optimizer = CLASSIFICATION_LOSSES["log_loss"](), OPTIMIZERS["adam"]()
    program = Program(network, loss, optimizer=optimizer)

    def steps(theta):
        use(network, library.xp, library.array(theta), library.array(running.arrays))
        state = optimizer.start(network.theta, library.xp)
        for _ in range(2):
            step = Step(library.array(X), library.array(y), rate=0.1, state=state)
            run(program.objective + program.updates, step)
        return library.numpy(step.value), library.numpy(network.theta)

    value, after = steps(theta.arrays)
    theta.arrays[1] = np.inf
    lost_value, lost = steps(theta.arrays)
    assert np.isfinite(lost_value).tolist() == [True, False, True]
    np.testing.assert_array_equal(lost_value[::2], value[::2])
    np.testing.assert_array_equal(lost[::2], after[::2])


SOLVERS = [name for name in OPTIMIZERS if OPTIMIZERS[name].stochastic]


@pytest.mark.one_in(3)
@each_dtype
@pytest.mark.parametrize("penalty", variants(PENALTIES))
@pytest.mark.parametrize("solver", SOLVERS)
def test_whole_steps(solver, penalty, dtype, library):
    if not (OPTIMIZERS[solver].proximal or penalty[0].smooth):
        pytest.skip("The solver makes no proximal steps.")
    network, theta, running = network_of("batch norm and dropout", dtype)
    loss = CLASSIFICATION_LOSSES["log_loss"]()

    def call(
        xp, optimizer, penalty, theta, running, X, y, weight, rate, alpha, norm, clip
    ):
        use(network, xp, theta, running)
        # Two of the strengths are equal, and one is missing.
        alphas, norms = [alpha, alpha, 0.0], [None, norm, norm]
        program = Program(
            network, loss, penalty, alphas, True, norms, optimizer, clip_norm=clip
        )
        state, values = optimizer.start(theta, xp), []
        optimizer.begin_epoch(theta, state, xp)
        for t in range(2):
            step = Step(X, y, weight, [KEY + t] * network.n_random, rate, state)
            run(program.objective + program.updates, step)
            network.update_running()
            values.append(as_array(step.value, theta, xp))
        optimizer.end_epoch(theta, state)
        return [network.theta, network.running, *values]

    optimizers = parts_of((OPTIMIZERS[solver], {}), dtype, n_axes=1)
    penalties = parts_of(penalty, dtype)
    numbers = [
        (0.125, 0.25, 0.5, 0.25),
        (
            Number([0.125, 0.25, 0.0625], dtype, 1),
            Number([0.125, 0.25, 0.5], dtype),
            Number([0.5, 1.0, 2.0], dtype),
            Number([0.125, 0.25, 1.0], dtype, 1),
        ),
    ]
    for batch, own in zip(
        batches(np.random.default_rng(0), dtype), numbers, strict=True
    ):
        args = optimizers, penalties, theta, running, *batch, *own
        check(library, call, *args, tolerance=2048)
