"""Mistakes with the protocols: what does not satisfy them, and what they do not offer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime

from typing_extensions import TypeVar

from asyncz import (
    AsyncIOScheduler,
    Clock,
    Executor,
    Listener,
    Notifier,
    SupportsCancel,
    SupportsCancelAll,
    SupportsCheckCall,
    TaskError,
    TaskExecuted,
    TaskNotification,
    TaskRun,
    Timer,
    Trigger,
    UniversalExecutor,
)

ResultT = TypeVar("ResultT")
OtherT = TypeVar("OtherT")


class NoReleased:
    def finished(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None: ...

    def notify(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None: ...


class NoFinished:
    def notify(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None: ...

    def released(self, run: TaskRun[ResultT], /) -> None: ...


class FinishedOfBytes:
    def finished(self, run: TaskRun[bytes], notification: TaskNotification[bytes], /) -> None: ...

    def notify(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None: ...

    def released(self, run: TaskRun[ResultT], /) -> None: ...


class NotifiedOfBytes:
    def finished(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None: ...

    def notify(self, run: TaskRun[bytes], notification: TaskNotification[bytes], /) -> None: ...

    def released(self, run: TaskRun[ResultT], /) -> None: ...


class NotifiedOfExecuted:
    def finished(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None: ...

    def notify(self, run: TaskRun[ResultT], notification: TaskExecuted[ResultT], /) -> None: ...

    def released(self, run: TaskRun[ResultT], /) -> None: ...


class NotifiedWithoutARun:
    def finished(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None: ...

    def notify(self, notification: TaskNotification[ResultT], /) -> None: ...

    def released(self, run: TaskRun[ResultT], /) -> None: ...


class TriggerOfADate:
    def next_due_time(self, previous: datetime | None, now: datetime, /) -> date | None:
        return now


class TriggerWithoutThePrevious:
    def next_due_time(self, now: datetime, /) -> datetime | None:
        return now


class TriggerThatNeedsAPrevious:
    def next_due_time(self, previous: datetime, now: datetime, /) -> datetime | None:
        return now


class LaterTrigger:
    async def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        return now


class ClockOfDatetimes:
    def now(self) -> datetime:
        raise NotImplementedError

    def call_later(self, delay: float, callback: Callable[[], object], /) -> Timer:
        raise NotImplementedError


class ClockWithoutTimers:
    def now(self) -> float:
        return 0.0


class ClockOfNothing:
    def now(self) -> float:
        return 0.0

    def call_later(self, delay: float, callback: Callable[[], object], /) -> None: ...


class CancelsById:
    def cancel(self, run: str, /) -> bool:
        return True


class CancelsSilently:
    def cancel(self, run: TaskRun[ResultT], /) -> None: ...


no_released: Notifier = NoReleased()  # E
no_finished: Notifier = NoFinished()  # E
finished_of_bytes: Notifier = FinishedOfBytes()  # E
notified_of_bytes: Notifier = NotifiedOfBytes()  # E
notified_of_executed: Notifier = NotifiedOfExecuted()  # E
notified_without_a_run: Notifier = NotifiedWithoutARun()  # E
trigger_of_a_date: Trigger = TriggerOfADate()  # E
trigger_without_the_previous: Trigger = TriggerWithoutThePrevious()  # E
trigger_that_needs_a_previous: Trigger = TriggerThatNeedsAPrevious()  # E
later_trigger: Trigger = LaterTrigger()  # E
clock_of_datetimes: Clock = ClockOfDatetimes()  # E
clock_without_timers: Clock = ClockWithoutTimers()  # E
clock_of_nothing: Clock = ClockOfNothing()  # E
cancels_by_id: SupportsCancel = CancelsById()  # E
cancels_silently: SupportsCancel = CancelsSilently()  # E
not_a_timer: Timer = ClockWithoutTimers()  # E


def notifying(notifier: Notifier, run: TaskRun[bytes], other: TaskRun[int]) -> None:
    notifier.notify(run, other.execute())  # E
    notifier.notify(run, TaskExecuted("task", "text"))  # E
    notifier.notify(run, "text")  # E
    notifier.notify(run)  # E
    notifier.notify(run.execute())  # E
    notifier.notify(run=run, notification=run.execute())  # E
    notifier.finished(run, other.execute())  # E
    notifier.finished(run, TaskExecuted("task", "text"))  # E
    notifier.finished(run)  # E
    notifier.released(run.task)  # E
    notifier.released()  # E
    notifier.finish(run)  # E


def notifying_of_any(notifier: Notifier, run: TaskRun[ResultT], other: TaskRun[OtherT]) -> None:
    notifier.finished(run, other.execute())  # E
    notifier.notify(run, other.execute())  # E
    notifier.notify(run, other.executed("text"))  # E
    notifier.notify(run, TaskExecuted("task", "text"))  # E


async def executors(
    executor: Executor[bytes], universal: UniversalExecutor, run: TaskRun[int], notifier: Notifier
) -> None:
    executor.submit(run)  # E
    executor.submit(run.task)  # E
    await executor.start(notifier)  # E
    await executor.start(executor, "alias")  # E
    await executor.shutdown("yes")  # E
    executor.shutdown()  # E
    executor.state.running = 3  # E
    executor.cancel(run)  # E
    universal.submit(run.task)  # E
    universal.submit()  # E
    await universal.submit(run)  # E
    await universal.start(notifier)  # E
    await universal.shutdown("yes")  # E
    universal.shutdown()  # E
    universal.state.running = 3  # E
    universal.cancel(run)  # E


def read_only(executor: Executor[bytes], universal: UniversalExecutor) -> None:
    executor.state = universal.state  # E
    universal.state = executor.state  # E


def cancelling(executor: SupportsCancel, run: TaskRun[bytes]) -> str:
    executor.cancel(run.task)  # E
    executor.cancel()  # E
    return executor.cancel(run)  # E


def time(clock: Clock, trigger: Trigger, now: datetime) -> datetime:
    clock.call_later(1, print, "text")  # E
    clock.call_later("1 s", print)  # E
    clock.call_later(1, 3)  # E
    clock.call_later(1, lambda text: text)  # E
    trigger.next_due_time(now)  # E
    trigger.next_due_time(now, None)  # E
    clock.now().year  # E
    return trigger.next_due_time(None, now)  # E


def abilities(cancels: SupportsCancel) -> None:
    cancels_all: SupportsCancelAll = cancels  # E
    checks: SupportsCheckCall = cancels  # E
    print(cancels_all, checks)


def listeners(general: Listener[TaskExecuted[object]], special: Listener[TaskExecuted[bytes]]) -> None:
    widened: Listener[TaskExecuted[object]] = special  # E
    other: Listener[TaskError] = general  # E
    general(3)  # E
    print(widened, other)


AsyncIOScheduler(clock=ClockOfDatetimes())  # E
