"""Stores by their URL."""

from __future__ import annotations

from urllib.parse import unquote

from asyncz._text import quoted, shortened
from asyncz.exceptions import InvalidInputError
from asyncz.stores.protocol import Store

_SQLITE = "sqlite:///"
_POSTGRES = ("postgresql://", "postgres://")
_ALLOWED = "pass sqlite:///path, postgresql://user@host/database, or a store"


def store_of(value: object) -> Store:
    """Return a store that is given by itself or by its URL.

    Raises:
        InvalidInputError: The value is neither a store nor a URL of one.
        MissingExtraError: The extra `postgres` is not installed.
    """
    if isinstance(value, str):
        return _store_of_url(value)
    if isinstance(value, Store):
        return value
    raise InvalidInputError("store", repr(value), _ALLOWED)


def _store_of_url(url: str) -> Store:
    path = sqlite_path(url)
    if path is not None:
        from asyncz.stores.sqlite import SqliteStore

        return SqliteStore(path)
    from asyncz.stores.postgres import PostgresStore

    return PostgresStore(url)


def sqlite_path(url: str) -> str | None:
    """Return the path of a URL of SQLite, and None for a URL of PostgreSQL.

    Raises:
        InvalidInputError: The URL is neither of both.
    """
    if url.startswith(_SQLITE) and len(url) > len(_SQLITE):
        path = unquote(url.removeprefix(_SQLITE))
        if "\0" in path or path.startswith(":memory:") or "?" in path:
            raise InvalidInputError("store", quoted(url), "write the path of a file, without options")
        return path
    if url.startswith(_POSTGRES):
        return None
    scheme, separator, _ = url.partition(":")
    # The rest of the text may contain a password.
    shown = quoted(f"{shortened(scheme, 40)}:...") if separator else "the given text"
    raise InvalidInputError("store", shown, _advice(scheme))


def _advice(scheme: str) -> str:
    dialect, driver, _ = scheme.partition("+")
    if driver and dialect in {"postgresql", "postgres", "sqlite"}:
        return f"write the URL without a driver, as {dialect}://..."
    if dialect == "sqlite":
        return "write sqlite:///file, or sqlite:////folder/file; a database in memory is MemoryStore()"
    return _ALLOWED
