"""The maximum lateness of a run."""

from __future__ import annotations

import pytest

from asyncz import InvalidInputError, TaskLimits


@pytest.mark.parametrize("seconds", [0, 0.0, -1, float("nan")])
def test_grace_time_of_zero_is_rejected(seconds: float) -> None:
    """Every run starts a little late, so all of them would be missed."""
    with pytest.raises(InvalidInputError, match=r"misfire_grace_time cannot be .*more than 0 seconds, or None"):
        TaskLimits(misfire_grace_time=seconds)


def test_small_grace_time_is_accepted() -> None:
    assert TaskLimits(misfire_grace_time=0.001).misfire_grace_time == 0.001
