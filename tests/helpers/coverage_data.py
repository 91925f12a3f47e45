"""Data files of coverage."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path


def remove_unfinished_data(folder: Path) -> None:
    """Remove the files that killed processes left half written: coverage would warn of each of them."""
    for file in folder.glob(".coverage.*"):
        try:
            with contextlib.closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as database:
                database.execute("SELECT version FROM coverage_schema").fetchone()
        except sqlite3.Error:
            file.unlink(missing_ok=True)
