"""Errors of PostgreSQL as errors of stores."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Mapping

import psycopg

from asyncz.stores._migrations import NO_TABLES
from asyncz.stores.exceptions import StoreConnectionError, StoreUnavailableError

# Codes of errors after which the connection, or the server, is not there any more.
_LOST = ("08", "57P")
# Advice by the code of an error, see the appendix "PostgreSQL Error Codes" of its documentation.
_ADVICE: Mapping[str, str] = {
    "25006": (
        "connect to the primary server, with several hosts by target_session_attrs=read-write in the URL; or switch"
        " default_transaction_read_only off"
    ),
    "3F000": "name an existing schema in the search_path of the role",
    "40001": "try again",
    "40P01": "try again",
    "42501": (
        "GRANT the role USAGE on the schema, and SELECT, INSERT, UPDATE and DELETE on its tables asyncz_*;"
        " USAGE and SELECT are enough to read, as `asyncz ps` and dashboards do"
    ),
    "42703": NO_TABLES,
    "42P01": NO_TABLES,
    "53100": "free space on the disk of the server",
    "55P03": "wait for the end of the other transaction, or end it, see pg_locks",
    "57014": "raise statement_timeout for the role, or ask the operator who has cancelled the statement",
}


def message_of(error: psycopg.Error) -> str:
    """Return the message of an error, in one line."""
    return " ".join(f"{error.diag.message_primary or error}".split())


def store_error(error: psycopg.Error, description: str) -> StoreConnectionError:
    """Return the error of the store for one of the driver.

    Args:
        error: Error of the driver, or of the server.
        description: Description of the store, without passwords.
    """
    code = error.sqlstate
    if code is None or code.startswith(_LOST):
        return StoreConnectionError(description, " ".join(f"{error}".split()))
    advice = _ADVICE.get(code, "")
    return StoreUnavailableError(description, "; ".join(part for part in (message_of(error), advice) if part))


@contextlib.contextmanager
def translated(description: str) -> Generator[None, None, None]:
    """Raise errors of the driver as errors of the store.

    Raises:
        StoreConnectionError: The database cannot be reached.
        StoreUnavailableError: The database was reached, and has rejected a statement.
    """
    try:
        yield
    except psycopg.Error as error:
        raise store_error(error, description) from error
