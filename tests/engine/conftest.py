"""The executors that make training steps, for tests that name them."""

import pytest

from sknn_notes import _kernels


@pytest.fixture
def use(monkeypatch):
    """Choose "numba" or "numpy" to make the steps, until the test ends."""

    def choose(name):
        monkeypatch.setenv("SKNN_NOTES_KERNELS", name)
        _kernels.active.cache_clear()

    yield choose
    _kernels.active.cache_clear()


@pytest.fixture(params=_kernels.available())
def executor(request, use):
    """The name of an executor, which is in use."""
    use(request.param)
    return request.param
