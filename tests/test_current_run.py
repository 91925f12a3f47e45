"""What a function can know of its run: which one it is, and whether it is to end."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import threading
import time
import weakref
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from asyncz import (
    AsyncIOScheduler,
    IntervalTrigger,
    NoCurrentRunError,
    ProcessPoolExecutor,
    Retry,
    TaskCancelled,
    TaskCancelledError,
    TaskExecuted,
    TaskRun,
    TaskSpec,
    TaskTimeoutError,
    current_run,
)
from asyncz.executors.process_pool import _slot
from asyncz.testing import FakeClock
from tests.test_defects import until
from tests.test_executors import MAKERS, every_executor, scheduler_with

START = datetime(2030, 1, 1, tzinfo=UTC)


def seen() -> tuple[int, str, int, datetime]:
    run = current_run()
    return run.run_id, run.task_id, run.attempt, run.scheduled_at


async def seen_later() -> tuple[int, str, int, datetime]:
    before = seen()
    await asyncio.sleep(0)
    assert seen() == before == await asyncio.create_task(seen_in_a_child()) == await asyncio.to_thread(seen)
    return before


async def seen_in_a_child() -> tuple[int, str, int, datetime]:
    return seen()


def gives_a_coroutine() -> object:
    return seen_later()


def fails_at_first(attempts: int) -> tuple[int, str, int, datetime]:
    if current_run().attempt < attempts:
        raise OSError("not yet")
    return seen()


@every_executor
@pytest.mark.parametrize("function", [seen, seen_later, gives_a_coroutine])
def test_a_function_sees_its_own_run_and_so_does_what_it_calls(kind: str, function: Callable[[], object]) -> None:
    async def main() -> None:
        async with AsyncIOScheduler(executors={"tried": MAKERS[kind]()}, clock=FakeClock()) as scheduler:
            task = scheduler.add_task(function, executor="tried", trigger=None, id="näme-😀", max_instances=20)
            for _ in range(2):
                handles = [task.run() for _ in range(2)]
                results = [await handle for handle in handles]
                assert results == [(handle.run_id, "näme-😀", 1, START) for handle in handles]

    asyncio.run(main())


@every_executor
def test_a_further_attempt_belongs_to_the_same_run(kind: str) -> None:
    async def main() -> None:
        async with scheduler_with(kind) as scheduler:
            retry = Retry(attempts=3, delay=0.0)
            task = scheduler.add_task(fails_at_first, 3, executor="tried", trigger=None, retry=retry)
            handle = task.run()
            run_id, _, attempt, scheduled_at = await handle
            notification = await handle.notification()
            assert (run_id, attempt) == (handle.run_id, 3)
            assert scheduled_at == notification.details.scheduled_at

    asyncio.run(main())


def test_a_due_run_is_told_when_it_was_due() -> None:
    async def main() -> None:
        clock = FakeClock()
        async with AsyncIOScheduler(clock=clock) as scheduler:
            seen_at: list[datetime] = []
            task = scheduler.add_task(seen, trigger=IntervalTrigger(hours=1), executor="threadpool")
            task.on_executed(lambda event: seen_at.append(event.result[3]))
            await clock.advance(hours=2, wait_for_runs=True)
            assert seen_at == [START.replace(hour=1), START.replace(hour=2)]

    asyncio.run(main())


def test_a_run_that_runs_another_one_inline_is_the_current_one_again_after_it() -> None:
    inner = TaskRun(TaskSpec("inner", seen))

    def outer() -> list[str]:
        before, within = current_run().task_id, inner.execute()
        assert isinstance(within, TaskExecuted)
        return [before, within.result[1], current_run().task_id]

    ending = TaskRun(TaskSpec("outer", outer)).execute()
    assert isinstance(ending, TaskExecuted)
    assert ending.result == ["outer", "inner", "outer"]


def test_there_is_no_current_run_outside_of_a_run() -> None:
    with pytest.raises(NoCurrentRunError, match="outside of a run"):
        current_run()

    def in_a_thread_of_its_own() -> list[bool]:
        found: list[bool] = []

        def look() -> None:
            try:
                current_run()
            except NoCurrentRunError:
                found.append(False)

        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        return found

    async def main() -> None:
        async with AsyncIOScheduler() as scheduler:
            heard: list[BaseException] = []

            @scheduler.add_task(in_a_thread_of_its_own, executor="threadpool").on_executed
            def listener(event: TaskExecuted[list[bool]]) -> None:
                assert event.result == [False]
                try:
                    current_run()
                except NoCurrentRunError as error:
                    heard.append(error)

            await until(lambda: bool(heard))
            await scheduler.add_task(seen_later).result()
            with pytest.raises(NoCurrentRunError):
                current_run()

    asyncio.run(main())


def test_there_is_no_current_run_for_those_who_hear_of_what_a_run_has_added() -> None:
    async def main() -> None:
        heard: list[str] = []

        async def add_later() -> None:
            # By then nothing is going on: what is added wakes the scheduler.
            await asyncio.sleep(0.01)
            scheduler.add_task(seen, id="added", executor="debug")

        def hear(event: TaskExecuted[object]) -> None:
            try:
                heard.append(f"of {event.task_id} in {current_run().task_id}")
            except NoCurrentRunError:
                heard.append(f"of {event.task_id}")

        async with AsyncIOScheduler() as scheduler:
            scheduler.subscribe(TaskExecuted, hear)
            scheduler.add_task(add_later, id="adds")
            await until(lambda: len(heard) == 2)
        assert set(heard) == {"of added", "of adds"}

    asyncio.run(main())


def test_an_executor_may_prepare_the_context_of_a_run() -> None:
    prepared: contextvars.ContextVar[str] = contextvars.ContextVar("prepared")
    task = TaskSpec("t", prepared.get)
    run = TaskRun(task, context=contextvars.copy_context())
    context = run.context
    assert context is not None
    context.run(prepared.set, "by its executor")
    ending = run.execute()
    assert isinstance(ending, TaskExecuted)
    assert ending.result == "by its executor"


@pytest.mark.parametrize("function", [seen, seen_later])
def test_a_run_is_let_go_of_as_soon_as_it_is_over(function: Callable[[], object]) -> None:
    """Its context must not hold it: what only the garbage collection finds, costs."""

    async def main() -> None:
        class Marked(asyncio.Event):
            """Something that can be referred to weakly, which a run can not."""

        async with AsyncIOScheduler() as scheduler:
            held = Marked()
            gone = weakref.ref(held)
            variable: contextvars.ContextVar[Marked] = contextvars.ContextVar("marked")
            context = contextvars.copy_context()
            context.run(variable.set, held)
            task = scheduler.add_task(function, executor="threadpool" if function is seen else "asyncio", trigger=None)
            gc.collect()
            gc.disable()
            try:
                handle = context.run(task.run)
                await handle
                await until(lambda: not task.state.running)
                del handle, held, context
                await asyncio.sleep(0.01)
                assert gone() is None
            finally:
                gc.enable()

    asyncio.run(main())


class NeverDone:
    def __await__(self) -> Generator[object, None, None]:
        yield None


def test_a_coroutine_that_is_thrown_away_elsewhere_harms_nobody() -> None:
    other = TaskRun(TaskSpec("other", seen))
    task: TaskSpec[None] = TaskSpec("t", NeverDone)
    coroutine = TaskRun(task).execute_async()
    contextvars.copy_context().run(coroutine.send, None)
    # What is raised where the garbage collection ends it fails a test.
    del coroutine
    gc.collect()
    assert isinstance(other.execute(), TaskExecuted)


# Whether it is cancelled


def run_until_cancelled(mark: str) -> str:
    """A function that looks whether it is to end: the way to write a long one."""
    Path(mark).touch()
    abandon_at = time.monotonic() + 60
    while not current_run().is_cancelled():
        if time.monotonic() > abandon_at:
            return "never cancelled"
        time.sleep(0.002)
    Path(f"{mark}-cleaned-up").touch()
    return "cleaned up"


def ask_and_go_on(mark: str) -> None:
    current_run().is_cancelled()
    Path(mark).touch()
    time.sleep(60)


@pytest.mark.parametrize("kind", ["asyncio", "threadpool"])
def test_a_thread_that_saw_its_cancellation_is_cancelled(kind: str, tmp_path: Path) -> None:
    async def main() -> None:
        mark = tmp_path / "mark"
        async with asyncio.timeout(60), scheduler_with(kind) as scheduler:
            task = scheduler.add_task(run_until_cancelled, str(mark), executor="tried", trigger=None)
            handle = task.run()
            await until(mark.exists)
            assert handle.cancel() is False
            with pytest.raises(TaskCancelledError):
                await handle
            assert (tmp_path / "mark-cleaned-up").exists()

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["asyncio", "threadpool", "processpool"])
def test_a_function_over_its_time_limit_learns_of_it(kind: str, tmp_path: Path) -> None:
    async def main() -> None:
        mark, cleaned_up = tmp_path / "mark", tmp_path / "mark-cleaned-up"
        async with asyncio.timeout(60), scheduler_with(kind) as scheduler:
            # A worker that has imported this module: its time limit is for the function.
            assert not (await scheduler.add_task(asks, executor="tried").result())[1]
            task = scheduler.add_task(run_until_cancelled, str(mark), executor="tried", trigger=None, timeout=0.5)
            with pytest.raises(TaskTimeoutError):
                await task.run()
            await until(lambda: not task.state.running)
            assert cleaned_up.exists()
            assert scheduler.state.executors[0].replaced_workers == 0

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["asyncio", "threadpool"])
def test_a_function_that_a_shutdown_did_not_wait_for_learns_of_it(kind: str, tmp_path: Path) -> None:
    async def main() -> None:
        mark, cleaned_up = tmp_path / "mark", tmp_path / "mark-cleaned-up"
        scheduler = scheduler_with(kind)
        await scheduler.start()
        handle = scheduler.add_task(run_until_cancelled, str(mark), executor="tried", trigger=None).run()
        await until(mark.exists)
        async with asyncio.timeout(30):
            await scheduler.shutdown(wait=False)
        assert isinstance(await handle.notification(), TaskCancelled)
        await until(cleaned_up.exists)

    asyncio.run(main())


def test_a_coroutine_that_cleans_up_knows_that_it_was_cancelled() -> None:
    async def main() -> None:
        seen: list[bool] = []

        async def work() -> None:
            seen.append(current_run().is_cancelled())
            try:
                await asyncio.sleep(60)
            finally:
                seen.append(current_run().is_cancelled())

        async with asyncio.timeout(30), AsyncIOScheduler() as scheduler:
            handle = scheduler.add_task(work, trigger=None).run()
            await until(lambda: seen == [False])
            assert handle.cancel()
            assert isinstance(await handle.notification(), TaskCancelled)
        assert seen == [False, True]

    asyncio.run(main())


def test_a_process_that_asks_is_given_the_time_to_return(tmp_path: Path) -> None:
    async def main() -> None:
        mark, cleaned_up = tmp_path / "mark", tmp_path / "mark-cleaned-up"
        async with asyncio.timeout(60), AsyncIOScheduler(executors={"tried": ProcessPoolExecutor(1)}) as scheduler:
            pid = await scheduler.add_task(os.getpid, executor="tried").result()
            task = scheduler.add_task(run_until_cancelled, str(mark), executor="tried", trigger=None)
            for _ in range(2):
                handle = task.run()
                await until(mark.exists)
                # Let it be heard of that the function asks.
                assert await scheduler.add_task(abs, -1, executor="threadpool").result() == 1
                await asyncio.sleep(0.1)
                assert handle.cancel()
                assert isinstance(await handle.notification(), TaskCancelled)
                assert cleaned_up.exists()
                mark.unlink()
                cleaned_up.unlink()
            # The same worker goes on, and knows nothing of a cancellation any more.
            assert await scheduler.add_task(asks, executor="tried").result() == (pid, False)
            assert scheduler.state.executors[0].replaced_workers == 0

    asyncio.run(main())


def asks() -> tuple[int, bool]:
    return os.getpid(), current_run().is_cancelled()


def test_a_process_that_asks_and_goes_on_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_slot, "SECONDS_TO_RETURN", 0.1)

    async def main() -> None:
        mark = tmp_path / "mark"
        async with asyncio.timeout(60), AsyncIOScheduler(executors={"tried": ProcessPoolExecutor(1)}) as scheduler:
            handle = scheduler.add_task(ask_and_go_on, str(mark), executor="tried", trigger=None).run()
            await until(mark.exists)
            await asyncio.sleep(0.1)
            assert handle.cancel()
            assert isinstance(await handle.notification(), TaskCancelled)
            assert await scheduler.add_task(abs, -1, executor="tried").result() == 1
            executor = scheduler.state.executors[0]
            assert (executor.replaced_workers, executor.lost_workers) == (1, 0)

    asyncio.run(main())


def test_a_run_that_was_asked_to_end_is_not_tried_again(tmp_path: Path) -> None:
    def fail_when_cancelled() -> None:
        run_until_cancelled(str(tmp_path / "mark"))
        raise OSError("interrupted")

    async def main() -> None:
        async with asyncio.timeout(60), AsyncIOScheduler() as scheduler:
            retry = Retry(attempts=5, delay=0.0)
            handle = scheduler.add_task(fail_when_cancelled, executor="threadpool", trigger=None, retry=retry).run()
            await until((tmp_path / "mark").exists)
            handle.cancel()
            notification = await handle.notification()
            assert isinstance(notification, TaskCancelled)
            assert notification.details.attempt == 1

    asyncio.run(main())
