"""Fused steps of a run agree with the readable methods that they repeat."""

from __future__ import annotations

import asyncio
import contextlib
from contextvars import Context
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings, strategies as st
from typing_extensions import override

from asyncz import DateTrigger, DebugExecutor, IntervalTrigger, TaskExecuted, TaskRemoved, TaskSubmitted
from asyncz._run_ids import NO_RUN
from asyncz.clock import SystemClock
from asyncz.events import TaskError, TaskNotification
from asyncz.exceptions import MaximumInstancesError, QueueFullError
from asyncz.limits import TaskLimits
from asyncz.protocols import Trigger
from asyncz.runs import TaskRun, this_worker
from asyncz.schedulers._backlog import DueRun
from asyncz.schedulers._chains import Chains
from asyncz.schedulers._completion import Completion
from asyncz.schedulers._counters import RunCounters, TaskHistory
from asyncz.schedulers._executor_registry import ExecutorRegistry, Registration
from asyncz.schedulers._live_run import LiveRun, RunSink
from asyncz.schedulers._parts import AnyController, SchedulerParts
from asyncz.schedulers._runtime import Runtime
from asyncz.schedulers._schedules import TriggerSchedule
from asyncz.schedulers._task_controller import TaskController
from asyncz.schedulers._task_registry import TaskRegistry
from asyncz.schedulers._task_runs import TaskRuns
from asyncz.schedulers._timer import DueTimer
from asyncz.specs import TaskSpec
from asyncz.tasks import Task
from asyncz.testing import FakeClock
from tests.helpers.payloads import do_nothing

_EXECUTOR = DebugExecutor()
NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


class _Owner:
    """Owner that records the calls of its runs."""

    def __init__(self, run_sink: RunSink, *, raises: bool = False) -> None:
        self.run_sink = run_sink
        self.task = Task(TaskSpec("task", lambda: None))
        self.calls: list[str] = []
        self.removed = False
        self._raises = raises

    def retry_run(self, run: LiveRun[None], failure: TaskError, /) -> bool:
        self.calls.append("retry")
        return False

    def record_outcome(self, outcome: TaskNotification[None], /) -> None:
        self.calls.append(f"outcome {type(outcome).__name__} {outcome.details.run_id != NO_RUN}")
        if self._raises:
            raise KeyError

    def release_run(self, run: LiveRun[None], /) -> None:
        self.calls.append(f"release {run.done}")

    def record_result(self, run: LiveRun[None], outcome: TaskExecuted[None], /) -> None:
        try:
            self.record_outcome(outcome)
        finally:
            if run.released:
                self.release_run(run)

    def refill(self) -> None: ...

    def retire_if_finished(self) -> None: ...


def _parts(runtime: Runtime) -> SchedulerParts:
    completion, tasks = Completion(runtime), TaskRegistry[AnyController](runtime)
    timer, chains = DueTimer[AnyController](runtime, tasks.registered), Chains(TaskLimits())
    return SchedulerParts(runtime, completion, ExecutorRegistry(runtime, completion), tasks, timer, chains)


class _Runs(TaskRuns[None]):
    """Runs of a task that is never refilled or removed."""

    @override
    def refill(self) -> None: ...

    @override
    def retire_if_finished(self) -> None: ...

    @override
    def release_run(self, run: LiveRun[None], /) -> None: ...

    @override
    def record_result(self, run: LiveRun[None], outcome: TaskExecuted[None], /) -> None: ...


def _registration() -> Registration:
    return Registration(
        "debug",
        _EXECUTOR,
        _EXECUTOR.start,
        _EXECUTOR.shutdown,
        lambda: _EXECUTOR.state,
        _EXECUTOR.submit,
        None,
        None,
        ready=True,
    )


def _live_run(runtime: Runtime, owner: _Owner, at: float = 1.0) -> LiveRun[None]:
    spec = TaskSpec[None]("task", do_nothing)
    return LiveRun(spec, at, None, runtime.run_clock, None, owner, _registration())


def _outcome(run: LiveRun[None], kind: str) -> TaskNotification[None]:
    match kind:
        case "executed":
            return run.executed(None)
        case "without details":
            return TaskExecuted("task", None)
        case "failed":
            return run.failed(ValueError())
        case "missed":
            return run.missed()
        case _:
            return run.cancelled()


def _values(run: TaskRun[None]) -> dict[str, object]:
    numbered = {"id", "_key"}
    return {name: getattr(run, name, "unset") for name in TaskRun.__slots__ if name not in numbered}


@given(st.floats(0, 1e9), st.booleans(), st.sampled_from([TaskLimits(), TaskLimits(timeout=1.0)]))
@settings(deadline=None)
def test_live_run_has_fields_of_task_run(at: float, has_call: bool, limits: TaskLimits) -> None:
    """`LiveRun` sets every field of `TaskRun` to the same value."""
    runtime = Runtime(SystemClock(), 5)
    spec = TaskSpec[None]("task", do_nothing, limits=limits)
    call = (lambda: None) if has_call else None
    run = LiveRun(spec, at, None, runtime.run_clock, call, _Owner(Completion(runtime)), _registration())
    plain = TaskRun(spec, at, None, runtime.now, call)
    assert _values(run) == _values(plain)
    assert run.id == run._key == plain.id - 1
    assert not run.released


@pytest.mark.parametrize("is_coroutine", [False, True])
def test_execute_agrees_with_executed(is_coroutine: bool) -> None:
    """A function that returns has the outcome that `executed` makes."""
    runtime = Runtime(FakeClock(), 5)
    spec = TaskSpec[None]("task", do_nothing if is_coroutine else lambda: None)
    run = LiveRun(spec, 1.0, Context(), runtime.run_clock, None, _Owner(Completion(runtime)), _registration())
    outcome = asyncio.run(run._execute_async_in_own_context(this_worker())) if is_coroutine else run.execute()
    assert isinstance(outcome, TaskExecuted)
    assert (outcome.task_id, outcome.details) == ("task", run.executed(None).details)


class _Submissions:
    """Executor's `submit` that rejects runs, or fails, and else accepts."""

    def __init__(self, error: Exception | None) -> None:
        self.due: list[float] = []
        self._error = error

    def __call__(self, run: TaskRun[None]) -> None:
        self.due.append(run.scheduled)
        if self._error is not None:
            raise self._error


@given(
    st.sampled_from([None, MaximumInstancesError("task", 1), QueueFullError("debug", 1), KeyError()]),
    st.booleans(),
    st.sampled_from([TaskLimits(), TaskLimits(overlap="queue_all", max_instances=2)]),
    st.integers(1, 3),
)
@settings(deadline=None)
def test_offer_agrees_with_offer_any(
    error: Exception | None, is_announced: bool, limits: TaskLimits, count: int
) -> None:
    """The path of the most frequent due run offers a run like the one of all due runs."""
    seen: list[tuple[object, ...]] = []
    for is_fused in (True, False):
        runtime, submit = Runtime(SystemClock(), 5), _Submissions(error)
        if is_announced:
            runtime.dispatcher.subscribe(TaskSubmitted, lambda _: None)
        task, context = Task(TaskSpec[None]("task", do_nothing, limits=limits)), runtime.inbox.new_context()
        runs = _Runs(_parts(runtime), task, context, _registration(), submit)
        for at in range(count):
            if is_fused:
                runs.offer_run(float(at))
            else:
                runs._offer_any(float(at), None, must_run=False)
        counts = (runs.submitted, runtime.counters.submitted, len(runtime.inbox.calls), runs.live_count)
        seen.append((*counts, runs.backlog_size, runs.snapshot(), submit.due))
    assert seen[0] == seen[1]


@given(
    st.sampled_from(["executed", "without details", "failed", "missed", "cancelled"]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
@settings(deadline=None)
def test_complete_agrees_with_complete_any(kind: str, is_released: bool, is_awaited: bool, raises: bool) -> None:
    """The path of the most frequent outcome completes a run like the one of all outcomes."""
    seen: list[tuple[object, ...]] = []
    for is_fused in (True, False):
        runtime = Runtime(SystemClock(), 5)
        owner = _Owner(Completion(runtime), raises=raises)
        run = _live_run(runtime, owner)
        outcome = _outcome(run, kind)
        shared = run.shared_outcome() if is_awaited else None
        assert run.report(outcome)
        run.released = is_released
        with contextlib.suppress(KeyError):
            if is_fused:
                run()
            else:
                run.complete_any(outcome)
        final = run.outcome
        assert final is not None
        seen.append(
            (owner.calls, run.done, type(final), final.details.run_id == run.run_id, shared and shared.is_set())
        )
    assert seen[0] == seen[1]


class _Ends:
    """A task with one-off or repeated due times, whose live runs end one after the other."""

    def __init__(self, *, repeated: bool, recent_runs: int) -> None:
        self.runtime = Runtime(SystemClock(), recent_runs, max_history=10)
        self.events: list[object] = []
        parts = _parts(self.runtime)
        self.parts, spec = parts, TaskSpec[None]("task", do_nothing, limits=TaskLimits(max_instances=9))
        trigger = IntervalTrigger(hours=1) if repeated else DateTrigger(NOW)
        schedule = TriggerSchedule(trigger, NOW)
        self.controller = TaskController[None](parts, spec, schedule, _registration(), lambda _: None, False)
        self.task = self.controller.task
        parts.tasks.add(self.controller)
        if not repeated:
            schedule.advance(NOW, coalesce=False)

    def listen(self, *, to_task: bool, to_removal: bool) -> None:
        """Subscribe to the outcomes of the scheduler, and to more."""
        self.runtime.dispatcher.subscribe(TaskExecuted, self._receive)
        if to_task:
            self.task.on_executed(lambda event: self.events.append(("task", event.details.attempt)))
        if to_removal:
            self.runtime.dispatcher.subscribe(TaskRemoved, lambda event: self.events.append(event.task_id))

    def _receive(self, event: TaskExecuted[object]) -> None:
        self.events.append(event.details.attempt)

    def end(self, run: LiveRun[None], *, is_fused: bool) -> None:
        """End a run as its call does, or step by step."""
        outcome = run.executed(None)
        assert run.report(outcome)
        if is_fused:
            run()
        else:
            run.complete_any(outcome)

    def seen(self) -> tuple[object, ...]:
        """Return all that can be told apart, without the numbers of runs."""
        controller, history = self.controller, self.runtime.history.summaries()
        state = controller.state(self.task)
        recent = [(run.outcome, run.attempt) for run in (*state.recent_runs, *history)]
        counts = (self.runtime.counters.snapshot(), state.executed, state.running, len(self.runtime.inbox.calls))
        return (
            self.events,
            recent,
            counts,
            controller.removed,
            len(self.parts.tasks.tasks()),
            self.task.last_notification,
        )


@given(
    runs=st.integers(1, 3),
    released=st.lists(st.booleans(), min_size=3, max_size=3),
    repeated=st.booleans(),
    to_task=st.booleans(),
    to_removal=st.booleans(),
    recent_runs=st.integers(0, 2),
    is_removed=st.booleans(),
    waits=st.booleans(),
)
def test_result_agrees_with_steps(
    runs: int,
    released: list[bool],
    repeated: bool,
    to_task: bool,
    to_removal: bool,
    recent_runs: int,
    is_removed: bool,
    waits: bool,
) -> None:
    """A run with a result ends in one step as it does step by step."""
    seen: list[tuple[object, ...]] = []
    for is_fused in (True, False):
        ends = _Ends(repeated=repeated, recent_runs=recent_runs)
        ends.listen(to_task=to_task, to_removal=to_removal)
        live = [ends.controller.new_run(1.0) for _ in range(runs)]
        for run in live:
            assert ends.controller.submit_run(run) is None
        if waits:
            ends.controller.enqueue(DueRun[None](2.0))
        if is_removed:
            ends.parts.tasks.remove(ends.task)
        for run, is_released in zip(live, released, strict=False):
            run.released = is_released
            ends.end(run, is_fused=is_fused)
        found = ends.seen()
        # Outcomes are compared by identity.
        seen.append((*found[:-1], type(found[-1])))
    assert seen[0] == seen[1]


@given(
    st.sampled_from([None, DateTrigger(NOW), DateTrigger(NOW + 2 * HOUR), IntervalTrigger(hours=1)]),
    st.lists(st.tuples(st.sampled_from(["advance", "restart"]), st.integers(-1, 3)), max_size=6),
)
def test_schedule_is_exhausted_after_last_due_time(trigger: Trigger | None, steps: list[tuple[str, int]]) -> None:
    """The flag agrees with its definition: a trigger, and no next due time."""
    schedule, now = TriggerSchedule(trigger, NOW), NOW
    for step, hours in steps:
        now += hours * HOUR
        if step == "restart":
            schedule.restart(now)
        elif schedule.next_due is not None and schedule.next_due <= now:
            schedule.advance(now, coalesce=True)
        assert schedule.is_exhausted == (trigger is not None and schedule.next_due is None)


def test_outcome_with_unusable_details_is_discarded() -> None:
    """A later notification can still complete the run."""
    runtime = Runtime(SystemClock(), 5)
    owner = _Owner(Completion(runtime))
    run = _live_run(runtime, owner)
    unusable = run.executed(None)
    object.__setattr__(unusable, "_details", ())
    assert run.report(unusable)
    with pytest.raises(IndexError):
        run()
    assert not run.done
    assert run.report(run.executed(None))
    run()
    assert run.done


def test_runs_start_like_history_and_counters() -> None:
    """Runs set every field of their base classes to the same value."""
    runtime = Runtime(SystemClock(), 5)
    task, context = Task(TaskSpec[None]("task", do_nothing)), runtime.inbox.new_context()
    runs = _Runs(_parts(runtime), task, context, _registration(), lambda _: None)
    for other in (RunCounters(), TaskHistory()):
        for name in type(other).__slots__ + RunCounters.__slots__:
            assert getattr(runs, name) == getattr(other, name)
