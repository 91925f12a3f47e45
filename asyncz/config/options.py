"""The options of the built-in executors, as the type checkers and editors know them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias, TypedDict

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext

Initializer: TypeAlias = Callable[..., object]  # type: ignore[explicit-any]  # `initargs` decides what it takes
"""A function that a pool calls once in each of its threads or processes, with `initargs`."""

PoolAlias: TypeAlias = Literal["threadpool", "pool", "processpool"]
"""The aliases of the built-in executors that take options."""

LoopAlias: TypeAlias = Literal["asyncio", "default", "debug"]
"""The aliases of the built-in executors that take none."""

TriggerAlias: TypeAlias = Literal["and", "calendar", "cron", "date", "interval", "or"]
"""The aliases of the built-in triggers."""


class ThreadPoolKwargs(TypedDict, total=False):
    """What `pool_kwargs` of a thread pool may hold, as `concurrent.futures.ThreadPoolExecutor` takes it."""

    thread_name_prefix: str
    initializer: Initializer
    initargs: tuple[object, ...]


class ProcessPoolKwargs(TypedDict, total=False):
    """What `pool_kwargs` of a process pool may hold, as `concurrent.futures.ProcessPoolExecutor` takes it."""

    mp_context: BaseContext
    initializer: Initializer
    initargs: tuple[object, ...]
    max_tasks_per_child: int


class PoolKwargs(ThreadPoolKwargs, ProcessPoolKwargs, total=False):
    """What `pool_kwargs` may hold where only the alias tells which pool it is for."""


class PoolOptions(TypedDict, total=False):
    """The options that `add_executor` hands on to a pool.

    Attributes:
        max_workers: How many threads or processes at most.
        pool_kwargs: Keyword arguments of the `concurrent.futures` pool.
        cancel_futures: Cancel queued runs at shutdown.
        overwrite_wait: Where set, it is used instead of the `wait` of `shutdown`.
        max_queue: How many runs may wait at most; None is no limit.
    """

    max_workers: int
    pool_kwargs: PoolKwargs
    cancel_futures: bool
    overwrite_wait: bool | None
    max_queue: int | None
