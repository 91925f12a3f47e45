"""The functions that `asyncz.toml` beside this file names."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path


def checksum(path: str) -> str:
    """Work for a process: the SHA-256 of a file."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def clean_up(folder: str, *, older_than: float = 3600, suffix: str = ".tmp") -> int:
    """Work for a thread: how many files there are to be deleted."""
    newest = max((path.stat().st_mtime for path in Path(folder).glob(f"*{suffix}")), default=0.0)
    return sum(newest - path.stat().st_mtime > older_than for path in Path(folder).glob(f"*{suffix}"))


async def heartbeat(name: str) -> str:
    """Work for the event loop."""
    await asyncio.sleep(0)
    return f"{name} is alive"
