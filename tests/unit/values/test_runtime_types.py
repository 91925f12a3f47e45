"""Annotations at run time: type hints, signatures and protocols."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator
from types import ModuleType

import pydantic
import pytest
from typing_extensions import is_typeddict

import asyncz
import asyncz.config
import asyncz.dashboard
import asyncz.executors
import asyncz.otel
import asyncz.prometheus
import asyncz.schedulers
import asyncz.stores
import asyncz.testing
import asyncz.triggers
from asyncz import BaseExecutor, Clock, DebugExecutor, Executor, IntervalTrigger, Notifier, SystemClock, Trigger

PACKAGES: list[ModuleType] = [
    asyncz,
    asyncz.config,
    asyncz.dashboard,
    asyncz.executors,
    asyncz.otel,
    asyncz.prometheus,
    asyncz.schedulers,
    asyncz.stores,
    asyncz.testing,
    asyncz.triggers,
]


def public_callables() -> Iterator[tuple[str, object]]:
    for package in PACKAGES:
        own = [name for name, value in vars(package).items() if getattr(value, "__module__", "") == package.__name__]
        for name in getattr(package, "__all__", own):
            value: object = getattr(package, name)
            if inspect.isfunction(value):
                yield name, value
            elif inspect.isclass(value) and not is_typeddict(value):
                yield name, value
                yield from methods_of(name, value)


def methods_of(name: str, owner: type[object]) -> Iterator[tuple[str, object]]:
    """Return the methods of a class and of its base classes, which is where most of a scheduler's are."""
    members = {key: member for base in reversed(owner.__mro__) for key, member in vars(base).items()}
    for key, member in members.items():
        function: object = member
        if isinstance(member, property):
            function = member.fget
        elif isinstance(member, staticmethod | classmethod):
            function = member.__func__
        private = key.startswith("_") and key not in {"__init__", "__call__"}
        if not private and inspect.isfunction(function) and function.__module__.startswith("asyncz"):
            yield f"{name}.{key}", function


@pytest.mark.parametrize(("name", "value"), list(public_callables()))
def test_public_callable_has_type_hints(name: str, value: object) -> None:
    assert callable(value)
    assert isinstance(typing.get_type_hints(value), dict), name
    assert isinstance(inspect.signature(value, eval_str=True), inspect.Signature), name


def test_protocols_check_instances_by_members() -> None:
    assert isinstance(DebugExecutor(), Executor)
    assert isinstance(SystemClock(), Clock)
    assert isinstance(IntervalTrigger(minutes=1), Trigger)
    assert not isinstance(SystemClock(), Trigger)
    assert not isinstance(BaseExecutor, Notifier)


def test_pydantic_model_with_protocol_fields_validates() -> None:
    class Settings(pydantic.BaseModel, arbitrary_types_allowed=True):
        clock: Clock
        trigger: Trigger

    settings = Settings(clock=SystemClock(), trigger=IntervalTrigger(minutes=1))
    assert isinstance(settings.clock, SystemClock)
    with pytest.raises(pydantic.ValidationError, match="Clock"):
        Settings.model_validate({"clock": 3, "trigger": settings.trigger})
