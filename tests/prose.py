"""Word rates of docstrings and comments: `python -m tests.prose [folder ...]`.

Counts words that mark unclear prose, and prints a row per folder of the package: occurrences per 1,000 words, and the
share of docstrings that open with a question word. Exits with 1 if a rate of the whole package exceeds its limit.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).resolve().parent.parent / "asyncz"

OPENERS = re.compile(r"(What|Whether|How|Where|Who|Whoever|Whatever)\b")
_WORD = re.compile(r"[A-Za-z][\w'-]*")
_LITERAL = re.compile(r"``[^`]*``|`[^`]*`")
_DIRECTIVE = re.compile(r"#\s*(noqa|type:|pyright:|pyrefly:|ty:|pragma:|E\b|!)")


class Limit(NamedTuple):
    """Words to count and the accepted rate.

    Attributes:
        pattern: The words.
        rate: The limit per 1,000 words.
        is_minimum: True if the rate must be above the limit.
    """

    pattern: re.Pattern[str]
    rate: float
    is_minimum: bool = False


LIMITS: Mapping[str, Limit] = {
    "what": Limit(re.compile(r"\bwhat\b", re.IGNORECASE), 1),
    "where": Limit(re.compile(r"\bwhere\b", re.IGNORECASE), 1),
    "whose": Limit(re.compile(r"\bwhose\b", re.IGNORECASE), 1),
    "tell": Limit(re.compile(r"\b(tell|tells|told)\b", re.IGNORECASE), 0.5),
    "who": Limit(re.compile(r"\b(who|whom|whoever|(no|any|every|some)body)\b", re.IGNORECASE), 0.7),
    # `None` is a value, and "is no longer" and "is no limit" are plain English.
    "is no": Limit(re.compile(r"\b[Ii]s (no\b(?! (longer|limit)\b)|none\b)"), 0.7),
    "if/when": Limit(re.compile(r"\b(if|when)\b", re.IGNORECASE), 12, is_minimum=True),
}
FILE_OCCURRENCES = 5
"""A module may exceed the rate of the package with this many occurrences: one of two is much in a short module."""
OPENER_LIMIT = 2
"""The accepted percentage of docstrings that open with a question word."""


class Prose(NamedTuple):
    """Docstrings and comments of some modules."""

    docstrings: list[str]
    comments: list[str]

    @property
    def text(self) -> str:
        """Return all of it, without code in backquotes."""
        return _LITERAL.sub(" x ", "\n".join([*self.docstrings, *self.comments]))

    @property
    def words(self) -> int:
        """Return the number of words."""
        return len(_WORD.findall(self.text))

    def rates(self) -> dict[str, float]:
        """Return occurrences per 1,000 words by the name of the limit."""
        text, words = self.text, self.words
        return {name: 1000 * len(limit.pattern.findall(text)) / max(words, 1) for name, limit in LIMITS.items()}

    def opener_share(self) -> float:
        """Return the percentage of docstrings that open with a question word."""
        opened = sum(OPENERS.match(docstring.lstrip()) is not None for docstring in self.docstrings)
        return 100 * opened / max(len(self.docstrings), 1)

    def violations(self) -> list[str]:
        """Return a sentence per rate that breaks its limit."""
        rates = self.rates()
        found = [
            f"{name}: {rates[name]:.1f} per 1,000 words; the limit is {'>' if limit.is_minimum else '<'} {limit.rate}"
            for name, limit in LIMITS.items()
            if (rates[name] <= limit.rate if limit.is_minimum else rates[name] >= limit.rate)
        ]
        if (share := self.opener_share()) >= OPENER_LIMIT:
            found.append(f"openers: {share:.1f} % of docstrings; the limit is < {OPENER_LIMIT} %")
        return found


def crowded_modules(files: Iterable[Path]) -> list[str]:
    """Return a text per module and word that comes too often in it, although the whole package is within its limits."""
    found: list[str] = []
    for file in files:
        prose = read_prose([file])
        for name, rate in prose.rates().items():
            count = round(rate * prose.words / 1000)
            if not LIMITS[name].is_minimum and rate >= LIMITS[name].rate and count > FILE_OCCURRENCES:
                found.append(f"{_short(file)}: {count} x {name}")
    return found


def read_prose(files: Iterable[Path]) -> Prose:
    """Return the docstrings and comments of files."""
    prose = Prose([], [])
    for file in files:
        source = file.read_text()
        prose.docstrings.extend(_docstrings(ast.parse(source)))
        tokens = tokenize.generate_tokens(io.StringIO(source).readline)
        comments = (token.string for token in tokens if token.type == tokenize.COMMENT)
        prose.comments.extend(_comment_text(comment) for comment in comments)
    return prose


def _docstrings(tree: ast.Module) -> Iterator[str]:
    """Yield docstrings of modules, classes and functions, and those below attributes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            for statement in node.body:
                match statement:
                    case ast.Expr(value=ast.Constant(value=str() as text)):
                        yield text
                    case _:
                        pass


def _comment_text(comment: str) -> str:
    """Return the words of a comment; of a directive, only the reason behind its second `#`."""
    if _DIRECTIVE.match(comment):
        return comment[1:].partition("#")[2].strip()
    return comment.lstrip("#").strip()


def files_by_folder(package: Path) -> dict[str, list[Path]]:
    """Return the modules of a package by folder."""
    found: dict[str, list[Path]] = {}
    for file in sorted(package.rglob("*.py")):
        found.setdefault(file.parent.relative_to(package.parent).as_posix(), []).append(file)
    return found


def _row(name: str, width: int, prose: Prose) -> str:
    cells = [f"{prose.words:7}", *(f"{rate:8.1f}" for rate in prose.rates().values()), f"{prose.opener_share():8.1f}"]
    return f"{name:{width}}" + "".join(cells)


def table(rows: Mapping[str, Sequence[Path]]) -> str:
    """Return the rates of each row, of all of them, and the limits, as text."""
    width = max(len(name) for name in [*rows, "all"]) + 1
    header = f"{'':{width}}{'words':>7}" + "".join(f"{name:>8}" for name in [*LIMITS, "opener%"])
    bounds = [f"{'>' if limit.is_minimum else '<'} {limit.rate}" for limit in LIMITS.values()]
    limits = f"{'limit':{width}}{'':7}" + "".join(f"{bound:>8}" for bound in [*bounds, f"< {OPENER_LIMIT}"])
    body = [_row(name, width, read_prose(files)) for name, files in rows.items()]
    everything = _row("all", width, read_prose(file for files in rows.values() for file in files))
    return "\n".join([header, *body, everything, limits])


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table and return 1 if a rate of all modules together breaks its limit."""
    parser = argparse.ArgumentParser(prog="python -m tests.prose", description=__doc__)
    parser.add_argument("folder", nargs="*", type=Path, default=[PACKAGE], help="packages; default: asyncz")
    parser.add_argument("--files", action="store_true", help="print a row per module instead of per folder")
    parser.add_argument("--lines", action="store_true", help="print each occurrence and docstring opener with its line")
    options = parser.parse_args(arguments)
    folders: list[Path] = [folder.resolve() for folder in options.folder]
    files = [file for folder in folders for file in ([folder] if folder.is_file() else sorted(folder.rglob("*.py")))]
    rows: dict[str, list[Path]] = {}
    for file in files:
        name = file if options.files else file.parent
        rows.setdefault(_short(name), []).append(file)
    if options.lines:
        for file in files:
            print(*_occurrences(file), sep="\n", end="\n")
    print(table(rows))
    violations = read_prose(files).violations()
    print(*violations, sep="\n")
    return 1 if violations else 0


def _short(path: Path) -> str:
    return path.relative_to(PACKAGE.parent).as_posix() if path.is_relative_to(PACKAGE.parent) else str(path)


def _occurrences(file: Path) -> Iterator[str]:
    """Yield a line per occurrence of a limited word in a module."""
    for number, text in _prose_lines(file.read_text()):
        stripped = _LITERAL.sub(" x ", text)
        names = [name for name, limit in LIMITS.items() if not limit.is_minimum and limit.pattern.search(stripped)]
        if OPENERS.match(text.strip().lstrip('"').strip()) and '"""' in text:
            names.append("opener")
        if names:
            yield f"{_short(file)}:{number}: [{', '.join(names)}] {text.strip()}"


def _prose_lines(source: str) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines of docstrings and comments."""
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], _comment_text(token.string)
        elif token.type == tokenize.STRING and token.line.lstrip().startswith(('"""', 'r"""')):
            for number in range(token.start[0], token.end[0] + 1):
                yield number, lines[number - 1]


if __name__ == "__main__":
    sys.exit(main())
