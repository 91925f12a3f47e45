"""Combinations of triggers."""

from __future__ import annotations

from datetime import datetime, timedelta
from time import sleep

import pytest
from typing_extensions import override

from asyncz import AndTrigger, AsyncIOScheduler, CronTrigger, IntervalTrigger, NeverDueError, OrTrigger, TaskModified
from asyncz.testing import FakeClock
from tests.helpers import payloads
from tests.helpers.broken_triggers import FullHours
from tests.helpers.times import START, due_times


def test_or_keeps_interval_of_each_trigger() -> None:
    found = due_times(IntervalTrigger(hours=2) | IntervalTrigger(hours=3), START, 7)
    assert [(due - START) // timedelta(hours=1) for due in found] == [2, 3, 4, 6, 8, 9, 10]


def test_or_keeps_delayed_due_times() -> None:
    hourly = CronTrigger("@hourly", jitter=3000)
    found = due_times(hourly | CronTrigger("* * * * *"), START, 600)
    by_the_minute = [due for due in found if not (due.second or due.microsecond)]
    others = [due for due in found if due.second or due.microsecond]
    assert len(by_the_minute) > 580
    assert len(others) >= 9
    assert [due.hour for due in others] == list(range(len(others)))


def test_operators_flatten_same_kind() -> None:
    first, second, third = IntervalTrigger(hours=1), IntervalTrigger(hours=2), CronTrigger("@daily")
    assert first | second | third == OrTrigger([first, second, third])
    assert first & (second & third) == AndTrigger([first, second, third])
    assert (first | second) & third == AndTrigger([OrTrigger([first, second]), third])
    assert OrTrigger([first, second], jitter=5) | third == OrTrigger([OrTrigger([first, second], jitter=5), third])


class Odd:
    """A trigger with no base class: due at each odd second."""

    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        time = (previous or now).replace(microsecond=0)
        return time + timedelta(seconds=1 if time.second % 2 == 0 else 2)


def test_custom_triggers_combinable() -> None:
    every_third = IntervalTrigger(seconds=3, start_at=START)
    for trigger in (Odd() & every_third, every_third & Odd(), AndTrigger([Odd(), every_third])):
        assert [due.second for due in due_times(trigger, START, 4)] == [3, 9, 15, 21]
    for either in (Odd() | every_third, every_third | Odd()):
        assert [due.second for due in due_times(either, START + timedelta(seconds=2), 5)] == [3, 5, 6, 7, 9]
    assert [due.hour for due in due_times(FullHours() & CronTrigger("0 */5 * * *"), START, 3)] == [5, 10, 15]


def test_and_search_gives_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(Odd):
        @override
        def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
            answers.append(previous)
            sleep(0.01)
            return super().next_due_time(previous, now)

    answers: list[datetime | None] = []
    monkeypatch.setattr("asyncz.triggers.base._SEARCH_TIMEOUT", 0.05)
    with pytest.raises(NeverDueError, match="every 2 seconds from"):
        (IntervalTrigger(seconds=2, start_at=START) & Slow()).next_due_time(None, START)
    assert len(answers) < 10


def test_never_meeting_triggers_rejected_on_add() -> None:
    never = IntervalTrigger(seconds=2, start_at=START) & IntervalTrigger(
        seconds=2, start_at=START + timedelta(seconds=1)
    )
    scheduler = AsyncIOScheduler(clock=FakeClock(START))
    with pytest.raises(
        NeverDueError, match=r"every 2 seconds from .* no due time in common after 2030-01-01 00:00:00 UTC"
    ):
        scheduler.add_task(payloads.add, 1, 2, trigger=never)
    assert scheduler.tasks == ()


@pytest.mark.anyio
async def test_triggers_no_longer_meeting_end_schedule() -> None:
    class Even(Odd):
        @override
        def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
            due = super().next_due_time(previous, now)
            return due if due is None or due < START + timedelta(minutes=1) else due + timedelta(seconds=1)

    clock, modified = FakeClock(START), list[TaskModified]()
    async with AsyncIOScheduler(clock=clock) as scheduler:
        scheduler.subscribe(TaskModified, modified.append)
        task = scheduler.add_task(payloads.add, 1, 2, trigger=AndTrigger([Odd(), Even()]), executor="debug")
        task.on_executed(lambda event: None)
        await clock.advance(minutes=2)
        assert scheduler.tasks == ()
        assert scheduler.state.executed == 30
    (event,) = modified
    assert isinstance(event.exception, NeverDueError)
