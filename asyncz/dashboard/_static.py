"""Style sheet, script and icon of the pages, read once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from asyncz.dashboard._http import Endpoint
from asyncz.dashboard._security import User

_TYPES: Final = {
    "dashboard.css": "text/css; charset=utf-8",
    "dashboard.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
# Pages name the version of a file, so that a new version has a new address.
_CACHED: Final = {"cache-control": "private, max-age=31536000, immutable"}


@cache
def _contents() -> Mapping[str, bytes]:
    folder = files("asyncz.dashboard") / "static"
    return {name: (folder / name).read_bytes() for name in _TYPES}


@cache
def version() -> str:
    """Return a text that changes with the files."""
    return hashlib.sha256(b"".join(_contents().values())).hexdigest()[:12]


def static_files() -> Mapping[str, Endpoint]:
    """Return the endpoints of all files by path."""
    return {f"/static/{name}": _endpoint(content, _TYPES[name]) for name, content in _contents().items()}


def _endpoint(content: bytes, media_type: str) -> Endpoint:
    async def file(_: Request, __: User) -> Response:
        return Response(content, media_type=media_type, headers=_CACHED)

    return file
