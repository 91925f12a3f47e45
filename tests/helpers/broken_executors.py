"""Executors that are broken on purpose, each in one way, and the rules that each breaks."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import queue
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial

import attrs
from typing_extensions import override

from asyncz import (
    BaseExecutor,
    DebugExecutor,
    ExecutorState,
    InstanceCount,
    MaximumInstancesError,
    Notifier,
    TaskError,
    TaskExecuted,
    TaskNotification,
    TaskRun,
    UniversalExecutor,
)
from asyncz._running import RunningRun, running_run
from asyncz.executors._run_registry import RunRegistry
from asyncz.testing import Rule, rules
from tests.helpers.generics import ResultT


class PassedOn:
    """Notifier between an executor and its scheduler; its subclasses change the reports."""

    def __init__(self, scheduler: Notifier) -> None:
        self.scheduler = scheduler

    def finished(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
        self.notify(run, notification)
        self.released(run)

    def notify(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
        self.scheduler.notify(run, notification)

    def released(self, run: TaskRun[ResultT], /) -> None:
        self.scheduler.released(run)


class ThreadPerRun(BaseExecutor):
    """Correct executor: the common part of the others."""

    Tampered: type[PassedOn] = PassedOn

    @override
    async def start(self, scheduler: Notifier, alias: str, /) -> None:
        await super().start(self.Tampered(scheduler), alias)

    @override
    def submit_run(self, run: TaskRun[ResultT], /) -> None:
        threading.Thread(target=self.work, args=(run,), daemon=True).start()

    def work(self, run: TaskRun[ResultT]) -> None:
        self.start_timeout(run)
        self.finish(run, run.execute())


def failed_by_its_function(notification: TaskNotification[object]) -> bool:
    return isinstance(notification, TaskError) and isinstance(notification.exception, Exception)


class LosesErrors(ThreadPerRun):
    class Tampered(PassedOn):
        @override
        def notify(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
            if not failed_by_its_function(notification) or run.task.limits.timeout is not None:
                super().notify(run, notification)


class NotifiesTwice(ThreadPerRun):
    class Tampered(PassedOn):
        @override
        def notify(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
            super().notify(run, notification)
            super().notify(run, notification)


class NeverReleases(ThreadPerRun):
    class Tampered(PassedOn):
        @override
        def released(self, run: TaskRun[ResultT], /) -> None:
            pass


class ReleasesTwice(ThreadPerRun):
    class Tampered(PassedOn):
        @override
        def released(self, run: TaskRun[ResultT], /) -> None:
            super().released(run)
            super().released(run)


class ReleasesBeforeNotifying(ThreadPerRun):
    class Tampered(PassedOn):
        @override
        def notify(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
            super().released(run)
            super().notify(run, notification)

        @override
        def released(self, run: TaskRun[ResultT], /) -> None:
            pass


class ReleasesWhileWorkGoesOn(ThreadPerRun):
    """Takes a run that it has given up for one that has ended."""

    class Tampered(PassedOn):
        @override
        def notify(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
            super().notify(run, notification)
            super().released(run)

        @override
        def released(self, run: TaskRun[ResultT], /) -> None:
            pass


class MixesUpResults(ThreadPerRun):
    """Executor that reports the result of the run before."""

    def __init__(self) -> None:
        super().__init__()
        self._before: list[object] = []

    @override
    def finish(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
        if isinstance(notification, TaskExecuted):
            self._before.append(notification.result)
            if len(self._before) > 1:
                notification = run.executed(self._before[-2])  # type: ignore[arg-type]  # the types forbid it, too
        super().finish(run, notification)


class BlocksTheLoop(DebugExecutor):
    """Runs inline, and does not declare it."""


class SwallowsExceptions(ThreadPerRun):
    @override
    def finish(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
        if failed_by_its_function(notification):
            notification = run.executed(None)  # type: ignore[arg-type]  # the types forbid it, too
        super().finish(run, notification)


class RaisesOutOfSubmit(BaseExecutor):
    """Executor that runs inline, and raises the exception of the function in `submit`."""

    @override
    def submit_run(self, run: TaskRun[ResultT], /) -> None:
        notification = in_another_thread(run)
        if isinstance(notification, TaskError):
            raise notification.exception
        self.finish(run, notification)


def in_another_thread(run: TaskRun[ResultT]) -> TaskNotification[ResultT]:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(run.execute).result()


class AcceptsAfterShutdown(ThreadPerRun):
    @override
    def submit(self, run: TaskRun[ResultT], /) -> None:
        if self.state.status != "stopped":
            super().submit(run)


class AcceptsBeforeStart(ThreadPerRun):
    """Executor that queues runs before its start."""

    def __init__(self) -> None:
        super().__init__()
        self._early: list[Callable[[], None]] = []

    @override
    async def start(self, scheduler: Notifier, alias: str, /) -> None:
        await super().start(scheduler, alias)
        for submit in self._early:
            submit()

    @override
    def submit(self, run: TaskRun[ResultT], /) -> None:
        if self.state.status == "created":
            self._early.append(lambda: self.submit(run))
        else:
            super().submit(run)


class IgnoresMaxInstances(ThreadPerRun):
    @override
    def submit(self, run: TaskRun[ResultT], /) -> None:
        try:
            super().submit(run)
        except MaximumInstancesError:
            self.submit_run(run)


class NeverCountsDown(ThreadPerRun):
    def __init__(self) -> None:
        super().__init__()
        self._taken: Counter[str] = Counter()

    @override
    def submit(self, run: TaskRun[ResultT], /) -> None:
        if self._taken[run.task.id] == run.task.limits.max_instances:
            raise MaximumInstancesError(run.task.id, run.task.limits.max_instances)
        super().submit(run)
        self._taken[run.task.id] += 1


class TellsAnotherAlias(ThreadPerRun):
    @property
    @override
    def state(self) -> ExecutorState:
        return super().state.model_copy(update={"alias": "broken"})


class TellsThatItRunsForEver(ThreadPerRun):
    @property
    @override
    def state(self) -> ExecutorState:
        state = super().state
        return state.model_copy(update={"status": "running"}) if state.status == "stopped" else state


class CountsEachRunTwice(ThreadPerRun):
    @property
    @override
    def state(self) -> ExecutorState:
        state = super().state
        doubled = tuple(InstanceCount(task_id=one.task_id, running=2 * one.running) for one in state.instances)
        return state.model_copy(update={"running": 2 * state.running, "instances": doubled})


class HangsInShutdown(ThreadPerRun):
    @override
    async def release(self, *, wait: bool) -> None:
        await asyncio.Event().wait()


class DropsRunsAtShutdown(ThreadPerRun):
    """Executor whose state does not list its runs."""

    @override
    async def shutdown(self, wait: bool = True) -> None:
        self._base_executor_state.registry = RunRegistry()
        await super().shutdown(wait)

    @override
    def finish(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
        if self._base_executor_state.registry.get(run.id) is not None:
            super().finish(run, notification)


class CutsRunsOffAtShutdown(ThreadPerRun):
    """Executor whose shutdown does not wait."""

    @override
    async def shutdown(self, wait: bool = True) -> None:
        await super().shutdown(wait=False)


class LetsRunsGoOnAtShutdown(ThreadPerRun):
    """Executor whose shutdown without waiting does not cancel the runs."""

    @override
    def cancel_all(self) -> None:
        registry = self._base_executor_state.registry
        for record in registry.all():
            # In one step: the thread of a run that is over leaves its release to the one that reports it as abandoned.
            with registry._lock:
                if registry.abandon(record.run_id) is not None:
                    registry.reported(record.run_id)


class DoesNotAwait(ThreadPerRun):
    @override
    def work(self, run: TaskRun[ResultT]) -> None:
        self.start_timeout(run)
        self.finish(run, run.execute(lambda awaitable: awaitable))  # type: ignore[arg-type,return-value]  # the types forbid it, too


class RunsWhatIsTooLate(ThreadPerRun):
    @override
    def work(self, run: TaskRun[ResultT]) -> None:
        run.begin()
        run.scheduled = run.started or run.scheduled
        super().work(run)


class DiesOfSystemExit(BaseExecutor):
    """Its only thread ends with the first function that wants to exit."""

    def __init__(self) -> None:
        super().__init__()
        self._queue: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()

    @override
    async def start(self, scheduler: Notifier, alias: str, /) -> None:
        await super().start(scheduler, alias)
        threading.Thread(target=self._work, daemon=True).start()

    @override
    async def release(self, *, wait: bool) -> None:
        self._queue.put(None)

    @override
    def submit_run(self, run: TaskRun[ResultT], /) -> None:
        self._queue.put(lambda: self._run(run))

    def _work(self) -> None:
        with contextlib.suppress(SystemExit):
            while (execute := self._queue.get()) is not None:
                execute()

    def _run(self, run: TaskRun[ResultT]) -> None:
        self.start_timeout(run)
        notification = run.execute()
        if isinstance(notification, TaskError) and isinstance(notification.exception, SystemExit):
            raise notification.exception
        self.finish(run, notification)


class TakesCancelledErrorForAnError(ThreadPerRun):
    @override
    def finish(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
        cancelled_itself = run.started is not None and not isinstance(notification, TaskExecuted | TaskError)
        super().finish(run, run.failed(asyncio.CancelledError()) if cancelled_itself else notification)


class LosesTheTraceback(ThreadPerRun):
    @override
    def finish(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
        if isinstance(notification, TaskError):
            notification = attrs.evolve(notification, traceback="")
        super().finish(run, notification)


class StartsOnlyOnce(ThreadPerRun):
    @override
    async def start(self, scheduler: Notifier, alias: str, /) -> None:
        if self.state.status == "stopped":
            raise RuntimeError("threads can only be started once")
        await super().start(scheduler, alias)


class PretendsToCancel(ThreadPerRun):
    @override
    def cancel_run(self, run: TaskRun[ResultT], /) -> bool:
        return True


class IgnoresTimeLimits(ThreadPerRun):
    @override
    def start_timeout(self, run: TaskRun[ResultT], /) -> None:
        pass


class LosesTheContext(ThreadPerRun):
    @override
    def work(self, run: TaskRun[ResultT]) -> None:
        run.context = contextvars.Context()
        super().work(run)


class RetriesByItself(ThreadPerRun):
    """Executor that calls a function again if it failed."""

    @override
    def work(self, run: TaskRun[ResultT]) -> None:
        self.start_timeout(run)
        notification = run.execute()
        if failed_by_its_function(notification):
            notification = run.execute()
        self.finish(run, notification)


class StateNeedsTheLoop(ThreadPerRun):
    """Executor whose state can be read on the loop's thread only."""

    @property
    @override
    def state(self) -> ExecutorState:
        asyncio.get_running_loop()
        return super().state


class StateWaitsForTheLoop(ThreadPerRun):
    """Executor whose state hangs in another thread than the loop's."""

    @property
    @override
    def state(self) -> ExecutorState:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            threading.Event().wait()
        return super().state


class StateRaises(ThreadPerRun):
    """Executor whose state raises."""

    @property
    @override
    def state(self) -> ExecutorState:
        raise ValueError("no state")


class BlocksWhenItsQueueIsFull(BaseExecutor):
    """Executor with one thread and a bounded queue, into which `submit` puts runs with a blocking call."""

    def __init__(self) -> None:
        super().__init__()
        self._bounded: queue.Queue[Callable[[], None] | None] = queue.Queue(100)

    @override
    async def start(self, scheduler: Notifier, alias: str, /) -> None:
        await super().start(scheduler, alias)
        threading.Thread(target=self._work, daemon=True).start()

    @override
    async def release(self, *, wait: bool) -> None:
        self._bounded.put(None)

    @override
    def submit_run(self, run: TaskRun[ResultT], /) -> None:
        self._bounded.put(lambda: self._run(run))

    def _work(self) -> None:
        while (execute := self._bounded.get()) is not None:
            execute()

    def _run(self, run: TaskRun[ResultT]) -> None:
        self.start_timeout(run)
        self.finish(run, run.execute())


class RunWithoutProgress:
    def __init__(self, run: RunningRun) -> None:
        self.run_id, self.task_id, self.attempt, self.scheduled = run.run_id, run.task_id, run.attempt, run.scheduled
        self.is_cancelled = run.is_cancelled

    def report_progress(self, done: float, total: float | None, message: str, /) -> None:
        pass


class LosesProgress(ThreadPerRun):
    @override
    def work(self, run: TaskRun[ResultT]) -> None:
        call = run.call

        def call_without_progress() -> ResultT | Awaitable[ResultT]:
            running_run.set(RunWithoutProgress(run))
            return call()

        run.call = call_without_progress
        super().work(run)


class AbandonsCancelledCoroutines(ThreadPerRun):
    """Executor that reports a coroutine as cancelled, and lets it go on."""

    @override
    def cancel_run(self, run: TaskRun[ResultT], /) -> bool:
        return run.task.is_coroutine and self.abandon(run, run.cancelled())


class InterruptsCoroutines(ThreadPerRun):
    """Base class of executors that run each coroutine in a loop of its own, and can interrupt it there."""

    def __init__(self) -> None:
        super().__init__()
        self.interruptions: dict[int, Callable[[], object]] = {}

    def interrupt(self, run: TaskRun[ResultT]) -> bool:
        """Interrupt the coroutine of a run, if it has one."""
        interruption = self.interruptions.get(run.id)
        if interruption is not None:
            interruption()
        return interruption is not None

    @override
    def work(self, run: TaskRun[ResultT]) -> None:
        self.start_timeout(run)
        self.finish(run, run.execute(partial(self._run_coroutine, run.id)))

    def _run_coroutine(self, run_id: int, awaitable: Awaitable[ResultT]) -> ResultT:
        raise NotImplementedError


class KeepsResultsOfCancelledCoroutines(InterruptsCoroutines):
    """Executor that cancels a coroutine, and reports its result."""

    @override
    def cancel(self, run: TaskRun[ResultT], /) -> bool:
        return self.interrupt(run)

    @override
    def _run_coroutine(self, run_id: int, awaitable: Awaitable[ResultT]) -> ResultT:
        async def main() -> ResultT:
            loop, task = asyncio.get_running_loop(), asyncio.current_task()
            assert task is not None
            self.interruptions[run_id] = lambda: loop.call_soon_threadsafe(task.cancel)
            try:
                return await awaitable
            finally:
                del self.interruptions[run_id]

        return asyncio.run(main())


class CutsCleanupShort(InterruptsCoroutines):
    """Executor that cancels a coroutine, and closes the loop in the middle of the cleanup."""

    @override
    def cancel_run(self, run: TaskRun[ResultT], /) -> bool:
        return self.interrupt(run)

    @override
    def _run_coroutine(self, run_id: int, awaitable: Awaitable[ResultT]) -> ResultT:
        async def main() -> ResultT:
            return await awaitable

        loop = asyncio.new_event_loop()
        # Without the messages about tasks that are destroyed: that is the fault here.
        loop.set_exception_handler(lambda *_: None)
        task = loop.create_task(main())

        def cut() -> None:
            task.cancel()
            # Let the task enter its cleanup.
            loop.call_soon(loop.call_soon, loop.stop)

        self.interruptions[run_id] = partial(loop.call_soon_threadsafe, cut)
        try:
            return loop.run_until_complete(task)
        except RuntimeError:
            if task.done():
                raise
            raise asyncio.CancelledError from None
        finally:
            del self.interruptions[run_id]
            loop.close()


class RunNeverCancelled:
    def __init__(self, run: RunningRun) -> None:
        self.run_id, self.task_id, self.attempt, self.scheduled = run.run_id, run.task_id, run.attempt, run.scheduled
        self.report_progress = run.report_progress

    def is_cancelled(self) -> bool:
        return False


class HidesCancellation(ThreadPerRun):
    """Executor that calls the function as a run which is never cancelled."""

    @override
    def work(self, run: TaskRun[ResultT]) -> None:
        call = run.call

        def call_as_another_run() -> ResultT | Awaitable[ResultT]:
            running_run.set(RunNeverCancelled(run))
            return call()

        run.call = call_as_another_run
        super().work(run)


@attrs.frozen
class Broken:
    """A broken executor, its declarations, and the broken rules that the suite has to find.

    Attributes:
        may_break: Rules whose violation depends on which of two threads comes first.
    """

    make: Callable[[], UniversalExecutor]
    breaks: set[Rule]
    may_break: frozenset[Rule] = frozenset()
    runs_inline: bool = False
    runs_in_another_process: bool = False


BROKEN: tuple[Broken, ...] = (
    Broken(LosesErrors, {rules.NO_RUN_IS_LOST}),
    Broken(NotifiesTwice, {rules.NOTIFIED_ONCE}),
    Broken(NeverReleases, {rules.RELEASED_ONCE}),
    Broken(ReleasesTwice, {rules.RELEASED_ONCE}),
    Broken(ReleasesBeforeNotifying, {rules.RELEASED_AT_ITS_END}, frozenset({rules.FINALLY_BLOCKS})),
    Broken(ReleasesWhileWorkGoesOn, {rules.RELEASED_AT_ITS_END, rules.FINALLY_BLOCKS}),
    Broken(MixesUpResults, {rules.RESULTS}),
    Broken(SwallowsExceptions, {rules.EXCEPTIONS}),
    # The function of the last run raises SystemExit, and no thread is left to report it.
    Broken(DiesOfSystemExit, {rules.EXIT_REQUESTS, rules.NO_RUN_IS_LOST}),
    Broken(TakesCancelledErrorForAnError, {rules.CANCELLED_BY_ITSELF, rules.ASKING_FUNCTIONS}),
    Broken(DoesNotAwait, {rules.AWAITABLES}),
    Broken(LosesTheTraceback, {rules.DETAILS}),
    Broken(BlocksTheLoop, {rules.LOOP_NOT_BLOCKED, rules.MANY_QUEUED_RUNS}),
    Broken(RaisesOutOfSubmit, {rules.SUBMIT_ONLY_REJECTS}, runs_inline=True),
    Broken(AcceptsBeforeStart, {rules.NO_RUN_BEFORE_START}),
    Broken(AcceptsAfterShutdown, {rules.NO_RUN_AFTER_SHUTDOWN}),
    Broken(IgnoresMaxInstances, {rules.MAXIMUM_OF_INSTANCES}),
    Broken(NeverCountsDown, {rules.INSTANCES_COUNT_DOWN}),
    Broken(TellsAnotherAlias, {rules.ALIAS_AND_STATUS}),
    Broken(TellsThatItRunsForEver, {rules.ALIAS_AND_STATUS}),
    Broken(CountsEachRunTwice, {rules.COUNTS}),
    Broken(RunsWhatIsTooLate, {rules.LATE_RUNS}),
    Broken(DropsRunsAtShutdown, {rules.SHUTDOWN_WAITS, rules.SHUTDOWN_WITHOUT_WAITING, rules.NO_RUN_IS_LOST}),
    Broken(CutsRunsOffAtShutdown, {rules.SHUTDOWN_WAITS}),
    Broken(LetsRunsGoOnAtShutdown, {rules.SHUTDOWN_WITHOUT_WAITING}),
    Broken(HangsInShutdown, {rules.SHUTDOWN_RETURNS}),
    Broken(StartsOnlyOnce, {rules.STARTS_AGAIN}),
    Broken(PretendsToCancel, {rules.CANCEL, rules.NO_RUN_IS_LOST}),
    Broken(IgnoresTimeLimits, {rules.TIME_LIMITS, rules.NO_RUN_IS_LOST}),
    Broken(LosesTheContext, {rules.CONTEXT}),
    Broken(RetriesByItself, {rules.CALLED_ONCE}),
    Broken(StateNeedsTheLoop, {rules.STATE_FROM_ANY_THREAD}),
    Broken(StateWaitsForTheLoop, {rules.STATE_FROM_ANY_THREAD}),
    Broken(StateRaises, {rules.ALIAS_AND_STATUS, rules.COUNTS, rules.STATE_FROM_ANY_THREAD}),
    Broken(BlocksWhenItsQueueIsFull, {rules.MANY_QUEUED_RUNS}),
    Broken(LosesProgress, {rules.PROGRESS}),
    Broken(AbandonsCancelledCoroutines, {rules.CANCELLED_COROUTINES}),
    Broken(KeepsResultsOfCancelledCoroutines, {rules.CANCELLED_COROUTINES}),
    Broken(CutsCleanupShort, {rules.FINALLY_BLOCKS}),
    Broken(HidesCancellation, {rules.ASKING_FUNCTIONS}),
    # It runs in this process, and so would not notice objects that cannot be pickled.
    Broken(ThreadPerRun, {rules.NOT_PICKLABLE}, runs_in_another_process=True),
)
