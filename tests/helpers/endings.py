"""Work that logs how it ends; workers import this module quickly."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from asyncz import current_run

_LIMIT = 30.0


def _log(folder: str, text: str) -> None:
    with (Path(folder) / "log").open("a") as log:
        log.write(f"{text}\n")


async def coroutine(folder: str) -> None:
    try:
        _log(folder, "begun")
        deadline = time.monotonic() + _LIMIT
        while not (Path(folder) / "go-on").exists() and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        _log(folder, "returned")
    finally:
        _log(folder, "finally")


def asking(folder: str) -> None:
    try:
        # A worker process that is cancelled before its function has asked is killed at once.
        current_run().is_cancelled()
        _log(folder, "begun")
        deadline = time.monotonic() + _LIMIT
        while not (Path(folder) / "go-on").exists() and time.monotonic() < deadline:
            if current_run().is_cancelled():
                _log(folder, "saw it")
                return
            time.sleep(0.01)
        _log(folder, "returned")
    finally:
        _log(folder, "finally")


def other(folder: str) -> None:
    try:
        _log(folder, "begun")
        deadline = time.monotonic() + _LIMIT
        while not (Path(folder) / "go-on").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        _log(folder, "returned")
    finally:
        _log(folder, "finally")
