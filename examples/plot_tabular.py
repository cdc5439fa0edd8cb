"""
==========================================
A table with categories and missing values
==========================================

``TabularMLPRegressor`` takes a DataFrame with numbers, categories and missing values.
It prepares the columns automatically.
"""

# %%
# The data are the diabetes data in their original units: ten measurements of 442
# patients, and the progression of the disease a year later. In this example sex is a
# category, and age is grouped by decade. A tenth of the other values is removed at
# random.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.inspection import permutation_importance
from sklearn.model_selection import RepeatedKFold, cross_val_score, train_test_split

from sknn_notes.tabular import TabularMLPRegressor

plt.style.use("seaborn-v0_8-colorblind")
rng = np.random.default_rng(0)
X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
X["sex"] = X["sex"].map({1.0: "group 1", 2.0: "group 2"}).astype("category")
X["age"] = pd.cut(X["age"], range(10, 90, 10), right=False).astype(str)
holes = rng.random(X.shape) < 0.1
holes[:, :2] = False
X = X.mask(holes).rename(
    columns={
        "bmi": "body mass index",
        "bp": "blood pressure",
        "s1": "cholesterol",
        "s2": "LDL",
        "s3": "HDL",
        "s4": "cholesterol / HDL",
        "s5": "log triglycerides",
        "s6": "glucose",
    }
)
print(X.iloc[:4, :6].to_string())

# %%
# Scores
# ------
# The table shows R2 in five-fold cross-validation, repeated twice, compared with
# gradient boosting, which requires a categorical data type for strings.
bands = X.assign(age=X["age"].astype("category"))
models = {
    "HistGradientBoosting": (
        HistGradientBoostingRegressor(
            categorical_features="from_dtype", random_state=0
        ),
        bands,
    ),
    "fast": (TabularMLPRegressor("fast", random_state=0), X),
    "balanced": (TabularMLPRegressor(random_state=0), X),
}
splits = RepeatedKFold(n_splits=5, n_repeats=2, random_state=0)
for name, (model, table) in models.items():
    scores = cross_val_score(model, table, y, cv=splits)
    print(f"{name:22} R2 {scores.mean():.2f} +- {scores.std():.2f}")

# %%
# Importance of the columns
# -------------------------
# Permutation importance is the decrease of R2 when a column is permuted in the test
# rows. The columns are those of the table: all inputs of a category are permuted
# together, and so are a number and the indicator of its missing values.
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
model = TabularMLPRegressor(random_state=0).fit(X_train, y_train)
found = permutation_importance(model, X_test, y_test, n_repeats=30, random_state=0)
order = found.importances_mean.argsort()

figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
axes.boxplot(found.importances[order].T, orientation="horizontal", whis=(0, 100))
axes.set_yticks(range(1, len(order) + 1), X.columns[order])
axes.axvline(0, color="0.6", linewidth=0.8, zorder=0)
axes.set(
    xlabel="decrease of R2 when the column is permuted",
    title=f"Diabetes, R2 {model.score(X_test, y_test):.2f} on test data",
)
plt.show()

# %%
# Candidates
# ----------
# Three networks without an embedding and three with an embedding each held out a fifth
# of the rows. The embedding of the group with the lower mean loss was then used to
# train on all rows, for the median of the best epochs of that group.
history = pd.DataFrame(model.history_)
print(history.drop(columns=["training_loss", "seconds"]).round(3).to_string())

# %%
# The inputs of the networks are:
print(*model.pipeline_["table"].get_feature_names_out(), sep="\n")
