"""The rules of a run, on every executor that comes with asyncz."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import os
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from typing_extensions import override

from asyncz import (
    AsyncIOExecutor,
    AsyncIOScheduler,
    DebugExecutor,
    ExecutorNotRunningError,
    MaximumInstancesError,
    ProcessPoolExecutor,
    QueueFullError,
    RemoteError,
    SerializationError,
    TaskCancelled,
    TaskCancelledError,
    TaskError,
    TaskExecuted,
    TaskExitError,
    TaskLimits,
    TaskNotification,
    TaskRun,
    TaskSpec,
    TaskSubmitted,
    TaskTimeoutError,
    ThreadPoolExecutor,
    UniversalExecutor,
    WorkerLostError,
    WorkerStartError,
)
from tests import functions
from tests.functions import Recorder, ResultT

MAKERS: dict[str, Callable[[], UniversalExecutor]] = {
    "asyncio": AsyncIOExecutor,
    "threadpool": partial(ThreadPoolExecutor, 4),
    "processpool": partial(ProcessPoolExecutor, 2),
    "debug": DebugExecutor,
}
every_executor = pytest.mark.parametrize("kind", MAKERS)
every_queueing_executor = pytest.mark.parametrize("kind", ["asyncio", "threadpool", "processpool"])


def scheduler_with(kind: str) -> AsyncIOScheduler:
    return AsyncIOScheduler(executors={"tried": MAKERS[kind]()})


@every_executor
def test_gives_results_of_plain_and_coroutine_functions(kind: str) -> None:
    async def main() -> None:
        async with scheduler_with(kind) as scheduler:
            calls = [
                scheduler.add_task(functions.add, 1, 2, executor="tried"),
                scheduler.add_task(functions.add_async, 1, 2, executor="tried"),
                scheduler.add_task(functions.AsyncAdder(), 1, 2, executor="tried"),
                scheduler.add_task(partial(functions.add_async, second=2), 1, executor="tried"),
                scheduler.add_task(partial(functions.add, second=2), 1, executor="tried"),
            ]
            assert [await task.result() for task in calls] == [3] * 5

    asyncio.run(main())


@every_executor
@pytest.mark.parametrize("function", [functions.fail, functions.fail_async])
def test_an_exception_reaches_listener_and_awaiter(kind: str, function: Callable[[str], int]) -> None:
    async def main() -> None:
        errors: list[TaskError] = []
        async with scheduler_with(kind) as scheduler:
            scheduler.subscribe(TaskError, errors.append)
            with pytest.raises(ValueError, match="broken"):
                await scheduler.add_task(function, "broken", executor="tried", trigger=None).run()
        assert len(errors) == 1
        assert "in fail" in errors[0].traceback
        assert errors[0].details.started_at is not None

    asyncio.run(main())


@every_executor
@pytest.mark.parametrize("function", [functions.leave, functions.interrupt])
def test_a_request_to_exit_is_an_error_of_the_run(kind: str, function: Callable[[], None]) -> None:
    async def main() -> None:
        async with scheduler_with(kind) as scheduler:
            with pytest.raises(TaskExitError):
                await scheduler.add_task(function, executor="tried").result()
            assert await scheduler.add_task(functions.add, 1, 1, executor="tried").result() == 2

    asyncio.run(main())


@every_executor
def test_a_function_that_raises_cancelled_error_is_cancelled(kind: str) -> None:
    async def main() -> None:
        async with scheduler_with(kind) as scheduler:
            with pytest.raises(TaskCancelledError):
                await scheduler.add_task(functions.cancel_itself, executor="tried").result()

    asyncio.run(main())


@every_executor
def test_submitted_comes_before_every_end_and_the_ledger_agrees(kind: str) -> None:
    async def main() -> None:
        events: list[tuple[str, int]] = []
        async with scheduler_with(kind) as scheduler:
            scheduler.subscribe(TaskSubmitted, lambda event: events.append(("submitted", event.details.run_id)))
            scheduler.subscribe(TaskExecuted, lambda event: events.append(("ended", event.details.run_id)))
            scheduler.subscribe(TaskError, lambda event: events.append(("ended", event.details.run_id)))
            tasks = [scheduler.add_task(functions.add, number, 1, executor="tried") for number in range(50)]
            tasks.append(scheduler.add_task(functions.fail, "x", executor="tried"))
            for task in tasks[:-1]:
                await task.result()
            with pytest.raises(ValueError, match="x"):
                await tasks[-1].result()
        seen: set[int] = set()
        for kind_of_event, run_id in events:
            assert (run_id in seen) == (kind_of_event == "ended")
            seen.add(run_id)
        assert len(events) == 2 * 51
        assert (scheduler.state.submitted, scheduler.state.executed, scheduler.state.errors) == (51, 50, 1)

    asyncio.run(main())


@every_queueing_executor
def test_rejects_more_than_max_instances_and_counts_down(kind: str) -> None:
    async def main() -> None:
        async with scheduler_with(kind) as scheduler:
            task = scheduler.add_task(functions.sleep, 0.2, trigger=None, executor="tried", max_instances=2)
            first, second = task.run(), task.run()
            with pytest.raises(MaximumInstancesError):
                task.run()
            (state,) = scheduler.state.executors
            assert (state.running, state.instances[0].running) == (2, 2)
            assert [await first, await second] == ["slept", "slept"]
            assert await task.run() == "slept"

    asyncio.run(main())


@every_executor
def test_takes_no_runs_before_start_and_after_shutdown(kind: str, recorder: Recorder) -> None:
    async def main() -> None:
        executor = MAKERS[kind]()
        task = TaskSpec("t", partial(functions.add, 1, 2))
        with pytest.raises(ExecutorNotRunningError):
            executor.submit(TaskRun(task))
        await executor.start(recorder, "alone")
        run = TaskRun(task)
        executor.submit(run)
        await recorder.until(lambda: recorder.told == [("notified", run.id), ("released", run.id)])
        await executor.shutdown()
        await executor.shutdown()
        with pytest.raises(ExecutorNotRunningError):
            executor.submit(TaskRun(task))
        assert executor.state.status == "stopped"
        assert executor.state.instances == ()
        assert isinstance(recorder.notifications[0], TaskExecuted)

    asyncio.run(main())


@every_queueing_executor
def test_shutdown_waits_for_runs_without_blocking_the_loop(kind: str) -> None:
    async def main() -> None:
        ticks = 0
        scheduler = scheduler_with(kind)
        await scheduler.start()
        handle = scheduler.add_task(functions.sleep, 0.3, executor="tried", trigger=None).run()
        shutdown = asyncio.ensure_future(scheduler.shutdown())
        while not shutdown.done():
            await asyncio.sleep(0.02)
            ticks += 1
        assert await handle == "slept"
        assert ticks > 5

    asyncio.run(main())


@every_queueing_executor
def test_shutdown_without_waiting_ends_runs_as_cancelled(kind: str) -> None:
    async def main() -> None:
        scheduler = scheduler_with(kind)
        await scheduler.start()
        handle = scheduler.add_task(functions.sleep, 0.5, executor="tried", trigger=None).run()
        await asyncio.sleep(0)
        await scheduler.shutdown(wait=False)
        with pytest.raises(TaskCancelledError):
            await handle
        assert scheduler.state.cancelled == 1

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["threadpool", "processpool"])
@pytest.mark.parametrize("wait", [True, False])
def test_overwrite_wait_wins(kind: str, wait: bool) -> None:
    async def main() -> None:
        pool = (ThreadPoolExecutor if kind == "threadpool" else ProcessPoolExecutor)(1, overwrite_wait=wait)
        scheduler = AsyncIOScheduler(executors={"tried": pool})
        await scheduler.start()
        handle = scheduler.add_task(functions.sleep, 0.3, executor="tried", trigger=None).run()
        await asyncio.sleep(0.1)
        await scheduler.shutdown(wait=not wait)
        assert isinstance(await handle.notification(), TaskExecuted if wait else TaskCancelled)

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["threadpool", "processpool"])
def test_cancel_futures_drops_the_queue_at_shutdown(kind: str) -> None:
    async def main() -> None:
        pool = (ThreadPoolExecutor if kind == "threadpool" else ProcessPoolExecutor)(1, cancel_futures=True)
        scheduler = AsyncIOScheduler(executors={"tried": pool})
        await scheduler.start()
        running = scheduler.add_task(functions.sleep, 0.5, executor="tried", trigger=None).run()
        while scheduler.state.executors[0].queued:
            await asyncio.sleep(0.01)
        queued = [scheduler.add_task(functions.sleep, 0.01, executor="tried", trigger=None).run() for _ in range(3)]
        await scheduler.shutdown()
        assert isinstance(await running.notification(), TaskExecuted)
        assert {type(await handle.notification()) for handle in queued} == {TaskCancelled}

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["threadpool", "processpool"])
def test_a_full_queue_rejects(kind: str) -> None:
    async def main() -> None:
        pool = (ThreadPoolExecutor if kind == "threadpool" else ProcessPoolExecutor)(1, max_queue=1)
        async with AsyncIOScheduler(executors={"tried": pool}) as scheduler:
            running = scheduler.add_task(functions.sleep, 0.3, executor="tried", trigger=None).run()
            while scheduler.state.executors[0].queued:
                await asyncio.sleep(0.01)
            waiting = scheduler.add_task(functions.add, 1, 2, executor="tried", trigger=None).run()
            with pytest.raises(QueueFullError):
                scheduler.add_task(functions.add, 1, 2, executor="tried", trigger=None).run()
            assert (await running, await waiting) == ("slept", 3)

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["asyncio", "threadpool", "processpool"])
def test_a_run_that_exceeds_its_timeout_ends_at_once(kind: str) -> None:
    async def main() -> None:
        async with scheduler_with(kind) as scheduler:
            task = scheduler.add_task(functions.sleep, 1.0, executor="tried", trigger=None, timeout=0.2)
            with pytest.raises(TaskTimeoutError):
                await task.run()
            if kind != "processpool":
                assert scheduler.state.executors[0].abandoned == 1
                with pytest.raises(MaximumInstancesError):
                    task.run()

    asyncio.run(main())


def test_a_coroutine_that_exceeds_its_timeout_is_cancelled() -> None:
    cleaned_up: list[bool] = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            cleaned_up.append(True)

    async def main() -> None:
        async with AsyncIOScheduler() as scheduler:
            with pytest.raises(TaskTimeoutError):
                await scheduler.add_task(work, timeout=0.05).result()
            # Here, and not by the end of the loop.
            async with asyncio.timeout(5):
                while not cleaned_up:
                    await asyncio.sleep(0.005)

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["asyncio", "processpool"])
def test_running_runs_can_be_cancelled(kind: str) -> None:
    async def main() -> None:
        async with scheduler_with(kind) as scheduler:
            task = scheduler.add_task(functions.sleep_async, 60.0, executor="tried", trigger=None)
            handle = task.run()
            while scheduler.state.executors[0].queued:
                await asyncio.sleep(0.01)
            assert task.cancel_runs() == 1
            with pytest.raises(TaskCancelledError):
                await handle
            assert handle.done()
            assert not handle.cancel()

    asyncio.run(main())


def test_a_running_thread_cannot_be_cancelled_and_a_queued_one_can() -> None:
    async def main() -> None:
        async with AsyncIOScheduler(executors={"tried": ThreadPoolExecutor(1)}) as scheduler:
            running = scheduler.add_task(functions.sleep, 0.3, executor="tried", trigger=None).run()
            queued = scheduler.add_task(functions.sleep, 0.3, executor="tried", trigger=None).run()
            while scheduler.state.executors[0].queued == 2:
                await asyncio.sleep(0.01)
            assert not running.cancel()
            assert queued.cancel()
            assert isinstance(await queued.notification(), TaskCancelled)
            assert await running == "slept"

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["asyncio", "threadpool", "debug"])
def test_context_variables_of_add_task_are_visible(kind: str) -> None:
    variable = contextvars.ContextVar("variable", default="unset")

    async def read_async() -> str:
        return variable.get()

    async def main() -> None:
        async with scheduler_with(kind) as scheduler:
            variable.set("set")
            plain = scheduler.add_task(variable.get, executor="tried")
            coroutine = scheduler.add_task(read_async, executor="tried")
            variable.set("later")
            assert [await plain.result(), await coroutine.result()] == ["set", "set"]
            assert await scheduler.add_task(read_async, executor="tried", trigger=None).run() == "later"

    asyncio.run(main())


# What only processes can suffer


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_pool_kwargs_reach_the_pool_and_its_replacement(method: str) -> None:
    import multiprocessing

    async def main() -> None:
        pool = ProcessPoolExecutor(
            1,
            {
                "mp_context": multiprocessing.get_context(method),
                "initializer": functions.initialize,
                "initargs": ("ready",),
            },
        )
        async with AsyncIOScheduler(executors={"tried": pool}) as scheduler:
            assert await scheduler.add_task(functions.initialized_with, executor="tried").result() == ["ready"]
            with pytest.raises(WorkerLostError):
                await scheduler.add_task(functions.die, executor="tried").result()
            assert await scheduler.add_task(functions.initialized_with, executor="tried").result() == ["ready"]
            assert scheduler.state.executors[0].replaced_workers == 1

    asyncio.run(main())


def test_max_tasks_per_child_replaces_workers() -> None:
    async def main() -> None:
        pool = ProcessPoolExecutor(1, {"max_tasks_per_child": 2})
        async with AsyncIOScheduler(executors={"tried": pool}) as scheduler:
            ids = [await scheduler.add_task(functions.process_id, executor="tried").result() for _ in range(5)]
            assert ids[0] == ids[1] != ids[2] == ids[3] != ids[4]
            assert scheduler.state.executors[0].lost_workers == 0

    asyncio.run(main())


def test_a_failing_initializer_ends_runs_with_its_cause_and_breaks_the_executor() -> None:
    async def main() -> None:
        pool = ProcessPoolExecutor(1, {"initializer": functions.failing_initializer})
        async with AsyncIOScheduler(executors={"tried": pool}) as scheduler:
            handles = [scheduler.add_task(functions.add, 1, 1, executor="tried", trigger=None).run() for _ in range(5)]
            for handle in handles:
                with pytest.raises(WorkerStartError) as failed:
                    await handle
                assert isinstance(failed.value.__cause__, OSError)
            assert scheduler.state.executors[0].status == "broken"

    asyncio.run(main())


def test_a_failing_initializer_of_threads_ends_runs_with_its_cause() -> None:
    async def main() -> None:
        pool = ThreadPoolExecutor(1, {"initializer": functions.failing_initializer})
        async with AsyncIOScheduler(executors={"tried": pool}) as scheduler:
            for _ in range(2):
                with pytest.raises(WorkerStartError, match="initializer"):
                    await scheduler.add_task(functions.add, 1, 1, executor="tried").result()

    asyncio.run(main())


def test_what_cannot_be_pickled_is_told() -> None:
    async def main() -> None:
        async with scheduler_with("processpool") as scheduler:
            with pytest.raises(SerializationError, match="function or argument"):
                scheduler.add_task(lambda: 1, executor="tried")
            assert scheduler.tasks == ()
            with pytest.raises(SerializationError, match="result"):
                await scheduler.add_task(functions.unpicklable_result, executor="tried").result()
            with pytest.raises(SerializationError, match="result"):
                await scheduler.add_task(functions.badly_loading_result, executor="tried").result()
            with pytest.raises(SerializationError, match="the worker cannot load it"):
                await scheduler.add_task(functions.add, functions.LoadsBadly(), 1, executor="tried").result()  # type: ignore[arg-type, call-arg]  # never gets there
            with pytest.raises(RemoteError, match="TwoArgumentsError"):
                await scheduler.add_task(functions.fail_with_two_arguments, executor="tried").result()
            assert await scheduler.add_task(functions.add, 1, 1, executor="tried").result() == 2

    asyncio.run(main())


def test_a_remote_exception_carries_its_traceback_as_a_note() -> None:
    async def main() -> None:
        async with scheduler_with("processpool") as scheduler:
            with pytest.raises(ValueError, match="far away") as raised:
                await scheduler.add_task(functions.fail, "far away", executor="tried").result()
            assert "in fail" in raised.value.__notes__[0]

    asyncio.run(main())


def test_log_records_of_workers_arrive_also_from_one_that_dies(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with scheduler_with("processpool") as scheduler:
            await scheduler.add_task(functions.log, "app.part", logging.INFO, "hello", executor="tried").result()
            with pytest.raises(WorkerLostError):
                await scheduler.add_task(functions.log_and_die, "app.part", "last words", executor="tried").result()

    with caplog.at_level(logging.INFO):
        asyncio.run(main())
    records = [(r.name, r.levelno, r.getMessage()) for r in caplog.records if r.name == "app.part"]
    assert records == [("app.part", logging.INFO, "hello"), ("app.part", logging.WARNING, "last words")]


def test_a_killed_worker_takes_its_children_along(tmp_path: Path) -> None:
    path = tmp_path / "child"

    async def main() -> int:
        async with scheduler_with("processpool") as scheduler:
            handle = scheduler.add_task(functions.start_child, str(path), executor="tried", trigger=None).run()
            while not (path.exists() and path.read_text()):
                await asyncio.sleep(0.01)
            handle.cancel()
            with pytest.raises(TaskCancelledError):
                await handle
        return int(path.read_text())

    child = asyncio.run(main())
    deadline = time.monotonic() + 10
    while Path(f"/proc/{child}/stat").exists() and time.monotonic() < deadline:
        if Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            break
        time.sleep(0.01)
    else:
        with pytest.raises(ProcessLookupError):
            os.kill(child, 0)


def test_many_short_runs_go_through_two_workers() -> None:
    async def main() -> None:
        async with scheduler_with("processpool") as scheduler:
            handles = [
                scheduler.add_task(functions.add, number, 0, executor="tried", trigger=None).run()
                for number in range(2000)
            ]
            assert [await handle for handle in handles] == list(range(2000))

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["threadpool", "processpool", "asyncio"])
def test_nothing_is_left_after_shutdown(kind: str) -> None:
    async def cycle() -> None:
        async with scheduler_with(kind) as scheduler:
            assert await scheduler.add_task(functions.add, 1, 1, executor="tried").result() == 2

    def count() -> tuple[int, int]:
        return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()

    asyncio.run(cycle())
    # What earlier tests have left goes when it likes; it may go before, but not come after.
    gc.collect()
    files, threads = count()
    for _ in range(5):
        asyncio.run(cycle())
    files_after, threads_after = count()
    assert files_after <= files
    assert threads_after <= threads


@pytest.mark.parametrize("max_workers", [0, -1])
def test_limits_that_make_no_sense_are_rejected(max_workers: int) -> None:
    for pool in (ThreadPoolExecutor, ProcessPoolExecutor):
        with pytest.raises(ValueError, match="max_workers"):
            pool(max_workers)
        with pytest.raises(ValueError, match="max_queue"):
            pool(1, max_queue=-1)
    with pytest.raises(ValueError, match="max_tasks_per_child"):
        ProcessPoolExecutor(1, {"max_tasks_per_child": max_workers})


def test_a_late_run_is_missed_on_every_executor(recorder: Recorder) -> None:
    async def main() -> None:
        task = TaskSpec("t", partial(functions.add, 1, 2), limits=TaskLimits(misfire_grace_time=1.0))
        for make in MAKERS.values():
            executor = make()
            await executor.start(recorder, "alone")
            executor.submit(TaskRun(task, scheduled=time.time() - 5))
            await executor.shutdown()

    asyncio.run(main())
    assert [type(notification).__name__ for notification in recorder.notifications] == ["TaskMissed"] * 4


def test_shutdown_waits_until_the_end_of_a_run_is_told() -> None:
    class SlowRecorder(Recorder):
        def __init__(self) -> None:
            super().__init__()
            self.called, self.go_on = threading.Event(), threading.Event()

        @override
        def notify(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
            self.called.set()
            assert self.go_on.wait(30)
            super().notify(run, notification)

    async def main() -> None:
        recorder = SlowRecorder()
        executor = AsyncIOExecutor()
        await executor.start(recorder, "slow")
        run = TaskRun(TaskSpec("t", partial(functions.add, 1, 2)))
        executor.submit(run)
        assert await asyncio.to_thread(recorder.called.wait, 30)
        shutdown = asyncio.ensure_future(executor.shutdown())
        for _ in range(10):
            await asyncio.sleep(0)
        came_back = shutdown.done()
        recorder.go_on.set()
        await shutdown
        assert not came_back
        assert recorder.told == [("notified", run.id), ("released", run.id)]

    asyncio.run(main())
