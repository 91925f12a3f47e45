"""Reports of stored runs: records of unknown runs, parts that cannot be encoded, and runs of lost nodes."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from unittest.mock import Mock
from uuid import UUID, uuid4

import pytest

from asyncz import AsyncIOScheduler, Retry, TaskLimits
from asyncz._redaction import TextRedactor
from asyncz.schedulers import _store_reports
from asyncz.schedulers._store_codec import CodecThreads
from asyncz.schedulers._store_outcomes import OwnedRun
from asyncz.schedulers._store_reports import StoredReports, _Line
from asyncz.stores import (
    MemoryStore,
    NodeLostError,
    NodeRecord,
    RunQuery,
    RunRecord,
    RunReport,
    RunReporting,
    Store,
    StoreOptions,
    StoreSession,
    TaskRecord,
)
from asyncz.stores._limits import encode_limits
from asyncz.stores._report_texts import ReportDetails, ReportedLog, details_of_text
from tests.helpers.stored_jobs import calls, note
from tests.stores.test_stored_chains import finished
from tests.stores.test_stored_runs import waiting_run

pytestmark = pytest.mark.anyio

TTL = timedelta(seconds=15)


def owned_run() -> OwnedRun:
    return OwnedRun(uuid4(), 1, "task", 0.0, note)


def log(reports: StoredReports, run_id: UUID, message: str, level: str | None = "INFO") -> None:
    record = logging.makeLogRecord({"msg": message, "levelname": level, "asyncz_run": f"{run_id}", "name": "jobs"})
    reports.log_handler.emit(record)


class Reporter:
    """Reports without a scheduler, and those that arrive in a store.

    Args:
        max_logs: Maximum number of log records of a run.
    """

    def __init__(self, max_logs: int = 3) -> None:
        tasks = Mock(codec=CodecThreads())
        tasks.get.return_value = None
        self.codec = tasks.codec
        self.reports = StoredReports(RunReporting(max_logs=max_logs), tasks, Mock(), Mock(), Mock())
        self.session = Mock(spec=StoreSession)
        self.session.report = self._report
        self.stored: dict[UUID, ReportDetails] = {}

    async def _report(self, reports: list[RunReport]) -> list[UUID]:
        self.stored |= {report.run_id: details_of_text(report.details) for report in reports}
        return [*self.stored]

    def end(self, *owned: OwnedRun) -> None:
        for each in owned:
            self.reports.on_end(each, f"{each.id}")

    async def store(self) -> None:
        await self.reports.store(self.session, skip=list)


async def test_log_records_of_unknown_run_are_limited() -> None:
    reporter, owned = Reporter(), owned_run()
    for number in range(100):
        log(reporter.reports, owned.id, f"line {number}")
        reporter.reports._take_lines()
    early = reporter.reports._early[f"{owned.id}"]
    assert (len(early.lines), early.dropped) == (3, 97)
    reporter.end(owned)
    await reporter.store()
    details = reporter.stored[owned.id]
    assert [line.message for line in details.logs] == ["line 97", "line 98", "line 99"]
    assert details.logs_dropped == 97
    assert not reporter.reports


async def test_log_record_without_level_is_stored() -> None:
    reporter, owned = Reporter(), owned_run()
    log(reporter.reports, owned.id, "a", None)
    reporter.end(owned)
    await reporter.store()
    assert [(line.level, line.message) for line in reporter.stored[owned.id].logs] == [("None", "a")]


async def test_unencodable_log_record_is_dropped_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    original = _store_reports._log

    def encode(line: _Line, task_id: str, redactor: TextRedactor) -> ReportedLog:
        if line.message == "bad secret":
            raise TypeError("bad secret")
        return original(line, task_id, redactor)

    monkeypatch.setattr(_store_reports, "_log", encode)
    reporter, first, second = Reporter(), owned_run(), owned_run()
    for message in ("a", "bad secret", "b"):
        log(reporter.reports, first.id, message)
    log(reporter.reports, second.id, "c")
    reporter.end(first, second)
    await reporter.store()
    assert [line.message for line in reporter.stored[first.id].logs] == ["a", "b"]
    assert reporter.stored[first.id].logs_dropped == 1
    assert [line.message for line in reporter.stored[second.id].logs] == ["c"]
    assert "is dropped: TypeError" in caplog.text
    assert "secret" not in caplog.text


async def test_failed_encoding_keeps_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    reporter, owned = Reporter(), owned_run()
    log(reporter.reports, owned.id, "a")
    reporter.end(owned)
    with monkeypatch.context() as patch:
        patch.setattr(reporter.codec, "call", Mock(side_effect=RuntimeError("can't start new thread")))
        with pytest.raises(RuntimeError):
            await reporter.store()
    await reporter.store()
    assert [line.message for line in reporter.stored[owned.id].logs] == ["a"]
    assert not reporter.reports.ended


# Lost nodes


async def lost_run(retry: Retry) -> tuple[AsyncIOScheduler, StoreSession, UUID]:
    """Return a scheduler that will take over a run of a node that is gone."""
    store = MemoryStore()
    other, run_id = await lose_run(store)
    # A node looks for waiting runs at each renewal of its lease, each second here.
    options = StoreOptions(lease=3, reporting=RunReporting())
    scheduler = AsyncIOScheduler(store=store, store_options=options)
    scheduler.add_task(note, "one", trigger=None, id="note", retry=retry)
    return scheduler, other, run_id


async def lose_run(store: Store) -> tuple[StoreSession, UUID]:
    """Store a run of a node that is gone, and return its id and a session."""
    other = await store.connect(NodeRecord(id=uuid4().hex), TTL)
    zombie = await store.connect(NodeRecord(id=uuid4().hex), TTL)
    run = waiting_run("note").model_copy(update={"state": "running"})
    await zombie.submit([run])
    await zombie.close()
    return other, run.id


async def test_report_of_lost_attempt_ends() -> None:
    scheduler, other, run_id = await lost_run(Retry(attempts=3, delay=0.01))
    async with scheduler:
        (run,) = await finished(other, "note")
        reports = scheduler.store._connector.runs.reports
        assert not reports
        assert not reports.ended
        (report,) = await other.reports(run_id)
    assert (run.state, run.attempt, calls) == ("executed", 2, ["one"])
    details = details_of_text(report.details)
    assert [(attempt.attempt, attempt.error[:13]) for attempt in details.attempts] == [(1, "NodeLostError")]


async def test_large_delay_of_retry_has_date() -> None:
    """The run waits for years, instead of an exception each time that the outcomes are stored."""
    scheduler, other, run_id = await lost_run(Retry(attempts=3, delay=1e12))
    async with scheduler:
        async with asyncio.timeout(30):
            while (run := await run_of(other, run_id)).state != "waiting":
                await asyncio.sleep(0.01)
        scheduler.add_task(note, "two", trigger=None, id="other").submit()
        await finished(other, "other")
    assert run.attempt == 2
    assert run.not_before is not None
    assert run.not_before > datetime.now(UTC) + timedelta(days=3000)
    assert calls == ["two"]


async def run_of(session: StoreSession, run_id: UUID) -> RunRecord:
    (run,) = [run for run in await session.runs(RunQuery()) if run.id == run_id]
    return run


@pytest.mark.parametrize(
    ("on", "attempts", "state"), [(NodeLostError, 2, "waiting"), (KeyError, 2, "error"), (NodeLostError, 1, "error")]
)
async def test_lost_run_of_other_program_is_retried(on: type[Exception], attempts: int, state: str) -> None:
    """A node that does not know the function takes the run over."""
    store = MemoryStore()
    other, run_id = await lose_run(store)
    limits = encode_limits(TaskLimits(retry=Retry(attempts=attempts, delay=100.0, on=(on,))))
    await other.declare([TaskRecord(id="note", function="elsewhere:note", options=limits)], "update")
    async with AsyncIOScheduler(store=store), asyncio.timeout(30):
        while (run := await run_of(other, run_id)).state == "running":
            await asyncio.sleep(0.01)
    assert run.state == state
    assert (run.not_before is not None, run.attempt) == ((True, 2) if state == "waiting" else (False, 1))
