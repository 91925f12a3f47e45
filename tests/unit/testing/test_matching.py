"""Events that are compared by value in tests."""

from __future__ import annotations

from unittest.mock import ANY
from uuid import UUID

import pytest

from asyncz import AsyncIOScheduler, RunDetails, TaskCancelled, TaskError, TaskExecuted, TaskMissed, TaskModified
from asyncz.events import Event
from asyncz.testing import matches

pytestmark = pytest.mark.anyio


def half(number: int) -> float:
    if number % 2:
        raise ValueError(f"{number} is odd")
    return number / 2


async def test_recorded_events_match_values() -> None:
    recorded: list[Event] = []
    async with AsyncIOScheduler() as scheduler:
        scheduler.subscribe(TaskExecuted, recorded.append)
        scheduler.subscribe(TaskError, recorded.append)
        for number in (4, 3):
            await scheduler.call(half, number).add(trigger=None, id=f"half of {number}").run().notification()
    assert recorded == [
        matches(TaskExecuted("half of 4", 2.0)),
        matches(TaskError("half of 3", ValueError("3 is odd"))),
    ]


@pytest.mark.parametrize(
    ("event", "expected", "equal"),
    [
        (TaskExecuted("a", [1]), TaskExecuted("a", [1]), True),
        (TaskExecuted("a", [1]), TaskExecuted("a", ANY), True),
        (TaskExecuted("a", [1]), TaskExecuted("a", [2]), False),
        (TaskExecuted("a", 1), TaskExecuted("b", 1), False),
        (TaskMissed("a"), TaskCancelled("a"), False),
        (TaskError("a", ValueError("x"), traceback="..."), TaskError("a", ValueError("x")), True),
        (TaskError("a", ValueError("x")), TaskError("a", ValueError("y")), False),
        (TaskError("a", ValueError("x")), TaskError("a", Exception("x")), False),
        (TaskMissed("a", details=RunDetails(UUID(int=3))), TaskMissed("a"), True),
        (TaskMissed("a", details=RunDetails(UUID(int=3))), TaskMissed("a", details=RunDetails(UUID(int=4))), False),
        (TaskExecuted("a", 1, RunDetails(UUID(int=3))), TaskExecuted("a", 1, RunDetails(UUID(int=3))), True),
        (TaskExecuted("a", 1, RunDetails(UUID(int=3))), TaskExecuted("a", 1, RunDetails(UUID(int=4))), False),
        (TaskModified("a", "paused", fields=("paused",)), TaskModified("a", "paused"), True),
    ],
)
def test_matcher_compares_given_values(event: Event, expected: Event, equal: bool) -> None:
    assert (event == matches(expected), matches(expected) == event) == (equal, equal)


def test_matcher_shows_its_event() -> None:
    assert repr(matches(TaskMissed("a"))) == f"matches({TaskMissed('a')!r})"
    assert matches(TaskMissed("a")) != "a"
