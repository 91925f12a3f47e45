"""Schedulers of a cluster: events of all nodes, programs that are gone, policies of single tasks, and chains."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from asyncz import (
    AsyncIOScheduler,
    DateTrigger,
    IntervalTrigger,
    InvalidInputError,
    TaskAdded,
    TaskCancelled,
    TaskError,
    TaskExecuted,
)
from asyncz.schedulers import _store_events
from asyncz.stores import MemoryStore, NodeRecord, SqliteStore, Store, StoredChainError, StoreOptions, StoreSession
from asyncz.stores.protocol import UNDECLARED_AFTER
from tests.helpers.stored_jobs import block, calls, day_after, fail, note, release
from tests.helpers.waiting import until
from tests.stores.faulty_stores import Faults, FaultyStore

pytestmark = pytest.mark.anyio

HOURLY = IntervalTrigger(hours=1)
TTL = timedelta(seconds=15)
IMPORTABLE = StoreOptions(importable=("tests.helpers",))


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "store.db", poll_interval=0.01)


@pytest.fixture(autouse=True)
def short_interval(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(_store_events, "_INTERVAL", 0.01)
    calls.clear()
    yield
    calls.clear()


class Clock:
    """Clock of a store that a test moves."""

    def __init__(self) -> None:
        self.now = 2_000_000_000.0

    def __call__(self) -> float:
        return self.now


async def observer(store: Store) -> StoreSession:
    return await store.connect(NodeRecord(id="observer"), TTL)


async def test_cluster_listener_receives_events_of_all_nodes(store: Store) -> None:
    received: list[tuple[str, object]] = []
    async with (
        AsyncIOScheduler(store=store) as first,
        AsyncIOScheduler(store=store, store_options=IMPORTABLE) as second,
    ):
        first.subscribe(TaskExecuted, lambda event: received.append(("0", event)), scope="cluster")
        second.subscribe(TaskExecuted, lambda event: received.append(("1", event)), scope="cluster")
        errors: list[TaskError] = []
        second.subscribe(TaskError, errors.append, scope="cluster")
        await asyncio.sleep(0)
        await until(lambda: all(each.store._connector.events._listens for each in (first, second)))
        nodes = {node.id for node in await first.store.nodes()}
        day = first.add_task(day_after, date(2026, 1, 31), id="day", trigger=None)
        await day.run()
        failing = first.add_task(fail, "boom", id="fail", trigger=None)
        with pytest.raises(ValueError, match="boom"):
            await failing.run()
        await until(lambda: len(received) == 2 and len(errors) == 1)
        stored = {run.id for run in await first.store.runs()}
    for _, event in received:
        assert isinstance(event, TaskExecuted)
        assert (event.task_id, event.result) == ("day", date(2026, 2, 1))
        worker = event.details.worker
        assert worker is not None
        assert worker.node in nodes
        assert worker.pid
        assert UUID(int=event.details.run_id) in stored
    assert sorted(number for number, _ in received) == ["0", "1"]
    assert "boom" in str(errors[0].exception)
    assert errors[0].traceback


async def test_cluster_listener_starts_with_its_subscription(store: Store) -> None:
    async with AsyncIOScheduler(store=store) as first:
        task = first.add_task(note, "one", id="note", trigger=None)
        await task.run()
        await until(lambda: first.state.executed == 1)
        received: list[object] = []
        subscription = first.subscribe(TaskExecuted, received.append, scope="cluster")
        await until(lambda: first.store._connector.events._listens)
        await task.run()
        await until(lambda: len(received) == 1)
        subscription.unsubscribe()
        await task.run()
        assert first.remove_listener(received.append) is False
        first.subscribe(TaskExecuted, received.append, scope="cluster")
        assert first.remove_listener(received.append) is True
        await asyncio.sleep(0.05)
    assert len(received) == 1


async def test_cluster_scope_needs_store_and_outcomes() -> None:
    with pytest.raises(InvalidInputError, match="scope cannot be"):
        AsyncIOScheduler().subscribe(TaskError, print, scope="cluster")
    with pytest.raises(InvalidInputError, match=r"event cannot be .*outcomes of runs: TaskCancelled"):
        AsyncIOScheduler(store=MemoryStore()).subscribe(TaskAdded, print, scope="cluster")
    with pytest.raises(InvalidInputError, match="scope cannot be"):
        AsyncIOScheduler().subscribe(TaskCancelled, print, scope="world")  # type: ignore[call-overload] # pyright: ignore[reportArgumentType, reportCallIssue] # ty: ignore[no-matching-overload]  # wrong on purpose


async def test_task_of_lost_program_is_undeclared() -> None:
    clock = Clock()
    store = MemoryStore(now=clock)
    program = AsyncIOScheduler(store=store)
    program.add_task(note, "one", id="declared", trigger=HOURLY)
    async with program:
        program.add_task(note, "two", id="added", trigger=HOURLY)
        await until(lambda: len(program.tasks) == 2)
    async with AsyncIOScheduler(store=store, store_options=IMPORTABLE) as other:
        clock.now += UNDECLARED_AFTER.total_seconds() + 1
        session = await observer(store)
        assert await session.sweep(timedelta(days=14), None, 10) == ["declared"]
        await until(lambda: "declared" in other.store.undeclared)
        assert [task.id for task in other.tasks] == ["added"]
        await session.close()
    again = AsyncIOScheduler(store=store)
    again.add_task(note, "one", id="declared", trigger=HOURLY)
    async with again:
        assert again.store.undeclared == frozenset()
        assert "declared" in {task.id for task in again.tasks}


async def test_finished_task_is_removed_by_schedulers(store: Store) -> None:
    options = StoreOptions(keep_finished=timedelta(0))
    async with AsyncIOScheduler(store=store, store_options=options) as scheduler:
        scheduler.add_task(note, "once", id="once", trigger=DateTrigger())
        await until(lambda: scheduler.state.executed == 1)
        connector = scheduler.store._connector
        await until(lambda: not connector.runs.outcomes.run_ids)
        await asyncio.sleep(0.01)
        connector._cleanup.next_sweep = 0.0
        connector._set_wanted()
        await until(lambda: not scheduler.tasks)


async def test_policy_of_a_task_overrides_the_default(store: Store) -> None:
    options = StoreOptions(existing="keep")
    async with AsyncIOScheduler(store=store, store_options=options) as first:
        for name in ("kept", "updated"):
            first.add_task(note, "one", id=name, trigger=HOURLY)
        await first.store.runs()
        await until(lambda: not first.store._connector.tasks._to_declare)
    second = AsyncIOScheduler(store=store, store_options=options)
    tasks = [
        second.add_task(note, "two", id="kept", trigger=HOURLY),
        second.call(note, "two").add(id="updated", trigger=HOURLY, existing="update"),
    ]
    async with second:
        for task in tasks:
            await second.get_task(task.id).run()
    assert calls == ["one", "two"]


def test_policy_without_store_raises() -> None:
    with pytest.raises(InvalidInputError, match=r"existing cannot be 'keep'.*needs a store"):
        AsyncIOScheduler().add_task(note, "one", id="one", existing="keep")
    with pytest.raises(InvalidInputError, match="existing cannot be 'keep'"):
        AsyncIOScheduler(store=MemoryStore()).add_task(note, "1", id="one", existing="keep", replace_existing=True)


def test_chain_of_stored_task_raises() -> None:
    scheduler = AsyncIOScheduler(store=MemoryStore())
    upstream = scheduler.add_task(note, "one", trigger=HOURLY, id="upstream")
    with pytest.raises(StoredChainError, match=r"'upstream' is in a store.*scope='cluster'"):
        upstream.then(len, id="then")
    assert [task.id for task in scheduler.tasks] == ["upstream"]


async def test_batch_keeps_its_id_on_its_node(store: Store) -> None:
    second = AsyncIOScheduler(store=store, store_options=IMPORTABLE)
    release.clear()
    async with second:
        running = asyncio.ensure_future(anext(aiter(second.map(block, ["item"], id="batch", executor="threadpool"))))
        await until(lambda: calls == ["item"])
        async with AsyncIOScheduler(store=store) as first:
            first.add_task(note, "one", trigger=HOURLY, id="batch")
            await until(lambda: "batch" in second.store.unreadable)
        release.set()
        await running


async def test_node_that_was_away_forgets_removed_tasks() -> None:
    clock = Clock()
    store = MemoryStore(now=clock)
    scheduler = AsyncIOScheduler(store=store)
    scheduler.add_task(note, "one", id="declared", trigger=HOURLY)
    async with scheduler:
        for name in ("kept", "removed"):
            scheduler.add_task(note, name, id=name, trigger=HOURLY)
        connector = scheduler.store._connector
        await until(lambda: not connector.tasks._to_declare)
        session = await observer(store)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(connector, "_do_pending", no_work)
            await session.remove(["removed"])
            clock.now += 25 * 3600
            await session.sweep(timedelta(days=14), None, 10)
            assert "removed" not in {task.id for task in await session.changes(0, 100)}
        connector._on_lease_regained()
        await until(lambda: {task.id for task in scheduler.tasks} == {"declared", "kept"})
        await session.close()


async def no_work(_session: StoreSession) -> None:
    """Do nothing, like a node without a connection."""


async def test_failed_announcement_is_repeated() -> None:
    faults = Faults()
    scheduler = AsyncIOScheduler(store=FaultyStore(faults))
    scheduler.add_task(note, "one", id="declared", trigger=HOURLY)
    async with scheduler:
        connector = scheduler.store._connector
        faults.broken = True
        connector._on_lease_regained()
        await until(lambda: not scheduler.store.connected)
        assert connector.tasks.wants_announcement
        faults.broken = False
        await until(lambda: not connector.tasks.wants_announcement and not connector.tasks._to_declare)
