"""The library executes no more for a run than it has to: counted, not timed, so that no machine is too busy for it."""

from __future__ import annotations

import json
import sys

from tests.benchmarks.guard import KINDS
from tests.fresh_python import output_of

# Instructions of the library a run, and for `add` a task; a twentieth above what it was when they were written, a tenth
# where other threads and processes take part. Python 3.11 needs some more for the same.
LIMITS = (
    {"coroutine": 905, "threads": 1036, "processes": 1805, "inline": 749, "add": 597}
    if sys.version_info < (3, 12)
    else {"coroutine": 796, "threads": 976, "processes": 1671, "inline": 712, "add": 534}
)


def counts_of(*kinds: str) -> dict[str, float]:
    """What the guard counts, in a process of its own, whose instructions nobody else traces."""
    counts: dict[str, float] = json.loads(output_of("-m", "tests.benchmarks.guard", *kinds))
    return counts


def above_their_limits(counts: dict[str, float]) -> dict[str, tuple[float, int]]:
    return {kind: (count, LIMITS[kind]) for kind, count in counts.items() if count > LIMITS[kind]}


def test_a_run_costs_no_more_instructions_than_it_did() -> None:
    counts = counts_of()
    assert counts.keys() == LIMITS.keys() == set(KINDS)
    # A busy machine costs threads and processes some wake-ups more, though not each time.
    for _ in range(2):
        if too_many := above_their_limits(counts):
            counts |= counts_of(*too_many)
    assert not above_their_limits(counts)
