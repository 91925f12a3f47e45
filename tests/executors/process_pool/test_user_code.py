"""User code of one run does not disturb the other runs of a process pool."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from asyncz import (
    AsyncIOScheduler,
    ProcessPoolExecutor,
    RemoteError,
    Retry,
    SerializationError,
    TaskError,
    TaskExecuted,
    TaskTimeoutError,
    WorkerLostError,
    WorkerStartError,
)
from asyncz.executors.process_pool import _process, _slot
from tests.executors.process_pool import hostile
from tests.helpers import payloads as functions
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio


async def with_pool(workers: int, test: Callable[[AsyncIOScheduler], Awaitable[None]]) -> None:
    """Run a test with a pool, and check that the pool still works."""
    pool = ProcessPoolExecutor(workers)
    async with asyncio.timeout(100), AsyncIOScheduler(executors={"tried": pool}) as scheduler:
        await test(scheduler)
        assert await scheduler.add_task(functions.add, 1, 1, executor="tried").result() == 2
        state = scheduler.state.executors[0]
        assert (state.status, state.running) == ("running", 0)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (hostile.fail_frozen, hostile.FrozenError),
        (hostile.fail_unprintable, hostile.UnprintableError),
        (hostile.fail_rejecting_notes, hostile.RejectsNotesError),
        (hostile.return_exit, SerializationError),
        (hostile.return_unprintable, SerializationError),
    ],
)
async def test_hostile_outcome_fails_its_run_only(
    function: Callable[[], object], expected: type[BaseException]
) -> None:
    async def test(scheduler: AsyncIOScheduler) -> None:
        bystander = scheduler.add_task(functions.add, 1, 2, executor="tried", trigger=None).run()
        outcome = await scheduler.add_task(function, executor="tried", trigger=None).run().notification()
        assert isinstance(outcome, TaskError)
        assert isinstance(outcome.exception, expected | RemoteError)
        assert await bystander == 3

    await with_pool(1, test)


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), hostile.UnprintableError(), MemoryError()])
async def test_argument_that_raises_late_fails_its_run_only(error: BaseException) -> None:
    async def test(scheduler: AsyncIOScheduler) -> None:
        argument = hostile.RaisesWhilePickled(error)
        task = scheduler.add_task(hostile.kind_of, argument, executor="tried", trigger=None)
        argument.armed = True
        bystander = scheduler.add_task(functions.add, 1, 2, executor="tried", trigger=None).run()
        outcome = await task.run().notification()
        assert isinstance(outcome, TaskError)
        assert isinstance(outcome.exception, SerializationError)
        assert outcome.exception.__cause__ is error
        assert await bystander == 3

    await with_pool(1, test)


async def test_failed_supervisor_reports_error_and_restarts() -> None:
    def fail() -> None:
        raise SystemExit(9)

    pool = ProcessPoolExecutor(2)
    async with asyncio.timeout(100), AsyncIOScheduler(executors={"tried": pool}) as scheduler:
        supervisor = pool._supervisor
        assert supervisor is not None
        handle = scheduler.add_task(time.sleep, 600, executor="tried", trigger=None).run()
        await until(lambda: bool(supervisor.worker_pids))
        supervisor.post(fail)
        outcome = await handle.notification()
        assert isinstance(outcome, TaskError)
        assert isinstance(outcome.exception, SystemExit)
        assert await scheduler.add_task(functions.add, 1, 1, executor="tried").result() == 2
        assert scheduler.state.executors[0].status == "running"


@pytest.mark.parametrize("kind", ["pickle", "load", "handler"])
async def test_slow_user_code_does_not_delay_other_runs(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = tmp_path / "go-on"

    async def test(scheduler: AsyncIOScheduler) -> None:
        quick = scheduler.add_task(functions.add, 1, 2, executor="tried", trigger=None)
        slow: Awaitable[object]
        if kind == "pickle":
            argument = hostile.SlowToPickle(str(go_on))
            task = scheduler.add_task(hostile.kind_of, argument, executor="tried", trigger=None)
            argument.armed = True
            slow = task.run().notification()
        elif kind == "load":
            slow = (
                scheduler.add_task(hostile.return_slow, str(go_on), executor="tried", trigger=None).run().notification()
            )
        else:
            handler = logging.Handler()
            monkeypatch.setattr(handler, "emit", lambda _: hostile.wait_for(str(go_on)))
            monkeypatch.setattr(logging.getLogger("app"), "handlers", [handler])
            call = scheduler.add_task(hostile.log_extra, "plain", executor="tried", trigger=None)
            slow = call.run().notification()
        waiting = asyncio.ensure_future(slow)
        for _ in range(3):
            assert await quick.run() == 3
            assert not waiting.done()
        go_on.touch()
        assert isinstance(await waiting, TaskExecuted)

    await with_pool(2, test)


async def test_exception_that_fails_to_unpickle_is_retried(tmp_path: Path) -> None:
    path = tmp_path / "attempts"

    async def test(scheduler: AsyncIOScheduler) -> None:
        for classes, attempts in (((hostile.NeedsTwoError,), 3), ((OSError,), 3), ((KeyError,), 1)):
            path.unlink(missing_ok=True)
            retry = Retry(attempts=3, on=classes)
            task = scheduler.add_task(hostile.fail_with_two, str(path), executor="tried", trigger=None, retry=retry)
            outcome = await task.run().notification()
            assert isinstance(outcome, TaskError)
            assert isinstance(outcome.exception, RemoteError)
            assert path.read_text() == "x" * attempts

    await with_pool(1, test)


async def test_run_starts_from_the_initial_context() -> None:
    async def test(scheduler: AsyncIOScheduler) -> None:
        await scheduler.add_task(hostile.set_variable, executor="tried", trigger=None).run()
        assert await scheduler.add_task(hostile.get_variable, executor="tried", trigger=None).run() == "initial"
        assert await scheduler.add_task(hostile.get_variable_async, executor="tried", trigger=None).run() == "initial"

    await with_pool(1, test)


@pytest.mark.parametrize("kind", ["garbage", "zeros", "unknown kind", "long length", "few bytes", "flood"])
async def test_foreign_bytes_on_channel_lose_the_worker_only(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_slot, "_SECONDS_FOR_FRAME", 0.5)

    async def test(scheduler: AsyncIOScheduler) -> None:
        with pytest.raises(WorkerLostError, match="sent"):
            await scheduler.add_task(hostile.write_to_channel, kind, executor="tried", trigger=None).run()

    await with_pool(1, test)


@pytest.mark.parametrize("kind", ["exit", "lambda", "unprintable", "plain"])
async def test_hostile_log_record_costs_its_extra_at_most(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    async def test(scheduler: AsyncIOScheduler) -> None:
        await scheduler.add_task(hostile.log_extra, kind, executor="tried", trigger=None).run()

    await with_pool(1, test)
    (record,) = [record for record in caplog.records if record.name == "app"]
    assert record.getMessage() == f"extra {kind}"
    assert (getattr(record, "user", None) == {"a": [1, 2]}) == (kind == "plain")


@pytest.mark.parametrize("kind", ["propagate", "disable", "force", "handlers"])
async def test_records_arrive_once_if_worker_configures_logs(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    async def test(scheduler: AsyncIOScheduler) -> None:
        await scheduler.add_task(hostile.log_after_configuration, kind, executor="tried", trigger=None).run()

    await with_pool(1, test)
    assert [record.getMessage() for record in caplog.records if record.name == "app"] == [f"configured by {kind}"]


async def test_worker_children_have_interrupts_no_terminal() -> None:
    async def test(scheduler: AsyncIOScheduler) -> None:
        status = await scheduler.add_task(hostile.interrupt_a_child, executor="tried", trigger=None).run()
        assert status == -signal.SIGINT
        assert not await scheduler.add_task(hostile.has_terminal, executor="tried", trigger=None).run()

    await with_pool(1, test)


@pytest.mark.slow
async def test_start_without_resources_is_repeated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    go_on = tmp_path / "go-on"

    async def test(scheduler: AsyncIOScheduler) -> None:
        busy = scheduler.add_task(functions.mark_and_wait, str(tmp_path / "mark"), str(go_on), executor="tried").run()
        await until((tmp_path / "mark").exists)
        failures = 0

        class NoDescriptors:
            def __init__(self) -> None:
                nonlocal failures
                failures += 1
                raise OSError(24, "Too many open files")

        with monkeypatch.context() as patch:
            patch.setattr(_process, "WorkerLink", NoDescriptors)
            waiting = scheduler.add_task(functions.add, 1, 1, executor="tried", trigger=None).run()
            await until(lambda: failures > 3)
            assert not waiting.done()
        assert await waiting == 2
        go_on.touch()
        await busy

    await with_pool(2, test)


async def test_timeout_counts_on_a_stopped_worker() -> None:
    async def test(scheduler: AsyncIOScheduler) -> None:
        pid = await scheduler.add_task(functions.process_id, executor="tried", trigger=None).run()
        os.kill(pid, signal.SIGSTOP)
        try:
            task = scheduler.add_task(functions.add, 1, 1, executor="tried", trigger=None, timeout=0.5)
            with pytest.raises(TaskTimeoutError):
                await task.run()
        finally:
            os.kill(pid, signal.SIGCONT)

    await with_pool(1, test)


async def test_other_workers_take_over_from_a_stopped_one() -> None:
    async def test(scheduler: AsyncIOScheduler) -> None:
        pid = await scheduler.add_task(functions.process_id, executor="tried", trigger=None).run()
        os.kill(pid, signal.SIGSTOP)
        try:
            for _ in range(5):
                assert await scheduler.add_task(functions.add, 1, 1, executor="tried", trigger=None).run() == 2
        finally:
            os.kill(pid, signal.SIGCONT)

    await with_pool(2, test)


@pytest.mark.slow
async def test_unprintable_error_of_initializer_is_reported() -> None:
    pool = ProcessPoolExecutor(1, {"initializer": hostile.fail_unprintable})
    async with asyncio.timeout(60), AsyncIOScheduler(executors={"tried": pool}) as scheduler:
        with pytest.raises(WorkerStartError):
            await scheduler.add_task(functions.add, 1, 1, executor="tried", trigger=None).run()
