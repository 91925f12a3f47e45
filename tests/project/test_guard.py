"""The instruction guard reports counts above the recorded ones; CI runs it as a step of its own."""

from __future__ import annotations

import pytest

from tests.benchmarks import guard


def test_counts_within_tolerance_pass() -> None:
    assert guard.above_limits({"inline": guard.RECORDED["inline"] * 1.14}) == {}


def test_count_above_tolerance_is_reported() -> None:
    count = guard.RECORDED["inline"] * 1.16
    assert guard.above_limits({"inline": count}).keys() == {"inline"}


@pytest.mark.parametrize(("factor", "status"), [(1.1, 0), (1.2, 1)])
def test_check_fails_if_a_count_is_too_high(
    factor: float, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(guard, "least", lambda kind: guard.RECORDED[kind] * factor)
    monkeypatch.setattr(guard, "vars", lambda _: {}, raising=False)
    assert guard.main(["--check", "inline"]) == status
    assert ("inline: " in capsys.readouterr().out) == bool(status)
