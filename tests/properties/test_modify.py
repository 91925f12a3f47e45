"""Rejected changes leave no trace."""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

from asyncz import AsyncIOExecutor, AsyncIOScheduler, InvalidInputError, Retry, UnknownAliasError
from asyncz.testing import FakeClock
from tests.helpers import payloads
from tests.helpers.effort import examples
from tests.helpers.times import EVERY_SECOND

BAD_LIMITS: dict[str, st.SearchStrategy[object]] = {
    "max_instances": st.integers(max_value=0) | st.none() | st.booleans() | st.floats() | st.text(),
    "misfire_grace_time": st.floats(max_value=-1e-9) | st.just(float("nan")) | st.booleans() | st.text(),
    "coalesce": st.none() | st.integers() | st.text(),
    "timeout": st.floats(max_value=0) | st.just(float("nan")) | st.booleans() | st.text(),
    "retry": st.integers() | st.booleans() | st.text(),
    "overlap": st.text() | st.integers() | st.booleans(),
    "executor": st.text(max_size=5) | st.integers() | st.builds(AsyncIOExecutor),
}


GOOD_LIMITS: dict[str, st.SearchStrategy[object]] = {
    "max_instances": st.integers(2, 9),
    "misfire_grace_time": st.floats(1, 9),
    "coalesce": st.just(False),
    "timeout": st.floats(1, 9),
    "retry": st.builds(Retry, attempts=st.integers(2, 9)),
    "overlap": st.sampled_from(["queue_one", "queue_all", "cancel_running"]),
    "executor": st.sampled_from(["threadpool", "debug", "processpool"]),
}


@pytest.mark.slow
@given(data=st.data(), bad=st.sampled_from(sorted(BAD_LIMITS)))
@settings(deadline=None, max_examples=examples(60))
def test_modify_one_bad_option_changes_nothing(data: st.DataObject, bad: str) -> None:
    scheduler = AsyncIOScheduler(clock=FakeClock())
    task = scheduler.add_task(payloads.add, 1, 2, trigger=EVERY_SECOND, id="job")
    good = data.draw(st.sets(st.sampled_from(sorted(GOOD_LIMITS))))
    options = {name: data.draw(GOOD_LIMITS[name]) for name in good - {bad}} | {bad: data.draw(BAD_LIMITS[bad])}
    before, limits = scheduler.state, task.limits
    with pytest.raises((InvalidInputError, UnknownAliasError)):
        scheduler.modify_task(task, **options)  # type: ignore[arg-type]  # wrong on purpose
    assert (scheduler.state, task.limits, scheduler.tasks) == (before, limits, (task,))
