"""Client of the JSON API of a dashboard."""

from __future__ import annotations

import ipaddress
import json
import os
from collections.abc import Mapping
from email.message import Message
from http.client import HTTPException
from typing import IO, Final, Protocol
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult, urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

import attrs
from pydantic import BaseModel, ValidationError
from typing_extensions import TypeVar, override

from asyncz.dashboard.states import Problem
from asyncz.exceptions import AsynczError

ModelT = TypeVar("ModelT", bound=BaseModel)

TOKEN_VARIABLE: Final = "ASYNCZ_TOKEN"  # noqa: S105  # the name of the variable
"""Environment variable with the token for a dashboard."""

_TIMEOUT: Final = 30.0
_MAX_ANSWER: Final = 50_000_000


@attrs.frozen
class RemoteCommandError(AsynczError):
    """A dashboard cannot be reached, or has rejected a request.

    Attributes:
        message: Reason, with advice.
        status: Status of the response; 0 without one.
    """

    message: str
    status: int = 0

    @override
    def __str__(self) -> str:
        return self.message


class RemoteClient(Protocol):
    """Client of a dashboard, or of a store."""

    def get(self, path: str, answer: type[ModelT], **parameters: object) -> ModelT:
        """Read a state."""
        ...

    def post(self, path: str, answer: type[ModelT], body: Mapping[str, object]) -> ModelT:
        """Carry out an action."""
        ...


class _NoRedirects(HTTPRedirectHandler):
    """Handler that follows no redirect, which could send the token to another host."""

    @override
    def redirect_request(  # the signature of the base class
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> None:
        return None


def environment_token() -> str:
    """Return the token in the environment without the spaces around it; empty if there is none.

    Raises:
        RemoteCommandError: A header cannot contain the token. The message does not contain it either.
    """
    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if not all("!" <= each <= "~" for each in token):
        raise RemoteCommandError(f"{TOKEN_VARIABLE} has a character that is not visible ASCII; set another token")
    return token


class ApiClient:
    """Client of one dashboard.

    Args:
        url: Address of the dashboard, such as `https://example.org/scheduler`.
        headers: Headers of each request, for example of an authentication.
        insecure: Send credentials to another machine without encryption.

    Raises:
        RemoteCommandError: The address is not one of HTTP, or the token must not be sent to it.
    """

    def __init__(self, url: str, headers: Mapping[str, str], *, insecure: bool = False) -> None:
        parts = _split(url)
        token = environment_token()
        self._base = url.rstrip("/")
        self._headers = {**({"authorization": f"Bearer {token}"} if token else {}), **headers}
        is_local = _is_loopback(parts.hostname or "")
        secret = {"authorization", "cookie"} & {name.lower() for name in self._headers}
        if secret and parts.scheme == "http" and not is_local and not insecure:
            message = (
                f"the token would be sent to {parts.hostname} without encryption; use https://, or pass --insecure"
            )
            raise RemoteCommandError(message)
        # A proxy cannot reach this machine, and must not get the token for it.
        self._opener = build_opener(_NoRedirects, *([ProxyHandler({})] if is_local else []))

    def get(self, path: str, answer: type[ModelT], **parameters: object) -> ModelT:
        """Read a state.

        Raises:
            RemoteCommandError: The dashboard cannot be reached, or rejects the request.
        """
        given = {name: f"{value}" for name, value in parameters.items() if value is not None and value != ""}
        try:
            query = f"?{urlencode(given)}" if given else ""
        except UnicodeEncodeError as error:
            # Python decodes such bytes of a command line as lone surrogates.
            raise RemoteCommandError(f"the argument {error.object!r} is not UTF-8; pass a text in UTF-8") from None
        return self._send(Request(f"{self._base}/api/{path}{query}", headers=self._headers), answer)  # noqa: S310  # the scheme was checked

    def post(self, path: str, answer: type[ModelT], body: Mapping[str, object]) -> ModelT:
        """Carry out an action.

        Raises:
            RemoteCommandError: The dashboard cannot be reached, or rejects the request.
        """
        headers = {"content-type": "application/json", **self._headers}
        request = Request(f"{self._base}/api/{path}", json.dumps(body).encode(), headers)  # noqa: S310  # checked above
        return self._send(request, answer)

    def _send(self, request: Request, answer: type[ModelT]) -> ModelT:
        try:
            with self._opener.open(request, timeout=_TIMEOUT) as response:
                content: bytes = response.read(_MAX_ANSWER)
            return answer.model_validate_json(content)
        except HTTPError as error:
            raise RemoteCommandError(_rejection(error), error.code) from None
        except (URLError, HTTPException, OSError) as error:
            reason = error.reason if isinstance(error, URLError) else error
            message = f"the dashboard at {self._base} cannot be reached: {reason}; check the address and the server"
            raise RemoteCommandError(message) from None
        except ValidationError:
            message = f"{self._base} does not answer like a dashboard of this version; check the address"
            raise RemoteCommandError(message) from None
        except ValueError:
            # Its text may contain a header.
            message = f"the request to {self._base} cannot be sent: the address or a header has a wrong character"
            raise RemoteCommandError(message) from None


def _split(url: str) -> SplitResult:
    """Return the parts of the address of a dashboard.

    Raises:
        RemoteCommandError: The address is not one of HTTP, or has other parts than a host, a port and a path.
    """
    try:
        parts = urlsplit(url)
        # The port is checked when it is read.
        is_address = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        parts, is_address = SplitResult("", "", "", "", ""), False
    if "@" in url and url.startswith(("http:", "https:")):
        # The address may contain a password, so the message does not contain the address.
        raise RemoteCommandError("the address must not contain a user or password; pass --header instead")
    if not is_address:
        scheme, colon, _ = url.partition(":")
        # A password may be before an "@" or in the options.
        shown = f"{scheme}{colon}..." if colon and any(sign in url for sign in "@?#") else url
        message = (
            f"{shown!r} is neither the address of a dashboard, such as http://127.0.0.1:8000/scheduler, nor a store,"
            " such as sqlite:///jobs.db or postgresql://user@host/database"
        )
        raise RemoteCommandError(message)
    if "?" in url or "#" in url:
        raise RemoteCommandError("the address must not contain the signs ? and #; name the dashboard itself")
    return parts


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _rejection(error: HTTPError) -> str:
    try:
        message = Problem.model_validate_json(error.read(100_000)).message
    except (ValidationError, OSError):
        message = error.reason
    advice = f"; set {TOKEN_VARIABLE}, or pass --header" if error.code in {401, 403} else ""
    return f"the dashboard rejected the request with {error.code}: {message}{advice}"
