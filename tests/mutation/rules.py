"""Mutations of statements that break a rule of a run: `python -m tests.mutation.rules [text ...]`.

Mutmut changes operators and constants; it neither removes a statement nor moves one. A test that has to notice such a
change names it:

    @pytest.mark.bites("asyncz.executors.base:BaseExecutor.finish", "timer.cancel()", "pass")

The function is named as `module:qualname`. The statement is compared as a syntax tree, so that formatting does not
matter. Each mutation is made in a copy of the project, and the test must then fail.
"""

from __future__ import annotations

import argparse
import ast
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from typecheck.mutations import copied_project

ROOT = Path(__file__).resolve().parent.parent.parent
LIMIT = 30
"""The accepted number of such mutations."""

_SECONDS = 300


class Bite(NamedTuple):
    """A mutation and the test that has to notice it.

    Attributes:
        test: The test, as pytest names it.
        function: The mutated function, as `module:qualname`.
        statement: The statement before.
        replacement: The statements after.
    """

    test: str
    function: str
    statement: str
    replacement: str

    @property
    def file(self) -> str:
        """Return the module's file, relative to the project."""
        name = self.function.partition(":")[0].replace(".", "/")
        return f"{name}.py" if (ROOT / f"{name}.py").exists() else f"{name}/__init__.py"

    def mutated(self, source: str) -> str:
        """Return a module's source with the statement replaced.

        Raises:
            LookupError: The function does not contain the statement exactly once.
        """
        tree = ast.parse(source)
        function = _find_function(tree, self.function.partition(":")[2].split("."))
        wanted = ast.dump(ast.parse(self.statement).body[0])
        found = [node for node in ast.walk(function) if isinstance(node, ast.stmt) and ast.dump(node) == wanted]
        if len(found) != 1:
            message = f"{self.test}: {self.function} contains {self.statement!r} {len(found)} times, not once"
            raise LookupError(message)
        (node,) = found
        lines = source.splitlines(keepends=True)
        indentation = " " * node.col_offset
        new = [f"{indentation}{line}\n" for line in ast.unparse(ast.parse(self.replacement)).splitlines()]
        return "".join([*lines[: node.lineno - 1], *new, *lines[node.end_lineno or node.lineno :]])


def _find_function(tree: ast.Module, names: Sequence[str]) -> ast.AST:
    found: ast.AST = tree
    for name in names:
        children = [
            node
            for node in ast.iter_child_nodes(found)
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name
        ]
        if not children:
            message = f"no function {'.'.join(names)}"
            raise LookupError(message)
        found = children[-1]
    return found


def bites(folder: Path = ROOT / "tests") -> Iterator[Bite]:
    """Yield the mutations that tests name."""
    for file in sorted(folder.rglob("test_*.py")):
        source = file.read_text()
        if "mark.bites(" in source:
            yield from _bites_in(ast.parse(source), file.relative_to(ROOT).as_posix())


def _bites_in(tree: ast.AST, prefix: str) -> Iterator[Bite]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef):
            yield from _bites_in(node, f"{prefix}::{node.name}")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func).endswith("mark.bites"):
                    function, statement, replacement = (str(ast.literal_eval(each)) for each in decorator.args)
                    yield Bite(f"{prefix}::{node.name}", function, statement, replacement)


def run_test(project: Path, test: str) -> tuple[bool, str]:
    """Run a test in a project and return True if it passes, and the last line of the report."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider", test]
    environment = {**os.environ, "PYTHONPATH": str(project), "PYTHONDONTWRITEBYTECODE": "1", "PYTEST_ADDOPTS": ""}
    try:
        result = subprocess.run(
            command, cwd=project, env=environment, capture_output=True, text=True, check=False, timeout=_SECONDS
        )
    except subprocess.TimeoutExpired:
        return False, f"no end after {_SECONDS} s"
    return result.returncode == 0, (result.stdout.strip().splitlines() or [result.stderr])[-1]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the mutations, and return 1 if one is not noticed."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation.rules", description=__doc__)
    parser.add_argument("texts", nargs="*", help="run mutations whose function or test contains one of these texts")
    options = parser.parse_args(arguments)
    texts: list[str] = options.texts
    chosen = [each for each in bites() if not texts or any(text in each.function + each.test for text in texts)]
    failures = 0
    with copied_project("asyncz", "tests", "typecheck", "stubs") as project:
        for bite in chosen:
            file = project / bite.file
            original = file.read_text()
            passes_before, said_before = run_test(project, bite.test)
            file.write_text(bite.mutated(original))
            passes, _ = run_test(project, bite.test)
            file.write_text(original)
            failures += passes or not passes_before
            verdict = "SURVIVES" if passes else "noticed" if passes_before else f"FAILS BEFORE: {said_before}"
            print(f"{verdict}: {bite.function}: {bite.statement} -> {bite.replacement}: {bite.test}", flush=True)
    print(f"{len(chosen)} mutations, {failures} not noticed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
