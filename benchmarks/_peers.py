"""The same training in other libraries, written as recommended for each of them.

Each function returns a contender: the seconds per step over ``n_epochs`` epochs of Adam
with an L2 penalty, from new weights. The time excludes creating the weights, moving the
data and compiling, except for skorch, whose ``fit`` is timed as a whole like that of
other estimators.
"""

import importlib.util
from functools import partial
from itertools import pairwise
from time import perf_counter

import numpy as np

from _steps import N_BATCHES

RATE, PENALTY = 1e-3, 1e-4


def available(threads):
    """Return the available peers by name, and print which are missing and why."""
    usable = {}
    for name, (make, requirements) in PEERS.items():
        missing = [r for r in requirements if importlib.util.find_spec(r) is None]
        if missing:
            print(f"{name} is skipped: {', '.join(missing)} is not installed")
        else:
            usable[name] = make
    if "PyTorch" in usable:
        import torch

        torch.set_num_threads(threads)
    return usable


def _torch_net(configuration):
    from torch import nn

    layers = []
    for shape in pairwise(configuration.units):
        layers += [nn.Linear(*shape), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def torch_step(configuration, data, n_epochs):
    """PyTorch, eager: fused Adam, batches gathered by a permutation of the rows."""
    import torch

    X, y = map(torch.from_numpy, data)
    cross_entropy = torch.nn.CrossEntropyLoss()

    def run():
        net = _torch_net(configuration)
        adam = torch.optim.Adam(
            net.parameters(), lr=RATE, weight_decay=PENALTY, fused=True
        )
        begin = perf_counter()
        for _ in range(n_epochs):
            for rows in torch.randperm(len(X)).split(configuration.batch_size):
                adam.zero_grad()
                loss = cross_entropy(net(X[rows]), y[rows])
                loss.backward()
                adam.step()
        return (perf_counter() - begin) / (n_epochs * N_BATCHES)

    return run


def skorch_step(configuration, data, n_epochs):
    """skorch: the same network; no validation split, no callbacks, nothing printed."""
    import torch
    from skorch import NeuralNetClassifier

    X, y = data

    def run():
        net = NeuralNetClassifier(
            _torch_net(configuration),
            criterion=torch.nn.CrossEntropyLoss,
            optimizer=torch.optim.Adam,
            optimizer__fused=True,
            optimizer__weight_decay=PENALTY,
            lr=RATE,
            max_epochs=n_epochs,
            batch_size=configuration.batch_size,
            iterator_train__shuffle=True,
            train_split=None,
            callbacks="disable",
            verbose=0,
        )
        begin = perf_counter()
        net.fit(X, y)
        return (perf_counter() - begin) / (n_epochs * N_BATCHES)

    return run


def jax_step(configuration, data, n_epochs):
    """JAX: a whole epoch is one compiled function, with its state donated.

    It scans over the batches and gathers their rows; optax's Adam makes the steps. The
    permutation comes from numpy, which draws it faster.
    """
    import jax
    import jax.numpy as jnp
    import optax

    X, y = map(jnp.asarray, data)
    adam = optax.chain(optax.add_decayed_weights(PENALTY), optax.adam(RATE))
    rng = np.random.default_rng(0)

    def loss(theta, X, y):
        *hidden, (W, b) = theta
        for W_hidden, b_hidden in hidden:
            X = jax.nn.relu(X @ W_hidden + b_hidden)
        logits = X @ W + b
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    @partial(jax.jit, donate_argnums=0)
    def epoch(carry, order, X, y):
        def step(carry, rows):
            theta, state = carry
            value, grad = jax.value_and_grad(loss)(theta, X[rows], y[rows])
            change, state = adam.update(grad, state, theta)
            return (optax.apply_updates(theta, change), state), value

        return jax.lax.scan(step, carry, order)

    @jax.jit
    def start():
        theta = [
            (jax.random.normal(jax.random.key(i), shape) / shape[0] ** 0.5, b)
            for i, shape in enumerate(pairwise(configuration.units))
            for b in [jnp.zeros(shape[1])]
        ]
        return theta, adam.init(theta)

    def train(n_epochs):
        carry = jax.block_until_ready(start())
        begin = perf_counter()
        for _ in range(n_epochs):
            order = rng.permutation(len(X)).astype(np.int32)
            carry, _ = epoch(carry, order.reshape(N_BATCHES, -1), X, y)
        jax.block_until_ready(carry)
        return (perf_counter() - begin) / (n_epochs * N_BATCHES)

    train(1)
    return lambda: train(n_epochs)


# name -> (contender, packages it needs)
PEERS = {
    "PyTorch": (torch_step, ["torch"]),
    "skorch": (skorch_step, ["torch", "skorch"]),
    "JAX": (jax_step, ["jax", "optax"]),
}
