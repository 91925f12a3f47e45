"""Whether `conformance.py` lists every class of the package that looks like one that satisfies a protocol."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator

import asyncz
from asyncz import Clock, Executor, Notifier, Trigger
from typecheck import conformance


def methods_of(protocol: type[object]) -> frozenset[str]:
    """The methods that a protocol asks for; attributes may be there only when an instance is made."""
    return frozenset(
        name for name, value in vars(protocol).items() if inspect.isfunction(value) and not name.startswith("_")
    )


METHODS_AND_LISTS: dict[str, tuple[frozenset[str], tuple[list[object], ...]]] = {
    "Executor": (
        methods_of(Executor),
        ([*conformance.of_int], [*conformance.of_lists], [*conformance.universal]),
    ),
    "Trigger": (methods_of(Trigger), ([*conformance.triggers],)),
    "Clock": (methods_of(Clock), ([*conformance.clocks],)),
    "Notifier": (methods_of(Notifier), ([*conformance.notifiers],)),
    "SupportsCancel": (methods_of(Executor) | {"cancel"}, ([*conformance.cancelling],)),
}
"""By which methods a class is known for one that satisfies a protocol, and the lists where it then has to be."""


def public_classes() -> Iterator[type[object]]:
    """Yield the classes of public modules, without protocols and abstract classes."""
    for module in pkgutil.walk_packages(asyncz.__path__, "asyncz."):
        if any(part.startswith("_") for part in module.name.split(".")):
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            is_own = inspect.isclass(value) and value.__module__ == module.name and not name.startswith("_")
            if is_own and not getattr(value, "_is_protocol", False) and not inspect.isabstract(value):
                yield value


def unlisted_classes() -> list[str]:
    """What is missing in `conformance.py`, a line each."""
    return [
        f"typecheck/conformance.py: {cls.__module__}.{cls.__qualname__} is not checked against {protocol}"
        for cls in public_classes()
        for protocol, (methods, lists) in METHODS_AND_LISTS.items()
        if all(hasattr(cls, method) for method in methods)
        and not all(any(type(instance) is cls for instance in instances) for instances in _lists_for(cls, lists))
    ]


def _lists_for(cls: type[object], lists: tuple[list[object], ...]) -> tuple[list[object], ...]:
    """Return the lists for a class: one that is generic in its result is not for the tasks of every type."""
    parameters: object = getattr(cls, "__parameters__", ())
    return lists[:2] if parameters else lists
