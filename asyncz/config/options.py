"""The options of the built-in executors, as the type checkers and editors know them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal, TypeAlias, TypedDict

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext

Initializer: TypeAlias = Callable[..., object]  # type: ignore[explicit-any]  # `initargs` decides what it takes
"""A function that a pool calls once in each of its threads or processes, with `initargs`."""

PoolAlias: TypeAlias = Literal["threadpool", "pool", "processpool"]
"""The aliases of the built-in executors that take options."""

ClusterAlias: TypeAlias = Literal["dask"]
"""The aliases of the built-in executors that run on a cluster."""

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


class DaskClusterKwargs(TypedDict, total=False):
    """What `cluster_kwargs` of a Dask executor may hold, as `distributed.LocalCluster` takes it.

    Attributes:
        n_workers: How many processes.
        threads_per_worker: How many threads each of them has.
        memory_limit: How many bytes of memory each of them may use; a text such as `2GiB`; `auto` shares out what
            there is.
        host: The address on which it listens; by default no other machine can reach it.
        dashboard_address: Where its dashboard is; by default at a free port that no other machine can reach.
    """

    n_workers: int
    threads_per_worker: int
    memory_limit: int | str
    host: str
    dashboard_address: str | None


class DaskOptions(TypedDict, total=False):
    """The options that `add_executor` hands on to a Dask executor; see there.

    Attributes:
        address: The address of the cluster's scheduler; without it, a cluster is started on this machine.
        resources: What a run takes of the resources that workers declare.
        retries: How many times Dask executes a run again that failed or was lost.
        cluster_kwargs: Keyword arguments of the cluster that is started.
        cancel_futures: Cancel the runs that have not left for the cluster at shutdown.
        overwrite_wait: Where set, it is used instead of the `wait` of `shutdown`.
        max_queue: How many runs may wait to leave at most; None is no limit.
    """

    address: str | None
    resources: Mapping[str, float]
    retries: int
    cluster_kwargs: DaskClusterKwargs
    cancel_futures: bool
    overwrite_wait: bool | None
    max_queue: int | None
