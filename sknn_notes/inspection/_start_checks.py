"""Checks of the network before the first training step: loss, penalty, gradient."""

import numpy as np
from sklearn.base import clone

from sknn_notes.initializers import Normal
from sknn_notes.inspection._access import start
from sknn_notes.inspection._chance import chance_level, loss_at_zero
from sknn_notes.inspection._gradient_check import gradient_errors
from sknn_notes.inspection._report import Finding
from sknn_notes.inspection._subject import Subject, data_loss, take

# How far the loss with small weights may be from chance level, relative to it.
_NEAR = 0.1
# How many times chance level the loss may be at the start.
_HIGH, _VERY_HIGH = 10.0, 50.0
# Relative errors of the gradient.
_CLOSE, _WRONG = 1e-5, 1e-3
_N_ROWS_OF_GRADIENT = 10


def loss_at_chance(subject: Subject) -> Finding:
    """Compare the loss with small weights with chance level."""
    plan, network = subject.plan, subject.network
    _, y, sample_weight = subject.batch
    chance, name = chance_level(plan.loss, y, sample_weight, subject.n_raw)
    theta = network.theta.copy()
    network.initialize(Normal(), plan.bias_init, np.random.default_rng(0))
    value = data_loss(plan.objective(network), subject.batch)
    network.theta[:] = theta
    found = f"{value:.4g} with small weights; chance is {chance:.4g} ({name})"
    if abs(value - chance) <= _NEAR * max(chance, 0.01):
        return Finding("loss at chance", "pass", found)
    change = (
        "Scale large inputs, and set bias_init near 0. If the inputs are small and "
        "bias_init is near 0, the loss computes wrong values."
    )
    return Finding("loss at chance", "fail", found, change)


def loss_at_start(subject: Subject) -> Finding:
    """Compare the loss with the initial weights with that of outputs of 0."""
    _, y, sample_weight = subject.batch
    chance = loss_at_zero(subject.plan.loss, y, sample_weight, subject.n_raw)
    value = subject.start_loss
    found = f"{value:.4g}; outputs of 0 give {chance:.4g}"
    if value <= _HIGH * chance:
        return Finding("loss at start", "pass", found)
    status = "warn" if value <= _VERY_HIGH * chance else "fail"
    change = (
        "Scale the inputs, or choose smaller initial weights (init, bias_init). The "
        "network spends its first epochs on unlearning large ones."
    )
    return Finding("loss at start", status, found, change)


def penalty(subject: Subject) -> Finding:
    """Check that the penalty adds to the loss at the start, but not too much."""
    plan, network = subject.plan, subject.network
    if plan.penalty is None or not any(plan.alphas):
        return Finding("penalty", "skip", "there is no penalty, or alpha=0")
    added = plan.objective(network)(*subject.batch) - subject.start_loss
    found = f"adds {added:.3g} to a loss of {subject.start_loss:.4g}"
    if not added > 0:
        change = (
            "The loss must increase with alpha. Check the value of the penalty, or "
            "init if all weights are 0."
        )
        return Finding("penalty", "fail", found, change)
    if added > subject.start_loss:
        change = "Lower alpha: the penalty exceeds the loss on the data."
        return Finding("penalty", "warn", found, change)
    return Finding("penalty", "pass", found)


def gradient(subject: Subject) -> Finding:
    """Compare the gradient with centered differences in float64."""
    mlp = clone(subject.mlp).set_params(dtype="float64")
    training = start(mlp, subject.X, subject.y)
    plan, network = training.plan, training.network
    X, y, sample_weight = take(training.batches, subject.order[:_N_ROWS_OF_GRADIENT])
    # This checks the code. Large inputs would only make the differences inaccurate.
    square = X.multiply(X) if hasattr(X, "multiply") else X * X
    X = X / max(1.0, np.sqrt(square.mean()))
    # At the initial weights, units may be equal, and activations not differentiable.
    rng = np.random.default_rng(0)
    network.theta += rng.normal(scale=0.05, size=network.theta.size)
    note = ""
    if plan.penalty is not None and not plan.penalty.smooth:
        # Non-smooth penalties act through proximal steps.
        plan.penalty, note = None, ", without the penalty"
    objective = plan.objective(network)
    error, name = gradient_errors(objective, (X, y, sample_weight), rng)
    if np.isnan(error):
        change = (
            "The objective is not differentiable near any probe. Check the gradient "
            "with a smooth activation and loss instead."
        )
        return Finding("gradient", "skip", "no coordinate could be checked", change)
    found = f"relative error up to {error:.1g}, in {name}{note}"
    if error <= _CLOSE:
        return Finding("gradient", "pass", found)
    change = (
        "Check the gradients of custom parts (loss, activation, penalty): one of them "
        "is not the derivative of its value."
    )
    return Finding("gradient", "warn" if error <= _WRONG else "fail", found, change)
