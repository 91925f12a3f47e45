"""The `asyncz` command, in this process or in one of its own."""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path

import pytest
import typer.main

from tests.helpers.forked import run_program


def asyncz_command(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return run_program("-m", "asyncz", *arguments, cwd=folder)


def build_commands_once(patch: pytest.MonkeyPatch) -> None:
    """Keep the commands that a runner of typer builds for each call: 30 ms for those of asyncz."""
    patch.setattr("typer.testing._get_command", functools.cache(typer.main.get_command))


PATIENCE = 60.0
