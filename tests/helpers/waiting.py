"""Waiting for conditions on the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path


async def until(reached: Callable[[], bool]) -> None:
    """Wait until a condition holds; fail after a minute."""
    async with asyncio.timeout(60):
        while not reached():
            await asyncio.sleep(0.005)


async def process_id_in(path: Path) -> int:
    """Wait for the process id that a worker writes to a file."""

    def text() -> str:
        return path.read_text() if path.exists() else ""

    await until(lambda: text() != "")
    return int(text())
