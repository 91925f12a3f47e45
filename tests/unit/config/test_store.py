"""The table `store` of a configuration."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import attrs
import pytest
from pydantic import ValidationError

from asyncz import AsyncIOScheduler, ConfigurationError, InvalidInputError, SchedulerConfig
from asyncz.config import RetentionConfig, StoreConfig
from asyncz.stores import Retention, RunQuery, RunReporting, SqliteStore, StoreOptions
from asyncz.stores._urls import store_of
from asyncz.stores.postgres import PostgresStore
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio

SECRET = "s3cr3t"

ALL_OPTIONS = """
[store]
url = "sqlite:///{path}"
existing = "keep"
version = 3
on_lost = "rerun"
lease = 20
functions = {{ clean = "some_jobs:clean" }}
formerly = {{ "old_jobs:clean" = "some_jobs:clean" }}
importable = ["some_jobs"]
retention = {{ executed = 0.5, error = inf, per_task = 0 }}
reporting = {{ interval = 5, max_logs = 0, redact = "some_jobs:clean" }}

[tasks.clean]
call = "some_jobs:clean"
args = ["folder"]
"""

# Each with the key and the explanation of its problem.
MISTAKES = [
    ("[store]\nlease = 15", "store.url", "it is missing"),
    ('[store]\nurl = ""', "store.url", "a text that is not empty is needed"),
    ("[store]\nurl = 5", "store.url", "a text is needed"),
    ('[store]\nurl = "mysql://user:s3cr3t@host/jobs"', "store.url", "store cannot be 'mysql:...'"),
    ('[store]\nurl = "postgresql:user:s3cr3t@host"', "store.url", "pass sqlite:///path"),
    ('[store]\nurl = "sqlite://"', "store.url", "write sqlite:///file"),
    ('[store]\nurl = "sqlite:///:memory:"', "store.url", "the path of a file"),
    ('[store]\nurl = "sqlite:///jobs.db?mode=memory"', "store.url", "without options"),
    ('[store]\nurl = "postgresql+psycopg2://u:s3cr3t@host/jobs"', "store.url", "without a driver, as postgresql://"),
    ('[store]\nurl = "postgresql://user:s3cr3t@ss@host/jobs"', "store.url", "with % escapes in the password"),
    ('[store]\nurl = "postgresql://user:s3cr3t/x@host/jobs"', "store.url", "with % escapes in the password"),
    ('[store]\nurl = "postgresql://user:s3cr3t%zz@host/jobs"', "store.url", "with % escapes in the password"),
    ('[store]\nurl = "postgresql://user:s3cr3t x@host/jobs"', "store.url", "with % escapes in the password"),
    ('[store]\nurl = "s3cr3t"', "store.url", "the given text"),
    ('store = "postgresql://user:s3cr3t@host/jobs"', "store", "a table is needed"),
    ('store = ["x postgresql://user:s3cr3t word@host/jobs"]', "store", "a table is needed"),
    ('[store]\nurl = ["postgresql://user:s3cr3t@host/jobs"]', "store.url", "a text is needed"),
    ('[store]\nurl = "sqlite:///a.db"\nexisting = "postgresql://user:s3cr3t@host/jobs"', "store.existing", "unknown"),
    ('[store]\nurl = "sqlite:///a.db"\nlease = 2', "store.lease", "it must be at least 3"),
    ('[store]\nurl = "sqlite:///a.db"\nlease = inf', "store.lease", "a finite number"),
    ('[store]\nurl = "sqlite:///a.db"\nretention.error = 1e9', "store.retention.error", "1,000,000 days"),
    ('[store]\nurl = "sqlite:///a.db"\nretention.error = nan', "store.retention.error", "at least 0"),
    ('[store]\nurl = "sqlite:///a.db"\nretention.per_task = -1', "store.retention.per_task", "at least 0"),
    ('[store]\nurl = "sqlite:///a.db"\nversion = -1', "store.version", "at least 0"),
    ('[store]\nurl = "sqlite:///a.db"\nversion = 2147483648', "store.version", "at most 2147483647"),
    ('[store]\nurl = "sqlite:///a.db"\ncodec = "some_jobs:number"', "store.codec", "members of asyncz.stores.Codec"),
    ('[store]\nurl = "sqlite:///a.db"\nkeep_undeclared = inf', "store.keep_undeclared", "a finite number"),
    ('[store]\nurl = "sqlite:///a.db"\nreporting.interval = 0', "store.reporting.interval", "at least 0.1"),
    ('[store]\nurl = "sqlite:///a.db"\nreporting.max_bytes = 10', "store.reporting.max_bytes", "at least 1000"),
    (
        '[store]\nurl = "sqlite:///a.db"\nreporting.redact = "some_jobs:number"',
        "store.reporting.redact",
        "must be a function",
    ),
    ('[store]\nurl = "sqlite:///a.db"\nurls = "x"', "store.urls", "did you mean 'url'?"),
    ('[store]\nurl = "sqlite:///a.db"\nimportable = "jobs"', "store.importable", "a list is needed"),
    ('[store]\nurl = "sqlite:///a.db"\nfunctions = { a = "clean" }', "store.functions.a", "package.module:name"),
    ('[store]\nurl = "sqlite:///a.db"\nfunctions = { a = "some_jobs:number" }', "store.functions.a", "type int"),
    ('[store]\nurl = "sqlite:///a.db"\nformerly = { a = "some_jobs:gone" }', "store.formerly.a", "has no 'gone'"),
]


@pytest.mark.parametrize(("text", "key", "explanation"), MISTAKES, ids=lambda value: str(value)[:40])
def test_mistake_is_reported_without_password(
    text: str, key: str, explanation: str, written: Callable[[str], Path]
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        AsyncIOScheduler.from_config(written(text))
    (problem,) = caught.value.problems
    assert problem.key == key
    assert explanation in problem.explanation
    shown = f"{caught.value}{problem!r}{caught.value!r}{attrs.asdict(problem)}"
    assert SECRET not in shown


@pytest.mark.parametrize(("text", "key", "explanation"), MISTAKES[-15:], ids=lambda value: str(value)[:40])
def test_valid_part_is_checked_beside_mistake(
    text: str, key: str, explanation: str, written: Callable[[str], Path]
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        AsyncIOScheduler.from_config(written(f'{text}\n[tasks.one]\ncall = "some_jobs:missing"'))
    assert {key, "tasks.one.call"} <= {problem.key for problem in caught.value.problems}


def test_password_is_in_no_repr() -> None:
    config = SchedulerConfig.model_validate({"store": {"url": f"postgresql://user:{SECRET}@host/jobs"}})
    assert SECRET not in f"{config!r}{config}{config.model_dump()}{config.model_dump_json()}"
    with pytest.raises(ValidationError) as caught:
        SchedulerConfig.model_validate({"store": f"postgresql://user:{SECRET}@host/jobs"})
    assert SECRET not in str(caught.value)
    with pytest.raises(ValidationError) as caught:
        StoreConfig.model_validate({"url": f"postgresql://user:{SECRET}@host/jobs", "lease": f"://{SECRET}"})
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["postgresql://u:s3cr3t\0@host/jobs", "postgresql://u:p@s3cr3t@host/jobs", "host=h password=s3cr3t wrong"]
)
def test_wrong_connection_string_is_not_shown(url: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        PostgresStore(url)
    assert SECRET not in f"{caught.value}{caught.value.__cause__}{caught.value!r}"
    with pytest.raises(InvalidInputError) as caught:
        store_of(url)
    assert SECRET not in f"{caught.value}{caught.value.__cause__}{caught.value!r}"


def test_model_has_all_options() -> None:
    assert set(StoreConfig.model_fields) - {"url"} == {field.name for field in attrs.fields(StoreOptions)}
    config, options = StoreConfig.model_validate({"url": "sqlite:///a.db"}), StoreOptions()
    for field in attrs.fields(StoreOptions):
        if field.name.startswith("keep_"):
            assert timedelta(days=getattr(config, field.name)) == getattr(options, field.name)
        elif field.name not in {"retention", "reporting"}:
            assert getattr(config, field.name) == getattr(options, field.name)
    assert options.reporting is not None
    reported = {field.name: getattr(options.reporting, field.name) for field in attrs.fields(RunReporting)}
    assert config.reporting.model_dump() == {"enabled": True, **reported}
    kept = config.retention
    assert kept.per_task == options.retention.per_task
    assert set(RetentionConfig.model_fields) == {field.name for field in attrs.fields(Retention)}
    assert {state: timedelta(days=getattr(kept, state)) for state in options.retention.ages} == options.retention.ages


def test_schema_describes_store() -> None:
    schema = SchedulerConfig.model_json_schema()["$defs"]["StoreConfig"]
    assert schema["properties"]["url"]["format"] == "password"
    assert schema["required"] == ["url"]
    assert "existing" in schema["properties"]
    assert "enum" in json.dumps(schema["properties"]["existing"])


async def test_all_options_reach_scheduler(written: Callable[[str], Path], tmp_path: Path) -> None:
    file = written(ALL_OPTIONS.format(path=tmp_path / "jobs.db"))
    async with AsyncIOScheduler.from_config(file) as scheduler:
        await until(lambda: scheduler.get_task("clean").state.executed == 1)
        (node,) = await scheduler.store.nodes()
        assert node.app_version == 3
    async with AsyncIOScheduler.from_config(file) as again:
        (run,) = await again.store.runs(RunQuery(task_id="clean"))
        assert (run.state, run.result, run.on_lost) == ("executed", "6", "rerun")


async def test_options_are_those_of_constructor(written: Callable[[str], Path], tmp_path: Path) -> None:
    class Recording(AsyncIOScheduler):
        given: dict[str, object]

        def __init__(self, **options: object) -> None:
            type(self).given = options
            super().__init__()

    path = tmp_path / "jobs.db"
    text = re.sub(r"\[tasks.*", "", ALL_OPTIONS.format(path=path), flags=re.DOTALL)
    Recording.from_config(tomllib.loads(text))
    options = Recording.given["store_options"]
    assert isinstance(options, StoreOptions)
    assert isinstance(Recording.given["store"], SqliteStore)
    import some_jobs  # type: ignore[import-not-found]  # made by the fixture

    assert options == StoreOptions(
        existing="keep",
        version=3,
        on_lost="rerun",
        lease=20.0,
        functions={"clean": some_jobs.clean},
        formerly={"old_jobs:clean": some_jobs.clean},
        importable=("some_jobs",),
        retention=Retention(executed=timedelta(hours=12), error=None, per_task=None),
        reporting=RunReporting(interval=5, max_logs=0, redact=some_jobs.clean),
    )
    Recording.from_config({"store": {"url": f"sqlite:///{path}", "reporting": {"enabled": False}}})
    options = Recording.given["store_options"]
    assert isinstance(options, StoreOptions)
    assert options.reporting is None
    Recording.from_config({})
    assert set(Recording.given) == {"defaults", "clock"}


TASK = '[tasks.one]\ncall = "some_jobs:clean"\nargs = ["{}"]\ntrigger = {{ type = "interval", hours = 1 }}\n'


@pytest.mark.parametrize(("existing", "expected"), [("", "new"), ('existing = "keep"', "old")])
async def test_task_has_policy_of_its_own(existing: str, expected: str, written: Callable[[str], Path]) -> None:
    """`existing` of a task counts instead of that of the store."""
    found = ""
    for argument, own in (("old", ""), ("new", existing)):
        text = f'[store]\nurl = "sqlite:///{written("").parent / "jobs.db"}"\n{TASK.format(argument)}{own}\n'
        async with AsyncIOScheduler.from_config(written(text)) as scheduler:
            await scheduler.store.nodes()
            found = repr(scheduler.get_task("one").call)
    assert expected in found


def test_policy_of_task_needs_a_store(written: Callable[[str], Path]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        AsyncIOScheduler.from_config(written(f'{TASK.format("a")}existing = "keep"'))
    (problem,) = caught.value.problems
    assert (problem.key, problem.line) == ("tasks.one.existing", 5)
    assert "it needs a store" in problem.explanation
