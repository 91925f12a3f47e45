"""Process-pool executor: runs in worker processes, each crash of which costs one run."""

from typing import TYPE_CHECKING

__all__ = ["ProcessPoolExecutor"]

if TYPE_CHECKING:
    from asyncz.executors.process_pool._executor import ProcessPoolExecutor as ProcessPoolExecutor
else:
    from asyncz._lazy import lazy_exports

    # A worker process imports this package too: the executor would bring pydantic along.
    __getattr__, __dir__ = lazy_exports(__name__, {"asyncz.executors.process_pool._executor": ("ProcessPoolExecutor",)})
