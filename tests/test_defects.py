"""What is known to go wrong in schedulers, and does not here."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import time
import weakref
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typing_extensions import override

from asyncz import (
    AsyncIOExecutor,
    AsyncIOScheduler,
    DateTrigger,
    ExecutorRemoved,
    Notifier,
    ProcessPoolExecutor,
    SchedulerShutdown,
    SchedulerStarted,
    TaskAdded,
    TaskCancelled,
    TaskError,
    TaskExecuted,
    TaskMaxInstances,
    TaskRemoved,
    TaskSubmitted,
    ThreadPoolExecutor,
    WorkerLostError,
    WorkerStartError,
)
from asyncz.testing import FakeClock
from tests import functions
from tests.test_executors import every_executor, every_queueing_executor, scheduler_with

START = datetime(2030, 1, 1, tzinfo=UTC)


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not reached():
            await asyncio.sleep(0.005)


# The process pool


def test_a_shutdown_ends_though_a_worker_died_and_runs_wait_behind_it(tmp_path: Path) -> None:
    async def main() -> None:
        scheduler = AsyncIOScheduler(executors={"tried": ProcessPoolExecutor(1)})
        await scheduler.start()
        victim = scheduler.add_task(functions.die, executor="tried", trigger=None).run()
        never, mark = str(tmp_path / "never"), tmp_path / "mark"
        waiting = [
            scheduler.add_task(functions.mark_and_wait, str(mark), never, executor="tried", trigger=None).run()
            for _ in range(3)
        ]
        with pytest.raises(WorkerLostError):
            await victim
        async with asyncio.timeout(30):
            await scheduler.shutdown(wait=False)
        assert {type(await handle.notification()) for handle in waiting} == {TaskCancelled}

    asyncio.run(main())


def test_a_shutdown_that_does_not_wait_kills_the_process_that_works() -> None:
    async def main() -> None:
        scheduler = scheduler_with("processpool")
        await scheduler.start()
        handle = scheduler.add_task(functions.sleep, 600.0, executor="tried", trigger=None).run()
        await until(lambda: scheduler.state.executors[0].queued == 0)
        async with asyncio.timeout(30):
            await scheduler.shutdown(wait=False)
        assert isinstance(await handle.notification(), TaskCancelled)

    asyncio.run(main())


def test_many_runs_go_through_workers_that_take_one_each() -> None:
    async def main() -> None:
        pool = ProcessPoolExecutor(2, {"max_tasks_per_child": 1})
        async with asyncio.timeout(100), AsyncIOScheduler(executors={"tried": pool}) as scheduler:
            handles = [
                scheduler.add_task(functions.process_id, executor="tried", trigger=None).run() for _ in range(20)
            ]
            assert len({await handle for handle in handles}) == 20
            assert scheduler.state.executors[0].lost_workers == 0

    asyncio.run(main())


def test_the_cause_of_a_remote_exception_is_told_in_its_traceback() -> None:
    async def main() -> None:
        async with scheduler_with("processpool") as scheduler:
            task = scheduler.add_task(functions.fail_with_cause, executor="tried", trigger=None)
            notification = await task.run().notification()
            text = getattr(notification, "traceback", "")
            assert "LookupError: the cause" in text
            assert "ValueError: the effect" in text
            assert "in fail_with_cause" in text

    asyncio.run(main())


# Pools of either kind


@pytest.mark.parametrize("kind", ["threadpool", "processpool"])
def test_the_documented_options_of_pools_are_taken_by_alias_too(kind: str) -> None:
    scheduler = AsyncIOScheduler()
    if kind == "threadpool":
        scheduler.add_executor("threadpool", alias="tried", max_workers=1, cancel_futures=True, overwrite_wait=False)
    else:
        scheduler.add_executor("processpool", alias="tried", max_workers=1, cancel_futures=True, overwrite_wait=False)

    async def main() -> None:
        await scheduler.start()
        handle = scheduler.add_task(functions.sleep, 0.5, executor="tried", trigger=None).run()
        await scheduler.shutdown(wait=True)
        assert isinstance(await handle.notification(), TaskCancelled)

    asyncio.run(main())


@every_queueing_executor
def test_a_cancelled_run_gives_its_place_back(kind: str) -> None:
    async def main() -> None:
        async with scheduler_with(kind) as scheduler:
            task = scheduler.add_task(functions.add, 1, 2, executor="tried", trigger=None)
            for _ in range(20):
                task.run().cancel()
                await until(lambda: task.state.running == 0)
            assert scheduler.state.executors[0].instances == ()
            assert await task.run() == 3

    asyncio.run(main())


def test_a_thread_pool_whose_initializer_failed_once_runs_what_comes_later() -> None:
    attempts: list[int] = []

    def fails_once() -> None:
        attempts.append(1)
        if len(attempts) == 1:
            raise OSError("no licence")

    async def main() -> None:
        pool = ThreadPoolExecutor(1, {"initializer": fails_once})
        async with AsyncIOScheduler(executors={"tried": pool}) as scheduler:
            task = scheduler.add_task(functions.add, 1, 2, executor="tried", trigger=None)
            with pytest.raises(WorkerStartError):
                await task.run()
            await until(lambda: task.state.running == 0)
            assert await task.run() == 3

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["threadpool", "asyncio"])
def test_a_shutdown_waits_for_a_function_that_needs_the_loop(kind: str) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        begun = threading.Event()

        def needs_loop() -> int:
            begun.set()
            return asyncio.run_coroutine_threadsafe(functions.add_async(1, 2), loop).result(30)

        scheduler = scheduler_with(kind)
        await scheduler.start()
        handle = scheduler.add_task(needs_loop, executor="tried", trigger=None).run()
        await until(begun.is_set)
        async with asyncio.timeout(30):
            await scheduler.shutdown()
        assert await handle == 3

    asyncio.run(main())


# The life of executors and schedulers


class FailsOnce(AsyncIOExecutor):
    failed = False

    @override
    async def start(self, scheduler: Notifier, alias: str, /) -> None:
        if not self.failed:
            self.failed = True
            raise OSError("not yet")
        await super().start(scheduler, alias)


def test_a_scheduler_whose_executor_failed_to_start_can_be_started_again() -> None:
    async def main() -> None:
        scheduler = AsyncIOScheduler(executors={"tried": FailsOnce()})
        started: list[object] = []
        scheduler.subscribe(SchedulerStarted, started.append)
        with pytest.raises(OSError, match="not yet"):
            await scheduler.start()
        async with scheduler:
            assert await scheduler.add_task(functions.add, 1, 2, executor="tried", trigger=None).run() == 3
        assert len(started) == 1

    asyncio.run(main())


def test_an_executor_that_fails_to_start_late_leaves_its_alias_free() -> None:
    async def main() -> None:
        async with AsyncIOScheduler() as scheduler:
            scheduler.add_executor(FailsOnce(), alias="tried")
            with pytest.raises(OSError, match="not yet"):
                await scheduler.add_task(functions.add, 1, 2, executor="tried").result()
            scheduler.add_executor("threadpool", alias="tried")
            assert await scheduler.add_task(functions.add, 1, 2, executor="tried").result() == 3

    asyncio.run(main())


def test_an_executor_that_is_removed_as_soon_as_it_is_added_is_released() -> None:
    async def main() -> None:
        executor = ThreadPoolExecutor(1)
        async with AsyncIOScheduler() as scheduler:
            scheduler.add_executor(executor, alias="tried")
            await scheduler.remove_executor("tried")
            # What was put off has been done by then.
            await scheduler.add_task(functions.add, 1, 2).result()
            assert executor.state.status == "stopped"

    asyncio.run(main())


def test_a_start_that_fails_releases_also_what_was_added_meanwhile() -> None:
    async def main() -> None:
        early, fails, late = ThreadPoolExecutor(1), StartsOnceAsked(fails=True), ThreadPoolExecutor(1)
        scheduler = AsyncIOScheduler(executors={"early": early, "fails": fails})
        start = asyncio.ensure_future(scheduler.start())
        await until(lambda: early.state.status == "running")
        scheduler.add_executor(late, alias="late")
        await until(lambda: late.state.status == "running")
        fails.go_on.set()
        with pytest.raises(OSError, match="not yet"):
            await start
        assert (early.state.status, late.state.status) == ("stopped", "stopped")

    asyncio.run(main())


class StartsOnceAsked(ThreadPoolExecutor):
    """Waits in its start, and may fail there."""

    def __init__(self, fails: bool = False) -> None:
        super().__init__(1)
        self.asked = asyncio.Event()
        self.go_on = asyncio.Event()
        self.fails = fails

    @override
    async def start(self, scheduler: Notifier, alias: str, /) -> None:
        self.asked.set()
        await self.go_on.wait()
        if self.fails:
            raise OSError("not yet")
        await super().start(scheduler, alias)


def test_what_is_due_while_its_executor_starts_with_the_scheduler_runs_then() -> None:
    async def main() -> None:
        slow, slower = StartsOnceAsked(), StartsOnceAsked()
        scheduler = AsyncIOScheduler(executors={"slow": slow, "slower": slower})
        start = asyncio.ensure_future(scheduler.start())
        await slow.asked.wait()
        handles = [scheduler.add_task(functions.add, 1, 2, executor=alias).result() for alias in ("slow", "slower")]
        await until(lambda: scheduler.state.submitted == 2)
        slow.go_on.set()
        slower.go_on.set()
        async with asyncio.timeout(30):
            await start
            assert await asyncio.gather(*handles) == [3, 3]
        await scheduler.shutdown()

    asyncio.run(main())


def test_a_start_that_fails_waits_for_no_other_and_ends_what_was_submitted() -> None:
    async def main() -> None:
        fails, never = StartsOnceAsked(fails=True), StartsOnceAsked()
        scheduler = AsyncIOScheduler(executors={"fails": fails})
        start = asyncio.ensure_future(scheduler.start())
        await fails.asked.wait()
        handles = [scheduler.add_task(functions.add, 1, 2, executor="fails", trigger=None).run()]
        scheduler.add_executor(never, alias="never")
        await never.asked.wait()
        handles.append(scheduler.add_task(functions.add, 1, 2, executor="never", trigger=None).run())
        fails.go_on.set()
        async with asyncio.timeout(30):
            with pytest.raises(OSError, match="not yet"):
                await start
            for handle in handles:
                assert isinstance(await handle.notification(), TaskCancelled | TaskError)
        fails.fails = False
        async with asyncio.timeout(30), scheduler:
            assert (scheduler.state.submitted, scheduler.state.executed) == (2, 0)
            assert await scheduler.add_task(functions.add, 1, 2, executor="fails").result() == 3

    asyncio.run(main())


def test_a_late_start_that_fails_leaves_the_executor_that_has_its_alias_by_then() -> None:
    async def main() -> None:
        first, second = StartsOnceAsked(fails=True), ThreadPoolExecutor(1)
        async with asyncio.timeout(30), AsyncIOScheduler() as scheduler:
            scheduler.add_executor(first, alias="tried")
            await first.asked.wait()
            removal = asyncio.ensure_future(scheduler.remove_executor("tried"))
            await asyncio.sleep(0)
            scheduler.add_executor(second, alias="tried")
            first.go_on.set()
            await removal
            assert await scheduler.add_task(functions.add, 1, 2, executor="tried").result() == 3
        assert second.state.status == "stopped"

    asyncio.run(main())


def test_a_shutdown_that_is_cancelled_leaves_a_late_start_alone() -> None:
    async def main() -> None:
        late = StartsOnceAsked()
        scheduler = AsyncIOScheduler()
        await scheduler.start()
        scheduler.add_executor(late, alias="late")
        handle = scheduler.add_task(functions.add, 1, 2, executor="late", trigger=None).run()
        await late.asked.wait()
        shutdown = asyncio.ensure_future(scheduler.shutdown())
        await until(lambda: scheduler.state.status == "draining")
        shutdown.cancel()
        await asyncio.wait([shutdown])
        late.go_on.set()
        async with asyncio.timeout(30):
            await scheduler.shutdown()
            assert await handle == 3
        assert late.state.status == "stopped"

    asyncio.run(main())


@every_executor
def test_an_executor_that_was_never_started_can_be_removed(kind: str) -> None:
    async def main() -> None:
        scheduler = scheduler_with(kind)
        removed: list[ExecutorRemoved] = []
        scheduler.subscribe(ExecutorRemoved, removed.append)
        await scheduler.remove_executor("tried")
        async with scheduler:
            pass
        assert [event.alias for event in removed] == ["tried"]

    asyncio.run(main())


def test_a_listener_may_remove_the_executor_of_the_run_that_it_hears_of() -> None:
    async def main() -> None:
        async with asyncio.timeout(30), scheduler_with("threadpool") as scheduler:
            removed: list[object] = []
            scheduler.subscribe(ExecutorRemoved, removed.append)
            task = scheduler.add_task(functions.add, 1, 2, executor="tried", trigger=None)

            async def remove(_: TaskExecuted[int]) -> None:
                scheduler.remove_task(task)
                await scheduler.remove_executor("tried")

            task.on_executed(remove)
            await task.run()
            await until(lambda: bool(removed))

    asyncio.run(main())


def test_nothing_runs_after_the_shutdown_also_not_what_is_added_in_the_same_moment() -> None:
    async def main() -> None:
        scheduler = AsyncIOScheduler()
        heard: list[str] = []
        scheduler.subscribe(TaskSubmitted, lambda event: heard.append(event.task_id))
        scheduler.subscribe(SchedulerShutdown, lambda _: heard.append("shutdown"))
        await scheduler.start()
        shutdown = asyncio.ensure_future(scheduler.shutdown())
        scheduler.add_task(functions.add, 1, 2, id="in the same moment")
        await shutdown
        scheduler.add_task(functions.add, 1, 2, id="after it")
        await asyncio.sleep(0.05)
        assert heard[-1] == "shutdown"
        assert "after it" not in heard
        assert not scheduler.running

    asyncio.run(main())


def test_a_cancelled_coroutine_cleans_up_before_the_shutdown_is_over() -> None:
    cleaned_up: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.05)
            cleaned_up.append("yes")

    async def main() -> None:
        scheduler = scheduler_with("asyncio")
        await scheduler.start()
        scheduler.add_task(work, executor="tried", trigger=None).run()
        await asyncio.sleep(0.01)
        await scheduler.shutdown(wait=False)
        assert cleaned_up == ["yes"]

    asyncio.run(main())


def test_a_coroutine_that_ignores_its_cancellation_cannot_keep_a_shutdown_for_ever(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("asyncz.executors.asyncio._SECONDS_TO_CLEAN_UP", 0.05)

    async def main() -> None:
        let_go = asyncio.Event()

        async def stubborn() -> None:
            while not let_go.is_set():
                try:
                    await let_go.wait()
                except asyncio.CancelledError:
                    continue

        scheduler = scheduler_with("asyncio")
        await scheduler.start()
        scheduler.add_task(stubborn, executor="tried", trigger=None).run()
        await asyncio.sleep(0.01)
        try:
            async with asyncio.timeout(10):
                await scheduler.shutdown(wait=False)
        finally:
            let_go.set()
            await asyncio.sleep(0.01)

    with caplog.at_level(logging.WARNING):
        asyncio.run(main())
    assert "go on although they were cancelled" in caplog.text


# Tasks


def test_a_single_run_that_is_due_at_the_maximum_is_told_as_rejected() -> None:
    async def main() -> None:
        clock = FakeClock()
        heard: list[str] = []
        async with AsyncIOScheduler(clock=clock) as scheduler:
            scheduler.subscribe(TaskMaxInstances, lambda _: heard.append("rejected"))
            scheduler.subscribe(TaskRemoved, lambda _: heard.append("removed"))
            go_on = asyncio.Event()

            async def wait() -> None:
                await go_on.wait()

            task = scheduler.add_task(wait, trigger=DateTrigger(START + timedelta(hours=1)))
            handle = task.run()
            await clock.advance(hours=2)
            assert heard == ["rejected"]
            go_on.set()
            await handle
            await until(lambda: heard == ["rejected", "removed"])

    asyncio.run(main())


def test_running_a_task_now_leaves_its_scheduled_run_where_it_was() -> None:
    async def main() -> None:
        clock = FakeClock()
        due: list[datetime | None] = []
        async with AsyncIOScheduler(clock=clock) as scheduler:
            at = START + timedelta(hours=1)
            task = scheduler.add_task(functions.add_async, 1, 2, trigger=DateTrigger(at))
            task.on_executed(lambda event: due.append(event.details.scheduled_at))
            await clock.advance()
            await task.run()
            assert task.next_run_at == at
            await clock.advance(hours=1)
            assert due == [START, at]

    asyncio.run(main())


def test_a_task_that_another_thread_adds_runs_at_once() -> None:
    async def main() -> None:
        async with AsyncIOScheduler() as scheduler:
            ran = asyncio.Event()
            loop = asyncio.get_running_loop()

            def add() -> None:
                scheduler.add_task(loop.call_soon_threadsafe, ran.set)

            # The loop sleeps and has nothing to do for a long time, when the other thread comes.
            threading.Timer(0.1, add).start()
            began = time.monotonic()
            async with asyncio.timeout(30):
                await ran.wait()
            # The scheduler looks at its timetable by itself only every ten seconds.
            assert time.monotonic() - began < 9

    asyncio.run(main())


def test_an_event_tells_which_task_was_added() -> None:
    async def main() -> None:
        async with AsyncIOScheduler() as scheduler:
            added: list[TaskAdded] = []
            scheduler.subscribe(TaskAdded, added.append)
            await scheduler.add_task(functions.add, 1, 2, id="named").result()
            assert [event.task_id for event in added] == ["named"]

    asyncio.run(main())


class Large:
    """Something that a failed function held."""


@pytest.mark.parametrize("kind", ["asyncio", "threadpool", "debug"])
def test_the_error_of_a_run_does_not_hold_what_its_function_held(kind: str) -> None:
    held: list[weakref.ref[Large]] = []

    def fails() -> None:
        large = Large()
        held.append(weakref.ref(large))
        raise ValueError("with locals")

    async def main() -> None:
        async with scheduler_with(kind) as scheduler:
            task = scheduler.add_task(fails, executor="tried", trigger=None)
            notification = await task.run().notification()
            gc.collect()
            assert held[0]() is None
            assert "with locals" in getattr(notification, "traceback", "")

    asyncio.run(main())
