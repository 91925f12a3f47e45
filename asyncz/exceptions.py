"""Every error that asyncz raises or reports.

All of them derive from `AsynczError`; each also is the standard error that fits, so that
`except LookupError` or `except TimeoutError` works as one expects. Their data are fields and their
text is made on demand, so that an error survives pickling between processes.
"""

from __future__ import annotations

import re

import attrs
from typing_extensions import override


class AsynczError(Exception):
    """The root of all errors of asyncz."""


class InvalidInputError(AsynczError, ValueError):
    """A value that was handed to asyncz cannot be used; nothing has been changed.

    Attributes:
        name: What the value was given for, such as `max_instances`.
        value: The text of the value as it was given.
        allowed: What may be given instead.
    """

    def __init__(self, name: str, value: str, allowed: str) -> None:
        super().__init__(name, value, allowed)
        self.name = name
        self.value = value
        self.allowed = allowed

    @override
    def __str__(self) -> str:
        return f"{self.name} cannot be {self.value}: {self.allowed}"


class UnknownOptionError(AsynczError, TypeError):
    """An option has a name that does not exist; nothing has been changed.

    Attributes:
        name: The name that was given.
        suggestion: The option that is spelled most alike; empty if none is.
        options: The names that exist.
    """

    def __init__(self, name: str, suggestion: str, options: tuple[str, ...]) -> None:
        super().__init__(name, suggestion, options)
        self.name = name
        self.suggestion = suggestion
        self.options = options

    @override
    def __str__(self) -> str:
        advice = f"did you mean {self.suggestion!r}? " if self.suggestion else ""
        return f"unknown option {self.name!r}; {advice}The options are: {', '.join(self.options)}"


@attrs.frozen
class ConfigurationProblem:
    """One thing that is wrong in a configuration.

    Attributes:
        path: The keys, and the numbers of list items, that lead to it.
        reason: What is wrong.
        value: The text of the value that is there; empty where none is, or it does not matter.
        allowed: What may be there instead, where that can be listed.
        suggestion: What was probably meant; empty where nothing is alike.
        file: The file; empty where there is none.
        line: The line in the file, counted from 1; None where there is none.
    """

    path: tuple[str | int, ...]
    reason: str
    value: str = ""
    allowed: tuple[str, ...] = ()
    suggestion: str = ""
    file: str = ""
    line: int | None = None

    @property
    def key(self) -> str:
        """The path as TOML writes it, such as `tasks."clean up".args[0]`."""
        return "".join(f"[{part}]" if isinstance(part, int) else f".{_as_key(part)}" for part in self.path)[1:]

    @property
    def explanation(self) -> str:
        """What is wrong, and what may be there instead; without the place."""
        text = self.reason
        if self.suggestion:
            text += f"; did you mean {self.suggestion!r}?"
        if self.allowed:
            text += f"{'' if self.suggestion else ';'} allowed: {', '.join(self.allowed)}"
        return text

    @override
    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line) if part)
        what = f"{self.key} cannot be {self.value}" if self.key and self.value else self.key
        return ": ".join(part for part in (place, what, self.explanation) if part)


def _as_key(name: str) -> str:
    if re.fullmatch(r"[\w-]+", name):
        return name
    import json

    return json.dumps(name, ensure_ascii=False)


class ConfigurationError(AsynczError, ValueError):
    """A configuration cannot be used; nothing has been started.

    Attributes:
        problems: All that is wrong, not only the first thing, in the order of the configuration.
    """

    def __init__(self, problems: tuple[ConfigurationProblem, ...]) -> None:
        super().__init__(problems)
        self.problems = problems

    @override
    def __str__(self) -> str:
        if len(self.problems) == 1:
            return str(self.problems[0])
        return "\n".join((f"the configuration has {len(self.problems)} problems:", *map(str, self.problems)))


class MissingExtraError(AsynczError, ImportError):
    """Something needs a package that is not installed; it comes with an extra of asyncz.

    Attributes:
        what: What was asked for.
        package: The package that it needs.
        extra: The extra that brings the package.
    """

    def __init__(self, what: str, package: str, extra: str) -> None:
        super().__init__(what, package, extra)
        self.what = what
        self.package = package
        self.extra = extra

    @override
    def __str__(self) -> str:
        return f"{self.what} needs {self.package}, which is not installed: pip install 'asyncz[{self.extra}]'"


class NeverDueError(AsynczError, ValueError):
    """Triggers that are due only when all of them are were not found to be due at the same time.

    Attributes:
        triggers: The triggers, as text.
        after: The time after which a common due time was looked for, UTC, as text.
        until: How far it was looked for, UTC, as text.
    """

    def __init__(self, triggers: tuple[str, ...], after: str, until: str) -> None:
        super().__init__(triggers, after, until)
        self.triggers = triggers
        self.after = after
        self.until = until

    @override
    def __str__(self) -> str:
        return (
            f"{' and '.join(self.triggers)} have no due time in common after {self.after}, as far as was looked,"
            f" until {self.until}: give them a common start and distances that meet, or join them with | instead"
        )


class UnknownAliasError(AsynczError, LookupError):
    """No executor or trigger is known under an alias.

    Attributes:
        kind: `executor` or `trigger`.
        alias: The alias that was asked for.
        known: The aliases that exist, sorted.
    """

    def __init__(self, kind: str, alias: str, known: tuple[str, ...]) -> None:
        super().__init__(kind, alias, known)
        self.kind = kind
        self.alias = alias
        self.known = known

    @override
    def __str__(self) -> str:
        return f"there is no {self.kind} with the alias {self.alias!r}; known are: {', '.join(self.known) or 'none'}"


class PluginError(AsynczError, RuntimeError):
    """A plugin is registered under an alias but cannot be loaded or is not what it should be.

    Attributes:
        alias: The alias of the plugin.
        reference: The entry point's `module:name`.
        reason: Why it cannot be used.
    """

    def __init__(self, alias: str, reference: str, reason: str) -> None:
        super().__init__(alias, reference, reason)
        self.alias = alias
        self.reference = reference
        self.reason = reason

    @override
    def __str__(self) -> str:
        return f"the plugin {self.alias!r} ({self.reference}) cannot be used: {self.reason}"


class TaskLookupError(AsynczError, LookupError):
    """The scheduler has no task with this id; it never had, or the task was removed or has finished.

    Attributes:
        task_id: The id that was asked for.
    """

    def __init__(self, task_id: str) -> None:
        super().__init__(task_id)
        self.task_id = task_id

    @override
    def __str__(self) -> str:
        return f"the scheduler has no task with the id {self.task_id!r}"


class DuplicateTaskError(AsynczError, ValueError):
    """A task with the same id exists already; remove it first or choose another id.

    Attributes:
        task_id: The id that is taken.
    """

    def __init__(self, task_id: str) -> None:
        super().__init__(task_id)
        self.task_id = task_id

    @override
    def __str__(self) -> str:
        return f"a task with the id {self.task_id!r} exists already; remove it first or choose another id"


class DuplicateExecutorError(AsynczError, ValueError):
    """An executor is registered already, under this alias or, for one instance, with this or another scheduler.

    Attributes:
        alias: The alias that is taken, or under which the instance is registered.
    """

    def __init__(self, alias: str) -> None:
        super().__init__(alias)
        self.alias = alias

    @override
    def __str__(self) -> str:
        return (
            f"an executor is registered already as {self.alias!r}; remove it first or choose another alias or instance"
        )


class ExecutorInUseError(AsynczError, RuntimeError):
    """An executor cannot be removed while tasks name it.

    Attributes:
        alias: The alias of the executor.
        task_ids: Tasks that run on it.
    """

    def __init__(self, alias: str, task_ids: tuple[str, ...]) -> None:
        super().__init__(alias, task_ids)
        self.alias = alias
        self.task_ids = task_ids

    @override
    def __str__(self) -> str:
        shown = ", ".join(repr(task_id) for task_id in self.task_ids[:5])
        more = f" and {len(self.task_ids) - 5} more" if len(self.task_ids) > 5 else ""
        return f"the executor {self.alias!r} cannot be removed while these tasks name it: {shown}{more}"


class SchedulerNotRunningError(AsynczError, RuntimeError):
    """What was asked for needs a running scheduler: before `start()`, or after `shutdown()`.

    Attributes:
        action: What was asked for.
    """

    def __init__(self, action: str) -> None:
        super().__init__(action)
        self.action = action

    @override
    def __str__(self) -> str:
        return f"{self.action} needs a running scheduler: start it first, and not after its shutdown"


class SchedulerAlreadyRunningError(AsynczError, RuntimeError):
    """The scheduler has been started already; shut it down before it is started again."""

    @override
    def __str__(self) -> str:
        return "the scheduler has been started already; shut it down before it is started again"


class NoEventLoopError(AsynczError, RuntimeError):
    """The scheduler was to start where no event loop of asyncio is running.

    Attributes:
        action: What was asked for.
    """

    def __init__(self, action: str) -> None:
        super().__init__(action)
        self.action = action

    @override
    def __str__(self) -> str:
        return (
            f"{self.action} needs a running event loop of asyncio, such as asyncio.run() or uvloop.run() give; trio, or"
            ' anyio.run(..., backend="trio"), has none: run the scheduler with `with scheduler.in_thread()` there, and'
            " in a program that is not asynchronous"
        )


class WrongThreadError(AsynczError, RuntimeError):
    """Something was called in a thread where it would never return, or do harm.

    Attributes:
        action: What was called.
        thread: The name of the thread.
        advice: What to do instead.
    """

    def __init__(self, action: str, thread: str, advice: str) -> None:
        super().__init__(action, thread, advice)
        self.action = action
        self.thread = thread
        self.advice = advice

    @override
    def __str__(self) -> str:
        return f"{self.action} cannot be called in the thread {self.thread!r}: {self.advice}"


class ResultTimeoutError(AsynczError, TimeoutError):
    """Who waits for a result has waited for long enough; what it waited for goes on.

    Attributes:
        task_id: The task.
        timeout: How many seconds it waited.
    """

    def __init__(self, task_id: str, timeout: float) -> None:
        super().__init__(task_id, timeout)
        self.task_id = task_id
        self.timeout = timeout

    @override
    def __str__(self) -> str:
        return f"the task {self.task_id!r} has given no result within {self.timeout:g} seconds; it goes on"


class NoCurrentRunError(AsynczError, RuntimeError):
    """`current_run()` was called by what no run has called."""

    @override
    def __str__(self) -> str:
        return (
            "current_run() was called outside of a run: it works in the function of a task and in what that calls,"
            " and not in a thread that the function has started itself"
        )


class ExecutorNotRunningError(AsynczError, RuntimeError):
    """A run was submitted to an executor that has not been started, or has been shut down or is broken.

    Attributes:
        alias: The alias of the executor, empty before its start.
        status: Its status at that time.
    """

    def __init__(self, alias: str, status: str) -> None:
        super().__init__(alias, status)
        self.alias = alias
        self.status = status

    @override
    def __str__(self) -> str:
        return f"the executor {self.alias!r} takes no runs: it is {self.status}, not running"


class IllegalTransitionError(AsynczError, RuntimeError):
    """An executor was asked for a change of status that the rules do not allow.

    Attributes:
        alias: The alias of the executor.
        current: The status it has.
        wanted: The status that cannot follow.
    """

    def __init__(self, alias: str, current: str, wanted: str) -> None:
        super().__init__(alias, current, wanted)
        self.alias = alias
        self.current = current
        self.wanted = wanted

    @override
    def __str__(self) -> str:
        return f"the executor {self.alias!r} cannot become {self.wanted}: it is {self.current}"


class MaximumInstancesError(AsynczError, RuntimeError):
    """A run was rejected: the task has its maximum of running instances on the executor.

    Attributes:
        task_id: The task.
        max_instances: How many of its runs may run at the same time.
    """

    def __init__(self, task_id: str, max_instances: int) -> None:
        super().__init__(task_id, max_instances)
        self.task_id = task_id
        self.max_instances = max_instances

    @override
    def __str__(self) -> str:
        return f"the task {self.task_id!r} has its maximum of {self.max_instances} running instance(s)"


class QueueFullError(AsynczError, RuntimeError):
    """A run was rejected: as many runs as allowed wait in the executor's queue.

    Attributes:
        alias: The alias of the executor.
        max_queue: How many runs may wait there.
    """

    def __init__(self, alias: str, max_queue: int) -> None:
        super().__init__(alias, max_queue)
        self.alias = alias
        self.max_queue = max_queue

    @override
    def __str__(self) -> str:
        return f"the queue of the executor {self.alias!r} is full: {self.max_queue} run(s) wait there"


class TaskTimeoutError(AsynczError, TimeoutError):
    """A run took longer than its task's `timeout`.

    Attributes:
        task_id: The task.
        timeout: The limit in seconds.
    """

    def __init__(self, task_id: str, timeout: float) -> None:
        super().__init__(task_id, timeout)
        self.task_id = task_id
        self.timeout = timeout

    @override
    def __str__(self) -> str:
        return f"a run of the task {self.task_id!r} took longer than its limit of {self.timeout:g} seconds"


class TaskMissedError(AsynczError, RuntimeError):
    """Raised to who awaits a run that was missed: it would have started too late.

    Attributes:
        task_id: The task.
    """

    def __init__(self, task_id: str) -> None:
        super().__init__(task_id)
        self.task_id = task_id

    @override
    def __str__(self) -> str:
        return f"a run of the task {self.task_id!r} was missed: it would have started after its misfire grace time"


class TaskCancelledError(AsynczError, RuntimeError):
    """Raised to who awaits a run that was cancelled, by a shutdown or by a call.

    It is not `asyncio.CancelledError`, which would say that the awaiting code was cancelled.

    Attributes:
        task_id: The task.
    """

    def __init__(self, task_id: str) -> None:
        super().__init__(task_id)
        self.task_id = task_id

    @override
    def __str__(self) -> str:
        return f"a run of the task {self.task_id!r} was cancelled"


class NoResultError(AsynczError, LookupError):
    """A task that is given the results of another was to run, and there is none to give it.

    Attributes:
        task_id: The other task: its last run did not end with a result, or it had no run yet.
    """

    def __init__(self, task_id: str) -> None:
        super().__init__(task_id)
        self.task_id = task_id

    @override
    def __str__(self) -> str:
        return f"the task {self.task_id!r} has no result to hand over: its last run gave none, or it had no run yet"


class TaskExitError(AsynczError, RuntimeError):
    """Raised to who awaits a run whose function raised `SystemExit` or the like.

    Such an exception would end the awaiting program; it is the `__cause__` of this error.

    Attributes:
        task_id: The task.
        exception: The text of what the function raised.
    """

    def __init__(self, task_id: str, exception: str) -> None:
        super().__init__(task_id, exception)
        self.task_id = task_id
        self.exception = exception

    @override
    def __str__(self) -> str:
        return f"a run of the task {self.task_id!r} raised {self.exception}"


class WorkerLostError(AsynczError, RuntimeError):
    """The worker process that executed a run died, or could not start.

    Attributes:
        reason: What is known of its end, such as `killed by SIGKILL`.
        exit_code: Its exit status; negative is the number of the signal that killed it; None if unknown.
        pid: Its process id; None if it never had one.
        hint: What to look at, or an empty text.
    """

    def __init__(self, reason: str, exit_code: int | None = None, pid: int | None = None, hint: str = "") -> None:
        super().__init__(reason, exit_code, pid, hint)
        self.reason = reason
        self.exit_code = exit_code
        self.pid = pid
        self.hint = hint

    @override
    def __str__(self) -> str:
        worker = "the worker process" if self.pid is None else f"the worker process {self.pid}"
        return f"{worker} {self.reason}" + (f"; {self.hint}" if self.hint else "")


class WorkerStartError(WorkerLostError):
    """A worker could not start, for example because its initializer raised (see `__cause__`)."""


class ClusterConnectionError(AsynczError, ConnectionError):
    """A cluster cannot be reached, or the connection to it was lost.

    Whether the function of a run that ends so has returned is not known.

    Attributes:
        address: The address of the cluster.
        reason: What happened.
    """

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(address, reason)
        self.address = address
        self.reason = reason

    @override
    def __str__(self) -> str:
        return f"the cluster at {self.address}: {self.reason}"


class SerializationError(AsynczError, ValueError):
    """Something cannot travel between processes: it cannot be pickled or unpickled.

    Attributes:
        what: `function`, `argument`, `result` or `exception`.
        description: What it is, as text.
        reason: Why it cannot travel.
    """

    def __init__(self, what: str, description: str, reason: str) -> None:
        super().__init__(what, description, reason)
        self.what = what
        self.description = description
        self.reason = reason

    @override
    def __str__(self) -> str:
        return f"the {self.what} {self.description} cannot travel between processes: {self.reason}"


class RemoteError(AsynczError, RuntimeError):
    """Stands for an exception of a worker that cannot be unpickled here.

    Attributes:
        type_name: The exception's class, as `module.name`.
        message: Its text.
    """

    def __init__(self, type_name: str, message: str) -> None:
        super().__init__(type_name, message)
        self.type_name = type_name
        self.message = message

    @override
    def __str__(self) -> str:
        return f"{self.type_name}: {self.message}"


class RunsNotFinishedError(AsynczError, TimeoutError):
    """A test waited for runs that have not ended; where they wait for the test, it is not to wait for them.

    Attributes:
        task_ids: The tasks whose runs still run.
        hang_timeout: How many seconds it waited.
    """

    def __init__(self, task_ids: tuple[str, ...], hang_timeout: float) -> None:
        super().__init__(task_ids, hang_timeout)
        self.task_ids = task_ids
        self.hang_timeout = hang_timeout

    @override
    def __str__(self) -> str:
        tasks = ", ".join(repr(task_id) for task_id in self.task_ids[:5])
        return (
            f"runs of {tasks} have not ended after {self.hang_timeout:g} seconds;"
            " where they wait for what the test does later, leave out wait_for_runs"
        )
