"""Leases of nodes: runs that must not begin or go on after their end, and news of the store with each renewal."""

from __future__ import annotations

import asyncio
import pickle
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import ValidationError
from typing_extensions import override

from asyncz import AsyncIOScheduler, IntervalTrigger, Retry, TaskCancelled, TaskExecuted, current_run
from asyncz._run_owners import LeaseTerm, OwnedCall, RunOwnership, RunPermit, owned_call
from asyncz.clock import utc
from asyncz.dashboard._journal import Journal
from asyncz.schedulers._observation import observe
from asyncz.schedulers._store_lease import LeaseKeeper, lease_clock
from asyncz.schedulers._store_part import StoreConnector
from asyncz.stores import (
    Lease,
    MemoryStore,
    NodeRecord,
    Outcome,
    RunQuery,
    RunRecord,
    StoreConnectionError,
    StoreOptions,
    StoreSession,
    TaskRecord,
)
from asyncz.stores._calls import StoredCall
from asyncz.stores.memory import MemoryStoreSession
from tests.helpers.stored_jobs import block, calls, note, release, work_until_cancelled, write_and_hang
from tests.helpers.waiting import until
from tests.stores.faulty_stores import Faults, FaultySession, FaultyStore
from tests.stores.test_stored_runs import IMPORTABLE, finished, waiting_run

pytestmark = pytest.mark.anyio

TTL = timedelta(seconds=15)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
async def other(store: MemoryStore) -> AsyncIterator[StoreSession]:
    """Session of a node without a scheduler."""
    session = await store.connect(NodeRecord(id=uuid4().hex), TTL)
    yield session
    await session.close()


def keeper_of(scheduler: AsyncIOScheduler) -> LeaseKeeper:
    connector = scheduler._parts.store
    assert isinstance(connector, StoreConnector)
    assert connector._lease is not None
    return connector._lease


def lose_lease(scheduler: AsyncIOScheduler) -> None:
    """Have the node know that its lease had ended, as the renewal that follows reports."""
    keeper_of(scheduler)._renewed(lease_clock(), lost=True)


def work_until_cancelled_once() -> str:
    """Run until the run is cancelled; a second call returns at once."""
    if "cancelled" not in calls:
        work_until_cancelled()
    return "again"


RUN_ID = uuid4()


def owned(permit: RunPermit) -> OwnedCall:
    """Return the call of a run that may begin as a permit says."""
    return owned_call(StoredCall.of(partial(note, "one")).bound(), RunOwnership(RUN_ID, "task", 1, "node", permit))


# Runs


async def test_run_sees_the_end_of_its_lease(store: MemoryStore, other: StoreSession) -> None:
    """The lease is valid again before the run looks, but another node may have taken over the run."""
    outcomes: list[TaskExecuted[object] | TaskCancelled] = []
    async with AsyncIOScheduler(store=store, store_options=StoreOptions(on_lost="rerun")) as scheduler:
        scheduler.on(TaskCancelled)(outcomes.append)
        scheduler.add_task(work_until_cancelled_once, id="task", executor="threadpool")
        await until(lambda: calls == ["begun"])
        lose_lease(scheduler)
        (run,) = await finished(other, 1)
    assert [type(each) for each in outcomes] == [TaskCancelled]
    assert calls == ["begun", "cancelled"]
    # Given back, as no other node had taken it over, and claimed again.
    assert (run.state, run.result, run.fence) == ("executed", '"again"', 4)


@pytest.mark.parametrize("retry", [None, Retry(attempts=2, delay=0.0)], ids=["no retry", "retry"])
async def test_lost_lease_leaves_the_retry(store: MemoryStore, other: StoreSession, retry: Retry | None) -> None:
    """A run that must not be called again fails as that of a dead node, which is a reason for a retry."""
    async with AsyncIOScheduler(store=store) as scheduler:
        scheduler.add_task(work_until_cancelled_once, id="task", executor="threadpool", retry=retry)
        await until(lambda: calls == ["begun"])
        lose_lease(scheduler)
        (run,) = await finished(other, 1)
    if retry is None:
        assert (run.state, run.error[:13]) == ("error", "NodeLostError")
    else:
        assert (run.state, run.result) == ("executed", '"again"')


async def test_run_of_another_node_ends_silently(store: MemoryStore, other: StoreSession) -> None:
    """A node that has taken over the run decides about it."""
    async with AsyncIOScheduler(store=store) as scheduler:
        scheduler.add_task(work_until_cancelled, id="task", executor="threadpool")
        await until(lambda: calls == ["begun"])
        connector = scheduler._parts.store
        assert isinstance(connector, StoreConnector)
        with store._lock:
            lease = store._tables.nodes.pop(connector.node_id)
        (taken,) = await other.take_over(10)
        with store._lock:
            store._tables.nodes[connector.node_id] = lease
        lose_lease(scheduler)
        await until(lambda: calls == ["begun", "cancelled"])
        await until(lambda: not connector.runs.wants_reclaim and not connector.runs._owned)
        (run,) = await other.runs(RunQuery())
        assert run == taken.model_copy(update={"lost_node": None})
        assert await other.finish([Outcome(run_id=run.id, fence=run.fence, state="executed", finished_at=utc(9))])


gates: list[asyncio.Event] = []
"""One for each call of `pass_gate`, in order."""


async def pass_gate() -> int:
    """Return the number of this call, from 0, once its gate is open; not even a lost lease ends it."""
    number = len(calls)
    calls.append(f"{current_run().run_id}")
    await gates[number].wait()
    return number


async def running_runs(scheduler: AsyncIOScheduler, number: int) -> None:
    """Wait until the task has a number of running runs."""
    await until(lambda: scheduler.get_task("task").state.running == number)


@asynccontextmanager
async def executed_twice(
    store: MemoryStore,
    other: StoreSession,
    way: str,
    prepare: Callable[[AsyncIOScheduler], object] = lambda _: None,
) -> AsyncIterator[tuple[AsyncIOScheduler, StoreConnector]]:
    """Run a scheduler that owns a run again, whose first execution goes on after the loss of its lease."""
    gates[:] = [asyncio.Event(), asyncio.Event()]
    scheduler = AsyncIOScheduler(store=store, store_options=StoreOptions(on_lost="rerun"))
    prepare(scheduler)
    async with scheduler:
        if way == "called":
            scheduler.add_task(pass_gate, trigger=None, id="task", max_instances=2).run()
        else:
            scheduler.add_task(pass_gate, id="task", max_instances=2)
        await until(lambda: len(calls) == 1)
        connector = scheduler._parts.store
        assert isinstance(connector, StoreConnector)
        await until(lambda: bool(store._tables.runs) and not connector.runs._submissions)
        with store._lock:
            lease = store._tables.nodes.pop(connector.node_id)
        (taken,) = await other.take_over(10)
        with store._lock:
            store._tables.nodes[connector.node_id] = lease
        assert await other.finish([Outcome(run_id=taken.id, fence=taken.fence, state="waiting")])
        lose_lease(scheduler)
        await until(lambda: len(calls) == 2)
        yield scheduler, connector


@pytest.mark.parametrize("way", ["fired", "called"])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["lost one first", "owner first"])
async def test_two_executions_of_run_are_told_apart(
    store: MemoryStore, other: StoreSession, way: str, order: Sequence[int]
) -> None:
    """They have one id in one process, and only the outcome of the owner counts."""
    async with executed_twice(store, other, way) as (scheduler, connector):
        (run,) = await other.runs(RunQuery())
        assert calls == [f"{run.id}"] * 2
        assert scheduler.get_task("task").state.running == 2
        assert (run.state, scheduler.get_run(run.id).outcome) == ("running", None)
        assert len({at for _, at in (*connector.runs._owned, *connector.runs._called)}) == 2
        for running, number in zip((1, 0), order, strict=True):
            gates[number].set()
            await running_runs(scheduler, running)
        await until(lambda: not connector.runs.outcomes.fences)
        assert connector.runs.outcomes.rejected == 1
        (run,) = await other.runs(RunQuery())
        assert (run.state, run.result) == ("executed", "1")
        assert not connector.runs._owned
        assert not connector.runs._called


async def test_outcomes_of_two_executions_are_stored_apart(store: MemoryStore, other: StoreSession) -> None:
    """Those of one page are not taken for each other: the store accepts ids of runs."""
    async with executed_twice(store, other, "fired") as (scheduler, connector):
        for gate in gates:
            gate.set()
        await until(lambda: not scheduler.get_task("task").state.running)
        await until(lambda: not connector.runs.outcomes.fences)
        assert connector.runs.outcomes.rejected == 1


@pytest.mark.parametrize("way", ["fired", "called"])
async def test_cancellation_by_id_ends_both_executions(store: MemoryStore, other: StoreSession, way: str) -> None:
    async with executed_twice(store, other, way) as (scheduler, connector):
        (run,) = await other.runs(RunQuery())
        assert scheduler.cancel_run(run.id)
        await until(lambda: not scheduler.get_task("task").state.running)
        await until(lambda: not connector.runs.outcomes.fences)
        (run,) = await other.runs(RunQuery())
        assert (run.state, scheduler.get_run(run.id).outcome) == ("cancelled", "cancelled")
        assert not scheduler.cancel_run(run.id)


async def test_journal_shows_the_owner_of_two_executions(store: MemoryStore, other: StoreSession) -> None:
    journals: list[Journal] = []

    def prepare(scheduler: AsyncIOScheduler) -> None:
        journals.append(Journal(scheduler, 10, 10, len))

    async with executed_twice(store, other, "fired", prepare) as (scheduler, _):
        (run,) = await other.runs(RunQuery())
        for number, outcome in enumerate((None, "executed")):
            gates[number].set()
            await running_runs(scheduler, 1 - number)
            (shown,) = journals[0].runs(lambda _: True, 10)
            assert (shown.details.run_id, shown.outcome) == (run.id, outcome)


@pytest.mark.parametrize("on_lost", ["fail", "rerun"])
async def test_queued_run_without_lease_does_not_begin(store: MemoryStore, other: StoreSession, on_lost: str) -> None:
    """Another node may have taken it over meanwhile; if not, it is for any node again."""
    options = StoreOptions(on_lost="rerun" if on_lost == "rerun" else "fail")
    async with AsyncIOScheduler(store=store, store_options=options) as scheduler:
        scheduler.add_executor("threadpool", alias="one", max_workers=1)
        scheduler.add_task(block, "block", trigger=None, id="block", executor="one").run()
        await until(lambda: calls == ["block"])
        scheduler.add_task(note, "note", id="note", executor="one")
        await until(lambda: bool(scheduler.get_task("note").state.running))
        lose_lease(scheduler)
        begun_before: list[str] = []
        scheduler.on(TaskCancelled)(lambda event: begun_before.extend([*calls, event.task_id]))
        release.set()
        runs = await finished(other, 2)
    assert begun_before == ["block", "note"]
    assert calls == ["block", "note"]
    (run,) = [run for run in runs if run.task_id == "note"]
    assert (run.state, run.fence) == ("executed", 4)


async def test_run_after_the_lease_does_not_begin(store: MemoryStore) -> None:
    """By the clock of the node: it may have been stopped, and has not asked the store yet."""
    async with AsyncIOScheduler(store=store) as scheduler:
        term = keeper_of(scheduler).term
        permit = RunPermit(term)
        call = owned(permit)
        assert call() == "ONE"
        term.until = lease_clock() - 0.1
        with pytest.raises(asyncio.CancelledError):
            call()
    assert (permit.refused, calls) == (True, ["one"])


def test_pickled_call_has_no_lease() -> None:
    term = LeaseTerm(time.monotonic() + 60, time.monotonic)
    permit = RunPermit(term)
    call = owned(permit)
    sent: object = pickle.loads(pickle.dumps(call))
    assert isinstance(sent, OwnedCall)
    assert sent.ownership == RunOwnership(RUN_ID, "task", 1, "node")
    assert sent() == "ONE"
    term.over = True
    refused: object = pickle.loads(pickle.dumps(call))
    assert permit.refused
    assert callable(refused)
    with pytest.raises(asyncio.CancelledError):
        refused()


@pytest.mark.slow
async def test_worker_process_receives_no_run_without_lease(
    store: MemoryStore, other: StoreSession, tmp_path: Path
) -> None:
    async with AsyncIOScheduler(store=store) as scheduler:
        scheduler.add_executor("processpool", alias="one", max_workers=1)
        first = scheduler.add_task(
            write_and_hang, str(tmp_path), "first", trigger=None, id="first", executor="one"
        ).run()
        await until((tmp_path / "lines").exists)
        scheduler.add_task(time.sleep, 0.0, id="second", executor="one")
        await until(lambda: bool(scheduler.get_task("second").state.running))
        lose_lease(scheduler)
        (tmp_path / "go on").touch()
        await first
        runs = await finished(other, 2)
    (run,) = [run for run in runs if run.task_id == "second"]
    assert (run.state, run.fence) == ("executed", 4)


class AnswerlessClaims(FaultySession):
    """Session that loses the answer of the first claim."""

    lost = False

    @override
    async def claim(self, executors: Mapping[str, int], limit: int, skip: Sequence[str] = (), /) -> Sequence[RunRecord]:
        claimed = await super().claim(executors, limit, skip)
        if claimed and not self.lost:
            self.lost = True
            raise StoreConnectionError("faulty", "the answer was lost")
        return claimed


async def test_lost_claim_of_a_run_given_back_is_called() -> None:
    """Its fence is above that of a first owner, but no function was called."""
    faulty = FaultyStore(Faults(), AnswerlessClaims)
    other = await faulty.store.connect(NodeRecord(id=uuid4().hex), TTL)
    run = waiting_run("note").model_copy(update={"state": "running"})
    await other.submit([run])
    await other.finish([Outcome(run_id=run.id, fence=1, state="waiting")])
    async with AsyncIOScheduler(store=faulty, store_options=IMPORTABLE) as scheduler:
        scheduler.add_task(note, "one", trigger=None, id="note")
        (run,) = await finished(other, 1)
    assert (run.state, run.error, calls) == ("executed", "", ["one"])


# Renewals


class ScriptedSession(FaultySession):
    """Session whose renewals follow a script of results and errors."""

    def __init__(self, session: MemoryStoreSession, faults: Faults, script: list[Callable[[], Lease]]) -> None:
        super().__init__(session, faults)
        self.script = script

    @override
    def renew(self) -> Lease:
        return self.script.pop(0)()


def lease(*, lost: bool = False) -> Lease:
    now = utc(time.time())
    return Lease(until=now + TTL, now=now, lost=lost)


def away() -> Lease:
    raise StoreConnectionError("faulty", "it is away")


async def keeper_with(
    script: list[Callable[[], Lease]], duration: float, sent: float
) -> tuple[LeaseKeeper, list[bool], threading.Event]:
    """Return a started keeper whose session follows a script, and its reports."""
    memory = await MemoryStore().connect(NodeRecord(id=uuid4().hex), TTL)
    assert isinstance(memory, MemoryStoreSession)
    lost, done = list[bool](), threading.Event()
    session = ScriptedSession(memory, Faults(), script)

    def on_renewed(_lease: Lease, was_lost: bool, _asked: float, _answered: float) -> None:
        lost.append(was_lost)
        if not script:
            keeper.stop()
            done.set()

    keeper = LeaseKeeper(session, duration, sent, time.time, on_renewed)
    keeper.start()
    return keeper, lost, done


async def test_lease_counts_from_the_request() -> None:
    """A connection that takes longer than a third of the lease is followed by a renewal at once."""
    now = lease_clock()
    keeper, lost, done = await keeper_with([lease], 60.0, now - 40)
    assert await asyncio.to_thread(done.wait, 30)
    assert lost == [False]
    assert keeper.term.until > now + 50


async def test_lost_answer_of_a_renewal_is_a_lost_lease() -> None:
    """The store reports the end of a lease once, perhaps in an answer that does not arrive."""
    keeper, lost, done = await keeper_with([away, lease], 0.3, lease_clock() - 10)
    term = keeper.term
    assert await asyncio.to_thread(done.wait, 30)
    assert lost == [True]
    assert (term.over, keeper.term is term) == (True, False)


async def test_failed_renewal_in_time_keeps_the_term() -> None:
    keeper, lost, done = await keeper_with([away, lease], 60.0, lease_clock() - 30)
    term = keeper.term
    assert await asyncio.to_thread(done.wait, 30)
    assert (lost, keeper.term is term, term.is_valid) == ([False], True, True)


def test_version_above_32_bits_is_rejected() -> None:
    with pytest.raises(ValidationError, match="app_version"):
        NodeRecord(id="one", app_version=2**31)
    with pytest.raises(ValidationError, match="app_version"):
        TaskRecord(id="one", function="jobs:one", app_version=2**31)


# Observation


async def test_overdue_time_counts_by_the_clock_of_the_store() -> None:
    """The clock of the node is 100 seconds ahead of that of the store."""
    now = time.time()
    store = MemoryStore(now=lambda: now - 100)
    async with AsyncIOScheduler(store=store) as scheduler:
        task = scheduler.add_task(note, "one", id="note", trigger=IntervalTrigger(seconds=50))
        await until(lambda: task.state.next_run_at is not None)
        assert observe(scheduler._parts).overdue == 0
