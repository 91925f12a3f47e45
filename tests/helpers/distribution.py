"""Distribution of the tests over processes."""

from __future__ import annotations

import pytest
from typing_extensions import override
from xdist.scheduler import LoadGroupScheduling


class ModuleScheduling(LoadGroupScheduling):
    """Give a process all tests of a module at once, or all of a group.

    One test at a time takes the process that distributes them a tenth of the whole time, and each process then builds
    the fixtures of each module.
    """

    @override
    def _split_scope(self, nodeid: str) -> str:
        scope = super()._split_scope(nodeid)
        return nodeid.partition("::")[0] if scope == nodeid else scope


def scheduling(config: pytest.Config, log: object) -> ModuleScheduling | None:
    """Return the distribution of quick tests by group; None for any other.

    Slow tests are distributed one at a time: a module of them takes minutes.
    """
    if config.getoption("dist") != "loadgroup" or config.getoption("markexpr") != "not slow":
        return None
    # xdist has no types for mypy, so the class of its log cannot be named here.
    return ModuleScheduling(config, log)  # pyright: ignore[reportArgumentType]
