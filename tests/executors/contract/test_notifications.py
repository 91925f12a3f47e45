"""Rule: outcomes are delivered once, on the thread of the loop."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from collections.abc import Callable
from functools import partial

import pytest
from typing_extensions import Unpack, override

from asyncz import (
    AsyncIOExecutor,
    AsyncIOScheduler,
    DebugExecutor,
    TaskAdded,
    TaskCancelled,
    TaskCancelledError,
    TaskError,
    TaskExecuted,
    TaskNotification,
    TaskRun,
    TaskSubmitted,
)
from asyncz.executors.base import BaseExecutor
from asyncz.testing import FakeClock
from tests.helpers import payloads
from tests.helpers.executors import every_executor, scheduler_with
from tests.helpers.faulty_executors import ReleasesEarly
from tests.helpers.generics import ResultT, Ts
from tests.helpers.manual_executors import CustomExecutor, inline
from tests.helpers.payloads import do_nothing
from tests.helpers.recorder import EventRecorder
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio


async def test_early_release_does_not_lose_outcome(caplog: pytest.LogCaptureFixture) -> None:
    executor = ReleasesEarly(returns_without_waiting=True)
    scheduler = AsyncIOScheduler(executors={"early": executor})
    await scheduler.start()
    late = scheduler.add_task(payloads.add, 1, 2, executor="early", trigger=None)
    never = scheduler.add_task(payloads.add, 1, 2, executor="early", trigger=None)
    handles = late.run(), never.run()
    await asyncio.sleep(0.01)
    assert late.state.running == 1
    executor.late[0]()
    assert await handles[0] == 3
    await asyncio.sleep(0.01)
    assert (late.state.running, never.state.running) == (0, 1)
    await scheduler.shutdown(wait=False)
    assert isinstance(await handles[1].notification(), TaskCancelled)
    assert scheduler.state.submitted == scheduler.state.executed + scheduler.state.cancelled == 2
    assert never.state.running == 0
    assert "released before its outcome was reported" in caplog.text


async def test_listeners_called_on_loop_thread() -> None:
    scheduler = scheduler_with("threadpool")
    listener = EventRecorder.of_scheduler(scheduler)
    async with scheduler:
        for _ in range(100):
            await scheduler.add_task(payloads.add, 1, 2, executor="under_test", trigger=None).run()
    assert listener.names == ["TaskSubmitted", "TaskExecuted"] * 100 + ["SchedulerShutdown"]
    assert listener.threads == {threading.get_ident()}


class EndsInAThread(DebugExecutor):
    """One whose runs end in another thread, some of them before their submission is over."""

    def __init__(self, *, wait: bool) -> None:
        super().__init__()
        self.wait = wait

    @override
    def submit_run(self, run: TaskRun[ResultT], /) -> None:
        if run.task_id == "rejected":
            raise ValueError(run.task_id)
        thread = threading.Thread(target=lambda: self.end(run))
        thread.start()
        if self.wait:
            thread.join()

    def end(self, run: TaskRun[ResultT]) -> None:
        """Run it, or give it up first."""
        if run.task_id == "given up":
            self.abandon(run, run.cancelled())
        self.finish(run, run.execute())


@pytest.mark.parametrize("wait", [True, False])
async def test_run_may_end_in_other_thread_during_submit(wait: bool, caplog: pytest.LogCaptureFixture) -> None:
    executor = EndsInAThread(wait=wait)
    async with AsyncIOScheduler(executors={"under_test": executor}) as scheduler:
        tasks = [
            scheduler.add_task(payloads.add, 1, 2, id=name, executor="under_test", trigger=None)
            for name in ("kept", "given up", "rejected")
        ]
        await asyncio.sleep(0)
        for number in (1, 2):
            ends = [await task.run().notification() for task in tasks]
            assert [type(end) for end in ends] == [TaskExecuted, TaskCancelled, TaskError]
            await until(lambda: [task.state.running for task in tasks] == [0, 0, 0])
            state = executor.state
            assert (state.running, state.instances, state.abandoned) == (0, (), 0)
            assert [task.state.submitted for task in tasks] == [number] * 3
    assert [record.levelname for record in caplog.records if "rejected" not in record.getMessage()] == []


class GivesUp(DebugExecutor):
    """One of which another thread gives up each run before it runs."""

    @override
    def submit_run(self, run: TaskRun[ResultT], /) -> None:
        thread = threading.Thread(target=lambda: self.abandon(run, run.cancelled()))
        thread.start()
        thread.join()
        super().submit_run(run)


async def test_run_abandoned_during_submit_ends_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with AsyncIOScheduler(executors={"under_test": GivesUp()}) as scheduler:
        task = scheduler.add_task(payloads.add, 1, 2, executor="under_test", trigger=None)
        await asyncio.sleep(0)
        for number in (1, 2):
            with pytest.raises(TaskCancelledError):
                await task.run()
            await until(lambda: task.state.running == 0)
            assert (task.state.cancelled, task.state.executed) == (number, 0)
    assert caplog.records == []


class FailsAll(BaseExecutor):
    """Extends `finish`, as an executor may."""

    @override
    def finish(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
        super().finish(run, run.failed(ValueError("as it was told")))


class FailsAllInline(FailsAll, DebugExecutor):
    """One whose runs end inside their submission."""


class FailsAllOnTheLoop(FailsAll, AsyncIOExecutor):
    """One whose runs may end there."""


@pytest.mark.parametrize("make", [FailsAllInline, FailsAllOnTheLoop])
async def test_extended_finish_sees_every_outcome(make: Callable[[], BaseExecutor]) -> None:
    async with AsyncIOScheduler(executors={"under_test": make()}) as scheduler:
        with pytest.raises(ValueError, match="as it was told"):
            await scheduler.add_task(do_nothing, executor="under_test").result()


async def test_run_abandoning_itself_ends_once(caplog: pytest.LogCaptureFixture) -> None:
    executor = DebugExecutor()
    async with AsyncIOScheduler(executors={"under_test": executor}) as scheduler:
        task = scheduler.add_task(executor.cancel_all, executor="under_test", trigger=None)
        await asyncio.sleep(0)
        for _ in range(2):
            with pytest.raises(TaskCancelledError):
                await task.run()
            await until(lambda: task.state.running == 0)
        assert (task.state.cancelled, task.state.executed) == (2, 0)
    assert caplog.records == []


async def test_second_release_rejected_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with AsyncIOScheduler(executors={"under_test": CustomExecutor(inline, releases=2)}) as scheduler:
        task = scheduler.add_task(payloads.add, 1, 2, executor="under_test", trigger=None)
        assert [await task.run(), await task.run()] == [3, 3]
        await until(lambda: task.state.running == 0)
    assert sum("A second release of a run was rejected" in record.getMessage() for record in caplog.records) == 2


class TellsNonsense(CustomExecutor):
    """Executor that releases a run and does not report its outcome."""

    @override
    def submit(self, run: TaskRun[ResultT], /) -> None:
        self.scheduler.notify(run, run.execute)  # type: ignore[arg-type]  # that is the mistake
        self.scheduler.released(run)


async def test_invalid_notification_ends_at_shutdown(caplog: pytest.LogCaptureFixture) -> None:
    scheduler = AsyncIOScheduler(executors={"under_test": TellsNonsense(inline)})
    ends: list[object] = []
    for kind in (TaskExecuted, TaskCancelled):
        scheduler.subscribe(kind, ends.append)
    async with scheduler:
        handle = scheduler.add_task(payloads.add, 1, 2, executor="under_test", trigger=None).run()
        await asyncio.sleep(0)
    assert [type(end) for end in ends] == [TaskCancelled]
    assert isinstance(await handle.notification(), TaskCancelled)
    assert (scheduler.state.submitted, scheduler.state.cancelled) == (1, 1)
    assert "A call on the scheduler's loop failed" in caplog.text


async def test_failing_log_handler_does_not_keep_slot() -> None:
    def reject(record: logging.LogRecord) -> bool:
        if "failed" in record.msg:
            raise ValueError("rejected")
        return True

    logger = logging.getLogger("asyncz.scheduler")
    logger.addFilter(reject)
    try:
        async with AsyncIOScheduler() as scheduler:
            task = scheduler.add_task(payloads.fail, "failed", executor="threadpool")
            await until(lambda: not scheduler.tasks)
            assert isinstance(task.last_notification, TaskError)
    finally:
        logger.removeFilter(reject)


@every_executor
async def test_events_emitted_after_submit_returns(kind: str) -> None:
    async with scheduler_with(kind) as scheduler:
        heard: list[object] = []
        scheduler.subscribe(TaskSubmitted, heard.append)
        scheduler.subscribe(TaskExecuted, heard.append)
        task = scheduler.add_task(payloads.add, 1, 2, executor="under_test", trigger=None)
        await asyncio.sleep(0)
        handle = task.run()
        assert heard == []
        assert await handle == 3
        assert [type(event) for event in heard] == [TaskSubmitted, TaskExecuted]


def in_a_thread(call: Callable[[], None]) -> None:
    thread = threading.Thread(target=call)
    thread.start()
    thread.join(30)


@pytest.mark.parametrize("tell", [inline, in_a_thread])
async def test_outcome_delivered_on_loop_thread(
    tell: Callable[[Callable[[], None]], object], caplog: pytest.LogCaptureFixture
) -> None:
    async with AsyncIOScheduler(executors={"under_test": CustomExecutor(tell)}) as scheduler:
        threads: list[int] = []
        task = scheduler.add_task(payloads.add, 1, 2, executor="under_test", trigger=None)
        task.on_executed(lambda _: threads.append(threading.get_ident()))
        handle = task.run()
        # The outcome was reported by now, but no listener was called.
        assert (threads, handle.done(), task.state.running) == ([], False, 1)
        assert await handle == 3
        await until(lambda: task.state.running == 0)
        assert threads == [threading.get_ident()]
    # Its release had its turn after its end.
    assert caplog.records == []


async def test_outcomes_delivered_between_submissions() -> None:
    log: list[str] = []
    added: list[TaskAdded] = []
    async with AsyncIOScheduler() as scheduler:
        scheduler.pause()
        scheduler.subscribe(TaskExecuted, lambda _: log.append("told"))
        scheduler.subscribe(TaskAdded, added.append)
        for _ in range(100):
            scheduler.add_task(log.append, "run", executor="debug")
        await until(lambda: len(added) == 100)
        scheduler.resume()
        await until(lambda: len(log) == 200)
    assert "told" in log[:100]


class CountingLoop(asyncio.SelectorEventLoop):
    """Counts by how many calls other threads have woken it."""

    woken = 0

    @override
    def call_soon_threadsafe(
        self,
        callback: Callable[[Unpack[Ts]], object],
        *args: Unpack[Ts],
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        self.woken += 1
        return super().call_soon_threadsafe(callback, *args, context=context)


def test_burst_of_outcomes_wakes_loop_once() -> None:
    loops: list[CountingLoop] = []

    def make_loop() -> asyncio.AbstractEventLoop:
        loops.append(CountingLoop())
        return loops[-1]

    async def main() -> None:
        class Kept(BaseExecutor):
            @override
            def submit_run(self, run: TaskRun[ResultT], /) -> None:
                endings.append(lambda: self.finish(run, run.cancelled()))

        endings: list[Callable[[], None]] = []
        async with AsyncIOScheduler(executors={"under_test": Kept()}) as scheduler:
            handles = [
                scheduler.add_task(payloads.add, 1, 2, executor="under_test", trigger=None).run() for _ in range(100)
            ]
            await until(lambda: not scheduler._parts.runtime.inbox.awake)
            before = loops[0].woken

            def end_all() -> None:
                for end in endings:
                    end()

            thread = threading.Thread(target=end_all)
            thread.start()
            # The loop is held up meanwhile, so that the hundred are one burst.
            thread.join(30)
            assert loops[0].woken - before == 1
            assert {type(await handle.notification()) for handle in handles} == {TaskCancelled}

    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(main())


class BrokenExecutor(AsyncIOExecutor):
    @override
    def submit_run(self, run: TaskRun[ResultT], /) -> None:
        raise OSError("broken")


class TwiceExecutor(AsyncIOExecutor):
    @override
    def submit_run(self, run: TaskRun[ResultT], /) -> None:
        notification = run.execute()
        self.finish(run, notification)
        self.finish(run, notification)


@pytest.mark.bites("asyncz.executors.base:_finish_any", "notifier.notify(run, notification)", "pass")
async def test_second_notification_rejected(caplog: pytest.LogCaptureFixture) -> None:
    async with AsyncIOScheduler(executors={"broken": BrokenExecutor(), "twice": TwiceExecutor()}) as scheduler:
        with pytest.raises(OSError, match="broken"):
            await scheduler.add_task(payloads.add, 1, 2, executor="broken").result()
        assert await scheduler.add_task(payloads.add, 1, 2, executor="twice").result() == 3
        await asyncio.sleep(0.01)
        state = scheduler.state
    assert (state.submitted, state.executed, state.errors) == (2, 1, 1)
    assert any("second notification" in record.getMessage() for record in caplog.records)


class SecondEndExecutor(AsyncIOExecutor):
    @override
    def submit_run(self, run: TaskRun[ResultT], /) -> None:
        notifier = self.notifier

        def end_twice() -> None:
            self.finish(run, run.execute())
            notifier.finished(run, run.cancelled())

        threading.Thread(target=end_twice).start()


async def test_second_outcome_rejected_on_loop_thread(caplog: pytest.LogCaptureFixture) -> None:
    def rejections() -> list[logging.LogRecord]:
        return [record for record in caplog.records if "second notification" in record.getMessage()]

    async with AsyncIOScheduler(executors={"twice": SecondEndExecutor()}) as scheduler:
        assert await scheduler.add_task(payloads.add, 1, 2, executor="twice").result() == 3
        await until(lambda: bool(rejections()))
        assert (scheduler.state.executed, scheduler.state.cancelled) == (1, 0)
    assert [record.threadName for record in rejections()] == [threading.current_thread().name]


class KeepsRuns(CustomExecutor):
    """Executor whose runs are reported by the test."""

    def __init__(self) -> None:
        super().__init__(inline)
        self.reports: list[Callable[[str], None]] = []

    @override
    def submit(self, run: TaskRun[ResultT], /) -> None:
        def report(kind: str) -> None:
            outcome = run.failed(ValueError(kind))
            if kind == "released":
                self.scheduler.released(run)
            elif kind == "finished":
                self.scheduler.finished(run, outcome)
            else:
                self.scheduler.notify(run, outcome)

        self.reports.append(report)


@pytest.mark.parametrize("second", ["notified", "finished"])
@pytest.mark.parametrize("is_released", [True, False])
async def test_second_outcome_is_rejected_and_logged(
    second: str, is_released: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Log the second outcome of a run with its error; `finished` frees the slot if that was not done before."""
    clock, executor = FakeClock(), KeepsRuns()
    async with AsyncIOScheduler(executors={"under_test": executor}, clock=clock) as scheduler:
        task = scheduler.add_task(payloads.add, 1, 2, executor="under_test", trigger=None)
        handle = task.run()
        [report] = executor.reports
        report("first")
        if is_released:
            report("released")
        await clock.advance()
        caplog.clear()
        report(second)
        await clock.advance()
        [message] = [record.getMessage() for record in caplog.records]
        assert "A second notification of a run was rejected" in message
        assert f"ValueError('{second}')" in message
        assert message.endswith(f"of <TaskRun {handle.run_id} of the task {task.id!r}>")
        assert task.state.running == (0 if is_released or second == "finished" else 1)
        if task.state.running:
            report("released")
        with pytest.raises(ValueError, match="first"):
            await handle


async def test_outcome_without_details_has_those_of_run() -> None:
    class LeavesOutDetails(CustomExecutor):
        @override
        def submit(self, run: TaskRun[ResultT], /) -> None:
            outcome = run.execute()
            if isinstance(outcome, TaskExecuted):
                self.scheduler.finished(run, TaskExecuted(outcome.task_id, outcome.result))
            elif isinstance(outcome, TaskError):
                self.scheduler.finished(run, TaskError(outcome.task_id, outcome.exception))

    class ReportsOwnDetails(CustomExecutor):
        @override
        def submit(self, run: TaskRun[ResultT], /) -> None:
            details = run.details()._replace(started=1.0, finished=2.0)
            outcome = run.execute()
            if isinstance(outcome, TaskExecuted):
                self.scheduler.finished(run, TaskExecuted(outcome.task_id, outcome.result, details))
            elif isinstance(outcome, TaskError):
                self.scheduler.finished(run, TaskError(outcome.task_id, outcome.exception, details=details))

    clock = FakeClock()
    executors = {"without": LeavesOutDetails(inline), "own": ReportsOwnDetails(inline)}
    async with AsyncIOScheduler(executors=executors, clock=clock) as scheduler:
        await clock.advance(5)
        for alias, duration in (("without", 0.0), ("own", 1.0)):
            for call in (partial(payloads.add, 1, 2), partial(payloads.fail, "no")):
                handle = scheduler.add_task(call, executor=alias, trigger=None, id=f"{alias} {call}").run()
                details = (await handle.notification()).details
                assert (details.run_id, details.attempt, details.duration) == (handle.run_id, 1, duration)
                assert details.scheduled == clock.now()
                assert details.finished == (clock.now() if alias == "without" else 2.0)
