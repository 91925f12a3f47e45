"""One measurement of asyncz or of a building block, in a process of its own: `python -m … WHO KIND NUMBER`."""

from __future__ import annotations

import asyncio
import json
import sys

from tests.benchmarks import mixed, ours
from tests.benchmarks.lateness import lateness
from tests.benchmarks.scale import scale


async def measure(who: str, kind: str, number: int) -> dict[str, float]:
    """The figures of a contender, by their names."""
    if kind == "scale":
        return await scale(number)
    if kind == "mixed":
        return await (mixed.scheduled if who == "asyncz" else mixed.bare)(number)
    if kind.startswith("lateness "):
        return await lateness(kind.removeprefix("lateness "), number)
    return await (ours.scheduled if who == "asyncz" else ours.bare)(kind, number)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(sys.argv[1], sys.argv[2], int(sys.argv[3])))))
