"""Searches give what scikit-learn's give, for every kind of input and option."""

import numpy as np
import pandas as pd
import pytest
import sklearn.model_selection as of_sklearn
from scipy.sparse import csr_matrix
from scipy.stats import loguniform
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.datasets import make_classification, make_regression
from sklearn.decomposition import PCA
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import GroupKFold, ShuffleSplit
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from sknn_notes import MLPClassifier, MLPRegressor, Standardizer
from sknn_notes.model_selection import GridSearchCV, RandomizedSearchCV, _program

X, y = make_classification(90, 6, n_informative=4, random_state=0)
X_regression, y_regression = make_regression(80, 5, noise=1.0, random_state=0)
WEIGHTS = np.random.default_rng(0).uniform(0.5, 2.0, len(X))
SMALL = {"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0}
ALPHA = {"alpha": [1e-4, 1.0]}
NETWORK_ALPHA = {"mlpclassifier__alpha": [1e-4, 1.0]}


@pytest.fixture(autouse=True)
def one_thread_for_blas():
    """Jobs share BLAS's threads, whose number decides how products are rounded."""
    with threadpool_limits(1, user_api="blas"):
        yield


def classifier(**parameters):
    return MLPClassifier(**SMALL | parameters)


def piped(*steps, **parameters):
    return make_pipeline(*(steps or [Standardizer()]), classifier(**parameters))


def both(estimator, grid, X=X, y=y, fit_params=None, **options):
    """Fit scikit-learn's search and ours; compare them and return ours."""
    options = {"cv": 3, "n_jobs": 2} | options
    one_job = options | {"n_jobs": 1}
    theirs = of_sklearn.GridSearchCV(estimator, grid, **one_job)
    theirs.fit(X, y, **fit_params or {})
    ours = GridSearchCV(estimator, grid, **options).fit(X, y, **fit_params or {})
    assert_same(ours, theirs)
    return ours


def assert_same(ours, theirs):
    assert ours.cv_results_.keys() == theirs.cv_results_.keys()
    for key, expected in theirs.cv_results_.items():
        if "_time" not in key and "param" not in key:
            np.testing.assert_array_equal(ours.cv_results_[key], expected, err_msg=key)
    assert vars(ours).keys() - {"stack_size"} == vars(theirs).keys()
    for name in ("best_index_", "best_score_", "n_splits_", "multimetric_"):
        assert getattr(ours, name, None) == getattr(theirs, name, None)
    assert repr(getattr(ours, "best_params_", None)) == repr(
        getattr(theirs, "best_params_", None)
    )


@pytest.mark.filterwarnings("ignore:Creating an ndarray from ragged")
@pytest.mark.parametrize("n_jobs", [None, 2, -1])
def test_a_classifier(n_jobs):
    grid = {
        "alpha": [1e-4, 1.0],
        "dropout": [0.0, 0.3],
        "hidden_layer_sizes": [(3,), (4, 3)],
        "learning_rate_init": [1e-3, 1e-2],
    }
    search = both(classifier(), grid, n_jobs=n_jobs)
    assert search.predict(X).shape == y.shape
    assert search.score(X, y) > 0.3


def test_a_regressor():
    grid = {"alpha": [1e-4, 1.0], "solver": ["lbfgs", "sgd"]}
    both(
        MLPRegressor(**SMALL), grid, X_regression, y_regression, return_train_score=True
    )


@pytest.mark.parametrize(
    ("model", "grid"),
    [
        (piped(), NETWORK_ALPHA),
        (piped(PCA(2)), NETWORK_ALPHA | {"pca__n_components": [2, 3]}),
        (piped(), {"standardizer": [Standardizer(), "passthrough"]}),
        (piped(), {"mlpclassifier": [classifier(), classifier(alpha=1.0)]}),
        (piped(), {"mlpclassifier": [classifier(), LogisticRegression(), SVC()]}),
        (make_pipeline(PCA(2), piped()), {"pipeline__mlpclassifier__alpha": [1, 9]}),
        (
            make_pipeline(PCA(2, random_state=np.random.RandomState(0)), piped()),
            {"pipeline__standardizer": [Standardizer(), PCA(1)], "pca__whiten": [True]},
        ),
        (piped(random_state=np.random.RandomState(0)), NETWORK_ALPHA),
        (make_pipeline(classifier()), NETWORK_ALPHA),
        (piped(early_stopping=True, dropout=0.2), NETWORK_ALPHA),
        (piped(n_networks=2, n_jobs=2), NETWORK_ALPHA),
        (Pipeline(piped().steps, verbose=True), NETWORK_ALPHA),
        (LogisticRegression(), {"C": [0.1, 1.0]}),
    ],
    ids=[
        "scaled",
        "parameters of both",
        "other scalers",
        "other networks",
        "other estimators",
        "nested",
        "nested scalers",
        "RandomState",
        "network alone",
        "early stopping",
        "ensembles",
        "verbose steps",
        "no network",
    ],
)
def test_estimators(model, grid):
    both(model, grid)


def accuracy(estimator, X, y):
    return accuracy_score(y, estimator.predict(X))


def two_scores(estimator, X, y):
    return {"right": accuracy(estimator, X, y), "wrong": 1 - accuracy(estimator, X, y)}


def most_regularized(results):
    return int(np.argmax(np.asarray(results["param_alpha"], dtype=float)))


@pytest.mark.parametrize(
    "options",
    [
        {"scoring": "neg_log_loss"},
        {"scoring": ["accuracy", "roc_auc"], "refit": "roc_auc"},
        {"scoring": ["accuracy", "roc_auc"], "refit": False},
        {"scoring": {"a": make_scorer(accuracy_score)}, "refit": "a"},
        {"scoring": accuracy},
        {"scoring": two_scores, "refit": "right"},
        {"refit": most_regularized},
        {"return_train_score": True, "scoring": two_scores, "refit": "wrong"},
        {"cv": ShuffleSplit(2, random_state=0)},
        {"cv": [(np.arange(60), np.arange(60, 90)), (range(30, 90), range(30))]},
        {"cv": [(np.arange(90) < 60, np.arange(90) >= 60)]},
        {"pre_dispatch": 1},
    ],
    ids=lambda options: "-".join(options),
)
def test_options(options):
    both(classifier(), ALPHA, **options)


@pytest.mark.parametrize("return_train_score", [False, True])
@pytest.mark.parametrize(
    ("X", "y"),
    [
        (csr_matrix(X), y),
        (pd.DataFrame(X, columns=list("abcdef")), pd.Series(y)),
        (X, np.array(["no", "yes"])[y]),
        (X.tolist(), y.tolist()),
        (X.astype(np.float32), np.c_[y, 1 - y]),
    ],
    ids=["sparse", "data frame", "strings", "lists", "labels"],
)
def test_data(X, y, return_train_score):
    model = piped(Standardizer(with_mean=False))
    both(model, NETWORK_ALPHA, X, y, return_train_score=return_train_score, cv=2)


def test_a_data_frame_gives_its_names():
    frame = pd.DataFrame(X, columns=list("abcdef"))
    search = GridSearchCV(classifier(), ALPHA, cv=2).fit(frame, y)
    assert list(search.feature_names_in_) == list("abcdef")


def test_groups():
    groups = np.arange(len(X)) % 5
    both(classifier(), ALPHA, cv=GroupKFold(3), fit_params={"groups": groups})


@pytest.mark.filterwarnings("ignore:The scoring .* does not support sample_weight")
@pytest.mark.parametrize(
    ("model", "grid", "name"),
    [
        (classifier(), ALPHA, "sample_weight"),
        (piped(), NETWORK_ALPHA, "mlpclassifier__sample_weight"),
    ],
)
def test_sample_weight_as_a_parameter_of_fit(model, grid, name):
    both(model, grid, fit_params={name: WEIGHTS})


def weighted():
    """Return a network that asks for weights."""
    with config_context(enable_metadata_routing=True):
        network = classifier().set_fit_request(sample_weight=True)
        return network.set_score_request(sample_weight=True)


@pytest.mark.parametrize("return_train_score", [False, True])
@pytest.mark.parametrize(
    ("model", "grid"),
    [
        (weighted(), ALPHA),
        pytest.param(
            make_pipeline(PCA(3), weighted()),
            NETWORK_ALPHA,
            marks=pytest.mark.needs("scikit-learn>=1.9", "pipelines route to scores"),
        ),
    ],
    ids=["network", "pipeline"],
)
def test_sample_weight_by_metadata_routing(model, grid, return_train_score):
    weights = {"sample_weight": WEIGHTS}
    with config_context(enable_metadata_routing=True):
        both(model, grid, fit_params=weights, return_train_score=return_train_score)


def test_a_validation_set_is_not_split():
    X_val, y_val = X[:20], y[:20]
    model = classifier(early_stopping=True)
    both(model, ALPHA, fit_params={"X_val": X_val, "y_val": y_val})


def test_a_validation_set_cut_into_folds_is_warned_of():
    model = classifier(early_stopping=True)
    search = GridSearchCV(model, ALPHA, cv=2, refit=False)
    with pytest.warns(UserWarning, match="cut every fit parameter"):
        search.fit(X, y, X_val=X, y_val=y)


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
@pytest.mark.parametrize("error_score", [np.nan, -1.0])
@pytest.mark.parametrize("scoring", [None, ["accuracy", "roc_auc"], two_scores])
def test_failing_candidates(error_score, scoring):
    grid = {"alpha": [1e-4, -1.0]}
    options = {"error_score": error_score, "scoring": scoring, "refit": False}
    with pytest.warns(FitFailedWarning, match=r"3 fits failed out of a total of 6"):
        both(classifier(), grid, **options)


class Failing(TransformerMixin, BaseEstimator):
    """Fails where it is told to."""

    def __init__(self, fails=True):
        self.fails = fails

    def fit(self, X, y):
        if self.fails:
            raise ValueError("This is no good.")
        return self

    def transform(self, X):
        return X


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_failing_transformers():
    grid = NETWORK_ALPHA | {"failing__fails": [False, True]}
    with pytest.warns(FitFailedWarning) as told:
        both(piped(Failing()), grid)
    theirs, ours = (str(w.message) for w in told if w.category is FitFailedWarning)
    for text in (theirs, ours):
        assert "6 fits failed out of a total of 12" in text
        assert "6 fits failed with the following error" in text
        assert "This is no good." in text


def test_all_fits_fail():
    with pytest.raises(ValueError, match=r"All the 6 fits failed"):
        GridSearchCV(classifier(), {"alpha": [-1.0, -2.0]}, cv=3).fit(X, y)


@pytest.mark.parametrize(
    ("model", "grid", "message"),
    [
        (classifier(), {"alpha": [-1.0]}, "'alpha' parameter"),
        (piped(Failing()), NETWORK_ALPHA, "This is no good"),
        (classifier(), {"alhpa": [1.0]}, "Invalid parameter 'alhpa'"),
    ],
)
def test_errors_are_raised_on_request(model, grid, message):
    with pytest.raises(ValueError, match=message):
        GridSearchCV(model, grid, cv=2, error_score="raise").fit(X, y)


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_failing_scores():
    def scoring(estimator, X, y):
        raise ValueError("no score")

    with pytest.warns(UserWarning, match="Scoring failed"):
        GridSearchCV(classifier(), ALPHA, scoring=scoring, cv=2, refit=False).fit(X, y)


def test_y_is_needed():
    with pytest.raises(ValueError, match="All the 4 fits failed"):
        GridSearchCV(classifier(), ALPHA, cv=2).fit(X)


def test_a_randomized_search():
    distributions = {"alpha": loguniform(1e-5, 1.0), "dropout": [0.0, 0.2, 0.4]}
    options = {"n_iter": 5, "random_state": 3, "cv": 2}
    theirs = of_sklearn.RandomizedSearchCV(classifier(), distributions, **options)
    ours = RandomizedSearchCV(classifier(), distributions, **options, n_jobs=2)
    assert_same(ours.fit(X, y), theirs.fit(X, y))
    assert ours.cv_results_["params"] == theirs.cv_results_["params"]


@pytest.mark.parametrize("verbose", [1, 2, 3, 10])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"return_train_score": True},
        {"scoring": ["accuracy", "roc_auc"], "refit": False},
        {"scoring": two_scores, "refit": False, "return_train_score": True},
    ],
    ids=["", "train", "metrics", "metrics and train"],
)
def test_lines(verbose, options, capsys):
    lines = []
    for kind in (of_sklearn.GridSearchCV, GridSearchCV):
        kind(classifier(), ALPHA, cv=2, verbose=verbose, **options).fit(X, y)
        printed = capsys.readouterr().out.splitlines()
        lines.append(sorted(line.split(" total time=")[0] for line in printed))
    assert lines[0] == lines[1]


def test_transformers_that_cannot_be_pickled():
    model = piped(FunctionTransformer(lambda X: X[:, :3]))
    both(model, NETWORK_ALPHA)


def test_rows_that_do_not_fit_in_memory_at_once(monkeypatch):
    monkeypatch.setattr(_program, "_ROWS_AT_ONCE", 1)
    both(piped(PCA(2)), NETWORK_ALPHA | {"pca__n_components": [2, 3]})


@pytest.mark.parametrize("estimator", [classifier(), SVC()], ids=["network", "SVC"])
def test_a_search_that_fails_stays_as_it_was(estimator):
    grid = {"tol": [1e-3, 1e-2]}
    search = GridSearchCV(estimator, grid, cv=2, error_score="raise")
    with pytest.raises(ValueError, match="NaN"):
        search.fit(np.full_like(X, np.nan), y)
    assert [name for name in vars(search) if name.endswith("_")] == []
    before = dict(vars(search.fit(X, y)))
    with pytest.raises(ValueError, match="NaN"):
        search.fit(np.full_like(X, np.nan), y)
    assert all(vars(search)[name] is value for name, value in before.items())
