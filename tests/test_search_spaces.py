"""Search spaces: names of parameters, and fits by searches."""

import inspect

import numpy as np
import pytest
from sklearn.datasets import make_classification, make_regression
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import make_pipeline

from sknn_notes import MLPClassifier, MLPRegressor, Standardizer, search_spaces

NETWORKS = {"classifier": MLPClassifier, "regressor": MLPRegressor}
DATA = {
    "classifier": make_classification(260, 6, random_state=0),
    "regressor": make_regression(260, 6, noise=1.0, random_state=0),
}
EACH_KIND = pytest.mark.parametrize("kind", NETWORKS)
EACH_SPACE = pytest.mark.parametrize(
    "space", [search_spaces.grid, search_spaces.distributions]
)


def quick(kind):
    """A network of the starting point that trains for two epochs."""
    parameters = search_spaces.starting_point() | {"max_iter": 2}
    return NETWORKS[kind](**parameters, random_state=0)


@EACH_KIND
def test_the_starting_point_trains_to_the_end_of_its_schedule(kind):
    parameters = search_spaces.starting_point()
    network = NETWORKS[kind](**parameters, random_state=0).fit(*DATA[kind])
    assert network.n_iter_ == parameters["max_iter"]
    assert network.score(*DATA[kind]) > 0.9


@EACH_KIND
@EACH_SPACE
def test_every_name_is_a_parameter(kind, space):
    parameters = inspect.signature(NETWORKS[kind]).parameters
    assert set(space()) <= set(parameters)


@EACH_SPACE
def test_a_step_is_a_prefix(space):
    of_step = space("outer__network")
    assert list(of_step) == [f"outer__network__{name}" for name in space()]


@EACH_SPACE
def test_every_call_returns_a_new_space(space):
    space().clear()
    assert space()


@EACH_KIND
def test_a_grid_is_searched(kind):
    model = make_pipeline(Standardizer(), quick(kind))
    grid = search_spaces.grid(model.steps[-1][0])
    search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(*DATA[kind])
    assert len(search.cv_results_["params"]) == 12
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@EACH_KIND
def test_distributions_are_searched(kind):
    search = RandomizedSearchCV(
        quick(kind),
        search_spaces.distributions(),
        n_iter=6,
        cv=2,
        error_score="raise",
        random_state=0,
    ).fit(*DATA[kind])
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert len({params["alpha"] for params in search.cv_results_["params"]}) == 6
