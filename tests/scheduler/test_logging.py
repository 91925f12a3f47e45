"""Log lines of a scheduler: one for each fact, with fields that name task and run."""

from __future__ import annotations

import asyncio
import logging
import re
import traceback
from collections.abc import Iterator
from uuid import UUID

import pytest
from typing_extensions import override

from asyncz import (
    AsyncIOScheduler,
    IntervalTrigger,
    Retry,
    TaskError,
    TaskExecuted,
    _safe_logging,
    current_run,
    install_log_fields,
)
from asyncz.events import RunDetails
from asyncz.logs import RunFields
from asyncz.schedulers._run_logging import log_outcome, seconds_text
from asyncz.testing import FakeClock
from tests.helpers import payloads

pytestmark = pytest.mark.anyio

LOGGER = "asyncz.scheduler"


@pytest.fixture
def capture(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.INFO, LOGGER):
        yield caplog


def lines(capture: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in capture.records if record.name == LOGGER]


def log_own_line() -> UUID:
    logging.getLogger("jobs").warning("own line")
    return current_run().run_id


async def test_healthy_scheduler_logs_its_work(capture: pytest.LogCaptureFixture) -> None:
    async with AsyncIOScheduler(executors={"cpu": "threadpool"}) as scheduler:
        task = scheduler.add_task(payloads.add, 1, 2, id="sum", executor="cpu", trigger=None)
        run = task.run()
        await run
        scheduler.remove_task(task)
    started, added, executed, removed, stopped = lines(capture)
    assert started == "Started: executors cpu; 0 task(s)"
    assert added == "sum: added, on demand, on cpu"
    lateness = r"(, [0-9.]+ m?s late)?"
    assert re.fullmatch(rf"sum: run {run.run_id} executed in [0-9.]+ m?s on cpu{lateness}", executed)
    assert removed == "sum: removed"
    assert "1 submitted, 1 executed, 0 errors, 0 missed, 0 cancelled, 0 rejected; abandoned now: 0" in stopped


async def test_record_of_outcome_has_fields(capture: pytest.LogCaptureFixture) -> None:
    async with AsyncIOScheduler() as scheduler:
        run = scheduler.add_task(payloads.add, 1, 2, id="sum", trigger=None).run()
        await run
        await asyncio.sleep(0)
        (record,) = [each for each in capture.records if "executed in" in each.getMessage()]
    fields = {name: value for name, value in vars(record).items() if name.startswith("asyncz_")}
    assert isinstance(fields.pop("asyncz_duration"), float)
    assert fields == {
        "asyncz_task": "sum",
        "asyncz_executor": "asyncio",
        "asyncz_run": f"{run.run_id}",
        "asyncz_attempt": 1,
    }


async def test_failure_and_retry_logged_once_each(capture: pytest.LogCaptureFixture) -> None:
    async with AsyncIOScheduler() as scheduler:
        task = scheduler.add_task(payloads.fail, "no", id="job", trigger=None, retry=Retry(attempts=2, delay=0.001))
        with pytest.raises(ValueError, match="no"):
            await task.run()
        await asyncio.sleep(0)
    failures = [record for record in capture.records if "failed" in record.getMessage()]
    assert [record.levelname for record in failures] == ["WARNING", "ERROR"]
    assert "attempt 1 failed: ValueError: no; another follows in 1.00 ms" in failures[0].getMessage()
    assert failures[1].exc_info


async def test_failure_in_a_process_has_exc_info(capture: pytest.LogCaptureFixture) -> None:
    async with AsyncIOScheduler() as scheduler:
        task = scheduler.add_task(payloads.fail, "no", id="job", trigger=None, executor="processpool")
        with pytest.raises(ValueError, match="no") as raised:
            await task.run()
        await asyncio.sleep(0)
    (record,) = [record for record in capture.records if "failed" in record.getMessage()]
    assert record.exc_info is not None
    assert record.exc_info[1] is raised.value
    shown = logging.Formatter().format(record)
    assert shown.count("in fail") == 1


async def test_failure_without_notes_shows_its_frames(capture: pytest.LogCaptureFixture) -> None:
    error = ValueError("no")
    outcome = TaskError("job", error, details=RunDetails(UUID(int=1)), traceback="Traceback:\n  in \x1b[31mfail")
    log_outcome(outcome, "remote")
    (record,) = capture.records
    assert (
        record.getMessage()
        == f"job: run {UUID(int=1)} failed on remote: ValueError: no\nTraceback:\n  in \\x1b[31mfail"
    )


@pytest.mark.parametrize("noted", [False, True], ids=["plain", "noted"])
async def test_failure_without_frames_is_shown_once(capture: pytest.LogCaptureFixture, *, noted: bool) -> None:
    error = ValueError("no worker")
    if noted:
        error.add_note("a note")
    outcome = TaskError(
        "job", error, details=RunDetails(UUID(int=1)), traceback="".join(traceback.format_exception(error))
    )
    log_outcome(outcome, "remote")
    (record,) = capture.records
    shown = logging.Formatter().format(record)
    # The notes of an exception are in its traceback only.
    assert shown.count("ValueError: no worker") == (2 if noted else 1)
    assert shown.count("a note") == noted


async def test_cause_of_failure_without_frames_is_shown(capture: pytest.LogCaptureFixture) -> None:
    error = ValueError("no worker")
    error.__cause__ = OSError("gone")
    outcome = TaskError(
        "job", error, details=RunDetails(UUID(int=1)), traceback="".join(traceback.format_exception(error))
    )
    log_outcome(outcome, "remote")
    (record,) = capture.records
    assert logging.Formatter().format(record).count("OSError: gone") == 1


async def test_rejection_and_cancellation_say_why(capture: pytest.LogCaptureFixture) -> None:
    clock = FakeClock()
    async with AsyncIOScheduler(clock=clock) as scheduler:
        scheduler.add_task(asyncio.sleep, 60, id="slow", trigger=IntervalTrigger(seconds=1))
        await clock.advance(2, wait_for_runs=False)
        await scheduler.shutdown(wait=False)
    text = "\n".join(lines(capture))
    assert "slow: a due run was rejected: max_instances is 1" in text
    assert " cancelled on asyncio" in text


async def test_listener_failure_names_listener_and_event(capture: pytest.LogCaptureFixture) -> None:
    def boom(event: TaskExecuted[object]) -> None:
        raise ValueError(event.task_id)

    async with AsyncIOScheduler() as scheduler:
        task = scheduler.add_task(payloads.add, 1, 2, id="sum", trigger=None)
        task.on_done(boom)  # type: ignore[arg-type]  # only results come
        await task.run()
        await asyncio.sleep(0)
    (line,) = [line for line in lines(capture) if "listener" in line]
    assert line.endswith("boom on TaskExecuted of the task 'sum'")


async def test_debug_adds_submissions_and_due_times(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, LOGGER):
        async with AsyncIOScheduler() as scheduler:
            scheduler.add_task(payloads.add, 1, 2, id="sum", trigger=IntervalTrigger(hours=1))
            await scheduler.get_task("sum").run()
    text = "\n".join(lines(caplog))
    assert "sum: due at 2" in text
    assert " submitted to asyncio" in text
    (submission,) = [each for each in caplog.records if " submitted to " in each.getMessage()]
    assert vars(submission)["asyncz_executor"] == "asyncio"


async def test_disabled_level_is_looked_up_once_per_burst(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up: list[int] = []

    def is_enabled_for(_: object, level: int) -> bool:
        looked_up.append(level)
        return False

    monkeypatch.setattr(_safe_logging.SafeLogger, "is_enabled_for", is_enabled_for)
    async with AsyncIOScheduler() as scheduler:
        task = scheduler.add_task(payloads.add, 1, 2, trigger=None, max_instances=100)
        looked_up.clear()
        await asyncio.gather(*(task.run() for _ in range(100)))
    assert len(looked_up) < 100


@pytest.mark.parametrize("executor", ["asyncio", "threadpool", "processpool"])
async def test_installed_fields_name_run_of_user_record(executor: str) -> None:
    records: list[logging.LogRecord] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:  # type: ignore[explicit-override]  # short
            records.append(record)

    handler = Collector()
    install_log_fields(handler)
    install_log_fields(handler)
    assert sum(isinstance(each, RunFields) for each in handler.filters) == 1
    jobs = logging.getLogger("jobs")
    jobs.addHandler(handler)
    try:
        async with AsyncIOScheduler() as scheduler:
            task = scheduler.add_task(log_own_line, id="own", executor=executor, trigger=None)
            run_id = await task.run()
        jobs.warning("outside")
    finally:
        jobs.removeHandler(handler)
    inside, outside = (vars(record) for record in records)
    assert (inside["asyncz_task"], inside["asyncz_run"], inside["asyncz_attempt"]) == ("own", f"{run_id}", 1)
    assert (outside["asyncz_task"], outside["asyncz_run"], outside["asyncz_attempt"]) == ("", "", "")
    for fields in (inside, outside):
        assert (fields["asyncz_executor"], fields["asyncz_duration"]) == ("", "")


class WarningExporter(logging.Handler):
    """Handler that logs a warning for each field with None, which comes back to it, as exporters of telemetry do."""

    @override
    def emit(self, record: logging.LogRecord) -> None:
        for name, value in vars(record).items():
            if name.startswith("asyncz_") and value is None:
                logging.getLogger("exporter").warning("Invalid type NoneType for attribute %s", name)


async def test_log_fields_are_never_none(capture: pytest.LogCaptureFixture) -> None:
    exporter = WarningExporter()
    install_log_fields(exporter)
    logging.getLogger().addHandler(exporter)
    try:
        with capture.at_level(logging.DEBUG, LOGGER):
            async with AsyncIOScheduler() as scheduler:
                await scheduler.add_task(log_own_line, id="own", trigger=None).run()
        logging.getLogger("jobs").warning("outside")
    finally:
        logging.getLogger().removeHandler(exporter)
    assert any("submitted to" in message for message in capture.messages)
    assert not [message for message in capture.messages if "Invalid type" in message]


def test_durations_read_as_milliseconds_or_seconds() -> None:
    assert (seconds_text(0.0004), seconds_text(2.507)) == ("0.40 ms", "2.51 s")
