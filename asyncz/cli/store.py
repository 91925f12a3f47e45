"""`asyncz store`: maintenance of the database that schedulers use as their store."""

from __future__ import annotations

import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Annotated

import typer

from asyncz._text import printable
from asyncz.cli._durations import duration_of
from asyncz.cli._output import EXIT_FAILED, error_text, print_json
from asyncz.exceptions import AsynczError
from asyncz.stores._admin import Access, PruneRule, StoreAdmin
from asyncz.stores._admin_urls import opened_admin
from asyncz.stores._migrations import SCHEMA_TABLE, Dialect, migrations, statements
from asyncz.stores._urls import sqlite_path
from asyncz.stores.records import FINAL_RUN_STATES, FinalRunState, NodeRecord

store_app: typer.Typer = typer.Typer(
    help="Maintain the database that schedulers use as their store.", no_args_is_help=True
)

Url = Annotated[
    str,
    typer.Argument(
        envvar="ASYNCZ_STORE",
        help="sqlite:///path or postgresql://user@host/database.",
        show_default=False,
        metavar="URL",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]


@store_app.command()
def migrate(url: Url, json: Json = False) -> None:
    """Apply the migrations that a database lacks; an SQLite file is created if it does not exist.

    Schedulers do that, too, when they start.

    Exit status: 0 if the database has the schema of this version, 1 if it
    cannot have it, 2 for wrong arguments.
    """
    with reported("migrate"), opened(url, "create") as admin:
        applied = [each.name for each in admin.migrate()]
        status = admin.status()
    if json:
        print_json({"store": admin.description, "applied": applied, "schema": status.found})
        return
    for name in applied:
        print(f"applied {name}")
    print(printable(f"{admin.description} has the schema {status.found}"))


@store_app.command()
def check(url: Url, json: Json = False) -> None:
    """Report the schema, tasks, runs and nodes of a store. Changes nothing.

    Exit status: 0 if schedulers of this version can use the store, 1 if they
    cannot, 2 for wrong arguments.
    """
    with reported("check"), opened(url, "read") as admin:
        status = admin.status()
        contents = None if status.problem else admin.contents()
    report: dict[str, object] = {"store": admin.description, "schema": status._asdict()}
    if contents is not None:
        report |= {
            "tasks": contents.tasks,
            "runs": contents.runs,
            "nodes": [each.model_dump(mode="json") for each in contents.nodes],
            "undeclared": {
                task_id: None if since is None else since.isoformat() for task_id, since in contents.undeclared.items()
            },
            "parked": contents.parked,
        }
    if json:
        print_json(report)
    elif contents is None:
        print(printable(f"{admin.description}: schema {status.found}, needed {status.needed}: {status.problem}"))
    else:
        print(printable(f"{admin.description}: schema {status.found}, current"))
        print(f"tasks: {_numbers(contents.tasks)}")
        print(f"runs:  {_numbers(contents.runs)}")
        print(printable(f"nodes: {', '.join(_node_text(each) for each in contents.nodes) or 'none'}"))
        for task_id, since in contents.undeclared.items():
            text = "" if since is None else f" since {since:%Y-%m-%d %H:%M}"
            print(printable(f"undeclared{text}: {task_id}"))
        for task_id, problem in contents.parked.items():
            print(printable(f"parked: {task_id}: {problem}"))
    raise typer.Exit(EXIT_FAILED if status.problem else 0)


@store_app.command()
def sql(
    database: Annotated[str, typer.Argument(help="sqlite or postgresql, or the URL of a store.", metavar="DATABASE")],
    since: Annotated[
        int, typer.Option("--from", min=0, help="Number of the migration that the database has already.")
    ] = 0,
) -> None:
    """Print the statements of the migrations, for a review or if schedulers must not change the schema.

    The URL of a store only names the kind of database: nothing is opened.

    Exit status: 0, or 2 for wrong arguments.
    """
    dialect = _dialect(database)
    pending = [each for each in migrations(dialect) if each.number > since]
    if not pending:
        print(f"-- no migration after {since}")
        return
    print(f"BEGIN;\n{SCHEMA_TABLE};")
    for migration in pending:
        print(f"\n-- {migration.name}")
        for statement in statements(migration):
            print(f"{statement};")
    print("\nCOMMIT;")


@store_app.command()
def prune(
    url: Url,
    older_than: Annotated[
        str | None, typer.Option(help="Delete only runs that ended before, such as 90s, 15m, 12h, 30d or 4w.")
    ] = None,
    keep: Annotated[
        int | None, typer.Option(min=0, help="Keep that many of the newest finished runs of each task.")
    ] = None,
    state: Annotated[
        list[str] | None, typer.Option(help="Delete runs in this state; may be repeated. By default in all states.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Report what would be deleted, and delete nothing.")
    ] = False,
    json: Json = False,
) -> None:
    """Delete finished runs of the history; needs --older-than, --keep or both.

    Waiting and running runs stay, and so do tasks. Schedulers may use the
    store meanwhile.

    Exit status: 0, 1 if the store cannot be used, 2 for wrong arguments.
    """
    if older_than is None and keep is None:
        raise typer.BadParameter("say which runs to delete", param_hint="--older-than or --keep")
    age = None if older_than is None else duration_of(older_than, "--older-than")
    rule = PruneRule(older_than=age, keep=keep or 0, states=_states(state))
    with reported("prune"), opened(url, "read" if dry_run else "write") as admin:
        admin.require_schema()
        selected = admin.select(rule)
        deleted = 0 if dry_run else admin.delete(selected)
    counts: dict[str, int] = {name: len(found) for name, found in selected.items()}
    if json:
        print_json({"store": admin.description, "dry_run": dry_run, "selected": counts, "deleted": deleted})
        return
    if dry_run:
        print(f"would delete {_numbers(counts)}")
    elif deleted == sum(counts.values()):
        print(f"deleted {_numbers(counts)}")
    else:
        # Schedulers delete old runs, too.
        print(f"deleted {deleted:,}; others deleted the rest of {_numbers(counts)} meanwhile")


@contextmanager
def reported(command: str) -> Generator[None, None, None]:
    """Print an error of the store in one line, and exit."""
    try:
        yield
    except AsynczError as error:
        print(f"asyncz store {command}: {error_text(error)}", file=sys.stderr)
        raise typer.Exit(EXIT_FAILED) from error


@contextmanager
def opened(url: str, access: Access, hint: str = "URL") -> Generator[StoreAdmin, None, None]:
    """Provide the maintenance of a database.

    Raises:
        BadParameter: The URL is not one of a database.
        StoreConnectionError: The database cannot be opened.
    """
    try:
        _ = sqlite_path(url)
    except AsynczError as error:
        raise typer.BadParameter(printable(str(error)), param_hint=hint) from error
    with opened_admin(url, access) as admin:
        yield admin


def _dialect(database: str) -> Dialect:
    if database in {"sqlite", "postgres", "postgresql"}:
        return "sqlite" if database == "sqlite" else "postgres"
    try:
        return "sqlite" if sqlite_path(database) is not None else "postgres"
    except AsynczError as error:
        raise typer.BadParameter(printable(str(error)), param_hint="DATABASE") from error


def _states(given: list[str] | None) -> tuple[FinalRunState, ...]:
    unknown = [each for each in given or () if each not in FINAL_RUN_STATES]
    if unknown:
        message = f"{unknown[0]!r} is not a final state; allowed: {', '.join(FINAL_RUN_STATES)}"
        raise typer.BadParameter(printable(message), param_hint="--state")
    return tuple(each for each in FINAL_RUN_STATES if given is None or not given or each in given)


def _node_text(node: NodeRecord) -> str:
    return f"{node.name or node.id}{' (paused)' if node.paused else ''}"


def _numbers(counts: Mapping[str, int]) -> str:
    total = sum(counts.values())
    parts = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    return f"{total:,} ({parts})" if parts else "0"
