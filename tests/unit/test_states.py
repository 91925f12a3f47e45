"""States as values."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from asyncz import ExecutorState, IllegalTransitionError, InstanceCount, SchedulerState, TaskState


@pytest.mark.parametrize("state", [ExecutorState, TaskState, SchedulerState])
def test_states_are_pydantic_models(state: type[object]) -> None:
    assert issubclass(state, BaseModel)


def test_state_counts_must_agree() -> None:
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


def test_illegal_transition_rejected() -> None:
    state = ExecutorState(alias="x").evolve("starting").evolve("running")
    with pytest.raises(IllegalTransitionError, match="cannot become created"):
        state.evolve("created")
    with pytest.raises(ValidationError):
        state.status = "stopped"  # type: ignore[misc]  # wrong on purpose
