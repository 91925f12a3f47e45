"""The `asyncz` command in a process of its own."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.helpers.forked import run_program


def asyncz_command(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return run_program("-m", "asyncz", *arguments, cwd=folder)


PATIENCE = 60.0
