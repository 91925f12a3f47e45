"""Line numbers of the keys and items of a TOML text, which `tomllib` does not report."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import TypeAlias

Path: TypeAlias = tuple[str | int, ...]
"""The keys and item numbers that lead to a value."""

# The text is valid TOML, because `tomllib` has accepted it before. So the tokens only have to distinguish keys from
# the ends of values.
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


def find_positions(text: str) -> dict[Path, int]:
    """Return the line, counted from 1, of each key and item of a valid TOML text."""
    return _PositionParser(text).lines


class _PositionParser:
    def __init__(self, text: str) -> None:
        self.lines: dict[Path, int] = {}
        self._tokens = _tokens(text)
        self._text, self._line = next(self._tokens)
        self._last_items: dict[Path, int] = {}
        table: Path = ()
        while not self._is_at(""):
            if self._is_at("["):
                table = self._parse_header()
            elif not self._skip("\n"):
                self._parse_pair(table)

    def _is_at(self, *tokens: str) -> bool:
        return self._text in tokens

    def _next(self) -> str:
        text = self._text
        self._text, self._line = next(self._tokens)
        return text

    def _skip(self, *tokens: str) -> bool:
        """Skip the current token if it is one of these, and return True if so."""
        found = self._text in tokens
        if found:
            self._next()
        return found

    def _record(self, path: Path, line: int) -> None:
        for length in range(1, len(path) + 1):
            self.lines.setdefault(path[:length], line)

    def _parse_header(self) -> Path:
        self._next()
        is_item = self._skip("[")
        line = self._line
        table = self._parse_key(())
        if is_item:
            self._last_items[table] = self._last_items.get(table, -1) + 1
            table = (*table, self._last_items[table])
        self._record(table, line)
        while self._skip("]"):
            pass
        return table

    def _parse_key(self, table: Path) -> Path:
        """Parse a key with its dots; a part that names a list of tables stands for the last table of the list."""
        path = (*table, _unquote(self._next()))
        while self._skip("."):
            if path in self._last_items:
                path = (*path, self._last_items[path])
            path = (*path, _unquote(self._next()))
        return path

    def _parse_pair(self, table: Path) -> None:
        line = self._line
        path = self._parse_key(table)
        self._record(path, line)
        self._next()
        self._parse_value(path)

    def _parse_value(self, path: Path) -> None:
        if self._skip("["):
            number = 0
            while not self._skip("]"):
                if not self._skip("\n", ","):
                    self._record((*path, number), self._line)
                    self._parse_value((*path, number))
                    number += 1
        elif self._skip("{"):
            while not self._skip("}"):
                if not self._skip("\n", ","):
                    self._parse_pair(path)
        else:
            while not self._is_at("", "\n", ",", "]", "}"):
                self._next()


def _tokens(text: str) -> Iterator[tuple[str, int]]:
    line = 1
    for match in _TOKEN.finditer(text):
        token = match.group()
        if not token.startswith(("#", " ", "\t", "\r")):
            yield token, line
        line += token.count("\n")
    yield "", line


def _unquote(token: str) -> str:
    if token[0] not in "\"'":
        return token
    (name,) = tomllib.loads(f"{token} = 0")
    return name
