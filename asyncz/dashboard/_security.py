"""Checks of requests, and headers of responses.

The checks come before every route, in this order: name of the host, origin of a request that changes something, right
of the user. If a check fails, or raises, the request is rejected.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final, TypeAlias
from urllib.parse import urlsplit

import attrs
from starlette.exceptions import HTTPException
from starlette.requests import Request

from asyncz._checks import check_text
from asyncz._text import printable, value_text
from asyncz.dashboard._safe_logging import logger
from asyncz.dashboard.states import PERMISSIONS, Access, Permission
from asyncz.exceptions import InvalidInputError


def _checked_permissions(given: Iterable[Permission]) -> frozenset[Permission]:
    """Return permissions as a set.

    Raises:
        InvalidInputError: They are not a set, or one of them does not exist.
    """
    found: frozenset[Permission] = frozenset()
    is_valid = not isinstance(given, str)
    try:
        found = frozenset(given if is_valid else ())
        is_valid = is_valid and found <= {*PERMISSIONS}
    except TypeError:
        is_valid = False
    if not is_valid:
        allowed = f"a set of {', '.join(PERMISSIONS)} is needed"
        raise InvalidInputError("permissions", value_text(given), allowed)
    return found


@attrs.frozen
class User:
    """User of the dashboard.

    Attributes:
        access: Right of the user: `look` to read, `operate` also to act.
        name: Name, which the events of actions contain.
        permissions: Actions that a user with the right `operate` may carry out; all by default.

    Raises:
        InvalidInputError: A permission does not exist.

    Example:
        >>> User("operate", name="mara", permissions={"run", "pause", "resume"})
    """

    access: Access
    name: str = ""
    permissions: frozenset[Permission] = attrs.field(default=frozenset(PERMISSIONS), converter=_checked_permissions)

    def may(self, permission: Permission) -> bool:
        """Return True if the user may carry out an action."""
        return self.access == "operate" and permission in self.permissions


Verdict: TypeAlias = User | Access | None
"""Right of the user who sends a request; None rejects the request."""

Authorize: TypeAlias = Callable[[Request], Verdict | Awaitable[Verdict]]
"""Function or coroutine function that decides about each request.

If it raises an `HTTPException` of Starlette or FastAPI, the response has its status, detail and headers.
"""

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})

_HOST: Final = re.compile(r"[^\s/:@]+|\[[^\s/@\[\]]+\]")
LOOPBACK_HOSTS: Final = ("127.0.0.1", "localhost", "[::1]")
"""Names of this machine for itself; another name in a request to them is DNS rebinding."""

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "cache-control": "no-store",
}
"""Headers of every response. A response may replace `cache-control` only."""


@attrs.frozen
class Rejection:
    """Request that a check has rejected.

    Attributes:
        status: Status of the response.
        message: Reason, which contains nothing of the request.
        headers: Headers of the response, such as `www-authenticate`.
    """

    status: int
    message: str
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])


def check_host(request: Request, allowed: Sequence[str] | None) -> Rejection | None:
    """Reject a request for another host than the allowed ones; None allows all."""
    if allowed is None:
        return None
    host = request.headers.get("host", "")
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    if name.lower() in allowed:
        return None
    return Rejection(400, "the dashboard is not served under this name of the host")


def check_origin(request: Request) -> Rejection | None:
    """Reject a request that changes something if a page of another origin has sent it.

    Every current browser sends `Sec-Fetch-Site`, older ones `Origin`. A request with neither comes from a program; it
    must have a JSON body, which no form can send.
    """
    if request.method in SAFE_METHODS:
        return None
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        is_own = site == "same-origin"
    else:
        is_own = origin is None or _host_of(origin) == request.headers.get("host", "") != ""
    if not is_own:
        return Rejection(403, "a page of another site has sent the request")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return Rejection(415, "the body must be JSON, with the content type application/json")
    return None


def _host_of(origin: str) -> str:
    """Return the host and port of an origin; empty for one that is `null` or malformed."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def checked_hosts(hosts: Iterable[str] | None) -> Sequence[str] | None:
    """Return the names of the allowed hosts in lower case; None if all are allowed.

    Raises:
        InvalidInputError: The names are a text, or one of them is empty or has a port.
    """
    if hosts is None:
        return None
    if isinstance(hosts, str):
        raise InvalidInputError("allowed_hosts", value_text(hosts), "a list of names is needed, not a text")
    found: list[str] = []
    for host in hosts:
        check_text("allowed_hosts", host)
        if _HOST.fullmatch(host) is None:
            raise InvalidInputError("allowed_hosts", value_text(host), "a name of a host without a port is needed")
        found.append(host.lower())
    return tuple(found)


async def check_user(request: Request, authorize: Authorize) -> User | Rejection:
    """Return the user who has sent a request, or a rejection."""
    try:
        returned = authorize(request)
        verdict = await returned if inspect.isawaitable(returned) else returned
    except HTTPException as error:
        return Rejection(error.status_code, printable(f"{error.detail}"), error.headers or {})
    except Exception:
        logger.exception("authorize raised; the request is rejected")
        return Rejection(500, "the right to use the dashboard cannot be checked")
    return _checked(verdict, request)


def _checked(verdict: object, request: Request) -> User | Rejection:
    match verdict:
        case User(access="look" | "operate"):
            return verdict
        case "look":
            return User("look", _client_of(request))
        case "operate":
            return User("operate", _client_of(request))
        case None:
            return Rejection(403, "the right to use the dashboard is missing")
        case _:
            logger.error("authorize returned %s, not a User, 'look', 'operate' or None", type(verdict).__name__)
            return Rejection(500, "the right to use the dashboard cannot be checked")


def _client_of(request: Request) -> str:
    return "" if request.client is None else printable(request.client.host, 100)
