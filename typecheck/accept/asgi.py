"""Schedulers with the apps and servers of others: each takes what the scheduler gives, with its own types."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import Literal, TypedDict

import uvicorn
from fastapi import FastAPI
from litestar import Litestar
from litestar.types import ASGIApp as LitestarApp
from starlette.applications import Starlette
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from asyncz import AppWithScheduler, AsyncIOScheduler

scheduler = AsyncIOScheduler()

starlette_app: Starlette = Starlette(lifespan=scheduler.lifespan)
fastapi_app: FastAPI = FastAPI(lifespan=scheduler.lifespan)
litestar_app: Litestar = Litestar(lifespan=[scheduler.lifespan])
as_context_manager: Litestar = Litestar(lifespan=[scheduler])
bounded: Starlette = Starlette(lifespan=partial(scheduler.lifespan, drain_timeout=25))
bounded_fastapi: FastAPI = FastAPI(lifespan=partial(scheduler.lifespan, drain_timeout=25))
bounded_litestar: Litestar = Litestar(lifespan=[partial(scheduler.lifespan, drain_timeout=25)])


async def alone() -> None:
    async with scheduler.lifespan():
        pass
    async with scheduler.lifespan(starlette_app, drain_timeout=1.5) as nothing:
        assert nothing is None


async def of_starlette(scope: Scope, receive: Receive, send: Send) -> None: ...


class HTTPScope(TypedDict):
    type: Literal["http"]
    path: str


class LifespanScope(TypedDict):
    type: Literal["lifespan"]


class Complete(TypedDict):
    type: Literal["lifespan.startup.complete"]


TypedReceive = Callable[[], Awaitable[Complete]]
TypedSend = Callable[[Complete], Awaitable[None]]
TypedApp = Callable[[HTTPScope | LifespanScope, TypedReceive, TypedSend], Awaitable[None]]


async def precise(
    scope: HTTPScope | LifespanScope,
    receive: TypedReceive,
    send: TypedSend,
) -> None: ...


async def of_objects(
    scope: MutableMapping[str, object],
    receive: Callable[[], Awaitable[MutableMapping[str, object]]],
    send: Callable[[MutableMapping[str, object]], Awaitable[None]],
) -> None: ...


wrapped_starlette: ASGIApp = scheduler.asgi(starlette_app)
wrapped_fastapi: ASGIApp = scheduler.asgi(fastapi_app, drain_timeout=25)
wrapped_function: ASGIApp = scheduler.asgi(of_starlette)
as_class: AppWithScheduler[Scope, Receive, Send] = scheduler.asgi(of_starlette)
wrapped_objects: ASGIApp = scheduler.asgi(of_objects)
wrapped_precise: TypedApp = scheduler.asgi(precise)
wrapped_litestar: LitestarApp = scheduler.asgi(litestar_app)
twice: ASGIApp = scheduler.asgi(AsyncIOScheduler().asgi(starlette_app))


def served() -> None:
    TestClient(scheduler.asgi(starlette_app))
    uvicorn.Config(scheduler.asgi(starlette_app))
    uvicorn.Config(scheduler.asgi(litestar_app))
