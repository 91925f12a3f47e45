"""A resource that is missing for a moment costs no run its notification, and no executor its life."""

from __future__ import annotations

import json

import pytest
from pydantic import BaseModel

from tests.chaos.resources import EXECUTORS, RESOURCES, STEPS
from tests.helpers.forked import run_program
from tests.helpers.paths import PROJECT


class Ledger(BaseModel):
    """Output of one scenario."""

    step: str
    submitted: int
    lost: int
    doubled: int
    kinds: dict[str, int]
    after: str
    status: str


# Each starts processes at every step. The other resources by command: `python -m tests.chaos.resources EXECUTOR KIND`.
_SAMPLED = {"futures-processes", "dask"}
CASES = [(name, kind) for name in EXECUTORS for kind in RESOURCES if name not in _SAMPLED or kind == "descriptors"]


@pytest.mark.slow
@pytest.mark.parametrize(("executor", "resource"), CASES)
def test_resource_missing_for_a_moment_loses_no_run(executor: str, resource: str) -> None:
    result = run_program("-m", "tests.chaos.resources", executor, resource, cwd=PROJECT, timeout=110)
    ledgers = [Ledger.model_validate(json.loads(line)) for line in result.stdout.splitlines()]
    assert [ledger.step for ledger in ledgers] == list(STEPS), result.stderr
    for ledger in ledgers:
        assert (ledger.submitted, ledger.lost, ledger.doubled) == (2, 0, 0), ledger
        assert (ledger.after, ledger.status) == ("TaskExecuted", "stopped"), (ledger, result.stderr)
