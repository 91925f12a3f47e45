"""A typed scheduler: tasks run on executors, and each run's end is told with its type intact."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    __all__: list[str]

    from asyncz.clock import SystemClock as SystemClock
    from asyncz.config import (
        ClusterAlias as ClusterAlias,
        DaskClusterKwargs as DaskClusterKwargs,
        DaskOptions as DaskOptions,
        LoopAlias as LoopAlias,
        PoolAlias as PoolAlias,
        PoolKwargs as PoolKwargs,
        PoolOptions as PoolOptions,
        ProcessPoolKwargs as ProcessPoolKwargs,
        ThreadPoolKwargs as ThreadPoolKwargs,
        TriggerAlias as TriggerAlias,
    )
    from asyncz.events import (
        Event as Event,
        ExecutorAdded as ExecutorAdded,
        ExecutorRemoved as ExecutorRemoved,
        PlainEvent as PlainEvent,
        RunDetails as RunDetails,
        SchedulerPaused as SchedulerPaused,
        SchedulerResumed as SchedulerResumed,
        SchedulerShutdown as SchedulerShutdown,
        SchedulerStarted as SchedulerStarted,
        TaskAdded as TaskAdded,
        TaskCancelled as TaskCancelled,
        TaskError as TaskError,
        TaskExecuted as TaskExecuted,
        TaskMaxInstances as TaskMaxInstances,
        TaskMissed as TaskMissed,
        TaskModified as TaskModified,
        TaskNotification as TaskNotification,
        TaskQueueFull as TaskQueueFull,
        TaskRemoved as TaskRemoved,
        TaskRetrying as TaskRetrying,
        TaskSubmitted as TaskSubmitted,
        Worker as Worker,
    )
    from asyncz.exceptions import (
        AsynczError as AsynczError,
        ClusterConnectionError as ClusterConnectionError,
        DuplicateExecutorError as DuplicateExecutorError,
        DuplicateTaskError as DuplicateTaskError,
        ExecutorInUseError as ExecutorInUseError,
        ExecutorNotRunningError as ExecutorNotRunningError,
        IllegalTransitionError as IllegalTransitionError,
        InvalidInputError as InvalidInputError,
        MaximumInstancesError as MaximumInstancesError,
        MissingExtraError as MissingExtraError,
        NeverDueError as NeverDueError,
        PluginError as PluginError,
        QueueFullError as QueueFullError,
        RemoteError as RemoteError,
        RunsStillRunningError as RunsStillRunningError,
        SchedulerAlreadyRunningError as SchedulerAlreadyRunningError,
        SchedulerNotRunningError as SchedulerNotRunningError,
        SerializationError as SerializationError,
        TaskCancelledError as TaskCancelledError,
        TaskExitError as TaskExitError,
        TaskLookupError as TaskLookupError,
        TaskMissedError as TaskMissedError,
        TaskTimeoutError as TaskTimeoutError,
        UnknownAliasError as UnknownAliasError,
        WorkerLostError as WorkerLostError,
        WorkerStartError as WorkerStartError,
    )
    from asyncz.executors.asyncio import AsyncIOExecutor as AsyncIOExecutor
    from asyncz.executors.base import BaseExecutor as BaseExecutor
    from asyncz.executors.dask import DaskExecutor as DaskExecutor
    from asyncz.executors.debug import DebugExecutor as DebugExecutor
    from asyncz.executors.futures import FuturesExecutor as FuturesExecutor
    from asyncz.executors.process_pool import ProcessPoolExecutor as ProcessPoolExecutor
    from asyncz.executors.thread_pool import ThreadPoolExecutor as ThreadPoolExecutor
    from asyncz.plugins import (
        create_executor as create_executor,
        create_trigger as create_trigger,
        executor_aliases as executor_aliases,
        trigger_aliases as trigger_aliases,
    )
    from asyncz.protocols import (
        Clock as Clock,
        Executor as Executor,
        Listener as Listener,
        Notifier as Notifier,
        SupportsCancel as SupportsCancel,
        SupportsStart as SupportsStart,
        Timer as Timer,
        Trigger as Trigger,
        UniversalExecutor as UniversalExecutor,
    )
    from asyncz.retries import Retry as Retry
    from asyncz.schedulers.asyncio import (
        AsyncIOScheduler as AsyncIOScheduler,
        Subscription as Subscription,
        TaskDecorator as TaskDecorator,
    )
    from asyncz.states import (
        ClusterState as ClusterState,
        ExecutorState as ExecutorState,
        ExecutorStatus as ExecutorStatus,
        InstanceCount as InstanceCount,
        SchedulerState as SchedulerState,
        SchedulerStatus as SchedulerStatus,
        TaskState as TaskState,
    )
    from asyncz.tasks import (
        NotificationStream as NotificationStream,
        RunHandle as RunHandle,
        Task as Task,
        TaskFunction as TaskFunction,
        TaskLimits as TaskLimits,
        TaskRun as TaskRun,
    )
    from asyncz.triggers.base import BaseTrigger as BaseTrigger
    from asyncz.triggers.calendar import CalendarIntervalTrigger as CalendarIntervalTrigger
    from asyncz.triggers.combination import AndTrigger as AndTrigger, OrTrigger as OrTrigger
    from asyncz.triggers.cron import CronTrigger as CronTrigger
    from asyncz.triggers.date import DateTrigger as DateTrigger
    from asyncz.triggers.interval import IntervalTrigger as IntervalTrigger
else:
    from asyncz._lazy import lazy_exports

    # Imported on first use: `import asyncz` loads neither asyncio, nor pydantic, nor multiprocessing.
    __all__, __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "asyncz.clock": ("SystemClock",),
            "asyncz.config": (
                "ClusterAlias",
                "DaskClusterKwargs",
                "DaskOptions",
                "LoopAlias",
                "PoolAlias",
                "PoolKwargs",
                "PoolOptions",
                "ProcessPoolKwargs",
                "ThreadPoolKwargs",
                "TriggerAlias",
            ),
            "asyncz.events": (
                "Event",
                "ExecutorAdded",
                "ExecutorRemoved",
                "PlainEvent",
                "RunDetails",
                "SchedulerPaused",
                "SchedulerResumed",
                "SchedulerShutdown",
                "SchedulerStarted",
                "TaskAdded",
                "TaskCancelled",
                "TaskError",
                "TaskExecuted",
                "TaskMaxInstances",
                "TaskMissed",
                "TaskModified",
                "TaskNotification",
                "TaskQueueFull",
                "TaskRemoved",
                "TaskRetrying",
                "TaskSubmitted",
                "Worker",
            ),
            "asyncz.exceptions": (
                "AsynczError",
                "ClusterConnectionError",
                "DuplicateExecutorError",
                "DuplicateTaskError",
                "ExecutorInUseError",
                "ExecutorNotRunningError",
                "IllegalTransitionError",
                "InvalidInputError",
                "MaximumInstancesError",
                "MissingExtraError",
                "NeverDueError",
                "PluginError",
                "QueueFullError",
                "RemoteError",
                "RunsStillRunningError",
                "SchedulerAlreadyRunningError",
                "SchedulerNotRunningError",
                "SerializationError",
                "TaskCancelledError",
                "TaskExitError",
                "TaskLookupError",
                "TaskMissedError",
                "TaskTimeoutError",
                "UnknownAliasError",
                "WorkerLostError",
                "WorkerStartError",
            ),
            "asyncz.executors.asyncio": ("AsyncIOExecutor",),
            "asyncz.executors.base": ("BaseExecutor",),
            "asyncz.executors.dask": ("DaskExecutor",),
            "asyncz.executors.debug": ("DebugExecutor",),
            "asyncz.executors.futures": ("FuturesExecutor",),
            "asyncz.executors.process_pool": ("ProcessPoolExecutor",),
            "asyncz.executors.thread_pool": ("ThreadPoolExecutor",),
            "asyncz.plugins": (
                "create_executor",
                "create_trigger",
                "executor_aliases",
                "trigger_aliases",
            ),
            "asyncz.protocols": (
                "Clock",
                "Executor",
                "Listener",
                "Notifier",
                "SupportsCancel",
                "SupportsStart",
                "Timer",
                "Trigger",
                "UniversalExecutor",
            ),
            "asyncz.retries": ("Retry",),
            "asyncz.schedulers.asyncio": (
                "AsyncIOScheduler",
                "Subscription",
                "TaskDecorator",
            ),
            "asyncz.states": (
                "ClusterState",
                "ExecutorState",
                "ExecutorStatus",
                "InstanceCount",
                "SchedulerState",
                "SchedulerStatus",
                "TaskState",
            ),
            "asyncz.tasks": (
                "NotificationStream",
                "RunHandle",
                "Task",
                "TaskFunction",
                "TaskLimits",
                "TaskRun",
            ),
            "asyncz.triggers.base": ("BaseTrigger",),
            "asyncz.triggers.calendar": ("CalendarIntervalTrigger",),
            "asyncz.triggers.combination": (
                "AndTrigger",
                "OrTrigger",
            ),
            "asyncz.triggers.cron": ("CronTrigger",),
            "asyncz.triggers.date": ("DateTrigger",),
            "asyncz.triggers.interval": ("IntervalTrigger",),
        },
    )
