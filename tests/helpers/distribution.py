"""Distribution of the tests over processes."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import pytest
from typing_extensions import override
from xdist.scheduler import LoadGroupScheduling

from tests.helpers.effort import has_only_slow_tests

LONG_GROUPS: Final = ("postgres", "mypy", "cluster", "browser", "pools", "postgres_nodes", "postgres_faults")
"""Groups that take longest: the run of all tests cannot end before them, so they start first."""


class ModuleScheduling(LoadGroupScheduling):
    """Give a process all tests of a group or of a module at once, but slow tests without a group one at a time.

    To distribute each quick test by itself takes the main process a tenth of the whole time, and each process then
    builds the fixtures of each module.
    """

    _ordered = False

    @override
    def _split_scope(self, nodeid: str) -> str:
        scope = super()._split_scope(nodeid)
        module = nodeid.partition("::")[0]
        return module if scope == nodeid and not self._is_slow(module) else scope

    def _is_slow(self, module: str) -> bool:
        # Without slow tests, such a module is not collected.
        return self.config.getoption("markexpr") != "not slow" and has_only_slow_tests(self.config.rootpath / module)

    def _rank(self, unit: tuple[str, dict[str, bool]]) -> tuple[int, int]:
        """Return the place of a unit: groups come first, and quick modules fill the time that is left at the end."""
        scope, tests = unit
        if scope in LONG_GROUPS:
            return 0, LONG_GROUPS.index(scope)
        if "::" in scope:
            return 2, 0
        return (3 if scope.endswith(".py") else 1), -len(tests)

    @override
    def _assign_work_unit(self, node: object) -> None:
        if not self._ordered:
            self._ordered = True
            self.workqueue = OrderedDict(sorted(self.workqueue.items(), key=self._rank))
        # xdist has no types for mypy, so the class of a node cannot be named here.
        super()._assign_work_unit(node)  # pyright: ignore[reportArgumentType]


def scheduling(config: pytest.Config, log: object) -> ModuleScheduling | None:
    """Return the distribution of tests by group and module, if they are to be distributed by group."""
    if config.getoption("dist") != "loadgroup":
        return None
    # Nor can the class of its log.
    return ModuleScheduling(config, log)  # pyright: ignore[reportArgumentType]
