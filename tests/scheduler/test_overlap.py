"""Overlap policies for runs that are due while their task has its maximum of live runs."""

from __future__ import annotations

import asyncio
import fcntl
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Never

import pytest
from typing_extensions import override

from asyncz import (
    AsyncIOExecutor,
    AsyncIOScheduler,
    DebugExecutor,
    IntervalTrigger,
    OverlapPolicy,
    Retry,
    Task,
    TaskCancelled,
    TaskError,
    TaskExecuted,
    TaskLimits,
    TaskMaxInstances,
    TaskNotification,
    TaskRun,
    TaskSubmitted,
    ThreadPoolExecutor,
)
from asyncz.testing import FakeClock
from tests.helpers import payloads
from tests.helpers.executors import MAKERS
from tests.helpers.generics import ResultT
from tests.helpers.times import EVERY_SECOND, START
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio

KINDS = ["coroutine", "asyncio", "threadpool", "processpool"]
every_kind = pytest.mark.parametrize("kind", KINDS)


def wait_at_gate(gate: str) -> None:
    """Block, in whatever thread or process, until the gate is opened."""
    with open(gate) as file:
        fcntl.flock(file, fcntl.LOCK_SH)


class Gate:
    """Holds up the functions that come to it until it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("w")
        self._opened = asyncio.Event()
        fcntl.flock(self._file, fcntl.LOCK_EX)

    async def wait(self) -> None:
        """Wait until the gate opens, on the loop."""
        await self._opened.wait()

    def open(self) -> None:
        self._opened.set()
        self._file.close()


def second(event: TaskNotification[object] | TaskSubmitted | TaskMaxInstances) -> int:
    due = event.details.scheduled_at
    assert due is not None
    return int((due - START).total_seconds())


class Trial:
    """A task whose runs block, due every second on a clock of the test, and its events."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self.clock = FakeClock()
        self.gate = Gate(folder / "gate")
        self.executor = MAKERS["asyncio" if kind == "coroutine" else kind]()
        self.scheduler = AsyncIOScheduler(executors={"under_test": self.executor}, clock=self.clock)
        self.submitted: list[int] = []
        self.rejected: list[int] = []
        self.ended: dict[type[object], list[int]] = {TaskExecuted: [], TaskCancelled: []}
        self.scheduler.subscribe(TaskSubmitted, lambda event: self.submitted.append(second(event)))
        self.scheduler.subscribe(TaskMaxInstances, lambda event: self.rejected.append(second(event)))
        self.scheduler.subscribe(TaskExecuted, self.hear_end)
        self.scheduler.subscribe(TaskCancelled, self.hear_end)

    def hear_end(self, event: TaskNotification[object]) -> None:
        self.ended[type(event)].append(second(event))

    def add(self, overlap: OverlapPolicy | None, max_instances: int = 1, coalesce: bool = True) -> Task[None]:
        decorate = self.scheduler.task(
            trigger=EVERY_SECOND,
            executor="under_test",
            max_instances=max_instances,
            overlap=overlap,
            coalesce=coalesce,
        )
        if self.kind == "coroutine":
            return decorate(self.gate.wait).schedule()
        return decorate(wait_at_gate).schedule(str(self.gate.path))

    async def until_runs(self, number: int) -> None:
        """So many runs are at the gate: none of them could be taken back from a queue."""
        await until(lambda: self.executor.state.running == number and self.executor.state.queued == 0)

    def stop(self, task: Task[None]) -> None:
        """Unschedule the task, and let its runs return."""
        self.scheduler.reschedule_task(task, None)
        self.gate.open()


async def run_trial(trial: Callable[[Trial], Coroutine[object, Never, None]], kind: str, folder: Path) -> None:
    under_test = Trial(kind, folder)
    async with asyncio.timeout(60), under_test.scheduler:
        try:
            await trial(under_test)
        finally:
            under_test.gate.open()


@every_kind
async def test_skip_is_default_and_rejects(kind: str, tmp_path: Path) -> None:
    async def trial(under_test: Trial) -> None:
        task = under_test.add(None)
        assert task.limits.overlap_policy == "skip"
        await under_test.clock.advance(4)
        assert (task.state.running, task.state.backlog, task.state.rejected) == (1, 0, 3)
        under_test.stop(task)
        await until(lambda: task.state.running == 0)
        assert (under_test.rejected, under_test.ended[TaskExecuted]) == ([2, 3, 4], [1])

    await run_trial(trial, kind, tmp_path)


@every_kind
async def test_queue_all_keeps_every_due_run(kind: str, tmp_path: Path) -> None:
    async def trial(under_test: Trial) -> None:
        task = under_test.add("queue_all", max_instances=2)
        await under_test.clock.advance(5)
        assert (task.state.running, task.state.backlog, task.state.rejected) == (2, 3, 0)
        under_test.stop(task)
        await until(lambda: len(under_test.ended[TaskExecuted]) == 5)
        assert (under_test.submitted, task.state.backlog, under_test.rejected) == ([1, 2, 3, 4, 5], 0, [])

    await run_trial(trial, kind, tmp_path)


@every_kind
async def test_queue_one_keeps_latest_due_run(kind: str, tmp_path: Path) -> None:
    """Report the due runs that a later one replaced as rejected."""

    async def trial(under_test: Trial) -> None:
        task = under_test.add("queue_one")
        await under_test.clock.advance(2)
        assert (task.state.running, task.state.backlog, task.state.rejected) == (1, 1, 0)
        await under_test.clock.advance(2)
        # No due time is dropped silently: the replaced runs are reported.
        assert (task.state.backlog, under_test.rejected) == (1, [2, 3])
        under_test.stop(task)
        await until(lambda: len(under_test.ended[TaskExecuted]) == 2)
        assert (under_test.submitted, under_test.ended[TaskExecuted]) == ([1, 4], [1, 4])

    await run_trial(trial, kind, tmp_path)


CANCELLED_AT_ONCE = ["coroutine", "processpool"]


@pytest.mark.parametrize("kind", CANCELLED_AT_ONCE)
async def test_cancel_running_makes_room(kind: str, tmp_path: Path) -> None:
    async def trial(under_test: Trial) -> None:
        task = under_test.add("cancel_running", max_instances=2)
        await under_test.clock.advance(2)
        await under_test.until_runs(2)
        await under_test.clock.advance(1)
        await until(lambda: under_test.submitted == [1, 2, 3])
        assert (under_test.ended[TaskCancelled], under_test.rejected) == ([1], [])
        await under_test.until_runs(2)
        assert task.state.backlog == 0
        under_test.stop(task)
        await until(lambda: len(under_test.ended[TaskExecuted]) == 2)
        assert sorted(under_test.ended[TaskExecuted]) == [2, 3]

    await run_trial(trial, kind, tmp_path)


NEVER_CANCELLED = ["asyncio", "threadpool"]


@pytest.mark.parametrize("kind", NEVER_CANCELLED)
async def test_cancel_running_waits_for_threads(kind: str, tmp_path: Path) -> None:
    async def trial(under_test: Trial) -> None:
        task = under_test.add("cancel_running")
        await under_test.clock.advance(1)
        await under_test.until_runs(1)
        await under_test.clock.advance(2)
        assert (task.state.running, task.state.backlog, under_test.rejected) == (1, 1, [2])
        under_test.stop(task)
        await until(lambda: len(under_test.ended[TaskExecuted]) == 2)
        assert (under_test.submitted, under_test.ended[TaskCancelled]) == ([1, 3], [])

    await run_trial(trial, kind, tmp_path)


@pytest.mark.parametrize("overlap", ["skip", "queue_one", "queue_all", "cancel_running"])
async def test_inline_runs_never_overlap(overlap: OverlapPolicy) -> None:
    clock = FakeClock()
    async with AsyncIOScheduler(executors={"under_test": DebugExecutor()}, clock=clock) as scheduler:
        task = scheduler.add_task(payloads.add, 1, 2, trigger=EVERY_SECOND, executor="under_test", overlap=overlap)
        await clock.advance(4)
        state = task.state
        assert (state.executed, state.backlog, state.rejected, state.cancelled) == (4, 0, 0, 0)


async def test_uncoalesced_default_is_queue_all(tmp_path: Path) -> None:
    assert TaskLimits(coalesce=False).overlap_policy == "queue_all"
    assert TaskLimits(coalesce=False, overlap="skip").overlap_policy == "skip"
    assert TaskLimits(coalesce=False).evolve(coalesce=True).overlap_policy == "skip"

    async def trial(under_test: Trial) -> None:
        waiting, skipping = under_test.add(None, coalesce=False), under_test.add("skip", coalesce=False)
        latest, coalesced = under_test.add("queue_one", coalesce=False), under_test.add("queue_all")
        under_test.scheduler.pause()
        await under_test.clock.advance(5)
        under_test.scheduler.resume()
        await under_test.clock.advance()
        assert [(task.state.backlog, task.state.rejected) for task in (waiting, skipping, latest, coalesced)] == [
            (4, 0),
            (0, 4),
            (1, 3),
            (0, 0),
        ]

    await run_trial(trial, "coroutine", tmp_path)


async def test_backlog_waits_while_paused(tmp_path: Path) -> None:
    @contextmanager
    def paused(under_test: Trial, task: Task[None], whole: bool) -> Iterator[None]:
        (under_test.scheduler.pause if whole else task.pause)()
        yield
        (under_test.scheduler.resume if whole else task.resume)()

    async def trial(under_test: Trial, whole: bool) -> None:
        task = under_test.add("queue_all")
        await under_test.clock.advance(3)
        with paused(under_test, task, whole):
            under_test.stop(task)
            await under_test.clock.advance(1)
            assert (task.state.executed, task.state.running, task.state.backlog) == (1, 0, 2)
        await under_test.clock.advance()
        assert (task.state.executed, task.state.backlog) == (3, 0)

    await run_trial(partial(trial, whole=True), "coroutine", tmp_path)
    await run_trial(partial(trial, whole=False), "coroutine", tmp_path)


async def test_backlog_uses_slots_of_higher_maximum(tmp_path: Path) -> None:
    async def trial(under_test: Trial) -> None:
        task = under_test.add("queue_all")
        await under_test.clock.advance(4)
        task.modify(max_instances=3)
        await under_test.clock.advance()
        assert (task.state.running, task.state.backlog, under_test.submitted) == (3, 1, [1, 2, 3])
        # The backlog survives a change of the policy; later due times follow the new policy.
        task.modify(overlap="skip")
        await under_test.clock.advance(1)
        assert (task.state.running, task.state.backlog, under_test.rejected) == (3, 1, [5])
        under_test.stop(task)
        await until(lambda: task.state.executed == 4)

    await run_trial(trial, "coroutine", tmp_path)


async def test_backlog_cancelled_at_shutdown(tmp_path: Path) -> None:
    async def trial(under_test: Trial) -> None:
        under_test.add("queue_one")
        await under_test.clock.advance(3)
        under_test.gate.open()
        await under_test.scheduler.shutdown()
        assert (under_test.ended[TaskExecuted], under_test.ended[TaskCancelled], under_test.rejected) == ([1], [3], [2])

    await run_trial(trial, "coroutine", tmp_path)


async def test_cancel_running_asks_once() -> None:
    """Send one cancellation, so that the clean-up is not interrupted."""
    clock, clean, cleaned = FakeClock(), asyncio.Event(), []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await clean.wait()
            cleaned.append(clock.now())

    async with AsyncIOScheduler(clock=clock) as scheduler:
        task = scheduler.add_task(work, trigger=EVERY_SECOND, overlap="cancel_running")
        await clock.advance(4)
        assert (task.state.running, task.state.backlog, task.state.rejected) == (1, 1, 2)
        clean.set()
        await clock.advance()
        assert (len(cleaned), task.state.cancelled, task.state.running) == (1, 1, 1)
        await scheduler.shutdown(wait=False)


async def test_cancel_running_ends_pending_attempt() -> None:
    clock = FakeClock()
    endings: list[object] = []
    async with AsyncIOScheduler(clock=clock) as scheduler:
        retry = Retry(attempts=2, delay=1.5)
        task = scheduler.add_task(payloads.fail_async, "no", trigger=EVERY_SECOND, retry=retry)
        task.modify(overlap="cancel_running")
        task.on_done(lambda ending: endings.append(type(ending)))
        await clock.advance(3)
        assert endings == [TaskCancelled, TaskCancelled]
        task.modify(overlap="queue_all")
        await clock.advance(2)
        assert endings == [TaskCancelled, TaskCancelled, TaskError]


class CannotCancel(AsyncIOExecutor):
    @override
    def cancel(self, run: TaskRun[ResultT], /) -> bool:
        raise OSError("cannot cancel")


async def test_cancel_error_does_not_stop_schedule(tmp_path: Path) -> None:
    clock, go_on = FakeClock(), asyncio.Event()
    async with AsyncIOScheduler(executors={"under_test": CannotCancel()}, clock=clock) as scheduler:
        task = scheduler.add_task(go_on.wait, trigger=EVERY_SECOND, executor="under_test", overlap="cancel_running")
        await clock.advance(2)
        go_on.set()
        await clock.advance(3)
        assert (task.state.executed, task.state.cancelled) == (5, 0)


async def test_maximum_never_exceeded() -> None:
    lock, running, most = threading.Lock(), [0], [0]
    turns = threading.Barrier(2)

    def work() -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        turns.wait(30)
        with lock:
            running[0] -= 1

    clock = FakeClock()
    async with AsyncIOScheduler(executors={"io": ThreadPoolExecutor(8)}, clock=clock) as scheduler:
        until_20 = IntervalTrigger(seconds=1, end_at=START + timedelta(seconds=20))
        task = scheduler.add_task(work, trigger=until_20, executor="io", max_instances=2, overlap="queue_all")
        async with asyncio.timeout(60):
            await clock.advance(20)
            while scheduler.tasks:
                await asyncio.sleep(0.001)
    assert (scheduler.state.executed, most[0]) == (20, 2)
    assert isinstance(task.last_notification, TaskExecuted)


async def test_cancel_running_selects_oldest_run() -> None:
    gates = [asyncio.Event() for _ in range(4)]
    waiting = iter(gates)

    async def work() -> None:
        await next(waiting).wait()

    async with AsyncIOScheduler() as scheduler:
        task = scheduler.add_task(work, trigger=None, max_instances=2, overlap="cancel_running")
        first, second = task.run(), task.run()
        assert task.state.running == 2
        gates[0].set()
        await first
        third = task.run()
        assert task.state.running == 2
        scheduler.submit_task(task)
        assert isinstance(await second.notification(), TaskCancelled)
        assert not third.done()
        assert third.cancel()
        assert isinstance(await third.notification(), TaskCancelled)
        gates[3].set()


async def test_backlog_continues_after_release() -> None:
    clock = FakeClock()
    go_on = asyncio.Event()
    due: list[datetime | None] = []
    async with AsyncIOScheduler(clock=clock) as scheduler:
        end = START + timedelta(seconds=3)
        task = scheduler.add_task(go_on.wait, trigger=IntervalTrigger(seconds=1, end_at=end), coalesce=False)
        task.on_executed(lambda event: due.append(event.details.scheduled_at))
        await clock.advance(10)
        assert (task.state.running, task.state.backlog) == (1, 2)
        go_on.set()
        # The trigger gives no more times: nothing but the end of a run can make the next one go.
        await until(lambda: len(due) == 3)
    assert due == [START + timedelta(seconds=number) for number in (1, 2, 3)]


async def test_abandoned_run_holds_slot_until_release() -> None:
    clock = FakeClock()
    go_on = threading.Event()
    async with AsyncIOScheduler(executors={"under_test": ThreadPoolExecutor(2)}, clock=clock) as scheduler:
        trigger = IntervalTrigger(seconds=1, end_at=START + timedelta(seconds=2))
        task = scheduler.add_task(
            go_on.wait, 30, executor="under_test", trigger=trigger, coalesce=False, timeout=0.02, max_instances=1
        )
        await clock.advance(5)
        await until(lambda: task.state.errors == 1)
        assert (task.state.running, task.state.backlog) == (1, 1)
        go_on.set()
        await until(lambda: not scheduler.tasks)
    assert (scheduler.state.submitted, scheduler.state.errors, scheduler.state.executed) == (2, 1, 1)


async def test_skip_rejects_due_run_behind_backlog() -> None:
    """Reject a due run while another one waits for the slot of a run between two attempts."""
    clock = FakeClock()
    async with AsyncIOScheduler(clock=clock) as scheduler:
        rejected: list[TaskMaxInstances] = []
        scheduler.subscribe(TaskMaxInstances, rejected.append)
        flaky = payloads.Flaky(1)
        task = scheduler.add_task(flaky, trigger=EVERY_SECOND, overlap="skip", retry=Retry(attempts=2, delay=60))
        await clock.advance(1)
        assert (task.state.retrying, task.state.submitted) == (1, 1)
        scheduler.pause()
        task.submit()
        await clock.advance()
        scheduler.resume()
        await clock.advance()
        assert (task.state.retrying, task.state.backlog) == (1, 1)
        await clock.advance(1)
        assert [second(event) for event in rejected] == [2]
        assert (task.state.retrying, task.state.backlog, flaky.calls) == (1, 1, 1)


async def test_skip_asks_executor_once_for_due_run() -> None:
    """Reject a due run at the maximum without a second submission to the executor."""

    class Counts(AsyncIOExecutor):
        submissions = 0

        @override
        def submit(self, run: TaskRun[ResultT], /) -> None:
            self.submissions += 1
            super().submit(run)

    clock, executor = FakeClock(), Counts()
    async with AsyncIOScheduler(executors={"under_test": executor}, clock=clock) as scheduler:
        task = scheduler.add_task(asyncio.Event().wait, trigger=EVERY_SECOND, executor="under_test", overlap="skip")
        await clock.advance(2)
        assert (task.state.running, task.state.rejected, executor.submissions) == (1, 1, 2)
        task.cancel_runs()
