"""Longer fuzz test: `python -m tests.fuzz [--minutes 5] [TARGET ...]`. Prints the number of examples of each target."""

from __future__ import annotations

import argparse
import sys
import time

from hypothesis import HealthCheck, Phase, settings

from tests.fuzz.targets import TARGETS

_EXAMPLES_AT_ONCE = 200


def fuzz(name: str, examples: int) -> None:
    """Run a target with a number of new examples.

    Raises:
        AssertionError: An example shows a fault; hypothesis prints it.
    """
    configured = settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
        phases=(Phase.generate, Phase.shrink),
    )
    TARGETS[name](configured)


def main() -> int:
    """Run all targets in turn until the time is over."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", help=f"default: {', '.join(TARGETS)}")
    parser.add_argument("--minutes", type=float, default=5, help="duration")
    options = parser.parse_args()
    names: list[str] = options.targets or list(TARGETS)
    deadline, rounds = time.monotonic() + 60 * options.minutes, 0
    while time.monotonic() < deadline:
        for name in names:
            fuzz(name, _EXAMPLES_AT_ONCE)
        rounds += 1
    print(f"{rounds * _EXAMPLES_AT_ONCE} examples of each of {len(names)} targets")
    return 0


if __name__ == "__main__":
    sys.exit(main())
