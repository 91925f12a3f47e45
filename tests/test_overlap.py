"""What becomes of a run that is due while its task has its maximum of running instances, on each executor."""

from __future__ import annotations

import asyncio
import fcntl
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
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
from tests import functions
from tests.functions import ResultT
from tests.test_defects import until
from tests.test_executors import MAKERS

START = datetime(2030, 1, 1, tzinfo=UTC)
EVERY_SECOND = IntervalTrigger(seconds=1)


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
        """What a coroutine does here."""
        await self._opened.wait()

    def open(self) -> None:
        self._opened.set()
        self._file.close()


KINDS = ["coroutine", "asyncio", "threadpool", "processpool"]
CANCELLED_AT_ONCE = ["coroutine", "processpool"]
NEVER_CANCELLED = ["asyncio", "threadpool"]
every_kind = pytest.mark.parametrize("kind", KINDS)


class Trial:
    """A task whose runs block, due every second on a clock that the test moves, and what is heard of it."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self.clock = FakeClock()
        self.gate = Gate(folder / "gate")
        self.executor = MAKERS["asyncio" if kind == "coroutine" else kind]()
        self.scheduler = AsyncIOScheduler(executors={"tried": self.executor}, clock=self.clock)
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
            executor="tried",
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
        """Have nothing due any more, and let go on what waits."""
        self.scheduler.reschedule_task(task, None)
        self.gate.open()


def second(event: TaskNotification[object] | TaskSubmitted | TaskMaxInstances) -> int:
    due = event.details.scheduled_at
    assert due is not None
    return int((due - START).total_seconds())


def run(trial: Callable[[Trial], Coroutine[object, Never, None]], kind: str, folder: Path) -> None:
    async def main() -> None:
        tried = Trial(kind, folder)
        async with asyncio.timeout(60), tried.scheduler:
            try:
                await trial(tried)
            finally:
                tried.gate.open()

    asyncio.run(main())


@every_kind
def test_by_default_what_is_due_at_the_maximum_is_rejected(kind: str, tmp_path: Path) -> None:
    async def trial(tried: Trial) -> None:
        task = tried.add(None)
        assert task.limits.overlap == "skip"
        await tried.clock.advance(4)
        assert (task.state.running, task.state.backlog, task.state.rejected) == (1, 0, 3)
        tried.stop(task)
        await until(lambda: task.state.running == 0)
        assert (tried.rejected, tried.ended[TaskExecuted]) == ([2, 3, 4], [1])

    run(trial, kind, tmp_path)


@every_kind
def test_all_that_is_due_at_the_maximum_can_wait_in_a_queue(kind: str, tmp_path: Path) -> None:
    async def trial(tried: Trial) -> None:
        task = tried.add("queue_all", max_instances=2)
        await tried.clock.advance(5)
        assert (task.state.running, task.state.backlog, task.state.rejected) == (2, 3, 0)
        tried.stop(task)
        await until(lambda: len(tried.ended[TaskExecuted]) == 5)
        assert (tried.submitted, task.state.backlog, tried.rejected) == ([1, 2, 3, 4, 5], 0, [])

    run(trial, kind, tmp_path)


@every_kind
def test_the_latest_that_is_due_at_the_maximum_can_wait_alone(kind: str, tmp_path: Path) -> None:
    async def trial(tried: Trial) -> None:
        task = tried.add("queue_one")
        await tried.clock.advance(2)
        assert (task.state.running, task.state.backlog, task.state.rejected) == (1, 1, 0)
        await tried.clock.advance(2)
        # Nothing is passed over in silence: the ones that the latest replaced are told.
        assert (task.state.backlog, tried.rejected) == (1, [2, 3])
        tried.stop(task)
        await until(lambda: len(tried.ended[TaskExecuted]) == 2)
        assert (tried.submitted, tried.ended[TaskExecuted]) == ([1, 4], [1, 4])

    run(trial, kind, tmp_path)


@pytest.mark.parametrize("kind", CANCELLED_AT_ONCE)
def test_what_runs_can_be_cancelled_for_what_is_due(kind: str, tmp_path: Path) -> None:
    async def trial(tried: Trial) -> None:
        task = tried.add("cancel_running", max_instances=2)
        await tried.clock.advance(2)
        await tried.until_runs(2)
        await tried.clock.advance(1)
        await until(lambda: tried.submitted == [1, 2, 3])
        assert (tried.ended[TaskCancelled], tried.rejected) == ([1], [])
        await tried.until_runs(2)
        assert task.state.backlog == 0
        tried.stop(task)
        await until(lambda: len(tried.ended[TaskExecuted]) == 2)
        assert sorted(tried.ended[TaskExecuted]) == [2, 3]

    run(trial, kind, tmp_path)


@pytest.mark.parametrize("kind", NEVER_CANCELLED)
def test_what_is_due_waits_for_what_cannot_be_cancelled(kind: str, tmp_path: Path) -> None:
    async def trial(tried: Trial) -> None:
        task = tried.add("cancel_running")
        await tried.clock.advance(1)
        await tried.until_runs(1)
        await tried.clock.advance(2)
        assert (task.state.running, task.state.backlog, tried.rejected) == (1, 1, [2])
        tried.stop(task)
        await until(lambda: len(tried.ended[TaskExecuted]) == 2)
        assert (tried.submitted, tried.ended[TaskCancelled]) == ([1, 3], [])

    run(trial, kind, tmp_path)


@pytest.mark.parametrize("overlap", ["skip", "queue_one", "queue_all", "cancel_running"])
def test_where_runs_are_inline_none_overlaps(overlap: OverlapPolicy) -> None:
    async def main() -> None:
        clock = FakeClock()
        async with AsyncIOScheduler(executors={"tried": DebugExecutor()}, clock=clock) as scheduler:
            task = scheduler.add_task(functions.add, 1, 2, trigger=EVERY_SECOND, executor="tried", overlap=overlap)
            await clock.advance(4)
            state = task.state
            assert (state.executed, state.backlog, state.rejected, state.cancelled) == (4, 0, 0, 0)

    asyncio.run(main())


# One line for all of it


def test_without_coalescing_all_of_it_waits_unless_another_policy_is_asked_for(tmp_path: Path) -> None:
    assert TaskLimits(coalesce=False).overlap == "queue_all"
    assert TaskLimits(coalesce=False, overlap="skip").overlap == "skip"
    assert TaskLimits(coalesce=False).evolve(coalesce=True).overlap == "skip"

    async def trial(tried: Trial) -> None:
        waiting, skipping = tried.add(None, coalesce=False), tried.add("skip", coalesce=False)
        latest, coalesced = tried.add("queue_one", coalesce=False), tried.add("queue_all")
        tried.scheduler.pause()
        await tried.clock.advance(5)
        tried.scheduler.resume()
        await tried.clock.advance()
        assert [(task.state.backlog, task.state.rejected) for task in (waiting, skipping, latest, coalesced)] == [
            (4, 0),
            (0, 4),
            (1, 3),
            (0, 0),
        ]

    run(trial, "coroutine", tmp_path)


def test_what_waits_is_held_while_its_task_or_the_scheduler_is(tmp_path: Path) -> None:
    @contextmanager
    def paused(tried: Trial, task: Task[None], whole: bool) -> Iterator[None]:
        (tried.scheduler.pause if whole else task.pause)()
        yield
        (tried.scheduler.resume if whole else task.resume)()

    async def trial(tried: Trial, whole: bool) -> None:
        task = tried.add("queue_all")
        await tried.clock.advance(3)
        with paused(tried, task, whole):
            tried.stop(task)
            await tried.clock.advance(1)
            assert (task.state.executed, task.state.running, task.state.backlog) == (1, 0, 2)
        await tried.clock.advance()
        assert (task.state.executed, task.state.backlog) == (3, 0)

    run(partial(trial, whole=True), "coroutine", tmp_path)
    run(partial(trial, whole=False), "coroutine", tmp_path)


def test_what_waits_gets_the_places_that_a_change_makes(tmp_path: Path) -> None:
    async def trial(tried: Trial) -> None:
        task = tried.add("queue_all")
        await tried.clock.advance(4)
        task.modify(max_instances=3)
        await tried.clock.advance()
        assert (task.state.running, task.state.backlog, tried.submitted) == (3, 1, [1, 2, 3])
        # What waits when the policy changes is not forgotten; what is due later goes by the new one.
        task.modify(overlap="skip")
        await tried.clock.advance(1)
        assert (task.state.running, task.state.backlog, tried.rejected) == (3, 1, [5])
        tried.stop(task)
        await until(lambda: task.state.executed == 4)

    run(trial, "coroutine", tmp_path)


def test_what_waits_at_a_shutdown_is_cancelled(tmp_path: Path) -> None:
    async def trial(tried: Trial) -> None:
        tried.add("queue_one")
        await tried.clock.advance(3)
        tried.gate.open()
        await tried.scheduler.shutdown()
        assert (tried.ended[TaskExecuted], tried.ended[TaskCancelled], tried.rejected) == ([1], [3], [2])

    run(trial, "coroutine", tmp_path)


def test_a_run_is_asked_once_to_make_place_so_that_its_clean_up_is_not_cut_off() -> None:
    async def main() -> None:
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

    asyncio.run(main())


def test_a_run_that_waits_for_its_next_attempt_makes_place_at_once() -> None:
    async def main() -> None:
        clock = FakeClock()
        endings: list[object] = []
        async with AsyncIOScheduler(clock=clock) as scheduler:
            retry = Retry(attempts=2, delay=1.5)
            task = scheduler.add_task(functions.fail_async, "no", trigger=EVERY_SECOND, retry=retry)
            task.modify(overlap="cancel_running")
            task.on_done(lambda ending: endings.append(type(ending)))
            await clock.advance(3)
            assert endings == [TaskCancelled, TaskCancelled]
            task.modify(overlap="queue_all")
            await clock.advance(2)
            assert endings == [TaskCancelled, TaskCancelled, TaskError]

    asyncio.run(main())


class CannotCancel(AsyncIOExecutor):
    @override
    def cancel(self, run: TaskRun[ResultT], /) -> bool:
        raise OSError("cannot cancel")


def test_an_executor_whose_cancel_raises_does_not_stop_the_schedule(tmp_path: Path) -> None:
    async def main() -> None:
        clock, go_on = FakeClock(), asyncio.Event()
        async with AsyncIOScheduler(executors={"tried": CannotCancel()}, clock=clock) as scheduler:
            task = scheduler.add_task(go_on.wait, trigger=EVERY_SECOND, executor="tried", overlap="cancel_running")
            await clock.advance(2)
            go_on.set()
            await clock.advance(3)
            assert (task.state.executed, task.state.cancelled) == (5, 0)

    asyncio.run(main())


def test_no_more_run_at_a_time_than_allowed_whatever_the_policy() -> None:
    lock, running, most = threading.Lock(), [0], [0]
    turns = threading.Barrier(2)

    def work() -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        turns.wait(30)
        with lock:
            running[0] -= 1

    async def main() -> None:
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

    asyncio.run(main())
