"""Time limits of connections with PostgreSQL: a server that is gone must not hold a node for a quarter of an hour."""

from __future__ import annotations

from collections.abc import Mapping

from psycopg import conninfo

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
