"""The reference set: every kernel in plain vectorized numpy."""

from sknn_notes._kernels._numpy.columns import *
