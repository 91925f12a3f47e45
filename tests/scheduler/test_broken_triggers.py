"""Triggers that raise."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from typing_extensions import override

from asyncz import AsyncIOScheduler, IntervalTrigger, InvalidInputError, TaskExecuted, TaskModified, TaskRemoved
from asyncz.testing import FakeClock
from tests.helpers import payloads
from tests.helpers.payloads import do_nothing
from tests.helpers.times import START

pytestmark = pytest.mark.anyio


class Raises:
    """A trigger that is due after a second, and raises when it is asked again."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self.asked = 0

    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        self.asked += 1
        if self.asked > 1:
            raise self.error
        return now + timedelta(seconds=1)


raised_by_triggers = pytest.mark.parametrize(
    "error", [ValueError("no idea"), payloads.OwnBaseException("no idea"), SystemExit(3)], ids=repr
)


@raised_by_triggers
async def test_trigger_exception_ends_its_schedule(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    clock, trigger = FakeClock(), Raises(error)
    modified: list[TaskModified] = []
    removed: list[str] = []
    due: list[datetime | None] = []
    async with AsyncIOScheduler(clock=clock) as scheduler:
        scheduler.subscribe(TaskModified, modified.append)
        scheduler.subscribe(TaskRemoved, lambda event: removed.append(event.task_id))
        broken = scheduler.add_task(do_nothing, trigger=trigger, id="broken")
        other = scheduler.add_task(do_nothing, trigger=IntervalTrigger(seconds=1))
        other.on_executed(lambda event: due.append(event.details.scheduled_at))
        await clock.advance(5)
        assert isinstance(broken.last_notification, TaskExecuted)
    assert [(event.task_id, event.exception) for event in modified] == [("broken", error)]
    assert removed == ["broken"]
    assert trigger.asked == 2
    assert len(due) == 5
    assert "The trigger of the task 'broken' raised" in caplog.text


async def test_listener_may_reschedule_failed_trigger() -> None:
    clock = FakeClock()
    async with AsyncIOScheduler(clock=clock) as scheduler:

        def mend(event: TaskModified) -> None:
            if event.exception is not None:
                scheduler.reschedule_task(event.task_id, IntervalTrigger(seconds=1))

        scheduler.subscribe(TaskModified, mend)
        task = scheduler.add_task(do_nothing, trigger=Raises(ValueError("no more")))
        await clock.advance(5)
        assert scheduler.tasks == (task,)
        assert task.state.executed == 5


async def test_listener_may_remove_failed_task() -> None:
    clock = FakeClock()
    ended: list[TaskExecuted[object]] = []
    async with AsyncIOScheduler(clock=clock) as scheduler:
        scheduler.subscribe(TaskModified, lambda event: scheduler.remove_task(event.task_id))
        scheduler.subscribe(TaskExecuted, ended.append)
        scheduler.add_task(do_nothing, trigger=Raises(ValueError("no more")))
        await clock.advance(5)
        assert scheduler.tasks == ()
    assert ended == []


class DueAgain:
    """Due at once when it is new, and an hour after each time."""

    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        return now if previous is None else previous + timedelta(hours=1)


class DueAfterTheStart(DueAgain):
    """The same, but it raises at the time before."""

    @override
    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        if now < START:
            raise ValueError("too early")
        return super().next_due_time(previous, now)


async def test_listener_may_pause_after_clock_set_back() -> None:
    clock = FakeClock(START)
    async with AsyncIOScheduler(clock=clock) as scheduler:
        failing = scheduler.add_task(payloads.add_async, 1, 2, trigger=DueAfterTheStart())
        waiting = scheduler.add_task(payloads.add_async, 1, 2, trigger=DueAgain())
        await clock.advance(1)
        assert failing.state.executed == waiting.state.executed == 1
        scheduler.subscribe(TaskModified, lambda _: scheduler.pause())
        clock.set(START - timedelta(days=1))
        scheduler.add_task(payloads.add_async, 1, 2)
        await clock.advance(5)
        assert (scheduler.state.status, waiting.state.submitted) == ("paused", 1)


@raised_by_triggers
async def test_trigger_exception_after_clock_set_back(error: BaseException) -> None:
    clock = FakeClock()
    modified: list[TaskModified] = []
    runs: list[object] = []
    async with AsyncIOScheduler(clock=clock) as scheduler:
        scheduler.subscribe(TaskModified, modified.append)
        scheduler.add_task(do_nothing, trigger=Raises(error), id="broken")
        scheduler.add_task(do_nothing, trigger=IntervalTrigger(seconds=5)).on_executed(runs.append)
        await clock.advance(0.5)
        clock.set(START - timedelta(days=1))
        # The timer was set on the old time: it is made when that comes.
        clock._timers = [(clock.now() + 1, number, timer) for _, number, timer in clock._timers]
        await clock.advance(12)
        assert [task.id for task in scheduler.tasks] != ["broken"]
        assert len(scheduler.tasks) == 1
    assert [(event.task_id, event.exception) for event in modified] == [("broken", error)]
    assert len(runs) == 2


class BrokenTrigger:
    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        if previous is None:
            return now
        raise ValueError("no idea")


async def test_trigger_exception_spares_other_tasks() -> None:
    clock = FakeClock()
    modified: list[TaskModified] = []
    runs: list[object] = []
    async with AsyncIOScheduler(clock=clock) as scheduler:
        scheduler.subscribe(TaskModified, modified.append)
        scheduler.add_task(do_nothing, trigger=BrokenTrigger())
        scheduler.add_task(do_nothing, trigger=IntervalTrigger(seconds=1)).on_executed(runs.append)
        await clock.advance(5)
    assert len(runs) == 5
    assert isinstance(modified[0].exception, ValueError)


class GoesBack:
    """Due after an hour, and then half an hour earlier."""

    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        return now + timedelta(hours=1) if previous is None else previous - timedelta(minutes=30)


async def test_trigger_that_goes_back_runs_once() -> None:
    clock = FakeClock()
    modified: list[TaskModified] = []
    due: list[datetime | None] = []
    async with AsyncIOScheduler(clock=clock) as scheduler:
        scheduler.subscribe(TaskModified, modified.append)
        task = scheduler.add_task(do_nothing, trigger=GoesBack())
        assert scheduler.due_times(task, 3) == (START + timedelta(hours=1),)
        task.on_executed(lambda event: due.append(event.details.scheduled_at))
        await clock.advance(hours=3)
    assert due == [START + timedelta(hours=1)]
    assert [type(event.exception) for event in modified] == [InvalidInputError]
