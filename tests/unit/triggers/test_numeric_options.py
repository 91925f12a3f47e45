"""Numeric options with hostile values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings, strategies as st

from asyncz import AsynczError, IntervalTrigger, InvalidInputError
from asyncz.plugins import load_trigger
from asyncz.triggers.base import ValueTrigger, latest_due_time, start_trigger
from tests.helpers.effort import examples

NOW = datetime(2030, 1, 1, tzinfo=UTC)
FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)

numbers: st.SearchStrategy[object] = st.one_of(
    st.integers(-5, 5),
    st.integers(),
    st.floats(),
    st.sampled_from(
        [10**400, -(10**400), 10**5000, -(10**5000), 8.64e13, 86_399_999_999_999.99, 1e-320, 1e308, 2**63, 1e-7, 5e-7]
    ),
    st.booleans(),
    st.none(),
    st.text(max_size=5),
    st.decimals(),
    st.complex_numbers(),
)
CHOICES: list[tuple[str, str, dict[str, object]]] = [
    *[(name, "interval", dict[str, object]()) for name in ("weeks", "days", "hours", "minutes", "seconds")],
    *[(name, "calendar", dict[str, object]()) for name in ("years", "months", "weeks", "days")],
    *[(name, "calendar", dict[str, object](days=1)) for name in ("hour", "minute", "second", "jitter")],
    ("jitter", "interval", {"days": 999_999_999}),
    ("jitter", "interval", {"days": 1}),
    ("jitter", "cron", {"expression": "*/7 * * * *"}),
    ("jitter", "cron", {"expression": "@yearly", "timezone": "Pacific/Apia"}),
    ("jitter", "or", {"triggers": [IntervalTrigger(days=30)]}),
]


@settings(deadline=None, max_examples=examples(150))
@given(st.sampled_from(CHOICES), numbers, st.sampled_from([NOW, FIRST, LAST, LAST - timedelta(days=400)]))
@example(("jitter", "interval", {"days": 999_999_999}), 8.64e13, NOW)
@example(("seconds", "interval", {}), 10**400, NOW)
@example(("seconds", "interval", {}), 10**5000, NOW)
@example(("years", "calendar", {}), 10**5000, NOW)
@example(("jitter", "cron", {"expression": "*/7 * * * *"}), 86_399_999_999_999.99, FIRST)
@example(("jitter", "cron", {"expression": "@yearly", "timezone": "Pacific/Apia"}), 8e13, LAST)
def test_number_is_accepted_or_rejected_by_name(
    choice: tuple[str, str, dict[str, object]], value: object, now: datetime
) -> None:
    name, alias, options = choice
    try:
        trigger = load_trigger(alias, **options, **{name: value})
    except InvalidInputError as error:
        assert error.name in {name, "the interval"}  # noqa: PT017
        assert len(str(error)) < 500  # noqa: PT017
        return
    started = start_trigger(trigger, now)
    assert repr(trigger)
    assert str(trigger)
    due = started.next_due_time(None, now)
    for _ in range(3):
        if due is None:
            break
        assert due >= now
        later = started.next_due_time(due, due)
        assert later is None or later > due
        due = later
    for previous in (FIRST, NOW, LAST):
        following = started.next_due_time(previous, now)
        assert following is None or following > previous
        latest = latest_due_time(started, previous, max(previous, now))
        assert latest is None or previous < latest <= max(previous, now)
    assert isinstance(trigger, ValueTrigger)
    assert load_trigger(alias, **trigger.options) == trigger


HOSTILE: dict[str, object] = {
    "400 digits": 10**400,
    "5000 digits": 10**5000,
    "minus 5000 digits": -(10**5000),
    "longest timedelta": 8.64e13,
    "large float": 1e300,
    "infinity": float("inf"),
    "not a number": float("nan"),
    "text": "5",
    "bool": True,
}


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("name", ["weeks", "days", "hours", "minutes", "seconds", "jitter"])
def test_hostile_number_names_option_and_value(name: str, value: str) -> None:
    options: dict[str, object] = {"days": 5, name: HOSTILE[value]}
    with pytest.raises(AsynczError) as caught:
        load_trigger("interval", **options)
    error = caught.value
    assert isinstance(error, InvalidInputError)
    assert error.name in {name, "the interval"}
    assert error.value
