"""Connection strings of PostgreSQL, with time limits: a server that is gone must not hold a node for a long time."""

from __future__ import annotations

from collections.abc import Mapping

import psycopg
from psycopg import conninfo

from asyncz.exceptions import InvalidInputError

# A server that does not answer on the network is noticed after 20 seconds. TCP alone would wait for 15 minutes or more.
_LIMITS: Mapping[str, str] = {
    "connect_timeout": "10",
    "keepalives_idle": "5",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
}


def with_time_limits(url: str) -> str:
    """Return a connection string with time limits, if it has no others."""
    given = conninfo.conninfo_to_dict(url)
    return conninfo.make_conninfo(url, **{name: limit for name, limit in _LIMITS.items() if name not in given})


def describe(url: str) -> str:
    """Return a connection string without user, password and options.

    Raises:
        InvalidInputError: The connection string is not valid.
    """
    advice = (
        "pass a connection string of libpq, such as postgresql://user@host/database, with % escapes in the password"
    )
    try:
        parts = conninfo.conninfo_to_dict(url)
    except (psycopg.Error, ValueError):
        # The message may contain a part of the password, and so may a part below.
        raise InvalidInputError("url", "the given text", advice) from None
    host, port, name = (f"{parts.get(part) or ''}" for part in ("host", "port", "dbname"))
    if "\0" in url or "@" in host.removeprefix("@") + name or (port and not port.replace(",", "").isdecimal()):
        raise InvalidInputError("url", "the given text", advice)
    return f"postgresql://{host}/{name}"
