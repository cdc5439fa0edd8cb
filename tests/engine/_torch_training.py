"""Networks and their training as the documentation defines them, in PyTorch.

An estimator is trained from the same initial weights, through the same batches, with
the same random masks and noise. These are the only results of the library that are
used; derivatives are PyTorch's own.
"""

from contextlib import ExitStack
from unittest import mock

import numpy as np
import torch
from scipy.optimize import minimize
from sklearn.base import clone, is_classifier

from sknn_notes.activations import ACTIVATIONS
from sknn_notes.embeddings import EMBEDDINGS, Periodic
from sknn_notes.layers import BatchNorm, LayerNorm
from sknn_notes.layers._dropout import Mask
from sknn_notes.layers._input_noise import InputNoise
from sknn_notes.losses import (
    CLASSIFICATION_LOSSES,
    REGRESSION_LOSSES,
    HierarchicalSoftmax,
    SampledSoftmax,
)
from sknn_notes.optimizers import OPTIMIZERS, SGD, AdamW
from sknn_notes.penalties import PENALTIES

from . import _torch_parts as parts


def part(spec, registry):
    """Return the part that a parameter stands for."""
    return registry[spec]() if isinstance(spec, str) else spec


def loss_of(model):
    registry = CLASSIFICATION_LOSSES if is_classifier(model) else REGRESSION_LOSSES
    return part(model.loss, registry)


def started(model, X, y, sample_weight):
    """Return a fit with the initial weights, and the random draws of a training."""
    drawn = {"masks": [], "noisy": [], "keys": []}
    with ExitStack() as stack:

        def record(owner, name, keep):
            original = getattr(owner, name)

            def recorded(*args):
                out = original(*args)
                keep(args, out)
                return out

            stack.enter_context(mock.patch.object(owner, name, recorded))

        record(Mask, "draw", lambda args, mask: drawn["masks"].append(mask))
        record(InputNoise, "forward", lambda args, out: drawn["noisy"].append(out[0]))
        record(SampledSoftmax, "_draw", lambda args, _: drawn["keys"].append(args[1]))
        # A rate that rounding swallows.
        start = clone(model).set_params(
            solver=SGD(),
            learning_rate_init=1e-300,
            penalty=None,
            max_norm=None,
            clip_norm=None,
        )
        start.fit(X, y, sample_weight=sample_weight)
    return start, drawn


def leaf(array):
    return torch.tensor(array, requires_grad=True)


class Network:
    """The layers of an estimator.

    Parameters
    ----------
    model : estimator
    start : estimator
        The fit with the initial weights.
    X, sample_weight : ndarray
        Training data.
    """

    def __init__(self, model, start, X, sample_weight):
        self.model = model
        self.W = [leaf(W) for W in start.coefs_]
        widths = [len(b) for b in start.intercepts_[:-1]]
        n_hidden = len(widths)
        specs = model.activation
        specs = specs if isinstance(specs, list) else [specs] * n_hidden
        self.activations = [part(spec, ACTIVATIONS) for spec in specs]
        self.R = [None] * n_hidden
        if model.residual:
            self.R = [None if R is None else leaf(R) for R in start.residual_coefs_]
        self.norms = None
        if model.batch_norm:
            p = BatchNorm() if model.batch_norm is True else model.batch_norm
            self.norms = [torch.nn.BatchNorm1d(n, p.eps, p.momentum) for n in widths]
        elif model.layer_norm:
            p = LayerNorm() if model.layer_norm is True else model.layer_norm
            self.norms = [torch.nn.LayerNorm(n, p.eps) for n in widths]
        if self.norms:
            self.norms = torch.nn.ModuleList(self.norms).double()
        # A normalization has a shift in place of the bias.
        self.b = [leaf(b) for b in start.intercepts_[-1 if self.norms else 0 :]]
        self.scales = leaf(start.feature_scales_) if model.feature_scaling else None
        self.embedding = None
        if model.embedding is not None:
            self.embedding = part(model.embedding, EMBEDDINGS)
            self.arrays = start.embedding_
            if isinstance(self.embedding, Periodic):
                self.arrays = {name: leaf(x) for name, x in self.arrays.items()}
            else:
                self.standardize(torch.tensor(X), sample_weight)

    def standardize(self, X, weight):
        """Take means and standard deviations of piecewise linear components."""
        Z = self.components(X)
        w = np.ones(len(X)) if weight is None else weight
        w = torch.tensor(w / w.sum())[:, None]
        self.mean = (w * Z).sum(0)
        self.scale = (w * (Z - self.mean) ** 2).sum(0).sqrt()

    def components(self, X):
        features, lower, width = (
            torch.tensor(self.arrays[name]) for name in ("features", "lower", "width")
        )
        return ((X[:, features] - lower) / width).clamp(0, 1)

    @property
    def matrices(self):
        """Weight matrices with their depth, which are penalized and bounded."""
        pairs = [*enumerate(self.W), *enumerate(self.R)]
        return [(W, depth) for depth, W in pairs if W is not None]

    @property
    def biases(self):
        """Biases of dense layers with their depth."""
        first = len(self.W) - len(self.b)
        return [(b, first + i) for i, b in enumerate(self.b)]

    @property
    def learned(self):
        tensors = [tensor for tensor, _ in [*self.matrices, *self.biases]]
        tensors += self.norms.parameters() if self.norms else []
        tensors += [] if self.scales is None else [self.scales]
        learns = isinstance(self.embedding, Periodic)
        return [*tensors, *(self.arrays.values() if learns else [])]

    def embed(self, A):
        if not isinstance(self.embedding, Periodic):
            return torch.cat([A, (self.components(A) - self.mean) / self.scale], 1)
        c, s, w, b = self.arrays.values()
        Z = torch.cos(2 * torch.pi * (A[:, :, None] * c + s))
        Z = torch.einsum("ndk,dkh->ndh", Z, w) + b
        Z = torch.relu(Z) if self.embedding.activation else Z
        return torch.cat([A, Z.flatten(1)], 1)

    def drop(self, A, rate, masks):
        """Apply the next mask; without masks, its mean, as in prediction."""
        inverted = self.model.dropout_scaling == "inverted"
        if not rate or (masks is None and inverted):
            return A
        if masks is None:
            return A * (1 - rate)
        kept = torch.tensor(next(masks) > 0).double()
        return A * kept / (1 - rate) if inverted else A * kept

    def __call__(self, A, masks=None):
        model = self.model
        rates = model.dropout
        rates = rates if isinstance(rates, list) else [rates] * len(self.activations)
        if self.embedding is not None:
            A = self.embed(A)
        A = self.drop(A, model.input_dropout, masks)
        if self.scales is not None:
            A = A * self.scales
        for i, activation in enumerate(self.activations):
            Z = A @ self.drop(self.W[i], model.dropconnect, masks)
            Z = self.norms[i](Z) if self.norms else Z + self.b[i]
            H = parts.ACTIVATIONS[type(activation)](activation, Z)
            H = self.drop(H, rates[i], masks)
            if model.residual:
                H = H + (A if self.R[i] is None else A @ self.R[i])
            A = H
        return A @ self.drop(self.W[-1], model.dropconnect, masks) + self.b[-1]


class Training:
    """An estimator and its data, as PyTorch trains it.

    Attributes
    ----------
    network : Network
    curve : list of float
        The objective of each epoch.
    """

    def __init__(self, model, X, y, sample_weight=None):
        if model.batch_norm and sample_weight is not None:
            # Samples without weight must not change the statistics of batches.
            kept = sample_weight > 0
            X, y, sample_weight = X[kept], y[kept], sample_weight[kept]
        self.model, self.loss = model, loss_of(model)
        start, drawn = started(model, X, y, sample_weight)
        self.network = Network(model, start, X, sample_weight)
        self.masks, self.noisy = iter(drawn["masks"]), iter(drawn["noisy"])
        self.losses = parts.LOSSES[type(self.loss)]
        if isinstance(self.loss, SampledSoftmax):
            self.losses = self.losses(y, drawn["keys"])
        self.X, self.y = torch.tensor(X), torch.tensor(self.encoded(y))
        weight = np.ones(len(X)) if sample_weight is None else sample_weight
        self.weight = torch.tensor(weight / weight.mean())
        self.curve = []
        self.penalty = None
        if model.penalty is not None:
            penalty = part(model.penalty, PENALTIES)
            self.penalty = parts.PENALTIES[type(penalty)](penalty)
        solver = part(model.solver, OPTIMIZERS)
        if solver.stochastic:
            self.descend(solver)
        else:
            self.minimize(solver)

    def encoded(self, y):
        """Return class indices, or a matrix of numbers."""
        takes_indices = y.max() > 1 or isinstance(self.loss, HierarchicalSoftmax)
        if is_classifier(self.model) and y.ndim == 1 and takes_indices:
            return y
        return y.reshape(len(y), -1).astype(float)

    def at_depth(self, name, depth):
        values = getattr(self.model, name)
        return values[depth] if isinstance(values, list) else values

    @property
    def penalized(self):
        """Penalized tensors with their strengths."""
        if self.penalty is None:
            return []
        pairs = self.network.matrices
        if isinstance(self.penalty, parts.GroupLasso):
            by_inputs = self.penalty.axis == 1
            pairs = [(W, depth) for W, depth in pairs if not (by_inputs and depth)]
        elif self.model.penalize_bias:
            pairs = [*pairs, *self.network.biases]
        return [(x, self.at_depth("alpha", depth)) for x, depth in pairs]

    def data_loss(self, X, rows, masks):
        losses = self.losses(self.loss, self.network(X, masks), self.y[rows])
        return (losses * self.weight[rows]).mean()

    def smooth(self):
        return sum((self.penalty.smooth(*pair) for pair in self.penalized), 0.0)

    def rough(self):
        return sum((self.penalty.rough(*pair) for pair in self.penalized), 0.0)

    def descend(self, part):
        """Train in batches."""
        model, tensors = self.model, self.network.learned
        is_rough = self.penalty is not None and self.penalty.l1 > 0
        l2 = {id(x): alpha * self.penalty.l2 for x, alpha in self.penalized}
        decays = [l2.get(id(x), 0.0) for x in tensors]
        kind = parts.OPTIMIZERS[type(part)][is_rough]
        solver = kind(part, model.learning_rate_init, tensors, decays)
        self.lengths = []
        for _ in range(model.max_iter):
            total = 0.0
            for rows in torch.arange(len(self.X)).split(model.batch_size):
                value = self.step(solver, rows, isinstance(part, AdamW))
                total += value * len(rows)
            self.curve.append(total / len(self.X))
        assert next(self.masks, None) is None

    @torch.no_grad()
    def step(self, solver, rows, decoupled):
        solver.begin()
        X = self.X[rows]
        if self.model.augment is not None:
            X = torch.tensor(next(self.noisy))
        tensors = self.network.learned
        with torch.enable_grad():
            value = self.data_loss(X, rows, self.masks)
            smooth = self.smooth()
            objective = value if decoupled else value + smooth
            for x, grad in zip(
                tensors, torch.autograd.grad(objective, tensors), strict=True
            ):
                x.grad = grad
        self.clip(tensors)
        value = value + smooth + self.rough()
        sizes = solver.step()
        if self.penalty is not None and self.penalty.l1 > 0:
            size_of = {id(x): size for x, size in zip(tensors, sizes, strict=True)}
            for x, alpha in self.penalized:
                x[...] = self.penalty.prox(x, alpha, size_of[id(x)])
        for W, depth in self.network.matrices:
            bound = self.at_depth("max_norm", depth)
            if bound is not None:
                W *= (bound / W.norm(dim=0)).clamp(max=1)
        solver.end()
        return value.item()

    def clip(self, tensors):
        if self.model.clip_norm is not None:
            length = torch.cat([x.grad.flatten() for x in tensors]).norm()
            self.lengths.append(length.item())
            for x in tensors:
                x.grad *= self.model.clip_norm / max(
                    length.item(), self.model.clip_norm
                )

    def minimize(self, part):
        """Minimize the objective by L-BFGS."""
        tensors = self.network.learned
        sizes = [x.numel() for x in tensors]

        def set_tensors(theta):
            with torch.no_grad():
                for x, values in zip(
                    tensors, torch.tensor(theta).split(sizes), strict=True
                ):
                    x[...] = values.reshape(x.shape)

        def objective(theta):
            set_tensors(theta)
            value = self.data_loss(self.X, slice(None), None) + self.smooth()
            grads = torch.autograd.grad(value, tensors)
            return value.item(), torch.cat([g.flatten() for g in grads]).numpy()

        result = minimize(
            objective,
            torch.cat([x.detach().flatten() for x in tensors]).numpy(),
            method="L-BFGS-B",
            jac=True,
            callback=lambda intermediate_result: self.curve.append(
                intermediate_result.fun
            ),
            options={
                "maxiter": self.model.max_iter,
                "maxfun": part.max_fun,
                "gtol": self.model.tol,
                "ftol": 64 * np.finfo(float).eps,
            },
        )
        set_tensors(result.x)
        if self.model.batch_norm:
            self.take_averages()

    @torch.no_grad()
    def take_averages(self):
        """Set the averages of batch norm to those of all the data."""
        for norm in self.network.norms:
            norm.momentum = 1.0
        self.network(self.X)
        n = len(self.X)
        for norm in self.network.norms:
            norm.running_var *= (n - 1) / n

    @torch.no_grad()
    def fitted(self, X):
        """Return fitted attributes by name, and what is predicted for ``X``."""
        network = self.network
        if network.norms:
            network.norms.eval()
        for tensor in network.learned:
            tensor.requires_grad_(False)
        n_dropped = len(network.W) - len(network.b)
        zeros = [torch.zeros(W.shape[1]) for W in network.W[:n_dropped]]
        found = {
            "coefs_": network.W,
            "intercepts_": [*zeros, *network.b],
            "loss_curve_": self.curve,
            "prediction": parts.predicted(self.loss, network(torch.tensor(X))),
        }
        if self.model.residual:
            found["residual_coefs_"] = network.R
        if self.model.batch_norm:
            found["batch_norm_"] = [
                {
                    "scale": norm.weight,
                    "shift": norm.bias,
                    "mean": norm.running_mean,
                    "var": norm.running_var,
                }
                for norm in network.norms
            ]
        if self.model.layer_norm:
            found["layer_norm_"] = [
                {"scale": norm.weight, "shift": norm.bias} for norm in network.norms
            ]
        if self.model.feature_scaling:
            found["feature_scales_"] = network.scales
        if isinstance(network.embedding, Periodic):
            found["embedding_"] = network.arrays
        elif network.embedding is not None:
            found["embedding_"] = {"mean": network.mean, "scale": network.scale}
        return found
