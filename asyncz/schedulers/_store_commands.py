"""Actions of operators that a node reads from the store: those that need the node of a run or scheduler."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol, runtime_checkable
from uuid import UUID

from asyncz._run_ids import WantedRun
from asyncz._text import exception_text, printable
from asyncz.schedulers._safe_logging import logger
from asyncz.schedulers._store_runs import StoredRuns
from asyncz.schedulers._store_tasks import StoredTask, StoredTasks
from asyncz.stores._console_records import CommandRecord
from asyncz.stores.protocol import StoreSession

_PAGE: Final = 100
_THREAD: Final = "it runs in a thread, which cannot be stopped"


@runtime_checkable
class SupportsCommands(Protocol):
    """Session of a store that keeps the actions of operators."""

    async def commands(self, since: int | None, limit: int, /) -> Sequence[CommandRecord]:
        """Return the actions whose `sequence` is greater than a number, in that order; the last one only for None."""
        ...

    async def answer(self, sequence: int, failure: str, /) -> None:
        """Store that this node has carried out an action, or the reason for which it could not."""
        ...


class StoreCommands:
    """Actions of operators that this node has to carry out. For the loop's thread.

    An action may be carried out twice, if its answer could not be stored: a cancellation or a pause that is repeated
    changes nothing.

    Args:
        tasks: Tasks that the store keeps.
        runs: Runs of which this node is the owner.
        set_paused: Function that pauses the scheduler, or resumes it.
    """

    def __init__(self, tasks: StoredTasks, runs: StoredRuns, set_paused: Callable[[bool], object]) -> None:
        self._tasks = tasks
        self._runs = runs
        self._set_paused = set_paused
        self._session: SupportsCommands | None = None
        self._since = 0

    async def open(self, session: StoreSession) -> None:
        """Begin after the last action: the older ones were for other nodes."""
        self._session, self._since = (session if isinstance(session, SupportsCommands) else None), 0
        if self._session is not None:
            for command in await self._session.commands(None, 1):
                self._since = command.sequence

    async def carry_out(self) -> None:
        """Carry out the new actions for this node, and answer them."""
        session = self._session
        while session is not None:
            page = await session.commands(self._since, _PAGE)
            for command in page:
                is_asked = command.node == self._runs.node_id
                # A record without a node is for all of them.
                if is_asked or command.node is None:
                    _log(command)
                if is_asked and command.done_at is None:
                    await session.answer(command.sequence, self._failure_of(command))
                self._since = command.sequence
            if len(page) < _PAGE:
                return

    def _failure_of(self, command: CommandRecord) -> str:
        """Carry out an action; return the reason for which it failed, empty if it did not."""
        try:
            return self._carry_out(command)
        except Exception as error:
            logger.error("The action %s could not be carried out", command.action, exc_info=error)
            return exception_text(error)

    def _carry_out(self, command: CommandRecord) -> str:
        if not command.task_id and command.action in {"pause", "resume"}:
            self._set_paused(command.action == "pause")
            return ""
        if not command.task_id or command.action != "cancel":
            return f"this version of asyncz does not know the action {printable(command.action)}"
        if command.run is not None:
            return self._cancel_run(command.run)
        stored = self._tasks.get(command.task_id)
        return "the node does not have the task" if stored is None else _cancel_all(stored)

    def _cancel_run(self, run: UUID) -> str:
        task_id = self._runs.task_of(run)
        stored = None if task_id is None else self._tasks.get(task_id)
        if stored is None:
            return "the run has ended, or belongs to another node"
        wanted = WantedRun(run)
        if not stored.controller.executions(wanted):
            return "it waits for a slot; cancel the runs of the task"
        return "" if stored.controller.cancel_run(wanted) else _THREAD


def _cancel_all(stored: StoredTask) -> str:
    stored.controller.cancel_backlog()
    number = stored.controller.live_count
    cancelled = stored.controller.cancel_live_runs()
    return "" if cancelled == number else f"{number - cancelled} of {number} runs go on: a thread cannot be stopped"


def _log(command: CommandRecord) -> None:
    run = "" if command.run is None else f" run {command.run}"
    name = printable(command.operator) or "an unnamed user"
    logger.info("%s: %s%s by %s", printable(command.task_id) or "scheduler", printable(command.action), run, name)
