"""The commands."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from asyncz.cli._targets import bad_target, imported
from asyncz.cli.demo import Demo, installed_packages
from asyncz.cli.verify import Declarations, verify as verify_executor
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
        str, typer.Argument(help="An executor's class, a function that makes one, or a suite, as module:name.")
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
    """Verify an executor of your own: its types, and every rule that an executor has to keep."""
    declared = Declarations(
        runs_inline=inline,
        runs_in_another_process=other_process,
        limits_time=not no_time_limits,
        patience=patience,
    )
    raise typer.Exit(verify_executor(target, declared, as_json=json))
