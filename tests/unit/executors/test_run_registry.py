"""The registry of runs against a model, in every order of calls."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from asyncz import TaskLimits, TaskRun, TaskSpec
from asyncz.executors._run_registry import RunRecord, RunRegistry, RunState
from tests.helpers.effort import examples

SPECS = [TaskSpec(f"task-{number}", int, limits=TaskLimits(max_instances=1000)) for number in range(3)]


class RegistryMachine(RuleBasedStateMachine):
    """Each run with the state it should have; runs that are removed are not in the model."""

    def __init__(self) -> None:
        super().__init__()
        self.registry = RunRegistry()
        self.runs: dict[int, tuple[TaskRun[int], RunState]] = {}
        # Remaining steps of the caller: report an abandoned run, or remove a run that is done.
        self.reporting: set[int] = set()
        self.seen: list[int] = [0]

    def _record(self, run_id: int) -> RunRecord[object] | None:
        return self.registry.get(run_id)

    @rule(spec=st.sampled_from(SPECS), queued=st.booleans())
    def add(self, spec: TaskSpec[int], queued: bool) -> None:
        run = TaskRun(spec)
        self.registry.admit(run, queued, "alias", None)
        self.runs[run.id] = (run, RunState.QUEUED if queued else RunState.RUNNING)
        self.seen.append(run.id)

    @rule(data=st.data())
    def claim(self, data: st.DataObject) -> None:
        run_id = data.draw(st.sampled_from(self.seen))
        run, state = self.runs.get(run_id, (None, RunState.DONE))
        assert self.registry.claim(run_id) == (state is not RunState.DONE)
        if run is not None and state is RunState.QUEUED:
            self.runs[run_id] = (run, RunState.RUNNING)

    @rule(data=st.data())
    def cancel_queued(self, data: st.DataObject) -> None:
        run_id = data.draw(st.sampled_from(self.seen))
        run, state = self.runs.get(run_id, (None, RunState.DONE))
        assert self.registry.cancel_queued(run_id) == (state is RunState.QUEUED)
        if run is not None and state is RunState.QUEUED:
            self.runs[run_id] = (run, RunState.DONE)

    @rule(data=st.data())
    def abandon(self, data: st.DataObject) -> None:
        run_id = data.draw(st.sampled_from(self.seen))
        run, state = self.runs.get(run_id, (None, RunState.DONE))
        previous = self.registry.abandon(run_id)
        if run is None or state in {RunState.DONE, RunState.ABANDONED}:
            assert previous is None
            return
        assert previous is state
        if state is RunState.QUEUED:
            self.runs[run_id] = (run, RunState.DONE)
        else:
            self.runs[run_id] = (run, RunState.ABANDONED)
            self.reporting.add(run_id)

    @rule(data=st.data())
    def report_abandoned(self, data: st.DataObject) -> None:
        if not self.reporting:
            return
        run_id = data.draw(st.sampled_from(sorted(self.reporting)))
        self.reporting.remove(run_id)
        release = self.registry.reported(run_id)
        assert release == (self.runs[run_id][1] is RunState.DONE)

    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        run_id = data.draw(st.sampled_from(self.seen))
        run, state = self.runs.get(run_id, (None, RunState.DONE))
        record = self._record(run_id)
        assert (record is None) == (run is None)
        if run is None or record is None:
            return
        previous = self.registry.finish(record)
        if state is RunState.DONE:
            assert previous is None
        elif run_id in self.reporting:
            assert previous is RunState.DONE
        else:
            assert previous is state
        self.runs[run_id] = (run, RunState.DONE)

    @rule(data=st.data())
    def finish_usual(self, data: st.DataObject) -> None:
        run_id = data.draw(st.sampled_from(self.seen))
        run, state = self.runs.get(run_id, (None, RunState.DONE))
        record = self.registry.finish_usual(run_id)
        if run is None or record is None:
            # A run that was queued, even if it was claimed without the registry.
            assert record is None
            assert state is not RunState.RUNNING
            return
        assert state is RunState.RUNNING
        assert record is self._record(run_id)
        self.runs[run_id] = (run, RunState.DONE)

    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        done = [
            run_id
            for run_id, (_, state) in self.runs.items()
            if state is RunState.DONE and run_id not in self.reporting
        ]
        if done:
            run_id = data.draw(st.sampled_from(done))
            self.registry.pop(run_id, None)
            del self.runs[run_id]

    @invariant()
    def counts_agree(self) -> None:
        states = Counter(state for _, state in self.runs.values())
        counts = self.registry.counts()
        assert (counts.queued, counts.abandoned) == (states[RunState.QUEUED], states[RunState.ABANDONED])
        expected = Counter(run.task_id for run, state in self.runs.values() if state is not RunState.DONE)
        assert counts.instances == dict(expected)
        assert len(self.registry) == len(self.runs)
        for state in RunState:
            assert len(self.registry.all(state)) == states[state]

    @invariant()
    def drained_agrees(self) -> None:
        only_abandoned = all(state is RunState.ABANDONED for _, state in self.runs.values())
        assert self.registry.is_drained == (only_abandoned and not self.reporting)


@pytest.mark.slow
def test_registry_agrees_with_model() -> None:
    run_state_machine_as_test(
        RegistryMachine, settings=settings(max_examples=examples(60), stateful_step_count=30, deadline=None)
    )


@pytest.mark.parametrize("state", [RunState.QUEUED, RunState.RUNNING])
def test_interrupt_applies_to_running_runs_once(state: RunState) -> None:
    registry, run = RunRegistry(), TaskRun(SPECS[0])
    registry.admit(run, state is RunState.QUEUED, "alias", None)
    assert registry.interrupt(run.id, run.cancelled) == (state is RunState.RUNNING)
    assert not registry.interrupt(run.id, run.cancelled)


def test_records_of_one_state_leave_out_others() -> None:
    registry, (queued, running) = RunRegistry(), [TaskRun(SPECS[0]) for _ in range(2)]
    registry.admit(queued, True, "alias", None)
    registry.admit(running, False, "alias", None)
    assert [record.run_id for record in registry.all(RunState.QUEUED)] == [queued.id]
    assert [record.run_id for record in registry.all(RunState.RUNNING)] == [running.id]
    assert registry.claim(queued.id)
    assert [record.run_id for record in registry.all(RunState.RUNNING)] == [queued.id, running.id]
