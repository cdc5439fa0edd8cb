"""The estimators for tables: from a table to predictions, with nothing to set."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import VotingClassifier
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.utils.estimator_checks import check_estimator

from sknn_notes import MLPClassifier, MLPRegressor
from sknn_notes._engine import training
from sknn_notes.tabular import TabularMLPClassifier, TabularMLPRegressor

QUALITIES = ["fast", "balanced", "best"]


@pytest.fixture(scope="module")
def table():
    """A frame of every kind of column, and targets that depend on some of them."""
    rng = np.random.default_rng(0)
    n = 200
    frame = pd.DataFrame(
        {
            "number": rng.normal(size=n),
            "holes": np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n)),
            "flag": rng.random(n) < 0.5,
            "text": rng.choice(["a", "b", "c"], size=n),
            "category": pd.Categorical(rng.choice(["u", "v"], size=n)),
        }
    )
    frame.loc[::17, "text"] = None
    signal = frame["number"] + (frame["text"] == "a") + frame["flag"]
    return frame, np.where(signal > 0.8, "yes", "no"), signal.to_numpy()


@pytest.mark.parametrize("quality", QUALITIES)
def test_classes_of_a_table(table, quality):
    X, y, _ = table
    model = TabularMLPClassifier(quality, random_state=0).fit(X[:140], y[:140])
    assert model.score(X[140:], y[140:]) > 0.8
    assert list(model.classes_) == ["no", "yes"]
    proba = model.predict_proba(X[140:])
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(
        model.classes_[proba.argmax(axis=1)], model.predict(X[140:])
    )


@pytest.mark.parametrize("quality", QUALITIES)
def test_numbers_of_a_table_in_any_unit(table, quality):
    X, _, y = table
    model = TabularMLPRegressor(quality, random_state=0)
    model.fit(X[:140], 1000 + 1e6 * y[:140])
    assert model.score(X[140:], 1000 + 1e6 * y[140:]) > 0.7


def test_frames_of_polars_predict_as_those_of_pandas(table):
    pl = pytest.importorskip("polars")
    X, y, _ = table
    model = TabularMLPClassifier("fast", random_state=0)
    ours = model.fit(X, y).predict_proba(X)
    holes = X.astype(object).where(X.notna(), None)
    theirs = pl.DataFrame({name: holes[name].tolist() for name in X})
    model.fit(theirs, y)
    np.testing.assert_allclose(model.predict_proba(theirs), ours, rtol=1e-5, atol=1e-6)


def test_unseen_categories_and_new_holes_are_predicted(table):
    X, y, _ = table
    model = TabularMLPClassifier("fast", random_state=0).fit(X, y)
    asked = X[:3].assign(text=["new", None, "a"], number=[np.nan, 1.0, 2.0])
    assert np.isfinite(model.predict_proba(asked)).all()


def test_the_same_seed_repeats_and_the_number_of_threads_does_not_matter(table):
    X, y = table[0][:60], table[1][:60]
    one, two, other = (
        TabularMLPClassifier(random_state=seed, n_jobs=n_jobs).fit(X, y)
        for seed, n_jobs in [(0, None), (0, 2), (1, None)]
    )
    np.testing.assert_array_equal(one.predict_proba(X), two.predict_proba(X))
    assert not np.array_equal(one.predict_proba(X), other.predict_proba(X))


def test_the_pipeline_can_be_taken_apart(table):
    X, y, _ = table
    model = TabularMLPClassifier("fast", random_state=0).fit(X, y)
    assert isinstance(model.pipeline_, Pipeline)
    preparation, network = model.pipeline_["table"], model.pipeline_["networks"]
    assert isinstance(preparation, ColumnTransformer)
    assert isinstance(network, MLPClassifier)
    inputs = preparation.transform(X)
    assert "text_a" in preparation.get_feature_names_out()
    np.testing.assert_array_equal(network.predict(inputs), model.predict(X))
    np.testing.assert_array_equal(model.pipeline_.predict(X), model.predict(X))
    # An ordinary pipeline, which can be fitted again.
    again = clone(model.pipeline_).fit(X, y)
    assert again.score(X, y) == pytest.approx(model.score(X, y), abs=0.05)


def test_groups_of_networks_vote_by_their_validation_loss():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 3))
    y = (X[:, 0] + rng.normal(size=100) > 0).astype(int)
    model = TabularMLPClassifier("best", random_state=0).fit(X, y)
    voting = model.pipeline_["networks"]
    assert isinstance(voting, VotingClassifier)
    assert np.sum(voting.weights) == pytest.approx(1)
    assert voting.weights[0] > voting.weights[1] > 0
    history = pd.DataFrame(model.history_)
    losses = history.groupby("group")["validation_loss"].mean().dropna()
    assert len(losses) == 3
    favored = history[history["group"] == losses.idxmin()]["embedding"].iloc[0]
    groups = list(voting.named_estimators_.values())
    assert repr(groups[0].embedding) == repr(favored)
    # Scikit-learn's wrapper only kept them from being fitted again.
    for group, (_, frozen) in zip(groups, voting.estimators, strict=True):
        assert group is frozen.estimator
    assert voting.estimators_ == groups


def test_the_history_tells_of_every_network(table):
    X, y, _ = table
    model = TabularMLPClassifier("balanced", random_state=0).fit(X, y)
    history = pd.DataFrame(model.history_)
    # Three of each candidate are compared, and three of one trained on all rows.
    assert history["group"].tolist() == np.repeat([0, 1, 2], 3).tolist()
    assert (history["best_epoch"] <= history["n_iter"]).all()
    assert np.isfinite(history["training_loss"]).all()
    assert np.isfinite(history["validation_loss"]).tolist() == [True] * 6 + [False] * 3
    compared = history[history["validation_loss"].notna()].groupby("group")
    best = compared["validation_loss"].mean().idxmin()
    assert model.best_epoch_ == compared["best_epoch"].median()[best]
    assert (history["n_iter"][6:] == model.best_epoch_).all()


def test_verbose_prints_a_line_for_every_group(table, capsys):
    X, y = table[0][:60], table[1][:60]
    TabularMLPClassifier("balanced", random_state=0, verbose=True).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("3 networks with embedding=None, 20 epochs: validation")
    assert ": all rows (" in lines[2]


@pytest.mark.parametrize("quality", ["fast", "best"])
def test_multilabel_targets(table, quality):
    X, _, signal = table
    Y = np.column_stack([signal > 0.5, X["flag"], signal > 2]).astype(int)
    model = TabularMLPClassifier(quality, random_state=0).fit(X, Y)
    assert model.predict(X).shape == Y.shape
    assert np.mean(model.predict(X) == Y) > 0.8
    assert model.predict_proba(X).shape == Y.shape


@pytest.mark.parametrize("quality", ["fast", "best"])
def test_several_outputs(table, quality):
    X, _, signal = table
    Y = np.column_stack([signal, -signal])
    model = TabularMLPRegressor(quality, random_state=0).fit(X, Y)
    assert model.predict(X).shape == Y.shape
    assert model.score(X, Y) > 0.7


def test_a_rare_class_is_predicted():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 2))
    y = np.where(X[:, 0] > 1.9, "rare", "usual")
    model = TabularMLPClassifier(random_state=0, class_weight="balanced").fit(X, y)
    rare = y == "rare"
    assert np.mean(model.predict(X[rare]) == "rare") > 0.8


def test_skewed_targets():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 2))
    y = np.exp(1.5 * X[:, 0] + 8)
    model = TabularMLPRegressor(random_state=0).fit(X[:400], y[:400])
    assert model.score(X[400:], y[400:]) > 0.8


def test_weights_of_samples_count():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2))
    y = rng.integers(0, 2, size=200)
    weight = np.where(y == 1, 10.0, 1.0)
    model = TabularMLPClassifier("balanced", random_state=0).fit(X, y, weight)
    assert np.mean(model.predict(X) == 1) > 0.9


def test_few_rows_with_a_weight_are_trained_without_validation(table):
    X, y, _ = table
    model = TabularMLPClassifier(random_state=0).fit(X, y, np.arange(len(X)) < 5)
    assert len(model.history_) == 1


def test_a_column_of_targets_warns_once_and_votes():
    X = np.random.default_rng(0).normal(size=(60, 1))
    model = TabularMLPRegressor("balanced", random_state=0)
    with pytest.warns(DataConversionWarning) as caught:
        model.fit(X, X > 0)
    assert len(caught) == 1
    assert model.predict(X).shape == (60,)


@pytest.mark.parametrize("n_jobs", [2, -1])
def test_one_network_needs_no_threads(n_jobs):
    X, y = np.arange(20.0).reshape(-1, 1), np.repeat([0, 1], 10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        TabularMLPClassifier(n_jobs=n_jobs, random_state=0).fit(X, y)


def test_few_rows_are_trained_without_validation():
    X, y = np.arange(20.0).reshape(-1, 1), np.repeat([0, 1], 10)
    model = TabularMLPClassifier("best", random_state=0).fit(X, y)
    assert len(model.history_) == 1
    assert np.isnan(model.history_[0]["validation_loss"])


def test_a_time_limit_trains_less(table):
    X, y = table[0][:60], table[1][:60]
    model = TabularMLPClassifier("best", time_limit=1e-3, random_state=0).fit(X, y)
    assert len(model.history_) == 1
    assert model.history_[0]["n_iter"] == 1
    whole = TabularMLPClassifier("balanced", time_limit=600, random_state=0).fit(X, y)
    plain = TabularMLPClassifier("balanced", random_state=0).fit(X, y)
    np.testing.assert_array_equal(whole.predict_proba(X), plain.predict_proba(X))


@pytest.mark.parametrize("Model", [TabularMLPClassifier, TabularMLPRegressor])
def test_nothing_warns_of_convergence(table, Model):
    X, classes, numbers = (each[:60] for each in table)
    y = classes if Model is TabularMLPClassifier else numbers
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Model("balanced", random_state=0).fit(X, y)


def test_searches_and_pickles(table):
    X, y, _ = table
    model = TabularMLPClassifier("fast", random_state=0)
    search = GridSearchCV(model, {"class_weight": [None, "balanced"]}, cv=3).fit(X, y)
    loaded = pickle.loads(pickle.dumps(search.best_estimator_))
    np.testing.assert_array_equal(loaded.predict_proba(X), search.predict_proba(X))
    assert cross_val_score(model, X, y, cv=3).mean() > 0.75


def test_permutation_importances_are_of_the_columns(table):
    X, _, signal = table
    model = TabularMLPRegressor("fast", random_state=0).fit(X, signal)
    result = permutation_importance(model, X, signal, n_repeats=3, random_state=0)
    importances = dict(zip(X.columns, result.importances_mean, strict=True))
    assert importances["number"] > importances["holes"]
    assert importances["text"] > importances["category"]


def test_a_failed_fit_changes_nothing(table):
    X, y, _ = table
    model = TabularMLPClassifier("fast", random_state=0).fit(X, y)
    before = model.predict_proba(X)
    with pytest.raises(ValueError, match="infinity"):
        model.fit(X.assign(number=np.inf), y)
    np.testing.assert_array_equal(model.predict_proba(X), before)


@pytest.mark.filterwarnings("ignore:Training interrupted by user after 0 epochs")
def test_an_interruption_in_the_first_epoch_changes_nothing(table, monkeypatch):
    X, y, _ = table
    model = TabularMLPClassifier("fast", random_state=0).fit(X, y)
    before = pickle.dumps(model)

    def plan_epoch(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(training.Epochs, "plan_epoch", plan_epoch)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    is_same = pickle.dumps(model) == before
    assert is_same


def test_wrong_parameters_and_tables_raise(table):
    X, y, _ = table
    with pytest.raises(ValueError, match=r"'quality' parameter.*'balanced', 'best'"):
        TabularMLPClassifier("good").fit(X, y)
    with pytest.raises(ValueError, match="time_limit"):
        TabularMLPClassifier(time_limit=0).fit(X, y)
    with pytest.raises(NotFittedError):
        TabularMLPClassifier().predict(X)
    model = TabularMLPClassifier("fast", random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(X.rename(columns={"text": "words"}))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.fit(X, y[:-1])


# On some processors the product of a row depends on its place, by rounding. What the
# last two check is also tested below, with a bound that float32 can keep.
ROUNDING = "the check compares to 1e-7, which is the rounding of float32"
EXPECTED = {
    "check_sample_weight_equivalence_on_dense_data": "repeated rows change the number "
    "of rows, and with it the draws; quantiles of the preparation count rows",
    "check_methods_sample_order_invariance": ROUNDING,
    "check_methods_subset_invariance": ROUNDING,
}


@pytest.mark.parametrize(
    "model",
    [
        TabularMLPClassifier("fast"),
        pytest.param(TabularMLPClassifier("balanced"), marks=pytest.mark.nightly),
        pytest.param(TabularMLPRegressor("fast"), marks=pytest.mark.nightly),
    ],
    ids=repr,
)
def test_scikit_learns_checks(model):
    check_estimator(model, expected_failed_checks=EXPECTED, on_skip=None)


@pytest.mark.parametrize("cls", [TabularMLPClassifier, TabularMLPRegressor])
def test_predictions_do_not_depend_on_the_other_rows(table, cls):
    X, y, signal = table
    is_classifier = cls is TabularMLPClassifier
    model = cls("fast", random_state=0).fit(X, y if is_classifier else signal)
    predict = model.predict_proba if is_classifier else model.predict
    expected, order = predict(X), np.random.default_rng(0).permutation(len(X))
    np.testing.assert_allclose(predict(X.iloc[order]), expected[order], 1e-5, 1e-6)
    for i in range(0, len(X), 50):
        np.testing.assert_allclose(
            predict(X.iloc[i : i + 1]), expected[i : i + 1], 1e-5, 1e-6
        )


def test_the_networks_are_ordinary_ones(table):
    X, signal = table[0][:60], table[2][:60]
    model = TabularMLPRegressor("balanced", random_state=0).fit(X, signal)
    networks = model.pipeline_["networks"]
    for each in getattr(networks, "estimators_", [networks]):
        network = getattr(each, "estimator", each)
        assert isinstance(network, MLPRegressor)
        assert len(network.networks_) == 3
