"""Small problems that the tests of the estimators share."""

import numpy as np
import pytest
from sklearn.datasets import (
    make_classification,
    make_multilabel_classification,
    make_regression,
)
from threadpoolctl import threadpool_limits


@pytest.fixture(autouse=True, scope="session")
def one_blas_thread():
    """The matrices here are so small that threads only wait for each other."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="session")
def two_classes():
    return make_classification(n_samples=80, n_features=6, random_state=0)


@pytest.fixture(scope="session")
def three_classes():
    return make_classification(
        n_samples=90, n_features=6, n_informative=4, n_classes=3, random_state=0
    )


@pytest.fixture(scope="session")
def labels():
    X, Y = make_multilabel_classification(
        n_samples=80, n_features=6, n_classes=4, random_state=0
    )
    return X / 10, Y


@pytest.fixture(scope="session")
def one_target():
    X, y = make_regression(n_samples=80, n_features=5, noise=1.0, random_state=0)
    return X, y / y.std()


@pytest.fixture(scope="session")
def two_targets():
    X, Y = make_regression(n_samples=80, n_features=5, n_targets=2, random_state=0)
    return X, Y / Y.std(axis=0)


@pytest.fixture(scope="session")
def mostly_zeros():
    """Features of which nine in ten are 0, with three classes that follow from them."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 20)) * (rng.random((60, 20)) < 0.1)
    return X, np.argmax(X[:, :3], axis=1)
