"""Checks that find most of what is wrong with a training before it runs for long."""

import warnings
from typing import Any

from numpy.typing import ArrayLike

from sknn_notes._docstrings import completed
from sknn_notes._typing import MatrixLike
from sknn_notes.inspection import _data_checks, _start_checks, _training_checks
from sknn_notes.inspection._access import untrained_network
from sknn_notes.inspection._docs import TRAINING
from sknn_notes.inspection._report import SanityReport
from sknn_notes.inspection._subject import Subject


@completed(TRAINING)
def sanity_check(estimator: Any, X: MatrixLike, y: ArrayLike) -> SanityReport:
    """Check data, loss, gradient and learning rate before a long training.

    The checks that the field recommends, in the order in which they are worth mending:

    ===================== ============================================================
    inputs                Columns of mean 0 and size 1, more or less.
    constant inputs       Columns that never change are 0, or left out.
    targets               The same for the targets of a regression.
    loss at chance        With small weights the loss is what guessing gives: ln K for
                          the log loss of K classes, K - 1 for the hinges, ln 2 times
                          the mean depth for hierarchical softmax; else that of
                          outputs of 0.
    loss at start         The network's own weights start no far above that.
    penalty               It adds to the loss, and does not outweigh it.
    gradient              The gradient equals centered differences, in float64, with the
                          noise off, at some coordinates of every parameter array.
    overfit               Twenty samples can be learnt by heart, with penalty, max norm
                          and noise off.
    learning rate         A short training with everything on lowers the loss by more
                          than a thousandth, and its steps are about 1e-3 of the size of
                          the weights.
    dead units            Few units get no gradient on any sample, and few of tanh or
                          logistic are saturated, before and after the short training.
    ===================== ============================================================

    Returns
    -------
    report : SanityReport
        One finding a check, with what was found and what to change. It prints as a
        table.

    See Also
    --------
    ActivationsDisplay : Outputs and gradients of the units.
    UpdateRatioDisplay : The size of the steps over the epochs.

    Notes
    -----
    Earlier steps of a Pipeline are fitted to all of ``X``. The checks use a random
    sample of the rows if there are many.

    With ``random_state=None`` the checks draw from a fixed seed, so that the report
    repeats. Under 'lbfgs', which has no learning rate, the checks that are about it are
    skipped.

    References
    ----------
    Karpathy, A. and Li, F.-F. (2015). CS231n: Convolutional neural networks for visual
    recognition, notes on learning and evaluation. Stanford University.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sknn_notes import MLPClassifier, Standardizer
    >>> from sknn_notes.inspection import sanity_check
    >>> X, y = load_iris(return_X_y=True)
    >>> model = make_pipeline(
    ...     Standardizer(), MLPClassifier(20, learning_rate_init=0.01, random_state=0)
    ... )
    >>> report = sanity_check(model, X, y)
    >>> report["loss at chance"].found
    '1.099 with small weights; chance is 1.099 (ln 3)'
    >>> {finding.status for finding in report.findings}
    {'pass'}
    """
    mlp, X, y = untrained_network(estimator, X, y, "sanity_check")
    with warnings.catch_warnings():
        # What matters is found by the checks; they train on few samples on purpose.
        warnings.simplefilter("ignore")
        subject = Subject(mlp, X, y)
        findings = [check(subject) for check in _CHECKS]
    return SanityReport(finding for finding in findings if finding is not None)


_CHECKS = [
    _data_checks.inputs,
    _data_checks.constant_inputs,
    _data_checks.targets,
    _start_checks.loss_at_chance,
    _start_checks.loss_at_start,
    _start_checks.penalty,
    _start_checks.gradient,
    _training_checks.overfit,
    _training_checks.learning_rate,
    _training_checks.dead_units,
]
