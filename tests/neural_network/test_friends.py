"""Other libraries with these networks; each test needs the library it is of."""

import numpy as np
import pytest
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

from sknn_notes import MLPClassifier, MLPRegressor, Standardizer
from sknn_notes.losses import Hinge
from sknn_notes.model_selection import GridSearchCV
from sknn_notes.optimizers import SGD


def classifier(**params):
    return MLPClassifier((8,), max_iter=20, random_state=0, **params)


# skrub


@pytest.fixture
def table():
    """Strings, dates and missing values, with a number and a class that follow."""
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    size, city = rng.normal(size=200), rng.choice(["Oslo", "Paris", "Rome"], 200)
    price = size + 2 * (city == "Paris")
    city = np.where(rng.random(200) < 0.1, None, city)
    frame = pandas.DataFrame(
        {
            "city": city,
            "size": np.where(rng.random(200) < 0.1, np.nan, size),
            "day": pandas.Timestamp("2024-01-01")
            + pandas.to_timedelta(rng.integers(0, 365, 200), unit="D"),
        }
    )
    return frame, price


@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
def test_a_tabular_pipeline_of_skrub_scales_and_imputes_for_a_network(cls, table):
    skrub = pytest.importorskip("skrub")
    X, y = table
    y = y > 1 if cls is MLPClassifier else y
    network = cls(learning_rate_init=0.01, max_iter=100, random_state=0)
    model = skrub.tabular_pipeline(network)
    assert list(model.named_steps)[:2] == ["tablevectorizer", "simpleimputer"]
    assert cross_val_score(model, X, y, cv=3).min() > 0.6
    search = GridSearchCV(model, {f"{cls.__name__.lower()}__dropout": [0, 0.5]}, cv=2)
    assert search.fit(X, y).best_score_ > 0.6


def test_the_inputs_of_a_table_vectorizer_have_names(table):
    skrub = pytest.importorskip("skrub")
    X, y = table
    X = X.dropna()
    model = make_pipeline(skrub.TableVectorizer(), Standardizer(), classifier())
    model.set_output(transform="pandas").fit(X, y[X.index] > 1)
    names = model[0].get_feature_names_out()
    assert {"city_Paris", "size", "day_year"} <= set(names)
    assert list(model[-1].feature_names_in_) == list(names)
    assert model[-1].summary().layers[0]["output_shape"] == f"(n_samples, {len(names)})"


# MLflow


logs_to_mlflow = pytest.mark.filterwarnings(
    "ignore:::mlflow",
    # MLflow calls what SQLAlchemy and scikit-learn have deprecated.
    "ignore:The ``noload`` loader strategy is deprecated",
    "ignore:`y_pred` was renamed to `y_proba`:FutureWarning",
)


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory):
    """MLflow with a new database, which logs what scikit-learn fits."""
    package = pytest.importorskip("mlflow")
    for needed in "sqlalchemy", "alembic":  # By its database.
        pytest.importorskip(needed)
    folder = tmp_path_factory.mktemp("mlflow")
    package.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    package.create_experiment("networks", artifact_location=folder.as_uri())
    package.set_experiment("networks")
    package.sklearn.autolog(silent=True)
    yield package
    package.sklearn.autolog(disable=True)


def run_of(mlflow, model, X, y):
    """Return what MLflow knows of a fit."""
    with mlflow.start_run() as run:
        model.fit(X, y)
    return mlflow.get_run(run.info.run_id)


@logs_to_mlflow
def test_mlflow_logs_a_pipeline_with_parameters_of_parts(mlflow, three_classes):
    network = classifier(loss=Hinge(margin=0.5), solver=SGD(momentum=0.8))
    model = make_pipeline(Standardizer(), network)
    run = run_of(mlflow, model, *three_classes)
    params = run.data.params
    assert params["mlpclassifier__loss"] == "Hinge(margin=0.5)"
    assert params["mlpclassifier__loss__margin"] == "0.5"
    assert params["mlpclassifier__solver__momentum"] == "0.8"
    X, y = three_classes
    assert run.data.metrics["training_score"] == model.score(X, y)
    (logged,) = run.outputs.model_outputs
    loaded = mlflow.sklearn.load_model(f"models:/{logged.model_id}")
    np.testing.assert_array_equal(
        loaded.decision_function(X), model.decision_function(X)
    )


@logs_to_mlflow
def test_mlflow_logs_a_search_with_a_run_for_each_candidate(mlflow, three_classes):
    mlflow.sklearn.autolog(silent=True, log_models=False)
    model = make_pipeline(Standardizer(), classifier())
    search = GridSearchCV(model, {"mlpclassifier__dropout": [0.0, 0.5]}, cv=2)
    run = run_of(mlflow, search, *three_classes)
    best = search.best_params_["mlpclassifier__dropout"]
    assert run.data.params["best_mlpclassifier__dropout"] == str(best)
    assert run.data.metrics["best_cv_score"] == search.best_score_
    children = mlflow.search_runs(
        filter_string=f"tags.mlflow.parentRunId = '{run.info.run_id}'",
        output_format="list",
    )
    scores = sorted(child.data.metrics["mean_test_score"] for child in children)
    assert scores == sorted(search.cv_results_["mean_test_score"])


@logs_to_mlflow
def test_mlflow_logs_the_history_by_epoch(mlflow, three_classes):
    model = classifier(early_stopping=True).fit(*three_classes)
    with mlflow.start_run() as run:
        for row in model.history_:
            losses = {name: row[name] for name in ("loss", "validation_loss")}
            mlflow.log_metrics(losses, step=row["epoch"])
    client = mlflow.MlflowClient()
    for name, curve in [
        ("loss", model.loss_curve_),
        ("validation_loss", model.validation_loss_curve_),
    ]:
        metrics = client.get_metric_history(run.info.run_id, name)
        assert [metric.value for metric in metrics] == curve
        assert [metric.step for metric in metrics] == list(range(1, len(curve) + 1))
