"""The commands."""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from asyncz.cli.demo import Demo, installed_packages
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
    module_name, _, name = target.partition(":")
    if not module_name or not name:
        raise typer.BadParameter(f"{target!r} is not of the form module:name", param_hint="TARGET")
    sys.path.insert(0, str(Path.cwd()))
    try:
        scheduler: object = getattr(import_module(module_name), name)
    except (ModuleNotFoundError, AttributeError) as error:
        raise typer.BadParameter(f"{target!r} cannot be imported: {error}", param_hint="TARGET") from error
    if not isinstance(scheduler, AsyncIOScheduler):
        raise typer.BadParameter(
            f"{target!r} is a {type(scheduler).__name__}, an AsyncIOScheduler is needed", param_hint="TARGET"
        )
    scheduler.run_forever(drain_timeout)
