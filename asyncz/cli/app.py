"""The commands."""

from __future__ import annotations

import asyncio
import sys
from contextlib import redirect_stdout
from json import dumps
from pathlib import Path
from typing import Annotated

import attrs
import typer

from asyncz.cli._import_target import bad_target, imported, look_in_current_folder
from asyncz.cli.demo import Demo, installed_packages
from asyncz.cli.preview import preview as preview_trigger
from asyncz.cli.run import shown
from asyncz.cli.verify import Declarations, verify as verify_target
from asyncz.config import SchedulerConfig
from asyncz.exceptions import ConfigurationError, ConfigurationProblem
from asyncz.schedulers import AsyncIOScheduler

SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"

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
    target: Annotated[str | None, typer.Argument(help="Where the scheduler is, as module:name.")] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="A TOML file that says what the scheduler is, instead of TARGET.")
    ] = None,
    drain_timeout: Annotated[
        float | None,
        typer.Option(min=0, help="Seconds that runs have to end after a signal, before they are cancelled."),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print events as JSON lines; what functions print goes to standard error.")
    ] = False,
) -> None:
    """Run your own scheduler until SIGINT or SIGTERM, then let what runs come to its end.

    A second signal cuts that short. On a terminal a table shows what it does, elsewhere each event is a line.
    """
    if (target is None) == (config is None):
        raise typer.BadParameter("name either a scheduler, as module:name, or --config FILE", param_hint="TARGET")
    scheduler = _configured(config) if config is not None else _imported_scheduler(target or "")

    async def run() -> None:
        with shown(scheduler, as_json=json):
            async with scheduler:
                await scheduler.wait_closed(drain_timeout)

    asyncio.run(run())


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="A TOML file as `asyncz run --config` takes it.")],
    json: Annotated[bool, typer.Option("--json", help="Print what is wrong as JSON.")] = False,
) -> None:
    """Say all that is wrong in a configuration, without running it; what it names is imported."""
    look_in_current_folder()
    problems: tuple[ConfigurationProblem, ...] = ()
    try:
        with redirect_stdout(sys.stderr):  # what modules print when they are imported
            state = AsyncIOScheduler.from_config(file).state
        right = f"{file} is right: {len(state.tasks)} task(s) on {len(state.executors)} executor(s)"
    except ConfigurationError as error:
        problems, right = error.problems, ""
    if json:
        print(dumps([{"key": problem.key, **attrs.asdict(problem)} for problem in problems], indent=2))
    elif right:
        print(right)
    for problem in () if json else problems:
        print(problem, file=sys.stderr)
    raise typer.Exit(int(bool(problems)))


@app.command()
def schema() -> None:
    """Print the JSON Schema of the configuration, by which editors complete and check it."""
    print(dumps({"$schema": SCHEMA_DIALECT, **SchedulerConfig.model_json_schema()}, indent=2))


def _imported_scheduler(target: str) -> AsyncIOScheduler:
    scheduler = imported(target)
    if not isinstance(scheduler, AsyncIOScheduler):
        raise bad_target(target, f"is a {type(scheduler).__name__}, an AsyncIOScheduler is needed")
    return scheduler


def _configured(file: Path) -> AsyncIOScheduler:
    look_in_current_folder()
    try:
        return AsyncIOScheduler.from_config(file)
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from error


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
    hang_timeout: Annotated[
        float | None,
        typer.Option(min=0.1, help="After how many seconds what does not happen counts as not happening at all."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Verify an executor or trigger of your own: its types, and every rule that it has to keep.

    Where MYPY_CACHE_DIR is set, mypy keeps there what it has seen, and is faster the next time.
    """
    declared = Declarations(
        runs_inline=inline,
        runs_in_another_process=other_process,
        limits_time=not no_time_limits,
        hang_timeout=hang_timeout,
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
