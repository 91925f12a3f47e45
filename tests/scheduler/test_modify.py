"""Changes of limits while a scheduler runs."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from asyncz import (
    AsyncIOScheduler,
    AsynczError,
    IntervalTrigger,
    MaximumInstancesError,
    ProcessPoolExecutor,
    Retry,
    SchedulerPaused,
    SchedulerResumed,
    Task,
    TaskAdded,
    TaskLimits,
    TaskModified,
    TaskRemoved,
    TaskTimeoutError,
)
from asyncz.testing import FakeClock
from tests.helpers import payloads
from tests.helpers.recorder import EventRecorder
from tests.helpers.times import EVERY_SECOND, START
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio


async def test_modify_limits_effective_immediately() -> None:
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
        with pytest.raises(MaximumInstancesError) as caught:
            task.run()
        assert caught.value.max_instances == 1
        go_on.set()
        assert [await handle for handle in handles] == [True, True]


async def test_modify_timeout_and_retry_for_next_attempt() -> None:
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


async def test_modify_retry_during_run_adds_attempt() -> None:
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


def test_scheduler_defaults_apply_to_unset_limits() -> None:
    retry = Retry(attempts=3)
    defaults = TaskLimits(max_instances=3, timeout=60, retry=retry, misfire_grace_time=10, overlap="queue_one")
    scheduler = AsyncIOScheduler(defaults=defaults)

    @scheduler.task(max_instances=1)
    def decorated() -> None: ...

    assert scheduler.add_task(payloads.add, 1, 2).limits == defaults
    own = scheduler.add_task(payloads.add, 1, 2, timeout=None, retry=None, overlap=None)
    assert own.limits == TaskLimits(max_instances=3, misfire_grace_time=10)
    assert decorated.schedule().limits == defaults.evolve(max_instances=1)
    assert AsyncIOScheduler().add_task(payloads.add, 1, 2).limits == TaskLimits()


@pytest.mark.parametrize("executor", ["debug", "asyncio", "threadpool"])
async def test_run_can_modify_its_own_task(executor: str) -> None:
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
        changes = EventRecorder.of_scheduler(scheduler, TaskAdded, TaskModified, TaskRemoved)
        await clock.advance(1, wait_for_runs=True)
        assert (task.limits.max_instances, task.executor) == (2, "threadpool")
        assert task.next_run_at == START + timedelta(seconds=6)
        await clock.advance(5, wait_for_runs=True)
        await until(lambda: changes.names[-1] == "TaskRemoved")
    state = scheduler.state
    # The loop may have submitted the run before the thread removed the task; that run fails, as the task is gone.
    assert (state.executed, state.submitted) == (2, 2 + state.errors)
    assert state.errors <= 1


async def test_modify_events_are_ordered() -> None:
    """Emit one event for each change, in order."""
    scheduler = AsyncIOScheduler()
    changes = EventRecorder.of_scheduler(scheduler, TaskAdded, TaskModified, TaskRemoved)
    whole: list[object] = []
    scheduler.subscribe(SchedulerPaused, whole.append)
    scheduler.subscribe(SchedulerResumed, whole.append)
    task = scheduler.add_task(payloads.add, 1, 2, trigger=None, id="job")
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
    assert [(event.change, event.fields) for event in changes.of(TaskModified)] == [
        ("timeout: None to 5", ("timeout",)),
        ("paused", ("paused",)),
        ("resumed", ("paused",)),
        ("max_instances: 1 to 2, executor: 'asyncio' to 'threadpool'", ("max_instances", "executor")),
        (f"rescheduled to {IntervalTrigger(hours=1)}", ("trigger",)),
        ("coalesce: True to False, overlap: 'skip' to 'queue_all'", ("coalesce", "overlap")),
    ]
    assert {event.task_id for event in changes.of(TaskModified)} == {"job"}
    assert changes.names == ["TaskAdded", *["TaskModified"] * 6, "TaskRemoved"]
    assert [type(event) for event in whole] == [SchedulerPaused, SchedulerResumed]


async def test_modify_without_change_emits_nothing() -> None:
    async with AsyncIOScheduler() as scheduler:
        task = scheduler.add_task(payloads.add, 1, 2, trigger=None, timeout=5)
        changes = EventRecorder.of_scheduler(scheduler, TaskAdded, TaskModified, TaskRemoved)
        task.modify()
        task.modify(timeout=5, executor="asyncio", overlap="skip", coalesce=True)
        task.resume()
        await task.run()
        assert changes.names == ["TaskAdded"]


class NoFirstTime:
    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        raise ValueError("no idea")


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
        lambda scheduler: scheduler.add_task(payloads.add, 1, 2, id="job"),
        lambda scheduler: scheduler.add_task(payloads.add, 1, 2, id="job", replace_existing=True, trigger="hourly"),
        lambda scheduler: scheduler.add_task(payloads.add, 1, 2, id="job", replace_existing=True, max_instances=0),
        lambda scheduler: scheduler.add_task(payloads.add, 1, 2, id="job", replace_existing=1),
        lambda scheduler: scheduler.add_task(3, id="job", replace_existing=True),
        lambda scheduler: scheduler.add_task(lambda: 3, id="job", replace_existing=True, executor="processpool"),
    ],
)
def test_rejected_change_changes_nothing(change: Callable[[AsyncIOScheduler], object]) -> None:
    scheduler = AsyncIOScheduler(clock=FakeClock())
    task = scheduler.add_task(payloads.add, 1, 2, trigger=EVERY_SECOND, id="job")
    before = scheduler.state
    with pytest.raises((AsynczError, ValueError)):
        change(scheduler)
    assert (scheduler.state, scheduler.get_task("job")) == (before, task)


async def main_again(scheduler: AsyncIOScheduler, task: Task[int]) -> None:
    async with scheduler:
        assert task.executor == "asyncio"
        assert await task.run() == 3


def test_modify_while_stopped_applies_to_next_start() -> None:
    scheduler = AsyncIOScheduler(executors={"cpu": ProcessPoolExecutor(1)})
    task = scheduler.add_task(payloads.add, 1, 2, trigger=None)
    task.modify(executor="threadpool")

    async def main() -> None:
        async with scheduler:
            assert task.executor == "threadpool"
            assert await task.run() == 3

    asyncio.run(main())
    task.modify(executor="asyncio", timeout=5)
    assert task.limits.timeout == 5
    asyncio.run(main_again(scheduler, task))
