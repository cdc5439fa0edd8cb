"""Checks by short trainings: twenty samples by heart, learning rate, dead units."""

import numpy as np

from sknn_notes._typing import Integers
from sknn_notes.inspection._chance import loss_of_constants
from sknn_notes.inspection._report import Finding
from sknn_notes.inspection._subject import Subject, take
from sknn_notes.inspection._units import dead_fractions, saturated_fractions
from sknn_notes.losses import RegressionLoss
from sknn_notes.neural_network._parameters import base_rate

_N_FEW = 20
# Shares of what a constant reaches: learnt by heart, and on the way.
_BY_HEART, _ON_THE_WAY = 0.05, 0.5
# Ratios of update to weights. Adam's first steps on the weights of wide layers, which
# are small, are tens of times the rule of thumb, and mend themselves.
_RULE, _SMALL, _LARGE, _HUGE = 1e-3, 3e-5, 5e-2, 0.5
# Share of the loss by which the short training lowers it, at least.
_MOVED = 1e-3
# Shares of units, or of units and samples.
_SOME, _MANY = 0.2, 0.5


def overfit(subject: Subject) -> Finding:
    """See that twenty samples can be learnt by heart."""
    name = "overfit"
    rows = _few_rows(subject)
    _, y, sample_weight = take(subject.batches, rows)
    if not np.ptp(y, axis=0).any():
        found = f"the {len(rows)} samples drawn have equal targets"
        return Finding(name, "skip", found)
    constant = loss_of_constants(subject.plan.loss, y, sample_weight, subject.n_raw)
    losses = subject.learn_by_heart(rows)
    if not losses:
        change = "Lower learning_rate_init, or scale the inputs."
        return Finding(name, "fail", "the loss stopped being finite", change)
    # A likelihood has no bound, and steps that narrow it may go too far later on.
    lowest = min(losses)
    found = (
        f"{len(rows)} samples: loss {lowest:.3g} within {len(losses)} steps; "
        f"guessing: {constant:.3g}"
    )
    if lowest <= _BY_HEART * constant:
        return Finding(name, "pass", found)
    if lowest <= _ON_THE_WAY * constant:
        change = (
            "It learns, but slowly: raise learning_rate_init, or add units; look for "
            "equal samples with different targets."
        )
        return Finding(name, "warn", found, change)
    change = (
        "It can't even learn these by heart: scale the inputs, change "
        "learning_rate_init, init and the number of units; look for a mix-up of y."
    )
    return Finding(name, "fail", found, change)


def _few_rows(subject: Subject) -> Integers:
    """Return some rows; of classes that exclude each other about as many of each."""
    y = subject.batches.y[subject.order]
    if isinstance(subject.plan.loss, RegressionLoss) or y[0].size > 1:
        return subject.order[:_N_FEW]
    rank = np.empty(len(y), int)
    for label in np.unique(y):
        of_class = y.ravel() == label
        rank[of_class] = np.arange(np.count_nonzero(of_class))
    return subject.order[np.argsort(rank, kind="stable")[:_N_FEW]]


def learning_rate(subject: Subject) -> Finding:
    """See that a short training lowers the loss by steps of a good size."""
    name = "learning rate"
    if not subject.plan.solver.stochastic:
        return Finding(name, "skip", "lbfgs finds the size of every step by itself")
    parameter, rate = base_rate(subject.mlp)
    training = subject.short_training
    if training is None:
        change = f"Lower {parameter}={rate:g}, tenfold to begin with."
        return Finding(name, "fail", "the loss stopped being finite", change)
    ratios = training.ratios[np.isfinite(training.ratios)]
    if not ratios.any():
        change = "No gradient arrives: see dead units, and init."
        return Finding(name, "fail", "no step moves the weights", change)
    ratio = ratios.max()
    found = (
        f"steps of up to {ratio:.1g} of the weights; loss {subject.start_loss:.3g} to "
        f"{training.loss:.3g} in {training.n_steps} steps"
    )
    fell = subject.start_loss - training.loss
    least = _MOVED * abs(subject.start_loss)
    moved = fell > least
    if moved and _SMALL <= ratio <= _LARGE:
        return Finding(name, "pass", found)
    if abs(fell) <= least and _RULE <= ratio <= _LARGE:
        change = (
            "The steps are of a good size, but the loss hardly moves: scale targets "
            "and inputs, lower alpha, or look at how y was made."
        )
        return Finding(name, "fail", found, change)
    better = f"{parameter}={rate:g}: about {rate * _RULE / ratio:.1g} makes steps"
    change = f"{'Lower' if ratio > _RULE else 'Raise'} {better} of {_RULE:g}."
    return Finding(name, "warn" if moved and ratio <= _HUGE else "fail", found, change)


def dead_units(subject: Subject) -> Finding:
    """Look for units without gradient, before and after the short training."""
    name = "dead units"
    activations = subject.network.activations
    if not activations:
        return Finding(name, "skip", "no hidden layers")
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
