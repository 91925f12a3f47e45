"""Options for the use of a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import get_args

import attrs

from asyncz._checks import check_callable, check_choice, check_count, check_instance, check_seconds, check_text
from asyncz.exceptions import InvalidInputError
from asyncz.stores.records import ExistingTaskPolicy, LostRunPolicy

_SHORTEST_LEASE = 3.0


@attrs.frozen(kw_only=True)
class StoreOptions:
    """Options of a scheduler for its store.

    Args:
        existing: Policy for added tasks that the store has with another declaration; see `StoreSession.declare`.
        version: Version of the program. An older one never overwrites the declarations of a newer one.
        on_lost: Policy for runs whose node died. `fail` ends them with `NodeLostError`, `rerun` runs them again.
        lease: Seconds after which the runs of a node that is dead or cut off are taken over, at least 3.
        functions: Functions by a stable name, which stays valid if a function is renamed or moved.
        formerly: Functions by a name that they had before, as `module:qualified name`.
        importable: Packages and modules from which functions of stored tasks may be imported.

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

    def __attrs_post_init__(self) -> None:
        check_choice("existing", self.existing, get_args(ExistingTaskPolicy))
        check_count("version", self.version, at_least=0)
        check_choice("on_lost", self.on_lost, get_args(LostRunPolicy))
        check_seconds("lease", self.lease)
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
