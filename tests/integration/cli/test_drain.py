"""Signals to `asyncz run`."""

from __future__ import annotations

import signal
import textwrap
import threading
from pathlib import Path

import pytest

from tests.helpers.forked import Program

pytestmark = pytest.mark.slow


class Command:
    """`asyncz run` on a program of ours, spoken to by signals and read line by line."""

    def __init__(self, folder: Path, program: str, *arguments: str) -> None:
        (folder / "own.py").write_text(textwrap.dedent(program))
        self.process = Program(["-m", "asyncz", "run", "own:scheduler", *arguments], cwd=folder, stderr=2)
        # Whatever happens, reading its output comes to an end.
        self.guard = threading.Timer(60, self.process.kill)
        self.guard.start()

    def until(self, line: str) -> None:
        assert self.process.stdout is not None
        for printed in self.process.stdout:
            if printed.strip() == line:
                return
        pytest.fail(f"ended without saying {line!r}")

    def rest(self) -> tuple[int, list[str]]:
        output, _ = self.process.communicate()
        self.guard.cancel()
        # The other lines are events.
        return self.process.wait(), [line for line in output.splitlines() if not line.startswith("time=")]


PROGRAM = """
    import asyncio
    from asyncz import AsyncIOScheduler

    async def work():
        print("running", flush=True)
        try:
            await asyncio.sleep({seconds})
            print("finished", flush=True)
        except asyncio.CancelledError:
            print("cancelled", flush=True)
            raise

    scheduler = AsyncIOScheduler()
    scheduler.add_task(work).on_done(lambda event: print(type(event).__name__, flush=True))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_command_signal_drains(number: signal.Signals, tmp_path: Path) -> None:
    command = Command(tmp_path, PROGRAM.format(seconds=0.5))
    command.until("running")
    command.process.send_signal(number)
    assert command.rest() == (0, ["finished", "TaskExecuted"])


def test_command_drain_timeout_cancels(tmp_path: Path) -> None:
    command = Command(tmp_path, PROGRAM.format(seconds=600), "--drain-timeout", "0.2")
    command.until("running")
    command.process.send_signal(signal.SIGTERM)
    assert command.rest() == (0, ["cancelled", "TaskCancelled"])


def test_command_second_signal_cancels(tmp_path: Path) -> None:
    program = (
        PROGRAM
        + """
    from asyncz.schedulers._lifecycle import Lifecycle
    shutdown = Lifecycle.shutdown
    async def announced(self, wait=True, timeout=None):
        print("draining", flush=True)
        await shutdown(self, wait, timeout)
    Lifecycle.shutdown = announced
"""
    )
    command = Command(tmp_path, program.format(seconds=600))
    command.until("running")
    command.process.send_signal(signal.SIGTERM)
    command.until("draining")
    command.process.send_signal(signal.SIGTERM)
    status, words = command.rest()
    assert (status, [word for word in words if word != "draining"]) == (0, ["cancelled", "TaskCancelled"])
