"""Arguments and results by a codec, and triggers of users."""

from __future__ import annotations

import base64
import json
import os
import pickle
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest
from typing_extensions import override

from asyncz import AsyncIOScheduler, IntervalTrigger, InvalidInputError, OrTrigger
from asyncz.stores import (
    Codec,
    NodeRecord,
    Outbox,
    PickleCodec,
    SqliteStore,
    StorableTrigger,
    StoreOptions,
    TaskRecord,
    UnreadableTaskError,
    UnstorableTaskError,
)
from asyncz.stores._triggers import decode_trigger, encode_trigger
from tests.helpers.stored_jobs import ForgetfulTrigger, Tenths, calls, count_up, note
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio

KEY = b"0123456789abcdef"
HOURLY = IntervalTrigger(hours=1)
PICKLES = StoreOptions(codec=PickleCodec(KEY), importable=("tests.helpers",))


async def records(path: Path) -> dict[str, TaskRecord]:
    session = await SqliteStore(path).connect(NodeRecord(id=os.urandom(8).hex()), timedelta(seconds=15))
    try:
        return {task.id: task for task in await session.changes(0, 100)}
    finally:
        await session.close()


async def until_stored(scheduler: AsyncIOScheduler) -> None:
    connector = scheduler.store._connector
    await until(lambda: not connector.runs.outcomes.fences and not connector.tasks._to_declare)


async def test_codec_stores_arguments_and_results(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with AsyncIOScheduler(store=SqliteStore(path), store_options=PICKLES) as first:
        task = first.add_task(count_up, {1, 2}, trigger=None, id="sets")
        assert await task.run() == {2, 3}
        await until_stored(first)
    (record,) = (await records(path)).values()
    assert json.loads(record.arguments)["codec"] == "pickle"
    async with AsyncIOScheduler(store=SqliteStore(path), store_options=PICKLES) as second:
        restored = second.tasks_of(count_up).get("sets")
        assert await restored.run() == {2, 3}
        await until_stored(second)
        found = await second.store.executed(restored)
    assert [each.result for each in found] == [{2, 3}] * 2
    assert all(type(each.result) is frozenset for each in found)


async def test_values_of_other_codec_are_not_decoded(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with AsyncIOScheduler(store=SqliteStore(path), store_options=PICKLES) as first:
        first.add_task(note, "one", trigger=HOURLY, id="note")
        await until_stored(first)
    before = await records(path)
    wrong = StoreOptions(codec=PickleCodec(KEY[::-1]), importable=("tests.helpers",))
    for options, reason in ((StoreOptions(importable=("tests.helpers",)), "codec 'pickle'"), (wrong, "signature")):
        async with AsyncIOScheduler(store=SqliteStore(path), store_options=options) as scheduler:
            assert reason in scheduler.store.unreadable["note"]
    assert await records(path) == before
    assert calls == []


async def test_json_is_read_with_a_codec(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with AsyncIOScheduler(store=SqliteStore(path)) as first:
        task = first.add_task(note, "one", trigger=HOURLY, id="note")
        await task.run()
        await until_stored(first)
    async with AsyncIOScheduler(store=SqliteStore(path), store_options=PICKLES) as second:
        restored = second.tasks_of(note).get("note")
        assert [each.result for each in await second.store.executed(restored)] == ["ONE"]
        assert await restored.run() == "ONE"


async def test_outbox_uses_the_codec(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with AsyncIOScheduler(store=SqliteStore(path, poll_interval=0.01), store_options=PICKLES) as scheduler:
        task = scheduler.add_task(count_up, {0}, trigger=None, id="sets")
        await until_stored(scheduler)
        with sqlite3.connect(path) as connection:
            Outbox(codec=PICKLES.codec).call(count_up, {7}).submit(connection, task)
        connection.close()
        await until(lambda: calls == ["[7]"])


class Evil:
    """Object whose pickle makes a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @override
    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self._path,)


def test_unsigned_pickle_is_not_loaded(tmp_path: Path) -> None:
    codec = PickleCodec(KEY)
    pickled = pickle.dumps(Evil(tmp_path / "touched"))
    for signature in (b"", bytes(32), base64.b64decode(codec.encode(1))[:32]):
        with pytest.raises(ValueError, match="no valid signature"):
            codec.decode(base64.b64encode(signature + pickled).decode())
    assert not (tmp_path / "touched").exists()
    assert codec.decode(codec.encode({1: {2}})) == {1: {2}}


class Misnamed:
    name = "No Name:"

    def encode(self, value: object, /) -> str:
        return f"{value}"

    def decode(self, text: str, /) -> object:
        return text


@pytest.mark.parametrize("codec", [object(), PickleCodec, Misnamed(), "pickle"])
def test_unusable_codec_raises(codec: Codec) -> None:
    with pytest.raises(InvalidInputError, match="codec"):
        StoreOptions(codec=codec)
    with pytest.raises(InvalidInputError, match="codec"):
        Outbox(codec=codec)


@pytest.mark.parametrize("key", [b"short", "0123456789abcdef"])
def test_unusable_key_raises(key: bytes) -> None:
    with pytest.raises(InvalidInputError, match="key") as caught:
        PickleCodec(key)
    assert "short'" not in str(caught.value)


async def test_own_trigger_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    trigger: StorableTrigger = Tenths(tenths=36_000)
    async with AsyncIOScheduler(store=SqliteStore(path)) as first:
        first.add_task(note, "one", trigger=trigger, id="own")
        first.add_task(note, "two", trigger=OrTrigger([trigger, HOURLY]), id="or")
        await until_stored(first)
        due = {task.id: task.state.next_run_at for task in first.tasks}
    options = StoreOptions(importable=("tests.helpers",))
    async with AsyncIOScheduler(store=SqliteStore(path), store_options=options) as second:
        assert {task.id: task.state.next_run_at for task in second.tasks} == due
        assert second.get_task("own").state.trigger == "each 36000 tenths"


def test_class_of_trigger_is_imported_if_allowed_only() -> None:
    text = '{"tenths": 1, "type": "tests.helpers.waiting:Gate"}'
    for stored in (text, f'{{"type": "or", "triggers": [{text}]}}'):
        with pytest.raises(UnreadableTaskError, match="not below `importable`"):
            decode_trigger("task", stored)
        with pytest.raises(UnreadableTaskError, match="not known"):
            # A class that is not one of triggers is not called either.
            decode_trigger("task", stored, ("tests",))


def test_trigger_that_cannot_be_made_again_raises() -> None:
    class Local(Tenths):
        pass

    for trigger, reason in (
        (ForgetfulTrigger(tenths=1), "makes another trigger"),
        (Local(tenths=1), "cannot be made again"),
    ):
        with pytest.raises(UnstorableTaskError, match=reason):
            encode_trigger("task", trigger)
