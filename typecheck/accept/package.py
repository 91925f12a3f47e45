"""The package itself and its subpackages: every public name is to be had from them."""

from __future__ import annotations

from typing import assert_type

from asyncz import (
    AndTrigger as AndTrigger,
    AsyncIOExecutor as AsyncIOExecutor,
    AsyncIOScheduler as AsyncIOScheduler,
    AsynczError as AsynczError,
    BaseExecutor as BaseExecutor,
    BaseTrigger as BaseTrigger,
    CalendarIntervalTrigger as CalendarIntervalTrigger,
    Clock as Clock,
    CronTrigger as CronTrigger,
    DateTrigger as DateTrigger,
    DebugExecutor as DebugExecutor,
    DuplicateExecutorError as DuplicateExecutorError,
    DuplicateTaskError as DuplicateTaskError,
    Event as Event,
    Executor as Executor,
    ExecutorAdded as ExecutorAdded,
    ExecutorInUseError as ExecutorInUseError,
    ExecutorNotRunningError as ExecutorNotRunningError,
    ExecutorRemoved as ExecutorRemoved,
    ExecutorState as ExecutorState,
    ExecutorStatus as ExecutorStatus,
    IllegalTransitionError as IllegalTransitionError,
    InstanceCount as InstanceCount,
    IntervalTrigger as IntervalTrigger,
    InvalidInputError as InvalidInputError,
    Listener as Listener,
    LoopAlias as LoopAlias,
    MaximumInstancesError as MaximumInstancesError,
    MissingExtraError as MissingExtraError,
    NeverDueError as NeverDueError,
    NotificationStream as NotificationStream,
    Notifier as Notifier,
    OrTrigger as OrTrigger,
    PlainEvent as PlainEvent,
    PluginError as PluginError,
    PoolAlias as PoolAlias,
    PoolKwargs as PoolKwargs,
    PoolOptions as PoolOptions,
    ProcessPoolExecutor as ProcessPoolExecutor,
    ProcessPoolKwargs as ProcessPoolKwargs,
    QueueFullError as QueueFullError,
    RemoteError as RemoteError,
    Retry as Retry,
    RunDetails as RunDetails,
    RunHandle as RunHandle,
    RunsStillRunningError as RunsStillRunningError,
    SchedulerAlreadyRunningError as SchedulerAlreadyRunningError,
    SchedulerNotRunningError as SchedulerNotRunningError,
    SchedulerPaused as SchedulerPaused,
    SchedulerResumed as SchedulerResumed,
    SchedulerShutdown as SchedulerShutdown,
    SchedulerStarted as SchedulerStarted,
    SchedulerState as SchedulerState,
    SchedulerStatus as SchedulerStatus,
    SerializationError as SerializationError,
    Subscription as Subscription,
    SupportsCancel as SupportsCancel,
    SupportsStart as SupportsStart,
    SystemClock as SystemClock,
    Task as Task,
    TaskAdded as TaskAdded,
    TaskCancelled as TaskCancelled,
    TaskCancelledError as TaskCancelledError,
    TaskDecorator as TaskDecorator,
    TaskError as TaskError,
    TaskExecuted as TaskExecuted,
    TaskExitError as TaskExitError,
    TaskFunction as TaskFunction,
    TaskLimits as TaskLimits,
    TaskLookupError as TaskLookupError,
    TaskMaxInstances as TaskMaxInstances,
    TaskMissed as TaskMissed,
    TaskMissedError as TaskMissedError,
    TaskModified as TaskModified,
    TaskNotification as TaskNotification,
    TaskQueueFull as TaskQueueFull,
    TaskRemoved as TaskRemoved,
    TaskRetrying as TaskRetrying,
    TaskRun as TaskRun,
    TaskState as TaskState,
    TaskSubmitted as TaskSubmitted,
    TaskTimeoutError as TaskTimeoutError,
    ThreadPoolExecutor as ThreadPoolExecutor,
    ThreadPoolKwargs as ThreadPoolKwargs,
    Timer as Timer,
    Trigger as Trigger,
    TriggerAlias as TriggerAlias,
    UniversalExecutor as UniversalExecutor,
    UnknownAliasError as UnknownAliasError,
    Worker as Worker,
    WorkerLostError as WorkerLostError,
    WorkerStartError as WorkerStartError,
    create_executor as create_executor,
    create_trigger as create_trigger,
    executor_aliases as executor_aliases,
    executors,
    testing,
    trigger_aliases as trigger_aliases,
    triggers,
)


def of_the_subpackages() -> None:
    assert_type(executors.AsyncIOExecutor(), AsyncIOExecutor)
    assert_type(executors.BaseExecutor(), BaseExecutor)
    assert_type(executors.DebugExecutor(), DebugExecutor)
    assert_type(executors.ProcessPoolExecutor(), ProcessPoolExecutor)
    assert_type(executors.ThreadPoolExecutor(), ThreadPoolExecutor)
    assert_type(triggers.AndTrigger([DateTrigger()]), AndTrigger)
    assert_type(triggers.BaseTrigger(), BaseTrigger)
    assert_type(triggers.CalendarIntervalTrigger(months=1), CalendarIntervalTrigger)
    assert_type(triggers.CronTrigger("@daily"), CronTrigger)
    assert_type(triggers.DateTrigger(), DateTrigger)
    assert_type(triggers.IntervalTrigger(seconds=1), IntervalTrigger)
    assert_type(triggers.OrTrigger([DateTrigger()]), OrTrigger)
    assert_type(testing.FakeClock().now(), float)
