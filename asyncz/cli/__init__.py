"""The command `asyncz`, of the extra `cli`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line, or say what has to be installed for it."""
    try:
        from asyncz.cli.app import app
    except ModuleNotFoundError as error:
        if error.name not in {"typer", "rich"}:
            raise
        sys.exit(f"The command line needs {error.name}: pip install 'asyncz[cli]'")
    app()
