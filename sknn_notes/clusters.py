"""Searches on a Dask cluster that survive the loss of a worker.

This needs the extra ``dask``.
"""

import sys
from typing import Any

__all__ = ["RecoverableClient"]


class RecoverableClient:
    """A Dask client that sends data again if the workers that hold it die.

    joblib's Dask backend sends arrays to one or all workers, and Dask keeps no other
    copy. If the last worker that holds an array dies, the search ends with a
    ``FutureCancelledError``. With this client the scheduler keeps the data and sends it
    again, so that only the tasks of the dead worker have to be repeated.

    Parameters
    ----------
    client : distributed.Client
        The client that sends the data.

    Notes
    -----
    ``X``, ``y`` and the indices of all folds have to fit into the memory of the
    scheduler. Dask's setting ``distributed.scheduler.allowed-failures``, by default 3,
    limits how many workers may die during a task before Dask gives up on it.

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
        if name == "_client":  # It is missing while the object is unpickled.
            raise AttributeError(name)
        return getattr(self._client, name)

    def scatter(self, data: Any, asynchronous: bool = False, **options: Any) -> Any:
        """Send data to the cluster.

        Parameters
        ----------
        data : object, or list of object
            Data that tasks need.
        asynchronous : bool, default=False
            Whether to return an awaitable.
        **options : dict
            Other options of ``Client.scatter``, which control where copies are placed.
            They have no effect, since workers fetch the data when a task needs it.

        Returns
        -------
        future : Future, list of Future, or an awaitable of these
            References to the data, for the arguments of tasks.
        """
        many = isinstance(data, list)
        futures = [self._send(each) for each in (data if many else [data])]
        result = futures if many else futures[0]
        return _awaitable(result) if asynchronous else result

    def _send(self, data: Any) -> Any:
        from dask import config

        # Dask warns about large data in a task, which is intended here.
        threshold = "distributed.admin.large-graph-warning-threshold"
        with config.set({threshold: sys.maxsize}):
            return self._client.submit(_received, data, pure=False)


def _received(data: Any) -> Any:
    return data


async def _awaitable(result: Any) -> Any:
    return result
