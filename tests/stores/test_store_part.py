"""The part of a scheduler that exchanges with a store: nested calls, values that are rejected, and threads."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Annotated
from uuid import uuid4

import psycopg
import pytest
from pydantic import AfterValidator, PlainSerializer
from typing_extensions import override

from asyncz import (
    AsyncIOScheduler,
    DebugExecutor,
    IntervalTrigger,
    InvalidInputError,
    MaximumInstancesError,
    Retry,
    Task,
    TaskLimits,
    TaskLookupError,
)
from asyncz.schedulers._store_lease import lease_clock
from asyncz.schedulers._store_part import StoreConnector
from asyncz.stores import (
    ExistingTaskPolicy,
    FinalRunState,
    MemoryStore,
    NodeRecord,
    Outcome,
    PostgresStore,
    RunQuery,
    RunRecord,
    SqliteStore,
    Store,
    StoreDataError,
    StoreOptions,
    StoreSession,
    TaskRecord,
    UnreadableTaskError,
    UnstorableTaskError,
    postgres,
    sqlite,
)
from asyncz.stores._calls import FunctionNames, decode_arguments, encode_result
from asyncz.stores._limits import decode_limits, encode_limits
from tests.helpers.postgres import new_schema
from tests.helpers.stored_jobs import block, calls, note, note_soon, release, work_until_cancelled
from tests.helpers.waiting import until
from tests.stores.faulty_stores import Faults, FaultySession, FaultyStore
from tests.stores.test_stored_runs import IMPORTABLE, finished, waiting_run

pytestmark = pytest.mark.anyio

HOURLY = IntervalTrigger(hours=1)
TTL = timedelta(seconds=15)
ALL_STORES = ["memory", "sqlite", pytest.param("postgres", marks=pytest.mark.xdist_group("postgres"))]


@pytest.fixture(autouse=True)
def no_children() -> None:
    children.clear()


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


# Values that the database does not accept


class StrictSession(FaultySession):
    """Session that accepts no task and no run with `bad` in its id, and no task that runs nine times at once."""

    @override
    async def declare(self, tasks: Sequence[TaskRecord], existing: ExistingTaskPolicy, /) -> Sequence[TaskRecord]:
        check(task.id for task in tasks)
        return await super().declare(tasks, existing)

    @override
    async def change(self, task: TaskRecord, /) -> TaskRecord | None:
        check("bad" for _ in range('"max_instances": 9' in task.options))
        return await super().change(task)

    @override
    async def remove(self, task_ids: Sequence[str], /) -> Sequence[str]:
        check("bad" for each in task_ids if each == "removed")
        return await super().remove(task_ids)

    @override
    async def submit(self, runs: Sequence[RunRecord], /) -> Sequence[RunRecord]:
        check("bad" for run in runs if run.task_id == "unsubmitted")
        return await super().submit(runs)


def check(ids: Iterable[str]) -> None:
    if any("bad" in each for each in ids):
        raise StoreDataError("strict", "it is bad")


async def test_rejected_declaration_leaves_other_tasks(caplog: pytest.LogCaptureFixture) -> None:
    async with AsyncIOScheduler(store=FaultyStore(Faults(), StrictSession)) as scheduler:
        for name in ("one", "bad", "two", "three"):
            scheduler.add_task(note, name, id=name)
        await until(lambda: {*calls} >= {"one", "two", "three"})
        assert "bad" not in calls
        assert sorted(each.task_id for each in scheduler.state.tasks) == ["one", "three", "two"]
        assert scheduler.store.connected
    assert caplog.text.count("The task 'bad' was not added") == 1


async def test_rejected_change_is_undone(caplog: pytest.LogCaptureFixture) -> None:
    async with AsyncIOScheduler(store=FaultyStore(Faults(), StrictSession)) as scheduler:
        task = scheduler.add_task(note, "one", id="one", trigger=HOURLY)
        await until(lambda: task.state.next_run_at is not None)
        task.modify(max_instances=9)
        scheduler.add_task(note, "two", id="two")
        await until(lambda: "two" in calls)
        assert task.limits.max_instances == 1
        task.modify(max_instances=2)
        await task.run()
        assert task.limits.max_instances == 2
        assert scheduler.store.connected
    assert caplog.text.count("The change of the task 'one' is undone") == 1


async def test_rejected_run_and_removal_leave_others(caplog: pytest.LogCaptureFixture) -> None:
    faulty = FaultyStore(Faults(), StrictSession)
    other = await faulty.store.connect(NodeRecord(id=uuid4().hex), TTL)
    async with AsyncIOScheduler(store=faulty) as scheduler:
        unsubmitted = scheduler.add_task(note, "one", id="unsubmitted", trigger=None)
        task = scheduler.add_task(note, "two", id="two", trigger=None)
        removed = scheduler.add_task(note, "three", id="removed", trigger=HOURLY)
        await until(lambda: removed.state.next_run_at is not None)
        scheduler.remove_task(removed)
        task.submit()
        unsubmitted.submit()
        await unsubmitted.run()
        task.submit()
        runs = await finished(other, 2)
        assert scheduler.store.connected
    assert [(run.task_id, run.state) for run in runs] == [("two", "executed")] * 2
    assert caplog.text.count("of the task 'unsubmitted' is not stored") == 2
    assert caplog.text.count("The removal of the task 'removed' was not stored") == 1
    assert "another node has taken over" not in caplog.text


@pytest.mark.parametrize("text", ["a\0", "a\ud800", "ä" * 1001], ids=["nul", "surrogate", "long"])
async def test_key_of_no_database_is_rejected(store: Store, text: str) -> None:
    scheduler = AsyncIOScheduler(store=store)
    scheduler.add_executor(DebugExecutor(), alias=text)
    with pytest.raises(InvalidInputError, match="id cannot be"):
        scheduler.add_task(note, "one", id=text)
    with pytest.raises(InvalidInputError, match="executor cannot be"):
        scheduler.add_task(note, "one", id="one", executor=text)
    assert not scheduler.state.tasks
    async with scheduler:
        scheduler.add_task(note, "two", id="ä" * 1000)
        await until(lambda: calls == ["two"])


@pytest.mark.parametrize("text", ["a\0", "a\ud800"], ids=["nul", "surrogate"])
async def test_function_name_of_no_database_is_rejected(store: Store, text: str) -> None:
    scheduler = AsyncIOScheduler(store=store, store_options=StoreOptions(functions={text: note}))
    with pytest.raises(UnstorableTaskError, match="the function of the task 'one' cannot be stored"):
        scheduler.add_task(note, "one", id="one")
    assert not scheduler.state.tasks


# Code of users that encodes and decodes


def end_process(text: str) -> str:
    raise SystemExit(text)


def restricted(
    text: Annotated[str, AfterValidator(end_process)] = "one",
) -> Annotated[str, PlainSerializer(end_process)]:
    return text


async def test_full_default_executor_does_not_stop_node(store: Store, other: StoreSession) -> None:
    """Plain functions of users fill the threads of the loop, while stored tasks are restored and runs end."""
    async with AsyncIOScheduler(store=store) as scheduler:
        scheduler.add_task(note_soon, "one", id="note", trigger=HOURLY)
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(1))
    blocker = loop.run_in_executor(None, release.wait)
    try:
        async with asyncio.timeout(20), AsyncIOScheduler(store=store, store_options=IMPORTABLE) as scheduler:
            scheduler.get_task("note").submit()
            await other.submit([waiting_run("note", '{"args": ["two"], "kwargs": {}}')])
            scheduler.get_task("note").submit()
            runs = await finished(other, 3)
    finally:
        release.set()
        await blocker
    assert {run.state for run in runs} == {"executed"}


async def test_validator_that_exits_fails_the_run(store: Store, other: StoreSession) -> None:
    async with AsyncIOScheduler(store=store, store_options=StoreOptions(functions={"restricted": restricted})) as first:
        first.add_task(restricted, id="restricted", trigger=None)
        first.add_task(note, "one", id="note", trigger=None)
        await other.submit([waiting_run("restricted", '{"args": ["two"], "kwargs": {}}')])
        (run,) = await finished(other, 1)
        await first.get_task("note").run()
        assert first.store.connected
    assert run.state == "error"
    assert "SystemExit: two" in run.error


def test_decoding_turns_any_error_into_unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    class Module(ModuleType):
        @override
        def __getattr__(self, name: str) -> object:
            raise SystemExit(name)

    monkeypatch.setitem(sys.modules, "exiting_module", Module("exiting_module"))
    limits = json.loads(encode_limits(TaskLimits(retry=Retry(attempts=2))))
    limits["retry"]["on"] = ["exiting_module:Error"]
    with pytest.raises(UnreadableTaskError, match="cannot be used"):
        decode_limits("one", json.dumps(limits), ())
    with pytest.raises(UnreadableTaskError, match="cannot be imported"):
        FunctionNames({}, {}, ("exiting_module",)).find("one", "exiting_module:function")
    with pytest.raises(UnreadableTaskError, match="SystemExit: two"):
        decode_arguments("one", restricted, '{"args": ["two"], "kwargs": {}}')
    assert encode_result(restricted, "two") is None


def test_interrupt_while_decoding_is_raised() -> None:
    def interrupted(_text: str) -> str:
        raise KeyboardInterrupt

    def function(text: Annotated[str, AfterValidator(interrupted)]) -> None:
        """Accept an argument."""

    function.__annotations__["text"] = Annotated[str, AfterValidator(interrupted)]
    with pytest.raises(KeyboardInterrupt):
        decode_arguments("one", function, '{"args": ["two"], "kwargs": {}}')


# Submissions


async def test_submission_to_a_half_added_task_raises(store: Store) -> None:
    """A task that another thread is adding has no record yet."""
    async with AsyncIOScheduler(store=store) as scheduler:
        task = scheduler.add_task(note, "one", id="note", trigger=None)
        stored = connector_of(scheduler).tasks._by_id.pop("note")
        with pytest.raises(TaskLookupError):
            task.submit()
        connector_of(scheduler).tasks._by_id["note"] = stored
        task.submit()
        await until(lambda: calls == ["one"])


async def test_submission_during_shutdown_raises(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The status is checked under the lock: another thread may shut down between a check and the submission."""
    async with AsyncIOScheduler(store=store) as scheduler:
        task = scheduler.add_task(note, "one", id="note", trigger=None)
        runtime = scheduler._parts.runtime
        held: list[bool] = []

        class NotedLock:
            def __enter__(self) -> None:
                held.append(True)

            def __exit__(self, *_: object) -> None:
                held.pop()

        checked: list[bool] = []

        def note_check(_action: str) -> None:
            checked.append(bool(held))

        with monkeypatch.context() as patch:
            patch.setattr(runtime, "lock", NotedLock())
            patch.setattr(runtime, "require_running", note_check)
            task.submit()
        assert checked == [True]
        await until(lambda: calls == ["one"])


# Leases


async def test_lease_lost_and_renewed_cancels_runs(store: Store) -> None:
    """The lease is valid again before the loop looks at it, but another node may have taken over the runs."""
    async with AsyncIOScheduler(store=store) as scheduler:
        scheduler.add_task(work_until_cancelled, id="task", executor="threadpool")
        await until(lambda: calls == ["begun"])
        keeper = connector_of(scheduler)._lease
        assert keeper is not None
        await asyncio.to_thread(keeper._renewed, lease_clock(), lost=True)
        await until(lambda: calls == ["begun", "cancelled"])


async def test_passes_without_lease_have_one_timer(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    async with AsyncIOScheduler(store=store) as scheduler:
        connector = connector_of(scheduler)
        await until(lambda: connector._cleanup.next_prune > 0)
        assert connector.session is not None
        timers: list[Callable[[], object]] = []

        def note_timer(_delay: float, call: Callable[[], object]) -> None:
            timers.append(call)

        with monkeypatch.context() as patch:
            patch.setattr(StoreConnector, "_has_lease", False)
            patch.setattr(connector._timers, "call_later", note_timer)
            for _ in range(10):
                await connector._do_pending(connector.session)
            (timer,) = timers
            timer()
            await connector._do_pending(connector.session)
        assert len(timers) == 2


# Plans


async def test_sqlite_revision_reads_waiting_runs_only(tmp_path: Path) -> None:
    session = await SqliteStore(tmp_path / "store.db").connect(NodeRecord(id="node"), TTL)
    with closing(sqlite3.connect(tmp_path / "store.db")) as database:
        plan = f"{database.execute(f'EXPLAIN QUERY PLAN {sqlite._REVISION}').fetchall()}"
    await session.close()
    assert "asyncz_runs_waiting" in plan


@pytest.mark.xdist_group("postgres")
async def test_postgres_revision_reads_waiting_runs_only(postgres_server: str) -> None:
    url = new_schema(postgres_server)
    session = await PostgresStore(url).connect(NodeRecord(id="node"), TTL)
    with psycopg.connect(url) as database:
        # A long history, as the planner decides by the number of rows; some of the oldest runs wait.
        database.execute(
            "INSERT INTO asyncz_runs (id, task_id, kind, scheduled_at, executor, state, attempt, on_lost, missed,"
            " fence, created_at, error, traceback) SELECT gen_random_uuid(), 'note', 'submitted', now(), 'asyncio',"
            " CASE WHEN number <= 200 THEN 'waiting' ELSE 'executed' END, 1, 'fail', 0, 1, now(), '', ''"
            " FROM generate_series(1, 20000) AS number"
        )
        database.execute("ANALYZE asyncz_runs")
        plan = f"{database.execute(f'EXPLAIN {postgres._REVISION}'.encode()).fetchall()}"
    await session.close()
    assert "asyncz_runs_waiting" in plan


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
