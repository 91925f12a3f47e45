"""Number of examples of property tests: few in each run of the tests, more by a variable of the environment."""

from __future__ import annotations

import os
from typing import Final

FACTOR: Final = int(os.environ.get("ASYNCZ_EXAMPLES", "1"))


def examples(number: int) -> int:
    """Return the number of examples; `ASYNCZ_EXAMPLES=10 python -m pytest tests/properties` makes ten times as many."""
    return number * FACTOR
