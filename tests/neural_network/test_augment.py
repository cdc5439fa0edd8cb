"""Noise on the inputs through the estimators: the network follows, draws repeat."""

import pickle

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

from sknn_notes import MLPClassifier
from sknn_notes.noise import (
    NOISES,
    FractionalMaxPooling,
    GaussianNoise,
    RandomCrop,
    RandomShift,
    StochasticPooling,
)

X, y = load_digits(return_X_y=True)
X, y = X[:200] / 16, y[:200]

every_noise = pytest.mark.parametrize("noise", NOISES.values(), ids=NOISES)


def network(augment, **parameters):
    return MLPClassifier(
        **{
            "hidden_layer_sizes": (20,),
            "learning_rate_init": 0.01,
            "max_iter": 15,
            "random_state": 0,
            "augment": augment,
            **parameters,
        }
    )


@every_noise
def test_a_network_learns_under_every_noise(noise):
    assert network(noise(), max_iter=60).fit(X, y).score(X, y) > 0.8


@pytest.mark.parametrize(
    ("augment", "n_inputs"),
    [
        (GaussianNoise(), 64),
        (RandomShift(), 64),
        (RandomCrop(crop_shape=6), 36),
        (StochasticPooling(), 16),
        (FractionalMaxPooling(ratio=1.6), 25),
        ([RandomShift(), RandomCrop(crop_shape=6), StochasticPooling()], 9),
    ],
    ids=str,
)
def test_the_network_follows_the_number_of_inputs(augment, n_inputs):
    model = network(augment, max_iter=2).fit(X, y)
    assert model.coefs_[0].shape == (n_inputs, 20)
    assert model.n_features_in_ == 64
    assert model.predict(X).shape == (200,)


@every_noise
def test_the_noise_changes_training_and_repeats_with_the_seed(noise):
    noisy, again = (network(noise()).fit(X, y) for _ in range(2))
    np.testing.assert_array_equal(noisy.coefs_[0], again.coefs_[0])
    other = network(noise(), random_state=1).fit(X, y)
    assert np.any(noisy.coefs_[0] != other.coefs_[0])


@every_noise
@pytest.mark.parametrize("marginalization", ["analytic", "monte_carlo"])
def test_a_prediction_depends_on_its_row_alone(noise, marginalization):
    model = network(noise(), marginalization=marginalization, n_mc_samples=4)
    model.fit(X, y)
    whole = model.predict_proba(X)
    np.testing.assert_array_equal(model.predict_proba(X), whole)
    for rows in (slice(0, 1), slice(50, 120)):
        np.testing.assert_allclose(
            model.predict_proba(X[rows]), whole[rows], atol=1e-12
        )


@every_noise
def test_the_spread_over_passes_is_that_of_the_noise(noise):
    model = network(noise(), n_mc_samples=5).fit(X, y)
    spread = model.predict_spread(X)
    assert spread.shape == (200, 10)
    assert spread.max() > 1e-3


@every_noise
def test_a_fitted_network_survives_clone_and_pickle(noise):
    model = network(noise()).fit(X, y)
    loaded = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    fresh = clone(model).fit(X, y)
    np.testing.assert_array_equal(fresh.predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize("how", ["warm_start", "partial_fit"])
def test_going_on_keeps_the_regions_of_prediction(how):
    model = network(FractionalMaxPooling(ratio=1.6), warm_start=True, max_iter=2)
    model.fit(X, y)
    before = model._predictor.augment[0].predict(X)
    model.fit(X, y) if how == "warm_start" else model.partial_fit(X, y)
    np.testing.assert_array_equal(model._predictor.augment[0].predict(X), before)


def test_a_grid_searches_a_parameter_of_the_noise():
    grid = {"augment__std": [0.01, 0.1]}
    search = GridSearchCV(network(GaussianNoise()), grid, cv=2).fit(X, y)
    assert search.best_params_["augment__std"] in (0.01, 0.1)
    assert search.estimator.augment.std == 0.1


# What can't be


def test_negative_inputs_raise_in_fit_and_in_prediction():
    model = network(StochasticPooling())
    with pytest.raises(ValueError, match=r"at least 0.*MinMaxNormalizer"):
        model.fit(X - 0.5, y)
    model.fit(X, y)
    with pytest.raises(ValueError, match=r"at least 0.*MinMaxNormalizer"):
        model.predict(X - 0.5)


def test_negative_inputs_raise_by_a_part_behind_others():
    model = network([RandomShift(), StochasticPooling()])
    rows = np.array(X)
    rows[0, 0] = -1
    with pytest.raises(ValueError, match="at least 0"):
        model.fit(rows, y)
    model.fit(X, y)
    with pytest.raises(ValueError, match="at least 0"):
        model.predict(rows)


def test_a_warm_start_renews_the_parts_behind_a_new_one():
    model = network([RandomShift(), RandomCrop(crop_shape=6)]).fit(X, y)
    crop = model._predictor.augment[1]
    model.set_params(warm_start=True).fit(X, y)
    assert model._predictor.augment[1] is crop
    model.set_params(augment=[RandomShift(max_shift=2), RandomCrop(crop_shape=6)])
    assert model.fit(X, y)._predictor.augment[1] is not crop


def test_an_order_that_could_bring_negative_inputs_raises():
    with pytest.raises(ValueError, match=r"StochasticPooling.*Change their order"):
        network([GaussianNoise(), StochasticPooling()]).fit(X, y)


def test_sparse_input_raises_in_fit_and_in_prediction():
    model = network(GaussianNoise())
    with pytest.raises(ValueError, match=r"augment=.*sparse.*toarray"):
        model.fit(csr_array(X), y)
    model.fit(X, y)
    with pytest.raises(ValueError, match=r"sparse.*toarray"):
        model.predict(csr_array(X))


def test_what_is_no_noise_raises():
    with pytest.raises((TypeError, ValueError), match=r"augment.*Got 'gaussian'|noise"):
        network("gaussian").fit(X, y)
    with pytest.raises(TypeError, match=r"augment must be.*Got 3"):
        network([3]).fit(X, y)


def test_an_image_of_another_shape_raises():
    with pytest.raises(ValueError, match=r"image_shape=\(7, 7\).*49.*64"):
        network(RandomShift(image_shape=(7, 7))).fit(X, y)
