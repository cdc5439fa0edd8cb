"""Parts by their documented formulas, in PyTorch, without derivatives of our own.

Each dict has one function or class for each registered part, by the part's class.
"""

import numpy as np
import torch

from sknn_notes import activations, losses, optimizers, penalties
from sknn_notes._arrays import random_words

F = torch.nn.functional


# Activations: f(part, Z).

ACTIVATIONS = {
    activations.ELU: lambda part, Z: F.elu(Z, part.alpha),
    activations.GELU: lambda part, Z: F.gelu(Z),
    activations.Identity: lambda part, Z: Z,
    activations.LeakyReLU: lambda part, Z: F.leaky_relu(Z, part.negative_slope),
    activations.Logistic: lambda part, Z: torch.sigmoid(Z),
    activations.ReLU: lambda part, Z: torch.relu(Z),
    activations.SiLU: lambda part, Z: F.silu(Z),
    activations.Tanh: lambda part, Z: torch.tanh(Z),
}


# Losses: f(part, raw, y) returns the loss of each sample. Mutually exclusive classes
# are indices, other targets a matrix.


def log_loss(part, raw, y):
    s = part.label_smoothing
    if y.ndim == 1:
        return F.cross_entropy(raw, y, reduction="none", label_smoothing=s)
    targets = (1 - s) * y + s / 2
    return F.binary_cross_entropy_with_logits(raw, targets, reduction="none").sum(1)


def hinge(part, raw, y, power=1):
    if y.ndim == 2:
        return (torch.relu(part.margin - (2 * y - 1) * raw) ** power).sum(1)
    # PyTorch divides by the number of classes.
    losses = F.multi_margin_loss(raw, y, p=power, margin=part.margin, reduction="none")
    return raw.shape[1] * losses


def balanced_tree(classes):
    """Return nested pairs of classes, halves that differ by at most one class."""
    n = len(classes)
    if n == 1:
        return classes[0]
    left, right = classes[: (n + 1) // 2], classes[(n + 1) // 2 :]
    return balanced_tree(left), balanced_tree(right)


def log_probabilities(part, raw):
    """Return those of the leaves of a tree, whose nodes are numbered level by level."""
    tree, node, leaves = part.tree, 0, {}
    if raw.shape[1] == 1 or tree == "balanced":
        tree = balanced_tree(range(raw.shape[1] + 1))
    pending = [(tree, torch.zeros(len(raw), dtype=raw.dtype))]
    for branch, log in pending:  # The loop appends the branches below.
        if isinstance(branch, tuple):
            left, right = branch
            pending.append((left, log + F.logsigmoid(-raw[:, node])))
            pending.append((right, log + F.logsigmoid(raw[:, node])))
            node += 1
        else:
            leaves[branch] = log
    return torch.stack([leaves[k] for k in sorted(leaves)], 1)


def hierarchical_softmax(part, raw, y):
    return F.nll_loss(log_probabilities(part, raw), y, reduction="none")


class SampledSoftmax:
    """The loss of a step with given keys; ``y`` are the targets of all samples."""

    def __init__(self, y, keys):
        self.counts, self.keys = np.bincount(y), iter(keys)

    def probabilities(self, part):
        n = len(self.counts)
        if part.distribution == "uniform":
            return np.full(n, 1 / n)
        if part.distribution == "frequency":
            return self.counts / self.counts.sum()
        ranks = np.argsort(np.argsort(-self.counts, kind="stable"))
        return np.log((ranks + 2) / (ranks + 1)) / np.log(n + 1)

    def __call__(self, part, raw, y):
        q, n = self.probabilities(part), part.n_negatives
        uniform = (random_words(next(self.keys), np.arange(n)) + 0.5) / 2**32
        drawn = torch.tensor(np.searchsorted(np.cumsum(q), uniform))
        # A class that is drawn twice counts twice.
        logits = raw[:, drawn] - torch.log(n * torch.tensor(q)[drawn])
        logits = torch.where(drawn == y[:, None], -torch.inf, logits)
        own = raw.gather(1, y[:, None])
        return torch.cat([own, logits], 1).logsumexp(1) - own[:, 0]


def gaussian_nll(part, raw, y):
    m, s = raw.chunk(2, 1)
    return 0.5 * (s + (y - m) ** 2 * torch.exp(-s)).sum(1)


def huber(part, raw, y):
    return F.huber_loss(raw, y, delta=part.delta, reduction="none").sum(1)


def poisson(part, raw, y):
    # PyTorch leaves out the part that depends on the targets alone.
    constant = torch.special.xlogy(y, y) - y
    return (F.poisson_nll_loss(raw, y, reduction="none") + constant).sum(1)


def tweedie(part, raw, y):
    def B(x, a):
        return torch.log(x) if a == 0 else (x**a - 1) / a

    m, a, b = torch.exp(raw), 2 - part.power, 1 - part.power
    # The term of targets of 0 is 0.
    y_term = torch.where(y > 0, y * (B(m, b) - B(y.clamp(min=1e-300), b)), 0)
    return (B(m, a) - B(y, a) - y_term).sum(1)


def quantiles(part, raw, y):
    """Return the quantile of each level, of shape (n_samples, n_outputs)."""
    lowest, *increments = raw.split(raw.shape[1] // len(part.levels), 1)
    return torch.stack([lowest, *map(F.softplus, increments)]).cumsum(0)


def pinball(part, raw, y):
    levels = torch.tensor(part.levels, dtype=raw.dtype)[:, None, None]
    rest = y - quantiles(part, raw, y)
    return torch.where(rest > 0, levels * rest, (levels - 1) * rest).sum((0, 2))


LOSSES = {
    losses.AbsoluteError: lambda part, raw, y: (raw - y).abs().sum(1),
    losses.Gamma: lambda part, raw, y: (
        raw + y * torch.exp(-raw) - torch.log(y) - 1
    ).sum(1),
    losses.GaussianNLL: gaussian_nll,
    losses.HierarchicalSoftmax: hierarchical_softmax,
    losses.Hinge: hinge,
    losses.Huber: huber,
    losses.LogLoss: log_loss,
    losses.Poisson: poisson,
    losses.Quantile: pinball,
    losses.SampledSoftmax: SampledSoftmax,
    losses.SquaredError: lambda part, raw, y: 0.5 * ((raw - y) ** 2).sum(1),
    losses.SquaredHinge: lambda part, raw, y: hinge(part, raw, y, power=2),
    losses.Tweedie: tweedie,
}


def predicted(part, raw):
    """Return what ``decision_function`` or ``predict`` makes of raw outputs."""
    if isinstance(part, losses.HierarchicalSoftmax) and raw.shape[1] > 1:
        return log_probabilities(part, raw)
    if isinstance(part, losses.Poisson | losses.Gamma | losses.Tweedie):
        return torch.exp(raw)
    if isinstance(part, losses.GaussianNLL):
        return raw.chunk(2, 1)[0]
    if isinstance(part, losses.Quantile):
        nearest = min(part.levels, key=lambda level: abs(level - 0.5))
        return quantiles(part, raw, None)[part.levels.index(nearest)]
    return raw


# Penalties.


class Elastic:
    """A mixture of L1 and L2."""

    def __init__(self, l1, l2):
        self.l1, self.l2 = l1, l2

    def smooth(self, W, alpha):
        return 0.5 * alpha * self.l2 * (W**2).sum()

    def rough(self, W, alpha):
        return alpha * self.l1 * W.abs().sum()

    def prox(self, W, alpha, steps):
        return W.sign() * torch.relu(W.abs() - alpha * self.l1 * steps)


class GroupLasso:
    l1, l2 = 1, 0

    def __init__(self, groups):
        self.axis = 1 if groups == "inputs" else 0

    def smooth(self, W, alpha):
        return 0.0

    def rough(self, W, alpha):
        return alpha * W.shape[self.axis] ** 0.5 * W.norm(dim=self.axis).sum()

    def prox(self, W, alpha, steps):
        # The minimum x of sum((x - W)**2 / (2 steps)) + strength * norm(x) has
        # x = W / (1 + cut / norm(x)). Its norm is found by bisection.
        axis = self.axis
        cut = alpha * W.shape[axis] ** 0.5 * steps * torch.ones_like(W)
        high = W.norm(dim=axis, keepdim=True)
        low = torch.zeros_like(high)
        for _ in range(64):
            middle = (low + high) / 2
            above = (W / (middle + cut)).norm(dim=axis, keepdim=True) > 1
            low, high = (
                torch.where(above, middle, low),
                torch.where(above, high, middle),
            )
        vanishes = (W / cut).norm(dim=axis, keepdim=True) <= 1
        return torch.where(vanishes, 0, W * high / (high + cut))


PENALTIES = {
    penalties.ElasticNet: lambda part: Elastic(part.l1_ratio, 1 - part.l1_ratio),
    penalties.GroupLasso: lambda part: GroupLasso(part.groups),
    penalties.L1: lambda part: Elastic(1, 0),
    penalties.L2: lambda part: Elastic(0, 1),
}


# Optimizers. ``begin`` comes before a step's gradient, ``step`` returns the step size
# of each weight for the proximal step, and ``end`` comes after that.


class Optimizer:
    def __init__(self, solver):
        self.solver = solver

    def begin(self):
        pass

    def step(self):
        self.solver.step()

    def end(self):
        pass


class Sgd(Optimizer):
    def __init__(self, part, rate, tensors, decays):
        super().__init__(
            torch.optim.SGD(
                tensors,
                lr=rate,
                momentum=part.momentum,
                nesterov=part.nesterovs_momentum and part.momentum > 0,
            )
        )


class ProximalSgd(Optimizer):
    """Here the velocity is the difference of iterates, after their proximal steps."""

    def __init__(self, part, rate, tensors, decays):
        self.part, self.rate, self.tensors = part, rate, tensors
        self.velocities = [torch.zeros_like(x) for x in tensors]

    def begin(self):
        self.before = [x.clone() for x in self.tensors]
        if self.part.nesterovs_momentum:
            self.move()

    def move(self):
        for x, v in zip(self.tensors, self.velocities, strict=True):
            x += self.part.momentum * v

    def step(self):
        for x in self.tensors:
            x -= self.rate * x.grad
        if not self.part.nesterovs_momentum:
            self.move()
        return [self.rate] * len(self.tensors)

    def end(self):
        pairs = zip(self.tensors, self.before, strict=True)
        self.velocities = [x - before for x, before in pairs]


class Adam(Optimizer):
    """Adam with scikit-learn's epsilon, PyTorch's times ``sqrt(1 - beta_2**t)``."""

    kind = torch.optim.Adam

    def __init__(self, part, rate, tensors, decays):
        self.part, self.rate, self.t = part, rate, 0
        groups = [{"params": [x]} for x in tensors]
        super().__init__(self.kind(groups, lr=rate, betas=(part.beta_1, part.beta_2)))

    def step(self):
        self.t += 1
        correction = (1 - self.part.beta_2**self.t) ** 0.5
        epsilon = self.part.epsilon / correction
        for group in self.solver.param_groups:
            group["eps"] = epsilon
        self.solver.step()
        squares = [state["exp_avg_sq"] for state in self.solver.state.values()]
        return [self.rate / (v.sqrt() / correction + epsilon) for v in squares]


class AdamW(Adam):
    kind = torch.optim.AdamW

    def __init__(self, part, rate, tensors, decays):
        super().__init__(part, rate, tensors, decays)
        for group, decay in zip(self.solver.param_groups, decays, strict=True):
            group["weight_decay"] = decay


class RmsProp(Optimizer):
    def __init__(self, part, rate, tensors, decays):
        self.part, self.rate = part, rate
        options = {"lr": rate, "alpha": part.rho, "eps": part.epsilon}
        super().__init__(torch.optim.RMSprop(tensors, **options))

    def step(self):
        self.solver.step()
        squares = [state["square_avg"] for state in self.solver.state.values()]
        return [self.rate / (v.sqrt() + self.part.epsilon) for v in squares]


# Without and with a proximal step.
OPTIMIZERS = {
    optimizers.Adam: (Adam, Adam),
    optimizers.AdamW: (AdamW, AdamW),
    optimizers.RMSProp: (RmsProp, RmsProp),
    optimizers.SGD: (Sgd, ProximalSgd),
}
