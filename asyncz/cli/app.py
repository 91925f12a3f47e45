"""The commands."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from asyncz.cli._targets import bad_target, imported
from asyncz.cli.demo import Demo, installed_packages
from asyncz.cli.preview import preview as preview_trigger
from asyncz.cli.verify import Declarations, verify as verify_target
from asyncz.schedulers import AsyncIOScheduler

app: typer.Typer = typer.Typer(no_args_is_help=True, add_completion=False, help="Typed schedules on any executor.")


@app.command()
def demo(
    path: Annotated[
        Path | None, typer.Option(help="A folder of files to work on; by default the installed packages.")
    ] = None,
    files: Annotated[int, typer.Option(min=1, help="How many of its files to take.")] = 60,
    json: Annotated[bool, typer.Option("--json", help="Print the notifications as JSON lines.")] = False,
) -> None:
    """Schedule real work on all four executors, and account for every run."""
    folder = path or installed_packages()
    if not folder.is_dir():
        raise typer.BadParameter(f"{folder} is not a folder; name one that exists", param_hint="--path")
    raise typer.Exit(asyncio.run(Demo(folder, files, as_json=json).run()))


@app.command()
def run(
    target: Annotated[str, typer.Argument(help="Where the scheduler is, as module:name.")],
    drain_timeout: Annotated[
        float | None,
        typer.Option(min=0, help="Seconds that runs have to end after a signal, before they are cancelled."),
    ] = None,
) -> None:
    """Run your own scheduler until SIGINT or SIGTERM, then let what runs come to its end.

    A second signal cuts that short.
    """
    scheduler = imported(target)
    if not isinstance(scheduler, AsyncIOScheduler):
        raise bad_target(target, f"is a {type(scheduler).__name__}, an AsyncIOScheduler is needed")
    scheduler.run_forever(drain_timeout)


@app.command()
def verify(
    target: Annotated[
        str,
        typer.Argument(
            help="An executor's or trigger's class, a function that makes one, a trigger, or a suite, as module:name."
        ),
    ],
    inline: Annotated[bool, typer.Option("--inline", help="Its submit runs the function itself.")] = False,
    other_process: Annotated[
        bool, typer.Option("--other-process", help="Functions are pickled and run in another process.")
    ] = False,
    no_time_limits: Annotated[
        bool, typer.Option("--no-time-limits", help="It does not enforce the timeout of a task.")
    ] = False,
    patience: Annotated[
        float | None,
        typer.Option(min=0.1, help="After how many seconds what does not happen counts as not happening at all."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Verify an executor or trigger of your own: its types, and every rule that it has to keep."""
    declared = Declarations(
        runs_inline=inline,
        runs_in_another_process=other_process,
        limits_time=not no_time_limits,
        patience=patience,
    )
    raise typer.Exit(verify_target(target, declared, as_json=json))


@app.command()
def preview(
    trigger: Annotated[
        str,
        typer.Argument(
            help="A cron expression, the alias of a trigger such as interval or calendar, or a trigger as module:name."
        ),
    ],
    options: Annotated[
        list[str] | None, typer.Argument(help="The options of an alias, such as months=1 hour=9.", metavar="NAME=VALUE")
    ] = None,
    timezone: Annotated[
        str, typer.Option("--tz", help="Whose clocks: an IANA name, or local for those of this machine.")
    ] = "UTC",
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="How many due times to show.")] = 10,
    start: Annotated[
        str | None,
        typer.Option("--from", help="When the task would be added, such as 2030-01-31T12:00; by default now."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the due times as JSON.")] = False,
) -> None:
    """Show when a trigger is due: by the clocks of a time zone, in UTC, and how far apart.

    It takes "*/5 * * * *" and @daily, and also: interval minutes=5, or calendar months=1 start=2030-01-31.
    """
    preview_trigger(trigger, options or [], timezone, count, start, as_json=json)
