"""Start, pause, drain and shutdown of a scheduler."""

from __future__ import annotations

import asyncio
import sys
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module

from asyncz import _shutdown_limits
from asyncz._running import context_for_later, running_run
from asyncz._unsafe import as_driving_clock
from asyncz.events import (
    SchedulerPaused,
    SchedulerResumed,
    SchedulerShutdown,
    SchedulerStarted,
    TaskCancelled,
    TaskError,
    TaskExecuted,
    TaskMissed,
)
from asyncz.exceptions import NoEventLoopError, SchedulerAlreadyRunningError
from asyncz.schedulers._executor_registry import Cut, Registration
from asyncz.schedulers._live_run import LiveRun
from asyncz.schedulers._parts import SchedulerParts
from asyncz.schedulers._safe_logging import logger
from asyncz.schedulers._signals import handle_signals
from asyncz.tasks import close_streams

# Seconds after the start until decorated functions without a task are logged.
_UNSCHEDULED_DELAY = 5.0


def warn_if_never_started(parts: SchedulerParts, source: object) -> None:
    """Warn about a scheduler that is discarded with tasks although it was never started."""
    if parts.runtime.status != "created" or parts.runtime.parent:
        return
    number = len(parts.tasks.registered())
    if number:
        message = f"a scheduler with {number} task(s) was never started: enter `async with scheduler:`"
        warnings.warn(message, ResourceWarning, source=source, stacklevel=2)


class Lifecycle:
    """Start, pause, drain and shutdown. For the loop's thread, except for `pause` and `resume`.

    A shutdown is an asyncio task of its own, so that it continues if a caller is cancelled. All calls wait for the same
    one; each call can shorten it. It never waits for its caller: see `shutdown`.

    Attributes:
        unscheduled: Names of decorated functions with a trigger for which no task was added.
    """

    def __init__(self, parts: SchedulerParts) -> None:
        self._parts = parts
        self._closed: asyncio.Event | None = None
        self._shutdown: asyncio.Task[None] | None = None
        self._cut = Cut()
        # Set when a run ends while the shutdown waits for chains.
        self._progress = asyncio.Event()
        self._wait_for_runs = True
        self._counts_before: Mapping[str, int] = {}
        self._timers: list[asyncio.TimerHandle] = []
        self._stopping: asyncio.Task[None] | None = None
        self._client = _ClockClient(parts)
        self.unscheduled: dict[object, str] = {}

    # Start

    async def start(self, paused: bool) -> None:
        """Start the executors, then the schedules; see `AsyncIOScheduler.start`."""
        runtime = self._parts.runtime
        runtime.check_process("starting the scheduler again")
        if runtime.inbox.has_closed_loop and runtime.status not in {"created", "stopped"}:
            logger.warning("The scheduler was not shut down before its event loop was closed")
            await self.shutdown(wait=False, timeout=None)
        if runtime.status not in {"created", "stopped"}:
            raise SchedulerAlreadyRunningError
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise NoEventLoopError("starting the scheduler") from None
        registrations = self._open(loop, paused)
        try:
            await _import_states(loop)
            starting = self._parts.executors.start_all(registrations)
            if running_run.get(None) is None:
                await starting
            else:
                # A run starts this scheduler: threads and processes of the executors do not belong to that run.
                await loop.create_task(starting, context=context_for_later())
            if self._parts.store is not None:
                await self._parts.store.start()
        except BaseException:
            await self._abort_start()
            raise
        self._announce_start(registrations, paused)
        runtime.inbox.put(self._parts.timer.arm)
        if self.unscheduled:
            # Not now: a program may start the scheduler first.
            self._timers.append(loop.call_later(_UNSCHEDULED_DELAY, self._log_unscheduled))

    def _open(self, loop: asyncio.AbstractEventLoop, paused: bool) -> tuple[Registration, ...]:
        """Accept calls of all threads from now on; return the executors to start. Others are started one by one."""
        self._closed, self._cut, self._progress = asyncio.Event(), Cut(), asyncio.Event()
        self._shutdown = None
        runtime = self._parts.runtime
        runtime.dispatcher.open()
        with runtime.lock:
            # Threads that found no loop have made their changes by now.
            runtime.set_status("paused" if paused else "running")
            runtime.inbox.open(loop)
            registrations = self._parts.executors.all()
        self._attach_clock()
        self._parts.timer.start()
        return registrations

    def _announce_start(self, registrations: Sequence[Registration], paused: bool) -> None:
        dispatcher = self._parts.runtime.dispatcher
        dispatcher.emit(SchedulerStarted())
        if paused:
            dispatcher.emit(SchedulerPaused())
        aliases = ", ".join(registration.alias for registration in registrations) or "none"
        number = len(self._parts.tasks.registered())
        logger.info("Started%s: executors %s; %d task(s)", " paused" if paused else "", aliases, number)

    def _log_unscheduled(self) -> None:
        for name in self.unscheduled.values():
            logger.warning("The function %r has a trigger but no task; add one with %s.schedule()", name, name)
        self.unscheduled.clear()

    async def _abort_start(self) -> None:
        # First: nothing that is added from now on is started.
        self._parts.runtime.set_status("draining")
        try:
            await self._parts.executors.abort_start()
            await self._close_store()
            for controller in self._parts.tasks.all():
                controller.cancel_backlog()
                controller.cancel_unfinished()
        finally:
            self._close()

    def _attach_clock(self) -> None:
        driving = as_driving_clock(self._parts.runtime.clock)
        if driving is not None:
            driving.attach(self._client)

    # Pause, from any thread

    def pause(self) -> None:
        """Submit no due runs until `resume`."""
        runtime = self._parts.runtime
        runtime.require_running("pause()")
        runtime.change(self._pause)

    def resume(self) -> None:
        """Submit due runs again."""
        runtime = self._parts.runtime
        runtime.require_running("resume()")
        runtime.change(self._resume)

    def set_paused(self, paused: bool) -> None:
        """Call `pause` or `resume`."""
        if paused:
            self.pause()
        else:
            self.resume()

    def _pause(self) -> None:
        runtime = self._parts.runtime
        if runtime.status == "running":
            runtime.set_status("paused")
            self._parts.timer.disarm()
            runtime.emit_soon(SchedulerPaused())

    def _resume(self) -> None:
        runtime = self._parts.runtime
        if runtime.status == "paused":
            runtime.set_status("running")
            runtime.emit_soon(SchedulerResumed())
            runtime.inbox.put(self._catch_up)

    def _catch_up(self) -> None:
        self._parts.runtime.refill_deferred()
        self._parts.timer.arm()

    # Shutdown

    async def wait_closed(self, drain_timeout: float | None) -> None:
        """Wait for the end of a shutdown; see `AsyncIOScheduler.wait_closed`."""
        runtime = self._parts.runtime
        runtime.check_thread("AsyncIOScheduler.wait_closed()")
        if self._closed is None or runtime.status == "stopped":
            return
        loop = asyncio.get_running_loop()
        with handle_signals(lambda wait: loop.call_soon_threadsafe(self.stop_soon, wait, drain_timeout)):
            await self._closed.wait()

    def stop_soon(self, wait: bool, drain_timeout: float | None) -> None:
        """Begin a shutdown, or shorten one; for signal handlers and other threads through the loop."""
        # The loop itself holds its tasks weakly.
        self._stopping = asyncio.ensure_future(self.shutdown(wait, drain_timeout))

    async def shutdown(self, wait: bool, timeout: float | None) -> None:
        """Drain and stop; see `AsyncIOScheduler.shutdown`.

        A listener that calls this is not waited for. A run that calls this returns at once, because the shutdown
        waits for the run.
        """
        runtime = self._parts.runtime
        runtime.check_thread("AsyncIOScheduler.shutdown()")
        if runtime.status in {"created", "stopped"}:
            return
        if runtime.inbox.has_closed_loop:
            self._forget_closed_loop()
            wait = False
        if runtime.status != "draining":
            self._begin_drain(wait)
        loop = asyncio.get_running_loop()
        if self._shutdown is None or self._shutdown.done():
            self._shutdown = loop.create_task(self._shut_down(), context=runtime.inbox.new_context())
        if not wait:
            self._cut_short()
        elif timeout is not None:
            self._timers.append(loop.call_later(timeout, self._cut_short))
        if self._is_called_by_run():
            return
        task = asyncio.current_task()
        if task is not None and runtime.dispatcher.runs_in(task):
            runtime.dispatcher.exclude(task)
        await asyncio.shield(self._shutdown)

    def _begin_drain(self, wait: bool) -> None:
        runtime = self._parts.runtime
        self._parts.tasks.retire_finished()
        # Threads that found it running have asked for the start of their executors by now.
        runtime.set_status("draining")
        runtime.chains_continue = wait
        self._wait_for_runs = wait
        self._counts_before = runtime.counters.snapshot()
        self._parts.timer.disarm()

    def _cut_short(self) -> None:
        """Cancel the remaining runs of a shutdown that waits for them."""
        self._parts.runtime.chains_continue = False
        self._cut.set()
        self._progress.set()

    def _is_called_by_run(self) -> bool:
        """Return True if a run of this scheduler is calling, directly or from a thread or task of its own."""
        run = running_run.get(None)
        return isinstance(run, LiveRun) and run.sink is self._parts.completion and not run.released

    def _forget_closed_loop(self) -> None:
        """Drop all that belongs to a loop that was closed before the shutdown."""
        self._cut, self._progress = Cut(), asyncio.Event()
        self._shutdown = None
        self._timers.clear()
        self._parts.runtime.dispatcher.open()

    async def _shut_down(self) -> None:
        """Run the steps of a shutdown; an error in one of them must not prevent the rest."""
        steps = (
            self._drain_chains,
            self._cancel_backlogs,
            self._shut_down_executors,
            self._cancel_unfinished,
            self._wait_for_listeners,
            self._close_store,
        )
        for step in steps:
            try:
                await step()
            except Exception:
                logger.exception("A step of the shutdown failed")
        self._log_unscheduled()
        self._emit_shutdown()
        self._close()

    async def _drain_chains(self) -> None:
        """End pending attempts, then wait until no run can lead to another one."""
        runtime = self._parts.runtime
        for controller in self._parts.tasks.all():
            controller.end_attempts()
        outcomes = (TaskExecuted, TaskError, TaskMissed, TaskCancelled)
        subscriptions = [runtime.dispatcher.subscribe(outcome, self._on_outcome) for outcome in outcomes]
        try:
            while runtime.chains_continue and any(each.feeds_chain for each in self._parts.tasks.all()):
                self._progress.clear()
                await self._progress.wait()
        finally:
            for subscription in subscriptions:
                subscription.unsubscribe()
        if self._wait_for_runs and self._cut.is_set():
            logger.warning("The rest of the chains is cancelled")
        runtime.chains_continue = False

    def _on_outcome(self, _: object) -> None:
        self._progress.set()

    async def _cancel_backlogs(self) -> None:
        for controller in self._parts.tasks.all():
            controller.cancel_backlog()

    async def _shut_down_executors(self) -> None:
        executors, wait = self._parts.executors, self._wait_for_runs and not self._cut.is_set()
        await asyncio.gather(
            *(
                executors.shut_down(registration, wait=wait, cut=self._cut, cancel_runs=self._cancel_runs)
                for registration in executors.all()
            )
        )

    def _cancel_runs(self, registration: Registration) -> bool:
        """Cancel the runs of an executor; return False if it may wait for some all the same."""
        logger.warning("The remaining runs of the executor %r are cancelled", registration.alias)
        if registration.cancel_all():
            return True
        for controller in self._parts.tasks.all():
            try:
                controller.cancel_live_runs(registration)
            except Exception:
                logger.exception("The executor %r could not cancel its runs", registration.alias)
        return False

    async def _cancel_unfinished(self) -> None:
        """End runs without an outcome from their executor."""
        inbox = self._parts.runtime.inbox
        inbox.drain()
        for controller in self._parts.tasks.all():
            if unfinished := controller.cancel_unfinished():
                logger.error(
                    "The executor %r never reported the outcome of %d run(s) of %r",
                    controller.registration.alias,
                    unfinished,
                    controller.task.id,
                )
        inbox.drain()

    async def _wait_for_listeners(self) -> None:
        """Wait for awaitables of listeners, but not without end once the shutdown has no more time."""
        runtime = self._parts.runtime
        waiting = asyncio.ensure_future(runtime.dispatcher.wait_for_listeners(runtime.inbox.drain))
        cut = asyncio.ensure_future(self._cut.wait())
        try:
            await asyncio.wait([waiting, cut], return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                await asyncio.wait([waiting], timeout=_shutdown_limits.LISTENERS_SECONDS)
            if not waiting.done():
                logger.warning("%d listener(s) are cancelled", runtime.dispatcher.cancel_listeners())
                await asyncio.wait([waiting], timeout=_shutdown_limits.LISTENERS_SECONDS)
        finally:
            waiting.cancel()
            cut.cancel()

    async def _close_store(self) -> None:
        if self._parts.store is not None:
            await self._parts.store.close()

    def _emit_shutdown(self) -> None:
        runtime, before = self._parts.runtime, self._counts_before
        totals = runtime.counters.snapshot()
        since = {name: number - before.get(name, 0) for name, number in totals.items()}
        finished, cancelled = since["executed"] + since["errors"] + since["missed"], since["cancelled"]
        abandoned = sum(registration.abandoned() for registration in self._parts.executors.all())
        runtime.dispatcher.emit(SchedulerShutdown(finished=finished, cancelled=cancelled, abandoned=abandoned))
        names = ("submitted", "executed", "errors", "missed", "cancelled", "rejected")
        counts = ", ".join(f"{totals[name]} {name}" for name in names)
        logger.info("Shut down; runs since the scheduler was made: %s; abandoned now: %d", counts, abandoned)

    def _close(self) -> None:
        runtime, tasks = self._parts.runtime, self._parts.tasks
        runtime.inbox.close()
        runtime.set_status("stopped")
        for controller in tasks.all():
            close_streams(controller.task)
        tasks.forget_removed()
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        driving = as_driving_clock(runtime.clock)
        if driving is not None:
            driving.detach(self._client)
        if self._closed is not None:
            self._closed.set()


class _ClockClient:
    """Scheduler as a clock sees it that drives it; the `ClockClient` of a scheduler."""

    def __init__(self, parts: SchedulerParts) -> None:
        self._parts = parts

    def running_tasks(self) -> tuple[str, ...]:
        """Return the ids of tasks with live runs, except those that wait for their next attempt."""
        return tuple(each.task.id for each in self._parts.tasks.registered() if each.live_count > each.retrying)

    async def settle(self) -> None:
        """Wait until the pending calls are made; the scheduler may need several iterations of the loop for that."""
        inbox = self._parts.runtime.inbox
        if len(inbox) and inbox.is_open_on(asyncio.get_running_loop()):
            settled = asyncio.Event()
            inbox.put(settled.set)
            await settled.wait()

    def clock_set(self) -> None:
        """Look at the clock, which was set. Thread-safe."""
        self._parts.runtime.inbox.put(self._parts.timer.check_clock)


async def _import_states(loop: asyncio.AbstractEventLoop) -> None:
    """Import the snapshots now: pydantic takes long to import, and a snapshot may be wanted while runs are due."""
    if "asyncz.states" not in sys.modules:
        with ThreadPoolExecutor(1) as pool:
            await loop.run_in_executor(pool, import_module, "asyncz.states")
