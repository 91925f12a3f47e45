"""Errors of SQLite as errors of stores."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from asyncz.stores.exceptions import StoreConnectionError, StoreUnavailableError

_RIGHTS = "this process needs the right to write the file and its folder, on a file system that can be written"
# Advice by the code of an error, without its extension.
_ADVICE: Mapping[int, str] = {
    sqlite3.SQLITE_BUSY: "another process has locked the file for longer than the store waits; end its transaction",
    sqlite3.SQLITE_CANTOPEN: f"{_RIGHTS}, also to read while no scheduler uses the file",
    sqlite3.SQLITE_CORRUPT: "the file is damaged; restore a backup",
    sqlite3.SQLITE_FULL: "free space on the disk",
    sqlite3.SQLITE_NOTADB: "name another file, or restore a backup",
    sqlite3.SQLITE_PERM: _RIGHTS,
    sqlite3.SQLITE_READONLY: _RIGHTS,
}
_EXTENSION = 0xFF


def store_error(error: sqlite3.Error, description: str) -> StoreConnectionError:
    """Return the error of the store for one of the driver.

    Args:
        error: Error of the driver.
        description: Description of the store.
    """
    code = getattr(error, "sqlite_errorcode", None)
    # The driver raises some errors itself; those have no code.
    advice = _ADVICE.get(code & _EXTENSION) if isinstance(code, int) else None
    if advice is None:
        return StoreConnectionError(description, f"{error}")
    return StoreUnavailableError(description, f"{error}; {advice}")
