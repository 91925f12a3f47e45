"""The chaos, from the command line. Its exit status is 1 where the ledger does not add up."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial

from tests.benchmarks.venvs import python_with
from tests.chaos.soak import Soak
from tests.chaos.storm import ALL_EXECUTORS, Storm
from tests.chaos.strictness import strictness

PEER = "apscheduler==3.11.3"


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--runs", type=int, default=3000, help="how many runs there are on each executor")
    parser.add_argument("--seconds", type=float, default=120, help="when to begin no more runs")
    parser.add_argument("--seed", type=int, default=1, help="what comes in which order")
    parser.add_argument("--kill-every", type=float, default=0.3, help="seconds between two kills; 0 is none")
    parser.add_argument("--peer", action="store_true", help=f"run the same on {PEER} as well")
    parser.add_argument("--soak", type=float, metavar="SECONDS", help="repeat short storms and watch the resources")
    parser.add_argument("--json", action="store_true", help="print the results as one JSON object")
    parser.add_argument("--executors", nargs="+", choices=ALL_EXECUTORS, default=ALL_EXECUTORS, help="the executors")
    options = parser.parse_args()
    if options.soak is not None:
        return 0 if Soak(options.soak, options.seed, options.kill_every).run() else 1
    storm = partial(Storm, options.runs, options.seconds, options.seed, options.kill_every, executors=options.executors)
    adds_up = run_storm(partial(storm, verbose=not options.json), as_json=options.json)
    if options.peer:
        run_peer(options.runs, options.seconds, options.seed, options.kill_every)
    return 0 if adds_up else 1


def run_storm(make_storm: Callable[[], Storm], *, as_json: bool) -> bool:
    """Run a storm and print its results; return True if it adds up and nothing was reported to no caller."""
    with strictness() as found:
        storm = make_storm()
        asyncio.run(storm.run())
        report = storm.report()
        del storm
    if as_json:
        print(json.dumps({**report, "unraisable": found}))
    for each in found:
        print(f"PROBLEM: {each}", file=sys.stderr)
    return report["adds_up"] and not found


def run_peer(runs: int, seconds: float, seed: int, kill_every: float) -> None:
    """Run the peer in an environment of its own, and let it print its ledger."""
    python = str(python_with(PEER))
    print(f"\n{PEER}", flush=True)
    arguments = [str(runs), str(seconds), str(seed), str(kill_every)]
    command = [python, "-W", "ignore", "-m", "tests.chaos.peer_apscheduler", *arguments]
    # Its workers log each failure there, and failures are wanted.
    peer = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        if status := peer.wait(timeout=seconds + 120):
            print(f"the peer ended with the exit status {status}")
    finally:
        # Workers that it has lost track of would stay.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(peer.pid, signal.SIGKILL)
        peer.wait()


if __name__ == "__main__":
    sys.exit(main())
