"""Transformers of the input data."""

from sknn_notes.preprocessing._centerer import Centerer
from sknn_notes.preprocessing._min_max import MinMaxNormalizer
from sknn_notes.preprocessing._piecewise_linear import PiecewiseLinearEncoder
from sknn_notes.preprocessing._robust_standardizer import RobustStandardizer
from sknn_notes.preprocessing._standardizer import Standardizer
from sknn_notes.preprocessing._whitener import Whitener

__all__ = [
    "Centerer",
    "Standardizer",
    "RobustStandardizer",
    "MinMaxNormalizer",
    "Whitener",
    "PiecewiseLinearEncoder",
]
