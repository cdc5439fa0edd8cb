"""Checks that find common problems before a long training."""

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

    The checks are, in the order in which problems should be fixed:

    ===================== ============================================================
    inputs                The columns of X have mean 0 and root mean square 1,
                          approximately.
    constant inputs       Constant columns of X are 0.
    targets               Regression targets have mean 0 and root mean square 1,
                          approximately.
    loss at chance        With small weights the loss is that of guessing: ln K for the
                          log loss of K classes, K - 1 for the hinge losses, ln 2 times
                          the mean depth for hierarchical softmax, otherwise the loss
                          of outputs of 0.
    loss at start         With the initial weights the loss is not far above that.
    penalty               The penalty adds to the loss, but does not exceed it.
    gradient              The gradient equals centered differences in float64, without
                          noise, at some coordinates of each parameter array.
    overfit               The network can overfit twenty samples without penalty, max
                          norm and noise.
    learning rate         A short training lowers the loss by more than a thousandth,
                          and each step changes the weights by about a thousandth.
    dead units            Few units have zero gradient on all samples, and few units of
                          tanh or logistic are saturated, before and after the short
                          training.
    ===================== ============================================================

    Returns
    -------
    report : SanityReport
        One finding per check: what was found, and what to change. It prints as a
        table.

    See Also
    --------
    ActivationsDisplay : Outputs and gradients of the hidden units.
    UpdateRatioDisplay : Relative size of the training steps over the epochs.

    Notes
    -----
    Earlier steps of a Pipeline are fitted to all of ``X``. The checks use a random
    sample of the rows if there are many.

    With ``random_state=None`` the checks use a fixed seed, so the report is
    reproducible. The check of the learning rate is skipped for 'lbfgs', which has none.

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
        # The checks report what matters, and train on few samples on purpose.
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
