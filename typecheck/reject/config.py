"""Mistakes with the options of the built-in executors.

Why some checkers miss some of them:

- unpacked TypedDict: pyright and basedpyright do not see the keys that one has too much, ty sees none.
"""

from __future__ import annotations

from asyncz import (
    ClusterAlias,
    DaskClusterKwargs,
    DaskOptions,
    LoopAlias,
    PoolAlias,
    PoolKwargs,
    PoolOptions,
    ProcessPoolKwargs,
    ThreadPoolKwargs,
)
from typecheck.accept.config import options, process_kwargs, thread_kwargs
from typecheck.accept.schedulers import scheduler

unknown_option: PoolOptions = {"max_wrkers": 3}  # E
wrong_option: PoolOptions = {"max_workers": "3"}  # E
wrong_cancel_futures: PoolOptions = {"cancel_futures": "yes"}  # E
wrong_overwrite_wait: PoolOptions = {"overwrite_wait": "yes"}  # E
wrong_max_queue: PoolOptions = {"max_queue": "all"}  # E
unknown_pool_option: PoolOptions = {"pool_kwargs": {"prefix": "io"}}  # E
wrong_pool_option: PoolOptions = {"pool_kwargs": {"max_tasks_per_child": "5"}}  # E
unknown_kwarg: PoolKwargs = {"workers": 3}  # E
of_processes: ThreadPoolKwargs = {"max_tasks_per_child": 3}  # E
of_threads: ProcessPoolKwargs = {"thread_name_prefix": "io"}  # E
wrong_prefix: ThreadPoolKwargs = {"thread_name_prefix": 3}  # E
wrong_initializer: ThreadPoolKwargs = {"initializer": "prepare"}  # E
wrong_initargs: ThreadPoolKwargs = {"initargs": 3}  # E
wrong_context: ProcessPoolKwargs = {"mp_context": "spawn"}  # E
wrong_process_initializer: ProcessPoolKwargs = {"initializer": 3}  # E
wrong_process_initargs: ProcessPoolKwargs = {"initargs": ["name"]}  # E
wrong_pool: PoolAlias = "debug"  # E
unknown_pool: PoolAlias = "threads"  # E
wrong_cluster: ClusterAlias = "processpool"  # E
unknown_cluster_option: DaskOptions = {"adress": "tcp://10.0.0.5:8786"}  # E
wrong_address: DaskOptions = {"address": 8786}  # E
wrong_resources: DaskOptions = {"resources": "GPU"}  # E
wrong_retries: DaskOptions = {"retries": "3"}  # E
wrong_cluster_option: DaskOptions = {"cluster_kwargs": {"n_workers": "3"}}  # E
unknown_cluster_kwarg: DaskClusterKwargs = {"workers": 3}  # E
wrong_cluster_kwarg: DaskClusterKwargs = {"threads_per_worker": "1"}  # E
wrong_loop: LoopAlias = "threadpool"  # E
other_kwargs: ProcessPoolKwargs = thread_kwargs  # E
other_thread_kwargs: ThreadPoolKwargs = process_kwargs  # E


def used() -> None:
    scheduler.add_executor("debug", alias="debug", **options)  # E
    scheduler.add_executor("kubernetes", alias="jobs", **options)  # E
    scheduler.add_executor("threadpool", alias="io", **thread_kwargs)  # E[mypy,pyrefly]: unpacked TypedDict
    scheduler.add_executor("threadpool", alias="io", options=options)  # E[-ty]: unpacked TypedDict
