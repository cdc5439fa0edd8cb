"""A joblib backend that takes all tasks of a search at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from joblib import parallel_backend
from joblib.parallel import ParallelBackendBase, get_active_backend

from sknn_notes._threads import n_threads
from sknn_notes.model_selection._program import Program


@contextmanager
def together(stack_size: int | Literal["auto"]) -> Iterator["_Together"]:
    """Let the next ``joblib.Parallel`` of the block run its tasks as one program.

    Parameters
    ----------
    stack_size : "auto" or int

    Yields
    ------
    tasks : object
        ``n_tasks`` is the number of tasks that were run, ``told`` holds their warnings.
    """
    backend = _Together(stack_size)
    context = None
    try:
        context = parallel_backend(backend, n_jobs=get_active_backend()[1])
        backend.leave = context.unregister
        yield backend
    finally:
        if context is not None:
            context.unregister()


class _Together(ParallelBackendBase):
    """Collects the tasks and runs them all when the first result is requested."""

    supports_sharedmem = True
    uses_threads = True

    def __init__(self, stack_size: int | Literal["auto"]) -> None:
        super().__init__(nesting_level=0)
        self._stack_size = stack_size
        self._batches: list[_Batch] = []
        self.n_tasks = 0
        self.told: list[Any] = []

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        # With 1, joblib would call the tasks one by one itself.
        return 2

    def configure(
        self, n_jobs: int | None = 1, parallel: Any = None, **options: Any
    ) -> int:
        # Parallel code inside tasks, callbacks and the refit uses the outer backend.
        self.leave()
        self._n_jobs = n_threads(n_jobs)
        self.parallel = parallel
        parallel.pre_dispatch = "all"
        return self.effective_n_jobs(n_jobs)

    def submit(self, func: Any, callback: Any = None) -> "_Batch":
        batch = _Batch(self, func.items, callback)
        self._batches.append(batch)
        return batch

    # The name before joblib 1.5.
    apply_async = submit

    def run(self) -> None:
        """Run all batches that were submitted."""
        batches, self._batches = self._batches, []
        counts = [len(batch.calls) for batch in batches]
        calls = [call for batch in batches for call in batch.calls]
        for batch in batches:
            batch.calls = None
        self.n_tasks += len(calls)
        program = Program(calls, self._n_jobs, self._stack_size, self.told)
        del calls
        results = iter(program.run())
        for batch, count in zip(batches, counts, strict=True):
            batch.results = [next(results) for _ in range(count)]


class _Batch:
    """A batch of tasks, and the future that joblib gets for it."""

    def __init__(self, backend: _Together, calls: Any, callback: Any) -> None:
        self._backend, self._callback = backend, callback
        self.calls = calls
        self.results: list[Any] | None = None

    def get(self, timeout: float | None = None) -> Any:
        if self.results is None:
            self._backend.run()
        self._callback(self.results)
        return self.results
