"""A short storm: no run is lost, doubled or told out of order, and nothing stays behind."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from pydantic import BaseModel

from tests.chaos.storm import EXECUTORS

pytestmark = pytest.mark.slow


class Report(BaseModel):
    """What a storm printed."""

    adds_up: bool
    rows: list[str]
    submitted: int
    kinds: dict[str, dict[str, int]]
    killed: int
    stolen: int
    problems: list[str]
    unraisable: list[str]


@pytest.mark.parametrize("seed", [1, 2])
def test_every_run_ends_once_while_workers_are_killed(seed: int) -> None:
    """The storm has a process of its own: it takes file descriptors and threads away from all of it."""
    command = [sys.executable, "-m", "tests.chaos", "--json", "--executors", *EXECUTORS]
    options = ["--runs", "400", "--seconds", "20", "--seed", str(seed), "--kill-every", "0.15"]
    result = subprocess.run([*command, *options], capture_output=True, text=True, check=False, timeout=110)
    assert result.stdout, result.stderr
    report = Report.model_validate(json.loads(result.stdout))
    assert report.unraisable == []
    assert report.adds_up, "\n".join([*report.rows, *report.problems])
    assert result.returncode == 0, result.stderr
    assert report.killed
    assert report.submitted > 400
    assert report.kinds["processpool"].keys() >= {"executed", "error"}
