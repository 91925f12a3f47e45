"""Replacing a task by another one with the same id."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from asyncz import (
    AsyncIOScheduler,
    DebugExecutor,
    InvalidInputError,
    Task,
    TaskAdded,
    TaskExecuted,
    TaskLookupError,
    TaskRemoved,
    UnknownAliasError,
)
from asyncz.testing import FakeClock
from tests.helpers import payloads
from tests.helpers.recorder import EventRecorder
from tests.helpers.times import EVERY_SECOND
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio


async def test_replaced_task_finishes_its_run() -> None:
    go_on = asyncio.Event()
    async with asyncio.timeout(30), AsyncIOScheduler() as scheduler:
        changes = EventRecorder.of_scheduler(scheduler, TaskAdded, TaskRemoved)
        old = scheduler.add_task(go_on.wait, trigger=None, id="job")
        endings: list[object] = []
        old.on_done(endings.append)
        stream, handle = old.notifications(), old.run()
        await asyncio.sleep(0)
        new = scheduler.add_task(payloads.add_async, 1, 2, trigger=None, id="job", replace_existing=True)
        assert scheduler.get_task("job") is new
        assert [notification async for notification in stream] == []
        for use in (old.run, old.submit, old.pause, lambda: old.modify(timeout=1)):
            with pytest.raises(TaskLookupError, match="job"):
                use()
        with pytest.raises(TaskLookupError):
            scheduler.remove_task(old)
        go_on.set()
        assert await handle is True
        assert await new.run() == 3
        assert len(endings) == 1
        assert (scheduler.state.executed, new.state.executed) == (2, 1)
        assert changes.names == ["TaskAdded", "TaskRemoved", "TaskAdded"]


async def test_replacement_backlog_waits_for_old_run() -> None:
    """The slot belongs to the task id: a live run of the replaced task counts."""
    clock, go_on = FakeClock(), asyncio.Event()
    async with AsyncIOScheduler(clock=clock) as scheduler:
        old = scheduler.add_task(go_on.wait, trigger=None, id="job")
        old.run()
        new = scheduler.add_task(payloads.add_async, 1, 2, id="job", replace_existing=True, overlap="queue_one")
        await clock.advance()
        # One run at a time per task id, for replaced tasks too.
        assert (new.state.running, new.state.backlog) == (1, 1)
        go_on.set()
        await clock.advance()
        assert isinstance(new.last_notification, TaskExecuted)


def test_replace_existing_adds_missing_task() -> None:
    scheduler = AsyncIOScheduler()
    task = scheduler.add_task(payloads.add, 1, 2, id="job", replace_existing=True)
    assert scheduler.tasks == (task,)
    with pytest.raises(InvalidInputError, match="id of the task to replace"):
        scheduler.add_task(payloads.add, 1, 2, replace_existing=True)
    with pytest.raises(UnknownAliasError):
        scheduler.add_task(payloads.add, 1, 2, id="job", replace_existing=True, executor="nowhere")
    assert scheduler.tasks == (task,)


class ReplacingTrigger:
    """Has its task replaced by another while it is asked for its first due time, as another thread could."""

    def __init__(self, replace: Callable[[], object]) -> None:
        self.replace = replace

    def next_due_time(self, previous: datetime | None, now: datetime) -> datetime | None:
        if previous is None:
            self.replace()
        return now + timedelta(hours=1)


async def test_reschedule_by_id_follows_replacement() -> None:
    async with AsyncIOScheduler() as scheduler:
        first = scheduler.add_task(payloads.add, 1, 2, trigger=None, id="sum")
        successors: list[Task[int]] = []

        def replace() -> None:
            if not successors:
                successors.append(scheduler.add_task(payloads.add, 1, 3, trigger=None, id="sum", replace_existing=True))

        scheduler.reschedule_task("sum", ReplacingTrigger(replace))
        with pytest.raises(TaskLookupError):
            scheduler.reschedule_task(first, EVERY_SECOND)
        [successor] = successors
        await asyncio.sleep(0)
        assert successor.state.next_run_at is not None


async def test_reschedule_by_handle_ignores_replacement() -> None:
    async with AsyncIOScheduler() as scheduler:
        first = scheduler.add_task(payloads.add, 1, 2, trigger=None, id="sum")

        def replace() -> None:
            scheduler.add_task(payloads.add, 1, 3, trigger=None, id="sum", replace_existing=True)

        with pytest.raises(TaskLookupError):
            scheduler.reschedule_task(first, ReplacingTrigger(replace))
        await asyncio.sleep(0)
        assert scheduler.get_task("sum").state.next_run_at is None


class TellsThatTheLoopWaits:
    """A lock that says so when the loop's thread is about to wait for it."""

    def __init__(self) -> None:
        self.waits = threading.Event()
        self._lock = threading.RLock()
        self._loop_thread = threading.get_ident()

    def acquire(self) -> bool:
        if threading.get_ident() == self._loop_thread:
            self.waits.set()
        return self._lock.acquire()

    def release(self) -> None:
        self._lock.release()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


async def test_replaced_once_while_last_run_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    holds_the_lock = threading.Event()

    lock = TellsThatTheLoopWaits()

    class LooksLong(DebugExecutor):
        """Has the thread that adds a task hold the lock until the loop waits for it."""

        def check_call(self, _: Callable[[], object], /) -> None:
            lock.waits.clear()
            holds_the_lock.set()
            lock.waits.wait(10)

    removed: list[str] = []
    added: list[Task[int]] = []
    async with AsyncIOScheduler(executors={"slow": LooksLong()}) as scheduler:
        monkeypatch.setattr(scheduler._parts.runtime, "lock", lock)
        scheduler.subscribe(TaskRemoved, lambda event: removed.append(event.task_id))
        old = scheduler.add_task(holds_the_lock.wait, 10, id="replaced", executor="threadpool")

        def replace() -> None:
            new = scheduler.add_task(
                payloads.add, 1, 2, id="replaced", executor="slow", trigger=None, replace_existing=True
            )
            added.append(new)

        thread = threading.Thread(target=replace)
        await until(lambda: old.state.running == 1)
        thread.start()
        # From here on the loop needs the lock after it has found that the task is finished.
        await old.result()
        await until(lambda: not thread.is_alive() and bool(removed))
        assert scheduler.tasks == (added[0],)
        assert await added[0].run() == 3
        scheduler.remove_task("replaced")
        await until(lambda: len(removed) == 2)
