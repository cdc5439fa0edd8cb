"""The classifier: kinds of targets, its methods, weights, and how training goes."""

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.special import expit, log_softmax, softmax
from sklearn.exceptions import ConvergenceWarning

from sknn_notes import MLPClassifier
from sknn_notes.losses import HierarchicalSoftmax, Hinge
from sknn_notes.optimizers import SGD


def network(**params):
    return MLPClassifier(
        **{
            "hidden_layer_sizes": (10,),
            "learning_rate_init": 0.01,
            "max_iter": 20,
            "random_state": 0,
            **params,
        }
    )


LOSSES = pytest.mark.parametrize("loss", ["log_loss", "hinge", Hinge(margin=0.5)])


# Kinds of targets


@LOSSES
def test_two_classes(two_classes, loss):
    X, y = two_classes
    model = network(loss=loss, max_iter=60).fit(X, y)
    assert model.n_outputs_ == 1
    assert model.coefs_[-1].shape == (10, 1)
    scores = model.decision_function(X)
    assert scores.shape == (len(X),)
    np.testing.assert_array_equal(model.predict(X), model.classes_[(scores > 0) * 1])
    assert model.score(X, y) > 0.85


@LOSSES
def test_three_classes(three_classes, loss):
    X, y = three_classes
    model = network(loss=loss, max_iter=60).fit(X, y)
    assert model.n_outputs_ == 3
    scores = model.decision_function(X)
    assert scores.shape == (len(X), 3)
    np.testing.assert_array_equal(
        model.predict(X), model.classes_[np.argmax(scores, axis=1)]
    )
    assert model.score(X, y) > 0.75


@LOSSES
def test_labels(labels, loss):
    X, Y = labels
    model = network(loss=loss, max_iter=100, learning_rate_init=0.05).fit(X, Y)
    assert model.n_outputs_ == 4
    np.testing.assert_array_equal(model.classes_, np.arange(4))
    scores = model.decision_function(X)
    assert scores.shape == Y.shape
    predicted = model.predict(X)
    assert predicted.shape == Y.shape
    np.testing.assert_array_equal(predicted, scores > 0)
    assert np.mean(predicted == Y) > 0.8


@pytest.mark.parametrize(
    "container", [sp.csr_array, sp.csc_array, sp.csr_matrix, sp.coo_array]
)
def test_sparse_labels_train_as_dense_ones(labels, container):
    X, Y = labels
    dense = network().fit(X, Y)
    sparse = network().fit(X, container(Y))
    np.testing.assert_array_equal(
        sparse.decision_function(X), dense.decision_function(X)
    )


@pytest.mark.parametrize(
    "names",
    [
        np.array(["no", "perhaps", "yes"]),
        np.array(["no", "perhaps", "yes"], dtype=object),
        np.array([-5, 0, 7]),
        np.array([0.0, 1.0, 2.0]),
    ],
    ids=["str", "object", "negative", "float"],
)
def test_labels_of_any_type_come_back(three_classes, names):
    X, y = three_classes
    model = network().fit(X, names[y])
    np.testing.assert_array_equal(model.classes_, names)
    predicted = model.predict(X)
    assert predicted.dtype == model.classes_.dtype
    np.testing.assert_array_equal(predicted, names[network().fit(X, y).predict(X)])


@pytest.mark.parametrize("names", [np.array(["no", "yes"]), np.array([False, True])])
def test_the_second_of_two_classes_is_the_positive_one(two_classes, names):
    X, y = two_classes
    model = network(max_iter=60).fit(X, names[y])
    np.testing.assert_array_equal(model.classes_, names)
    positive = model.decision_function(X) > 0
    np.testing.assert_array_equal(model.predict(X), names[positive.astype(int)])
    assert np.mean(positive == y) > 0.85


def test_plain_lists_are_taken(three_classes):
    X, y = three_classes
    model = network().fit(X.tolist(), y.tolist())
    np.testing.assert_array_equal(
        model.predict_proba(X.tolist()), network().fit(X, y).predict_proba(X)
    )


@pytest.mark.filterwarnings("ignore:A column-vector y was passed")
def test_a_column_of_classes_is_one_target(three_classes):
    X, y = three_classes
    model = network().fit(X, y[:, None])
    assert model.predict(X).shape == y.shape


# Probabilities


def test_probabilities_of_three_classes_are_the_softmax(three_classes):
    X, y = three_classes
    model = network().fit(X, y)
    proba = model.predict_proba(X)
    np.testing.assert_allclose(proba, softmax(model.decision_function(X), axis=1))
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    assert model.out_activation_ == "softmax"


def test_probabilities_of_two_classes_are_the_logistic_function(two_classes):
    X, y = two_classes
    model = network().fit(X, y)
    proba = model.predict_proba(X)
    assert proba.shape == (len(X), 2)
    np.testing.assert_allclose(proba[:, 1], expit(model.decision_function(X)))
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    assert model.out_activation_ == "logistic"


def test_probabilities_of_labels_do_not_exclude_each_other(labels):
    X, Y = labels
    model = network(max_iter=60).fit(X, Y)
    proba = model.predict_proba(X)
    np.testing.assert_allclose(proba, expit(model.decision_function(X)))
    assert proba.sum(axis=1).max() > 1.5


@pytest.mark.parametrize("problem", ["two_classes", "three_classes", "labels"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_log_probabilities_are_the_logarithms(problem, dtype, request):
    X, y = request.getfixturevalue(problem)
    model = network(dtype=dtype).fit(X, y)
    proba, log_proba = model.predict_proba(X), model.predict_log_proba(X)
    assert log_proba.dtype == dtype
    np.testing.assert_array_equal(log_proba, np.log(proba))


@pytest.mark.parametrize("problem", ["two_classes", "three_classes", "labels"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_log_probabilities_stay_finite_where_probabilities_do_not(
    problem, dtype, request
):
    X, y = request.getfixturevalue(problem)
    model = network(dtype=dtype).fit(X, y)
    model.coefs_[-1] *= 1e5
    assert (model.predict_proba(X) == 0).any()
    log_proba = model.predict_log_proba(X)
    assert np.isfinite(log_proba).all()
    assert log_proba.min() < -1000


def test_saturated_log_probabilities_are_exact(three_classes):
    X, y = three_classes
    model = network().fit(X, y)
    model.coefs_[-1] *= 1e5
    np.testing.assert_allclose(
        model.predict_log_proba(X),
        log_softmax(model.decision_function(X), axis=1),
        atol=1e-12,
    )


@pytest.mark.parametrize("method", ["predict_proba", "predict_log_proba"])
@pytest.mark.parametrize("loss", ["hinge", Hinge(margin=2.0)])
def test_a_hinge_network_has_no_probabilities(three_classes, loss, method):
    X, y = three_classes
    model = network(loss=loss)
    assert not hasattr(model, method)
    model.fit(X, y)
    assert not hasattr(model, method)
    assert model.out_activation_ == "identity"
    with pytest.raises(AttributeError) as error:
        getattr(model, method)
    reason = str(error.value)
    assert "hinge" in reason.lower()
    assert "decision_function" in reason
    assert "log_loss" in reason
    assert "CalibratedClassifierCV" in reason


def test_the_wider_margin_is_asked_for(two_classes):
    X, y = two_classes
    narrow, wide = (
        network(loss=Hinge(margin=margin), max_iter=200).fit(X, y)
        for margin in (0.1, 5.0)
    )
    narrow_gap, wide_gap = (
        np.abs(model.decision_function(X)).mean() for model in (narrow, wide)
    )
    assert wide_gap > 3 * narrow_gap


# partial_fit


def test_one_partial_fit_is_one_epoch(three_classes):
    X, y = three_classes
    params = {"batch_size": 16, "dropout": 0.3}
    part = network(**params).partial_fit(X, y, classes=[0, 1, 2])
    whole = network(max_iter=1, **params).fit(X, y)
    np.testing.assert_array_equal(part.predict_proba(X), whole.predict_proba(X))
    assert part.n_iter_ == 1
    assert part.t_ == len(X)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_partial_fits_in_a_row_are_the_epochs_of_a_fit(three_classes, solver):
    X, y = three_classes
    params = {"batch_size": 16, "dropout": 0.3, "shuffle": False, "solver": solver}
    parts = network(**params)
    for _ in range(3):
        parts.partial_fit(X, y, classes=[0, 1, 2])
    whole = network(max_iter=3, **params).fit(X, y)
    np.testing.assert_array_equal(parts.predict_proba(X), whole.predict_proba(X))
    assert parts.loss_curve_ == whole.loss_curve_
    assert parts.t_ == whole.t_ == 3 * len(X)


def test_partial_fit_draws_new_masks_every_time(three_classes):
    X, y = three_classes
    model = network(dropout=0.5, learning_rate_init=1e-12, shuffle=False)
    for _ in range(4):
        model.partial_fit(X, y, classes=[0, 1, 2])
    # The weights stand still, so that only the masks can change the loss.
    assert len(set(np.round(model.loss_curve_, 6))) == 4


def test_partial_fit_on_batches_learns_without_all_classes_at_once(three_classes):
    X, y = three_classes
    order = np.argsort(y, kind="stable")
    model = network()
    for _ in range(40):
        for rows in np.array_split(order, 9):
            model.partial_fit(X[rows], y[rows], classes=[0, 1, 2])
    assert model.predict_proba(X).shape == (len(X), 3)
    assert len(model.loss_curve_) == 360


def test_partial_fit_after_fit_goes_on(three_classes):
    X, y = three_classes
    model = network().fit(X, y)
    before = model.coefs_[0].copy()
    model.partial_fit(X, y)
    moved = np.abs(model.coefs_[0] - before).max()
    # A step of Adam is about the learning rate at most, where its moments go on.
    assert 0 < moved < 0.05
    assert len(model.loss_curve_) == 21


def test_fit_after_partial_fit_starts_anew(three_classes):
    X, y = three_classes
    model = network().partial_fit(X, y, classes=[0, 1, 2]).fit(X, y)
    np.testing.assert_array_equal(
        model.predict_proba(X), network().fit(X, y).predict_proba(X)
    )


def test_partial_fit_of_labels(labels):
    X, Y = labels
    model = network()
    for _ in range(3):
        model.partial_fit(X, Y, classes=np.arange(4))
    assert model.predict(X).shape == Y.shape


def test_partial_fit_takes_weights(three_classes):
    X, y = three_classes
    weight = np.random.default_rng(0).random(len(X))
    weight /= weight.mean()
    part = network().partial_fit(X, y, weight, [0, 1, 2])
    whole = network(max_iter=1).fit(X, y, weight)
    np.testing.assert_allclose(part.predict_proba(X), whole.predict_proba(X))


def test_partial_fit_on_a_chunk_whose_classes_weigh_nothing_is_harmless(three_classes):
    X, y = three_classes
    model = network(class_weight={0: 0.0, 1: 1.0, 2: 1.0}, alpha=0, solver="sgd")
    model.set_params(momentum=0.0).partial_fit(X, y, classes=[0, 1, 2])
    before = model.predict_proba(X)
    model.partial_fit(X[y == 0], y[y == 0])
    np.testing.assert_array_equal(model.predict_proba(X), before)


def test_partial_fit_with_class_weights_in_a_dict(three_classes):
    X, y = three_classes
    class_weight = {0: 3.0, 1: 1.0, 2: 0.5}
    part = network(class_weight=class_weight).partial_fit(X, y, classes=[0, 1, 2])
    weight = np.array([class_weight[label] for label in y])
    other = network().partial_fit(X, y, weight, [0, 1, 2])
    np.testing.assert_array_equal(part.predict_proba(X), other.predict_proba(X))


def test_partial_fit_weighs_a_chunk_of_one_class(three_classes):
    X, y = three_classes
    one = y == 1

    def step(class_weight):
        model = network(
            solver=SGD(momentum=0), alpha=0, class_weight=class_weight, max_iter=1
        )
        # A chunk without weight draws the weights alone.
        model.partial_fit(X[:1], y[:1], [0.0], [0, 1, 2])
        before = model.coefs_[-1].copy()
        model.partial_fit(X[one], y[one])
        return model.coefs_[-1] - before

    np.testing.assert_allclose(step({1: 3.0}), 3 * step(None), rtol=1e-6)


def test_balanced_classes_count_sample_weights(labels):
    X, Y = labels
    weight = np.random.default_rng(0).integers(1, 4, len(X))
    repeated = network(class_weight="balanced", batch_size=weight.sum())
    repeated.fit(np.repeat(X, weight, 0), np.repeat(Y, weight, 0))
    weighted = network(class_weight="balanced", batch_size=len(X))
    weighted.fit(X, Y, sample_weight=weight)
    np.testing.assert_allclose(
        weighted.decision_function(X), repeated.decision_function(X), atol=1e-8
    )


@pytest.mark.parametrize(
    ("problem", "class_weight"),
    [("three_classes", [{0: 1.0}]), ("labels", {0: 1.0}), ("labels", [{0: 1.0}])],
)
def test_class_weights_of_the_wrong_form_raise(problem, class_weight, request):
    X, y = request.getfixturevalue(problem)
    with pytest.raises(ValueError, match="class_weight"):
        network(class_weight=class_weight).fit(X, y)


def test_a_huffman_tree_counts_samples_without_their_class_weights(three_classes):
    X, y = three_classes
    keep = (y == 0) | (np.arange(len(y)) % 4 == 0)
    X, y = X[keep], y[keep]
    loss = HierarchicalSoftmax(tree="huffman")
    plain = network(loss=loss).fit(X, y)
    balanced = network(loss=loss, class_weight={0: 1e-3}).fit(X, y)
    trees = plain._targets.loss.depths_, balanced._targets.loss.depths_
    np.testing.assert_array_equal(*trees)


def test_a_warm_start_keeps_the_validation_split(three_classes):
    X, y = three_classes
    X = X.copy()
    model = network(early_stopping=True, warm_start=True, validation_fraction=0.5)
    model.set_params(hidden_layer_sizes=(100,), alpha=0, max_iter=300, tol=0)
    model.set_params(n_iter_no_change=np.inf)
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=len(X))
    # Labels by chance can be learned by heart, but not foretold.
    for _ in range(3):
        model.fit(X, y)
        assert model.validation_scores_[-1] < 0.6


# warm_start


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_a_warm_start_is_a_longer_fit(three_classes, solver):
    X, y = three_classes
    params = {"solver": solver, "dropout": 0.3, "batch_size": 16, "shuffle": False}
    warm = network(warm_start=True, max_iter=3, **params).fit(X, y)
    warm.set_params(max_iter=4).fit(X, y)
    cold = network(max_iter=7, **params).fit(X, y)
    np.testing.assert_array_equal(warm.predict_proba(X), cold.predict_proba(X))
    assert warm.loss_curve_ == cold.loss_curve_
    assert warm.n_iter_ == 4
    assert warm.t_ == cold.t_


def test_without_warm_start_fit_forgets(three_classes):
    X, y = three_classes
    model = network().fit(X[:, ::-1], y).fit(X, y)
    np.testing.assert_array_equal(
        model.predict_proba(X), network().fit(X, y).predict_proba(X)
    )
    assert len(model.loss_curve_) == 20


@pytest.mark.filterwarnings("ignore:.* has no effect")
def test_a_warm_start_may_change_the_solver(three_classes):
    X, y = three_classes
    model = network(warm_start=True).fit(X, y)
    before = model.loss_
    model.set_params(solver="lbfgs").fit(X, y)
    assert model.loss_ < before


# Early stopping


def test_early_stopping_keeps_the_weights_of_the_best_epoch(three_classes):
    X, y = three_classes
    model = network(early_stopping=True, learning_rate_init=0.05, max_iter=200)
    model.fit(X, y)
    assert model.n_iter_ < 200
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert len(model.validation_scores_) == model.n_iter_
    best_epoch = int(np.argmax(model.validation_scores_)) + 1
    assert best_epoch < model.n_iter_
    # Training only to that epoch gives the same weights.
    short = network(
        early_stopping=True, learning_rate_init=0.05, max_iter=best_epoch
    ).fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(X), short.predict_proba(X))


def test_validation_scores_are_accuracies(three_classes):
    X, y = three_classes
    params = {"early_stopping": True, "validation_fraction": 0.2, "scoring": None}
    model = network(**params).fit(X, y)
    hits = np.array(model.validation_scores_) * 18
    np.testing.assert_allclose(hits, np.round(hits))


# Interface


def test_attributes_are_complete_and_of_their_types(three_classes):
    X, y = three_classes
    model = network(hidden_layer_sizes=(7, 5)).fit(X, y)
    assert [W.shape for W in model.coefs_] == [(6, 7), (7, 5), (5, 3)]
    assert [b.shape for b in model.intercepts_] == [(7,), (5,), (3,)]
    assert isinstance(model.coefs_, list)
    assert isinstance(model.intercepts_, list)
    assert model.n_layers_ == 4
    assert model.n_outputs_ == 3
    assert model.n_features_in_ == 6
    assert model.n_iter_ == 20
    assert model.t_ == 20 * len(X)
    assert isinstance(model.loss_, float)
    assert isinstance(model.loss_curve_, list)
    assert all(type(loss) is float for loss in model.loss_curve_)
    assert model.loss_ == model.loss_curve_[-1]
    assert model.best_loss_ == min(model.loss_curve_)
    assert model.validation_scores_ is None
    assert model.best_validation_score_ is None
    assert model.out_activation_ == "softmax"
    np.testing.assert_array_equal(model.classes_, [0, 1, 2])


def test_attributes_under_early_stopping(three_classes):
    X, y = three_classes
    model = network(early_stopping=True).fit(X, y)
    assert model.best_loss_ is None
    assert len(model.validation_scores_) == model.n_iter_ == len(model.loss_curve_)
    assert all(type(score) is float for score in model.validation_scores_)


@pytest.mark.filterwarnings("ignore:.* has no effect")
def test_attributes_under_lbfgs(three_classes):
    X, y = three_classes
    model = network(solver="lbfgs").fit(X, y)
    assert len(model.loss_curve_) == model.n_iter_ == 20
    assert model.loss_ == pytest.approx(model.loss_curve_[-1])
    assert model.best_loss_ == pytest.approx(min(model.loss_curve_))
    assert np.all(np.diff(model.loss_curve_) <= 0)


def test_fit_and_partial_fit_return_the_estimator(three_classes):
    X, y = three_classes
    model = network()
    assert model.fit(X, y) is model
    assert model.partial_fit(X, y) is model


def test_partial_fit_is_absent_under_lbfgs():
    model = network(solver="lbfgs")
    assert not hasattr(model, "partial_fit")
    with pytest.raises(AttributeError) as error:
        model.partial_fit  # noqa: B018
    assert "lbfgs" in str(error.value)
    assert "solver='adam'" in str(error.value)


def test_verbose_prints_every_epoch(three_classes, capsys):
    X, y = three_classes
    model = network(verbose=True, max_iter=2, early_stopping=True).fit(X, y)
    printed = capsys.readouterr().out.splitlines()
    # Once on a machine it also says that it compiles.
    assert [line for line in printed if not line.startswith("Compiling")] == [
        f"The steps run in {model.executor_}.",
        f"Iteration 1, loss = {model.loss_curve_[0]:.8f}, validation score = "
        f"{model.validation_scores_[0]:.6f}, at most 0 s left",
        f"Iteration 2, loss = {model.loss_curve_[1]:.8f}, validation score = "
        f"{model.validation_scores_[1]:.6f}",
    ]


def test_verbose_says_why_training_stopped(three_classes, capsys):
    X, y = three_classes
    network(verbose=True, tol=10.0, n_iter_no_change=3, max_iter=50).fit(X, y)
    last = capsys.readouterr().out.splitlines()[-1]
    assert "did not improve more than tol=10.0" in last
    assert "Stopping" in last


@pytest.mark.filterwarnings("ignore:.* has no effect")
def test_verbose_under_lbfgs_prints_iterations(three_classes, capsys):
    X, y = three_classes
    network(verbose=True, solver="lbfgs", max_iter=3).fit(X, y)
    assert "Iteration 3, loss = " in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore:.* has no effect")
def test_quiet_by_default(three_classes, capfd):
    X, y = three_classes
    network().fit(X, y)
    network(solver="lbfgs").fit(X, y)
    assert capfd.readouterr() == ("", "")


@pytest.mark.filterwarnings("ignore:.* has no effect")
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_reaching_max_iter_is_warned_about(three_classes, solver):
    X, y = three_classes
    with pytest.warns(ConvergenceWarning, match="(?i)iterations"):
        network(solver=solver, max_iter=3).fit(X, y)


@pytest.mark.filterwarnings("error::sklearn.exceptions.ConvergenceWarning")
def test_converging_is_not_warned_about(three_classes):
    X, y = three_classes
    model = network(tol=1e-2, n_iter_no_change=2, max_iter=2000).fit(X, y)
    assert model.n_iter_ < 2000


@pytest.mark.filterwarnings("error::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("schedule", ["cosine", "flat_cosine", "onecycle"])
def test_the_end_of_a_schedule_is_not_warned_about(three_classes, schedule):
    X, y = three_classes
    model = network(learning_rate=schedule, max_iter=30).fit(X, y)
    assert model.n_iter_ == 30


@pytest.mark.filterwarnings("error::sklearn.exceptions.ConvergenceWarning")
def test_partial_fit_does_not_warn_about_convergence(three_classes):
    X, y = three_classes
    network(max_iter=1).partial_fit(X, y, classes=[0, 1, 2])
