"""Code for scikit-learn's MLP works with the import changed, and alpha converts."""

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.neural_network import MLPRegressor as TheirRegressor

from sknn_notes import MLPClassifier, MLPRegressor

IMPORT = "from sklearn.neural_network import"

SNIPPETS = {
    "the example of scikit-learn's docstring": """
from sklearn.neural_network import MLPClassifier
from sklearn.datasets import make_classification
from sklearn.model_selection import train_test_split
X, y = make_classification(n_samples=100, random_state=1)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=1)
clf = MLPClassifier(random_state=1, max_iter=300).fit(X_train, y_train)
assert clf.predict_proba(X_test[:1]).shape == (1, 2)
assert clf.predict(X_test[:5, :]).shape == (5,)
assert clf.score(X_test, y_test) > 0.7
""",
    "the user guide's first network, and its weights": """
from sklearn.neural_network import MLPClassifier
X = [[0., 0.], [1., 1.]]
y = [0, 1]
clf = MLPClassifier(solver='lbfgs', alpha=1e-5, hidden_layer_sizes=(5, 2),
                    random_state=1)
clf.fit(X, y)
assert clf.predict([[2., 2.], [-1., -2.]]).shape == (2,)
assert [coef.shape for coef in clf.coefs_] == [(2, 5), (5, 2), (2, 1)]
clf.predict_proba([[2., 2.], [1., 2.]])
""",
    "multilabel targets as lists": """
from sklearn.neural_network import MLPClassifier
X = [[0., 0.], [1., 1.]]
y = [[0, 1], [1, 1]]
clf = MLPClassifier(solver='lbfgs', alpha=1e-5, hidden_layer_sizes=(15,),
                    random_state=1)
clf.fit(X, y)
assert clf.predict([[1., 2.]]).shape == (1, 2)
""",
    "positional arguments": """
from sklearn.neural_network import MLPClassifier, MLPRegressor
clf = MLPClassifier((20, 10), 'tanh', max_iter=5)
assert clf.hidden_layer_sizes == (20, 10) and clf.activation == 'tanh'
reg = MLPRegressor('poisson', (20, 10), 'tanh')
assert reg.loss == 'poisson' and reg.hidden_layer_sizes == (20, 10)
""",
    "a learning curve, and the state at the end": """
from sklearn.neural_network import MLPRegressor
from sklearn.datasets import make_regression
X, y = make_regression(n_samples=200, n_features=20, random_state=1)
regr = MLPRegressor(random_state=1, max_iter=30, tol=0.1).fit(X, y / y.std())
assert len(regr.loss_curve_) == regr.n_iter_
assert min(regr.loss_curve_) == regr.best_loss_
assert regr.loss_ == regr.loss_curve_[-1]
assert regr.t_ == regr.n_iter_ * len(X)
assert regr.n_layers_ == 3 and regr.n_outputs_ == 1
assert regr.out_activation_ == 'identity'
assert regr.predict(X[:2]).shape == (2,)
""",
    "all parameters, with early stopping": """
from sklearn.neural_network import MLPClassifier
from sklearn.datasets import load_iris
X, y = load_iris(return_X_y=True)
clf = MLPClassifier(
    hidden_layer_sizes=(20,), activation='logistic', solver='sgd', alpha=0.0001,
    batch_size=50, learning_rate='adaptive', learning_rate_init=0.1, power_t=0.5,
    max_iter=30, shuffle=True, random_state=1, tol=1e-4, verbose=False,
    warm_start=False, momentum=0.9, nesterovs_momentum=True, early_stopping=True,
    validation_fraction=0.2, beta_1=0.9, beta_2=0.999, epsilon=1e-08,
    n_iter_no_change=5, max_fun=15000)
clf.fit(X, y)
assert max(clf.validation_scores_) == clf.best_validation_score_
assert clf.best_loss_ is None
assert list(clf.classes_) == [0, 1, 2]
""",
    "out-of-core training": """
from sklearn.neural_network import MLPClassifier
from sklearn.datasets import load_iris
X, y = load_iris(return_X_y=True)
clf = MLPClassifier(hidden_layer_sizes=(20,), random_state=1, learning_rate_init=0.01)
for epoch in range(60):
    for start in range(3):
        clf.partial_fit(X[start::3], y[start::3], classes=[0, 1, 2])
assert clf.score(X, y) > 0.9
""",
    "a pipeline in a grid search": """
from sklearn.neural_network import MLPClassifier
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
X, y = load_iris(return_X_y=True)
pipe = Pipeline([('scale', StandardScaler()),
                 ('mlp', MLPClassifier(max_iter=30, learning_rate_init=0.01))])
grid = {'mlp__hidden_layer_sizes': [(10,), (20, 10)],
        'mlp__activation': ['relu', 'tanh'],
        'mlp__solver': ['adam', 'lbfgs']}
search = GridSearchCV(pipe, grid, cv=2).fit(X, y)
assert search.best_score_ > 0.8
assert search.best_estimator_.named_steps['mlp'].coefs_[0].shape[0] == 4
""",
    "weights drawn as pictures": """
from sklearn.neural_network import MLPClassifier
from sklearn.datasets import load_digits
X, y = load_digits(return_X_y=True)
mlp = MLPClassifier(hidden_layer_sizes=(16,), max_iter=8, alpha=1e-6, solver='sgd',
                    random_state=1, learning_rate_init=.2)
mlp.fit(X[:600] / 16, y[:600])
vmin, vmax = mlp.coefs_[0].min(), mlp.coefs_[0].max()
pictures = [coef.reshape(8, 8) for coef in mlp.coefs_[0].T]
assert len(pictures) == 16 and vmin < 0 < vmax
assert mlp.score(X[:600] / 16, y[:600]) > 0.8
""",
    "weighted samples": """
from sklearn.neural_network import MLPRegressor
import numpy as np
X = np.linspace(-1, 1, 50)[:, None]
regr = MLPRegressor(solver='lbfgs', random_state=0, max_iter=100)
regr.fit(X, np.abs(X).ravel(), sample_weight=np.linspace(0, 1, 50))
regr.score(X, np.abs(X).ravel(), sample_weight=np.linspace(0, 1, 50))
""",
}


@pytest.mark.filterwarnings("ignore:.* has no effect")
# The search of scikit-learn 1.6 has numpy 1.23 make an array of tuples of all lengths.
@pytest.mark.filterwarnings("ignore:Creating an ndarray from ragged")
@pytest.mark.parametrize("title", SNIPPETS)
def test_code_works_with_the_import_changed(title):
    source = SNIPPETS[title]
    assert IMPORT in source
    exec(source.replace(IMPORT, "from sknn_notes import"), {})


# The tests of alpha train both from the same weights.


def moved(theirs, ours, X, y):
    """Fit both models on the way from the weights that `ours` draws."""
    start = type(ours)(
        hidden_layer_sizes=ours.hidden_layer_sizes,
        activation=ours.activation,
        # Another solver than the one compared, whose state is then fresh.
        solver="sgd" if ours.solver == "adam" else "adam",
        max_iter=1,
        random_state=0,
    ).fit(X, y)
    # One cheap fit sets what a warm start needs.
    theirs.set_params(warm_start=True)
    params = theirs.get_params()
    theirs.set_params(max_iter=1).fit(X, y).set_params(**params)
    ours = start.set_params(**ours.get_params() | {"warm_start": True})
    theirs.coefs_ = [W.copy() for W in start.coefs_]
    theirs.intercepts_ = [b.copy() for b in start.intercepts_]
    return theirs.fit(X, y), ours.fit(X, y)


def assert_same_weights(theirs, ours, atol):
    arrays = zip(
        (*theirs.coefs_, *theirs.intercepts_),
        (*ours.coefs_, *ours.intercepts_),
        strict=True,
    )
    for their_array, our_array in arrays:
        np.testing.assert_allclose(our_array, their_array, rtol=0, atol=atol)


PROBLEMS = pytest.mark.parametrize(
    ("problem", "their_class", "our_class"),
    [
        ("two_classes", TheirClassifier, MLPClassifier),
        ("three_classes", TheirClassifier, MLPClassifier),
        ("labels", TheirClassifier, MLPClassifier),
        ("one_target", TheirRegressor, MLPRegressor),
        ("two_targets", TheirRegressor, MLPRegressor),
    ],
)


@PROBLEMS
@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("batch_size", [10, 40])
def test_alpha_over_the_batch_size_takes_the_same_steps(
    problem, their_class, our_class, solver, batch_size, request
):
    X, y = request.getfixturevalue(problem)
    # Whole batches, in the order of the samples.
    X, y = X[:80], y[:80]
    params = {
        "hidden_layer_sizes": (8, 5),
        "activation": "tanh",
        "solver": solver,
        "batch_size": batch_size,
        "shuffle": False,
        "learning_rate_init": 0.01,
        "max_iter": 10,
    }
    theirs, ours = moved(
        their_class(alpha=2.0, **params),
        our_class(alpha=2.0 / batch_size, **params),
        X,
        y,
    )
    assert_same_weights(theirs, ours, atol=1e-9)
    unconverted = moved(
        their_class(alpha=2.0, **params), our_class(alpha=2.0, **params), X, y
    )[1]
    assert np.abs(unconverted.coefs_[0] - ours.coefs_[0]).max() > 1e-3


# With two targets scikit-learn's value is the mean and its gradient that of the sum: no
# line search can be exact with these.
PROBLEMS_OF_LBFGS = pytest.mark.parametrize(
    *PROBLEMS.args[:1], [row for row in PROBLEMS.args[1] if row[0] != "two_targets"]
)


@PROBLEMS_OF_LBFGS
def test_alpha_over_the_number_of_samples_gives_the_same_minimum_under_lbfgs(
    problem, their_class, our_class, request
):
    X, y = request.getfixturevalue(problem)
    # A linear model: its minimum is unique.
    params = {
        "hidden_layer_sizes": (),
        "solver": "lbfgs",
        "max_iter": 500,
        "tol": 1e-9,
    }
    theirs, ours = moved(
        their_class(alpha=5.0, **params), our_class(alpha=5.0 / len(X), **params), X, y
    )
    # Scikit-learn's ends earlier, where steps of L-BFGS change the loss by 2e-9.
    assert_same_weights(theirs, ours, atol=5e-4)


@PROBLEMS_OF_LBFGS
def test_lbfgs_walks_the_same_way_through_hidden_layers(
    problem, their_class, our_class, request
):
    X, y = request.getfixturevalue(problem)
    params = {
        "hidden_layer_sizes": (8, 5),
        "activation": "tanh",
        "solver": "lbfgs",
        "max_iter": 15,
    }
    theirs, ours = moved(
        their_class(alpha=1.0, **params), our_class(alpha=1.0 / len(X), **params), X, y
    )
    assert_same_weights(theirs, ours, atol=1e-6)
    assert ours.loss_ == pytest.approx(theirs.loss_, rel=1e-8)


@pytest.mark.needs("scikit-learn>=1.7", "its MLPs take sample weights")
def test_alpha_converts_with_sample_weights_by_their_sum(three_classes):
    X, y = three_classes
    weight = np.random.default_rng(0).random(len(X))
    params = {"hidden_layer_sizes": (), "solver": "lbfgs", "max_iter": 500, "tol": 1e-9}
    theirs = TheirClassifier(alpha=5.0, random_state=0, **params)
    theirs.fit(X, y, sample_weight=weight)
    ours = MLPClassifier(alpha=5.0 / weight.sum(), random_state=0, **params)
    ours.fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(ours.coefs_[0], theirs.coefs_[0], atol=1e-4)


# What differs on purpose


def test_the_loss_of_several_targets_is_the_sum_where_theirs_is_the_mean(two_targets):
    X, Y = two_targets
    params = {
        "hidden_layer_sizes": (8,),
        "alpha": 0.0,
        "solver": "sgd",
        "learning_rate_init": 0.01,
        "max_iter": 5,
    }
    theirs, ours = moved(
        TheirRegressor(batch_size=80, **params),
        MLPRegressor(batch_size=80, **params),
        X,
        Y,
    )
    # Both follow the gradient of the sum.
    assert_same_weights(theirs, ours, atol=1e-10)
    np.testing.assert_allclose(
        ours.loss_curve_[-5:], 2 * np.array(theirs.loss_curve_[-5:])
    )


def test_biases_start_from_the_same_law_unless_they_are_set(three_classes):
    X, y = three_classes
    still = {"learning_rate_init": 1e-15, "max_iter": 1, "random_state": 0}
    bound = np.sqrt(6 / (6 + 100))
    for cls in (MLPClassifier, TheirClassifier):
        biases = cls(**still).fit(X, y).intercepts_[0]
        assert np.abs(biases).max() == pytest.approx(bound, rel=0.1)
        assert np.std(biases) == pytest.approx(bound / np.sqrt(3), rel=0.2)
    for params, value in [({"bias_init": 0.01}, 0.01), ({"init": "glorot_uniform"}, 0)]:
        biases = MLPClassifier(**still, **params).fit(X, y).intercepts_[0]
        np.testing.assert_allclose(biases, value, atol=1e-12)


def test_one_class_raises_where_theirs_trains():
    X, y = np.eye(4), np.ones(4)
    TheirClassifier(max_iter=1).fit(X, y)
    with pytest.raises(ValueError, match="at least 2 classes"):
        MLPClassifier(max_iter=1).fit(X, y)


def test_a_strong_alpha_moved_unchanged_ruins_the_network(three_classes):
    X, y = three_classes
    params = {"random_state": 0, "learning_rate_init": 0.01}
    theirs = TheirClassifier(alpha=1.0, **params).fit(X, y).score(X, y)
    converted = MLPClassifier(alpha=1.0 / len(X), **params).fit(X, y).score(X, y)
    unchanged = MLPClassifier(alpha=1.0, **params).fit(X, y).score(X, y)
    assert theirs > 0.8
    assert converted > 0.8
    assert unchanged < 0.75
