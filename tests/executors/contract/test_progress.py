"""Rule: a function can report its progress, on every executor."""

from __future__ import annotations

import asyncio
import concurrent.futures
import math
import threading
from collections.abc import Callable
from fractions import Fraction

import pytest

from asyncz import (
    AsyncIOScheduler,
    FuturesExecutor,
    InvalidInputError,
    NoCurrentRunError,
    Retry,
    RunProgress,
    TaskError,
    TaskNotification,
    TaskProgress,
    UniversalExecutor,
    current_run,
)
from asyncz.executors._remote_progress import MAX_SIZE, ThrottledReports, pack, unpack
from asyncz.testing import FakeClock
from tests.helpers.executors import MAKERS
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio

ALL: dict[str, Callable[[], UniversalExecutor]] = {
    **MAKERS,
    "futures": lambda: FuturesExecutor(lambda: concurrent.futures.ThreadPoolExecutor(2)),
    "futures-processes": lambda: FuturesExecutor(lambda: concurrent.futures.ProcessPoolExecutor(1)),
}
on_every_executor = pytest.mark.parametrize("kind", ALL)


def report_all(count: int) -> int:
    run = current_run()
    for number in range(1, count + 1):
        run.report(number, count, f"step {number}")
    return count


async def report_all_later(count: int) -> int:
    await asyncio.sleep(0)
    return report_all(count)


@on_every_executor
@pytest.mark.parametrize("function", [report_all, report_all_later])
async def test_first_and_last_report_emitted_before_outcome(
    kind: str, function: Callable[[int], int | asyncio.Future[int]]
) -> None:
    async with asyncio.timeout(60), AsyncIOScheduler(executors={"under_test": ALL[kind]()}) as scheduler:
        task = scheduler.add_task(function, 1000, executor="under_test", trigger=None, id="report")
        seen: list[TaskProgress | TaskNotification[object]] = []
        task.on_progress(seen.append)
        task.on_done(seen.append)
        handle = task.run()
        await handle
        *reports, outcome = seen
        assert not isinstance(outcome, TaskProgress)
        events = [event for event in reports if isinstance(event, TaskProgress)]
        assert [event.done for event in events] == sorted({event.done for event in events})
        assert (events[-1].done, events[-1].total, events[-1].message) == (1000, 1000, "step 1000")
        assert {(event.task_id, event.details.run_id, event.details.attempt) for event in events} == {
            ("report", handle.run_id, 1)
        }
        assert task.state.progress is None
        assert scheduler._parts.completion.progress._reports == {}


def report_twice_and_wait(gate: threading.Event) -> None:
    current_run().report(1, 4)
    current_run().report(2, 4, "half")
    gate.wait(30)


async def test_state_has_latest_report() -> None:
    gate = threading.Event()
    async with asyncio.timeout(30), AsyncIOScheduler(clock=FakeClock()) as scheduler:
        task = scheduler.add_task(report_twice_and_wait, gate, executor="threadpool", trigger=None)
        handle = task.run()
        await until(lambda: getattr(task.state.progress, "done", 0) == 2)
        expected = RunProgress(run_id=handle.run_id, done=2, total=4, message="half", fraction=0.5)
        assert task.state.progress == expected
        assert RunProgress.model_validate_json(expected.model_dump_json()) == expected
        gate.set()
        await handle
        assert getattr(task.state, "progress", "") is None


async def test_reports_follow_interval_of_clock() -> None:
    clock = FakeClock()
    async with asyncio.timeout(30), AsyncIOScheduler(clock=clock) as scheduler:
        advance, end = asyncio.Event(), asyncio.Event()

        async def work() -> None:
            run = current_run()
            for number in range(100):
                run.report(number)
                await asyncio.sleep(0)
            await advance.wait()
            run.report(100)
            await end.wait()
            run.report(101)

        done: list[float] = []
        scheduler.subscribe(TaskProgress, lambda event: done.append(event.done))
        handle = scheduler.add_task(work, trigger=None).run()
        await until(lambda: done == [0])
        for _ in range(200):
            await asyncio.sleep(0)
        assert done == [0]
        await clock.advance(seconds=0.1)
        assert done == [0, 99]
        advance.set()
        await clock.advance(seconds=0.05)
        assert done == [0, 99]
        await clock.advance(seconds=0.05)
        assert done == [0, 99, 100]
        # Without a report in the interval, the next one is emitted at once.
        await clock.advance(seconds=1)
        end.set()
        await handle
        assert done == [0, 99, 100, 101]


async def test_late_report_dropped() -> None:
    kept: list[Callable[[float], None]] = []

    async def work() -> None:
        run = current_run()
        kept.append(run.report)
        run.report(1)

    async with asyncio.timeout(30), AsyncIOScheduler() as scheduler:
        events: list[TaskProgress] = []
        scheduler.subscribe(TaskProgress, events.append)
        await scheduler.add_task(work, trigger=None).run()
        kept[0](2)
        await asyncio.to_thread(kept[0], 3)
        await asyncio.sleep(0.15)
        assert [event.done for event in events] == [1]
        assert scheduler._parts.completion.progress._reports == {}
    kept[0](4)


async def test_report_of_abandoned_run_dropped() -> None:
    go_on, ended = threading.Event(), threading.Event()

    def work() -> None:
        current_run().report(1)
        go_on.wait(30)
        current_run().report(2)
        ended.set()

    async with asyncio.timeout(30), AsyncIOScheduler() as scheduler:
        events: list[TaskProgress] = []
        task = scheduler.add_task(work, executor="threadpool", timeout=0.05, trigger=None)
        task.on_progress(events.append)
        assert isinstance(await task.run().notification(), TaskError)
        go_on.set()
        await asyncio.to_thread(ended.wait, 30)
        await until(lambda: task.state.running == 0)
        assert [event.done for event in events] == [1]
        assert scheduler._parts.completion.progress._reports == {}


def fail_at_first(count: int) -> None:
    run = current_run()
    run.report(run.attempt, count)
    if run.attempt < count:
        raise OSError("not yet")


async def test_each_attempt_has_own_progress() -> None:
    async with asyncio.timeout(30), AsyncIOScheduler() as scheduler:
        retry = Retry(attempts=3, delay=0)
        task = scheduler.add_task(fail_at_first, 3, executor="threadpool", retry=retry, trigger=None)
        events: list[TaskProgress] = []
        task.on_progress(events.append)
        handle = task.run()
        await handle
        assert [(event.done, event.details.attempt) for event in events] == [(1, 1), (2, 2), (3, 3)]
        assert {event.details.run_id for event in events} == {handle.run_id}


async def test_progress_listener_can_be_removed() -> None:
    async with AsyncIOScheduler() as scheduler:
        task = scheduler.add_task(report_all, 1, trigger=None)
        events: list[TaskProgress] = []
        listener = events.append
        task.on_progress(listener)
        await task.run()
        assert task.remove_listener(listener)
        assert not task.remove_listener(listener)
        await task.run()
        assert len(events) == 1


@pytest.mark.parametrize(
    ("done", "total", "message", "name"),
    [
        (-1, None, None, "done"),
        (math.nan, None, None, "done"),
        (math.inf, None, None, "done"),
        (10**400, None, None, "done"),
        (True, None, None, "done"),
        ("1", None, None, "done"),
        (None, None, None, "done"),
        (1, -1, None, "total"),
        (1, math.nan, None, "total"),
        (1, "2", None, "total"),
        (1, False, None, "total"),
        (1, 2, b"bytes", "message"),
    ],
)
async def test_invalid_report_rejected(done: float, total: float, message: str, name: str) -> None:
    def work() -> None:
        current_run().report(done, total, message)

    async with AsyncIOScheduler() as scheduler:
        events: list[TaskProgress] = []
        scheduler.subscribe(TaskProgress, events.append)
        with pytest.raises(InvalidInputError, match=f"^{name} cannot be"):
            await scheduler.add_task(work, executor="threadpool").result()
        assert events == []


async def test_numbers_of_other_types_accepted() -> None:
    def work() -> None:
        current_run().report(Fraction(1, 2), 1, "m" * 5000)  # type: ignore[arg-type]  # as a number of numpy

    async with AsyncIOScheduler() as scheduler:
        events: list[TaskProgress] = []
        scheduler.subscribe(TaskProgress, events.append)
        await scheduler.add_task(work).result()
        assert [(event.done, event.total, len(event.message)) for event in events] == [(0.5, 1.0, 1000)]


def test_report_outside_of_run_rejected() -> None:
    with pytest.raises(NoCurrentRunError, match="outside of a run"):
        current_run().report(1)


@pytest.mark.parametrize("report", [(1.5, None, ""), (0.0, 3.0, "näh \U0001f600 \ud800"), (1e300, 0.0, "m" * 1000)])
def test_report_survives_packing(report: tuple[float, float | None, str]) -> None:
    assert unpack(pack(report)) == report
    assert len(pack(report)) <= MAX_SIZE


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 20])
def test_bytes_that_are_no_report_ignored(content: bytes) -> None:
    assert unpack(content) is None


def test_held_back_report_sent_by_timer_or_at_end() -> None:
    sent: list[float] = []
    arrived = threading.Event()

    def send(report: tuple[float, float | None, str]) -> None:
        sent.append(report[0])
        if report[0] == 3:
            arrived.set()
        raise OSError("must not matter")

    reports = ThrottledReports(send)
    for number in range(4):
        reports.report((number, None, ""))
    assert sent == [0]
    assert arrived.wait(30)
    assert sent == [0, 3]
    reports.report((4, None, ""))
    reports.close()
    reports.report((5, None, ""))
    assert sent == [0, 3, 4]
