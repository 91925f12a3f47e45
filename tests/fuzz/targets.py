"""Targets of the fuzz test: hostile data ends in an `AsynczError`, and nothing raw reaches a terminal."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given, settings, strategies as st
from typer.testing import CliRunner
from typing_extensions import TypeVarTuple, Unpack

from asyncz import (
    AsyncIOScheduler,
    AsynczError,
    CronTrigger,
    Retry,
    RunDetails,
    TaskError,
    TaskExecuted,
    TaskLimits,
    create_executor,
    create_trigger,
)
from asyncz.cli._events import as_line, fields_of
from asyncz.cli._output import json_text
from asyncz.cli.app import app
from asyncz.executors.process_pool import _frames
from asyncz.executors.process_pool._frames import FrameError, FrameReader
from tests.helpers.untyped import call_untyped

Ts = TypeVarTuple("Ts")

LONGEST_SECONDS = 10.0
"""Watchdog of one example."""

_MAX_MESSAGE = 200_000
_NOW = datetime(2026, 5, 5, 12, tzinfo=UTC)

_SPECIAL = (
    "\x1b]52;c;aGk=\x07",
    "\x1b[2J",
    "\x9b31m",
    "\x7f",
    "\u202e",
    "\ud800",
    "[link=http://x]y[/link]",
    "[/x]",
    "a\0b",
    "x" * 5000,
    "os:system",
    "builtins:print",
    "*/90 * * * *",
    "L-3 ? 15W",
    "9" * 400,
    "UTC+3",
    "../../etc/passwd",
)
texts = st.sampled_from(_SPECIAL) | st.text(max_size=40) | st.text(st.characters(codec=None), max_size=20)
numbers = (
    st.integers(-3, 100)
    | st.integers()
    | st.sampled_from([10**400, -(10**400), 2**63, 1 << 31, 86_400_000_000_000])
    | st.floats()
)
scalars = st.none() | st.booleans() | numbers | texts | st.dates() | st.datetimes() | st.times()
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)

_TASK_KEYS = (
    "args",
    "kwargs",
    "trigger",
    "executor",
    "timeout",
    "max_instances",
    "misfire_grace_time",
    "coalesce",
    "retry",
    "overlap",
    "paused",
)
_TRIGGER_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "interval": ("weeks", "days", "hours", "minutes", "seconds", "start_at", "end_at", "timezone", "jitter"),
    "cron": ("expression", "start_at", "end_at", "timezone", "jitter"),
    "calendar": ("years", "months", "weeks", "days", "hour", "minute", "second", "start_date", "end_date", "timezone"),
    "date": ("run_at", "timezone"),
    "and": ("triggers", "jitter"),
    "or": ("triggers", "jitter"),
}
_EXECUTOR_OPTIONS = ("max_workers", "max_queue", "cancel_futures", "overwrite_wait", "pool_kwargs")


_LIMITS = ("timeout", "max_instances", "misfire_grace_time", "coalesce", "retry", "overlap")


def _known(names: tuple[str, ...]) -> st.SearchStrategy[dict[str, object]]:
    return st.dictionaries(st.sampled_from(names), values, max_size=4)


def _options(names: tuple[str, ...]) -> st.SearchStrategy[dict[str, object]]:
    return st.dictionaries(st.sampled_from(names) | texts, values, max_size=4)


_triggers = st.sampled_from(tuple(_TRIGGER_OPTIONS)).flatmap(
    lambda alias: _options(_TRIGGER_OPTIONS[alias]).map(lambda options: (alias, options))
)
_tables = st.fixed_dictionaries(
    {},
    optional={
        "tasks": values
        | st.dictionaries(
            texts,
            st.builds(
                lambda options, trigger: {
                    "call": "builtins:abs",
                    **options,
                    "trigger": {"type": trigger[0], **trigger[1]},
                },
                _options(_TASK_KEYS),
                _triggers,
            )
            | _options(_TASK_KEYS),
            max_size=3,
        ),
        "executors": values | st.dictionaries(texts, _options((*_EXECUTOR_OPTIONS, "type")) | values, max_size=2),
        "defaults": values | _options(_TASK_KEYS),
    },
)


def _check_text(text: str) -> None:
    assert len(text) < _MAX_MESSAGE
    raw = {each for each in text if not each.isprintable() and each != "\n"}
    assert not raw, f"raw characters: {sorted(map(ascii, raw))}"


@contextlib.contextmanager
def _only_library_errors() -> Iterator[None]:
    began = time.monotonic()
    try:
        yield
    except AsynczError as error:
        text = str(error)
        assert len(text) < _MAX_MESSAGE
    assert time.monotonic() - began < LONGEST_SECONDS


def configuration(data: dict[str, object]) -> None:
    """Load data as a configuration."""
    with _only_library_errors():
        AsyncIOScheduler.from_config(data)


def configuration_file(content: bytes) -> None:
    """Load and check a file with any content."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "asyncz.toml"
        path.write_bytes(content)
        with _only_library_errors():
            AsyncIOScheduler.from_config(path)
        _run_command("check", str(path))


def triggers(alias_and_options: tuple[str, dict[str, object]]) -> None:
    """Create a trigger and ask it for due times."""
    alias, options = alias_and_options
    with _only_library_errors():
        trigger = create_trigger(alias, **options)
        due = trigger.next_due_time(None, _NOW)
        for _ in range(3):
            if due is not None:
                due = trigger.next_due_time(due, _NOW)


def cron_expression(expression: str, zone: str) -> None:
    """Create a cron trigger of any text."""
    with _only_library_errors():
        CronTrigger(expression, timezone=zone).next_due_time(None, _NOW)


def executors(alias: str, options: dict[str, object]) -> None:
    """Create an executor with any options."""
    with _only_library_errors():
        create_executor(alias, **options)


def limits(options: dict[str, object], retry: dict[str, object]) -> None:
    """Create limits and retry policies of any values."""
    for make, arguments in ((TaskLimits, options), (Retry, {"attempts": 2, **retry})):
        with _only_library_errors():
            call_untyped(make, **arguments)


class _TextError(Exception):
    """Error of any text."""


def events(task_id: str, result: object, text: str) -> None:
    """Print events of any ids, results and texts."""
    outcomes = (
        TaskExecuted(task_id, result, RunDetails()),
        TaskError(task_id, _TextError(text), traceback=text, details=RunDetails()),
    )
    for outcome in outcomes:
        fields = fields_of(outcome)
        for line in (as_line(fields), json_text(fields)):
            _check_text(line)
            assert "\n" not in line


def ids(task_id: object) -> None:
    """Add a task with any id, and read the state."""
    add = AsyncIOScheduler().add_task
    with _only_library_errors():
        call_untyped(add, abs, -1, id=task_id)


def command_line(arguments: list[str]) -> None:
    """Run `asyncz preview` with any arguments."""
    _run_command("preview", *arguments)


def _run_command(*arguments: str) -> None:
    began = time.monotonic()
    # A surrogate cannot be an argument of a program.
    encodable = [each.encode("utf-8", "replace").decode() for each in arguments]
    result = CliRunner().invoke(app, encodable)
    assert result.exception is None or isinstance(result.exception, SystemExit), (arguments, result.exception)
    assert result.exit_code in {0, 1, 2}
    _check_text(result.output)
    assert time.monotonic() - began < LONGEST_SECONDS


def frames(chunks: list[bytes], kind: int, length: int) -> None:
    """Parse bytes that are not frames, or frames whose length is a lie."""
    secret = b"8 bytes."

    def check(_: int, __: int, size: int) -> None:
        if size > 1 << 16:
            raise FrameError("too long")

    reader = FrameReader(secret, check)
    content = sum(map(len, chunks))
    with contextlib.suppress(FrameError):
        for chunk in (_frames.frame_header(secret, kind, 1, length), *chunks):
            received = sum(len(part) for _, _, part in reader.feed(chunk))
            assert received <= content


def _target(
    function: Callable[[Unpack[Ts]], None], *strategies: st.SearchStrategy[object]
) -> Callable[[settings], None]:
    """Return a function that runs a target under some settings of hypothesis."""

    def run(configured: settings) -> None:
        # The strategies give valid arguments.
        configured(given(*strategies)(function))()

    return run


TARGETS: Mapping[str, Callable[[settings], None]] = {
    "configuration": _target(configuration, _tables | st.dictionaries(texts, values, max_size=3)),
    "configuration file": _target(
        configuration_file,
        st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "replace")),
    ),
    "triggers": _target(triggers, _triggers),
    "cron": _target(cron_expression, texts | st.from_regex(r"([0-9LW*?/,A-Z-]{1,8} ){4,5}[0-9LW*?/#-]{1,4}"), texts),
    "executors": _target(
        executors,
        st.sampled_from(["threadpool", "processpool", "dask", "asyncio"]) | texts,
        _options(_EXECUTOR_OPTIONS),
    ),
    "limits": _target(limits, _known(_LIMITS), _known(("delay", "backoff", "max_delay", "jitter", "on"))),
    "events": _target(events, texts, values, texts),
    "ids": _target(ids, values),
    "command line": _target(
        command_line,
        st.lists(texts | st.sampled_from(["--tz", "-n", "--from", "--json", "interval", "cron", "minutes=5"])),
    ),
    "frames": _target(
        frames,
        st.lists(st.binary(max_size=100), max_size=5),
        st.integers(0, 255),
        st.integers(0, (1 << 64) - 1),
    ),
}
"""Functions that run a target, by its name."""
