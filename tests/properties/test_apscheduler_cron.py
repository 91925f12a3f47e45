"""Cron triggers of APScheduler 3 are due at the same times after their translation."""

from __future__ import annotations

import json
import pickle
from datetime import UTC, datetime, timedelta

import pytest
from apscheduler.triggers.cron import CronTrigger
from hypothesis import assume, given, reject, settings, strategies as st

from asyncz.stores._triggers import decode_trigger
from asyncz.stores.apscheduler_3._pickles import read_job
from asyncz.stores.apscheduler_3._reading import ReadJob
from asyncz.stores.apscheduler_3._translation import Translator
from asyncz.triggers.base import start_trigger
from tests.helpers.effort import examples

NOW = datetime(2030, 1, 1, 7, 13, 5, tzinfo=UTC)
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
POSITIONS = ("1st", "2nd", "3rd", "4th", "last")


@st.composite
def ranges(draw: st.DrawFn, low: int, high: int) -> str:
    first = draw(st.integers(low, high))
    last = draw(st.integers(first, high))
    step = draw(st.integers(1, max(1, last - first)))
    return draw(
        st.sampled_from(
            ["*", f"*/{max(1, (high - low) // 3)}", f"{first}", f"{first}-{last}", f"{first}-{last}/{step}"]
        )
    )


def lists(low: int, high: int) -> st.SearchStrategy[str]:
    return st.lists(ranges(low, high), min_size=1, max_size=3).map(",".join)


weekday_names = st.lists(st.sampled_from(WEEKDAYS), min_size=1, max_size=3).map(",".join)
days = st.one_of(
    lists(1, 28),
    st.just("last"),
    st.builds(lambda place, day: f"{place} {day}", st.sampled_from(POSITIONS), st.sampled_from(WEEKDAYS)),
)
fields = st.fixed_dictionaries(
    {},
    optional={
        "month": lists(1, 12),
        "day": days,
        "day_of_week": st.one_of(lists(0, 6), weekday_names),
        "hour": lists(0, 23),
        "minute": lists(0, 59),
        "second": lists(0, 59),
    },
)


@pytest.mark.slow
@given(fields)
@settings(max_examples=examples(100), deadline=None)
def test_translated_cron_has_same_due_times(given_fields: dict[str, str]) -> None:
    try:
        # Its search for rare times walks from second to second: with an end, it does not walk for years.
        old = CronTrigger(timezone="UTC", end_date=NOW + timedelta(days=500), **given_fields)
    except ValueError:
        reject()
    state = {
        "id": "a",
        "func": "a:b",
        "trigger": old,
        "executor": "default",
        "args": (),
        "kwargs": {},
        "misfire_grace_time": 1,
        "coalesce": True,
        "max_instances": 1,
    }
    answer = read_job(pickle.dumps(state))
    due: list[datetime] = []
    at: datetime | None = old.get_next_fire_time(None, NOW)
    while at is not None and len(due) < 3:
        due.append(at)
        at = old.get_next_fire_time(at, at + timedelta(microseconds=1))
    assume(due)
    found = Translator({}, (), NOW).translate(ReadJob("a", due[0], json.loads(answer)["job"], ""))
    assert found.task is not None, found.reason
    trigger = decode_trigger("a", found.task.trigger)
    assert trigger is not None
    started = start_trigger(trigger, NOW)
    ours: list[datetime | None] = []
    now: datetime | None = None
    for _ in due:
        now = started.next_due_time(now, now or NOW)
        ours.append(now)
    assert ours == due, found.trigger
