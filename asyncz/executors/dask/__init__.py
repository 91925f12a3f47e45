"""Dask executor: runs on a Dask cluster."""

from typing import TYPE_CHECKING

__all__ = ["DaskClient", "DaskExecutor", "DaskSecurity"]

if TYPE_CHECKING:
    from asyncz.executors.dask._client_protocol import DaskClient as DaskClient, DaskSecurity as DaskSecurity
    from asyncz.executors.dask._executor import DaskExecutor as DaskExecutor
else:
    from asyncz._lazy import lazy_exports

    # A worker process imports this package too: the executor would bring pydantic along.
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "asyncz.executors.dask._client_protocol": ("DaskClient", "DaskSecurity"),
            "asyncz.executors.dask._executor": ("DaskExecutor",),
        },
    )
