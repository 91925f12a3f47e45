"""States as values."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest
from pydantic import BaseModel, ValidationError

from asyncz import ExecutorState, IllegalTransitionError, InstanceCount, SchedulerState, TaskState, states
from asyncz.states import RunProgress, RunSummary, Snapshot


@pytest.mark.parametrize("state", [ExecutorState, TaskState, SchedulerState])
def test_states_are_pydantic_models(state: type[object]) -> None:
    assert issubclass(state, BaseModel)


def test_state_counts_must_agree() -> None:
    one = InstanceCount(task_id="a", running=1)
    with pytest.raises(ValidationError, match="add up to 1"):
        ExecutorState(alias="x", running=2, instances=(one,))
    with pytest.raises(ValidationError, match="a task twice"):
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


def test_illegal_transition_rejected() -> None:
    state = ExecutorState(alias="x").evolve("starting").evolve("running")
    with pytest.raises(IllegalTransitionError, match="cannot become created"):
        state.evolve("created")
    with pytest.raises(ValidationError):
        state.status = "stopped"  # type: ignore[misc]  # wrong on purpose


def _with_error(error: str) -> SchedulerState:
    run = RunSummary(task_id="task", run_id=UUID(int=1), outcome="error" if error else "executed", error=error)
    task = TaskState(task_id="t", function="m:f", executor="asyncio", submitted=1, recent_runs=(run,))
    return SchedulerState(tasks=(task,))


def _fail_to_redact(text: str) -> str:
    raise ValueError(text)


@pytest.mark.parametrize(
    ("redact", "expected"),
    [
        (None, "OperationalError"),
        (lambda text: text.replace("hunter2", "***"), "OperationalError: password=*** refused"),
        (_fail_to_redact, "OperationalError"),
    ],
)
def test_redacted_state_hides_secrets(redact: Callable[[str], str] | None, expected: str) -> None:
    """Texts of exceptions may contain passwords."""
    state = _with_error("OperationalError: password=hunter2 refused")
    redacted = state.redacted(redact)
    assert redacted.tasks[0].recent_runs[0].error == expected
    assert "hunter2" not in redacted.model_dump_json()
    # The original is unchanged, and everything else is equal.
    assert "hunter2" in state.model_dump_json()
    assert _with_error("").redacted(_fail_to_redact) == _with_error("")


def test_state_with_lone_surrogates_becomes_json() -> None:
    """File names in ids and texts of exceptions may have them."""
    run = RunSummary(task_id="task", run_id=UUID(int=1), outcome="error", error="OSError: caf\udce9")
    progress = RunProgress(run_id=UUID(int=2), done=1.0, message="caf\udce8")
    task = TaskState(
        task_id="\ud800", function="m:f", executor="x", submitted=2, errors=1, recent_runs=(run,), progress=progress
    )
    executor = ExecutorState(alias="x", running=1, instances=(InstanceCount(task_id="\ud800", running=1),))
    state = SchedulerState(tasks=(task,), executors=(executor,))
    assert "caf\\\\udce9" in state.model_dump_json()
    assert "caf\\\\udce8" in state.model_dump_json()
    loaded = SchedulerState.model_validate_json(state.model_dump_json())
    assert loaded.tasks[0].task_id == "\\ud800"
    assert state.tasks[0].task_id == "\ud800"


@pytest.mark.parametrize("model", [each for each in vars(states).values() if isinstance(each, type)])
def test_every_text_of_a_state_becomes_json(model: type[object]) -> None:
    """Names, ids and texts may have lone surrogates, in whatever field."""
    if issubclass(model, Snapshot):
        state, texts = model.model_construct(), set[str]()
        for name, field in model.model_fields.items():
            if field.annotation is str:
                texts.add(name)
                vars(state)[name] = "\ud800"
        assert state.model_dump_json(include=texts)
