"""Predictions from raw outputs of any size, against the same in float64."""

import numpy as np
import pytest

from sknn_notes import links
from sknn_notes._trees import Tree
from sknn_notes.links import (
    Gaussian,
    Identity,
    Link,
    Log,
    Logit,
    Quantiles,
    Softmax,
    TreePaths,
)

LINKS = [
    Gaussian(),
    Identity(),
    Log(),
    Logit(),
    Quantiles([0.5]),
    Quantiles([0.1, 0.5, 0.9], scale=np.array([2.0])),
    Softmax(),
    TreePaths(Tree([[-1, 1], [-2, -3]])),
]
CASES = [
    (link, method)
    for link in LINKS
    for method in ("inverse", "log_inverse", "scores", "std", "quantiles")
    if getattr(link, method) is not None
    and (method != "log_inverse" or link.gives_probabilities or isinstance(link, Log))
]


def test_every_link_is_here():
    classes = {getattr(links, name) for name in links.__all__}
    assert {type(link) for link in LINKS} == classes - {Link}


@pytest.mark.parametrize(
    ("link", "method"),
    [pytest.param(*case, id=f"{type(case[0]).__name__}-{case[1]}") for case in CASES],
)
def test_predictions_are_exact_up_to_rounding(link, method):
    compute = getattr(link, method)
    n_raw = 2 if isinstance(link, Gaussian | TreePaths) else 3
    rng = np.random.default_rng(0)
    sizes = [0, 1e-30, 1e-3, 1, 10, 30, 60, 85, 110, 1e4, 1e19, 1e20, 1e37, 1e38]
    raw = rng.choice(sizes, (200, n_raw)) * rng.choice([-1, 1], (200, n_raw))
    raw[:5] = np.array([1e38, -1e38, 1e20, 85, 0])[:, None]
    raw = raw.astype("float32")
    actual, exact = compute(raw), compute(raw.astype("float64"))
    representable = np.abs(exact) <= np.finfo("float32").max
    assert (np.isfinite(actual) == representable).all()
    actual, exact = actual[representable], exact[representable]
    bound = 16 * np.finfo("float32").eps * (1 + np.abs(exact))
    assert (np.abs(actual - exact) <= bound).all()
