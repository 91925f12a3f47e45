"""Aliases of executors and triggers, those that other packages add included."""

from __future__ import annotations

import asyncio
from importlib.metadata import EntryPoint

import pytest

from asyncz import (
    AsyncIOScheduler,
    InvalidInputError,
    PluginError,
    Task,
    TaskLookupError,
    TaskSpec,
    create_executor,
    create_trigger,
    executor_aliases,
    plugins,
    trigger_aliases,
)
from tests import functions


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
def test_another_package_can_add_an_executor() -> None:
    async def main() -> None:
        async with AsyncIOScheduler(executors={"mine": "kubernetes"}) as scheduler:
            assert await scheduler.add_task(functions.add, 1, 2, executor="mine").result() == 3

    assert "kubernetes" in executor_aliases()
    asyncio.run(main())


@pytest.mark.usefixtures("others")
@pytest.mark.parametrize(
    ("alias", "message"), [("missing", "ModuleNotFoundError"), ("wrong", "state, start, shutdown")]
)
def test_a_plugin_that_cannot_be_used_is_named(alias: str, message: str) -> None:
    with pytest.raises(PluginError, match=message):
        create_executor(alias)


@pytest.mark.usefixtures("others")
def test_a_trigger_plugin_has_to_be_a_trigger() -> None:
    with pytest.raises(PluginError, match="next_due_time"):
        create_trigger("wrong")


def test_triggers_have_aliases() -> None:
    assert trigger_aliases() == ("and", "calendar", "cron", "date", "interval", "or")
    assert str(create_trigger("interval", hours=1)) == "every 1 hour"


def test_options_of_an_executor_are_checked() -> None:
    with pytest.raises(InvalidInputError, match="max_wrkers"):
        create_executor("threadpool", max_wrkers=3)


def test_handles_tell_what_they_are() -> None:
    async def main() -> None:
        async with AsyncIOScheduler() as scheduler:
            task = scheduler.add_task(functions.AsyncAdder(), 1, 2, trigger=None, id="adder")
            handle = task.run()
            assert (handle.task_id, handle.run_id > 0) == ("adder", True)
            assert "adder" in repr(task)
            assert "adder" in repr(handle)
            assert task.function == "tests.functions:AsyncAdder"
            assert task.next_run_at is None
            assert await handle == 3
            scheduler.remove_task(task)
            with pytest.raises(TaskLookupError):
                scheduler.remove_task(task)
            assert task.cancel_runs() == 0

    asyncio.run(main())
    alone: Task[int] = Task(TaskSpec("alone", lambda: 1))
    with pytest.raises(RuntimeError, match="running scheduler"):
        alone.run()
    with pytest.raises(RuntimeError, match="running scheduler"):
        _ = alone.state


def test_a_future_that_a_plain_function_returns_is_awaited_on_the_loop() -> None:
    async def main() -> None:
        def coroutine_from_a_thread() -> object:
            return functions.add_async(1, 2)

        async with AsyncIOScheduler() as scheduler:
            assert await scheduler.add_task(coroutine_from_a_thread).result() == 3

    asyncio.run(main())
