"""Instruments of OpenTelemetry, which all instrumented schedulers of a meter provider share. Used by `asyncz.otel`."""

from __future__ import annotations

import itertools
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final, Literal, Protocol, TypeAlias

from opentelemetry.metrics import CallbackOptions, Meter, MeterProvider, Observation, get_meter_provider

from asyncz._text import encodable
from asyncz.exceptions import InvalidInputError
from asyncz.schedulers._observation import BOUNDARIES, Observation as SchedulerNumbers, StoreObservation
from asyncz.schedulers._runtime import Runtime

SCHEMA: Final = "1"
"""Version of the names of spans, attributes and metrics."""

_Kind: TypeAlias = Literal["histogram", "counter", "observable counter", "observable up-down counter", "gauge"]
_Reader: TypeAlias = Callable[[SchedulerNumbers], Iterable[tuple[str, float]]]

DEFINITIONS: Final[Mapping[str, tuple[_Kind, str, str]]] = {
    "asyncz.run.duration": ("histogram", "s", "Seconds from the last call of the function of a run to its outcome"),
    "asyncz.run.lateness": ("histogram", "s", "Seconds from the due time to the first call of the function"),
    "asyncz.run.active": (
        "observable up-down counter",
        "{run}",
        "Runs that executors have accepted and not yet released, without those in their queues",
    ),
    "asyncz.run.waiting": (
        "observable up-down counter",
        "{run}",
        "Runs that wait for a slot of their task or for a worker",
    ),
    "asyncz.run.missed": ("counter", "{run}", "Runs that did not start because they were too late"),
    "asyncz.run.refused": ("counter", "{run}", "Due runs that were rejected"),
    "asyncz.run.retried": ("counter", "{attempt}", "Failed attempts that another attempt follows"),
    "asyncz.task.overdue": ("gauge", "s", "Seconds since the earliest due time that has not led to a submission"),
    "asyncz.tasks": ("observable up-down counter", "{task}", "Registered tasks"),
    "asyncz.tasks.parked": (
        "observable up-down counter",
        "{task}",
        "Stored tasks that cannot run in this program",
    ),
    "asyncz.node.lease.remaining": ("gauge", "s", "Seconds until other nodes may take over the runs of this one"),
    "asyncz.node.takeovers": ("observable counter", "{run}", "Runs that this node has taken over from lost ones"),
    "asyncz.store.clock_offset": ("gauge", "s", "Seconds by which the clock is ahead of that of the store"),
    "asyncz.store.operation.duration": ("histogram", "s", "Seconds of a transaction of the store"),
    "asyncz.store.connected": ("gauge", "1", "1 if the last call of the store was successful, else 0"),
}
"""Kinds, units and descriptions of the metrics by name."""

_FAST_BOUNDARIES = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


def _active(seen: SchedulerNumbers) -> Iterable[tuple[str, float]]:
    return [(each.alias, each.running - each.queued) for each in seen.executors]


def _waiting(seen: SchedulerNumbers) -> Iterable[tuple[str, float]]:
    return [(each.alias, each.queued + seen.backlog.get(each.alias, 0)) for each in seen.executors]


def _of_store(value: Callable[[StoreObservation], float]) -> _Reader:
    return lambda seen: () if seen.store is None else (("", value(seen.store)),)


# Functions that return the values of a metric with the alias of an executor, which is empty for the whole scheduler.
_READERS: Mapping[str, _Reader] = {
    "asyncz.run.active": _active,
    "asyncz.run.waiting": _waiting,
    "asyncz.task.overdue": lambda seen: (("", seen.overdue),),
    "asyncz.tasks": lambda seen: (("", seen.tasks),),
    "asyncz.tasks.parked": _of_store(lambda store: store.parked),
    "asyncz.node.lease.remaining": _of_store(lambda store: store.lease_seconds_left),
    "asyncz.node.takeovers": _of_store(lambda store: store.taken_over),
    "asyncz.store.clock_offset": _of_store(lambda store: store.clock_offset),
    "asyncz.store.connected": _of_store(lambda store: float(store.connected)),
}


class Observed(Protocol):
    """Instrumentation of a scheduler, as the callbacks of the instruments see it.

    Attributes:
        name: Value of the attribute `asyncz.scheduler`.
    """

    name: str

    def numbers(self) -> SchedulerNumbers | None:
        """Return the numbers of the scheduler; None if the instrumentation is closed. Thread-safe."""
        ...


class Instruments:
    """Instruments of one meter.

    A meter keeps the first instrument of a name, and the SDK ignores the callbacks of a second one. So all
    instrumentations of a meter share the callbacks of this object.

    Args:
        meter: The meter.
    """

    def __init__(self, meter: Meter) -> None:
        def described(name: str) -> tuple[str, str, str]:
            _, unit, description = DEFINITIONS[name]
            return name, unit, description

        self.duration = meter.create_histogram(
            *described("asyncz.run.duration"), explicit_bucket_boundaries_advisory=BOUNDARIES
        )
        self.lateness = meter.create_histogram(
            *described("asyncz.run.lateness"), explicit_bucket_boundaries_advisory=BOUNDARIES
        )
        self.store_duration = meter.create_histogram(
            *described("asyncz.store.operation.duration"), explicit_bucket_boundaries_advisory=_FAST_BOUNDARIES
        )
        self.missed = meter.create_counter(*described("asyncz.run.missed"))
        self.refused = meter.create_counter(*described("asyncz.run.refused"))
        self.retried = meter.create_counter(*described("asyncz.run.retried"))
        # Replaced under `_lock`, never changed: the thread of an exporter iterates over the tuple that it has found.
        # Weak, so that a scheduler that is dropped without `close()` is not kept, and has no values any more.
        self._live: tuple[weakref.ref[Observed], ...] = ()
        for name, reader in _READERS.items():
            kind, unit, description = DEFINITIONS[name]
            callbacks = [partial(self._read, reader)]
            if kind == "gauge":
                meter.create_observable_gauge(name, callbacks, unit, description)
            elif kind == "observable counter":
                meter.create_observable_counter(name, callbacks, unit, description)
            else:
                meter.create_observable_up_down_counter(name, callbacks, unit, description)

    def add(self, observed: Observed) -> None:
        """Read an instrumentation from now on. Thread-safe.

        Raises:
            InvalidInputError: Another live instrumentation has its name, so that both would be one series.
        """
        with _lock:
            live = [each for each in self._live if each() is not None]
            if any((found := each()) is not None and found.name == observed.name for each in live):
                raise InvalidInputError("name", repr(observed.name), "another instrumented scheduler has this name")
            self._live = (*live, weakref.ref(observed))

    def discard(self, observed: Observed) -> None:
        """Stop reading an instrumentation. Thread-safe; may be called again."""
        with _lock:
            self._live = tuple(each for each in self._live if each() is not observed)

    def _read(self, reader: _Reader, _: CallbackOptions) -> Iterable[Observation]:
        for reference in self._live:
            observed = reference()
            numbers = None if observed is None else observed.numbers()
            if observed is None or numbers is None:
                continue
            for alias, value in reader(numbers):
                attributes = {"asyncz.scheduler": observed.name}
                if alias:
                    attributes["asyncz.executor"] = encodable(alias)
                yield Observation(value, attributes)


_lock = threading.RLock()
_instruments: weakref.WeakKeyDictionary[object, Instruments] = weakref.WeakKeyDictionary()
_names: weakref.WeakKeyDictionary[Runtime, str] = weakref.WeakKeyDictionary()
_numbers = itertools.count(1)


def instruments_of(provider: MeterProvider | None) -> Instruments:
    """Return the instruments of a meter provider; None is the global one. Thread-safe."""
    # By provider, not by meter: until a program sets the global provider, that returns a new meter for each call, and
    # later passes the instruments of all of them to the real one. The function is the key of the global provider,
    # before and after it is set.
    key: object = get_meter_provider if provider is None or provider is get_meter_provider() else provider
    # Under the lock: of two threads that made the instruments at the same time, the meter would keep the callbacks of
    # one and this module the object of the other. The callbacks themselves never take the lock.
    with _lock:
        found = _instruments.get(key)
        if found is None:
            meter = (provider or get_meter_provider()).get_meter("asyncz", SCHEMA)
            found = _instruments[key] = Instruments(meter)
        return found


def number_of(runtime: Runtime) -> str:
    """Return the number of a scheduler in this process, the same for each of its instrumentations."""
    with _lock:
        if runtime not in _names:
            _names[runtime] = str(next(_numbers))
        return _names[runtime]


def _after_fork() -> None:
    # Another thread of the parent may have held the lock.
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
