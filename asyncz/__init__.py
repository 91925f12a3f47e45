"""A typed scheduler: tasks run on executors, and each run's end is told with its type intact."""

from typing import TYPE_CHECKING

from asyncz._lazy import lazy_exports

if TYPE_CHECKING:
    from asyncz.clock import (
        SystemClock as SystemClock,
    )
    from asyncz.config import (
        LoopAlias as LoopAlias,
    )
    from asyncz.config import (
        PoolAlias as PoolAlias,
    )
    from asyncz.config import (
        PoolKwargs as PoolKwargs,
    )
    from asyncz.config import (
        PoolOptions as PoolOptions,
    )
    from asyncz.config import (
        ProcessPoolKwargs as ProcessPoolKwargs,
    )
    from asyncz.config import (
        ThreadPoolKwargs as ThreadPoolKwargs,
    )
    from asyncz.config import (
        TriggerAlias as TriggerAlias,
    )
    from asyncz.events import (
        Event as Event,
    )
    from asyncz.events import (
        ExecutorAdded as ExecutorAdded,
    )
    from asyncz.events import (
        ExecutorRemoved as ExecutorRemoved,
    )
    from asyncz.events import (
        PlainEvent as PlainEvent,
    )
    from asyncz.events import (
        RunDetails as RunDetails,
    )
    from asyncz.events import (
        SchedulerPaused as SchedulerPaused,
    )
    from asyncz.events import (
        SchedulerResumed as SchedulerResumed,
    )
    from asyncz.events import (
        SchedulerShutdown as SchedulerShutdown,
    )
    from asyncz.events import (
        SchedulerStarted as SchedulerStarted,
    )
    from asyncz.events import (
        TaskAdded as TaskAdded,
    )
    from asyncz.events import (
        TaskCancelled as TaskCancelled,
    )
    from asyncz.events import (
        TaskError as TaskError,
    )
    from asyncz.events import (
        TaskExecuted as TaskExecuted,
    )
    from asyncz.events import (
        TaskMaxInstances as TaskMaxInstances,
    )
    from asyncz.events import (
        TaskMissed as TaskMissed,
    )
    from asyncz.events import (
        TaskModified as TaskModified,
    )
    from asyncz.events import (
        TaskNotification as TaskNotification,
    )
    from asyncz.events import (
        TaskQueueFull as TaskQueueFull,
    )
    from asyncz.events import (
        TaskRemoved as TaskRemoved,
    )
    from asyncz.events import (
        TaskRetrying as TaskRetrying,
    )
    from asyncz.events import (
        TaskSubmitted as TaskSubmitted,
    )
    from asyncz.events import (
        Worker as Worker,
    )
    from asyncz.exceptions import (
        AsynczError as AsynczError,
    )
    from asyncz.exceptions import (
        DuplicateExecutorError as DuplicateExecutorError,
    )
    from asyncz.exceptions import (
        DuplicateTaskError as DuplicateTaskError,
    )
    from asyncz.exceptions import (
        ExecutorInUseError as ExecutorInUseError,
    )
    from asyncz.exceptions import (
        ExecutorNotRunningError as ExecutorNotRunningError,
    )
    from asyncz.exceptions import (
        IllegalTransitionError as IllegalTransitionError,
    )
    from asyncz.exceptions import (
        InvalidInputError as InvalidInputError,
    )
    from asyncz.exceptions import (
        MaximumInstancesError as MaximumInstancesError,
    )
    from asyncz.exceptions import (
        PluginError as PluginError,
    )
    from asyncz.exceptions import (
        QueueFullError as QueueFullError,
    )
    from asyncz.exceptions import (
        RemoteError as RemoteError,
    )
    from asyncz.exceptions import (
        RunsStillRunningError as RunsStillRunningError,
    )
    from asyncz.exceptions import (
        SchedulerAlreadyRunningError as SchedulerAlreadyRunningError,
    )
    from asyncz.exceptions import (
        SchedulerNotRunningError as SchedulerNotRunningError,
    )
    from asyncz.exceptions import (
        SerializationError as SerializationError,
    )
    from asyncz.exceptions import (
        TaskCancelledError as TaskCancelledError,
    )
    from asyncz.exceptions import (
        TaskExitError as TaskExitError,
    )
    from asyncz.exceptions import (
        TaskLookupError as TaskLookupError,
    )
    from asyncz.exceptions import (
        TaskMissedError as TaskMissedError,
    )
    from asyncz.exceptions import (
        TaskTimeoutError as TaskTimeoutError,
    )
    from asyncz.exceptions import (
        UnknownAliasError as UnknownAliasError,
    )
    from asyncz.exceptions import (
        WorkerLostError as WorkerLostError,
    )
    from asyncz.exceptions import (
        WorkerStartError as WorkerStartError,
    )
    from asyncz.executors.asyncio import (
        AsyncIOExecutor as AsyncIOExecutor,
    )
    from asyncz.executors.base import (
        BaseExecutor as BaseExecutor,
    )
    from asyncz.executors.debug import (
        DebugExecutor as DebugExecutor,
    )
    from asyncz.executors.process_pool import (
        ProcessPoolExecutor as ProcessPoolExecutor,
    )
    from asyncz.executors.thread_pool import (
        ThreadPoolExecutor as ThreadPoolExecutor,
    )
    from asyncz.plugins import (
        create_executor as create_executor,
    )
    from asyncz.plugins import (
        create_trigger as create_trigger,
    )
    from asyncz.plugins import (
        executor_aliases as executor_aliases,
    )
    from asyncz.plugins import (
        trigger_aliases as trigger_aliases,
    )
    from asyncz.protocols import (
        Clock as Clock,
    )
    from asyncz.protocols import (
        Executor as Executor,
    )
    from asyncz.protocols import (
        Listener as Listener,
    )
    from asyncz.protocols import (
        Notifier as Notifier,
    )
    from asyncz.protocols import (
        SupportsCancel as SupportsCancel,
    )
    from asyncz.protocols import (
        Timer as Timer,
    )
    from asyncz.protocols import (
        Trigger as Trigger,
    )
    from asyncz.protocols import (
        UniversalExecutor as UniversalExecutor,
    )
    from asyncz.retries import (
        Retry as Retry,
    )
    from asyncz.schedulers.asyncio import (
        AsyncIOScheduler as AsyncIOScheduler,
    )
    from asyncz.schedulers.asyncio import (
        Subscription as Subscription,
    )
    from asyncz.schedulers.asyncio import (
        TaskDecorator as TaskDecorator,
    )
    from asyncz.states import (
        ExecutorState as ExecutorState,
    )
    from asyncz.states import (
        ExecutorStatus as ExecutorStatus,
    )
    from asyncz.states import (
        InstanceCount as InstanceCount,
    )
    from asyncz.states import (
        SchedulerState as SchedulerState,
    )
    from asyncz.states import (
        SchedulerStatus as SchedulerStatus,
    )
    from asyncz.states import (
        TaskState as TaskState,
    )
    from asyncz.tasks import (
        NotificationStream as NotificationStream,
    )
    from asyncz.tasks import (
        RunHandle as RunHandle,
    )
    from asyncz.tasks import (
        Task as Task,
    )
    from asyncz.tasks import (
        TaskFunction as TaskFunction,
    )
    from asyncz.tasks import (
        TaskLimits as TaskLimits,
    )
    from asyncz.tasks import (
        TaskRun as TaskRun,
    )
    from asyncz.triggers.date import (
        DateTrigger as DateTrigger,
    )
    from asyncz.triggers.interval import (
        IntervalTrigger as IntervalTrigger,
    )
else:
    # Imported on first use: `import asyncz` loads neither asyncio, nor pydantic, nor multiprocessing.
    __getattr__ = lazy_exports(
        __name__,
        {
            "asyncz.clock": ("SystemClock",),
            "asyncz.config": (
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
                "DuplicateExecutorError",
                "DuplicateTaskError",
                "ExecutorInUseError",
                "ExecutorNotRunningError",
                "IllegalTransitionError",
                "InvalidInputError",
                "MaximumInstancesError",
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
            "asyncz.executors.debug": ("DebugExecutor",),
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
            "asyncz.triggers.date": ("DateTrigger",),
            "asyncz.triggers.interval": ("IntervalTrigger",),
        },
    )

__all__ = [
    "AsyncIOExecutor",
    "AsyncIOScheduler",
    "AsynczError",
    "BaseExecutor",
    "Clock",
    "DateTrigger",
    "DebugExecutor",
    "DuplicateExecutorError",
    "DuplicateTaskError",
    "Event",
    "Executor",
    "ExecutorAdded",
    "ExecutorInUseError",
    "ExecutorNotRunningError",
    "ExecutorRemoved",
    "ExecutorState",
    "ExecutorStatus",
    "IllegalTransitionError",
    "InstanceCount",
    "IntervalTrigger",
    "InvalidInputError",
    "Listener",
    "LoopAlias",
    "MaximumInstancesError",
    "NotificationStream",
    "Notifier",
    "PlainEvent",
    "PluginError",
    "PoolAlias",
    "PoolKwargs",
    "PoolOptions",
    "ProcessPoolExecutor",
    "ProcessPoolKwargs",
    "QueueFullError",
    "RemoteError",
    "Retry",
    "RunDetails",
    "RunHandle",
    "RunsStillRunningError",
    "SchedulerAlreadyRunningError",
    "SchedulerNotRunningError",
    "SchedulerPaused",
    "SchedulerResumed",
    "SchedulerShutdown",
    "SchedulerStarted",
    "SchedulerState",
    "SchedulerStatus",
    "SerializationError",
    "Subscription",
    "SupportsCancel",
    "SystemClock",
    "Task",
    "TaskAdded",
    "TaskCancelled",
    "TaskCancelledError",
    "TaskDecorator",
    "TaskError",
    "TaskExecuted",
    "TaskExitError",
    "TaskFunction",
    "TaskLimits",
    "TaskLookupError",
    "TaskMaxInstances",
    "TaskMissed",
    "TaskMissedError",
    "TaskModified",
    "TaskNotification",
    "TaskQueueFull",
    "TaskRemoved",
    "TaskRetrying",
    "TaskRun",
    "TaskState",
    "TaskSubmitted",
    "TaskTimeoutError",
    "ThreadPoolExecutor",
    "ThreadPoolKwargs",
    "Timer",
    "Trigger",
    "TriggerAlias",
    "UniversalExecutor",
    "UnknownAliasError",
    "Worker",
    "WorkerLostError",
    "WorkerStartError",
    "create_executor",
    "create_trigger",
    "executor_aliases",
    "trigger_aliases",
]
