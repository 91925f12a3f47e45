"""A short storm: no run is lost, doubled or reported out of order, and nothing stays behind."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import TypeAdapter

from tests.chaos.storm import EXECUTORS, StormReport

pytestmark = pytest.mark.slow


class PrintedReport(StormReport):
    """Results of a storm, and what Python would only have printed."""

    unraisable: list[str]


@pytest.mark.parametrize("seed", [1, 2])
def test_every_run_ends_once_while_workers_are_killed(seed: int) -> None:
    """The storm has a process of its own: it takes file descriptors and threads away from all of it."""
    command = [sys.executable, "-m", "tests.chaos", "--json", "--executors", *EXECUTORS]
    options = ["--runs", "400", "--seconds", "20", "--seed", str(seed), "--kill-every", "0.15"]
    result = subprocess.run([*command, *options], capture_output=True, text=True, check=False, timeout=110)
    assert result.stdout, result.stderr
    report = TypeAdapter(PrintedReport).validate_json(result.stdout)
    assert report["unraisable"] == []
    assert report["adds_up"], "\n".join([*report["rows"], *report["problems"]])
    assert result.returncode == 0, result.stderr
    assert report["killed"]
    assert report["clock_steps"]
    assert report["scheduled"]
    assert report["submitted"] > 400
    assert report["kinds"]["processpool"].keys() >= {"executed", "error"}
