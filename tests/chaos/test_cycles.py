"""Nothing is left after a shutdown, however often."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.chaos.cycles import cycles

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("kind", "number"), [("asyncio", 200), ("threadpool", 200), ("debug", 200), ("processpool", 15)]
)
def test_cycles_leave_no_resources(kind: str, number: int) -> None:
    before, after = cycles(kind, number)
    assert not after.more_than(before), (before, after)


def test_program_that_used_processes_ends_quietly() -> None:
    command = [sys.executable, "-m", "tests.chaos.cycles", "--kind", "processpool", "--cycles", "2"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert (result.returncode, result.stderr) == (0, "")
