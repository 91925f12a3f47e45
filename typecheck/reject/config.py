"""Mistakes with the options of the built-in executors, and with schedulers as data.

Why some checkers miss some of them:

- unpacked TypedDict: pyright and basedpyright do not see the keys that one has too much, ty sees none.
- conversion: pyrefly knows that pydantic tries to convert what it is given.
"""

from __future__ import annotations

from pydantic import SecretStr

from asyncz import (
    ClusterAlias,
    DaskClusterKwargs,
    DaskOptions,
    AsyncIOScheduler,
    ConfigSource,
    ExecutorConfig,
    LimitsConfig,
    LoopAlias,
    PoolAlias,
    PoolKwargs,
    PoolOptions,
    ProcessPoolKwargs,
    RetryConfig,
    SchedulerConfig,
    TaskConfig,
    ThreadPoolKwargs,
    TriggerConfig,
)
from asyncz.config import (
    DaskClusterKwargsConfig,
    DaskExecutorConfig,
    DaskSecurityConfig,
    AndTriggerConfig,
    CalendarIntervalTriggerConfig,
    CronTriggerConfig,
    OrTriggerConfig,
    AsyncIOExecutorConfig,
    CustomExecutorConfig,
    CustomTriggerConfig,
    DateTriggerConfig,
    DebugExecutorConfig,
    IntervalTriggerConfig,
    OnDemandConfig,
    ProcessPoolExecutorConfig,
    ProcessPoolKwargsConfig,
    ReportingConfig,
    RetentionConfig,
    StoreConfig,
    ThreadPoolExecutorConfig,
    ThreadPoolKwargsConfig,
)
from typecheck.accept.config import (
    executors,
    kwargs_of_processes,
    kwargs_of_threads,
    limits,
    options,
    process_kwargs,
    task,
    thread_kwargs,
    triggers,
    whole,
)
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


AsyncIOScheduler.from_config(3)  # E
AsyncIOScheduler.from_config()  # E
AsyncIOScheduler.from_config(["asyncz.toml"])  # E
AsyncIOScheduler.from_config({1: "asyncz"})  # E
AsyncIOScheduler.from_config("asyncz.toml", clock=3)  # E
AsyncIOScheduler.from_config("asyncz.toml", executors={})  # E
AsyncIOScheduler.from_config(task)  # E
not_a_source: ConfigSource = b"asyncz.toml"  # E
RetryConfig()  # E
RetryConfig(attempts="3")  # E
RetryConfig(attempts=3, on=OSError)  # E
RetryConfig(attempts=3, retries=3)  # E
LimitsConfig(timeout="1 s")  # E
LimitsConfig(retry=3)  # E
LimitsConfig(overlap="queue")  # E
TaskConfig(call="jobs:clean", existing="skip")  # E
TaskConfig()  # E
TaskConfig(call=print)  # E
TaskConfig(call="jobs:clean", trigger="interval")  # E
TaskConfig(call="jobs:clean", kwargs=["a"])  # E
TaskConfig(call="jobs:clean", id="clean")  # E
SchedulerConfig(tasks=[task])  # E
SchedulerConfig(store="sqlite:///jobs.db")  # E
StoreConfig()  # E
RetentionConfig(executed="3 days")  # E
ReportingConfig(enabled="yes")  # E
ReportingConfig(max_logs="all")  # E
StoreConfig(url=3)  # E
StoreConfig(url=SecretStr("sqlite:///jobs.db"), existing="drop")  # E
StoreConfig(url=SecretStr("sqlite:///jobs.db"), on_lost=True)  # E
StoreConfig(url=SecretStr("sqlite:///jobs.db"), importable="jobs")  # E[-ty]: conversion
StoreConfig(url=SecretStr("sqlite:///jobs.db"), functions={"clean": print})  # E
StoreConfig(url=SecretStr("sqlite:///jobs.db"), urls="sqlite:///jobs.db")  # E
SchedulerConfig(executors={"io": "threadpool"})  # E
AsyncIOExecutorConfig(type="threadpool")  # E
DebugExecutorConfig(type="asyncio")  # E
ThreadPoolExecutorConfig(type="processpool")  # E
ThreadPoolExecutorConfig(type="threadpool", max_workers="3")  # E
ThreadPoolExecutorConfig(type="threadpool", pool_kwargs=kwargs_of_processes)  # E
ThreadPoolKwargsConfig(mp_context="spawn")  # E
ProcessPoolExecutorConfig(type="processpool", pool_kwargs=kwargs_of_threads)  # E
ProcessPoolExecutorConfig(type="processpool", workers=3)  # E
ProcessPoolKwargsConfig(mp_context="thread")  # E
DaskExecutorConfig(type="cluster")  # E
DaskExecutorConfig(type="dask", resources={"GPU": "1"})  # E
DaskClusterKwargsConfig(workers=2)  # E
DaskSecurityConfig(ca_file="ca.pem")  # E
CustomExecutorConfig(type=3)  # E
CustomTriggerConfig()  # E
OnDemandConfig(type="interval")  # E
DateTriggerConfig(type="date", run_at="soon")  # E
IntervalTriggerConfig(type="interval", minuts=3)  # E
CronTriggerConfig(type="cron")  # E
CronTriggerConfig(type="cron", expression="@daily", timezone=3)  # E
CalendarIntervalTriggerConfig(type="calendar", months="1")  # E
AndTriggerConfig(type="and")  # E
AndTriggerConfig(type="or", triggers=())  # E
OrTriggerConfig(type="or", triggers=("@daily",))  # E
whole.tasks["clean"] = task  # E
whole.defaults = limits  # E
task.timeout = 3  # E
task.kwargs["a"] = 3  # E
wrong_trigger: TriggerConfig = executors[0]  # E
wrong_executor: ExecutorConfig = triggers[0]  # E
wrong_call: int = task.load_call()()  # E
