"""The user's description of the executors, sentence by sentence."""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import threading
from datetime import UTC, datetime

import pytest
from pydantic import BaseModel
from typing_extensions import override

from asyncz import (
    AsyncIOScheduler,
    DaskExecutor,
    DateTrigger,
    ExecutorState,
    MaximumInstancesError,
    Notifier,
    SchedulerState,
    TaskExecuted,
    TaskMissed,
    TaskMissedError,
    TaskRun,
    TaskState,
    create_executor,
)
from asyncz.executors import AsyncIOExecutor, ProcessPoolExecutor, ThreadPoolExecutor
from asyncz.executors.base import BaseExecutor
from tests import functions


def test_when_a_task_is_done_a_notification_triggers_the_appropriate_event() -> None:
    async def main() -> None:
        results: list[object] = []
        async with AsyncIOScheduler() as scheduler:
            scheduler.subscribe(TaskExecuted, lambda event: results.append(event.result))
            await scheduler.add_task(functions.add, 1, 2).result()
        assert results == [3]

    asyncio.run(main())


def test_asyncio_executor_runs_coroutines_in_the_event_loop_directly_and_others_in_the_default_executor() -> None:
    async def thread_of_coroutine() -> str:
        return threading.current_thread().name

    def thread_of_function() -> str:
        return threading.current_thread().name

    async def main() -> None:
        asyncio.get_running_loop().set_default_executor(
            concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="the-default-of-the-loop")
        )
        async with AsyncIOScheduler() as scheduler:
            assert await scheduler.add_task(thread_of_coroutine).result() == "MainThread"
            name = await scheduler.add_task(thread_of_function).result()
            assert name.startswith("the-default-of-the-loop")

    asyncio.run(main())


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
def test_each_executor_has_its_plugin_alias(alias: str, executor_class: type[object]) -> None:
    assert type(create_executor(alias)) is executor_class


@pytest.mark.parametrize("pool", [ThreadPoolExecutor, ProcessPoolExecutor])
def test_the_parameters_of_the_pools(pool: type[ThreadPoolExecutor | ProcessPoolExecutor]) -> None:
    parameters = inspect.signature(pool).parameters
    assert list(parameters)[:4] == ["max_workers", "pool_kwargs", "cancel_futures", "overwrite_wait"]
    assert parameters["cancel_futures"].default is False
    assert parameters["overwrite_wait"].default is None


def test_start_is_given_the_scheduler_and_the_alias() -> None:
    given: list[tuple[Notifier, str]] = []

    class Curious(AsyncIOExecutor):
        @override
        async def start(self, scheduler: Notifier, alias: str, /) -> None:
            given.append((scheduler, alias))
            await super().start(scheduler, alias)

    async def main() -> None:
        async with AsyncIOScheduler(executors={"curious": Curious()}) as scheduler:
            assert given == [(scheduler, "curious")]
            assert scheduler.state.executors[0].alias == "curious"

    asyncio.run(main())


def test_max_workers_limits_the_threads_and_pool_kwargs_reach_the_pool() -> None:
    async def main() -> None:
        pool = ThreadPoolExecutor(max_workers=2, pool_kwargs={"thread_name_prefix": "named-by-the-user"})
        async with AsyncIOScheduler(executors={"io": pool}) as scheduler:
            names: set[str] = set()
            tasks = [scheduler.add_task(functions.sleep, 0.01, executor="io") for _ in range(10)]
            for task in tasks:
                task.on_executed(lambda event: names.add(str(event.details.worker)))
            for task in tasks:
                await task.result()
        assert 1 <= len(names) <= 2
        assert all(name.startswith("named-by-the-user") for name in names)

    asyncio.run(main())


def test_a_custom_executor_initialises_in_start_releases_in_shutdown_tracks_instances_and_notifies() -> None:
    calls: list[str] = []

    class Custom(BaseExecutor):
        held: threading.Event

        @override
        async def start(self, scheduler: Notifier, alias: str, /) -> None:
            calls.append("start")
            self.held = threading.Event()
            await super().start(scheduler, alias)

        @override
        async def shutdown(self, wait: bool = True) -> None:
            await super().shutdown(wait)
            calls.append("shutdown")

        @override
        def submit_run(self, run: TaskRun[functions.ResultT], /) -> None:
            def work() -> None:
                self.held.wait(10)
                self.finish(run, run.execute())

            threading.Thread(target=work).start()

    async def main() -> None:
        executor = Custom()
        async with AsyncIOScheduler(executors={"custom": executor}) as scheduler:
            task = scheduler.add_task(functions.add, 1, 2, executor="custom", trigger=None)
            handle = task.run()
            assert executor.state.running == 1
            with pytest.raises(MaximumInstancesError):
                task.run()
            executor.held.set()
            assert await handle == 3
            assert executor.state.running == 0

    asyncio.run(main())
    assert calls == ["start", "shutdown"]


@pytest.mark.parametrize("state", [ExecutorState, TaskState, SchedulerState])
def test_all_the_states_are_pydantic_models(state: type[object]) -> None:
    assert issubclass(state, BaseModel)


def test_pool_kwargs_that_the_pool_does_not_take_are_rejected() -> None:
    with pytest.raises(ValueError, match="thread_prefix"):
        ThreadPoolExecutor(1, {"thread_prefix": "x"})  # type: ignore[arg-type]  # wrong on purpose
    unready = ThreadPoolExecutor(1, {"initializer": "x"})  # type: ignore[arg-type]  # wrong on purpose

    async def main() -> None:
        with pytest.raises(ValueError, match="initializer must be a callable"):
            await AsyncIOScheduler(executors={"io": unready}).start()

    asyncio.run(main())


def test_a_run_that_waits_for_the_default_executor_of_the_loop_can_be_cancelled() -> None:
    async def main() -> None:
        asyncio.get_running_loop().set_default_executor(concurrent.futures.ThreadPoolExecutor(1))
        async with AsyncIOScheduler() as scheduler:
            running = scheduler.add_task(functions.sleep, 0.2, trigger=None).run()
            waiting = scheduler.add_task(functions.sleep, 0.2, trigger=None).run()
            while scheduler.state.executors[0].queued != 1:
                await asyncio.sleep(0.01)
            assert waiting.cancel()
            assert await running == "slept"

    asyncio.run(main())


def test_a_late_coroutine_is_missed_and_a_subscription_ends_with_its_block() -> None:
    async def main() -> None:
        missed: list[object] = []
        async with AsyncIOScheduler() as scheduler:
            with scheduler.subscribe(TaskMissed, missed.append):
                long_ago = DateTrigger(datetime(2020, 1, 1, tzinfo=UTC))
                task = scheduler.add_task(functions.add_async, 1, 2, trigger=long_ago, misfire_grace_time=1)
                with pytest.raises(TaskMissedError):
                    await task.result()
            assert len(missed) == 1

    asyncio.run(main())
