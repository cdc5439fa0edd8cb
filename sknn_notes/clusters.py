"""Searches on a cluster that survive the loss of a worker.

It takes the extra ``dask``.
"""

import sys
from typing import Any

__all__ = ["RecoverableClient"]


class RecoverableClient:
    """A Dask client whose data outlive the workers that hold them.

    joblib's Dask backend sends arrays to one worker, or to all of them, and Dask keeps
    no other copy: if the last worker that holds one dies, the search ends with a
    ``FutureCancelledError``. With this client the scheduler keeps what was sent, and
    sends it again. A worker that dies then costs the time of the tasks that it ran.

    Parameters
    ----------
    client : distributed.Client
        The client to send the data with.

    Notes
    -----
    The memory of the scheduler has to hold ``X``, ``y`` and the indices of all folds.
    Dask gives up on a task after as many deaths as its setting
    ``distributed.scheduler.allowed-failures`` says, which is 3.

    Examples
    --------
    >>> with joblib.parallel_config(  # doctest: +SKIP
    ...     "dask", client=RecoverableClient(client), scatter=[X, y]
    ... ):
    ...     search.fit(X, y)
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        if name == "_client":  # While it is unpickled.
            raise AttributeError(name)
        return getattr(self._client, name)

    def scatter(self, data: Any, asynchronous: bool = False, **options: Any) -> Any:
        """Send data to the cluster.

        Parameters
        ----------
        data : object, or list of object
            What tasks need.
        asynchronous : bool, default=False
            Whether to return an awaitable.
        **options : dict
            Other options of ``Client.scatter``, which say where copies lie. They have
            no effect: the workers fetch the data when a task needs them.

        Returns
        -------
        future : Future, list of Future, or an awaitable of these
            Stand for the data in the arguments of tasks.
        """
        many = isinstance(data, list)
        futures = [self._send(each) for each in (data if many else [data])]
        result = futures if many else futures[0]
        return _awaitable(result) if asynchronous else result

    def _send(self, data: Any) -> Any:
        from dask import config

        # Dask warns of large data in a task, which here is the point.
        threshold = "distributed.admin.large-graph-warning-threshold"
        with config.set({threshold: sys.maxsize}):
            return self._client.submit(_received, data, pure=False)


def _received(data: Any) -> Any:
    return data


async def _awaitable(result: Any) -> Any:
    return result
