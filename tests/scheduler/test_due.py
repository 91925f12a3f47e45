"""Due runs: schedules, coalescing, misfires and clocks that are set back."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import datetime, timedelta

import pytest

from asyncz import (
    AsyncIOScheduler,
    CalendarIntervalTrigger,
    CronTrigger,
    DateTrigger,
    IntervalTrigger,
    SchedulerResumed,
    TaskExecuted,
    TaskMaxInstances,
    TaskMissed,
    TaskMissedError,
    TaskQueueFull,
    TaskRemoved,
    ThreadPoolExecutor,
    Trigger,
)
from asyncz.testing import FakeClock
from tests.helpers import payloads
from tests.helpers.payloads import do_nothing
from tests.helpers.recorder import EventRecorder
from tests.helpers.times import START
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio


async def test_due_at_maximum_rejected_then_removed() -> None:
    clock = FakeClock()
    heard: list[str] = []
    async with AsyncIOScheduler(clock=clock) as scheduler:
        scheduler.subscribe(TaskMaxInstances, lambda _: heard.append("rejected"))
        scheduler.subscribe(TaskRemoved, lambda _: heard.append("removed"))
        go_on = asyncio.Event()

        async def wait() -> None:
            await go_on.wait()

        task = scheduler.add_task(wait, trigger=DateTrigger(START + timedelta(hours=1)))
        handle = task.run()
        await clock.advance(hours=2)
        assert heard == ["rejected"]
        go_on.set()
        await handle
        await until(lambda: heard == ["rejected", "removed"])


async def test_last_due_run_rejected_by_full_queue() -> None:
    """Remove a task whose only due run was rejected by a full queue: no run of it can follow."""
    clock, go_on = FakeClock(), threading.Event()
    heard: list[tuple[str, str]] = []
    async with AsyncIOScheduler(executors={"narrow": ThreadPoolExecutor(1, max_queue=1)}, clock=clock) as scheduler:
        scheduler.subscribe(TaskQueueFull, lambda event: heard.append(("rejected", event.task_id)))
        scheduler.subscribe(TaskRemoved, lambda event: heard.append(("removed", event.task_id)))
        tasks = [scheduler.add_task(go_on.wait, 60, executor="narrow", trigger=None) for _ in range(2)]
        try:
            first = tasks[0].run()
            await until(lambda: scheduler.state.executors[0].queued == 0)
            second = tasks[1].run()
            at = DateTrigger(START + timedelta(hours=1))
            scheduler.add_task(payloads.add, 1, 2, id="once", executor="narrow", trigger=at)
            await clock.advance(hours=2)
            assert heard == [("rejected", "once"), ("removed", "once")]
        finally:
            go_on.set()
        assert [await first, await second] == [True, True]


async def test_run_keeps_scheduled_due_time() -> None:
    clock = FakeClock()
    due: list[datetime | None] = []
    async with AsyncIOScheduler(clock=clock) as scheduler:
        at = START + timedelta(hours=1)
        task = scheduler.add_task(payloads.add_async, 1, 2, trigger=DateTrigger(at))
        task.on_executed(lambda event: due.append(event.details.scheduled_at))
        await clock.advance()
        await task.run()
        assert task.next_run_at == at
        await clock.advance(hours=1)
        assert due == [START, at]


@pytest.mark.parametrize("raised", [ValueError("one of three"), payloads.OwnBaseException("one of three")])
async def test_failed_due_run_does_not_stop_others(raised: BaseException) -> None:
    calls: list[int] = []

    async def second_fails() -> None:
        calls.append(len(calls))
        if len(calls) == 2:
            raise raised

    clock = FakeClock()
    async with AsyncIOScheduler(clock=clock) as scheduler:
        listener = EventRecorder.of_scheduler(scheduler)
        task = scheduler.add_task(second_fails, trigger=IntervalTrigger(hours=1), coalesce=False)
        await clock.advance()
        scheduler.pause_task(task)
        await clock.advance(hours=3)
        scheduler.resume_task(task)
        await clock.advance(seconds=1)
        ended = [name for name in listener.names if name != "TaskSubmitted"]
        assert ended == ["TaskExecuted", "TaskError", "TaskExecuted"]
        assert listener.names.count("TaskSubmitted") == 3


async def test_due_runs_not_delayed_by_pending_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    order: list[str] = []

    def takes_a_millisecond() -> None:
        nonlocal now
        now += 0.001
        order.append("call")

    monkeypatch.setattr(time, "perf_counter", lambda: now)
    async with AsyncIOScheduler() as scheduler:
        scheduler.pause()
        for _ in range(100):
            scheduler.add_task(order.append, "run", executor="debug")

        def have_much_wait(_event: SchedulerResumed) -> None:
            for _ in range(500):
                scheduler._parts.runtime.inbox.put(takes_a_millisecond)

        scheduler.subscribe(SchedulerResumed, have_much_wait)
        scheduler.resume()
        await until(lambda: order.count("run") == 100)
        # Tasks that its own submissions add are handled in between, as before.
        first = order.index("run")
        assert order[first : first + 32] == ["run"] * 32


async def test_due_runs_counted_without_listeners() -> None:
    clock = FakeClock()
    async with AsyncIOScheduler(clock=clock) as scheduler:
        task = scheduler.add_task(do_nothing, trigger=IntervalTrigger(seconds=1))
        await clock.advance(1)
        await clock.advance(1)
        await until(lambda: task.state.executed == 2)
        assert task.state.submitted == 2
        assert (scheduler.state.submitted, scheduler.state.executed) == (2, 2)


async def test_coalesce_many_due_times_to_one_run() -> None:
    clock = FakeClock()
    due: list[datetime | None] = []
    async with AsyncIOScheduler(clock=clock) as scheduler:
        task = scheduler.add_task(do_nothing, trigger=IntervalTrigger(seconds=1))
        task.on_executed(lambda event: due.append(event.details.scheduled_at))
        await clock.advance()
        scheduler.pause_task(task)
        await clock.advance(seconds=1800)
        scheduler.resume_task(task)
        await clock.advance(seconds=0.5)
    assert due == [START + timedelta(seconds=1800)]


async def test_interval_task_due_at_each_interval() -> None:
    clock = FakeClock()
    due: list[datetime | None] = []
    async with AsyncIOScheduler(clock=clock) as scheduler:
        task = scheduler.add_task(do_nothing, trigger=IntervalTrigger(hours=6))
        task.on_executed(lambda event: due.append(event.details.scheduled_at))
        await clock.advance(days=1)
    assert due == [START + timedelta(hours=hours) for hours in (6, 12, 18, 24)]


@pytest.mark.parametrize(("coalesce", "expected"), [(True, 1), (False, 3)])
async def test_coalesce_selects_latest_due_time(coalesce: bool, expected: int) -> None:
    clock = FakeClock()
    due: list[datetime | None] = []
    async with AsyncIOScheduler(clock=clock) as scheduler:
        task = scheduler.add_task(do_nothing, trigger=IntervalTrigger(hours=1), coalesce=coalesce)
        task.on_executed(lambda event: due.append(event.details.scheduled_at))
        await clock.advance()
        scheduler.pause_task(task)
        await clock.advance(hours=3)
        assert due == []
        scheduler.resume_task(task)
        await clock.advance(seconds=1)
    assert due == [START + timedelta(hours=hours) for hours in (1, 2, 3)][-expected:]


@pytest.mark.parametrize("coalesce", [True, False])
async def test_due_times_caught_up_without_blocking(coalesce: bool) -> None:
    clock = FakeClock()
    due: list[datetime | None] = []
    async with AsyncIOScheduler(clock=clock) as scheduler:
        task = scheduler.add_task(do_nothing, trigger=IntervalTrigger(seconds=1), coalesce=coalesce, max_instances=9)
        task.on_executed(lambda event: due.append(event.details.scheduled_at))
        await clock.advance()
        scheduler.pause_task(task)
        await clock.advance(hours=1)
        scheduler.resume_task(task)
        while not due or due[-1] != START + timedelta(hours=1):
            await clock.advance()
    expected = [START + timedelta(seconds=number) for number in range(1, 3601)]
    assert due == (expected[-1:] if coalesce else expected)


async def test_timetable_drops_removed_and_paused_tasks() -> None:
    clock = FakeClock()
    runs: list[object] = []
    async with AsyncIOScheduler(clock=clock) as scheduler:
        kept = [scheduler.add_task(do_nothing, trigger=IntervalTrigger(days=1)) for _ in range(10)]
        for task in kept:
            task.on_executed(runs.append)
        for _ in range(20):
            passing = [scheduler.add_task(do_nothing, trigger=IntervalTrigger(days=30)) for _ in range(50)]
            await clock.advance()
            for task in passing:
                scheduler.remove_task(task)
            for task in kept:
                scheduler.pause_task(task)
                scheduler.resume_task(task)
            await clock.advance()
        assert len(scheduler._parts.timer) < 200
        await clock.advance(days=1)
        assert len(runs) == 10


async def test_run_after_grace_time_missed() -> None:
    clock = FakeClock()
    missed: list[TaskMissed] = []
    async with AsyncIOScheduler(clock=clock) as scheduler:
        task = scheduler.add_task(
            do_nothing, trigger=DateTrigger(START + timedelta(hours=1)), misfire_grace_time=60, id="late"
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


async def test_due_at_maximum_emits_event() -> None:
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


async def test_uncoalesced_backlog_cancelled_at_shutdown() -> None:
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


async def test_clock_set_back_keeps_schedule() -> None:
    clock = FakeClock()
    runs: list[TaskExecuted[None]] = []
    async with AsyncIOScheduler(clock=clock) as scheduler:
        scheduler.add_task(do_nothing, trigger=IntervalTrigger(seconds=5)).on_executed(runs.append)
        await clock.advance(11)
        assert len(runs) == 2
        clock.set(START - timedelta(days=1))
        # The timer was set on the old time: it is made when that comes.
        clock._timers = [(clock.now() + 1, number, timer) for _, number, timer in clock._timers]
        await clock.advance(12)
        assert len(runs) == 4


async def test_shared_trigger_starts_with_each_task() -> None:
    clock, trigger = FakeClock(START), IntervalTrigger(hours=1, jitter=60)
    async with AsyncIOScheduler(clock=clock) as scheduler:
        first = scheduler.add_task(payloads.add, 1, 2, trigger=trigger, executor="debug")
        await clock.advance(minutes=30)
        second = scheduler.add_task(payloads.add, 1, 2, trigger=trigger, executor="debug")
        await clock.advance(minutes=10)
        for hours in range(1, 20):
            for task, minutes in ((first, 0), (second, 30)):
                due = task.next_run_at
                assert due is not None
                assert timedelta(0) <= due - START - timedelta(hours=hours, minutes=minutes) <= timedelta(minutes=1)
            await clock.advance(hours=1)
        assert first.state.trigger == "every 1 hour, up to 60 s later"


@pytest.mark.parametrize(
    "trigger",
    [
        IntervalTrigger(minutes=10, jitter=30),
        CronTrigger("*/10 * * * *"),
        IntervalTrigger(minutes=20) | IntervalTrigger(minutes=15),
        CalendarIntervalTrigger(days=1, hour=1),
    ],
    ids=str,
)
async def test_clock_set_back_restarts_trigger(trigger: Trigger) -> None:
    clock = FakeClock(START + timedelta(days=50))
    async with AsyncIOScheduler(clock=clock) as scheduler:
        task = scheduler.add_task(payloads.add, 1, 2, trigger=trigger, executor="debug")
        await clock.advance(hours=2)
        clock.set(START)
        # The timer was set on the old time: it is made when that comes.
        clock._timers = [(clock.now() + 1, number, timer) for _, number, timer in clock._timers]
        await clock.advance(seconds=2)
        due = task.next_run_at
        assert due is not None
        assert due < START + timedelta(hours=2)
        await clock.advance(hours=3)
        following = task.next_run_at
        assert following is not None
        assert following < START + timedelta(days=2)
