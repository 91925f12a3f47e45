"""A short chaos of processes with one store: no due time is lost, doubled or early."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "database", ["sqlite", pytest.param("postgres", marks=pytest.mark.xdist_group("postgres_nodes"))]
)
def test_due_times_fire_once_while_nodes_die(database: str) -> None:
    command = [sys.executable, "-m", "tests.chaos.stores", "--json", "--logs", "--databases", database]
    options = ["--seconds", "4", "--processes", "2", "--seed", "3"]
    result = subprocess.run([*command, *options], capture_output=True, text=True, check=False, timeout=280)
    assert result.stdout, result.stderr
    ledger = json.loads(result.stdout)
    # A busy machine may be slow.
    broken = {name: count for name, count in ledger["broken"].items() if count and name != "slow recoveries"}
    assert broken == {}, f"{result.stdout}\n{result.stderr}"
    assert ledger["effects"] > 0
    assert sum(ledger["faults"].values()) > 0
