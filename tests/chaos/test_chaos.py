"""A short storm: no run is lost, doubled or reported out of order, and nothing stays behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys

import pytest
from pydantic import TypeAdapter

from tests.chaos.storm import EXECUTORS, StormReport, stop_and_kill


class PrintedReport(StormReport):
    """Results of a storm, and what Python would only have printed."""

    unraisable: list[str]


@pytest.mark.slow
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


@pytest.mark.anyio
async def test_a_stopped_worker_dies_with_its_killer() -> None:
    """A worker that stays stopped would hold up the end of the storm without end."""
    worker = await asyncio.create_subprocess_exec(sys.executable, "-c", "import time; time.sleep(3600)")
    try:
        killer = asyncio.ensure_future(stop_and_kill(worker.pid, 3600))
        await asyncio.to_thread(os.waitid, os.P_PID, worker.pid, os.WSTOPPED | os.WNOWAIT)
        killer.cancel()
        await asyncio.wait([killer])
        assert await asyncio.wait_for(worker.wait(), 10) == -signal.SIGKILL
    finally:
        with contextlib.suppress(ProcessLookupError):
            worker.kill()
        await worker.wait()
