"""States, errors and events as values."""

from __future__ import annotations

import copy
import inspect
import pickle
import weakref
from collections.abc import Callable

import attrs
import pytest
from pydantic import ValidationError

from asyncz import (
    AsynczError,
    ConfigurationProblem,
    ExecutorState,
    IllegalTransitionError,
    InstanceCount,
    RunDetails,
    SchedulerState,
    TaskCancelled,
    TaskError,
    TaskExecuted,
    TaskMissed,
    TaskState,
    events,
    exceptions,
)

ERRORS = [value for value in vars(exceptions).values() if inspect.isclass(value) and issubclass(value, AsynczError)]


@pytest.mark.parametrize("error_class", ERRORS)
def test_errors_survive_pickling(error_class: type[AsynczError]) -> None:
    values: dict[str, object] = {
        "max_instances": 2,
        "max_queue": 2,
        "timeout": 1.5,
        "hang_timeout": 1.5,
        "known": ("a",),
        "task_ids": ("a",) * 7,
        "problems": (ConfigurationProblem(("tasks", "a b", 0), "it is wrong", "3", ("1",), "1", "a.toml", 7),) * 2,
    }
    parameters = inspect.signature(error_class.__init__).parameters.values()
    names = [each.name for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD and each.name != "self"]
    error = error_class(*(values.get(name, "text") for name in names))
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))


EVENTS = [
    TaskExecuted("task", [1], RunDetails(run_id=1, attempt=2, scheduled=3)),
    TaskError("task", ValueError("junk")),
    TaskMissed("task"),
    TaskCancelled("task"),
    events.TaskSubmitted("task"),
    events.TaskRetrying("task", ValueError("junk"), 1.5),
    events.TaskModified("task", "paused"),
    events.SchedulerShutdown(),
]


@pytest.mark.parametrize("event", EVENTS)
def test_an_event_cannot_be_changed(event: object) -> None:
    before = repr(event)
    for name in (*getattr(type(event), "__match_args__", ()), "anything"):
        with pytest.raises(AttributeError):
            setattr(event, name, "changed")
        with pytest.raises(AttributeError):
            delattr(event, name)
    assert repr(event) == before


def test_what_tells_a_result_is_read_by_its_names_and_its_places() -> None:
    details = RunDetails(run_id=7, attempt=2, scheduled=0, started=1, finished=3)
    event = TaskExecuted("task", "result", details)
    match event:
        case TaskExecuted(task_id, result, when):
            assert (task_id, result, when) == ("task", "result", details)
    assert (event.task_id, event.result, event.details) == ("task", "result", details)
    assert repr(event) == f"TaskExecuted(task_id='task', result='result', details={details!r})"
    assert TaskExecuted("task", "result").details == RunDetails()
    assert TaskExecuted("task", "result", (7, 2, 0.0, 1.0, 3.0, None)).details.duration == 2
    assert attrs.evolve(event, result="other").result == "other"
    assert attrs.asdict(event, recurse=False) == {"task_id": "task", "result": "result", "details": details}


def test_a_result_that_holds_its_own_event_can_be_shown() -> None:
    result: list[object] = []
    event = TaskExecuted("task", result)
    result.append(event)
    assert repr(event).startswith("TaskExecuted(task_id='task', result=[...], details=")


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda event: pickle.loads(pickle.dumps(event))])
def test_what_tells_a_result_survives_copying_and_pickling(
    duplicate: Callable[[TaskExecuted[list[int]]], TaskExecuted[list[int]]],
) -> None:
    event = TaskExecuted("task", [1, 2], RunDetails(run_id=7))
    again = duplicate(event)
    # Two ends are two events, however alike they are.
    assert again != event
    assert repr(again) == repr(event)
    assert weakref.ref(again)() is again


def test_counts_of_a_state_have_to_agree() -> None:
    one = InstanceCount(task_id="a", running=1)
    with pytest.raises(ValidationError, match="add up to 1"):
        ExecutorState(alias="x", running=2, instances=(one,))
    with pytest.raises(ValidationError, match="counted twice"):
        ExecutorState(alias="x", running=2, instances=(one, one))
    with pytest.raises(ValidationError, match="more than running"):
        ExecutorState(alias="x", queued=1)
    with pytest.raises(ValidationError):
        ExecutorState(alias="x", running=-1)
    with pytest.raises(ValidationError):
        ExecutorState.model_validate({"alias": "x", "status": "asleep"})
    with pytest.raises(ValidationError, match="were submitted"):
        TaskState(task_id="a", function="f", executor="x", executed=1)
    with pytest.raises(ValidationError, match="were submitted"):
        SchedulerState(executed=1)


def test_an_illegal_transition_is_rejected() -> None:
    state = ExecutorState(alias="x").evolve("starting").evolve("running")
    with pytest.raises(IllegalTransitionError, match="cannot become created"):
        state.evolve("created")
    with pytest.raises(ValidationError):
        state.status = "stopped"  # type: ignore[misc]  # wrong on purpose
