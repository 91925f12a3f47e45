"""Tasks of a scheduler and their records in the store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

import attrs
from typing_extensions import TypeVar

from asyncz._aliases import OtherAlias
from asyncz.clock import utc
from asyncz.events import TaskModified
from asyncz.exceptions import AsynczError
from asyncz.limits import TaskLimits
from asyncz.protocols import Executor, Trigger, UniversalExecutor
from asyncz.schedulers._parts import AnyController, SchedulerParts, StoredController
from asyncz.schedulers._safe_logging import logger
from asyncz.schedulers._store_chains import StoredChains
from asyncz.schedulers._store_codec import CodecThreads
from asyncz.schedulers._store_pages import store_page
from asyncz.schedulers._store_reading import Reading, SupersededError, declaration_of, definition_of
from asyncz.schedulers._stored_controller import StoredTaskController
from asyncz.schedulers._stored_schedule import ScheduleHooks, StoredSchedule
from asyncz.specs import TaskSpec
from asyncz.stores._calls import FunctionNames, StoredCall, check_hand_over, decode_arguments, encode_arguments
from asyncz.stores._checks import check_key, is_storable
from asyncz.stores._limits import decode_limits, encode_limits
from asyncz.stores._triggers import decode_trigger, encode_trigger
from asyncz.stores._unvalidated import evolved
from asyncz.stores.exceptions import (
    StoreDataError,
    StoredTaskConflictError,
    UnreadableTaskError,
    UnstorableTaskError,
)
from asyncz.stores.options import StoreOptions
from asyncz.stores.protocol import StoreSession
from asyncz.stores.records import ExistingTaskPolicy, TaskRecord
from asyncz.tasks import Task

ResultT = TypeVar("ResultT")

# Records of one call. The loop handles a page without a pause.
_PAGE = 100
# Attempts to write a change while other nodes change the same task.
_MAX_ATTEMPTS = 10


@attrs.define(eq=False)
class StoredTask:
    """A task of this scheduler that the store keeps.

    Attributes:
        call: Function with its arguments.
        controller: Controller of the task.
        record: Record that the store returned last, or that it is going to receive.
        existing: Policy for the declaration; None if the task was restored from the store.
        is_overdue: True if no node fired the task in time.
        is_program: True if the task was added before the start, so that it belongs to the program. A task that was
            added later belongs to the store alone.
        clock_offset: Seconds that the clock of the scheduler was known to be ahead when the task was added.
        preference: Live nodes, and whether this one is the first of them that fires the task; None if not computed yet.
    """

    call: StoredCall
    controller: StoredController
    record: TaskRecord
    existing: ExistingTaskPolicy | None = None
    is_overdue: bool = False
    is_program: bool = False
    clock_offset: float = 0.0
    preference: tuple[Sequence[str], bool] | None = None

    @property
    def schedule(self) -> StoredSchedule:
        """Schedule of the task."""
        schedule = self.controller.schedule
        assert isinstance(schedule, StoredSchedule)
        return schedule


class StoredTasks:
    """Tasks by id, with the declarations, changes and removals that the store has to receive.

    `add` may be called from any thread; the other methods are for the loop's thread. `_by_id` and the lists of pending
    work change under the lock of the runtime.

    Args:
        parts: Parts of the scheduler.
        options: Options for the store.
        hooks_of: Returns the functions that the schedule of a task calls, by task id.
        wake: Function that wakes the asyncio task for the pending work. Thread-safe.

    Attributes:
        codec: Threads for the code of users that encodes and decodes.
        chains: Downstream tasks.
        unreadable: Reasons for which stored tasks cannot run here, by task id.
        parked: Reasons for which stored tasks cannot run anywhere, by task id.
        undeclared: Ids of stored tasks that no program declares any more.
        wants_announcement: True if the tasks of this program have to be announced again.
    """

    def __init__(
        self,
        parts: SchedulerParts,
        options: StoreOptions,
        hooks_of: Callable[[str], ScheduleHooks],
        wake: Callable[[], object],
    ) -> None:
        self._parts = parts
        self._options = options
        self._names = FunctionNames(options.functions, options.formerly, options.importable)
        self._hooks_of = hooks_of
        self._wake = wake
        self._by_id: dict[str, StoredTask] = {}
        self._to_declare: dict[str, StoredTask] = {}
        self._to_change: dict[str, StoredTask] = {}
        self._to_remove: dict[str, None] = {}
        self._since = 0
        self.codec: CodecThreads = CodecThreads(options.codec)
        self.chains: StoredChains = StoredChains(self.get, options.on_lost, partial(_remove_orphan, parts, self._by_id))
        self.unreadable: dict[str, str] = {}
        self.parked: dict[str, str] = {}
        self.undeclared: set[str] = set()
        self.wants_announcement: bool = False

    def get(self, task_id: str) -> StoredTask | None:
        """Return a task, if it is stored and can run here."""
        return self._by_id.get(task_id)

    def of_controller(self, controller: AnyController) -> StoredTask | None:
        """Return the task of a controller, if it is stored and was not replaced."""
        stored = self._by_id.get(controller.task.id)
        return stored if stored is not None and stored.controller is controller else None

    def reschedule(self) -> None:
        """Enter the next due times of all tasks into the timetable again."""
        for stored in tuple(self._by_id.values()):
            stored.controller.reschedule_timer()

    @property
    def revision(self) -> int:
        """Revision of the last change that this node knows."""
        return self._since

    def note_revision(self, revision: int) -> None:
        """Note a revision up to which all changes were read: some, such as actions of operators, have no task."""
        self._since = max(self._since, revision)

    @property
    def executors(self) -> frozenset[str]:
        """Aliases of the executors of the tasks."""
        return frozenset(each.record.executor for each in tuple(self._by_id.values()))

    def is_unknown(self, task_id: str) -> bool:
        """Return True if the store has no such task, as far as this node knows."""
        return not any(task_id in each for each in (self._by_id, self.unreadable, self.parked, self.undeclared))

    def busy(self, claimed: Mapping[str, int]) -> list[str]:
        """Return the ids of tasks that cannot start another run now.

        Args:
            claimed: Number of waiting runs that this node has claimed, by task id.
        """
        full = [task_id for task_id in claimed if not self.has_slot(task_id, claimed)]
        return [*full, *(task_id for task_id, each in self._by_id.items() if each.controller.paused)]

    def has_slot(self, task_id: str, claimed: Mapping[str, int]) -> bool:
        """Return False if this node has claimed as many runs of a task as may run at once."""
        stored = self._by_id.get(task_id)
        return stored is None or claimed.get(task_id, 0) < stored.controller.task.limits.max_instances

    # From any thread

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
        """Add a task that the store keeps; see `AsyncIOScheduler.add_task`.

        Raises:
            InvalidInputError: The id or the alias of the executor is too long, or has characters of no database.
            UnstorableTaskError: The function, an argument or the trigger cannot be stored.
        """
        runtime, stored_call = self._parts.runtime, StoredCall.of(call)
        if executor is not None and not isinstance(executor, str):
            reason = "other processes know executors by alias; register it with add_executor(..., alias='...')"
            raise UnstorableTaskError(task_id, "executor", reason)
        alias = self._parts.executors.default_alias if executor is None else executor
        check_key("id", task_id)
        check_key("executor", alias)
        hooks = self._hooks_of(task_id)
        offset = hooks.clock_offset()
        now = utc(runtime.now() - offset)
        function = self._names.declare(task_id, stored_call.function)
        if not is_storable(function):
            reason = f"its name {function!r} has a NUL or a lone surrogate; give it another one"
            raise UnstorableTaskError(task_id, "function", reason)
        arguments = encode_arguments(task_id, stored_call, self._options.codec)
        upstream_id = None if upstream is None else upstream.id
        if upstream is not None:
            check_hand_over(task_id, stored_call, StoredCall.of(upstream.call).function, self._options.codec)
        schedule = StoredSchedule(trigger, encode_trigger(task_id, trigger), now, hooks, upstream_id)
        # Before the task is registered: a record validates its texts.
        record = TaskRecord(
            id=task_id,
            function=function,
            arguments=arguments,
            upstream=upstream_id,
            app_version=self._options.version,
        )
        created = self._parts.executors.prepare(alias, call)
        # One section: between two, another thread could add or remove a task with this id.
        with runtime.lock:
            controller = self._register(
                call, schedule, (alias, created), task_id, limits, paused=paused, replace_existing=replace_existing
            )
            policy: ExistingTaskPolicy = "replace" if replace_existing else existing or self._options.existing
            stored = StoredTask(
                stored_call, controller, record, policy, is_program=not runtime.running, clock_offset=offset
            )
            stored.record = self._declared_record(stored)
            self._by_id[task_id] = self._to_declare[task_id] = stored
            self._to_remove.pop(task_id, None)
            self.chains.note(stored.record)
        runtime.inbox.put(controller.activate)
        self._wake()
        return controller.task

    def _register(
        self,
        call: Callable[[], ResultT | Awaitable[ResultT]],
        schedule: StoredSchedule,
        executor: tuple[str, UniversalExecutor | None],
        task_id: str,
        limits: TaskLimits,
        *,
        paused: bool,
        replace_existing: bool = False,
        reading: Reading | None = None,
    ) -> StoredTaskController[ResultT]:
        """Register the controller of a task. Under the lock, with what `prepare` returned for the executor before."""
        parts, known = self._parts, self._by_id.get(task_id)
        if reading is not None:
            reading.check()
        # A declaration takes the place of a task that was restored from the store.
        replaces = replace_existing or (known is not None and (known.existing is None or reading is not None))
        parts.tasks.new_id(task_id, call, replaces)
        registration, submit_to = parts.executors.resolve_alias(*executor)
        self._unregister(task_id)
        if parts.tasks.holder(task_id) is not None:
            # One that is not stored: `new_id` has checked that it may be replaced.
            parts.tasks.remove(task_id)
        spec: TaskSpec[ResultT] = TaskSpec(  # ty: ignore[invalid-assignment]  # ty infers the union as the result
            task_id, call, registration.alias, limits
        )
        controller = StoredTaskController[ResultT](parts, spec, schedule, registration, submit_to, paused)
        parts.tasks.add(controller)
        return controller

    def _has(self, stored: StoredTask) -> bool:
        """Return False if a task was removed or replaced, which may happen during each wait for the store."""
        return self._by_id.get(stored.record.id) is stored

    def _unregister(self, task_id: str) -> None:
        """Remove a stored task from this scheduler only. Under the lock."""
        stored = self._by_id.pop(task_id, None)
        _ = self._to_change.pop(task_id, None)
        if stored is not None and self._parts.tasks.holder(task_id) is stored.controller:
            self._parts.tasks.remove(task_id)

    # Changes in this scheduler, on the loop's thread or before the start

    def on_changed(self, controller: AnyController) -> None:
        """Queue the change of a task for the store. Under the lock."""
        stored = self._by_id.get(controller.task.id)
        if stored is not None and stored.controller is controller:
            self._to_change[controller.task.id] = stored
            self._wake()

    def on_removed(self, controller: AnyController) -> None:
        """Queue the removal of a task for the store, unless another task has its id already."""
        task_id = controller.task.id
        with self._parts.runtime.lock:
            stored = self._by_id.get(task_id)
            if stored is None or stored.controller is not controller:
                return
            del self._by_id[task_id]
            _ = self._to_declare.pop(task_id, None), self._to_change.pop(task_id, None)
            self._to_remove[task_id] = None
            self.chains.forget(task_id)
        self._wake()

    # Exchange with the store

    async def load(self, session: StoreSession) -> None:
        """Declare the tasks of this program, then restore the others.

        Raises:
            StoredTaskConflictError: The store has a task with another declaration, and the policy is `refuse`.
        """
        self._since = 0
        with self._parts.runtime.lock:
            self._to_declare = {task_id: each for task_id, each in self._by_id.items() if each.existing is not None}
        await self._declare(session)
        await self._announce(session)
        await self.read_changes(session)

    async def _announce(self, session: StoreSession) -> None:
        self.wants_announcement = False
        await session.announce([task_id for task_id, each in tuple(self._by_id.items()) if each.is_program])

    async def _announce_again(self, session: StoreSession) -> None:
        """Announce and declare the tasks of the program once more, and forget those that were removed meanwhile."""
        with self._parts.runtime.lock:
            declared = {task_id: each for task_id, each in self._by_id.items() if each.is_program}
            self._to_declare = {**declared, **self._to_declare}
        try:
            await self._announce(session)
            await self._forget_unknown(session)
        except BaseException:
            self.wants_announcement = True
            raise

    async def write(self, session: StoreSession) -> None:
        """Write declarations, changes and removals; those that fail stay pending."""
        if self.wants_announcement:
            await self._announce_again(session)
        if self._to_declare:
            try:
                await self._declare(session)
            except StoredTaskConflictError as error:
                logger.error("The task %r was not added: %s", error.task_id, error)  # the text says all
                with self._parts.runtime.lock:
                    _ = self._to_declare.pop(error.task_id, None)
                    self._unregister(error.task_id)
                    # Its record in the store may have another upstream task: all are read again.
                    self._since = 0
                self._wake()
        while self._to_change:
            # Removed first: a change that is made meanwhile is written by another call.
            task_id, stored = self._to_change.popitem()
            try:
                await self._change(session, stored)
            except BaseException:
                with self._parts.runtime.lock:
                    if self._has(stored):
                        _ = self._to_change.setdefault(task_id, stored)
                raise
        if self._to_remove:
            removed = tuple(self._to_remove)
            await store_page(removed, session.remove, _log_removal)
            for task_id in removed:
                _ = self._to_remove.pop(task_id, None)

    async def _declare(self, session: StoreSession) -> None:
        pending = tuple(self._to_declare.values())
        policies: set[ExistingTaskPolicy] = {each.existing for each in pending if each.existing is not None}
        for policy in policies:
            group = [each for each in pending if each.existing == policy]
            for start in range(0, len(group), _PAGE):
                declare = partial(self._declare_page, session, policy)
                await store_page(group[start : start + _PAGE], declare, self._reject)
                # The loop has other work too.
                await asyncio.sleep(0)

    async def _declare_page(
        self, session: StoreSession, policy: ExistingTaskPolicy, tasks: Sequence[StoredTask]
    ) -> None:
        # The program may have removed or replaced some meanwhile.
        page = [each for each in tasks if self._to_declare.get(each.record.id) is each]
        if not page:
            return
        sent = [self._declared_record(each) for each in page]
        for stored, record in zip(page, await session.declare(sent, policy), strict=True):
            if stored.existing == "replace":
                # Once: what has changed since then survives another declaration.
                stored.existing = "update" if self._options.existing == "replace" else self._options.existing
            if self._to_declare.get(record.id) is stored:
                with self._parts.runtime.lock:
                    del self._to_declare[record.id]
                    self.chains.note(record)
            await self._adopt(stored, record)

    def _reject(self, stored: StoredTask, error: Exception) -> None:
        """Remove a task if the store does not accept its declaration from this scheduler."""
        task_id = stored.record.id
        with self._parts.runtime.lock:
            if not self._has(stored):
                return
            _ = self._to_declare.pop(task_id, None)
            self._unregister(task_id)
            self.chains.forget(task_id)
        logger.error("The task %r was not added: %s", task_id, error)  # the text says all

    async def _change(self, session: StoreSession, stored: StoredTask) -> None:
        """Write the present state of a task over the stored one, changes of other nodes included."""
        for _ in range(_MAX_ATTEMPTS):
            # Firings have moved the due time meanwhile, which is not a change.
            found = await session.changes(max(0, stored.record.revision - 1), 1)
            if not self._has(stored):
                return
            base = next((each for each in found if each.id == stored.record.id), None)
            if base is not None and not base.removed:
                schedule, sent = stored.schedule, self._present_record(stored, base)
                if sent == base:
                    return
                try:
                    written = await session.change(sent)
                except StoreDataError as error:
                    logger.error("The change of the task %r is undone: %s", sent.id, error)  # the text says all
                    await self._adopt(stored, base)
                    return
                if written is not None:
                    stored.record, schedule.is_new = written, False
                    return
            await self.read_changes(session, skip=stored)
            if not self._has(stored):
                return
        logger.error("The change of the task %r was not stored: other nodes change it all the time", stored.record.id)

    async def read_changes(self, session: StoreSession, *, skip: StoredTask | None = None) -> None:
        """Apply the changes of all nodes; of the task `skip`, only note the new version."""
        while True:
            page = await session.changes(self._since, _PAGE)
            for record in page:
                await self._apply(record, skip)
                self._since = record.revision
            await asyncio.sleep(0)
            if len(page) < _PAGE:
                return

    async def _forget_unknown(self, session: StoreSession) -> None:
        """Remove tasks that the store does not have any more.

        Tombstones are deleted after a day: a node that was away for longer does not find them among the changes.
        """
        known: set[str] = set()
        since = 0
        # A task that is added meanwhile is not among those that were here before.
        before = tuple(self._by_id.values())
        while page := await session.changes(since, _PAGE):
            known.update(record.id for record in page)
            since = page[-1].revision
        for stored in before:
            task_id = stored.record.id
            with self._parts.runtime.lock:
                if task_id not in known and self._has(stored) and task_id not in self._to_declare:
                    self._unregister(task_id)
                    self.chains.forget(task_id)

    async def fire_overdue(self, records: Sequence[TaskRecord]) -> int:
        """Continue the schedules of overdue tasks with their stored due times, so that this node fires them.

        Returns:
            Number of the tasks that this scheduler can fire.
        """
        fired = 0
        for record in records:
            stored = self._by_id.get(record.id)
            if stored is None or record.id in self._to_declare or stored.schedule.failure is not None:
                continue
            if record.version != stored.record.version:
                await self._adopt(stored, record)
            stored.is_overdue = True
            stored.schedule.continue_at(record.next_due)
            stored.controller.reschedule_timer()
            fired += 1
        return fired

    # Records of other nodes

    async def _apply(self, record: TaskRecord, skip: StoredTask | None) -> None:
        stored = self._by_id.get(record.id)
        self._note_state(record)
        if record.state == "undeclared" and not record.removed and stored is not None and stored.is_program:
            # This program is alive: a sweep has taken it for gone. `_announce_again` declares the task.
            self.wants_announcement = True
            self._wake()
            return
        if record.removed or record.state != "active":
            if record.id not in self._to_declare:
                with self._parts.runtime.lock:
                    self._unregister(record.id)
            return
        if stored is None:
            if record.id not in self._to_remove and record.id not in self._to_declare:
                await self._restore(record)
        elif stored is skip:
            stored.record = record
        elif record.version != stored.record.version and record.id not in self._to_declare:
            await self._adopt(stored, record)

    def _note_state(self, record: TaskRecord) -> None:
        """Note whether a stored task can be fired, for the runs of it that wait, and its upstream task."""
        is_parked = record.state == "parked" and not record.removed
        _ = self.parked.pop(record.id, None)
        self.undeclared.discard(record.id)
        if record.removed or record.state != "active":
            _ = self.unreadable.pop(record.id, None)
        if is_parked:
            self.parked[record.id] = self.unreadable[record.id] = record.problem or "it is parked"
        elif record.state == "undeclared" and not record.removed:
            self.undeclared.add(record.id)
        with self._parts.runtime.lock:
            # Otherwise this scheduler is going to declare or to remove the task.
            if record.id not in self._to_declare and record.id not in self._to_remove:
                self.chains.note(record)

    async def _restore(self, record: TaskRecord) -> None:
        """Add a task as the store has it, in the place of the one that has its id."""
        known, holder = self._by_id.get(record.id), self._parts.tasks.holder(record.id)
        reading = Reading(self._parts.tasks, record, holder)
        if holder is not None and (known is None or known.controller is not holder):
            self._note_unreadable(record, UnreadableTaskError(record.id, "a task that is not stored has its id"))
            return
        try:
            call, trigger, limits = await self.codec.call(partial(self._decoded, record))
            schedule = StoredSchedule(
                trigger, record.trigger, record.started_at or utc(0), self._hooks_of(record.id), record.upstream
            )
            bound = call.bound()
            executor = record.executor, self._parts.executors.prepare(record.executor, bound)
            with self._parts.runtime.lock:
                controller = self._register(
                    bound, schedule, executor, record.id, limits, paused=record.paused, reading=reading
                )
                self._by_id[record.id] = StoredTask(call, controller, record)
        except SupersededError:
            return
        except AsynczError as error:
            self._set_aside(reading, error)
            return
        self.unreadable.pop(record.id, None)
        schedule.continue_at(record.next_due)
        controller.activate()

    async def _adopt(self, stored: StoredTask, record: TaskRecord) -> None:
        """Change a task of this scheduler to its stored state."""
        sent, reading = stored.record, Reading(self._parts.tasks, record, stored.controller)
        try:
            reading.check()
            if definition_of(record) != definition_of(sent):
                await self._restore(record)
                return
            if record.id in self._to_change:
                # A change of this scheduler is going to be written over the stored one.
                self._note_version(stored, record)
                return
            fields = await self._apply_stored(stored, record, reading)
        except SupersededError:
            return
        except AsynczError as error:
            self._set_aside(reading, error)
            return
        self.unreadable.pop(record.id, None)
        if fields and record.version != sent.version and sent.version:
            event = TaskModified(record.id, "changed by another node", fields=fields)
            self._parts.runtime.dispatcher.emit(event)

    async def _apply_stored(self, stored: StoredTask, record: TaskRecord, reading: Reading) -> tuple[str, ...]:
        """Give a task its stored schedule, limits and executor, and return the names of the changed fields.

        Raises:
            SupersededError: The program has changed the task meanwhile.
            AsynczError: This program cannot run the stored task.
        """
        importable, trigger = self._options.importable, stored.schedule.declared
        if record.trigger != stored.schedule.trigger_json:
            trigger = await self.codec.call(partial(decode_trigger, record.id, record.trigger, importable))
        reading.check()
        task = stored.controller.task
        limits = task.limits
        if record.options != encode_limits(limits):
            limits = await self.codec.call(partial(decode_limits, record.id, record.options, importable))
        schedule = StoredSchedule(
            trigger, record.trigger, record.started_at or utc(0), stored.schedule.hooks, record.upstream
        )
        schedule.continue_at(record.next_due)
        executors = self._parts.executors
        moved = record.executor != task.executor
        created = executors.prepare(record.executor, task.call) if moved else None
        with self._parts.runtime.lock:
            reading.check()
            stored.record = record
            target = executors.resolve_alias(record.executor, created) if moved else None
            return stored.controller.apply_stored(schedule, limits, target, paused=record.paused)

    def _note_version(self, stored: StoredTask, record: TaskRecord) -> None:
        stored.record = record
        if not stored.schedule.is_new:
            stored.schedule.continue_at(record.next_due)
        stored.controller.reschedule_timer()

    def _decoded(self, record: TaskRecord) -> tuple[StoredCall, Trigger | None, TaskLimits]:
        """Return the parts of a stored task. In another thread: it may import modules."""
        function = self._names.find(record.id, record.function)
        return (
            decode_arguments(
                record.id, function, record.arguments, self._options.codec, results=int(record.upstream is not None)
            ),
            decode_trigger(record.id, record.trigger, self._options.importable),
            decode_limits(record.id, record.options, self._options.importable),
        )

    def _set_aside(self, reading: Reading, error: AsynczError) -> None:
        """Remove a stored task from this scheduler, where it cannot run."""
        with self._parts.runtime.lock:
            if reading.is_superseded:
                return
            self._unregister(reading.record.id)
        self._note_unreadable(reading.record, error)

    def _note_unreadable(self, record: TaskRecord, error: AsynczError) -> None:
        reason = error.reason if isinstance(error, UnreadableTaskError) else str(error)
        if self.unreadable.get(record.id) != reason:
            self.unreadable[record.id] = reason
            logger.warning("The stored task %r is kept, and cannot run here: %s", record.id, reason)

    # Records of this scheduler

    def _present_record(self, stored: StoredTask, base: TaskRecord) -> TaskRecord:
        spec, schedule = stored.controller.task._spec, stored.schedule
        update: dict[str, object] = {
            "executor": spec.executor,
            "options": encode_limits(spec.limits),
            "paused": stored.controller.paused,
        }
        if schedule.is_new:
            update |= {
                "trigger": schedule.trigger_json,
                "started_at": schedule.started_at,
                "next_due": schedule.first_due,
            }
        return evolved(base, update)

    def _declared_record(self, stored: StoredTask) -> TaskRecord:
        known, spec, schedule = stored.record, stored.controller.task._spec, stored.schedule
        text, options, started_at = schedule.trigger_json, encode_limits(spec.limits), self._started_at(stored)
        schedule.is_new = False
        if started_at != schedule.started_at:
            schedule = StoredSchedule(schedule.declared, text, started_at, schedule.hooks, known.upstream)
        update = {
            "executor": spec.executor,
            "options": options,
            "paused": stored.controller.paused,
            "trigger": text,
            "started_at": started_at,
            "next_due": schedule.first_due,
            # As the program declared it: later changes survive a restart.
            "declaration": known.declaration or declaration_of(known, text, spec.executor, options),
        }
        return evolved(known, {**update, "version": 0, "revision": 0, "removed": False})

    def _started_at(self, stored: StoredTask) -> datetime:
        """Return the time of the store from which a declaration counts."""
        offset = stored.schedule.hooks.clock_offset()
        if stored.record.version:
            # Declared again: a task that the store has lost meanwhile, or replaces, counts from now. Its first due
            # time was fired long ago, and the unique index does not know the runs that were pruned.
            return utc(self._parts.runtime.now() - offset)
        # Before the start, the difference between the clocks was not known.
        return stored.schedule.started_at - timedelta(seconds=offset - stored.clock_offset)


def _remove_orphan(parts: SchedulerParts, stored: Mapping[str, StoredTask], task_id: str) -> None:
    """Remove a downstream task whose upstream task is gone."""
    with parts.runtime.lock:
        if task_id in stored:
            parts.tasks.remove(stored[task_id].controller.task)


def _log_removal(task_id: str, error: Exception) -> None:
    logger.error("The removal of the task %r was not stored: %s", task_id, error)
