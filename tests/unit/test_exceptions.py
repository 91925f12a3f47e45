"""Errors as values."""

from __future__ import annotations

import inspect
import pickle

import pytest

from asyncz import AsynczError, ConfigurationProblem, exceptions

ERRORS = [value for value in vars(exceptions).values() if inspect.isclass(value) and issubclass(value, AsynczError)]


@pytest.mark.parametrize("error_class", ERRORS)
def test_error_survives_pickling(error_class: type[AsynczError]) -> None:
    values: dict[str, object] = {
        "max_instances": 2,
        "max_queue": 2,
        "timeout": 1.5,
        "hang_timeout": 1.5,
        "known": ("a",),
        "task_ids": ("a",) * 7,
        "problems": (ConfigurationProblem(("tasks", "a b", 0), "it is wrong", "3", ("1",), "1", "a.toml", 7),) * 2,
    }
    parameters = inspect.signature(error_class.__init__).parameters.values()
    names = [each.name for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD and each.name != "self"]
    error = error_class(*(values.get(name, "text") for name in names))
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))
