"""One typed task on the processes of this machine or on a Dask cluster; one word decides.

    python -m tests.examples.pool_or_cluster processpool
    python -m tests.examples.pool_or_cluster dask

If the cluster runs elsewhere, pass its address: `add_executor("dask", alias="cpu", address="tcp://10.0.0.5:8786")`.
"""

from __future__ import annotations

import asyncio
import sys
from typing import assert_type

from asyncz import AsyncIOScheduler, TaskExecuted


def primes_between(first: int, last: int) -> list[int]:
    """The primes of a range, by trial division."""
    return [
        number for number in range(max(first, 2), last) if all(number % by for by in range(2, int(number**0.5) + 1))
    ]


async def main(executor: str) -> None:
    """Look for primes in several ranges at once."""
    async with AsyncIOScheduler(executors={"cpu": executor}) as scheduler:
        tasks = [
            scheduler.add_task(primes_between, first, first + 5_000, executor="cpu")
            for first in range(0, 20_000, 5_000)
        ]

        @tasks[0].on_executed
        def report(event: TaskExecuted[list[int]]) -> None:
            print("the first ones:", event.result[:5], file=sys.stderr)

        found = await asyncio.gather(*(task.result() for task in tasks))
        assert_type(found, list[list[int]])
        print(sum(len(primes) for primes in found), "primes")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
