"""Fits give the results that they once gave, whoever makes the steps."""

import json

import numpy as np
import pytest

from sknn_notes.activations import ACTIVATIONS
from sknn_notes.embeddings import EMBEDDINGS
from sknn_notes.initializers import INITIALIZERS
from sknn_notes.losses import CLASSIFICATION_LOSSES, REGRESSION_LOSSES
from sknn_notes.noise import NOISES
from sknn_notes.optimizers import OPTIMIZERS
from sknn_notes.penalties import PENALTIES
from sknn_notes.schedules import SCHEDULES

from .golden import CONFIGURATIONS, FILE, configured

GOLDEN = json.loads(FILE.read_text(encoding="utf-8"))


@pytest.mark.filterwarnings("ignore:.* has no effect")
@pytest.mark.filterwarnings("ignore:.*no better than")
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_results_are_those_stored(name, fits):
    model, fit, results = configured(name)
    # Executors differ by up to 1e-13, and by 2e-7 in float32: a rounding error of
    # 2**-53, or 2**-24, that some fifteen steps amplify.
    tolerance = 1e-5 if model.dtype == "float32" else 1e-10
    # Devices take dense inputs only.
    on_device = CONFIGURATIONS[name][1].get("inputs") != "sparse"
    for fitted, executor in fits(model, fit, on_device):
        found = results(fitted)
        assert found.keys() == GOLDEN[name].keys()
        for key, value in GOLDEN[name].items():
            desired = np.array(value)
            bound = tolerance * np.max(np.abs(desired))
            np.testing.assert_allclose(
                found[key], desired, 0, bound, err_msg=f"{executor}, {key}"
            )


def test_every_part_has_a_stored_result():
    assert GOLDEN.keys() == CONFIGURATIONS.keys()
    used = {"adam", "auto", "constant", "l2", "relu"}  # Defaults.
    registries = [ACTIVATIONS, EMBEDDINGS, INITIALIZERS, NOISES, OPTIMIZERS, PENALTIES]
    registries += [CLASSIFICATION_LOSSES, REGRESSION_LOSSES, SCHEDULES]
    names = {cls: name for registry in registries for name, cls in registry.items()}
    for _, parameters in CONFIGURATIONS.values():
        for value in parameters.values():
            for part in value if isinstance(value, list) else [value]:
                used.add(names.get(type(part), part if isinstance(part, str) else None))
    assert {*names.values()} <= used | {"log_loss", "squared_error"}
