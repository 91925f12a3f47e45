"""Rule: a run is counted from its submission until its release."""

from __future__ import annotations

import asyncio

import pytest
from typing_extensions import override

from asyncz import AsyncIOExecutor, AsyncIOScheduler, IntervalTrigger, MaximumInstancesError, Task, TaskRun
from asyncz.executors.base import BaseExecutor
from asyncz.testing import FakeClock
from tests.helpers import payloads
from tests.helpers.executors import every_queueing_executor, scheduler_with
from tests.helpers.generics import ResultT
from tests.helpers.manual_executors import FinishesOnRequest
from tests.helpers.payloads import do_nothing
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio


@pytest.mark.bites(
    "asyncz.executors.base:BaseExecutor.submit",
    "raise MaximumInstancesError(run.task_id, run.limits.max_instances)",
    "pass",
)
@every_queueing_executor
async def test_max_instances_rejects_and_counts_down(kind: str) -> None:
    async with scheduler_with(kind) as scheduler:
        task = scheduler.add_task(payloads.sleep, 0.2, trigger=None, executor="under_test", max_instances=2)
        first, second = task.run(), task.run()
        with pytest.raises(MaximumInstancesError):
            task.run()
        (state,) = scheduler.state.executors
        assert (state.running, state.instances[0].running) == (2, 2)
        assert [await first, await second] == ["slept", "slept"]
        assert await task.run() == "slept"


async def test_run_counted_when_handed_over() -> None:
    counted: list[int] = []

    class Looking(BaseExecutor):
        @override
        def submit_run(self, run: TaskRun[ResultT], /) -> None:
            counted.append(self.state.running)
            self.finish(run, run.execute())

    async with AsyncIOScheduler(executors={"under_test": Looking()}) as scheduler:
        assert await scheduler.add_task(payloads.add, 1, 2, executor="under_test").result() == 3
        assert scheduler.state.executors[0].running == 0
    assert counted == [1]


@pytest.mark.parametrize("ended_before", [0, 1, 64, 1000])
async def test_slot_free_after_any_number_of_outcomes(ended_before: int) -> None:
    executor = FinishesOnRequest()
    async with AsyncIOScheduler(executors={"under_test": executor}) as scheduler:
        tasks = [
            scheduler.add_task(payloads.add, 1, 2, executor="under_test", trigger=None) for _ in range(ended_before + 1)
        ]
        await asyncio.sleep(0)
        handles = [task.run() for task in tasks]
        with pytest.raises(MaximumInstancesError):
            tasks[-1].run()
        # No submission in between, which could look at the places of those that ended.
        await asyncio.to_thread(executor.finish_all)
        assert scheduler.state.executors[0].instances == ()
        handles.append(tasks[-1].run())
        with pytest.raises(MaximumInstancesError):
            tasks[-1].run()
        executor.finish_all()
        assert [await handle for handle in handles] == [3] * (ended_before + 2)


@pytest.mark.parametrize("kind", ["debug", "asyncio"])
async def test_run_ending_in_submit_frees_slot(kind: str) -> None:
    clock = FakeClock()
    async with AsyncIOScheduler(clock=clock) as scheduler:
        task = scheduler.add_task(do_nothing, executor=kind, trigger=IntervalTrigger(seconds=1))
        await clock.advance(5)
        assert (task.state.executed, task.state.rejected, scheduler.state.executors[0].instances) == (5, 0, ())


@pytest.mark.parametrize("kind", ["debug", "asyncio"])
async def test_run_counted_during_submit(kind: str) -> None:
    async with AsyncIOScheduler() as scheduler:

        def counts() -> dict[str, int]:
            return {each.task_id: each.running for state in scheduler.state.executors for each in state.instances}

        async def look() -> dict[str, int]:
            return counts()

        function = counts if kind == "debug" else look
        task: Task[object] = scheduler.add_task(function, id="looks", executor=kind, trigger=None)
        await asyncio.sleep(0)
        assert [await task.run() for _ in range(2)] == [{"looks": 1}] * 2
        assert counts() == {}


@pytest.mark.parametrize("kind", ["debug", "asyncio"])
async def test_run_holds_slot_while_submitting_others(kind: str) -> None:
    rejected: list[BaseException] = []
    counted: list[int] = []
    async with AsyncIOScheduler() as scheduler:

        def submit_others() -> None:
            inner.run()
            counted.append(sum(state.running for state in scheduler.state.executors))
            try:
                outer.run()
            except MaximumInstancesError as error:
                rejected.append(error)

        async def submit_others_on_the_loop() -> None:
            submit_others()

        function = submit_others if kind == "debug" else submit_others_on_the_loop
        outer: Task[object] = scheduler.add_task(function, executor=kind, trigger=None)
        inner = scheduler.add_task(asyncio.sleep, 0, executor="asyncio", trigger=None)
        await asyncio.sleep(0)
        await inner.run()
        for _ in range(2):
            await outer.run()
            await until(lambda: inner.state.running == 0)
        assert inner.state.executed == 3
        assert (len(rejected), counted) == (2, [2, 2])
        assert [state.instances for state in scheduler.state.executors if state.instances] == []


async def test_waiting_coroutine_holds_slot() -> None:
    go_on = asyncio.Event()
    executor = AsyncIOExecutor()
    async with AsyncIOScheduler(executors={"under_test": executor}) as scheduler:
        task = scheduler.add_task(go_on.wait, executor="under_test", trigger=None, max_instances=2)
        await asyncio.sleep(0)
        handles = [task.run(), task.run()]
        assert executor.state.running == 2
        with pytest.raises(MaximumInstancesError):
            task.run()
        go_on.set()
        assert [await handle for handle in handles] == [True, True]
        assert executor.state.instances == ()


async def test_second_run_keeps_its_slot() -> None:
    executor = FinishesOnRequest()
    async with AsyncIOScheduler(executors={"under_test": executor}) as scheduler:
        task = scheduler.add_task(payloads.add, 1, 2, executor="under_test", trigger=None, max_instances=2)
        await asyncio.sleep(0)
        handles = [task.run(), task.run()]
        executor.taken.popleft()()
        handles.append(task.run())
        with pytest.raises(MaximumInstancesError):
            task.run()
        executor.finish_all()
        assert [await handle for handle in handles] == [3, 3, 3]


@pytest.mark.bites("asyncz.executors.base:BaseExecutor.finish", "pop(run_id, None)", "pass")
async def test_executor_forgets_tasks_without_runs() -> None:
    executor = FinishesOnRequest()
    async with AsyncIOScheduler(executors={"under_test": executor}) as scheduler:
        tasks = [scheduler.add_task(payloads.add, 1, 2, executor="under_test", trigger=None) for _ in range(100)]
        await asyncio.sleep(0)
        handles = [task.run() for task in tasks]
        executor.finish_all()
        for _ in range(60):
            handles.append(tasks[0].run())
            executor.finish_all()
        counts = executor._base_executor_state.registry.counts()
        assert counts.instances == {}
        assert [await handle for handle in handles] == [3] * 160


async def test_max_instances_defaults_to_one() -> None:
    go_on = asyncio.Event()
    async with AsyncIOScheduler() as scheduler:
        task = scheduler.add_task(go_on.wait, trigger=None)
        handle = task.run()
        with pytest.raises(MaximumInstancesError):
            task.run()
        go_on.set()
        assert await handle is True
