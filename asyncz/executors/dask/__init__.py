"""Dask executor: runs on a Dask cluster."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    __all__: list[str]

    from asyncz.executors.dask._executor import DaskExecutor as DaskExecutor
else:
    from asyncz._lazy import lazy_exports

    # A worker process imports this package too: the executor would bring pydantic along.
    __all__, __getattr__, __dir__ = lazy_exports(__name__, {"asyncz.executors.dask._executor": ("DaskExecutor",)})
