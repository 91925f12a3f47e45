"""In which line of a TOML text each of its keys and items stands: `tomllib` does not tell."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import TypeAlias

Path: TypeAlias = tuple[str | int, ...]
"""The way to a value: keys, and the numbers of items."""

# The text is known to be right: only as much is told apart as is needed to find keys and the ends of values.
_TOKEN = re.compile(
    r'"""(?:\\.|(?!""").)*"{3,5}'
    r"|'''(?:(?!''').)*'{3,5}"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
    r"|\#[^\n]*"
    r"|[ \t\r]+"
    r"|\n"
    r"|[\[\]{}=,.]"
    r"|[^\s\[\]{}=,.\"'#]+",
    re.DOTALL,
)


def lines_of(text: str) -> dict[Path, int]:
    """The line, counted from 1, of each key and item of a TOML text that `tomllib` takes."""
    return _Finder(text).lines


class _Finder:
    def __init__(self, text: str) -> None:
        self.lines: dict[Path, int] = {}
        self._tokens = _tokens(text)
        self._text, self._line = next(self._tokens)
        self._items: dict[Path, int] = {}
        table: Path = ()
        while not self._is_at(""):
            if self._is_at("["):
                table = self._header()
            elif not self._passed("\n"):
                self._pair(table)

    def _is_at(self, *tokens: str) -> bool:
        return self._text in tokens

    def _take(self) -> str:
        text = self._text
        self._text, self._line = next(self._tokens)
        return text

    def _passed(self, *tokens: str) -> bool:
        """Go past one of these tokens, if it is here."""
        found = self._text in tokens
        if found:
            self._take()
        return found

    def _note(self, path: Path, line: int) -> None:
        for length in range(1, len(path) + 1):
            self.lines.setdefault(path[:length], line)

    def _header(self) -> Path:
        self._take()
        is_item = self._passed("[")
        line = self._line
        table = self._key(())
        if is_item:
            self._items[table] = self._items.get(table, -1) + 1
            table = (*table, self._items[table])
        self._note(table, line)
        while self._passed("]"):
            pass
        return table

    def _key(self, within: Path) -> Path:
        """A key and those that follow it after dots; one that names a list of tables stands for its last one."""
        path = (*within, _name(self._take()))
        while self._passed("."):
            if path in self._items:
                path = (*path, self._items[path])
            path = (*path, _name(self._take()))
        return path

    def _pair(self, within: Path) -> None:
        line = self._line
        path = self._key(within)
        self._note(path, line)
        self._take()
        self._value(path)

    def _value(self, path: Path) -> None:
        if self._passed("["):
            number = 0
            while not self._passed("]"):
                if not self._passed("\n", ","):
                    self._note((*path, number), self._line)
                    self._value((*path, number))
                    number += 1
        elif self._passed("{"):
            while not self._passed("}"):
                if not self._passed("\n", ","):
                    self._pair(path)
        else:
            while not self._is_at("", "\n", ",", "]", "}"):
                self._take()


def _tokens(text: str) -> Iterator[tuple[str, int]]:
    line = 1
    for match in _TOKEN.finditer(text):
        token = match.group()
        if not token.startswith(("#", " ", "\t", "\r")):
            yield token, line
        line += token.count("\n")
    yield "", line


def _name(token: str) -> str:
    if token[0] not in "\"'":
        return token
    (name,) = tomllib.loads(f"{token} = 0")
    return name
