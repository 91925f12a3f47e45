"""Harness of the executor suite: an executor with a recording notifier, its runs, and checks of its reports."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import itertools
import shutil
import tempfile
import threading
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextvars import Context
from functools import partial
from pathlib import Path
from typing import Generic

import attrs
from typing_extensions import TypeVar, override

from asyncz.events import TaskError, TaskExecuted, TaskNotification
from asyncz.exceptions import ExecutorNotRunningError, MaximumInstancesError, QueueFullError
from asyncz.limits import TaskLimits
from asyncz.protocols import Executor
from asyncz.runs import TaskRun
from asyncz.specs import TaskSpec
from asyncz.states import ExecutorState
from asyncz.testing import _payloads, rules
from asyncz.testing.recorder import RecordingNotifier
from asyncz.testing.rules import Rule, RuleBrokenError

ResultT = TypeVar("ResultT")

# A held function returns after this many timeouts, so that a failed check leaves nothing behind.
_GATE_TIMEOUTS = 4

_task_numbers = itertools.count(1)


class TrialRun(TaskRun[ResultT]):
    """A run that keeps the reports of its progress.

    Attributes:
        reports: Amounts and messages that were reported before the outcome.
    """

    __slots__ = ("reports",)

    def __init__(self, task: TaskSpec[ResultT], scheduled: float | None = None, context: Context | None = None) -> None:
        super().__init__(task, scheduled, context)
        self.reports: list[tuple[float, float | None, str]] = []

    @override
    def report_progress(self, done: float, total: float | None, message: str, /) -> None:
        if self.outcome is None:
            self.reports.append((done, total, message))


@attrs.define(eq=False)
class Submitted(Generic[ResultT]):
    """An accepted run, and a description of its function."""

    run: TrialRun[ResultT]
    description: str
    gate: _payloads.Gate | None = None


class Trial(Generic[ResultT]):
    """An executor, its runs, and its reports of them."""

    def __init__(self, executor: Executor[ResultT], hang_timeout: float) -> None:
        self.executor: Executor[ResultT] = executor
        self.hang_timeout: float = hang_timeout
        self.notifier: RecordingNotifier = RecordingNotifier()
        self._folder = Path(tempfile.mkdtemp(prefix="asyncz-"))
        # If the executor blocks its loop for ever, `clear_up` is not called: the finalizer removes the folder at exit.
        self._remove_folder = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._gates: list[_payloads.Gate] = []
        self._submitted: list[Submitted[ResultT]] = []
        self._rejected: list[TaskRun[ResultT]] = []
        self._is_down = True

    # Start and shutdown

    async def start(self, alias: str = "under_test") -> None:
        """Start the executor."""
        await self._in_time(self.executor.start(self.notifier, alias), rules.STARTS_AGAIN, "start")
        self._is_down = False

    async def shutdown(self, *, wait: bool = True) -> None:
        """Shut the executor down."""
        self._is_down = True
        await self._in_time(self.executor.shutdown(wait), rules.SHUTDOWN_RETURNS, f"shutdown(wait={wait})")

    async def finish(self) -> None:
        """Wait for all runs, shut the executor down, and check its reports."""
        self.open_gates()
        for submitted in self._submitted:
            _ = await self.outcome(submitted)
            await self.expect_release(submitted)
        if not self._is_down:
            await self.shutdown()
        self.check_reports()

    async def clear_up(self) -> None:
        """Release all resources, also after an error."""
        self.open_gates()
        if not self._is_down:
            with contextlib.suppress(BaseException):
                await self.shutdown(wait=False)
        for submitted in self._submitted:
            if submitted.run.done:
                _close_unawaited(await submitted.run.notification())
        await asyncio.to_thread(self._remove_folder)

    async def _in_time(self, step: Awaitable[None], rule: Rule, name: str) -> None:
        future = asyncio.ensure_future(step)
        done, _ = await asyncio.wait([future], timeout=self.hang_timeout)
        if not done:
            future.cancel()
            raise RuleBrokenError(rule, f"{name} has not returned after {self.hang_timeout:g} s")
        try:
            future.result()
        except BaseException as error:
            raise RuleBrokenError(rule, f"{name} raised {error!r}") from error

    # Tasks and runs

    def task(
        self, call: Callable[[], ResultT | Awaitable[ResultT]], limits: TaskLimits | None = None
    ) -> TaskSpec[ResultT]:
        """Return a task with an id of its own."""
        return TaskSpec[ResultT](f"task-{next(_task_numbers)}", call, limits=limits or TaskLimits())

    def gate(self) -> _payloads.Gate:
        """Return a gate that holds functions until it is opened or the trial ends."""
        gate = _payloads.Gate(self._folder / f"gate-{len(self._gates)}", _GATE_TIMEOUTS * self.hang_timeout)
        gate.folder.mkdir()
        self._gates.append(gate)
        return gate

    def open_gates(self) -> None:
        """Let all held functions return."""
        for gate in self._gates:
            with contextlib.suppress(FileNotFoundError):
                gate.open()

    def submit(
        self,
        task: TaskSpec[ResultT],
        *,
        gate: _payloads.Gate | None = None,
        description: str = "",
        rejection_breaks: Rule = rules.MAXIMUM_OF_INSTANCES,
        scheduled: float | None = None,
        context: Context | None = None,
    ) -> Submitted[ResultT]:
        """Submit a run that the executor must accept.

        Args:
            task: The task of the run.
            gate: The gate that holds its function.
            description: Description of its function, for messages.
            rejection_breaks: The rule that is broken if it is rejected at the maximum of instances.
            scheduled: Its due time, in seconds since the epoch.
            context: Its context variables.
        """
        run = TrialRun(task, scheduled, context)
        if gate is not None:
            self.notifier.watch(run, lambda: gate.count("ended") > 0)
        submitted = Submitted(run, description or f"calls {task.function}", gate)
        try:
            self.executor.submit(run)
        except QueueFullError:
            raise
        except MaximumInstancesError as error:
            raise RuleBrokenError(rejection_breaks, f"a run was rejected that must be accepted: {error}") from error
        except ExecutorNotRunningError as error:
            raise RuleBrokenError(rules.STARTS_AGAIN, f"a started executor rejected a run: {error}") from error
        except BaseException as error:
            raise RuleBrokenError(
                rules.SUBMIT_ONLY_REJECTS, f"submit raised {error!r} for a run that {submitted.description}"
            ) from error
        self._submitted.append(submitted)
        if gate is not None and gate.count("ended") and not gate.is_open:
            raise RuleBrokenError(
                rules.LOOP_NOT_BLOCKED,
                "submit returned only after the function had; if that is intended, declare `runs_inline = True`",
            )
        return submitted

    def submit_unless_rejected(self, task: TaskSpec[ResultT], description: str) -> Submitted[ResultT] | None:
        """Submit a run that the executor may reject with any exception; return None if it does."""
        run = TrialRun(task)
        try:
            self.executor.submit(run)
        except Exception:
            self._rejected.append(run)
            return None
        submitted = Submitted(run, description)
        self._submitted.append(submitted)
        return submitted

    async def submit_when_possible(self, task: TaskSpec[ResultT]) -> Submitted[ResultT]:
        """Submit a run, waiting while the queue of the executor is full."""
        while True:
            released = self.notifier.totals()["released"]
            try:
                return self.submit(task)
            except QueueFullError as error:
                if not await self.notifier.until(
                    lambda: self.notifier.totals()["released"] > released,  # noqa: B023  # awaited within this turn
                    timeout=self.hang_timeout,
                ):
                    raise RuleBrokenError(
                        rules.SUBMIT_ONLY_REJECTS, f"the queue remains full although no run is in progress: {error}"
                    ) from error

    def hold(self, result: ResultT, *, limits: TaskLimits | None = None) -> Submitted[ResultT]:
        """Submit a run with a function that is held by a gate of its own."""
        gate = self.gate()
        return self.submit(self.task(partial(_payloads.hold, gate, result), limits), gate=gate)

    def hold_async(self, result: ResultT, *, limits: TaskLimits | None = None) -> Submitted[ResultT]:
        """Submit a run with a coroutine function that is held by a gate of its own."""
        gate = self.gate()
        return self.submit(self.task(partial(_payloads.hold_async, gate, result), limits), gate=gate)

    def expect_rejection(
        self, task: TaskSpec[ResultT], expected: type[Exception], rule: Rule, situation: str, *, observe: bool = True
    ) -> None:
        """Submit a run that the executor must reject without counting it.

        Args:
            task: The task of the run.
            expected: The exception that `submit` must raise.
            rule: The rule that is broken otherwise.
            situation: The reason for the rejection, for messages.
            observe: Check that the counts do not change; False if other runs may change them meanwhile.
        """
        before = self.state()
        run = TrialRun(task)
        try:
            self.executor.submit(run)
        except expected:
            self._rejected.append(run)
        except BaseException as error:
            raise RuleBrokenError(
                rule, f"{situation}, submit raised {error!r} instead of {expected.__name__}"
            ) from error
        else:
            self._submitted.append(Submitted(run, "must be rejected"))
            raise RuleBrokenError(rule, f"{situation}, submit accepted a run instead of raising {expected.__name__}")
        after = self.state()
        if observe and (before.running, before.instances) != (after.running, after.instances):
            raise RuleBrokenError(rule, f"{situation}, submit rejected a run, but counted it: {_counts(after)}")

    # Waiting

    async def outcome(
        self, submitted: Submitted[ResultT], lost_breaks: Rule = rules.NO_RUN_IS_LOST
    ) -> TaskNotification[ResultT]:
        """Wait for the outcome of a run; `lost_breaks` is broken if it is never reported."""
        run = submitted.run
        if not await self.notifier.until(lambda: run.done, timeout=self.hang_timeout):
            raise RuleBrokenError(
                lost_breaks,
                f"after {self.hang_timeout:g} s, no outcome was reported of a run that {submitted.description}",
            )
        notification = await run.notification()
        if isinstance(notification, TaskExecuted) and inspect.iscoroutine(notification.result):
            raise RuleBrokenError(
                rules.AWAITABLES,
                f"a run that {submitted.description} ended with a coroutine: {notification.result!r}",
            )
        return notification

    async def expect_outcome(
        self,
        submitted: Submitted[ResultT],
        kind: type[TaskNotification[object]],
        rule: Rule,
        *,
        lost_breaks: Rule = rules.NO_RUN_IS_LOST,
    ) -> TaskNotification[ResultT]:
        """Wait for the outcome of a run; `rule` is broken if it is of another kind."""
        notification = await self.outcome(submitted, lost_breaks)
        if not isinstance(notification, kind):
            raise RuleBrokenError(
                rule,
                f"a run that {submitted.description} must end as {kind.__name__}, but ended as {_shown(notification)}",
            )
        return notification

    async def expect_result(self, submitted: Submitted[ResultT], rule: Rule = rules.RESULTS) -> ResultT:
        """Wait for the result of a run; `rule` is broken if it has another outcome."""
        notification = await self.expect_outcome(submitted, TaskExecuted, rule)
        assert isinstance(notification, TaskExecuted)
        return notification.result

    async def expect_error(
        self,
        submitted: Submitted[ResultT],
        exception: type[BaseException],
        rule: Rule,
        *,
        lost_breaks: Rule = rules.NO_RUN_IS_LOST,
    ) -> TaskError:
        """Wait for the error of a run; `rule` is broken if it has another outcome."""
        notification = await self.expect_outcome(submitted, TaskError, rule, lost_breaks=lost_breaks)
        assert isinstance(notification, TaskError)
        if type(notification.exception) is not exception:
            raise RuleBrokenError(
                rule,
                f"a run that {submitted.description} must end with a {exception.__name__},"
                f" but ended with {notification.exception!r}",
            )
        return notification

    async def expect_release(self, submitted: Submitted[ResultT], rule: Rule = rules.RELEASED_ONCE) -> None:
        """Wait until a run is released."""
        if not await self.notifier.until(
            lambda: self.notifier.record_of(submitted.run).released > 0, timeout=self.hang_timeout
        ):
            raise RuleBrokenError(
                rule, f"after {self.hang_timeout:g} s, a run that {submitted.description} has not been released"
            )

    async def started(self, submitted: Submitted[ResultT]) -> None:
        """Wait until the function of a run has been called."""
        gate = submitted.gate
        assert gate is not None
        if not await self.comes_true(lambda: gate.count("started") > 0 or submitted.run.done):
            raise RuleBrokenError(
                rules.NO_RUN_IS_LOST, f"after {self.hang_timeout:g} s, the function of a run has not been called"
            )
        if not gate.count("started"):
            outcome = _shown(await self.outcome(submitted))
            raise RuleBrokenError(rules.RESULTS, f"a run ended as {outcome} before its function was called")

    async def comes_true(self, condition: Callable[[], bool]) -> bool:
        """Poll a condition that causes no notification; return True if it became true in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.hang_timeout):
                while not condition():
                    await asyncio.sleep(0.005)
        return condition()

    # Checks

    def state(self, rule: Rule = rules.ALIAS_AND_STATUS) -> ExecutorState:
        """Return the state of the executor."""
        try:
            state = self.executor.state
        except BaseException as error:
            raise RuleBrokenError(rule, f"reading the state raised {error!r}") from error
        if not _is_state(state):
            raise RuleBrokenError(rule, f"the state is {state!r}, an ExecutorState is needed")
        return state

    @contextlib.asynccontextmanager
    async def reading_state_in_thread(self) -> AsyncGenerator[None]:
        """Read the state in another thread again and again while the context is active."""
        stop, errors = threading.Event(), list[BaseException]()

        def read() -> None:
            try:
                while not stop.wait(0.001):
                    _ = self.state(rules.STATE_FROM_ANY_THREAD)
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=read, name="asyncz-state", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
        # The loop must run meanwhile: a state that waits for it would wait for ever.
        if not await self.comes_true(lambda: not thread.is_alive()):
            raise RuleBrokenError(
                rules.STATE_FROM_ANY_THREAD, f"after {self.hang_timeout:g} s, reading the state has not returned"
            )
        if errors:
            raise errors[0]

    async def expect_counts(self, situation: str, *expected: tuple[TaskSpec[ResultT], int]) -> None:
        """Check the counts of the state against the expected runs of each task."""
        wanted = {task.id: running for task, running in expected}

        def agrees() -> bool:
            state = self.state(rules.COUNTS)
            counted = {count.task_id: count.running for count in state.instances}
            return state.running == sum(wanted.values()) and counted == wanted

        if not await self.comes_true(agrees):
            raise RuleBrokenError(
                rules.COUNTS, f"{situation}, the state must count {wanted}, but counts {_counts(self.state())}"
            )

    def check_reports(self) -> None:
        """Check the reports of every run against the rules for all runs."""
        for submitted in self._submitted:
            record, description = self.notifier.record_of(submitted.run), submitted.description
            if not record.notified:
                raise RuleBrokenError(rules.NO_RUN_IS_LOST, f"no outcome was reported of a run that {description}")
            if record.notified > 1:
                raise RuleBrokenError(
                    rules.NOTIFIED_ONCE, f"notify was called {record.notified} times for a run that {description}"
                )
            if record.released != 1:
                raise RuleBrokenError(
                    rules.RELEASED_ONCE, f"released was called {record.released} times for a run that {description}"
                )
            if record.released_first:
                raise RuleBrokenError(
                    rules.RELEASED_AT_ITS_END, f"released was called before notify for a run that {description}"
                )
            if not record.work_had_ended and submitted.gate is not None and submitted.gate.count("started"):
                raise RuleBrokenError(
                    rules.RELEASED_AT_ITS_END, f"a run that {description} was released while its function was running"
                )
        for run in self._rejected:
            record = self.notifier.record_of(run)
            if record.notified or record.released:
                raise RuleBrokenError(
                    rules.SUBMIT_ONLY_REJECTS,
                    f"submit rejected a run, and still notify was called {record.notified} times for it"
                    f" and released {record.released} times",
                )

    def may_be_killed(self, submitted: Submitted[ResultT]) -> None:
        """Do not expect a mark at the end of the function of a run: its process may be killed."""
        self.notifier.watch(submitted.run, lambda: True)


def _is_state(value: object) -> bool:
    """Return True if a value is a state; not every author of an executor uses a type checker."""
    return isinstance(value, ExecutorState)


def _shown(notification: TaskNotification[object]) -> str:
    if isinstance(notification, TaskError):
        return f"TaskError({notification.exception!r})"
    if isinstance(notification, TaskExecuted):
        return f"TaskExecuted({notification.result!r})"
    return type(notification).__name__


def _counts(state: ExecutorState) -> str:
    counted = {count.task_id: count.running for count in state.instances}
    return f"running={state.running}, instances={counted}"


def _close_unawaited(notification: TaskNotification[object]) -> None:
    """Close a coroutine that was reported as a result, so that Python does not warn about it as well."""
    if isinstance(notification, TaskExecuted) and inspect.iscoroutine(notification.result):
        notification.result.close()
