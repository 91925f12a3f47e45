"""Actions of users on tasks, runs and the scheduler, each of which is an event that names the user."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

import attrs

from asyncz._text import exception_text, printable
from asyncz.clock import utc
from asyncz.config import TriggerConfig
from asyncz.dashboard._journal import Journal
from asyncz.dashboard._problems import store_problem
from asyncz.dashboard._safe_logging import logger
from asyncz.dashboard.states import ActionDetail, ActionFailure, ActionName, ActionReport
from asyncz.exceptions import AsynczError, InvalidInputError
from asyncz.protocols import Trigger
from asyncz.schedulers import AsyncIOScheduler
from asyncz.stores._console_records import CommandError
from asyncz.stores.exceptions import StoreError, UnreadableTaskError, UnstorableTaskError


@attrs.frozen(kw_only=True)
class OperatorAction:
    """Action that a user has carried out, or tried to, with the dashboard, its API or the command line.

    Attributes:
        action: Name of the action, such as `pause`.
        user: Name of the user; the address of the client if `authorize` returns no name.
        task_id: Id of the task; empty for actions on the scheduler.
        run_id: Id of the run, for its cancellation; else None.
        detail: Further description, such as the new trigger.
        failure: Reason for which the action failed; empty if it was carried out.
        at: Time of the action, UTC.
    """

    action: str
    user: str
    task_id: str = ""
    run_id: UUID | None = None
    detail: str = ""
    failure: str = ""
    at: datetime = attrs.field(factory=lambda: utc(time.time()))


class Announcer:
    """Announcement of actions: to the log, the journal of this process, and the listeners.

    Args:
        journal: Record of events, which gets each action; None without one.
    """

    def __init__(self, journal: Journal | None) -> None:
        self._journal = journal
        self._listeners: tuple[Callable[[OperatorAction], object], ...] = ()
        self._lock = threading.Lock()

    def add_listener(self, listener: Callable[[OperatorAction], object]) -> None:
        """Call a listener with each action. Thread-safe."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

    def announce(self, action: OperatorAction) -> None:
        """Record an action, and call the listeners with it."""
        run = "" if action.run_id is None else f" run {action.run_id}"
        detail = f": {action.detail}" if action.detail else ""
        failure = f" failed: {action.failure}" if action.failure else ""
        text = f"{action.action}{run}{detail}{failure}"
        if self._journal is not None:
            self._journal.record_action(action.task_id, text, action.user)
        user = printable(action.user) or "an unnamed user"
        logger.info("%s: %s by %s", printable(action.task_id) or "scheduler", text, user)
        for listener in self._listeners:
            try:
                listener(action)
            except Exception:
                logger.exception("A listener of actions raised")


def check_trigger_of(action: ActionName, trigger: object) -> None:
    """Check that an action has a trigger if it needs one.

    Raises:
        InvalidInputError: It has none, or has one and needs none.
    """
    if (action == "reschedule") != (trigger is not None):
        allowed = "the action reschedule needs a trigger, and the others need none"
        raise InvalidInputError("trigger", "None" if trigger is None else "a trigger", allowed)


class Operator:
    """Actions of users on a scheduler: the `Actor` of a process. For the loop's thread of the scheduler.

    Args:
        scheduler: Scheduler.
        announcer: Announces each action.
    """

    def __init__(self, scheduler: AsyncIOScheduler, announcer: Announcer) -> None:
        self._scheduler = scheduler
        self._announcer = announcer

    async def act(
        self, action: ActionName, ids: Sequence[str], user: str, trigger: TriggerConfig | None, /
    ) -> ActionReport:
        """Carry out an action on tasks; a failure on one of them does not affect the others.

        Raises:
            InvalidInputError: The action needs a trigger and has none, or the other way round.
            AsynczError: The trigger cannot be created.
        """
        check_trigger_of(action, trigger)
        created = None if trigger is None else trigger.create()
        done: list[str] = []
        failed: list[ActionFailure] = []
        details: list[ActionDetail] = []
        for task_id in dict.fromkeys(ids):
            try:
                detail = self._act(action, task_id, created)
            except Exception as error:
                failure = ActionFailure(task_id=task_id, message=failure_text(error, action, task_id))
                failed.append(failure)
                self._announcer.announce(
                    OperatorAction(action=action, user=user, task_id=task_id, failure=failure.message)
                )
            else:
                done.append(task_id)
                details += [ActionDetail(id=task_id, text=detail)] if detail else []
                self._announcer.announce(OperatorAction(action=action, user=user, task_id=task_id, detail=detail))
        return ActionReport(done=tuple(done), failed=tuple(failed), details=tuple(details))

    def _act(self, action: ActionName, task_id: str, trigger: Trigger | None) -> str:
        scheduler = self._scheduler
        match action:
            case "run":
                scheduler.submit_task(task_id)
            case "pause":
                scheduler.pause_task(task_id)
            case "resume":
                scheduler.resume_task(task_id)
            case "cancel":
                return self._cancel_runs(task_id)
            case "reschedule":
                scheduler.reschedule_task(task_id, trigger)
                return "on demand" if trigger is None else printable(f"{trigger}")
            case "remove":
                scheduler.remove_task(task_id)
        return ""

    def _cancel_runs(self, task_id: str) -> str:
        task = self._scheduler.get_task(task_id)
        running = task.state.running
        if not running:
            raise CommandError(task_id, "no run of it is in progress")
        cancelled = task.cancel_runs()
        if cancelled < running:
            reason = f"{running - cancelled} of {running} runs go on: a thread cannot be stopped"
            raise CommandError(task_id, reason)
        return "1 run" if cancelled == 1 else f"{cancelled} runs"

    async def cancel_run(self, run_id: UUID, user: str, /) -> ActionReport:
        """Cancel a run.

        Raises:
            RunLookupError: The run is not known.
        """
        summary = self._scheduler.get_run(run_id)
        if not self._scheduler.cancel_run(run_id):
            reason = "it runs in a thread, which cannot be stopped" if summary.outcome is None else "it has ended"
            failure = ActionFailure(task_id=summary.task_id, message=f"the run {run_id} was not cancelled: {reason}")
            self._announcer.announce(
                OperatorAction(
                    action="cancel", user=user, task_id=summary.task_id, run_id=run_id, failure=failure.message
                )
            )
            return ActionReport(failed=(failure,))
        self._announcer.announce(OperatorAction(action="cancel", user=user, task_id=summary.task_id, run_id=run_id))
        return ActionReport(done=(f"{run_id}",))

    async def set_paused(self, paused: bool, user: str, /) -> ActionReport:
        """Pause or resume the scheduler.

        Raises:
            SchedulerNotRunningError: The scheduler is not running.
        """
        if paused:
            self._scheduler.pause()
        else:
            self._scheduler.resume()
        self._announcer.announce(OperatorAction(action="pause scheduler" if paused else "resume scheduler", user=user))
        return ActionReport(done=("scheduler",))


def failure_text(error: Exception, action: str, task_id: str) -> str:
    """Return the text of an error for users; the log has the texts that may contain secrets."""
    if isinstance(error, StoreError) and not isinstance(error, UnstorableTaskError | UnreadableTaskError):
        logger.warning("The store of the dashboard failed: %s", exception_text(error))
        return store_problem(error)
    if isinstance(error, CommandError):
        return error.reason
    if isinstance(error, AsynczError):
        return exception_text(error)
    # Code of the user has raised, such as a trigger or a listener; its text is for the log only.
    logger.error("The action %s failed on %s", action, printable(task_id), exc_info=error)
    return "failed; see the log"
