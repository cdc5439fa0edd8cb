"""Fits of many networks in stacks on a device."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from time import perf_counter
from typing import Any

import numpy as np
from sklearn import config_context, get_config

from sknn_notes._arrays import input_namespace
from sknn_notes._checks import check_parameters
from sknn_notes._engine.side_by_side import train_side_by_side
from sknn_notes._messages import listening
from sknn_notes.neural_network._devices import is_host
from sknn_notes.neural_network._fit import prepare
from sknn_notes.neural_network._inputs import is_tensor
from sknn_notes.neural_network._namespaces import as_inputs, as_numpy
from sknn_notes.neural_network._shared import Shared
from sknn_notes.neural_network._targets import move_arrays
from sknn_notes.neural_network._validation import check_given


def fits_in_stack(estimator, X, fit_params):
    """Tell whether a network can be trained in a stack with others.

    It is one network with a stochastic solver, on a device, without callbacks.
    """
    on_device = estimator.device is not None and not is_host(estimator.device)
    if estimator.device is None:
        on_device = isinstance(as_inputs(X, input_namespace(X, estimator)), object)
    return on_device
