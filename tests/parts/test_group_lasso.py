"""Group lasso: its compiled proximal step is that of the definition."""

import numpy as np
import pytest

from sknn_notes.penalties import GroupLasso


@pytest.mark.one_in(3)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("groups", ["inputs", "units"])
@pytest.mark.parametrize("alpha", [1e-6, 1e-2, 0.5, 3.0, 100.0])
@pytest.mark.parametrize("spread", [0.0, 1.0, 3.0])
def test_the_loops_are_the_definition(both_forms, dtype, groups, alpha, spread):
    rng = np.random.default_rng(0)
    W = rng.normal(size=(13, 7)).astype(dtype)
    W[3], W[:, 2] = 0, 0
    steps = (0.1 * np.exp(spread * rng.normal(size=W.shape))).astype(dtype)
    part = GroupLasso(groups=groups)
    with np.errstate(all="ignore"):
        expected, found = (x.prox(part, W, alpha, steps)[1] for x in both_forms)
    bound = 200 * np.finfo(dtype).eps
    np.testing.assert_allclose(found, expected, rtol=bound, atol=bound)


@pytest.mark.parametrize("groups", ["inputs", "units"])
def test_steps_of_size_0_change_nothing(both_forms, groups):
    _, loops = both_forms
    W = np.array([[1.0, -2.0], [0.0, 0.0], [3.0, 1e-3]])
    _, moved = loops.prox(GroupLasso(groups=groups), W, 1.0, np.zeros_like(W))
    np.testing.assert_allclose(moved, W, rtol=1e-15)
