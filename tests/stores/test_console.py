"""Consoles: reads and actions of people in a store, without a node."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest
from typing_extensions import override

from asyncz import AsyncIOScheduler, IntervalTrigger, TaskLookupError
from asyncz.dashboard._cluster_states import task_state
from asyncz.dashboard._redaction import Redactor
from asyncz.schedulers._store_commands import SupportsCommands
from asyncz.stores import (
    MemoryStore,
    NodeRecord,
    Outcome,
    PostgresStore,
    RunRecord,
    SqliteStore,
    Store,
    StoreSession,
    TaskRecord,
    _console_queries,
)
from asyncz.stores._admin import StoreAdmin
from asyncz.stores._admin_urls import opened_admin
from asyncz.stores._console import StoreConsole, console_of, console_of_url
from asyncz.stores._console_commands import ConsoleCommands
from asyncz.stores._console_queries import ConsoleQueries
from asyncz.stores._console_records import CommandError, FoundRuns, RunSearch
from asyncz.stores._postgres_migrations import _MIGRATION_LOCK
from asyncz.stores.exceptions import StoreClosedError, StoreConnectionError, StoreSchemaError
from asyncz.stores.records import RunRecordState
from tests.helpers.postgres import new_schema
from tests.helpers.stored_jobs import calls, note, work_until_cancelled
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio

STATES: Sequence[RunRecordState] = ("executed", "error", "executed", "missed", "executed", "cancelled", "running")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.xdist_group("postgres"))])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/jobs.db"
    server: str = request.getfixturevalue("postgres_server")
    return new_schema(server)


def store_of_url(url: str) -> Store:
    return SqliteStore(url.removeprefix("sqlite:///")) if url.startswith("sqlite") else PostgresStore(url)


@asynccontextmanager
async def node(url: str, name: str = "node") -> AsyncIterator[StoreSession]:
    session = await store_of_url(url).connect(NodeRecord(id=uuid4().hex, name=name), timedelta(seconds=60))
    try:
        yield session
    finally:
        await session.close()


def has_calls(number: int) -> bool:
    return len(calls) >= number


@asynccontextmanager
async def console(url: str) -> AsyncIterator[StoreConsole]:
    found = console_of_url(url)
    try:
        yield found
    finally:
        found.close()


async def fill(session: StoreSession, tasks: int = 3, runs: int = 40) -> Sequence[RunRecord]:
    """Store tasks, and runs in several states; return the runs, newest first."""
    declared = await session.declare(
        [
            TaskRecord(id=f"task-{number}", function="jobs:work", executor="io" if number else "asyncio")
            for number in range(tasks)
        ],
        "update",
    )
    now = session.lease.now
    records = [
        RunRecord(
            id=uuid4(),
            task_id=declared[number % tasks].id,
            kind="submitted",
            scheduled_at=now - timedelta(seconds=runs - number),
            executor=declared[number % tasks].executor,
            state="waiting" if number % 8 == 7 else "running",
        )
        for number in range(runs)
    ]
    stored = await session.submit(records)
    outcomes: list[Outcome] = []
    for number, run in enumerate(stored):
        state = STATES[number % 8] if number % 8 < 7 else "waiting"
        if run.state == "running" and state not in {"running", "waiting"}:
            outcomes.append(
                Outcome(
                    run_id=run.id,
                    fence=run.fence,
                    state="error" if state == "error" else "executed" if state == "executed" else "cancelled",
                    started_at=run.scheduled_at,
                    finished_at=run.scheduled_at + timedelta(seconds=1),
                    error=f"ValueError: Number {number} failed" if state == "error" else "",
                    traceback="Traceback" if state == "error" else "",
                )
            )
    await session.finish(outcomes)
    return await every_run(session)


async def every_run(session: StoreSession) -> Sequence[RunRecord]:
    from asyncz.stores import RunQuery

    return await session.runs(RunQuery(limit=10_000))


def pages(database: StoreAdmin, search: RunSearch) -> list[RunRecord]:
    """Return all runs of a search, page by page."""
    import attrs

    found: list[RunRecord] = []
    while True:
        page = ConsoleQueries(database).runs(search)
        assert len(page.runs) <= search.limit
        found += page.runs
        if page.next_before is None:
            return found
        search = attrs.evolve(search, before=page.next_before)


@pytest.mark.parametrize("limit", [1, 3, 50])
async def test_search_finds_each_run_once(url: str, limit: int) -> None:
    async with node(url) as session, console(url) as people:
        runs = await fill(session)
        since, until_ = runs[30].created_at, runs[5].created_at
        states: Sequence[RunRecordState | None] = (
            "executed",
            "error",
            "missed",
            "cancelled",
            "waiting",
            "running",
            None,
        )
        for state in states:
            for task_id in (None, "task-1"):
                for text in ("", "number 1", "NUMBER 9 failed", "nothing"):
                    for begin, end in ((None, None), (since, until_)):
                        search = RunSearch(task_id=task_id, state=state, text=text, since=begin, until=end, limit=limit)
                        found = await people.call(lambda database, search=search: pages(database, search))  # type: ignore[misc]  # bound at once
                        expected = [run.sequence for run in runs if _matches(run, search)]
                        assert [run.sequence for run in found] == expected, search


def _matches(run: RunRecord, search: RunSearch) -> bool:
    state = search.state or ("error" if search.text else None)
    return (
        (search.task_id is None or run.task_id == search.task_id)
        and (state is None or run.state == state)
        and search.text.lower() in run.error.lower()
        and (search.since is None or (run.created_at is not None and run.created_at >= search.since))
        and (search.until is None or (run.created_at is not None and run.created_at < search.until))
    )


async def test_search_does_not_find_hidden_text(url: str) -> None:
    async with node(url) as session, console(url) as people:
        await fill(session)
        search = RunSearch(text="Number", shown=lambda _: "hidden")
        assert not (await people.call(lambda database: ConsoleQueries(database).runs(search))).runs
        search = RunSearch(text="Number")
        assert (await people.call(lambda database: ConsoleQueries(database).runs(search))).runs


async def test_end_of_page_does_not_show_hidden_text(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_console_queries, "_READ", 3)
    async with node(url) as session, console(url) as people:
        await fill(session)
        ends = list[tuple[int | None, bool]]()
        for text in ("Number", "absent"):
            search = RunSearch(text=text, shown=lambda _: "hidden")
            page = await people.call(lambda database, search=search: ConsoleQueries(database).runs(search))  # type: ignore[misc]  # bound at once
            assert not page.runs
            ends.append((page.next_before, page.is_partial))
        assert ends[0] == ends[1]
        assert ends[0][1]


async def test_search_survives_deletion_of_last_run(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with node(url) as session, console(url) as people:
        runs = await fill(session)
        first, last = runs[-1].sequence, runs[0].sequence

        def search(database: StoreAdmin) -> FoundRuns:
            query = database.query

            def deleting(sql: str, *values: object) -> Sequence[Sequence[object]]:
                found = query(sql, *values)
                if "max(sequence)" in sql:
                    query("DELETE FROM asyncz_runs WHERE sequence > ? RETURNING 1", first)
                return found

            monkeypatch.setattr(database, "query", deleting)
            moment = database.now() + timedelta(hours=1)
            return ConsoleQueries(database).runs(RunSearch(since=moment))

        assert last > first
        assert not (await people.call(search)).runs


async def test_long_search_continues_on_next_page(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_console_queries, "_LOOKED", 3)
    async with node(url) as session, console(url) as people:
        runs = await fill(session)
        search = RunSearch(state="executed", task_id="task-1", limit=50)
        first = await people.call(lambda database: ConsoleQueries(database).runs(search))
        assert first.is_partial
        found = await people.call(lambda database: pages(database, search))
        assert [run.sequence for run in found] == [run.sequence for run in runs if _matches(run, search)]


async def test_tasks_have_last_state_and_counts(url: str) -> None:
    async with node(url) as session, console(url) as people:
        runs = await fill(session)
        rows = await people.call(lambda database: ConsoleQueries(database).task_rows())
        assert [row.id for row in rows] == ["task-0", "task-1", "task-2"]
        for row in rows:
            own = [run for run in runs if run.task_id == row.id]
            assert row.last == next(run.state for run in own if run.done)
            assert row.running == sum(run.state == "running" for run in own)
            counts = await people.call(lambda database, row=row: ConsoleQueries(database).run_counts([row.id], 1000))  # type: ignore[misc]  # bound at once
            assert sum(counts[row.id].values()) == len(own)
            recent = await people.call(lambda database, row=row: ConsoleQueries(database).recent_runs([row.id], 4))  # type: ignore[misc]  # bound at once
            assert [run.sequence for run in recent[row.id]] == [run.sequence for run in own if run.done][:4]


async def test_runs_of_many_tasks_are_read_together(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL would plan a subquery for each task, which takes longer than to read the runs."""
    statements: list[str] = []
    query = StoreAdmin.query

    def spy(database: StoreAdmin, sql: str, *values: object) -> Sequence[Sequence[object]]:
        statements.append(sql)
        return query(database, sql, *values)

    async with node(url) as session, console(url) as people:
        runs = await fill(session, tasks=120, runs=360)
        ids = [f"task-{number}" for number in range(120)]
        monkeypatch.setattr(StoreAdmin, "query", spy)
        counts = await people.call(lambda database: ConsoleQueries(database).run_counts(ids, 2))
        recent = await people.call(lambda database: ConsoleQueries(database).recent_runs(ids, 1))
    for task_id in ids:
        of_task = [run for run in runs if run.task_id == task_id]
        assert counts[task_id] == Counter(run.state for run in of_task[:2])
        assert [run.id for run in recent.get(task_id, [])] == [run.id for run in of_task if run.done][:1]
    if url.startswith("postgresql"):
        assert [sql.count("FROM asyncz_runs") for sql in statements] == [1, 1]


async def test_totals_and_nodes(url: str) -> None:
    async with node(url, "first") as session, console(url) as people:
        runs = await fill(session)
        totals = await people.call(lambda database: ConsoleQueries(database).totals())
        assert totals.tasks == {"active": 3}
        assert totals.waiting == sum(run.state == "waiting" for run in runs)
        assert totals.running == sum(run.state == "running" for run in runs)
        # The oldest waiting run was due 33 seconds before it was stored.
        assert 33 <= totals.overdue < 3600
        nodes = await people.call(lambda database: ConsoleQueries(database).nodes())
        assert ([each.name for each in nodes], totals.nodes) == (["first"], 1)


async def test_paused_node_is_known_to_all(url: str) -> None:
    scheduler = AsyncIOScheduler(store=store_of_url(url))
    await scheduler.start(paused=True)
    try:
        async with node(url, "second") as session, console(url) as people:

            async def paused() -> list[bool]:
                found = await people.call(lambda database: ConsoleQueries(database).nodes())
                return sorted(each.paused for each in found)

            async with asyncio.timeout(30):
                for change, expected in (
                    (None, [False, True]),
                    (scheduler.resume, [False, False]),
                    (scheduler.pause, [False, True]),
                ):
                    if change is not None:
                        change()
                    while await paused() != expected:
                        await asyncio.sleep(0.01)
                    for nodes in (await session.nodes(), await scheduler.store.nodes()):
                        assert sorted(each.paused for each in nodes) == expected
            # A renewal of the lease does not change it.
            _ = await asyncio.to_thread(session.renew)
            assert await paused() == [False, True]
    finally:
        await scheduler.shutdown()


async def test_memory_store_knows_paused_node() -> None:
    async with AsyncIOScheduler(store=MemoryStore()) as scheduler:
        scheduler.pause()
        async with asyncio.timeout(30):
            while [each.paused for each in await scheduler.store.nodes()] != [True]:
                await asyncio.sleep(0.01)


async def test_actions_change_task_and_are_recorded(url: str) -> None:
    async with node(url) as session, console(url) as people:
        await fill(session)
        before = (await session.changes(0, 10))[1]
        mark = await people.call(lambda database: ConsoleQueries(database).mark())
        await people.call(lambda database: ConsoleCommands(database, "mara").act("pause", "task-1", None, None))
        assert mark != await people.call(lambda database: ConsoleQueries(database).mark())
        (paused,) = [each for each in await session.changes(0, 10) if each.id == "task-1"]
        assert (paused.paused, paused.version) == (True, before.version + 1)
        # A node that knows the version before cannot write over it.
        assert await session.change(before) is None
        await people.call(lambda database: ConsoleCommands(database, "mara").act("remove", "task-1", None, None))
        with pytest.raises(TaskLookupError):
            await people.call(lambda database: ConsoleCommands(database, "mara").act("pause", "task-1", None, None))
        assert isinstance(session, SupportsCommands)
        assert [(each.action, each.operator) for each in await session.commands(0, 10)] == [
            ("pause", "mara"),
            ("remove", "mara"),
        ]


@pytest.mark.slow
@pytest.mark.xdist_group("postgres")
@pytest.mark.parametrize("by", ["operator", "node"])
async def test_no_node_fires_a_paused_task(url: str, by: str) -> None:
    """After an operator's pause has returned, and after the pause of a node is stored, no node fires."""
    often = IntervalTrigger(seconds=0.02)
    schedulers = [AsyncIOScheduler(store=url) for _ in range(3)]
    for scheduler in schedulers:
        scheduler.add_task(note, "one", trigger=often, id="note", coalesce=False, max_instances=100)
    async with schedulers[0], schedulers[1], schedulers[2], console(url) as people, node(url) as session:
        for _ in range(5):
            await until(partial(has_calls, len(calls) + 5))
            if by == "operator":
                await people.call(lambda database: ConsoleCommands(database, "mara").act("pause", "note", None, None))
            else:
                # Until this node has read the last `resume`, a pause changes nothing here.
                await until(lambda: not schedulers[0].get_task("note").state.paused)
                schedulers[0].get_task("note").pause()
                while not (await session.changes(0, 10))[0].paused:
                    await asyncio.sleep(0.001)
            fired = await every_run(session)
            await asyncio.sleep(0.2)
            assert len(await every_run(session)) == len(fired)
            await people.call(lambda database: ConsoleCommands(database, "mara").act("resume", "note", None, None))


async def test_run_of_inactive_task_is_rejected(url: str) -> None:
    async with node(url) as session, console(url) as people:
        await session.declare([TaskRecord(id="parked", function="f", state="parked", problem="no function")], "update")
        with pytest.raises(CommandError, match="no function"):
            await people.call(lambda database: ConsoleCommands(database, "").act("run", "parked", None, None))
        assert not await every_run(session)


async def test_waiting_runs_end_when_cancelled(url: str) -> None:
    async with node(url) as session, console(url) as people:
        runs = await fill(session)
        waiting = [run for run in runs if run.state == "waiting" and run.task_id == "task-1"]
        await people.call(lambda database: ConsoleCommands(database, "mara").cancel_run(waiting[0].id))
        await people.call(lambda database: ConsoleCommands(database, "mara").act("cancel", "task-1", None, None))
        ended = {run.sequence: run for run in await every_run(session)}
        assert {ended[run.sequence].state for run in waiting} == {"cancelled"}
        assert {ended[run.sequence].error for run in waiting} == {"cancelled by mara"}
        claimed = await session.claim({"io": 50, "asyncio": 50}, 50)
        assert not {run.id for run in claimed} & {run.id for run in waiting}
        with pytest.raises(CommandError, match="has ended"):
            await people.call(lambda database: ConsoleCommands(database, "").cancel_run(waiting[0].id))
        with pytest.raises(CommandError, match="is stored"):
            await people.call(lambda database: ConsoleCommands(database, "").cancel_run(uuid4()))


async def test_cancel_asks_node_that_claims_meanwhile(url: str) -> None:
    """A node may start the run before the console has ended it: the console asks the node, and reports no success."""
    if url.startswith("sqlite"):
        pytest.skip("a transaction that writes excludes others")
    async with node(url) as session, console(url) as people:
        await fill(session)
        waiting = next(run for run in await every_run(session) if run.state == "waiting")

        class Commands(ConsoleCommands):
            @override
            def _end_waiting(self, condition: str, *values: object) -> int:
                with opened_admin(url, "write") as other:
                    sql = "UPDATE asyncz_runs SET state = 'running', node = (SELECT id FROM asyncz_nodes) WHERE"
                    other.query(f"{sql} sequence = ? RETURNING 1", waiting.sequence)
                return super()._end_waiting(condition, *values)

        sent = await people.call(lambda database: Commands(database, "mara").cancel_run(waiting.id))
        assert len(sent.sequences) == 1
        run = await people.call(lambda database: ConsoleQueries(database).run(waiting.id))
        assert run is not None
        assert run.state == "running"


async def test_cancel_ends_runs_of_former_executor(url: str) -> None:
    async with node(url) as session, console(url) as people:
        runs = await fill(session)
        await people.call(
            lambda database: database.query("UPDATE asyncz_tasks SET executor = 'new' WHERE id = 'task-1' RETURNING 1")
        )
        await people.call(lambda database: ConsoleCommands(database, "mara").act("cancel", "task-1", None, None))
        waiting = {run.id for run in runs if run.state == "waiting" and run.task_id == "task-1"}
        assert waiting
        assert {run.state for run in await every_run(session) if run.id in waiting} == {"cancelled"}


async def test_cancel_locks_counter_of_outcomes_last(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes lock the counters in this order: another one could be a deadlock."""
    async with node(url) as session, console(url) as people:
        runs = [run for run in await fill(session) if run.state == "waiting"]
        await session.listen()

        def locked(database: StoreAdmin, cancel: Callable[[ConsoleCommands], object]) -> list[str]:
            statements = Statements(monkeypatch, database)
            cancel(ConsoleCommands(database, "mara"))
            found = [sql for sql, _ in statements.found if sql.startswith("UPDATE asyncz_counters")]
            return ["outcomes" if "'outcomes'" in sql else "revision" for sql in found]

        actions: Sequence[Callable[[ConsoleCommands], object]] = (
            lambda commands: commands.cancel_run(runs[0].id),
            lambda commands: commands.act("cancel", runs[1].task_id, None, None),
        )
        for cancel in actions:
            counters = await people.call(lambda database, cancel=cancel: locked(database, cancel))  # type: ignore[misc]  # bound at once
            assert counters[0] == "revision"
            assert "outcomes" in counters


async def test_console_without_answer_is_interrupted(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if url.startswith("sqlite"):
        pytest.skip("a file answers")
    import psycopg

    from asyncz.stores import _thread

    async with node(url) as session, console(url) as people, asyncio.timeout(60):
        await fill(session)
        for is_open in (False, True):
            with psycopg.connect(url) as other, monkeypatch.context() as patch:
                patch.setattr(_thread, "NO_ANSWER_AFTER", 0.2)
                table = "asyncz_tasks" if is_open else "asyncz_schema"
                other.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
                with pytest.raises(StoreConnectionError):
                    await people.call(lambda database: ConsoleQueries(database).task_rows())
            assert await people.call(lambda database: ConsoleQueries(database).task_rows())


async def test_migration_without_answer_is_interrupted(url: str) -> None:
    if url.startswith("sqlite"):
        pytest.skip("a file answers")
    import psycopg

    store = store_of_url(url)
    assert isinstance(store, PostgresStore)
    transactions = store._transactions(NodeRecord(id="node"), timedelta(seconds=60))
    with psycopg.connect(url) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", [_MIGRATION_LOCK])
        opening = asyncio.create_task(asyncio.to_thread(transactions.revision))
        waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        async with asyncio.timeout(30):
            while other.execute(waits).fetchone() == (0,):
                await asyncio.sleep(0.01)
            transactions.interrupt()
            with pytest.raises(StoreConnectionError):
                await opening


@pytest.mark.slow
async def test_commands_reach_node_that_runs(url: str) -> None:
    scheduler = AsyncIOScheduler(store=store_of_url(url))
    scheduler.add_task(work_until_cancelled, id="long", trigger=None, max_instances=5)
    scheduler.add_task(note, "x", id="note", trigger=IntervalTrigger(hours=1))
    async with scheduler, console(url) as people:
        for _ in range(2):
            scheduler.submit_task("long")
        await until(lambda: scheduler.get_task("long").state.running == 2)
        runs = await people.call(lambda database: ConsoleQueries(database).running(10))
        sent = await people.call(lambda database: ConsoleCommands(database, "mara").cancel_run(runs[0].id))
        await until(lambda: scheduler.get_task("long").state.running == 1)
        await answered(people, sent.sequences)
        sent = await people.call(lambda database: ConsoleCommands(database, "mara").act("cancel", "long", None, None))
        await until(lambda: scheduler.get_task("long").state.running == 0)
        sent = await people.call(lambda database: ConsoleCommands(database, "mara").set_paused(True))
        await until(lambda: scheduler.status == "paused")
        assert await answered(people, sent.sequences) == [""]
        await people.call(lambda database: ConsoleCommands(database, "mara").set_paused(False))
        await until(lambda: scheduler.status == "running")
        await people.call(lambda database: ConsoleCommands(database, "mara").act("pause", "note", None, None))
        await until(lambda: scheduler.get_task("note").state.paused)
        await people.call(lambda database: ConsoleCommands(database, "mara").act("run", "long", None, None))
        await until(lambda: scheduler.get_task("long").state.running == 1)
        scheduler.get_task("long").cancel_runs()
        due = await people.call(lambda database: database.now() + timedelta(minutes=5))
        trigger = IntervalTrigger(minutes=5)
        await people.call(lambda database: ConsoleCommands(database, "mara").act("reschedule", "note", trigger, due))
        await until(lambda: scheduler.get_task("note").state.trigger == "every 5 minutes")
        await people.call(lambda database: ConsoleCommands(database, "mara").act("remove", "note", None, None))
        await until(lambda: "note" not in {task.id for task in scheduler.tasks})


async def test_downstream_task_has_no_trigger(url: str) -> None:
    scheduler = AsyncIOScheduler(store=url)
    scheduler.add_task(note, "one", trigger=None, id="first").then(note, id="second")
    async with scheduler, console(url) as people:
        due = await people.call(lambda database: database.now() + timedelta(minutes=5))
        trigger = IntervalTrigger(minutes=5)
        with pytest.raises(CommandError, match="due by the results of 'first'"):
            await people.call(
                lambda database: ConsoleCommands(database, "mara").act("reschedule", "second", trigger, due)
            )
        tasks = await people.call(lambda database: ConsoleQueries(database).tasks(["second"]))
        assert task_state(tasks["second"], {}, (), Redactor(lambda _kind, _name, text: text)).trigger == "after 'first'"


async def test_remove_names_downstream_tasks(url: str) -> None:
    scheduler = AsyncIOScheduler(store=url)
    first = scheduler.add_task(note, "one", trigger=None, id="first")
    first.then(note, id="second").then(note, id="third")
    first.then(note, id="fourth")
    async with scheduler, console(url) as people:
        sent = await people.call(lambda database: ConsoleCommands(database, "mara").act("remove", "third", None, None))
        assert not sent.detail
        sent = await people.call(lambda database: ConsoleCommands(database, "mara").act("remove", "first", None, None))
        assert sent.detail == "also removes fourth, second when their runs have ended"


async def answered(people: StoreConsole, sequences: Sequence[int]) -> list[str]:
    while True:
        records = await people.call(lambda database: ConsoleQueries(database).commands(sequences))
        if all(each.done_at is not None for each in records):
            return [each.failure for each in records]
        await asyncio.sleep(0.02)


async def test_command_without_node_is_rejected(url: str) -> None:
    async with node(url) as session:
        await fill(session)
    async with console(url) as people:
        with pytest.raises(CommandError, match="no node is alive"):
            await people.call(lambda database: ConsoleCommands(database, "").set_paused(True))
        (run, *_) = await people.call(lambda database: ConsoleQueries(database).running(1))
        with pytest.raises(CommandError, match="no node is alive"):
            await people.call(lambda database: ConsoleCommands(database, "").cancel_run(run.id))


async def test_claim_does_not_hide_change(url: str) -> None:
    """A run that stops to wait, and a task that changes at the same time, do not make up for each other."""
    store = (
        SqliteStore(url.removeprefix("sqlite:///"), poll_interval=0.3)
        if url.startswith("sqlite")
        else PostgresStore(url, poll_interval=0.3, notify=False)
    )
    session = await store.connect(NodeRecord(id=uuid4().hex), timedelta(seconds=60))
    async with asyncio.timeout(30):
        (task,) = await session.declare([TaskRecord(id="task", function="f")], "update")
        waiting = RunRecord(
            id=uuid4(), task_id="task", kind="submitted", scheduled_at=session.lease.now, state="waiting"
        )
        await session.submit([waiting])
        hints = session.wake_ups()
        hinted = asyncio.ensure_future(anext(hints))
        # The first look is made at once, the next one after the interval.
        await asyncio.sleep(0.1)
        await session.claim({"asyncio": 1}, 1)
        await session.change(task.model_copy(update={"paused": True}))
        await hinted
    await session.close()


async def test_console_connects_again(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/jobs.db"
    async with console(url) as people:
        with pytest.raises(StoreConnectionError, match="no such file"):
            await people.call(lambda database: database.now())
        with opened_admin(url, "create"), pytest.raises(StoreSchemaError):
            await people.call(lambda database: database.now())
        with opened_admin(url, "create") as admin:
            admin.migrate()
        await people.call(lambda database: database.now())
        people.close()
        with pytest.raises(StoreClosedError):
            await people.call(lambda database: database.now())


def test_console_of_store_without_database() -> None:
    from asyncz.stores import MemoryStore

    assert console_of(MemoryStore()) is None


# Plans


class Statements:
    """Statements that a console has executed, with their values."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, admin: StoreAdmin) -> None:
        self.found: list[tuple[str, tuple[object, ...]]] = []
        query = admin.query

        def noted(sql: str, *values: object) -> Sequence[Sequence[object]]:
            self.found.append((sql, values))
            return query(sql, *values)

        monkeypatch.setattr(admin, "query", noted)


def _bulk(admin: StoreAdmin, runs: int) -> None:
    """Fill a database so far that its planner prefers indexes."""
    moment = admin.now()
    for number in range(200):
        now = admin.stored_time(moment + timedelta(seconds=number - 50))
        _ = admin.query(
            "INSERT INTO asyncz_tasks (id, function, arguments, executor, options, declaration, app_version, paused,"
            " next_due, state, problem, removed, version, revision) VALUES (?, 'f', '{}', 'asyncio', '{}', '', 0, ?, ?,"
            " 'active', '', ?, 1, ?) RETURNING id",
            *(f"task-{number}", False, now, False, number + 1),
        )
    states = ["executed"] * 90 + ["error"] * 4 + ["missed", "cancelled", "running", "waiting", "executed", "executed"]
    with admin.transaction():
        for number in range(runs):
            state, now = states[number % 100], admin.stored_time(moment - timedelta(seconds=runs - number))
            done = state not in {"running", "waiting"}
            _ = admin.query(
                "INSERT INTO asyncz_runs (id, task_id, kind, scheduled_at, executor, state, attempt, on_lost, missed,"
                " fence, created_at, finished_at, error, traceback, node) VALUES (?, ?, 'submitted', ?, 'asyncio', ?,"
                " 1, 'fail', 0, 1, ?, ?, '', '', 'node') RETURNING sequence",
                *(admin.stored_id(uuid4()), f"task-{number % 200}", now, state, now, now if done else None),
            )
    if admin.dialect == "postgres":
        _ = admin.query("SELECT 1")


def _plan(admin: StoreAdmin, sql: str, values: Sequence[object]) -> str:
    explain = "EXPLAIN QUERY PLAN " if admin.dialect == "sqlite" else "EXPLAIN "
    return "\n".join(f"{row[-1]}" for row in admin.query(f"{explain}{sql}", *values))


@pytest.mark.slow
def test_each_query_uses_an_index(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened_admin(url, "create") as admin:
        admin.migrate()
        _bulk(admin, 20_000)
        analyze(url)
        statements = Statements(monkeypatch, admin)
        run_all_queries(admin)
        assert len(statements.found) > 40
        for sql, values in tuple(statements.found):
            plan = _plan(admin, sql, values)
            assert not [line for line in plan.splitlines() if _is_walk(line, sql)], f"{sql}\n{plan}"


def _is_walk(line: str, sql: str) -> bool:
    """Return True if a line of a plan walks along all runs or reports."""
    if "USING" in line or "(sequence)" in sql:
        # The first and the last sequence are the ends of the table.
        return False
    # PostgreSQL reads a small table, such as that of reports here, without an index.
    return any(walk in line for walk in ("SCAN asyncz_r", "SEARCH asyncz_r", "Seq Scan on asyncz_runs"))


def analyze(url: str) -> None:
    if url.startswith("sqlite"):
        return
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ANALYZE")


def run_all_queries(admin: StoreAdmin) -> None:
    queries, now = ConsoleQueries(admin), admin.now()
    queries.task_rows()
    queries.tasks(["task-1"])
    queries.recent_runs(["task-1", "task-2"], 10)
    queries.run_counts(["task-1", "task-2"], 100)
    queries.coming(now + timedelta(hours=1), 40)
    queries.run(uuid4())
    queries.running(100)
    queries.finished(now - timedelta(hours=1), 2000)
    queries.finished_before(now, 100, 50)
    queries.commands_before(now, 100, 50)
    queries.commands([1, 2])
    queries.totals()
    queries.mark()
    queries.progress(["task-1"], 100)
    states: Sequence[RunRecordState | None] = ("executed", "error", "missed", "cancelled", "waiting", "running", None)
    for state in states:
        for task_id in (None, "task-1"):
            queries.runs(RunSearch(task_id=task_id, state=state))
            queries.runs(RunSearch(task_id=task_id, state=state, before=500, text="x"))
            queries.runs(RunSearch(task_id=task_id, state=state, since=now - timedelta(hours=1), until=now))
