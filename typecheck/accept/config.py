"""The options of the built-in executors, and whole schedulers as data."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import assert_never, assert_type

from pydantic import SecretStr

from asyncz import (
    AsyncIOScheduler,
    ClusterAlias,
    ConfigSource,
    DaskClusterKwargs,
    DaskOptions,
    ExecutorConfig,
    LimitsConfig,
    LoopAlias,
    PoolAlias,
    PoolKwargs,
    PoolOptions,
    ProcessPoolExecutor,
    ProcessPoolKwargs,
    Retry,
    RetryConfig,
    SchedulerConfig,
    Task,
    TaskConfig,
    TaskLimits,
    ThreadPoolExecutor,
    ThreadPoolKwargs,
    Trigger,
    TriggerConfig,
    UniversalExecutor,
)
from asyncz.config import (
    AndTriggerConfig,
    AsyncIOExecutorConfig,
    CalendarIntervalTriggerConfig,
    CronTriggerConfig,
    CustomExecutorConfig,
    CustomTriggerConfig,
    DaskClusterKwargsConfig,
    DaskExecutorConfig,
    DaskSecurityConfig,
    DateTriggerConfig,
    DebugExecutorConfig,
    IntervalTriggerConfig,
    OnDemandConfig,
    OrTriggerConfig,
    ProcessPoolExecutorConfig,
    ProcessPoolKwargsConfig,
    ReportingConfig,
    RetentionConfig,
    StoreConfig,
    ThreadPoolExecutorConfig,
    ThreadPoolKwargsConfig,
)
from asyncz.stores import ExistingTaskPolicy
from asyncz.testing import FakeClock


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


def configured(path: Path) -> None:
    assert_type(AsyncIOScheduler.from_config("asyncz.toml"), AsyncIOScheduler)
    assert_type(AsyncIOScheduler.from_config(path, clock=FakeClock()), AsyncIOScheduler)
    assert_type(AsyncIOScheduler.from_config({"executors": {"io": {"type": "threadpool"}}}), AsyncIOScheduler)
    assert_type(AsyncIOScheduler.from_config(whole), AsyncIOScheduler)
    assert_type(AsyncIOScheduler.from_config(whole).get_task("clean"), Task[object])
    sources: list[ConfigSource] = [whole, path, "asyncz.toml", {"tasks": {}}]
    AsyncIOScheduler.from_config(sources[0])


retry = RetryConfig(attempts=3, delay=1, backoff=2.0, max_delay=None, jitter=0.5, on=("OSError", "asyncz:PluginError"))
limits = LimitsConfig(max_instances=2, misfire_grace_time=1.5, coalesce=False, timeout=30, retry=retry, overlap="skip")
kwargs_of_threads = ThreadPoolKwargsConfig(thread_name_prefix="io", initializer="module:prepare", initargs=("a", 1))
kwargs_of_processes = ProcessPoolKwargsConfig(mp_context="spawn", max_tasks_per_child=3)
executors: list[ExecutorConfig] = [
    AsyncIOExecutorConfig(type="asyncio"),
    DebugExecutorConfig(type="debug"),
    ThreadPoolExecutorConfig(type="threadpool", max_workers=3, pool_kwargs=kwargs_of_threads),
    ProcessPoolExecutorConfig(type="processpool", max_queue=10, overwrite_wait=False, pool_kwargs=kwargs_of_processes),
    DaskExecutorConfig(
        type="dask", resources={"GPU": 1}, cluster_kwargs=DaskClusterKwargsConfig(n_workers=2, memory_limit="2GiB")
    ),
    DaskExecutorConfig(
        type="dask", security=DaskSecurityConfig(ca_file="ca.pem", cert_file="cert.pem", key_file="key.pem")
    ),
    CustomExecutorConfig(type="module:Executor"),
]
triggers: list[TriggerConfig] = [
    OnDemandConfig(type="on_demand"),
    DateTriggerConfig(type="date", run_at=datetime(2030, 1, 1, tzinfo=UTC)),
    IntervalTriggerConfig(type="interval", hours=1, jitter=5, timezone="Europe/Berlin"),
    CronTriggerConfig(type="cron", expression="@daily", timezone="local"),
    CalendarIntervalTriggerConfig(type="calendar", months=1, hour=12, start_date=date(2030, 1, 31)),
    AndTriggerConfig(type="and", triggers=(CronTriggerConfig(type="cron", expression="@daily"),)),
    OrTriggerConfig(type="or", triggers=(OnDemandConfig(type="on_demand"),), jitter=5),
    CustomTriggerConfig(type="module:Trigger"),
]
task = TaskConfig(
    call="jobs:clean", args=(1, "a"), kwargs={"b": None}, trigger=triggers[0], executor="io", timeout=3, existing="keep"
)
stored = StoreConfig(
    url=SecretStr("sqlite:///jobs.db"),
    existing="keep",
    version=3,
    on_lost="rerun",
    lease=20,
    functions={"clean": "jobs:clean"},
    formerly={"jobs:tidy": "jobs:clean"},
    importable=("jobs",),
    retention=RetentionConfig(executed=0.5, error=float("inf"), missed=30, cancelled=1, per_task=0),
    codec="jobs:codec",
    reporting=ReportingConfig(enabled=True, interval=1, max_logs=10, max_bytes=1000, redact="jobs:redact"),
    keep_undeclared=1,
    keep_finished=float("inf"),
)
whole = SchedulerConfig(executors={"io": executors[2]}, defaults=limits, tasks={"clean": task}, store=stored)


def its_parts(executor: ExecutorConfig, trigger: TriggerConfig) -> None:
    assert_type(whole.executors, Mapping[str, ExecutorConfig])
    assert_type(whole.tasks["clean"], TaskConfig)
    assert_type(whole.store, StoreConfig | None)
    assert_type(stored.url.get_secret_value(), str)
    assert_type(stored.functions, Mapping[str, str])
    assert_type(task.args, tuple[object, ...])
    assert_type(task.kwargs, Mapping[str, object])
    assert_type(task.timeout, float | None)
    assert_type(task.existing, ExistingTaskPolicy | None)
    assert_type(task.trigger, TriggerConfig)
    assert_type(task.load_call(), Callable[[], object])
    assert_type(task.limits(limits.limits()), TaskLimits)
    assert_type(retry.create(), Retry)
    assert_type(executor.create(), UniversalExecutor)
    assert_type(trigger.create(), Trigger | None)
    assert_type(kwargs_of_processes.create(), dict[str, object])


def every_executor(executor: ExecutorConfig) -> int:
    match executor:
        case AsyncIOExecutorConfig() | DebugExecutorConfig():
            return 1
        case ThreadPoolExecutorConfig() | ProcessPoolExecutorConfig():
            return executor.max_workers
        case DaskExecutorConfig():
            return executor.retries
        case CustomExecutorConfig():
            return len(executor.type)
        case _:
            assert_never(executor)


def every_trigger(trigger: TriggerConfig) -> str:
    match trigger:
        case OnDemandConfig() | CustomTriggerConfig():
            return trigger.type
        case DateTriggerConfig():
            return trigger.timezone or ""
        case IntervalTriggerConfig():
            return f"{trigger.hours}"
        case CronTriggerConfig():
            return trigger.expression
        case CalendarIntervalTriggerConfig():
            return f"{trigger.months}"
        case AndTriggerConfig() | OrTriggerConfig():
            assert_type(trigger.triggers, tuple[TriggerConfig, ...])
            return trigger.type
        case _:
            assert_never(trigger)
