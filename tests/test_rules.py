"""Clauses of the rules of a run that no other test is about; `tests/rule_mutations.py` shows that each test bites."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import itertools
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Never

import pytest
from typing_extensions import TypeVarTuple, Unpack, override

import asyncz
from asyncz import (
    AsyncIOExecutor,
    AsyncIOScheduler,
    DateTrigger,
    DebugExecutor,
    DuplicateExecutorError,
    DuplicateTaskError,
    ExecutorState,
    IntervalTrigger,
    MaximumInstancesError,
    ProcessPoolExecutor,
    QueueFullError,
    Retry,
    SchedulerResumed,
    SchedulerShutdown,
    SerializationError,
    Task,
    TaskAdded,
    TaskCancelled,
    TaskCancelledError,
    TaskError,
    TaskExecuted,
    TaskLimits,
    TaskMissed,
    TaskModified,
    TaskNotification,
    TaskQueueFull,
    TaskRemoved,
    TaskRetrying,
    TaskRun,
    TaskSpec,
    TaskSubmitted,
    TaskTimeoutError,
    ThreadPoolExecutor,
    WorkerLostError,
)
from asyncz.executors.base import BaseExecutor
from asyncz.schedulers._inbox import Inbox
from asyncz.testing import FakeClock
from tests import functions
from tests.functions import Recorder, ResultT
from tests.test_defects import until
from tests.test_executors import MAKERS, every_executor, every_queueing_executor, scheduler_with

Ts = TypeVarTuple("Ts")

START = datetime(2030, 1, 1, tzinfo=UTC)


async def nothing() -> None:
    pass


def with_one_worker(kind: str) -> BaseExecutor:
    """An executor that runs one function at a time; in the default executor of the running loop, where it does that."""
    if kind == "asyncio":
        asyncio.get_running_loop().set_default_executor(concurrent.futures.ThreadPoolExecutor(1))
        return AsyncIOExecutor()
    return ThreadPoolExecutor(1) if kind == "threadpool" else ProcessPoolExecutor(1)


# 1: every run ends once


def test_an_argument_that_can_no_longer_be_pickled_when_the_run_is_due_ends_the_run() -> None:
    async def main() -> None:
        async with asyncio.timeout(30), scheduler_with("processpool") as scheduler:
            numbers: list[object] = [1, 2]
            task = scheduler.add_task(len, numbers, executor="tried", trigger=None)
            numbers.append(lambda: None)
            with pytest.raises(SerializationError, match="function or argument"):
                await task.run()
            numbers.pop()
            assert await task.run() == 2

    asyncio.run(main())


def test_what_is_submitted_when_a_failed_start_of_a_thread_is_told_runs_on_the_next_thread() -> None:
    starts: list[bool] = []

    def fails_once() -> None:
        starts.append(True)
        if len(starts) == 1:
            raise OSError("no licence")
        # Were it still at it, the thread that failed would be faster than this one.
        time.sleep(0.2)

    executor = ThreadPoolExecutor(1, {"initializer": fails_once})
    task = TaskSpec("t", partial(functions.add, 1, 2))

    class SubmitsAgain(Recorder):
        @override
        def released(self, run: TaskRun[ResultT], /) -> None:
            super().released(run)
            if len(self.notifications) == 1:
                executor.submit(TaskRun(task))

    async def main() -> None:
        notifier = SubmitsAgain()
        await executor.start(notifier, "tried")
        executor.submit(TaskRun(task))
        await notifier.until(lambda: len(notifier.told) == 4)
        await executor.shutdown()
        assert [type(notification) for notification in notifier.notifications] == [TaskError, TaskExecuted]

    asyncio.run(main())


class RefusesBadly(AsyncIOExecutor):
    """Lets what is no `Exception` out of `submit`."""

    @override
    def submit_run(self, run: TaskRun[ResultT], /) -> None:
        raise functions.OwnBaseException("in submit")


def test_a_run_whose_executor_raises_a_base_exception_is_its_error_and_the_schedule_goes_on() -> None:
    async def main() -> None:
        clock = FakeClock()
        async with AsyncIOScheduler(executors={"tried": RefusesBadly()}, clock=clock) as scheduler:
            heard: list[object] = []
            scheduler.subscribe(TaskSubmitted, heard.append)
            scheduler.subscribe(TaskError, heard.append)
            scheduler.add_task(functions.add, 1, 2, executor="tried", trigger=IntervalTrigger(seconds=1))
            await clock.advance(3)
            assert [type(event) for event in heard] == [TaskSubmitted, TaskError] * 3
            assert scheduler.state.submitted == scheduler.state.errors == 3

    asyncio.run(main())


# 2: submit does not block, and what it rejects is not counted


@every_queueing_executor
def test_submit_returns_while_every_worker_is_busy(kind: str, tmp_path: Path) -> None:
    mark, go_on = tmp_path / "mark", tmp_path / "go-on"
    blocked: list[bool] = []

    def help_out() -> None:
        blocked.append(True)
        go_on.touch()

    async def main() -> None:
        async with asyncio.timeout(60), AsyncIOScheduler(executors={"tried": with_one_worker(kind)}) as scheduler:
            first = scheduler.add_task(
                functions.mark_and_wait, str(mark), str(go_on), executor="tried", trigger=None
            ).run()
            await until(mark.exists)
            # If `submit` waits for the worker, the worker waits for this.
            guard = threading.Timer(10, help_out)
            guard.start()
            task = scheduler.add_task(functions.add, 1, 2, executor="tried", trigger=None, max_instances=20)
            handles = [task.run() for _ in range(20)]
            guard.cancel()
            go_on.touch()
            await first
            assert [await handle for handle in handles] == [3] * 20
        assert blocked == []

    asyncio.run(main())


def test_what_is_rejected_is_neither_counted_nor_told() -> None:
    async def main() -> None:
        go_on = threading.Event()
        async with AsyncIOScheduler(executors={"tried": ThreadPoolExecutor(1, max_queue=0)}) as scheduler:
            submitted: list[object] = []
            scheduler.subscribe(TaskSubmitted, submitted.append)
            task = scheduler.add_task(go_on.wait, 30, executor="tried", trigger=None)
            other = scheduler.add_task(functions.add, 1, 2, executor="tried", trigger=None)
            for _ in range(2):
                with pytest.raises(QueueFullError):
                    other.run()
            executor = scheduler.state.executors[0]
            assert (executor.running, executor.queued, executor.instances) == (0, 0, ())
            assert scheduler.state.submitted == other.state.submitted == task.state.submitted == 0
            await asyncio.sleep(0.01)
            assert submitted == []

    asyncio.run(main())


def test_a_run_that_is_rejected_for_its_instances_is_neither_counted_nor_told() -> None:
    async def main() -> None:
        go_on = asyncio.Event()
        async with scheduler_with("asyncio") as scheduler:
            submitted: list[object] = []
            scheduler.subscribe(TaskSubmitted, submitted.append)
            task = scheduler.add_task(go_on.wait, executor="tried", trigger=None, max_instances=2)
            handles = [task.run(), task.run()]
            for _ in range(3):
                with pytest.raises(MaximumInstancesError):
                    task.run()
            assert scheduler.state.executors[0].instances[0].running == task.state.running == 2
            go_on.set()
            assert [await handle for handle in handles] == [True, True]
            assert len(submitted) == scheduler.state.submitted == task.state.submitted == 2
            # As many as before: those that were rejected have taken no place.
            assert [await handle for handle in [task.run(), task.run()]] == [True, True]

    asyncio.run(main())


def test_a_due_run_that_the_queue_rejects_is_told_as_rejected() -> None:
    async def main() -> None:
        clock = FakeClock()
        async with AsyncIOScheduler(executors={"tried": ThreadPoolExecutor(1, max_queue=0)}, clock=clock) as scheduler:
            rejected: list[TaskQueueFull] = []
            scheduler.subscribe(TaskQueueFull, rejected.append)
            task = scheduler.add_task(functions.add, 1, 2, executor="tried", trigger=IntervalTrigger(seconds=1))
            await clock.advance(2)
            assert len(rejected) == task.state.rejected == 2
            assert (task.state.submitted, task.state.running) == (0, 0)

    asyncio.run(main())


# 3: counted before the hand-over, until the work has ended


def test_a_run_is_counted_when_it_is_handed_over() -> None:
    counted: list[int] = []

    class Looking(BaseExecutor):
        @override
        def submit_run(self, run: TaskRun[ResultT], /) -> None:
            counted.append(self.state.running)
            self.finish(run, run.execute())

    async def main() -> None:
        async with AsyncIOScheduler(executors={"tried": Looking()}) as scheduler:
            assert await scheduler.add_task(functions.add, 1, 2, executor="tried").result() == 3
            assert scheduler.state.executors[0].running == 0

    asyncio.run(main())
    assert counted == [1]


class FinishesWhenTold(BaseExecutor):
    """Leaves each run to whoever takes it from here."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: deque[Callable[[], None]] = deque()

    @override
    def submit_run(self, run: TaskRun[ResultT], /) -> None:
        self.taken.append(lambda: self.finish(run, run.execute()))

    def finish_all(self) -> None:
        while self.taken:
            self.taken.popleft()()


@pytest.mark.parametrize("ended_before", [0, 1, 64, 1000])
def test_a_place_is_free_once_its_run_has_ended_however_many_others_have(ended_before: int) -> None:
    async def main() -> None:
        executor = FinishesWhenTold()
        async with AsyncIOScheduler(executors={"tried": executor}) as scheduler:
            tasks = [
                scheduler.add_task(functions.add, 1, 2, executor="tried", trigger=None) for _ in range(ended_before + 1)
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

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["debug", "asyncio"])
def test_a_run_that_ends_inside_its_submission_frees_its_place(kind: str) -> None:
    async def main() -> None:
        clock = FakeClock()
        async with AsyncIOScheduler(clock=clock) as scheduler:
            task = scheduler.add_task(nothing, executor=kind, trigger=IntervalTrigger(seconds=1))
            await clock.advance(5)
            assert (task.state.executed, task.state.rejected, scheduler.state.executors[0].instances) == (5, 0, ())

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["debug", "asyncio"])
def test_a_run_is_counted_before_its_submission_is_over(kind: str) -> None:
    async def main() -> None:
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

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["debug", "asyncio"])
def test_a_run_has_its_place_while_it_submits_others(kind: str) -> None:
    async def main() -> None:
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

    asyncio.run(main())


def test_a_coroutine_that_waits_has_its_place() -> None:
    async def main() -> None:
        go_on = asyncio.Event()
        executor = AsyncIOExecutor()
        async with AsyncIOScheduler(executors={"tried": executor}) as scheduler:
            task = scheduler.add_task(go_on.wait, executor="tried", trigger=None, max_instances=2)
            await asyncio.sleep(0)
            handles = [task.run(), task.run()]
            assert executor.state.running == 2
            with pytest.raises(MaximumInstancesError):
                task.run()
            go_on.set()
            assert [await handle for handle in handles] == [True, True]
            assert executor.state.instances == ()

    asyncio.run(main())


class EndsInAThread(DebugExecutor):
    """One whose runs end in another thread, some of them before their submission is over."""

    def __init__(self, *, wait: bool) -> None:
        super().__init__()
        self.wait = wait

    @override
    def submit_run(self, run: TaskRun[ResultT], /) -> None:
        if run.task_id == "rejected":
            raise ValueError(run.task_id)
        thread = threading.Thread(target=lambda: self.end(run))
        thread.start()
        if self.wait:
            thread.join()

    def end(self, run: TaskRun[ResultT]) -> None:
        """Run it, or give it up first."""
        if run.task_id == "given up":
            self.abandon(run, run.cancelled())
        self.finish(run, run.execute())


@pytest.mark.parametrize("wait", [True, False])
def test_a_run_may_end_in_any_thread_before_its_submission_is_over(
    wait: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        executor = EndsInAThread(wait=wait)
        async with AsyncIOScheduler(executors={"tried": executor}) as scheduler:
            tasks = [
                scheduler.add_task(functions.add, 1, 2, id=name, executor="tried", trigger=None)
                for name in ("kept", "given up", "rejected")
            ]
            await asyncio.sleep(0)
            for number in (1, 2):
                ends = [await task.run().notification() for task in tasks]
                assert [type(end) for end in ends] == [TaskExecuted, TaskCancelled, TaskError]
                await until(lambda: [task.state.running for task in tasks] == [0, 0, 0])
                state = executor.state
                assert (state.running, state.instances, state.abandoned) == (0, (), 0)
                assert [task.state.submitted for task in tasks] == [number] * 3

    asyncio.run(main())
    assert [record.levelname for record in caplog.records if "rejected" not in record.getMessage()] == []


class GivesUp(DebugExecutor):
    """One of which another thread gives up each run before it runs."""

    @override
    def submit_run(self, run: TaskRun[ResultT], /) -> None:
        thread = threading.Thread(target=lambda: self.abandon(run, run.cancelled()))
        thread.start()
        thread.join()
        super().submit_run(run)


def test_a_run_that_another_thread_gives_up_before_its_submission_is_over_ends_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        async with AsyncIOScheduler(executors={"tried": GivesUp()}) as scheduler:
            task = scheduler.add_task(functions.add, 1, 2, executor="tried", trigger=None)
            await asyncio.sleep(0)
            for number in (1, 2):
                with pytest.raises(TaskCancelledError):
                    await task.run()
                await until(lambda: task.state.running == 0)
                assert (task.state.cancelled, task.state.executed) == (number, 0)

    asyncio.run(main())
    assert caplog.records == []


class FailsAll(BaseExecutor):
    """Extends `finish`, as an executor may."""

    @override
    def finish(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
        super().finish(run, run.failed(ValueError("as it was told")))


class FailsAllInline(FailsAll, DebugExecutor):
    """One whose runs end inside their submission."""


class FailsAllOnTheLoop(FailsAll, AsyncIOExecutor):
    """One whose runs may end there."""


@pytest.mark.parametrize("make", [FailsAllInline, FailsAllOnTheLoop])
def test_an_executor_that_extends_finish_has_the_ends_of_all_runs(make: Callable[[], BaseExecutor]) -> None:
    async def main() -> None:
        async with AsyncIOScheduler(executors={"tried": make()}) as scheduler:
            with pytest.raises(ValueError, match="as it was told"):
                await scheduler.add_task(nothing, executor="tried").result()

    asyncio.run(main())


def test_a_shutdown_that_begins_inside_a_run_hears_of_its_end() -> None:
    async def main() -> None:
        waits_for: list[object] = []
        executor = DebugExecutor()
        shutdown = executor.shutdown()
        async with AsyncIOScheduler(executors={"tried": executor}) as scheduler:
            # As a loop does that drives its tasks at once to where they first wait.
            task = scheduler.add_task(lambda: waits_for.append(shutdown.send(None)), executor="tried")
            await task.result()
            assert isinstance(waits_for[0], asyncio.Future)
            await asyncio.wait_for(waits_for[0], 30)
            shutdown.close()

    asyncio.run(main())


def test_a_run_that_its_own_function_has_its_executor_abandon_ends_once(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        executor = DebugExecutor()
        async with AsyncIOScheduler(executors={"tried": executor}) as scheduler:
            task = scheduler.add_task(executor.cancel_all, executor="tried", trigger=None)
            await asyncio.sleep(0)
            for _ in range(2):
                with pytest.raises(TaskCancelledError):
                    await task.run()
                await until(lambda: task.state.running == 0)
            assert (task.state.cancelled, task.state.executed) == (2, 0)

    asyncio.run(main())
    assert caplog.records == []


def test_a_task_of_which_one_run_has_ended_keeps_the_place_of_the_other() -> None:
    async def main() -> None:
        executor = FinishesWhenTold()
        async with AsyncIOScheduler(executors={"tried": executor}) as scheduler:
            task = scheduler.add_task(functions.add, 1, 2, executor="tried", trigger=None, max_instances=2)
            await asyncio.sleep(0)
            handles = [task.run(), task.run()]
            executor.taken.popleft()()
            handles.append(task.run())
            with pytest.raises(MaximumInstancesError):
                task.run()
            executor.finish_all()
            assert [await handle for handle in handles] == [3, 3, 3]

    asyncio.run(main())


class TellsThatTheLoopWaits:
    """A lock that says so when the loop's thread is about to wait for it."""

    def __init__(self) -> None:
        self.waits = threading.Event()
        self._lock = threading.RLock()
        self._loop_thread = threading.get_ident()

    def acquire(self) -> bool:
        if threading.get_ident() == self._loop_thread:
            self.waits.set()
        return self._lock.acquire()

    def release(self) -> None:
        self._lock.release()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


def test_a_task_that_another_thread_replaces_while_its_last_run_ends_is_replaced_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    holds_the_lock = threading.Event()

    async def main() -> None:
        lock = TellsThatTheLoopWaits()

        class LooksLong(DebugExecutor):
            """Has the thread that adds a task hold the lock until the loop waits for it."""

            def check_call(self, _: Callable[[], object], /) -> None:
                lock.waits.clear()
                holds_the_lock.set()
                lock.waits.wait(10)

        removed: list[str] = []
        added: list[Task[int]] = []
        async with AsyncIOScheduler(executors={"slow": LooksLong()}) as scheduler:
            monkeypatch.setattr(scheduler._core, "lock", lock)
            scheduler.subscribe(TaskRemoved, lambda event: removed.append(event.task_id))
            old = scheduler.add_task(holds_the_lock.wait, 10, id="replaced", executor="threadpool")

            def replace() -> None:
                new = scheduler.add_task(
                    functions.add, 1, 2, id="replaced", executor="slow", trigger=None, replace_existing=True
                )
                added.append(new)

            thread = threading.Thread(target=replace)
            await until(lambda: old.state.running == 1)
            thread.start()
            # From here on the loop asks for the lock where it has found that the task is finished.
            await old.result()
            await until(lambda: not thread.is_alive() and bool(removed))
            assert scheduler.tasks == (added[0],)
            assert await added[0].run() == 3
            scheduler.remove_task("replaced")
            await until(lambda: len(removed) == 2)

    asyncio.run(main())


def test_what_is_due_is_not_held_up_by_much_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    order: list[str] = []

    def takes_a_millisecond() -> None:
        nonlocal now
        now += 0.001
        order.append("call")

    async def main() -> None:
        async with AsyncIOScheduler() as scheduler:
            scheduler.pause()
            for _ in range(100):
                scheduler.add_task(order.append, "run", executor="debug")

            def have_much_wait(_event: SchedulerResumed) -> None:
                for _ in range(500):
                    scheduler._core.inbox.put(takes_a_millisecond)

            scheduler.subscribe(SchedulerResumed, have_much_wait)
            scheduler.resume()
            await until(lambda: order.count("run") == 100)
            # What its own submissions have added is looked at in between, as before.
            first = order.index("run")
            assert order[first : first + 32] == ["run"] * 32

    monkeypatch.setattr(time, "perf_counter", lambda: now)
    asyncio.run(main())


def test_what_is_due_is_counted_though_nobody_hears_of_its_submission() -> None:
    async def main() -> None:
        clock = FakeClock()
        async with AsyncIOScheduler(clock=clock) as scheduler:
            task = scheduler.add_task(nothing, trigger=IntervalTrigger(seconds=1))
            await clock.advance(1)
            await clock.advance(1)
            await until(lambda: task.state.executed == 2)
            assert task.state.submitted == 2
            assert (scheduler.state.submitted, scheduler.state.executed) == (2, 2)

    asyncio.run(main())


def test_the_runs_of_a_task_are_known_by_their_numbers_the_oldest_first() -> None:
    async def main() -> None:
        gates = [asyncio.Event() for _ in range(4)]
        waiting = iter(gates)

        async def work() -> None:
            await next(waiting).wait()

        async with AsyncIOScheduler() as scheduler:
            task = scheduler.add_task(work, trigger=None, max_instances=2, overlap="cancel_running")
            first, second = task.run(), task.run()
            assert task.state.running == 2
            gates[0].set()
            await first
            third = task.run()
            assert task.state.running == 2
            scheduler.submit_task(task)
            assert isinstance(await second.notification(), TaskCancelled)
            assert not third.done()
            assert third.cancel()
            assert isinstance(await third.notification(), TaskCancelled)
            gates[3].set()

    asyncio.run(main())


def test_a_task_is_forgotten_with_the_last_of_its_runs() -> None:
    async def main() -> None:
        executor = FinishesWhenTold()
        async with AsyncIOScheduler(executors={"tried": executor}) as scheduler:
            task = scheduler.add_task(functions.add, 1, 2, executor="tried", max_instances=2)
            await until(lambda: len(executor.taken) == 1)
            handle = task.run()
            executor.taken.popleft()()
            await task.result()
            await asyncio.sleep(0)
            assert scheduler.tasks == (task,)
            executor.finish_all()
            assert await handle == 3
            await until(lambda: not scheduler.tasks)

    asyncio.run(main())


def test_an_executor_may_say_of_each_run_whether_it_waits() -> None:
    class LetsSomeWait(BaseExecutor):
        """Lets the runs of one task wait, and never ends any."""

        @override
        def waits_in_queue(self, run: TaskRun[ResultT], /) -> bool:
            return run.task_id == "waits"

        @override
        def submit_run(self, run: TaskRun[ResultT], /) -> None:
            pass

        @override
        def cancel_run(self, run: TaskRun[ResultT], /) -> bool:
            return False

    async def main() -> None:
        async with AsyncIOScheduler(executors={"tried": LetsSomeWait(max_queue=1)}) as scheduler:
            waits, runs = (
                scheduler.add_task(functions.add, 1, 2, id=name, executor="tried", trigger=None, max_instances=2)
                for name in ("waits", "runs")
            )
            await asyncio.sleep(0)
            waiting, running = waits.run(), runs.run()
            with pytest.raises(QueueFullError):
                waits.run()
            assert waiting.cancel()
            assert not running.cancel()
            assert isinstance(await waiting.notification(), TaskCancelled)
            await scheduler.shutdown(wait=False)
            assert isinstance(await running.notification(), TaskCancelled)

    asyncio.run(main())


def test_an_executor_forgets_the_tasks_that_have_no_runs_any_more() -> None:
    async def main() -> None:
        executor = FinishesWhenTold()
        async with AsyncIOScheduler(executors={"tried": executor}) as scheduler:
            tasks = [scheduler.add_task(functions.add, 1, 2, executor="tried", trigger=None) for _ in range(100)]
            await asyncio.sleep(0)
            handles = [task.run() for task in tasks]
            executor.finish_all()
            for _ in range(60):
                handles.append(tasks[0].run())
                executor.finish_all()
            counts = executor._base_executor_state.registry.counts()
            assert counts.instances == {}
            assert [await handle for handle in handles] == [3] * 160

    asyncio.run(main())


def test_the_backlog_goes_on_when_a_run_is_released() -> None:
    async def main() -> None:
        clock = FakeClock()
        go_on = asyncio.Event()
        due: list[datetime | None] = []
        async with AsyncIOScheduler(clock=clock) as scheduler:
            end = START + timedelta(seconds=3)
            task = scheduler.add_task(go_on.wait, trigger=IntervalTrigger(seconds=1, end_at=end), coalesce=False)
            task.on_executed(lambda event: due.append(event.details.scheduled_at))
            await clock.advance(10)
            assert (task.state.running, task.state.backlog) == (1, 2)
            go_on.set()
            # The trigger gives no more times: nothing but the end of a run can make the next one go.
            await until(lambda: len(due) == 3)
        assert due == [START + timedelta(seconds=number) for number in (1, 2, 3)]

    asyncio.run(main())


def test_an_abandoned_run_holds_its_place_until_it_is_released() -> None:
    async def main() -> None:
        clock = FakeClock()
        go_on = threading.Event()
        async with AsyncIOScheduler(executors={"tried": ThreadPoolExecutor(2)}, clock=clock) as scheduler:
            trigger = IntervalTrigger(seconds=1, end_at=START + timedelta(seconds=2))
            task = scheduler.add_task(
                go_on.wait, 30, executor="tried", trigger=trigger, coalesce=False, timeout=0.02, max_instances=1
            )
            await clock.advance(5)
            await until(lambda: task.state.errors == 1)
            assert (task.state.running, task.state.backlog) == (1, 1)
            go_on.set()
            await until(lambda: not scheduler.tasks)
        assert (scheduler.state.submitted, scheduler.state.errors, scheduler.state.executed) == (2, 1, 1)

    asyncio.run(main())


def test_a_run_that_returns_after_its_time_limit_is_released_and_not_told_again(recorder: Recorder) -> None:
    async def main() -> None:
        go_on = threading.Event()
        executor = ThreadPoolExecutor(1)
        await executor.start(recorder, "tried")
        run = TaskRun(TaskSpec("t", partial(go_on.wait, 30), limits=TaskLimits(timeout=0.01)))
        executor.submit(run)
        await recorder.until(lambda: bool(recorder.told))
        go_on.set()
        await recorder.until(lambda: len(recorder.told) == 2)
        await executor.shutdown()
        assert recorder.told == [("notified", run.id), ("released", run.id)]

    asyncio.run(main())


class Own:
    """An executor of a user's own, with no base class: it tells ends where its `tell` says, and releases so often."""

    def __init__(self, tell: Callable[[Callable[[], None]], object], releases: int = 1) -> None:
        self.state = ExecutorState(alias="own")
        self.tell = tell
        self.releases = releases
        self.taken: list[datetime] = []

    async def start(self, scheduler: asyncz.Notifier, alias: str, /) -> None:
        self.scheduler = scheduler
        self.state = self.state.evolve("starting").evolve("running")

    def submit(self, run: TaskRun[ResultT], /) -> None:
        def end() -> None:
            self.scheduler.notify(run, run.execute())
            for _ in range(self.releases):
                self.scheduler.released(run)

        self.taken.append(run.scheduled_at)
        self.tell(end)

    async def shutdown(self, wait: bool = True) -> None:
        self.state = self.state.evolve("stopped")


def inline(call: Callable[[], None]) -> None:
    call()


def in_a_thread(call: Callable[[], None]) -> None:
    thread = threading.Thread(target=call)
    thread.start()
    thread.join(30)


def test_a_second_release_of_a_run_is_rejected_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with AsyncIOScheduler(executors={"tried": Own(inline, releases=2)}) as scheduler:
            task = scheduler.add_task(functions.add, 1, 2, executor="tried", trigger=None)
            assert [await task.run(), await task.run()] == [3, 3]
            await until(lambda: task.state.running == 0)

    asyncio.run(main())
    assert sum("A second release of a run was rejected" in record.getMessage() for record in caplog.records) == 2


def test_what_waits_for_the_place_of_a_task_that_is_forgotten_gets_it() -> None:
    go_on = threading.Event()
    calls = itertools.count(1)

    def work() -> int:
        call = next(calls)
        if call == 1:
            go_on.wait(30)
        return call

    async def main() -> None:
        async with asyncio.timeout(30), AsyncIOScheduler() as scheduler:
            first = scheduler.add_task(
                work, id="x", executor="threadpool", max_instances=2, timeout=0.01, retry=Retry(attempts=2)
            )
            assert await first.result() == 2
            await until(lambda: scheduler.tasks == ())
            # The thread of its first attempt has not returned: that has the one place there is for the id.
            second = scheduler.add_task(work, id="x", executor="threadpool", overlap="queue_all")
            await until(lambda: second.state.backlog == 1)
            go_on.set()
            assert await second.result() == 3

    asyncio.run(main())


class TellsNonsense(Own):
    """Tells that a run ended, and forgets to say how."""

    @override
    def submit(self, run: TaskRun[ResultT], /) -> None:
        self.scheduler.notify(run, run.execute)  # type: ignore[arg-type]  # that is the mistake
        self.scheduler.released(run)


def test_a_run_of_which_nonsense_is_told_ends_at_the_shutdown(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        scheduler = AsyncIOScheduler(executors={"tried": TellsNonsense(inline)})
        ends: list[object] = []
        for kind in (TaskExecuted, TaskCancelled):
            scheduler.subscribe(kind, ends.append)
        async with scheduler:
            handle = scheduler.add_task(functions.add, 1, 2, executor="tried", trigger=None).run()
            await asyncio.sleep(0)
        assert [type(end) for end in ends] == [TaskCancelled]
        assert isinstance(await handle.notification(), TaskCancelled)
        assert (scheduler.state.submitted, scheduler.state.cancelled) == (1, 1)

    asyncio.run(main())
    assert "A call on the scheduler's loop failed" in caplog.text


def test_a_run_gives_its_place_back_though_to_log_its_failure_fails(caplog: pytest.LogCaptureFixture) -> None:
    def reject(record: logging.LogRecord) -> bool:
        if "A run of the task" in record.msg:
            raise ValueError("rejected")
        return True

    async def main() -> None:
        async with AsyncIOScheduler() as scheduler:
            task = scheduler.add_task(functions.fail, "failed", executor="threadpool")
            await until(lambda: not scheduler.tasks)
            assert isinstance(task.last_notification, TaskError)

    logger = logging.getLogger("asyncz.scheduler")
    logger.addFilter(reject)
    try:
        asyncio.run(main())
    finally:
        logger.removeFilter(reject)
    assert "A call on the scheduler's loop failed" in caplog.text


def test_a_run_whose_waiter_went_with_its_loop_still_gives_its_place_back() -> None:
    go_on = threading.Event()
    scheduler = AsyncIOScheduler()
    task = scheduler.add_task(go_on.wait, 30, trigger=None, executor="threadpool")

    async def begin() -> None:
        await scheduler.start()
        handle = task.run()
        waiting.append(asyncio.ensure_future(handle.notification()))
        await asyncio.sleep(0)

    async def go_on_elsewhere() -> None:
        async with asyncio.timeout(30):
            await scheduler.shutdown()
            async with scheduler:
                assert task.state.running == 0
                assert task.state.executed == 1
                assert await task.run()

    waiting: list[asyncio.Future[TaskNotification[bool]]] = []
    loop = asyncio.new_event_loop()
    loop.run_until_complete(begin())
    loop.close()
    go_on.set()
    deadline = time.monotonic() + 30
    while any(state.running for state in scheduler.state.executors):
        assert time.monotonic() < deadline
        time.sleep(0.001)
    asyncio.run(go_on_elsewhere())


# 4: everything happens on the loop's thread, and not inside submit


@every_executor
def test_nobody_hears_of_a_run_before_submit_has_returned(kind: str) -> None:
    async def main() -> None:
        async with scheduler_with(kind) as scheduler:
            heard: list[object] = []
            scheduler.subscribe(TaskSubmitted, heard.append)
            scheduler.subscribe(TaskExecuted, heard.append)
            task = scheduler.add_task(functions.add, 1, 2, executor="tried", trigger=None)
            await asyncio.sleep(0)
            handle = task.run()
            assert heard == []
            assert await handle == 3
            assert [type(event) for event in heard] == [TaskSubmitted, TaskExecuted]

    asyncio.run(main())


@pytest.mark.parametrize("tell", [inline, in_a_thread])
def test_an_end_is_told_on_the_thread_of_the_loop_however_it_is_told(
    tell: Callable[[Callable[[], None]], object], caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with AsyncIOScheduler(executors={"tried": Own(tell)}) as scheduler:
            threads: list[int] = []
            task = scheduler.add_task(functions.add, 1, 2, executor="tried", trigger=None)
            task.on_executed(lambda _: threads.append(threading.get_ident()))
            handle = task.run()
            # How it ended has been told by now, and nobody has heard of it.
            assert (threads, handle.done(), task.state.running) == ([], False, 1)
            assert await handle == 3
            await until(lambda: task.state.running == 0)
            assert threads == [threading.get_ident()]

    asyncio.run(main())
    # Its release had its turn after its end.
    assert caplog.records == []


def test_what_has_ended_is_told_while_others_are_still_submitted() -> None:
    async def main() -> None:
        log: list[str] = []
        added: list[TaskAdded] = []
        async with AsyncIOScheduler() as scheduler:
            scheduler.pause()
            scheduler.subscribe(TaskExecuted, lambda _: log.append("told"))
            scheduler.subscribe(TaskAdded, added.append)
            for _ in range(100):
                scheduler.add_task(log.append, "run", executor="debug")
            await until(lambda: len(added) == 100)
            scheduler.resume()
            await until(lambda: len(log) == 200)
        assert "told" in log[:100]

    asyncio.run(main())


class CountingLoop(asyncio.SelectorEventLoop):
    """Counts by how many calls other threads have woken it."""

    woken = 0

    @override
    def call_soon_threadsafe(
        self,
        callback: Callable[[Unpack[Ts]], object],
        *args: Unpack[Ts],
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        self.woken += 1
        return super().call_soon_threadsafe(callback, *args, context=context)


def test_a_burst_from_other_threads_wakes_the_loop_once() -> None:
    loops: list[CountingLoop] = []

    def make_loop() -> asyncio.AbstractEventLoop:
        loops.append(CountingLoop())
        return loops[-1]

    async def main() -> None:
        class Kept(BaseExecutor):
            @override
            def submit_run(self, run: TaskRun[ResultT], /) -> None:
                endings.append(lambda: self.finish(run, run.cancelled()))

        endings: list[Callable[[], None]] = []
        async with AsyncIOScheduler(executors={"tried": Kept()}) as scheduler:
            handles = [
                scheduler.add_task(functions.add, 1, 2, executor="tried", trigger=None).run() for _ in range(100)
            ]
            await until(lambda: not scheduler._core.inbox.awake)
            before = loops[0].woken

            def end_all() -> None:
                for end in endings:
                    end()

            thread = threading.Thread(target=end_all)
            thread.start()
            # The loop is held up meanwhile, so that the hundred are one burst.
            thread.join(30)
            assert loops[0].woken - before == 1
            assert {type(await handle.notification()) for handle in handles} == {TaskCancelled}

    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(main())


def test_what_a_listener_does_takes_effect_though_nothing_else_happens() -> None:
    async def main() -> None:
        ran = asyncio.Event()

        async def follow() -> None:
            ran.set()

        async with asyncio.timeout(30), AsyncIOScheduler() as scheduler:
            task = scheduler.add_task(nothing, trigger=None)
            task.on_executed(lambda _: scheduler.add_task(follow))
            task.run()
            await ran.wait()

    asyncio.run(main())


def test_a_call_that_comes_as_the_inbox_falls_asleep_is_made_though_nothing_else_happens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class LooksEmptyJustBefore(deque[Callable[[], object]]):
        """Gets a call right after it was seen to be empty, as from another thread."""

        late_call: Callable[[], object] | None = None

        @override
        def __len__(self) -> int:
            seen, call = super().__len__(), self.late_call
            if not seen and call is not None:
                self.late_call = None
                inbox.put(call)
            return seen

    async def main() -> None:
        made = asyncio.Event()
        inbox.open(asyncio.get_running_loop())
        inbox.put(lambda: setattr(calls, "late_call", made.set))
        async with asyncio.timeout(30):
            await made.wait()

    inbox = Inbox()
    calls = LooksEmptyJustBefore()
    monkeypatch.setattr(inbox, "calls", calls)
    asyncio.run(main())


# 5: too late


@every_executor
@pytest.mark.parametrize("function", [functions.add, functions.add_async])
@pytest.mark.parametrize(("late", "ending"), [(60.0, "TaskExecuted"), (60.001, "TaskMissed")])
def test_a_run_may_start_as_late_as_its_grace_time_and_no_later(
    kind: str, late: float, ending: str, function: Callable[[int, int], int | Awaitable[int]], recorder: Recorder
) -> None:
    async def main() -> None:
        executor = MAKERS[kind]()
        await executor.start(recorder, "tried")
        task: TaskSpec[object] = TaskSpec("t", partial(function, 1, 2), limits=TaskLimits(misfire_grace_time=60.0))
        executor.submit(TaskRun(task, scheduled=1000.0, clock_now=lambda: 1000.0 + late))
        await recorder.until(lambda: len(recorder.told) == 2)
        await executor.shutdown()

    asyncio.run(main())
    assert [type(notification).__name__ for notification in recorder.notifications] == [ending]


def test_what_is_too_late_when_it_is_due_never_reaches_its_executor() -> None:
    async def main() -> None:
        clock, trusting = FakeClock(), Own(inline)
        async with AsyncIOScheduler(executors={"tried": trusting}, clock=clock) as scheduler:
            missed: list[TaskMissed] = []
            scheduler.subscribe(TaskMissed, missed.append)
            at = START + timedelta(hours=1)
            scheduler.add_task(functions.add, 1, 2, executor="tried", trigger=DateTrigger(at), misfire_grace_time=60)
            await clock.advance()
            scheduler.pause()
            await clock.advance(hours=2)
            scheduler.resume()
            await clock.advance(seconds=1)
        assert len(missed) == 1
        assert trusting.taken == []

    asyncio.run(main())


@every_queueing_executor
def test_what_becomes_too_late_in_the_queue_of_its_executor_is_missed(
    kind: str, recorder: Recorder, tmp_path: Path
) -> None:
    mark, go_on, now = tmp_path / "mark", tmp_path / "go-on", [1000.0]

    async def main() -> None:
        executor = with_one_worker(kind)
        await executor.start(recorder, "tried")
        executor.submit(TaskRun(TaskSpec("first", partial(functions.mark_and_wait, str(mark), str(go_on)))))
        await until(mark.exists)
        second = TaskSpec("second", partial(functions.add, 1, 2), limits=TaskLimits(misfire_grace_time=60.0))
        executor.submit(TaskRun(second, scheduled=1000.0, clock_now=lambda: now[0]))
        now[0] = 2000.0
        go_on.touch()
        await recorder.until(lambda: len(recorder.told) == 4)
        await executor.shutdown()

    asyncio.run(main())
    ends = {notification.task_id: type(notification) for notification in recorder.notifications}
    assert ends == {"first": TaskExecuted, "second": TaskMissed}


@pytest.mark.parametrize("kind", MAKERS)
def test_by_default_no_run_is_too_late_and_of_several_due_times_the_latest_runs_alone(kind: str) -> None:
    async def main() -> None:
        clock = FakeClock()
        due: list[datetime | None] = []
        async with AsyncIOScheduler(executors={"tried": MAKERS[kind]()}, clock=clock) as scheduler:
            task = scheduler.add_task(functions.add, 1, 2, executor="tried", trigger=IntervalTrigger(days=1))
            task.on_done(lambda event: due.append(event.details.scheduled_at))
            await clock.advance()
            scheduler.pause()
            await clock.advance(days=3.5)
            scheduler.resume()
            await clock.advance(seconds=1, wait_for_runs=True)
            assert isinstance(task.last_notification, TaskExecuted)
        assert due == [START + timedelta(days=3)]

    asyncio.run(main())


# 6: coalesce


def test_more_due_times_than_are_looked_at_in_one_turn_are_still_one_run() -> None:
    async def main() -> None:
        clock = FakeClock()
        due: list[datetime | None] = []
        async with AsyncIOScheduler(clock=clock) as scheduler:
            task = scheduler.add_task(nothing, trigger=IntervalTrigger(seconds=1))
            task.on_executed(lambda event: due.append(event.details.scheduled_at))
            await clock.advance()
            scheduler.pause_task(task)
            await clock.advance(seconds=1800)
            scheduler.resume_task(task)
            await clock.advance(seconds=0.5)
        assert due == [START + timedelta(seconds=1800)]

    asyncio.run(main())


def test_one_instance_at_a_time_is_the_default() -> None:
    async def main() -> None:
        go_on = asyncio.Event()
        async with AsyncIOScheduler() as scheduler:
            task = scheduler.add_task(go_on.wait, trigger=None)
            handle = task.run()
            with pytest.raises(MaximumInstancesError):
                task.run()
            go_on.set()
            assert await handle is True

    asyncio.run(main())


# 7: what a user's code raises harms only itself


class Raises:
    """A trigger that is due after a second, and raises when it is asked again."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self.asked = 0

    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        self.asked += 1
        if self.asked > 1:
            raise self.error
        return now + timedelta(seconds=1)


raised_by_triggers = pytest.mark.parametrize(
    "error", [ValueError("no idea"), functions.OwnBaseException("no idea"), SystemExit(3)], ids=repr
)


@raised_by_triggers
def test_whatever_a_trigger_raises_ends_its_own_schedule_and_is_told(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        clock, trigger = FakeClock(), Raises(error)
        modified: list[TaskModified] = []
        removed: list[str] = []
        due: list[datetime | None] = []
        async with AsyncIOScheduler(clock=clock) as scheduler:
            scheduler.subscribe(TaskModified, modified.append)
            scheduler.subscribe(TaskRemoved, lambda event: removed.append(event.task_id))
            broken = scheduler.add_task(nothing, trigger=trigger, id="broken")
            other = scheduler.add_task(nothing, trigger=IntervalTrigger(seconds=1))
            other.on_executed(lambda event: due.append(event.details.scheduled_at))
            await clock.advance(5)
            assert isinstance(broken.last_notification, TaskExecuted)
        assert [(event.task_id, event.exception) for event in modified] == [("broken", error)]
        assert removed == ["broken"]
        assert trigger.asked == 2
        assert len(due) == 5

    asyncio.run(main())
    assert "The trigger of the task 'broken' raised" in caplog.text


def test_a_task_whose_trigger_raised_can_be_given_another_by_who_hears_of_it() -> None:
    async def main() -> None:
        clock = FakeClock()
        async with AsyncIOScheduler(clock=clock) as scheduler:

            def mend(event: TaskModified) -> None:
                if event.exception is not None:
                    scheduler.reschedule_task(event.task_id, IntervalTrigger(seconds=1))

            scheduler.subscribe(TaskModified, mend)
            task = scheduler.add_task(nothing, trigger=Raises(ValueError("no more")))
            await clock.advance(5)
            assert scheduler.tasks == (task,)
            assert task.state.executed == 5

    asyncio.run(main())


def test_a_task_that_is_removed_by_who_hears_that_its_trigger_raised_runs_no_more() -> None:
    async def main() -> None:
        clock = FakeClock()
        ended: list[TaskExecuted[object]] = []
        async with AsyncIOScheduler(clock=clock) as scheduler:
            scheduler.subscribe(TaskModified, lambda event: scheduler.remove_task(event.task_id))
            scheduler.subscribe(TaskExecuted, ended.append)
            scheduler.add_task(nothing, trigger=Raises(ValueError("no more")))
            await clock.advance(5)
            assert scheduler.tasks == ()
        assert ended == []

    asyncio.run(main())


class DueAgain:
    """Due at once when it is new, and an hour after each time."""

    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        return now if previous is None else previous + timedelta(hours=1)


class DueAfterTheStart(DueAgain):
    """The same, but it raises at the time before."""

    @override
    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        if now < START:
            raise ValueError("too early")
        return super().next_due_time(previous, now)


def test_nothing_runs_once_a_listener_has_paused_the_scheduler_as_the_clock_was_set_back() -> None:
    async def main() -> None:
        clock = FakeClock(START)
        async with AsyncIOScheduler(clock=clock) as scheduler:
            failing = scheduler.add_task(functions.add_async, 1, 2, trigger=DueAfterTheStart())
            waiting = scheduler.add_task(functions.add_async, 1, 2, trigger=DueAgain())
            await clock.advance(1)
            assert failing.state.executed == waiting.state.executed == 1
            scheduler.subscribe(TaskModified, lambda _: scheduler.pause())
            clock.set(START - timedelta(days=1))
            scheduler.add_task(functions.add_async, 1, 2)
            await clock.advance(5)
            assert (scheduler.state.status, waiting.state.submitted) == ("paused", 1)

    asyncio.run(main())


@raised_by_triggers
def test_a_trigger_that_raises_after_the_clock_was_set_back_ends_its_own_schedule_only(error: BaseException) -> None:
    async def main() -> None:
        clock = FakeClock()
        modified: list[TaskModified] = []
        runs: list[object] = []
        async with AsyncIOScheduler(clock=clock) as scheduler:
            scheduler.subscribe(TaskModified, modified.append)
            scheduler.add_task(nothing, trigger=Raises(error), id="broken")
            scheduler.add_task(nothing, trigger=IntervalTrigger(seconds=5)).on_executed(runs.append)
            await clock.advance(0.5)
            clock.set(START - timedelta(days=1))
            # The timer was set on the old time: it is made when that comes.
            clock._timers = [(clock.now() + 1, number, timer) for _, number, timer in clock._timers]
            await clock.advance(12)
            assert [task.id for task in scheduler.tasks] != ["broken"]
            assert len(scheduler.tasks) == 1
        assert [(event.task_id, event.exception) for event in modified] == [("broken", error)]
        assert len(runs) == 2

    asyncio.run(main())


# 8: from any thread


def test_what_another_thread_does_takes_effect_on_the_thread_of_the_loop_and_waits_for_nothing() -> None:
    async def main() -> None:
        async with AsyncIOScheduler() as scheduler:
            heard: list[tuple[str, int]] = []
            scheduler.subscribe(TaskAdded, lambda event: heard.append((event.task_id, threading.get_ident())))
            scheduler.subscribe(TaskModified, lambda event: heard.append((event.task_id, threading.get_ident())))
            scheduler.subscribe(TaskRemoved, lambda event: heard.append((event.task_id, threading.get_ident())))
            rejected: list[str] = []

            def use() -> None:
                first = scheduler.add_task(nothing, trigger=IntervalTrigger(hours=1), id="first")
                scheduler.add_task(nothing, trigger=IntervalTrigger(hours=1), id="second")
                scheduler.pause_task(first)
                scheduler.resume_task(first)
                scheduler.pause()
                scheduler.resume()
                scheduler.remove_task("second")
                try:
                    scheduler.add_task(nothing, id="first")
                except DuplicateTaskError as error:
                    rejected.append(error.task_id)

            thread = threading.Thread(target=use)
            thread.start()
            # The loop does nothing meanwhile, and nothing waits for it.
            thread.join(10)
            assert not thread.is_alive()
            assert rejected == ["first"]
            assert heard == []
            assert scheduler._core.timetable.earliest is None
            await until(lambda: len(heard) == 5)
            here = threading.get_ident()
            assert sorted(heard) == sorted([("first", here)] * 3 + [("second", here)] * 2)
            assert scheduler._core.timetable.earliest is not None

    asyncio.run(main())


@pytest.mark.parametrize("running", [False, True])
def test_a_task_that_is_rejected_leaves_no_trace(running: bool) -> None:
    async def main() -> None:
        scheduler = AsyncIOScheduler()
        scheduler.add_task(functions.add, 1, 2, id="taken", trigger=None, executor="debug")
        if running:
            await scheduler.start()
        with pytest.raises(SerializationError):
            scheduler.add_task(lambda: 1, executor="processpool")
        with pytest.raises(SerializationError):
            scheduler.add_task(lambda: 1, executor=ProcessPoolExecutor(1))
        with pytest.raises(DuplicateTaskError):
            scheduler.add_task(functions.add, 1, 2, id="taken", executor="threadpool")
        with pytest.raises(DuplicateTaskError):
            scheduler.add_task(functions.add, 1, 2, id="taken", executor=ThreadPoolExecutor(1))
        assert [executor.alias for executor in scheduler.state.executors] == [""] if not running else ["debug"]
        assert [task.id for task in scheduler.tasks] == ["taken"]
        await scheduler.shutdown()

    asyncio.run(main())


# 9: executors


@every_executor
@pytest.mark.parametrize("late", [False, True])
def test_an_executor_belongs_to_one_scheduler(kind: str, late: bool) -> None:
    async def main() -> None:
        executor = MAKERS[kind]()
        async with asyncio.timeout(60), AsyncIOScheduler(executors={"mine": executor}) as owner:
            task = owner.add_task(functions.add, 1, 2, executor="mine", trigger=None)
            assert await task.run() == 3
            other = AsyncIOScheduler()
            if late:
                await other.start()
                other.add_executor(executor, alias="yours")
                with pytest.raises(DuplicateExecutorError, match="'mine'"):
                    await other.add_task(functions.add, 1, 2, executor="yours").result()
                assert other.state.executors == ()
            else:
                other.add_executor(executor, alias="yours")
                with pytest.raises(DuplicateExecutorError, match="'mine'"):
                    await other.start()
            await other.shutdown()
            # Whose it is, it goes on for.
            assert await task.run() == 3
            assert owner.state.executors[0].status == "running"
        # Once that has let go of it, another may have it.
        async with AsyncIOScheduler(executors={"yours": executor}) as heir:
            assert await heir.add_task(functions.add, 1, 2, executor="yours").result() == 3

    asyncio.run(main())


class FailsToStart(AsyncIOExecutor):
    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    @override
    async def start(self, scheduler: asyncz.Notifier, alias: str, /) -> None:
        await asyncio.sleep(0)
        raise self.error


@pytest.mark.parametrize(
    "error", [OSError("no licence"), functions.OwnBaseException("no licence"), asyncio.CancelledError()], ids=repr
)
def test_whatever_a_late_start_raises_ends_the_runs_that_wait_for_it(error: BaseException) -> None:
    async def main() -> None:
        async with asyncio.timeout(30), AsyncIOScheduler() as scheduler:
            scheduler.add_executor(FailsToStart(error), alias="tried")
            task = scheduler.add_task(functions.add, 1, 2, executor="tried", trigger=None, max_instances=2)
            handles = [task.run(), task.run()]
            for handle in handles:
                ending = await handle.notification()
                assert isinstance(ending, TaskError)
                assert ending.exception is error
            assert scheduler.state.executors == ()
            # So does one that comes later.
            assert isinstance(await task.run().notification(), TaskError)
        assert scheduler.state.submitted == scheduler.state.errors == 3

    asyncio.run(main())


class EndsBadly(AsyncIOExecutor):
    @override
    async def release(self, *, wait: bool) -> None:
        raise functions.OwnBaseException("at the end")


def test_a_start_that_fails_tells_why_also_where_ending_what_had_started_fails() -> None:
    async def main() -> None:
        scheduler = AsyncIOScheduler(executors={"good": EndsBadly(), "bad": FailsToStart(OSError("no licence"))})
        with pytest.raises(OSError, match="no licence"):
            await scheduler.start()
        assert scheduler.state.status == "stopped"

    asyncio.run(main())


def test_a_removed_executor_is_shut_down() -> None:
    async def main() -> None:
        executor = ThreadPoolExecutor(1)
        async with AsyncIOScheduler(executors={"tried": executor}) as scheduler:
            await scheduler.remove_executor("tried")
            assert executor.state.status == "stopped"

    asyncio.run(main())


# 10: shutdown


def test_a_second_shutdown_waits_for_the_first_and_tells_nothing() -> None:
    async def main() -> None:
        go_on = asyncio.Event()
        scheduler = AsyncIOScheduler()
        reports: list[object] = []
        scheduler.subscribe(SchedulerShutdown, reports.append)
        await scheduler.start()
        handle = scheduler.add_task(go_on.wait, trigger=None).run()
        first = asyncio.ensure_future(scheduler.shutdown())
        second = asyncio.ensure_future(scheduler.shutdown())
        await asyncio.sleep(0.01)
        assert (first.done(), second.done()) == (False, False)
        go_on.set()
        await second
        assert handle.done()
        await first
        await scheduler.shutdown()
        assert len(reports) == 1

    asyncio.run(main())


@every_queueing_executor
@pytest.mark.parametrize("timeout", [None, 60.0])
@pytest.mark.parametrize("waiting", [False, True])
def test_a_shutdown_that_was_cancelled_is_gone_on_with_by_the_next(
    kind: str, timeout: float | None, waiting: bool, tmp_path: Path
) -> None:
    mark, go_on = tmp_path / "mark", tmp_path / "go-on"

    async def main() -> None:
        scheduler = scheduler_with(kind)
        reports: list[SchedulerShutdown] = []
        scheduler.subscribe(SchedulerShutdown, reports.append)
        await scheduler.start()
        task = scheduler.add_task(functions.mark_and_wait, str(mark), str(go_on), executor="tried", trigger=None)
        handle = task.run()
        await until(mark.exists)
        first = asyncio.ensure_future(scheduler.shutdown(timeout=timeout))
        await asyncio.sleep(0)
        # Another call may wait for that one already, or come later.
        next_one = asyncio.ensure_future(scheduler.shutdown(wait=False)) if waiting else None
        await asyncio.sleep(0.01)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        async with asyncio.timeout(30):
            await (next_one or scheduler.shutdown(wait=False))
        assert isinstance(await handle.notification(), TaskCancelled)
        assert [report.cancelled for report in reports] == [1]
        assert scheduler.state.executors[0].status == "stopped"
        go_on.touch()
        async with asyncio.timeout(30), scheduler:
            assert await scheduler.add_task(functions.add, 1, 2, executor="tried", trigger=None).run() == 3

    asyncio.run(main())


def test_the_shutdown_is_the_last_event_also_where_a_listener_goes_on_after_the_last_run() -> None:
    async def main() -> None:
        heard: list[str] = []
        scheduler = AsyncIOScheduler()
        scheduler.subscribe(TaskExecuted, lambda _: heard.append("executed"))
        scheduler.subscribe(TaskRemoved, lambda _: heard.append("removed"))
        scheduler.subscribe(SchedulerShutdown, lambda _: heard.append("shutdown"))
        await scheduler.start()
        task = scheduler.add_task(functions.add_async, 1, 2, trigger=None)

        @task.on_executed
        async def remove_later(_: TaskExecuted[int]) -> None:
            await asyncio.sleep(0.02)
            scheduler.remove_task(task)

        task.run()
        await scheduler.shutdown()
        assert heard == ["executed", "removed", "shutdown"]

    asyncio.run(main())


def test_a_shutdown_waits_for_what_runs_and_not_for_what_was_abandoned() -> None:
    async def main() -> None:
        never, go_on = threading.Event(), threading.Event()
        executor = ThreadPoolExecutor(2)
        scheduler = AsyncIOScheduler(executors={"tried": executor})
        await scheduler.start()
        hanging = scheduler.add_task(never.wait, 60, executor="tried", trigger=None, timeout=0.01)
        with pytest.raises(TaskTimeoutError):
            await hanging.run()
        handle = scheduler.add_task(go_on.wait, 30, executor="tried", trigger=None).run()
        await until(lambda: executor.state.queued == 0)
        shutdown = asyncio.ensure_future(scheduler.shutdown())
        await asyncio.sleep(0.02)
        assert not shutdown.done()
        go_on.set()
        async with asyncio.timeout(20):
            await shutdown
        assert await handle is True
        assert executor.state.abandoned == 1
        never.set()
        await until(lambda: executor.state.running == 0)

    asyncio.run(main())


def test_the_loop_goes_on_while_a_worker_does_not_quit() -> None:
    async def main() -> None:
        scheduler = scheduler_with("processpool")
        await scheduler.start()
        # The thread holds the process up, so that its end takes seconds.
        await scheduler.add_task(functions.leave_a_thread, executor="tried").result()
        turns = 0
        shutdown = asyncio.ensure_future(scheduler.shutdown())
        while not shutdown.done():
            await asyncio.sleep(0.01)
            turns += 1
        assert turns > 10

    asyncio.run(main())


def test_an_executor_that_is_started_in_another_loop_keeps_time_and_drains_there() -> None:
    executor = ThreadPoolExecutor(2)

    async def main() -> None:
        go_on = threading.Event()
        scheduler = AsyncIOScheduler(executors={"tried": executor})
        async with asyncio.timeout(30):
            await scheduler.start()
            limited = scheduler.add_task(go_on.wait, 30, executor="tried", trigger=None, timeout=0.01)
            with pytest.raises(TaskTimeoutError):
                await limited.run()
            handle = scheduler.add_task(go_on.wait, 30, executor="tried", trigger=None).run()
            asyncio.get_running_loop().call_later(0.05, go_on.set)
            await scheduler.shutdown()
            assert await handle is True
            # What was abandoned returns as well, and leaves nothing for the next time.
            await until(lambda: executor.state.running == 0)

    asyncio.run(main())
    asyncio.run(main())


def test_an_executor_whose_shutdown_raises_does_not_keep_the_scheduler_from_its_end() -> None:
    async def main() -> None:
        scheduler = AsyncIOScheduler(executors={"bad": EndsBadly(), "good": AsyncIOExecutor()})
        await scheduler.start()
        async with asyncio.timeout(30):
            await scheduler.shutdown()
        assert scheduler.state.status == "stopped"
        assert scheduler.state.executors[1].status == "stopped"

    asyncio.run(main())


class Ill:
    """Takes runs and never tells how they end; raises whatever else it is asked."""

    def __init__(self) -> None:
        self.asked_to_cancel = False
        self.asked_to_end: list[bool] = []

    @property
    def state(self) -> ExecutorState:
        if self.asked_to_end:
            raise OSError("cannot tell")
        return ExecutorState(alias="ill", status="running")

    async def start(self, scheduler: asyncz.Notifier, alias: str, /) -> None:
        pass

    def submit(self, run: TaskRun[ResultT], /) -> None:
        pass

    def cancel_all(self) -> None:
        self.asked_to_cancel = True
        raise OSError("cannot cancel")

    async def shutdown(self, wait: bool = True) -> None:
        self.asked_to_end.append(wait)
        if wait:
            await asyncio.Event().wait()
        raise OSError("cannot shut down")


def test_an_executor_that_fails_in_all_that_it_is_asked_does_not_keep_the_scheduler_from_its_end() -> None:
    async def main() -> None:
        ill = Ill()
        scheduler = AsyncIOScheduler(executors={"ill": ill})
        reports: list[SchedulerShutdown] = []
        scheduler.subscribe(SchedulerShutdown, reports.append)
        await scheduler.start()
        handle = scheduler.add_task(functions.add, 1, 2, executor="ill", trigger=None).run()
        async with asyncio.timeout(30):
            await scheduler.shutdown(timeout=0.01)
        assert ill.asked_to_cancel
        assert ill.asked_to_end == [True, False]
        assert isinstance(await handle.notification(), TaskCancelled)
        assert (len(reports), scheduler.running) == (1, False)

    asyncio.run(main())


# 11: awaitables


class Later:
    """An awaitable that is no coroutine."""

    def __await__(self) -> Generator[object, None, int]:
        return functions.add_async(1, 2).__await__()


def give_later() -> Later:
    return Later()


@every_executor
def test_a_returned_awaitable_of_any_class_is_awaited(kind: str) -> None:
    async def main() -> None:
        async with scheduler_with(kind) as scheduler:
            assert await scheduler.add_task(give_later, executor="tried", trigger=None).run() == 3

    asyncio.run(main())


async def where_coroutines_run() -> tuple[int, str]:
    asyncio.get_running_loop()
    return os.getpid(), threading.current_thread().name


def give_coroutine() -> Awaitable[tuple[int, str]]:
    return where_coroutines_run()


@pytest.mark.parametrize("function", [where_coroutines_run, give_coroutine])
@every_queueing_executor
def test_coroutines_run_in_a_loop_of_the_worker(kind: str, function: Callable[[], Awaitable[tuple[int, str]]]) -> None:
    async def main() -> None:
        async with scheduler_with(kind) as scheduler:
            pid, thread = await scheduler.add_task(function, executor="tried", trigger=None).run()
        here = threading.current_thread().name
        if kind == "processpool":
            assert pid != os.getpid()
        else:
            assert (pid, thread == here) == (os.getpid(), kind == "asyncio")

    asyncio.run(main())


# 12: context variables


@pytest.mark.parametrize("kind", ["asyncio", "threadpool", "debug"])
def test_what_a_run_does_to_context_variables_is_its_own(kind: str) -> None:
    variable = contextvars.ContextVar("variable", default=0)

    def count() -> int:
        variable.set(variable.get() + 1)
        return variable.get()

    async def count_async() -> int:
        return count()

    async def main() -> None:
        clock = FakeClock()
        async with AsyncIOScheduler(executors={"tried": MAKERS[kind]()}, clock=clock) as scheduler:
            variable.set(10)
            results: list[object] = []
            for function in (count, count_async):
                task = scheduler.add_task(function, executor="tried", trigger=IntervalTrigger(seconds=1))
                task.on_executed(lambda event: results.append(event.result))
            variable.set(20)
            await clock.advance(3.5, wait_for_runs=True)
            assert results == [11] * 6
            assert variable.get() == 20

    asyncio.run(main())


def test_a_coroutine_that_is_driven_at_once_sees_its_own_run_and_may_start_others() -> None:
    seen: list[str] = []

    async def look(task: list[Task[None]]) -> None:
        state = task[0].state
        seen.append(f"{state.submitted} submitted, {state.running} running, {task[0].cancel_runs()} cancelled")

    async def main() -> None:
        async with AsyncIOScheduler() as scheduler:
            itself: list[Task[None]] = []
            itself.append(scheduler.add_task(look, itself, trigger=None))
            run = itself[0].run()
            # It asked for its cancellation before it had ended.
            assert isinstance(await run.notification(), TaskCancelled)
            assert seen == ["1 submitted, 1 running, 1 cancelled"]
            remaining, ended = 3000, asyncio.Event()

            async def start_another() -> None:
                nonlocal remaining
                remaining -= 1
                if remaining:
                    scheduler.add_task(nothing, id=f"beside-{remaining}", trigger=None).run()
                    chain.run()
                else:
                    ended.set()

            chain = scheduler.add_task(start_another, trigger=None, max_instances=5000)
            chain.run()
            await asyncio.wait_for(ended.wait(), 30)

    asyncio.run(main())


def test_a_task_factory_of_the_loop_makes_the_tasks_of_coroutines() -> None:
    made: list[asyncio.Task[object]] = []

    def factory(
        loop: asyncio.AbstractEventLoop,
        coroutine: Coroutine[object, Never, ResultT] | Generator[object, None, ResultT],
        *,
        context: contextvars.Context | None = None,
    ) -> asyncio.Task[ResultT]:
        assert isinstance(coroutine, Coroutine)
        task = asyncio.Task(coroutine, loop=loop, context=context)
        made.append(task)
        return task

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(factory)
        async with AsyncIOScheduler() as scheduler:
            await scheduler.add_task(nothing, id="named-as-its-task").result()
        assert "named-as-its-task" in [task.get_name() for task in made]

    asyncio.run(main())


def test_coroutines_of_one_thread_see_each_its_own_context() -> None:
    variable = contextvars.ContextVar("variable", default="unset")

    async def read() -> str:
        return variable.get()

    async def main() -> None:
        async with AsyncIOScheduler(executors={"tried": ThreadPoolExecutor(1)}) as scheduler:
            task = scheduler.add_task(read, executor="tried", trigger=None, max_instances=2)
            variable.set("first")
            first = task.run()
            variable.set("second")
            second = task.run()
            assert [await first, await second] == ["first", "second"]

    asyncio.run(main())


def test_listeners_see_the_context_of_the_start_whoever_leads_to_their_call() -> None:
    variable = contextvars.ContextVar("variable", default="unset")
    seen: list[str] = []

    def hear(_: object) -> None:
        seen.append(variable.get())
        variable.set("of a listener")

    async def hear_later(_: object) -> None:
        await asyncio.sleep(0)
        seen.append(variable.get())

    async def main() -> None:
        variable.set("of the start")
        async with AsyncIOScheduler() as scheduler:
            variable.set("of what comes later")
            scheduler.subscribe(TaskExecuted, hear)
            task = scheduler.add_task(functions.add, 1, 2, executor="debug", trigger=None)
            task.on_executed(hear_later)
            await task.run()
            await asyncio.to_thread(task.submit)
            await until(lambda: len(seen) == 4)
            # By a timer, which another follows that is set in its call.
            scheduler.add_task(functions.add, 1, 2, executor="debug", trigger=IntervalTrigger(seconds=0.001))
            await until(lambda: len(seen) >= 7)
        assert set(seen) == {"of the start"}

    asyncio.run(main())


def test_a_further_attempt_sees_the_context_of_the_first() -> None:
    variable = contextvars.ContextVar("variable", default="unset")
    seen: list[str] = []

    async def work() -> None:
        seen.append(variable.get())
        variable.set("in an attempt")
        if len(seen) < 3:
            raise OSError("no answer")

    async def main() -> None:
        async with AsyncIOScheduler() as scheduler:
            variable.set("at the call")
            handle = scheduler.add_task(work, retry=Retry(attempts=3), trigger=None).run()
            variable.set("later")
            await handle

    asyncio.run(main())
    assert seen == ["at the call"] * 3


# 13: signals and processes


@pytest.mark.parametrize("kind", MAKERS)
def test_signals_are_handled_inside_wait_closed_only(kind: str) -> None:
    numbers = (signal.SIGINT, signal.SIGTERM)

    def handlers() -> list[object]:
        return [signal.getsignal(number) for number in numbers]

    async def main() -> None:
        before = handlers()
        scheduler = scheduler_with(kind)
        await scheduler.start()
        assert await scheduler.add_task(functions.add, 1, 2, executor="tried", trigger=None).run() == 3
        assert handlers() == before
        waiting = asyncio.ensure_future(scheduler.wait_closed())
        await asyncio.sleep(0)
        assert all(now is not handler for now, handler in zip(handlers(), before, strict=True))
        await scheduler.shutdown()
        await waiting
        assert handlers() == before

    asyncio.run(main())


def survives_interrupt() -> str:
    os.kill(os.getpid(), signal.SIGINT)
    return "went on"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_ignore_sigint(method: str) -> None:
    async def main() -> None:
        pool = ProcessPoolExecutor(1, {"mp_context": multiprocessing.get_context(method)})
        async with asyncio.timeout(60), AsyncIOScheduler(executors={"tried": pool}) as scheduler:
            assert await scheduler.add_task(survives_interrupt, executor="tried").result() == "went on"

    asyncio.run(main())


def how_it_was_started() -> str:
    return type(multiprocessing.current_process()).__name__


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (None, "ForkServerProcess"),
        ("fork", "ForkProcess"),
        ("spawn", "SpawnProcess"),
        ("forkserver", "ForkServerProcess"),
    ],
)
def test_processes_start_by_forkserver_unless_the_context_says_otherwise(method: str | None, expected: str) -> None:
    async def main() -> None:
        pool = ProcessPoolExecutor(1, {"mp_context": multiprocessing.get_context(method)} if method else None)
        async with asyncio.timeout(60), AsyncIOScheduler(executors={"tried": pool}) as scheduler:
            assert await scheduler.add_task(how_it_was_started, executor="tried").result() == expected

    asyncio.run(main())


def test_processes_start_by_spawn_where_there_is_no_forkserver(monkeypatch: pytest.MonkeyPatch) -> None:
    from asyncz.executors.process_pool import _process

    monkeypatch.setattr(multiprocessing, "get_all_start_methods", lambda: ["spawn"])
    assert _process.default_context().get_start_method() == "spawn"


# Retries and time limits


def test_a_run_that_is_tried_again_is_told_once_and_logs_no_second_end(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[int] = []

    async def flaky() -> int:
        calls.append(1)
        if len(calls) < 3:
            raise OSError("no answer")
        return len(calls)

    async def main() -> None:
        async with AsyncIOScheduler() as scheduler:
            endings: list[object] = []
            task = scheduler.add_task(flaky, retry=Retry(attempts=3), trigger=None)
            task.on_done(endings.append)
            assert await task.run() == 3
            assert [type(ending) for ending in endings] == [TaskExecuted]

    with caplog.at_level(logging.ERROR):
        asyncio.run(main())
    assert caplog.records == []


def test_an_attempt_that_was_rejected_is_made_as_soon_as_there_is_a_place() -> None:
    async def main() -> None:
        clock = FakeClock()
        go_on = threading.Event()
        calls: list[bool] = []

        def slow_at_first() -> int:
            calls.append(True)
            if len(calls) == 1:
                go_on.wait(30)
            return len(calls)

        async with AsyncIOScheduler(executors={"io": ThreadPoolExecutor(2)}, clock=clock) as scheduler:
            retrying: list[object] = []
            scheduler.subscribe(TaskRetrying, retrying.append)
            retry = Retry(attempts=2, on=(TaskTimeoutError,))
            task = scheduler.add_task(slow_at_first, timeout=0.05, retry=retry, executor="io", trigger=None)
            handle = task.run()
            await until(lambda: bool(retrying))
            # The attempt is due, and is rejected: the first one's function goes on.
            await clock.advance(0.1)
            assert (scheduler.state.executors[0].abandoned, handle.done()) == (1, False)
            go_on.set()
            async with asyncio.timeout(30):
                assert await handle == 2

    asyncio.run(main())


@every_queueing_executor
def test_a_time_limit_does_not_count_the_time_in_the_queue(kind: str, tmp_path: Path) -> None:
    mark, go_on = tmp_path / "mark", tmp_path / "go-on"

    async def main() -> None:
        async with asyncio.timeout(60), AsyncIOScheduler(executors={"tried": with_one_worker(kind)}) as scheduler:
            first = scheduler.add_task(
                functions.mark_and_wait, str(mark), str(go_on), executor="tried", trigger=None
            ).run()
            await until(mark.exists)
            limited = scheduler.add_task(functions.add, 1, 2, executor="tried", trigger=None, timeout=2.0).run()
            await asyncio.sleep(2.5)
            go_on.touch()
            await first
            assert await limited == 3

    asyncio.run(main())


# A crash costs one run


def test_a_worker_that_dies_leaves_what_the_others_execute_alone(tmp_path: Path) -> None:
    mark, go_on = tmp_path / "mark", tmp_path / "go-on"

    async def main() -> None:
        async with asyncio.timeout(60), scheduler_with("processpool") as scheduler:
            handle = scheduler.add_task(
                functions.mark_and_wait, str(mark), str(go_on), executor="tried", trigger=None
            ).run()
            await until(mark.exists)
            with pytest.raises(WorkerLostError):
                await scheduler.add_task(functions.die, executor="tried", trigger=None).run()
            go_on.touch()
            assert await handle == int(mark.read_text())

    asyncio.run(main())
