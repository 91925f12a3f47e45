"""One error in a configuration."""

from __future__ import annotations

import attrs
from typing_extensions import override

from asyncz._text import toml_key


@attrs.frozen
class ConfigurationProblem:
    """One error in a configuration.

    Attributes:
        path: Keys and list indexes that lead to the value.
        reason: Description of the error.
        value: Text of the value; empty if it is missing or does not matter.
        allowed: Allowed values, if they can be listed.
        suggestion: Allowed value with the most similar spelling; empty if there is none.
        file: Name of the file; empty if the configuration is not a file.
        line: Line in the file, counted from 1; None if unknown.
    """

    path: tuple[str | int, ...]
    reason: str
    value: str = ""
    allowed: tuple[str, ...] = ()
    suggestion: str = ""
    file: str = ""
    line: int | None = None

    @property
    def key(self) -> str:
        """Path in TOML notation, such as `tasks."clean up".args[0]`."""
        return "".join(f"[{part}]" if isinstance(part, int) else f".{toml_key(part)}" for part in self.path)[1:]

    @property
    def explanation(self) -> str:
        """Description of the error and the allowed values, without the location."""
        text = self.reason
        if self.suggestion:
            text += f"; did you mean {self.suggestion!r}?"
        if self.allowed:
            text += f"{'' if self.suggestion else ';'} allowed: {', '.join(self.allowed)}"
        return text

    @override
    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line) if part)
        mistake = f"{self.key} cannot be {self.value}" if self.key and self.value else self.key
        return ": ".join(part for part in (place, mistake, self.explanation) if part)
