"""Training steps to time: this library, scikit-learn, and the matrix products alone."""

from itertools import pairwise
from time import perf_counter
from typing import NamedTuple

import numpy as np
from sklearn.neural_network import MLPClassifier as SklearnMLPClassifier

import sknn_notes
from _timing import use_kernels

# Batches of an epoch.
N_BATCHES = 10


class Configuration(NamedTuple):
    """A classifier to train on float32 data: its layers and its batch size."""

    n_inputs: int
    hidden: tuple
    n_classes: int
    batch_size: int

    @property
    def units(self):
        return [self.n_inputs, *self.hidden, self.n_classes]

    @property
    def name(self):
        return "-".join(map(str, self.units)) + f"/{self.batch_size}"

    def data(self):
        """Return the inputs and the classes of an epoch."""
        rng = np.random.default_rng(0)
        n_samples = self.batch_size * N_BATCHES
        shape = n_samples, self.n_inputs
        X = rng.standard_normal(shape, dtype=np.float32)
        y = rng.integers(self.n_classes, size=n_samples)
        n_present = min(self.n_classes, n_samples)
        y[:n_present] = np.arange(n_present)
        return X, y


CONFIGURATIONS = [
    Configuration(64, (100,), 10, 200),
    Configuration(64, (100,), 10, 32),
    Configuration(20, (100,), 10, 200),
    Configuration(20, (64, 64), 10, 32),
    Configuration(784, (100,), 10, 200),
    Configuration(784, (512, 512), 10, 128),
    Configuration(784, (512, 512), 10, 1024),
    Configuration(784, (1024, 1024, 1024), 10, 256),
]


def epochs_for(configuration, duration):
    """Return how many epochs take a fit roughly ``duration`` seconds."""
    products = products_step(configuration, 2)
    step = min(products() for _ in range(3))
    return int(np.clip(duration / (4 * N_BATCHES * step), 3, 200))


def products_step(configuration, n_epochs):
    """Return a contender: seconds per step of the step's matrix products alone."""
    rng = np.random.default_rng(0)

    def array(*shape):
        return rng.standard_normal(shape, dtype=np.float32)

    A = [array(configuration.batch_size, n) for n in configuration.units]
    W = [array(*shape) for shape in pairwise(configuration.units)]
    D, dW = [np.zeros_like(a) for a in A], [np.zeros_like(w) for w in W]
    layers = range(len(W))
    n_steps = N_BATCHES * n_epochs

    def run():
        begin = perf_counter()
        for _ in range(n_steps):
            for i in layers:
                np.dot(A[i], W[i], out=D[i + 1])
            for i in reversed(layers):
                np.dot(A[i].T, A[i + 1], out=dW[i])
                if i:
                    np.dot(A[i + 1], W[i].T, out=D[i])
        return (perf_counter() - begin) / n_steps

    return run


def our_step(configuration, data, n_epochs, kernels=None, **parameters):
    """Return a contender: seconds per step of a whole fit of this library."""
    classifier = sknn_notes.MLPClassifier(
        configuration.hidden, batch_size=configuration.batch_size, **parameters
    )
    fit = fit_step(classifier, data, n_epochs)

    def run():
        use_kernels(kernels)
        return fit()

    return run


def sklearn_step(configuration, data, n_epochs):
    """Return a contender: seconds per step of a whole fit of scikit-learn."""
    classifier = SklearnMLPClassifier(
        configuration.hidden, batch_size=configuration.batch_size
    )
    return fit_step(classifier, data, n_epochs)


def fit_step(estimator, data, n_epochs):
    """Return a contender: seconds per step of a whole fit."""
    estimator.set_params(max_iter=n_epochs, n_iter_no_change=np.inf, random_state=0)
    n_steps = n_epochs * -(-len(data[0]) // estimator.batch_size)

    def run():
        begin = perf_counter()
        estimator.fit(*data)
        return (perf_counter() - begin) / n_steps

    return run
