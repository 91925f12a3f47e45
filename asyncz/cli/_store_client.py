"""Client of a store, with the operations of the JSON API that the commands use. Imports no code of the tasks."""

from __future__ import annotations

import asyncio
import getpass
import socket
from collections.abc import Coroutine, Mapping
from typing import Never

from pydantic import BaseModel, ValidationError
from typing_extensions import TypeVar

from asyncz.cli._client import RemoteCommandError
from asyncz.cli._output import error_text
from asyncz.dashboard._actions import Announcer, failure_text
from asyncz.dashboard._cluster import ClusterModel
from asyncz.dashboard._cluster_actions import ClusterOperator
from asyncz.dashboard._problems import RequestError, problem_of, validation_text
from asyncz.dashboard._redaction import Redactor, redact_secrets
from asyncz.dashboard.requests import (
    CancelRunRequest,
    IdQuery,
    RunQueryParameters,
    SchedulerActionRequest,
    TaskActionRequest,
    TaskQuery,
    run_selection_of,
    selection_of,
)
from asyncz.exceptions import TaskLookupError
from asyncz.stores._admin import StoreAdmin
from asyncz.stores._console import console_of_url
from asyncz.stores.exceptions import StoreError

ModelT = TypeVar("ModelT", bound=BaseModel)


class StoreClient:
    """Client of one store.

    Args:
        url: URL of the store.

    Raises:
        InvalidInputError: The URL is not one of a database.
        MissingExtraError: The extra `postgres` is not installed.
    """

    def __init__(self, url: str) -> None:
        console = console_of_url(url)
        self._model = ClusterModel(console, Redactor(redact_secrets), console.description)
        self._console = console
        self._operator = ClusterOperator(console, Announcer(None), self._model.index.expire, _failure_text)

    def get(self, path: str, answer: type[ModelT], **parameters: object) -> ModelT:
        """Read a state.

        Raises:
            StoreError: The store cannot be read.
            RemoteCommandError: A parameter is not valid.
        """
        given = {name: value for name, value in parameters.items() if value is not None and value != ""}
        return _checked(_completed(self._read(path, given)), answer)

    def post(self, path: str, answer: type[ModelT], body: Mapping[str, object]) -> ModelT:
        """Carry out an action.

        Raises:
            StoreError: The store cannot be changed.
            CommandError: The action cannot be carried out.
            RemoteCommandError: A value is not valid.
        """
        return _checked(_completed(self._act(path, body)), answer)

    async def _read(self, path: str, given: Mapping[str, object]) -> BaseModel:
        model = self._model
        match path:
            case "info":
                await model.refresh()
                return model.info()
            case "tasks":
                tasks = selection_of(TaskQuery.model_validate(given))
                await model.refresh()
                return await model.tasks(tasks)
            case "runs":
                runs = run_selection_of(RunQueryParameters.model_validate(given))
                await model.refresh()
                return await model.runs(runs)
            case "task":
                task_id = IdQuery.model_validate(given).id
                await model.refresh()
                return await model.task(task_id)
            case "run":
                run_id = IdQuery.model_validate(given).id
                await model.refresh()
                return await model.run(run_id)
            case _:
                raise RemoteCommandError(f"a store does not answer {path}")

    async def _act(self, path: str, body: Mapping[str, object]) -> BaseModel:
        operator, user = self._operator, _user_name()
        match path:
            case "actions":
                asked = TaskActionRequest.model_validate(body)
                if asked.trigger is not None:
                    # A wrong trigger is reported before the store is opened.
                    _ = asked.trigger.create()
                # A store that cannot be used is one error, not one for each task.
                await self._console.call(StoreAdmin.require_schema)
                return await operator.act(asked.action, asked.task_ids, user, asked.trigger)
            case "cancel-run":
                return await operator.cancel_run(CancelRunRequest.model_validate(body).run_id, user)
            case "scheduler":
                paused = SchedulerActionRequest.model_validate(body).action == "pause"
                return await operator.set_paused(paused, user)
            case _:
                raise RemoteCommandError(f"a store does not answer {path}")


def _completed(exchange: Coroutine[object, Never, BaseModel]) -> BaseModel:
    try:
        return asyncio.run(exchange)
    except ValidationError as error:
        raise RemoteCommandError(validation_text(error)) from None
    except (TaskLookupError, RequestError) as error:
        problem = problem_of(error)
        raise RemoteCommandError(problem.message, problem.status) from None


def _checked(state: BaseModel, answer: type[ModelT]) -> ModelT:
    assert isinstance(state, answer)
    return state


def _failure_text(error: Exception, action: str, task_id: str) -> str:
    """Return the text of an error; the user of the command line may read the texts of the store."""
    return error_text(error) if isinstance(error, StoreError) else failure_text(error, action, task_id)


def _user_name() -> str:
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (KeyError, OSError):
        return socket.gethostname()
