"""Runs the type checkers over the files of a project's `typecheck/`, and compares what they say with the marks.

A mark is a comment at the end of a line that is to be rejected:

    # E                       by every checker
    # E[mypy,pyright]: why    by these
    # E[-ty]: why             by every checker but these

A mark that names checkers says where they disagree, and has to say why; on a line that is right it marks the
false alarm of a checker. The marks know no checker's dialect.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import time
import tokenize
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeAlias

from pydantic import BaseModel, TypeAdapter

PROJECT: Path = Path(__file__).resolve().parent.parent
"""The folder that holds this `typecheck/`, and the settings of the checkers."""

_MARK = re.compile(r"# E(?:\[(?P<but>-)?(?P<names>\w+(?:, ?\w+)*)\]: \S.*)?")


class Place(NamedTuple):
    """A line of a file, which is named from the project's folder."""

    file: str
    line: int


class Mark(NamedTuple):
    """A place that checkers are to reject, and why only these."""

    place: Place
    checkers: frozenset[str]
    comment: str


class CheckerFailedError(Exception):
    """A checker did not do its work: that must not look like silence."""


class MarkError(Exception):
    """A comment that looks like a mark and is none."""


class _MypyEntry(BaseModel):
    file: str
    line: int
    severity: str
    message: str


class _Position(BaseModel):
    line: int


class _Range(BaseModel):
    start: _Position


class _PyrightEntry(BaseModel):
    file: str
    severity: str
    message: str
    range: _Range = _Range(start=_Position(line=-1))


class _PyrightSummary(BaseModel):
    filesAnalyzed: int  # noqa: N815  # pyright's name


class _PyrightReport(BaseModel):
    generalDiagnostics: list[_PyrightEntry]  # noqa: N815  # pyright's name
    summary: _PyrightSummary


class _PyreflyEntry(BaseModel):
    path: str
    line: int
    concise_description: str


class _PyreflyReport(BaseModel):
    errors: list[_PyreflyEntry]


class _GitlabPositions(BaseModel):
    begin: _Position


class _GitlabLocation(BaseModel):
    path: str
    positions: _GitlabPositions


class _GitlabEntry(BaseModel):
    location: _GitlabLocation
    description: str


_GITLAB_REPORT = TypeAdapter(list[_GitlabEntry])

Messages: TypeAlias = Mapping[Place, str]
"""What a checker says, by the line of which it says it."""


def _read_mypy(output: str, _: int) -> Messages:
    entries = [_MypyEntry.model_validate_json(line) for line in output.splitlines()]
    return {Place(entry.file, entry.line): entry.message for entry in entries if entry.severity == "error"}


def _read_pyright(output: str, files: int) -> Messages:
    report = _PyrightReport.model_validate_json(output)
    if report.summary.filesAnalyzed != files:
        message = f"it read {report.summary.filesAnalyzed} of {files} files"
        raise ValueError(message)
    errors = [entry for entry in report.generalDiagnostics if entry.severity == "error"]
    return {Place(entry.file, entry.range.start.line + 1): entry.message for entry in errors}


def _read_pyrefly(output: str, _: int) -> Messages:
    report = _PyreflyReport.model_validate_json(output)
    return {Place(entry.path, entry.line): entry.concise_description for entry in report.errors}


def _read_ty(output: str, _: int) -> Messages:
    entries = _GITLAB_REPORT.validate_json(output)
    return {Place(entry.location.path, entry.location.positions.begin.line): entry.description for entry in entries}


class Checker(NamedTuple):
    """How a checker is called, and how its report is read.

    Attributes:
        command: The program and its arguments, before the files; run in the project's folder.
        read: Takes a report and the number of files that were to be checked, and gives the errors.
    """

    command: tuple[str, ...]
    read: Callable[[str, int], Messages]


def _command(words: str) -> tuple[str, ...]:
    """A program of this environment with its options, of which the last one takes the interpreter."""
    program, *options = words.split()
    return str(Path(sys.executable).with_name(program)), *options, sys.executable


# Each at its strictest, except for rules about style (unused results of calls, conditions that are not bool) and for
# pyrefly's partially-unknown-type, which reports the two `Any` of every coroutine function (1.5.0).
CHECKERS: dict[str, Checker] = {
    "mypy": Checker(_command("mypy --output=json --no-error-summary --python-executable"), _read_mypy),
    "pyright": Checker(_command("pyright --outputjson --pythonpath"), _read_pyright),
    "basedpyright": Checker(
        _command("basedpyright --outputjson --project typecheck/basedpyright.json --pythonpath"), _read_pyright
    ),
    "pyrefly": Checker(
        _command(
            "pyrefly check --output-format=json --preset=all"
            " --ignore=unused-call-result,implicit-bool,partially-unknown-type"
            " --python-interpreter-path"
        ),
        _read_pyrefly,
    ),
    "ty": Checker(_command("ty check --output-format=gitlab --error=all --python"), _read_ty),
}


class Report(NamedTuple):
    """What one checker says of all files.

    Attributes:
        seconds: How long it took.
        wrong: What is wrong with what it says, by the line: that it is silent on a marked one, or what it says of
            another one.
        failure: Why it gave no answer; empty where it gave one.
    """

    seconds: float
    wrong: Messages
    failure: str = ""

    @property
    def agrees(self) -> bool:
        """Whether it says what the marks say."""
        return not (self.failure or self.wrong)


def files_of(project: Path) -> list[Path]:
    """The files that are checked: what users might write, and the classes that satisfy the protocols."""
    folder = project / "typecheck"
    users = [file for name in ("accept", "reject") for file in sorted((folder / name).rglob("*.py"))]
    conformance = folder / "conformance.py"
    return [*users, conformance] if conformance.exists() else users


def marks_of(project: Path) -> list[Mark]:
    """The marks of all files.

    Raises:
        MarkError: One names a checker that does not exist, or gives no reason.
    """
    return [mark for file in files_of(project) for mark in _marks_in(file, file.relative_to(project).as_posix())]


def _marks_in(file: Path, name: str) -> Iterable[Mark]:
    for token in tokenize.generate_tokens(io.StringIO(file.read_text()).readline):
        if token.type != tokenize.COMMENT or not re.match(r"#\s*E\b", token.string):
            continue
        place = Place(name, token.start[0])
        mark = _MARK.fullmatch(token.string)
        if mark is None:
            raise MarkError(f"{name}:{place.line}: a mark is `# E`, `# E[mypy]: why` or `# E[-ty]: why`")
        named = frozenset(re.split(r", ?", mark["names"])) if mark["names"] else frozenset(CHECKERS)
        if unknown := named - set(CHECKERS):
            raise MarkError(f"{name}:{place.line}: there is no checker {', '.join(sorted(unknown))}")
        yield Mark(place, frozenset(CHECKERS) - named if mark["but"] else named, token.string)


def errors_of(project: Path, checker: Checker) -> Messages:
    """What a checker rejects in the files that are checked.

    Raises:
        CheckerFailedError: It crashed, or its report cannot be read or contradicts its exit status.
    """
    files = [file.relative_to(project).as_posix() for file in files_of(project)]
    command = [*checker.command, *files]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=project)
    shown = f"{result.stdout[:1000]}\n{result.stderr[:1000]}".strip()
    if result.returncode not in {0, 1}:
        raise CheckerFailedError(f"ended with {result.returncode}: {shown}")
    try:
        found = checker.read(result.stdout, len(files))
    except ValueError as error:
        raise CheckerFailedError(f"gave no report that can be read ({error}): {shown}") from error
    if bool(found) != (result.returncode == 1):
        raise CheckerFailedError(f"ended with {result.returncode} and reported {len(found)} errors: {shown}")
    named = {Place(_from_project(place.file, project), place.line): said for place, said in found.items()}
    # Some follow the imports: what they say of the library is not asked here.
    return {place: said for place, said in named.items() if place.file in files}


def _from_project(file: str, project: Path) -> str:
    return Path(os.path.relpath((project / file).resolve(), project)).as_posix()


def check(project: Path, checkers: Mapping[str, Checker]) -> dict[str, Report]:
    """Run each checker once over all files, as many at a time as there are processors.

    Raises:
        MarkError: A mark cannot be understood.
    """
    project = project.resolve()
    marks = marks_of(project)

    def report(name: str) -> Report:
        expected = {mark.place for mark in marks if name in mark.checkers}
        started = time.perf_counter()
        try:
            found = errors_of(project, checkers[name])
        except (CheckerFailedError, OSError) as error:
            return Report(time.perf_counter() - started, {}, failure=f"{name} {error}")
        silent = {place: "says nothing, and a mark says that it will" for place in expected if place not in found}
        surplus = {
            place: f"says, and no mark does: {said.partition(chr(10))[0]}"
            for place, said in found.items()
            if place not in expected
        }
        return Report(time.perf_counter() - started, {**silent, **surplus})

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(checkers, pool.map(report, checkers), strict=True))
