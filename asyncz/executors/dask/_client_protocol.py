"""Protocols of the used parts of `distributed`, which has no types."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Literal, Protocol, runtime_checkable

from typing_extensions import TypeIs


class DaskClient(Protocol):
    """The typed part of a `distributed.Client`; the executor checks the rest when it starts."""

    @property
    def asynchronous(self) -> bool:
        """True if the client belongs to the running event loop."""
        ...


class DaskSecurity(Protocol):
    """The TLS certificates and keys of a connection: a `distributed.Security`."""

    def get_connection_args(self, role: str, /) -> Mapping[str, object]:
        """Return the arguments of connections that are made in a role, such as `client`."""
        ...


class Client(Awaitable[object], Protocol):
    """The used part of a `distributed.Client`."""

    @property
    def asynchronous(self) -> bool:
        """True if the client belongs to the running event loop."""
        ...

    @property
    def status(self) -> str:
        """`running` if the client is connected, `connecting` if it is trying to connect, `closed` if it is closed."""
        ...

    @property
    def scheduler_comm(self) -> object:
        """The current connection."""
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
        """Submit many calls at once."""
        ...

    def run(
        self, function: Callable[[list[str]], list[str]], keys: list[str], /, *, on_error: Literal["return"]
    ) -> Awaitable[Mapping[str, object]]:
        """Call a function in the event loop of every worker."""
        ...

    def cancel(self, futures: Sequence[Awaitable[bytes]], /, *, force: bool) -> Awaitable[object]:
        """Remove calls from the scheduler."""
        ...

    def subscribe_topic(self, topic: str, handler: Callable[[tuple[float, object]], None], /) -> None:
        """Receive the events that workers log under a topic."""
        ...

    def unsubscribe_topic(self, topic: str, /) -> None:
        """Stop receiving the events of a topic."""
        ...

    def register_plugin(self, plugin: object, /) -> Awaitable[object]:
        """Install a plugin in the scheduler."""
        ...

    def scheduler_info(self) -> Mapping[str, object]:
        """Return the latest information about the cluster."""
        ...

    def close(self) -> Awaitable[object]:
        """Close the connection."""
        ...


class Cluster(Awaitable[object], Protocol):
    """The used part of a `distributed.LocalCluster`."""

    @property
    def workers(self) -> Mapping[object, object]:
        """Workers by their names: a `Nanny` each, if they are processes."""
        ...

    def close(self) -> Awaitable[object]: ...


@runtime_checkable
class Nanny(Protocol):
    """The used part of a `distributed.Nanny`, the parent of a worker process."""

    def close(self, timeout: float = 5) -> Awaitable[object]:
        """End the worker process; kill it if it has not ended in time."""
        ...

    def kill(self, timeout: float = 5) -> Awaitable[object]:
        """End the worker process, and start another one."""
        ...


class ClientFactory(Protocol):
    def __call__(
        self, address: object, /, *, asynchronous: bool, set_as_default: bool, **options: object
    ) -> Client: ...


class ClusterFactory(Protocol):
    def __call__(self, *, asynchronous: bool, **options: object) -> Cluster: ...


class SettingsFactory(Protocol):
    def __call__(self, settings: Mapping[str, object], /) -> AbstractContextManager[object]: ...


def is_client(value: object) -> TypeIs[Client]:
    needed = ("map", "run", "cancel", "subscribe_topic", "register_plugin", "scheduler_info", "close")
    return all(callable(getattr(value, name, None)) for name in needed)
