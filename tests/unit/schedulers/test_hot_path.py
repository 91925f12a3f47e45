"""The path of the most frequent runs agrees with the methods that it repeats."""

from __future__ import annotations

import asyncio
from contextvars import Context
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings, strategies as st

from asyncz import (
    DateTrigger,
    DebugExecutor,
    IntervalTrigger,
    Retry,
    TaskCancelled,
    TaskError,
    TaskExecuted,
    TaskMissed,
    TaskRemoved,
    TaskSubmitted,
)
from asyncz._run_ids import NO_RUN
from asyncz.clock import SystemClock
from asyncz.events import TaskNotification
from asyncz.exceptions import MaximumInstancesError, QueueFullError
from asyncz.limits import TaskLimits
from asyncz.protocols import Trigger
from asyncz.runs import TaskRun, this_worker
from asyncz.schedulers._backlog import DueRun
from asyncz.schedulers._chains import Chains
from asyncz.schedulers._completion import Completion
from asyncz.schedulers._executor_registry import ExecutorRegistry, Registration
from asyncz.schedulers._hot_path import HotCompletion, HotController, HotRun
from asyncz.schedulers._live_run import LiveRun, RunSink
from asyncz.schedulers._parts import AnyController, SchedulerParts
from asyncz.schedulers._runtime import Runtime
from asyncz.schedulers._schedules import TriggerSchedule
from asyncz.schedulers._task_controller import TaskController
from asyncz.schedulers._task_registry import TaskRegistry
from asyncz.schedulers._timer import DueTimer
from asyncz.specs import TaskSpec
from asyncz.tasks import NotificationStream, Task
from asyncz.testing import FakeClock
from tests.helpers.payloads import do_nothing

_EXECUTOR = DebugExecutor()
_SEVERAL = TaskLimits(max_instances=9)
_LATE = TaskLimits(misfire_grace_time=1)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


class _Owner:
    """Owner of a run that nothing happens to."""

    def __init__(self, run_sink: RunSink) -> None:
        self.run_sink = run_sink
        self.task = Task(TaskSpec("task", lambda: None))
        self.removed = False

    def retry_run(self, run: LiveRun[None], failure: TaskError, /) -> bool:
        raise NotImplementedError

    def record_outcome(self, outcome: TaskNotification[None], /) -> None: ...

    def release_run(self, run: LiveRun[None], /) -> None: ...

    def refill(self) -> None: ...

    def retire_if_finished(self) -> None: ...


def _parts(runtime: Runtime, completion: Completion) -> SchedulerParts:
    tasks = TaskRegistry[AnyController](runtime)
    timer, chains = DueTimer[AnyController](runtime, tasks.registered), Chains(TaskLimits())
    return SchedulerParts(runtime, completion, ExecutorRegistry(runtime, completion), tasks, timer, chains)


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


def _live_run(runtime: Runtime) -> LiveRun[None]:
    spec = TaskSpec[None]("task", do_nothing)
    return LiveRun(spec, 1.0, None, runtime.run_clock, None, _Owner(Completion(runtime)), _registration())


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
def test_runs_have_fields_of_task_run(at: float, has_call: bool, limits: TaskLimits) -> None:
    """Both runs of a scheduler set every field of `TaskRun` to the same value, and those of their own."""
    runtime = Runtime(SystemClock(), 5)
    spec = TaskSpec[None]("task", do_nothing, limits=limits)
    call = (lambda: None) if has_call else None
    registration, task = _registration(), _Task(is_hot=True, repeated=False)
    owner, controller = _Owner(Completion(runtime)), task.controller
    assert isinstance(controller, HotController)
    run = LiveRun(spec, at, None, runtime.run_clock, call, owner, registration)
    hot = HotRun(spec, at, None, runtime.run_clock, call, controller, registration)
    plain = TaskRun(spec, at, None, runtime.now, call)
    assert _values(run) == _values(hot) == _values(plain)
    assert run.id == run._key == plain.id - 2
    assert hot.id == hot._key == plain.id - 1
    assert (run.owner, hot.owner, hot.controller) == (owner, controller, controller)
    assert run.registration is hot.registration is registration
    assert not run.released
    assert not hot.released


@pytest.mark.parametrize("is_coroutine", [False, True])
def test_execute_agrees_with_executed(is_coroutine: bool) -> None:
    """A function that returns has the outcome that `executed` makes."""
    runtime = Runtime(FakeClock(), 5)
    spec = TaskSpec[None]("task", do_nothing if is_coroutine else lambda: None)
    run = LiveRun(spec, 1.0, Context(), runtime.run_clock, None, _Owner(Completion(runtime)), _registration())
    outcome = asyncio.run(run._execute_async_in_own_context(this_worker())) if is_coroutine else run.execute()
    assert isinstance(outcome, TaskExecuted)
    assert (outcome.task_id, outcome.details) == ("task", run.executed(None).details)


class _Task:
    """A task with one-off or repeated due times, whose executor keeps the runs, or rejects them."""

    def __init__(
        self,
        *,
        is_hot: bool,
        repeated: bool,
        recent_runs: int = 5,
        limits: TaskLimits = _SEVERAL,
        error: Exception | None = None,
    ) -> None:
        self.runtime = runtime = Runtime(FakeClock(), recent_runs, max_history=10)
        self.completion = (HotCompletion if is_hot else Completion)(runtime)
        self.events: list[object] = []
        self.submitted: list[LiveRun[None]] = []
        self.stream: NotificationStream[None] | None = None
        self.parts, self._error = _parts(runtime, self.completion), error
        trigger = IntervalTrigger(hours=1) if repeated else DateTrigger(NOW)
        schedule = TriggerSchedule(trigger, NOW)
        make = HotController[None] if is_hot else TaskController[None]
        spec = TaskSpec[None]("task", do_nothing, limits=limits)
        self.controller: TaskController[None] = make(self.parts, spec, schedule, _registration(), self._submit, False)
        self.task = self.controller.task
        self.parts.tasks.add(self.controller)
        if not repeated:
            schedule.advance(NOW, coalesce=False)

    def _submit(self, run: TaskRun[None]) -> None:
        assert isinstance(run, LiveRun)
        self.submitted.append(run)
        if self._error is not None:
            raise self._error

    def listen(self, *, to_submissions: bool, to_task: bool, to_removal: bool, raises: bool) -> None:
        """Subscribe to the outcomes of the scheduler, and to more."""
        dispatcher = self.runtime.dispatcher
        for outcome in (TaskExecuted, TaskError, TaskMissed, TaskCancelled):
            dispatcher.subscribe(outcome, lambda event: self._receive(event, raises=raises))
        if to_submissions:
            dispatcher.subscribe(TaskSubmitted, lambda event: self.events.append(("submitted", event.task_id)))
        if to_task:
            self.task.on_executed(lambda event: self.events.append(("task", event.details.attempt)))
            self.stream = NotificationStream(self.task)
        if to_removal:
            dispatcher.subscribe(TaskRemoved, lambda event: self.events.append(event.task_id))

    def _receive(self, event: TaskNotification[object], *, raises: bool) -> None:
        self.events.append((type(event), event.details.attempt, event.details.run_id != NO_RUN))
        if raises:
            raise KeyError

    def end(self, run: LiveRun[None], kind: str, *, at_once: bool) -> None:
        """Report the outcome of a run, and that its work is over, either together or later."""
        if at_once:
            self.completion.finished(run, _outcome(run, kind))
        else:
            self.completion.notify(run, _outcome(run, kind))
            self.runtime.inbox.drain()
            self.completion.released(run)

    def seen(self) -> tuple[object, ...]:
        """Return all that can be told apart, without the numbers of runs."""
        controller, history = self.controller, self.runtime.history.summaries()
        state, last = controller.state(self.task), self.task.last_notification
        return (
            self.events,
            [(run.outcome, run.attempt) for run in (*state.recent_runs, *history)],
            (self.runtime.counters.snapshot(), controller.snapshot(), state.running, state.backlog, state.retrying),
            [(run.scheduled, run.done, type(run.outcome), run.released) for run in self.submitted],
            (
                self.stream and self.stream._closed,
                controller.removed,
                len(self.parts.tasks.tasks()),
                type(last),
                len(self.runtime.inbox),
            ),
        )


_KINDS = ("executed", "without details", "failed", "missed", "cancelled")


@given(
    error=st.sampled_from([None, MaximumInstancesError("task", 1), QueueFullError("debug", 1), KeyError()]),
    is_announced=st.booleans(),
    limits=st.sampled_from([TaskLimits(), TaskLimits(overlap="queue_all", max_instances=2), _LATE]),
    count=st.integers(1, 3),
)
@example(None, False, _LATE, 2)
@example(None, False, _SEVERAL, 2)
@settings(deadline=None)
def test_hot_offer_agrees(error: Exception | None, is_announced: bool, limits: TaskLimits, count: int) -> None:
    """A due run is submitted, rejected and counted alike."""
    seen: list[tuple[object, ...]] = []
    for is_hot in (True, False):
        task = _Task(is_hot=is_hot, repeated=True, limits=limits, error=error)
        task.listen(to_submissions=is_announced, to_task=False, to_removal=False, raises=False)
        for at in range(count):
            task.controller.offer_run(float(at))
        waiting = len(task.runtime.inbox)
        task.runtime.inbox.drain()
        seen.append((waiting, *task.seen()))
    assert seen[0] == seen[1]


@given(
    ends=st.lists(st.tuples(st.sampled_from(_KINDS), st.booleans()), min_size=1, max_size=3),
    repeated=st.booleans(),
    to_submissions=st.booleans(),
    to_task=st.booleans(),
    to_removal=st.booleans(),
    raises=st.booleans(),
    recent_runs=st.integers(0, 2),
    retries=st.integers(0, 1),
    is_removed=st.booleans(),
    is_awaited=st.booleans(),
    waits=st.booleans(),
    at_a_time=st.booleans(),
)
@example([("executed", True)], False, False, False, False, False, 2, 0, False, False, False, False)
@example([("executed", True)], False, False, True, True, False, 2, 0, False, False, False, False)
@example([("executed", True)] * 2, False, False, False, False, False, 2, 0, False, False, False, False)
@example([("executed", True)] * 2, True, False, False, False, False, 2, 0, False, False, False, True)
@settings(deadline=None)
def test_hot_run_agrees(
    ends: list[tuple[str, bool]],
    repeated: bool,
    to_submissions: bool,
    to_task: bool,
    to_removal: bool,
    raises: bool,
    recent_runs: int,
    retries: int,
    is_removed: bool,
    is_awaited: bool,
    waits: bool,
    at_a_time: bool,
) -> None:
    """Runs are completed, counted, announced and forgotten alike, whatever their outcomes are."""
    seen: list[tuple[object, ...]] = []
    for is_hot in (True, False):
        limits = TaskLimits(max_instances=9, retry=Retry(attempts=retries + 1, delay=3600) if retries else None)
        task = _Task(is_hot=is_hot, repeated=repeated, recent_runs=recent_runs, limits=limits)
        task.listen(to_submissions=to_submissions, to_task=to_task, to_removal=to_removal, raises=raises)
        for at in range(len(ends)):
            task.controller.offer_run(float(at))
        task.runtime.inbox.drain()
        live = tuple(task.submitted)
        assert {type(run) for run in live} == ({LiveRun} if to_submissions or not is_hot else {HotRun})
        shared = live[0].shared_outcome() if is_awaited else None
        if waits:
            task.controller.enqueue(DueRun[None](2.0))
        if is_removed:
            task.parts.tasks.remove(task.task)
        for run, (kind, at_once) in zip(live, ends, strict=True):
            task.end(run, kind, at_once=at_once)
            if at_a_time:
                task.runtime.inbox.drain()
        task.runtime.inbox.drain()
        seen.append((shared and shared.is_set(), *task.seen()))
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


@pytest.mark.parametrize("is_hot", [False, True])
def test_outcome_with_unusable_details_is_discarded(is_hot: bool) -> None:
    """A later notification can still complete the run."""
    task = _Task(is_hot=is_hot, repeated=False)
    task.controller.offer_run(1.0)
    (run,) = task.submitted
    unusable = run.executed(None)
    object.__setattr__(unusable, "_details", ())
    assert run.report(unusable)
    with pytest.raises(IndexError):
        run()
    assert not run.done
    assert run.report(run.executed(None))
    run()
    assert run.done
