"""The parts of `distributed` that are used, as protocols: its own classes have no types there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Literal, Protocol

from typing_extensions import TypeIs


class DaskClient(Protocol):
    """What can be told of a `distributed.Client` by its type; the rest is asked for when the executor starts."""

    @property
    def asynchronous(self) -> bool:
        """Whether it belongs to the running event loop."""
        ...


class DaskSecurity(Protocol):
    """The TLS certificates and keys of a connection: a `distributed.Security`."""

    def get_connection_args(self, role: str, /) -> Mapping[str, object]:
        """Return the arguments of connections that are made in a role, such as `client`."""
        ...


class Client(Awaitable[object], Protocol):
    """What is used of a `distributed.Client`."""

    @property
    def asynchronous(self) -> bool:
        """Whether it belongs to the running event loop."""
        ...

    @property
    def status(self) -> str:
        """`running` while it is connected, `connecting` while it tries to be, `closed` when it has given up."""
        ...

    @property
    def scheduler_comm(self) -> object:
        """The present connection."""
        ...

    def map(
        self,
        func: Callable[[bytes], bytes],
        iterable: Sequence[bytes],
        /,
        *,
        key: list[str],
        pure: bool,
        resources: dict[str, float] | None,
        retries: int | None,
    ) -> Sequence[Awaitable[bytes]]:
        """Hand many calls over in one submission."""
        ...

    def run(
        self, function: Callable[[list[str]], list[str]], keys: list[str], /, *, on_error: Literal["return"]
    ) -> Awaitable[Mapping[str, object]]:
        """Call a function in the event loop of every worker."""
        ...

    def cancel(self, futures: Sequence[Awaitable[bytes]], /, *, force: bool) -> Awaitable[object]:
        """Have the scheduler forget calls."""
        ...

    def subscribe_topic(self, topic: str, handler: Callable[[tuple[float, object]], None], /) -> None:
        """Hear of what workers log under a topic."""
        ...

    def unsubscribe_topic(self, topic: str, /) -> None:
        """Hear of it no more."""
        ...

    def register_plugin(self, plugin: object, /) -> Awaitable[object]:
        """Teach the scheduler something."""
        ...

    def scheduler_info(self) -> Mapping[str, object]:
        """What the scheduler told of the cluster a moment ago."""
        ...

    def close(self) -> Awaitable[object]:
        """End the connection."""
        ...


class Cluster(Awaitable[object], Protocol):
    """What is used of a `distributed.LocalCluster`."""

    def close(self) -> Awaitable[object]: ...


class MakesClient(Protocol):
    def __call__(
        self, address: object, /, *, asynchronous: bool, set_as_default: bool, **options: object
    ) -> Client: ...


class MakesCluster(Protocol):
    def __call__(self, *, asynchronous: bool, **options: object) -> Cluster: ...


def is_client(value: object) -> TypeIs[Client]:
    needed = ("map", "run", "cancel", "subscribe_topic", "register_plugin", "scheduler_info", "close")
    return all(callable(getattr(value, name, None)) for name in needed)
