"""What must pass and what must fail, in each type checker: `python -m typecheck [checker …]`.

Every line of `accept/` and of `conformance.py` must pass. In `reject/` each marked line must be rejected by the
checkers that its mark names, and no other line by any; `runner.py` tells what marks look like.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from typecheck.completeness import unlisted_classes
from typecheck.runner import CHECKERS, PROJECT, MarkError, Report, check, files_of, marks_of


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the matrix and print it.

    Returns:
        The exit status: 0 where every checker says what the marks say.
    """
    parser = argparse.ArgumentParser(prog="python -m typecheck", description=__doc__)
    parser.add_argument("checkers", nargs="*", help=f"those to run, of {', '.join(CHECKERS)}; by default all")
    parser.add_argument("--project", type=Path, default=PROJECT, help="the folder that holds typecheck/")
    options = parser.parse_args(arguments)
    project: Path = options.project.resolve()
    wanted: list[str] = options.checkers or list(CHECKERS)
    if unknown := set(wanted) - set(CHECKERS):
        parser.error(f"there is no checker {', '.join(sorted(unknown))}")
    try:
        reports = check(project, {name: CHECKERS[name] for name in wanted})
    except MarkError as error:
        print(error)
        return 1
    unlisted = unlisted_classes() if project == PROJECT else []
    print_table(project, reports)
    for line in [*complaints(reports), *unlisted]:
        print(line)
    return 0 if not unlisted and all(report.agrees for report in reports.values()) else 1


def print_table(project: Path, reports: Mapping[str, Report]) -> None:
    """Print a row a file, a column a checker: how many marks it obeys, or in how many lines it disagrees."""
    marks = marks_of(project)
    files = [file.relative_to(project).as_posix() for file in files_of(project) if file.name != "__init__.py"]
    width = max(map(len, files), default=0)
    print(" " * width, *(f"{name:>13}" for name in reports))
    for file in files:
        cells: list[str] = []
        for name, report in reports.items():
            wrong = sum(place.file == file for place in report.wrong)
            right = sum(mark.place.file == file and name in mark.checkers for mark in marks)
            cells.append("no answer" if report.failure else f"{wrong} WRONG" if wrong else f"ok {right or ''}".strip())
        print(f"{file:{width}}", *(f"{cell:>13}" for cell in cells))
    print(f"{'seconds':{width}}", *(f"{report.seconds:>13.1f}" for report in reports.values()))
    disputed = Counter((mark.place.file, mark.comment) for mark in marks if len(mark.checkers) < len(CHECKERS))
    print(f"{len(marks)} marks, of which {disputed.total()} name the checkers that disagree:")
    for (file, comment), times in disputed.items():
        print(f"{times:>4} times in {file}: {comment.removeprefix('# ')}")


def complaints(reports: Mapping[str, Report]) -> list[str]:
    """What is wrong, a line each."""
    failures = [report.failure for report in reports.values() if report.failure]
    wrong = [(place, name, said) for name, report in reports.items() for place, said in report.wrong.items()]
    return failures + [f"{place.file}:{place.line}: {name} {said}" for place, name, said in sorted(wrong)]


if __name__ == "__main__":
    sys.exit(main())
