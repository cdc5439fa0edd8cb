"""What a bug report includes."""

import importlib.metadata
import os
import re

import pytest
import sklearn

import sknn_notes
from sknn_notes import MLPClassifier


@pytest.fixture
def shown(capsys):
    """What is printed, {name: text}."""
    sknn_notes.show_versions()
    return dict(re.findall(r"^ +(.+?): (.*)$", capsys.readouterr().out, re.MULTILINE))


def test_versions_are_shown(shown):
    assert shown["sknn_notes"] == sknn_notes.__version__
    assert shown["scikit-learn"] == sklearn.__version__
    assert shown["CPU cores"] == str(os.cpu_count())
    assert shown["user_api"] in ("blas", "openmp")


def test_the_executor_is_that_of_a_fit(shown):
    model = MLPClassifier(3, max_iter=1).fit([[0.0], [1.0]], [0, 1])
    assert shown["executor"] == model.executor_.split()[0]


def test_a_package_that_is_missing_has_no_version(monkeypatch, capsys):
    version = importlib.metadata.version

    def without_numba(name):
        if name == "numba":
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr("sknn_notes._show_versions.version", without_numba)
    sknn_notes.show_versions()
    assert "numba: None\n" in capsys.readouterr().out
