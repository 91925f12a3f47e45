"""Search for the tasks in the store that no node has fired in time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from asyncz.stores.protocol import StoreSession
from asyncz.stores.records import TaskRecord

# Records of one call. The loop handles a page without a pause.
_PAGE = 100
# Pages that are read before the runs of their tasks are fired.
_PAGES = 20


class OverdueSearch:
    """Search for overdue tasks, page by page, from the most overdue one on.

    Args:
        by: Duration for which a task is overdue.
        fire: Function that fires the tasks of a page, and returns the number of those that belong to this scheduler.
    """

    def __init__(self, by: timedelta, fire: Callable[[Sequence[TaskRecord]], Awaitable[int]]) -> None:
        self._by = by
        self._fire = fire
        self._after: tuple[datetime, str] | None = None

    async def look(self, session: StoreSession, since: datetime | None = None) -> bool:
        """Fire overdue tasks of some pages, and return True if the next ones should be read at once.

        Tasks of other programs may be overdue for a long time: if all tasks of these pages belong to others, the next
        look has time. It continues where this one has ended.

        Args:
            session: Session with the store.
            since: Due time with which a look begins, if it does not continue; None for the first one.
        """
        after = self._after or (None if since is None else (since, ""))
        own = 0
        for _ in range(_PAGES):
            page = await session.overdue(self._by, _PAGE, after)
            own += await self._fire(page)
            last = page[-1] if len(page) == _PAGE else None
            after = self._after = None if last is None or last.next_due is None else (last.next_due, last.id)
            if after is None:
                return False
            await asyncio.sleep(0)
        if since is not None and not own:
            self._after = None
        return own > 0
