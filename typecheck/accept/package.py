"""The package itself and its subpackages: every public name is to be had from them."""

from __future__ import annotations

from typing import assert_type

from asyncz import (
    AndTrigger as AndTrigger,
    AppWithScheduler as AppWithScheduler,
    ArgumentMismatchError,
    AsyncIOExecutor as AsyncIOExecutor,
    AsyncIOScheduler as AsyncIOScheduler,
    AsynczError as AsynczError,
    BaseExecutor as BaseExecutor,
    BaseTrigger as BaseTrigger,
    Batch as Batch,
    BatchItemError as BatchItemError,
    BatchOptions as BatchOptions,
    BatchOutcome as BatchOutcome,
    BoundCall,
    CalendarIntervalTrigger as CalendarIntervalTrigger,
    Clock as Clock,
    ClusterAlias as ClusterAlias,
    ClusterConnectionError as ClusterConnectionError,
    ClusterState as ClusterState,
    ConfigSource as ConfigSource,
    ConfigurationError as ConfigurationError,
    ConfigurationProblem as ConfigurationProblem,
    CronTrigger as CronTrigger,
    CurrentRun as CurrentRun,
    DaskClusterKwargs as DaskClusterKwargs,
    DaskExecutor as DaskExecutor,
    DaskOptions as DaskOptions,
    DateTrigger as DateTrigger,
    DebugExecutor as DebugExecutor,
    DelegatingExecutor as DelegatingExecutor,
    DownstreamCall,
    DuplicateExecutorError as DuplicateExecutorError,
    DuplicateTaskError as DuplicateTaskError,
    Event as Event,
    EventLoopRunningError,
    EventScope as EventScope,
    Executor as Executor,
    ExecutorAdded as ExecutorAdded,
    ExecutorAlias,
    ExecutorConfig as ExecutorConfig,
    ExecutorInUseError as ExecutorInUseError,
    ExecutorNotRunningError as ExecutorNotRunningError,
    ExecutorRemoved as ExecutorRemoved,
    ExecutorState as ExecutorState,
    ExecutorStatus as ExecutorStatus,
    FunctionMismatchError,
    FunctionTasks,
    FuturesExecutor as FuturesExecutor,
    IllegalTransitionError as IllegalTransitionError,
    InstanceCount as InstanceCount,
    IntervalTrigger as IntervalTrigger,
    InvalidInputError as InvalidInputError,
    LimitsConfig as LimitsConfig,
    Listener as Listener,
    ListenerDecorator,
    LoopAlias as LoopAlias,
    MaximumInstancesError as MaximumInstancesError,
    MissingExtraError as MissingExtraError,
    NeverDueError as NeverDueError,
    NoCurrentRunError as NoCurrentRunError,
    NoEventLoopError as NoEventLoopError,
    NoResultError as NoResultError,
    NotificationStream as NotificationStream,
    Notifier as Notifier,
    OrTrigger as OrTrigger,
    OtherAlias as OtherAlias,
    OverlapPolicy as OverlapPolicy,
    PlainEvent as PlainEvent,
    PluginError as PluginError,
    PoolAlias as PoolAlias,
    PoolKwargs as PoolKwargs,
    PoolOptions as PoolOptions,
    ProcessPoolExecutor as ProcessPoolExecutor,
    ProcessPoolKwargs as ProcessPoolKwargs,
    QueueFullError as QueueFullError,
    RemoteError as RemoteError,
    RestrictedDelegatingExecutor as RestrictedDelegatingExecutor,
    ResultTimeoutError as ResultTimeoutError,
    Retry as Retry,
    RetryConfig as RetryConfig,
    RunDetails as RunDetails,
    RunFinishError as RunFinishError,
    RunHandle as RunHandle,
    RunLookupError as RunLookupError,
    RunOutcome as RunOutcome,
    RunProgress as RunProgress,
    RunsNotFinishedError as RunsNotFinishedError,
    RunSummary as RunSummary,
    SchedulerAlreadyRunningError as SchedulerAlreadyRunningError,
    SchedulerConfig as SchedulerConfig,
    SchedulerNotRunningError as SchedulerNotRunningError,
    SchedulerPaused as SchedulerPaused,
    SchedulerResumed as SchedulerResumed,
    SchedulerShutdown as SchedulerShutdown,
    SchedulerStarted as SchedulerStarted,
    SchedulerState as SchedulerState,
    SchedulerStatus as SchedulerStatus,
    SchedulerThread as SchedulerThread,
    SerializationError as SerializationError,
    Subscription as Subscription,
    SupportsCancel as SupportsCancel,
    SupportsCancelAll as SupportsCancelAll,
    SupportsCatchUp as SupportsCatchUp,
    SupportsCheckCall as SupportsCheckCall,
    SupportsStart as SupportsStart,
    SyncContextError,
    SystemClock as SystemClock,
    Task as Task,
    TaskAdded as TaskAdded,
    TaskCancelled as TaskCancelled,
    TaskCancelledError as TaskCancelledError,
    TaskConfig as TaskConfig,
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
    TaskOptions as TaskOptions,
    TaskProgress as TaskProgress,
    TaskQueueFull as TaskQueueFull,
    TaskRemoved as TaskRemoved,
    TaskRetrying as TaskRetrying,
    TaskRun as TaskRun,
    TaskSpec as TaskSpec,
    TaskState as TaskState,
    TaskSubmitted as TaskSubmitted,
    TaskTimeoutError as TaskTimeoutError,
    ThreadBatch as ThreadBatch,
    ThreadPoolExecutor as ThreadPoolExecutor,
    ThreadPoolKwargs as ThreadPoolKwargs,
    Timer as Timer,
    Trigger as Trigger,
    TriggerAlias as TriggerAlias,
    TriggerConfig as TriggerConfig,
    UniversalExecutor as UniversalExecutor,
    UnknownAliasError as UnknownAliasError,
    UnknownOptionError as UnknownOptionError,
    Worker as Worker,
    WorkerLostError as WorkerLostError,
    WorkerStartError as WorkerStartError,
    WrongThreadError as WrongThreadError,
    __version__,
    create_executor as create_executor,
    create_trigger as create_trigger,
    current_run as current_run,
    executor_aliases as executor_aliases,
    executors,
    install_log_fields,
    testing,
    trigger_aliases as trigger_aliases,
    triggers,
)


def of_the_subpackages() -> None:
    assert_type(executors.AsyncIOExecutor(), AsyncIOExecutor)
    assert_type(executors.BaseExecutor.has_queue, bool)
    assert_type(executors.DebugExecutor(), DebugExecutor)
    assert_type(executors.ProcessPoolExecutor(), ProcessPoolExecutor)
    assert_type(executors.ThreadPoolExecutor(), ThreadPoolExecutor)
    assert_type(triggers.AndTrigger([DateTrigger()]), AndTrigger)
    assert_type(triggers.CalendarIntervalTrigger(months=1), CalendarIntervalTrigger)
    assert_type(triggers.CronTrigger("@daily"), CronTrigger)
    assert_type(triggers.DateTrigger(), DateTrigger)
    assert_type(triggers.IntervalTrigger(seconds=1), IntervalTrigger)
    assert_type(triggers.OrTrigger([DateTrigger()]), OrTrigger)
    assert_type(testing.FakeClock().now(), float)


def of_calls(
    bound: BoundCall[int],
    downstream: DownstreamCall[str, int],
    found: FunctionTasks[int],
    alias: ExecutorAlias,
    on_error: ListenerDecorator[TaskError],
) -> None:
    assert_type(bound.add(executor=alias), Task[int])
    assert_type(downstream.add(), Task[int])
    assert_type(found.get("id"), Task[int])
    on_error(print)


def of_more_errors(
    mismatch: ArgumentMismatchError,
    function: FunctionMismatchError,
    running: EventLoopRunningError,
    entered: SyncContextError,
) -> None:
    assert_type(mismatch.function, str)
    assert_type(function.task_id, str)
    error: AsynczError = running
    type_error: TypeError = entered
    print(type_error)
    print(error, __version__.split("."))
    install_log_fields()
