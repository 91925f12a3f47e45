"""Errors that asyncz raises or reports.

Each derives from `AsynczError` and from the standard error that fits, so that `except LookupError` or
`except TimeoutError` works as expected. attrs makes the classes: the fields are the arguments, and `__str__` makes the
text on demand, so that an error can be pickled and copied.
"""

from __future__ import annotations

from uuid import UUID

import attrs
from typing_extensions import override

from asyncz._problem import ConfigurationProblem as ConfigurationProblem
from asyncz._text import did_you_mean, pickling_advice


class AsynczError(Exception):
    """Base class of all errors of asyncz."""

    def __init__(self, *args: object) -> None:
        # Only so that `inspect.signature` works: exceptions of the standard library have no signature.
        super().__init__(*args)


@attrs.define(eq=False, slots=False, repr=False)
class InvalidInputError(AsynczError, ValueError):
    """A value is not valid; nothing has been changed.

    Attributes:
        name: Name of the parameter, such as `max_instances`.
        value: Text of the given value.
        allowed: Text that describes the allowed values.
    """

    name: str
    value: str
    allowed: str

    @override
    def __str__(self) -> str:
        return f"{self.name} cannot be {self.value}: {self.allowed}"


@attrs.define(eq=False, slots=False, repr=False)
class UnknownOptionError(AsynczError, TypeError):
    """An option has a name that does not exist; nothing has been changed.

    Attributes:
        name: The given name.
        suggestion: Option with the most similar name; empty if there is none.
        options: Names of all options.
        advice: Advice on the likely cause; may be empty.
    """

    name: str
    suggestion: str
    options: tuple[str, ...]
    advice: str = ""

    @override
    def __str__(self) -> str:
        advice = f"{self.advice}. The" if self.advice else "the"
        if self.suggestion:
            advice = f"did you mean {self.suggestion!r}? The"
        return f"unknown option {self.name!r}; {advice} options are: {', '.join(self.options) or 'none'}"


@attrs.define(eq=False, slots=False, repr=False)
class ArgumentMismatchError(AsynczError, TypeError):
    """A function does not accept the arguments that were given for it; nothing has been changed.

    Attributes:
        function: Name of the function.
        arguments: Text of the arguments.
        signature: Signature of the function.
        reason: Description of the mismatch.
        advice: Advice on the likely cause; may be empty.
    """

    function: str
    arguments: str
    signature: str
    reason: str
    advice: str = ""

    @override
    def __str__(self) -> str:
        reason = f"{self.reason}; {self.advice}" if self.advice else self.reason
        return f"{self.function}({self.arguments}) does not fit {self.function}{self.signature}: {reason}"


@attrs.define(eq=False, slots=False, repr=False)
class ConfigurationError(AsynczError, ValueError):
    """A configuration is not valid; nothing has been started.

    Attributes:
        problems: All errors, in the order of the configuration.
    """

    problems: tuple[ConfigurationProblem, ...]

    @override
    def __str__(self) -> str:
        if len(self.problems) == 1:
            return str(self.problems[0])
        return "\n".join((f"the configuration has {len(self.problems)} problems:", *map(str, self.problems)))


@attrs.define(eq=False, slots=False, repr=False)
class MissingExtraError(AsynczError, ImportError):
    """A feature needs a package that is not installed; an extra of asyncz installs it.

    Attributes:
        feature: Feature that needs the package.
        package: Name of the missing package.
        extra: Name of the extra.
    """

    feature: str
    package: str
    extra: str

    @override
    def __str__(self) -> str:
        from asyncz._metadata import install_command

        return f"{self.feature} needs {self.package}, which is not installed: {install_command(self.extra)}"


@attrs.define(eq=False, slots=False, repr=False)
class NeverDueError(AsynczError, ValueError):
    """No common due time was found for triggers that are combined with `&`.

    Attributes:
        triggers: Texts of the triggers.
        after: Start of the searched period, UTC, as text.
        until: End of the searched period, UTC, as text.
    """

    triggers: tuple[str, ...]
    after: str
    until: str

    @override
    def __str__(self) -> str:
        searched = f"after {self.after} (searched until {self.until})"
        return (
            f"{' and '.join(self.triggers)} have no due time in common {searched};"
            " use intervals with a common start that coincide, or combine the triggers with |"
        )


@attrs.define(eq=False, slots=False, repr=False)
class UnknownAliasError(AsynczError, LookupError):
    """No executor or trigger has the alias.

    Attributes:
        kind: `executor` or `trigger`.
        alias: The given alias.
        known: Known aliases, sorted.
    """

    kind: str
    alias: str
    known: tuple[str, ...]

    @override
    def __str__(self) -> str:
        advice = did_you_mean(self.alias, self.known)
        known = ", ".join(self.known) or "none"
        return f"there is no {self.kind} with the alias {self.alias!r}; {advice}known aliases: {known}"


@attrs.define(eq=False, slots=False, repr=False)
class PluginError(AsynczError, RuntimeError):
    """A registered plugin cannot be loaded, or is not an executor or trigger.

    Attributes:
        alias: Alias of the plugin.
        reference: Reference of the entry point, as `module:name`.
        reason: Description of the error.
    """

    alias: str
    reference: str
    reason: str

    @override
    def __str__(self) -> str:
        return f"the plugin {self.alias!r} ({self.reference}) cannot be used: {self.reason}"


@attrs.define(eq=False, slots=False, repr=False)
class TaskLookupError(AsynczError, LookupError):
    """The scheduler has no task with this id: it was never added, was removed or has finished.

    Attributes:
        task_id: The given id.
        suggestion: Most similar id of a task; empty if there is none.
    """

    task_id: str
    suggestion: str = ""

    @override
    def __str__(self) -> str:
        advice = f"; did you mean {self.suggestion!r}?" if self.suggestion else ""
        return f"the scheduler has no task with the id {self.task_id!r}{advice}"


@attrs.define(eq=False, slots=False, repr=False)
class RunLookupError(AsynczError, LookupError):
    """The scheduler knows no run with this id: it never existed, or is not kept any more.

    Attributes:
        run_id: The given id.
        has_store: True if the scheduler has a store, which keeps the runs of all nodes.
    """

    run_id: UUID
    has_store: bool = False

    @override
    def __str__(self) -> str:
        advice = "the options history and recent_runs of the scheduler set the number of runs that are kept"
        more = ", and `scheduler.store.runs(RunQuery(run_id=...))` has the runs of all nodes" if self.has_store else ""
        return f"no run with the id {self.run_id} is known, in progress or among the last ones: {advice}{more}"


@attrs.define(eq=False, slots=False, repr=False)
class FunctionMismatchError(AsynczError, TypeError):
    """The task with this id calls another function than the given one, so its results may have another type.

    Attributes:
        task_id: The given id.
        function: Name of the function of the task, as `module:qualified name`.
        given: Name of the given function.
    """

    task_id: str
    function: str
    given: str

    @override
    def __str__(self) -> str:
        return f"the task {self.task_id!r} calls {self.function}, not {self.given}; pass the function that it calls"


@attrs.define(eq=False, slots=False, repr=False)
class DuplicateTaskError(AsynczError, ValueError):
    """The id of a new task is in use.

    Attributes:
        task_id: The id in use.
    """

    task_id: str

    @override
    def __str__(self) -> str:
        return f"a task with the id {self.task_id!r} exists already; pass replace_existing=True, or choose another id"


@attrs.define(eq=False, slots=False, repr=False)
class DuplicateExecutorError(AsynczError, ValueError):
    """The alias is in use, or the executor is already registered with this or another scheduler.

    Attributes:
        alias: The alias in use, or the alias of the registered executor.
    """

    alias: str

    @override
    def __str__(self) -> str:
        return f"an executor is already registered as {self.alias!r}; remove it, or choose another alias or instance"


@attrs.define(eq=False, slots=False, repr=False)
class ExecutorInUseError(AsynczError, RuntimeError):
    """An executor cannot be removed while tasks use it.

    Attributes:
        alias: Alias of the executor.
        task_ids: Ids of the tasks.
    """

    alias: str
    task_ids: tuple[str, ...]

    @override
    def __str__(self) -> str:
        shown = ", ".join(repr(task_id) for task_id in self.task_ids[:5])
        more = f" and {len(self.task_ids) - 5} more" if len(self.task_ids) > 5 else ""
        return f"the executor {self.alias!r} cannot be removed while these tasks name it: {shown}{more}"


@attrs.define(eq=False, slots=False, repr=False)
class SchedulerNotRunningError(AsynczError, RuntimeError):
    """An action needs a running scheduler, and this one was not started or was shut down.

    Attributes:
        action: The rejected action.
        status: Status of the scheduler; empty if it is unknown.
        parent: Id of the process that ran the scheduler when a fork made this process; else 0.
    """

    action: str
    status: str = ""
    parent: int = 0

    @override
    def __str__(self) -> str:
        if self.parent:
            advice = "start it after the fork, for example in gunicorn's post_fork hook"
            cause = f"a fork copied the scheduler of process {self.parent}, but not its threads"
            return f"{self.action} is not possible in this process: {cause}; {advice}"
        status = f", and this one is {self.status}" if self.status else ""
        advice = "start it with `async with scheduler:` or `await scheduler.start()`"
        return f"{self.action} needs a running scheduler{status}; {advice}"


class SchedulerAlreadyRunningError(AsynczError, RuntimeError):
    """The scheduler is already running."""

    @override
    def __str__(self) -> str:
        return "the scheduler is already running; shut it down before it is started again"


@attrs.define(eq=False, slots=False, repr=False)
class NoEventLoopError(AsynczError, RuntimeError):
    """An action needs a running asyncio event loop.

    Attributes:
        action: The rejected action.
    """

    action: str

    @override
    def __str__(self) -> str:
        return (
            f"{self.action} needs a running asyncio event loop, as in asyncio.run() or uvloop.run(); with trio, or"
            ' anyio.run(..., backend="trio"), and in a program without asyncio, use `with scheduler.in_thread()`'
        )


class EventLoopRunningError(AsynczError, RuntimeError):
    """`run_forever()` was called while an event loop is running in the same thread."""

    @override
    def __str__(self) -> str:
        return (
            "run_forever() starts an event loop, and one is running already; in a coroutine, use"
            " `async with scheduler: await scheduler.wait_closed()`"
        )


class SyncContextError(AsynczError, TypeError):
    """A scheduler was entered by `with` instead of `async with`."""

    @override
    def __str__(self) -> str:
        return (
            "a scheduler cannot be entered by `with`: in a coroutine use `async with scheduler:`, and in a program"
            " without an event loop `with scheduler.in_thread() as thread:`, which returns a SchedulerThread"
        )


@attrs.define(eq=False, slots=False, repr=False)
class WrongThreadError(AsynczError, RuntimeError):
    """A call was made in a thread in which it would block forever or corrupt data.

    Attributes:
        action: The rejected call.
        thread: Name of the thread.
        advice: Advice on how to make the call.
    """

    action: str
    thread: str
    advice: str

    @override
    def __str__(self) -> str:
        return f"{self.action} cannot be called in the thread {self.thread!r}: {self.advice}"


@attrs.define(eq=False, slots=False, repr=False)
class ResultTimeoutError(AsynczError, TimeoutError):
    """A caller stopped waiting for a result after its timeout; the run continues.

    Attributes:
        task_id: Id of the task.
        timeout: Timeout in seconds.
    """

    task_id: str
    timeout: float

    @override
    def __str__(self) -> str:
        seconds = f"{self.timeout:.15g} seconds"
        return f"the task {self.task_id!r} has not returned a result within {seconds}; the run continues"


class NoCurrentRunError(AsynczError, RuntimeError):
    """`current_run()` was called outside of a run."""

    @override
    def __str__(self) -> str:
        return "current_run() was called outside of a run, or in a thread that the function of a task started itself"


@attrs.define(eq=False, slots=False, repr=False)
class ExecutorNotRunningError(AsynczError, RuntimeError):
    """A run was submitted to an executor that was not started, was shut down or is broken.

    Attributes:
        alias: Alias of the executor; empty before its start.
        status: Status of the executor at that time.
    """

    alias: str
    status: str

    @override
    def __str__(self) -> str:
        name = f" {self.alias!r}" if self.alias else ""
        return f"the executor{name} accepts no runs: it is {self.status}, not running"


@attrs.define(eq=False, slots=False, repr=False)
class IllegalTransitionError(AsynczError, RuntimeError):
    """The status of an executor cannot change in this way.

    Attributes:
        alias: Alias of the executor.
        current: Current status.
        wanted: Rejected status.
    """

    alias: str
    current: str
    wanted: str

    @override
    def __str__(self) -> str:
        return f"the executor {self.alias!r} cannot become {self.wanted}: it is {self.current}"


@attrs.define(eq=False, slots=False, repr=False)
class MaximumInstancesError(AsynczError, RuntimeError):
    """A run was rejected: the task has its maximum of running instances on the executor.

    Attributes:
        task_id: Id of the task.
        max_instances: Maximum number of runs at the same time.
    """

    task_id: str
    max_instances: int

    @override
    def __str__(self) -> str:
        return (
            f"the task {self.task_id!r} has its maximum of {self.max_instances} running instance(s); raise"
            " max_instances, or use task.submit(), which follows the overlap policy"
        )


@attrs.define(eq=False, slots=False, repr=False)
class QueueFullError(AsynczError, RuntimeError):
    """A run was rejected: the queue of the executor is full.

    Attributes:
        alias: Alias of the executor.
        max_queue: Maximum number of runs in the queue.
    """

    alias: str
    max_queue: int

    @override
    def __str__(self) -> str:
        return f"the queue of the executor {self.alias!r} is full: it holds {self.max_queue} run(s)"


@attrs.define(eq=False, slots=False, repr=False)
class TaskTimeoutError(AsynczError, TimeoutError):
    """A run took longer than the `timeout` of its task.

    Attributes:
        task_id: Id of the task.
        timeout: Timeout in seconds.
    """

    task_id: str
    timeout: float

    @override
    def __str__(self) -> str:
        return f"a run of the task {self.task_id!r} took longer than its limit of {self.timeout:.15g} seconds"


@attrs.define(eq=False, slots=False, repr=False)
class TaskMissedError(AsynczError, RuntimeError):
    """The awaited run was missed: it would have started after its misfire grace time.

    Attributes:
        task_id: Id of the task.
    """

    task_id: str

    @override
    def __str__(self) -> str:
        return f"a run of the task {self.task_id!r} was missed: it would have started after its misfire grace time"


@attrs.define(eq=False, slots=False, repr=False)
class TaskCancelledError(AsynczError, RuntimeError):
    """The awaited run was cancelled, by a shutdown or by a call.

    Not an `asyncio.CancelledError`, which would mean that the awaiting coroutine was cancelled.

    Attributes:
        task_id: Id of the task.
    """

    task_id: str

    @override
    def __str__(self) -> str:
        return f"a run of the task {self.task_id!r} was cancelled"


@attrs.define(eq=False, slots=False, repr=False)
class BatchItemError(AsynczError, RuntimeError):
    """An item of a batch has no result; the exception of its run is the `__cause__` of this error.

    Attributes:
        task_id: Id of the task of the batch.
        index: Position of the item, from 0.
        item: Text of the item.
        reason: Text of the exception of its run.
    """

    task_id: str
    index: int
    item: str
    reason: str

    @override
    def __str__(self) -> str:
        return f"the item {self.item} (index {self.index}) of the batch {self.task_id!r} has no result: {self.reason}"


@attrs.define(eq=False, slots=False, repr=False)
class NoResultError(AsynczError, LookupError):
    """A downstream task cannot run because the upstream task has no result.

    Attributes:
        task_id: Id of the upstream task: its last run had no result, or it never ran.
    """

    task_id: str

    @override
    def __str__(self) -> str:
        return f"the task {self.task_id!r} has no result for a downstream task: its last run had none, or it never ran"


@attrs.define(eq=False, slots=False, repr=False)
class TaskExitError(AsynczError, RuntimeError):
    """The function of the awaited run raised `SystemExit` or another exception that is not an `Exception`.

    That exception would end the awaiting program; it is the `__cause__` of this error.

    Attributes:
        task_id: Id of the task.
        exception: Text of the exception.
    """

    task_id: str
    exception: str

    @override
    def __str__(self) -> str:
        return f"a run of the task {self.task_id!r} raised {self.exception}"


@attrs.define(eq=False, slots=False, repr=False)
class WorkerLostError(AsynczError, RuntimeError):
    """The worker process of a run died, or could not start.

    Attributes:
        reason: Reason of its end, such as `killed by SIGKILL`.
        exit_code: Exit status; negative for the number of a signal; None if unknown.
        pid: Process id; None if the process did not start.
        hint: Advice on the cause; may be empty.
    """

    reason: str
    exit_code: int | None = None
    pid: int | None = None
    hint: str = ""

    @override
    def __str__(self) -> str:
        worker = "the worker" if self.pid is None else f"the worker process {self.pid}"
        return f"{worker} {self.reason}" + (f"; {self.hint}" if self.hint else "")


class WorkerStartError(WorkerLostError):
    """A worker could not start, for example because its initializer raised (see `__cause__`)."""


@attrs.define(eq=False, slots=False, repr=False)
class ClusterConnectionError(AsynczError, ConnectionError):
    """A cluster cannot be reached, or the connection to it was lost.

    If a run ends with this error, its function may have run or not.

    Attributes:
        address: Address of the cluster.
        reason: Description of the failure.
    """

    address: str
    reason: str

    @override
    def __str__(self) -> str:
        return f"the cluster at {self.address}: {self.reason}"


@attrs.define(eq=False, slots=False, repr=False)
class SerializationError(AsynczError, ValueError):
    """A value cannot be pickled or unpickled, and so not be sent to another process.

    Attributes:
        kind: `function`, `argument 'name' of`, `function or argument`, `result` or `exception`.
        description: Text of the value.
        reason: Reason for the failure.
    """

    kind: str
    description: str
    reason: str

    @override
    def __str__(self) -> str:
        return f"the {self.kind} {self.description} cannot be sent to another process: {self.reason}{self._advice()}"

    def _advice(self) -> str:
        return pickling_advice(self.reason if self.kind.startswith("argument") else f"{self.description} {self.reason}")


@attrs.define(eq=False, slots=False, repr=False)
class RemoteError(AsynczError, RuntimeError):
    """Substitute for an exception of a worker that cannot be unpickled; `Retry(on=...)` matches its classes by name.

    Attributes:
        type_name: Class of the exception, as `module.name`.
        message: Text of the exception.
        class_names: Names of its class and of all base classes, as `module.name`.
    """

    type_name: str
    message: str
    class_names: tuple[str, ...] = ()

    @override
    def __str__(self) -> str:
        return f"{self.type_name}: {self.message}"


@attrs.define(eq=False, slots=False, repr=False)
class RunsNotFinishedError(AsynczError, TimeoutError):
    """A test waited for runs that did not end in time.

    Attributes:
        task_ids: Ids of the tasks that have running runs.
        hang_timeout: Timeout in seconds.
    """

    task_ids: tuple[str, ...]
    hang_timeout: float

    @override
    def __str__(self) -> str:
        tasks = ", ".join(repr(task_id) for task_id in self.task_ids[:5])
        return (
            f"runs of {tasks} have not ended after {self.hang_timeout:.15g} seconds;"
            " if they wait for a later step of the test, leave out wait_for_runs"
        )
