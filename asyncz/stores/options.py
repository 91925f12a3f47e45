"""Options for the use of a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import get_args

import attrs

from asyncz._aliases import Redact
from asyncz._checks import (
    MAX_INT32,
    check_at_least,
    check_callable,
    check_choice,
    check_count,
    check_count_in,
    check_instance,
    check_optional_instance,
    check_seconds,
    check_text,
)
from asyncz.exceptions import InvalidInputError
from asyncz.stores.codecs import Codec, check_codec
from asyncz.stores.records import FINAL_RUN_STATES, ExistingTaskPolicy, FinalRunState, LostRunPolicy

_SHORTEST_LEASE = 3.0


@attrs.frozen(kw_only=True)
class Retention:
    """Time and number of runs for which the history is kept. Older runs are deleted in small steps.

    Args:
        executed: Maximum age of runs with a result; None keeps them for ever.
        error: Maximum age of failed runs.
        missed: Maximum age of missed and rejected runs.
        cancelled: Maximum age of cancelled runs.
        per_task: Maximum number of runs with an outcome of each task, at least 1; None for no limit. A task may exceed
            it by a tenth.

    Raises:
        InvalidInputError: An option cannot be used.

    Example:
        >>> options = StoreOptions(retention=Retention(executed=timedelta(hours=12), per_task=100))
    """

    executed: timedelta | None = timedelta(days=3)
    error: timedelta | None = timedelta(days=30)
    missed: timedelta | None = timedelta(days=30)
    cancelled: timedelta | None = timedelta(days=30)
    per_task: int | None = 1000

    def __attrs_post_init__(self) -> None:
        for state in FINAL_RUN_STATES:
            age: object = getattr(self, state)
            check_optional_instance(state, age, timedelta)
            if isinstance(age, timedelta) and age < timedelta(0):
                raise InvalidInputError(state, repr(age), "pass a positive duration, or None for no limit")
        if self.per_task is not None:
            check_count("per_task", self.per_task)

    @property
    def ages(self) -> Mapping[FinalRunState, timedelta]:
        """Maximum age of each state that has one."""
        ages = {
            "executed": self.executed,
            "error": self.error,
            "missed": self.missed,
            "cancelled": self.cancelled,
        }
        return {state: age for state in FINAL_RUN_STATES if (age := ages[state]) is not None}


@attrs.frozen(kw_only=True)
class RunReporting:
    """Reports of runs to the store: progress, failed attempts and log records, for the dashboards of all nodes.

    Reports are written with the other work of a node, each as one row. A run that reports nothing costs nothing. Log
    records are reported after `logging.getLogger().addHandler(scheduler.store.log_handler)`.

    Args:
        interval: Minimum seconds between two writes of a run, at least 0.1; longer for reports of over 16 KB.
        max_logs: Maximum number of log records of a run on one node; 0 for none. The oldest are dropped.
        max_bytes: Maximum length of the log records and tracebacks of a run on one node.
        redact: Function that hides secrets in all texts before they are written; None for `redact_secrets`.

    Raises:
        InvalidInputError: An option cannot be used.

    Example:
        >>> options = StoreOptions(reporting=RunReporting(interval=5, max_logs=50))
    """

    interval: float = 1.0
    max_logs: int = 200
    max_bytes: int = 65_536
    redact: Redact | None = None

    def __attrs_post_init__(self) -> None:
        check_at_least("interval", self.interval, 0.1)
        check_count_in("max_logs", self.max_logs, range(10_001))
        check_count_in("max_bytes", self.max_bytes, range(1000, 1_000_001))
        if self.redact is not None:
            check_callable("redact", self.redact)


@attrs.frozen(kw_only=True)
class StoreOptions:
    """Options of a scheduler for its store.

    Args:
        existing: Policy for added tasks that the store has with another declaration; see `StoreSession.declare`.
        version: Version of the program. An older one never overwrites the declarations of a newer one.
        on_lost: Policy for runs of dead nodes. `fail` ends them with `NodeLostError`, `rerun` runs them again.
        lease: Seconds after which the runs of a node that is dead or cut off are taken over, at least 3.
        functions: Functions by a stable name, which stays valid if a function is renamed or moved.
        formerly: Functions by a name that they had before, as `module:qualified name`.
        importable: Packages and modules from which functions of stored tasks may be imported.
        retention: Time and number of runs for which the history is kept.
        codec: Codec of arguments and results, such as `PickleCodec`; None for JSON by the signatures.
        keep_undeclared: Time for which tasks are kept that no program declares any more.
        keep_finished: Time after the last run for which tasks are kept whose trigger has no more due times and that
            no program declares; None for ever.
        reporting: Reports of runs beside their outcomes; None for no reports.

    Raises:
        InvalidInputError: An option cannot be used.

    Example:
        >>> options = StoreOptions(version=3, formerly={"jobs:old_report": report})
        >>> scheduler = AsyncIOScheduler(store="sqlite:///jobs.db", store_options=options)
    """

    existing: ExistingTaskPolicy = "update"
    version: int = 0
    on_lost: LostRunPolicy = "fail"
    lease: float = 15.0
    functions: Mapping[str, object] = attrs.Factory(dict[str, object])
    formerly: Mapping[str, object] = attrs.Factory(dict[str, object])
    importable: Sequence[str] = ()
    retention: Retention = Retention()
    codec: Codec | None = None
    keep_undeclared: timedelta = timedelta(days=14)
    keep_finished: timedelta | None = timedelta(days=30)
    reporting: RunReporting | None = RunReporting()

    def __attrs_post_init__(self) -> None:
        check_choice("existing", self.existing, get_args(ExistingTaskPolicy))
        check_count_in("version", self.version, range(MAX_INT32 + 1))
        check_choice("on_lost", self.on_lost, get_args(LostRunPolicy))
        check_seconds("lease", self.lease)
        check_instance("retention", self.retention, Retention)
        check_optional_instance("reporting", self.reporting, RunReporting)
        check_codec(self.codec)
        check_instance("keep_undeclared", self.keep_undeclared, timedelta)
        check_optional_instance("keep_finished", self.keep_finished, timedelta)
        for name, age in (("keep_undeclared", self.keep_undeclared), ("keep_finished", self.keep_finished)):
            if age is not None and age < timedelta(0):
                raise InvalidInputError(name, repr(age), "pass a positive duration")
        if self.lease < _SHORTEST_LEASE:
            raise InvalidInputError("lease", repr(self.lease), "a lease takes at least 3 seconds")
        for option, functions in (("functions", self.functions), ("formerly", self.formerly)):
            check_instance(option, functions, Mapping)
            for name, function in functions.items():
                check_text(f"a name in {option}", name)
                check_callable(f"{option}[{name!r}]", function)
        if isinstance(self.importable, str):
            raise InvalidInputError("importable", repr(self.importable), 'pass a tuple of modules: ("myapp",)')
        for module in self.importable:
            check_text("a module in importable", module)
