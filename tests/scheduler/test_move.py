"""Moving tasks from one executor to another."""

from __future__ import annotations

import asyncio
import threading

import pytest
from typing_extensions import override

import asyncz
from asyncz import (
    AsyncIOExecutor,
    AsyncIOScheduler,
    ExecutorInUseError,
    MaximumInstancesError,
    Retry,
    SerializationError,
    TaskCancelled,
    TaskError,
    TaskExecuted,
    TaskLimits,
    TaskRun,
    ThreadPoolExecutor,
    UnknownAliasError,
)
from asyncz.testing import FakeClock
from tests.helpers import payloads
from tests.helpers.times import EVERY_SECOND
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio


async def test_move_runs_on_new_executor() -> None:
    async with AsyncIOScheduler(executors={"io": ThreadPoolExecutor(1, {"thread_name_prefix": "io"})}) as scheduler:
        task = scheduler.add_task(lambda: threading.current_thread().name, executor="asyncio", trigger=None)
        assert not (await task.run()).startswith("io")
        scheduler.modify_task(task, executor="io")
        assert task.executor == task.state.executor == "io"
        assert (await task.run()).startswith("io")
        await scheduler.remove_executor("asyncio")
        with pytest.raises(ExecutorInUseError):
            await scheduler.remove_executor("io")
        # A built-in executor is made on first use, and takes the runs once it has started.
        task.modify(executor="threadpool")
        assert (await task.run()).startswith("asyncz")


async def test_move_live_run_keeps_executor_and_slot() -> None:
    clock, go_on = FakeClock(), asyncio.Event()
    async with AsyncIOScheduler(executors={"one": "asyncio", "two": "asyncio"}, clock=clock) as scheduler:
        task = scheduler.add_task(go_on.wait, executor="one", trigger=EVERY_SECOND, overlap="queue_all")
        await clock.advance(1)
        task.modify(executor="two")
        with pytest.raises(MaximumInstancesError):
            task.run()
        await clock.advance(1)
        assert (task.state.running, task.state.backlog) == (1, 1)
        one, two = scheduler.state.executors
        assert (one.running, two.running) == (1, 0)
        go_on.set()
        await clock.advance()
        assert (task.state.executed, task.state.backlog) == (2, 0)
        go_on.clear()
        await clock.advance(1)
        one, two = scheduler.state.executors
        assert (one.running, two.running) == (0, 1)
        # Nothing is left there: the place is that of one executor again.
        task.modify(max_instances=2)
        task.run()
        go_on.set()


async def test_move_cancel_reaches_each_executor() -> None:
    async with AsyncIOScheduler(executors={"one": "asyncio", "two": "asyncio"}) as scheduler:
        task = scheduler.add_task(asyncio.Event().wait, executor="one", trigger=None, max_instances=2)
        first = task.run()
        task.modify(executor="two")
        second = task.run()
        assert task.cancel_runs() == 2
        for handle in (first, second):
            assert isinstance(await handle.notification(), TaskCancelled)
        assert task.state.running == 0


async def test_move_shutdown_timeout_cancels_on_old_executor() -> None:
    class NeverDrains(AsyncIOExecutor):
        cancel_all = None  # type: ignore[assignment]  # as of a custom executor that has no such method

        @override
        async def shutdown(self, wait: bool = True) -> None:
            await asyncio.Event().wait() if wait else await super().shutdown()

    scheduler = AsyncIOScheduler(executors={"one": NeverDrains(), "two": "asyncio"})
    await scheduler.start()
    task = scheduler.add_task(asyncio.Event().wait, executor="one", trigger=None)
    handle = task.run()
    await asyncio.sleep(0)
    task.modify(executor="two")
    async with asyncio.timeout(30):
        await scheduler.shutdown(timeout=0.01)
    assert isinstance(await handle.notification(), TaskCancelled)


class StartsSlowly(AsyncIOExecutor):
    def __init__(self) -> None:
        super().__init__()
        self.may_start = asyncio.Event()

    @override
    async def start(self, scheduler: asyncz.Notifier, alias: str, /) -> None:
        await self.may_start.wait()
        await super().start(scheduler, alias)


async def test_move_pending_start_follows_task() -> None:
    """Move a run that waits for the start of its executor along with its task."""
    slow, slower = StartsSlowly(), StartsSlowly()
    async with asyncio.timeout(30), AsyncIOScheduler(executors={"ready": "asyncio"}) as scheduler:
        scheduler.add_executor(slow, alias="slow")
        scheduler.add_executor(slower, alias="slower")
        task = scheduler.add_task(payloads.add, 1, 2, executor="slow", trigger=None)
        handle = task.run()
        task.modify(executor="slower")
        task.modify(executor="ready")
        assert await handle == 3
        handle = task.run()
        task.modify(executor="slower")
        slow.may_start.set()
        handle.cancel()
        slower.may_start.set()
        await handle.notification()
        assert await task.run() == 3


async def test_move_pending_runs_wait_for_new_executor() -> None:
    """Move runs from an executor that is starting to another one that is starting: each runs once it has started."""
    slow, slower = StartsSlowly(), StartsSlowly()
    async with asyncio.timeout(30), AsyncIOScheduler(executors={"ready": "asyncio"}) as scheduler:
        scheduler.add_executor(slow, alias="slow")
        scheduler.add_executor(slower, alias="slower")
        task = scheduler.add_task(payloads.add, 1, 2, executor="slow", trigger=None, max_instances=2)
        handles = [task.run(), task.run()]
        task.modify(executor="slower")
        slow.may_start.set()
        await until(lambda: slow.state.status == "running")
        assert [handle.done() for handle in handles] == [False, False]
        await scheduler.remove_executor("slow")
        slower.may_start.set()
        assert [await handle for handle in handles] == [3, 3]
        assert scheduler.state.executed == 2


@pytest.mark.usefixtures("cut_slices")
async def test_move_after_cancel_in_queue_frees_slot() -> None:
    go_on = threading.Event()
    executors = {"one": ThreadPoolExecutor(1), "other": ThreadPoolExecutor(1)}
    async with asyncio.timeout(30), AsyncIOScheduler(executors=executors) as scheduler:
        running = scheduler.add_task(go_on.wait, executor="one", trigger=None).run()
        task = scheduler.add_task(payloads.add, 1, 2, executor="one", trigger=None)
        waiting = task.run()
        task.modify(executor="other")
        assert waiting.cancel()
        try:
            assert isinstance(await waiting.notification(), TaskCancelled)
            assert await task.run() == 3
        finally:
            go_on.set()
        assert await running


async def test_move_next_attempt_uses_new_executor() -> None:
    clock = FakeClock()
    threads: list[str] = []

    def fail_at_first() -> int:
        threads.append(threading.current_thread().name)
        if len(threads) == 1:
            raise OSError("no answer")
        return len(threads)

    pools = {name: ThreadPoolExecutor(1, {"thread_name_prefix": name}) for name in ("one", "two")}
    async with asyncio.timeout(30), AsyncIOScheduler(executors=pools, clock=clock) as scheduler:
        retry = Retry(attempts=2, delay=5)
        task = scheduler.add_task(fail_at_first, executor="one", trigger=None, retry=retry)
        handle = task.run()
        await until(lambda: task.state.retrying == 1)
        task.modify(executor="two")
        await clock.advance(5)
        assert await handle == 2
    assert [thread[:3] for thread in threads] == ["one", "two"]


async def test_move_attempt_waits_for_executor_start() -> None:
    clock, slow = FakeClock(), StartsSlowly()
    async with asyncio.timeout(30), AsyncIOScheduler(executors={"ready": "asyncio"}, clock=clock) as scheduler:
        retry = Retry(attempts=2, delay=1)
        task = scheduler.add_task(payloads.fail_async, "no", executor="ready", trigger=None, retry=retry)
        handle = task.run()
        await clock.advance()
        scheduler.add_executor(slow, alias="slow")
        task.modify(executor="slow")
        await clock.advance(2)
        assert not handle.done()
        slow.may_start.set()
        await clock.advance(2)
        ending = await handle.notification()
        assert isinstance(ending, TaskError)
        assert (type(ending.exception), ending.details.attempt) == (ValueError, 2)


async def test_move_listener_may_run_again() -> None:
    async with AsyncIOScheduler(executors={"one": "asyncio", "two": "asyncio"}) as scheduler:
        task = scheduler.add_task(payloads.add_async, 1, 2, executor="one", trigger=None)
        assert await task.run() == 3
        task.modify(executor="two")
        results: list[int] = []

        def run_again(event: TaskExecuted[int]) -> None:
            # The executor has a free slot when the outcome is reported; the scheduler frees its own slot after that.
            results.append(event.result)
            if len(results) < 3:
                task.run()

        task.on_executed(run_again)
        assert await task.run() == 3
        await until(lambda: len(results) == 3)


class OnlyBytes:
    """Satisfies `Executor[bytes]` alone."""

    def __init__(self) -> None:
        self.state = asyncz.ExecutorState(alias="")

    async def start(self, scheduler: asyncz.Notifier, alias: str, /) -> None:
        self.scheduler = scheduler
        self.state = asyncz.ExecutorState(alias=alias, status="running")

    async def shutdown(self, wait: bool = True) -> None:
        pass

    def submit(self, run: TaskRun[bytes], /) -> None:
        self.scheduler.notify(run, run.executed(b"restricted"))
        self.scheduler.released(run)


async def test_move_away_from_restricted_executor_only() -> None:
    """A task can leave a restricted executor; no task can be moved to it."""
    async with AsyncIOScheduler() as scheduler:
        task = scheduler.add_task(bytes, 1, executor=OnlyBytes(), trigger=None)
        restricted = task.executor
        assert await task.run() == b"restricted"
        other = scheduler.add_task(payloads.add, 1, 2, trigger=None)
        with pytest.raises(UnknownAliasError) as caught:
            other.modify(executor=restricted)
        assert restricted not in caught.value.known
        assert await other.run() == 3
        task.modify(executor="asyncio")
        assert await task.run() == b"\0"


async def test_move_rejected_by_executor_changes_nothing() -> None:
    async with AsyncIOScheduler() as scheduler:
        task = scheduler.add_task(lambda: 3, trigger=None)
        with pytest.raises(SerializationError):
            task.modify(executor="processpool", max_instances=4)
        assert (task.executor, task.limits, len(scheduler.state.executors)) == ("asyncio", TaskLimits(), 1)
        assert await task.run() == 3
