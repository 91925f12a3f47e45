"""Effort of tests.

Property tests have few examples in each run of the tests, and more by a variable of the environment.
"""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path
from typing import Final

FACTOR: Final = int(os.environ.get("ASYNCZ_EXAMPLES", "1"))


def examples(number: int) -> int:
    """Return the number of examples; `ASYNCZ_EXAMPLES=10 python -m pytest tests/properties` makes ten times as many."""
    return number * FACTOR


@functools.cache
def has_only_slow_tests(module: Path) -> bool:
    """Return True if all tests of a module are slow."""
    return re.search(r"^pytestmark = .*\bpytest\.mark\.slow\b", module.read_text(), re.MULTILINE) is not None
