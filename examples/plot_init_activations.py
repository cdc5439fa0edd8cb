"""
==========================================================
Activations of a deep network under different initializers
==========================================================

The variance of the initial weights of a deep network determines whether the signal
reaches the last layer, and whether the gradient reaches the first. This example passes
the digits through ten layers with every initializer of the library, and then trains
networks with two unsuitable initializers: zeros, and weights that are too small.
"""

# %%
# Every pixel of the digits is standardized, since the initializers assume inputs with
# mean zero and variance one.
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from sknn_notes import MLPClassifier, Standardizer
from sknn_notes.activations import ACTIVATIONS
from sknn_notes.initializers import INITIALIZERS, Normal

plt.style.use("seaborn-v0_8-colorblind")
X, y = load_digits(return_X_y=True)
X = Standardizer().fit_transform(X).astype(np.float32)
n_layers, n_units = 10, 100


def activations(init, activation):
    """Pass the digits through untrained layers; return the outputs of each."""
    activation = ACTIVATIONS[activation]()
    rng = np.random.default_rng(0)
    A, outputs = X, []
    for _ in range(n_layers):
        Z = A @ init.draw(A.shape[1], n_units, activation, rng)
        if init.needs_data:
            Z *= init.scale(Z)
        A = activation.forward(Z, np)
        outputs.append(A)
    return outputs


# %%
# Ten layers of tanh units
# ------------------------
# Each row is one initializer, roughly from the smallest weights to the largest. The
# number is the standard deviation of all activations of the layer. With zeros there is
# no signal, and with small or sparse weights it vanishes after a few layers: every unit
# outputs 0 for every digit. Weights that are far too large saturate tanh, where its
# slope, and therefore the gradient, is nearly zero. The initializers in between
# preserve the signal.
inits = {
    "zeros": INITIALIZERS["zeros"](),
    "sparse": INITIALIZERS["sparse"](),
    "normal": INITIALIZERS["normal"](),
    "glorot_normal": INITIALIZERS["glorot_normal"](),
    "lecun_normal": INITIALIZERS["lecun_normal"](),
    "orthogonal": INITIALIZERS["orthogonal"](),
    "lsuv": INITIALIZERS["lsuv"](),
    "he_normal": INITIALIZERS["he_normal"](),
    "Normal(std=1)": Normal(std=1.0),
}
shown = [1, 2, 4, 7, 10]
figure, axes = plt.subplots(
    len(inits), len(shown), figsize=(9, 10), sharex=True, layout="constrained"
)
bins = np.linspace(-1, 1, 42)
for row, (name, init) in zip(axes, inits.items(), strict=True):
    outputs = activations(init, "tanh")
    row[0].set_ylabel(name, rotation=0, ha="right", va="center")
    for ax, layer in zip(row, shown, strict=True):
        A = outputs[layer - 1]
        ax.hist(A.ravel(), bins=bins, color="C0")
        ax.set(yticks=[], xlim=(-1, 1), xticks=[-1, 0, 1])
        ax.margins(y=0.35)
        ax.text(0.04, 0.94, f"{A.std():.2g}", transform=ax.transAxes, va="top")
for ax, layer in zip(axes[0], shown, strict=True):
    ax.set_title(f"layer {layer}")
figure.supxlabel("activation (tanh); the number is its standard deviation")
plt.show()

# %%
# Every initializer, layer by layer
# ---------------------------------
# This figure shows the same standard deviation for all initializers. ReLU sets half of
# the signal to zero. Only the initializers that compensate for it preserve the standard
# deviation: He's, ``"auto"``, which is He's in this network, and ``"lsuv"``, which
# measures each layer on the data. With the others it falls by a constant factor per
# layer. With tanh, they fall slowly, and ``"auto"`` is Glorot's. Normal and uniform
# distributions with the same variance behave alike: only the variance matters. The
# curves of small weights leave the axes at the bottom, and ``"zeros"`` cannot be shown
# on a logarithmic scale.
families = {
    "he": ("C0", "o", ["he_normal", "he_uniform"]),
    "auto": ("0.2", "x", ["auto"]),
    "lsuv": ("C1", "s", ["lsuv"]),
    "orthogonal": ("C3", "v", ["orthogonal"]),
    "lecun": ("C5", "D", ["lecun_normal", "lecun_uniform"]),
    "glorot": ("#E69F00", "^", ["glorot_normal", "glorot_uniform"]),
    "small": ("C2", "P", ["normal", "uniform"]),
    "sparse": ("0.55", "*", ["sparse"]),
}
figure, axes = plt.subplots(1, 2, figsize=(9.5, 4.2), sharey=True, layout="constrained")
layers = np.arange(1, n_layers + 1)
for ax, activation in zip(axes, ["relu", "tanh"], strict=True):
    for color, marker, names in families.values():
        for name, line in zip(names, ["-", "--"], strict=False):
            spread = [A.std() for A in activations(INITIALIZERS[name](), activation)]
            ax.semilogy(
                layers,
                spread,
                line,
                color=color,
                marker=marker,
                markersize=5,
                label=name,
            )
    ax.set(title=activation, xlabel="layer", xticks=layers, ylim=(5e-3, 2))
    ax.grid(alpha=0.3)
axes[0].set_ylabel("standard deviation of the activations")
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right")
plt.show()

# %%
# Zeros: the units never differ
# -----------------------------
# Units with equal weights compute equal outputs, receive equal gradients and stay
# equal. With ReLU, a hidden layer of zeros passes neither signal nor gradient. Only the
# biases of the output layer learn the class frequencies, and the loss stays at the
# level of chance, the logarithm of the number of classes. A logistic unit outputs 1/2
# at zero, so that the network learns something, but its thirty units are equal: the
# columns of the weight matrix only differ by rounding. (With much longer training, the
# differences due to rounding may grow until some units differ.)
#
# All networks of this example train for a fixed number of epochs. The warning about
# convergence is disabled.
warnings.filterwarnings("ignore", category=ConvergenceWarning)


def train(dtype=np.float32, **parameters):
    model = MLPClassifier(n_iter_no_change=np.inf, random_state=0, **parameters)
    return model.fit(X.astype(dtype), y)


n_epochs = 20
models = {
    (init, activation): train(
        hidden_layer_sizes=30,
        activation=activation,
        init=init,
        learning_rate_init=0.005,
        max_iter=n_epochs,
        dtype=np.float64,
    )
    for init in ["zeros", "auto"]
    for activation in ["relu", "logistic"]
}
for (init, activation), model in models.items():
    difference = np.ptp(model.coefs_[0], axis=1).max()
    print(
        f"{init:5} {activation:8}: training accuracy {model.score(X, y):.3f}, "
        f"weights of the units differ by up to {difference:.1g}"
    )

figure, (left, middle, right) = plt.subplots(
    1, 3, figsize=(9.5, 4), layout="constrained", width_ratios=[1.5, 1, 1]
)
for (init, activation), model in models.items():
    left.plot(
        np.arange(1, n_epochs + 1),
        model.loss_curve_,
        "-" if init == "auto" else "--",
        color="C0" if activation == "relu" else "C2",
        label=f"{init}, {activation}",
    )
left.axhline(np.log(10), color="0.6", linewidth=1, zorder=0)
left.annotate(
    "chance: ln 10",
    (n_epochs, np.log(10)),
    (0, 5),
    textcoords="offset points",
    ha="right",
)
left.set(xlabel="epoch", ylabel="training loss", ylim=(0, 2.7), title="30 hidden units")
left.set_xticks(range(0, n_epochs + 1, 5))
left.legend(loc="center right")
for ax, init in [(middle, "zeros"), (right, "auto")]:
    W = models[init, "logistic"].coefs_[0]
    ax.imshow(W, cmap="PuOr", vmin=-0.6, vmax=0.6, aspect="auto")
    ax.set(title=f"{init}, logistic", xlabel="hidden unit")
middle.set_ylabel("input pixel")
right.set_yticks([])
plt.show()

# %%
# Batch norm helps with small weights, but not with equal ones
# ------------------------------------------------------------
# A network with ten layers and ``init="normal"`` does not learn: the signal vanishes,
# and so does the gradient. With batch norm, every unit has unit variance over the
# batch, whatever the scale of its weights, and the network trains. Batch norm does not
# help with zeros: the outputs of the units have no variance to scale, and the units
# remain equal.
cases = {
    "normal": ("C2", "-", {"init": "normal"}),
    "zeros + batch norm": ("0.2", ":", {"init": "zeros", "batch_norm": True}),
    "normal + batch norm": ("C2", "--", {"init": "normal", "batch_norm": True}),
    "he_normal": ("C0", "-", {"init": "he_normal"}),
    "he_normal + batch norm": (
        "C0",
        "--",
        {"init": "he_normal", "batch_norm": True},
    ),
}
figure, ax = plt.subplots(figsize=(7.5, 4), layout="constrained")
for name, (color, line, parameters) in cases.items():
    model = train(
        hidden_layer_sizes=n_units,
        n_hidden_layers=n_layers,
        max_iter=n_epochs,
        **parameters,
    )
    ax.plot(
        np.arange(1, n_epochs + 1),
        model.loss_curve_,
        line,
        color=color,
        linewidth=3 if name == "normal" else 1.8,
        label=name,
    )
    print(f"{name:22}: training accuracy {model.score(X, y):.3f}")
ax.axhline(np.log(10), color="0.6", linewidth=1, zorder=0)
ax.set(
    xlabel="epoch",
    ylabel="training loss",
    xticks=range(0, n_epochs + 1, 5),
    ylim=(0, 2.7),
    title="ten hidden layers of 100 ReLU units",
)
ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
plt.show()
