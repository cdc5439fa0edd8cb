"""Reference kernels in vectorized numpy."""

from sknn_notes._kernels._numpy.columns import *
