"""The backlog of a task under each overlap policy."""

from __future__ import annotations

import pytest

from asyncz import OverlapPolicy, TaskLimits
from asyncz.schedulers._backlog import Backlog, DueRun


@pytest.mark.parametrize(
    ("overlap", "kept", "rejected", "cancels"),
    [
        ("queue_one", [4.0], [0.0, 1.0, 2.0, 3.0], False),
        ("queue_all", [0.0, 1.0, 2.0, 3.0, 4.0], [], False),
        ("cancel_running", [2.0, 3.0, 4.0], [0.0, 1.0], True),
    ],
)
def test_backlog_keeps_runs_of_policy(
    overlap: OverlapPolicy, kept: list[float], rejected: list[float], cancels: bool
) -> None:
    backlog = Backlog[None]()
    limits = TaskLimits(overlap=overlap, max_instances=3)
    decisions = [backlog.admit(DueRun(float(at), None, must_run=False), limits, live_runs=3) for at in range(5)]
    assert [due.at for decision in decisions for due in decision.rejected] == rejected
    assert [due.at for due in backlog.take_all()] == kept
    assert {decision.cancel_oldest for decision in decisions} == {cancels}
    assert len(backlog) == 0


@pytest.mark.parametrize(("coalesce", "kept"), [(True, [4.0]), (False, [0.0, 1.0, 2.0, 3.0, 4.0])])
def test_runs_that_must_run_follow_coalesce(coalesce: bool, kept: list[float]) -> None:
    backlog = Backlog[None]()
    limits = TaskLimits(overlap="skip", coalesce=coalesce, max_instances=3)
    for at in range(5):
        backlog.admit(DueRun(float(at), None, must_run=True), limits, live_runs=3)
    assert [due.at for due in backlog.take_all()] == kept


def test_running_run_is_kept_while_slots_are_free() -> None:
    limits = TaskLimits(overlap="cancel_running", max_instances=3)
    assert not Backlog[None]().admit(DueRun(0.0, None, must_run=False), limits, live_runs=2).cancel_oldest
