"""Import of the object that a command works on, named as `module:name`."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from asyncz._references import load
from asyncz._text import printable, value_text
from asyncz.exceptions import ConfigurationError


def bad_target(target: str, problem: str) -> typer.BadParameter:
    """Return the error for a target that cannot be used; the command exits with status 2."""
    return typer.BadParameter(printable(f"{value_text(target)} {problem}"), param_hint="TARGET")


def add_current_folder() -> None:
    """Make modules in the current folder importable, after all installed packages."""
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.append(folder)


def import_target(target: str) -> object:
    """Import the object that `module:name` names; installed modules come before those in the current folder.

    Raises:
        BadParameter: The target has another form, or cannot be imported.
    """
    add_current_folder()
    try:
        return load(target)
    except ConfigurationError as error:
        raise bad_target(target, f"cannot be used: {error.problems[0].explanation}") from error
