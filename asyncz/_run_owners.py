"""Owners of stored runs, as their functions see them. Worker processes import this module: standard library only."""

from __future__ import annotations

import functools
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing_extensions import override
else:

    def override(method: object) -> object:
        return method


class RunOwnership(NamedTuple):
    """Ownership of a run in a store.

    Attributes:
        stored_id: Id of the run, which no other run of any process has, as the text of a UUID.
        task_id: Id of the task.
        fence: Number that grows with each owner of the run.
        node: Id of the node that owns the run.
    """

    stored_id: str
    task_id: str
    fence: int
    node: str


run_ownership: ContextVar[RunOwnership | None] = ContextVar("asyncz.run_ownership", default=None)


class OwnedCall(functools.partial[object]):
    """Call of a stored run: sets the context variable first. Each run has a context of its own, on every executor."""

    ownership: RunOwnership

    @override
    def __call__(self, /, *args: object, **keywords: object) -> object:
        """Call the function."""
        run_ownership.set(self.ownership)
        return super().__call__(*args, **keywords)


def owned_call(call: functools.partial[object], ownership: RunOwnership) -> OwnedCall:
    """Return a call that belongs to an owner. It pickles with the ownership, as partials keep their attributes."""
    owned = OwnedCall(call)
    owned.ownership = ownership
    return owned
