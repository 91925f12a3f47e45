"""Version 1 of the application."""

from __future__ import annotations

from pathlib import Path

from asyncz import AsyncIOScheduler, IntervalTrigger, TaskLookupError, current_run
from asyncz.stores import StoreOptions

OFTEN = IntervalTrigger(seconds=0.25)


def write(folder: str, text: str) -> None:
    """Append a line about the run to a file, in one write."""
    run = current_run()
    # The asyncz of older nodes had a number in `run_id`.
    stored_id: object = getattr(run, "stored_id", run.run_id)
    with Path(folder, "effects").open("a", buffering=1) as file:
        file.write(f"{run.task_id} {stored_id} {run.fence} {text}\n")


def old_report(folder: str) -> None:
    write(folder, "1")


def charge(folder: str, amount: int) -> None:
    write(folder, f"{amount}")


def poll(folder: str) -> None:
    write(folder, "1")


def obsolete(folder: str) -> None:
    write(folder, "1")


def convert(folder: str, line: str) -> None:
    write(folder, line)


def make_scheduler(url: str, folder: str) -> AsyncIOScheduler:
    """Return the scheduler with the tasks of this version."""
    options = StoreOptions(version=1, lease=3, on_lost="rerun", importable=("app",))
    scheduler = AsyncIOScheduler(store=url, store_options=options)
    scheduler.call(old_report, folder).add(trigger=OFTEN, id="report", coalesce=False, max_instances=10)
    scheduler.call(charge, folder, 1).add(trigger=OFTEN, id="charge", coalesce=False, max_instances=10)
    scheduler.call(poll, folder).add(trigger=OFTEN, id="poll", coalesce=False, max_instances=10)
    scheduler.call(obsolete, folder).add(trigger=OFTEN, id="obsolete", coalesce=False, max_instances=10)
    scheduler.call(convert, folder, "1").add(trigger=OFTEN, id="convert", coalesce=False, max_instances=10)
    return scheduler


def add_after_start(scheduler: AsyncIOScheduler, folder: str) -> None:
    """Add a task that belongs to the store, as a request of a user would."""
    try:
        scheduler.get_task("ad-hoc")
    except TaskLookupError:
        scheduler.call(old_report, folder).add(trigger=OFTEN, id="ad-hoc", coalesce=False, max_instances=10)
