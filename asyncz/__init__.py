"""A typed scheduler: tasks run on executors, and each run's end is told with its type intact."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    __all__: list[str]

    from asyncz._aliases import (
        ClusterAlias as ClusterAlias,
        LoopAlias as LoopAlias,
        PoolAlias as PoolAlias,
        TriggerAlias as TriggerAlias,
    )
    from asyncz._current_run import CurrentRun as CurrentRun, current_run as current_run
    from asyncz.clock import SystemClock as SystemClock
    from asyncz.config import (
        ConfigSource as ConfigSource,
        DaskClusterKwargs as DaskClusterKwargs,
        DaskOptions as DaskOptions,
        ExecutorConfig as ExecutorConfig,
        LimitsConfig as LimitsConfig,
        PoolKwargs as PoolKwargs,
        PoolOptions as PoolOptions,
        ProcessPoolKwargs as ProcessPoolKwargs,
        RetryConfig as RetryConfig,
        SchedulerConfig as SchedulerConfig,
        TaskConfig as TaskConfig,
        ThreadPoolKwargs as ThreadPoolKwargs,
        TriggerConfig as TriggerConfig,
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
        ConfigurationError as ConfigurationError,
        ConfigurationProblem as ConfigurationProblem,
        DuplicateExecutorError as DuplicateExecutorError,
        DuplicateTaskError as DuplicateTaskError,
        ExecutorInUseError as ExecutorInUseError,
        ExecutorNotRunningError as ExecutorNotRunningError,
        IllegalTransitionError as IllegalTransitionError,
        InvalidInputError as InvalidInputError,
        MaximumInstancesError as MaximumInstancesError,
        MissingExtraError as MissingExtraError,
        NeverDueError as NeverDueError,
        NoCurrentRunError as NoCurrentRunError,
        NoEventLoopError as NoEventLoopError,
        NoResultError as NoResultError,
        PluginError as PluginError,
        QueueFullError as QueueFullError,
        RemoteError as RemoteError,
        ResultTimeoutError as ResultTimeoutError,
        RunsNotFinishedError as RunsNotFinishedError,
        SchedulerAlreadyRunningError as SchedulerAlreadyRunningError,
        SchedulerNotRunningError as SchedulerNotRunningError,
        SerializationError as SerializationError,
        TaskCancelledError as TaskCancelledError,
        TaskExitError as TaskExitError,
        TaskLookupError as TaskLookupError,
        TaskMissedError as TaskMissedError,
        TaskTimeoutError as TaskTimeoutError,
        UnknownAliasError as UnknownAliasError,
        UnknownOptionError as UnknownOptionError,
        WorkerLostError as WorkerLostError,
        WorkerStartError as WorkerStartError,
        WrongThreadError as WrongThreadError,
    )
    from asyncz.executors.asyncio import AsyncIOExecutor as AsyncIOExecutor
    from asyncz.executors.base import BaseExecutor as BaseExecutor
    from asyncz.executors.dask import DaskExecutor as DaskExecutor
    from asyncz.executors.debug import DebugExecutor as DebugExecutor
    from asyncz.executors.delegating import (
        DelegatingExecutor as DelegatingExecutor,
        RestrictedDelegatingExecutor as RestrictedDelegatingExecutor,
    )
    from asyncz.executors.futures import FuturesExecutor as FuturesExecutor
    from asyncz.executors.process_pool import ProcessPoolExecutor as ProcessPoolExecutor
    from asyncz.executors.thread_pool import ThreadPoolExecutor as ThreadPoolExecutor
    from asyncz.limits import OverlapPolicy as OverlapPolicy, TaskLimits as TaskLimits, TaskOptions as TaskOptions
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
        SupportsCancelAll as SupportsCancelAll,
        SupportsCatchUp as SupportsCatchUp,
        SupportsCheckCall as SupportsCheckCall,
        SupportsStart as SupportsStart,
        Timer as Timer,
        Trigger as Trigger,
        UniversalExecutor as UniversalExecutor,
    )
    from asyncz.retries import Retry as Retry
    from asyncz.runs import RunHandle as RunHandle, TaskRun as TaskRun
    from asyncz.schedulers.asgi import AppWithScheduler as AppWithScheduler
    from asyncz.schedulers.asyncio import (
        AsyncIOScheduler as AsyncIOScheduler,
        Subscription as Subscription,
        TaskDecorator as TaskDecorator,
    )
    from asyncz.schedulers.thread import SchedulerThread as SchedulerThread
    from asyncz.specs import TaskSpec as TaskSpec
    from asyncz.states import (
        ClusterState as ClusterState,
        ExecutorState as ExecutorState,
        ExecutorStatus as ExecutorStatus,
        InstanceCount as InstanceCount,
        RunOutcome as RunOutcome,
        RunSummary as RunSummary,
        SchedulerState as SchedulerState,
        SchedulerStatus as SchedulerStatus,
        TaskState as TaskState,
    )
    from asyncz.tasks import NotificationStream as NotificationStream, Task as Task, TaskFunction as TaskFunction
    from asyncz.triggers.base import AndTrigger as AndTrigger, BaseTrigger as BaseTrigger, OrTrigger as OrTrigger
    from asyncz.triggers.calendar import CalendarIntervalTrigger as CalendarIntervalTrigger
    from asyncz.triggers.cron import CronTrigger as CronTrigger
    from asyncz.triggers.date import DateTrigger as DateTrigger
    from asyncz.triggers.interval import IntervalTrigger as IntervalTrigger
else:
    from asyncz._lazy import lazy_exports

    # Imported on first use: `import asyncz` loads neither asyncio, nor pydantic, nor multiprocessing.
    __all__, __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "asyncz._aliases": ("ClusterAlias", "LoopAlias", "PoolAlias", "TriggerAlias"),
            "asyncz.clock": ("SystemClock",),
            "asyncz.config": (
                "ConfigSource",
                "DaskClusterKwargs",
                "DaskOptions",
                "ExecutorConfig",
                "LimitsConfig",
                "PoolKwargs",
                "PoolOptions",
                "ProcessPoolKwargs",
                "RetryConfig",
                "SchedulerConfig",
                "TaskConfig",
                "ThreadPoolKwargs",
                "TriggerConfig",
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
                "ConfigurationError",
                "ConfigurationProblem",
                "DuplicateExecutorError",
                "DuplicateTaskError",
                "ExecutorInUseError",
                "ExecutorNotRunningError",
                "IllegalTransitionError",
                "InvalidInputError",
                "MaximumInstancesError",
                "MissingExtraError",
                "NeverDueError",
                "NoCurrentRunError",
                "NoEventLoopError",
                "NoResultError",
                "PluginError",
                "QueueFullError",
                "RemoteError",
                "ResultTimeoutError",
                "RunsNotFinishedError",
                "SchedulerAlreadyRunningError",
                "SchedulerNotRunningError",
                "SerializationError",
                "TaskCancelledError",
                "TaskExitError",
                "TaskLookupError",
                "TaskMissedError",
                "TaskTimeoutError",
                "UnknownAliasError",
                "UnknownOptionError",
                "WorkerLostError",
                "WorkerStartError",
                "WrongThreadError",
            ),
            "asyncz.executors.asyncio": ("AsyncIOExecutor",),
            "asyncz.executors.base": ("BaseExecutor",),
            "asyncz.executors.dask": ("DaskExecutor",),
            "asyncz.executors.debug": ("DebugExecutor",),
            "asyncz.executors.delegating": ("DelegatingExecutor", "RestrictedDelegatingExecutor"),
            "asyncz.executors.futures": ("FuturesExecutor",),
            "asyncz.executors.process_pool": ("ProcessPoolExecutor",),
            "asyncz.executors.thread_pool": ("ThreadPoolExecutor",),
            "asyncz.limits": ("OverlapPolicy", "TaskLimits", "TaskOptions"),
            "asyncz.plugins": ("create_executor", "create_trigger", "executor_aliases", "trigger_aliases"),
            "asyncz.protocols": (
                "Clock",
                "Executor",
                "Listener",
                "Notifier",
                "SupportsCancel",
                "SupportsCancelAll",
                "SupportsCatchUp",
                "SupportsCheckCall",
                "SupportsStart",
                "Timer",
                "Trigger",
                "UniversalExecutor",
            ),
            "asyncz.retries": ("Retry",),
            "asyncz._current_run": ("CurrentRun", "current_run"),
            "asyncz.runs": ("RunHandle", "TaskRun"),
            "asyncz.schedulers.asgi": ("AppWithScheduler",),
            "asyncz.schedulers.asyncio": ("AsyncIOScheduler", "Subscription", "TaskDecorator"),
            "asyncz.schedulers.thread": ("SchedulerThread",),
            "asyncz.specs": ("TaskSpec",),
            "asyncz.states": (
                "ClusterState",
                "ExecutorState",
                "ExecutorStatus",
                "InstanceCount",
                "RunOutcome",
                "RunSummary",
                "SchedulerState",
                "SchedulerStatus",
                "TaskState",
            ),
            "asyncz.tasks": ("NotificationStream", "Task", "TaskFunction"),
            "asyncz.triggers.base": ("AndTrigger", "BaseTrigger", "OrTrigger"),
            "asyncz.triggers.calendar": ("CalendarIntervalTrigger",),
            "asyncz.triggers.cron": ("CronTrigger",),
            "asyncz.triggers.date": ("DateTrigger",),
            "asyncz.triggers.interval": ("IntervalTrigger",),
        },
    )
