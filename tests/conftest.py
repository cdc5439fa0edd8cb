"""Settings of all tests: one BLAS thread where several workers share the cores."""

import os
import signal
from importlib.metadata import version
from zlib import crc32

import pytest
from hypothesis import settings
from packaging.requirements import Requirement
from threadpoolctl import threadpool_limits

from sknn_notes.neural_network import _inactive

# The same examples in every run; HYPOTHESIS_PROFILE=many searches further.
settings.register_profile("few", derandomize=True, deadline=None)
settings.register_profile("many", max_examples=500, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "few"))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Leave most cases of a test marked ``one_in(n)`` to the nightly run.

    Its name draws a case, so that the cases drawn vary in every parameter.
    """
    for item in items:
        for mark in item.iter_markers("one_in"):
            if crc32(item.nodeid.encode()) % mark.args[0]:
                item.add_marker("nightly")


def pytest_runtest_setup(item):
    """Skip a test marked ``needs(requirement, why)`` where an older version runs."""
    for mark in item.iter_markers("needs"):
        requirement, why = mark.args
        package = Requirement(requirement)
        if version(package.name) not in package.specifier:
            pytest.skip(f"needs {requirement}: {why}")


@pytest.fixture(scope="session", autouse=True)
def interruptible():
    """Let tests interrupt themselves even where a shell started them with ``&``."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def one_blas_thread():
    """Keep the BLAS of parallel test workers from waiting for each other."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        with threadpool_limits(1, user_api="blas"):
            yield
    else:
        yield


@pytest.fixture
def array_api(monkeypatch):
    """Let scikit-learn dispatch arrays, which it asks this variable for."""
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")


@pytest.fixture(autouse=True)
def nothing_told_before():
    """Let every test see the warnings that a process shows only once."""
    _inactive.told.clear()
