"""Schedulers of a cluster: events of all nodes, programs that are gone, policies of single tasks, and chains."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from datetime import date, timedelta
from pathlib import Path

import pytest
from typing_extensions import override

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
from asyncz.stores import (
    ExistingTaskPolicy,
    MemoryStore,
    NodeRecord,
    SqliteStore,
    Store,
    StoreOptions,
    StoreSession,
)
from asyncz.stores._admin import StoreAdmin
from asyncz.stores._console import console_of_url
from asyncz.stores._console_commands import ConsoleCommands
from asyncz.stores.protocol import UNDECLARED_AFTER
from tests.helpers.stored_jobs import block, calls, day_after, fail, note, release, unreadable_result
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
def short_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_store_events, "_INTERVAL", 0.01)


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
        assert event.details.run_id in stored
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


async def test_unreadable_result_stops_no_node(store: Store) -> None:
    received: list[object] = []
    async with AsyncIOScheduler(store=store) as scheduler:
        scheduler.subscribe(TaskExecuted, lambda event: received.append(event.task_id), scope="cluster")
        await until(lambda: scheduler.store._connector.events._listens)
        bad = scheduler.add_task(unreadable_result, id="bad", trigger=None)
        await bad.run()
        await scheduler.add_task(note, "one", id="good", trigger=None).run()
        await until(lambda: received == ["bad", "good"])
        assert scheduler.store.connected
        assert await scheduler.store.executed(bad) == ()


class Unequal:
    """Listener that compares with nothing."""

    def __call__(self, _: object) -> None: ...

    @override
    def __eq__(self, other: object) -> bool:
        raise RuntimeError("compared")

    @override
    def __hash__(self) -> int:
        return 1


async def test_cluster_listeners_are_removed_by_identity() -> None:
    scheduler = AsyncIOScheduler(store=MemoryStore())
    listener = Unequal()
    scheduler.subscribe(TaskError, Unequal(), scope="cluster")
    scheduler.subscribe(TaskError, listener, scope="cluster")
    assert scheduler.remove_listener(listener)
    assert not scheduler.remove_listener(listener)


async def test_cluster_events_leave_time_for_other_work(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outcomes that come as fast as they are delivered do not stop the node."""
    monkeypatch.setattr(_store_events, "_PAGE", 1)
    monkeypatch.setattr(_store_events, "_MAX_PAGES", 2)
    received: list[object] = []
    async with AsyncIOScheduler(store=store) as scheduler:
        scheduler.subscribe(TaskExecuted, received.append, scope="cluster")
        await until(lambda: scheduler.store._connector.events._listens)
        task = scheduler.add_task(note, "one", id="note", trigger=None, max_instances=10)
        for _ in range(5):
            task.submit()
        await until(lambda: len(received) == 5)


@pytest.mark.parametrize("existing", ["replace", "update"])
async def test_task_declared_again_fires_no_old_due_times(existing: ExistingTaskPolicy, tmp_path: Path) -> None:
    """The unique index does not know runs that were pruned."""
    file = tmp_path / "store.db"
    options = StoreOptions(existing=existing)
    scheduler = AsyncIOScheduler(store=SqliteStore(file, poll_interval=0.01), store_options=options)
    scheduler.add_task(note, "one", id="note", trigger=IntervalTrigger(seconds=0.05), coalesce=False)
    async with scheduler:
        await until(lambda: len(calls) > 4)
        with contextlib.closing(sqlite3.connect(file, isolation_level=None, timeout=30)) as database:
            database.execute("BEGIN IMMEDIATE")
            pruned = {at for (at,) in database.execute("DELETE FROM asyncz_runs RETURNING scheduled_at")}
            if existing == "update":
                # Another node has removed the task while this one had no lease.
                changed = "removed = 1, next_due = NULL, version = version + 1, revision = revision + 1"
                database.execute(f"UPDATE asyncz_tasks SET {changed}")
                database.execute("UPDATE asyncz_counters SET value = value + 1 WHERE name = 'revision'")
            scheduler.store._connector._on_lease_regained()
            database.execute("COMMIT")
            number = len(calls)
            await until(lambda: len(calls) > number + 4)
            fired = [at for (at,) in database.execute("SELECT scheduled_at FROM asyncz_runs")]
    assert len(pruned) > 2
    assert min(fired) > max(pruned)


async def test_living_program_keeps_tasks_that_were_swept(tmp_path: Path) -> None:
    """A node that was away for longer than an hour polls the store before it notices that its lease was lost."""
    file = tmp_path / "store.db"
    scheduler = AsyncIOScheduler(store=SqliteStore(file, poll_interval=0.01))
    scheduler.add_task(note, "one", id="note", trigger=HOURLY)
    async with scheduler:
        with contextlib.closing(sqlite3.connect(file, isolation_level=None, timeout=30)) as database:
            changed = "state = 'undeclared', inactive_since = 1, version = version + 1, revision = revision + 1"
            database.execute("BEGIN IMMEDIATE")
            database.execute(f"UPDATE asyncz_tasks SET {changed}")
            database.execute("UPDATE asyncz_counters SET value = value + 1 WHERE name = 'revision'")
            database.execute("COMMIT")

            def state() -> object:
                return database.execute("SELECT state FROM asyncz_tasks").fetchone()[0]

            await until(lambda: state() == "active")
        assert [task.id for task in scheduler.tasks] == ["note"]


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
        await until(lambda: not connector.runs.outcomes.fences)
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


async def test_unknown_command_changes_nothing(tmp_path: Path) -> None:
    """A newer version may send commands that this one does not know."""
    url = f"sqlite:///{tmp_path}/store.db"
    async with AsyncIOScheduler(store=url) as scheduler:
        (node,) = await scheduler.store.nodes()
        scheduler.pause()
        await until(lambda: scheduler.status == "paused")
        with contextlib.closing(console_of_url(url)) as console:

            def ask(admin: StoreAdmin) -> None:
                commands = ConsoleCommands(admin, "mara")
                with admin.transaction():
                    commands._ask({node.id}, "drain", "", None)

            await console.call(ask)
            with contextlib.closing(sqlite3.connect(tmp_path / "store.db", timeout=30)) as database:

                def failures() -> list[tuple[str]]:
                    return database.execute("SELECT failure FROM asyncz_commands WHERE done_at IS NOT NULL").fetchall()

                await until(lambda: len(failures()) == 1)
                assert "does not know the action" in failures()[0][0]
        assert scheduler.status == "paused"


async def test_action_of_a_person_leaves_nodes_idle(tmp_path: Path) -> None:
    """The action takes a revision, but changes no task."""
    url = f"sqlite:///{tmp_path}/store.db"
    async with AsyncIOScheduler(store=url, store_options=StoreOptions(lease=3)) as scheduler:
        connector = scheduler.store._connector
        scheduler.add_task(note, "one", id="note", trigger=None)
        await until(lambda: not connector.tasks._to_declare)
        with contextlib.closing(console_of_url(url)) as console:
            await console.call(lambda admin: ConsoleCommands(admin, "mara").set_paused(False))
        with contextlib.closing(sqlite3.connect(tmp_path / "store.db", timeout=30)) as database:
            read = "SELECT value FROM asyncz_counters WHERE name = 'revision'"
            await until(lambda: connector.tasks.revision == database.execute(read).fetchone()[0])
