"""What must pass and what must fail, in each type checker: `python -m typecheck [checker …]`.

Every line of `accept/` must pass. In `reject/` each line marked `# E` must be refused by every checker, and one
marked `# E[mypy,pyright]: why` by those; no other line may be.
"""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import tokenize
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent
MARK = re.compile(r"#\s*E(?:\[(?P<checkers>[\w,\s]+)\])?(?:\s*:.*)?\s*$")


class Place(NamedTuple):
    """A line of a file."""

    file: str
    line: int


class CheckerCrashedError(Exception):
    """A checker did not do its work: that must not look like silence."""


def _mypy_errors(output: str) -> list[tuple[str, int]]:
    entries = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    return [(entry["file"], entry["line"]) for entry in entries if entry["severity"] == "error"]


def _pyright_errors(output: str) -> list[tuple[str, int]]:
    entries = json.loads(output)["generalDiagnostics"]
    return [(entry["file"], entry["range"]["start"]["line"] + 1) for entry in entries if entry["severity"] == "error"]


COMMANDS: dict[str, tuple[list[str], Callable[[str], list[tuple[str, int]]]]] = {
    "mypy": (["mypy", "--output=json", "--no-incremental", "--no-error-summary"], _mypy_errors),
    "pyright": (["pyright", "--outputjson", "--pythonpath", sys.executable], _pyright_errors),
    "basedpyright": (["basedpyright", "--outputjson", "--pythonpath", sys.executable], _pyright_errors),
}


def _files(root: Path) -> list[Path]:
    return [file for file in sorted(root.rglob("*.py")) if file.parent != ROOT]


def marks(root: Path, checker: str) -> set[Place]:
    """The places that a checker is to refuse."""
    found: set[Place] = set()
    for file in _files(root):
        for token in tokenize.generate_tokens(io.StringIO(file.read_text()).readline):
            mark = MARK.fullmatch(token.string) if token.type == tokenize.COMMENT else None
            named = mark and mark["checkers"]
            if mark and (not named or checker in {name.strip() for name in named.split(",")}):
                found.add(Place(str(file.resolve()), token.start[0]))
    return found


def errors(root: Path, checker: str) -> set[Place]:
    """The places that a checker does refuse.

    Raises:
        CheckerCrashedError: It did not answer.
    """
    command, read = COMMANDS[checker]
    program = Path(sys.executable).with_name(command[0])
    files = [str(file) for file in _files(root)]
    result = subprocess.run([str(program), *command[1:], *files], capture_output=True, text=True, check=False)
    if result.returncode not in {0, 1}:
        raise CheckerCrashedError(f"{checker} ended with {result.returncode}: {result.stderr or result.stdout}")
    try:
        return {Place(str(Path(file).resolve()), line) for file, line in read(result.stdout)}
    except (ValueError, KeyError) as error:
        raise CheckerCrashedError(f"{checker} printed no report: {result.stdout[:500]}{result.stderr[:500]}") from error


def main(arguments: list[str]) -> int:
    """Run the matrix and print it.

    Returns:
        The exit status.
    """
    root = ROOT
    if "--root" in arguments:
        position = arguments.index("--root")
        root = Path(arguments[position + 1])
        del arguments[position : position + 2]
    checkers = arguments or list(COMMANDS)
    files = [file for file in _files(root) if file.name != "__init__.py"]
    disagreements: dict[tuple[str, str], list[str]] = {}
    for checker in checkers:
        try:
            expected, found = marks(root, checker), errors(root, checker)
        except CheckerCrashedError as error:
            print(error)
            return 1
        for place in sorted(expected ^ found):
            what = "is silent here" if place in expected else "speaks here, where no mark is"
            disagreements.setdefault((place.file, checker), []).append(f"{place.file}:{place.line}: {checker} {what}")
    width = max((len(str(file.relative_to(root))) for file in files), default=0)
    print(" " * width, *(f"{checker:>13}" for checker in checkers))
    for file in files:
        cells = [disagreements.get((str(file.resolve()), checker)) for checker in checkers]
        print(f"{file.relative_to(root)!s:{width}}", *(f"{len(cell) if cell else 'ok':>13}" for cell in cells))
    for lines in disagreements.values():
        print(*lines, sep="\n")
    print(f"{sum(len(marks(root, checker)) for checker in checkers)} marks, {len(disagreements)} disagreeing cells")
    return 1 if disagreements else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
