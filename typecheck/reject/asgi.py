"""Mistakes with the apps and servers of others.

Why some checkers miss some of them:

- class as callable: pyrefly does not compare the parameters of a class with those of a function.
- bounds: pyrefly and ty do not hold what they infer for a type variable in a callable to its bound.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from fastapi import FastAPI
from litestar import Litestar
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from asyncz import AppWithScheduler
from typecheck.accept.asgi import of_starlette, precise, scheduler, starlette_app

Starlette(lifespan=scheduler.lifespan())  # E
FastAPI(lifespan=scheduler.lifespan())  # E
Starlette(lifespan=scheduler)  # E
FastAPI(lifespan=scheduler.shutdown)  # E
Litestar(lifespan=scheduler.lifespan)  # E
Starlette(lifespan=partial(scheduler.lifespan, drain_timeout="25 s"))  # E
Starlette(lifespan=partial(scheduler.lifespan, timeout=25))  # E


async def two_arguments(scope: Scope, receive: Receive) -> None: ...


def not_awaitable(scope: Scope, receive: Receive, send: Send) -> None: ...


async def of_numbers(scope: int, receive: Receive, send: Send) -> None: ...


async def receives_nothing(scope: Scope, receive: Callable[[], None], send: Send) -> None: ...


async def sends_two(scope: Scope, receive: Receive, send: Callable[[str, str], Awaitable[None]]) -> None: ...


scheduler.asgi("module:app")  # E
scheduler.asgi(Starlette)  # E[-pyrefly]: class as callable
scheduler.asgi(two_arguments)  # E
scheduler.asgi(not_awaitable)  # E
scheduler.asgi(of_numbers)  # E[-pyrefly,ty]: bounds
scheduler.asgi(receives_nothing)  # E[-pyrefly,ty]: bounds
scheduler.asgi(sends_two)  # E[-pyrefly,ty]: bounds
scheduler.asgi(starlette_app, drain_timeout="25 s")  # E
scheduler.asgi(starlette_app, 25)  # E
scheduler.asgi()  # E
other_types: ASGIApp = scheduler.asgi(precise)  # E
other_arguments: AppWithScheduler[Scope, Send, Receive] = scheduler.asgi(of_starlette)  # E
AppWithScheduler("module:app", scheduler, None)  # E
AppWithScheduler(of_starlette, of_starlette, None)  # E
AppWithScheduler(of_starlette, scheduler, "25 s")  # E


async def entered() -> None:
    async with scheduler.lifespan as nothing:  # E
        pass
    async with scheduler.lifespan(timeout=3):  # E
        pass
    with scheduler.lifespan():  # E
        pass
