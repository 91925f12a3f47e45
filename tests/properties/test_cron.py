"""Cron expressions compared with an independent search."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, reject, settings, strategies as st

from asyncz import CronTrigger, InvalidInputError
from tests.helpers.cron import CHANGES, ReckonedCron, cron_expressions
from tests.helpers.effort import examples
from tests.helpers.times import START, due_until


@pytest.mark.slow
@settings(deadline=None, max_examples=examples(40))
@given(
    expression=cron_expressions(),
    where=st.sampled_from(CHANGES),
    before=st.integers(-2, 26),
    hours=st.integers(1, 30),
)
@example("45 * * * *", ("Australia/Lord_Howe", datetime(2026, 4, 4, 15, tzinfo=UTC)), 1, 5)
@example("0 0 * * *", ("Pacific/Apia", datetime(2011, 12, 30, 10, tzinfo=UTC)), 26, 30)
@example("* * 5-5/2 * *", ("Europe/Berlin", datetime(2026, 3, 29, 1, tzinfo=UTC)), 1, 5)
def test_cron_due_times_match_minute_search(
    expression: str, where: tuple[str, datetime], before: int, hours: int
) -> None:
    name, change = where
    zone, begin = ZoneInfo(name), change - timedelta(hours=before)
    end = begin + timedelta(hours=hours)
    try:
        trigger = CronTrigger(expression, timezone=zone)
    except InvalidInputError:
        reject()  # a day that no month has
    found = due_until(trigger, begin, end - timedelta(minutes=1))
    assert found == list(ReckonedCron(expression).due_between(begin, end, zone))


@settings(deadline=None, max_examples=examples(30))
@given(st.text("0123456789*/-,L#W? @adhilyMON", max_size=20) | st.text(max_size=20))
def test_cron_any_text_parses_or_raises(text: str) -> None:
    try:
        trigger = CronTrigger(text)
    except InvalidInputError as error:
        assert repr(text.strip())[1:-1] in str(error) or repr(" ".join(text.split())) in str(error)  # noqa: PT017
    else:
        assert trigger.next_due_time(None, START) is not None
