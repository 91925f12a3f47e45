"""The public names and members: a change of the API, wanted or not, has to be made here too."""

from __future__ import annotations

import ast
import inspect
import itertools
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from importlib import import_module
from types import FunctionType, ModuleType

import pytest
from pydantic import BaseModel

import asyncz
import asyncz.config
import asyncz.executors
import asyncz.triggers

NAMES: dict[str, list[str]] = {
    "asyncz": [
        "AppWithScheduler",
        "AndTrigger",
        "AsyncIOExecutor",
        "AsyncIOScheduler",
        "AsynczError",
        "BaseExecutor",
        "BaseTrigger",
        "CalendarIntervalTrigger",
        "Clock",
        "ClusterAlias",
        "ClusterConnectionError",
        "ClusterState",
        "ConfigSource",
        "ConfigurationError",
        "ConfigurationProblem",
        "CronTrigger",
        "DaskClusterKwargs",
        "DaskExecutor",
        "DaskOptions",
        "CurrentRun",
        "DateTrigger",
        "DebugExecutor",
        "DelegatingExecutor",
        "RestrictedDelegatingExecutor",
        "DuplicateExecutorError",
        "DuplicateTaskError",
        "RunSummary",
        "Event",
        "Executor",
        "ExecutorAdded",
        "ExecutorConfig",
        "ExecutorInUseError",
        "ExecutorNotRunningError",
        "ExecutorRemoved",
        "ExecutorState",
        "ExecutorStatus",
        "FuturesExecutor",
        "IllegalTransitionError",
        "InstanceCount",
        "IntervalTrigger",
        "InvalidInputError",
        "LimitsConfig",
        "Listener",
        "LoopAlias",
        "MaximumInstancesError",
        "MissingExtraError",
        "NeverDueError",
        "NoCurrentRunError",
        "NoEventLoopError",
        "NoResultError",
        "ResultTimeoutError",
        "NotificationStream",
        "Notifier",
        "OrTrigger",
        "OverlapPolicy",
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
        "RetryConfig",
        "RunDetails",
        "RunHandle",
        "RunOutcome",
        "RunsNotFinishedError",
        "SchedulerAlreadyRunningError",
        "SchedulerConfig",
        "SchedulerNotRunningError",
        "SchedulerPaused",
        "SchedulerResumed",
        "SchedulerShutdown",
        "SchedulerStarted",
        "SchedulerState",
        "SchedulerStatus",
        "SchedulerThread",
        "SerializationError",
        "Subscription",
        "SupportsCancel",
        "SupportsCancelAll",
        "SupportsCatchUp",
        "SupportsCheckCall",
        "SupportsStart",
        "SystemClock",
        "Task",
        "TaskAdded",
        "TaskCancelled",
        "TaskCancelledError",
        "TaskConfig",
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
        "TaskOptions",
        "TaskQueueFull",
        "TaskRemoved",
        "TaskRetrying",
        "TaskRun",
        "TaskSpec",
        "TaskState",
        "TaskSubmitted",
        "TaskTimeoutError",
        "ThreadPoolExecutor",
        "ThreadPoolKwargs",
        "Timer",
        "Trigger",
        "TriggerAlias",
        "TriggerConfig",
        "UniversalExecutor",
        "UnknownAliasError",
        "UnknownOptionError",
        "Worker",
        "WorkerLostError",
        "WorkerStartError",
        "WrongThreadError",
        "create_executor",
        "create_trigger",
        "current_run",
        "executor_aliases",
        "trigger_aliases",
    ],
    "asyncz.config": [
        "AndTriggerConfig",
        "AsyncIOExecutorConfig",
        "CalendarIntervalTriggerConfig",
        "ClusterAlias",
        "ConfigSource",
        "CronTriggerConfig",
        "CustomExecutorConfig",
        "CustomTriggerConfig",
        "DaskClusterKwargs",
        "DaskClusterKwargsConfig",
        "DaskExecutorConfig",
        "DaskOptions",
        "DateTriggerConfig",
        "DebugExecutorConfig",
        "ExecutorConfig",
        "Initializer",
        "IntervalTriggerConfig",
        "LimitsConfig",
        "LoopAlias",
        "OnDemandConfig",
        "OrTriggerConfig",
        "PoolAlias",
        "PoolKwargs",
        "PoolOptions",
        "ProcessPoolExecutorConfig",
        "ProcessPoolKwargs",
        "ProcessPoolKwargsConfig",
        "RetryConfig",
        "SchedulerConfig",
        "TaskConfig",
        "ThreadPoolExecutorConfig",
        "ThreadPoolKwargs",
        "ThreadPoolKwargsConfig",
        "TriggerAlias",
        "TriggerConfig",
    ],
    "asyncz.executors": [
        "AsyncIOExecutor",
        "BaseExecutor",
        "DaskExecutor",
        "DebugExecutor",
        "DelegatingExecutor",
        "RestrictedDelegatingExecutor",
        "FuturesExecutor",
        "ProcessPoolExecutor",
        "ThreadPoolExecutor",
    ],
    "asyncz.schedulers": ["AsyncIOScheduler"],
    "asyncz.testing": [
        "ExecutorConformance",
        "FakeClock",
        "RULES",
        "RecordingNotifier",
        "RestrictedExecutorConformance",
        "Rule",
        "RuleBrokenError",
        "RuleVerdict",
        "RunRecord",
        "TRIGGER_RULES",
        "TriggerConformance",
        "Verdict",
    ],
    "asyncz.triggers": [
        "AndTrigger",
        "BaseTrigger",
        "CalendarIntervalTrigger",
        "CronTrigger",
        "DateTrigger",
        "IntervalTrigger",
        "OrTrigger",
    ],
}

MEMBERS: dict[str, list[str]] = {
    "AsyncIOScheduler": [
        "add_executor",
        "add_task",
        "asgi",
        "finished",
        "from_config",
        "get_task",
        "in_thread",
        "lifespan",
        "modify_task",
        "notify",
        "pause",
        "pause_task",
        "released",
        "remove_all_tasks",
        "remove_executor",
        "remove_task",
        "reschedule_task",
        "resume",
        "resume_task",
        "run_forever",
        "running",
        "shutdown",
        "start",
        "state",
        "submit_task",
        "subscribe",
        "task",
        "tasks",
        "wait_closed",
    ],
    "Subscription": ["unsubscribe"],
    "SchedulerThread": ["result", "run", "scheduler", "shutdown", "wait_closed"],
    "Task": [
        "call",
        "cancel_runs",
        "executor",
        "function",
        "id",
        "is_coroutine",
        "last_notification",
        "limits",
        "modify",
        "next_run_at",
        "notifications",
        "on_cancelled",
        "on_done",
        "on_error",
        "on_executed",
        "on_missed",
        "pause",
        "remove_listener",
        "reschedule",
        "result",
        "resume",
        "run",
        "spec",
        "state",
        "submit",
        "then",
    ],
    "TaskFunction": ["schedule"],
    "TaskSpec": ["call", "executor", "function", "id", "is_coroutine", "limits"],
    "SupportsCancelAll": ["cancel_all"],
    "SupportsCheckCall": ["check_call"],
    "TaskRun": [
        "attempt",
        "begin",
        "call",
        "cancel_requested",
        "cancelled",
        "context",
        "details",
        "done",
        "execute",
        "execute_async",
        "executed",
        "failed",
        "id",
        "is_cancelled",
        "is_too_late",
        "limits",
        "missed",
        "notification",
        "outcome",
        "run_id",
        "scheduled",
        "scheduled_at",
        "started",
        "shared_outcome",
        "task",
        "task_id",
        "worker",
    ],
    "CurrentRun": ["attempt", "is_cancelled", "run_id", "scheduled", "scheduled_at", "task_id"],
    "RunHandle": ["cancel", "done", "notification", "run_id", "task_id"],
    "NotificationStream": ["aclose", "close"],
    "TaskLimits": [
        "evolve",
        "coalesce",
        "diff",
        "max_instances",
        "misfire_grace_time",
        "overlap",
        "retry",
        "timeout",
    ],
    "BaseExecutor": [
        "mark_broken",
        "cancel",
        "cancel_all",
        "cancel_queued",
        "cancel_run",
        "claim",
        "finish",
        "abandon",
        "has_queue",
        "start_timeout",
        "logger",
        "check_not_started",
        "release",
        "notifier",
        "shutdown",
        "start",
        "state",
        "submit",
        "submit_run",
        "waits_in_queue",
    ],
    "DelegatingExecutor": [
        "cancel",
        "cancel_all",
        "check_call",
        "executor",
        "on_outcome",
        "shutdown",
        "start",
        "state",
        "submit",
    ],
    "RestrictedDelegatingExecutor": [
        "cancel",
        "cancel_all",
        "check_call",
        "executor",
        "on_outcome",
        "shutdown",
        "start",
        "state",
        "submit",
    ],
    "Executor": ["shutdown", "start", "state", "submit"],
    "UniversalExecutor": ["shutdown", "start", "state", "submit"],
    "Notifier": ["finished", "notify", "released"],
    "SupportsCancel": ["cancel"],
    "Trigger": ["next_due_time"],
    "Timer": ["cancel"],
    "Clock": ["call_later", "now"],
    "SystemClock": ["call_later", "now"],
    "SupportsCatchUp": ["latest_due_time"],
    "SupportsStart": ["started"],
    "BaseTrigger": ["next_due_time"],
    "AndTrigger": ["jitter", "latest_due_time", "next_due_time", "options", "started", "triggers"],
    "OrTrigger": ["jitter", "latest_due_time", "next_due_time", "options", "started", "triggers"],
    "CalendarIntervalTrigger": [
        "end_date",
        "jitter",
        "latest_due_time",
        "next_due_time",
        "options",
        "start_date",
        "started",
        "timezone",
    ],
    "CronTrigger": [
        "end_at",
        "expression",
        "jitter",
        "latest_due_time",
        "next_due_time",
        "options",
        "start_at",
        "started",
        "timezone",
    ],
    "DateTrigger": ["latest_due_time", "next_due_time", "options", "run_at"],
    "IntervalTrigger": [
        "end_at",
        "interval",
        "jitter",
        "latest_due_time",
        "next_due_time",
        "options",
        "start_at",
        "started",
    ],
    "ExecutorState": [
        "abandoned",
        "alias",
        "evolve",
        "cluster",
        "instances",
        "lost_workers",
        "queued",
        "replaced_workers",
        "running",
        "status",
        "workers",
    ],
    "ClusterState": ["address", "connected", "memory", "threads", "workers"],
    "RunSummary": ["attempt", "error", "finished_at", "outcome", "run_id", "scheduled_at", "started_at"],
    "InstanceCount": ["running", "task_id"],
    "TaskState": [
        "cancelled",
        "errors",
        "executed",
        "executor",
        "function",
        "missed",
        "next_run_at",
        "paused",
        "recent_runs",
        "rejected",
        "retrying",
        "running",
        "submitted",
        "task_id",
        "trigger",
        "backlog",
    ],
    "SchedulerState": [
        "cancelled",
        "errors",
        "executed",
        "executors",
        "missed",
        "next_run_at",
        "rejected",
        "status",
        "submitted",
        "tasks",
    ],
    "RunDetails": [
        "attempt",
        "duration",
        "finished",
        "finished_at",
        "run_id",
        "scheduled",
        "scheduled_at",
        "started",
        "started_at",
        "worker",
    ],
    "TaskExecuted": ["details", "result", "task_id"],
    "TaskError": ["details", "exception", "task_id", "traceback"],
    "TaskMissed": ["details", "task_id"],
    "TaskCancelled": ["details", "task_id"],
    "TaskSubmitted": ["details", "task_id"],
    "TaskMaxInstances": ["details", "task_id"],
    "TaskQueueFull": ["details", "task_id"],
    "TaskAdded": ["task_id"],
    "TaskRemoved": ["task_id"],
    "ExecutorAdded": ["alias"],
    "ExecutorRemoved": ["alias"],
    "SchedulerShutdown": ["abandoned", "cancelled", "finished"],
    "TaskModified": ["change", "exception", "fields", "task_id"],
    "Retry": ["attempts", "backoff", "delay", "delay_after", "follows", "jitter", "max_delay", "on"],
    "Worker": ["host", "pid", "thread"],
    "LimitsConfig": ["coalesce", "limits", "max_instances", "misfire_grace_time", "overlap", "retry", "timeout"],
    "RetryConfig": ["attempts", "backoff", "create", "delay", "jitter", "max_delay", "on"],
    "SchedulerConfig": ["defaults", "executors", "tasks"],
    "TaskConfig": [
        "args",
        "call",
        "coalesce",
        "executor",
        "kwargs",
        "limits",
        "load_call",
        "max_instances",
        "misfire_grace_time",
        "overlap",
        "paused",
        "retry",
        "timeout",
        "trigger",
    ],
    "ConfigurationProblem": ["allowed", "explanation", "file", "key", "line", "path", "reason", "suggestion", "value"],
    "TaskRetrying": ["delay", "details", "exception", "task_id", "traceback"],
}


EXECUTORS = {  # what they add to the members of `BaseExecutor`
    asyncz.AsyncIOExecutor: [],
    asyncz.DaskExecutor: ["check_call"],
    asyncz.DebugExecutor: [],
    asyncz.FuturesExecutor: [],
    asyncz.ProcessPoolExecutor: ["check_call"],
    asyncz.ThreadPoolExecutor: [],
}
LAZY_PACKAGES = [asyncz, asyncz.config, asyncz.executors, asyncz.triggers]


def declared_members(owner: type[object]) -> Iterator[str]:
    """What the source of a class declares: in its body, and as attributes of its instances."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
    assert isinstance(definition, ast.ClassDef)
    for statement in definition.body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            yield statement.name
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            yield statement.target.id
    for node in ast.walk(definition):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self":
            yield node.attr


def public_members(owner: type[object]) -> set[str]:
    """What a class offers, with what it has inherited from other classes of asyncz."""
    own = [each for each in owner.__mro__ if each.__module__.startswith("asyncz.")]
    names = {name for each in own for name in declared_members(each) if not name.startswith("_")}
    return names - set(dir(BaseModel)) if issubclass(owner, BaseModel) else names


def imports_for_checkers(package: ModuleType) -> dict[str, list[str]]:
    """What a package imports where a type checker reads it, by module."""
    found: dict[str, list[str]] = {}
    for node in ast.parse(inspect.getsource(package)).body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            declaration, *imports = node.body
            assert ast.unparse(declaration) == "__all__: list[str]"
            for statement in imports:
                assert isinstance(statement, ast.ImportFrom)
                assert all(alias.name == alias.asname for alias in statement.names), "a re-export is `X as X`"
                found.setdefault(str(statement.module), []).extend(alias.name for alias in statement.names)
    return found


def table_of_lazy_exports(package: ModuleType) -> dict[str, list[str]]:
    """What a package imports on first use, by module."""
    for node in ast.walk(ast.parse(inspect.getsource(package))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "lazy_exports":
            return {module: list(names) for module, names in ast.literal_eval(node.args[1]).items()}
    pytest.fail(f"{package.__name__} has no lazy exports")


@pytest.mark.parametrize("package", NAMES)
def test_a_package_exports_its_public_names(package: str) -> None:
    module = import_module(package)
    assert sorted(module.__all__) == sorted(NAMES[package])
    assert set(NAMES[package]) <= set(dir(module))
    for name in NAMES[package]:
        assert getattr(module, name) is not None


@pytest.mark.parametrize("package", LAZY_PACKAGES)
def test_checkers_see_what_is_exported_on_first_use(package: ModuleType) -> None:
    table = table_of_lazy_exports(package)
    assert imports_for_checkers(package) == table
    assert sorted(itertools.chain.from_iterable(table.values())) == sorted(NAMES[package.__name__])


@pytest.mark.parametrize("package", LAZY_PACKAGES)
def test_names_are_told_before_they_are_used(package: ModuleType) -> None:
    code = f"import sys, {package.__name__} as package; print(*dir(package)); assert 'pydantic' not in sys.modules"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert set(NAMES[package.__name__]) <= set(result.stdout.split())


def test_a_name_that_does_not_exist_is_rejected() -> None:
    with pytest.raises(AttributeError, match=r"'asyncz.executors' has no attribute 'missing'"):
        _ = asyncz.executors.missing  # type: ignore[attr-defined]  # wrong on purpose


@pytest.mark.parametrize("name", MEMBERS)
def test_a_class_has_its_public_members(name: str) -> None:
    assert public_members(getattr(asyncz, name)) == set(MEMBERS[name])


@pytest.mark.parametrize("executor", EXECUTORS)
def test_an_executor_has_the_members_of_the_base_executor(executor: type[asyncz.BaseExecutor]) -> None:
    assert public_members(executor) == {*MEMBERS["BaseExecutor"], *EXECUTORS[executor]}


def documentation() -> dict[str, str]:
    """The public classes, functions and methods as a user writes them, each with what it says of itself."""
    found: dict[str, str] = {}
    for name in NAMES["asyncz"]:
        value = getattr(asyncz, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            # Not `inspect.getdoc`, which answers with what a base class says.
            found[f"asyncz.{name}"] = inspect.cleandoc(value.__doc__ or "")
        for member in MEMBERS.get(name, ()):
            attribute = inspect.getattr_static(value, member, None)
            if isinstance(attribute, FunctionType | property):
                found[f"asyncz.{name}.{member}"] = inspect.cleandoc(attribute.__doc__ or "")
    return found


def test_every_public_class_and_function_and_method_is_documented() -> None:
    found = documentation()
    assert len(found) > 150
    assert [name for name, text in found.items() if not text] == []


def test_members_are_told_of_every_public_class_with_members() -> None:
    public = [getattr(asyncz, name) for name in NAMES["asyncz"]]
    told = {getattr(asyncz, name) for name in MEMBERS} | set(EXECUTORS)
    classes = [value for value in public if inspect.isclass(value) and not issubclass(value, Exception | dict)]
    assert [owner for owner in classes if public_members(owner) and owner not in told] == []
