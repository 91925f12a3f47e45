"""Functions and methods that are decorated with `@scheduler.task`."""

from __future__ import annotations

import inspect
import pickle

import pytest

from asyncz import AsyncIOScheduler, DebugExecutor, DuplicateTaskError, InvalidInputError, TaskFunction
from tests.helpers import decorated, payloads

pytestmark = pytest.mark.anyio


def test_decorated_function_keeps_its_identity() -> None:
    assert decorated.square.__name__ == decorated.square.__qualname__ == "square"
    assert decorated.square.__doc__ == "Return the square."
    assert decorated.square.__module__ == decorated.__name__
    assert decorated.square.__wrapped__(3) == decorated.square(3) == 9
    assert str(inspect.signature(decorated.square)) == "(number: 'int') -> 'int'"
    assert repr(decorated.square) == f"<TaskFunction {decorated.__name__}:square>"


async def test_decorated_coroutine_function_is_awaited_once() -> None:
    assert await decorated.cube(2) == 8
    assert decorated.cube.schedule(2).is_coroutine


@pytest.mark.parametrize("function", [decorated.square, decorated.cube, decorated.Counter.add], ids=str)
def test_importable_function_is_pickled_by_name(function: object) -> None:
    loaded: object = pickle.loads(pickle.dumps(function))
    assert loaded is function


def test_renamed_function_is_pickled_as_itself() -> None:
    loaded: object = pickle.loads(pickle.dumps(decorated.negation))
    assert callable(loaded)
    assert loaded(3) == -3


def test_local_function_cannot_be_pickled() -> None:
    @decorated.scheduler.task()
    def local() -> None: ...

    with pytest.raises((AttributeError, pickle.PicklingError), match="local"):
        pickle.dumps(local)


@pytest.mark.slow
async def test_decorated_functions_run_in_worker_processes() -> None:
    async with decorated.scheduler:
        assert await decorated.square.schedule(5).run() == 25
        assert await decorated.cube.schedule(number=2).run() == 8
        assert await decorated.negation.schedule(2).run() == -2
        assert await decorated.Counter(40).add.schedule(2).run() == 42


async def test_decorated_method_binds_its_instance() -> None:
    counter = decorated.Counter(1)
    assert counter.add(2) == decorated.Counter.add(counter, 2) == 3
    assert isinstance(counter.add, TaskFunction)
    assert counter.add.__qualname__ == "Counter.add"
    async with decorated.scheduler:
        assert await counter.add_soon.schedule(3).run() == 4
        assert await decorated.Counter.add_soon.schedule(counter, number=4).run() == 5


async def test_decorator_sets_id_and_replaces_task() -> None:
    scheduler = AsyncIOScheduler()
    only = scheduler.task(id="only", paused=True)(payloads.add)
    replaced = scheduler.task(id="only", replace_existing=True, trigger=None, timeout=3)(payloads.add)
    first = only.schedule(1, 2)
    assert (first.id, first.state.paused) == ("only", True)
    with pytest.raises(DuplicateTaskError):
        only.schedule(1, 2)
    second = replaced.schedule(3, 4)
    assert scheduler.tasks == (second,)
    assert second.limits.timeout == 3


async def test_decorator_accepts_an_executor() -> None:
    scheduler = AsyncIOScheduler()
    add = scheduler.task(executor=DebugExecutor(), trigger=None)(payloads.add)
    async with scheduler:
        assert await add.schedule(1, 2).run() == 3


def test_decorator_rejects_wrong_options_early() -> None:
    scheduler = AsyncIOScheduler()
    with pytest.raises(InvalidInputError, match="replace_existing"):
        scheduler.task(replace_existing=True)
    with pytest.raises(InvalidInputError, match="timeout"):
        scheduler.task(timeout=-1)
    with pytest.raises(InvalidInputError, match="fn"):
        scheduler.task()(3)  # type: ignore[arg-type]  # wrong on purpose


async def test_function_of_two_schedulers_runs_on_each() -> None:
    async with AsyncIOScheduler() as scheduler:
        again = scheduler.task(trigger=None)(decorated.cube)
        task = again.schedule(3)
        assert scheduler.tasks == (task,)
        assert await task.run() == 27
