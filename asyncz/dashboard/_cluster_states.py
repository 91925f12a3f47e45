"""States of the dashboard from records of a store, without the code of the program that wrote them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache

from pydantic import JsonValue, TypeAdapter, ValidationError

from asyncz._text import printable, raw_value_text, value_text
from asyncz.dashboard._redaction import Redactor
from asyncz.dashboard._runs import outcome_of
from asyncz.dashboard._timelines import limits_as_arguments
from asyncz.dashboard.states import Argument
from asyncz.exceptions import AsynczError
from asyncz.protocols import Trigger
from asyncz.states import RunSummary, TaskState
from asyncz.stores._calls import STORED_ARGUMENTS
from asyncz.stores._limits import decode_limits
from asyncz.stores._triggers import decode_trigger
from asyncz.stores.codecs import codec_of_result
from asyncz.stores.records import RunRecord, TaskRecord

_MAX_SHOWN = 10_000
_JSON: TypeAdapter[JsonValue] = TypeAdapter(JsonValue)
_BUILT_IN = frozenset({"and", "calendar", "cron", "date", "interval", "or"})


@lru_cache(maxsize=4096)
def trigger_of(text: str | None) -> Trigger | None:
    """Return a stored trigger; None if it has none, or if it is not a built-in one, whose module is not imported."""
    try:
        if text is not None and not _is_built_in(_JSON.validate_json(text)):
            return None
        return decode_trigger("", text)
    except (AsynczError, ValueError):
        return None


def _is_built_in(config: JsonValue) -> bool:
    if isinstance(config, list):
        return all(_is_built_in(each) for each in config)
    if not isinstance(config, dict):
        return True
    inner = (each for each in config.values() if isinstance(each, (list, dict)))
    kind = config.get("type", "")
    return isinstance(kind, str) and kind in _BUILT_IN and all(_is_built_in(each) for each in inner)


def trigger_text(text: str | None) -> str:
    """Return the description of a stored trigger; empty if the task runs on demand only."""
    if text is None:
        return ""
    trigger = trigger_of(text)
    return printable(text) if trigger is None else printable(f"{trigger}")


def due_times(task: TaskRecord, limit: int) -> tuple[datetime, ...]:
    """Return the next due times of a stored task, at most `limit`."""
    trigger, due = trigger_of(task.trigger), task.next_due
    if task.state != "active" or due is None:
        return ()
    found = [due]
    while trigger is not None and len(found) < limit:
        following = trigger.next_due_time(found[-1], found[-1])
        if following is None or following <= found[-1]:
            break
        found.append(following)
    return tuple(found)


def task_state(
    task: TaskRecord, counts: Mapping[str, int], recent: Sequence[RunRecord], redactor: Redactor
) -> TaskState:
    """Return the state of a stored task.

    Args:
        task: Record of the task.
        counts: Number of its runs by state, among the last stored ones.
        recent: Last runs with an outcome, newest first.
        redactor: Redaction of errors.
    """
    running = counts.get("running", 0)
    return TaskState(
        task_id=task.id,
        function=task.function,
        trigger=trigger_text(task.trigger) if task.upstream is None else printable(f"after {task.upstream!r}"),
        executor=task.executor,
        paused=task.paused,
        next_run_at=task.next_due if task.state == "active" else None,
        running=running,
        backlog=counts.get("waiting", 0),
        submitted=sum(counts.values()) - counts.get("waiting", 0),
        executed=counts.get("executed", 0),
        errors=counts.get("error", 0),
        missed=counts.get("missed", 0),
        cancelled=counts.get("cancelled", 0),
        recent_runs=tuple(_summary(run, redactor) for run in reversed(recent)),
    )


def _summary(run: RunRecord, redactor: Redactor) -> RunSummary:
    return RunSummary(
        run_id=run.id,
        task_id=run.task_id,
        outcome=outcome_of(run.state),
        attempt=run.attempt,
        scheduled_at=run.scheduled_at,
        started_at=run.started_at,
        finished_at=run.finished_at,
        error=redactor("error", run.task_id, run.error),
    )


def arguments_of(text: str, redactor: Redactor) -> tuple[Argument, ...]:
    """Return the stored arguments of a task; positional ones are named by their positions."""
    try:
        stored = STORED_ARGUMENTS.validate_json(text)
    except ValueError:
        return ()
    if "codec" in stored:
        return (Argument(name="arguments", value=_encoded_by(stored["codec"])),)
    return tuple(
        Argument(name=name, value=redactor("argument", name, raw_value_text(value, _MAX_SHOWN)))
        for name, value in _named(stored["args"], stored["kwargs"])
    )


class ArgumentSearch:
    """Search in stored arguments as they are shown, so that no search finds a secret.

    Args:
        redactor: Redaction of arguments.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        # Redaction takes longer than all the rest: a further search uses the texts again.
        self._texts = lru_cache(maxsize=20_000)(self._texts_of)

    def __call__(self, arguments: str, search: str) -> bool:
        """Return True if an argument contains a text in lower case."""
        # Such a text is the same in JSON: most tasks are not looked at further.
        if search.isascii() and search.isalnum() and search not in arguments.casefold():
            return False
        given, shown = self._texts(arguments)
        return any(search in text for text in given) and any(search in text for text in shown)

    def _texts_of(self, arguments: str) -> tuple[Sequence[str], Sequence[str]]:
        """Return the texts of arguments in lower case: as they are, and as they are shown."""
        try:
            stored = STORED_ARGUMENTS.validate_json(arguments)
        except ValueError:
            return (), ()
        values = () if "codec" in stored else _named(stored["args"], stored["kwargs"])
        given = [value_text(value, _MAX_SHOWN).casefold() for _, value in values]
        return given, [argument.value.casefold() for argument in arguments_of(arguments, self._redactor)]


def result_text(run: RunRecord | None, redactor: Redactor) -> str | None:
    """Return the result of a stored run as it is shown; None if it has none."""
    if run is None or run.result is None:
        return None
    codec = codec_of_result(run.result)
    return redactor("result", run.task_id, run.result) if codec is None else _encoded_by(codec)


def _encoded_by(codec: str) -> str:
    return printable(f"encoded by the codec {codec!r}", 100)


def _named(args: Sequence[JsonValue], kwargs: Mapping[str, JsonValue]) -> Iterable[tuple[str, JsonValue]]:
    yield from ((f"{number}", value) for number, value in enumerate(args, start=1))
    yield from kwargs.items()


def options_of(task: TaskRecord) -> tuple[Argument, ...]:
    """Return the stored options of a task, and why it is not fired."""
    try:
        limits = decode_limits(task.id, task.options, ())
    except (AsynczError, ValidationError):
        return (Argument(name="options", value=printable(task.options)), *_state_of(task))
    return (*limits_as_arguments(limits), *_state_of(task))


def _state_of(task: TaskRecord) -> tuple[Argument, ...]:
    found = [Argument(name="app_version", value=f"{task.app_version}")]
    if task.state != "active":
        found.append(Argument(name="state", value=f"{task.state}: {task.problem}" if task.problem else task.state))
    return tuple(found)
