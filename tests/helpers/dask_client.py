"""A typed client of a Dask cluster."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Protocol

from asyncz import AsyncIOScheduler, ClusterState
from asyncz.executors.dask import _client_protocol


class Client(_client_protocol.Client, Protocol):
    """Further methods of a client, which has too few types itself."""

    def submit(
        self, function: Callable[[int, int], int], first: int, second: int, /, *, pure: bool
    ) -> Awaitable[int]: ...
    def restart(self) -> Awaitable[object]: ...
    def get_executor(self) -> Executor: ...


class ClientFactory(Protocol):
    def __call__(self, address: str, /, *, asynchronous: bool = False, set_as_default: bool) -> Client: ...


make_client: ClientFactory = import_module("distributed").Client


@asynccontextmanager
async def client_of(address: str) -> AsyncIterator[Client]:
    client = make_client(address, asynchronous=True, set_as_default=False)
    await client
    yield client
    await client.close()


def cluster_state(scheduler: AsyncIOScheduler) -> ClusterState:
    state = scheduler.state.executors[0].cluster
    assert state is not None
    return state
