"""Commands for running schedulers, through the JSON API of a dashboard or through their store."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Final, Literal, TypeAlias

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text
from typing_extensions import TypeVar

from asyncz._run_ids import parsed_run_id
from asyncz._text import printable
from asyncz.cli._client import ApiClient, RemoteClient, RemoteCommandError
from asyncz.cli._live_table import duration_text
from asyncz.cli._output import EXIT_FAILED, error_text, state_text
from asyncz.cli._trigger_options import trigger_body
from asyncz.dashboard.states import (
    ActionFailure,
    ActionName,
    ActionReport,
    Attempt,
    Run,
    RunDetail,
    RunPage,
    SchedulerInfo,
    TaskDetail,
    TaskPage,
)
from asyncz.exceptions import AsynczError, InvalidInputError
from asyncz.states import RunProgress, TaskState

ResultT = TypeVar("ResultT")

_NOT_FOUND: Final = 404

Address: TypeAlias = Annotated[
    str,
    typer.Argument(
        help="Address of a dashboard, or a store: sqlite:///path or postgresql://user@host/database.", metavar="URL"
    ),
]
# Only where no other argument follows: else the first task would be read as the URL.
AddressOrStore: TypeAlias = Annotated[
    str,
    typer.Argument(
        envvar="ASYNCZ_STORE",
        help="Address of a dashboard, or a store: sqlite:///path or postgresql://user@host/database.",
        show_default=False,
        metavar="URL",
    ),
]
Ids: TypeAlias = Annotated[list[str], typer.Argument(help="Ids of the tasks.", metavar="TASK...")]
OptionalIds: TypeAlias = Annotated[list[str] | None, typer.Argument(help="Ids of the tasks.", metavar="[TASK]...")]
Everything: TypeAlias = Annotated[
    bool, typer.Option("--all", help="The scheduler itself, or with a store all schedulers, instead of tasks.")
]
Headers: TypeAlias = Annotated[
    list[str] | None, typer.Option("--header", help="A header of each request, such as 'X-Key: value'.")
]
Insecure: TypeAlias = Annotated[
    bool, typer.Option("--insecure", help="Send the token to another machine without encryption.")
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON document, also for an error.")]
AsLines: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print JSON lines: one for each run or update, and for an error.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for name, command in (
        ("ps", ps),
        ("run-now", run_now),
        ("pause", pause),
        ("resume", resume),
        ("cancel", cancel),
        ("reschedule", reschedule),
        ("remove", remove),
        ("logs", logs),
        ("top", top),
    ):
        app.command(name)(command)


def ps(
    url: AddressOrStore,
    search: Annotated[str, typer.Option(help="A text that the id, function or executor contains.")] = "",
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, help="Maximum number of tasks.")] = 200,
    *,
    json: AsJson = False,
    header: Headers = None,
    insecure: Insecure = False,
) -> None:
    """List the tasks of a running scheduler, or of all schedulers that use a store.

    Exit status: 0, or 1 if the dashboard cannot be read.
    """
    client = _client(url, header, insecure)
    page = _guarded(lambda: _first_tasks(client, search, limit), json)
    if json:
        print(state_text(page, indent=2))
        return
    _console().print(_task_table(page.tasks))
    info = _guarded(lambda: client.get("info", SchedulerInfo), json)
    if info.status == "paused" or info.paused_nodes:
        print(f"paused: {_nodes_text(info) if info.scope == 'cluster' else 'the scheduler'}")
    if page.next_key is not None:
        message = f"the first {len(page.tasks)} of {page.matching} tasks; pass --limit for more, or --search"
        print(message, file=sys.stderr)


def _nodes_text(info: SchedulerInfo) -> str:
    paused = f" ({info.paused_nodes} paused)" if info.paused_nodes else ""
    return f"{info.nodes} node{'' if info.nodes == 1 else 's'}{paused}"


def _first_tasks(client: RemoteClient, search: str, limit: int) -> TaskPage:
    """Return the first tasks as one page, with the counts of all tasks."""
    found: list[TaskState] = []
    after: str | None = None
    while True:
        page = client.get("tasks", TaskPage, search=search, after=after, limit=min(200, limit - len(found)))
        found += page.tasks
        after = page.next_key
        if after is None or len(found) >= limit:
            return page.model_copy(update={"tasks": tuple(found)})


def run_now(url: Address, tasks: Ids, json: AsJson = False, header: Headers = None, insecure: Insecure = False) -> None:
    """Make tasks due once, now.

    Exit status: 0, or 1 if it failed for a task.
    """
    _act("run", _client(url, header, insecure), tasks, json)


def pause(
    url: Address,
    tasks: OptionalIds = None,
    *,
    everything: Everything = False,
    json: AsJson = False,
    header: Headers = None,
    insecure: Insecure = False,
) -> None:
    """Pause the schedules of tasks, or a scheduler with --all.

    Exit status: 0, or 1 if it failed for a task.
    """
    _pause("pause", _client(url, header, insecure), tasks or [], everything, json)


def resume(
    url: Address,
    tasks: OptionalIds = None,
    *,
    everything: Everything = False,
    json: AsJson = False,
    header: Headers = None,
    insecure: Insecure = False,
) -> None:
    """Resume the schedules of tasks, or a scheduler with --all.

    Exit status: 0, or 1 if it failed for a task.
    """
    _pause("resume", _client(url, header, insecure), tasks or [], everything, json)


def _pause(
    action: Literal["pause", "resume"], client: RemoteClient, tasks: list[str], everything: bool, json: bool
) -> None:
    if everything == bool(tasks):
        raise typer.BadParameter("name tasks, or pass --all", param_hint="TASK")
    if everything:
        _report(_guarded(lambda: client.post("scheduler", ActionReport, {"action": action}), json), action, json)
    else:
        _act(action, client, tasks, json)


def cancel(
    url: Address,
    tasks: OptionalIds = None,
    *,
    run: Annotated[
        str | None, typer.Option(help="Id of one run, as `asyncz logs` shows it, instead of tasks.", metavar="RUN")
    ] = None,
    json: AsJson = False,
    header: Headers = None,
    insecure: Insecure = False,
) -> None:
    """Cancel the runs of tasks, or one run, as far as their executors can.

    Exit status: 0, or 1 if it failed for a task, such as one without a run in progress or waiting.
    """
    if (run is None) == (not tasks):
        raise typer.BadParameter("name tasks, or pass --run RUN", param_hint="TASK")
    client = _client(url, header, insecure)
    if run is None:
        _act("cancel", client, tasks or [], json)
        return
    run_id = parsed_run_id(run)
    if run_id is None:
        message = f"{run!r} is not the id of a run; `asyncz logs` shows the ids"
        raise typer.BadParameter(printable(message), param_hint="--run")
    body = {"run_id": f"{run_id}"}
    _report(_guarded(lambda: client.post("cancel-run", ActionReport, body), json), "cancel run", json)


def reschedule(
    url: Address,
    tasks: Ids,
    *,
    every: Annotated[str | None, typer.Option(help="Interval, such as 90s, 15m, 12h or 1d.")] = None,
    cron: Annotated[str | None, typer.Option(help="Cron expression, such as '30 2 * * *'.")] = None,
    at: Annotated[str | None, typer.Option(help="The only due time, such as 2030-01-31T12:00.")] = None,
    on_demand: Annotated[bool, typer.Option("--on-demand", help="No due times.")] = False,
    timezone: Annotated[
        str, typer.Option("--tz", help="Time zone of --cron and --at: an IANA name, or local.")
    ] = "UTC",
    json: AsJson = False,
    header: Headers = None,
    insecure: Insecure = False,
) -> None:
    """Give tasks another trigger: in a store until the program declares another one, else until the scheduler ends.

    Exit status: 0, or 1 if it failed for a task.
    """
    trigger = _guarded(lambda: trigger_body(every, cron, at, timezone, on_demand=on_demand), json)
    _act("reschedule", _client(url, header, insecure), tasks, json, trigger)


def remove(url: Address, tasks: Ids, json: AsJson = False, header: Headers = None, insecure: Insecure = False) -> None:
    """Remove tasks, and the tasks after them in a chain when their runs have ended.

    A program that starts adds its tasks again.

    Exit status: 0, or 1 if it failed for a task.
    """
    _act("remove", _client(url, header, insecure), tasks, json)


def logs(
    url: Address,
    task: Annotated[str, typer.Argument(help="Id of the task, or of one run.")],
    limit: Annotated[int, typer.Option("-n", "--runs", min=1, max=200, help="Maximum number of runs.")] = 5,
    *,
    json: AsLines = False,
    header: Headers = None,
    insecure: Insecure = False,
) -> None:
    """Show the last runs of a task, each with its failed attempts, progress, log records and error, the newest last.

    Exit status: 0, or 1 if the dashboard cannot be read or does not know the task.
    """
    client = _client(url, header, insecure)
    details = _guarded(lambda: _details(client, task, limit), json)
    if not details:
        print(printable(f"the task {task!r} has no runs"), file=sys.stderr)
    for detail in details:
        if json:
            print(state_text(detail))
        else:
            _print_run(detail)


def _details(client: RemoteClient, name: str, limit: int) -> list[RunDetail]:
    """Return the last runs of a task, or one run, by its id.

    Raises:
        RemoteCommandError: Neither a task nor a run with the id is known, or the dashboard cannot be read.
    """
    runs = client.get("runs", RunPage, task=name, limit=limit).runs
    if runs:
        return [client.get("run", RunDetail, id=f"{run.run_id}") for run in reversed(runs)]
    run_id = parsed_run_id(name)
    try:
        if run_id is not None:
            return [client.get("run", RunDetail, id=f"{run_id}")]
        _ = client.get("task", TaskDetail, id=name)
    except RemoteCommandError as error:
        if error.status != _NOT_FOUND:
            raise
        raise RemoteCommandError(f"no task or run with the id {name!r} is known; `asyncz ps` lists the tasks") from None
    return []


def top(
    url: AddressOrStore,
    interval: Annotated[float, typer.Option(min=0.2, help="Seconds between two updates.")] = 2.0,
    updates: Annotated[int | None, typer.Option(min=1, help="Number of updates; by default until Ctrl-C.")] = None,
    *,
    json: AsLines = False,
    header: Headers = None,
    insecure: Insecure = False,
) -> None:
    """Show a live table of the running tasks, and of those that are due next.

    Exit status: 0, 130 after Ctrl-C, or 1 if the dashboard cannot be read.
    """
    client = _client(url, header, insecure)
    if json:
        _repeat(updates, interval, lambda: print(state_text(_top_page(client))), json)
        return
    with Live(console=_console(), auto_refresh=False) as live:
        _repeat(updates, interval, lambda: live.update(_screen(client, live.console.height), refresh=True), json)


def _repeat(updates: int | None, interval: float, update: Callable[[], object], json: bool) -> None:
    done = 0
    while True:
        _guarded(update, json)
        done += 1
        if done == updates:
            return
        time.sleep(interval)


def _top_page(client: RemoteClient, limit: int = 50) -> TaskPage:
    running = client.get("tasks", TaskPage, filter="running", limit=limit)
    coming = client.get("tasks", TaskPage, filter="scheduled", order="next", limit=limit)
    known = {task.task_id for task in running.tasks}
    tasks = (*running.tasks, *(task for task in coming.tasks if task.task_id not in known))
    return TaskPage(tasks=tasks[:limit], total=coming.total, matching=len(tasks[:limit]))


def _screen(client: RemoteClient, height: int) -> Table:
    info = client.get("info", SchedulerInfo)
    table = _task_table(_top_page(client, max(1, min(200, height - 6))).tasks)
    where = _nodes_text(info) if info.scope == "cluster" else f"process {info.pid} on {info.host}"
    table.title = printable(f"{info.title}: {info.status}, {info.tasks} tasks, {where}")
    return table


# Output


def _task_table(tasks: Sequence[TaskState]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("TASK", "STATE", "NEXT", "LAST", "RUNS", "ERRORS", "TRIGGER"):
        table.add_column(name, overflow="fold", justify="right" if name in {"RUNS", "ERRORS"} else "left")
    for task in tasks:
        last = task.recent_runs[-1].outcome if task.recent_runs else None
        cells = (
            printable(task.task_id),
            _state_text(task),
            f"{task.next_run_at:%Y-%m-%d %H:%M:%S}" if task.next_run_at is not None and not task.paused else "-",
            last or "-",
            f"{task.submitted}",
            f"{task.errors}",
            printable(task.trigger) or "on demand",
        )
        table.add_row(*(Text(cell) for cell in cells), style="red" if last == "error" else None)
    return table


def _state_text(task: TaskState) -> str:
    running = f"running {task.running}" if task.running else ""
    idle = "" if running else "scheduled" if task.next_run_at is not None else "idle"
    return ", ".join(part for part in (running, "paused" if task.paused else idle) if part)


def _print_run(detail: RunDetail) -> None:
    print(printable(_run_text(detail.run)))
    if detail.attempts_dropped:
        print(f"  {detail.attempts_dropped} older failed attempts were dropped")
    for attempt in detail.attempts:
        print(printable(f"  {_attempt_text(attempt)}", 2000))
    if detail.progress is not None:
        print(printable(f"  {_progress_text(detail.progress)}", 2000))
    for line in detail.logs:
        print(printable(f"  {line.at:%H:%M:%S} {line.level} {line.logger}: {line.message}", 2000))
    failure = detail.traceback or detail.run.error
    for text in failure.splitlines():
        print(printable(f"  {text}", 2000))


def _run_text(run: Run) -> str:
    due = "" if run.scheduled_at is None else f", due {run.scheduled_at:%Y-%m-%d %H:%M:%S} UTC"
    took = "" if run.duration is None else f" in {duration_text(run.duration)}"
    state = "waiting for a node" if run.state == "waiting" else run.outcome or "in progress"
    return f"run {run.run_id}: {state}{took}{due}"


def _attempt_text(attempt: Attempt) -> str:
    failed = "" if attempt.finished_at is None else f" at {attempt.finished_at:%H:%M:%S}"
    return f"attempt {attempt.attempt} failed{failed}: {attempt.error}; retry after {duration_text(attempt.delay)}"


def _progress_text(progress: RunProgress) -> str:
    total = "" if progress.total is None else f" of {progress.total:g}"
    percent = "" if progress.fraction is None else f" ({progress.fraction:.0%})"
    message = f": {progress.message}" if progress.message else ""
    return f"progress {progress.done:g}{total}{percent}{message}"


def _act(
    action: ActionName, client: RemoteClient, tasks: list[str], json: bool, trigger: Mapping[str, object] | None = None
) -> None:
    body = {"action": action, "task_ids": tasks, "trigger": trigger}
    _report(_guarded(lambda: client.post("actions", ActionReport, body), json), action, json)


def _report(report: ActionReport, action: str, json: bool) -> None:
    details = {each.id: f": {each.text}" for each in report.details if each.text}
    if json:
        print(state_text(report, indent=2))
    else:
        for task_id in report.done:
            print(printable(f"{task_id}: {action}{details.get(task_id, '')}", 2000))
        for failure in report.failed:
            print(printable(f"{failure.task_id or 'asyncz'}: {failure.message}", 2000), file=sys.stderr)
    if report.failed:
        raise typer.Exit(EXIT_FAILED)


def _console() -> Console:
    return Console(markup=False, emoji=False, highlight=False)


def _client(url: str, headers: list[str] | None, insecure: bool) -> RemoteClient:
    given = dict[str, str]()
    for header in headers or ():
        name, colon, value = header.partition(":")
        if not colon or not name.strip() or not _is_printable_ascii(name + value):
            raise typer.BadParameter("write a header like 'X-Key: value'", param_hint="--header")
        given[name.strip()] = value.strip()
    try:
        # A URL with a driver, such as postgresql+psycopg://, is one of a store, too: its error names the right one.
        if url.partition(":")[0].partition("+")[0] in {"sqlite", "postgresql", "postgres"} and ":" in url:
            from asyncz.cli._store_client import StoreClient

            return StoreClient(url)
        return ApiClient(url, given, insecure=insecure)
    except (RemoteCommandError, InvalidInputError) as error:
        raise typer.BadParameter(printable(f"{error}"), param_hint="URL") from error


def _is_printable_ascii(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _guarded(call: Callable[[], ResultT], json: bool) -> ResultT:
    """Return the result of a call; end the command with a message, or a line of JSON, if the call fails."""
    try:
        return call()
    except AsynczError as error:
        if json:
            failure = ActionFailure(task_id="", message=error_text(error))
            print(state_text(ActionReport(failed=(failure,))))
        else:
            print(f"asyncz: {error_text(error)}", file=sys.stderr)
        raise typer.Exit(EXIT_FAILED) from error
