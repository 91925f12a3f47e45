"""What all tests share."""

from __future__ import annotations

import pytest

from tests.functions import Recorder


@pytest.fixture
def recorder() -> Recorder:
    """A notifier that keeps what it is told, for executors without a scheduler."""
    return Recorder()
