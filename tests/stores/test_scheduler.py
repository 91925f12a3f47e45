"""Schedulers with a store: declarations, restarts, firing, changes, fencing and outages."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import pytest
from typing_extensions import TypeVar

from asyncz import (
    AsyncIOScheduler,
    DateTrigger,
    IntervalTrigger,
    InvalidInputError,
    Retry,
    RunLookupError,
    SchedulerNotRunningError,
    Task,
    TaskError,
    TaskModified,
    Worker,
)
from asyncz.schedulers import _store_tasks
from asyncz.stores import (
    Codec,
    Firing,
    MemoryStore,
    NodeLostError,
    NodeRecord,
    Outcome,
    RunQuery,
    RunRecord,
    SqliteStore,
    Store,
    StoreConnectionError,
    StoredTaskConflictError,
    StoreOptions,
    StoreSession,
    TaskRecord,
    UnstorableTaskError,
)
from asyncz.stores._calls import StoredCall, decode_arguments
from tests.helpers import stored_jobs
from tests.helpers.stored_jobs import block, calls, day_after, fail, fail_unstorably, note, note_soon, release
from tests.helpers.waiting import until
from tests.stores.faulty_stores import AnswerlessSession, Faults, FaultyStore

pytestmark = pytest.mark.anyio

IMPORTABLE = StoreOptions(importable=("tests.helpers",))
HOURLY = IntervalTrigger(hours=1)
TTL = timedelta(seconds=15)

ResultT = TypeVar("ResultT")


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "store.db", poll_interval=0.01)


async def stored(task: Task[ResultT]) -> datetime:
    """Wait until the store has a task that is due again, and return its next due time."""
    await until(lambda: task.state.next_run_at is not None)
    due = task.state.next_run_at
    assert due is not None
    return due


def _has_calls(number: int) -> bool:
    return len(calls) >= number


async def observer(store: Store) -> StoreSession:
    """Return a session of a node without a scheduler."""
    return await store.connect(NodeRecord(id=f"observer-{time.monotonic_ns()}"), TTL)


# Declarations


async def test_due_run_is_in_history(store: Store) -> None:
    async with AsyncIOScheduler(store=store) as scheduler:
        task = scheduler.add_task(note, "one", id="note")
        await until(lambda: calls == ["one"])
        await scheduler.shutdown()
    session = await observer(store)
    (run,) = await session.runs(RunQuery())
    assert (run.task_id, run.kind, run.state, run.result, run.attempt) == ("note", "due", "executed", '"ONE"', 1)
    assert run.started_at is not None
    assert run.finished_at is not None
    assert task.id == "note"
    await session.close()


async def test_one_off_task_runs_once_over_restarts(store: Store) -> None:
    for _ in range(3):
        async with AsyncIOScheduler(store=store) as scheduler:
            scheduler.add_task(note, "one", id="note")
            await scheduler.store.runs()
            await until(lambda: calls == ["one"])
    session = await observer(store)
    assert len(await session.runs(RunQuery())) == 1
    await session.close()


async def test_unchanged_declaration_writes_nothing(store: Store) -> None:
    records: list[Sequence[TaskRecord]] = []
    for _ in range(2):
        async with AsyncIOScheduler(store=store) as scheduler:
            scheduler.add_task(note, "one", trigger=HOURLY, id="note")
        session = await observer(store)
        records.append(await session.changes(0, 10))
        await session.close()
    assert records[0] == records[1]
    assert records[0][0].version == 1


async def test_changed_arguments_keep_next_due_time(store: Store) -> None:
    due: list[datetime] = []
    for text in ("one", "two"):
        async with AsyncIOScheduler(store=store) as scheduler:
            task = scheduler.add_task(note, text, trigger=HOURLY, id="note")
            due.append(await stored(task))
    assert due[0] == due[1]
    session = await observer(store)
    assert (await session.changes(0, 10))[0].arguments == '{"args": ["two"], "kwargs": {}}'
    await session.close()


async def test_changed_trigger_counts_from_now(store: Store) -> None:
    due: list[datetime] = []
    for trigger in (HOURLY, IntervalTrigger(hours=5)):
        async with AsyncIOScheduler(store=store) as scheduler:
            task = scheduler.add_task(note, "one", trigger=trigger, id="note")
            due.append(await stored(task))
    assert due[1] - due[0] > timedelta(hours=3)


async def test_policy_refuse_fails_the_start(store: Store) -> None:
    async with AsyncIOScheduler(store=store) as scheduler:
        scheduler.add_task(note, "one", trigger=HOURLY, id="note")
    other = AsyncIOScheduler(store=store, store_options=StoreOptions(existing="refuse"))
    other.add_task(note, "two", trigger=HOURLY, id="note")
    with pytest.raises(StoredTaskConflictError, match="note"):
        await other.start()
    assert not other.running
    session = await observer(store)
    assert (await session.changes(0, 10))[0].arguments == '{"args": ["one"], "kwargs": {}}'
    await session.close()


async def test_older_program_does_not_overwrite(store: Store) -> None:
    async with AsyncIOScheduler(store=store, store_options=StoreOptions(version=2)) as newer:
        newer.add_task(note, "new", trigger=HOURLY, id="note")
        await newer.store.runs()
        async with AsyncIOScheduler(store=store, store_options=StoreOptions(version=1)) as older:
            older.add_task(note, "old", trigger=HOURLY, id="note")
            await older.store.runs()
            await until(lambda: "new" in repr(older.get_task("note").call))
            assert await older.tasks_of(note).get("note").run() == "NEW"


@pytest.mark.parametrize(
    ("add", "part"),
    [
        (lambda scheduler: scheduler.add_task(lambda: 3, id="task"), "function"),
        (lambda scheduler: scheduler.add_task(Path("x").exists, id="task"), "function"),
        (lambda scheduler: scheduler.add_task(note, object(), id="task"), "argument text"),
        (lambda scheduler: scheduler.add_task(note, "x", trigger=OwnTrigger(), id="task"), "trigger"),
    ],
)
async def test_unstorable_task_is_rejected(add: Callable[[AsyncIOScheduler], object], part: str) -> None:
    scheduler = AsyncIOScheduler(store=MemoryStore())
    with pytest.raises(UnstorableTaskError, match="cannot be stored") as caught:
        add(scheduler)
    assert caught.value.part == part
    assert scheduler.tasks == ()


class OwnTrigger:
    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        return now if previous is None else None


def test_task_without_id_is_rejected() -> None:
    scheduler = AsyncIOScheduler(store=MemoryStore())
    with pytest.raises(InvalidInputError, match="pass id="):
        scheduler.add_task(note, "one")
    assert scheduler.tasks == ()


@pytest.mark.parametrize("store", ["jobs.db", "mysql://user:secret@host/jobs", 3, "sqlite:///"])
def test_unknown_store_is_rejected(store: object) -> None:
    with pytest.raises(InvalidInputError, match="sqlite:///") as caught:
        AsyncIOScheduler(store=store)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # wrong on purpose
    assert "secret" not in str(caught.value)


def test_store_of_scheduler_without_one_raises() -> None:
    with pytest.raises(InvalidInputError, match="pass a store to the scheduler"):
        _ = AsyncIOScheduler().store
    with pytest.raises(InvalidInputError, match="store cannot be"):
        AsyncIOScheduler(store_options=StoreOptions())


async def test_history_before_start_raises() -> None:
    scheduler = AsyncIOScheduler(store=MemoryStore())
    with pytest.raises(SchedulerNotRunningError):
        await scheduler.store.runs()


# Restarts


async def test_restart_restores_tasks(store: Store) -> None:
    async with AsyncIOScheduler(store=store) as first:
        first.add_task(note, "one", trigger=HOURLY, id="note", timeout=5, retry=Retry(attempts=3, on=(ValueError,)))
        first.call(note_soon, "two", times=2).add(trigger=DateTrigger(datetime(2100, 1, 1, tzinfo=UTC)), id="soon")
        first.call(day_after, date(2030, 1, 1)).add(trigger=None, id="day", executor="threadpool", paused=True)
        await until(lambda: all(first.get_task(each).state.next_run_at is not None for each in ("note", "soon")))
        before = {task.id: task.state for task in first.tasks}
        limits = first.get_task("note").limits
    async with AsyncIOScheduler(store=store, store_options=IMPORTABLE) as second:
        assert {task.id: task.state for task in second.tasks} == before
        assert second.get_task("note").limits.retry == limits.retry
        assert await second.tasks_of(note_soon).get("soon").run() == ["two", "two"]
        assert await second.tasks_of(day_after).get("day").run() == date(2030, 1, 2)


async def test_tasks_outside_of_importable_are_kept(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    async with AsyncIOScheduler(store=store) as first:
        first.add_task(note, "one", trigger=HOURLY, id="note")
    session = await observer(store)
    before = await session.changes(0, 10)
    async with AsyncIOScheduler(store=store, store_options=StoreOptions(importable=("os", "tests.help"))) as second:
        assert second.tasks == ()
        assert "not below `importable`" in second.store.unreadable["note"]
    (warning,) = [line for line in caplog.messages if "The stored task 'note' is kept" in line]
    assert warning.endswith("; add the task before the start of the scheduler")
    assert await session.changes(0, 10) == before
    await session.close()


async def test_stored_system_function_is_not_imported(store: Store) -> None:
    session = await observer(store)
    due = datetime.now(UTC)
    evil = TaskRecord(id="evil", function="os:system", arguments='{"args": ["true"], "kwargs": {}}', next_due=due)
    await session.change(evil)
    async with AsyncIOScheduler(store=store, store_options=IMPORTABLE) as scheduler:
        assert scheduler.tasks == ()
        assert [*scheduler.store.unreadable] == ["evil"]
    await session.close()


@pytest.mark.parametrize(
    "change",
    [
        {"function": "tests.helpers.stored_jobs:gone"},
        {"function": "tests.helpers.gone:note"},
        {"function": "tests.helpers.stored_jobs:calls"},
        {"arguments": '{"args": [1, 2], "kwargs": {}}'},
        {"arguments": "no JSON"},
        {"trigger": '{"type": "moon"}'},
        {"options": '{"max_instances": 0}'},
        {"options": '{"retry": {"attempts": 2, "on": ["evil.package:Error"]}}'},
        {"executor": "gone"},
    ],
)
async def test_unreadable_rows_are_kept(change: dict[str, object]) -> None:
    store = MemoryStore()
    session = await observer(store)
    record = TaskRecord(
        id="task", function="tests.helpers.stored_jobs:note", arguments='{"args": ["one"], "kwargs": {}}'
    )
    stored = await session.change(record.model_copy(update=change))
    assert stored is not None
    async with AsyncIOScheduler(store=store, store_options=IMPORTABLE) as scheduler:
        assert scheduler.tasks == ()
        assert [*scheduler.store.unreadable] == ["task"]
        assert [*await session.changes(0, 10)] == [stored]
        # A repaired row runs at once.
        repaired = await session.change(record.model_copy(update={"version": stored.version}))
        assert repaired is not None
        await until(lambda: len(scheduler.tasks) == 1)
        assert scheduler.store.unreadable == {}
        assert await scheduler.tasks_of(note).get("task").run() == "ONE"
    await session.close()


async def test_renamed_function_is_found_by_former_name(store: Store) -> None:
    session = await observer(store)
    await session.change(
        TaskRecord(
            id="old",
            function="jobs:old_note",
            arguments='{"args": ["one"], "kwargs": {}}',
            next_due=past(1),
            trigger='{"type": "date"}',
        )
    )
    options = StoreOptions(formerly={"jobs:old_note": note})
    async with AsyncIOScheduler(store=store, store_options=options):
        await until(lambda: calls == ["one"])
    await session.close()


async def test_stable_name_is_stored(store: Store) -> None:
    async with AsyncIOScheduler(store=store, store_options=StoreOptions(functions={"note": note})) as first:
        first.add_task(note, "one", trigger=HOURLY, id="note")
    session = await observer(store)
    assert [task.function for task in await session.changes(0, 10)] == ["note"]
    async with AsyncIOScheduler(store=store, store_options=StoreOptions(functions={"note": note_soon})) as second:
        assert await second.tasks_of(note_soon).get("note").run() == ["one"]
    await session.close()


def past(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


async def test_downtime_is_caught_up(store: Store) -> None:
    trigger = IntervalTrigger(minutes=1, start_at=past(3600.5))
    for coalesce, runs in ((True, 1), (False, 61)):
        session = await observer(store)
        async with AsyncIOScheduler(store=store) as scheduler:
            scheduler.add_task(note, "x", trigger=trigger, id=f"note {coalesce}", coalesce=coalesce, paused=True)
            await scheduler.store.runs()
        (record,) = [task for task in await session.changes(0, 10) if task.id == f"note {coalesce}"]
        start = trigger.next_due_time(None, past(3610))
        assert await session.change(record.model_copy(update={"paused": False, "next_due": start})) is not None
        async with AsyncIOScheduler(store=store, store_options=IMPORTABLE):
            await until(partial(_has_calls, runs))
        found = await session.runs(RunQuery(task_id=f"note {coalesce}", limit=100))
        assert [run.state for run in found] == ["executed"] * runs
        await session.close()
        calls.clear()


async def test_long_downtime_is_missed_in_one_row(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    session = await observer(store)
    async with AsyncIOScheduler(store=store) as scheduler:
        trigger = IntervalTrigger(minutes=1, start_at=past(3600 * 24 + 0.5))
        scheduler.add_task(note, "x", trigger=trigger, id="note", coalesce=False, paused=True)
        await scheduler.store.runs()
    (record,) = await session.changes(0, 10)
    await session.change(record.model_copy(update={"paused": False, "next_due": trigger.start_at}))
    async with AsyncIOScheduler(store=store, store_options=IMPORTABLE):
        await until(lambda: len(calls) == 100)
    found = await session.runs(RunQuery(limit=200))
    assert Counter((run.kind, run.state) for run in found) == {("due", "executed"): 100, ("missed", "missed"): 1}
    assert [run.missed for run in found if run.kind == "missed"] == [24 * 60 + 1 - 100]
    assert "has missed 1341 due time(s)" in caplog.text
    await session.close()


async def test_late_run_is_missed(store: Store) -> None:
    session = await observer(store)
    async with AsyncIOScheduler(store=store) as scheduler:
        scheduler.add_task(
            note, "x", trigger=DateTrigger(datetime(2100, 1, 1, tzinfo=UTC)), id="note", misfire_grace_time=10
        )
        await scheduler.store.runs()
    (record,) = await session.changes(0, 10)
    await session.change(record.model_copy(update={"next_due": past(60)}))
    async with AsyncIOScheduler(store=store, store_options=IMPORTABLE) as scheduler:
        await until(lambda: scheduler.state.missed == 1)
    assert [(run.kind, run.state) for run in await session.runs(RunQuery())] == [("due", "missed")]
    assert calls == []
    await session.close()


# Several nodes


@pytest.mark.parametrize("nodes", [2, 4])
async def test_nodes_fire_each_due_time_once(store: Store, nodes: int) -> None:
    tasks = 10
    async with AsyncExitStack() as stack:
        schedulers = [AsyncIOScheduler(store=store) for _ in range(nodes)]
        for scheduler in schedulers:
            await stack.enter_async_context(scheduler)
            for number in range(tasks):
                scheduler.add_task(note, f"{number}", trigger=IntervalTrigger(seconds=0.1), id=f"task-{number}")
        await until(lambda: len(calls) >= 10 * tasks)
    session = await observer(store)
    runs = await session.runs(RunQuery(limit=10_000))
    assert max(Counter((run.task_id, run.scheduled_at) for run in runs).values()) == 1
    # On a busy machine, a run may come due while the one before is in progress.
    assert {run.state for run in runs} <= {"executed", "missed", "waiting"}
    assert sum(run.state == "executed" for run in runs) == len(calls)
    for task in await session.changes(0, 100):
        times = sorted(run.scheduled_at for run in runs if run.task_id == task.id)
        gaps = {(later - earlier) % timedelta(seconds=0.1) for earlier, later in pairwise(times)}
        assert gaps == {timedelta(0)}
    await session.close()


async def test_task_reaches_other_nodes(store: Store) -> None:
    async with (
        AsyncIOScheduler(store=store) as one,
        AsyncIOScheduler(store=store, store_options=IMPORTABLE) as two,
    ):
        task = one.add_task(note, "one", trigger=HOURLY, id="note")
        await until(lambda: len(two.tasks) == 1)
        assert await two.tasks_of(note).get("note").run() == "ONE"
        changes: list[TaskModified] = []
        two.subscribe(TaskModified, changes.append)
        one.pause_task(task)
        await until(lambda: two.get_task("note").state.paused)
        two.resume_task("note")
        await until(lambda: not task.state.paused)
        one.modify_task(task, timeout=7.5)
        await until(lambda: two.get_task("note").limits.timeout == 7.5)
        two.reschedule_task("note", IntervalTrigger(hours=9))
        await until(lambda: task.state.trigger == "every 9 hours")
        assert task.state.next_run_at == two.get_task("note").state.next_run_at
        assert {field for change in changes for field in change.fields} >= {"paused", "timeout"}
        one.remove_task(task)
        await until(lambda: two.tasks == ())


async def test_changes_survive_restart(store: Store) -> None:
    async with AsyncIOScheduler(store=store) as first:
        first.add_task(note, "one", trigger=HOURLY, id="note")
        await first.store.runs()
        first.pause_task("note")
        first.modify_task("note", timeout=7.5)
        first.reschedule_task("note", IntervalTrigger(hours=3))
    async with AsyncIOScheduler(store=store) as second:
        task = second.add_task(note, "one", trigger=HOURLY, id="note")
        await second.store.runs()
        await until(lambda: task.state.paused)
        assert task.limits.timeout == 7.5
        assert task.state.trigger == "every 3 hours"
        second.remove_task(task)
    async with AsyncIOScheduler(store=store, store_options=IMPORTABLE) as third:
        assert third.tasks == ()


async def test_result_of_other_node_is_typed(store: Store) -> None:
    async with AsyncIOScheduler(store=store) as one, AsyncIOScheduler(store=store, store_options=IMPORTABLE) as two:
        one.call(day_after, date(2030, 1, 1)).add(id="day")
        await until(lambda: one.state.executed + two.state.executed == 1)
        await until(lambda: len(two.tasks) == 1)
        task = two.tasks_of(day_after).get("day")
        found = await two.store.executed(task, 1)
        while not found:
            await asyncio.sleep(0.01)
            found = await two.store.executed(task, 1)
        assert [outcome.result for outcome in found] == [date(2030, 1, 2)]


async def test_stored_outcome_names_its_run(store: Store) -> None:
    async with AsyncIOScheduler(store=store) as scheduler:
        task = scheduler.call(day_after, date(2030, 1, 1)).add(id="day", trigger=None)
        run = task.run()
        await run
        (node,) = await scheduler.store.nodes()
        while not (found := await scheduler.store.executed(task)):
            await asyncio.sleep(0.01)
    (outcome,) = found
    assert outcome.details.run_id == run.run_id
    assert outcome.details.worker == Worker(node=node.id)


async def test_unknown_run_with_store_names_stored_history(store: Store) -> None:
    async with AsyncIOScheduler(store=store) as scheduler:
        with pytest.raises(RunLookupError, match=r"scheduler\.store\.runs\(RunQuery\(run_id=\.\.\.\)\)"):
            scheduler.get_run(UUID(int=7))


# Lost nodes


async def lost_run(store: Store, task_id: str, on_lost: str = "fail") -> tuple[StoreSession, RunRecord]:
    """Return a run whose node has no lease any more, with the session of that node."""
    zombie = await store.connect(NodeRecord(id=f"zombie-{time.monotonic_ns()}"), timedelta(seconds=3))
    (record,) = [task for task in await zombie.changes(0, 100) if task.id == task_id]
    due = past(1)
    record = await zombie.change(record.model_copy(update={"next_due": due})) or record
    run = RunRecord.model_validate(
        {"id": UUID(int=time.monotonic_ns()), "task_id": task_id, "scheduled_at": due, "on_lost": on_lost}
    )
    firing = Firing(task_id=task_id, version=record.version, due=due, next_due=None, runs=(run,))
    (owned,) = await zombie.fire([firing])
    return zombie, owned


async def declared(store: Store, add: Callable[[AsyncIOScheduler], object]) -> None:
    async with AsyncIOScheduler(store=store) as scheduler:
        add(scheduler)
        await scheduler.store.runs()


@pytest.mark.slow
@pytest.mark.parametrize("on_lost", ["fail", "rerun"])
async def test_run_of_lost_node_is_taken_over(store: Store, on_lost: str) -> None:
    await declared(store, lambda scheduler: scheduler.add_task(note, "one", trigger=HOURLY, id="note"))
    zombie, owned = await lost_run(store, "note", on_lost)
    errors: list[TaskError] = []
    scheduler = AsyncIOScheduler(store=store, store_options=StoreOptions(importable=("tests",), lease=3))
    scheduler.subscribe(TaskError, errors.append)
    async with scheduler:
        await until(lambda: bool(errors or calls))
    (run,) = await zombie.runs(RunQuery(task_id="note"))
    if on_lost == "fail":
        assert isinstance(errors[0].exception, NodeLostError)
        assert (run.state, run.error[:14]) == ("error", "NodeLostError:")
        assert calls == []
    else:
        assert (run.state, run.result) == ("executed", '"ONE"')
    late = Outcome(run_id=owned.id, fence=owned.fence, state="executed", result='"LATE"')
    assert await zombie.finish([late]) == []
    assert [*await zombie.runs(RunQuery(task_id="note"))] == [run]
    await zombie.close()


async def test_lost_run_names_the_lost_node(store: Store) -> None:
    await declared(store, lambda scheduler: scheduler.add_task(note, "one", trigger=HOURLY, id="note"))
    zombie, owned = await lost_run(store, "note")
    await zombie.close()
    errors: list[TaskError] = []
    cluster: list[TaskError] = []
    scheduler = AsyncIOScheduler(store=store)
    scheduler.subscribe(TaskError, errors.append)
    scheduler.subscribe(TaskError, cluster.append, scope="cluster")
    async with scheduler:
        # The node begins to listen before it takes over runs.
        scheduler.add_task(note, "one", trigger=HOURLY, id="note")
        await until(lambda: bool(errors and cluster))
        (run,) = await scheduler.store.runs(RunQuery(task_id="note"))
    error = errors[0].exception
    assert isinstance(error, NodeLostError)
    assert owned.node is not None
    assert (error.node, run.node) == (owned.node, owned.node)
    assert f"the node {owned.node} died" in run.error
    assert cluster[0].details.worker == Worker(node=owned.node)


@pytest.mark.slow
async def test_lost_run_can_be_retried(store: Store) -> None:
    retry = Retry(attempts=2, on=(NodeLostError,))
    await declared(store, lambda scheduler: scheduler.add_task(note, "one", trigger=HOURLY, id="note", retry=retry))
    zombie, _ = await lost_run(store, "note")
    async with AsyncIOScheduler(store=store, store_options=StoreOptions(importable=("tests", "asyncz"), lease=3)):
        await until(lambda: calls == ["one"])
    (run,) = await zombie.runs(RunQuery())
    assert (run.state, run.attempt) == ("executed", 2)
    await zombie.close()


async def test_outcome_after_take_over_is_rejected(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()
    async with AsyncIOScheduler(store=store) as scheduler:
        task = scheduler.add_task(block, "one", id="block", executor="threadpool")
        await until(lambda: calls == ["one"])
        # As if another node had taken over the run.
        (run,) = store._tables.runs.values()
        store._tables.runs[run.id] = run.model_copy(update={"fence": run.fence + 1, "node": "other"})
        release.set()
        await until(lambda: scheduler.store.rejected_outcomes == 1)
        assert task.last_notification is not None
    assert "was rejected: another node has taken over" in caplog.text
    assert [run.state for run in store._tables.runs.values()] == ["running"]


async def test_shutdown_gives_back_runs(store: Store) -> None:
    async with AsyncIOScheduler(store=store) as first:
        first.add_task(
            block,
            "one",
            id="block",
            executor="threadpool",
            trigger=IntervalTrigger(seconds=0.05),
            coalesce=False,
        )
        await until(lambda: first.get_task("block").state.backlog >= 2)
        release.set()
        await first.shutdown()
        backlog = len(calls)
    session = await observer(store)
    waiting = await session.runs(RunQuery(states=("waiting",)))
    assert len(waiting) >= 1
    assert not await session.runs(RunQuery(states=("running",)))
    async with AsyncIOScheduler(store=store, store_options=IMPORTABLE):
        await until(lambda: len(calls) >= backlog + len(waiting))
    await session.close()


# Changes while the store is being asked


async def test_replaced_task_with_pending_change(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    async with AsyncIOScheduler(store=store) as scheduler:
        changed = scheduler.add_task(note, "one", trigger=HOURLY, id="changed")
        await until(lambda: changed.state.next_run_at is not None)
        changed.modify(max_instances=3)
        scheduler.add_task(note, "two", trigger=HOURLY, id="changed", replace_existing=True)
        scheduler.add_task(note, "other", id="other")
        await until(lambda: "other" in calls)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.slow
@pytest.mark.parametrize("is_readable", [True, False])
async def test_declaration_during_restoration(store: Store, monkeypatch: pytest.MonkeyPatch, is_readable: bool) -> None:
    """The task of the program stays, if the one of the store is decoded meanwhile, whether it can be read or not."""
    async with AsyncIOScheduler(store=store, store_options=IMPORTABLE) as first:
        first.add_task(note, "one", trigger=HOURLY, id="same")
    begun, go_on = threading.Event(), threading.Event()

    def decode_slowly(
        task_id: str, function: object, arguments: str, values: Codec | None, *, results: int = 0
    ) -> StoredCall:
        begun.set()
        assert go_on.wait(60)
        return decode_arguments(task_id, function, arguments if is_readable else "no JSON", values, results=results)

    monkeypatch.setattr(_store_tasks, "decode_arguments", decode_slowly)
    second = AsyncIOScheduler(store=store, store_options=IMPORTABLE)
    starting = asyncio.create_task(second.start())
    await until(begun.is_set)
    task = second.add_task(note, "two", trigger=HOURLY, id="same")
    go_on.set()
    await starting
    try:
        await task.run()
        assert calls == ["two"]
        assert second.get_task("same") is task
        assert second.store.unreadable == {}
    finally:
        await second.shutdown()


async def test_error_with_lone_surrogate_is_stored(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    # A report of the test with such a text could not be sent from one process of the tests to another.
    caplog.set_level(logging.CRITICAL + 1, logger="asyncz.scheduler")
    async with AsyncIOScheduler(store=store) as scheduler:
        scheduler.add_task(fail_unstorably, id="fail")
        await until(lambda: scheduler.state.errors == 1)
        scheduler.add_task(note, "other", id="other")
        await until(lambda: "other" in calls)
    session = await observer(store)
    (failed,) = await session.runs(RunQuery(states=("error",)))
    assert "udcff" in failed.error
    await session.close()


async def test_session_is_closed_if_last_write_fails() -> None:
    faults = Faults()
    async with AsyncIOScheduler(store=FaultyStore(faults)) as scheduler:
        await begin_outage(scheduler, faults)
    assert faults.closed == 1


# Outages


async def begin_outage(scheduler: AsyncIOScheduler, faults: Faults) -> None:
    """Break the store of a scheduler once it fires a task, and wait until the scheduler has noticed."""
    scheduler.add_task(note, "one", trigger=IntervalTrigger(seconds=0.05), id="note")
    await until(lambda: len(calls) > 1)
    faults.broken = True
    await until(lambda: not scheduler.store.connected)


async def test_outage_delays_runs(caplog: pytest.LogCaptureFixture) -> None:
    faults = Faults()
    async with AsyncIOScheduler(store=FaultyStore(faults)) as scheduler:
        await begin_outage(scheduler, faults)
        before = len(calls)
        scheduler.add_task(note, "two", id="later")
        await until(lambda: caplog.text.count("Nothing is due until the store can be reached again") == 1)
        assert "two" not in calls
        faults.broken = False
        await until(lambda: "two" in calls and len(calls) > before + 2 and scheduler.store.connected)
    assert caplog.text.count("Nothing is due until") == 1
    assert "The store can be reached again" in caplog.text
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.slow
@pytest.mark.parametrize("error", [SystemExit(3), asyncio.CancelledError(), OSError(28, "full")])
async def test_store_that_raises_anything_delays_runs(error: BaseException) -> None:
    """A store is user code: the loop, the work of the node and the thread of the lease go on."""
    faults = Faults()
    faults.error = error
    async with AsyncIOScheduler(store=FaultyStore(faults), store_options=StoreOptions(lease=3)) as scheduler:
        await begin_outage(scheduler, faults)
        before, asked = len(calls), faults.calls
        await until(lambda: faults.calls > asked + 5 and not scheduler.store.connected)
        faults.broken = False
        await until(lambda: len(calls) > before + 2 and scheduler.store.connected)
        faults.broken = True
    assert scheduler.state.status == "stopped"


@pytest.mark.slow
@pytest.mark.parametrize("coalesce", [True, False])
async def test_due_times_of_an_outage_follow_coalesce(coalesce: bool) -> None:
    faults = Faults()
    faulty = FaultyStore(faults)
    async with AsyncIOScheduler(store=faulty) as scheduler:
        trigger = IntervalTrigger(seconds=0.05)
        task = scheduler.add_task(note, "one", trigger=trigger, id="note", coalesce=coalesce)
        await until(lambda: len(calls) > 1)
        faults.broken = True
        await until(lambda: not scheduler.store.connected)
        begun = task.state.next_run_at
        assert begun is not None
        await until(lambda: (task.state.next_run_at or begun) - begun > timedelta(seconds=1))
        faults.broken, number = False, len(calls)
        await until(lambda: len(calls) > number + 1)
        session = await faulty.store.connect(NodeRecord(id="observer"), TTL)
        runs = await session.runs(RunQuery(limit=1000))
    assert not [run for run in runs if run.state == "missed"]
    times = sorted(run.scheduled_at for run in runs)
    longest = max(later - earlier for earlier, later in pairwise(times))
    assert (longest > timedelta(seconds=0.9)) == coalesce


async def test_run_with_lost_answer_is_started() -> None:
    async with AsyncIOScheduler(store=FaultyStore(Faults(), AnswerlessSession)) as scheduler:
        scheduler.add_task(note, "one", id="note")
        await until(lambda: calls == ["one"])
        await until(lambda: scheduler.state.executed == 1)
        (run,) = await scheduler.store.runs()
        assert run.task_id == "note"


async def test_store_that_is_away_fails_the_start() -> None:
    faults = Faults()
    faults.broken = True
    scheduler = AsyncIOScheduler(store=FaultyStore(faults))
    scheduler.add_task(note, "one", id="note")
    with pytest.raises(StoreConnectionError, match="it is away"):
        await scheduler.start()
    faults.broken = False
    async with scheduler:
        await until(lambda: calls == ["one"])


async def test_scheduler_thread_uses_store(store: Store) -> None:
    def run() -> tuple[str, ...]:
        scheduler = AsyncIOScheduler(store=store)
        with scheduler.in_thread() as thread:
            task = scheduler.add_task(note, "one", id="note", trigger=HOURLY)
            assert thread.run(task, timeout=30) == "ONE"
        return tuple(calls)

    assert await asyncio.to_thread(run) == ("one",)
    async with AsyncIOScheduler(store=store, store_options=IMPORTABLE) as scheduler:
        assert [task.id for task in scheduler.tasks] == ["note"]


async def test_scheduler_starts_again(store: Store) -> None:
    scheduler = AsyncIOScheduler(store=store)
    scheduler.add_task(note, "one", trigger=IntervalTrigger(seconds=0.05), id="note")
    for runs in (2, 4):
        async with scheduler:
            await until(partial(_has_calls, runs))
    session = await observer(store)
    found = await session.runs(RunQuery(states=("executed",)))
    assert len(found) == len(calls)
    await session.close()


async def test_failed_run_is_in_history(store: Store) -> None:
    async with AsyncIOScheduler(store=store) as scheduler:
        scheduler.add_task(fail, "bad", id="fail", retry=Retry(attempts=2))
        await until(lambda: scheduler.state.errors == 1)
    session = await observer(store)
    (run,) = await session.runs(RunQuery())
    assert (run.state, run.error, run.attempt) == ("error", "ValueError: bad", 2)
    assert "Traceback" in run.traceback
    await session.close()


async def test_rejected_run_is_in_history(store: Store) -> None:
    async with AsyncIOScheduler(store=store) as scheduler:
        task = scheduler.add_task(
            block, "one", trigger=IntervalTrigger(seconds=0.05), id="block", executor="threadpool"
        )
        await until(lambda: task.state.rejected >= 1)
        release.set()
    session = await observer(store)
    runs = await session.runs(RunQuery(states=("missed",)))
    assert {run.error for run in runs} == {"TaskMaxInstances"}
    await session.close()


async def test_result_without_json_is_not_stored(store: Store) -> None:
    async with AsyncIOScheduler(store=store) as scheduler:
        task = scheduler.call(partial(stored_jobs.as_set, 3)).add(id="set")
        scheduler.add_task(note, "x" * 70_000, id="long")
        await until(lambda: scheduler.state.executed == 2)
        assert task.state.executed == 1
    session = await observer(store)
    results = {run.task_id: run.result for run in await session.runs(RunQuery())}
    assert results == {"set": "[3]", "long": None}
    await session.close()


async def test_lease_is_renewed_while_the_loop_is_blocked() -> None:
    store = MemoryStore()
    session = await observer(store)
    async with AsyncIOScheduler(store=store, store_options=StoreOptions(lease=3)):
        (node,) = [each for each in await session.nodes() if not each.id.startswith("observer")]
        blocked_until = time.monotonic() + 20
        renewed = threading.Event()
        # The loop's thread waits here, and runs nothing else.
        while not renewed.is_set() and time.monotonic() < blocked_until:
            time.sleep(0.05)  # noqa: ASYNC251  # blocks the loop on purpose
            if store._tables.nodes[node.id].lease_until != node.lease_until:
                renewed.set()
        assert renewed.is_set()
    await session.close()
