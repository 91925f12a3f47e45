"""What a command is to work on, named as `module:name`."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import typer


def bad_target(target: str, problem: str) -> typer.BadParameter:
    """The error for a target that cannot be used; the command ends with the exit status 2."""
    return typer.BadParameter(f"{target!r} {problem}", param_hint="TARGET")


def imported(target: str) -> object:
    """Import what `module:name` stands for; the module is looked for in the current folder first.

    Raises:
        BadParameter: The target has another form, or cannot be imported.
    """
    module_name, _, name = target.partition(":")
    if not module_name or not name:
        raise bad_target(target, "is not of the form module:name")
    sys.path.insert(0, str(Path.cwd()))
    try:
        value: object = getattr(import_module(module_name), name)
    except (ImportError, AttributeError) as error:
        raise bad_target(target, f"cannot be imported: {error}") from error
    return value
