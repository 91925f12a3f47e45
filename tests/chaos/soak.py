"""Repeated storms in one process, whose memory, descriptors, threads and processes must stay flat."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import resource
import time
from pathlib import Path

from tests.chaos.cycles import Resources, held_names
from tests.chaos.storm import Storm
from tests.chaos.strictness import strictness

RUNS = 250
"""Runs on each executor in one storm."""

WARM_UP_ROUNDS = 3
MAX_EXTRA_MEMORY = 24 << 20
"""Bytes by which the resident memory may exceed that after the warm-up."""

_SECONDS_TO_SETTLE = 20.0


def resident_memory() -> int:
    """Return the resident memory of this process, in bytes, without what the allocator of C keeps for later."""
    gc.collect()
    # Each thread that allocates may get an arena of its own, whose free parts stay resident.
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


class Soak:
    """Storms for some time.

    Args:
        seconds: Duration.
        seed: Seed of the first storm.
        kill_every: See `Storm`.
    """

    def __init__(self, seconds: float, seed: int, kill_every: float) -> None:
        self._deadline = time.monotonic() + seconds
        self._seed = seed
        self._kill_every = kill_every
        self._memory = 0
        self._held: Resources | None = None
        self._names: set[str] = set()

    def run(self) -> bool:
        """Run the storms, print a line for each, and return True if all accounts add up and the resources are flat."""
        began, rounds, total, flat, adds_up = time.monotonic(), 0, 0, True, True
        while rounds <= WARM_UP_ROUNDS or time.monotonic() < self._deadline:
            with strictness() as found:
                storm = Storm(RUNS, 120, self._seed + rounds, self._kill_every, verbose=False)
                adds_up &= asyncio.run(storm.run())
            adds_up &= not found
            for problem in (*storm.problems, *found):
                print(f"PROBLEM: {problem}")
            accounts = storm.ledger.accounts.values()
            total += sum(len(account.submitted) for account in accounts)
            lost, doubled = sum(each.lost for each in accounts), sum(each.doubled for each in accounts)
            leaked = sum(each.leaked for each in accounts)
            del storm, accounts
            rounds += 1
            is_flat = self._look(rounds)
            flat &= is_flat
            new = sorted(set(held_names()) - self._names)
            print(
                f"{time.monotonic() - began:6.0f} s {total:8} runs lost {lost} doubled {doubled} leaked {leaked}"
                f" {resident_memory() / 1e6:7.1f} MB {Resources.held()} {'' if is_flat else 'NOT FLAT'}",
                *([] if is_flat else new),
                sep="\n  ",
                flush=True,
            )
        bounds = f"at most {MAX_EXTRA_MEMORY >> 20} MiB more memory, and no more descriptors, threads, processes"
        print(f"{'flat' if flat else 'NOT FLAT'} ({bounds}), {'adds up' if adds_up else 'DOES NOT ADD UP'}")
        return flat and adds_up

    def _look(self, rounds: int) -> bool:
        """Return True if the process holds no more than after the warm-up."""
        if rounds <= WARM_UP_ROUNDS or self._held is None:
            time.sleep(1)
            self._held, self._memory = Resources.held(), resident_memory()
            self._names = set(held_names())
            return True
        deadline = time.monotonic() + _SECONDS_TO_SETTLE
        # Threads and processes end a moment after they have been waited for.
        while (more := Resources.held().more_than(self._held)) and time.monotonic() < deadline:
            time.sleep(0.1)
        return not more and resident_memory() - self._memory <= MAX_EXTRA_MEMORY
