"""`asyncz store import-apscheduler`, with job stores that APScheduler 3.11 has written."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import pickle
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple, Protocol, cast
from zoneinfo import ZoneInfo

import pytest
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.calendarinterval import CalendarIntervalTrigger
from apscheduler.triggers.combining import AndTrigger, OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger
from pydantic import JsonValue
from typer.testing import CliRunner
from typing_extensions import override

from asyncz import AsyncIOScheduler
from asyncz.cli.app import app
from asyncz.stores import NodeRecord, StoreOptions, TaskRecord
from asyncz.stores._urls import store_of
from asyncz.stores.apscheduler_3 import _pickles, _reading
from asyncz.stores.apscheduler_3._pickles import InertUnpickler, StandIn, read_job
from asyncz.stores.apscheduler_3._reading import DIED, PickledJob, ReadJob, read_jobs
from asyncz.stores.apscheduler_3._translation import Translator
from tests.helpers.postgres import new_schema
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio

BERLIN = ZoneInfo("Europe/Berlin")
DUE = datetime(2031, 5, 1, 12, tzinfo=UTC)

MODULE = """
called = []

class Order:
    pass

def report(day, *, pages=1):
    called.append((day, pages))
    return f"{pages} page(s) for {day}"

class Mailer:
    def send(self, to):
        pass
"""


class OldScheduler(Protocol):
    """The part of a scheduler of APScheduler 3 that the tests use; it has no types of its own."""

    def add_job(self, *args: object, **options: object) -> object: ...
    def pause_job(self, job_id: str) -> object: ...


class Imported(NamedTuple):
    status: int
    jobs: Mapping[str, Mapping[str, object]]
    errors: str


@pytest.fixture(
    params=["sqlite", pytest.param("postgres", marks=[pytest.mark.slow, pytest.mark.xdist_group("postgres")])]
)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a database for a job store."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'jobs.sqlite'}"
    server: str = request.getfixturevalue("postgres_server")
    return new_schema(server)


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A module with functions of jobs."""
    (tmp_path / "old_jobs.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield
    sys.modules.pop("old_jobs", None)


def write_jobs(url: str, add: Callable[[OldScheduler], object], protocol: int | None = None) -> None:
    """Have APScheduler write jobs, without running them."""
    # Here, as SQLAlchemy takes half a second.
    from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore

    driver = re.sub("^postgresql:", "postgresql+psycopg:", url)
    store = SQLAlchemyJobStore(url=driver, pickle_protocol=pickle.HIGHEST_PROTOCOL if protocol is None else protocol)
    scheduler = BackgroundScheduler(timezone="Europe/Berlin", jobstores={"default": store})
    scheduler.start(paused=True)
    # Unverified: pyright infers narrower types from its defaults.
    add(cast("OldScheduler", scheduler))
    # Without `shutdown`, which would process the jobs first.
    store.shutdown()


def invoke(*arguments: str) -> Imported:
    result = CliRunner().invoke(app, ["store", "import-apscheduler", *arguments, "--json"])
    jobs = {each["id"]: each for each in json.loads(result.stdout)["jobs"]} if result.stdout else {}
    return Imported(result.exit_code, jobs, result.stderr)


def task_of(imported: Imported, job_id: str) -> Mapping[str, object]:
    task = imported.jobs[job_id]["task"]
    assert isinstance(task, dict), imported.jobs[job_id]["reason"]
    return task


def trigger_of(imported: Imported, job_id: str) -> object:
    return json.loads(str(task_of(imported, job_id)["trigger"]))


async def stored_tasks(url: str) -> Sequence[TaskRecord]:
    session = await store_of(url).connect(NodeRecord(id=f"{time.time()}"), timedelta(seconds=15))
    found = await session.changes(0, 1000)
    await session.close()
    return found


def test_all_triggers_are_translated(database: str) -> None:
    def add(scheduler: OldScheduler) -> None:
        def job(job_id: str, trigger: object, **options: object) -> None:
            scheduler.add_job("old_jobs:report", trigger, ["monday"], id=job_id, **options)

        job("weekdays", "cron", day_of_week="mon-fri", hour=2)
        job("number", "cron", day_of_week=0, hour=2)
        job("crontab", CronTrigger.from_crontab("30 2 * * 1", timezone="Europe/Berlin"))
        job("both", CronTrigger(day=13, day_of_week="fri", timezone="UTC"))
        job("first", "cron", day="1st mon", hour="*/6")
        job("last", "cron", day="last", second="10,20,30")
        job("last friday", "cron", day="last fri")
        job("years", "cron", year="2031-2033", month="1-3", day=1)
        job("limits", "cron", minute=5, start_date=datetime(2031, 1, 1), end_date=datetime(2032, 1, 1), jitter=7)
        job("interval", "interval", hours=3, minutes=5, start_date=DUE, end_date=datetime(2040, 1, 1, tzinfo=UTC))
        job("date", "date", run_date=DUE)
        job("calendar", CalendarIntervalTrigger(months=1, hour=3, start_date=date(2031, 1, 5), timezone=BERLIN))
        job("or", OrTrigger([CronTrigger(hour=3, timezone=BERLIN), IntervalTrigger(hours=3, start_date=DUE)]))
        job(
            "and",
            AndTrigger([CronTrigger(hour=3, timezone=BERLIN), CronTrigger(day=1, hour=3, timezone=BERLIN)], jitter=5),
        )
        job("offset", CronTrigger(hour=3, timezone=timezone(timedelta(hours=2))))

    write_jobs(database, add)
    found = invoke(database, "--read-pickles", "--importable", "old_jobs")
    assert (found.status, found.errors) == (0, "")
    berlin = {"type": "cron", "timezone": "Europe/Berlin"}
    assert trigger_of(found, "weekdays") == {**berlin, "expression": "0 2 * * MON-FRI"}
    assert trigger_of(found, "number") == {**berlin, "expression": "0 2 * * MON"}
    assert trigger_of(found, "crontab") == {**berlin, "expression": "30 2 * * TUE"}
    assert trigger_of(found, "both") == {
        "type": "and",
        "triggers": [
            {"type": "cron", "expression": "0 0 13 * *"},
            {"type": "cron", "expression": "0 0 * * FRI"},
        ],
    }
    assert trigger_of(found, "first") == {**berlin, "expression": "0 */6 * * MON#1"}
    assert trigger_of(found, "last") == {**berlin, "expression": "10,20,30 * * L * *"}
    assert trigger_of(found, "last friday") == {**berlin, "expression": "0 0 * * FRIL"}
    assert trigger_of(found, "years") == {
        **berlin,
        "expression": "0 0 1 1-3 *",
        "start_at": "2030-12-31T23:00:00+00:00",
        "end_at": "2033-12-31T22:59:59+00:00",
    }
    assert trigger_of(found, "limits") == {
        **berlin,
        "expression": "5 * * * *",
        "start_at": "2030-12-31T23:00:00+00:00",
        "end_at": "2031-12-31T23:00:00+00:00",
        "jitter": 7.0,
    }
    assert trigger_of(found, "interval") == {
        "type": "interval",
        "minutes": 185,
        "start_at": "2031-05-01T12:00:00+00:00",
        "end_at": "2040-01-01T00:00:00+00:00",
    }
    assert trigger_of(found, "date") == {"type": "date", "run_at": "2031-05-01T12:00:00+00:00"}
    calendar = {"type": "calendar", "months": 1, "hour": 3, "timezone": "Europe/Berlin", "start_date": "2031-01-05"}
    assert trigger_of(found, "calendar") == calendar
    assert trigger_of(found, "or") == {
        "type": "or",
        "triggers": [
            {**berlin, "expression": "0 3 * * *"},
            {"type": "interval", "hours": 3, "start_at": "2031-05-01T12:00:00+00:00"},
        ],
    }
    assert trigger_of(found, "and") == {
        "type": "and",
        "triggers": [{**berlin, "expression": "0 3 * * *"}, {**berlin, "expression": "0 3 1 * *"}],
        "jitter": 5.0,
    }
    assert trigger_of(found, "offset") == {"type": "cron", "expression": "0 3 * * *", "timezone": "Etc/GMT-2"}


@pytest.mark.parametrize("protocol", range(6))
def test_every_pickle_protocol_is_read(protocol: int, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'jobs.sqlite'}"
    write_jobs(url, lambda each: each.add_job("old_jobs:report", "cron", ["ä"], {"pages": 1}, hour=2, id="a"), protocol)
    found = invoke(url, "--read-pickles")
    assert trigger_of(found, "a") == {"type": "cron", "timezone": "Europe/Berlin", "expression": "0 2 * * *"}


def test_limits_pause_and_due_time_are_translated(database: str) -> None:
    def add(scheduler: OldScheduler) -> None:
        options = {"misfire_grace_time": 90, "coalesce": False, "max_instances": 3}
        scheduler.add_job("old_jobs:report", "date", ["a"], {"pages": 2}, run_date=DUE, id="limits", **options)
        scheduler.add_job("old_jobs:report", "date", ["a"], run_date=DUE, id="none", misfire_grace_time=None)
        scheduler.add_job("old_jobs:report", "interval", ["a"], hours=1, start_date=DUE, id="pause")
        scheduler.pause_job("pause")
        scheduler.add_job("old_jobs:report", "interval", ["a"], hours=1, id="moved", next_run_time=DUE)

    write_jobs(database, add)
    found = invoke(database, "--read-pickles", "--importable", "old_jobs", "--executor", "default=threadpool")
    assert json.loads(str(task_of(found, "limits")["options"])) == {
        "max_instances": 3,
        "coalesce": False,
        "overlap": "skip",
        "misfire_grace_time": 90,
    }
    assert "misfire_grace_time" not in json.loads(str(task_of(found, "none")["options"]))
    assert json.loads(str(task_of(found, "limits")["arguments"])) == {"args": ["a"], "kwargs": {"pages": 2}}
    assert task_of(found, "limits")["executor"] == "threadpool"
    assert (task_of(found, "pause")["paused"], task_of(found, "limits")["paused"]) == (True, False)
    assert {task_of(found, each)["next_due"] for each in found.jobs} == {"2031-05-01T12:00:00Z"}


def test_jobs_without_counterpart_are_reported(database: str) -> None:
    def add(scheduler: OldScheduler) -> None:
        import old_jobs  # type: ignore[import-not-found]  # made by the fixture

        def job(job_id: str, trigger: object = "date", args: Sequence[object] = ("a",), **options: object) -> None:
            scheduler.add_job("old_jobs:report", trigger, args, id=job_id, **options)

        job("week", "cron", week=3)
        job("odd years", "cron", year="2031-2041/2")
        job("mixed", "cron", day="1st mon, 20")
        job("class", args=[old_jobs.Order()], run_date=DUE)
        job("bytes", args=[b"x"], run_date=DUE)
        job("set", args=[[{1, 2}]], run_date=DUE)
        job("key", args=[{1: 2}], run_date=DUE)
        job("nan", args=[float("nan")], run_date=DUE)
        job("infinity", args=[{"limits": [-float("inf")]}], run_date=DUE)
        scheduler.add_job(old_jobs.Mailer().send, "date", ["you"], run_date=DUE, id="method")
        job("fine", run_date=DUE, executor="default")
        job("zone", CronTrigger(hour=3, timezone=timezone(timedelta(hours=2, minutes=30))))

    write_jobs(database, add)
    found = invoke(database, "--read-pickles")
    assert found.status == 1
    reasons = {job_id: str(each["reason"]) for job_id, each in found.jobs.items() if each["reason"]}
    assert reasons == {
        "week": "cron expressions have no week of the year",
        "odd years": "cron expressions have no years, and these are not a range",
        "mixed": "the field day mixes days and weekdays of the month",
        "class": "the argument 1 has a value of the class old_jobs.Order, which is not JSON",
        "bytes": "the argument 1 has a value of the class builtins.bytes, which is not JSON",
        "set": "the argument 1 has a value of the class builtins.set, which is not JSON",
        "key": "the argument 1 has a key that is not a text",
        "nan": "the argument 1 has the value nan, which is not JSON",
        "infinity": "the argument 1 has the value -inf, which is not JSON",
        "method": "the argument 1 has a value of the class old_jobs.Mailer, which is not JSON",
        "zone": "its time zone is UTC+02:30, which has no name",
    }
    assert found.jobs["fine"]["translated"]


def test_unknown_time_zone_does_not_hide_others(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'jobs.sqlite'}"

    def add(scheduler: OldScheduler) -> None:
        for job_id in ("a", "b"):
            scheduler.add_job("old_jobs:report", CronTrigger(hour=3, timezone=BERLIN), ["a"], id=job_id)

    write_jobs(url, add)
    with sqlite3.connect(tmp_path / "jobs.sqlite") as connection:
        (pickled,) = connection.execute("SELECT job_state FROM apscheduler_jobs WHERE id = 'a'").fetchone()
        renamed = pickled.replace(b"Europe/Berlin", b"Europe/Nobody")
        connection.execute("UPDATE apscheduler_jobs SET job_state = ? WHERE id = 'a'", (renamed,))
    connection.close()
    found = invoke(url, "--read-pickles")
    assert found.status == 1
    assert found.jobs["a"]["reason"] == "this machine has no time zone 'Europe/Nobody'"
    assert found.jobs["b"]["translated"]


def test_invalid_next_run_time_is_noted(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'jobs.sqlite'}"

    def add(scheduler: OldScheduler) -> None:
        for job_id in ("inf", "paused", "text"):
            scheduler.add_job("old_jobs:report", "date", ["a"], run_date=DUE, id=job_id)

    write_jobs(url, add)
    with sqlite3.connect(tmp_path / "jobs.sqlite") as connection:
        for job_id, value in {"inf": float("inf"), "paused": None, "text": "soon"}.items():
            connection.execute("UPDATE apscheduler_jobs SET next_run_time = ? WHERE id = ?", (value, job_id))
    connection.close()
    jobs = invoke(url, "--read-pickles", "--importable", "old_jobs").jobs
    assert {job_id: each["notes"] for job_id, each in jobs.items()} == {
        "inf": ["the next run time inf is not a time: the task is paused"],
        "paused": [],
        "text": ["the next run time 'soon' is not a time: the task is paused"],
    }


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"$": "tuple", "items": []}, "the state of its trigger is a tuple of 0 and not of 2"),
        ({"$": "dict", "items": [["run_date", {"$": "datetime"}]]}, "KeyError: 'text'"),
    ],
)
def test_state_of_another_form_is_reported(state: JsonValue, reason: str) -> None:
    trigger: JsonValue = {"$": "object", "name": "apscheduler.triggers.date.DateTrigger", "state": state}
    pairs: JsonValue = [["func", "old_jobs:report"], ["args", []], ["kwargs", {"$": "dict", "items": []}]]
    assert isinstance(pairs, list)
    job = ReadJob("a", DUE, {"$": "dict", "items": [*pairs, ["trigger", trigger]]}, "")
    assert Translator({}, (), DUE).translate(job).reason == reason


def test_arguments_are_checked_by_importable_functions(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'jobs.sqlite'}"

    def add(scheduler: OldScheduler) -> None:
        scheduler.add_job("old_jobs:report", "date", ["a"], run_date=DUE, id="fine")

    write_jobs(url, add)
    (tmp_path / "old_jobs.py").write_text("def report() -> None: ...\n")
    sys.modules.pop("old_jobs", None)
    (reason,) = [each["reason"] for each in invoke(url, "--read-pickles", "--importable", "old_jobs").jobs.values()]
    assert "does not accept the stored arguments" in str(reason)
    (found,) = invoke(url, "--read-pickles").jobs.values()
    assert "was not imported" in str(found["notes"])


@pytest.mark.slow
async def test_imported_tasks_run(database: str, tmp_path: Path) -> None:
    """The store may be in the database of the job store."""

    def add(scheduler: OldScheduler) -> None:
        scheduler.add_job("old_jobs:report", "interval", ["monday"], {"pages": 3}, seconds=0.05, id="report")
        scheduler.add_job("old_jobs:report", "date", ["never"], run_date=DUE, id="later")
        scheduler.add_job("old_jobs:report", "cron", ["never"], week=3, id="week")

    write_jobs(database, add)
    dry = invoke(database, "--read-pickles")
    assert dry.status == 1
    if database.startswith("sqlite"):
        with sqlite3.connect(tmp_path / "jobs.sqlite") as connection:
            names = connection.execute("SELECT name FROM sqlite_master WHERE name LIKE 'asyncz%'").fetchall()
        connection.close()
        assert names == []
    first = await asyncio.to_thread(invoke, database, "--read-pickles", "--to", database)
    assert first.status == 1
    assert sorted(task.id for task in await stored_tasks(database)) == ["later", "report"]
    again = await asyncio.to_thread(invoke, database, "--read-pickles", "--to", database)
    assert str(again.jobs["later"]["reason"]) == "the store has a task with this id"

    options = StoreOptions(importable=("old_jobs",))
    async with AsyncIOScheduler(store=database, store_options=options) as scheduler:
        await until(lambda: scheduler.get_task("report").state.executed > 1)
        assert await scheduler.get_task("later").run() == "1 page(s) for never"
        assert scheduler.get_task("later").next_run_at == DUE
        assert scheduler.store.unreadable == {}


# Hostile input


class Calls:
    """Pickle that calls a function when it is read."""

    def __init__(self, function: object, *args: object) -> None:
        self._call = (function, args)

    @override
    def __reduce__(self) -> tuple[str, ...]:
        call: tuple[str, ...] = cast("tuple[str, ...]", self._call)  # as `pickle` accepts it
        return call


def nested(depth: int) -> bytes:
    return b"\x80\x04" + b"]" * depth + b"a" * (depth - 1) + b"."


def doubled(times: int) -> bytes:
    """List of 2 ** times values in a few bytes."""
    value: list[object] = []
    for _ in range(times):
        value = [value, value]
    return pickle.dumps({"args": value})


HOSTILE = {
    "system": pickle.dumps(Calls(os.system, "touch called")),
    "open": pickle.dumps(Calls(io.open, "called", "w")),
    "exec": pickle.dumps(Calls(exec, "open('called', 'w')")),
    "getattr": b"\x80\x04cbuiltins\ngetattr\ncos\nsystem\nX\x01\x00\x00\x00a\x86R.",
    "reconstructor": b"\x80\x02ccopy_reg\n_reconstructor\nc__builtin__\nint\nc__builtin__\nint\nK\x05\x87R.",
    "nested": nested(100_000),
    "doubled": doubled(64),
    "memory": b"\x80\x04\x8e\xff\xff\xff\xff\x0f\x00\x00\x00x.",
    "zeros": b"\x80\x04cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R.",
    "repeated": b"\x80\x04(" + b"X\x10\x00\x00\x00aaaaaaaaaaaaaaaa" * 200_000 + b"l.",
    "persistent": b"Pname\n.",
    "extension": b"\x80\x04\x82\x01.",
    "long text": pickle.dumps({"args": ["x" * 1_000_000] * 50_000}),
    "long name": b"\x80\x04(c" + b"n" * 1_000_000 + b"\nname\nq\x01" + b"h\x01)R" * 50_000 + b"l.",
    "truncated": pickle.dumps({"args": [1]})[:-5],
    "empty": b"",
    "text": b"hello",
    "number": pickle.dumps(5),
    "huge number": pickle.dumps({"args": [10**6000]}),
    "surrogate": pickle.dumps({"func": "a:\ud800"}),
    "wrong date": b"\x80\x04cdatetime\ndatetime\nX\x01\x00\x00\x00a\x85R.",
    "zone": pickle.dumps({"trigger": ZoneInfo("Europe/Berlin"), "func": "a:b"}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pickle_calls_nothing(name: str, tmp_path: Path) -> None:
    (found,) = read_jobs([PickledJob("a", DUE, HOSTILE[name])])
    assert not (tmp_path / "called").exists()
    assert not (Path(_pickles.__file__).parent / "called").exists()
    assert found.id == "a"


def test_repeated_long_values_are_rejected() -> None:
    """A short pickle may refer to one text many times."""
    assert "more than 4 MB" in read_job(HOSTILE["long text"])
    assert "more than 4 MB" in read_job(HOSTILE["long name"])
    assert "more than 4 MB" in read_job(pickle.dumps([10**4000] * 2_000))
    assert "more than 4 MB" in read_job(pickle.dumps("\0" * 1_000_000))
    assert json.loads(read_job(pickle.dumps("x" * 4_000_000)))["job"]


def test_hostile_rows_do_not_hide_others(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'jobs.sqlite'}"
    write_jobs(url, lambda each: each.add_job("old_jobs:report", "date", ["a"], run_date=DUE, id="m fine"))
    with sqlite3.connect(tmp_path / "jobs.sqlite") as connection:
        for name, pickled in HOSTILE.items():
            connection.execute("INSERT INTO apscheduler_jobs VALUES (?, 1.0, ?)", (name, pickled))
        connection.execute("INSERT INTO apscheduler_jobs VALUES ('inf', 9e999, ?)", (pickle.dumps(5),))
    connection.close()
    found = invoke(url, "--read-pickles", "--to", url)
    assert found.status == 1
    assert [job_id for job_id, each in found.jobs.items() if each["translated"]] == ["m fine"]
    assert len(found.jobs) == len(HOSTILE) + 2
    assert not (tmp_path / "called").exists()


def test_dead_reader_is_replaced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import base64, os, signal, sys\n"
        "for line in sys.stdin:\n"
        "    text = base64.b64decode(line)\n"
        "    if text == b'die': os.kill(os.getpid(), signal.SIGKILL)\n"
        "    if text == b'half': print('{', end='', flush=True); os._exit(1)\n"
        "    print('{\"job\": 1}', flush=True)\n"
    )
    monkeypatch.setattr(_reading, "_PROGRAM", program)
    texts = [b"a", b"die", b"b", b"half", b"c"]
    found = [(each.state, each.error) for each in read_jobs([PickledJob("x", None, text) for text in texts])]
    failed = "the process that read the pickle ended with the status 1: no message"
    assert found == [(1, ""), (None, DIED), (1, ""), (None, failed), (1, "")]


def test_reader_with_endless_answer_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("import sys\nwhile True: sys.stdout.write('x' * 65536)\n")
    monkeypatch.setattr(_reading, "_PROGRAM", program)
    (found,) = read_jobs([PickledJob("x", None, b"")])
    assert found.error == DIED


def test_reader_that_fails_is_reported_as_such(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("raise ValueError('not allowed')\n")
    monkeypatch.setattr(_reading, "_PROGRAM", program)
    (found,) = read_jobs([PickledJob("x", None, b"")])
    assert found.error == "the process that read the pickle ended with the status 1: ValueError: not allowed"


def test_lower_memory_limit_of_system_is_kept() -> None:
    program = (
        "import resource, runpy\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 28, 1 << 28))\n"
        f"runpy.run_path({_pickles.__file__!r}, run_name='__main__')\n"
        "print(resource.getrlimit(resource.RLIMIT_AS)[1] >> 20)\n"
    )
    result = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program],
        input=base64.b64encode(pickle.dumps(5)) + b"\n",
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert result.stdout.splitlines() == [b'{"job": 5}', b"256"], result.stderr


@pytest.mark.slow
def test_slow_pickle_is_ended_by_its_limit() -> None:
    """Frozen sets of objects with expensive equality are not possible: the time goes into many values."""
    program = b"\x80\x04(" + b"I1\n" * 6_000_000 + b"l."
    (found,) = read_jobs([PickledJob("a", None, program)])
    assert found.error


def test_names_stand_for_inert_objects() -> None:
    unpickled = InertUnpickler(io.BytesIO(pickle.dumps(Calls(os.system, "true")))).load()
    assert isinstance(unpickled, StandIn)
    assert (unpickled.name, unpickled.args) == ("posix.system", ("true",))
    assert "error" in json.loads(read_job(b"x" * (_pickles.MAX_PICKLE + 1)))


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("sqlite:///{folder}/jobs.sqlite",), 2, "the table has 1 jobs as pickles; pass --read-pickles"),
        (("sqlite:///{folder}/none.sqlite", "--read-pickles"), 1, "there is no such file"),
        (("sqlite:///{folder}/jobs.sqlite", "--read-pickles", "--table", "other"), 1, "no such table: other"),
        (("sqlite:///{folder}/jobs.sqlite", "--read-pickles", "--table", 'x"; DROP'), 2, "pass the name of a table"),
        (("sqlite:///{folder}/jobs.sqlite", "--read-pickles", "--to", "mysql://u:s3cr3t@h"), 2, "'mysql:...'"),
        (("sqlite:///{folder}/jobs.sqlite", "--read-pickles", "--executor", "a"), 2, "is not of the form name=alias"),
        (("mysql+pymysql://u:s3cr3t@h/x", "--read-pickles"), 2, "pass sqlite:///path"),
        (("postgresql+psycopg2://u:s3cr3t@127.0.0.1:1/x", "--read-pickles"), 1, "Connection refused"),
    ],
)
def test_mistake_is_reported_in_one_line(arguments: Sequence[str], status: int, message: str, tmp_path: Path) -> None:
    write_jobs(
        f"sqlite:///{tmp_path / 'jobs.sqlite'}",
        lambda each: each.add_job("old_jobs:report", "date", ["a"], run_date=DUE, id="a"),
    )
    found = invoke(*(each.format(folder=tmp_path) for each in arguments))
    assert found.status == status
    assert message in found.errors
    assert found.errors.count("\n") == 1
    assert "s3cr3t" not in found.errors


def test_report_is_a_line_for_each_job(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'jobs.sqlite'}"

    def add(scheduler: OldScheduler) -> None:
        scheduler.add_job("old_jobs:report", "date", [("a", 1)], run_date=DUE, id="a\x1b[2J")
        scheduler.add_job("old_jobs:report", "cron", ["a"], week=3, id="week")

    write_jobs(url, add)
    result = CliRunner().invoke(app, ["store", "import-apscheduler", url, "--read-pickles", "--importable", "old_jobs"])
    assert result.exit_code == 1
    assert result.stdout.splitlines()[1:] == [
        r"a\x1b[2J: at 2031-05-01 12:00:00 UTC",
        "  note: the tuple in the argument 1 becomes a list, if the annotation of the parameter is not a tuple",
        "week: not translated: cron expressions have no week of the year",
        "1 translated, 1 not",
        "dry run: nothing was stored; pass --to URL",
    ]
