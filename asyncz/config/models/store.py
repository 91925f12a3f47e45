"""Configuration of the store of a scheduler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, TypeAlias

from pydantic import Field, NonNegativeInt, SecretStr

from asyncz._aliases import ExistingTaskPolicy, LostRunPolicy
from asyncz._references import load
from asyncz.config.models.base import Config, Reference
from asyncz.exceptions import ConfigurationError, ConfigurationProblem

_Names: TypeAlias = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(strict=False)]


class StoreConfig(Config, frozen=True, hide_input_in_errors=True):
    """Store that keeps the tasks and their runs, with the options of `StoreOptions`."""

    url: Annotated[SecretStr, Field(min_length=1)]
    """The URL, "sqlite:///jobs.db" or "postgresql://user@host/database". It is never shown, and may have a password."""
    existing: ExistingTaskPolicy = "update"
    """Policy for tasks that the store has with another declaration."""
    version: NonNegativeInt = 0
    """Version of the program: an older one never overwrites the declarations of a newer one."""
    on_lost: LostRunPolicy = "fail"
    """Policy for runs whose node died: they fail, or run again."""
    lease: Annotated[float, Field(ge=3, allow_inf_nan=False)] = 15.0
    """Seconds after which the runs of a dead node are taken over."""
    functions: Mapping[Annotated[str, Field(min_length=1)], Reference] = {}
    """Functions by a stable name, as "package.module:function"."""
    formerly: Mapping[Annotated[str, Field(min_length=1)], Reference] = {}
    """Functions by a name that they had before, both as "package.module:function"."""
    importable: _Names = ()
    """Packages and modules from which functions of stored tasks may be imported."""

    def load_functions(self) -> tuple[Mapping[str, object], Mapping[str, object]]:
        """Import `functions` and `formerly`. May be called from any thread.

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
