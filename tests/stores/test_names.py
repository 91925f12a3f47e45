"""Stable names of functions."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from uuid import uuid4

import pytest

from asyncz import AsyncIOScheduler, InvalidInputError
from asyncz.stores import (
    MemoryStore,
    NodeRecord,
    StoreOptions,
    TaskRecord,
    UnreadableTaskError,
    UnstorableTaskError,
    stable_name,
)
from asyncz.stores._calls import FunctionNames
from asyncz.stores.names import name_of, named_function
from tests.helpers.stored_jobs import calls, moved, note
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio

TTL = timedelta(seconds=15)


async def test_stable_name_is_stored() -> None:
    store = MemoryStore()
    async with AsyncIOScheduler(store=store) as scheduler:
        scheduler.add_task(moved, "one", trigger=None, id="plain")
        scheduler.call(moved, text="two").add(trigger=None, id="partial")
        scheduler.task(trigger=None, id="decorated")(moved).schedule("three")
        await scheduler.store.runs()
    assert {task.function for task in store._tables.tasks.values()} == {"tests: moved"}
    # Without `importable`: the function is known by its name.
    async with AsyncIOScheduler(store=store) as scheduler:
        assert sorted(task.id for task in scheduler.tasks) == ["decorated", "partial", "plain"]
        assert await scheduler.tasks_of(moved).get("partial").run() == "two"


@pytest.mark.parametrize("name", ["tests: moved", "old.jobs:moved", "older.jobs:moved"])
async def test_stored_task_finds_function_by_any_name(name: str) -> None:
    store = MemoryStore()
    session = await store.connect(NodeRecord(id=uuid4().hex), TTL)
    await session.change(TaskRecord(id="task", function=name, arguments='{"args": ["one"], "kwargs": {}}'))
    async with AsyncIOScheduler(store=store) as scheduler:
        scheduler.get_task("task").submit()
        await until(lambda: calls == ["one"])


def test_second_function_with_a_name_is_rejected() -> None:
    def local() -> None: ...

    for name, formerly in (("tests: moved", ()), ("tests: other", ("old.jobs:moved",))):
        with pytest.raises(InvalidInputError, match="stored_jobs:moved has this name"):
            stable_name(name, formerly=formerly)(local)
    assert named_function("tests: other") is None
    assert name_of(local) is None


def test_module_that_is_imported_again_keeps_its_names() -> None:
    assert stable_name("tests: moved", formerly=("old.jobs:moved",))(moved) is moved
    assert name_of(moved) == "tests: moved"


async def test_closure_with_a_name_can_be_stored() -> None:
    @stable_name("tests: closure")
    def closure(text: str) -> None:
        calls.append(text)

    async with AsyncIOScheduler(store=MemoryStore()) as scheduler:
        scheduler.add_task(closure, "one", id="task")
        await until(lambda: calls == ["one"])
        with pytest.raises(UnstorableTaskError, match="give it a name with `stable_name`"):
            scheduler.add_task(lambda: None, id="other")


async def test_options_come_before_names() -> None:
    store = MemoryStore()
    async with AsyncIOScheduler(store=store, store_options=StoreOptions(functions={"tests: moved": note})) as scheduler:
        scheduler.add_task(note, "one", trigger=None, id="task")
        await scheduler.store.runs()
    async with AsyncIOScheduler(store=store) as scheduler:
        assert await scheduler.tasks_of(moved).get("task").run() == "one"


@pytest.mark.parametrize(
    "decorate",
    [
        partial(stable_name, 3),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # that is the mistake
        partial(stable_name, ""),
        partial(stable_name, "x", formerly="old.jobs:x"),
        partial(stable_name, "x", formerly=(3,)),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # the same
        partial(stable_name("x"), 3),
    ],
)
def test_invalid_name_is_rejected(decorate: partial[object]) -> None:
    with pytest.raises(InvalidInputError):
        decorate()
    assert named_function("x") is None


@pytest.mark.parametrize("name", ["tests.helpers.stored_jobs:os.system", "tests.helpers.stored_jobs:threading.Thread"])
def test_import_of_a_module_is_not_importable(name: str) -> None:
    """A row of the store must not choose any function that a module has imported."""
    with pytest.raises(UnreadableTaskError, match="not below `importable`"):
        FunctionNames({}, {}, ("tests.helpers",)).find("task", name)
