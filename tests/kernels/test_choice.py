"""The choice of the kernels; every set has the same functions."""

import inspect
from types import ModuleType

import pytest

from sknn_notes import _kernels
from sknn_notes._kernels import _numpy


@pytest.fixture
def environment(monkeypatch):
    """The environment, for a choice of the kernel set that ends with the test."""
    _kernels.active.cache_clear()
    yield monkeypatch
    _kernels.active.cache_clear()


@pytest.fixture(params=_kernels.available())
def kernels(request, environment):
    """One kernel set, in use."""
    environment.setenv("SKNN_NOTES_KERNELS", request.param)
    return _kernels.active()


def public_functions(module):
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }


def test_the_numpy_set_is_always_available():
    assert "numpy" in _kernels.available()


@pytest.mark.parametrize("name", _kernels.available())
def test_the_environment_names_the_set(environment, name):
    environment.setenv("SKNN_NOTES_KERNELS", name)
    assert _kernels.active().__name__.endswith(f"_{name}")


@pytest.mark.parametrize("value", [None, ""])
def test_the_fastest_available_set_is_the_default(environment, value):
    environment.delenv("SKNN_NOTES_KERNELS", raising=False)
    if value is not None:
        environment.setenv("SKNN_NOTES_KERNELS", value)
    assert _kernels.active().__name__.endswith(f"_{_kernels.available()[0]}")


def test_a_wrong_name_of_a_set_raises(environment):
    environment.setenv("SKNN_NOTES_KERNELS", "nunpy")
    with pytest.raises(ValueError, match=r"SKNN_NOTES_KERNELS='nunpy'.*'numpy'"):
        _kernels.active()


def test_a_set_whose_requirement_is_not_installed_raises(environment):
    environment.setitem(_kernels.KERNEL_SETS, "absent", "a_package_nobody_wrote")
    environment.setenv("SKNN_NOTES_KERNELS", "absent")
    assert "absent" not in _kernels.available()
    with pytest.raises(ValueError, match=r"'absent'.*Available: \['"):
        _kernels.active()


def test_a_set_that_is_broken_gives_way_with_a_warning(environment):
    environment.delenv("SKNN_NOTES_KERNELS", raising=False)
    environment.setattr(_kernels, "KERNEL_SETS", {"broken": "json", "numpy": "numpy"})
    with pytest.warns(UserWarning, match=r"broken kernels.*numpy kernels are used"):
        assert _kernels.active() is _numpy


def test_every_set_has_the_same_functions_with_the_same_arguments(kernels):
    numpy_set = public_functions(_numpy)
    functions = public_functions(kernels)
    assert set(functions) == set(numpy_set)
    for name, function in functions.items():
        ours, theirs = (inspect.signature(f) for f in (function, numpy_set[name]))
        assert list(ours.parameters) == list(theirs.parameters), name
