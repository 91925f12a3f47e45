"""Public signatures, attributes and bases name public classes only."""

from __future__ import annotations

import inspect
import pkgutil
import re
import sys
import typing
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType

import pytest

import asyncz

WITHOUT_TYPED_INTERFACE = ("asyncz.cli",)
"""Packages whose only user is a terminal."""


def is_public(name: str) -> bool:
    return not any(part.startswith("_") for part in name.split("."))


def public_modules() -> list[ModuleType]:
    names = [module.name for module in pkgutil.walk_packages(asyncz.__path__, "asyncz.")]
    chosen = [name for name in names if is_public(name) and not name.startswith(WITHOUT_TYPED_INTERFACE)]
    return [asyncz, *map(import_module, chosen)]


def public_homes() -> set[int]:
    """Return the ids of all objects that a public module of asyncz exports, in `__all__` or as `name as name`."""
    return {
        id(getattr(module, name))
        for module in public_modules()
        for name in (*getattr(module, "__all__", ()), *re.findall(r"\b(\w+) as \1\b", inspect.getsource(module)))
    }


HOMES = public_homes()
NAMES: dict[str, object] = {name: getattr(each, name) for each in public_modules() for name in dir(each)}
"""Names that modules import for type checkers only."""


def private_classes_in(annotation: object) -> Iterator[str]:
    """Yield the private classes of asyncz that an annotation names, at any depth."""
    if isinstance(annotation, list | tuple):
        for each in annotation:
            yield from private_classes_in(each)
    origin: object = typing.get_origin(annotation)
    if origin is not None and origin is not annotation:
        for each in (origin, *typing.get_args(annotation)):
            yield from private_classes_in(each)
    elif inspect.isclass(annotation) and annotation.__module__.partition(".")[0] == "asyncz":
        hidden = annotation.__qualname__.startswith("_") or not is_public(annotation.__module__)
        if hidden and id(annotation) not in HOMES:
            yield f"{annotation.__module__}.{annotation.__qualname__}"


def annotations_of(value: object) -> list[object]:
    function: object = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
    if not inspect.isfunction(function) or not function.__module__.startswith("asyncz"):
        return []
    overloads = typing.get_overloads(function)
    return [
        hint
        for each in (overloads or [function])
        for hint in typing.get_type_hints(each, NAMES | function.__globals__).values()
    ]


def public_members(cls: type[object]) -> Iterator[tuple[str, object]]:
    for name in dir(cls):
        if not name.startswith("_") or name in {"__init__", "__call__"}:
            yield name, inspect.getattr_static(cls, name)


def uses_of(name: str, value: object) -> Iterator[tuple[str, object]]:
    """Yield every annotation and base of a public name, with its place."""
    if inspect.isfunction(value):
        yield from ((name, hint) for hint in annotations_of(value))
    elif inspect.isclass(value):
        yield from ((f"base of {name}", base) for base in value.__bases__)
        yield from ((f"base of {name}", base) for base in getattr(value, "__orig_bases__", ()))
        for member, found in public_members(value):
            yield from ((f"{name}.{member}", hint) for hint in annotations_of(found))
        hints = typing.get_type_hints(value, NAMES | vars(sys.modules[value.__module__]))
        yield from ((f"{name}.{key}", hint) for key, hint in hints.items() if not key.startswith("_"))
    else:
        yield name, value


@pytest.mark.parametrize(
    "package",
    [
        "asyncz",
        "asyncz.config",
        "asyncz.dashboard",
        "asyncz.executors",
        "asyncz.stores",
        "asyncz.testing",
        "asyncz.triggers",
    ],
)
def test_public_names_use_public_classes(package: str) -> None:
    module = import_module(package)
    found = {
        f"{place}: {private}"
        for name in module.__all__
        for place, annotation in uses_of(name, getattr(module, name))
        for private in private_classes_in(annotation)
    }
    assert sorted(found) == []


def test_private_class_in_signature_is_found() -> None:
    from asyncz.schedulers._runtime import Runtime

    assert list(private_classes_in(dict[str, list[Runtime] | None])) == ["asyncz.schedulers._runtime.Runtime"]
