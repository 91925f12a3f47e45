"""How runs are run."""

from typing import TYPE_CHECKING

from asyncz._lazy import lazy_exports

if TYPE_CHECKING:
    from asyncz.executors.asyncio import AsyncIOExecutor
    from asyncz.executors.base import BaseExecutor
    from asyncz.executors.debug import DebugExecutor
    from asyncz.executors.process_pool import ProcessPoolExecutor
    from asyncz.executors.thread_pool import ThreadPoolExecutor
else:
    # A worker process imports this package too: it must not pay for what it does not use.
    __getattr__ = lazy_exports(
        __name__,
        {
            "asyncz.executors.asyncio": ("AsyncIOExecutor",),
            "asyncz.executors.base": ("BaseExecutor",),
            "asyncz.executors.debug": ("DebugExecutor",),
            "asyncz.executors.process_pool": ("ProcessPoolExecutor",),
            "asyncz.executors.thread_pool": ("ThreadPoolExecutor",),
        },
    )

__all__ = ["AsyncIOExecutor", "BaseExecutor", "DebugExecutor", "ProcessPoolExecutor", "ThreadPoolExecutor"]
