"""Behaviour mutations by mutmut: `python -m tests.mutation [area ...] [--mutants PATTERN ...] [--keep FOLDER]`.

Mutmut changes one operator, constant, argument or string at a time in a copy of the package, and runs the tests that
execute the changed function, except slow tests and those of the process pool, which is not mutated. A mutation that no
test notices is a survivor. It must be explained in `survivors.toml`, by function and change; the command fails if one
is not. All mutations take hours; `--mutants '*_mutmut_*7'` runs a tenth of them, evenly spread.

Two kinds of statement are not mutated: those that make errors, and log lines; nearly all of their mutations change the
wording. Mutmut leaves out functions with decorators, other than `@staticmethod` and `@classmethod`.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, TypeAdapter
from typing_extensions import override

ROOT = Path(__file__).resolve().parent.parent.parent
SURVIVORS = Path(__file__).with_name("survivors.toml")
UNMUTATED = (r"\b\w+Error\(", r"\blogger\.", r"\bsafe_logger\(\w+\)\.", r"\b_?log\(")
"""Patterns of statements that are not mutated."""
INSTRUMENTED = ("tests/scheduler/test_memory.py",)
"""Tests that fail in a mutated copy, because its functions count their calls and take more memory."""

_TEST_SECONDS = 40
"""Seconds after which a test is interrupted and counts as failed: a mutation can make it wait forever."""
_MAX_BYTES = 4 << 30
"""Memory of a process with a mutation: an endless loop must not fill the machine."""
# Mutmut keeps the callers of functions in a context variable. Setting it in each call crashes CPython 3.11, in the
# mapping behind contexts. The callers are not used here.
_PROGRAM = """
from mutmut.core import MutmutCallStack
MutmutCallStack.get = classmethod(lambda cls: (None, 0))
MutmutCallStack.set = classmethod(lambda cls, value: None)
MutmutCallStack.reset = classmethod(lambda cls, token: None)
from mutmut.__main__ import cli
cli()
"""


class Area(NamedTuple):
    """Modules and the tests that have to notice their mutations, as patterns relative to the project.

    Attributes:
        modules: Mutated modules.
        tests: Tests.
        left_out: Modules that are not mutated, although `modules` matches them.
    """

    modules: tuple[str, ...]
    tests: tuple[str, ...]
    left_out: tuple[str, ...] = ()


AREAS: dict[str, Area] = {
    "triggers": Area(("asyncz/triggers/*.py",), ("tests/unit/triggers",)),
    "schedulers": Area(
        ("asyncz/schedulers/*.py",),
        (
            "tests/unit/schedulers",
            "tests/scheduler",
            "tests/unit/calls/test_bound_call.py",
            "tests/unit/calls/test_function_tasks.py",
            "tests/unit/config/test_loading.py",
            "tests/unit/config/test_store.py",
            "tests/executors/contract/test_notifications.py",
            "tests/executors/contract/test_progress.py",
            "tests/integration/asgi/test_lifespan.py",
            "tests/properties/test_clock_steps.py",
            "tests/unit/triggers/test_catch_up.py",
            "tests/stores/test_store_part.py",
            "tests/telemetry",
        ),
        # The exchange with a store: its tests start databases and take minutes, and broken stores and the chaos suite
        # check it.
        left_out=("asyncz/schedulers/_st*.py", "asyncz/schedulers/stored.py"),
    ),
    # Rules of stores that need no database.
    "stores": Area(
        (
            "asyncz/schedulers/_store_retries.py",
            "asyncz/stores/_columns.py",
            "asyncz/stores/_declarations.py",
            "asyncz/stores/_limits.py",
            "asyncz/stores/_sweep.py",
        ),
        ("tests/unit/stores",),
    ),
    "executors": Area(
        (
            "asyncz/executors/_run_registry.py",
            "asyncz/executors/asyncio.py",
            "asyncz/executors/base.py",
            "asyncz/executors/debug.py",
            "asyncz/executors/futures.py",
            "asyncz/executors/thread_pool.py",
        ),
        (
            "tests/executors/asyncio",
            "tests/executors/contract",
            "tests/executors/futures",
            "tests/executors/thread_pool",
            "tests/executors/test_hostile_exceptions.py",
            "tests/executors/test_interruption.py",
            "tests/executors/test_thread_shortage.py",
            "tests/unit/executors",
        ),
    ),
}


class Explanation(BaseModel, frozen=True, extra="forbid"):
    """A reason for survivors.

    Attributes:
        function: A pattern of the qualified name, such as `asyncz.triggers.*:*.__repr__`.
        change: A pattern of the changed line as it was, or as it became.
        reason: Why no test can or should notice the change.
    """

    function: str
    change: str = "*"
    reason: str

    def fits(self, survivor: Survivor) -> bool:
        """Return True if the reason is for a survivor."""
        lines = (*survivor.before, *survivor.after)
        return fnmatchcase(survivor.function, self.function) and any(fnmatchcase(line, self.change) for line in lines)


class Survivor(NamedTuple):
    """A mutation that no test noticed, with the lines that it changed."""

    mutant: str
    status: str
    before: tuple[str, ...]
    after: tuple[str, ...]

    @property
    def function(self) -> str:
        """Return the qualified name of the function, as `module:qualname`."""
        module, _, name = self.mutant.rpartition(".")
        qualified = re.sub(r"__mutmut_\d+$", "", name).removeprefix("xǁ").removeprefix("x_").replace("ǁ", ".")
        return f"{module}:{qualified}"

    @override
    def __str__(self) -> str:
        """Return the function and the change, in one line."""
        return f"{self.function}: {' / '.join(self.before) or '(nothing)'}  ->  {' / '.join(self.after) or '(nothing)'}"


def explanations() -> list[Explanation]:
    """Return the kept list of survivors."""
    return TypeAdapter(dict[str, list[Explanation]]).validate_python(tomllib.loads(SURVIVORS.read_text()))["survivor"]


def parse_diff(diff: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the lines that a diff removes and adds."""
    body = [line for line in diff.splitlines() if not line.startswith(("---", "+++"))]
    before, after = ([line[1:].strip() for line in body if line.startswith(sign)] for sign in "-+")
    return tuple(before), tuple(after)


def _existing(patterns: Iterable[str]) -> list[str]:
    return [pattern for pattern in patterns if any(ROOT.glob(pattern))]


def prepare(areas: Sequence[Area], folder: Path) -> None:
    """Copy the project and configure mutmut for the modules and tests."""
    for name in ("asyncz", "tests", "typecheck", "stubs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "README.md", folder)
    modules = [pattern for area in areas for pattern in _existing(area.modules)]
    left_out = [pattern for area in areas for pattern in area.left_out]
    tests = dict.fromkeys(pattern for area in areas for pattern in _existing(area.tests))
    settings = f"""
[tool.mutmut]
source_paths = ["asyncz"]
only_mutate = {modules}
do_not_mutate = {left_out}
do_not_mutate_patterns = {json.dumps(UNMUTATED)}
also_copy = ["README.md", "typecheck", "stubs"]
pytest_add_cli_args = [
    "-p", "no:cacheprovider", "-n", "0", "-m", "not slow", "-k", "not process", "--timeout", "{_TEST_SECONDS}"
]
pytest_add_cli_args_test_selection = {[*tests, *(f"--deselect={each}" for each in INSTRUMENTED)]}
use_git_change_detection = false
track_dependencies = false
timeout_constant = {2 * _TEST_SECONDS}.0
timeout_multiplier = 2.0
"""
    (folder / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text() + settings)


def _mutmut(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _PROGRAM, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=_limit_memory,
    )


def _limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_BYTES, _MAX_BYTES))


def survivors_in(folder: Path) -> tuple[int, list[Survivor]]:
    """Return the number of mutants that were run, and those that survived."""
    results = re.findall(
        r"^\s*(\S+__mutmut_\d+): (.+)$", _mutmut(folder, "results", "--all", "true").stdout, re.MULTILINE
    )
    found: list[Survivor] = []
    for mutant, status in results:
        if status in {"survived", "no tests"}:
            found.append(Survivor(mutant, status, *parse_diff(_mutmut(folder, "show", mutant).stdout)))
    return sum(status not in {"not checked", "skipped"} for _, status in results), found


def report(survivors: Sequence[Survivor], *, run: int) -> int:
    """Print the survivors and return 1 if one is not explained."""
    reasons = explanations()
    unexplained = 0
    for survivor in survivors:
        reason = next((each.reason for each in reasons if each.fits(survivor)), None)
        unexplained += reason is None
        print(f"{'explained: ' + reason if reason else 'SURVIVES'} | {survivor}")
    explained = len(survivors) - unexplained
    print(f"{run} mutations: {run - len(survivors)} noticed, {explained} explained, {unexplained} survive")
    return 1 if unexplained else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run mutmut on some areas and print the survivors."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("areas", nargs="*", help=f"default: {' '.join(AREAS)}")
    parser.add_argument("--mutants", nargs="*", default=[], help="patterns of mutants, as mutmut names them")
    parser.add_argument("--processes", type=int, default=2, help="mutants at a time; default: 2")
    parser.add_argument("--keep", type=Path, help="work in this folder, keep it, and go on there next time")
    options = parser.parse_args(arguments)
    names: Sequence[str] = options.areas or list(AREAS)
    if unknown := set(names) - set(AREAS):
        parser.error(f"unknown area: {', '.join(sorted(unknown))}; known: {', '.join(AREAS)}")
    with tempfile.TemporaryDirectory() as temporary:
        folder: Path = (options.keep or Path(temporary)).resolve()
        if not (folder / "asyncz").exists():
            folder.mkdir(parents=True, exist_ok=True)
            prepare([AREAS[name] for name in names], folder)
        mutants: list[str] = options.mutants
        result = _mutmut(folder, "run", "--max-children", str(options.processes), *mutants)
        run, survivors = survivors_in(folder)
        if result.returncode or not run:
            print(result.stdout[-3000:], result.stderr[-3000:], f"mutmut failed after {run} mutations", sep="\n")
            return 1
        return report(survivors, run=run)


if __name__ == "__main__":
    sys.exit(main())
