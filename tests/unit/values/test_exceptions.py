"""Errors: fields, texts, copies and pickles."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable

import attrs
import pytest
from typing_extensions import override

from asyncz import (
    AsynczError,
    ConfigurationProblem,
    ExecutorNotRunningError,
    InvalidInputError,
    ResultTimeoutError,
    TaskTimeoutError,
    exceptions,
)

ERRORS = [value for value in vars(exceptions).values() if inspect.isclass(value) and issubclass(value, AsynczError)]
VALUES: dict[str, object] = {
    "max_instances": 2,
    "max_queue": 2,
    "timeout": 1.5,
    "hang_timeout": 1.5,
    "exit_code": -9,
    "pid": 4711,
    "known": ("a",),
    "options": ("a", "b"),
    "triggers": ("a", "b"),
    "task_ids": ("a",) * 7,
    "problems": (ConfigurationProblem(("tasks", "a b", 0), "it is wrong", "3", ("1",), "1", "a.toml", 7),) * 2,
}


def made(error_class: type[AsynczError]) -> AsynczError:
    parameters = inspect.signature(error_class).parameters
    return error_class(*(VALUES.get(name, "text") for name in parameters if name not in {"args", "kwargs"}))


class _OwnSignatureError(TaskTimeoutError):
    """An error of a user, made from other arguments."""

    def __init__(self, seconds: float) -> None:
        super().__init__("own", seconds)

    @override
    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.timeout,)


@pytest.mark.parametrize("error_class", ERRORS)
@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_error_duplicated_keeps_fields(
    error_class: type[AsynczError], duplicate: Callable[[AsynczError], AsynczError]
) -> None:
    error = made(error_class)
    error.add_note("a note")
    other = duplicate(error)
    assert (type(other), str(other), other.args, vars(other)) == (type(error), str(error), error.args, vars(error))
    assert other.__notes__ == ["a note"]


@pytest.mark.parametrize("error_class", [each for each in ERRORS if attrs.has(each)])
def test_error_fields_are_its_arguments(error_class: type[AsynczError]) -> None:
    error = made(error_class)
    assert error.args == tuple(vars(error)[name] for name in inspect.signature(error_class).parameters)
    assert repr(error).startswith(f"{error_class.__name__}(")


def test_error_text_follows_its_fields() -> None:
    error = InvalidInputError("timeout", "-1", "it must be more than 0 seconds")
    assert str(error) == "timeout cannot be -1: it must be more than 0 seconds"
    error.name = "delay"
    assert str(error).startswith("delay cannot be")


def test_long_timeout_is_shown_with_all_digits() -> None:
    assert "2592000.5 seconds" in str(ResultTimeoutError("report", 2_592_000.5))
    assert "2592000.5 seconds" in str(TaskTimeoutError("report", 2_592_000.5))


def test_status_without_alias_names_no_executor() -> None:
    assert str(ExecutorNotRunningError("", "created")) == "the executor accepts no runs: it is created, not running"


def test_error_raised_keeps_cause_and_identity() -> None:
    cause = ValueError("cause")
    with pytest.raises(TaskTimeoutError) as caught:
        try:
            raise cause
        except ValueError as error:
            raise TaskTimeoutError("task", 1.5) from error
    assert caught.value.__cause__ is cause
    assert caught.value in {caught.value}
    assert caught.value != TaskTimeoutError("task", 1.5)


def test_error_subclass_with_own_signature_pickles() -> None:
    error = pickle.loads(pickle.dumps(_OwnSignatureError(2.5)))
    assert (type(error), error.task_id, error.timeout) == (_OwnSignatureError, "own", 2.5)
    assert str(error) == "a run of the task 'own' took longer than its limit of 2.5 seconds"
