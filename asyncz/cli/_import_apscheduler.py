"""`asyncz store import-apscheduler`: the jobs of APScheduler 3 as tasks of a store."""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated
from uuid import uuid4

import attrs
import typer

from asyncz._text import printable
from asyncz.cli._import_target import add_current_folder
from asyncz.cli._output import EXIT_FAILED, print_json
from asyncz.cli.store import Json, opened, reported, store_app
from asyncz.clock import SystemClock, utc
from asyncz.exceptions import AsynczError
from asyncz.stores._admin import StoreAdmin
from asyncz.stores._urls import store_of
from asyncz.stores.apscheduler_3._reading import quoted_table, read_jobs, rows_of
from asyncz.stores.apscheduler_3._translation import Translation, Translator
from asyncz.stores.protocol import Store
from asyncz.stores.records import NodeRecord, TaskRecord

_COMMAND = "import-apscheduler"
_LEASE = timedelta(seconds=60)
_EXISTS = "the store has a task with this id"


@store_app.command(name=_COMMAND)
def import_apscheduler(
    source: Annotated[str, typer.Argument(help="The database of the job store, as for SQLAlchemy.", metavar="SOURCE")],
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="URL", help="The store that receives the tasks. Without it: a dry run."),
    ] = None,
    read_pickles: Annotated[
        bool,
        typer.Option("--read-pickles", help="Read the pickled jobs, in a process with limits that imports nothing."),
    ] = False,
    table: Annotated[str, typer.Option(help="The table of the jobs.")] = "apscheduler_jobs",
    importable: Annotated[
        list[str] | None,
        typer.Option(help="Import functions below this module to check their arguments; may be repeated."),
    ] = None,
    executor: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=ALIAS", help="The executor for an executor of APScheduler; may be repeated."),
    ] = None,
    json: Json = False,
) -> None:
    """Read the jobs of APScheduler 3, and add them to a store as tasks.

    Nothing is changed in SOURCE, and nothing at all without --to. A job
    without a counterpart is reported with the reason. Stop the old scheduler
    first: else both run the jobs.

    Exit status: 0 if all jobs were translated and stored, 1 if some were not,
    2 for wrong arguments.
    """
    executors = dict(_pair(each) for each in executor or ())
    target = None if to is None else _target(to)
    _check_table(table)
    if importable:
        add_current_folder()
    translator = Translator(executors, importable or (), utc(SystemClock().now()))
    with reported(_COMMAND):
        with opened(_without_driver(source), "read", "SOURCE") as admin:
            description = admin.description
            if not read_pickles:
                _refuse_pickles(admin, table)
            found = [translator.translate(job) for page in rows_of(admin, table) for job in read_jobs(page)]
        stored = () if target is None else asyncio.run(_store(target, [each.task for each in found if each.task]))
    if target is not None:
        found = [_stored(each, stored) for each in found]
    if json:
        print_json({"source": description, "stored": len(stored), "jobs": [_as_json(each) for each in found]})
    else:
        _print_report(description, found, None if target is None else len(stored))
    raise typer.Exit(EXIT_FAILED if any(each.task is None for each in found) else 0)


async def _store(target: Store, tasks: Sequence[TaskRecord]) -> Sequence[str]:
    """Add tasks that the store does not know, and return their ids."""
    node = NodeRecord(id=uuid4().hex, name=f"asyncz store {_COMMAND} {socket.gethostname()}:{os.getpid()}")
    session = await target.connect(node, _LEASE)
    try:
        return [task.id for task in tasks if await session.change(task) is not None]
    finally:
        await session.close()


def _stored(translation: Translation, stored: Sequence[str]) -> Translation:
    if translation.task is None or translation.id in stored:
        return translation
    return attrs.evolve(translation, task=None, reason=_EXISTS)


def _refuse_pickles(admin: StoreAdmin, table: str) -> None:
    ((count,),) = admin.query(f"SELECT count(*) FROM {quoted_table(table)}")  # noqa: S608  # quoted
    raise typer.BadParameter(
        f"the table has {count} jobs as pickles; pass --read-pickles to read them", param_hint="--read-pickles"
    )


def _target(url: str) -> Store:
    try:
        return store_of(url)
    except AsynczError as error:
        raise typer.BadParameter(printable(str(error)), param_hint="--to") from error


def _check_table(table: str) -> None:
    try:
        _ = quoted_table(table)
    except AsynczError as error:
        raise typer.BadParameter(printable(str(error)), param_hint="--table") from error


def _without_driver(url: str) -> str:
    """Return a URL of SQLAlchemy without the name of the driver."""
    return re.sub(r"^(postgresql|postgres|sqlite)\+\w+:", r"\1:", url)


def _pair(text: str) -> tuple[str, str]:
    name, equals, alias = text.partition("=")
    if not (name and equals and alias):
        raise typer.BadParameter(printable(f"{text!r} is not of the form name=alias"), param_hint="--executor")
    return name, alias


def _print_report(description: str, found: Sequence[Translation], stored: int | None) -> None:
    print(printable(f"{len(found)} job(s) of APScheduler in {description}"))
    for each in found:
        print(f"{printable(each.id, 80)}: {each.trigger if each.task else f'not translated: {each.reason}'}")
        for note in each.notes if each.task else ():
            print(f"  note: {printable(note)}")
    translated = sum(each.task is not None for each in found)
    print(f"{translated} translated, {len(found) - translated} not")
    print("dry run: nothing was stored; pass --to URL" if stored is None else f"{stored} stored")


def _as_json(translation: Translation) -> dict[str, object]:
    task = translation.task
    return {
        "id": translation.id,
        "translated": task is not None,
        "reason": translation.reason,
        "notes": translation.notes,
        "task": None if task is None else task.model_dump(mode="json"),
    }
