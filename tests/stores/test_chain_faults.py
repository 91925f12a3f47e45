"""Chains of stored tasks with results that cannot be handed over, and with a store that fails in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated
from unittest.mock import Mock
from uuid import UUID, uuid4

import pytest
from pydantic import BeforeValidator, PlainSerializer
from typing_extensions import override

from asyncz import AsyncIOScheduler, Task
from asyncz.events import RunDetails
from asyncz.schedulers import _store_outcomes
from asyncz.schedulers._store_chains import HandOver, ResultReceivers, StoredChains
from asyncz.schedulers._store_outcomes import OwnedRun, PendingOutcomes
from asyncz.stores import (
    MemoryStore,
    NodeRecord,
    Outcome,
    PickleCodec,
    RunQuery,
    RunRecord,
    Store,
    StoreConnectionError,
    StoreDataError,
    StoreSession,
    TaskRecord,
    UnreadableTaskError,
    UnstorableTaskError,
)
from asyncz.stores._calls import (
    MAX_HANDED_OVER,
    StoredCall,
    call_with_result,
    decode_arguments,
    encode_arguments,
    encode_with_result,
)
from tests.helpers.stored_jobs import calls, note, note_any, repeat
from tests.stores.faulty_stores import Faults, FaultySession, FaultyStore
from tests.stores.test_stored_chains import finished

pytestmark = pytest.mark.anyio

TTL = timedelta(seconds=15)


class ChainFaults(Faults):
    """Faults of sessions with chains.

    Attributes:
        unread: Ids of tasks for whose runs the next look fails.
        rejected: Text of arguments of downstream runs that are rejected; None if none are.
        pages: Lengths of the results of each page of outcomes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.unread: set[str] = set()
        self.rejected: str | None = None
        self.pages: list[list[int]] = []


class ChainSession(FaultySession):
    @property
    def faults(self) -> ChainFaults:
        assert isinstance(self._faults, ChainFaults)
        return self._faults

    @override
    async def runs(self, query: RunQuery, /) -> Sequence[RunRecord]:
        if query.task_id in self.faults.unread:
            self.faults.unread.discard(query.task_id or "")
            raise StoreConnectionError("faulty", "the connection was reset")
        return await super().runs(query)

    @override
    async def finish(self, outcomes: Sequence[Outcome], /) -> Sequence[UUID]:
        self.faults.pages.append([len(outcome.result or "") for outcome in outcomes])
        for run in [run for outcome in outcomes for run in outcome.then]:
            if self.faults.rejected is not None and self.faults.rejected in (run.arguments or ""):
                raise StoreDataError("picky", f"bad arguments of {run.task_id}")
        return await super().finish(outcomes)


@asynccontextmanager
async def submitted_chain(store: Store) -> AsyncGenerator[None, None]:
    """Start a scheduler with a task and its downstream task, and submit a run of the first one."""
    scheduler = AsyncIOScheduler(store=store)
    first = scheduler.add_task(note, "a", trigger=None, id="first")
    first.then(note_any, id="second")
    async with scheduler:
        first.submit()
        yield


async def chain_store() -> tuple[FaultyStore, ChainFaults, StoreSession]:
    """Return a store with faults, and a session without them."""
    faults = ChainFaults()
    store = FaultyStore(faults, ChainSession)
    return store, faults, await store.store.connect(NodeRecord(id=uuid4().hex), TTL)


# Results


class Shy:
    """Value that cannot be shown."""

    @override
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


def cancel(_: object) -> object:
    raise asyncio.CancelledError


def some_shy() -> object:
    return Shy()


def some_nested() -> object:
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]
    return nested


def take_list(value: list[object]) -> None:
    calls.append(f"{value}")


def take_cancelled(value: Annotated[object, PlainSerializer(cancel)]) -> None:
    calls.append(f"{value}")


@pytest.mark.parametrize(
    ("up", "down"),
    [(some_shy, take_list), (some_nested, take_list), (some_shy, take_cancelled)],
    ids=["repr", "nested", "cancelled"],
)
async def test_unencodable_result_stops_no_other_run(
    up: Callable[[], object], down: Callable[[object], object]
) -> None:
    store = MemoryStore()
    session = await store.connect(NodeRecord(id=uuid4().hex), TTL)
    scheduler = AsyncIOScheduler(store=store)
    first = scheduler.add_task(up, trigger=None, id="first")
    first.then(down, id="second")
    other = scheduler.add_task(note, "a", trigger=None, id="other")
    async with scheduler:
        first.submit()
        (failed,) = await finished(session, "second")
        other.submit()
        (run,) = await finished(session, "other")
    assert (failed.state, run.state) == ("error", "executed")
    assert calls == ["a"]


def some_long() -> list[object]:
    return [*["x" * 10] * 100_000, Shy]


async def test_unencodable_long_result_has_short_error() -> None:
    store = MemoryStore()
    session = await store.connect(NodeRecord(id=uuid4().hex), TTL)
    scheduler = AsyncIOScheduler(store=store)
    first = scheduler.add_task(some_long, trigger=None, id="first")
    first.then(take_list, id="second")
    async with scheduler:
        first.submit()
        (run,) = await finished(session, "second")
    assert "cannot be stored as JSON" in run.error
    assert len(run.error) < 10_000
    assert len(run.arguments or "") < 10_000


@pytest.mark.parametrize("value", [float("nan"), 1e300])
async def test_invalid_end_of_run_stops_no_chain(value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    original = ResultReceivers.hand_overs

    def hand_overs(receivers: ResultReceivers, task_id: str, run_id: UUID, details: RunDetails) -> tuple[HandOver, ...]:
        return original(receivers, task_id, run_id, details._replace(finished=value))

    monkeypatch.setattr(ResultReceivers, "hand_overs", hand_overs)
    store = MemoryStore()
    session = await store.connect(NodeRecord(id=uuid4().hex), TTL)
    async with submitted_chain(store):
        (run,) = await finished(session, "second")
    assert run.state == "executed"
    assert calls == ["a", "A"]


def test_arguments_of_two_codecs_are_rejected() -> None:
    """A result that one codec has encoded does not join arguments that another one has."""
    codec = PickleCodec(b"k" * 16)
    call = StoredCall(take_list, ("a",), {})
    json_text, codec_text = (
        encode_arguments("task", StoredCall(note, ("a",), {})),
        encode_arguments("task", call, codec),
    )
    for text, used in ((json_text, codec), (codec_text, None)):
        with pytest.raises(UnstorableTaskError, match="another codec"):
            encode_with_result("task", text, note, "b", used)
    empty = encode_arguments("task", StoredCall(note, (), {}))
    assert decode_arguments("task", note, encode_with_result("task", empty, note, "b", codec), codec).args == ("b",)


# Sizes


async def test_long_result_is_not_handed_over() -> None:
    store = MemoryStore()
    session = await store.connect(NodeRecord(id=uuid4().hex), TTL)
    scheduler = AsyncIOScheduler(store=store)
    first = scheduler.add_task(repeat, MAX_HANDED_OVER, trigger=None, id="first")
    first.then(note_any, id="second")
    async with scheduler:
        first.submit()
        (upstream,) = await finished(session, "first")
        (run,) = await finished(session, "second")
    assert (upstream.state, run.state) == ("executed", "error")
    assert f"more than {MAX_HANDED_OVER}" in run.error
    assert len(run.arguments or "") < 1000


async def test_page_of_outcomes_has_maximum_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_store_outcomes, "_PAGE_SIZE", 1000)
    store, faults, _ = await chain_store()
    session = await store.connect(NodeRecord(id=uuid4().hex), TTL)
    pending = PendingOutcomes(lambda: datetime.now(UTC), Mock(), Mock(), Mock(), Mock())
    for number in range(5):
        then = () if number < 3 else (_run("second", "y" * 900),)
        outcome = Outcome(
            run_id=uuid4(), fence=1, state="executed", finished_at=datetime.now(UTC), result="x" * 300, then=then
        )
        pending._outcomes.append(("first", outcome))
    await pending.store(session, skip=list)
    assert faults.pages == [[300] * 4, [300]]


def _run(task_id: str, arguments: str) -> RunRecord:
    at = datetime.now(UTC)
    return RunRecord(
        id=uuid4(), task_id=task_id, kind="submitted", state="waiting", scheduled_at=at, arguments=arguments
    )


async def test_rejected_downstream_run_fails() -> None:
    store, faults, session = await chain_store()
    faults.rejected = '["A"]'
    async with submitted_chain(store):
        (run,) = await finished(session, "second")
        (upstream,) = await finished(session, "first")
    assert (upstream.state, run.state) == ("executed", "error")
    assert "the result could not be handed over: StoreDataError" in run.error
    assert calls == ["a"]


async def test_downstream_run_no_store_accepts_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    store, faults, session = await chain_store()
    faults.rejected = ""
    async with submitted_chain(store):
        (upstream,) = await finished(session, "first")
    assert (upstream.state, upstream.error[:31]) == ("executed", "the details could not be stored")
    assert f"The result of the run {upstream.id} could not be handed over to second" in caplog.text
    assert "another node" not in caplog.text
    assert not await session.runs(RunQuery(task_id="second"))


async def test_outcome_no_store_accepts_is_not_accepted() -> None:
    store = FaultyStore(Faults(), RejectingSession)
    session = await store.connect(NodeRecord(id=uuid4().hex), TTL)
    stored: list[str] = []
    pending = PendingOutcomes(lambda: datetime.now(UTC), Mock(), stored.append, Mock(), Mock())
    pending.end(OwnedRun(uuid4(), 1, "task", 0.0, note), "error", "wrong")
    await pending.store(session, skip=list)
    assert (stored, pending.rejected, pending.fences) == ([], 0, set())


class RejectingSession(FaultySession):
    @override
    async def finish(self, outcomes: Sequence[Outcome], /) -> Sequence[UUID]:
        raise StoreDataError("picky", "nothing is accepted")


# Connections


async def test_lost_connection_leaves_run_for_last_result() -> None:
    """The run does not fail: this node calls it when the store is back."""
    store, faults, session = await chain_store()
    scheduler = AsyncIOScheduler(store=store)
    first = scheduler.add_task(note, "a", trigger=None, id="first")
    second: Task[object] = first.then(note_any, id="second")
    async with scheduler:
        await first.run()
        await finished(session, "second")
        await finished(session, "first")
        faults.unread.add("first")
        second.submit()
        runs = await finished(session, "second", 2)
    assert not faults.unread
    assert [(run.state, run.error) for run in runs] == [("executed", "")] * 2


def _downstream(task_id: str, upstream: str) -> TaskRecord:
    return TaskRecord(id=task_id, function="jobs:job", upstream=upstream)


async def test_lost_connection_keeps_look_for_orphans() -> None:
    store, faults, _ = await chain_store()
    session = await store.connect(NodeRecord(id=uuid4().hex), TTL)
    removed: list[str] = []
    chains = StoredChains(lambda _: None, "fail", removed.append)
    chains.note(_downstream("second", "first"))
    faults.unread.add("second")
    with pytest.raises(StoreConnectionError):
        await chains.remove_orphans(session, Mock())
    assert removed == []
    await chains.remove_orphans(session, Mock())
    assert removed == ["second"]


async def test_task_added_during_look_for_orphans() -> None:
    """Another thread adds a chain while the loop reads the links."""
    removed: list[str] = []
    chains = StoredChains(lambda _: None, "fail", removed.append)

    class Known(set[str]):
        @override
        def __contains__(self, item: object, /) -> bool:
            if item == "first":
                chains.note(_downstream(f"new-{len(chains._links)}", f"other-{len(chains._links)}"))
            return super().__contains__(item)

    session = await MemoryStore().connect(NodeRecord(id=uuid4().hex), TTL)
    chains.note(_downstream("second", "first"))
    chains._known = Known(chains._known)
    await chains.remove_orphans(session, Mock())
    assert removed == ["second"]


def take_validated(value: Annotated[int, BeforeValidator(cancel)]) -> None:
    calls.append(f"{value}")


def test_cancelled_validator_of_last_result_is_error() -> None:
    with pytest.raises(UnreadableTaskError, match="CancelledError"):
        call_with_result("task", StoredCall(take_validated, (), {}), "1")
