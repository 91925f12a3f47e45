"""Schedulers that are created from a configuration."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from datetime import UTC, date, datetime
from importlib.metadata import EntryPoint
from pathlib import Path

import jsonschema_rs
import pytest

from asyncz import (
    AndTrigger,
    AsyncIOScheduler,
    CalendarIntervalTrigger,
    CronTrigger,
    DateTrigger,
    IntervalTrigger,
    OrTrigger,
    Retry,
    SchedulerConfig,
    TaskError,
    TaskTimeoutError,
    plugins,
)
from asyncz.config import TaskConfig
from asyncz.testing import FakeClock
from tests.helpers import decorated
from tests.helpers.paths import EXAMPLES

pytestmark = pytest.mark.anyio


def test_from_config_example_creates_tasks() -> None:
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


async def test_from_config_tasks_run() -> None:
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


def test_from_config_task_inherits_defaults() -> None:
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
    assert (silent.overlap_policy, own.overlap_policy, latest.overlap_policy) == ("queue_all", "skip", "queue_one")
    assert scheduler.add_task(abs, -1).limits == silent
    assert (silent.timeout, silent.max_instances, silent.coalesce, silent.retry) == (5, 3, False, Retry(attempts=2))
    assert (own.timeout, own.max_instances, own.coalesce, own.retry) == (None, 3, True, Retry(attempts=1))


def test_from_config_accepts_model() -> None:
    config = SchedulerConfig(tasks={"one": TaskConfig(call="some_jobs:outer", timeout=3)})
    clock = FakeClock()
    scheduler = AsyncIOScheduler.from_config(config, clock=clock)
    (task,) = scheduler.tasks
    assert (task.id, task.limits.timeout) == ("one", 3)
    assert scheduler.state.tasks[0].next_run_at == datetime.fromtimestamp(clock.now(), UTC)


def test_from_config_keeps_subclass() -> None:
    class Own(AsyncIOScheduler):
        """A scheduler with more to it."""

    assert type(Own.from_config({})) is Own


async def test_from_config_pool_options_reach_pools() -> None:
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

    failures: list[TaskError] = []
    scheduler.subscribe(TaskError, failures.append)
    async with scheduler:
        with pytest.raises(Exception, match="initializer"):
            await scheduler.get_task("one").result()
    assert len(failures) == 1
    processes = scheduler._parts.executors.get("processes").executor
    kwargs = getattr(processes, "_pool_kwargs")  # noqa: B009  # the type is not declared
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
def test_from_config_custom_types_take_any_options(executor: str, trigger: str) -> None:
    config: dict[str, object] = {
        "executors": {"mine": {"type": executor, "max_workers": 3}},
        "tasks": {
            "one": {"call": "builtins:abs", "args": [-1], "executor": "mine", "trigger": {"type": trigger, "hours": 2}}
        },
    }
    (state,) = AsyncIOScheduler.from_config(config).state.tasks
    assert (state.trigger, state.executor) == (str(IntervalTrigger(hours=2)), "mine")
    jsonschema_rs.validate(SchedulerConfig.model_json_schema(), config)


def test_from_config_nested_triggers() -> None:
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


@pytest.mark.slow
def test_from_config_imports_models_lazily() -> None:
    code = (
        "import sys; from asyncz import AsyncIOScheduler, ThreadPoolExecutor; AsyncIOScheduler();"
        "assert 'asyncz.config.models' not in sys.modules; AsyncIOScheduler.from_config({});"
        "assert 'asyncz.config.models' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.slow
async def test_from_config_runs_decorated_functions(tmp_path: Path) -> None:
    file = tmp_path / "asyncz.toml"
    file.write_text(
        """
        [tasks.square]
        call = "tests.helpers.decorated:square"
        args = [5]
        executor = "processpool"
        trigger = { type = "on_demand" }
        [tasks.cube]
        call = "tests.helpers.decorated:cube"
        kwargs = { number = 2 }
        trigger = { type = "on_demand" }
        """
    )
    async with AsyncIOScheduler.from_config(file) as scheduler:
        assert await scheduler.tasks_of(decorated.square).get("square").run() == 25
        assert await scheduler.tasks_of(decorated.cube).get("cube").run() == 8
