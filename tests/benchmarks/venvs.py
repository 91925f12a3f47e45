"""Virtual environments of the peers: one has our import name, and none belongs into ours."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path


def python_with(requirement: str) -> Path:
    """A Python that has a package installed; made on first use and kept for the next."""
    name = f"asyncz-peer-{requirement.replace('==', '-')}-{sys.version_info.major}.{sys.version_info.minor}"
    folder = Path(tempfile.gettempdir()) / name
    python = folder / "bin" / "python"
    finished = folder / "finished"
    if not finished.exists():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-q", requirement], check=True)
        finished.touch()
    return python
