"""Faults of the scheduler and its triggers, each with the smallest input that once showed it."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from typing_extensions import override

from asyncz import (
    AsyncIOScheduler,
    AsynczError,
    CronTrigger,
    IntervalTrigger,
    InvalidInputError,
    MaximumInstancesError,
    Retry,
    SchedulerNotRunningError,
    TaskError,
    TaskLimits,
    ThreadPoolExecutor,
)
from asyncz.clock import SystemClock
from asyncz.testing import FakeClock
from tests.helpers.payloads import add
from tests.helpers.untyped import call_untyped
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio

WATCHDOG_SECONDS = 60


async def generate() -> object:
    """Yield one value: no function of a task."""
    yield 1


def generate_plain() -> Iterator[int]:
    """Yield one value: no function of a task."""
    yield 1


def fail() -> None:
    """Raise an error."""
    raise ValueError("as intended")


class SteppedClock(SystemClock):
    """Real clock that can be set.

    Attributes:
        offset: Difference to the real time, in seconds.
    """

    def __init__(self) -> None:
        self.offset = 0.0

    @override
    def now(self) -> float:
        return super().now() + self.offset


class RaisingHandler(logging.Handler):
    """Log handler that raises."""

    @override
    def handle(self, record: logging.LogRecord) -> bool:
        raise RuntimeError("the handler fails")


@contextmanager
def raising_logging(name: str) -> Iterator[None]:
    """Attach a handler that raises to a logger."""
    logger, handler = logging.getLogger(name), RaisingHandler()
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


async def test_old_interval_starves_no_other_task() -> None:
    """Years of missed due times are skipped, not walked through."""
    scheduler = AsyncIOScheduler()
    old = scheduler.add_task(add, 1, 2, trigger=IntervalTrigger(seconds=1, start_at=datetime(2020, 1, 1, tzinfo=UTC)))
    other = scheduler.add_task(add, 1, 2, trigger=IntervalTrigger(seconds=0.1))
    began = time.monotonic()
    async with asyncio.timeout(WATCHDOG_SECONDS), scheduler:
        await until(lambda: old.state.executed >= 1 and other.state.executed >= 5)
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("back", [timedelta(seconds=5), timedelta(minutes=2), timedelta(hours=3)])
async def test_clock_set_back_repeats_no_due_time(back: timedelta) -> None:
    """A due time that was submitted is not submitted again."""
    clock = FakeClock()
    due: list[datetime | None] = []
    scheduler = AsyncIOScheduler(clock=clock)
    task = scheduler.add_task(add, 1, 2, trigger=IntervalTrigger(minutes=1), coalesce=False, overlap="queue_all")
    task.on_executed(lambda event: due.append(event.details.scheduled_at))
    async with asyncio.timeout(WATCHDOG_SECONDS), scheduler:
        await clock.advance(minutes=30, wait_for_runs=True)
        clock.set(datetime.fromtimestamp(clock.now(), UTC) - back)
        await clock.advance(hours=4, wait_for_runs=True)
    assert len(due) == len(set(due))
    assert len(due) >= 60


@pytest.mark.parametrize("logger", ["asyncz", "asyncz.scheduler", "asyncz.executors"])
@pytest.mark.parametrize("retry", [None, Retry(attempts=2, delay=0.01)])
async def test_raising_log_handler_loses_no_outcome(logger: str, retry: Retry | None) -> None:
    """Logging can fail without any effect on runs."""
    async with asyncio.timeout(WATCHDOG_SECONDS), AsyncIOScheduler() as scheduler:
        with raising_logging(logger):
            began = time.monotonic()
            for _ in range(3):
                outcome = await scheduler.add_task(fail, trigger=None, retry=retry).run().notification()
                assert isinstance(outcome, TaskError)
            assert time.monotonic() - began < 8
            await scheduler.shutdown()
    assert scheduler.state.status == "stopped"


async def test_closed_loop_does_not_prevent_the_next_start() -> None:
    """The parts of a closed loop are dropped."""
    scheduler = AsyncIOScheduler()
    hanging = threading.Event()

    async def start() -> None:
        await scheduler.start()
        scheduler.add_task(hanging.wait, trigger=None, executor="threadpool").submit()
        scheduler.add_task(asyncio.Event().wait, trigger=None).submit()
        await asyncio.sleep(0.05)

    async def start_again() -> int:
        await scheduler.shutdown(wait=False)
        await scheduler.start()
        result = await scheduler.add_task(add, 1, 2).result()
        await scheduler.shutdown(wait=False)
        return result

    def in_loops() -> int:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(start())
        loop.close()
        return asyncio.run(asyncio.wait_for(start_again(), WATCHDOG_SECONDS))

    try:
        assert await asyncio.to_thread(in_loops) == 3
    finally:
        hanging.set()


@pytest.mark.parametrize(
    "trigger", [IntervalTrigger(days=1, start_at=datetime(2022, 1, 1, tzinfo=UTC)), CronTrigger("0 0 * * *")]
)
async def test_due_times_before_adding_are_not_made_up_for(trigger: IntervalTrigger | CronTrigger) -> None:
    """No run at the start of a program."""
    async with AsyncIOScheduler(clock=FakeClock(datetime(2026, 5, 5, 12, tzinfo=UTC))) as scheduler:
        task = scheduler.add_task(add, 1, 2, trigger=trigger)
        await asyncio.sleep(0.05)
        assert (task.state.executed, task.state.next_run_at) == (0, datetime(2026, 5, 6, tzinfo=UTC))


async def test_union_does_not_make_up_for_old_due_times() -> None:
    """A union is due when each part would be due alone."""
    now = datetime(2026, 5, 5, 12, tzinfo=UTC)
    clock = FakeClock(now)
    trigger = CronTrigger("0 9 * * *") | IntervalTrigger(weeks=1, start_at=now - timedelta(weeks=4))
    async with asyncio.timeout(WATCHDOG_SECONDS), AsyncIOScheduler(clock=clock) as scheduler:
        task = scheduler.add_task(add, 1, 2, trigger=trigger, coalesce=False)
        await clock.advance(days=4, wait_for_runs=True)
        # The start of the interval is four weeks ago to the second: its own due time is now.
        assert task.state.executed in {4, 5}


async def test_duration_is_monotonic() -> None:
    """A clock that is set back makes no negative duration."""
    clock = SteppedClock()

    async def run() -> None:
        clock.offset = -1800.0
        await asyncio.sleep(0.05)

    async with AsyncIOScheduler(clock=clock) as scheduler:
        outcome = await scheduler.add_task(run, trigger=None).run().notification()
    details = outcome.details
    assert details.duration is not None
    assert 0 <= details.duration < 30


def test_grace_time_of_zero_is_rejected() -> None:
    """Every run would be missed."""
    with pytest.raises(InvalidInputError, match="misfire_grace_time"):
        TaskLimits(misfire_grace_time=0)


async def test_failed_task_is_logged_with_stack_task_and_run(caplog: pytest.LogCaptureFixture) -> None:
    """Error trackers see the stack."""
    async with AsyncIOScheduler() as scheduler:
        outcome = await scheduler.add_task(fail, trigger=None, id="failing").run().notification()
    record = next(record for record in caplog.records if "failing" in record.getMessage())
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ValueError)
    assert getattr(record, "asyncz_task", None) == "failing"
    assert getattr(record, "asyncz_run", None) == f"{outcome.details.run_id}"


@pytest.mark.parametrize("expression", ["*/90 * * * *", "0 */25 * * *", "0 0 */32 * *", "0 0 * */13 *", "0 0 * * */8"])
def test_step_beyond_the_field_is_rejected(expression: str) -> None:
    """A step that is larger than its field is not silently another one."""
    with pytest.raises(InvalidInputError):
        CronTrigger(expression)


@pytest.mark.parametrize("zone", ["UTC+3", "GMT+2", "CEST", "MON-SUN"])
def test_zone_error_suggests_no_other_offset(zone: str) -> None:
    """The error does not suggest a zone of another offset."""
    with pytest.raises(InvalidInputError) as caught:
        CronTrigger("0 9 * * *", timezone=zone)
    assert "Etc/GMT" not in str(caught.value)


async def test_fake_clock_set_back_drives_timeouts() -> None:
    """A fake clock behaves as the real one."""
    clock = FakeClock()
    async with asyncio.timeout(WATCHDOG_SECONDS), AsyncIOScheduler(clock=clock) as scheduler:
        handle = scheduler.add_task(asyncio.Event().wait, trigger=None, timeout=3000).run()
        await asyncio.sleep(0)
        clock.set(datetime.fromtimestamp(clock.now(), UTC) - timedelta(minutes=5))
        assert scheduler.running
        await clock.advance(seconds=3000)
        outcome = await handle.notification()
    assert isinstance(outcome, TaskError)


async def test_submit_on_paused_scheduler_waits() -> None:
    """A paused scheduler starts nothing."""
    async with asyncio.timeout(WATCHDOG_SECONDS), AsyncIOScheduler() as scheduler:
        task = scheduler.add_task(add, 1, 2, trigger=None)
        scheduler.pause()
        task.submit()
        await asyncio.sleep(0.1)
        assert task.state.executed == 0
        scheduler.resume()
        await until(lambda: task.state.executed == 1)


async def test_state_of_finished_task_is_its_last() -> None:
    """A one-off that has finished still has a state."""
    async with AsyncIOScheduler() as scheduler:
        task = scheduler.add_task(add, 1, 2)
        assert await task.result() == 3
        await asyncio.sleep(0.05)
        assert task.state.executed == 1


async def test_default_executor_used_without_executor() -> None:
    """`default` is the executor of tasks that name none."""
    pool = ThreadPoolExecutor(max_workers=1)
    async with asyncio.timeout(WATCHDOG_SECONDS), AsyncIOScheduler(executors={"default": pool}) as scheduler:
        task = scheduler.add_task(threading.get_ident)
        assert task.executor == "default"
        assert await task.result() != threading.get_ident()


@pytest.mark.parametrize(
    ("fn", "args"),
    [(add, ()), (add, (1,)), (add, (1, 2, 3)), (add, ("interval",)), (generate, ()), (generate_plain, ())],
)
def test_call_that_cannot_work_is_rejected_when_added(fn: object, args: tuple[object, ...]) -> None:
    """Arguments that do not fit, and generator functions."""
    scheduler = AsyncIOScheduler()
    with pytest.raises(AsynczError):
        call_untyped(scheduler.add_task, fn, *args)


def test_coroutine_instead_of_function_is_rejected() -> None:
    """`add_task(f())` instead of `add_task(f)`."""

    async def run() -> None: ...

    coroutine = run()
    scheduler = AsyncIOScheduler()
    with pytest.raises(InvalidInputError):
        call_untyped(scheduler.add_task, coroutine)
    coroutine.close()


async def test_result_before_the_start_is_an_error() -> None:
    """A result that cannot come is not waited for."""
    task = AsyncIOScheduler().add_task(add, 1, 2)
    with pytest.raises(SchedulerNotRunningError):
        await asyncio.wait_for(task.result(), WATCHDOG_SECONDS)


async def test_task_with_hanging_run_can_be_replaced() -> None:
    """A task that is removed and added again is independent, or its state gives the reason."""
    release = threading.Event()
    async with asyncio.timeout(WATCHDOG_SECONDS), AsyncIOScheduler() as scheduler:
        old = scheduler.add_task(release.wait, id="same", trigger=None, executor="threadpool")
        old.submit()
        await until(lambda: old.state.running == 1)
        scheduler.remove_task(old)
        new = scheduler.add_task(add, 1, 2, id="same", trigger=None, executor="threadpool")
        try:
            assert new.state.running == 1
            with pytest.raises(MaximumInstancesError):
                new.run()
        finally:
            release.set()
        await until(lambda: new.state.running == 0)
        assert await new.run() == 3


def test_step_of_zero_is_rejected() -> None:
    """`5-5/0`."""
    with pytest.raises(InvalidInputError):
        CronTrigger("5-5/0 * * * *")


@pytest.mark.parametrize(
    "expression",
    ["0 0 * * FRI-SUN", "0 0 1 NOV-MAR *", "0 22-2 * * *", "0 0 ? * MON", "0 0 15W * *", "0 0 * * 5L", "0 0 L-3 * *"],
)
def test_usual_extension_is_accepted_or_explained(expression: str) -> None:
    """The extensions of croniter and Quartz."""
    now = datetime(2026, 5, 5, tzinfo=UTC)
    try:
        due = CronTrigger(expression).next_due_time(None, now)
    except InvalidInputError as error:
        advice = str(error).partition(": ")[2]
        due = now if len(advice) > 20 else None
    assert due is not None
