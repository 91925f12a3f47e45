"""What can be changed while a scheduler runs, by whom, and what follows from it."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import get_args

import pytest
from hypothesis import given, settings, strategies as st
from typing_extensions import override

import asyncz
from asyncz import (
    AsyncIOExecutor,
    AsyncIOScheduler,
    AsynczError,
    DateTrigger,
    ExecutorInUseError,
    IntervalTrigger,
    InvalidInputError,
    MaximumInstancesError,
    OverlapPolicy,
    ProcessPoolExecutor,
    Retry,
    SchedulerNotRunningError,
    SchedulerPaused,
    SchedulerResumed,
    SchedulerState,
    SerializationError,
    Task,
    TaskAdded,
    TaskCancelled,
    TaskError,
    TaskExecuted,
    TaskLimits,
    TaskLookupError,
    TaskMaxInstances,
    TaskMissed,
    TaskModified,
    TaskRemoved,
    TaskRun,
    TaskSubmitted,
    TaskTimeoutError,
    ThreadPoolExecutor,
    UnknownAliasError,
)
from asyncz.testing import FakeClock
from tests import functions
from tests.test_defects import until

START = datetime(2030, 1, 1, tzinfo=UTC)
EVERY_SECOND = IntervalTrigger(seconds=1)


async def nothing() -> None:
    pass


def listen_to_changes(scheduler: AsyncIOScheduler) -> list[TaskAdded | TaskModified | TaskRemoved]:
    heard: list[TaskAdded | TaskModified | TaskRemoved] = []
    scheduler.subscribe(TaskAdded, heard.append)
    scheduler.subscribe(TaskModified, heard.append)
    scheduler.subscribe(TaskRemoved, heard.append)
    return heard


# Limits


def test_limits_that_are_changed_count_at_once_and_the_others_stay() -> None:
    async def main() -> None:
        go_on = asyncio.Event()
        async with AsyncIOScheduler(executors={"asyncio": "asyncio"}) as scheduler:
            task = scheduler.add_task(go_on.wait, trigger=None, misfire_grace_time=5)
            handles = [task.run()]
            with pytest.raises(MaximumInstancesError):
                task.run()
            scheduler.modify_task(task, max_instances=2, coalesce=False)
            assert task.limits == TaskLimits(max_instances=2, misfire_grace_time=5, coalesce=False)
            handles.append(task.run())
            task.modify(max_instances=1)
            with pytest.raises(MaximumInstancesError):
                task.run()
            go_on.set()
            assert [await handle for handle in handles] == [True, True]

    asyncio.run(main())


def test_a_changed_time_limit_and_retry_are_those_of_the_next_attempt() -> None:
    async def main() -> None:
        attempts: list[bool] = []

        async def hang_once() -> str:
            attempts.append(True)
            if len(attempts) == 1:
                await asyncio.Event().wait()
            return "done"

        async with asyncio.timeout(30), AsyncIOScheduler() as scheduler:
            task = scheduler.add_task(hang_once, trigger=None)
            task.modify(timeout=0.02)
            with pytest.raises(TaskTimeoutError):
                await task.run()
            await until(lambda: task.state.running == 0)
            attempts.clear()
            task.modify(retry=Retry(attempts=2, on=(TaskTimeoutError,)))
            assert await task.run() == "done"
            assert len(attempts) == 2

    asyncio.run(main())


def test_a_retry_that_is_set_while_a_run_is_under_way_gives_it_another_attempt() -> None:
    async def main() -> None:
        go_on = asyncio.Event()
        variable = contextvars.ContextVar("variable", default="unset")
        attempts: list[str] = []

        async def fail_once() -> int:
            attempts.append(variable.get())
            await go_on.wait()
            if len(attempts) == 1:
                raise OSError("no answer")
            return len(attempts)

        async with asyncio.timeout(30), AsyncIOScheduler() as scheduler:
            task = scheduler.add_task(fail_once, trigger=None)
            variable.set("at the call")
            handle = task.run()
            variable.set("later")
            await asyncio.sleep(0)
            task.modify(retry=Retry(attempts=2))
            go_on.set()
            assert await handle == 2
            assert attempts == ["at the call"] * 2

    asyncio.run(main())


def test_the_defaults_of_a_scheduler_are_those_of_tasks_that_do_not_say_otherwise() -> None:
    retry = Retry(attempts=3)
    defaults = TaskLimits(max_instances=3, timeout=60, retry=retry, misfire_grace_time=10, overlap="queue_one")
    scheduler = AsyncIOScheduler(defaults=defaults)

    @scheduler.task(max_instances=1)
    def decorated() -> None: ...

    assert scheduler.add_task(functions.add, 1, 2).limits == defaults
    own = scheduler.add_task(functions.add, 1, 2, timeout=None, retry=None, overlap=None)
    assert own.limits == TaskLimits(max_instances=3, misfire_grace_time=10)
    assert decorated.schedule().limits == defaults.evolve(max_instances=1)
    assert AsyncIOScheduler().add_task(functions.add, 1, 2).limits == TaskLimits()


# Schedules


def test_a_task_that_is_rescheduled_is_due_by_its_new_trigger_alone() -> None:
    async def main() -> None:
        clock = FakeClock()
        due: list[float] = []
        async with AsyncIOScheduler(clock=clock) as scheduler:
            task = scheduler.add_task(nothing, trigger=IntervalTrigger(seconds=10))
            task.on_executed(lambda event: due.append((event.details.scheduled or 0) - START.timestamp()))
            await clock.advance(15)
            scheduler.reschedule_task(task, IntervalTrigger(seconds=4))
            assert task.next_run_at == START + timedelta(seconds=19)
            await clock.advance(8)
            scheduler.reschedule_task(task.id, None)
            assert task.state.next_run_at is None
            await clock.advance(hours=1)
            assert due == [10, 19, 23]
            # It is not finished: it can be run, and be scheduled again.
            task.reschedule(DateTrigger(START + timedelta(hours=2)))
            await clock.advance(hours=3)
            assert due[3:] == [7200]
            assert scheduler.tasks == ()
            with pytest.raises(TaskLookupError):
                task.reschedule(EVERY_SECOND)

    asyncio.run(main())


def test_a_task_without_a_schedule_gets_one_also_before_the_start() -> None:
    async def main() -> None:
        clock = FakeClock()
        scheduler = AsyncIOScheduler(clock=clock)
        task = scheduler.add_task(nothing, trigger=None)
        task.reschedule(EVERY_SECOND)
        assert task.next_run_at == START + timedelta(seconds=1)
        async with scheduler:
            await clock.advance(3)
            assert task.state.executed == 3

    asyncio.run(main())


def test_what_is_rescheduled_while_its_last_run_ends_goes_on() -> None:
    async def main() -> None:
        clock = FakeClock()
        async with AsyncIOScheduler(clock=clock) as scheduler:
            task = scheduler.add_task(nothing)

            def reschedule_from_a_thread(_: object) -> None:
                # The loop stands still meanwhile: the change waits for it, and the end of the run comes first.
                thread = threading.Thread(target=task.reschedule, args=(IntervalTrigger(minutes=1),))
                thread.start()
                thread.join(30)

            task.on_done(reschedule_from_a_thread)
            await clock.advance(1)
            assert scheduler.tasks == (task,)
            await clock.advance(minutes=2)
            assert task.state.executed >= 2

    asyncio.run(main())


def test_a_paused_task_is_not_due_from_that_moment_on() -> None:
    async def main() -> None:
        async with AsyncIOScheduler() as scheduler:
            task = scheduler.add_task(nothing, trigger=DateTrigger(datetime.now(UTC) + timedelta(seconds=0.03)))
            asyncio.get_running_loop().call_later(0.02, task.pause)
            await asyncio.sleep(0.01)
            # Both times pass while the loop stands still: the task is paused and due in the same turn.
            time.sleep(0.05)  # noqa: ASYNC251  # it is to stand still
            await asyncio.sleep(0.01)
            assert (task.state.paused, task.state.submitted) == (True, 0)

    asyncio.run(main())


def test_what_was_due_while_its_task_was_paused_is_due_when_that_goes_on() -> None:
    async def main() -> None:
        clock = FakeClock()
        async with AsyncIOScheduler(clock=clock) as scheduler:
            task = scheduler.add_task(nothing, trigger=EVERY_SECOND)
            await clock.advance(1)
            task.pause()
            assert task.state.paused
            await clock.advance(5)
            assert task.state.executed == 1
            task.resume()
            await clock.advance()
            assert (task.state.paused, task.state.executed) == (False, 2)

    asyncio.run(main())


def test_a_paused_scheduler_holds_every_task_and_leaves_held_what_was_held_before() -> None:
    async def main() -> None:
        clock = FakeClock()
        async with AsyncIOScheduler(clock=clock) as scheduler:
            held = scheduler.add_task(nothing, trigger=EVERY_SECOND)
            free = scheduler.add_task(nothing, trigger=EVERY_SECOND)
            held.pause()
            scheduler.pause()
            assert scheduler.state.status == "paused"
            later = scheduler.add_task(nothing, trigger=EVERY_SECOND)
            await clock.advance(3)
            assert scheduler.state.submitted == 0
            scheduler.resume()
            await clock.advance()
            assert [task.state.executed for task in (held, free, later)] == [0, 1, 1]

    asyncio.run(main())


# Executors


def test_a_task_that_is_moved_runs_on_its_new_executor() -> None:
    async def main() -> None:
        async with AsyncIOScheduler(executors={"io": ThreadPoolExecutor(1, {"thread_name_prefix": "io"})}) as scheduler:
            task = scheduler.add_task(lambda: threading.current_thread().name, executor="asyncio", trigger=None)
            assert not (await task.run()).startswith("io")
            scheduler.modify_task(task, executor="io")
            assert task.executor == task.state.executor == "io"
            assert (await task.run()).startswith("io")
            await scheduler.remove_executor("asyncio")
            with pytest.raises(ExecutorInUseError):
                await scheduler.remove_executor("io")
            # A built-in executor is made on first use, and takes the runs once it has started.
            task.modify(executor="threadpool")
            assert (await task.run()).startswith("asyncz")

    asyncio.run(main())


def test_a_run_that_is_under_way_stays_where_it_is_and_keeps_its_place() -> None:
    async def main() -> None:
        clock, go_on = FakeClock(), asyncio.Event()
        async with AsyncIOScheduler(executors={"one": "asyncio", "two": "asyncio"}, clock=clock) as scheduler:
            task = scheduler.add_task(go_on.wait, executor="one", trigger=EVERY_SECOND, overlap="queue_all")
            await clock.advance(1)
            task.modify(executor="two")
            with pytest.raises(MaximumInstancesError):
                task.run()
            await clock.advance(1)
            assert (task.state.running, task.state.backlog) == (1, 1)
            one, two = scheduler.state.executors
            assert (one.running, two.running) == (1, 0)
            go_on.set()
            await clock.advance()
            assert (task.state.executed, task.state.backlog) == (2, 0)
            go_on.clear()
            await clock.advance(1)
            one, two = scheduler.state.executors
            assert (one.running, two.running) == (0, 1)
            # Nothing is left there: the place is that of one executor again.
            task.modify(max_instances=2)
            task.run()
            go_on.set()

    asyncio.run(main())


def test_a_run_is_cancelled_on_the_executor_where_it_is() -> None:
    async def main() -> None:
        async with AsyncIOScheduler(executors={"one": "asyncio", "two": "asyncio"}) as scheduler:
            task = scheduler.add_task(asyncio.Event().wait, executor="one", trigger=None, max_instances=2)
            first = task.run()
            task.modify(executor="two")
            second = task.run()
            assert task.cancel_runs() == 2
            for handle in (first, second):
                assert isinstance(await handle.notification(), TaskCancelled)
            assert task.state.running == 0

    asyncio.run(main())


def test_a_drain_that_is_cut_short_cancels_runs_where_they_are() -> None:
    class NeverDrains(AsyncIOExecutor):
        cancel_all = None  # type: ignore[assignment]  # as of a custom executor that has no such method

        @override
        async def shutdown(self, wait: bool = True) -> None:
            await asyncio.Event().wait() if wait else await super().shutdown()

    async def main() -> None:
        scheduler = AsyncIOScheduler(executors={"one": NeverDrains(), "two": "asyncio"})
        await scheduler.start()
        task = scheduler.add_task(asyncio.Event().wait, executor="one", trigger=None)
        handle = task.run()
        await asyncio.sleep(0)
        task.modify(executor="two")
        async with asyncio.timeout(30):
            await scheduler.shutdown(timeout=0.01)
        assert isinstance(await handle.notification(), TaskCancelled)

    asyncio.run(main())


class StartsSlowly(AsyncIOExecutor):
    def __init__(self) -> None:
        super().__init__()
        self.may_start = asyncio.Event()

    @override
    async def start(self, scheduler: asyncz.Notifier, alias: str, /) -> None:
        await self.may_start.wait()
        await super().start(scheduler, alias)


def test_a_run_that_waits_for_the_start_of_its_executor_is_moved_with_its_task() -> None:
    async def main() -> None:
        slow, slower = StartsSlowly(), StartsSlowly()
        async with asyncio.timeout(30), AsyncIOScheduler(executors={"ready": "asyncio"}) as scheduler:
            scheduler.add_executor(slow, alias="slow")
            scheduler.add_executor(slower, alias="slower")
            task = scheduler.add_task(functions.add, 1, 2, executor="slow", trigger=None)
            handle = task.run()
            task.modify(executor="slower")
            task.modify(executor="ready")
            assert await handle == 3
            handle = task.run()
            task.modify(executor="slower")
            slow.may_start.set()
            handle.cancel()
            slower.may_start.set()
            await handle.notification()
            assert await task.run() == 3

    asyncio.run(main())


@pytest.mark.usefixtures("cut_turns")
def test_a_moved_task_can_run_again_once_its_run_was_cancelled_in_the_queue() -> None:
    async def main() -> None:
        go_on = threading.Event()
        executors = {"one": ThreadPoolExecutor(1), "other": ThreadPoolExecutor(1)}
        async with asyncio.timeout(30), AsyncIOScheduler(executors=executors) as scheduler:
            running = scheduler.add_task(go_on.wait, executor="one", trigger=None).run()
            task = scheduler.add_task(functions.add, 1, 2, executor="one", trigger=None)
            waiting = task.run()
            task.modify(executor="other")
            assert waiting.cancel()
            try:
                assert isinstance(await waiting.notification(), TaskCancelled)
                assert await task.run() == 3
            finally:
                go_on.set()
            assert await running

    asyncio.run(main())


def test_the_next_attempt_of_a_run_is_made_on_the_new_executor() -> None:
    async def main() -> None:
        clock = FakeClock()
        threads: list[str] = []

        def fail_at_first() -> int:
            threads.append(threading.current_thread().name)
            if len(threads) == 1:
                raise OSError("no answer")
            return len(threads)

        pools = {name: ThreadPoolExecutor(1, {"thread_name_prefix": name}) for name in ("one", "two")}
        async with asyncio.timeout(30), AsyncIOScheduler(executors=pools, clock=clock) as scheduler:
            retry = Retry(attempts=2, delay=5)
            task = scheduler.add_task(fail_at_first, executor="one", trigger=None, retry=retry)
            handle = task.run()
            await until(lambda: task.state.retrying == 1)
            task.modify(executor="two")
            await clock.advance(5)
            assert await handle == 2
        assert [thread[:3] for thread in threads] == ["one", "two"]

    asyncio.run(main())


def test_an_attempt_waits_for_the_start_of_the_executor_that_its_task_was_moved_to() -> None:
    async def main() -> None:
        clock, slow = FakeClock(), StartsSlowly()
        async with asyncio.timeout(30), AsyncIOScheduler(executors={"ready": "asyncio"}, clock=clock) as scheduler:
            retry = Retry(attempts=2, delay=1)
            task = scheduler.add_task(functions.fail_async, "no", executor="ready", trigger=None, retry=retry)
            handle = task.run()
            await clock.advance()
            scheduler.add_executor(slow, alias="slow")
            task.modify(executor="slow")
            await clock.advance(2)
            assert not handle.done()
            slow.may_start.set()
            await clock.advance(2)
            ending = await handle.notification()
            assert isinstance(ending, TaskError)
            assert (type(ending.exception), ending.details.attempt) == (ValueError, 2)

    asyncio.run(main())


def test_a_task_that_is_moved_counts_as_any_other_once_nothing_is_left_behind() -> None:
    async def main() -> None:
        async with AsyncIOScheduler(executors={"one": "asyncio", "two": "asyncio"}) as scheduler:
            task = scheduler.add_task(functions.add_async, 1, 2, executor="one", trigger=None)
            assert await task.run() == 3
            task.modify(executor="two")
            results: list[int] = []

            def run_again(event: TaskExecuted[int]) -> None:
                # Its executor has a place again by the time its end is told; the scheduler frees its own after that.
                results.append(event.result)
                if len(results) < 3:
                    task.run()

            task.on_executed(run_again)
            assert await task.run() == 3
            await until(lambda: len(results) == 3)

    asyncio.run(main())


class OnlyBytes:
    """Satisfies `Executor[bytes]` alone."""

    def __init__(self) -> None:
        self.state = asyncz.ExecutorState(alias="")

    async def start(self, scheduler: asyncz.Notifier, alias: str, /) -> None:
        self.scheduler = scheduler
        self.state = asyncz.ExecutorState(alias=alias, status="running")

    async def shutdown(self, wait: bool = True) -> None:
        pass

    def submit(self, run: TaskRun[bytes], /) -> None:
        self.scheduler.notify(run, run.executed(b"restricted"))
        self.scheduler.released(run)


def test_a_task_can_leave_a_restricted_executor_and_none_can_be_moved_to_it() -> None:
    async def main() -> None:
        async with AsyncIOScheduler() as scheduler:
            task = scheduler.add_task(bytes, 1, executor=OnlyBytes(), trigger=None)
            restricted = task.executor
            assert await task.run() == b"restricted"
            other = scheduler.add_task(functions.add, 1, 2, trigger=None)
            with pytest.raises(UnknownAliasError) as caught:
                other.modify(executor=restricted)
            assert restricted not in caught.value.known
            assert await other.run() == 3
            task.modify(executor="asyncio")
            assert await task.run() == b"\0"

    asyncio.run(main())


def test_a_task_stays_where_it_is_if_the_new_executor_cannot_take_it() -> None:
    async def main() -> None:
        async with AsyncIOScheduler() as scheduler:
            task = scheduler.add_task(lambda: 3, trigger=None)
            with pytest.raises(SerializationError):
                task.modify(executor="processpool", max_instances=4)
            assert (task.executor, task.limits, len(scheduler.state.executors)) == ("asyncio", TaskLimits(), 1)
            assert await task.run() == 3

    asyncio.run(main())


# Replaced tasks


def test_a_task_that_is_replaced_is_gone_and_its_run_ends_as_usual() -> None:
    async def main() -> None:
        go_on = asyncio.Event()
        async with asyncio.timeout(30), AsyncIOScheduler() as scheduler:
            heard = listen_to_changes(scheduler)
            old = scheduler.add_task(go_on.wait, trigger=None, id="job")
            endings: list[object] = []
            old.on_done(endings.append)
            stream, handle = old.notifications(), old.run()
            await asyncio.sleep(0)
            new = scheduler.add_task(functions.add_async, 1, 2, trigger=None, id="job", replace_existing=True)
            assert scheduler.get_task("job") is new
            assert [notification async for notification in stream] == []
            for use in (old.run, old.submit, old.pause, lambda: old.state, lambda: old.modify(timeout=1)):
                with pytest.raises(TaskLookupError, match="job"):
                    use()
            with pytest.raises(TaskLookupError):
                scheduler.remove_task(old)
            go_on.set()
            assert await handle is True
            assert await new.run() == 3
            assert len(endings) == 1
            assert (scheduler.state.executed, new.state.executed) == (2, 1)
            assert [type(event) for event in heard] == [TaskAdded, TaskRemoved, TaskAdded]

    asyncio.run(main())


def test_what_waits_of_a_new_task_gets_the_place_of_a_run_of_the_replaced_one() -> None:
    async def main() -> None:
        clock, go_on = FakeClock(), asyncio.Event()
        async with AsyncIOScheduler(clock=clock) as scheduler:
            old = scheduler.add_task(go_on.wait, trigger=None, id="job")
            old.run()
            new = scheduler.add_task(functions.add_async, 1, 2, id="job", replace_existing=True, overlap="queue_one")
            await clock.advance()
            # One at a time, whoever has the id.
            assert (new.state.running, new.state.backlog) == (0, 1)
            go_on.set()
            await clock.advance()
            assert isinstance(new.last_notification, TaskExecuted)

    asyncio.run(main())


def test_to_replace_what_is_not_there_is_to_add_it_and_needs_an_id() -> None:
    scheduler = AsyncIOScheduler()
    task = scheduler.add_task(functions.add, 1, 2, id="job", replace_existing=True)
    assert scheduler.tasks == (task,)
    with pytest.raises(InvalidInputError, match="id of the task that is to be replaced"):
        scheduler.add_task(functions.add, 1, 2, replace_existing=True)
    with pytest.raises(UnknownAliasError):
        scheduler.add_task(functions.add, 1, 2, id="job", replace_existing=True, executor="nowhere")
    assert scheduler.tasks == (task,)


# To submit


def test_a_task_can_be_submitted_from_any_thread_without_waiting() -> None:
    async def main() -> None:
        clock = FakeClock()
        async with asyncio.timeout(30), AsyncIOScheduler(clock=clock) as scheduler:
            task = scheduler.add_task(functions.add_async, 1, 2, trigger=IntervalTrigger(hours=1), max_instances=2)
            await asyncio.to_thread(task.submit)
            await asyncio.to_thread(scheduler.submit_task, task.id)
            # Both may have ended by now: `result()` would wait for another one.
            await until(lambda: task.state.executed == 2)
            ending = task.last_notification
            assert isinstance(ending, TaskExecuted)
            assert ending.result == 3
            assert task.next_run_at == START + timedelta(hours=1)

    asyncio.run(main())


def test_what_is_submitted_at_the_maximum_goes_by_the_overlap_policy() -> None:
    async def main() -> None:
        go_on = asyncio.Event()
        async with AsyncIOScheduler() as scheduler:
            rejected: list[TaskMaxInstances] = []
            scheduler.subscribe(TaskMaxInstances, rejected.append)
            task = scheduler.add_task(go_on.wait, trigger=None)
            for _ in range(3):
                task.submit()
            await until(lambda: task.state.rejected == 2)
            assert (task.state.running, task.state.rejected, task.state.backlog) == (1, 2, 0)
            task.modify(overlap="queue_all")
            for _ in range(3):
                task.submit()
            await until(lambda: task.state.backlog == 3)
            assert (len(rejected), task.state.backlog) == (2, 3)
            go_on.set()
            await until(lambda: task.state.executed == 4)

    asyncio.run(main())


def test_what_is_submitted_as_a_shutdown_begins_is_cancelled_and_not_forgotten() -> None:
    async def main() -> None:
        scheduler = AsyncIOScheduler()
        await scheduler.start()
        task = scheduler.add_task(functions.add_async, 1, 2, trigger=None)
        task.submit()
        await scheduler.shutdown()
        assert (scheduler.state.submitted, scheduler.state.cancelled) == (1, 1)
        with pytest.raises(SchedulerNotRunningError, match="start it first"):
            task.submit()

    asyncio.run(main())


@pytest.mark.parametrize("executor", ["debug", "asyncio", "threadpool"])
def test_a_run_can_change_its_own_task(executor: str) -> None:
    async def main() -> None:
        clock = FakeClock()
        async with asyncio.timeout(30), AsyncIOScheduler(clock=clock) as scheduler:

            def change() -> None:
                if task.limits.max_instances == 1:
                    task.modify(max_instances=2, executor="threadpool")
                    task.reschedule(IntervalTrigger(seconds=5))
                else:
                    task.pause()
                    task.submit()
                    scheduler.remove_task(task)

            task = scheduler.add_task(change, trigger=EVERY_SECOND, executor=executor)
            heard = listen_to_changes(scheduler)
            await clock.advance(1, wait_for_runs=True)
            assert (task.limits.max_instances, task.executor) == (2, "threadpool")
            assert task.next_run_at == START + timedelta(seconds=6)
            await clock.advance(5, wait_for_runs=True)
            await until(lambda: isinstance(heard[-1], TaskRemoved))
        state = scheduler.state
        # The loop may have submitted what the thread asked for before that removed the task; that run finds it gone.
        assert (state.executed, state.submitted) == (2, 2 + state.errors)
        assert state.errors <= 1

    asyncio.run(main())


# Events


def test_every_change_has_its_event_in_order() -> None:
    async def main() -> None:
        scheduler = AsyncIOScheduler()
        heard = listen_to_changes(scheduler)
        whole: list[object] = []
        scheduler.subscribe(SchedulerPaused, whole.append)
        scheduler.subscribe(SchedulerResumed, whole.append)
        task = scheduler.add_task(functions.add, 1, 2, trigger=None, id="job")
        task.modify(timeout=5)
        async with scheduler:
            task.pause()
            task.resume()
            task.modify(max_instances=2, executor="threadpool")
            task.reschedule(IntervalTrigger(hours=1))
            task.modify(coalesce=False)
            scheduler.pause()
            scheduler.resume()
            scheduler.remove_task(task)
            await asyncio.sleep(0)
        told = [(event.change, event.fields) for event in heard if isinstance(event, TaskModified)]
        assert told == [
            ("timeout: None to 5", ("timeout",)),
            ("paused", ("paused",)),
            ("resumed", ("paused",)),
            ("max_instances: 1 to 2, executor: 'asyncio' to 'threadpool'", ("max_instances", "executor")),
            (f"rescheduled to {IntervalTrigger(hours=1)}", ("trigger",)),
            ("coalesce: True to False, overlap: 'skip' to 'queue_all'", ("coalesce", "overlap")),
        ]
        assert {event.task_id for event in heard} == {"job"}
        assert isinstance(heard[0], TaskAdded)
        assert isinstance(heard[-1], TaskRemoved)
        assert [type(event) for event in whole] == [SchedulerPaused, SchedulerResumed]

    asyncio.run(main())


def test_nothing_is_told_where_nothing_changes() -> None:
    async def main() -> None:
        async with AsyncIOScheduler() as scheduler:
            task = scheduler.add_task(functions.add, 1, 2, trigger=None, timeout=5)
            heard = listen_to_changes(scheduler)
            task.modify()
            task.modify(timeout=5, executor="asyncio", overlap="skip", coalesce=True)
            task.resume()
            await task.run()
            assert [type(event) for event in heard] == [TaskAdded]

    asyncio.run(main())


# What is rejected changes nothing


class NoFirstTime:
    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        raise ValueError("no idea")


BAD_LIMITS: dict[str, st.SearchStrategy[object]] = {
    "max_instances": st.integers(max_value=0) | st.none() | st.booleans() | st.floats() | st.text(),
    "misfire_grace_time": st.floats(max_value=-1e-9) | st.just(float("nan")) | st.booleans() | st.text(),
    "coalesce": st.none() | st.integers() | st.text(),
    "timeout": st.floats(max_value=0) | st.just(float("nan")) | st.booleans() | st.text(),
    "retry": st.integers() | st.booleans() | st.text(),
    "overlap": st.text() | st.integers() | st.booleans(),
    "executor": st.text(max_size=5) | st.integers() | st.builds(AsyncIOExecutor),
}
GOOD_LIMITS: dict[str, st.SearchStrategy[object]] = {
    "max_instances": st.integers(2, 9),
    "misfire_grace_time": st.floats(1, 9),
    "coalesce": st.just(False),
    "timeout": st.floats(1, 9),
    "retry": st.builds(Retry, attempts=st.integers(2, 9)),
    "overlap": st.sampled_from(["queue_one", "queue_all", "cancel_running"]),
    "executor": st.sampled_from(["threadpool", "debug", "processpool"]),
}


@given(data=st.data(), bad=st.sampled_from(sorted(BAD_LIMITS)))
@settings(deadline=None, max_examples=150)
def test_a_change_with_one_bad_option_is_rejected_and_changes_nothing(data: st.DataObject, bad: str) -> None:
    scheduler = AsyncIOScheduler(clock=FakeClock())
    task = scheduler.add_task(functions.add, 1, 2, trigger=EVERY_SECOND, id="job")
    good = data.draw(st.sets(st.sampled_from(sorted(GOOD_LIMITS))))
    options = {name: data.draw(GOOD_LIMITS[name]) for name in good - {bad}} | {bad: data.draw(BAD_LIMITS[bad])}
    before, limits = scheduler.state, task.limits
    with pytest.raises((InvalidInputError, UnknownAliasError)):
        scheduler.modify_task(task, **options)  # type: ignore[arg-type]  # wrong on purpose
    assert (scheduler.state, task.limits, scheduler.tasks) == (before, limits, (task,))


@pytest.mark.parametrize(
    "change",
    [
        lambda scheduler: scheduler.reschedule_task("job", "hourly"),
        lambda scheduler: scheduler.reschedule_task("job", IntervalTrigger),
        lambda scheduler: scheduler.reschedule_task("job", NoFirstTime()),
        lambda scheduler: scheduler.reschedule_task("other", None),
        lambda scheduler: scheduler.modify_task("other", timeout=1),
        lambda scheduler: scheduler.pause_task("other"),
        lambda scheduler: scheduler.resume_task("other"),
        lambda scheduler: scheduler.submit_task("job"),
        lambda scheduler: scheduler.add_task(functions.add, 1, 2, id="job"),
        lambda scheduler: scheduler.add_task(functions.add, 1, 2, id="job", replace_existing=True, trigger="hourly"),
        lambda scheduler: scheduler.add_task(functions.add, 1, 2, id="job", replace_existing=True, max_instances=0),
        lambda scheduler: scheduler.add_task(functions.add, 1, 2, id="job", replace_existing=1),
        lambda scheduler: scheduler.add_task(3, id="job", replace_existing=True),
        lambda scheduler: scheduler.add_task(lambda: 3, id="job", replace_existing=True, executor="processpool"),
    ],
)
def test_every_other_change_that_is_rejected_changes_nothing(change: Callable[[AsyncIOScheduler], object]) -> None:
    scheduler = AsyncIOScheduler(clock=FakeClock())
    task = scheduler.add_task(functions.add, 1, 2, trigger=EVERY_SECOND, id="job")
    before = scheduler.state
    with pytest.raises((AsynczError, ValueError)):
        change(scheduler)
    assert (scheduler.state, scheduler.get_task("job")) == (before, task)


# From any thread


def test_a_change_from_another_thread_is_made_in_its_order_by_the_loop() -> None:
    async def main() -> None:
        async with AsyncIOScheduler() as scheduler:
            task = scheduler.add_task(functions.add, 1, 2, trigger=None)
            heard = listen_to_changes(scheduler)

            def change() -> None:
                task.modify(max_instances=2)
                task.modify(max_instances=3)

            thread = threading.Thread(target=change)
            thread.start()
            thread.join(30)
            assert task.limits.max_instances == 1
            # Those that wait are made first.
            task.modify(max_instances=4)
            assert task.limits.max_instances == 4
            await task.run()
            changes = [event.change for event in heard if isinstance(event, TaskModified)]
            assert changes == ["max_instances: 1 to 2", "max_instances: 2 to 3", "max_instances: 3 to 4"]

    asyncio.run(main())


def test_threads_change_everything_while_the_loop_fires_and_every_run_ends_once() -> None:
    ids = [f"job-{number}" for number in range(4)]
    submitted: set[int] = set()
    ended: list[int] = []

    def replace_task(scheduler: AsyncIOScheduler, task_id: str, number: int) -> None:
        function = functions.add_async if number % 2 else functions.add
        scheduler.add_task(function, 1, number, trigger=EVERY_SECOND, id=task_id, replace_existing=True)

    def change(scheduler: AsyncIOScheduler, seed: int) -> None:
        executors = itertools.cycle(["asyncio", "threadpool", "debug"])
        overlaps = itertools.cycle(get_args(OverlapPolicy))
        for number in range(60):
            task_id = ids[(number + seed) % len(ids)]
            actions: list[Callable[[], object]] = [
                partial(scheduler.modify_task, task_id, max_instances=number % 3 + 1, executor=next(executors)),
                partial(scheduler.modify_task, task_id, overlap=next(overlaps)),
                partial(scheduler.reschedule_task, task_id, IntervalTrigger(seconds=number % 3 + 1)),
                partial(scheduler.pause_task, task_id),
                partial(scheduler.resume_task, task_id),
                partial(scheduler.submit_task, task_id),
                scheduler.pause,
                scheduler.resume,
                partial(replace_task, scheduler, task_id, number),
            ]
            actions[(number * 7 + seed) % len(actions)]()

    async def main() -> SchedulerState:
        clock = FakeClock()
        async with asyncio.timeout(60), AsyncIOScheduler(clock=clock) as scheduler:
            scheduler.subscribe(TaskSubmitted, lambda event: submitted.add(event.details.run_id))
            for event in (TaskError, TaskMissed, TaskCancelled):
                scheduler.subscribe(event, lambda event: ended.append(event.details.run_id))
            scheduler.subscribe(TaskExecuted, lambda event: ended.append(event.details.run_id))
            for task_id in ids:
                scheduler.add_task(functions.add, 1, 2, trigger=EVERY_SECOND, id=task_id)
            changing = asyncio.gather(*(asyncio.to_thread(change, scheduler, seed) for seed in range(4)))
            while not changing.done():
                await clock.advance(1)
            await changing
            scheduler.resume()
            last = scheduler.tasks
            assert {task.id for task in last} == set(ids)
            for task in last:
                task.modify(timeout=7, executor="threadpool")
                task.resume()
            await clock.advance(5, wait_for_runs=True)
            for task in last:
                assert (task.limits.timeout, task.executor, task.state.paused) == (7, "threadpool", False)
        return scheduler.state

    state = asyncio.run(main())
    assert len(ended) == len(set(ended))
    assert set(ended) == submitted
    assert state.submitted == len(submitted) > 0


class ReplacingTrigger:
    """Has its task replaced by another while it is asked for its first due time, as another thread could."""

    def __init__(self, replace: Callable[[], object]) -> None:
        self.replace = replace

    def next_due_time(self, previous: datetime | None, now: datetime) -> datetime | None:
        if previous is None:
            self.replace()
        return now + timedelta(hours=1)


def test_what_is_asked_of_an_id_holds_for_the_task_that_replaces_it_meanwhile() -> None:
    async def main() -> None:
        async with AsyncIOScheduler() as scheduler:
            first = scheduler.add_task(functions.add, 1, 2, trigger=None, id="sum")
            successors: list[Task[int]] = []

            def replace() -> None:
                if not successors:
                    successors.append(
                        scheduler.add_task(functions.add, 1, 3, trigger=None, id="sum", replace_existing=True)
                    )

            scheduler.reschedule_task("sum", ReplacingTrigger(replace))
            with pytest.raises(TaskLookupError):
                scheduler.reschedule_task(first, EVERY_SECOND)
            [successor] = successors
            await asyncio.sleep(0)
            assert successor.state.next_run_at is not None

    asyncio.run(main())


def test_what_is_asked_of_a_task_does_not_hold_for_the_one_that_replaces_it_meanwhile() -> None:
    async def main() -> None:
        async with AsyncIOScheduler() as scheduler:
            first = scheduler.add_task(functions.add, 1, 2, trigger=None, id="sum")

            def replace() -> None:
                scheduler.add_task(functions.add, 1, 3, trigger=None, id="sum", replace_existing=True)

            with pytest.raises(TaskLookupError):
                scheduler.reschedule_task(first, ReplacingTrigger(replace))
            await asyncio.sleep(0)
            assert scheduler.get_task("sum").state.next_run_at is None

    asyncio.run(main())


def test_a_thread_sees_what_it_asked_for_once_the_loop_has_gone_on() -> None:
    async def main() -> None:
        async with asyncio.timeout(30), AsyncIOScheduler() as scheduler:
            task: Task[int] = scheduler.add_task(functions.add, 1, 2, trigger=None)

            def change() -> None:
                scheduler.modify_task(task, executor="threadpool", timeout=5)
                scheduler.pause_task(task)
                with pytest.raises(InvalidInputError):
                    scheduler.modify_task(task, timeout=-5)

            await asyncio.to_thread(change)
            await until(lambda: task.state.paused)
            assert (task.executor, task.limits.timeout, task.state.paused) == ("threadpool", 5, True)
            assert await task.run() == 3

    asyncio.run(main())


def test_changes_before_the_start_and_after_a_shutdown_count_in_the_next_start() -> None:
    scheduler = AsyncIOScheduler(executors={"cpu": ProcessPoolExecutor(1)})
    task = scheduler.add_task(functions.add, 1, 2, trigger=None)
    task.modify(executor="threadpool")

    async def main() -> None:
        async with scheduler:
            assert task.executor == "threadpool"
            assert await task.run() == 3

    asyncio.run(main())
    task.modify(executor="asyncio", timeout=5)
    assert task.limits.timeout == 5
    asyncio.run(main_again(scheduler, task))


async def main_again(scheduler: AsyncIOScheduler, task: Task[int]) -> None:
    async with scheduler:
        assert task.executor == "asyncio"
        assert await task.run() == 3
