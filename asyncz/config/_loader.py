"""Loading of a configuration, with every problem, its location and the allowed values."""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import attrs
from pydantic import ValidationError
from typing_extensions import TypeIs, TypeVar

from asyncz._text import exception_text, printable
from asyncz.config._problems import Path, problem_of, unknown_name
from asyncz.config._toml_positions import find_positions
from asyncz.config.models import ConfigSource, SchedulerConfig
from asyncz.exceptions import AsynczError, ConfigurationError, ConfigurationProblem, InvalidInputError

ResultT = TypeVar("ResultT")

MAX_FILE_SIZE = 4 << 20
"""The largest file that is read, in bytes."""

# Valid values of keys without which a table is invalid. If such a key is invalid, the others are checked with these.
_REQUIRED: Mapping[str, object] = {
    **dict.fromkeys(("attempts", "years", "months", "weeks", "days", "hours", "minutes", "seconds"), 1),
    "expression": "* * * * *",
    "run_at": "2030-01-01T00:00:00",
}
# Each repair removes at least one key or table, and a problem lies no deeper than this below its task.
_MAX_REPAIRS = 20
_MAX_PROBLEMS = 500
# A key with more than 200 parts: the time of `tomllib` grows with the square of their number.
_PART = r"""(?:[\w-]++|"(?:[^"\\\n]++|\\.)*+"|'[^'\n]*+')[ \t]*+"""
_DEEP_KEY = re.compile(rf"(?:^|[{{,\[])[ \t]*+{_PART}(?:\.[ \t]*+{_PART}){{200}}", re.MULTILINE)


class ConfigLoader:
    """A configuration with the problems that were found in it so far.

    Attributes:
        config: The valid part of the configuration.

    Args:
        source: The configuration, or the path of its file.

    Raises:
        ConfigurationError: The file cannot be read, or is not valid TOML.
    """

    def __init__(self, source: ConfigSource) -> None:
        self._file = ""
        self._lines: dict[Path, int] = {}
        self._problems: list[ConfigurationProblem] = []
        self._invalid: set[Path] = set()
        self._repaired: set[Path] = set()
        self._wrong: set[Path] = set()
        self.config: SchedulerConfig = self._load(source)

    def _load(self, source: ConfigSource) -> SchedulerConfig:
        if isinstance(source, SchedulerConfig):
            return source
        data = source if isinstance(source, Mapping) else self._read_file(source)
        try:
            return SchedulerConfig.model_validate(data)
        except ValidationError as error:
            paths = self._add_all(error)
            if error.error_count() > _MAX_PROBLEMS:
                # The checks below need more time for each of them.
                return SchedulerConfig()
        except RecursionError:
            raise self._error("it is nested too deeply") from None
        return self._valid_part(data, paths)

    def _read_file(self, path: str | os.PathLike[str]) -> Mapping[str, object]:
        if not isinstance(path, str) and not hasattr(path, "__fspath__"):
            raise InvalidInputError("source", repr(path), "a path, a dict or a SchedulerConfig is needed")
        self._file = printable(str(path))
        text = self._read_text(path)
        if _DEEP_KEY.search(text) is not None:
            raise self._error("it is nested too deeply")
        try:
            data: dict[str, object] = tomllib.loads(text)
            self._lines = find_positions(text)
        except tomllib.TOMLDecodeError as error:
            found = re.search(r"\(at line (\d+)", str(error))
            raise self._error(
                f"it is not valid TOML: {printable(str(error))}", int(found.group(1)) if found else None
            ) from error
        except RecursionError:
            raise self._error("it is nested too deeply") from None
        except ValueError as error:
            # Python limits the number of digits of an integer.
            raise self._error(f"it is not valid TOML: {printable(str(error))}") from error
        return data

    def _read_text(self, path: str | os.PathLike[str]) -> str:
        try:
            # The file is checked before it is opened: opening a pipe waits for its writer.
            if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116  # the path may be invalid for a Path
                raise self._error("it is not a regular file")
            # Some files of the system are regular files, and reading them waits for ever.
            with open(path, "rb", opener=_open_without_waiting) as file:
                content = _available(file, MAX_FILE_SIZE + 1)
            if content is None:
                raise self._error("it is not a regular file")
            if len(content) > MAX_FILE_SIZE:
                raise self._error(f"it is larger than {MAX_FILE_SIZE >> 20} MB")
            text = content.decode()
        except UnicodeDecodeError as error:
            raise self._error(f"it is not UTF-8 text: {error}") from error
        except (OSError, ValueError, TypeError) as error:
            if isinstance(error, ConfigurationError):
                raise
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise self._error(f"it cannot be read: {printable(reason)}") from error
        if text.startswith("\ufeff"):
            raise self._error("it starts with a byte order mark; save it as UTF-8 without one", 1)
        return text

    def _error(self, reason: str, line: int | None = None) -> ConfigurationError:
        return ConfigurationError((ConfigurationProblem((), reason, file=self._file, line=line),))

    def _add_all(self, error: ValidationError) -> set[Path]:
        """Add all problems, and return the paths of the values to remove or replace."""
        paths: set[Path] = set()
        for details in error.errors(include_url=False)[:_MAX_PROBLEMS]:
            problem = problem_of(details)
            self._add(problem)
            self._invalid.add(problem.path[:2])
            paths.add(_removable(problem))
        return paths

    def _valid_part(self, data: Mapping[str, object], paths: set[Path]) -> SchedulerConfig:
        """Return the configuration without its invalid values, so that the others can be checked too."""
        self._repaired = {path[:length] for path in paths for length in range(len(path))}
        repaired: object = data
        for _ in range(_MAX_REPAIRS):
            try:
                repaired = _without(repaired, paths, ())
                return SchedulerConfig.model_validate(repaired)
            except ValidationError as error:
                # What follows from the removal, such as a missing key, is not a problem of the configuration.
                paths = {_removable(problem_of(details), again=True) for details in error.errors(include_url=False)}
            except RecursionError:
                break
        return SchedulerConfig()

    @property
    def executors(self) -> set[str]:
        """The aliases of all executors, including the invalid ones."""
        invalid = {str(path[1]) for path in self._invalid if path[0] == "executors" and len(path) > 1}
        return {*self.config.executors, *invalid}

    def is_valid(self, *path: str | int) -> bool:
        """Return True if no problem was found below a path."""
        return path not in self._invalid

    def attempt(self, path: Path, create: Callable[[], ResultT]) -> ResultT | None:
        """Create the object that a part of the configuration describes; add a problem and return None if that fails."""
        try:
            return create()
        except ConfigurationError as error:
            problems = [attrs.evolve(problem, path=(*path, *problem.path)) for problem in error.problems]
        except AsynczError as error:
            problems = [ConfigurationProblem(path, str(error))]
        except Exception as error:
            problems = [ConfigurationProblem(path, exception_text(error))]
        for problem in problems:
            # If invalid values were removed from a table, an error of the table as a whole may only follow from that.
            if problem.path not in self._repaired:
                self._add(problem)
        self._invalid.add(path[:2])
        return None

    def reject(self, path: Path, reason: str, name: str, allowed: Iterable[str]) -> None:
        """Add the problem of a name that is not one of the allowed ones."""
        self._add(unknown_name(path, reason, name, tuple(sorted(allowed))))
        self._invalid.add(path[:2])

    def _add(self, problem: ConfigurationProblem) -> None:
        # The value may have been replaced, and the replacement be rejected in turn.
        if problem.path in self._wrong:
            return
        self._wrong.add(problem.path)
        self._problems.append(attrs.evolve(problem, file=self._file, line=self._line_of(problem.path)))

    def _line_of(self, path: Path) -> int | None:
        """Return the line of a value, or of the table in which it is missing."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path)

    def raise_problems(self) -> None:
        """Raise an error if there is any problem.

        Raises:
            ConfigurationError: With all problems, in the order of the file.
        """
        if self._problems:
            raise ConfigurationError(tuple(sorted(self._problems, key=lambda problem: problem.line or 0)))


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes | None: ...


def _available(file: _Readable, size: int) -> bytes | None:
    """Return the content of a file; None if it would have to be waited for, which the type of files does not say."""
    return file.read(size)


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _removable(problem: ConfigurationProblem, *, again: bool = False) -> Path:
    """Return the path of the value to remove or replace, so that the rest of its table can be checked.

    A table without a valid type, and a task without a function, cannot be checked: it is removed as a whole.
    """
    path = problem.path
    last = path[-1] if path else ""
    if last == "call":
        return path[:-1]
    if last == "type" or (problem.reason == "it is missing" and last not in _REQUIRED):
        return path[:-1]
    return path[:-1] if again and last in _REQUIRED else path


def _without(value: object, paths: set[Path], path: Path) -> object:
    if _is_table(value):
        kept: dict[str | int, object] = {
            key: _without(each, paths, (*path, key)) for key, each in value.items() if (*path, key) not in paths
        }
        invalid = {str(wrong[-1]) for wrong in paths if wrong and wrong[:-1] == path}
        kept.update((name, _REQUIRED[name]) for name in invalid & _REQUIRED.keys())
        return kept
    if _is_list(value):
        return [
            _without(each, paths, (*path, number)) for number, each in enumerate(value) if (*path, number) not in paths
        ]
    return value


def _is_table(value: object) -> TypeIs[Mapping[str | int, object]]:
    return isinstance(value, Mapping)


def _is_list(value: object) -> TypeIs[Sequence[object]]:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)
