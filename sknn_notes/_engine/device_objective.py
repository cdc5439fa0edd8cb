"""The objective of L-BFGS on a device."""

from typing import Any

from sknn_notes._arrays import to_numpy
from sknn_notes._engine.alike import Stacked
from sknn_notes._engine.program import Step, run


class DeviceObjective:
    """Like ``Objective``, for a single batch on a device.

    The parameters and the gradient are those of a network on the CPU.

    Parameters
    ----------
    program : Program
        Without a stochastic optimizer.
    batch : tuple of (X, y, sample_weight)
    device : Device
    """

    def __init__(self, program, batch, device):
        self.network, self.loss, self._device = program.network, program.loss, device
        theta, running = self.network.theta[None], self.network.running[None]
        arrays = device.array(theta), device.array(running)
        self._program = Stacked([program], device.array, *arrays).program
        self._batch = [None if a is None else device.array(a) for a in batch]

    def __call__(self, X, y, sample_weight=None):
        """Return the value for the batch, and fill ``network.grad``."""
        program = self._program
        step: Any = Step(*self._batch)
        with self._device.active():
            program.network.theta[...] = self._device.array(self.network.theta)
            run(program.objective + program.updates, step)
            self.network.grad[...] = to_numpy(program.network.grad[0])
            return float(step.value[0])
