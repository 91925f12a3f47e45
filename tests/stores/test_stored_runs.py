"""Stored runs: calls, claims, outcomes whose answers are lost, retention, clocks, and fences."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import ANY
from uuid import uuid4

import pytest
from typing_extensions import override

from asyncz import AsyncIOScheduler, IntervalTrigger, MaximumInstancesError, Retry
from asyncz.clock import SystemClock
from asyncz.schedulers import _store_history, _store_overdue
from asyncz.schedulers._store_lease import clock_offset
from asyncz.stores import (
    Lease,
    MemoryStore,
    NodeLostError,
    NodeRecord,
    Outcome,
    Retention,
    RunQuery,
    RunRecord,
    SqliteStore,
    Store,
    StoreOptions,
    StoreSession,
    TaskRecord,
)
from asyncz.stores._triggers import encode_trigger
from tests.helpers import stored_jobs
from tests.helpers.stored_jobs import block, calls, fail, note, ownership, release, work_until_cancelled
from tests.helpers.waiting import until
from tests.stores.faulty_stores import (
    AnswerlessSession,
    Faults,
    FaultySession,
    FaultyStore,
    ForgetfulSession,
    LeavingSession,
    PickySession,
)

pytestmark = pytest.mark.anyio

HOURLY = IntervalTrigger(hours=1)
TTL = timedelta(seconds=15)
IMPORTABLE = StoreOptions(importable=("tests.helpers",))


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "store.db", poll_interval=0.01)


@pytest.fixture
async def other(store: Store) -> AsyncIterator[StoreSession]:
    """Session of a node without a scheduler."""
    session = await store.connect(NodeRecord(id=uuid4().hex), TTL)
    yield session
    await session.close()


def waiting_run(task_id: str, arguments: str | None = None, at: datetime | None = None) -> RunRecord:
    return RunRecord(
        id=uuid4(),
        task_id=task_id,
        kind="submitted",
        state="waiting",
        scheduled_at=at or datetime.now(UTC),
        arguments=arguments,
    )


async def finished(session: StoreSession, number: int) -> list[RunRecord]:
    """Wait until a number of runs have their outcomes, and return all runs."""
    found: list[RunRecord] = []
    deadline = time.monotonic() + 30
    while sum(run.done for run in found) < number:
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.005)
        found = [*await session.runs(RunQuery(limit=10_000))]
    return found


# Calls


async def test_call_is_in_history(store: Store, other: StoreSession) -> None:
    async with AsyncIOScheduler(store=store) as scheduler:
        task = scheduler.add_task(note, "one", trigger=None, id="note")
        assert await task.run() == "ONE"
        (run,) = await finished(other, 1)
    assert (run.kind, run.state, run.result, run.fence) == ("submitted", "executed", '"ONE"', 2)


async def test_rejected_call_is_not_stored(store: Store, other: StoreSession) -> None:
    async with AsyncIOScheduler(store=store) as scheduler:
        task = scheduler.add_task(block, "one", trigger=None, id="block", executor="threadpool")
        handle = task.run()
        with pytest.raises(MaximumInstancesError):
            task.run()
        release.set()
        await handle
        await finished(other, 1)
    assert len(await other.runs(RunQuery())) == 1


async def test_submitted_runs_are_stored_and_all_run(store: Store, other: StoreSession) -> None:
    async with AsyncIOScheduler(store=store) as scheduler:
        task = scheduler.add_task(note, "one", trigger=None, id="note")
        for _ in range(50):
            task.submit()
        runs = await finished(other, 50)
    assert {(run.kind, run.state, run.result) for run in runs} == {("submitted", "executed", '"ONE"')}
    assert len(calls) == len({run.id for run in runs}) == 50


async def test_submitted_run_waits_for_another_node(store: Store, other: StoreSession) -> None:
    async with AsyncIOScheduler(store=store) as first:
        first.add_task(block, "one", trigger=None, id="block", executor="threadpool")
        for _ in range(3):
            first.get_task("block").submit()
        await until(lambda: calls == ["one"])
        # Two nodes share the runs of a task that runs once at a time on each.
        async with AsyncIOScheduler(store=store, store_options=IMPORTABLE):
            await until(lambda: len(calls) == 2)
            release.set()
            runs = await finished(other, 3)
    assert Counter(run.state for run in runs) == {"executed": 3}
    assert len({run.node for run in runs}) == 2


async def test_submission_with_arguments_and_equal_time(store: Store, other: StoreSession) -> None:
    at = datetime.now(UTC)
    runs = [waiting_run("note", f'{{"args": ["{number}"], "kwargs": {{}}}}', at) for number in range(100)]
    async with AsyncIOScheduler(store=store) as scheduler:
        scheduler.add_task(note, "one", trigger=None, id="note")
        await scheduler.store.runs()
        await other.submit(runs)
        done = await finished(other, 100)
    assert sorted(calls, key=int) == [f"{number}" for number in range(100)]
    assert {run.id: run.result for run in done} == {run.id: f'"{number}"' for number, run in enumerate(runs)}


async def test_submission_with_bad_arguments_fails(store: Store, other: StoreSession) -> None:
    async with AsyncIOScheduler(store=store) as scheduler:
        scheduler.add_task(note, "one", trigger=None, id="note")
        await scheduler.store.runs()
        await other.submit([waiting_run("note", '{"args": [1, 2], "kwargs": {}}'), waiting_run("note", "no JSON")])
        runs = await finished(other, 2)
    assert {run.state for run in runs} == {"error"}
    assert all("does not accept the stored arguments" in run.error for run in runs)
    assert calls == []


async def test_paused_task_leaves_submissions_waiting(store: Store, other: StoreSession) -> None:
    async with AsyncIOScheduler(store=store) as scheduler:
        task = scheduler.add_task(note, "one", trigger=None, id="note", paused=True)
        marker = scheduler.add_task(note, "two", trigger=None, id="marker")
        await scheduler.store.runs()
        task.submit()
        marker.submit()
        await finished(other, 1)
        assert [run.task_id for run in await other.runs(RunQuery(states=("waiting",)))] == ["note"]
        task.resume()
        await finished(other, 2)
    assert sorted(calls) == ["one", "two"]


# Waiting runs without a task


async def test_waiting_run_of_removed_task_is_cancelled(store: Store, other: StoreSession) -> None:
    await other.change(TaskRecord(id="gone", function="tests.helpers.stored_jobs:note"))
    await other.submit([waiting_run("gone"), waiting_run("never")])
    await other.remove(["gone"])
    async with AsyncIOScheduler(store=store, store_options=IMPORTABLE) as scheduler:
        scheduler.add_task(note, "one", trigger=None, id="note")
        runs = await finished(other, 2)
    assert {(run.state, run.error) for run in runs} == {("cancelled", "the task was removed")}


async def test_waiting_run_of_parked_task_fails(store: Store, other: StoreSession) -> None:
    parked = TaskRecord(id="parked", function="jobs:gone", state="parked", problem="its module is gone")
    await other.change(parked)
    await other.submit([waiting_run("parked")])
    async with AsyncIOScheduler(store=store) as scheduler:
        scheduler.add_task(note, "one", trigger=None, id="note")
        (run,) = await finished(other, 1)
        assert scheduler.store.unreadable == {"parked": "its module is gone"}
    assert run.state == "error"
    assert "its module is gone" in run.error


async def test_waiting_run_of_other_program_waits(store: Store, other: StoreSession) -> None:
    await other.change(TaskRecord(id="foreign", function="other.program:job"))
    await other.submit([waiting_run("foreign")])
    async with AsyncIOScheduler(store=store) as scheduler:
        task = scheduler.add_task(note, "one", trigger=None, id="note")
        # Claimed after the foreign one.
        task.submit()
        await finished(other, 1)
    (run,) = await other.runs(RunQuery(task_id="foreign"))
    assert (run.state, run.fence) == ("waiting", 2)
    assert run.not_before is not None
    assert timedelta(seconds=1) < run.not_before - datetime.now(UTC) < timedelta(seconds=6)


# Answers that are lost


async def test_lost_answers_change_nothing(caplog: pytest.LogCaptureFixture) -> None:
    faulty = FaultyStore(Faults(), AnswerlessSession)
    other = await faulty.store.connect(NodeRecord(id=uuid4().hex), TTL)
    async with AsyncIOScheduler(store=faulty) as scheduler:
        scheduler.add_task(note, "due", id="due")
        await finished(other, 1)
        scheduler.add_task(note, "call", trigger=None, id="call").submit()
        runs = await finished(other, 2)
        assert scheduler.store.rejected_outcomes == 0
    assert sorted(calls) == ["call", "due"]
    assert [(run.state, run.fence) for run in runs] == [("executed", 2)] * 2
    assert "rejected" not in caplog.text


async def test_lost_take_over_does_not_call_again() -> None:
    faulty = FaultyStore(Faults(), AnswerlessSession)
    other = await faulty.store.connect(NodeRecord(id=uuid4().hex), TTL)
    zombie = await faulty.store.connect(NodeRecord(id=uuid4().hex), TTL)
    await zombie.submit([waiting_run("note").model_copy(update={"state": "running"})])
    await zombie.close()
    async with AsyncIOScheduler(store=faulty) as scheduler:
        scheduler.add_task(note, "one", trigger=None, id="note")
        (run,) = await finished(other, 1)
    assert (run.state, run.error[:13]) == ("error", "NodeLostError")
    assert calls == []


async def test_run_without_answer_is_given_back_at_close() -> None:
    """The scheduler is closed before it asks for runs that belong to it without its knowledge."""
    faults = Faults()
    faulty = FaultyStore(faults, LeavingSession)
    other = await faulty.store.connect(NodeRecord(id=uuid4().hex), TTL)
    async with AsyncIOScheduler(store=faulty) as scheduler:
        scheduler.add_task(note, "one", id="note")
        await until(lambda: not scheduler.store.connected)
        # The store is reached again while the scheduler is closed, before its next attempt.
        faults.broken = False
    (run,) = await other.runs(RunQuery())
    assert (run.state, run.node, run.fence) == ("waiting", None, 2)
    assert calls == []


async def test_bad_outcome_does_not_affect_others(caplog: pytest.LogCaptureFixture) -> None:
    faulty = FaultyStore(Faults(), PickySession)
    other = await faulty.store.connect(NodeRecord(id=uuid4().hex), TTL)
    async with AsyncIOScheduler(store=faulty) as scheduler:
        for number in range(20):
            scheduler.add_task(note, "bad" if number == 7 else f"{number}", id=f"task-{number}")
        runs = await finished(other, 20)
    results = {run.task_id: run.result for run in runs}
    assert results == {f"task-{number}": None if number == 7 else f'"{number}"' for number in range(20)}
    assert {run.state for run in runs} == {"executed"}
    (bad,) = [run for run in runs if run.task_id == "task-7"]
    assert bad.error.startswith("the details could not be stored: StoreDataError")
    assert "is stored without details" in caplog.text


async def test_outcome_that_no_store_accepts_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    faulty = FaultyStore(Faults(), PickySession)
    other = await faulty.store.connect(NodeRecord(id=uuid4().hex), TTL)
    async with AsyncIOScheduler(store=faulty) as scheduler:
        scheduler.add_task(stored_jobs.fail, "worst", id="worst")
        await until(lambda: "it is dropped" in caplog.text)
        scheduler.add_task(note, "one", id="note")
        await finished(other, 1)


# Overdue tasks


@pytest.mark.slow
async def test_foreign_overdue_tasks_do_not_hide_others() -> None:
    faulty = FaultyStore(Faults(), ForgetfulSession)
    other = await faulty.store.connect(NodeRecord(id=uuid4().hex), TTL)
    long_ago = datetime.now(UTC) - timedelta(hours=3)
    foreign = [TaskRecord(id=f"foreign-{number}", function="other:job", next_due=long_ago) for number in range(450)]
    await other.declare(foreign, "update")
    async with AsyncIOScheduler(store=faulty) as scheduler:
        scheduler.add_task(note, "one", id="note")
        await finished(other, 1)
    assert calls == ["one"]


class CountingSession(FaultySession):
    """Session that counts the records of its looks for overdue tasks."""

    records = 0

    @override
    async def overdue(
        self, by: timedelta, limit: int, after: tuple[datetime, str] | None = None, /
    ) -> Sequence[TaskRecord]:
        found = await super().overdue(by, limit, after)
        self.records += len(found)
        return found


async def test_look_for_late_tasks_reads_no_old_ones() -> None:
    """Tasks of other programs may be overdue for hours."""
    faulty = FaultyStore(Faults(), CountingSession)
    other = await faulty.store.connect(NodeRecord(id=uuid4().hex), TTL)
    now = datetime.now(UTC)
    ages = [timedelta(hours=3)] * 450 + [timedelta(seconds=1)]
    foreign = [
        TaskRecord(id=f"foreign-{number}", function="other:job", next_due=now - age) for number, age in enumerate(ages)
    ]
    await other.declare(foreign, "update")
    async with AsyncIOScheduler(store=faulty) as scheduler:
        connector = scheduler.store._connector
        session = await faulty.connect(NodeRecord(id=uuid4().hex), TTL)
        assert isinstance(session, CountingSession)
        connector._wants_late, connector._more_overdue, connector._recheck_at = True, False, float("inf")
        await connector._fire_left(session)
        await session.close()
    assert session.records == 1


async def test_many_late_tasks_are_fired_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dead node leaves more due times than one look reads: the others do not wait for the next look."""
    monkeypatch.setattr(_store_overdue, "_PAGE", 5)
    monkeypatch.setattr(_store_overdue, "_PAGES", 2)
    store = MemoryStore()
    dead = [await store.connect(NodeRecord(id=uuid4().hex), timedelta(minutes=10)) for _ in range(9)]
    due, trigger = datetime.now(UTC) + timedelta(seconds=2), encode_trigger("task", HOURLY)
    tasks = [
        TaskRecord(
            id=f"task-{number}",
            function="tests.helpers.stored_jobs:note",
            arguments=f'{{"args": ["{number}"], "kwargs": {{}}}}',
            trigger=trigger,
            next_due=due,
            started_at=due - timedelta(hours=1),
        )
        for number in range(300)
    ]
    await dead[0].declare(tasks, "update")
    async with AsyncIOScheduler(store=store, store_options=StoreOptions(importable=("tests.helpers",), lease=600)):
        await until(lambda: len(calls) == 300)
    assert sorted(calls) == sorted(f"{number}" for number in range(300))


# Retention


@pytest.mark.parametrize("per_task", [3, 25])
async def test_history_of_a_task_is_bounded(
    store: Store, other: StoreSession, per_task: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_store_history, "_INTERVAL", 0.01)
    options = StoreOptions(retention=Retention(per_task=per_task))
    async with AsyncIOScheduler(store=store, store_options=options) as scheduler:
        task = scheduler.add_task(note, "one", trigger=None, id="note", max_instances=1000)
        for _ in range(per_task * 4):
            task.submit()
        await until(lambda: len(calls) == per_task * 4)
        await until(lambda: scheduler.store.connected)
        while len(await other.runs(RunQuery(limit=1000))) > per_task:
            await asyncio.sleep(0.005)
            task.submit()
    left = await other.runs(RunQuery())
    # The newest are left.
    assert left[0].sequence - left[-1].sequence == len(left) - 1


async def test_old_runs_are_pruned_by_state(store: Store, other: StoreSession) -> None:
    now = datetime.now(UTC)
    runs = [waiting_run("note").model_copy(update={"state": "running"}) for _ in range(1100)]
    await other.submit(runs)
    await other.finish(
        [
            Outcome(
                run_id=run.id,
                fence=1,
                state="executed" if number < 1050 else "error",
                finished_at=now - timedelta(days=4 if number != 1049 else 1),
            )
            for number, run in enumerate(runs)
        ]
    )
    async with AsyncIOScheduler(store=store) as scheduler:
        scheduler.add_task(note, "one", trigger=None, id="note")
        # More than one step.
        deadline = time.monotonic() + 30
        while len(left := await other.runs(RunQuery(limit=2000))) > 51:
            assert time.monotonic() < deadline, len(left)
            await asyncio.sleep(0.005)
    assert Counter(run.state for run in left) == {"executed": 1, "error": 50}


async def test_history_without_limits_is_kept(store: Store, other: StoreSession) -> None:
    run = waiting_run("note").model_copy(update={"state": "running"})
    await other.submit([run])
    await other.finish(
        [Outcome(run_id=run.id, fence=1, state="executed", finished_at=datetime(2000, 1, 1, tzinfo=UTC))]
    )
    options = StoreOptions(retention=Retention(executed=None, error=None, missed=None, cancelled=None, per_task=None))
    async with AsyncIOScheduler(store=store, store_options=options) as scheduler:
        scheduler.add_task(note, "one", id="note")
        await finished(other, 2)
        scheduler.add_task(note, "two", id="two")
        assert len(await finished(other, 3)) == 3


# Clocks


class WrongClock(SystemClock):
    """Clock that differs from that of the store by some seconds."""

    def __init__(self, ahead: float) -> None:
        super().__init__()
        self.ahead = ahead

    @override
    def now(self) -> float:
        return super().now() + self.ahead


@pytest.mark.parametrize("ahead", [-300.0, 300.0])
async def test_wrong_clock_of_node_does_not_shift_runs(store: Store, other: StoreSession, ahead: float) -> None:
    async with AsyncIOScheduler(store=store, clock=WrongClock(ahead)) as scheduler:
        await scheduler.store.runs()
        scheduler.add_task(note, "one", trigger=IntervalTrigger(seconds=0.03), id="note")
        runs = await finished(other, 5)
    for run in runs:
        assert run.created_at is not None
        assert timedelta(0) <= run.created_at - run.scheduled_at < timedelta(seconds=5)


@pytest.mark.parametrize("ahead", [-300.0, 300.0])
async def test_wrong_clock_does_not_shift_outcomes(store: Store, other: StoreSession, ahead: float) -> None:
    """The history is pruned by the time of the outcome and the clock of the store."""
    async with AsyncIOScheduler(store=store, clock=WrongClock(ahead)) as scheduler:
        await scheduler.store.runs()
        scheduler.add_task(note, "one", trigger=None, id="note").submit()
        scheduler.add_task(fail, "one", trigger=None, id="fail").submit()
        runs = await finished(other, 2)
    for run in runs:
        for moment in (run.started_at, run.finished_at):
            assert moment is not None
            assert run.created_at is not None
            assert abs(moment - run.created_at) < timedelta(seconds=60)


@pytest.mark.parametrize("ahead", [-300.0, 300.0])
async def test_declaration_counts_by_clock_of_store(store: Store, other: StoreSession, ahead: float) -> None:
    """A task that is added before the start, when the difference of the clocks is not known."""
    scheduler = AsyncIOScheduler(store=store, clock=WrongClock(ahead))
    scheduler.add_task(note, "one", trigger=IntervalTrigger(seconds=0.1), id="note", coalesce=False)
    async with scheduler:
        runs = await finished(other, 5)
    (task,) = await other.changes(0, 10)
    for moment in (task.started_at, *(run.scheduled_at for run in runs)):
        assert moment is not None
        assert abs(moment - other.lease.now) < timedelta(seconds=60)


@pytest.mark.slow
@pytest.mark.parametrize("ahead", [-300.0, 300.0])
async def test_clock_step_of_node_does_not_shift_runs(store: Store, other: StoreSession, ahead: float) -> None:
    clock = WrongClock(0)
    async with AsyncIOScheduler(store=store, clock=clock, store_options=StoreOptions(lease=3)) as scheduler:
        scheduler.add_task(note, "one", trigger=IntervalTrigger(seconds=0.1), id="note", coalesce=False)
        await finished(other, 5)
        clock.ahead = ahead
        before = len(await other.runs(RunQuery()))
        runs = await finished(other, before + 20)
    for run in runs:
        assert run.created_at is not None
        assert timedelta(0) <= run.created_at - run.scheduled_at < timedelta(seconds=5)


def test_clock_offset_is_zero_if_clocks_may_agree() -> None:
    lease = Lease(until=datetime.fromtimestamp(115, UTC), now=datetime.fromtimestamp(100, UTC))
    assert clock_offset(0, 99, lease, 101) == 0
    assert clock_offset(0, 100, lease, 100) == 0
    assert clock_offset(0, 103, lease, 104) == 4
    assert clock_offset(0, 90, lease, 98) == -2


def test_clock_offset_is_kept_if_calls_are_slow() -> None:
    lease = Lease(until=datetime.fromtimestamp(115, UTC), now=datetime.fromtimestamp(100, UTC))
    assert clock_offset(4, 103, lease, 109) == 4
    assert clock_offset(4, 99, lease, 105) == 4
    assert clock_offset(4, 99, lease, 103) == 0
    assert clock_offset(4, 101, lease, 103) == 3


# Fences


@pytest.mark.parametrize("executor", ["asyncio", "threadpool", pytest.param("processpool", marks=pytest.mark.slow)])
async def test_function_sees_its_fence(store: Store, other: StoreSession, executor: str) -> None:
    async with AsyncIOScheduler(store=store) as scheduler:
        task = scheduler.add_task(ownership, trigger=None, id="task", executor=executor)
        assert (await task.run())[1] == 1
        task.submit()
        runs = await finished(other, 2)
        (node,) = (
            await scheduler.store.nodes()
            if len(await scheduler.store.nodes()) == 1
            else [each for each in await scheduler.store.nodes() if each.name]
        )
    for run in runs:
        assert run.result == f'["{run.id}",1,"{node.id}"]'
        assert run.node == node.id


async def test_function_without_store_has_no_fence() -> None:
    async with AsyncIOScheduler() as scheduler:
        assert await scheduler.add_task(ownership, trigger=None).run() == (ANY, None, None)


async def test_retried_run_keeps_its_fence(store: Store, other: StoreSession) -> None:
    async with AsyncIOScheduler(store=store) as scheduler:
        scheduler.add_task(stored_jobs.fail, "x", id="task", retry=Retry(attempts=3, delay=0))
        (run,) = await finished(other, 1)
    assert (run.state, run.attempt, run.fence) == ("error", 3, 2)


@pytest.mark.slow
async def test_function_sees_that_the_lease_is_lost(caplog: pytest.LogCaptureFixture) -> None:
    faults = Faults()
    faulty = FaultyStore(faults)
    async with AsyncIOScheduler(store=faulty, store_options=StoreOptions(lease=3)) as scheduler:
        scheduler.add_task(work_until_cancelled, id="task", executor="threadpool")
        await until(lambda: calls == ["begun"])
        faults.broken = True
        await until(lambda: calls == ["begun", "cancelled"])
        faults.broken = False
        other = await faulty.store.connect(NodeRecord(id=uuid4().hex), TTL)
        (run,) = await finished(other, 1)
    # So that the policy for lost runs applies, and a retry of the task.
    assert (run.state, run.error.partition(":")[0]) == ("error", "NodeLostError")
    assert caplog.text.count("The lease of this node is over") == 1


async def test_attempts_continue_after_shutdown(store: Store, other: StoreSession) -> None:
    """A run that waits for its next attempt waits in the store after a shutdown, with that number."""
    scheduler = AsyncIOScheduler(store=store)
    failing = scheduler.add_task(fail, "one", trigger=None, id="failing", retry=Retry(attempts=3, delay=60))
    async with scheduler:
        failing.submit()
        await until(lambda: failing.state.retrying == 1)
    (run,) = await other.runs(RunQuery())
    assert (run.state, run.attempt) == ("waiting", 2)
    assert run.not_before is not None
    assert run.not_before > datetime.now(UTC) + timedelta(seconds=30)


async def test_attempts_continue_where_they_were(store: Store, other: StoreSession) -> None:
    scheduler = AsyncIOScheduler(store=store)
    scheduler.add_task(fail, "one", trigger=None, id="failing", retry=Retry(attempts=3))
    _ = await other.submit([waiting_run("failing").model_copy(update={"attempt": 2})])
    async with scheduler:
        (run,) = await finished(other, 1)
    assert (run.state, run.attempt, calls) == ("error", 3, ["one"] * 2)


async def test_lost_attempts_are_counted(store: Store, other: StoreSession) -> None:
    """A function that ends its node each time is not called for ever."""
    scheduler = AsyncIOScheduler(store=store)
    retry = Retry(attempts=2, on=(NodeLostError,))
    scheduler.add_task(note, "one", trigger=None, id="note", retry=retry)
    _ = await other.submit([waiting_run("note")])
    for attempt in (1, 2):
        victim = await store.connect(NodeRecord(id=uuid4().hex), TTL)
        async with asyncio.timeout(30):
            while not (claimed := await victim.claim({"asyncio": 1}, 1)):
                await asyncio.sleep(0.01)
        assert [run.attempt for run in claimed] == [attempt]
        await victim.close()
        async with AsyncIOScheduler(store=store) as heir:
            # Paused, so that it takes over and gives back, but does not claim.
            heir.add_task(note, "one", trigger=None, id="note", retry=retry, paused=True, existing="replace")
            await until(lambda: heir.store._connector.runs.taken_over == 1)
    (run,) = await finished(other, 1)
    assert (run.state, run.error.partition(":")[0], run.attempt) == ("error", "NodeLostError", 2)
    assert not calls
