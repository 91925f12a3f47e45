"""Actions of users on all nodes of a store: written to the store, where each has a record that names the user."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final
from uuid import UUID

from asyncz._text import exception_text
from asyncz.config import TriggerConfig
from asyncz.dashboard._actions import Announcer, OperatorAction, check_trigger_of, failure_text
from asyncz.dashboard._safe_logging import logger
from asyncz.dashboard.states import ActionDetail, ActionFailure, ActionName, ActionReport
from asyncz.exceptions import TaskLookupError
from asyncz.protocols import Trigger
from asyncz.schedulers._schedules import TriggerSchedule
from asyncz.stores._admin import StoreAdmin
from asyncz.stores._checks import is_storable
from asyncz.stores._console import StoreConsole
from asyncz.stores._console_commands import ConsoleCommands, Sent
from asyncz.stores._console_queries import ConsoleQueries
from asyncz.stores._console_records import CommandError, CommandRecord
from asyncz.stores.exceptions import StoreError

# Seconds to wait for the answers of nodes, and between two reads of them.
_PATIENCE: Final = 3.0
_LOOK: Final = 0.05


class ClusterOperator:
    """Actions through a store: the `Actor` of the cluster.

    Args:
        console: Connection with the store.
        announcer: Announces each action in this process.
        changed: Function that is called after each action.
        describe: Function that returns the text of an error, the action and the id of the task, for users.
    """

    def __init__(
        self,
        console: StoreConsole,
        announcer: Announcer,
        changed: Callable[[], object],
        describe: Callable[[Exception, str, str], str] = failure_text,
    ) -> None:
        self._console = console
        self._announcer = announcer
        self._changed = changed
        self._describe = describe

    async def act(
        self, action: ActionName, ids: Sequence[str], user: str, trigger: TriggerConfig | None, /
    ) -> ActionReport:
        """Carry out an action on tasks; a failure on one of them does not affect the others.

        Raises:
            InvalidInputError: The action needs a trigger and has none, or the other way round.
        """
        check_trigger_of(action, trigger)
        created = None if trigger is None else trigger.create()
        done, failed, details = list[str](), list[ActionFailure](), list[ActionDetail]()
        asked: dict[str, Sent] = {}
        for task_id in dict.fromkeys(ids):
            try:
                sent = await self._console.call(_action(action, task_id, user, created))
            except Exception as error:
                failure = self._describe(error, action, task_id)
                failed.append(ActionFailure(task_id=task_id, message=failure))
                self._announcer.announce(OperatorAction(action=action, user=user, task_id=task_id, failure=failure))
            else:
                asked[task_id] = sent
        answers = await self._answers([each for sent in asked.values() for each in sent.sequences])
        for task_id, sent in asked.items():
            failure = "; ".join(text for each in sent.sequences if (text := answers[each]))
            if failure:
                failed.append(ActionFailure(task_id=task_id, message=failure))
            else:
                done.append(task_id)
                details += [ActionDetail(id=task_id, text=sent.detail)] if sent.detail else []
            self._announcer.announce(
                OperatorAction(action=action, user=user, task_id=task_id, detail=sent.detail, failure=failure)
            )
        self._changed()
        return ActionReport(done=tuple(done), failed=tuple(failed), details=tuple(details))

    async def cancel_run(self, run_id: UUID, user: str, /) -> ActionReport:
        """Cancel a run.

        Raises:
            CommandError: The run is not stored, has ended, or has no node.
            StoreError: The store cannot be reached.
        """
        _, answers = await self._send(
            lambda database: ConsoleCommands(database, user).cancel_run(run_id), "cancel", user, run_id
        )
        failed = tuple(ActionFailure(task_id="", message=text) for text in answers.values() if text)
        return ActionReport(done=() if failed else (f"{run_id}",), failed=failed)

    async def set_paused(self, paused: bool, user: str, /) -> ActionReport:
        """Pause or resume the schedulers of all nodes.

        Raises:
            CommandError: No node is alive.
            StoreError: The store cannot be reached.
        """
        action = "pause scheduler" if paused else "resume scheduler"
        sent, answers = await self._send(
            lambda database: ConsoleCommands(database, user).set_paused(paused), action, user, None
        )
        asked = [(node, answers[sequence]) for sequence, node in zip(sent.sequences, sent.nodes, strict=True)]
        return ActionReport(
            done=tuple(node.id for node, failure in asked if not failure),
            failed=tuple(ActionFailure(task_id="", message=failure) for _, failure in asked if failure),
            details=tuple(ActionDetail(id=node.id, text=node.name) for node, failure in asked if not failure),
        )

    async def _send(
        self, send: Callable[[StoreAdmin], Sent], action: str, user: str, run_id: UUID | None
    ) -> tuple[Sent, Mapping[int, str]]:
        """Write an action; return its records, and the reason for which each failed, empty if it did not."""
        try:
            sent = await self._console.call(send)
        except Exception as error:
            task_id = error.task_id if isinstance(error, CommandError) else ""
            failure = self._describe(error, action, task_id)
            self._announcer.announce(
                OperatorAction(action=action, user=user, task_id=task_id, run_id=run_id, failure=failure)
            )
            raise
        answers = await self._answers(sent.sequences)
        failure = "; ".join(text for text in answers.values() if text)
        self._announcer.announce(OperatorAction(action=action, user=user, run_id=run_id, failure=failure))
        self._changed()
        return sent, answers

    async def _answers(self, sequences: Sequence[int]) -> dict[int, str]:
        """Wait for the answers of nodes; return the reason for which each action failed, empty if it did not."""
        end, answers, nodes = time.monotonic() + _PATIENCE, dict[int, str](), dict[int, str | None]()
        while waiting := [each for each in sequences if each not in answers]:
            is_last = time.monotonic() > end
            for record in await self._commands(waiting):
                nodes[record.sequence] = record.node
                if record.done_at is not None:
                    answers[record.sequence] = record.failure
            if is_last:
                # Those without a record, too: it may be gone, or the store may be away.
                return {each: _no_answer(nodes.get(each)) for each in waiting} | answers
            if len(answers) < len(sequences):
                await asyncio.sleep(_LOOK)
        return answers

    async def _commands(self, sequences: Sequence[int]) -> Sequence[CommandRecord]:
        try:
            return await self._console.call(lambda database: ConsoleQueries(database).commands(sequences))
        except StoreError as error:
            logger.warning("The answers of nodes were not read: %s", exception_text(error))
            return ()


def _no_answer(node: str | None) -> str:
    if node is None:
        return "the answer of the node could not be read; the action may still be carried out"
    return f"the node {node} has not answered yet; it is still asked to do that"


def _action(action: ActionName, task_id: str, user: str, trigger: Trigger | None) -> Callable[[StoreAdmin], Sent]:
    def act(database: StoreAdmin) -> Sent:
        if not is_storable(task_id):
            raise TaskLookupError(task_id)
        first_due = None if trigger is None else TriggerSchedule(trigger, database.now()).next_due
        return ConsoleCommands(database, user).act(action, task_id, trigger, first_due)

    return act
