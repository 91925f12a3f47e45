"""Mistakes with errors: fields that they have not, and making them wrongly."""

from __future__ import annotations

from datetime import datetime

from asyncz import (
    EventLoopRunningError,
    ArgumentMismatchError,
    FunctionMismatchError,
    UnknownOptionError,
    ConfigurationError,
    ConfigurationProblem,
    AsynczError,
    ClusterConnectionError,
    DuplicateExecutorError,
    DuplicateTaskError,
    ExecutorInUseError,
    ExecutorNotRunningError,
    IllegalTransitionError,
    InvalidInputError,
    MaximumInstancesError,
    NoCurrentRunError,
    NoEventLoopError,
    NoResultError,
    ResultTimeoutError,
    RunFinishError,
    PluginError,
    QueueFullError,
    RemoteError,
    MissingExtraError,
    NeverDueError,
    RunsNotFinishedError,
    SchedulerAlreadyRunningError,
    SchedulerNotRunningError,
    SerializationError,
    SyncContextError,
    TaskCancelledError,
    TaskExitError,
    TaskLookupError,
    TaskMissedError,
    TaskTimeoutError,
    UnknownAliasError,
    WorkerLostError,
    WorkerStartError,
    WrongThreadError,
)

now = datetime.now().astimezone()


def fields(root: AsynczError, lost: WorkerLostError, timeout: TaskTimeoutError, unknown: UnknownAliasError) -> None:
    root.task_id  # E
    lost.task_id  # E
    lost.exit_code + 1  # E
    lost.pid + 1  # E
    timeout.timeout.seconds  # E
    unknown.known.append("alias")  # E
    unknown.kind + 1  # E


def texts(invalid: InvalidInputError, plugin: PluginError, remote: RemoteError, exit_error: TaskExitError) -> None:
    invalid.value + 1  # E
    plugin.reason + 1  # E
    remote.type_name + 1  # E
    exit_error.exception.args  # E


def made() -> None:
    InvalidInputError("name", "value")  # E
    RunsNotFinishedError(["task"], 1.0)  # E
    MissingExtraError("feature", "package")  # E
    MissingExtraError("feature", 3, "extra")  # E
    NeverDueError("a and b", "after", "until")  # E
    NeverDueError(("a", "b"), now, "until")  # E
    RunsNotFinishedError(("task",), "1 s")  # E
    InvalidInputError("name", 3, "allowed")  # E
    UnknownAliasError("executor", "alias", ["known"])  # E
    TaskLookupError()  # E
    DuplicateTaskError(3)  # E
    ExecutorInUseError("alias", ["task"])  # E
    SchedulerNotRunningError()  # E
    ExecutorNotRunningError("alias")  # E
    MaximumInstancesError("task", "3")  # E
    QueueFullError("alias", None)  # E
    TaskTimeoutError("task", "1 s")  # E
    TaskMissedError()  # E
    NoResultError()  # E
    NoCurrentRunError().task_id  # E
    RunFinishError("task")  # E
    NoEventLoopError()  # E
    WrongThreadError("action", "thread")  # E
    ResultTimeoutError("task", "1 s")  # E
    TaskCancelledError("task", 3)  # E
    WorkerLostError("reason", "SIGKILL")  # E
    ClusterConnectionError("tcp://10.0.0.5:8786")  # E
    WorkerStartError()  # E
    SerializationError("result")  # E


def not_standard(lost: WorkerLostError, lookup: TaskLookupError, started: WorkerLostError) -> None:
    timeout: TimeoutError = lost  # E
    value: ValueError = lookup  # E
    start: WorkerStartError = started  # E
    print(timeout, value, start)


def more_fields(
    taken: DuplicateExecutorError, illegal: IllegalTransitionError, running: SchedulerAlreadyRunningError
) -> None:
    DuplicateExecutorError()  # E
    taken.alias + 1  # E
    IllegalTransitionError("alias", "running")  # E
    illegal.wanted + 1  # E
    running.action  # E


def configuration(error: ConfigurationError, problem: ConfigurationProblem) -> None:
    ConfigurationError(problem)  # E
    ConfigurationError("it is wrong")  # E
    ConfigurationProblem("tasks.one", "it is wrong")  # E
    ConfigurationProblem(("tasks",))  # E
    ConfigurationProblem(("tasks",), "it is wrong", line="3")  # E
    problem.line = 3  # E
    error.problems[0].key()  # E


def of_tasks(
    mismatch: ArgumentMismatchError,
    function: FunctionMismatchError,
    option: UnknownOptionError,
    running: EventLoopRunningError,
    entered: SyncContextError,
) -> None:
    wrong: LookupError = entered  # E
    print(wrong)
    timeout: TimeoutError = running  # E
    print(timeout)
    mismatch.signature + 1  # E
    ArgumentMismatchError("fetch")  # E
    function.given + 1  # E
    FunctionMismatchError("task")  # E
    option.options.append("timeout")  # E
    UnknownOptionError("timeuot", "timeout")  # E
