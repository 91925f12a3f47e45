"""Virtual environments of the peers: one has our import name, and none belongs into ours."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path


def python_with(requirement: str, *more: str) -> Path:
    """A Python that has a package installed, and what it needs; made on first use and kept for the next."""
    packages = "-".join(re.sub(r"[^\w.]+", "-", each) for each in (requirement, *more))
    name = f"asyncz-peer-{packages}-{sys.version_info.major}.{sys.version_info.minor}"
    folder = Path(tempfile.gettempdir()) / name
    python = folder / "bin" / "python"
    finished = folder / "finished"
    if not finished.exists():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-q", requirement, *more], check=True)
        finished.touch()
    return python
