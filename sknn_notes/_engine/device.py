"""Devices other than the CPU: PyTorch, which is imported when it is needed."""

from contextlib import contextmanager
from threading import Lock
from typing import Any

import numpy as np

from sknn_notes._arrays import numpy_dtype
from sknn_notes._engine.rows import as_matrix

# Memory that stacks may use on a device whose free memory is unknown.
_UNKNOWN_MEMORY = 2**30

# What to do where memory is short.
_LESS_AT_ONCE = "Lower batch_size or, in a search, stack_size."

_recording = Lock()


class Device:
    """A device of PyTorch.

    Parameters
    ----------
    name : str or torch.device

    Attributes
    ----------
    torch : module
    device : torch.device
    """

    def __init__(self, name):
        import torch

        self.torch: Any = torch
        # Raises an error if there is no such device.
        self.device: Any = torch.empty(0, device=name).device
        self.is_cuda = self.device.type == "cuda"

    def __repr__(self):
        return str(self.device)

    def array(self, x):
        """Return a numpy array or a tensor as a tensor on the device."""
        if isinstance(x, self.torch.Tensor):
            return x.to(self.device)
        # PyTorch has no read-only tensors.
        x = np.require(x, requirements=["C", "W"])
        return self.torch.from_numpy(x).to(self.device, copy=True)

    def zeros(self, shape, dtype):
        """Return a new tensor; ``dtype`` is the name of a dtype."""
        kind = getattr(self.torch, dtype)
        return self.torch.zeros(shape, dtype=kind, device=self.device)

    def joined(self, arrays, dtype=None):
        """Return the concatenation of arrays as a tensor."""
        if dtype is not None:
            arrays = [a if self.has(a) else np.asarray(a, dtype) for a in arrays]
        tensors = [self.array(array) for array in arrays]
        return tensors[0] if len(tensors) == 1 else self.torch.cat(tensors)

    def has(self, array):
        """Tell whether an array is a tensor on the device."""
        return isinstance(array, self.torch.Tensor) and array.device == self.device

    def free_memory(self):
        """Return the free memory in bytes."""
        if not self.is_cuda:
            return _UNKNOWN_MEMORY
        cuda = self.torch.cuda
        free, _ = cuda.mem_get_info(self.device)
        return (
            free
            + cuda.memory_reserved(self.device)
            - cuda.memory_allocated(self.device)
        )

    def explained(self, error, n_models=1, remedy=_LESS_AT_ONCE):
        """Return an error of training; an error of the device says what to do."""
        what = "a network" if n_models == 1 else f"a stack of {n_models} networks"
        if isinstance(error, self.torch.OutOfMemoryError):
            explained: Exception = MemoryError(
                f"{self!r} ran out of memory for {what}. {remedy}"
            )
        elif isinstance(error, _of_accelerator(self.torch)):
            explained = RuntimeError(
                f"{self!r} failed during the training of {what}: "
                f"{str(error).splitlines()[0]}. This process can't use it any longer. "
                "Start a new one, or set device='cpu'."
            )
        else:
            return error
        # Its frames would keep the memory of the device.
        explained.__cause__ = error.with_traceback(None)
        return explained

    @contextmanager
    def explaining(self, remedy):
        """Explain the errors of the device in the block."""
        try:
            yield
        except Exception as error:
            explained = self.explained(error, remedy=remedy)
            if explained is error:
                raise
            raise explained from explained.__cause__

    @contextmanager
    def active(self):
        """Run the block on the device, without PyTorch's automatic gradients."""
        with self.torch.no_grad():
            if self.is_cuda:
                with self.torch.cuda.device(self.device):
                    yield
            else:
                yield

    def recorded(self, function, changed, others, is_long=False):
        """Return a function that does the same with a single launch on the device.

        On a GPU, the function is recorded as a graph, after a few runs. On other
        devices, it is returned unchanged.

        Parameters
        ----------
        function : callable
            Without arguments.
        changed : list of tensor
            Tensors that it changes. They are restored after the runs for the recording.
        others : list of tensor
            Other tensors that it reads and that may change between two calls.
        is_long : bool, default=False
            Whether it will run long enough to be worth compiling, which takes seconds.
        """
        if not self.is_cuda:
            return function
        # A recording waits for everything on the device, so one at a time.
        with _recording:
            return self._recorded(function, changed, others, is_long)

    def _recorded(self, function, changed, others, is_long):
        cuda = self.torch.cuda
        before = [tensor.clone() for tensor in changed]

        def restore():
            for tensor, old in zip(changed, before, strict=True):
                tensor.copy_(old)

        stream = cuda.Stream()
        stream.wait_stream(cuda.current_stream())
        with cuda.stream(stream):
            function()
            restore()
            if is_long:
                # Tracing runs the function, too.
                function = self._compiled(function, [*changed, *others])
                restore()
                function()
                restore()
        cuda.current_stream().wait_stream(stream)
        graph = cuda.CUDAGraph()
        # The recording does not run the function.
        with cuda.graph(graph, capture_error_mode="thread_local"):
            function()
        return graph.replay

    def _compiled(self, function, tensors):
        """Return a function with fewer kernels, whose results differ by rounding."""
        from torch.fx.experimental.proxy_tensor import make_fx

        def of(*arguments):
            function()
            return ()

        compiled = self.torch.compile(make_fx(of)(*tensors), dynamic=False)
        return lambda: compiled(*tensors)

    def stream(self, batches, n_rows):
        """Return a stream that sends the inputs of batches block by block."""
        return Stream(self, batches, n_rows)


def _of_accelerator(torch):
    """Return the class of the errors of a device that no longer works."""
    # PyTorch before 2.8 raises RuntimeError, as for errors in a part.
    return getattr(torch, "AcceleratorError", ())


class Stream:
    """Inputs that are sent to a device block by block, from pinned memory.

    While the steps of one block run, the rows of the next are gathered.

    Parameters
    ----------
    device : Device
    batches : Batches
    n_rows : int
        Maximum number of rows of a block.
    """

    def __init__(self, device, batches, n_rows):
        self._device, self._X = device, batches.X
        torch, shape = device.torch, (n_rows, batches.X.shape[1])
        dtype = numpy_dtype(batches.X).name
        self._start = device.zeros((), "int64")
        self._block = device.zeros(shape, dtype)
        self._pinned = [
            torch.zeros(shape, dtype=self._block.dtype, pin_memory=device.is_cuda)
            for _ in range(2)
        ]
        self._sent: list = [None, None]

    def tensors(self):
        """Return the tensors that change when a block is sent."""
        return [self._start, self._block]

    def rows(self, at):
        """Return the inputs at positions of the epoch that are in the block."""
        return self._block.index_select(0, at - self._start)

    def send(self, order, start, stop):
        """Send the rows ``order[start:stop]``."""
        self._pinned.reverse()
        self._sent.reverse()
        if self._sent[0] is not None:
            self._sent[0].synchronize()
        n, pinned = stop - start, self._pinned[0]
        X = self._X[order[start:stop]]
        pinned[:n] = self._device.torch.from_numpy(np.ascontiguousarray(as_matrix(X)))
        self._block[:n].copy_(pinned[:n], non_blocking=True)
        self._start.fill_(start)
        if self._device.is_cuda:
            self._sent[0] = self._device.torch.cuda.Event()
            self._sent[0].record()
