"""Record of the last runs and events."""

from __future__ import annotations

import logging
import pickle
import sys
import time
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, strategies as st
from typing_extensions import override

from asyncz import AsyncIOScheduler, current_run
from asyncz._run_ids import NO_RUN, number_of, run_id_of
from asyncz.clock import utc
from asyncz.dashboard import Dashboard
from asyncz.dashboard._journal import Journal, RecordedRun, RunLogHandler, Topics
from asyncz.dashboard._redaction import Redactor, redact_secrets
from asyncz.dashboard._run_logs import LogEntry
from asyncz.dashboard._runs import detail_of_record, run_of_record
from asyncz.events import (
    Event,
    RunDetails,
    TaskCancelled,
    TaskError,
    TaskExecuted,
    TaskMaxInstances,
    TaskMissed,
    TaskProgress,
    TaskRetrying,
    TaskSubmitted,
)
from asyncz.retries import Retry
from asyncz.stores import MemoryStore

pytestmark = pytest.mark.anyio


def recorded(
    happened: Sequence[Event], max_runs: int = 100, max_events: int = 1000, on_change: Callable[[Topics], object] = len
) -> Journal:
    """Return the journal of a scheduler that emits some events."""
    scheduler = AsyncIOScheduler()
    journal = Journal(scheduler, max_runs, max_events, on_change)
    for event in happened:
        scheduler._parts.runtime.dispatcher.emit(event)
    return journal


def every(_: RecordedRun) -> bool:
    return True


def submitted(number: int) -> TaskSubmitted:
    return TaskSubmitted(f"task-{number % 3}", details=RunDetails(run_id_of(number), 1, 10.0))


def ended(number: int, outcome: str) -> Event:
    task_id, details = f"task-{number % 3}", RunDetails(run_id_of(number), 1, 10.0, 11.0, 12.5)
    match outcome:
        case "executed":
            return TaskExecuted(task_id, object(), details)
        case "error":
            return TaskError(task_id, ValueError("wrong"), traceback="Traceback …", details=details)
        case "missed":
            return TaskMissed(task_id, details=details)
        case _:
            return TaskCancelled(task_id, details=details)


OUTCOMES = ("executed", "error", "missed", "cancelled")


@given(
    st.lists(st.tuples(st.integers(1, 30), st.sampled_from((None, *OUTCOMES))), max_size=60),
    st.integers(1, 8),
)
def test_journal_keeps_newest_ends_and_all_live(steps: list[tuple[int, str | None]], max_runs: int) -> None:
    live, last = set[int](), list[int]()
    happened: list[Event] = []
    for number, outcome in steps:
        if outcome is None and number not in live and number not in last:
            happened.append(submitted(number))
            live.add(number)
        elif outcome is not None and number in live:
            happened.append(ended(number, outcome))
            live.remove(number)
            last.append(number)
    runs = recorded(happened, max_runs).runs(every, 1000)
    assert [number_of(run.details.run_id) for run in runs] == sorted(live | set(last[-max_runs:]), reverse=True)
    assert {number_of(run.details.run_id) for run in runs if run.outcome is None} == live


@given(st.integers(0, 40), st.integers(1, 15), st.integers(1, 30))
def test_event_pages_give_each_kept_event_once(number: int, limit: int, max_events: int) -> None:
    journal = recorded([submitted(each) for each in range(1, number + 1)], max_events=max_events)
    found: list[int] = []
    before = None
    while page := journal.recorded_events(before=before, limit=limit):
        found += [event.number for event in page]
        before = page[-1].number
    assert found == list(range(number, max(0, number - max_events), -1))


def test_event_page_of_dropped_events_is_empty() -> None:
    journal = recorded([submitted(each) for each in range(1, 20)], max_events=5)
    assert journal.recorded_events(before=3, limit=10) == ()


def test_outcome_without_submission_is_recorded() -> None:
    (run,) = recorded([ended(4, "missed")]).runs(every, 10)
    assert (run.task_id, run.outcome) == ("task-1", "missed")


def test_run_owned_again_gets_its_last_outcome() -> None:
    """A run that was given back at a shutdown keeps its due time."""
    run_id = run_id_of(1)
    failed = TaskRetrying("task-1", ValueError("once"), 2.5, details=RunDetails(run_id, 1, 10.0, 11.0, 12.0))
    happened: list[Event] = [submitted(1), failed, ended(1, "cancelled"), submitted(1)]
    run = recorded(happened).find(run_id)
    assert run is not None
    assert (run.outcome, len(run.attempts)) == (None, 1)
    journal = recorded([*happened, ended(1, "executed"), submitted(2), ended(2, "executed")], max_runs=1)
    assert [(run.details.run_id, run.outcome) for run in journal.runs(every, 10)] == [(run_id_of(2), "executed")]
    run = recorded([*happened, ended(1, "executed")]).find(run_id)
    assert run is not None
    assert (run.outcome, run.error) == ("executed", "")


def test_result_is_not_kept() -> None:
    result = object()
    before = sys.getrefcount(result)
    journal = recorded([TaskExecuted("task", result, RunDetails(run_id_of(1)))])
    assert sys.getrefcount(result) == before
    assert journal.find(run_id_of(1)) is not None


def test_rejection_is_event_without_run() -> None:
    journal = recorded([TaskMaxInstances("task", details=RunDetails(NO_RUN, 1, 10.0))])
    assert journal.runs(every, 10) == []
    assert [event.kind for event in journal.recorded_events(before=None, limit=10)] == ["TaskMaxInstances"]


def test_retry_keeps_failed_attempt() -> None:
    failed = TaskRetrying(
        "task", ValueError("once"), 2.5, traceback="T", details=RunDetails(run_id_of(7), 1, 1.0, 2.0, 3.0)
    )
    journal = recorded([TaskSubmitted("task", details=RunDetails(run_id_of(7), 1, 1.0)), failed])
    run = journal.find(run_id_of(7))
    assert run is not None
    assert run.outcome is None
    assert [(each.error, each.delay, each.traceback) for each in run.attempts] == [("ValueError: once", 2.5, "T")]


def test_progress_replaces_one_before() -> None:
    reports = [TaskProgress("task", done, 4.0, details=RunDetails(run_id_of(7), 1, 1.0, 2.0)) for done in (1.0, 3.0)]
    journal = recorded([TaskSubmitted("task", details=RunDetails(run_id_of(7), 1, 1.0)), *reports])
    run = journal.find(run_id_of(7))
    assert run is not None
    assert run.progress is reports[1]


def test_find_returns_copy() -> None:
    scheduler = AsyncIOScheduler()
    journal = Journal(scheduler, 10, 10, len)
    scheduler._parts.runtime.dispatcher.emit(submitted(1))
    found = journal.find(run_id_of(1))
    scheduler._parts.runtime.dispatcher.emit(ended(1, "executed"))
    assert found is not None
    assert found.outcome is None


def test_change_names_topics_after_it_can_be_read() -> None:
    seen: list[tuple[bool, int]] = []
    journals: list[Journal] = []

    def on_change(topics: Topics) -> None:
        seen.append(("runs" in topics, len(journals[0].runs(every, 10))))

    scheduler = AsyncIOScheduler()
    journals.append(Journal(scheduler, 10, 10, on_change))
    scheduler._parts.runtime.dispatcher.emit(submitted(1))
    assert seen == [(True, 1)]


def test_closed_journal_records_nothing() -> None:
    scheduler = AsyncIOScheduler()
    journal = Journal(scheduler, 10, 10, len)
    journal.close()
    scheduler._parts.runtime.dispatcher.emit(submitted(1))
    assert journal.runs(every, 10) == []


class Unprintable:
    @override
    def __str__(self) -> str:
        raise ValueError("no text")


async def test_log_records_belong_to_their_run() -> None:
    logger = logging.getLogger("tests.dashboard.jobs")
    logger.propagate = False

    def work(number: int) -> None:
        logger.warning("step %d", number)
        logger.warning("%s", Unprintable())

    async with AsyncIOScheduler(executors={"io": "threadpool"}) as scheduler:
        journal = Journal(scheduler, 10, 10, len)
        handler = RunLogHandler(journal)
        logger.addHandler(handler)
        logger.warning("outside of a run")
        handles = [scheduler.add_task(work, number, trigger=None, executor="io").run() for number in (1, 2)]
        for handle in handles:
            await handle
        for number, handle in enumerate(handles, 1):
            run = journal.find(handle.run_id)
            assert run is not None
            assert run.logs[0].message == f"step {number}"
            assert "cannot be formatted" in run.logs[1].message
    logger.removeHandler(handler)


def record_of_run(message: str) -> logging.LogRecord:
    record = logging.LogRecord("jobs", logging.INFO, __file__, 1, message, None, None)
    record.__dict__.update(asyncz_task="task", asyncz_run=f"{run_id_of(1)}", asyncz_attempt=1)
    return record


def test_handler_keeps_record_of_worker() -> None:
    """A forked worker has the handlers of its parent, with the same ids: it leaves no trace in what it sends."""
    journal = recorded([submitted(1)])
    handler = RunLogHandler(journal)
    record = record_of_run("from the worker")
    names = set(record.__dict__)
    handler.handle(record)
    assert set(record.__dict__) == names
    handler.handle(pickle.loads(pickle.dumps(record)))
    handler.handle(record)
    run = journal.find(run_id_of(1))
    assert run is not None
    assert [entry.message for entry in run.logs] == ["from the worker"] * 2


@pytest.mark.parametrize("created", [float("nan"), float("inf"), 1e20, -1e20, None, "yesterday"])
def test_log_record_with_invalid_time_is_shown(created: object) -> None:
    journal = recorded([submitted(1)])
    record = record_of_run("step")
    record.__dict__.update(created=created, levelname=None)
    before = time.time()
    RunLogHandler(journal).handle(record)
    run = journal.find(run_id_of(1))
    assert run is not None
    (line,) = detail_of_record(run, Redactor(redact_secrets)).logs
    assert (line.message, line.level) == ("step", "None")
    assert utc(before - 1) <= line.at <= utc(time.time() + 1)


def test_record_outside_of_run_stays_as_it_is() -> None:
    """Some exporters warn of a field with None, by a record that would have such a field again."""
    scheduler = AsyncIOScheduler(store=MemoryStore())
    dashboard = Dashboard(scheduler, authorize=lambda _: None)
    record = logging.makeLogRecord({"msg": "step"})
    names = set(record.__dict__)
    for handler in (dashboard.log_handler, scheduler.store.log_handler):
        handler.handle(record)
    assert set(record.__dict__) == names


async def test_log_of_run_is_bounded() -> None:
    logger = logging.getLogger("tests.dashboard.jobs")
    logger.propagate = False

    def work() -> None:
        for number in range(250):
            logger.error("line %d", number)

    async with AsyncIOScheduler() as scheduler:
        journal = Journal(scheduler, 10, 10, len)
        handler = RunLogHandler(journal)
        logger.addHandler(handler)
        handle = scheduler.add_task(work, trigger=None).run()
        await handle
        run = journal.find(handle.run_id)
        assert run is not None
        assert (len(run.logs), run.logs_dropped, run.logs[-1].message) == (200, 50, "line 249")
    logger.removeHandler(handler)


async def test_run_with_retries_is_one_run() -> None:
    def work() -> int:
        if current_run().attempt < 3:
            raise ValueError("not yet")
        return 1

    async with AsyncIOScheduler() as scheduler:
        journal = Journal(scheduler, 10, 10, len)
        handle = scheduler.add_task(work, trigger=None, retry=Retry(attempts=3, delay=0.001)).run()
        await handle
        (run,) = journal.runs(every, 10)
        assert (run.outcome, run.details.attempt, len(run.attempts)) == ("executed", 3, 2)


async def test_secret_at_length_of_error_is_hidden() -> None:
    secret = "hunter2"  # not a secret
    for length in range(970, 1000):
        error = ValueError(f"{'x' * length} db://app:{secret}@db/jobs")
        run = recorded([TaskError("task", error, details=RunDetails(run_id_of(1)))]).find(run_id_of(1))
        assert run is not None
        assert secret[:3] not in run_of_record(run, Redactor(redact_secrets)).error


def test_journal_keeps_line_breaks_for_redaction() -> None:
    text = "request:\nsig=hunter2"  # not a secret
    error, details, redactor = ValueError(text), RunDetails(run_id_of(1), 1), Redactor(redact_secrets)
    failures = (TaskRetrying("task", error, 1.0, details=details), TaskError("task", error, details=details))
    journal = recorded([submitted(1), *failures])
    RunLogHandler(journal).handle(record_of_run(text))
    run = journal.find(run_id_of(1))
    assert run is not None
    shown = detail_of_record(run, redactor)
    events = [redactor("error", "task", each.text) for each in journal.recorded_events(before=None, limit=2)]
    for each in (shown.run.error, shown.attempts[0].error, shown.logs[0].message, *events):
        assert each.endswith("request:\\nsig=•••")


def test_long_traceback_keeps_first_and_last_lines() -> None:
    traceback = "\n".join(["Traceback", *(f"  line {number}" for number in range(10_000)), "ValueError: wrong"])
    event = TaskError("task", ValueError("wrong"), traceback=traceback, details=RunDetails(run_id_of(1)))
    run = recorded([event]).find(run_id_of(1))
    assert run is not None
    lines = run.traceback.splitlines()
    assert (lines[0], lines[-1]) == ("Traceback", "ValueError: wrong")
    assert set(lines) - set(traceback.splitlines()) == {next(line for line in lines if line.startswith("…"))}
    assert len(run.traceback) < 20_200


def test_last_attempts_of_run_are_kept() -> None:
    failed = [
        TaskRetrying("task", ValueError(f"{each}"), 1.0, details=RunDetails(run_id_of(7), each))
        for each in range(1, 51)
    ]
    run = recorded([TaskSubmitted("task", details=RunDetails(run_id_of(7), 1, 1.0)), *failed]).find(run_id_of(7))
    assert run is not None
    assert (len(run.attempts), run.attempts_dropped, run.attempts[-1].error) == (20, 30, "ValueError: 50")


def test_logs_of_all_runs_are_bounded_together() -> None:
    journal = recorded([submitted(number) for number in range(1, 151)], max_runs=200)
    for number in range(1, 151):
        for line in range(150):
            journal.record_log(run_id_of(number), LogEntry(1.0, "INFO", "jobs", f"{line}"))
    kept = [run for number in range(1, 151) if (run := journal.find(run_id_of(number))) is not None]
    assert len(kept) == 150
    assert sum(len(run.logs) for run in kept) <= 20_000
    assert [(len(run.logs), run.logs_dropped) for run in (kept[0], kept[-1])] == [(0, 150), (150, 0)]


def test_logs_of_dropped_run_are_dropped() -> None:
    journal = recorded([submitted(number) for number in range(1, 4)], max_runs=1)
    for number in range(1, 4):
        journal.record_log(run_id_of(number), LogEntry(1.0, "INFO", "jobs", "line"))
        journal._on_executed(TaskExecuted("task", None, RunDetails(run_id_of(number))))
    assert (journal._logs._together, list(journal._logs._lines)) == (1, [run_id_of(3)])


def test_closed_journal_keeps_no_logs() -> None:
    journal = recorded([submitted(1)])
    journal.close()
    record = logging.makeLogRecord({"msg": "late", "asyncz_run": f"{run_id_of(1)}"})
    RunLogHandler(journal).emit(record)
    run = journal.find(run_id_of(1))
    assert run is not None
    assert run.logs == ()
