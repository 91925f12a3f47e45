"""A state machine of scheduler operations: each submitted run ends once."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Never, Protocol, get_args
from uuid import UUID

import attrs
import pytest
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from typing_extensions import override

from asyncz import (
    AsyncIOExecutor,
    AsyncIOScheduler,
    DebugExecutor,
    IntervalTrigger,
    MaximumInstancesError,
    OverlapPolicy,
    ProcessPoolExecutor,
    Retry,
    Task,
    TaskCancelled,
    TaskError,
    TaskExecuted,
    TaskMaxInstances,
    TaskMissed,
    TaskNotification,
    TaskRetrying,
    TaskSubmitted,
    ThreadPoolExecutor,
    UniversalExecutor,
    WorkerLostError,
)
from asyncz.testing import FakeClock
from tests.helpers import effort
from tests.helpers.generics import ResultT

pytestmark = pytest.mark.slow

PATIENCE = 60.0


def succeed(_: str) -> str:
    return "done"


def fail(_: str) -> str:
    raise OSError("on purpose")


def wait_for_gate(gate: str) -> str:
    deadline = time.monotonic() + PATIENCE
    while not Path(gate).exists():
        assert time.monotonic() < deadline
        time.sleep(0.001)
    return "passed"


class Adder(Protocol):
    """`add_task` with all its options given."""

    def __call__(
        self, fn: Callable[[str], str] | Callable[[str], Coroutine[object, Never, str]], gate: str, /
    ) -> Task[str]: ...


@attrs.define(eq=False)
class Modelled:
    """Model of a task, computed without the scheduler."""

    task: Task[str]
    period: int | None
    coalesce: bool
    anchor: float
    paused: bool = False
    removed: bool = False
    reckoned_until: float = 0.0
    expected: set[float] = attrs.field(factory=set[float])
    held_back: list[float] = attrs.field(factory=list[float])

    def due_between(self, after: float, until: float) -> list[float]:
        """The due times of its interval, computed here and not by a trigger."""
        if self.period is None:
            return []
        first = int((after - self.anchor) // self.period) + 1
        last = int((until - self.anchor) // self.period)
        return [self.anchor + number * self.period for number in range(max(first, 1), last + 1)]


class SchedulerMachine(RuleBasedStateMachine):
    """Operations of a user and faults, for a scheduler with one executor."""

    kills_workers = False

    def make_executor(self) -> UniversalExecutor:
        raise NotImplementedError

    def add_blocking_task(self, add: Adder) -> Task[str]:
        """Add a task whose runs end when the gate opens, unless the executor runs them inline."""
        return add(wait_for_gate, self.gate)

    tasks: Bundle[Modelled] = Bundle("tasks")

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.gates = 0
        self.runner = asyncio.Runner()
        self.clock = FakeClock()
        self.executor = self.make_executor()
        self.scheduler = AsyncIOScheduler(executors={"under_test": self.executor}, clock=self.clock)
        self.submitted: Counter[UUID] = Counter()
        self.ended: Counter[UUID] = Counter()
        self.kinds: Counter[type] = Counter()
        self.out_of_order: list[UUID] = []
        self.handled: dict[str, list[float]] = {}
        self.retried = 0
        self.manual: set[UUID] = set()
        self.modelled: list[Modelled] = []
        self.held = False
        self.scheduler.subscribe(TaskSubmitted, self.on_submitted)
        self.scheduler.subscribe(TaskMaxInstances, self.on_rejected)
        self.scheduler.subscribe(TaskRetrying, self.on_retrying)
        self.scheduler.subscribe(TaskExecuted, self.on_end)
        self.scheduler.subscribe(TaskError, self.on_end)
        self.scheduler.subscribe(TaskMissed, self.on_end)
        self.scheduler.subscribe(TaskCancelled, self.on_end)
        self.wait_for(self.scheduler.start())

    # Listeners

    def on_submitted(self, event: TaskSubmitted) -> None:
        self.submitted[event.details.run_id] += 1
        if event.details.run_id not in self.manual:
            self.handled.setdefault(event.task_id, []).append(event.details.scheduled or 0)

    def on_rejected(self, event: TaskMaxInstances) -> None:
        self.handled.setdefault(event.task_id, []).append(event.details.scheduled or 0)

    def on_retrying(self, event: TaskRetrying) -> None:
        self.retried += 1
        if event.details.run_id not in self.submitted or event.details.run_id in self.ended:
            self.out_of_order.append(event.details.run_id)

    def on_end(self, notification: TaskNotification[object]) -> None:
        run_id = notification.details.run_id
        if run_id not in self.submitted:
            self.out_of_order.append(run_id)
        self.ended[run_id] += 1
        self.kinds[type(notification)] += 1

    # Operations

    def wait_for(self, work: Coroutine[object, Never, ResultT]) -> ResultT:
        async def bounded() -> ResultT:
            async with asyncio.timeout(PATIENCE):
                result = await work
                # Events so far have to arrive first; later events arrive at the next step.
                while self.scheduler._parts.runtime.inbox:
                    await asyncio.sleep(0)
                self.reckon()
                self.check()
                return result

        return self.runner.run(bounded())

    @property
    def gate(self) -> str:
        return str(self.folder / str(self.gates))

    @rule(
        target=tasks,
        what=st.sampled_from(["succeed", "fail", "block"]),
        period=st.none() | st.integers(1, 7),
        max_instances=st.integers(1, 3),
        coalesce=st.booleans(),
        overlap=st.none() | st.sampled_from(get_args(OverlapPolicy)),
        attempts=st.integers(1, 3),
        paused=st.booleans(),
    )
    def add(
        self,
        what: str,
        period: int | None,
        max_instances: int,
        coalesce: bool,
        overlap: OverlapPolicy | None,
        attempts: int,
        paused: bool,
    ) -> Modelled:
        async def add() -> Task[str]:
            options = partial(
                self.scheduler.add_task,
                trigger=None if period is None else IntervalTrigger(seconds=period),
                executor="under_test",
                max_instances=max_instances,
                coalesce=coalesce,
                overlap=overlap,
                retry=Retry(attempts=attempts, delay=1, on=(OSError, WorkerLostError)),
                paused=paused,
            )
            if what == "block":
                return self.add_blocking_task(options)
            return options(succeed if what == "succeed" else fail, self.gate)

        task = self.wait_for(add())
        modelled = Modelled(task, period, coalesce, self.clock.now(), paused, reckoned_until=self.clock.now())
        self.modelled.append(modelled)
        return modelled

    @rule(modelled=consumes(tasks))
    def remove(self, modelled: Modelled) -> None:
        async def remove() -> None:
            self.scheduler.remove_task(modelled.task)
            modelled.removed = True

        self.wait_for(remove())

    @rule(target=tasks, modelled=consumes(tasks), paused=st.booleans())
    def pause_or_resume_task(self, modelled: Modelled, paused: bool) -> Modelled:
        async def change() -> None:
            self.reckon()
            modelled.paused = paused
            (self.scheduler.pause_task if paused else self.scheduler.resume_task)(modelled.task)
            await self.clock.advance()

        self.wait_for(change())
        return modelled

    @rule(modelled=tasks, max_instances=st.integers(1, 4), attempts=st.integers(1, 3))
    def modify(self, modelled: Modelled, max_instances: int, attempts: int) -> None:
        async def change() -> None:
            retry = Retry(attempts=attempts, delay=1, on=(OSError, WorkerLostError))
            modelled.task.modify(max_instances=max_instances, retry=retry)
            await self.clock.advance()

        self.wait_for(change())

    @rule(modelled=tasks, own=st.booleans())
    def move(self, modelled: Modelled, own: bool) -> None:
        async def change() -> None:
            modelled.task.modify(executor="under_test" if own else "asyncio")
            await self.clock.advance()

        self.wait_for(change())

    @rule(modelled=tasks, period=st.none() | st.integers(1, 7))
    def reschedule(self, modelled: Modelled, period: int | None) -> None:
        async def change() -> None:
            self.reckon()
            modelled.task.reschedule(None if period is None else IntervalTrigger(seconds=period))
            modelled.period, modelled.anchor = period, self.clock.now()
            # Runs that were due by the old trigger, and paused, are dropped.
            modelled.held_back.clear()
            await self.clock.advance()

        self.wait_for(change())

    @rule(held=st.booleans())
    def pause_or_resume_scheduler(self, held: bool) -> None:
        async def change() -> None:
            self.reckon()
            self.held = held
            (self.scheduler.pause if held else self.scheduler.resume)()
            await self.clock.advance()

        self.wait_for(change())

    @rule(modelled=tasks)
    def run_now(self, modelled: Modelled) -> None:
        async def run() -> None:
            running = modelled.task.state.running
            try:
                handle = modelled.task.run()
            except MaximumInstancesError:
                assert running > 0
            else:
                self.manual.add(handle.run_id)

        self.wait_for(run())

    @rule(modelled=tasks)
    def cancel(self, modelled: Modelled) -> None:
        async def cancel() -> None:
            took = modelled.task.cancel_runs()
            assert 0 <= took <= sum(self.submitted.values())

        self.wait_for(cancel())

    @rule()
    def open_gate(self) -> None:
        Path(self.gate).touch()
        self.gates += 1

    @rule(seconds=st.integers(1, 12))
    def advance(self, seconds: int) -> None:
        self.wait_for(self.clock.advance(seconds=seconds))

    @precondition(lambda self: self.kills_workers)
    @rule(number=st.integers(0, 9))
    def kill_a_worker(self, number: int) -> None:
        assert isinstance(self.executor, ProcessPoolExecutor)
        supervisor = self.executor._supervisor
        pids = [] if supervisor is None else supervisor.worker_pids
        if pids:
            os.kill(pids[number % len(pids)], signal.SIGKILL)

    @rule(wait=st.booleans())
    def shut_down_and_start_again(self, wait: bool) -> None:
        if wait:
            self.open_gate()

        async def restart() -> None:
            await self.scheduler.shutdown(wait=wait)
            self.check_that_every_run_has_ended()
            self.held = False
            await self.scheduler.start()
            await self.clock.advance()

        self.wait_for(restart())

    # Invariants

    def reckon(self) -> None:
        """Compute the due times that have passed by now, and the expected runs."""
        now = self.clock.now()
        for modelled in self.modelled:
            if modelled.removed:
                continue
            due = modelled.due_between(modelled.reckoned_until, now)
            modelled.reckoned_until = now
            if modelled.paused or self.held:
                modelled.held_back += due
                continue
            # Due times during a pause are coalesced; this clock skips no other due time.
            held_back, modelled.held_back = modelled.held_back, []
            modelled.expected.update(held_back[-1:] if modelled.coalesce else held_back, due)

    def check(self) -> None:
        """The rules, at each step."""
        assert not self.out_of_order, "an end came before its submission"
        assert all(count == 1 for count in self.submitted.values()), "a run was submitted twice"
        assert all(count == 1 for count in self.ended.values()), "a run ended twice"
        assert self.ended.keys() <= self.submitted.keys(), "a run ended that was never submitted"
        state = self.scheduler.state
        counted = {
            TaskExecuted: state.executed,
            TaskError: state.errors,
            TaskMissed: state.missed,
            TaskCancelled: state.cancelled,
        }
        assert counted == {kind: self.kinds[kind] for kind in counted}, "the scheduler counts other ends than were told"
        assert state.submitted == len(self.submitted), "the scheduler counts other submissions than were told"
        for modelled in self.modelled:
            if not modelled.removed:
                self.check_due_times(modelled)

    def check_due_times(self, modelled: Modelled) -> None:
        """Each due time of a task is submitted, rejected or waits, in order; and nothing else is."""
        handled = self.handled.get(modelled.task.id, [])
        assert handled == sorted(set(handled)), "due times were submitted twice, or out of order"
        assert set(handled) <= modelled.expected, "a run was submitted that was not due"
        assert len(handled) + modelled.task.state.backlog == len(modelled.expected), "a due time was passed over"

    def check_that_every_run_has_ended(self) -> None:
        assert self.ended.keys() == self.submitted.keys()
        state = self.scheduler.state
        assert state.submitted == len(self.submitted) == sum(self.kinds.values())

    async def until_nothing_is_counted(self) -> None:
        """Wait for abandoned functions, which return as the gate is open; then no instance may be left."""
        await self.scheduler.start()
        # Those of removed tasks are counted by the executor alone.
        while any(executor.running for executor in self.scheduler.state.executors):
            await asyncio.sleep(0.001)
        await self.scheduler.shutdown()
        state = self.scheduler.state
        assert all(task.running == 0 for task in state.tasks)
        assert all(executor.running == executor.queued == executor.abandoned == 0 for executor in state.executors)
        assert all(executor.status == "stopped" for executor in state.executors)

    @override
    def teardown(self) -> None:
        if not hasattr(self, "scheduler"):
            return
        try:
            self.open_gate()
            self.wait_for(self.scheduler.shutdown())
            self.check_that_every_run_has_ended()
            self.wait_for(self.until_nothing_is_counted())
        finally:
            self.runner.close()
            shutil.rmtree(self.folder)


async def wait_for_gate_on_loop(gate: str) -> str:
    while not os.path.exists(gate):  # noqa: ASYNC240, PTH110  # a look at a folder of this test's own
        await asyncio.sleep(0.001)
    return "passed"


class OnTheLoop(SchedulerMachine):
    """With an executor that runs coroutines."""

    @override
    def make_executor(self) -> UniversalExecutor:
        return AsyncIOExecutor()

    @override
    def add_blocking_task(self, add: Adder) -> Task[str]:
        return add(wait_for_gate_on_loop, self.gate)


class InThreads(SchedulerMachine):
    """With a pool of threads."""

    @override
    def make_executor(self) -> UniversalExecutor:
        return ThreadPoolExecutor(3)


class InProcesses(SchedulerMachine):
    """With a pool of processes, which are killed now and then."""

    kills_workers = True

    @override
    def make_executor(self) -> UniversalExecutor:
        return ProcessPoolExecutor(2)


class Inline(SchedulerMachine):
    """With an executor that runs each function inline, so that none may block."""

    @override
    def make_executor(self) -> UniversalExecutor:
        return DebugExecutor()

    @override
    def add_blocking_task(self, add: Adder) -> Task[str]:
        return add(succeed, self.gate)


@pytest.mark.parametrize(("machine", "examples"), [(OnTheLoop, 60), (InThreads, 60), (InProcesses, 15), (Inline, 60)])
def test_every_run_ends_once(machine: type[SchedulerMachine], examples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Submit and end each run once in any sequence of operations."""
    # The log of all failures would hide the report of hypothesis.
    monkeypatch.setattr(logging.getLogger("asyncz"), "disabled", True)
    monkeypatch.setattr(logging.getLogger("asyncz.scheduler"), "disabled", True)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=effort.examples(examples),
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
