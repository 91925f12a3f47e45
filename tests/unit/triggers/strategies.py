"""Hypothesis strategies for triggers and times."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from asyncz import (
    AndTrigger,
    CalendarIntervalTrigger,
    CronTrigger,
    DateTrigger,
    IntervalTrigger,
    OrTrigger,
    Trigger,
)
from tests.helpers.times import ZONES

CLOCK_CHANGES = [
    datetime(2026, 3, 29, 1, tzinfo=UTC),
    datetime(2026, 10, 25, 1, tzinfo=UTC),
    datetime(2026, 9, 6, 4, tzinfo=UTC),
    datetime(2026, 4, 4, 15, tzinfo=UTC),
    datetime(2011, 12, 30, 10, tzinfo=UTC),
]
"""Changes in Berlin, Santiago, Lord Howe, and the skipped day of Apia."""

zones = st.sampled_from(ZONES).map(ZoneInfo)
times = st.builds(
    lambda change, distance: change + distance,
    st.sampled_from(CLOCK_CHANGES),
    st.timedeltas(timedelta(days=-3), timedelta(days=3)),
)
"""Times around clock changes."""
optional_times = st.none() | times

dates = st.builds(DateTrigger, optional_times)
intervals = st.builds(
    lambda seconds, start, jitter: IntervalTrigger(seconds=seconds, start_at=start, jitter=seconds * jitter),
    seconds=st.sampled_from([601, 3600, 5400.5, 86400, 90000]),
    start=optional_times,
    jitter=st.sampled_from([0, 0, 0.3, 0.99]),
)
crons = st.builds(
    CronTrigger,
    expression=st.sampled_from(
        [
            "*/10 * * * *",
            "30 2 * * *",
            "15,45 1-3 * * *",
            "0 0 * * *",
            "0 */2 * * *",
            "0 22-2 * * FRI-SUN",
            "30 2 L-2 * *",
            "0 9 15W * ?",
            "*/30 * * * * *",
        ]
    ),
    timezone=zones,
    end_at=st.none() | st.just(datetime(2030, 1, 1, tzinfo=UTC)),
    jitter=st.sampled_from([0, 0, 50, 5000, 200_000]),
)
calendars = st.builds(
    CalendarIntervalTrigger,
    days=st.integers(1, 3),
    hour=st.sampled_from([0, 1, 2, 5]),
    minute=st.sampled_from([0, 15, 30]),
    timezone=zones,
    start_date=st.none() | st.sampled_from([date(2011, 12, 28), date(2026, 3, 1), date(2026, 9, 5)]),
    jitter=st.sampled_from([0, 0, 90, 100_000]),
)
plain: st.SearchStrategy[Trigger] = dates | intervals | crons | calendars
unjittered = plain.filter(lambda trigger: not getattr(trigger, "jitter", 0))
triggers: st.SearchStrategy[Trigger] = st.recursive(
    plain,
    lambda parts: st.builds(
        OrTrigger, st.lists(parts, min_size=1, max_size=3), jitter=st.sampled_from([0, 0, 70, 7000])
    ),
    max_leaves=4,
)
"""Triggers of all kinds, and unions of them."""
intersections = st.builds(
    AndTrigger,
    st.lists(
        st.sampled_from(
            [
                IntervalTrigger(minutes=7, start_at=datetime(2026, 1, 1, tzinfo=UTC)),
                IntervalTrigger(minutes=11, start_at=datetime(2026, 1, 1, tzinfo=UTC)),
                IntervalTrigger(hours=1, start_at=datetime(2026, 1, 1, tzinfo=UTC)),
                CronTrigger("*/3 * * * *", timezone="Europe/Berlin"),
                CronTrigger("* 1-4 * * *", timezone="Europe/Berlin"),
                CronTrigger("* * * * *") | DateTrigger(),
                CalendarIntervalTrigger(days=1, hour=2, minute=30, timezone="Europe/Berlin")
                | CronTrigger("0 * * * *", timezone="Europe/Berlin"),
            ]
        ),
        min_size=1,
        max_size=3,
    ),
    jitter=st.sampled_from([0, 0, 60, 9000]),
)
