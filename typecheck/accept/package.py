"""The package itself and its subpackages: every public name is to be had from them."""

from __future__ import annotations

from typing import assert_type

from asyncz import (
    AsyncIOExecutor as AsyncIOExecutor,
)
from asyncz import (
    AsyncIOScheduler as AsyncIOScheduler,
)
from asyncz import (
    AsynczError as AsynczError,
)
from asyncz import (
    BaseExecutor as BaseExecutor,
)
from asyncz import (
    Clock as Clock,
)
from asyncz import (
    DateTrigger as DateTrigger,
)
from asyncz import (
    DebugExecutor as DebugExecutor,
)
from asyncz import (
    DuplicateExecutorError as DuplicateExecutorError,
)
from asyncz import (
    DuplicateTaskError as DuplicateTaskError,
)
from asyncz import (
    Event as Event,
)
from asyncz import (
    Executor as Executor,
)
from asyncz import (
    ExecutorAdded as ExecutorAdded,
)
from asyncz import (
    ExecutorInUseError as ExecutorInUseError,
)
from asyncz import (
    ExecutorNotRunningError as ExecutorNotRunningError,
)
from asyncz import (
    ExecutorRemoved as ExecutorRemoved,
)
from asyncz import (
    ExecutorState as ExecutorState,
)
from asyncz import (
    ExecutorStatus as ExecutorStatus,
)
from asyncz import (
    IllegalTransitionError as IllegalTransitionError,
)
from asyncz import (
    InstanceCount as InstanceCount,
)
from asyncz import (
    IntervalTrigger as IntervalTrigger,
)
from asyncz import (
    InvalidInputError as InvalidInputError,
)
from asyncz import (
    Listener as Listener,
)
from asyncz import (
    LoopAlias as LoopAlias,
)
from asyncz import (
    MaximumInstancesError as MaximumInstancesError,
)
from asyncz import (
    NotificationStream as NotificationStream,
)
from asyncz import (
    Notifier as Notifier,
)
from asyncz import (
    PlainEvent as PlainEvent,
)
from asyncz import (
    PluginError as PluginError,
)
from asyncz import (
    PoolAlias as PoolAlias,
)
from asyncz import (
    PoolKwargs as PoolKwargs,
)
from asyncz import (
    PoolOptions as PoolOptions,
)
from asyncz import (
    ProcessPoolExecutor as ProcessPoolExecutor,
)
from asyncz import (
    ProcessPoolKwargs as ProcessPoolKwargs,
)
from asyncz import (
    QueueFullError as QueueFullError,
)
from asyncz import (
    RemoteError as RemoteError,
)
from asyncz import (
    Retry as Retry,
)
from asyncz import (
    RunDetails as RunDetails,
)
from asyncz import (
    RunHandle as RunHandle,
)
from asyncz import (
    RunsStillRunningError as RunsStillRunningError,
)
from asyncz import (
    SchedulerAlreadyRunningError as SchedulerAlreadyRunningError,
)
from asyncz import (
    SchedulerNotRunningError as SchedulerNotRunningError,
)
from asyncz import (
    SchedulerPaused as SchedulerPaused,
)
from asyncz import (
    SchedulerResumed as SchedulerResumed,
)
from asyncz import (
    SchedulerShutdown as SchedulerShutdown,
)
from asyncz import (
    SchedulerStarted as SchedulerStarted,
)
from asyncz import (
    SchedulerState as SchedulerState,
)
from asyncz import (
    SchedulerStatus as SchedulerStatus,
)
from asyncz import (
    SerializationError as SerializationError,
)
from asyncz import (
    Subscription as Subscription,
)
from asyncz import (
    SupportsCancel as SupportsCancel,
)
from asyncz import (
    SystemClock as SystemClock,
)
from asyncz import (
    Task as Task,
)
from asyncz import (
    TaskAdded as TaskAdded,
)
from asyncz import (
    TaskCancelled as TaskCancelled,
)
from asyncz import (
    TaskCancelledError as TaskCancelledError,
)
from asyncz import (
    TaskDecorator as TaskDecorator,
)
from asyncz import (
    TaskError as TaskError,
)
from asyncz import (
    TaskExecuted as TaskExecuted,
)
from asyncz import (
    TaskExitError as TaskExitError,
)
from asyncz import (
    TaskFunction as TaskFunction,
)
from asyncz import (
    TaskLimits as TaskLimits,
)
from asyncz import (
    TaskLookupError as TaskLookupError,
)
from asyncz import (
    TaskMaxInstances as TaskMaxInstances,
)
from asyncz import (
    TaskMissed as TaskMissed,
)
from asyncz import (
    TaskMissedError as TaskMissedError,
)
from asyncz import (
    TaskModified as TaskModified,
)
from asyncz import (
    TaskNotification as TaskNotification,
)
from asyncz import (
    TaskQueueFull as TaskQueueFull,
)
from asyncz import (
    TaskRemoved as TaskRemoved,
)
from asyncz import (
    TaskRetrying as TaskRetrying,
)
from asyncz import (
    TaskRun as TaskRun,
)
from asyncz import (
    TaskState as TaskState,
)
from asyncz import (
    TaskSubmitted as TaskSubmitted,
)
from asyncz import (
    TaskTimeoutError as TaskTimeoutError,
)
from asyncz import (
    ThreadPoolExecutor as ThreadPoolExecutor,
)
from asyncz import (
    ThreadPoolKwargs as ThreadPoolKwargs,
)
from asyncz import (
    Timer as Timer,
)
from asyncz import (
    Trigger as Trigger,
)
from asyncz import (
    TriggerAlias as TriggerAlias,
)
from asyncz import (
    UniversalExecutor as UniversalExecutor,
)
from asyncz import (
    UnknownAliasError as UnknownAliasError,
)
from asyncz import (
    Worker as Worker,
)
from asyncz import (
    WorkerLostError as WorkerLostError,
)
from asyncz import (
    WorkerStartError as WorkerStartError,
)
from asyncz import (
    create_executor as create_executor,
)
from asyncz import (
    create_trigger as create_trigger,
)
from asyncz import (
    executor_aliases as executor_aliases,
)
from asyncz import executors, testing, triggers
from asyncz import (
    trigger_aliases as trigger_aliases,
)


def of_the_subpackages() -> None:
    assert_type(executors.AsyncIOExecutor(), AsyncIOExecutor)
    assert_type(executors.BaseExecutor(), BaseExecutor)
    assert_type(executors.DebugExecutor(), DebugExecutor)
    assert_type(executors.ProcessPoolExecutor(), ProcessPoolExecutor)
    assert_type(executors.ThreadPoolExecutor(), ThreadPoolExecutor)
    assert_type(triggers.DateTrigger(), DateTrigger)
    assert_type(triggers.IntervalTrigger(seconds=1), IntervalTrigger)
    assert_type(testing.FakeClock().now(), float)
