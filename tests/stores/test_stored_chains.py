"""Chains of stored tasks: results that are handed over through the store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import uuid4, uuid5

import pytest

from asyncz import AsyncIOScheduler, DuplicateTaskError, InvalidInputError, NoResultError, Task, ThreadPoolExecutor
from asyncz.schedulers import _store_chains, _store_runs
from asyncz.stores import (
    MemoryStore,
    NodeRecord,
    PickleCodec,
    PostgresStore,
    RunQuery,
    RunRecord,
    SqliteStore,
    Store,
    StoreOptions,
    StoreSession,
    UnstorableTaskError,
)
from tests.helpers import stored_jobs
from tests.helpers.postgres import new_schema
from tests.helpers.stored_jobs import block, calls, fail, length, next_day, note, note_any, note_day, note_soon, repeat
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio

TTL = timedelta(seconds=15)
POSTGRES = pytest.param("postgres", marks=[pytest.mark.slow, pytest.mark.xdist_group("postgres")])


@pytest.fixture(params=["memory", "sqlite", POSTGRES])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    match request.param:
        case "memory":
            return MemoryStore()
        case "sqlite":
            return SqliteStore(tmp_path / "store.db", poll_interval=0.01)
        case _:
            return PostgresStore(new_schema(request.getfixturevalue("postgres_server")), poll_interval=0.01)


@pytest.fixture
async def other(store: Store) -> AsyncIterator[StoreSession]:
    """Session of a node without a scheduler."""
    session = await store.connect(NodeRecord(id=uuid4().hex), TTL)
    yield session
    await session.close()


async def finished(session: StoreSession, task_id: str, number: int = 1) -> list[RunRecord]:
    """Wait until a number of runs of a task have their outcomes, and return all its runs, the oldest first."""
    async with asyncio.timeout(30):
        while True:
            found = [*await session.runs(RunQuery(task_id=task_id))]
            if sum(run.done for run in found) >= number:
                return found[::-1]
            await asyncio.sleep(0.01)


async def test_chain_hands_over_each_result(store: Store, other: StoreSession) -> None:
    scheduler = AsyncIOScheduler(store=store)
    first = scheduler.add_task(note, "a", trigger=None, id="first")
    second: Task[list[str]] = first.then(note_soon, id="second")
    third = second.then(len, id="third")
    async with scheduler:
        for _ in range(3):
            await first.run()
        runs = await finished(other, "third", 3)
        assert [run.state for run in runs] == ["executed"] * 3
        assert {run.result for run in runs} == {"1"}
        upstream = await finished(other, "first", 3)
        middle = await finished(other, "second", 3)
        assert {run.id for run in middle} == {uuid5(run.id, "second") for run in upstream}
        assert {run.arguments for run in middle} == {'{"args": ["A"], "kwargs": {}}'}
        assert second.state.trigger == "after 'first'"
        assert third.state.executed + second.state.executed == 6


async def test_failed_run_hands_over_nothing(store: Store, other: StoreSession) -> None:
    scheduler = AsyncIOScheduler(store=store)
    failing = scheduler.add_task(fail, "a", trigger=None, id="failing")
    blocking = scheduler.add_task(stored_jobs.work_until_cancelled, trigger=None, id="cancelled", executor="threadpool")
    failing.then(note_any, id="after failing")
    blocking.then(note_any, id="after cancelled")
    async with scheduler:
        failing.submit()
        run = blocking.run()
        await until(lambda: "begun" in calls)
        run.cancel()
        assert [each.state for each in await finished(other, "failing")] == ["error"]
        assert [each.state for each in await finished(other, "cancelled")] == ["cancelled"]
    assert not await other.runs(RunQuery(task_id="after failing"))
    assert not await other.runs(RunQuery(task_id="after cancelled"))


async def test_value_has_type_of_parameter(store: Store, other: StoreSession) -> None:
    """The argument is encoded by the parameter of the downstream task."""
    scheduler = AsyncIOScheduler(store=store)
    first = scheduler.add_task(next_day, "2030-01-01", trigger=None, id="first")
    first.then(note_day, id="second")
    async with scheduler:
        first.submit()
        (run,) = await finished(other, "second")
    assert (run.state, run.result) == ("executed", '"2030-01-02"')


async def test_bound_arguments_come_first(store: Store, other: StoreSession) -> None:
    scheduler = AsyncIOScheduler(store=store)
    first = scheduler.add_task(repeat, 100_000, trigger=None, id="first")
    first.then(partial(length, "length "), id="second")
    async with scheduler:
        first.submit()
        (run,) = await finished(other, "second")
        (upstream,) = await finished(other, "first")
    # The result is too long for the history, but not for an argument.
    assert (upstream.result, run.result) == (None, '"length 100000"')


async def test_another_node_runs_downstream_task(
    store: Store, other: StoreSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that does not know the downstream function hands the result over all the same."""
    monkeypatch.setattr(_store_runs, "_NOT_HERE_DELAY", 0.01)

    def program() -> AsyncIOScheduler:
        # A node looks for waiting runs at each renewal of its lease, each second here.
        made = AsyncIOScheduler(store=store, store_options=StoreOptions(lease=3))
        declared = made.add_task(next_day, "2030-01-01", trigger=None, id="first")
        declared.then(stored_jobs.day_after, id="second")
        return made

    async with program():
        pass
    old = AsyncIOScheduler(store=store)
    first = old.add_task(next_day, "2030-01-01", trigger=None, id="first")
    async with old:
        first.submit()
        await finished(other, "first")
        await until(lambda: "second" in old.store.unreadable)
    waiting = await other.runs(RunQuery(task_id="second"))
    assert [run.state for run in waiting] == ["waiting"]
    assert waiting[0].arguments == '{"args": ["2030-01-02"], "kwargs": {}}'
    async with program():
        (run,) = await finished(other, "second")
    assert (run.state, run.result) == ("executed", '"2030-01-03"')


async def test_restart_continues_chain(store: Store, other: StoreSession) -> None:
    for attempt in range(2):
        scheduler = AsyncIOScheduler(store=store)
        first = scheduler.add_task(note, "a", trigger=None, id="first")
        second = first.then(note, id="second", paused=attempt == 0)
        async with scheduler:
            if attempt == 0:
                await first.run()
                await finished(other, "first")
            else:
                assert second.state.paused
                second.resume()
                (run,) = await finished(other, "second")
                assert run.state == "executed"
    assert calls == ["a", "A"]


async def test_unchanged_chain_writes_nothing(store: Store, other: StoreSession) -> None:
    revisions: list[int] = []
    for _ in range(2):
        scheduler = AsyncIOScheduler(store=store)
        scheduler.add_task(note, "a", trigger=None, id="first").then(note, id="second")
        async with scheduler:
            revisions += [max(task.revision for task in await other.changes(0, 10))]
    assert revisions[0] == revisions[1]
    assert {task.id: task.upstream for task in await other.changes(0, 10)} == {"first": None, "second": "first"}


async def test_chain_after_start_misses_no_result(store: Store, other: StoreSession) -> None:
    """A result is kept until the store knows the downstream task."""
    async with AsyncIOScheduler(store=store) as scheduler:
        first = scheduler.add_task(note, "a", trigger=None, id="first")
        first.then(note, id="second")
        await first.run()
        (run,) = await finished(other, "second")
    assert run.state == "executed"


async def test_coalescing_task_processes_latest(store: Store, other: StoreSession) -> None:
    scheduler = AsyncIOScheduler(store=store)
    first = scheduler.add_task(note, "a", trigger=None, id="first")
    second = first.then(note, id="second", coalesce=True, paused=True)
    async with scheduler:
        for _ in range(3):
            await first.run()
        await finished(other, "first", 3)
        second.resume()
        runs = await finished(other, "second", 3)
    assert [run.state for run in runs] == ["missed", "missed", "executed"]
    assert {run.error for run in runs} == {"", "TaskMaxInstances"}


async def test_downstream_task_goes_with_upstream_task(
    store: Store, other: StoreSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is removed after its last run, and so are the tasks after it."""
    monkeypatch.setattr(_store_chains, "_ORPHAN_DELAY", 0.1)
    scheduler = AsyncIOScheduler(store=store)
    first = scheduler.add_task(note, "a", trigger=None, id="first")
    second = first.then(block, id="second", executor="threadpool")
    second.then(note_any, id="third")
    async with scheduler:
        first.submit()
        await until(lambda: calls == ["a", "A"])
        scheduler.remove_task("first")
        await asyncio.sleep(0.3)
        assert {task.id for task in scheduler.tasks} == {"second", "third"}
        stored_jobs.release.set()
        await until(lambda: not scheduler.tasks)
        (run,) = await finished(other, "third")
    assert run.state == "executed"
    assert all(task.removed for task in await other.changes(0, 10))


async def test_removed_downstream_task_receives_nothing(store: Store, other: StoreSession) -> None:
    scheduler = AsyncIOScheduler(store=store)
    first = scheduler.add_task(note, "a", trigger=None, id="first")
    second = first.then(note, id="second", paused=True)
    async with scheduler:
        await first.run()
        await finished(other, "first")
        scheduler.remove_task(second)
        (waiting,) = await finished(other, "second")
        assert (waiting.state, waiting.error) == ("cancelled", "the task was removed")
        await first.run()
        await finished(other, "first", 2)
        assert len(await other.runs(RunQuery(task_id="second"))) == 1


async def test_result_that_is_no_json_fails_downstream(store: Store, other: StoreSession) -> None:
    scheduler = AsyncIOScheduler(store=store)
    first = scheduler.add_task(stored_jobs.some_object, trigger=None, id="first")
    first.then(note_any, id="second")
    async with scheduler:
        first.submit()
        (run,) = await finished(other, "second")
    assert run.state == "error"
    assert "cannot be stored as JSON" in run.error


async def test_on_demand_run_uses_last_result(store: Store, other: StoreSession) -> None:
    scheduler = AsyncIOScheduler(store=store)
    first = scheduler.add_task(note, "a", trigger=None, id="first")
    second = first.then(note, id="second")
    async with scheduler:
        with pytest.raises(NoResultError):
            second.run()
        second.submit()
        (failed,) = await finished(other, "second")
        assert failed.state == "error"
        await first.run()
        await finished(other, "second", 2)
        assert await second.run() == "A"
        second.submit()
        runs = await finished(other, "second", 4)
    assert [run.state for run in runs] == ["error", *["executed"] * 3]


async def test_values_of_codec_are_handed_over(store: Store, other: StoreSession) -> None:
    scheduler = AsyncIOScheduler(store=store, store_options=StoreOptions(codec=PickleCodec(b"k" * 16)))
    first = scheduler.add_task(stored_jobs.as_set, 1, trigger=None, id="first")
    first.then(stored_jobs.count_up, id="second")
    async with scheduler:
        first.submit()
        (run,) = await finished(other, "second")
    assert run.state == "executed"
    assert calls == ["[1]"]


def test_wrong_chains_are_rejected() -> None:
    scheduler = AsyncIOScheduler(store=MemoryStore())
    first = scheduler.add_task(next_day, "2030-01-01", trigger=None, id="first")
    with pytest.raises(InvalidInputError, match="same at each start"):
        first.then(note_day)
    with pytest.raises(DuplicateTaskError):
        first.then(note_day, id="first")
    with pytest.raises(UnstorableTaskError, match="register it with add_executor"):
        first.then(note_day, id="second", executor=ThreadPoolExecutor())
    with pytest.raises(UnstorableTaskError, match="has no annotation by which it could be stored"):
        first.then(print, id="second")
    with pytest.raises(UnstorableTaskError, match="lambda"):
        first.then(lambda day: day, id="second")
    function = scheduler.add_task(stored_jobs.some_function, trigger=None, id="function")
    with pytest.raises(UnstorableTaskError, match="are not JSON"):
        function.then(stored_jobs.as_callable, id="second")
    thread = scheduler.add_task(stored_jobs.some_thread, trigger=None, id="thread")
    with pytest.raises(UnstorableTaskError, match="not a type that pydantic knows"):
        thread.then(stored_jobs.as_thread, id="second")
    second = first.then(note_day, id="second")
    with pytest.raises(InvalidInputError, match="due by the results"):
        second.reschedule(None)
    assert len(scheduler.tasks) == 4


async def test_undeclared_downstream_task_receives_nothing(store: Store, other: StoreSession) -> None:
    scheduler = AsyncIOScheduler(store=store)
    scheduler.add_task(note, "a", trigger=None, id="first").then(note, id="second")
    async with scheduler:
        pass
    (second,) = [task for task in await other.changes(0, 10) if task.id == "second"]
    assert await other.change(second.model_copy(update={"state": "undeclared", "inactive_since": datetime.now(UTC)}))
    old = AsyncIOScheduler(store=store)
    first = old.add_task(note, "a", trigger=None, id="first")
    async with old:
        first.submit()
        await finished(other, "first")
    assert not await other.runs(RunQuery(task_id="second"))
