"""Retries of failed runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from typing_extensions import override

from asyncz import (
    AsyncIOExecutor,
    AsyncIOScheduler,
    QueueFullError,
    Retry,
    TaskCancelled,
    TaskError,
    TaskExecuted,
    TaskRetrying,
    TaskRun,
    TaskSubmitted,
    WorkerLostError,
)
from asyncz.testing import FakeClock
from tests.helpers.generics import ResultT
from tests.helpers.payloads import Flaky, run_until_cancelled
from tests.helpers.recorder import EventRecorder
from tests.helpers.times import EVERY_SECOND
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio


async def test_retry_skipped_after_cancel_request(tmp_path: Path) -> None:
    def fail_when_cancelled() -> None:
        run_until_cancelled(str(tmp_path / "mark"))
        raise OSError("interrupted")

    async with asyncio.timeout(60), AsyncIOScheduler() as scheduler:
        retry = Retry(attempts=5, delay=0.0)
        handle = scheduler.add_task(fail_when_cancelled, executor="threadpool", trigger=None, retry=retry).run()
        await until((tmp_path / "mark").exists)
        handle.cancel()
        notification = await handle.notification()
        assert isinstance(notification, TaskCancelled)
        assert notification.details.attempt == 1


async def test_retry_emits_failed_attempts_and_one_outcome() -> None:
    clock, flaky = FakeClock(), Flaky(3)
    async with AsyncIOScheduler(clock=clock) as scheduler:
        watch = EventRecorder.of_scheduler(scheduler)
        task = scheduler.add_task(flaky, retry=Retry(attempts=5, delay=1.0, backoff=2.0), trigger=None)
        handle = task.run()
        started = clock.now()
        await clock.advance(seconds=0.9)
        assert (flaky.calls, handle.done(), task.state.running) == (1, False, 1)
        await clock.advance(seconds=0.2)
        assert flaky.calls == 2
        await clock.advance(seconds=2 + 4)
        assert await handle == 4
        ending = await handle.notification()
    assert [event.delay for event in watch.of(TaskRetrying)] == [1.0, 2.0, 4.0]
    assert [event.details.attempt for event in watch.of(TaskRetrying)] == [1, 2, 3]
    assert [event.exception for event in watch.of(TaskRetrying)] == [flaky.error] * 3
    assert [type(ending) for ending in watch.outcomes] == [TaskExecuted]
    assert ending.details.attempt == 4
    assert ending.details.scheduled == started
    run_ids = {event.details.run_id for event in (*watch.of(TaskSubmitted), *watch.of(TaskRetrying), *watch.outcomes)}
    assert run_ids == {handle.run_id}
    assert len(watch.of(TaskSubmitted)) == 1
    assert (scheduler.state.submitted, scheduler.state.executed, scheduler.state.errors) == (1, 1, 0)


async def test_retry_last_error_is_outcome() -> None:
    async with AsyncIOScheduler() as scheduler:
        watch = EventRecorder.of_scheduler(scheduler)
        task = scheduler.add_task(Flaky(9), retry=Retry(attempts=3), trigger=None)
        with pytest.raises(OSError, match="no answer"):
            await task.run()
        assert (len(watch.of(TaskRetrying)), len(watch.outcomes), task.state.errors) == (2, 1, 1)


async def test_retry_only_for_named_exceptions() -> None:
    async with AsyncIOScheduler() as scheduler:
        retry = Retry(attempts=3, on=(OSError, WorkerLostError))
        other = Flaky(1, ValueError("wrong"))
        with pytest.raises(ValueError, match="wrong"):
            await scheduler.add_task(other, retry=retry).result()
        assert other.calls == 1
        assert await scheduler.add_task(Flaky(1), retry=retry).result() == 2


async def test_retry_system_exit_only_if_named() -> None:
    async with AsyncIOScheduler() as scheduler:
        leaving = Flaky(1, SystemExit(3))
        task = scheduler.add_task(leaving, retry=Retry(attempts=2), trigger=None)
        assert isinstance(await task.run().notification(), TaskError)
        named = scheduler.add_task(Flaky(1, SystemExit(3)), retry=Retry(attempts=2, on=(SystemExit,)))
        assert await named.result() == 2


@pytest.mark.parametrize("wait", [True, False])
async def test_shutdown_ends_pending_attempts(wait: bool) -> None:
    flaky = Flaky(9)
    scheduler = AsyncIOScheduler()
    await scheduler.start()
    watch = EventRecorder.of_scheduler(scheduler)
    handle = scheduler.add_task(flaky, retry=Retry(attempts=5, delay=3600), trigger=None).run()
    while not watch.of(TaskRetrying):
        await asyncio.sleep(0)
    await scheduler.shutdown(wait=wait)
    with pytest.raises(OSError, match="no answer"):
        await handle
    assert (flaky.calls, len(watch.outcomes), scheduler.state.errors) == (1, 1, 1)


async def test_run_failing_during_drain_not_retried() -> None:
    go_on = asyncio.Event()

    async def work() -> None:
        await go_on.wait()
        raise OSError("no answer")

    scheduler = AsyncIOScheduler()
    await scheduler.start()
    handle = scheduler.add_task(work, retry=Retry(attempts=5), trigger=None).run()
    shutdown = asyncio.ensure_future(scheduler.shutdown())
    await asyncio.sleep(0)
    go_on.set()
    await shutdown
    with pytest.raises(OSError, match="no answer"):
        await handle


def ways_to_cancel() -> dict[str, Callable[[AsyncIOScheduler], object]]:
    return {
        "cancel_runs": lambda scheduler: scheduler.get_task("flaky").cancel_runs(),
        "remove_task": lambda scheduler: scheduler.remove_task("flaky"),
    }


@pytest.mark.parametrize("way", ways_to_cancel())
async def test_pending_attempt_can_be_cancelled(way: str) -> None:
    flaky = Flaky(9)
    async with AsyncIOScheduler() as scheduler:
        watch = EventRecorder.of_scheduler(scheduler)
        task = scheduler.add_task(flaky, id="flaky", retry=Retry(attempts=5, delay=3600), trigger=None)
        handle = task.run()
        while not watch.of(TaskRetrying):
            await asyncio.sleep(0)
        ways_to_cancel()[way](scheduler)
        ending = await handle.notification()
        assert isinstance(ending, TaskCancelled if way == "cancel_runs" else TaskError)
        assert not handle.cancel()
    assert (flaky.calls, len(watch.outcomes)) == (1, 1)
    assert scheduler.state.submitted == scheduler.state.cancelled + scheduler.state.errors == 1


async def test_retry_is_never_misfired() -> None:
    clock = FakeClock()
    async with AsyncIOScheduler(clock=clock) as scheduler:
        retry = Retry(attempts=2, delay=60)
        handle = scheduler.add_task(Flaky(1), retry=retry, misfire_grace_time=1, trigger=None).run()
        await clock.advance(minutes=2)
        assert await handle == 2


async def test_uncoalesced_runs_wait_for_all_attempts() -> None:
    from asyncz import IntervalTrigger

    clock = FakeClock()
    order: list[int] = []
    failures = [True, True]

    async def work() -> None:
        if failures:
            failures.pop()
            raise OSError("no answer")

    async with AsyncIOScheduler(clock=clock) as scheduler:
        task = scheduler.add_task(
            work, trigger=IntervalTrigger(seconds=1), coalesce=False, retry=Retry(attempts=3, delay=2)
        )
        task.on_executed(lambda event: order.append(int(event.details.scheduled or 0)))
        await clock.advance(3)
        assert (task.state.running, task.state.backlog) == (1, 2)
        await clock.advance(3)
    assert order == sorted(order)
    assert len(order) >= 5


async def test_retried_run_reported_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[int] = []

    async def flaky() -> int:
        calls.append(1)
        if len(calls) < 3:
            raise OSError("no answer")
        return len(calls)

    with caplog.at_level(logging.ERROR):
        async with AsyncIOScheduler() as scheduler:
            endings: list[object] = []
            task = scheduler.add_task(flaky, retry=Retry(attempts=3), trigger=None)
            task.on_done(endings.append)
            assert await task.run() == 3
            assert [type(ending) for ending in endings] == [TaskExecuted]
    assert caplog.records == []


class RejectsOnRequest(AsyncIOExecutor):
    """Executor that raises in `submit` while the test has set an error."""

    def __init__(self) -> None:
        super().__init__()
        self.error: Exception | None = None
        self.rejections = 0

    @override
    def submit(self, run: TaskRun[ResultT], /) -> None:
        if self.error is not None:
            self.rejections += 1
            raise self.error
        super().submit(run)


async def test_attempt_rejected_by_full_queue_is_repeated() -> None:
    """Submit an attempt again a second after a full queue has rejected it."""
    clock, executor, flaky = FakeClock(), RejectsOnRequest(), Flaky(1)
    async with AsyncIOScheduler(executors={"under_test": executor}, clock=clock) as scheduler:
        retry = Retry(attempts=2, delay=5)
        task = scheduler.add_task(flaky, executor="under_test", trigger=None, retry=retry)
        handle = task.run()
        await clock.advance()
        executor.error = QueueFullError("under_test", 1)
        await clock.advance(7)
        assert (executor.rejections, task.state.retrying, flaky.calls) == (3, 1, 1)
        executor.error = None
        await clock.advance(1)
        assert await handle == 2
        assert task.state.retrying == 0


async def test_attempt_uses_slot_that_becomes_free() -> None:
    """Submit an attempt that had no slot on its executor as soon as a run of the task has ended."""
    clock, go_on, calls = FakeClock(), asyncio.Event(), list[int]()

    async def fail_first() -> int:
        calls.append(len(calls))
        if len(calls) == 1:
            raise OSError("no answer")
        if len(calls) == 2:
            await go_on.wait()
        return len(calls)

    async with AsyncIOScheduler(clock=clock) as scheduler:
        task = scheduler.add_task(fail_first, trigger=EVERY_SECOND, retry=Retry(attempts=2, delay=5))
        handle = task.run()
        await clock.advance(6)
        # The due run has the slot on the executor, and the attempt has been rejected.
        assert (task.state.retrying, calls) == (1, [0, 1])
        task.reschedule(None)
        go_on.set()
        await clock.advance()
        assert await handle == 3
        assert task.state.retrying == 0


async def test_attempt_ends_with_error_of_its_submission() -> None:
    clock, executor = FakeClock(), RejectsOnRequest()
    async with AsyncIOScheduler(executors={"under_test": executor}, clock=clock) as scheduler:
        task = scheduler.add_task(Flaky(1), executor="under_test", trigger=None, retry=Retry(attempts=2, delay=5))
        handle = task.run()
        await clock.advance()
        executor.error = LookupError("no such queue")
        await clock.advance(5)
        with pytest.raises(LookupError, match="no such queue"):
            await handle
        assert (task.state.retrying, task.state.running) == (0, 0)


async def test_rejected_attempts_skip_cancelled_one(caplog: pytest.LogCaptureFixture) -> None:
    """Submit the other rejected attempts if the submission of the first one cancels the second one."""

    class CancelsSecond(RejectsOnRequest):
        @override
        def submit(self, run: TaskRun[ResultT], /) -> None:
            super().submit(run)
            if run.attempt == 2:
                handles[1].cancel()

    clock, executor, flaky = FakeClock(), CancelsSecond(), Flaky(3)
    async with AsyncIOScheduler(executors={"under_test": executor}, clock=clock) as scheduler:
        retry = Retry(attempts=2, delay=5)
        task = scheduler.add_task(flaky, executor="under_test", trigger=None, retry=retry, max_instances=3)
        handles = [task.run() for _ in range(3)]
        await clock.advance()
        executor.error = QueueFullError("under_test", 1)
        await clock.advance(5)
        assert task.state.retrying == 3
        executor.error = None
        task.modify(timeout=60)
        await clock.advance()
        assert [handle.done() for handle in handles] == [True, True, True]
        outcomes = [type(await handle.notification()) for handle in handles]
        assert outcomes == [TaskExecuted, TaskCancelled, TaskExecuted]
        assert flaky.calls == 5
    assert "A call on the scheduler's loop failed" not in caplog.text


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError()])
async def test_exception_class_that_raises_ends_the_run(error: BaseException) -> None:
    """Its metaclass is asked if the exception of the run is one to retry."""

    class Asked(type):
        @override
        def __instancecheck__(cls, instance: object) -> bool:
            raise error

    class AskedError(Exception, metaclass=Asked):
        pass

    def fail() -> None:
        raise ValueError

    async with asyncio.timeout(60), AsyncIOScheduler() as scheduler:
        retry = Retry(attempts=3, on=(AskedError,))
        outcome = await scheduler.add_task(fail, trigger=None, retry=retry).run().notification()
        assert isinstance(outcome, TaskError)
        assert isinstance(outcome.exception, ValueError)
        assert scheduler.state.status == "running"
