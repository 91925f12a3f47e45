"""When runs are due, who is told, and what bad input gets."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import os
import pickle
import signal
import threading
import time
import weakref
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from typing_extensions import override

import asyncz
from asyncz import (
    AsyncIOExecutor,
    AsyncIOScheduler,
    DateTrigger,
    DuplicateExecutorError,
    DuplicateTaskError,
    ExecutorAdded,
    ExecutorInUseError,
    ExecutorRemoved,
    IntervalTrigger,
    InvalidInputError,
    SchedulerAlreadyRunningError,
    SchedulerNotRunningError,
    SchedulerPaused,
    SchedulerResumed,
    SchedulerShutdown,
    SchedulerStarted,
    SchedulerState,
    SerializationError,
    TaskAdded,
    TaskCancelled,
    TaskError,
    TaskExecuted,
    TaskLookupError,
    TaskMaxInstances,
    TaskMissed,
    TaskMissedError,
    TaskModified,
    TaskNotification,
    TaskRemoved,
    TaskRun,
    TaskSubmitted,
    ThreadPoolExecutor,
    UnknownAliasError,
)
from asyncz.testing import FakeClock
from tests import functions
from tests.test_defects import until

START = datetime(2030, 1, 1, tzinfo=UTC)


async def nothing() -> None:
    pass


def test_an_interval_is_kept_without_sleeping() -> None:
    async def main() -> None:
        clock = FakeClock()
        due: list[datetime | None] = []
        async with AsyncIOScheduler(clock=clock) as scheduler:
            task = scheduler.add_task(nothing, trigger=IntervalTrigger(hours=6))
            task.on_executed(lambda event: due.append(event.details.scheduled_at))
            await clock.advance(days=1)
        assert due == [START + timedelta(hours=hours) for hours in (6, 12, 18, 24)]

    asyncio.run(main())


@pytest.mark.parametrize(("coalesce", "expected"), [(True, 1), (False, 3)])
def test_coalesce_decides_about_several_due_times(coalesce: bool, expected: int) -> None:
    async def main() -> None:
        clock = FakeClock()
        due: list[datetime | None] = []
        async with AsyncIOScheduler(clock=clock) as scheduler:
            task = scheduler.add_task(nothing, trigger=IntervalTrigger(hours=1), coalesce=coalesce)
            task.on_executed(lambda event: due.append(event.details.scheduled_at))
            await clock.advance()
            scheduler.pause_task(task)
            await clock.advance(hours=3)
            assert due == []
            scheduler.resume_task(task)
            await clock.advance(seconds=1)
        assert due == [START + timedelta(hours=hours) for hours in (1, 2, 3)][-expected:]

    asyncio.run(main())


@pytest.mark.parametrize("coalesce", [True, False])
def test_hours_of_due_times_are_caught_up_with_while_the_loop_goes_on(coalesce: bool) -> None:
    async def main() -> None:
        clock = FakeClock()
        due: list[datetime | None] = []
        async with AsyncIOScheduler(clock=clock) as scheduler:
            task = scheduler.add_task(nothing, trigger=IntervalTrigger(seconds=1), coalesce=coalesce, max_instances=9)
            task.on_executed(lambda event: due.append(event.details.scheduled_at))
            await clock.advance()
            scheduler.pause_task(task)
            await clock.advance(hours=1)
            scheduler.resume_task(task)
            while not due or due[-1] != START + timedelta(hours=1):
                await clock.advance()
        expected = [START + timedelta(seconds=number) for number in range(1, 3601)]
        assert due == (expected[-1:] if coalesce else expected)

    asyncio.run(main())


def test_removed_and_paused_tasks_leave_nothing_behind_in_the_timetable() -> None:
    async def main() -> None:
        clock = FakeClock()
        runs: list[object] = []
        async with AsyncIOScheduler(clock=clock) as scheduler:
            kept = [scheduler.add_task(nothing, trigger=IntervalTrigger(days=1)) for _ in range(10)]
            for task in kept:
                task.on_executed(runs.append)
            for _ in range(20):
                passing = [scheduler.add_task(nothing, trigger=IntervalTrigger(days=30)) for _ in range(50)]
                await clock.advance()
                for task in passing:
                    scheduler.remove_task(task)
                for task in kept:
                    scheduler.pause_task(task)
                    scheduler.resume_task(task)
                await clock.advance()
            assert len(scheduler._core.timetable) < 200
            await clock.advance(days=1)
            assert len(runs) == 10

    asyncio.run(main())


def test_a_run_after_its_grace_time_is_missed() -> None:
    async def main() -> None:
        clock = FakeClock()
        missed: list[TaskMissed] = []
        async with AsyncIOScheduler(clock=clock) as scheduler:
            task = scheduler.add_task(
                nothing, trigger=DateTrigger(START + timedelta(hours=1)), misfire_grace_time=60, id="late"
            )
            task.on_missed(missed.append)
            await clock.advance()
            scheduler.pause()
            await clock.advance(hours=2)
            scheduler.resume()
            await clock.advance(seconds=1)
            with pytest.raises(TaskMissedError):
                await task.result()
        assert len(missed) == 1
        assert scheduler.state.submitted == scheduler.state.missed == 1

    asyncio.run(main())


def test_a_due_run_at_the_maximum_is_rejected_with_an_event() -> None:
    async def main() -> None:
        clock = FakeClock()
        rejected: list[TaskMaxInstances] = []
        go_on = asyncio.Event()

        async def wait() -> None:
            await go_on.wait()

        async with AsyncIOScheduler(clock=clock) as scheduler:
            scheduler.subscribe(TaskMaxInstances, rejected.append)
            task = scheduler.add_task(wait, trigger=IntervalTrigger(seconds=1))
            await clock.advance(3)
            assert task.state.running == 1
            assert task.state.rejected == len(rejected) == 2
            go_on.set()

    asyncio.run(main())


def test_uncoalesced_runs_wait_at_the_maximum_and_are_cancelled_by_a_shutdown() -> None:
    async def main() -> None:
        clock = FakeClock()
        go_on = asyncio.Event()

        async def wait() -> None:
            await go_on.wait()

        scheduler = AsyncIOScheduler(clock=clock)
        await scheduler.start()
        task = scheduler.add_task(wait, trigger=IntervalTrigger(seconds=1), coalesce=False)
        await clock.advance(3)
        assert (task.state.running, task.state.backlog) == (1, 2)
        go_on.set()
        await scheduler.shutdown()
        assert (scheduler.state.executed, scheduler.state.cancelled) == (1, 2)

    asyncio.run(main())


def test_a_clock_that_is_set_back_does_not_stop_schedules() -> None:
    async def main() -> None:
        clock = FakeClock()
        runs: list[TaskExecuted[None]] = []
        async with AsyncIOScheduler(clock=clock) as scheduler:
            scheduler.add_task(nothing, trigger=IntervalTrigger(seconds=5)).on_executed(runs.append)
            await clock.advance(11)
            assert len(runs) == 2
            clock.set(START - timedelta(days=1))
            # The timer was set on the old time: it is made when that comes.
            clock._timers = [(clock.now() + 1, number, timer) for _, number, timer in clock._timers]
            await clock.advance(12)
            assert len(runs) == 4

    asyncio.run(main())


def test_events_of_a_life_come_in_order() -> None:
    async def main() -> None:
        names: list[str] = []

        def note(event: object) -> None:
            names.append(type(event).__name__)

        scheduler = AsyncIOScheduler()
        scheduler.subscribe(SchedulerStarted, note)
        scheduler.subscribe(SchedulerPaused, note)
        scheduler.subscribe(SchedulerResumed, note)
        scheduler.subscribe(SchedulerShutdown, note)
        scheduler.subscribe(ExecutorAdded, note)
        scheduler.subscribe(ExecutorRemoved, note)
        scheduler.subscribe(TaskAdded, note)
        scheduler.subscribe(TaskModified, note)
        scheduler.subscribe(TaskRemoved, note)
        async with scheduler:
            scheduler.add_executor("threadpool", alias="io", max_workers=2)
            task = scheduler.add_task(functions.add, 1, 2, executor="io", trigger=None)
            assert await task.run() == 3
            with pytest.raises(ExecutorInUseError):
                await scheduler.remove_executor("io")
            scheduler.pause_task(task)
            scheduler.remove_task(task.id)
            await scheduler.remove_executor("io")
            with pytest.raises(UnknownAliasError):
                await scheduler.remove_executor("io")
            scheduler.pause()
            scheduler.resume()
            await asyncio.sleep(0.01)
        assert set(names) == {
            "SchedulerStarted",
            "ExecutorAdded",
            "TaskAdded",
            "TaskModified",
            "ExecutorRemoved",
            "TaskRemoved",
            "SchedulerPaused",
            "SchedulerResumed",
            "SchedulerShutdown",
        }
        assert names[0] == "SchedulerStarted"
        assert names[-1] == "SchedulerShutdown"

    asyncio.run(main())


def test_listeners_that_raise_harm_only_themselves_and_coroutine_listeners_are_awaited(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        seen: list[object] = []

        def broken(event: object) -> None:
            raise SystemExit(1)

        async def slow(event: object) -> None:
            await asyncio.sleep(0.05)
            seen.append(event)

        async def slow_and_broken(event: object) -> None:
            raise ValueError("in a coroutine")

        async with AsyncIOScheduler() as scheduler:
            task = scheduler.add_task(functions.add, 1, 2, trigger=None)
            for listener in (broken, slow, slow_and_broken):
                task.on_done(listener)
            task.on_executed(seen.append)
            task.on_error(seen.append)
            task.on_cancelled(seen.append)
            subscription = scheduler.subscribe(TaskExecuted, seen.append)
            await task.run()
            subscription.unsubscribe()
            assert task.remove_listener(slow)
            assert not task.remove_listener(slow)
            await task.run()
        assert len(seen) == 4

    asyncio.run(main())
    assert sum("A listener raised" in record.getMessage() for record in caplog.records) == 4


def test_an_exception_that_cannot_be_formatted_ends_its_run_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot(*_: object) -> list[str]:
        raise SystemError("AST constructor recursion depth mismatch")

    async def main() -> None:
        async with AsyncIOScheduler() as scheduler:
            task = scheduler.add_task(functions.fail, "x", trigger=None)
            with monkeypatch.context() as patched:
                patched.setattr("traceback.format_exception", cannot)
                ending = await task.run().notification()
            assert isinstance(ending, TaskError)
            assert "ValueError" in ending.traceback

    asyncio.run(main())


class BrokenTrigger:
    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        if previous is None:
            return now
        raise ValueError("no idea")


def test_a_trigger_that_raises_ends_its_own_schedule_only() -> None:
    async def main() -> None:
        clock = FakeClock()
        modified: list[TaskModified] = []
        runs: list[object] = []
        async with AsyncIOScheduler(clock=clock) as scheduler:
            scheduler.subscribe(TaskModified, modified.append)
            scheduler.add_task(nothing, trigger=BrokenTrigger())
            scheduler.add_task(nothing, trigger=IntervalTrigger(seconds=1)).on_executed(runs.append)
            await clock.advance(5)
        assert len(runs) == 5
        assert isinstance(modified[0].exception, ValueError)

    asyncio.run(main())


class BrokenExecutor(AsyncIOExecutor):
    @override
    def submit_run(self, run: TaskRun[functions.ResultT], /) -> None:
        raise OSError("broken")


class TwiceExecutor(AsyncIOExecutor):
    @override
    def submit_run(self, run: TaskRun[functions.ResultT], /) -> None:
        notification = run.execute()
        self.finish(run, notification)
        self.finish(run, notification)


def test_an_executor_that_raises_or_tells_twice_harms_only_its_run(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with AsyncIOScheduler(executors={"broken": BrokenExecutor(), "twice": TwiceExecutor()}) as scheduler:
            with pytest.raises(OSError, match="broken"):
                await scheduler.add_task(functions.add, 1, 2, executor="broken").result()
            assert await scheduler.add_task(functions.add, 1, 2, executor="twice").result() == 3
            await asyncio.sleep(0.01)
            state = scheduler.state
        assert (state.submitted, state.executed, state.errors) == (2, 1, 1)

    asyncio.run(main())
    assert any("second notification" in record.getMessage() for record in caplog.records)


class SecondEndExecutor(AsyncIOExecutor):
    @override
    def submit_run(self, run: TaskRun[functions.ResultT], /) -> None:
        scheduler = self.notifier
        assert isinstance(scheduler, AsyncIOScheduler)

        def end_twice() -> None:
            self.finish(run, run.execute())
            scheduler.finished(run, run.cancelled())

        threading.Thread(target=end_twice).start()


def test_a_second_end_is_rejected_on_the_thread_of_the_loop(caplog: pytest.LogCaptureFixture) -> None:
    def rejections() -> list[logging.LogRecord]:
        return [record for record in caplog.records if "second notification" in record.getMessage()]

    async def main() -> None:
        async with AsyncIOScheduler(executors={"twice": SecondEndExecutor()}) as scheduler:
            assert await scheduler.add_task(functions.add, 1, 2, executor="twice").result() == 3
            await until(lambda: bool(rejections()))
            assert (scheduler.state.executed, scheduler.state.cancelled) == (1, 0)

    asyncio.run(main())
    assert [record.threadName for record in rejections()] == [threading.current_thread().name]


class UnstartableExecutor(AsyncIOExecutor):
    @override
    async def start(self, scheduler: asyncz.Notifier, alias: str, /) -> None:
        raise OSError("cannot start")


def test_an_executor_that_cannot_start_late_ends_its_runs() -> None:
    async def main() -> None:
        async with AsyncIOScheduler() as scheduler:
            with pytest.raises(OSError, match="cannot start"):
                await scheduler.add_task(functions.add, 1, 2, executor=UnstartableExecutor()).result()

    asyncio.run(main())


def test_an_executor_that_cannot_start_stops_the_start() -> None:
    async def main() -> None:
        scheduler = AsyncIOScheduler(executors={"good": "threadpool", "bad": UnstartableExecutor()})
        with pytest.raises(OSError, match="cannot start"):
            await scheduler.start()
        assert scheduler.state.status == "stopped"
        assert scheduler.state.executors[0].status == "stopped"

    asyncio.run(main())


def test_notifications_can_be_iterated_and_end_with_the_scheduler() -> None:
    async def main() -> None:
        scheduler = AsyncIOScheduler()
        await scheduler.start()
        task = scheduler.add_task(functions.add, 1, 2, trigger=None)
        stream = task.notifications()
        await task.run()
        await task.run()
        await scheduler.shutdown()
        received: list[TaskNotification[int]] = [notification async for notification in stream]
        assert len(received) == 2
        await stream.aclose()

    asyncio.run(main())


def test_a_method_can_be_taken_back_as_a_listener() -> None:
    class Counter:
        def __init__(self) -> None:
            self.count = 0

        def heard(self, _: object) -> None:
            self.count += 1

    async def main() -> None:
        counter, other = Counter(), Counter()
        async with AsyncIOScheduler() as scheduler:
            task = scheduler.add_task(functions.add, 1, 2, trigger=None)
            task.on_done(counter.heard)
            task.on_done(other.heard)
            await task.run()
            assert task.remove_listener(counter.heard)
            assert not task.remove_listener(counter.heard)
            await task.run()
        assert (counter.count, other.count) == (1, 2)

    asyncio.run(main())


def test_a_listener_that_is_equal_to_another_is_not_taken_back_with_it() -> None:
    class Equal:
        def __init__(self) -> None:
            self.count = 0

        def __call__(self, _: object) -> None:
            self.count += 1

        @override
        def __eq__(self, other: object) -> bool:
            return True

        @override
        def __hash__(self) -> int:
            return 0

    async def main() -> None:
        one, other = Equal(), Equal()
        async with AsyncIOScheduler() as scheduler:
            task = scheduler.add_task(functions.add, 1, 2, trigger=None)
            task.on_done(one)
            task.on_done(other)
            assert task.remove_listener(one)
            await task.run()
        assert (one.count, other.count) == (0, 1)

    asyncio.run(main())


def test_a_listener_can_take_back_another_before_that_is_called() -> None:
    async def main() -> None:
        heard: list[object] = []
        async with AsyncIOScheduler() as scheduler:
            task = scheduler.add_task(functions.add, 1, 2, trigger=None)
            subscription = scheduler.subscribe(TaskExecuted, heard.append)
            task.on_done(lambda _: subscription.unsubscribe())
            await task.run()
        assert heard == []

    asyncio.run(main())


def test_a_listener_that_subscribed_twice_is_called_twice_until_it_takes_one_back() -> None:
    async def main() -> None:
        heard: list[str] = []

        def first(_: TaskExecuted[object]) -> None:
            heard.append("first")

        def second(_: TaskExecuted[object]) -> None:
            heard.append("second")

        async with AsyncIOScheduler() as scheduler:
            task = scheduler.add_task(functions.add, 1, 2, trigger=None)
            subscriptions = [scheduler.subscribe(TaskExecuted, each) for each in (first, second, first)]
            await task.run()
            assert heard == ["first", "second", "first"]
            heard.clear()
            for _ in range(2):
                subscriptions[0].unsubscribe()
            await task.run()
            assert heard == ["second", "first"]

    asyncio.run(main())


class Session:
    """Listens, and takes back all that it subscribed to once nobody has it any more."""

    def __init__(self, scheduler: AsyncIOScheduler, heard: list[object]) -> None:
        subscription = scheduler.subscribe(TaskExecuted, heard.append)
        weakref.finalize(self, subscription.unsubscribe)

    def hear(self, _: TaskExecuted[object]) -> None:
        """Be kept by whoever calls this."""


def test_what_is_let_go_of_by_taking_a_subscription_back_may_take_back_others() -> None:
    async def main() -> None:
        heard: list[object] = []
        async with AsyncIOScheduler() as scheduler:
            task = scheduler.add_task(functions.add, 1, 2, trigger=None)
            subscription = scheduler.subscribe(TaskExecuted, Session(scheduler, heard).hear)
            await task.run()
            assert len(heard) == 1
            subscription.unsubscribe()
            await task.run()
            assert len(heard) == 1

    asyncio.run(main())


def test_subscriptions_are_taken_back_in_several_threads_at_once() -> None:
    async def main() -> None:
        heard: list[object] = []
        async with AsyncIOScheduler() as scheduler:
            task = scheduler.add_task(functions.add, 1, 2, trigger=None)
            subscriptions = [scheduler.subscribe(TaskExecuted, heard.append) for _ in range(400)]
            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                list(pool.map(asyncz.Subscription.unsubscribe, subscriptions[1:]))
            await task.run()
            assert len(heard) == 1

    asyncio.run(main())


def test_result_of_a_finished_task_is_its_last_one() -> None:
    async def main() -> None:
        async with AsyncIOScheduler() as scheduler:
            task = scheduler.add_task(functions.add, 1, 2)
            assert await task.result() == 3
            while scheduler.tasks:
                await asyncio.sleep(0.01)
            assert await task.result() == 3
            with pytest.raises(TaskLookupError):
                task.run()
            with pytest.raises(TaskLookupError):
                _ = task.state

    asyncio.run(main())


def test_a_result_is_given_between_the_end_of_the_last_run_and_the_removal_of_its_task() -> None:
    async def main() -> None:
        results: list[int] = []
        async with AsyncIOScheduler() as scheduler:
            task = scheduler.add_task(functions.add, 1, 2)

            async def await_it(_: TaskExecuted[int]) -> None:
                results.append(await task.result())

            task.on_executed(await_it)
            await asyncio.sleep(0.05)
        assert results == [3]

    asyncio.run(main())


def test_cancelling_the_awaiter_does_not_cancel_the_run() -> None:
    async def main() -> None:
        async with AsyncIOScheduler() as scheduler:
            handle = scheduler.add_task(functions.sleep_async, 0.1, trigger=None).run()
            with pytest.raises(asyncio.TimeoutError):
                async with asyncio.timeout(0.01):
                    await handle
            assert await handle == "slept"

    asyncio.run(main())


def test_the_decorator_keeps_the_function_callable() -> None:
    async def main() -> None:
        async with AsyncIOScheduler() as scheduler:

            @scheduler.task(executor="threadpool")
            def double(number: int, *, times: int = 1) -> int:
                return number * 2 * times

            @scheduler.task()
            async def double_async(number: int) -> int:
                return number * 2

            assert double(2) == 4
            assert await double.schedule(2, times=3).result() == 12
            assert await double_async(2) == 4
            assert await double_async.schedule(2).result() == 4

    asyncio.run(main())


def test_tasks_may_be_added_from_any_thread_and_before_the_start() -> None:
    async def main() -> None:
        scheduler = AsyncIOScheduler()
        early = scheduler.add_task(functions.add, 1, 1)
        async with scheduler:
            assert await early.result() == 2
            added = await asyncio.to_thread(scheduler.add_task, functions.add, 2, 2)
            assert await added.result() == 4

    asyncio.run(main())


def test_a_scheduler_can_be_started_again_in_another_loop() -> None:
    scheduler = AsyncIOScheduler(executors={"io": "threadpool", "loop": "asyncio"})
    task = scheduler.add_task(functions.add, 1, 1, executor="io", trigger=None)

    async def main() -> None:
        async with scheduler:
            assert await task.run() == 2
            with pytest.raises(SchedulerAlreadyRunningError):
                await scheduler.start()

    asyncio.run(main())
    asyncio.run(main())
    with pytest.raises(SchedulerNotRunningError):
        task.run()
    with pytest.raises(SchedulerNotRunningError):
        scheduler.pause()


def test_shutdown_with_a_timeout_cancels_what_is_left() -> None:
    async def main() -> None:
        scheduler = AsyncIOScheduler()
        await scheduler.shutdown()
        await scheduler.start()
        handle = scheduler.add_task(functions.sleep_async, 60.0, trigger=None).run()
        await asyncio.gather(scheduler.shutdown(timeout=0.05), scheduler.shutdown())
        assert isinstance(await handle.notification(), TaskCancelled)

    asyncio.run(main())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_forever_ends_cleanly_on_a_signal(number: int) -> None:
    before = signal.getsignal(number)
    scheduler = AsyncIOScheduler()
    slow = scheduler.add_task(functions.sleep_async, 0.2)
    scheduler.add_task(os.kill, os.getpid(), number)
    scheduler.run_forever()
    assert isinstance(slow.last_notification, TaskExecuted)
    assert signal.getsignal(number) == before


def test_a_second_signal_cuts_the_drain_short() -> None:
    scheduler = AsyncIOScheduler()

    def kill_twice() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        # Two at a time would be one.
        while scheduler.state.status != "draining":
            time.sleep(0.005)
        os.kill(os.getpid(), signal.SIGTERM)

    slow = scheduler.add_task(functions.sleep_async, 60.0)
    scheduler.add_task(kill_twice)
    scheduler.run_forever()
    assert isinstance(slow.last_notification, TaskCancelled)


def test_wait_closed_works_outside_the_main_thread() -> None:
    async def main() -> None:
        async with AsyncIOScheduler() as scheduler:
            asyncio.get_running_loop().call_later(0.05, lambda: asyncio.ensure_future(scheduler.shutdown()))
            await scheduler.wait_closed()
        await scheduler.wait_closed()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    thread.join(10)
    assert not thread.is_alive()


def test_the_state_round_trips_through_json() -> None:
    async def main() -> None:
        async with AsyncIOScheduler(executors={"io": ThreadPoolExecutor(2)}) as scheduler:
            scheduler.add_task(functions.add, 1, 1, executor="io", trigger=IntervalTrigger(hours=1))
            await asyncio.sleep(0.01)
            state = scheduler.state
            assert state.next_run_at is not None
            assert SchedulerState.model_validate_json(state.model_dump_json()) == state

    asyncio.run(main())


def test_other_bad_input_is_rejected() -> None:
    scheduler = AsyncIOScheduler()
    task = scheduler.add_task(functions.add, 1, 2, id="taken")
    with pytest.raises(DuplicateTaskError, match="taken"):
        scheduler.add_task(functions.add, 1, 2, id="taken")
    executor = AsyncIOExecutor()
    scheduler.add_executor(executor, alias="one")
    with pytest.raises(DuplicateExecutorError, match="one"):
        scheduler.add_executor("debug", alias="one")
    with pytest.raises(DuplicateExecutorError, match="one"):
        scheduler.add_executor(executor, alias="two")
    with pytest.raises(UnknownAliasError, match="no executor with the alias 'treadpool'"):
        scheduler.add_executor("treadpool", alias="three")
    with pytest.raises(InvalidInputError, match="alias"):
        scheduler.add_executor("debug", alias="")
    with pytest.raises(InvalidInputError, match="unexpected keyword"):
        scheduler.add_executor("debug", alias="four", max_workers=3)  # type: ignore[call-overload]  # wrong on purpose
    with pytest.raises(InvalidInputError, match="function or another callable"):
        scheduler.add_task(5)  # type: ignore[call-overload]  # wrong on purpose
    with pytest.raises(InvalidInputError, match="event classes"):
        scheduler.subscribe(TaskExecuted[int], print)
    with pytest.raises(TaskLookupError):
        scheduler.get_task("missing")
    with pytest.raises(TaskLookupError):
        scheduler.remove_task("missing")
    assert scheduler.get_task("taken") is task
    assert len(scheduler.state.executors) == 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DateTrigger(datetime(2030, 1, 1)), "no time zone"),
        (lambda: DateTrigger(datetime(2030, 1, 1), timezone="Mars/Olympus"), "Mars/Olympus"),
        (lambda: DateTrigger("2030"), "datetime is needed"),  # type: ignore[arg-type]  # wrong on purpose
        (lambda: IntervalTrigger(), "more than zero"),
        (lambda: IntervalTrigger(seconds=-1), "more than zero"),
        (lambda: IntervalTrigger(seconds=1, jitter=1), "less than the interval"),
        (lambda: IntervalTrigger(seconds=1, start_at=START, end_at=START - timedelta(1)), "before start_at"),
        (lambda: asyncz.create_trigger("intervall"), "date, interval"),
        (lambda: asyncz.create_trigger("interval", minute=1), "unexpected keyword"),
    ],
)
def test_bad_triggers_are_rejected(make: partial[object], message: str) -> None:
    with pytest.raises((InvalidInputError, UnknownAliasError), match=message):
        make()


def test_interval_triggers_start_and_end_and_do_not_drift_with_jitter() -> None:
    trigger = IntervalTrigger(
        hours=1, start_at=datetime(2030, 1, 1, 1), end_at=START + timedelta(hours=3), timezone="Europe/Berlin"
    )
    fires: list[datetime] = []
    following = trigger.next_due_time(None, START)
    while following is not None:
        fires.append(following)
        following = trigger.next_due_time(following, START)
    assert fires == [START + timedelta(hours=hours) for hours in range(4)]
    jittered = IntervalTrigger(hours=1, jitter=600).started(START)
    previous = jittered.next_due_time(None, START)
    for slot in range(1, 200):
        assert previous is not None
        assert timedelta(0) <= previous - START - timedelta(hours=slot) <= timedelta(minutes=10)
        previous = jittered.next_due_time(previous, START)
    assert "jitter" in repr(jittered)
    assert trigger.interval == timedelta(hours=1)
    assert DateTrigger(START).run_at == START


def test_failed_runs_are_logged_where_nobody_listens(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with AsyncIOScheduler() as scheduler:
            scheduler.add_task(functions.fail, "unheard")
            while scheduler.tasks:
                await asyncio.sleep(0.01)

    asyncio.run(main())
    assert "unheard" in caplog.text


def test_a_scheduler_that_is_started_paused_submits_nothing_before_it_is_resumed() -> None:
    async def main() -> None:
        scheduler, happened = AsyncIOScheduler(), list[str]()

        def note(event: SchedulerStarted | SchedulerPaused | TaskSubmitted | SchedulerResumed) -> None:
            happened.append(type(event).__name__)

        scheduler.subscribe(SchedulerStarted, note)
        scheduler.subscribe(SchedulerPaused, note)
        scheduler.subscribe(TaskSubmitted, note)
        scheduler.subscribe(SchedulerResumed, note)
        task = scheduler.add_task(functions.add, 1, 2, executor="debug")
        await scheduler.start(paused=True)
        assert (scheduler.state.status, task.state.submitted) == ("paused", 0)
        scheduler.resume()
        assert await task.result() == 3
        await scheduler.shutdown()
        assert happened == ["SchedulerStarted", "SchedulerPaused", "SchedulerResumed", "TaskSubmitted"]

    asyncio.run(main())


def test_all_tasks_can_be_removed_at_once() -> None:
    async def main() -> None:
        async with AsyncIOScheduler() as scheduler:
            removed: list[str] = []
            scheduler.subscribe(TaskRemoved, lambda event: removed.append(event.task_id))
            for number in range(3):
                scheduler.add_task(functions.add, 1, 2, id=f"task-{number}", trigger=None)
            scheduler.remove_all_tasks()
            assert scheduler.tasks == ()
            scheduler.add_task(functions.add, 1, 2, id="task-1", trigger=None)
        assert removed == ["task-0", "task-1", "task-2"]

    asyncio.run(main())


def test_a_scheduler_says_why_it_cannot_be_pickled() -> None:
    with pytest.raises(TypeError, match="a scheduler cannot be pickled, and so not be an argument of a function"):
        pickle.dumps(AsyncIOScheduler())
    with pytest.raises(SerializationError, match="a scheduler cannot be pickled"):
        AsyncIOScheduler().add_task(repr, AsyncIOScheduler(), executor="processpool")
