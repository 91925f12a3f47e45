"""Events as values."""

from __future__ import annotations

import copy
import pickle
import weakref
from collections.abc import Callable
from uuid import UUID

import attrs
import pytest

from asyncz import RunDetails, TaskCancelled, TaskError, TaskExecuted, TaskMissed, events

EVENTS = [
    TaskExecuted("task", [1], RunDetails(run_id=UUID(int=1), attempt=2, scheduled=3)),
    TaskError("task", ValueError("junk")),
    TaskMissed("task"),
    TaskCancelled("task"),
    events.TaskSubmitted("task"),
    events.TaskRetrying("task", ValueError("junk"), 1.5),
    events.TaskModified("task", "paused"),
    events.TaskProgress("task", 1, 2, "half"),
    events.SchedulerShutdown(),
]


@pytest.mark.parametrize("event", EVENTS)
def test_event_is_immutable(event: object) -> None:
    before = repr(event)
    for name in (*getattr(type(event), "__match_args__", ()), "anything"):
        with pytest.raises(AttributeError):
            setattr(event, name, "changed")
        with pytest.raises(AttributeError):
            delattr(event, name)
    assert repr(event) == before


@pytest.mark.parametrize(
    ("done", "total", "fraction"),
    [(1, 4, 0.25), (0, 4, 0), (5, 4, 1), (0, 0, 1), (1e308, 1e-308, 1), (3, None, None)],
)
def test_progress_fraction(done: float, total: float | None, fraction: float | None) -> None:
    assert events.TaskProgress("task", done, total).fraction == fraction


def test_executed_event_fields_and_match_args() -> None:
    details = RunDetails(run_id=UUID(int=7), attempt=2, scheduled=0, started=1, finished=3)
    event = TaskExecuted("task", "result", details)
    match event:
        case TaskExecuted(result, task_id=task_id, details=when):
            assert (task_id, result, when) == ("task", "result", details)
    assert (event.task_id, event.result, event.details) == ("task", "result", details)
    assert repr(event) == f"TaskExecuted(task_id='task', result='result', details={details!r})"
    assert TaskExecuted("task", "result").details == RunDetails()
    assert TaskExecuted("task", "result", (7, 2, 0.0, 1.0, 3.0, None)).details.duration == 2
    assert attrs.evolve(event, result="other").result == "other"
    assert attrs.asdict(event, recurse=False) == {"task_id": "task", "result": "result", "details": details}


def test_executed_event_repr_of_itself() -> None:
    result: list[object] = []
    event = TaskExecuted("task", result)
    result.append(event)
    assert repr(event).startswith("TaskExecuted(task_id='task', result=[...], details=")


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda event: pickle.loads(pickle.dumps(event))])
def test_executed_event_copy_and_pickle(
    duplicate: Callable[[TaskExecuted[list[int]]], TaskExecuted[list[int]]],
) -> None:
    event = TaskExecuted("task", [1, 2], RunDetails(run_id=UUID(int=7)))
    again = duplicate(event)
    # Two ends are two events, however alike they are.
    assert again != event
    assert repr(again) == repr(event)
    assert weakref.ref(again)() is again
