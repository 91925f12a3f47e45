"""The part of a scheduler that exchanges with a store: nested calls, values that are rejected, and threads."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from typing_extensions import override

from asyncz import AsyncIOScheduler, IntervalTrigger, MaximumInstancesError, Task
from asyncz.schedulers._store_part import StoreConnector
from asyncz.stores import (
    FinalRunState,
    MemoryStore,
    NodeRecord,
    Outcome,
    PostgresStore,
    RunQuery,
    SqliteStore,
    Store,
    StoreDataError,
    StoreSession,
)
from tests.helpers.postgres import new_schema
from tests.helpers.stored_jobs import block, calls, note, release
from tests.helpers.waiting import until
from tests.stores.faulty_stores import Faults, FaultySession, FaultyStore
from tests.stores.test_stored_runs import finished, waiting_run

pytestmark = pytest.mark.anyio

HOURLY = IntervalTrigger(hours=1)
TTL = timedelta(seconds=15)
ALL_STORES = ["memory", "sqlite", pytest.param("postgres", marks=pytest.mark.xdist_group("postgres"))]


@pytest.fixture(autouse=True)
def no_calls() -> Iterator[None]:
    calls.clear()
    children.clear()
    release.clear()
    yield
    release.set()


def store_of(kind: str, request: pytest.FixtureRequest, folder: Path) -> Store:
    if kind == "memory":
        return MemoryStore()
    if kind == "sqlite":
        return SqliteStore(folder / "store.db", poll_interval=0.01)
    server = request.getfixturevalue("postgres_server")
    assert isinstance(server, str)
    return PostgresStore(new_schema(server))


def connector_of(scheduler: AsyncIOScheduler) -> StoreConnector:
    connector = scheduler._parts.store
    assert isinstance(connector, StoreConnector)
    return connector


@pytest.fixture
async def store() -> Store:
    return MemoryStore()


@pytest.fixture
async def other(store: Store) -> AsyncIterator[StoreSession]:
    """Session of a node without a scheduler."""
    session = await store.connect(NodeRecord(id=uuid4().hex), TTL)
    yield session
    await session.close()


# Calls inside of calls

children: list[Task[object]] = []


def run_children() -> None:
    for child in children:
        _ = child.run()


async def test_call_inside_of_a_call_is_stored(store: Store, other: StoreSession) -> None:
    """Both runs are stored, if the function of the first one runs inside of its submission."""
    async with AsyncIOScheduler(store=store) as scheduler:
        children.append(scheduler.add_task(note, "one", trigger=None, id="child"))
        parent = scheduler.add_task(run_children, trigger=None, id="parent", executor="debug")
        # The first run waits for the start of the executor.
        await parent.run()
        await parent.run()
        runs = await finished(other, 4)
    assert Counter((run.task_id, run.state) for run in runs) == {("child", "executed"): 2, ("parent", "executed"): 2}


async def test_rejected_call_leaves_no_record(store: Store, other: StoreSession) -> None:
    async with AsyncIOScheduler(store=store) as scheduler:
        task = scheduler.add_task(block, "one", trigger=None, id="block", executor="threadpool")
        other_task = scheduler.add_task(note, "two", id="note", trigger=None)
        handle = task.run()
        with pytest.raises(MaximumInstancesError):
            task.run()
        assert connector_of(scheduler).runs._begun == {}
        release.set()
        await handle
        await other_task.run()
        assert {run.task_id for run in await finished(other, 2)} == {"block", "note"}
    assert len(await other.runs(RunQuery())) == 2


# History


@pytest.mark.parametrize("kind", ALL_STORES)
@pytest.mark.parametrize("age", [timedelta.max, timedelta(days=1_000_000)])
async def test_prune_with_longest_age_keeps_runs(
    kind: str, age: timedelta, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    session = await store_of(kind, request, tmp_path).connect(NodeRecord(id=uuid4().hex), TTL)
    run = waiting_run("note").model_copy(update={"state": "running"})
    await session.submit([run])
    old = datetime(2000, 1, 1, tzinfo=UTC)
    await session.finish([Outcome(run_id=run.id, fence=1, state="executed", finished_at=old)])
    assert await session.prune({"executed": age}, 10) == 0
    assert await session.prune({"executed": timedelta(0)}, 10) == 1
    await session.close()


class UnprunedSession(FaultySession):
    """Session that cannot delete old runs."""

    @override
    async def prune(self, keep: Mapping[FinalRunState, timedelta], limit: int, /) -> int:
        raise StoreDataError("unpruned", "it does not delete")


async def test_failed_prune_leaves_node_connected(caplog: pytest.LogCaptureFixture) -> None:
    async with AsyncIOScheduler(store=FaultyStore(Faults(), UnprunedSession)) as scheduler:
        await until(lambda: "Old runs could not be deleted" in caplog.text)
        await asyncio.sleep(0)
        assert scheduler.store.connected
        task = scheduler.add_task(note, "one", id="note", trigger=HOURLY)
        await until(lambda: task.state.next_run_at is not None)
    assert caplog.text.count("Old runs could not be deleted") == 1
