"""Executors."""

from typing import TYPE_CHECKING

__all__ = [
    "AsyncIOExecutor",
    "BaseExecutor",
    "DaskExecutor",
    "DebugExecutor",
    "DelegatingExecutor",
    "FuturesExecutor",
    "ProcessPoolExecutor",
    "RestrictedDelegatingExecutor",
    "ThreadPoolExecutor",
]

if TYPE_CHECKING:
    from asyncz.executors.asyncio import AsyncIOExecutor as AsyncIOExecutor
    from asyncz.executors.base import BaseExecutor as BaseExecutor
    from asyncz.executors.dask import DaskExecutor as DaskExecutor
    from asyncz.executors.debug import DebugExecutor as DebugExecutor
    from asyncz.executors.delegating import (
        DelegatingExecutor as DelegatingExecutor,
        RestrictedDelegatingExecutor as RestrictedDelegatingExecutor,
    )
    from asyncz.executors.futures import FuturesExecutor as FuturesExecutor
    from asyncz.executors.process_pool import ProcessPoolExecutor as ProcessPoolExecutor
    from asyncz.executors.thread_pool import ThreadPoolExecutor as ThreadPoolExecutor
else:
    from asyncz._lazy import lazy_exports

    # A worker process imports this package too: lazy imports keep its start fast.
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "asyncz.executors.asyncio": ("AsyncIOExecutor",),
            "asyncz.executors.base": ("BaseExecutor",),
            "asyncz.executors.dask": ("DaskExecutor",),
            "asyncz.executors.debug": ("DebugExecutor",),
            "asyncz.executors.delegating": ("DelegatingExecutor", "RestrictedDelegatingExecutor"),
            "asyncz.executors.futures": ("FuturesExecutor",),
            "asyncz.executors.process_pool": ("ProcessPoolExecutor",),
            "asyncz.executors.thread_pool": ("ThreadPoolExecutor",),
        },
    )
