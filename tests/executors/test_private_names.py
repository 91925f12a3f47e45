"""A subclass of BaseExecutor may use every private name that it likes."""

from __future__ import annotations

import asyncio

import pytest
from typing_extensions import TypeVar, override

from asyncz import AsyncIOScheduler, BaseExecutor, DebugExecutor, Notifier, TaskRun
from tests.helpers.payloads import add

pytestmark = pytest.mark.anyio

ResultT = TypeVar("ResultT")

NAMES = frozenset(
    {"abandoned", "alias", "drained", "finish_inline", "inline_run", "instances", "live", "lock", "loop", "max_queue"}
    | {"notifier", "on_loop", "promote_inline_run", "queue", "queued", "records", "registry", "runs", "scheduler"}
    | {"shutdown_lock", "state", "status", "thread", "timers", "waiting", "workers"}
)


class Colliding(BaseExecutor):
    """Uses each of the names for something else, as attribute and in the class."""

    _status = _lock = _loop = _live = 3

    def __init__(self) -> None:
        super().__init__()
        self._set_all()

    def _set_all(self) -> None:
        for name in NAMES:
            setattr(self, f"_{name}", object())

    @override
    async def start(self, notifier: Notifier, alias: str, /) -> None:
        await super().start(notifier, alias)
        self._set_all()

    @override
    def submit_run(self, run: TaskRun[ResultT], /) -> None:
        self.finish(run, run.execute())


async def test_subclass_with_every_private_name_works() -> None:
    executor = Colliding()
    async with asyncio.timeout(30), AsyncIOScheduler(executors={"under_test": executor}) as scheduler:
        task = scheduler.add_task(add, 1, 2, executor="under_test", trigger=None, max_instances=2)
        assert [await task.run() for _ in range(3)] == [3] * 3
        assert (executor.state.status, executor.state.running) == ("running", 0)
    assert executor.state.status == "stopped"


def test_base_executor_has_one_private_attribute() -> None:
    """Any other one could be overwritten by a subclass."""
    private = {name for name in {*vars(BaseExecutor), *vars(Colliding.__base__)} if name.startswith("_")}
    assert {name for name in private if not name.startswith("__")} - {"_abc_impl"} == set()
    attributes = {name for name in vars(DebugExecutor()) if name.startswith("_")}
    assert "_base_executor_state" in attributes
