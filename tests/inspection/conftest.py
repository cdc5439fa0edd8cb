"""Small problems, and figures that are closed again."""

import matplotlib as mpl
import pytest
from sklearn.datasets import load_digits, load_iris
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from sknn_notes import MLPClassifier

mpl.use("agg")


@pytest.fixture(autouse=True, scope="session")
def one_blas_thread():
    with threadpool_limits(1):
        yield


@pytest.fixture(autouse=True)
def closed_figures():
    """Draw what a test has plotted, so that errors of drawing show, and close it."""
    import matplotlib.pyplot as plt

    yield
    for number in plt.get_fignums():
        plt.figure(number).canvas.draw()
    plt.close("all")


@pytest.fixture(scope="session")
def iris():
    X, y = load_iris(return_X_y=True)
    return StandardScaler().fit_transform(X), y


@pytest.fixture(scope="session")
def digits():
    X, y = load_digits(return_X_y=True)
    return X / 16, y


@pytest.fixture(scope="session")
def fitted(iris):
    """A fitted network with two hidden layers and dropout."""
    return MLPClassifier((12, 8), dropout=0.2, max_iter=30, random_state=0).fit(*iris)
