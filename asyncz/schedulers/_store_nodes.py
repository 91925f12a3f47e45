"""Live nodes of a store, and the one that fires a task first."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from asyncz.schedulers._store_tasks import StoredTask


class LiveNodes:
    """Nodes with a lease, as far as this one knows. For the loop's thread.

    Attributes:
        own: Id of this node; empty before the start.
    """

    def __init__(self) -> None:
        self.own: str = ""
        self._ids: tuple[str, ...] = ()

    def update(self, ids: Sequence[str]) -> None:
        """Note the ids of the live nodes."""
        # The tuple stays the same one while the nodes do, as the preferences refer to it.
        if (*ids,) != self._ids:
            self._ids = (*ids,)

    def prefers(self, stored: StoredTask) -> bool:
        """Return True if this node comes first for a task: rendezvous hashing over the live nodes."""
        if len(self._ids) < 2:
            return True
        if stored.preference is None or stored.preference[0] is not self._ids:
            task_id = stored.record.id
            preferred = max(self._ids, key=lambda node: _weight(node, task_id))
            stored.preference = self._ids, preferred == self.own
        return stored.preference[1]


def _weight(node: str, task_id: str) -> bytes:
    return hashlib.blake2b(f"{node}\0{task_id}".encode(), digest_size=8).digest()
