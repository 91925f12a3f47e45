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
    """Options of a thread pool that are passed to `concurrent.futures.ThreadPoolExecutor`."""

    thread_name_prefix: str
    """Prefix of the thread names."""
    initializer: Initializer
    """A function that each worker calls once when it starts."""
    initargs: tuple[object, ...]
    """The arguments of the initializer."""


class ProcessPoolKwargs(TypedDict, total=False):
    """Options of a process pool that are passed to `concurrent.futures.ProcessPoolExecutor`."""

    mp_context: BaseContext
    """Start method of the worker processes."""
    initializer: Initializer
    """A function that each worker calls once when it starts."""
    initargs: tuple[object, ...]
    """The arguments of the initializer."""
    max_tasks_per_child: int
    """Number of runs after which a worker process is replaced."""


class PoolKwargs(ThreadPoolKwargs, ProcessPoolKwargs, total=False):
    """Options of a thread or process pool, if only the alias says which of both."""


class PoolOptions(TypedDict, total=False):
    """Options that `add_executor` passes to a thread or process pool."""

    max_workers: int
    """Maximum number of threads or processes."""
    pool_kwargs: PoolKwargs
    """Options of the `concurrent.futures` pool."""
    cancel_futures: bool
    """Cancel queued runs at shutdown."""
    overwrite_wait: bool | None
    """Replaces the `wait` argument of `shutdown` if it is not None."""
    max_queue: int | None
    """Maximum number of runs that wait for a worker; None means no limit."""


class DaskClusterKwargs(TypedDict, total=False):
    """Options of a Dask cluster on this machine that are passed to `distributed.LocalCluster`."""

    n_workers: int
    """Number of worker processes."""
    threads_per_worker: int
    """Number of threads of each worker process."""
    memory_limit: int | str
    """Memory limit of each worker process, in bytes or as a text such as `2GiB`; `auto` divides the memory of the
    machine."""
    host: str
    """The address on which it listens; by default other machines cannot connect."""
    dashboard_address: str | None
    """The address of its dashboard; by default a free port to which other machines cannot connect."""


class DaskOptions(TypedDict, total=False):
    """Options that `add_executor` passes to a Dask executor."""

    address: str | None
    """The address of the cluster's scheduler; by default a cluster is started on this machine."""
    resources: Mapping[str, float]
    """Amounts that a run needs of the resources that workers declare."""
    retries: int
    """Number of times that Dask repeats a run that failed or was lost."""
    cluster_kwargs: DaskClusterKwargs
    """Options of the cluster that is started on this machine."""
    cancel_futures: bool
    """Cancel the runs that have not been sent to the cluster at shutdown."""
    overwrite_wait: bool | None
    """Replaces the `wait` argument of `shutdown` if it is not None."""
    max_queue: int | None
    """Maximum number of runs that wait to be sent to the cluster; None means no limit."""
