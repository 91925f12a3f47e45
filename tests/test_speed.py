"""The library executes no more for a run than it has to: counted, not timed, so that no machine is too busy for it."""

from __future__ import annotations

import json
import sys

from tests.benchmarks.guard import KINDS
from tests.fresh_python import output_of

# Instructions of the library a run, and for `add` a task; a twentieth above what it was when they were written, a tenth
# where other threads take part, and a seventh where other processes do. Python 3.11 needs some more for the same.
LIMITS = (
    {"coroutine": 991, "threads": 1124, "processes": 1894, "inline": 852, "add": 597}
    if sys.version_info < (3, 12)
    else {"coroutine": 874, "threads": 1048, "processes": 1765, "inline": 802, "add": 534}
)


def test_a_run_costs_no_more_instructions_than_it_did() -> None:
    # A process of its own, whose instructions nobody else traces.
    counted: dict[str, float] = json.loads(output_of("-m", "tests.benchmarks.guard"))
    assert counted.keys() == LIMITS.keys() == set(KINDS)
    assert not {kind: (count, LIMITS[kind]) for kind, count in counted.items() if count > LIMITS[kind]}
