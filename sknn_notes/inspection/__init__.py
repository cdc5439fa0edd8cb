"""Displays of networks and their training, and checks before a long training.

The displays follow scikit-learn's convention: ``from_estimator`` computes and plots,
the constructor takes the computed values, and ``plot`` draws them again. They require
matplotlib, which the extra ``plot`` installs; ``sanity_check`` does not.
"""

from sknn_notes.inspection._activations import ActivationsDisplay
from sknn_notes.inspection._regularization_path import RegularizationPathDisplay
from sknn_notes.inspection._report import Finding, SanityReport
from sknn_notes.inspection._sanity_check import sanity_check
from sknn_notes.inspection._training_curve import TrainingCurveDisplay
from sknn_notes.inspection._uncertainty import UncertaintyDisplay
from sknn_notes.inspection._update_ratio import UpdateRatioDisplay
from sknn_notes.inspection._weights import WeightsDisplay

__all__ = [
    "sanity_check",
    "SanityReport",
    "Finding",
    "TrainingCurveDisplay",
    "WeightsDisplay",
    "ActivationsDisplay",
    "UpdateRatioDisplay",
    "UncertaintyDisplay",
    "RegularizationPathDisplay",
]
