"""The options of the built-in executors."""

from __future__ import annotations

import multiprocessing
from typing import assert_never, assert_type

from asyncz import (
    AsyncIOScheduler,
    ClusterAlias,
    DaskClusterKwargs,
    DaskOptions,
    LoopAlias,
    PoolAlias,
    PoolKwargs,
    PoolOptions,
    ProcessPoolExecutor,
    ProcessPoolKwargs,
    ThreadPoolExecutor,
    ThreadPoolKwargs,
)


def prepare(name: str, level: int) -> None: ...


thread_kwargs: ThreadPoolKwargs = {"thread_name_prefix": "io", "initializer": prepare, "initargs": ("name", 3)}
process_kwargs: ProcessPoolKwargs = {
    "mp_context": multiprocessing.get_context("spawn"),
    "initializer": prepare,
    "initargs": ("name", 3),
    "max_tasks_per_child": 10,
}
any_kwargs: PoolKwargs = {"thread_name_prefix": "io", "max_tasks_per_child": 10}
options: PoolOptions = {
    "max_workers": 3,
    "pool_kwargs": {"initializer": prepare},
    "cancel_futures": True,
    "overwrite_wait": False,
    "max_queue": None,
}

cluster_kwargs: DaskClusterKwargs = {
    "n_workers": 2,
    "threads_per_worker": 1,
    "memory_limit": "auto",
    "host": "127.0.0.1",
    "dashboard_address": None,
}
dask_options: DaskOptions = {
    "address": None,
    "resources": {"GPU": 1},
    "retries": 3,
    "cluster_kwargs": cluster_kwargs,
    "cancel_futures": True,
    "overwrite_wait": False,
    "max_queue": None,
}


def used(scheduler: AsyncIOScheduler) -> None:
    assert_type(ThreadPoolExecutor(pool_kwargs=thread_kwargs), ThreadPoolExecutor)
    assert_type(ProcessPoolExecutor(pool_kwargs=process_kwargs), ProcessPoolExecutor)
    scheduler.add_executor("threadpool", alias="io", **options)
    scheduler.add_executor("pool", alias="io", pool_kwargs=any_kwargs)
    scheduler.add_executor("dask", alias="cluster", **dask_options)


def every_pool(alias: PoolAlias) -> int:
    match alias:
        case "threadpool" | "pool":
            return 1
        case "processpool":
            return 2
        case _:
            assert_never(alias)


def every_cluster(alias: ClusterAlias) -> int:
    match alias:
        case "dask":
            return 1
        case _:
            assert_never(alias)


def every_other(alias: LoopAlias) -> int:
    match alias:
        case "asyncio" | "default":
            return 1
        case "debug":
            return 2
        case _:
            assert_never(alias)
