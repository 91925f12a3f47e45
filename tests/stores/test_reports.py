"""Progress, failed attempts and log records of stored runs, which other nodes and dashboards read."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from asyncz import AsyncIOScheduler, Retry, current_run
from asyncz.schedulers import _store_reports
from asyncz.stores import MemoryStore, RunQuery, RunReport, RunReporting, SqliteStore, Store, StoreOptions
from asyncz.stores._report_texts import ReportDetails, details_of_text, progress_of_text

pytestmark = pytest.mark.anyio

LOGGER = logging.getLogger("jobs")
PASSWORD = "password=hunter2"  # not a secret
_go_on = threading.Event()


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "jobs.db", poll_interval=0.01)


@contextmanager
def logged(scheduler: AsyncIOScheduler) -> Iterator[None]:
    handler, level = scheduler.store.log_handler, LOGGER.level
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    try:
        yield
    finally:
        LOGGER.removeHandler(handler)
        LOGGER.setLevel(level)


_REPORTING = RunReporting()


def new_scheduler(store: Store, reporting: RunReporting | None = _REPORTING) -> AsyncIOScheduler:
    return AsyncIOScheduler(store=store, store_options=StoreOptions(reporting=reporting))


async def report_of(scheduler: AsyncIOScheduler, task_id: str) -> RunReport:
    (run,) = await scheduler.store.runs(RunQuery(task_id=task_id))
    (report,) = await scheduler.store.reports(run.id)
    assert report.node == run.node
    return report


def chatty(number: int) -> None:
    for each in range(number):
        LOGGER.info("line %d %s", each, PASSWORD)


async def fail_twice() -> int:
    LOGGER.info("attempt %d", current_run().attempt)
    if current_run().attempt < 3:
        raise ValueError(f"{PASSWORD} was rejected")
    return 3


def report_in_thread() -> None:
    current_run().report(1, 4, f"first part, {PASSWORD}")
    LOGGER.warning("begun")
    assert _go_on.wait(60)


async def test_logs_are_stored_before_outcome(store: Store) -> None:
    scheduler = new_scheduler(store)
    task = scheduler.add_task(chatty, 5, id="chatty", trigger=None, executor="threadpool")
    async with scheduler:
        with logged(scheduler):
            await task.run()
        await until_finished(scheduler, "chatty")
        details = details_of_text((await report_of(scheduler, "chatty")).details)
    assert [line.message for line in details.logs] == [f"line {each} password=•••" for each in range(5)]
    assert {(line.level, line.logger) for line in details.logs} == {("INFO", "jobs")}
    assert details.logs_dropped == 0


async def test_handler_of_two_loggers_reports_once(store: Store) -> None:
    """A record reaches the handlers of its logger and of the parents of that."""
    scheduler = new_scheduler(store)
    task = scheduler.add_task(chatty, 2, id="chatty", trigger=None, executor="threadpool")
    root = logging.getLogger()
    async with scheduler:
        root.addHandler(scheduler.store.log_handler)
        try:
            with logged(scheduler):
                await task.run()
        finally:
            root.removeHandler(scheduler.store.log_handler)
        await until_finished(scheduler, "chatty")
        details = details_of_text((await report_of(scheduler, "chatty")).details)
    assert [line.message.split()[1] for line in details.logs if line.logger == "jobs"] == ["0", "1"]


async def test_attempts_are_stored_with_errors(store: Store) -> None:
    scheduler = new_scheduler(store)
    task = scheduler.add_task(fail_twice, id="task", trigger=None, retry=Retry(attempts=3, delay=0.01))
    async with scheduler:
        with logged(scheduler):
            assert await task.run() == 3
        await until_finished(scheduler, "task")
        report = await report_of(scheduler, "task")
    details = details_of_text(report.details)
    assert [attempt.attempt for attempt in details.attempts] == [1, 2]
    assert {attempt.error for attempt in details.attempts} == {"ValueError: password=••• was rejected"}
    assert all("Traceback" in attempt.traceback for attempt in details.attempts)
    assert all(attempt.started_at and attempt.finished_at for attempt in details.attempts)
    assert [line.message for line in details.logs] == ["attempt 1", "attempt 2", "attempt 3"]
    assert "hunter2" not in f"{report.details}"


def contents_of(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


async def test_no_secret_of_reports_is_in_file(tmp_path: Path) -> None:
    """Texts are redacted before they are written, so that no backup and no other reader has them."""
    scheduler = new_scheduler(SqliteStore(tmp_path / "jobs.db"))
    task = scheduler.add_task(fail_twice, id="task", trigger=None, retry=Retry(attempts=3, delay=0.01))
    chatty_task = scheduler.add_task(chatty, 5, id="chatty", trigger=None, executor="threadpool")
    async with scheduler:
        with logged(scheduler):
            await asyncio.gather(task.run(), chatty_task.run())
    content = contents_of(tmp_path)
    assert b"was rejected" in content
    assert b"hunter2" not in content


async def fail_in_lines() -> int:
    if current_run().attempt > 1:
        return 1
    current_run().report(1, 2, "page:\nsig=hunter2")
    LOGGER.warning("request:\nsig=hunter2")
    raise ValueError("headers:\nsig=hunter2")


async def test_no_secret_of_second_line_is_in_file(tmp_path: Path) -> None:
    scheduler = new_scheduler(SqliteStore(tmp_path / "jobs.db"))
    task = scheduler.add_task(fail_in_lines, id="task", trigger=None, retry=Retry(attempts=2, delay=0.01))
    async with scheduler:
        with logged(scheduler):
            assert await task.run() == 1
    content = contents_of(tmp_path)
    assert b"request:" in content
    assert b"hunter2" not in content


async def test_running_run_reports_to_other_nodes(store: Store) -> None:
    _go_on.clear()
    scheduler, other = new_scheduler(store, RunReporting(interval=0.1)), new_scheduler(store)
    task = scheduler.add_task(report_in_thread, id="task", trigger=None, executor="threadpool")
    async with scheduler, other:
        with logged(scheduler):
            running = asyncio.ensure_future(task.run())
            try:
                while True:
                    runs = await other.store.runs(RunQuery(task_id="task"))
                    reports = await other.store.reports(runs[0].id) if runs else ()
                    if reports and reports[0].progress and details_of_text(reports[0].details).logs:
                        break
                    await asyncio.sleep(0.01)
            finally:
                _go_on.set()
            await running
    progress = progress_of_text(reports[0].progress)
    assert progress is not None
    assert (progress.done, progress.total, progress.message) == (1, 4, "first part, password=•••")
    assert [line.message for line in details_of_text(reports[0].details).logs] == ["begun"]


def log_at_invalid_times() -> None:
    for created in (float("nan"), 1e20, None):
        record = logging.makeLogRecord({"name": "jobs", "levelname": None, "msg": "step", "created": created})
        # Not the handlers of the root logger, which may format the time.
        for handler in LOGGER.handlers:
            handler.handle(record)


async def test_log_with_invalid_time_is_stored(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    scheduler = new_scheduler(store)
    task = scheduler.add_task(log_at_invalid_times, id="task", trigger=None)
    async with scheduler:
        with logged(scheduler):
            await task.run()
        await until_finished(scheduler, "task")
        details = details_of_text((await report_of(scheduler, "task")).details)
    assert [(line.message, line.level) for line in details.logs] == [("step", "None")] * 3
    assert not [record for record in caplog.records if record.name.startswith("asyncz") and record.levelno >= 30]


async def reported_chatter(store: Store, reporting: RunReporting, lines: int) -> ReportDetails:
    """Return the stored report of a run that logs some lines."""
    scheduler = new_scheduler(store, reporting)
    task = scheduler.add_task(chatty, lines, id="chatty", trigger=None, executor="threadpool")
    async with scheduler:
        with logged(scheduler):
            await task.run()
        await until_finished(scheduler, "chatty")
        return details_of_text((await report_of(scheduler, "chatty")).details)


async def test_oldest_logs_are_dropped(store: Store) -> None:
    details = await reported_chatter(store, RunReporting(max_logs=3), 10)
    assert [line.message.split()[1] for line in details.logs] == ["7", "8", "9"]
    assert details.logs_dropped == 7


async def test_report_has_its_maximum_size(store: Store) -> None:
    details = await reported_chatter(store, RunReporting(max_bytes=1000), 150)
    assert details.logs[-1].message.startswith("line 149")
    assert 800 < sum(line.size for line in details.logs) <= 1000
    assert len(details.logs) + details.logs_dropped == 150


async def test_quiet_runs_write_no_reports(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = list[object]()
    monkeypatch.setattr(_store_reports, "store_page", lambda *given, **_: calls.append(given))
    scheduler = new_scheduler(store)
    task = scheduler.add_task(quiet, id="task", trigger=None)
    async with scheduler:
        assert await task.run() == 1
        await asyncio.sleep(0.3)
    assert not calls
    assert not scheduler.store._connector.runs.reports


async def test_nothing_is_reported_without_option(store: Store) -> None:
    scheduler = new_scheduler(store, None)
    task = scheduler.add_task(fail_twice, id="task", trigger=None, retry=Retry(attempts=3, delay=0.01))
    async with scheduler:
        with logged(scheduler):
            assert await task.run() == 3
        await until_finished(scheduler, "task")
        (run,) = await scheduler.store.runs(RunQuery(task_id="task"))
        assert not await scheduler.store.reports(run.id)


async def test_raising_redaction_hides_texts(store: Store) -> None:
    def redact(kind: str, name: str, text: str) -> str:
        raise ValueError(kind, name, text)

    scheduler = new_scheduler(store, RunReporting(redact=redact))
    task = scheduler.add_task(fail_twice, id="task", trigger=None, retry=Retry(attempts=3, delay=0.01))
    async with scheduler:
        with logged(scheduler):
            assert await task.run() == 3
        await until_finished(scheduler, "task")
        details = details_of_text((await report_of(scheduler, "task")).details)
    assert {line.message for line in details.logs} == {"•••"}
    assert {(attempt.error, attempt.traceback) for attempt in details.attempts} == {("•••", "•••")}


def quiet() -> int:
    return 1


async def until_finished(scheduler: AsyncIOScheduler, task_id: str) -> None:
    """Wait until the store has the outcome of the only run of a task."""
    while not await scheduler.store.runs(RunQuery(task_id=task_id, states=("executed", "error", "cancelled"))):
        await asyncio.sleep(0.01)
