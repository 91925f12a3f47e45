"""The commands and their options."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated, Protocol, runtime_checkable

import attrs
import typer
from typer.core import TyperGroup
from typing_extensions import override

from asyncz._metadata import __version__
from asyncz._text import exception_text, printable, without_secrets
from asyncz.cli import remote
from asyncz.cli._import_apscheduler import import_apscheduler as import_apscheduler
from asyncz.cli._import_target import add_current_folder, bad_target, import_target
from asyncz.cli._logs import LogFormat, LogLevel, configure_logging
from asyncz.cli._output import EXIT_FAILED, print_json
from asyncz.cli.demo import Demo, installed_packages
from asyncz.cli.preview import MAX_COUNT, preview as preview_trigger
from asyncz.cli.run import run_scheduler
from asyncz.cli.store import store_app
from asyncz.cli.verify import Declarations, verify as verify_target
from asyncz.config import SchedulerConfig
from asyncz.exceptions import AsynczError, ConfigurationError, ConfigurationProblem, InvalidInputError
from asyncz.schedulers import AsyncIOScheduler
from asyncz.stores._console import console_of_url

SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"


@runtime_checkable
class _UsageError(Protocol):
    """An error of the command line; its class is part of another package in some versions of typer."""

    exit_code: int

    def format_message(self) -> str: ...


class _PrintableGroup(TyperGroup):
    """Group of commands. Its error messages repeat arguments, and yet cannot control the terminal."""

    @override
    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: object,
    ) -> object:
        try:
            status: object = super().main(
                args, prog_name, complete_var, standalone_mode=False, windows_expand_args=windows_expand_args, **extra
            )
        except (KeyboardInterrupt, typer.Abort):
            sys.exit(130)
        except Exception as error:
            if not standalone_mode or not isinstance(error, _UsageError):
                raise
            self._print_usage_error(error, sys.argv[1:] if args is None else args)
            sys.exit(error.exit_code)
        if not standalone_mode:
            return status
        sys.exit(status if isinstance(status, int) else 0)

    def _print_usage_error(self, error: _UsageError, args: Sequence[str]) -> None:
        context: object = getattr(error, "ctx", None)
        if isinstance(context, typer.Context):
            print(context.get_usage(), file=sys.stderr)
            print(f"Try '{context.command_path} --help' for help.\n", file=sys.stderr)
        message = error.format_message()
        for arg in args:
            # The message may repeat an argument, as it is or by its `repr`.
            for text in (arg, repr(arg)[1:-1]):
                message = message.replace(text, without_secrets(text)) if text else message
        print(f"Error: {printable(message, 2000)}", file=sys.stderr)


app: typer.Typer = typer.Typer(
    cls=_PrintableGroup,
    help="Typed task scheduler: cron, interval and one-off tasks on asyncio, threads, processes or Dask.",
    # Tracebacks of typer show the values of local variables, which can be passwords.
    pretty_exceptions_enable=False,
)


app.add_typer(store_app, name="store")


@app.callback(invoke_without_command=True)
def options(
    context: typer.Context, version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False
) -> None:
    """Typed task scheduler: cron, interval and one-off tasks on asyncio, threads, processes or Dask."""
    if version:
        print(f"asyncz {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit


@app.command()
def demo(
    path: Annotated[
        Path | None, typer.Option(help="The folder whose files are hashed; by default the installed packages.")
    ] = None,
    files: Annotated[int, typer.Option(min=1, max=10_000, help="Maximum number of files.")] = 60,
    json: Annotated[bool, typer.Option("--json", help="Print the events as JSON lines.")] = False,
) -> None:
    """Hash and count files on four executors, with one task that fails and one that overlaps on purpose.

    At the end, every submitted run is accounted for.

    Exit status: 0 if every run had exactly one outcome, else 1; 2 if there
    are no files; 130 after Ctrl-C.
    """
    folder = path or installed_packages()
    if not folder.is_dir():
        raise typer.BadParameter(f"{str(folder)!r} is not a folder", param_hint="--path")
    raise typer.Exit(asyncio.run(Demo(folder, files, json_lines=json).run()))


@app.command()
def run(
    target: Annotated[str | None, typer.Argument(help="The scheduler, as module:name.")] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="A TOML file that describes the scheduler, instead of TARGET.")
    ] = None,
    drain_timeout: Annotated[
        float | None,
        typer.Option(min=0, help="Seconds after a signal until the remaining runs are cancelled; default: no limit."),
    ] = None,
    kill_after: Annotated[
        float | None,
        typer.Option(
            min=0, help="Seconds after a signal until the process ends, even if functions do not return (status 3)."
        ),
    ] = None,
    log_level: Annotated[
        LogLevel | None,
        typer.Option(case_sensitive=False, help="The lowest level of log records that are shown; default: warning."),
    ] = None,
    log_format: Annotated[
        LogFormat | None,
        typer.Option(case_sensitive=False, help="The format of log records, on standard error; default: text."),
    ] = None,
    json: Annotated[
        bool,
        typer.Option("--json", help="Print events as JSON lines; the output of functions goes to standard error."),
    ] = False,
) -> None:
    """Run a scheduler until SIGINT or SIGTERM, and then wait for the runs in progress.

    A second signal cancels them. On a terminal a live table is shown, else a
    line for each event. Modules in the current folder can be imported;
    installed packages come before them.

    Exit status: 0 after a signal, 1 if the configuration is invalid or the
    scheduler cannot start, 2 for wrong arguments, 3 after --kill-after.
    """
    if (target is None) == (config is None):
        raise typer.BadParameter("name either a scheduler, as module:name, or --config FILE", param_hint="TARGET")
    configure_logging(log_level, log_format)
    scheduler = _configured(config) if config is not None else _imported_scheduler(target or "")
    try:
        run_scheduler(scheduler, drain_timeout=drain_timeout, kill_after=kill_after, json_lines=json)
    except AsynczError as error:
        print(f"asyncz run: {exception_text(error, 2000)}", file=sys.stderr)
        raise typer.Exit(EXIT_FAILED) from error


@app.command()
def dashboard(
    target: Annotated[str | None, typer.Argument(help="The scheduler, as module:name.")] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="A TOML file that describes the scheduler, instead of TARGET.")
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            help="The store of schedulers, instead of TARGET: sqlite:///path or postgresql://user@host/database."
            " Without TARGET and --config, the one in ASYNCZ_STORE.",
            metavar="URL",
        ),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 for a free one.")] = 0,
    drain_timeout: Annotated[
        float | None,
        typer.Option(min=0, help="Seconds after a signal until the remaining runs are cancelled; default: no limit."),
    ] = None,
) -> None:
    """Run a scheduler with its dashboard on 127.0.0.1, until SIGINT or SIGTERM.

    With --store, no scheduler runs: the dashboard shows and steers the
    schedulers that use the store. Their code is not imported.

    Prints a link that can be opened once. Only this machine can reach it;
    other commands need the same ASYNCZ_TOKEN as this one.

    Exit status: 0 after a signal, 1 if the configuration is invalid or the
    port is in use, 2 for wrong arguments.
    """
    from asyncz.cli.serve import serve_dashboard

    if target is None and config is None:
        store = store or os.environ.get("ASYNCZ_STORE") or None
    if sum(each is not None for each in (target, config, store)) != 1:
        raise typer.BadParameter(
            "name either a scheduler, as module:name, or --config FILE, or --store URL", param_hint="TARGET"
        )
    configure_logging(None, None)
    source = store or (_configured(config) if config is not None else _imported_scheduler(target or ""))
    try:
        serve_dashboard(source, _title_of_store(store) if store else target or f"{config}", port, drain_timeout)
    except (AsynczError, OSError) as error:
        print(f"asyncz dashboard: {exception_text(error, 2000)}", file=sys.stderr)
        raise typer.Exit(EXIT_FAILED) from error


def _title_of_store(url: str) -> str:
    try:
        return console_of_url(url).description
    except InvalidInputError as error:
        raise typer.BadParameter(printable(f"{error}"), param_hint="--store") from error


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="A TOML file for `asyncz run --config`.")],
    json: Annotated[bool, typer.Option("--json", help="Print the problems as JSON.")] = False,
) -> None:
    """Report all problems of a configuration, without running it.

    The modules that the file names are imported, so that their code at module
    level runs.

    Exit status: 0 if it is valid, 1 if it has problems, 2 for wrong arguments.
    """
    add_current_folder()
    problems: tuple[ConfigurationProblem, ...] = ()
    valid = ""
    try:
        with redirect_stdout(sys.stderr):  # the output of imported modules
            state = AsyncIOScheduler.from_config(file).state
        valid = f"{file} is valid: {len(state.tasks)} task(s) on {len(state.executors)} executor(s)"
    except ConfigurationError as error:
        problems = error.problems
    if json:
        records = [{"key": problem.key, **attrs.asdict(problem)} for problem in problems]
        print_json(records)
    elif valid:
        print(printable(valid))
    for problem in () if json else problems:
        print(printable(str(problem), 2000), file=sys.stderr)
    raise typer.Exit(EXIT_FAILED if problems else 0)


@app.command()
def schema() -> None:
    """Print the JSON Schema of the configuration, for editors."""
    print_json({"$schema": SCHEMA_DIALECT, **SchedulerConfig.model_json_schema()})


def _imported_scheduler(target: str) -> AsyncIOScheduler:
    scheduler = import_target(target)
    if not isinstance(scheduler, AsyncIOScheduler):
        raise bad_target(target, f"is of the type {type(scheduler).__name__}; an AsyncIOScheduler is needed")
    return scheduler


def _configured(file: Path) -> AsyncIOScheduler:
    add_current_folder()
    try:
        return AsyncIOScheduler.from_config(file)
    except ConfigurationError as error:
        for line in str(error).splitlines():
            print(printable(line, 2000), file=sys.stderr)
        raise typer.Exit(EXIT_FAILED) from error


@app.command()
def verify(
    target: Annotated[
        str,
        typer.Argument(
            help="The class of an executor, trigger or store, a function that makes one, a trigger or a suite, as"
            " module:name."
        ),
    ],
    inline: Annotated[bool, typer.Option("--inline", help="The executor runs functions inside submit.")] = False,
    other_process: Annotated[
        bool, typer.Option("--other-process", help="Functions are pickled and run in another process.")
    ] = False,
    no_time_limits: Annotated[
        bool, typer.Option("--no-time-limits", help="The executor does not enforce the timeout of a task.")
    ] = False,
    no_progress: Annotated[
        bool, typer.Option("--no-progress", help="The executor does not pass on the progress of functions.")
    ] = False,
    no_signals: Annotated[
        bool, typer.Option("--no-signals", help="A function cannot ask if its run is cancelled.")
    ] = False,
    hang_timeout: Annotated[
        float | None, typer.Option(min=0.1, max=3600, help="Seconds after which a check counts as hanging.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="List every rule.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Verify a custom executor, trigger or store: its types with mypy, and every rule of its protocol.

    The target is imported and called, with a clock as `now` if it makes a
    store: each call has to return a new, empty one. Set MYPY_CACHE_DIR to keep mypy's cache
    between calls.

    Exit status: 0 if no rule is broken, 1 if one is, 2 for wrong arguments.
    """
    declared = Declarations(
        runs_inline=inline,
        runs_in_another_process=other_process,
        limits_time=not no_time_limits,
        reports_progress=not no_progress,
        signals_cancellation=not no_signals,
        hang_timeout=hang_timeout,
    )
    raise typer.Exit(verify_target(target, declared, json_report=json, verbose=verbose))


@app.command()
def preview(
    trigger: Annotated[
        str,
        typer.Argument(help="A cron expression, the alias of a trigger such as interval, or a trigger as module:name."),
    ],
    options: Annotated[
        list[str] | None, typer.Argument(help="The options of an alias, such as months=1 hour=9.", metavar="NAME=VALUE")
    ] = None,
    timezone: Annotated[
        str, typer.Option("--tz", help="An IANA time zone, or local for the zone of this machine.")
    ] = "UTC",
    count: Annotated[int, typer.Option("-n", "--count", min=1, max=MAX_COUNT, help="Number of due times.")] = 10,
    start: Annotated[
        str | None, typer.Option("--from", help="The time at which the task is added; by default now.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the due times as JSON.")] = False,
) -> None:
    """Show the due times of a trigger: in a time zone, in UTC, and the time between them.

    Examples: preview "*/5 * * * *" — preview interval minutes=5 — preview
    calendar months=1 start_date=2030-01-31
    """
    preview_trigger(trigger, options or [], timezone, count, start, json_report=json)


remote.register(app)
