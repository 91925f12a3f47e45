"""What a command is to work on, named as `module:name`."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from asyncz._references import load
from asyncz.exceptions import ConfigurationError


def bad_target(target: str, problem: str) -> typer.BadParameter:
    """The error for a target that cannot be used; the command ends with the exit status 2."""
    return typer.BadParameter(f"{target!r} {problem}", param_hint="TARGET")


def look_in_current_folder() -> None:
    """Let modules be found in the current folder, before all others."""
    sys.path.insert(0, str(Path.cwd()))


def imported(target: str) -> object:
    """Import what `module:name` stands for; the module is looked for in the current folder first.

    Raises:
        BadParameter: The target has another form, or cannot be imported.
    """
    look_in_current_folder()
    try:
        return load(target)
    except ConfigurationError as error:
        raise bad_target(target, f"cannot be used: {error.problems[0].explanation}") from error
