"""The command `asyncz`, of the extra `cli`."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line; exit with a hint if a package that it needs is not installed."""
    _move_current_folder_to_end()
    try:
        from asyncz.cli.app import app
    except ModuleNotFoundError as error:
        if error.name not in {"typer", "rich"}:
            raise
        from asyncz.exceptions import MissingExtraError

        sys.exit(str(MissingExtraError("the command line", error.name, "cli")))
    except KeyboardInterrupt:
        # The imports take a moment, and a traceback of them would say nothing.
        sys.exit(130)
    app()


def _move_current_folder_to_end() -> None:
    """Let installed packages come before files in the current folder, also for `python -m asyncz`.

    Python puts the current folder first for `-m`. A file there, such as `cronsim.py`, would then replace a package
    that asyncz needs.
    """
    if sys.path and not sys.flags.safe_path and sys.path[0] in {"", os.getcwd()}:  # noqa: PTH109  # as Python writes it
        sys.path.append(sys.path.pop(0))
