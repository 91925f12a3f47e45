"""The demonstration: real work on real files, on all four executors, and an account of every run."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import sysconfig
import time
from collections import Counter
from itertools import islice
from pathlib import Path

import rich.box
from rich.console import Console
from rich.live import Live
from rich.table import Table

from asyncz import events
from asyncz.events import Event, RunDetails, TaskNotification
from asyncz.schedulers import AsyncIOScheduler
from asyncz.tasks import Task
from asyncz.triggers import IntervalTrigger


def installed_packages() -> Path:
    """The folder of the packages that are installed here."""
    return Path(sysconfig.get_path("purelib"))


def checksum(path: str) -> str:
    """The SHA-256 of a file, in hexadecimal: work for a process."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def count_lines(path: str) -> int:
    """The number of a file's lines: work for a thread."""
    return Path(path).read_bytes().count(b"\n")


async def total_size(paths: tuple[str, ...]) -> int:
    """The bytes in all files, looked at one after another: a coroutine that shares the loop."""
    total = 0
    for path in paths:
        total += Path(path).stat().st_size  # noqa: ASYNC240  # what is shown is that the loop goes on in between
        await asyncio.sleep(0)
    return total


async def slow_patrol() -> str:
    """Takes longer than the interval at which it is due, and so meets itself."""
    await asyncio.sleep(0.5)
    return "done"


def longest_name(paths: tuple[str, ...]) -> str:
    """The longest name of all files: done inline."""
    return max((Path(path).name for path in paths), key=len)


def read_missing_file(folder: str) -> bytes:
    """Fails, because there is no such file."""
    return (Path(folder) / "there-is-no-such-file").read_bytes()


class Demo:
    """One demonstration.

    Args:
        folder: Where the files are.
        files: How many of them to take.
        as_json: Print notifications as JSON lines, and nothing else, to standard output.
    """

    def __init__(self, folder: Path, files: int, *, as_json: bool) -> None:
        found = (path for path in folder.rglob("*") if path.is_file() and path.stat().st_size < 1 << 20)
        self.paths: tuple[str, ...] = tuple(str(path) for path in islice(found, files))
        self.folder: Path = folder
        self.as_json: bool = as_json
        self.console: Console = Console()
        self.submitted: set[int] = set()
        self.ends: Counter[int] = Counter()
        self.rejected: int = 0

    async def run(self) -> int:
        """Run it.

        Returns:
            The exit status: 0 if every submitted run ended in exactly one notification.
        """
        if not self.paths:
            self.console.print(f"There are no files in {self.folder}; name another folder with --path")
            return 2
        # The one task that fails does so on purpose, and the table tells of it.
        logging.getLogger("asyncz.scheduler").setLevel(logging.CRITICAL)
        scheduler = AsyncIOScheduler(
            executors={"processes": "processpool", "threads": "threadpool", "loop": "asyncio", "inline": "debug"}
        )
        self._listen(scheduler)
        async with scheduler:
            tasks = self._add_tasks(scheduler)
            if self.as_json or not self.console.is_terminal:
                await self._wait(tasks)
            else:
                with Live(get_renderable=lambda: self._table(scheduler), console=self.console, refresh_per_second=8):
                    await self._wait(tasks)
            scheduler.remove_task("slow-patrol")
        return self._summary(scheduler)

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
        shown_until = time.monotonic() + 1.2
        for task in tasks:
            try:
                await task.result()
            except OSError:
                continue
        # Long enough for the task that overlaps itself to have been rejected.
        while time.monotonic() < shown_until or not self.rejected:
            await asyncio.sleep(0.05)

    def _listen(self, scheduler: AsyncIOScheduler) -> None:
        scheduler.subscribe(events.TaskSubmitted, self._submitted)
        scheduler.subscribe(events.TaskMaxInstances, self._rejected)
        scheduler.subscribe(events.TaskExecuted, self._ended)
        scheduler.subscribe(events.TaskError, self._ended)
        scheduler.subscribe(events.TaskMissed, self._ended)
        scheduler.subscribe(events.TaskCancelled, self._ended)

    def _submitted(self, event: events.TaskSubmitted) -> None:
        self.submitted.add(event.details.run_id)
        self._show(event, event.task_id, event.details)

    def _rejected(self, event: events.TaskMaxInstances) -> None:
        self.rejected += 1
        self._show(event, event.task_id, event.details)

    def _ended(self, notification: TaskNotification[object]) -> None:
        self.ends[notification.details.run_id] += 1
        self._show(notification, notification.task_id, notification.details)

    def _show(self, event: Event, task_id: str, details: RunDetails) -> None:
        outcome = ""
        if isinstance(event, events.TaskExecuted):
            outcome = str(event.result)
        elif isinstance(event, events.TaskError):
            outcome = f"{type(event.exception).__name__}: {event.exception}"
        if self.as_json:
            fields = {
                "event": type(event).__name__,
                "task_id": task_id,
                "run_id": details.run_id,
                "scheduled_at": None if details.scheduled_at is None else details.scheduled_at.isoformat(),
                "duration": details.duration,
                "worker": str(details.worker or ""),
                "outcome": outcome,
            }
            print(json.dumps(fields), flush=True)
        elif not self.console.is_terminal and not isinstance(event, events.TaskSubmitted):
            print(f"{type(event).__name__:16} {task_id:20} {details.worker or ''!s:24} {outcome[:60]}")

    def _table(self, scheduler: AsyncIOScheduler) -> Table:
        state = scheduler.state
        table = Table(title=f"asyncz demo: {self.folder}", box=rich.box.SIMPLE)
        for column in ("executor", "status", "workers", "running", "queued"):
            table.add_column(column)
        for executor in state.executors:
            table.add_row(
                executor.alias, executor.status, str(executor.workers), str(executor.running), str(executor.queued)
            )
        table.add_section()
        table.add_row(
            f"tasks {len(state.tasks)}",
            f"submitted {state.submitted}",
            f"executed {state.executed}",
            f"errors {state.errors}",
            f"rejected {state.rejected}",
        )
        return table

    def _summary(self, scheduler: AsyncIOScheduler) -> int:
        state = scheduler.state
        lost = self.submitted - self.ends.keys()
        unknown = self.ends.keys() - self.submitted
        doubled = [run_id for run_id, count in self.ends.items() if count > 1]
        counted = (
            state.submitted == len(self.submitted) == state.executed + state.errors + state.missed + state.cancelled
        )
        if not self.as_json:
            print(
                f"submitted {state.submitted} = executed {state.executed} + errors {state.errors}"
                f" + missed {state.missed} + cancelled {state.cancelled};"
                f" rejected {state.rejected}, lost {len(lost)}, doubled {len(doubled)}"
            )
        return 0 if counted and not lost and not doubled and not unknown else 1
