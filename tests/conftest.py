"""Settings of all tests: one BLAS thread where several workers share the cores."""

import os

import pytest
from threadpoolctl import threadpool_limits

from sknn_notes.neural_network import _inactive


@pytest.fixture(scope="session", autouse=True)
def one_blas_thread():
    """Keep the BLAS of parallel test workers from waiting for each other."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        with threadpool_limits(1, user_api="blas"):
            yield
    else:
        yield


@pytest.fixture(autouse=True)
def nothing_told_before():
    """Let every test see the warnings that a process shows only once."""
    _inactive.told.clear()
