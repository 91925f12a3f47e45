"""Some seconds of the fuzz test; `python -m tests.fuzz --minutes N` runs longer."""

from __future__ import annotations

import pytest

from tests.fuzz.__main__ import fuzz
from tests.fuzz.targets import TARGETS

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", TARGETS)
def test_hostile_data_raises_library_errors_only(name: str) -> None:
    fuzz(name, 40)
