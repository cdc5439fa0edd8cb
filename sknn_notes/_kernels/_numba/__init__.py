"""The fused set: the same functions compiled by numba, one pass over memory each."""

from sknn_notes._kernels._numba import steps as steps
from sknn_notes._kernels._numba.columns import *
from sknn_notes._kernels._numba.network import *
