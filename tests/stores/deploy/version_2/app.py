"""Version 2 of the application: functions renamed, removed and added, other arguments, another trigger."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from asyncz import AsyncIOScheduler, IntervalTrigger, current_run
from asyncz.stores import StoreOptions

OFTEN = IntervalTrigger(seconds=0.25)


def write(folder: str, text: str) -> None:
    """Append a line about the run to a file, in one write."""
    run = current_run()
    with Path(folder, "effects").open("a", buffering=1) as file:
        file.write(f"{run.task_id} {run.run_id} {run.fence} {text}\n")


def new_report(folder: str) -> None:
    """Be `old_report` of version 1 by another name."""
    write(folder, "2")


def charge(folder: str, amount: int) -> None:
    write(folder, f"{amount}")


def poll(folder: str) -> None:
    write(folder, "2")


def convert(folder: str, *, lines: Sequence[str]) -> None:
    """Have another signature than in version 1."""
    write(folder, " ".join(lines))


def added(folder: str) -> None:
    write(folder, "2")


def make_scheduler(url: str, folder: str) -> AsyncIOScheduler:
    """Return the scheduler with the tasks of this version."""
    formerly = {"app:old_report": new_report}
    options = StoreOptions(version=2, lease=3, on_lost="rerun", formerly=formerly, importable=("app",))
    scheduler = AsyncIOScheduler(store=url, store_options=options)
    scheduler.call(new_report, folder).add(trigger=OFTEN, id="report", coalesce=False, max_instances=10)
    scheduler.call(charge, folder, 2).add(trigger=OFTEN, id="charge", coalesce=False, max_instances=10)
    seldom = IntervalTrigger(seconds=0.5)
    scheduler.call(poll, folder).add(trigger=seldom, id="poll", coalesce=False, max_instances=10)
    scheduler.call(convert, folder, lines=["2"]).add(trigger=OFTEN, id="convert", coalesce=False, max_instances=10)
    scheduler.call(added, folder).add(trigger=OFTEN, id="added", coalesce=False, max_instances=10)
    return scheduler


def add_after_start(scheduler: AsyncIOScheduler, folder: str) -> None:
    """Add nothing."""
