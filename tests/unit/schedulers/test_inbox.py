"""Inbox of calls to the loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import pytest
from typing_extensions import override

from asyncz.schedulers._inbox import Inbox

pytestmark = pytest.mark.anyio


async def test_inbox_call_during_sleep_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class LooksEmptyJustBefore(deque[Callable[[], object]]):
        """Gets a call right after it was seen to be empty, as from another thread."""

        late_call: Callable[[], object] | None = None

        @override
        def __len__(self) -> int:
            seen, call = super().__len__(), self.late_call
            if not seen and call is not None:
                self.late_call = None
                inbox.put(call)
            return seen

    inbox = Inbox()
    calls = LooksEmptyJustBefore()
    monkeypatch.setattr(inbox, "calls", calls)
    made = asyncio.Event()
    inbox.open(asyncio.get_running_loop())
    inbox.put(lambda: setattr(calls, "late_call", made.set))
    async with asyncio.timeout(30):
        await made.wait()
