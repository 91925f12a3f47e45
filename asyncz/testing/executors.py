"""Conformance suite of executors: subclass it, override `make_executor`, and run pytest."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from contextvars import Context
from functools import partial
from typing import Never
from unittest import SkipTest

from typing_extensions import TypeVar, override

from asyncz._run_ids import NO_RUN
from asyncz._unsafe import as_cancelling
from asyncz.events import TaskCancelled, TaskError, TaskExecuted, TaskMissed
from asyncz.exceptions import ExecutorNotRunningError, MaximumInstancesError, QueueFullError, TaskTimeoutError
from asyncz.limits import TaskLimits
from asyncz.protocols import Executor, UniversalExecutor
from asyncz.specs import TaskSpec
from asyncz.states import ExecutorState, ExecutorStatus
from asyncz.testing import _payloads, rules
from asyncz.testing._harness import Submitted, Trial
from asyncz.testing.interruption import InterruptionChecks
from asyncz.testing.rules import RuleBrokenError
from asyncz.testing.suite import checks

ResultT = TypeVar("ResultT")

_HOUR = 3600.0
_MANY = 40
_QUEUED = 1000
_REPORTS = 20


class RestrictedExecutorConformance(InterruptionChecks[ResultT]):
    """Conformance suite of an `Executor[ResultT]`, for tasks with the result `ResultT`.

    Each test method checks one rule of `asyncz.testing.RULES` in an event loop of its own, which is abandoned if the
    executor blocks it. The functions of the runs can be imported, so that they can be pickled, and communicate
    through files of this machine.

    Override an attribute to declare the abilities of the executor.

    Attributes:
        runs_inline: `submit` runs the function itself, as in `DebugExecutor`, and so may block the loop.
        runs_in_another_process: Functions, arguments and results are pickled and run in another process.
        limits_time: The executor enforces the `timeout` of a task.
        reports_progress: The executor passes on the progress that functions report.
        signals_cancellation: `current_run().is_cancelled()` becomes True where the function runs.
        hang_timeout: Seconds after which a check counts as hanging.

    Example:
        >>> class TestBytesExecutor(RestrictedExecutorConformance[bytes]):
        ...     def make_executor(self) -> Executor[bytes]:
        ...         return BytesExecutor()
        ...
        ...     def make_result(self, number: int, /) -> bytes:
        ...         return str(number).encode()
    """

    _maker = "make_executor"

    runs_inline: bool = False
    runs_in_another_process: bool = False
    limits_time: bool = True
    reports_progress: bool = True
    signals_cancellation: bool = True
    hang_timeout: float = 10.0

    def make_executor(self) -> Executor[ResultT]:
        """Make a new executor that is not started; called for each test, on its loop."""
        raise NotImplementedError

    # Tests

    @checks(rules.NO_RUN_IS_LOST)
    async def test_run_of_every_kind_is_reported(self) -> None:
        async with self._trial() as trial:
            for submitted in self._runs_of_every_kind(trial):
                _ = await trial.outcome(submitted)

    @checks(rules.NOTIFIED_ONCE)
    async def test_run_is_notified_once(self) -> None:
        async with self._trial() as trial:
            _ = self._runs_of_every_kind(trial)

    @checks(rules.RELEASED_ONCE)
    async def test_run_is_released_once(self) -> None:
        async with self._trial() as trial:
            for submitted in self._runs_of_every_kind(trial):
                await trial.expect_release(submitted)

    @checks(rules.RELEASED_AT_ITS_END)
    async def test_run_is_released_after_its_function(self) -> None:
        async with self._trial() as trial:
            if self.runs_inline:
                _ = self._runs_of_every_kind(trial)
                return
            for hold in (trial.hold, trial.hold_async):
                submitted = hold(self.make_result(0))
                await trial.started(submitted)
                if trial.notifier.record_of(submitted.run).released:
                    raise RuleBrokenError(rules.RELEASED_AT_ITS_END, "a run was released before its function returned")
                trial.open_gates()

    @checks(rules.RESULTS)
    async def test_run_has_its_own_result(self) -> None:
        async with self._trial() as trial:
            runs: list[tuple[Submitted[ResultT], ResultT]] = []
            for number in range(_MANY):
                expected = self.make_result(number)
                runs.append((await trial.submit_when_possible(trial.task(partial(_payloads.give, expected))), expected))
            for submitted, expected in runs:
                result = await trial.expect_result(submitted, rules.RESULTS)
                if result != expected:
                    raise RuleBrokenError(
                        rules.RESULTS, f"a run whose function returned {expected!r} ended with {result!r}"
                    )
                reported_id = (await trial.outcome(submitted)).task_id
                if reported_id != submitted.run.task.id:
                    raise RuleBrokenError(
                        rules.RESULTS, f"the outcome of a run of {submitted.run.task.id!r} has the id {reported_id!r}"
                    )

    @checks(rules.EXCEPTIONS)
    async def test_exception_of_function_is_reported(self) -> None:
        async with self._trial() as trial:
            for error in (
                _payloads.WorkError("lost", 3),
                KeyError("key"),
                StopIteration("over"),
                OSError(2, "no file"),
            ):
                calls: list[Callable[[], Never] | Callable[[], Coroutine[object, Never, Never]]] = [
                    partial(_payloads.fail, error)
                ]
                if not isinstance(error, StopIteration):
                    # Python replaces a StopIteration that leaves a coroutine.
                    calls.append(partial(_payloads.fail_async, error))
                for call in calls:
                    submitted = trial.submit(trial.task(call), description=f"raises {error!r}")
                    reported = (await trial.expect_error(submitted, type(error), rules.EXCEPTIONS)).exception
                    if reported.args != error.args:
                        raise RuleBrokenError(rules.EXCEPTIONS, f"a run that raised {error!r} ended with {reported!r}")

    @checks(rules.EXIT_REQUESTS)
    async def test_exit_request_ends_only_its_run(self) -> None:
        async with self._trial() as trial:
            for call, exception in (
                (_payloads.leave, SystemExit),
                (_payloads.interrupt, KeyboardInterrupt),
                (_payloads.leave_async, SystemExit),
            ):
                submitted = trial.submit(trial.task(call), description=f"raises {exception.__name__}")
                _ = await trial.expect_error(submitted, exception, rules.EXIT_REQUESTS, lost_breaks=rules.EXIT_REQUESTS)
            _ = await trial.expect_outcome(
                self._give(trial), TaskExecuted, rules.EXIT_REQUESTS, lost_breaks=rules.EXIT_REQUESTS
            )

    @checks(rules.CANCELLED_BY_ITSELF)
    async def test_cancelled_error_cancels_the_run(self) -> None:
        async with self._trial() as trial:
            for call in (_payloads.cancel_itself, _payloads.cancel_itself_async):
                submitted = trial.submit(trial.task(call), description="raises CancelledError")
                _ = await trial.expect_outcome(submitted, TaskCancelled, rules.CANCELLED_BY_ITSELF)
            _ = await trial.expect_outcome(self._give(trial), TaskExecuted, rules.CANCELLED_BY_ITSELF)

    @checks(rules.AWAITABLES)
    async def test_returned_awaitable_is_awaited(self) -> None:
        async with self._trial() as trial:
            expected = self.make_result(1)
            for task, description in (
                (trial.task(partial(_payloads.give_async, expected)), "calls a coroutine function"),
                (trial.task(_payloads.AsyncGiver(expected)), "calls an object whose __call__ is a coroutine function"),
                (
                    trial.task(partial(_payloads.give_coroutine, expected)),
                    "calls a plain function that returns a coroutine",
                ),
                (
                    trial.task(partial(_payloads.give_awaitable, expected)),
                    "calls a function that returns another awaitable",
                ),
            ):
                submitted = trial.submit(task, description=description)
                result = await trial.expect_result(submitted, rules.AWAITABLES)
                if result != expected:
                    raise RuleBrokenError(rules.AWAITABLES, f"a run that {description} ended with {result!r}")

    @checks(rules.DETAILS)
    async def test_notification_has_details(self) -> None:
        async with self._trial() as trial:
            error = trial.submit(trial.task(partial(_payloads.fail, _payloads.WorkError("details"))))
            for submitted in (self._give(trial), error):
                notification = await trial.outcome(submitted)
                details, run = notification.details, submitted.run
                if details.run_id not in {NO_RUN, run.run_id}:
                    raise RuleBrokenError(
                        rules.DETAILS, f"the run {run.run_id} was reported as the run {details.run_id}"
                    )
                # A scheduler fills in missing details from the run.
                started, finished = (
                    (run.started, time.time()) if details.run_id == NO_RUN else (details.started, details.finished)
                )
                if started is None or finished is None or finished < started:
                    raise RuleBrokenError(
                        rules.DETAILS,
                        f"a run was reported to have started at {started} and finished at {finished};"
                        " call run.begin(), or use run.execute() or run.execute_async(), which do",
                    )
                if isinstance(notification, TaskError) and "in fail" not in notification.traceback:
                    raise RuleBrokenError(
                        rules.DETAILS,
                        f"the traceback of an error does not show where it was raised: {notification.traceback!r}",
                    )

    @checks(rules.LOOP_NOT_BLOCKED)
    async def test_loop_is_not_blocked(self) -> None:
        self._unless_inline("it may block the loop")
        async with self._trial() as trial:
            for hold in (trial.hold, trial.hold_async):
                submitted = hold(self.make_result(0))
                await trial.started(submitted)
                if trial.notifier.record_of(submitted.run).notified:
                    raise RuleBrokenError(rules.RESULTS, "the outcome was reported before the function returned")
                trial.open_gates()

    @checks(rules.SUBMIT_ONLY_REJECTS)
    async def test_submit_raises_no_error_of_a_function(self) -> None:
        async with self._trial() as trial:
            _ = self._runs_of_every_kind(trial)
            _ = trial.submit(trial.task(_payloads.leave))
            _ = trial.submit(trial.task(_payloads.interrupt))

    @checks(rules.NO_RUN_BEFORE_START)
    async def test_run_before_start_is_rejected(self) -> None:
        async with self._trial(start=False) as trial:
            trial.expect_rejection(
                self._task(trial), ExecutorNotRunningError, rules.NO_RUN_BEFORE_START, "before the start"
            )

    @checks(rules.NO_RUN_AFTER_SHUTDOWN)
    async def test_run_after_shutdown_is_rejected(self) -> None:
        for wait in (True, False):
            async with self._trial() as trial:
                _ = await trial.expect_result(self._give(trial))
                await trial.shutdown(wait=wait)
                trial.expect_rejection(
                    self._task(trial),
                    ExecutorNotRunningError,
                    rules.NO_RUN_AFTER_SHUTDOWN,
                    f"after shutdown(wait={wait})",
                )

    @checks(rules.MAXIMUM_OF_INSTANCES)
    async def test_run_over_max_instances_is_rejected(self) -> None:
        self._unless_inline("a run has ended when submit returns")
        async with self._trial() as trial:
            gate = trial.gate()
            task = trial.task(partial(_payloads.hold, gate, self.make_result(0)), TaskLimits(max_instances=2))
            taken = [trial.submit(task), trial.submit(task)]
            trial.expect_rejection(
                task,
                MaximumInstancesError,
                rules.MAXIMUM_OF_INSTANCES,
                "with 2 of 2 instances running",
            )
            another = trial.submit(trial.task(partial(_payloads.hold, gate, self.make_result(1))))
            gate.open()
            for submitted in (*taken, another):
                _ = await trial.expect_result(submitted)

    @checks(rules.INSTANCES_COUNT_DOWN)
    async def test_released_run_is_not_counted(self) -> None:
        async with self._trial() as trial:
            for task in (self._task(trial), trial.task(partial(_payloads.fail, _payloads.WorkError("again")))):
                for _ in range(3):
                    submitted = trial.submit(task, rejection_breaks=rules.INSTANCES_COUNT_DOWN)
                    await trial.expect_release(submitted)

    @checks(rules.ALIAS_AND_STATUS)
    async def test_state_has_alias_and_status(self) -> None:
        async with self._trial(start=False) as trial:
            if trial.state().status == "running":
                raise RuleBrokenError(rules.ALIAS_AND_STATUS, "the status is running before the start")
            await trial.start("some alias")
            _expect_alias_and_status(trial.state(), "running")
            _ = await trial.expect_result(self._give(trial))
            await trial.shutdown()
            _expect_alias_and_status(trial.state(), "stopped")

    @checks(rules.COUNTS)
    async def test_state_counts_runs(self) -> None:
        async with self._trial() as trial:
            await trial.expect_counts("after the start")
            if self.runs_inline:
                await trial.expect_release(self._give(trial))
            else:
                gate = trial.gate()
                several = trial.task(partial(_payloads.hold, gate, self.make_result(0)), TaskLimits(max_instances=2))
                once = trial.task(partial(_payloads.hold, gate, self.make_result(1)))
                runs = [trial.submit(several), trial.submit(several), trial.submit(once)]
                await trial.expect_counts("with two runs of one task and one of another", (several, 2), (once, 1))
                gate.open()
                for submitted in runs:
                    await trial.expect_release(submitted)
            await trial.expect_counts("when all runs are released")

    @checks(rules.LATE_RUNS)
    async def test_late_run_is_missed(self) -> None:
        async with self._trial() as trial:
            an_hour_ago = time.time() - _HOUR
            for hold in (_payloads.hold, _payloads.hold_async):
                gate = trial.gate()
                gate.open()
                late = trial.task(partial(hold, gate, self.make_result(0)), TaskLimits(misfire_grace_time=1))
                submitted = trial.submit(
                    late, scheduled=an_hour_ago, description="was due an hour ago, with 1 s of grace"
                )
                _ = await trial.expect_outcome(submitted, TaskMissed, rules.LATE_RUNS)
                if gate.count("started"):
                    raise RuleBrokenError(rules.LATE_RUNS, "the function of a missed run was called")
            for grace in (None, 2 * _HOUR):
                in_time = trial.task(partial(_payloads.give, self.make_result(1)), TaskLimits(misfire_grace_time=grace))
                _ = await trial.expect_result(trial.submit(in_time, scheduled=an_hour_ago), rules.LATE_RUNS)

    @checks(rules.SHUTDOWN_WAITS)
    async def test_shutdown_waits_for_runs(self) -> None:
        async with self._trial() as trial:
            if self.runs_inline:
                _ = self._give(trial)
                await trial.shutdown()
                trial.check_reports()
                return
            held = [trial.hold(self.make_result(number)) for number in range(3)]
            held.append(trial.hold_async(self.make_result(3)))
            await trial.started(held[0])
            shutdown = asyncio.ensure_future(trial.shutdown())
            # It returns too early, or waits: then its status changes first.
            _ = await trial.comes_true(lambda: shutdown.done() or trial.state().status != "running")
            await asyncio.sleep(0.02)
            returned_early = shutdown.done()
            trial.open_gates()
            await shutdown
            if returned_early:
                raise RuleBrokenError(rules.SHUTDOWN_WAITS, "shutdown(wait=True) returned while functions were running")
            for submitted in held:
                if not trial.notifier.record_of(submitted.run).notified:
                    raise RuleBrokenError(rules.SHUTDOWN_WAITS, "shutdown(wait=True) returned before an outcome")
                _ = await trial.expect_outcome(submitted, TaskExecuted, rules.SHUTDOWN_WAITS)

    @checks(rules.SHUTDOWN_WITHOUT_WAITING)
    async def test_shutdown_without_waiting_cancels_runs(self) -> None:
        self._unless_inline("a run has ended when submit returns")
        async with self._trial() as trial:
            held = [trial.hold(self.make_result(number)) for number in range(3)]
            held.append(trial.hold_async(self.make_result(3)))
            await trial.started(held[0])
            if self.runs_in_another_process:
                for submitted in held:
                    trial.may_be_killed(submitted)
            await trial.shutdown(wait=False)
            for submitted in held:
                if not trial.notifier.record_of(submitted.run).notified:
                    raise RuleBrokenError(
                        rules.SHUTDOWN_WITHOUT_WAITING, "shutdown(wait=False) returned before the outcome of a run"
                    )
                _ = await trial.expect_outcome(submitted, TaskCancelled, rules.SHUTDOWN_WITHOUT_WAITING)

    @checks(rules.SHUTDOWN_RETURNS)
    async def test_shutdown_can_be_repeated(self) -> None:
        async with self._trial(start=False) as trial:
            await trial.shutdown()
        async with self._trial() as trial:
            if not self.runs_inline:
                await trial.started(trial.hold(self.make_result(0)))
            first, second = asyncio.ensure_future(trial.shutdown()), asyncio.ensure_future(trial.shutdown())
            _ = await trial.comes_true(lambda: first.done() or trial.state().status != "running")
            trial.open_gates()
            _ = await asyncio.wait([first, second])
            await first
            await second
            await trial.shutdown(wait=False)
            await trial.shutdown()

    @checks(rules.STARTS_AGAIN)
    async def test_executor_starts_again(self) -> None:
        async with self._trial() as trial:
            for alias in ("second", "third"):
                await trial.expect_release(self._give(trial))
                await trial.shutdown(wait=alias == "second")
                await trial.start(alias)
            _ = await trial.expect_outcome(self._give(trial), TaskExecuted, rules.STARTS_AGAIN)

    @checks(rules.CANCEL)
    async def test_cancel_returns_the_truth(self) -> None:
        self._unless_inline("a run has ended when submit returns")
        async with self._trial() as trial:
            executor = as_cancelling(trial.executor)
            if executor is None:
                raise SkipTest("it has no `cancel`")
            for hold in (trial.hold, trial.hold_async):
                for begun in (True, False):
                    submitted = hold(self.make_result(0))
                    if self.runs_in_another_process:
                        trial.may_be_killed(submitted)
                    if begun:
                        await trial.started(submitted)
                    taken = executor.cancel(submitted.run)
                    if not taken:
                        if trial.notifier.record_of(submitted.run).notified:
                            raise RuleBrokenError(rules.CANCEL, "cancel returned False, but the run ended")
                        trial.open_gates()
                    wanted = TaskCancelled if taken else TaskExecuted
                    _ = await trial.expect_outcome(submitted, wanted, rules.CANCEL, lost_breaks=rules.CANCEL)
                    trial.open_gates()
                    await trial.expect_release(submitted)
                    if executor.cancel(submitted.run):
                        raise RuleBrokenError(rules.CANCEL, "cancel returned True for a run that had ended")

    @checks(rules.TIME_LIMITS)
    async def test_timeout_is_enforced(self) -> None:
        self._unless_inline("a function that blocks the loop cannot be ended")
        if not self.limits_time:
            raise SkipTest("`limits_time` is False: it does not enforce time limits")
        async with self._trial() as trial:
            for hold in (trial.hold, trial.hold_async):
                submitted = hold(self.make_result(0), limits=TaskLimits(timeout=0.05))
                if self.runs_in_another_process:
                    trial.may_be_killed(submitted)
                _ = await trial.expect_error(
                    submitted, TaskTimeoutError, rules.TIME_LIMITS, lost_breaks=rules.TIME_LIMITS
                )
                if not trial.state().running:
                    # A run is released in another thread shortly after it is no longer counted.
                    await trial.expect_release(submitted, rules.TIME_LIMITS)
                trial.open_gates()
                await trial.expect_release(submitted)
            in_time = trial.task(partial(_payloads.give, self.make_result(1)), TaskLimits(timeout=_HOUR))
            _ = await trial.expect_outcome(trial.submit(in_time), TaskExecuted, rules.TIME_LIMITS)

    @checks(rules.CONTEXT)
    async def test_function_sees_context_variables(self) -> None:
        if self.runs_in_another_process:
            raise SkipTest("context variables are not sent to another process")
        async with self._trial() as trial:
            context = Context()
            context.run(_payloads.variable.set, "set")
            for task in (
                trial.task(partial(_payloads.give_where_variable_is, "set", self.make_result(0))),
                trial.task(partial(_payloads.give_where_variable_is_async, "set", self.make_result(0))),
            ):
                submitted = trial.submit(task, context=context.copy(), description="looks at a context variable")
                _ = await trial.expect_outcome(submitted, TaskExecuted, rules.CONTEXT)

    @checks(rules.NOT_PICKLABLE)
    async def test_unpicklable_run_ends_alone(self) -> None:
        _check_runs_in_another_process(self.runs_in_another_process)
        async with self._trial() as trial:
            unpicklable = partial(_payloads.give_beside, self.make_result(0), threading.Lock())
            await self._expect_to_fail(trial, trial.task(unpicklable), "has an argument that cannot be pickled")
            await self._expect_to_fail(
                trial, trial.task(_payloads.fail_unpicklably), "raises an exception that cannot be pickled"
            )
            _ = await trial.expect_outcome(self._give(trial), TaskExecuted, rules.NOT_PICKLABLE)

    @checks(rules.DEAD_WORKERS)
    async def test_dead_worker_ends_one_run(self) -> None:
        _check_runs_in_another_process(self.runs_in_another_process)
        async with self._trial() as trial:
            submitted = trial.submit(trial.task(partial(_payloads.die, os.getpid())), description="ends its process")
            _ = await trial.expect_outcome(submitted, TaskError, rules.DEAD_WORKERS, lost_breaks=rules.DEAD_WORKERS)
            _ = await trial.expect_outcome(
                self._give(trial), TaskExecuted, rules.DEAD_WORKERS, lost_breaks=rules.DEAD_WORKERS
            )

    @checks(rules.CALLED_ONCE)
    async def test_function_is_called_once(self) -> None:
        async with self._trial() as trial:
            gates: list[_payloads.Gate] = []
            for call in (_payloads.mark_call, _payloads.mark_call_async):
                gates.append(trial.gate())
                submitted = trial.submit(trial.task(partial(call, gates[-1], self.make_result(0))))
                _ = await trial.expect_outcome(submitted, TaskExecuted, rules.RESULTS)
            for fail in (_payloads.mark_call_and_fail, _payloads.mark_call_and_fail_async):
                gates.append(trial.gate())
                submitted = trial.submit(trial.task(partial(fail, gates[-1])), description="fails")
                _ = await trial.expect_outcome(submitted, TaskError, rules.EXCEPTIONS)
            # A second call may come later, such as that of an executor with retries of its own.
            await trial.shutdown()
            calls = [gate.count("called") for gate in gates]
            if calls != [1] * len(gates):
                raise RuleBrokenError(rules.CALLED_ONCE, f"the functions of the runs were called {calls} times")

    @checks(rules.STATE_FROM_ANY_THREAD)
    async def test_state_can_be_read_from_any_thread(self) -> None:
        async with self._trial() as trial, trial.reading_state_in_thread():
            submitted = [await trial.submit_when_possible(self._task(trial)) for _ in range(_MANY)]
            for each in submitted:
                await trial.expect_release(each)

    @checks(rules.MANY_QUEUED_RUNS, blocked_breaks=rules.MANY_QUEUED_RUNS)
    async def test_submit_does_not_block_with_many_runs(self) -> None:
        self._unless_inline("it may block the loop")
        async with self._trial() as trial:
            await trial.started(trial.hold(self.make_result(0)))
            call = partial(_payloads.give, self.make_result(1))
            with suppress(QueueFullError):
                for _ in range(_QUEUED):
                    _ = trial.submit(trial.task(call))
                    # The watchdog sees one call that blocks, not a thousand that are slow together.
                    await asyncio.sleep(0)
            trial.open_gates()

    @checks(rules.PROGRESS)
    async def test_progress_reaches_the_run(self) -> None:
        if not self.reports_progress:
            raise SkipTest("`reports_progress` is False: it does not pass on the progress of functions")
        async with self._trial() as trial:
            for report in (_payloads.report_and_give, _payloads.report_and_give_async):
                submitted = trial.submit(trial.task(partial(report, _REPORTS, self.make_result(0))))
                _ = await trial.expect_result(submitted, rules.PROGRESS)
                reports = submitted.run.reports
                # Reports between the first and the last one may be left out.
                expected = [(1.0, float(_REPORTS), "step 1"), (float(_REPORTS), float(_REPORTS), f"step {_REPORTS}")]
                if reports[:1] + reports[-1:] != expected:
                    raise RuleBrokenError(
                        rules.PROGRESS, f"the first and the last report must be {expected}, but {reports} were received"
                    )

    # Helpers

    @override
    @asynccontextmanager
    async def _trial(self, *, start: bool = True) -> AsyncGenerator[Trial[ResultT]]:
        """Run a trial of a new executor, and check its reports at the end unless there was an error."""
        trial = Trial(self.make_executor(), self.hang_timeout)
        try:
            if start:
                await trial.start()
            yield trial
            await trial.finish()
        finally:
            await trial.clear_up()

    def _task(self, trial: Trial[ResultT]) -> TaskSpec[ResultT]:
        return trial.task(partial(_payloads.give, self.make_result(0)))

    def _give(self, trial: Trial[ResultT]) -> Submitted[ResultT]:
        return trial.submit(self._task(trial))

    def _runs_of_every_kind(self, trial: Trial[ResultT]) -> list[Submitted[ResultT]]:
        return [
            trial.submit(trial.task(call))
            for call in (
                partial(_payloads.give, self.make_result(0)),
                partial(_payloads.give_async, self.make_result(1)),
                partial(_payloads.fail, _payloads.WorkError("of every kind")),
                partial(_payloads.fail_async, _payloads.WorkError("of every kind")),
                _payloads.cancel_itself,
                _payloads.cancel_itself_async,
            )
        ]

    async def _expect_to_fail(self, trial: Trial[ResultT], task: TaskSpec[ResultT], description: str) -> None:
        submitted = trial.submit_unless_rejected(task, description)
        if submitted is not None:
            _ = await trial.expect_outcome(submitted, TaskError, rules.NOT_PICKLABLE, lost_breaks=rules.NOT_PICKLABLE)


class ExecutorConformance(RestrictedExecutorConformance[object]):
    """Conformance suite of an executor for all tasks, a `UniversalExecutor`; see `RestrictedExecutorConformance`.

    Example:
        >>> class TestMyExecutor(ExecutorConformance):
        ...     def make_executor(self) -> UniversalExecutor:
        ...         return MyExecutor()
    """

    @override
    def make_executor(self) -> UniversalExecutor:
        """Make a new executor that is not started; called for each test, on its loop."""
        raise NotImplementedError

    @override
    def make_result(self, number: int, /) -> object:
        """Make a result; several types occur."""
        results = (number, f"text {number}", {"number": number}, [number], number / 8, None, False, ValueError)
        return (number, results[number % len(results)])

    @checks(rules.NOT_PICKLABLE)
    async def test_unpicklable_result_ends_its_run(self) -> None:
        _check_runs_in_another_process(self.runs_in_another_process)
        async with self._trial() as trial:
            await self._expect_to_fail(
                trial, trial.task(_payloads.unpicklable_result), "returns an object that cannot be pickled"
            )
            _ = await trial.expect_outcome(self._give(trial), TaskExecuted, rules.NOT_PICKLABLE)


def _check_runs_in_another_process(declared: bool) -> None:
    if not declared:
        raise SkipTest("`runs_in_another_process` is False: it runs in this process")


def _expect_alias_and_status(state: ExecutorState, status: ExecutorStatus) -> None:
    if (state.alias, state.status) != ("some alias", status):
        raise RuleBrokenError(
            rules.ALIAS_AND_STATUS,
            f"the state must be 'some alias', {status}, but is {state.alias!r}, {state.status}",
        )
    if type(state).model_validate_json(state.model_dump_json()) != state:
        raise RuleBrokenError(rules.ALIAS_AND_STATUS, f"the state does not survive JSON: {state!r}")
