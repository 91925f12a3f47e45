"""`asyncz run`: a scheduler with a live table on a terminal, or a line for each event elsewhere."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text
from typing_extensions import override

from asyncz._text import exception_text, printable
from asyncz.cli._events import STANDARD_ERROR, STANDARD_OUTPUT, as_line, event_lines, reserved_output
from asyncz.cli._live_table import overview
from asyncz.cli._logs import report_logs
from asyncz.cli._output import json_text
from asyncz.schedulers import AsyncIOScheduler

EXIT_KILLED = 3
"""The exit status if `--kill-after` ended the process."""

_DRAWING_SECONDS = 1.0
_SHOW_CURSOR = "\x1b[?25h\n"


def run_scheduler(
    scheduler: AsyncIOScheduler, *, drain_timeout: float | None, kill_after: float | None, json_lines: bool
) -> None:
    """Run a scheduler until SIGINT or SIGTERM, and show its tasks and events.

    Args:
        scheduler: The scheduler.
        drain_timeout: Seconds after a signal until the remaining runs are cancelled; None means no limit.
        kill_after: Seconds after a signal until the process ends, even if functions have not returned; None means
            no limit.
        json_lines: Write events as JSON.
    """
    report_logs(scheduler)

    async def run() -> None:
        with display(scheduler, json_lines=json_lines) as drawing:
            async with scheduler:
                if kill_after is not None:
                    _start_watchdog(scheduler, kill_after, drawing)
                await scheduler.wait_closed(drain_timeout)

    asyncio.run(run())


@contextmanager
def display(scheduler: AsyncIOScheduler, *, json_lines: bool) -> Generator[threading.RLock]:
    """Show the tasks or events of a scheduler while the context is active.

    Yields:
        The lock that is held while the screen is drawn.
    """
    console, drawing = Console(markup=False, emoji=False, highlight=False), threading.RLock()
    if json_lines:
        with reserved_output() as output, event_lines(scheduler, output, json_text, progress=True):
            yield drawing
    elif console.is_terminal:
        with _LiveScreen(scheduler, console, drawing):
            yield drawing
    else:
        with event_lines(scheduler, STANDARD_OUTPUT, as_line):
            yield drawing


class _LiveScreen(Live):
    """Live table, drawn again four times per second."""

    def __init__(self, scheduler: AsyncIOScheduler, console: Console, drawing: threading.RLock) -> None:
        self._drawing = drawing
        super().__init__(get_renderable=lambda: _screen(scheduler, console), console=console, refresh_per_second=4)

    @override
    def refresh(self) -> None:
        with self._drawing:
            super().refresh()


def _screen(scheduler: AsyncIOScheduler, console: Console) -> RenderableType:
    # An exception would end the thread that refreshes the screen.
    try:
        return overview(scheduler, console.width, console.height)
    except Exception as error:
        return Text(f"The table is not available: {exception_text(error)}", "yellow")


def _start_watchdog(scheduler: AsyncIOScheduler, kill_after: float, drawing: threading.RLock) -> None:
    """End the process if it still exists `kill_after` seconds after the scheduler began to shut down.

    A daemon thread does that, because the interpreter waits for the threads of executors when it exits: neither an
    `atexit` function nor the event loop would get a turn while one of their functions does not return.
    """

    def watch() -> None:
        while scheduler.running:
            time.sleep(0.05)
        time.sleep(kill_after)
        names = ", ".join(sorted(task.task_id for task in scheduler.state.tasks if task.running))
        message = f"asyncz run: killed {kill_after:.15g} s after the signal; functions did not return"
        # If the screen is drawn once more, it covers the message. The lock stays held until the end of the process.
        drawing.acquire(timeout=_DRAWING_SECONDS)
        sys.stdout.flush()
        if os.isatty(STANDARD_OUTPUT):
            os.write(STANDARD_OUTPUT, _SHOW_CURSOR.encode())
        os.write(STANDARD_ERROR, f"{message}{f': {printable(names)}' if names else ''}\n".encode())
        os._exit(EXIT_KILLED)

    threading.Thread(target=watch, name="asyncz-kill-after", daemon=True).start()
