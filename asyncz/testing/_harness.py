"""One executor on trial: started with a recording notifier, given runs, and held to account at the end."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import itertools
import shutil
import tempfile
import weakref
from collections.abc import Awaitable, Callable
from contextvars import Context
from functools import partial
from pathlib import Path
from typing import Generic

import attrs
from typing_extensions import TypeVar

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

# Work ends by itself after this many timeouts, so that a failed test leaves nothing behind.
_GATE_TIMEOUTS = 4

_task_numbers = itertools.count(1)


@attrs.define(eq=False)
class Submitted(Generic[ResultT]):
    """A run that the executor took, and what it calls."""

    run: TaskRun[ResultT]
    what: str
    gate: _payloads.Gate | None = None


class Trial(Generic[ResultT]):
    """One executor, its runs, and what it told of them."""

    def __init__(self, executor: Executor[ResultT], hang_timeout: float) -> None:
        self.executor: Executor[ResultT] = executor
        self.hang_timeout: float = hang_timeout
        self.notifier: RecordingNotifier = RecordingNotifier()
        self._folder = Path(tempfile.mkdtemp(prefix="asyncz-"))
        # A trial whose executor blocks its loop for good never comes to clear up: the end of the program does.
        self._remove_folder = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._gates: list[_payloads.Gate] = []
        self._submitted: list[Submitted[ResultT]] = []
        self._rejected: list[TaskRun[ResultT]] = []
        self._is_down = True

    # Its life

    async def start(self, alias: str = "tried") -> None:
        """Start the executor."""
        await self._in_time(self.executor.start(self.notifier, alias), rules.STARTS_AGAIN, "start")
        self._is_down = False

    async def shutdown(self, *, wait: bool = True) -> None:
        """Shut the executor down."""
        self._is_down = True
        await self._in_time(self.executor.shutdown(wait), rules.SHUTDOWN_RETURNS, f"shutdown(wait={wait})")

    async def finish(self) -> None:
        """Let every run end, shut the executor down, and call it to account."""
        self.open_gates()
        for submitted in self._submitted:
            _ = await self.ending(submitted)
            await self.released(submitted)
        if not self._is_down:
            await self.shutdown()
        self.call_to_account()

    async def clear_up(self) -> None:
        """Leave nothing behind, whatever has happened."""
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
            raise RuleBrokenError(rule, f"{name} has not come back after {self.hang_timeout:g} s")
        try:
            future.result()
        except BaseException as error:
            raise RuleBrokenError(rule, f"{name} raised {error!r}") from error

    # Tasks and runs

    def task(
        self, call: Callable[[], ResultT | Awaitable[ResultT]], limits: TaskLimits | None = None
    ) -> TaskSpec[ResultT]:
        """A task of its own."""
        return TaskSpec[ResultT](f"task-{next(_task_numbers)}", call, limits=limits or TaskLimits())

    def gate(self) -> _payloads.Gate:
        """A gate that holds work until it is opened, or the trial is over."""
        gate = _payloads.Gate(self._folder / f"gate-{len(self._gates)}", _GATE_TIMEOUTS * self.hang_timeout)
        gate.folder.mkdir()
        self._gates.append(gate)
        return gate

    def open_gates(self) -> None:
        """Let all work go."""
        for gate in self._gates:
            with contextlib.suppress(FileNotFoundError):
                gate.open()

    def submit(
        self,
        task: TaskSpec[ResultT],
        *,
        gate: _payloads.Gate | None = None,
        what: str = "",
        rejection_breaks: Rule = rules.MAXIMUM_OF_INSTANCES,
        scheduled: float | None = None,
        context: Context | None = None,
    ) -> Submitted[ResultT]:
        """Have a run taken.

        Args:
            task: Of which task.
            gate: What holds its work.
            what: What its function does, for messages.
            rejection_breaks: The rule that is broken where it is rejected at the maximum of instances.
            scheduled: When it was due, in seconds since the epoch.
            context: Its context variables.
        """
        run = TaskRun(task, scheduled=scheduled, context=context)
        if gate is not None:
            self.notifier.watch(run, lambda: gate.count("ended") > 0)
        submitted = Submitted(run, what or f"calls {task.function}", gate)
        try:
            self.executor.submit(run)
        except QueueFullError:
            raise
        except MaximumInstancesError as error:
            raise RuleBrokenError(rejection_breaks, f"a run was rejected that was to be taken: {error}") from error
        except ExecutorNotRunningError as error:
            raise RuleBrokenError(rules.STARTS_AGAIN, f"a started executor rejected a run: {error}") from error
        except BaseException as error:
            raise RuleBrokenError(
                rules.SUBMIT_ONLY_REFUSES, f"submit raised {error!r} for a run that {submitted.what}"
            ) from error
        self._submitted.append(submitted)
        if gate is not None and gate.count("ended") and not gate.is_open:
            raise RuleBrokenError(
                rules.LOOP_GOES_ON,
                "submit came back only after the work had ended; where that is meant, declare `runs_inline = True`",
            )
        return submitted

    def submit_unless_rejected(self, task: TaskSpec[ResultT], what: str) -> Submitted[ResultT] | None:
        """The same, where the executor may also reject it with whatever exception."""
        run = TaskRun(task)
        try:
            self.executor.submit(run)
        except Exception:
            self._rejected.append(run)
            return None
        submitted = Submitted(run, what)
        self._submitted.append(submitted)
        return submitted

    async def submit_when_possible(self, task: TaskSpec[ResultT]) -> Submitted[ResultT]:
        """The same, waiting while the executor's queue is full."""
        while True:
            released = self.notifier.told()["released"]
            try:
                return self.submit(task)
            except QueueFullError as error:
                if not await self.notifier.until(
                    lambda: self.notifier.told()["released"] > released,  # noqa: B023  # awaited within this turn
                    timeout=self.hang_timeout,
                ):
                    raise RuleBrokenError(
                        rules.SUBMIT_ONLY_REFUSES, f"the queue stays full although nothing runs: {error}"
                    ) from error

    def hold(self, result: ResultT, *, limits: TaskLimits | None = None) -> Submitted[ResultT]:
        """Have a run taken whose work is held by a gate of its own."""
        gate = self.gate()
        return self.submit(self.task(partial(_payloads.hold, gate, result), limits), gate=gate)

    def hold_async(self, result: ResultT, *, limits: TaskLimits | None = None) -> Submitted[ResultT]:
        """The same with a coroutine function."""
        gate = self.gate()
        return self.submit(self.task(partial(_payloads.hold_async, gate, result), limits), gate=gate)

    def have_rejected(
        self, task: TaskSpec[ResultT], expected: type[Exception], rule: Rule, situation: str, *, observe: bool = True
    ) -> None:
        """Have a run rejected, and nothing counted.

        Args:
            task: Of which task.
            expected: What `submit` is to raise.
            rule: Which rule is broken otherwise.
            situation: Why it is to be rejected, for messages.
            observe: Whether what is counted stays the same if nothing else happens meanwhile.
        """
        before = self.state()
        run = TaskRun(task)
        try:
            self.executor.submit(run)
        except expected:
            self._rejected.append(run)
        except BaseException as error:
            raise RuleBrokenError(
                rule, f"{situation}, submit raised {error!r} instead of {expected.__name__}"
            ) from error
        else:
            self._submitted.append(Submitted(run, "was to be rejected"))
            raise RuleBrokenError(rule, f"{situation}, submit took a run instead of raising {expected.__name__}")
        after = self.state()
        if observe and (before.running, before.instances) != (after.running, after.instances):
            raise RuleBrokenError(rule, f"{situation}, submit rejected a run, but counted it: {_counts(after)}")

    # Waiting

    async def ending(
        self, submitted: Submitted[ResultT], lost_breaks: Rule = rules.NO_RUN_IS_LOST
    ) -> TaskNotification[ResultT]:
        """How a run ended, waiting until that is told; `lost_breaks` is broken where it never is."""
        run = submitted.run
        if not await self.notifier.until(lambda: run.done, timeout=self.hang_timeout):
            raise RuleBrokenError(
                lost_breaks, f"after {self.hang_timeout:g} s, no end was told of a run that {submitted.what}"
            )
        notification = await run.notification()
        if isinstance(notification, TaskExecuted) and inspect.iscoroutine(notification.result):
            raise RuleBrokenError(
                rules.AWAITABLES, f"a run that {submitted.what} ended with a coroutine: {notification.result!r}"
            )
        return notification

    async def ended_as(
        self,
        submitted: Submitted[ResultT],
        kind: type[TaskNotification[object]],
        rule: Rule,
        *,
        lost_breaks: Rule = rules.NO_RUN_IS_LOST,
    ) -> TaskNotification[ResultT]:
        """How a run ended, waiting until it has; `rule` is broken where that is another kind of end."""
        notification = await self.ending(submitted, lost_breaks)
        if not isinstance(notification, kind):
            raise RuleBrokenError(
                rule,
                f"a run that {submitted.what} was to end as {kind.__name__}, but ended as {_shown(notification)}",
            )
        return notification

    async def executed(self, submitted: Submitted[ResultT], rule: Rule = rules.RESULTS) -> ResultT:
        """The result of a run, waiting until it has ended; `rule` is broken where it has another end."""
        notification = await self.ended_as(submitted, TaskExecuted, rule)
        assert isinstance(notification, TaskExecuted)
        return notification.result

    async def failed(
        self,
        submitted: Submitted[ResultT],
        exception: type[BaseException],
        rule: Rule,
        *,
        lost_breaks: Rule = rules.NO_RUN_IS_LOST,
    ) -> TaskError:
        """The error of a run, waiting until it has ended; `rule` is broken where it has another end."""
        notification = await self.ended_as(submitted, TaskError, rule, lost_breaks=lost_breaks)
        assert isinstance(notification, TaskError)
        if type(notification.exception) is not exception:
            raise RuleBrokenError(
                rule,
                f"a run that {submitted.what} was to end with a {exception.__name__},"
                f" but ended with {notification.exception!r}",
            )
        return notification

    async def released(self, submitted: Submitted[ResultT], rule: Rule = rules.RELEASED_ONCE) -> None:
        """Wait until a run is released."""
        if not await self.notifier.until(
            lambda: self.notifier.record_of(submitted.run).released > 0, timeout=self.hang_timeout
        ):
            raise RuleBrokenError(
                rule, f"after {self.hang_timeout:g} s, a run that {submitted.what} has not been released"
            )

    async def begun(self, submitted: Submitted[ResultT]) -> None:
        """Wait until the work of a run has begun."""
        gate = submitted.gate
        assert gate is not None
        if not await self.comes_true(lambda: gate.count("begun") > 0 or submitted.run.done):
            raise RuleBrokenError(
                rules.NO_RUN_IS_LOST, f"after {self.hang_timeout:g} s, the function of a run has not been called"
            )
        if not gate.count("begun"):
            ended = _shown(await self.ending(submitted))
            raise RuleBrokenError(rules.RESULTS, f"a run ended as {ended} before its function was called")

    async def comes_true(self, condition: Callable[[], bool]) -> bool:
        """Wait for what nobody tells; gives whether it came true in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.hang_timeout):
                while not condition():
                    await asyncio.sleep(0.005)
        return condition()

    # Looking

    def state(self, rule: Rule = rules.ALIAS_AND_STATUS) -> ExecutorState:
        """The executor's state."""
        try:
            state = self.executor.state
        except Exception as error:
            raise RuleBrokenError(rule, f"reading the state raised {error!r}") from error
        if not _is_state(state):
            raise RuleBrokenError(rule, f"the state is {state!r}, an ExecutorState is needed")
        return state

    async def expect_counts(self, situation: str, *expected: tuple[TaskSpec[ResultT], int]) -> None:
        """Hold the state against how many runs of which tasks are there."""
        wanted = {task.id: running for task, running in expected}

        def agrees() -> bool:
            state = self.state(rules.COUNTS)
            counted = {count.task_id: count.running for count in state.instances}
            return state.running == sum(wanted.values()) and counted == wanted

        if not await self.comes_true(agrees):
            raise RuleBrokenError(
                rules.COUNTS, f"{situation}, the state has to count {wanted}, but tells {_counts(self.state())}"
            )

    def call_to_account(self) -> None:
        """Hold what was told of every run against the rules that hold for each."""
        for submitted in self._submitted:
            record, what = self.notifier.record_of(submitted.run), submitted.what
            if not record.notified:
                raise RuleBrokenError(rules.NO_RUN_IS_LOST, f"no end was told of a run that {what}")
            if record.notified > 1:
                raise RuleBrokenError(
                    rules.TOLD_ONCE, f"notify was called {record.notified} times for a run that {what}"
                )
            if record.released != 1:
                raise RuleBrokenError(
                    rules.RELEASED_ONCE, f"released was called {record.released} times for a run that {what}"
                )
            if record.released_first:
                raise RuleBrokenError(
                    rules.RELEASED_AT_ITS_END, f"released was called before notify for a run that {what}"
                )
            if not record.work_had_ended and submitted.gate is not None and submitted.gate.count("begun"):
                raise RuleBrokenError(
                    rules.RELEASED_AT_ITS_END, f"a run that {what} was released while its work went on"
                )
        for run in self._rejected:
            record = self.notifier.record_of(run)
            if record.notified or record.released:
                raise RuleBrokenError(
                    rules.SUBMIT_ONLY_REFUSES,
                    f"submit rejected a run, and still notify was called {record.notified} times for it"
                    f" and released {record.released} times",
                )

    def may_be_killed(self, submitted: Submitted[ResultT]) -> None:
        """Do not expect of a run's work that it tells of its own end: its process may be killed."""
        self.notifier.watch(submitted.run, lambda: True)


def _is_state(value: object) -> bool:
    """Whether it is one; not every author of an executor has a type checker."""
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
    """Close the coroutine that an executor took for a result, so that Python does not warn of it too."""
    if isinstance(notification, TaskExecuted) and inspect.iscoroutine(notification.result):
        notification.result.close()
