"""Python programs in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys


def python_output(*arguments: str) -> str:
    """Return its output, without coverage in the process: that would load modules, and trace."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    result = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=110, env=environment)
    assert result.returncode == 0, result.stderr
    return result.stdout
