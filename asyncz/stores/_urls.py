"""Stores by their URL."""

from __future__ import annotations

from urllib.parse import unquote

from asyncz.exceptions import InvalidInputError
from asyncz.stores.protocol import Store

_SQLITE = "sqlite:///"
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
    if url.startswith(_SQLITE) and len(url) > len(_SQLITE):
        from asyncz.stores.sqlite import SqliteStore

        return SqliteStore(unquote(url.removeprefix(_SQLITE)))
    if url.startswith(("postgresql://", "postgres://")):
        from asyncz.stores.postgres import PostgresStore

        return PostgresStore(url)
    # The text may contain a password.
    shown = repr(url.partition("://")[0] + "://...") if "://" in url else repr(url)
    raise InvalidInputError("store", shown, _ALLOWED)
