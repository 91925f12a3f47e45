"""Mistakes with stores, their records and their sessions."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from typing_extensions import override

from asyncz import AsyncIOScheduler, IntervalTrigger, TaskError
from asyncz.stores import (
    Firing,
    MemoryStore,
    NodeRecord,
    Outbox,
    OutboxCall,
    OutboxConnection,
    Outcome,
    PickleCodec,
    PostgresStore,
    Retention,
    RunReport,
    RunReporting,
    RunQuery,
    RunRecord,
    SqliteStore,
    StorableTrigger,
    Store,
    StoreOptions,
    StoreSession,
    TaskRecord,
    stable_name,
)
from asyncz.testing import StoreConformance
from typecheck.accept.stores import mail

MemoryStore(now=3.5)  # E
SqliteStore(3)  # E
SqliteStore("jobs.db", 0.5)  # E
SqliteStore("jobs.db", poll_interval="0.5")  # E
SqliteStore("jobs.db", now=3.5)  # E
PostgresStore(None)  # E
PostgresStore("postgresql:///jobs", poll_interval="0.5")  # E
PostgresStore("postgresql:///jobs", now=3.5)  # E
PostgresStore("postgresql:///jobs", notify="no")  # E
PostgresStore("postgresql:///jobs", prepare="no")  # E
store: Store = MemoryStore  # E
session: StoreSession = SqliteStore("jobs.db")  # E


async def connected() -> None:
    await MemoryStore().connect("node", timedelta(seconds=15))  # E
    await MemoryStore().connect(NodeRecord(id="node"), 15)  # E
    await SqliteStore("jobs.db").connect("node", timedelta(seconds=15))  # E
    await SqliteStore("jobs.db").connect(NodeRecord(id="node"), 15)  # E
    await PostgresStore("postgresql:///jobs").connect("node", timedelta(seconds=15))  # E
    await PostgresStore("postgresql:///jobs").connect(NodeRecord(id="node"), 15)  # E
    (await MemoryStore().connect(NodeRecord(id="node"), timedelta(seconds=15))).lease = None  # E


async def tasks(session: StoreSession, task: TaskRecord) -> None:
    await session.declare(task, "update")  # E
    await session.announce(3)  # E
    await session.declare([task], "overwrite")  # E
    await session.change("report")  # E
    await session.remove([task])  # E
    await session.changes("0", 100)  # E
    await session.changes(0, "100")  # E
    await session.overdue(1, 100)  # E
    await session.overdue(timedelta(seconds=1), "100")  # E
    await session.overdue(timedelta(seconds=1), 100, "report")  # E
    task.paused = True  # E
    TaskRecord(id="report")  # E
    TaskRecord(id="report", function="jobs:report", state="gone")  # E


async def runs(session: StoreSession, task: TaskRecord, due: datetime, run_id: UUID) -> None:
    RunRecord(id=run_id, task_id="report", scheduled_at=due, kind="late")  # E
    Firing(task_id="report", version="1", due=due, next_due=None)  # E
    Outcome(run_id=run_id, fence=1, state="running")  # E
    await session.fire([task])  # E
    await session.submit([task])  # E
    await session.claim(["asyncio"], 10)  # E
    await session.claim({"asyncio": 4}, "10")  # E
    await session.claim({"asyncio": 4}, 10, 3)  # E
    await session.trim(3, 1000, 500)  # E
    await session.trim(["report"], "1000", 500)  # E
    await session.trim(["report"], 1000, "500")  # E
    await session.finish([run_id])  # E
    await session.take_over("10")  # E
    await session.runs("report")  # E
    RunQuery(states=("done",))  # E
    await session.prune({"running": timedelta(days=3)}, 500)  # E
    await session.prune({}, "500")  # E
    session.renew().until = due  # E


def fetch(url: str) -> bytes:
    return url.encode()


@stable_name("load")
def load(url: str) -> bytes:
    return url.encode()


def named_functions() -> None:
    stable_name(3)  # E
    stable_name("load", ("old.jobs:load",))  # E
    stable_name("load", formerly=3)  # E
    load(3)  # E
    number: int = load("https://example.org")  # E
    print(number)


async def schedulers() -> None:
    AsyncIOScheduler(store=3)  # E
    AsyncIOScheduler(store=MemoryStore)  # E
    AsyncIOScheduler(store_options={"version": 3})  # E
    StoreOptions(existing="overwrite")  # E
    StoreOptions(on_lost="retry")  # E
    StoreOptions(3)  # E
    StoreOptions(retention=1000)  # E
    Retention(executed=3)  # E
    Retention(error=3)  # E
    Retention(missed=3)  # E
    Retention(cancelled=3)  # E
    Retention(per_task="all")  # E
    StoreOptions(reporting=True)  # E
    RunReporting(interval="1 s")  # E
    RunReporting(max_logs=1.5)  # E
    RunReporting(max_bytes="64 KB")  # E
    RunReporting(redact=str.upper)  # E
    RunReport(run_id="7", fence=1)  # E[-pyrefly,ty]: conversion
    StoreOptions(version="3")  # E
    StoreOptions(functions=[fetch])  # E
    StoreOptions(formerly=[fetch])  # E
    StoreOptions(importable=3)  # E
    StoreOptions(lease=timedelta(seconds=15))  # E
    scheduler = AsyncIOScheduler(store="sqlite:///jobs.db")
    task = scheduler.add_task(fetch, "https://example.org", id="page")
    for outcome in await scheduler.store.executed(task):
        text: str = outcome.result  # E
        print(text)
    await scheduler.store.executed("page")  # E
    await scheduler.store.runs("page")  # E
    scheduler.store = None  # E


class TestNoStore(StoreConformance):
    hang_timeout = "3 s"  # E

    @override
    def make_store(self, now: Callable[[], float], /) -> Store:
        return MemoryStore  # E


def outbox(database: sqlite3.Connection) -> None:
    box = Outbox()
    Outbox(on_lost="again")  # E
    Outbox(functions=[mail])  # E
    box.call(mail)  # E
    box.call(mail, 3)  # E
    box.call(mail, "ann", copy=3)  # E
    box.submit(database)  # E
    box.submit("sqlite:///jobs.db", "mail")  # E
    box.submit(database, mail)  # E
    box.call(mail, "ann").submit(database)  # E
    box.call(mail, "ann").submit(database.cursor(), "mail")  # E
    box.call(mail, "ann").add(database)  # E
    box.call(mail, "ann").add(database, id="once", trigger="date")  # E
    box.call(mail, "ann").add(database, id="once", timeout=3)  # E
    box.call(mail, "ann").add(database, id=3)  # E
    task: str = OutboxCall.submit  # E
    connection: OutboxConnection = database.cursor()  # E
    print(task, connection)


StoreOptions(keep_undeclared=14)  # E
StoreOptions(keep_finished="30d")  # E
AsyncIOScheduler().subscribe(TaskError, print, scope="world")  # E
AsyncIOScheduler().add_task(len, "abc", id="len", existing="maybe")  # E
AsyncIOScheduler().call(len, "abc").add(existing="maybe")  # E
AsyncIOScheduler().task(existing="maybe")  # E
StoreOptions(codec="pickle")  # E
StoreOptions(codec=PickleCodec)  # E
PickleCodec("0123456789abcdef")  # E
PickleCodec(b"0123456789abcdef").decode(3)  # E
Outbox(codec=b"0123456789abcdef")  # E
storable: StorableTrigger = IntervalTrigger(hours=1)  # E
