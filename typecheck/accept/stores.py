"""Stores, their records and their sessions, as a program or a store of one's own uses them."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, assert_type
from uuid import UUID, uuid4

import psycopg
from typing_extensions import override

from asyncz import (
    AsyncIOScheduler,
    AsynczError,
    EventScope,
    IntervalTrigger,
    Subscription,
    Task,
    TaskError,
    TaskExecuted,
    TaskLimits,
    Worker,
)
from asyncz.dashboard import Redact
from asyncz.stores import (
    Codec,
    ExistingTaskPolicy,
    FinalRunState,
    Firing,
    Lease,
    LostRunPolicy,
    MemoryStore,
    NodeLostError,
    NodeRecord,
    Outbox,
    OutboxCall,
    OutboxConnection,
    Outcome,
    PickleCodec,
    PostgresStore,
    Retention,
    RunKind,
    RunQuery,
    RunRecord,
    RunRecordState,
    RunReport,
    RunReporting,
    SqliteStore,
    StorableTrigger,
    Store,
    StoreClosedError,
    StoreConnectionError,
    StoreDataError,
    StoredTaskConflictError,
    StoreError,
    StoreNews,
    StoreOptions,
    StoreSchemaError,
    StoreSession,
    StoreUnavailableError,
    TaskRecord,
    TaskRecordState,
    UnreadableTaskError,
    UnstorableTaskError,
    stable_name,
)
from asyncz.testing import STORE_RULES, Rule, RuleVerdict, StoreConformance

stores: list[Store] = [
    MemoryStore(),
    MemoryStore(now=lambda: 0.0),
    SqliteStore("jobs.db"),
    SqliteStore(Path("jobs.db"), poll_interval=0.5, now=lambda: 0.0),
    PostgresStore("postgresql:///jobs"),
    PostgresStore("postgresql:///jobs", poll_interval=0.5, prepare=False, notify=False, now=lambda: 0.0),
]


async def connected(store: Store) -> None:
    session = await store.connect(NodeRecord(id=uuid4().hex, name="web-1", app_version=3), timedelta(seconds=15))
    assert_type(session, StoreSession)
    assert_type(session.lease, Lease)
    assert_type(session.renew().until, datetime)
    assert_type(session.lease.lost, bool)
    assert_type(await session.nodes(), Sequence[NodeRecord])
    report = RunReport(run_id=uuid4(), fence=1, progress="{}", details=None)
    assert_type(await session.report([report]), Sequence[UUID])
    assert_type(await session.reports(report.run_id), Sequence[RunReport])
    await session.close()


async def tasks(session: StoreSession, existing: ExistingTaskPolicy) -> None:
    due = datetime(2030, 1, 1, tzinfo=UTC)
    task = TaskRecord(id="report", function="jobs:report", trigger="{}", next_due=due)
    for declared in await session.declare([task], existing):
        assert_type(declared.version, int)
        assert_type(declared.next_due, datetime | None)
        assert_type(declared.state, TaskRecordState)
    assert_type(await session.change(task.model_copy(update={"paused": True})), TaskRecord | None)
    assert_type(await session.remove(["report"]), Sequence[str])
    assert_type(await session.changes(0, 100), Sequence[TaskRecord])
    assert_type(await session.overdue(timedelta(seconds=1), 100), Sequence[TaskRecord])
    assert_type(await session.overdue(timedelta(seconds=1), 100, (due, "report")), Sequence[TaskRecord])


async def runs(session: StoreSession, task: TaskRecord, due: datetime) -> None:
    kind: RunKind = "due"
    on_lost: LostRunPolicy = "rerun"
    run = RunRecord(id=uuid4(), task_id=task.id, scheduled_at=due, kind=kind, on_lost=on_lost)
    firing = Firing(task_id=task.id, version=task.version, due=due, next_due=None, runs=(run,))
    assert_type(await session.fire([firing]), Sequence[RunRecord])
    assert_type(await session.submit([run]), Sequence[RunRecord])
    assert_type(await session.claim({"asyncio": 4}, 10), Sequence[RunRecord])
    assert_type(await session.claim({"asyncio": 4}, 10, ["report"]), Sequence[RunRecord])
    assert_type(firing.latest, datetime)
    assert_type(await session.take_over(10), Sequence[RunRecord])
    outcome = Outcome(run_id=run.id, fence=run.fence, state="executed", result="3", finished_at=due)
    assert_type(await session.finish([outcome]), Sequence[UUID])
    for found in await session.runs(RunQuery(task_id="report", states=("error", "missed"), limit=20)):
        assert_type(found.state, RunRecordState)
        assert_type(found.result, str | None)
        assert_type(found.done, bool)
    keep: Mapping[FinalRunState, timedelta] = {"executed": timedelta(days=3)}
    assert_type(await session.prune(keep, 500), int)
    assert_type(await session.trim(["report"], 1000, 500), int)
    assert_type(await session.outcomes(await session.listen(), 100), Sequence[RunRecord])
    await session.announce(["report"])
    assert_type(await session.sweep(timedelta(days=14), None, 100), Sequence[str])
    hints: AsyncIterator[int] = session.wake_ups()
    async for revision in hints:
        assert_type(revision, int)


def fetch(url: str) -> bytes:
    return url.encode()


@stable_name("load")
async def load(url: str, *, times: int = 1) -> list[bytes]:
    return [url.encode()] * times


@stable_name("store", formerly=("old.jobs:store",))
def store_page(url: str) -> int:
    return len(url)


class Hex:
    """Codec of one's own."""

    name: str = "hex"

    def encode(self, value: object, /) -> str:
        return repr(value).encode().hex()

    def decode(self, text: str, /) -> object:
        return bytes.fromhex(text)


class Daily:
    """Trigger of one's own that a store keeps."""

    def __init__(self, *, hour: int) -> None:
        self._hour = hour

    def next_due_time(self, previous: datetime | None, now: datetime) -> datetime | None:
        return (previous or now).replace(hour=self._hour) + timedelta(days=1)

    def to_config(self) -> dict[str, object]:
        return {"hour": self._hour}


codecs: list[Codec] = [PickleCodec(b"0123456789abcdef"), Hex()]
storable: StorableTrigger = Daily(hour=3)


def with_codec(scheduler: AsyncIOScheduler) -> None:
    options = StoreOptions(codec=codecs[0])
    assert_type(options.codec, Codec | None)
    assert_type(codecs[1].encode(3) + codecs[1].name, str)
    assert_type(codecs[1].decode("33"), object)
    assert_type(Outbox(codec=Hex()), Outbox)
    assert_type(scheduler.add_task(fetch, "url", id="fetch", trigger=Daily(hour=3)), Task[bytes])


def cluster(scheduler: AsyncIOScheduler, scope: EventScope) -> None:
    assert_type(scheduler.subscribe(TaskExecuted, lambda event: event.result, scope="cluster"), Subscription)
    assert_type(scheduler.subscribe(TaskError, lambda event: event.exception, scope=scope), Subscription)
    assert_type(Worker(host="web-1", pid=7).node, str)
    assert_type(scheduler.store.undeclared, frozenset[str])
    assert_type(scheduler.add_task(load, "url", id="load", existing="keep"), Task[list[bytes]])
    assert_type(scheduler.call(store_page, "url").add(id="store", existing="refuse"), Task[int])


def named_functions(scheduler: AsyncIOScheduler) -> None:
    assert_type(scheduler.add_task(load, "https://example.org", id="load"), Task[list[bytes]])
    assert_type(scheduler.call(load, "https://example.org", times=3).add(id="twice"), Task[list[bytes]])
    assert_type(store_page("https://example.org"), int)


async def schedulers(own: Store) -> None:
    options = StoreOptions(
        existing="keep",
        version=3,
        on_lost="rerun",
        lease=30,
        functions={"fetch": fetch},
        formerly={"jobs:load": fetch},
        importable=("myapp",),
        retention=Retention(executed=timedelta(days=1), error=None, per_task=100),
        keep_undeclared=timedelta(days=7),
        keep_finished=None,
        reporting=RunReporting(interval=5, max_logs=50, max_bytes=10_000, redact=lambda _kind, _name, text: text),
    )
    assert_type(options.reporting, RunReporting | None)
    assert_type(StoreOptions(reporting=None), StoreOptions)
    assert_type(RunReporting().interval, float)
    assert_type(RunReporting().max_logs, int)
    assert_type(RunReporting().max_bytes, int)
    assert_type(RunReporting().redact, Redact | None)
    assert_type(options.retention.ages, Mapping[FinalRunState, timedelta])
    assert_type(options.existing, ExistingTaskPolicy)
    assert_type(options.keep_undeclared, timedelta)
    assert_type(options.keep_finished, timedelta | None)
    assert_type(options.version, int)
    assert_type(options.on_lost, LostRunPolicy)
    assert_type(options.lease, float)
    assert_type(options.functions, Mapping[str, object])
    assert_type(options.formerly, Mapping[str, object])
    assert_type(options.importable, Sequence[str])
    with_url = AsyncIOScheduler(store="sqlite:///jobs.db")
    with_store = AsyncIOScheduler(store=own, store_options=options)
    task = with_url.add_task(fetch, "https://example.org", id="page")
    assert_type(task, Task[bytes])
    # The result of a run in another process has its exact type.
    assert_type(await with_store.store.executed(task), tuple[TaskExecuted[bytes], ...])
    assert_type(
        await with_store.store.executed(with_store.tasks_of(fetch).get("page"), 3), tuple[TaskExecuted[bytes], ...]
    )
    assert_type(await with_store.store.runs(), Sequence[RunRecord])
    assert_type(await with_store.store.runs(RunQuery(task_id="page")), Sequence[RunRecord])
    assert_type(await with_store.store.nodes(), Sequence[NodeRecord])
    assert_type(await with_store.store.reports(uuid4()), Sequence[RunReport])
    assert_type(with_store.store.log_handler, logging.Handler)
    assert_type(with_store.store.connected, bool)
    assert_type(with_store.store.unreadable, Mapping[str, str])
    assert_type(with_store.store.rejected_outcomes, int)


def failures_of_tasks(lost: NodeLostError, unreadable: UnreadableTaskError, unstorable: UnstorableTaskError) -> None:
    errors: list[StoreError] = [lost, unreadable, unstorable]
    assert_type(lost.task_id + lost.node, str)
    assert_type(unreadable.task_id + unreadable.reason, str)
    assert_type(unstorable.task_id + unstorable.part + unstorable.reason, str)
    print(errors)


def failure_with_a_reason(unavailable: StoreUnavailableError) -> None:
    as_connection_error: StoreConnectionError = unavailable
    assert_type(as_connection_error.store + unavailable.reason, str)


def failures(
    connection: StoreConnectionError,
    schema: StoreSchemaError,
    conflict: StoredTaskConflictError,
    closed: StoreClosedError,
    data: StoreDataError,
) -> None:
    errors: list[StoreError] = [connection, schema, conflict, closed, data]
    own: list[AsynczError] = [*errors]
    as_connection_error: ConnectionError = connection
    assert_type(connection.reason, str)
    assert_type(connection.store, str)
    assert_type(schema.store, str)
    assert_type(schema.reason, str)
    assert_type(schema.found + schema.needed, int)
    assert_type(data.store + data.reason, str)
    assert_type(conflict.task_id + closed.store, str)
    print(own, as_connection_error)


class TestMemory(StoreConformance):
    ttl = timedelta(seconds=5)
    hang_timeout = 3.0

    @override
    def make_store(self, now: Callable[[], float], /) -> Store:
        return MemoryStore(now=now)


def verified() -> None:
    assert_type(TestMemory().verify(at_once=2), tuple[RuleVerdict, ...])
    assert_type(STORE_RULES, tuple[Rule, ...])


def fields_of_task(task: TaskRecord) -> None:
    assert_type(task.id, str)
    assert_type(task.function, str)
    assert_type(task.arguments, str)
    assert_type(task.trigger, str | None)
    assert_type(task.executor, str)
    assert_type(task.options, str)
    assert_type(task.declaration, str)
    assert_type(task.app_version, int)
    assert_type(task.paused, bool)
    assert_type(task.next_due, datetime | None)
    assert_type(task.started_at, datetime | None)
    assert_type(task.upstream, str | None)
    assert_type(task.state, TaskRecordState)
    assert_type(task.problem, str)
    assert_type(task.inactive_since, datetime | None)
    assert_type(task.removed, bool)
    assert_type(task.version, int)
    assert_type(task.revision, int)


def fields_of_run(run: RunRecord) -> None:
    assert_type(run.id, UUID)
    assert_type(run.task_id, str)
    assert_type(run.kind, RunKind)
    assert_type(run.scheduled_at, datetime)
    assert_type(run.executor, str)
    assert_type(run.state, RunRecordState)
    assert_type(run.attempt, int)
    assert_type(run.not_before, datetime | None)
    assert_type(run.on_lost, LostRunPolicy)
    assert_type(run.arguments, str | None)
    assert_type(run.missed, int)
    assert_type(run.node, str | None)
    assert_type(run.fence, int)
    assert_type(run.sequence, int)
    assert_type(run.created_at, datetime | None)
    assert_type(run.started_at, datetime | None)
    assert_type(run.finished_at, datetime | None)
    assert_type(run.result, str | None)
    assert_type(run.error, str)
    assert_type(run.traceback, str)
    assert_type(run.ended, int)
    assert_type(run.trace_context, str | None)


def fields_of_report(report: RunReport) -> None:
    assert_type(report.run_id, UUID)
    assert_type(report.fence, int)
    assert_type(report.node, str | None)
    assert_type(report.progress, str | None)
    assert_type(report.details, str | None)


def fields_of_firing(firing: Firing) -> None:
    assert_type(firing.task_id, str)
    assert_type(firing.version, int)
    assert_type(firing.due, datetime)
    assert_type(firing.next_due, datetime | None)
    assert_type(firing.runs, tuple[RunRecord, ...])


def fields_of_outcome(outcome: Outcome) -> None:
    assert_type(outcome.run_id, UUID)
    assert_type(outcome.fence, int)
    assert_type(outcome.state, Literal["waiting", "executed", "error", "missed", "cancelled"])
    assert_type(outcome.attempt, int)
    assert_type(outcome.not_before, datetime | None)
    assert_type(outcome.started_at, datetime | None)
    assert_type(outcome.finished_at, datetime | None)
    assert_type(outcome.result, str | None)
    assert_type(outcome.error, str)
    assert_type(outcome.traceback, str)
    assert_type(outcome.then, tuple[RunRecord, ...])


def fields_of_node(node: NodeRecord) -> None:
    assert_type(node.id, str)
    assert_type(node.name, str)
    assert_type(node.app_version, int)
    assert_type(node.lease_until, datetime | None)
    assert_type(node.paused, bool)


def fields_of_lease(lease: Lease) -> None:
    assert_type(lease.until, datetime)
    assert_type(lease.now, datetime)
    assert_type(lease.lost, bool)
    assert_type(lease.news, StoreNews | None)


def fields_of_news(news: StoreNews) -> None:
    assert_type(news.nodes, tuple[str, ...])
    assert_type(news.revision, int)
    assert_type((news.waiting, news.overdue, news.lost), tuple[bool, bool, bool])


def fields_of_query(query: RunQuery) -> None:
    assert_type(query.task_id, str | None)
    assert_type(query.states, tuple[RunRecordState, ...])
    assert_type(query.before, int | None)
    assert_type(query.limit, int)


def mail(to: str, *, copies: int = 1) -> int:
    return copies


async def mail_later(to: str) -> None: ...


def outbox(database: sqlite3.Connection, server: psycopg.Connection[tuple[int]], task: Task[int], task_id: str) -> None:
    box = Outbox(functions={"mail": mail}, on_lost="rerun")
    assert_type(box.call(mail, "ann", copies=2), OutboxCall)
    assert_type(box.call(mail_later, "ann").submit(database, task_id), UUID)
    assert_type(box.call(mail, "ann").submit(server, task), UUID)
    assert_type(box.submit(database, task), UUID)
    any_connection: list[OutboxConnection] = [database, server]
    box.call(mail, "ann").add(any_connection[0], id="once")
    box.call(mail, "ann").add(
        database, id="often", trigger=IntervalTrigger(hours=1), executor="threadpool", limits=TaskLimits(timeout=3)
    )
