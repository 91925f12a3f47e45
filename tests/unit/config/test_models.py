"""Models of the configuration cover every option."""

from __future__ import annotations

import inspect
from importlib.metadata import EntryPoint

import attrs
import pytest

from asyncz import LimitsConfig, Retry, RetryConfig, TaskLimits, plugins
from asyncz.config import TaskConfig
from asyncz.config.models import BUILTIN_EXECUTOR_CONFIGS, BUILTIN_TRIGGER_CONFIGS


def test_models_cover_every_limit() -> None:
    limits = {name.removeprefix("_") for name in attrs.fields_dict(TaskLimits)}
    assert set(LimitsConfig.model_fields) == limits
    assert set(RetryConfig.model_fields) == set(attrs.fields_dict(Retry))
    assert LimitsConfig().limits() == TaskLimits()


BUILTIN = [
    *((plugins.BUILTIN_EXECUTORS, alias, BUILTIN_EXECUTOR_CONFIGS) for alias in plugins.BUILTIN_EXECUTORS),
    *((plugins.BUILTIN_TRIGGERS, alias, BUILTIN_TRIGGER_CONFIGS) for alias in plugins.BUILTIN_TRIGGERS),
]


@pytest.mark.parametrize(("references", "alias", "models"), BUILTIN)
def test_models_cover_every_builtin_option(
    references: dict[str, str], alias: str, models: dict[str, type[TaskConfig]]
) -> None:
    made = EntryPoint(alias, references[alias], "").load()
    parameters = inspect.signature(made).parameters.values()
    # A debug executor inherits the queue of the base, and has none.
    wanted = {} if alias in {"asyncio", "default", "debug"} else {each.name: each.default for each in parameters}
    # A text cannot name a client.
    wanted.pop("client", None)
    fields = {name: field for name, field in models[alias].model_fields.items() if name != "type"}
    assert fields.keys() == wanted.keys()
    for name, default in wanted.items():
        assert fields[name].is_required() == (default is inspect.Parameter.empty), name
        if name != "pool_kwargs" and not fields[name].is_required():
            assert fields[name].default == default, name
