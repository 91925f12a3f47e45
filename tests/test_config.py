"""A scheduler from a configuration: what it says comes true, and all that is wrong in it is told with its place."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import NamedTuple

import attrs
import jsonschema_rs
import pytest
from hypothesis import given, settings, strategies as st

from asyncz import (
    AndTrigger,
    AsyncIOScheduler,
    CalendarIntervalTrigger,
    ConfigurationError,
    ConfigurationProblem,
    CronTrigger,
    DateTrigger,
    IntervalTrigger,
    InvalidInputError,
    LimitsConfig,
    OrTrigger,
    Retry,
    RetryConfig,
    SchedulerConfig,
    TaskError,
    TaskLimits,
    TaskTimeoutError,
    plugins,
)
from asyncz.config import TaskConfig
from asyncz.config._toml_positions import Path as TomlPath, find_positions
from asyncz.config.models import BUILTIN_EXECUTOR_CONFIGS, BUILTIN_TRIGGER_CONFIGS
from asyncz.testing import FakeClock

EXAMPLES = Path(__file__).parent / "examples"
MODULE = """
raise_it = lambda: None
number = 3

def clean(folder: str, *, older_than: float = 3600) -> int:
    return len(folder)

class Kind:
    @staticmethod
    def make(name: str) -> str:
        return name.upper()

class Named:
    def __init__(self, name):
        self.name = name

def outer():
    def inner():
        return 1
    return inner

inner = outer()
"""


@pytest.fixture(autouse=True)
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A module that configurations name, and others that cannot be imported."""
    (tmp_path / "some_jobs.py").write_text(MODULE)
    (tmp_path / "leaving_jobs.py").write_text("raise SystemExit(3)\n")
    (tmp_path / "broken_jobs.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(EXAMPLES)
    yield
    for name in ("some_jobs", "jobs"):
        sys.modules.pop(name, None)


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Path]:
    """A configuration as a file."""

    def write(text: str) -> Path:
        path = tmp_path / "asyncz.toml"
        path.write_text(text)
        return path

    return write


def problems_of(source: Path | dict[str, object]) -> tuple[ConfigurationProblem, ...]:
    with pytest.raises(ConfigurationError) as caught:
        AsyncIOScheduler.from_config(source)
    return caught.value.problems


# What it says comes true


def test_the_example_says_what_the_scheduler_is() -> None:
    scheduler = AsyncIOScheduler.from_config(EXAMPLES / "asyncz.toml")
    state = scheduler.state
    assert state.status == "created"
    assert [task.task_id for task in state.tasks] == ["heartbeat", "clean-up", "checksum", "checksum-on-demand"]
    assert [(task.function, task.executor) for task in state.tasks] == [
        ("jobs:heartbeat", "asyncio"),
        ("jobs:clean_up", "files"),
        ("jobs:checksum", "cpu"),
        ("jobs:checksum", "cpu"),
    ]
    clean_up = scheduler.get_task("clean-up")
    assert (clean_up.limits.timeout, clean_up.limits.coalesce) == (None, False)
    at = clean_up.next_run_at
    assert at is not None
    assert 0 <= (at - datetime(2030, 1, 1, 2, tzinfo=UTC)).total_seconds() <= 300
    on_demand = scheduler.get_task("checksum-on-demand")
    assert (on_demand.next_run_at, on_demand.limits.max_instances) == (None, 2)
    assert on_demand.limits.timeout == 60
    assert on_demand.limits.retry == Retry(attempts=3, delay=0.5, backoff=2, on=(OSError, TaskTimeoutError))


def test_a_configured_scheduler_runs_its_tasks() -> None:
    async def main() -> None:
        config: dict[str, object] = {
            "executors": {"files": {"type": "threadpool", "pool_kwargs": {"thread_name_prefix": "files"}}},
            "tasks": {
                "clean": {
                    "call": "some_jobs:clean",
                    "args": ["abc"],
                    "kwargs": {"older_than": 1.5},
                    "executor": "files",
                },
                "made": {"call": "some_jobs:Kind.make", "args": ["name"], "trigger": {"type": "on_demand"}},
                "held": {"call": "some_jobs:clean", "args": ["abc"], "paused": True},
            },
        }
        async with AsyncIOScheduler.from_config(config) as scheduler:
            assert await scheduler.get_task("clean").result() == 3
            assert await scheduler.get_task("made").run() == "NAME"
            assert scheduler.get_task("held").state.submitted == 0

    asyncio.run(main())


def test_a_task_takes_from_the_defaults_what_it_does_not_say() -> None:
    scheduler = AsyncIOScheduler.from_config(
        {
            "defaults": {"timeout": 5, "max_instances": 3, "coalesce": False, "retry": {"attempts": 2}},
            "tasks": {
                "latest": {"call": "some_jobs:outer", "overlap": "queue_one"},
                "silent": {"call": "some_jobs:outer"},
                "own": {"call": "some_jobs:outer", "timeout": float("inf"), "coalesce": True, "retry": {"attempts": 1}},
            },
        }
    )
    silent, own, latest = (scheduler.get_task(name).limits for name in ("silent", "own", "latest"))
    assert (silent.overlap, own.overlap, latest.overlap) == ("queue_all", "skip", "queue_one")
    assert scheduler.add_task(abs, -1).limits == silent
    assert (silent.timeout, silent.max_instances, silent.coalesce, silent.retry) == (5, 3, False, Retry(attempts=2))
    assert (own.timeout, own.max_instances, own.coalesce, own.retry) == (None, 3, True, Retry(attempts=1))


def test_a_configuration_can_be_typed_data() -> None:
    config = SchedulerConfig(tasks={"one": TaskConfig(call="some_jobs:outer", timeout=3)})
    clock = FakeClock()
    scheduler = AsyncIOScheduler.from_config(config, clock=clock)
    (task,) = scheduler.tasks
    assert (task.id, task.limits.timeout) == ("one", 3)
    assert scheduler.state.tasks[0].next_run_at == datetime.fromtimestamp(clock.now(), UTC)


def test_the_class_of_a_subclass_is_kept() -> None:
    class Own(AsyncIOScheduler):
        """A scheduler with more to it."""

    assert type(Own.from_config({})) is Own


def test_the_options_of_pools_reach_them() -> None:
    scheduler = AsyncIOScheduler.from_config(
        {
            "executors": {
                "threads": {
                    "type": "pool",
                    "max_workers": 1,
                    "max_queue": 5,
                    "pool_kwargs": {"initializer": "builtins:setattr", "initargs": ["not an object that takes one"]},
                },
                "processes": {"type": "processpool", "pool_kwargs": {"mp_context": "spawn", "max_tasks_per_child": 3}},
            },
            "tasks": {"one": {"call": "builtins:abs", "args": [-1], "executor": "threads"}},
        }
    )

    async def main() -> None:
        failures: list[TaskError] = []
        scheduler.subscribe(TaskError, failures.append)
        async with scheduler:
            with pytest.raises(Exception, match="initializer"):
                await scheduler.get_task("one").result()
        assert len(failures) == 1

    asyncio.run(main())
    processes = scheduler._registrations["processes"].executor
    kwargs = getattr(processes, "_pool_kwargs")  # noqa: B009  # what it is cannot be told from outside
    assert kwargs["max_tasks_per_child"] == 3
    assert kwargs["mp_context"].get_start_method() == "spawn"


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entry points as another package would bring them."""
    found = {
        plugins.EXECUTOR_GROUP: EntryPoint("kubernetes", "asyncz.executors:ThreadPoolExecutor", plugins.EXECUTOR_GROUP),
        plugins.TRIGGER_GROUP: EntryPoint("sunset", "asyncz.triggers:IntervalTrigger", plugins.TRIGGER_GROUP),
    }
    monkeypatch.setattr(plugins, "_entry_points", lambda group: {found[group].name: found[group]})


@pytest.mark.usefixtures("others")
@pytest.mark.parametrize("executor", ["kubernetes", "asyncz.executors:ThreadPoolExecutor"])
@pytest.mark.parametrize("trigger", ["sunset", "asyncz.triggers:IntervalTrigger"])
def test_executors_and_triggers_of_others_take_any_options(executor: str, trigger: str) -> None:
    config: dict[str, object] = {
        "executors": {"mine": {"type": executor, "max_workers": 3}},
        "tasks": {
            "one": {"call": "builtins:abs", "args": [-1], "executor": "mine", "trigger": {"type": trigger, "hours": 2}}
        },
    }
    (state,) = AsyncIOScheduler.from_config(config).state.tasks
    assert (state.trigger, state.executor) == (str(IntervalTrigger(hours=2)), "mine")
    jsonschema_rs.validate(SchedulerConfig.model_json_schema(), config)


def test_every_limit_can_be_configured() -> None:
    limits = {name.removeprefix("_") for name in attrs.fields_dict(TaskLimits)}
    assert set(LimitsConfig.model_fields) == limits
    assert set(RetryConfig.model_fields) == set(attrs.fields_dict(Retry))
    assert LimitsConfig().limits() == TaskLimits()


BUILTIN = [
    *((plugins.BUILTIN_EXECUTORS, alias, BUILTIN_EXECUTOR_CONFIGS) for alias in plugins.BUILTIN_EXECUTORS),
    *((plugins.BUILTIN_TRIGGERS, alias, BUILTIN_TRIGGER_CONFIGS) for alias in plugins.BUILTIN_TRIGGERS),
]


@pytest.mark.parametrize(("references", "alias", "models"), BUILTIN)
def test_every_option_of_what_is_built_in_can_be_configured(
    references: dict[str, str], alias: str, models: dict[str, type[TaskConfig]]
) -> None:
    made = EntryPoint(alias, references[alias], "").load()
    parameters = inspect.signature(made).parameters.values()
    # A debug executor inherits the queue of the base, and has none.
    wanted = {} if alias in {"asyncio", "default", "debug"} else {each.name: each.default for each in parameters}
    # No text says which client.
    wanted.pop("client", None)
    fields = {name: field for name, field in models[alias].model_fields.items() if name != "type"}
    assert fields.keys() == wanted.keys()
    for name, default in wanted.items():
        assert fields[name].is_required() == (default is inspect.Parameter.empty), name
        if name != "pool_kwargs" and not fields[name].is_required():
            assert fields[name].default == default, name


def test_triggers_of_every_kind_and_of_one_another_can_be_configured() -> None:
    noon = CronTrigger("0 12 * * *", timezone="Europe/Berlin")
    first = CalendarIntervalTrigger(months=1, hour=12, timezone="Europe/Berlin", start_date=date(2030, 1, 1))
    scheduler = AsyncIOScheduler.from_config(
        tomllib.loads("""
            [tasks.one]
            call = "builtins:abs"
            args = [-1]
            [[tasks.one.trigger.triggers]]
            type = "and"
            [[tasks.one.trigger.triggers.triggers]]
            type = "cron"
            expression = "0 12 * * *"
            timezone = "Europe/Berlin"
            [[tasks.one.trigger.triggers.triggers]]
            type = "calendar"
            months = 1
            hour = 12
            timezone = "Europe/Berlin"
            start_date = 2030-01-01
            [[tasks.one.trigger.triggers]]
            type = "date"
            run_at = 2030-01-01T00:00:00Z
            [tasks.one.trigger]
            type = "or"
        """)
    )
    assert scheduler.state.tasks[0].trigger == str(
        OrTrigger([AndTrigger([noon, first]), DateTrigger(datetime(2030, 1, 1, tzinfo=UTC))])
    )


def test_models_are_loaded_by_those_who_configure_only() -> None:
    code = (
        "import sys; from asyncz import AsyncIOScheduler, ThreadPoolExecutor; AsyncIOScheduler();"
        "assert 'asyncz.config.models' not in sys.modules; AsyncIOScheduler.from_config({});"
        "assert 'asyncz.config.models' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# All that is wrong is told


class Wrong(NamedTuple):
    """A mistake, and what is to be said of it."""

    text: str
    line: int
    key: str
    explanation: str
    known_to_schema: bool = True


ONE = '[tasks.one]\ncall = "some_jobs:outer"\n'
WRONG = [
    # Keys
    Wrong("executor = {}", 1, "executor", "no such key; did you mean 'executors'? allowed: executors, defaults, tasks"),
    Wrong("task = 3", 1, "task", "did you mean 'tasks'?"),
    Wrong(f"{ONE}max_instance = 3", 3, "tasks.one.max_instance", "did you mean 'max_instances'?"),
    Wrong('[tasks.one]\nfunc = "some_jobs:outer"', 1, "tasks.one.call", "it is missing"),
    Wrong(f"{ONE}\n[tasks.one.retry]\nattempt = 3\nattempts = 3", 5, "tasks.one.retry.attempt", "mean 'attempts'?"),
    Wrong("[defaults]\nexecutor = 3", 2, "defaults.executor", "allowed: max_instances, misfire_grace_time, coalesce"),
    Wrong(
        '[executors.io]\ntype = "pool"\nworkers = 3',
        3,
        "executors.io.workers",
        "'max_workers'? allowed: type, max_w",
    ),
    Wrong('[executors.io]\ntype = "debug"\nmax_workers = 3', 3, "executors.io.max_workers", "allowed: type"),
    Wrong(
        '[executors.io]\ntype = "threadpool"\npool_kwargs.mp_context = "spawn"',
        3,
        "executors.io.pool_kwargs.mp_context",
        "there is no such key; allowed: initializer, initargs, thread_name_prefix",
    ),
    Wrong(f'{ONE}[tasks.one.trigger]\ntype="interval"\nminuts=5', 5, "tasks.one.trigger.minuts", "mean 'minutes'?"),
    # Kinds
    Wrong('[executors.io]\ntype = "threadpol"', 2, "executors.io.type", "no such executor; did you mean 'threadpool'?"),
    Wrong("[executors.io]\nmax_workers = 3", 1, "executors.io.type", "it is missing; allowed: asyncio, "),
    Wrong(
        f'{ONE}trigger = {{ type = "intervall" }}',
        3,
        "tasks.one.trigger.type",
        "did you mean 'interval'?",
    ),
    Wrong("[executors.io]\ntype = 3", 2, "executors.io.type", "there is no such executor; allowed: asyncio"),
    Wrong(f"{ONE}trigger.minutes = 3", 3, "tasks.one.trigger.type", "it is missing; allowed:"),
    Wrong(
        '[executors.io]\ntype = "processpool"\npool_kwargs = { mp_context = "spwan" }',
        3,
        "executors.io.pool_kwargs.mp_context",
        "did you mean 'spawn'? allowed: fork, forkserver, spawn",
    ),
    # Values
    Wrong("tasks = 3", 1, "tasks", "a table is needed"),
    Wrong("[tasks]\none = 3", 2, "tasks.one", "a table is needed"),
    Wrong("[executors]\nio = 3", 2, "executors.io", "a table is needed, such as"),
    Wrong(f'{ONE}max_instances = "3"', 3, "tasks.one.max_instances", "a whole number is needed"),
    Wrong(f"{ONE}max_instances = 1.5", 3, "tasks.one.max_instances", "a whole number is needed"),
    Wrong(f"{ONE}max_instances = 0", 3, "tasks.one.max_instances", "it must be more than 0"),
    Wrong(f"{ONE}timeout = 0", 3, "tasks.one.timeout", "it must be more than 0"),
    Wrong(f"{ONE}timeout = nan", 3, "tasks.one.timeout", "it must be more than 0", False),
    Wrong(
        f"{ONE}retry = {{ attempts = 2, delay = inf }}", 3, "tasks.one.retry.delay", "a finite number is needed", False
    ),
    Wrong(f'{ONE}timeout = "1 s"', 3, "tasks.one.timeout", "a number is needed"),
    Wrong(f"{ONE}timeout = true", 3, "tasks.one.timeout", "a number is needed"),
    Wrong(f"{ONE}misfire_grace_time = -1", 3, "tasks.one.misfire_grace_time", "it must be at least 0"),
    Wrong(f'{ONE}coalesce = "yes"', 3, "tasks.one.coalesce", "true or false is needed"),
    Wrong(f"{ONE}overlap = 'queue'", 3, "tasks.one.overlap", "allowed: skip, queue_one, queue_all, cancel_running"),
    Wrong(f"{ONE}paused = 1", 3, "tasks.one.paused", "true or false is needed"),
    Wrong(f'{ONE}args = "folder"', 3, "tasks.one.args", "a list is needed"),
    Wrong(f"{ONE}kwargs = [1]", 3, "tasks.one.kwargs", "a table is needed"),
    Wrong(f"{ONE}executor = 3", 3, "tasks.one.executor", "a text is needed"),
    Wrong(f'{ONE}executor = ""', 3, "tasks.one.executor", "a text that is not empty is needed"),
    Wrong(f"{ONE}retry.attempts = 0", 3, "tasks.one.retry.attempts", "it must be more than 0"),
    Wrong(f"{ONE}retry = {{ attempts = 2, backoff = 0.5 }}", 3, "tasks.one.retry.backoff", "it must be at least 1"),
    Wrong(f'{ONE}retry = {{ attempts = 2, on = "OSError" }}', 3, "tasks.one.retry.on", "a list is needed"),
    Wrong(f"{ONE}trigger = {{ type = 'date', run_at = 3 }}", 3, "tasks.one.trigger.run_at", "a date and time"),
    Wrong(f"{ONE}trigger = {{ type = 'date', run_at = 'soon' }}", 3, "tasks.one.trigger.run_at", "a date", False),
    Wrong(f"{ONE}trigger = {{ type = 'interval', hours = -1 }}", 3, "tasks.one.trigger.hours", "it must be at least 0"),
    Wrong('[executors.io]\ntype = "pool"\nmax_workers = 0', 3, "executors.io.max_workers", "it must be more than 0"),
    Wrong('[executors.io]\ntype = "pool"\nmax_queue = -1', 3, "executors.io.max_queue", "it must be at least 0"),
    Wrong('[executors.io]\ntype = "pool"\npool_kwargs = 3', 3, "executors.io.pool_kwargs", "a table is needed"),
    Wrong('[tasks.one]\ncall = "some_jobs.outer"', 2, "tasks.one.call", 'the form "package.module:name" is needed'),
    # What only a look at what is named can tell
    Wrong('[tasks.one]\ncall = "some job:outer"', 2, "tasks.one.call", 'the form "package.module:name"'),
    Wrong('[tasks.one]\ncall = "some_jobs:1"', 2, "tasks.one.call", 'the form "package.module:name"', False),
    Wrong('[tasks.one]\ncall = "no_jobs:outer"', 2, "tasks.one.call", "ModuleNotFoundError: No module named", False),
    Wrong('[tasks.one]\ncall = "broken_jobs:run"', 2, "tasks.one.call", "ZeroDivisionError: division by zero", False),
    Wrong('[tasks.one]\ncall = "leaving_jobs:run"', 2, "tasks.one.call", "cannot be imported: SystemExit: 3", False),
    Wrong('[tasks.one]\ncall = "some_jobs:claen"', 2, "tasks.one.call", "has no 'claen'; did you mean 'clean'?", False),
    Wrong(
        '[tasks.one]\ncall = "some_jobs:Kind.mak"',
        2,
        "tasks.one.call",
        "Kind has no 'mak'; did you mean",
        False,
    ),
    Wrong('[tasks.one]\ncall = "some_jobs:number"', 2, "tasks.one.call", "type int, which cannot be called", False),
    Wrong('[tasks.one]\ncall = "some_jobs:clean"', 2, "tasks.one.call", "missing a required argument: 'folder'", False),
    Wrong('[tasks.one]\ncall = "some_jobs:outer"\nargs = [1]', 3, "tasks.one.args", "too many positional", False),
    Wrong(
        '[tasks.one]\ncall = "some_jobs:clean"\nargs = [""]\nkwargs = { older_then = 3 }',
        4,
        "tasks.one.kwargs.older_then",
        "clean has no such parameter; did you mean 'older_than'? allowed: folder, older_than",
        False,
    ),
    Wrong(
        '[tasks.one]\ncall = "some_jobs:clean"\nargs = [""]\nkwargs = { folder = "" }',
        3,
        "tasks.one.args",
        "multiple values for argument 'folder'",
        False,
    ),
    Wrong(f'{ONE}executor = "threads"', 3, "tasks.one.executor", "did you mean 'threadpool'? allowed: asyncio,", False),
    Wrong(
        '[executors.own]\ntype = "debug"\n[tasks.one]\ncall = "some_jobs:outer"\nexecutor = "onw"',
        5,
        "tasks.one.executor",
        "did you mean 'own'?",
        False,
    ),
    Wrong(
        '[tasks.one]\ncall = "some_jobs:inner"\nexecutor = "processpool"',
        1,
        "tasks.one",
        "cannot travel between processes",
        False,
    ),
    Wrong(
        f'{ONE}retry = {{ attempts = 2, on = ["OSError", "OSErr"] }}',
        3,
        "tasks.one.retry.on[1]",
        "has no 'OSErr'; did you mean 'OSError'?",
        False,
    ),
    Wrong(
        "[defaults]\nretry = { attempts = 2, on = ['abs'] }", 2, "defaults.retry.on[0]", "not an exception class", False
    ),
    Wrong(f'{ONE}trigger = {{ type = "interval" }}', 3, "tasks.one.trigger", "it must be more than zero", False),
    Wrong(
        f"{ONE}trigger = {{ type = 'date', run_at = 2030-01-01T00:00:00 }}",
        3,
        "tasks.one.trigger.run_at",
        "it has no time zone",
        False,
    ),
    Wrong(
        f"{ONE}trigger = {{ type = 'date', run_at = '2030-01-01', timezone = 'Berlin' }}",
        3,
        "tasks.one.trigger.timezone",
        "an IANA name such as 'Europe/Berlin'",
        False,
    ),
    Wrong(f"{ONE}trigger = {{ type = 'cron' }}", 3, "tasks.one.trigger.expression", "it is missing"),
    Wrong(f"{ONE}trigger = {{ type = 'calendar', days = 1, hour = 24 }}", 3, "tasks.one.trigger.hour", "at most 23"),
    Wrong(f"{ONE}trigger = {{ type = 'calendar', end_date = 3 }}", 3, "tasks.one.trigger.end_date", "a date"),
    Wrong(
        f"{ONE}trigger = {{ type = 'and', triggers = [] }}", 3, "tasks.one.trigger.triggers", "list that is not empty"
    ),
    Wrong(
        f"{ONE}trigger = {{ type = 'or', triggers = [{{ type = 'date' }}, {{ type = 'cron', expresion = '' }}] }}",
        3,
        "tasks.one.trigger.triggers[1].expresion",
        "there is no such key; did you mean 'expression'?",
    ),
    Wrong(
        f"{ONE}trigger = {{ type = 'or', triggers = [{{ type = 'crom' }}] }}",
        3,
        "tasks.one.trigger.triggers[0].type",
        "there is no such trigger; did you mean 'cron'?",
    ),
    Wrong(f"{ONE}trigger = {{ type = 'cron', expression = '* *' }}", 3, "tasks.one.trigger.expression", "five", False),
    Wrong('[executors.io]\ntype = "nowhere:Pool"', 1, "executors.io", "No module named 'nowhere'", False),
    Wrong(
        '[executors.io]\ntype = "builtins:dict"',
        1,
        "executors.io",
        "missing executor members: state, start, shutdown, submit",
        False,
    ),
    Wrong(
        '[executors.io]\ntype = "some_jobs:Named"', 1, "executors.io", "missing executor members: state, start", False
    ),
    Wrong(
        '[executors.io]\ntype = "pool"\npool_kwargs.initializer = "some_jobs:gone"',
        3,
        "executors.io.pool_kwargs.initializer",
        "has no 'gone'",
        False,
    ),
    Wrong(
        f'{ONE}trigger = {{ type = "builtins:dict" }}',
        3,
        "tasks.one.trigger",
        "missing trigger member: next_due_time",
        False,
    ),
    Wrong('[executors.""]\ntype = "debug"', 1, 'executors.""', "it must be a text that is not empty", False),
    Wrong('[tasks.""]\ncall = "some_jobs:outer"', 1, 'tasks.""', "it must be a text that is not empty", False),
]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: f"{wrong.key}-{wrong.explanation}"[:60])
def test_what_is_wrong_is_told_with_its_place(wrong: Wrong, written: Callable[[str], Path]) -> None:
    path = written(wrong.text)
    problems = problems_of(path)
    (problem,) = [each for each in problems if each.key == wrong.key]
    assert (problem.file, problem.line) == (str(path), wrong.line)
    assert wrong.explanation in problem.explanation
    assert str(problem).startswith(f"{path}:{wrong.line}: {wrong.key}")


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: f"{wrong.key}-{wrong.explanation}"[:60])
def test_the_schema_rejects_what_an_editor_can_know(wrong: Wrong) -> None:
    validator = jsonschema_rs.validator_for(SchedulerConfig.model_json_schema())
    assert validator.is_valid(as_json(tomllib.loads(wrong.text))) != wrong.known_to_schema


def as_json(value: object) -> object:
    """A value of TOML as JSON has it."""
    # It has no infinity either.
    text = re.sub("NaN|Infinity", "1", json.dumps(value, default=lambda time: time.isoformat()))
    return json.loads(text)


def test_the_schema_takes_the_example_and_describes_every_key() -> None:
    schema = SchedulerConfig.model_json_schema()
    example = tomllib.loads((EXAMPLES / "asyncz.toml").read_text())
    jsonschema_rs.validate(schema, as_json(example))
    models = [schema, *schema["$defs"].values()]
    silent = [
        f"{model['title']}.{name}"
        for model in models
        for name, field in model["properties"].items()
        if name != "type" and "description" not in field
    ]
    assert silent == []
    assert all("description" in model for model in models)


def test_all_that_is_wrong_is_told_at_once_in_the_order_of_the_file(written: Callable[[str], Path]) -> None:
    path = written(
        textwrap.dedent("""\
            [executors.io]
            type = "threadpool"
            max_wrkers = 3

            [tasks.one]
            call = "no_jobs:outer"
            executor = "io"
            timeout = -1

            [defaults]
            coalesce = "yes"

            [tasks."number two"]
            call = "some_jobs:clean"
            kwargs = { older = 3 }
            trigger = { type = "intervl" }
            executor = "threadz"
        """)
    )
    with pytest.raises(ConfigurationError) as caught:
        AsyncIOScheduler.from_config(path)
    assert [(problem.line, problem.key) for problem in caught.value.problems] == [
        (3, "executors.io.max_wrkers"),
        (6, "tasks.one.call"),
        (8, "tasks.one.timeout"),
        (11, "defaults.coalesce"),
        (15, 'tasks."number two".kwargs.older'),
        (16, 'tasks."number two".trigger.type'),
        (17, 'tasks."number two".executor'),
    ]
    lines = str(caught.value).splitlines()
    assert lines[0] == "the configuration has 7 problems:"
    assert lines[1:] == [str(problem) for problem in caught.value.problems]


def test_a_dict_has_no_lines_but_the_same_problems() -> None:
    (problem,) = problems_of({"tasks": {"one": {"call": "some_jobs:outer", "timeout": -1}}})
    assert str(problem) == "tasks.one.timeout cannot be -1: it must be more than 0"


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        (None, None, "it cannot be read: "),
        (b"\xff\xfe", None, "it is not UTF-8 text: 'utf-8' codec"),
        (b"[tasks.one]\ncall = some_jobs", 2, "it is not valid TOML: Invalid value (at line 2"),
        (b"a = 1\na = 2\n", 2, "it is not valid TOML: Cannot overwrite a value"),
        (b"[tasks", None, "it is not valid TOML: Expected ']'"),
    ],
)
def test_a_file_that_cannot_be_read_is_told(
    content: bytes | None, line: int | None, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "asyncz.toml"
    if content is not None:
        path.write_bytes(content)
    (problem,) = problems_of(path)
    assert problem.reason.startswith(reason)
    assert (problem.file, problem.line) == (str(path), line)


def test_what_is_no_configuration_is_rejected() -> None:
    with pytest.raises(InvalidInputError, match="a path, a dict or a SchedulerConfig"):
        AsyncIOScheduler.from_config(3)  # type: ignore[arg-type]  # wrong on purpose


# Lines


@st.composite
def toml_texts(draw: st.DrawFn) -> str:
    """TOML in many styles, of which each key and each number is there only once."""
    numbers = iter(range(100, 1_000_000))
    lines: list[str] = []

    def key() -> str:
        name = f"k{next(numbers)}"
        return draw(st.sampled_from([name, f'"{name}"', f"'{name}'", f'"{name} [x] = #"']))

    def keys() -> str:
        return draw(st.sampled_from([".", " . "])).join(key() for _ in range(draw(st.integers(1, 3))))

    def value(depth: int) -> str:
        kind = draw(st.integers(0, 9 if depth else 6))
        number = next(numbers)
        gap = draw(st.sampled_from(["", " ", "\n", "  # ] } , =\n", "\n\n"]))
        match kind:
            case 0:
                return f'"""{number}\n"" \\""" ] = """'
            case 1:
                return f"'''{number}\n# '' [ ''''"
            case 2:
                return f'"{number} \\" # = ["'
            case 3:
                return f"'{number} # = ['"
            case 4:
                return f"{number}.5e3"
            case 5:
                return "2030-01-01 00:00:00Z"
            case 6:
                return "true"
            case 7:
                inner = ", ".join(f"{key()} = {inline(depth - 1)}" for _ in range(draw(st.integers(0, 2))))
                return f"{{ {inner} }}"
            case _:
                items = [f"{gap}{value(depth - 1)}{gap}" for _ in range(draw(st.integers(0, 3)))]
                last = "," if draw(st.booleans()) and items else ""
                return f"[{','.join(items)}{last}{gap}]"

    def inline(depth: int) -> str:
        return value(depth).replace("\n", " ") if depth == 0 else str(next(numbers))

    def pairs() -> None:
        for _ in range(draw(st.integers(0, 3))):
            lines.append(f"{draw(st.sampled_from(['', '  ']))}{keys()}={value(2)} # = [k]")
            lines.extend([""] * draw(st.integers(0, 1)))

    pairs()
    for _ in range(draw(st.integers(0, 3))):
        if draw(st.booleans()):
            lines.append(f"[ {keys()} ]  # [x]")
            pairs()
        else:
            name = keys()
            for _ in range(draw(st.integers(1, 3))):
                lines.append(f"[[{name}]]")
                pairs()
                if draw(st.booleans()):
                    lines.append(f"[{name}.{key()}]")
                    pairs()
    separator = draw(st.sampled_from(["\n", "\r\n"]))
    return separator.join(lines)


def paths_of(value: object, path: TomlPath = ()) -> Iterator[TomlPath]:
    parts: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        parts = [*value.items()]
    elif isinstance(value, list):
        parts = [*enumerate(value)]
    for part, each in parts:
        yield (*path, part)
        yield from paths_of(each, (*path, part))


@given(toml_texts())
@settings(max_examples=150, deadline=None)
def test_every_key_of_a_toml_text_is_found_in_its_line(text: str) -> None:
    found = find_positions(text)
    assert set(found) == set(paths_of(tomllib.loads(text)))
    lines = text.splitlines()
    for path, line in found.items():
        if isinstance(path[-1], str):
            name = path[-1].partition(" ")[0]
            assert line == next(number for number, content in enumerate(lines, 1) if name in content)
        else:
            assert line >= found[(*path[:-1], path[-1] - 1)] if path[-1] else line >= found[path[:-1]]
