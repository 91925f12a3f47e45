"""Configuration of the store of a scheduler."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, Field, NonNegativeInt, SecretStr

from asyncz._aliases import ExistingTaskPolicy, LostRunPolicy
from asyncz._checks import MAX_INT32
from asyncz._references import load
from asyncz.config.models.base import Config, Reference
from asyncz.exceptions import ConfigurationError, ConfigurationProblem

_MAX_DAYS = 1_000_000


def _check_days(days: float) -> float:
    # A `timedelta` ends at 10^9 days.
    if not (days <= _MAX_DAYS or days == inf):
        raise ValueError("at most 1,000,000 days are possible, or inf")  # pydantic reports it
    return days


_Days: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=True), AfterValidator(_check_days)]
_Names: TypeAlias = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(strict=False)]


class RetentionConfig(Config, frozen=True):
    """Time and number of runs for which the history is kept."""

    executed: _Days = 3.0
    """Maximum age of runs with a result, in days; `inf` if there is no limit."""
    error: _Days = 30.0
    """Maximum age of failed runs, in days; `inf` if there is no limit."""
    missed: _Days = 30.0
    """Maximum age of missed and rejected runs, in days; `inf` if there is no limit."""
    cancelled: _Days = 30.0
    """Maximum age of cancelled runs, in days; `inf` if there is no limit."""
    per_task: NonNegativeInt = 1000
    """Maximum number of runs with an outcome of each task; 0 if there is no limit."""


class ReportingConfig(Config, frozen=True):
    """Progress, failed attempts and log records of runs in the store, with the options of `RunReporting`."""

    enabled: bool = True
    """False if runs report nothing but their outcomes."""
    interval: Annotated[float, Field(ge=0.1, allow_inf_nan=False)] = 1.0
    """Minimum seconds between two writes of a run."""
    max_logs: Annotated[int, Field(ge=0, le=10_000)] = 200
    """Maximum number of log records of a run on one node; 0 for none."""
    max_bytes: Annotated[int, Field(ge=1000, le=1_000_000)] = 65_536
    """Maximum length of the log records and tracebacks of a run on one node."""
    redact: Reference | None = None
    """Function that hides secrets, as "package.module:function"; by default common forms are hidden."""


class StoreConfig(Config, frozen=True, hide_input_in_errors=True):
    """Store that keeps the tasks and their runs, with the options of `StoreOptions`."""

    url: Annotated[SecretStr, Field(min_length=1)]
    """The URL, "sqlite:///jobs.db" or "postgresql://user@host/database". It is never shown, and may have a password."""
    existing: ExistingTaskPolicy = "update"
    """Policy if the store has a task with another declaration."""
    version: Annotated[int, Field(ge=0, le=MAX_INT32)] = 0
    """Version of the program: an older one never overwrites the declarations of a newer one."""
    on_lost: LostRunPolicy = "fail"
    """Policy for runs if their node dies: they fail, or run again."""
    lease: Annotated[float, Field(ge=3, allow_inf_nan=False)] = 15.0
    """Seconds after which the runs of a dead node are taken over."""
    functions: Mapping[Annotated[str, Field(min_length=1)], Reference] = {}
    """Functions by a stable name, as "package.module:function"."""
    formerly: Mapping[Annotated[str, Field(min_length=1)], Reference] = {}
    """Functions by a name that they had before, both as "package.module:function"."""
    importable: _Names = ()
    """Packages and modules from which functions of stored tasks may be imported."""
    retention: RetentionConfig = RetentionConfig()
    """Limits of the history: older runs are deleted."""
    reporting: ReportingConfig = ReportingConfig()
    """Progress, failed attempts and log records of runs, for the dashboards of all nodes."""
    codec: Reference | None = None
    """Codec of arguments and results, as "package.module:codec"; by default they are JSON."""
    keep_undeclared: Annotated[_Days, Field(allow_inf_nan=False)] = 14.0
    """Time for which tasks are kept that no program declares any more, in days."""
    keep_finished: _Days = 30.0
    """Time for which tasks are kept after their last due time, in days; `inf` if there is no limit."""

    def load_functions(self) -> tuple[Mapping[str, object], Mapping[str, object]]:
        """Import `functions` and `formerly`. Thread-safe.

        Raises:
            ConfigurationError: Some cannot be imported, or cannot be called.
        """
        problems: list[ConfigurationProblem] = []
        loaded = (_load_all("functions", self.functions, problems), _load_all("formerly", self.formerly, problems))
        if problems:
            raise ConfigurationError(tuple(problems))
        return loaded


def _load_all(option: str, names: Mapping[str, str], problems: list[ConfigurationProblem]) -> Mapping[str, object]:
    """Import objects by name, and add those that are not functions to the problems."""
    loaded: dict[str, object] = {}
    for name, reference in names.items():
        try:
            found = loaded[name] = load(reference, option, name)
        except ConfigurationError as error:
            problems += error.problems
            continue
        if not callable(found):
            reason = f"it is of the type {type(found).__name__}, which cannot be called"
            problems.append(ConfigurationProblem((option, name), reason, repr(reference)))
    return loaded
