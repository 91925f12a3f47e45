"""The example programs run as documented."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.helpers.forked import Program, run_program
from tests.helpers.paths import PROJECT

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("executor", ["processpool", "dask"])
def test_example_pool_or_cluster_runs(executor: str) -> None:
    result = run_program("-m", "tests.examples.pool_or_cluster", executor, cwd=PROJECT, timeout=60)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "2262 primes\n"
    assert "the first ones: [2, 3, 5, 7, 11]" in result.stderr


def example(name: str, *arguments: str) -> Program:
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    return Program(["-m", f"tests.examples.{name}", *arguments], cwd=PROJECT, env=environment)


def test_example_chain_runs(tmp_path: Path) -> None:
    texts = {"a.txt": "to be or not to be", "b.txt": "to do", "c.txt": ""}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    files = [str(tmp_path / name) for name in [*texts, "missing.txt"]]
    with example("chain", *files) as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    lines = out.splitlines()
    # The file that is counted first decides which of those that come once is the third.
    assert lines[-3:-1] == ["to 3", "be 2"]
    assert {"count a.txt: 6 words", "count b.txt: 2 words", "count c.txt: 0 words"} <= set(lines)
    assert any(line.startswith("read missing.txt failed:") for line in lines)


def wait_until_handled(process: Program, number: signal.Signals) -> None:
    """Wait until a program has a handler for a signal, which would end it before."""
    abandon_at = time.monotonic() + 60
    while True:
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{process.pid}/status").read_text().splitlines())
        if int(status["SigCgt"], 16) & 1 << (number - 1):
            return
        assert time.monotonic() < abandon_at
        time.sleep(0.01)


def test_example_sync_program_drains_on_sigterm(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 1234)
    with example("sync_program", str(tmp_path)) as process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline().strip() for _ in range(2)]
            wait_until_handled(process, signal.SIGTERM)
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0, err
    assert all(line.endswith("1234 bytes") for line in lines)
    assert out.strip() == "runs that ended: ['executed']"


PRINTED = {
    "nightly_mail": ["mail: nightly at 00:30 UTC: the disk is full"],
    "jobs_from_rows": [
        "broken: options of the trigger 'interval' cannot be {'minute': 1}: unknown option 'minute'; did you mean",
        "[('report', 'every 1 hour'), ('clean', 'every 2 hours')]",
    ],
    "cancel": ["fetched by attempt 3", "TaskCancelled(task_id='count_files-2'"],
    "batch": ["counting", "2262 primes"],
    "no_overlap": ["sync is still running", "running: 1", "executed: 2 rejected: 1"],
    "own_executor": ["{'"],
}


@pytest.mark.parametrize("name", PRINTED)
def test_short_example_prints_its_story(name: str) -> None:
    with example(name) as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    lines = out.splitlines()
    assert len(lines) == len(PRINTED[name])
    assert all(line.startswith(start) for line, start in zip(lines, PRINTED[name], strict=True)), out


def test_example_drain_finishes_its_job() -> None:
    with example("drain") as process:
        try:
            assert process.stderr is not None
            first = next(line for line in process.stderr if "step 0" in line)
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0, err
    assert first == "work step 0\n"
    assert "work step 2\n" in err


def test_example_from_apscheduler_runs_until_sigterm() -> None:
    with example("from_apscheduler") as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "tick tick\n"
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0, err


LONG = {"__init__.py", "chain.py", "jobs.py", "pool_or_cluster.py", "asyncz.toml"}
EVERYDAY_JOBS = sorted(path for path in (PROJECT / "tests" / "examples").glob("*.*") if path.name not in LONG)


@pytest.mark.parametrize("path", EVERYDAY_JOBS, ids=lambda path: path.name)
def test_everyday_job_has_at_most_30_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 30
