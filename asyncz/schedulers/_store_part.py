"""The part of a scheduler that exchanges tasks and runs with a store."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Never, cast
from uuid import uuid4

from typing_extensions import TypeVar

from asyncz._aliases import ExistingTaskPolicy, OtherAlias
from asyncz.exceptions import TaskLookupError
from asyncz.limits import TaskLimits
from asyncz.protocols import Executor, Trigger
from asyncz.schedulers._loop_timers import LoopTimers
from asyncz.schedulers._parts import AnyController, SchedulerParts
from asyncz.schedulers._safe_logging import logger
from asyncz.schedulers._store_cleanup import StoreCleanup, ends_caller, log_failure
from asyncz.schedulers._store_commands import StoreCommands
from asyncz.schedulers._store_events import ClusterEvents
from asyncz.schedulers._store_lease import LeaseKeeper, clock_offset, lease_clock
from asyncz.schedulers._store_nodes import LiveNodes
from asyncz.schedulers._store_overdue import OverdueSearch
from asyncz.schedulers._store_pauses import StoredPauses
from asyncz.schedulers._store_runs import StoredRuns
from asyncz.schedulers._store_tasks import StoredTasks
from asyncz.schedulers._store_timing import TimedSession
from asyncz.schedulers._stored_schedule import ScheduleHooks, Step
from asyncz.schedulers.subscriptions import Subscription
from asyncz.stores._triggers import encode_trigger
from asyncz.stores.exceptions import StoreClosedError, StoreError
from asyncz.stores.options import StoreOptions
from asyncz.stores.protocol import Store, StoreSession
from asyncz.stores.records import OVERDUE_AFTER, Lease, NodeRecord, StoreNews
from asyncz.tasks import Task

ResultT = TypeVar("ResultT")

# Seconds by which the other nodes leave a due time to the preferred one.
_PREFERENCE = 0.1
# Time after which a due time is taken for missed by it, less than `_PREFERENCE`: the clocks of the nodes may differ.
_LATE = timedelta(seconds=_PREFERENCE / 2)
# Time before the last renewal from which due times are looked for; older ones are left to the renewals.
_LOOK_BACK = timedelta(seconds=5)
# Seconds until the tasks that could not be fired are read again: usually another node has fired them.
_RECHECK_DELAY = 1.0
# Seconds between two checks of a lease that is over.
_LEASE_DELAY = 0.2
# Seconds by which the clocks of scheduler and store may differ.
_CLOCK_STEP = 0.02
# Seconds between two attempts during an outage, doubled each time.
_FIRST_DELAY = 0.25
_MAX_DELAY = 15.0
# Seconds for the last outcomes at a shutdown; later, another node takes over the runs.
_CLOSE_TIMEOUT = 30.0


class StoreConnector:
    """Exchange of tasks and runs with a store: the `StorePart` of a scheduler.

    One asyncio task does all the work in turn, so that calls of the store do not overlap; a second one waits for hints.
    All methods are for the loop's thread, except for `add` and the renewal of the lease. Each renewal reports whether
    there is other work than that of this node, so that an idle node needs no other transaction.

    Args:
        parts: Parts of the scheduler.
        store: Store.
        options: Options for the store.
        set_paused: Function that pauses the scheduler, or resumes it.

    Attributes:
        tasks: Tasks that the store keeps.
        runs: Runs of which this node is the owner.
        events: Listeners of the outcomes of all nodes.
        connected: True if the last call of the store was successful.
    """

    def __init__(
        self, parts: SchedulerParts, store: Store, options: StoreOptions, set_paused: Callable[[bool], object]
    ) -> None:
        self._parts = parts
        self._store = store
        self._options = options
        self.tasks: StoredTasks = StoredTasks(parts, options, self._hooks_of, self._wake)
        self.runs: StoredRuns = StoredRuns(parts, self.tasks, options, self._set_wanted)
        self.events: ClusterEvents = ClusterEvents(parts, self.tasks, self._wake)
        self._commands = StoreCommands(self.tasks, self.runs, set_paused)
        self._pauses = StoredPauses(parts.runtime, self._set_wanted)
        self.connected: bool = False
        self._session: StoreSession | None = None
        self._lease: LeaseKeeper | None = None
        self._nodes = LiveNodes()
        self._wanted, self._closing = asyncio.Event(), asyncio.Event()
        self._background: list[asyncio.Task[None]] = []
        self._timers = LoopTimers()
        self._cleanup = StoreCleanup(options, self.runs.history)
        self._recheck_at = float("inf")
        self._overdue = OverdueSearch(OVERDUE_AFTER, self.tasks.fire_overdue)
        self._late = OverdueSearch(_LATE, self.tasks.fire_overdue)
        self._more_overdue = False
        self._read_changes = self._awaits_lease = self._delivers = False
        # Due times of preferred nodes: whether a timer is set, whether more came since, and whether to look for them.
        self._awaits_late = self._more_late = self._wants_late = False
        # Whether a beat is due, with the news of the last renewal; None if there may be any news.
        self._wants_beat: bool = False
        self._news: StoreNews | None = None

    # Tasks

    def add(
        self,
        call: Callable[[], ResultT | Awaitable[ResultT]],
        trigger: Trigger | None,
        executor: Executor[ResultT] | OtherAlias | None,
        task_id: str,
        /,
        *,
        limits: TaskLimits,
        paused: bool,
        replace_existing: bool,
        existing: ExistingTaskPolicy | None = None,
        upstream: Task[object] | None = None,
    ) -> Task[ResultT]:
        """Add a task that the store keeps; `upstream` is the task whose results it receives. Thread-safe."""
        return self.tasks.add(
            call,
            trigger,
            executor,
            task_id,
            limits=limits,
            paused=paused,
            replace_existing=replace_existing,
            existing=existing,
            upstream=upstream,
        )

    def keeps(self, controller: AnyController | None, /) -> bool:
        """Return True if the store keeps a task. Under the lock."""
        return controller is not None and self.tasks.of_controller(controller) is not None

    def on_changed(self, controller: AnyController, /) -> None:
        """Queue the change of a task for the store. Under the lock."""
        self.tasks.on_changed(controller)

    def on_removed(self, controller: AnyController, backlog: Sequence[tuple[float, object]], /) -> None:
        """Queue the removal of a task for the store, if that has not removed it, and end the runs of its backlog."""
        self.tasks.on_removed(controller)
        self.runs.forget_backlog(backlog)

    def submit(self, controller: AnyController, /) -> None:
        """Queue a run for the store, where it waits for any node. Thread-safe; the caller holds the lock.

        Raises:
            TaskLookupError: The task is being added or replaced by another thread.
        """
        stored = self.tasks.of_controller(controller)
        if stored is None:
            raise TaskLookupError(controller.task.id)
        self.runs.submit(stored)
        self._wake()

    def subscribe(self, event: type[object], listener: Callable[[Never], object], /) -> Subscription:
        """Call a listener with the outcomes of all nodes. Thread-safe."""
        return self.events.subscribe(event, listener)

    def remove_listener(self, listener: object, /) -> bool:
        """Remove a listener of the outcomes of all nodes; return False if there is none. Thread-safe."""
        return self.events.remove(listener)

    def end_call(self, call: object, at: float | None, /) -> None:
        """Queue a run for the store that `Task.run` has started on this node, unless its executor has rejected it."""
        self.runs.end_call(call, at)

    def _begin_call(self, task_id: str) -> Callable[[], Never] | None:
        stored = self.tasks.get(task_id)
        # Unverified: the call is that of the task, which returns its result.
        return None if stored is None else cast("Callable[[], Never]", self.runs.begin_call(stored))

    def _hooks_of(self, task_id: str) -> ScheduleHooks:
        return ScheduleHooks(
            hand_over=partial(self._on_step, task_id),
            encode=partial(encode_trigger, task_id),
            begin_call=partial(self._begin_call, task_id),
            clock_offset=lambda: self.clock_offset,
        )

    # Start and end

    @property
    def node_id(self) -> str:
        """Id of this node; empty before the start."""
        return self._nodes.own

    @property
    def clock_offset(self) -> float:
        """Seconds by which the clock of the scheduler is ahead of that of the store."""
        return self.runs.clock_offset

    @property
    def lease_seconds_left(self) -> float:
        """Seconds until other nodes may take over the runs of this one; 0 without a lease. Thread-safe."""
        lease = self._lease
        return 0.0 if lease is None or self._session is None else lease.seconds_left

    @property
    def session(self) -> StoreSession | None:
        """Session with the store; None if the scheduler is not running."""
        return self._session

    async def start(self) -> None:
        """Connect to the store, declare the tasks of the program, and restore the others.

        Raises:
            StoreConnectionError: The store cannot be reached.
            StoreSchemaError: The store has a schema that this version cannot use.
            StoreDataError: The store does not accept a value, such as a zero character in the id of a task.
            StoredTaskConflictError: The store has a task with another declaration, and the policy is `refuse`.
        """
        loop, duration = asyncio.get_running_loop(), self._options.lease
        self._nodes.own, self._wanted, self._closing = uuid4().hex, asyncio.Event(), asyncio.Event()
        node = NodeRecord(
            id=self._nodes.own, name=f"{socket.gethostname()}:{os.getpid()}", app_version=self._options.version
        )
        now = self._parts.runtime.now
        sent, asked = lease_clock(), now()
        self._session = await self._store.connect(node, timedelta(seconds=duration))
        session = TimedSession(self._session, self._parts.runtime)
        self.runs.clock_offset = clock_offset(0.0, asked, session.lease, now())
        lease = self._lease = LeaseKeeper(session, duration, sent, now, self._on_lease_renewed)
        self.runs.open(self._nodes.own, lambda: lease.term, session)
        lease.start()
        await self._commands.open(self._session)
        self._pauses.open(self._session)
        await self.tasks.load(session)
        self._nodes.update([each.id for each in await session.nodes()])
        await self._deliver_events(session)
        self.connected = True
        # A first beat at once: nodes that died before may have left runs.
        self._wants_beat, self._news = True, None
        self._cleanup.open()
        self._wanted.set()
        context = self._parts.runtime.inbox.new_context
        self._background = [
            loop.create_task(self._work(session), context=context()),
            loop.create_task(self._listen(session), context=context()),
            loop.create_task(self._watch_lease(lease), context=context()),
        ]

    async def close(self) -> None:
        """Write the last outcomes, give back the other runs, and disconnect."""
        loaded = bool(self._background)
        await self._stop_work()
        self._timers.cancel()
        self._awaits_lease = self._delivers = self._awaits_late = self._more_late = self._wants_late = False
        self._more_overdue = False
        self.events.close()
        if self._lease is not None:
            self._lease.stop()
        self.runs.close()
        self._pauses.close()
        session, self._session = self._session, None
        if session is None:
            return
        self.connected = False
        self.runs.give_back_all()
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                if loaded:
                    if self.runs.wants_reclaim:
                        await self.runs.give_back_unknown(session)
                    await self._write(session)
        except BaseException as error:
            if ends_caller(error):
                raise
            log_failure("The last outcomes could not be stored; another node takes over the runs", error)
        finally:
            await _close_session(session)

    async def _stop_work(self) -> None:
        """End the background tasks, the work after its present step: its answer may be runs to give back."""
        self._closing.set()
        self._wanted.set()
        work = tuple(self._background)
        self._background.clear()
        if work:
            _ = await asyncio.wait(work[:1], timeout=_CLOSE_TIMEOUT)
        for task in work:
            _ = task.cancel()
        _ = await asyncio.gather(*work, return_exceptions=True)

    # Wake-ups

    def _wake(self) -> None:
        """Wake the asyncio task that does the pending work. Thread-safe."""
        self._parts.runtime.inbox.put(self._set_wanted)

    def _set_wanted(self) -> None:
        self._wanted.set()

    def _on_lease_renewed(self, lease: Lease, lost: bool, asked: float, answered: float) -> None:
        """Note a new lease. In the thread that renews it."""
        if lost:
            logger.warning("The lease of this node was lost: other nodes may have taken over its runs")
            self._parts.runtime.inbox.put(self._on_lease_regained)
        known = self.clock_offset
        offset = clock_offset(known, asked, lease, answered)
        if abs(offset - known) > _CLOCK_STEP:
            self._parts.runtime.inbox.put(lambda: self._set_clock_offset(offset))
        self._parts.runtime.inbox.put(lambda: self._note_news(lease.news))

    def _note_news(self, news: StoreNews | None) -> None:
        """Start the work that a renewal has reported."""
        if news is not None:
            self._nodes.update(news.nodes)
            if not (news.waiting or news.overdue or news.lost or news.revision > self.tasks.revision):
                return
        # If there is a beat to come that looks for everything, it stays one.
        self._news = None if self._wants_beat and self._news is None else news
        self._wants_beat = True
        self._wanted.set()

    def _on_lease_regained(self) -> None:
        """Announce and declare the tasks again: the store may take the program for gone."""
        self.events.on_lease_lost()
        self.tasks.wants_announcement = True
        self._pauses.on_lease_lost()
        self._wanted.set()

    def _set_clock_offset(self, offset: float) -> None:
        if abs(offset) > _CLOCK_STEP:
            logger.warning("The clock is %.1f s ahead of that of the store, which counts for due times", offset)
        self.runs.clock_offset = offset
        self.tasks.reschedule()
        # The schedules may have continued too far.
        self._recheck_at = 0.0
        self._wanted.set()

    # Due times

    def _on_step(self, task_id: str, step: Step) -> None:
        """Fire a step at once if this node is the preferred one, otherwise look later for the due times that are left.

        One query finds them: a firing of each would cost as much as that of the other node.
        """
        stored = self.tasks.get(task_id)
        if stored is None:
            return
        if stored.is_overdue or self._nodes.prefers(stored):
            stored.is_overdue = False
            self.runs.offer_step(stored, step)
        elif self._awaits_late:
            self._more_late = True
        else:
            self._awaits_late = True
            self._timers.call_later(_PREFERENCE, self._look_for_late)

    def _look_for_late(self) -> None:
        self._awaits_late, self._wants_late = self._more_late, True
        self._wanted.set()
        if self._more_late:
            # Steps that came after the timer was set: their due times are not late yet.
            self._more_late = False
            self._timers.call_later(_PREFERENCE, self._look_for_late)

    # Work

    async def _work(self, session: StoreSession) -> None:
        delay = _FIRST_DELAY
        while not self._closing.is_set():
            await self._wanted.wait()
            self._wanted.clear()
            try:
                await self._do_pending(session)
            except StoreClosedError:
                return
            except BaseException as error:
                if ends_caller(error):
                    raise
                self._note_failure(error)
                self._read_changes = self.runs.wants_reclaim = self._wants_beat = True
                self._news = None
                self._wanted.set()
                with contextlib.suppress(TimeoutError):
                    # A shutdown ends the delay.
                    await asyncio.wait_for(self._closing.wait(), delay * random.uniform(0.5, 1))  # noqa: S311  # not a secret
                delay = min(2 * delay, _MAX_DELAY)
            else:
                delay = _FIRST_DELAY
                if not self.connected:
                    self.connected = True
                    logger.warning("The store can be reached again")

    def _note_failure(self, error: BaseException) -> None:
        if not isinstance(error, StoreError):
            logger.error("The exchange with the store failed", exc_info=error)
        elif self.connected:
            logger.warning("Nothing is due until the store can be reached again: %s", error)
        self.connected = False

    async def _do_pending(self, session: StoreSession) -> None:
        await self._write(session)
        if not self._has_lease:
            # One timer at most: each pass would start another chain of them.
            if not self._awaits_lease:
                self._awaits_lease = True
                self._timers.call_later(_RECHECK_DELAY, self._recheck_lease)
            return
        await self._pauses.write()
        if self.runs.wants_reclaim:
            await self.runs.reclaim(session)
        if not await self.runs.fire(session) and self._recheck_at == float("inf"):
            self._recheck_at = time.monotonic() + _RECHECK_DELAY
            self._timers.call_later(_RECHECK_DELAY, self._set_wanted)
        if self._read_changes:
            self._read_changes = False
            await self._adopt_changes(session)
            self.runs.wants_claim = True
        if self.runs.wants_claim or self.runs.outcomes.handed_over:
            await self.runs.claim(session)
        await self._deliver_events(session)
        await self._fire_left(session)
        await self.tasks.chains.remove_orphans(session, partial(self._timers.call_later, call=self._set_wanted))
        if self._wants_beat:
            await self._beat(session)
        if self._cleanup.delay == 0:
            await self._clean_up(session)

    async def _fire_left(self, session: StoreSession) -> None:
        """Fire due times that no node has fired, if it is time to look for them."""
        if time.monotonic() >= self._recheck_at:
            self._recheck_at = float("inf")
            self._more_overdue = True
        if self._more_overdue:
            self._more_overdue = await self._overdue.look(session)
        if self._wants_late:
            self._wants_late = await self._late.look(session, session.lease.now - _LOOK_BACK)
        if self._more_overdue or self._wants_late:
            # The next pass fires what was found, and then continues.
            self._wanted.set()

    async def _clean_up(self, session: StoreSession) -> None:
        if await self._cleanup.step(session):
            self._read_changes = True
            self._wanted.set()
        self._timers.call_later(self._cleanup.delay, self._set_wanted)

    async def _deliver_events(self, session: StoreSession) -> None:
        def deliver_again() -> None:
            self._delivers = False
            self._wanted.set()

        delay = await self.events.deliver(session)
        if delay is not None and not self._delivers:
            self._delivers = True
            self._timers.call_later(delay, deliver_again)

    def _recheck_lease(self) -> None:
        self._awaits_lease = False
        self._wanted.set()

    @property
    def _has_lease(self) -> bool:
        return self._lease is not None and self._lease.is_valid

    async def _write(self, session: StoreSession) -> None:
        """Write outcomes, changes of tasks, and runs of calls after their tasks."""
        await _write_outcomes(self.runs, session)
        await self.tasks.write(session)
        if self.runs.outcomes.waits_for_declarations:
            await _write_outcomes(self.runs, session)
        if self.runs.unstored():
            await self.runs.store_submissions(session, has_lease=self._has_lease)
            await _write_outcomes(self.runs, session)

    async def _adopt_changes(self, session: StoreSession) -> None:
        """Apply the changes of other nodes, and carry out the actions of operators."""
        await self.tasks.read_changes(session)
        await self._commands.carry_out()

    async def _beat(self, session: StoreSession) -> None:
        """Take over the work of dead nodes, and check for changes."""
        news, self._news, self._wants_beat = self._news, None, False
        if news is None:
            self._nodes.update([each.id for each in await session.nodes()])
        if news is None or news.revision > self.tasks.revision:
            await self._adopt_changes(session)
        if news is not None:
            self.tasks.note_revision(news.revision)
        if news is None or news.lost:
            await self.runs.take_over(session)
        if news is None or news.waiting:
            await self.runs.claim(session)
        if news is None or news.overdue:
            self._more_overdue = True
            self._wanted.set()

    async def _watch_lease(self, lease: LeaseKeeper) -> None:
        """Note the end of each lease that was not renewed in time."""
        was_valid = True
        while True:
            await asyncio.sleep(max(lease.remaining, _LEASE_DELAY))
            if was_valid and not lease.is_valid:
                logger.warning("The lease of this node is over: its runs should end, and it fires nothing")
            was_valid = lease.is_valid

    async def _listen(self, session: StoreSession) -> None:
        """Read the changes of other nodes after each hint of the store."""
        while True:
            try:
                async for _ in session.wake_ups():
                    self._read_changes = True
                    self._wanted.set()
            except StoreClosedError:
                return
            except BaseException as error:
                if ends_caller(error):
                    raise
                if not isinstance(error, StoreError):
                    logger.error("Waiting for hints of the store failed", exc_info=error)
            # The hints of a store may end.
            await asyncio.sleep(self._options.lease / 3)


async def _write_outcomes(runs: StoredRuns, session: StoreSession) -> None:
    """Store reports, and then outcomes: after its outcome, a run has no report any more."""
    reports = runs.reports
    await reports.store(session, skip=runs.unstored)
    await runs.outcomes.store(session, skip=lambda: {*runs.unstored(), *reports.ended})


async def _close_session(session: StoreSession) -> None:
    """Disconnect, which releases the lease, also if the store has just failed."""
    try:
        async with asyncio.timeout(_CLOSE_TIMEOUT):
            await session.close()
    except BaseException as error:
        if ends_caller(error):
            raise
        log_failure("The store could not be closed", error)
