"""The `asyncz` command in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def asyncz_command(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "asyncz", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=100, cwd=folder)


PATIENCE = 60.0
