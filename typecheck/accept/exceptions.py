"""Errors: their fields, and the standard errors that they are."""

from __future__ import annotations

from typing import assert_type

from asyncz import (
    AsynczError,
    ClusterConnectionError,
    ConfigurationError,
    ConfigurationProblem,
    DuplicateExecutorError,
    DuplicateTaskError,
    ExecutorInUseError,
    ExecutorNotRunningError,
    IllegalTransitionError,
    InvalidInputError,
    MaximumInstancesError,
    MissingExtraError,
    NeverDueError,
    NoCurrentRunError,
    NoEventLoopError,
    NoResultError,
    PluginError,
    QueueFullError,
    RemoteError,
    ResultTimeoutError,
    RunFinishError,
    RunsNotFinishedError,
    SchedulerAlreadyRunningError,
    SchedulerNotRunningError,
    SerializationError,
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


def invalid_input_error(error: InvalidInputError) -> tuple[AsynczError, ValueError]:
    assert_type(error.name, str)
    assert_type(error.value, str)
    assert_type(error.allowed, str)
    return error, error


def unknown_alias_error(error: UnknownAliasError) -> tuple[AsynczError, LookupError]:
    assert_type(error.kind, str)
    assert_type(error.alias, str)
    assert_type(error.known, tuple[str, ...])
    return error, error


def plugin_error(error: PluginError) -> tuple[AsynczError, RuntimeError]:
    assert_type(error.alias, str)
    assert_type(error.reference, str)
    assert_type(error.reason, str)
    return error, error


def task_lookup_error(error: TaskLookupError) -> tuple[AsynczError, LookupError]:
    assert_type(error.task_id, str)
    return error, error


def duplicate_task_error(error: DuplicateTaskError) -> tuple[AsynczError, ValueError]:
    assert_type(error.task_id, str)
    return error, error


def duplicate_executor_error(error: DuplicateExecutorError) -> tuple[AsynczError, ValueError]:
    assert_type(error.alias, str)
    return error, error


def executor_in_use_error(error: ExecutorInUseError) -> tuple[AsynczError, RuntimeError]:
    assert_type(error.alias, str)
    assert_type(error.task_ids, tuple[str, ...])
    return error, error


def scheduler_not_running_error(error: SchedulerNotRunningError) -> tuple[AsynczError, RuntimeError]:
    assert_type(error.action, str)
    return error, error


def executor_not_running_error(error: ExecutorNotRunningError) -> tuple[AsynczError, RuntimeError]:
    assert_type(error.alias, str)
    assert_type(error.status, str)
    return error, error


def illegal_transition_error(error: IllegalTransitionError) -> tuple[AsynczError, RuntimeError]:
    assert_type(error.alias, str)
    assert_type(error.current, str)
    assert_type(error.wanted, str)
    return error, error


def maximum_instances_error(error: MaximumInstancesError) -> tuple[AsynczError, RuntimeError]:
    assert_type(error.task_id, str)
    assert_type(error.max_instances, int)
    return error, error


def queue_full_error(error: QueueFullError) -> tuple[AsynczError, RuntimeError]:
    assert_type(error.alias, str)
    assert_type(error.max_queue, int)
    return error, error


def task_timeout_error(error: TaskTimeoutError) -> tuple[AsynczError, TimeoutError]:
    assert_type(error.task_id, str)
    assert_type(error.timeout, float)
    return error, error


def task_missed_error(error: TaskMissedError) -> tuple[AsynczError, RuntimeError]:
    assert_type(error.task_id, str)
    return error, error


def task_cancelled_error(error: TaskCancelledError) -> tuple[AsynczError, RuntimeError]:
    assert_type(error.task_id, str)
    return error, error


def no_current_run_error(error: NoCurrentRunError) -> tuple[AsynczError, RuntimeError]:
    return error, error


def run_finish_error(error: RunFinishError) -> tuple[AsynczError, RuntimeError]:
    assert_type(error.task_id, str)
    assert_type(error.reason, str)
    return error, error


def no_event_loop_error(error: NoEventLoopError) -> tuple[AsynczError, RuntimeError]:
    assert_type(error.action, str)
    return error, error


def wrong_thread_error(error: WrongThreadError) -> tuple[AsynczError, RuntimeError]:
    assert_type(error.action, str)
    assert_type(error.thread, str)
    assert_type(error.advice, str)
    return error, error


def no_result_in_time_error(error: ResultTimeoutError) -> tuple[AsynczError, TimeoutError]:
    assert_type(error.task_id, str)
    assert_type(error.timeout, float)
    return error, error


def no_result_error(error: NoResultError) -> tuple[AsynczError, LookupError]:
    assert_type(error.task_id, str)
    return error, error


def task_exit_error(error: TaskExitError) -> tuple[AsynczError, RuntimeError]:
    assert_type(error.task_id, str)
    assert_type(error.exception, str)
    return error, error


def cluster_connection_error(error: ClusterConnectionError) -> tuple[AsynczError, ConnectionError]:
    assert_type(error.address, str)
    assert_type(error.reason, str)
    return error, error


def worker_lost_error(error: WorkerLostError) -> tuple[AsynczError, RuntimeError]:
    assert_type(error.reason, str)
    assert_type(error.exit_code, int | None)
    assert_type(error.pid, int | None)
    assert_type(error.hint, str)
    return error, error


def serialization_error(error: SerializationError) -> tuple[AsynczError, ValueError]:
    assert_type(error.kind, str)
    assert_type(error.description, str)
    assert_type(error.reason, str)
    return error, error


def remote_error(error: RemoteError) -> tuple[AsynczError, RuntimeError]:
    assert_type(error.type_name, str)
    assert_type(error.message, str)
    return error, error


def missing_extra(error: MissingExtraError) -> tuple[AsynczError, ImportError]:
    assert_type((error.feature, error.package, error.extra), tuple[str, str, str])
    return error, MissingExtraError("feature", "package", "extra")


def never_due(error: NeverDueError) -> tuple[AsynczError, ValueError]:
    assert_type(error.triggers, tuple[str, ...])
    assert_type((error.after, error.until), tuple[str, str])
    return error, NeverDueError(("a", "b"), "after", "until")


def still_running(error: RunsNotFinishedError) -> tuple[AsynczError, TimeoutError]:
    assert_type(error.task_ids, tuple[str, ...])
    assert_type(error.hang_timeout, float)
    return error, error


def without_fields(start: WorkerStartError) -> tuple[AsynczError, RuntimeError, WorkerLostError]:
    return SchedulerAlreadyRunningError(), SchedulerAlreadyRunningError(), start


def made_by_an_executor() -> None:
    assert_type(WorkerLostError("killed by SIGKILL", -9, 4711, hint="memory"), WorkerLostError)
    assert_type(WorkerLostError("unknown"), WorkerLostError)
    assert_type(MaximumInstancesError("task", 3), MaximumInstancesError)
    assert_type(QueueFullError("alias", 3), QueueFullError)
    assert_type(ExecutorNotRunningError("alias", "stopped"), ExecutorNotRunningError)


def handled() -> None:
    try:
        print()
    except TaskTimeoutError as error:
        assert_type(error.timeout, float)
    except (TaskMissedError, TaskCancelledError) as error:
        assert_type(error.task_id, str)
    except TimeoutError:
        print()


def configuration(error: ConfigurationError) -> None:
    assert_type(error.problems, tuple[ConfigurationProblem, ...])
    problem = ConfigurationProblem(("tasks", "one", "args", 0), "it is wrong", line=3)
    assert_type(problem.path, tuple[str | int, ...])
    assert_type(problem.key, str)
    assert_type(problem.line, int | None)
    assert_type(problem.allowed, tuple[str, ...])
    assert_type(problem.explanation, str)
    assert_type(ConfigurationError((problem,)), ConfigurationError)
