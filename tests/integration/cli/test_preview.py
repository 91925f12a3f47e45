"""`asyncz preview`."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Protocol

import pytest
from typer.testing import CliRunner, Result

from asyncz.cli.app import app
from tests.helpers.commands import asyncz_command


class Preview(Protocol):
    def __call__(self, *arguments: str) -> Result: ...


@pytest.fixture
def preview(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Preview:
    """Call the command in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return lambda *arguments: CliRunner().invoke(app, ["preview", *arguments])


def test_preview_shows_local_time_utc_and_interval(preview: Preview) -> None:
    result = preview("30 2 * * *", "--tz", "Europe/Berlin", "-n", "3", "--from", "2026-03-28T12:00")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "30 2 * * * in Europe/Berlin, for a task that is added at Sat 2026-03-28 12:00:00 CET:",
        "",
        "      due                            in UTC                    after",
        "   1  Sun 2026-03-29 03:00:00 CEST   2026-03-29 01:00:00 UTC   +14:00:00, clocks set +1:00:00",
        "   2  Mon 2026-03-30 02:30:00 CEST   2026-03-30 00:30:00 UTC   +23:30:00",
        "   3  Tue 2026-03-31 02:30:00 CEST   2026-03-31 00:30:00 UTC   +1 day, 0:00:00",
    ]
    back = preview("0 * * * *", "--tz", "Europe/Berlin", "-n", "3", "--from", "2026-10-25T02:00")
    assert [re.findall(r"CES?T|clocks set \S+", line) for line in back.stdout.splitlines()[3:]] == [
        ["CEST"],
        ["CET", "clocks set -1:00:00"],
        ["CET"],
    ]


def test_preview_json_matches_table(preview: Preview) -> None:
    result = preview("@daily", "--tz", "Asia/Kolkata", "--count", "2", "--from", "2030-01-01", "--json")
    assert json.loads(result.stdout) == {
        "trigger": "@daily in Asia/Kolkata",
        "timezone": "Asia/Kolkata",
        "from": "2029-12-31T18:30:00+00:00",
        "due": [
            {"local": "2030-01-01T00:00:00+05:30", "utc": "2029-12-31T18:30:00+00:00", "seconds": 0.0},
            {"local": "2030-01-02T00:00:00+05:30", "utc": "2030-01-01T18:30:00+00:00", "seconds": 86400.0},
        ],
    }


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["interval", "minutes=90"], ["01:30:00", "03:00:00", "04:30:00"]),
        (["interval", "seconds=0.5"], ["00:00:00", "00:00:01", "00:00:01"]),
        (["interval", "hours=1", "start_at=2030-01-01T05:00", "end_at=2030-01-01T06:00"], ["05:00:00", "06:00:00"]),
        (["calendar", "days=1", "hour=9", "start_date=2030-01-02"], ["09:00:00", "09:00:00", "09:00:00"]),
        (["date", "run_at=2030-01-01T12:00"], ["12:00:00"]),
        (["cron", "expression=*/20 * * * *"], ["00:00:00", "00:20:00", "00:40:00"]),
        (["cron", "expression=@daily", "timezone=UTC"], ["01:00:00", "01:00:00", "01:00:00"]),
        (["previewed_triggers:trigger"], ["00:07:00", "00:14:00", "00:21:00"]),
        (["previewed_triggers:make_trigger"], ["00:08:00", "00:16:00", "00:24:00"]),
        (["*/30 * * * * *"], ["00:00:00", "00:00:30", "00:01:00"]),
    ],
)
def test_preview_shows_every_trigger(
    preview: Preview, tmp_path: Path, arguments: list[str], expected: list[str]
) -> None:
    (tmp_path / "previewed_triggers.py").write_text(
        "from asyncz import IntervalTrigger\ntrigger = IntervalTrigger(minutes=7)\n"
        "def make_trigger(): return IntervalTrigger(minutes=8)\n"
    )
    result = preview(*arguments, "-n", "3", "--from", "2030-01-01", "--tz", "Europe/Berlin")
    assert result.exit_code == 0, result.output
    assert [line.split()[3] for line in result.stdout.splitlines() if "UTC   +" in line] == expected
    assert ("and no more" in result.stdout) == (len(expected) < 3)


def test_preview_never_due(preview: Preview) -> None:
    result = preview("interval", "hours=1", "end_at=2029-01-01", "--from", "2030-01-01")
    assert (result.exit_code, result.stdout.splitlines()[-1].strip()) == (0, "never")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["61 * * * *"], "'61' is not a valid minute"),
        (["@daily", "--tz", "Europe/Berln"], "did you mean 'Europe/Berlin'"),
        (["@daily", "--from", "tomorrow"], "'tomorrow' is not a time"),
        (["@daily", "-n", "0"], "1"),
        (["@daily", "minutes=5"], "accepts no options"),
        (["interval", "minutes"], "not of the form name=value"),
        (["interval", "minute=5"], "minute"),
        (["interval", "minutes=five"], "minutes cannot be 'five'"),
        (["sys:path"], "is of the type list; a trigger is needed"),
        (["there_is_none:trigger"], "cannot be imported"),
    ],
)
def test_preview_invalid_input_reported(preview: Preview, arguments: list[str], message: str) -> None:
    result = preview(*arguments)
    assert result.exit_code == 2
    assert message in re.sub(r"[\s│]+", " ", result.output)


@pytest.mark.slow
def test_preview_command_shows_ten_due_times(tmp_path: Path) -> None:
    result = asyncz_command("preview", "*/5 * * * *", folder=tmp_path)
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.splitlines()) == 13
