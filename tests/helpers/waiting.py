"""Waiting for conditions on the event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path


async def until(reached: Callable[[], bool]) -> None:
    """Wait until a condition holds; fail after a minute."""
    async with asyncio.timeout(60):
        while not reached():
            await asyncio.sleep(0.005)


class Gate:
    """Function that marks its start and waits until the gate opens, in any thread or process."""

    def __init__(self, folder: Path) -> None:
        self._reached, self._opened = folder / "gate-reached", folder / "gate-opened"

    def __call__(self) -> None:
        self._reached.touch()
        deadline = time.monotonic() + 60
        while not self._opened.exists() and time.monotonic() < deadline:
            time.sleep(0.005)

    def is_reached(self) -> bool:
        return self._reached.exists()

    def open(self) -> None:
        self._opened.touch()


async def process_id_in(path: Path) -> int:
    """Wait for the process id that a worker writes to a file."""

    def text() -> str:
        return path.read_text() if path.exists() else ""

    await until(lambda: text() != "")
    return int(text())
