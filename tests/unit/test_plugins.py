"""Aliases of executors and triggers, entry points included."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from asyncz import (
    AsyncIOScheduler,
    DaskExecutor,
    InvalidInputError,
    PluginError,
    create_executor,
    create_trigger,
    executor_aliases,
    plugins,
    trigger_aliases,
)
from asyncz.executors import AsyncIOExecutor, ProcessPoolExecutor, ThreadPoolExecutor
from asyncz.plugins import load_executor
from tests.helpers import payloads

pytestmark = pytest.mark.anyio


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entry points as another package would bring them."""
    found = {
        name: EntryPoint(name, reference, plugins.EXECUTOR_GROUP)
        for name, reference in {
            "kubernetes": "asyncz.executors:DebugExecutor",
            "missing": "there_is_none:Executor",
            "wrong": "builtins:dict",
        }.items()
    }
    monkeypatch.setattr(plugins, "_entry_points", lambda group: found)


@pytest.mark.usefixtures("others")
async def test_executor_entry_point_usable() -> None:
    assert "kubernetes" in executor_aliases()
    async with AsyncIOScheduler(executors={"mine": "kubernetes"}) as scheduler:
        assert await scheduler.add_task(payloads.add, 1, 2, executor="mine").result() == 3


@pytest.mark.usefixtures("others")
@pytest.mark.parametrize(
    ("alias", "message"), [("missing", "ModuleNotFoundError"), ("wrong", "state, start, shutdown")]
)
def test_unusable_plugin_named(alias: str, message: str) -> None:
    with pytest.raises(PluginError, match=message):
        create_executor(alias)


@pytest.mark.usefixtures("others")
def test_trigger_plugin_must_be_trigger() -> None:
    with pytest.raises(PluginError, match="next_due_time"):
        create_trigger("wrong")


def test_trigger_aliases_create_triggers() -> None:
    assert trigger_aliases() == ("and", "calendar", "cron", "date", "interval", "or")
    assert str(create_trigger("interval", hours=1)) == "every 1 hour"


def test_executor_options_checked() -> None:
    with pytest.raises(InvalidInputError, match="max_wrkers"):
        load_executor("threadpool", max_wrkers=3)


@pytest.mark.parametrize(
    ("alias", "executor_class"),
    [
        ("asyncio", AsyncIOExecutor),
        ("threadpool", ThreadPoolExecutor),
        ("pool", ThreadPoolExecutor),
        ("processpool", ProcessPoolExecutor),
        ("dask", DaskExecutor),
    ],
)
def test_executor_aliases_create_executors(alias: str, executor_class: type[object]) -> None:
    assert type(create_executor(alias)) is executor_class
