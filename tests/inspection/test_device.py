"""Networks trained on a device are inspected on the CPU."""

import numpy as np
import pytest

from sknn_notes import MLPClassifier
from sknn_notes.inspection import UpdateRatioDisplay


def test_update_ratios(iris):
    pytest.importorskip("torch")
    X, y = iris
    expected, found = (
        UpdateRatioDisplay.from_estimator(
            MLPClassifier(max_iter=2, random_state=0, device=device), X, y
        )
        for device in (None, "meta")
    )
    assert len(expected.ratios)
    np.testing.assert_array_equal(found.ratios, expected.ratios)
