"""A killed program leaves no process behind, and an orderly one loses no outcome."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.orphans import kill_at_moments


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_killed_program_leaves_no_process(tmp_path: Path, seed: int) -> None:
    """At 8 moments here, at 50 by `python -m tests.chaos.orphans`."""
    moments = kill_at_moments(4, tmp_path, seed)
    assert [moment for moment in moments if not moment.is_right] == []
