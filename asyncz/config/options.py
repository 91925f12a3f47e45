"""Types of the options of the built-in executors, for type checkers and editors.

The pydantic models in `asyncz.config.models` and the constructors have the same options; a test compares the three.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

# Pydantic accepts only this one before Python 3.12.
from typing_extensions import TypedDict

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext
else:
    # The import of multiprocessing takes longer than that of asyncz; `typing.get_type_hints` needs the name.
    BaseContext = object

Initializer: TypeAlias = Callable[..., object]  # type: ignore[explicit-any]  # `initargs` decides its parameters
"""A function that a pool calls once in each of its threads or processes, with `initargs`."""


class ThreadPoolKwargs(TypedDict, total=False):
    """Options of a thread pool that are passed to `concurrent.futures.ThreadPoolExecutor`.

    Attributes:
        thread_name_prefix: Prefix of the thread names.
        initializer: A function that each worker calls once when it starts.
        initargs: The arguments of the initializer.
    """

    thread_name_prefix: str
    initializer: Initializer
    initargs: tuple[object, ...]


class ProcessPoolKwargs(TypedDict, total=False):
    """Options of a process pool that are passed to `concurrent.futures.ProcessPoolExecutor`.

    Attributes:
        mp_context: Start method of the worker processes.
        initializer: A function that each worker calls once when it starts.
        initargs: The arguments of the initializer.
        max_tasks_per_child: Number of runs after which a worker process is replaced.
    """

    mp_context: BaseContext
    initializer: Initializer
    initargs: tuple[object, ...]
    max_tasks_per_child: int


class PoolKwargs(ThreadPoolKwargs, ProcessPoolKwargs, total=False):
    """Options of a thread or process pool, if only the alias says which of both."""


class PoolOptions(TypedDict, total=False):
    """Options that `add_executor` passes to a thread or process pool.

    Attributes:
        max_workers: Maximum number of threads or processes.
        pool_kwargs: Options of the `concurrent.futures` pool.
        cancel_futures: Cancel queued runs at shutdown.
        overwrite_wait: Replaces the `wait` argument of `shutdown` if it is not None.
        max_queue: Maximum number of runs that wait for a worker; None means no limit.
    """

    max_workers: int
    pool_kwargs: PoolKwargs
    cancel_futures: bool
    overwrite_wait: bool | None
    max_queue: int | None


class DaskClusterKwargs(TypedDict, total=False):
    """Options of a Dask cluster on this machine that are passed to `distributed.LocalCluster`.

    Attributes:
        n_workers: Number of worker processes.
        threads_per_worker: Number of threads of each worker process.
        memory_limit: Memory limit of each worker process, in bytes or as a text such as `2GiB`; `auto` divides the
            memory of the machine.
        host: The address on which it listens; by default other machines cannot connect.
        dashboard_address: The address of its dashboard; by default a free port to which other machines cannot
            connect.
    """

    n_workers: int
    threads_per_worker: int
    memory_limit: int | str
    host: str
    dashboard_address: str | None


class DaskOptions(TypedDict, total=False):
    """Options that `add_executor` passes to a Dask executor.

    Attributes:
        address: The address of the cluster's scheduler; by default a cluster is started on this machine.
        resources: Amounts that a run needs of the resources that workers declare.
        retries: Number of times that Dask repeats a run that failed or was lost.
        cluster_kwargs: Options of the cluster that is started on this machine.
        cancel_futures: Cancel the runs that have not been sent to the cluster at shutdown.
        overwrite_wait: Replaces the `wait` argument of `shutdown` if it is not None.
        max_queue: Maximum number of runs that wait to be sent to the cluster; None means no limit.
    """

    address: str | None
    resources: Mapping[str, float]
    retries: int
    cluster_kwargs: DaskClusterKwargs
    cancel_futures: bool
    overwrite_wait: bool | None
    max_queue: int | None
