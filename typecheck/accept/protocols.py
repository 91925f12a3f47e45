"""The protocols: what satisfies them, and what is known of a value of which only the protocol is known."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import assert_type

from typing_extensions import TypeVar

from asyncz import (
    AsyncIOScheduler,
    BaseExecutor,
    Clock,
    Executor,
    ExecutorState,
    Listener,
    Notifier,
    SupportsCancel,
    Task,
    TaskError,
    TaskExecuted,
    TaskNotification,
    TaskRun,
    Timer,
    Trigger,
    UniversalExecutor,
)
from typecheck.accept.functions import fetch

ResultT = TypeVar("ResultT")


class Recorder:
    """A notifier as a test of an executor might have one."""

    def __init__(self) -> None:
        self.endings: list[TaskNotification[object]] = []

    def finished(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
        self.notify(run, notification)
        self.released(run)

    def notify(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
        self.endings.append(notification)

    def released(self, run: TaskRun[ResultT], /) -> None: ...


class DailyTrigger:
    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        return previous or now


class StoppedClock:
    def now(self) -> float:
        return 0.0

    def call_later(self, delay: float, callback: Callable[[], object], /) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(delay, callback)


class Cancelling:
    def cancel(self, run: TaskRun[ResultT], /) -> bool:
        return True


notifier: Notifier = Recorder()
trigger: Trigger = DailyTrigger()
clock: Clock = StoppedClock()
cancelling: SupportsCancel = Cancelling()


def of_base(executor: BaseExecutor) -> SupportsCancel:
    return executor


async def used(
    executor: Executor[bytes], universal: UniversalExecutor, run: TaskRun[bytes], other: TaskRun[int]
) -> None:
    notifier = Recorder()
    await executor.start(notifier, "alias")
    executor.submit(run)
    assert_type(executor.state, ExecutorState)
    await executor.shutdown(wait=False)
    await universal.start(notifier, "alias")
    universal.submit(run)
    universal.submit(other)
    assert_type(universal.state, ExecutorState)
    await universal.shutdown()
    notifier.finished(run, run.executed(b""))
    notifier.notify(run, run.executed(b""))
    notifier.released(other)


def a_universal_executor_is_one_of_any_type(
    universal: UniversalExecutor,
) -> tuple[Executor[int], Executor[list[str]]]:
    return universal, universal


def time(clock: Clock, timer: Timer, trigger: Trigger, now: datetime, handle: asyncio.TimerHandle) -> Timer:
    assert_type(clock.now(), float)
    assert_type(clock.call_later(1.5, lambda: 3), Timer)
    assert_type(trigger.next_due_time(None, now), datetime | None)
    timer.cancel()
    return handle


def listeners(
    task: Task[bytes], listener: Listener[TaskExecuted[bytes]], general: Listener[object]
) -> Listener[TaskError]:
    assert_type(task.on_executed(listener), Callable[[TaskExecuted[bytes]], object])
    assert_type(task.on_executed(general), Callable[[TaskExecuted[bytes]], object])
    return general


def with_own_parts() -> None:
    scheduler = AsyncIOScheduler(clock=StoppedClock())
    assert_type(scheduler.add_task(fetch, "url", trigger=DailyTrigger()), Task[bytes])
