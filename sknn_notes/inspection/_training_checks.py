"""Checks by short trainings: overfitting, learning rate, dead units."""

import numpy as np

from sknn_notes._typing import Integers
from sknn_notes.inspection._chance import loss_of_constants
from sknn_notes.inspection._report import Finding
from sknn_notes.inspection._subject import Subject, take
from sknn_notes.inspection._units import dead_fractions, saturated_fractions
from sknn_notes.losses import RegressionLoss
from sknn_notes.neural_network._parameters import base_rate

_N_FEW = 20
# Losses relative to that of constant predictions: overfitted, and on the way to it.
_OVERFITTED, _ON_THE_WAY = 0.05, 0.5
# Update-to-weight ratios. The weights of wide layers are small, so that Adam's first
# steps on them are tens of times the rule of thumb; later steps are not.
_RULE, _SMALL, _LARGE, _HUGE = 1e-3, 3e-5, 5e-2, 0.5
# Minimum relative decrease of the loss in the short training.
_MOVED = 1e-3
# Fractions of units, or of (sample, unit) pairs.
_SOME, _MANY = 0.2, 0.5


def overfit(subject: Subject) -> Finding:
    """Check that the network can overfit twenty samples."""
    name = "overfit"
    rows = _few_rows(subject)
    _, y, sample_weight = take(subject.batches, rows)
    if not np.ptp(y, axis=0).any():
        found = f"the {len(rows)} selected samples have equal targets"
        return Finding(name, "skip", found)
    constant = loss_of_constants(subject.plan.loss, y, sample_weight, subject.n_raw)
    losses = subject.overfit(rows)
    if not losses:
        change = "Lower learning_rate_init, or scale the inputs."
        return Finding(name, "fail", "the loss became infinite or NaN", change)
    # The loss of a distribution has no lower bound, and late steps may overshoot.
    lowest = min(losses)
    found = (
        f"{len(rows)} samples: loss {lowest:.3g} within {len(losses)} steps; "
        f"constant predictions: {constant:.3g}"
    )
    if lowest <= _OVERFITTED * constant:
        return Finding(name, "pass", found)
    if lowest <= _ON_THE_WAY * constant:
        change = (
            "The network learns slowly. Raise learning_rate_init, add units, or look "
            "for equal samples with different targets."
        )
        return Finding(name, "warn", found, change)
    change = (
        "The network cannot overfit a few samples. Scale the inputs, change "
        "learning_rate_init, init or the number of units, or check that the rows of X "
        "and y match."
    )
    return Finding(name, "fail", found, change)


def _few_rows(subject: Subject) -> Integers:
    """Return some rows, of single-label classes about equally many of each."""
    y = subject.batches.y[subject.order]
    if isinstance(subject.plan.loss, RegressionLoss) or y[0].size > 1:
        return subject.order[:_N_FEW]
    rank = np.empty(len(y), int)
    for label in np.unique(y):
        of_class = y.ravel() == label
        rank[of_class] = np.arange(np.count_nonzero(of_class))
    return subject.order[np.argsort(rank, kind="stable")[:_N_FEW]]


def learning_rate(subject: Subject) -> Finding:
    """Check that a short training lowers the loss with steps of a good size."""
    name = "learning rate"
    if not subject.plan.solver.stochastic:
        return Finding(name, "skip", "a line search sets the size of each step")
    parameter, rate = base_rate(subject.mlp)
    training = subject.short_training
    if training is None:
        change = f"Lower {parameter}={rate:g}, for example by a factor of ten."
        return Finding(name, "fail", "the loss became infinite or NaN", change)
    ratios = training.ratios[np.isfinite(training.ratios)]
    if not ratios.any():
        change = "The gradient is zero. Check the dead units, and init."
        return Finding(name, "fail", "no step changes the weights", change)
    ratio = ratios.max()
    found = (
        f"steps of up to {ratio:.1g} of the weights; loss from "
        f"{subject.start_loss:.3g} to {training.loss:.3g} in {training.n_steps} steps"
    )
    fell = subject.start_loss - training.loss
    least = _MOVED * abs(subject.start_loss)
    moved = fell > least
    if moved and _SMALL <= ratio <= _LARGE:
        return Finding(name, "pass", found)
    if abs(fell) <= least and _RULE <= ratio <= _LARGE:
        change = (
            "The steps have a good size, but the loss hardly changes. Scale targets "
            "and inputs, lower alpha, or check how y was computed."
        )
        return Finding(name, "fail", found, change)
    verb, better = "Lower" if ratio > _RULE else "Raise", rate * _RULE / ratio
    change = (
        f"{verb} {parameter}={rate:g}: about {better:.1g} gives steps of {_RULE:g}."
    )
    return Finding(name, "warn" if moved and ratio <= _HUGE else "fail", found, change)


def dead_units(subject: Subject) -> Finding:
    """Look for units without gradient, before and after the short training."""
    name = "dead units"
    activations = subject.network.activations
    if not activations:
        return Finding(name, "skip", "there are no hidden layers")
    moments = [("at the start", subject.start_states)]
    if subject.plan.solver.stochastic and subject.short_training is not None:
        training = subject.short_training
        moments.append((f"after {training.n_steps} steps", training.states))
    most_dead, most_saturated, found = 0.0, 0.0, []
    for moment, states in moments:
        dead = dead_fractions(states.slopes)
        layer = int(np.argmax(dead))
        where = f" (layer {layer + 1})" if dead[layer] else ""
        found.append(f"{dead[layer]:.0%} dead {moment}{where}")
        most_dead = max(most_dead, dead[layer])
        shares = saturated_fractions(states.slopes)
        # Half of the units of the ReLU family are off, as they should be.
        saturated = max(
            0.0 if activation.rectifies else float(share)
            for activation, share in zip(activations, shares, strict=True)
        )
        if saturated > _MANY:
            found.append(f"{saturated:.0%} saturated {moment}")
        most_saturated = max(most_saturated, saturated)
    text = "; ".join(found)
    if most_dead <= _SOME and most_saturated <= _MANY:
        return Finding(name, "pass", text)
    change = (
        "Scale the inputs, lower learning_rate_init, use init='auto' and bias_init "
        "near 0, batch_norm=True, or activation='leaky_relu'."
    )
    return Finding(name, "fail" if most_dead > _MANY else "warn", text, change)
