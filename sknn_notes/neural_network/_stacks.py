"""Fits of many networks in stacks on a device."""

from sknn_notes._arrays import input_namespace
from sknn_notes.neural_network._devices import is_host
from sknn_notes.neural_network._namespaces import as_inputs


def fits_in_stack(estimator, X, fit_params):
    """Tell whether a network can be trained in a stack with others.

    It is one network with a stochastic solver, on a device, without callbacks.
    """
    on_device = estimator.device is not None and not is_host(estimator.device)
    if estimator.device is None:
        on_device = isinstance(as_inputs(X, input_namespace(X, estimator)), object)
    return on_device
