"""`asyncz demo`: real work on four executors, and a check that every run has exactly one outcome."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import sys
import sysconfig
import time
from collections import Counter
from itertools import islice
from pathlib import Path
from uuid import UUID

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from asyncz import events
from asyncz._text import printable
from asyncz.cli._events import fields_of
from asyncz.cli._live_table import Column, table_lines
from asyncz.cli._output import json_text
from asyncz.events import Event, TaskNotification
from asyncz.schedulers import AsyncIOScheduler
from asyncz.states import SchedulerState
from asyncz.tasks import Task
from asyncz.triggers import IntervalTrigger

_MAX_FILE_SIZE = 1 << 20
_SHORTEST = 1.2


def installed_packages() -> Path:
    """Return the folder of the installed packages."""
    return Path(sysconfig.get_path("purelib"))


def checksum(path: str) -> str:
    """Return the SHA-256 of a file, in hexadecimal: work for a process."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def count_lines(path: str) -> int:
    """Return the number of lines of a file: work for a thread."""
    return Path(path).read_bytes().count(b"\n")


async def total_size(paths: tuple[str, ...]) -> int:
    """Return the size of all files, with a pause after each: a coroutine that shares the event loop."""
    total = 0
    for path in paths:
        total += Path(path).stat().st_size  # noqa: ASYNC240  # a local stat is short, and other tasks run in between
        await asyncio.sleep(0)
    return total


async def slow_patrol() -> str:
    """Take longer than the interval of its trigger, so that a due run is rejected."""
    await asyncio.sleep(0.5)
    return "done"


def longest_name(paths: tuple[str, ...]) -> str:
    """Return the longest file name: a short function that runs inline."""
    return max((Path(path).name for path in paths), key=len)


def read_missing_file(folder: str) -> bytes:
    """Fail, because the file does not exist."""
    return (Path(folder) / "there-is-no-such-file").read_bytes()


class Demo:
    """Demonstration of all executors.

    Args:
        folder: The folder with the files.
        files: Maximum number of files.
        json_lines: Print events as JSON lines, and nothing else, to standard output.
    """

    def __init__(self, folder: Path, files: int, *, json_lines: bool) -> None:
        found = (path for path in folder.rglob("*") if path.is_file() and path.stat().st_size < _MAX_FILE_SIZE)
        self.paths: tuple[str, ...] = tuple(str(path) for path in islice(found, files))
        self.folder: Path = folder
        self.json_lines: bool = json_lines
        self.console: Console = Console(markup=False, emoji=False, highlight=False)
        self.submitted: set[UUID] = set()
        self.outcomes: Counter[UUID] = Counter()
        self.rejected: int = 0

    async def run(self) -> int:
        """Run the demonstration.

        Returns:
            The exit status: 0 if every submitted run had exactly one outcome.
        """
        if not self.paths:
            print(f"There are no files in {printable(str(self.folder))}; name another folder with --path")
            return 2
        # One task fails on purpose; the table counts it.
        logging.getLogger("asyncz.scheduler").setLevel(logging.CRITICAL)
        # The loop, the inline executor and this process need a core too.
        workers = max(1, (os.cpu_count() or 2) - 1)
        scheduler = AsyncIOScheduler()
        scheduler.add_executor("processpool", alias="processes", max_workers=workers)
        scheduler.add_executor("threadpool", alias="threads", max_workers=workers)
        scheduler.add_executor("asyncio", alias="loop")
        scheduler.add_executor("debug", alias="inline")
        self._subscribe(scheduler)
        if not self.json_lines:
            print(f"{self.introduction()}\n")
        async with scheduler:
            tasks = self._add_tasks(scheduler)
            if self.json_lines or not self.console.is_terminal:
                await self._wait(tasks)
            else:
                with Live(get_renderable=lambda: self.screen(scheduler), console=self.console, refresh_per_second=8):
                    await self._wait(tasks)
            scheduler.remove_task("slow-patrol")
        return self._summary(scheduler.state)

    def introduction(self) -> str:
        """Return the description of the demonstration."""
        return (
            f"asyncz demo: {len(self.paths)} files of {printable(str(self.folder))}\n"
            "  processes  hash each file\n"
            "  threads    count the lines of each file; read-missing-file fails on purpose\n"
            "  loop       adds up the sizes; slow-patrol is due every 0.2 s but takes 0.5 s,\n"
            "             so due runs are rejected on purpose\n"
            "  inline     finds the longest file name"
        )

    def _add_tasks(self, scheduler: AsyncIOScheduler) -> list[Task[object]]:
        tasks: list[Task[object]] = []
        for number, path in enumerate(self.paths):
            tasks.append(scheduler.add_task(checksum, path, executor="processes", id=f"checksum-{number}"))
            tasks.append(scheduler.add_task(count_lines, path, executor="threads", id=f"lines-{number}"))
        tasks.append(scheduler.add_task(total_size, self.paths, executor="loop", id="total-size"))
        tasks.append(scheduler.add_task(longest_name, self.paths, executor="inline", id="longest-name"))
        tasks.append(
            scheduler.add_task(read_missing_file, str(self.folder), executor="threads", id="read-missing-file")
        )
        scheduler.add_task(slow_patrol, trigger=IntervalTrigger(seconds=0.2), executor="loop", id="slow-patrol")
        return tasks

    async def _wait(self, tasks: list[Task[object]]) -> None:
        begun = time.monotonic()
        for task in tasks:
            try:
                await task.result()
            except OSError:
                continue
        # Until at least one due run of the overlapping task has been rejected.
        while time.monotonic() < begun + _SHORTEST or not self.rejected:
            await asyncio.sleep(0.05)

    def _subscribe(self, scheduler: AsyncIOScheduler) -> None:
        scheduler.subscribe(events.TaskSubmitted, self._on_submitted)
        scheduler.subscribe(events.TaskMaxInstances, self._on_rejected)
        scheduler.subscribe(events.TaskExecuted, self._on_outcome)
        scheduler.subscribe(events.TaskError, self._on_outcome)
        scheduler.subscribe(events.TaskMissed, self._on_outcome)
        scheduler.subscribe(events.TaskCancelled, self._on_outcome)

    def _on_submitted(self, event: events.TaskSubmitted) -> None:
        self.submitted.add(event.details.run_id)
        self._print(event)

    def _on_rejected(self, event: events.TaskMaxInstances) -> None:
        self.rejected += 1
        self._print(event)

    def _on_outcome(self, notification: TaskNotification[object]) -> None:
        self.outcomes[notification.details.run_id] += 1
        self._print(notification)

    def _print(self, event: Event) -> None:
        fields = fields_of(event)
        if self.json_lines:
            print(json_text(fields), flush=True)
        elif not self.console.is_terminal and not isinstance(event, events.TaskSubmitted):
            outcome = printable(str(fields.get("result", fields.get("error", ""))), 60)
            task_id, worker = printable(str(fields["task_id"])), fields.get("worker", "")
            print(f"{fields['event']:16} {task_id:20} {worker:24} {outcome}".rstrip())

    def screen(self, scheduler: AsyncIOScheduler) -> Group:
        """Return the table of the executors and the totals."""
        state = scheduler.state

        def column(title: str, cells: list[str], priority: int, *, number: bool = False) -> Column:
            return Column(title, [Text(cell) for cell in cells], priority, "right" if number else "left")

        lines = table_lines(
            [
                column("executor", [each.alias for each in state.executors], 0),
                column("status", [each.status for each in state.executors], 1),
                column("workers", [f"{each.workers or '-'}" for each in state.executors], 4, number=True),
                column("running", [f"{each.running - each.queued}" for each in state.executors], 2, number=True),
                column("queued", [f"{each.queued}" for each in state.executors], 3, number=True),
            ],
            self.console.width,
        )
        totals = f"{len(state.tasks)} task(s) left; {_totals(state)}"
        return Group(*lines, Text(), Text(totals, overflow="fold"))

    def _summary(self, state: SchedulerState) -> int:
        lost = self.submitted - self.outcomes.keys()
        unknown = self.outcomes.keys() - self.submitted
        doubled = [run_id for run_id, count in self.outcomes.items() if count > 1]
        ended = state.executed + state.errors + state.missed + state.cancelled
        complete = state.submitted == len(self.submitted) == ended and not lost and not doubled and not unknown
        if not self.json_lines:
            print(
                f"\n{state.submitted} runs submitted: {state.executed} executed, {state.errors} failed (on purpose),"
                f" {state.missed} missed, {state.cancelled} cancelled.\n"
                f"{state.rejected} due runs were rejected, because slow-patrol was still running (on purpose).\n"
                f"Every run has exactly one outcome: lost {len(lost)}, doubled {len(doubled)}."
            )
        elif not complete:
            print(f"lost {len(lost)}, doubled {len(doubled)}", file=sys.stderr)
        return 0 if complete else 1


def _totals(state: SchedulerState) -> str:
    return f"submitted {state.submitted}, executed {state.executed}, errors {state.errors}, rejected {state.rejected}"
