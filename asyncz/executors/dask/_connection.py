"""Connection to a Dask cluster: opened, watched, opened again if it is lost, and closed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from importlib import import_module

import attrs

from asyncz._callables import as_coroutine
from asyncz._safe_logging import SafeLogger
from asyncz.config import DaskClusterKwargs
from asyncz.exceptions import ClusterConnectionError, InvalidInputError
from asyncz.executors._remote_progress import Report
from asyncz.executors._remote_worker import WorkerAddress
from asyncz.executors._safe_logging import logger as default_logger
from asyncz.executors._start_checks import check_process_start
from asyncz.executors.dask._client_protocol import (
    Client,
    ClientFactory,
    Cluster,
    ClusterFactory,
    DaskClient,
    DaskSecurity,
    Nanny,
    SettingsFactory,
    is_client,
)
from asyncz.states import ClusterState

_LOOK_EVERY = 0.25
_PAUSE_BETWEEN_ATTEMPTS = 2.0
_SECONDS_TO_PREPARE = 10.0
_SECONDS_TO_CLOSE = 10.0


@attrs.frozen(eq=False)
class WorkerEvents:
    """Receiver of the events of runs on the cluster.

    Attributes:
        started: Called with the number of a run that has started, and with its worker.
        progressed: Called with the number of a run and a report of its progress.
        logged: Called with the number of a run and a log record of its function.
    """

    started: Callable[[int, WorkerAddress], None]
    progressed: Callable[[int, Report], None]
    logged: Callable[[int, bytes], None]


class Connection:
    """Connection of one executor.

    Args:
        address: The address of the cluster, if one is given.
        given: The client of the user, if one is given.
        security: The TLS certificates, if there are any.
        cluster_kwargs: Options of the cluster that is started if neither is given.
        ready: Called on the loop each time when the cluster accepts runs again.
        lost: Called if the client of the user has been closed.
    """

    def __init__(
        self,
        address: str | None,
        given: DaskClient | None,
        cluster_kwargs: DaskClusterKwargs,
        *,
        security: DaskSecurity | None,
        ready: Callable[[], None],
        lost: Callable[[], None],
    ) -> None:
        self._address = address
        self._given = given
        self._cluster_kwargs = cluster_kwargs
        self._security: dict[str, object] = {} if security is None else {"security": security}
        self._ready = ready
        self._lost = lost
        self._cluster: Cluster | None = None
        self._cluster_settings = contextlib.ExitStack()
        self._client: Client | None = None
        self._prepared_for: object = None
        self._is_lost = False
        self._topic = ""
        self._events: WorkerEvents | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._logger = default_logger
        self.state: ClusterState | None = None

    @property
    def client(self) -> Client | None:
        """The client if it is connected and ready for runs, else None."""
        client = self._client
        if client is None or client.status != "running" or client.scheduler_comm is not self._prepared_for:
            return None
        return client

    @property
    def address(self) -> str:
        """The address of the cluster, if it is known."""
        return self._address or (self.state.address if self.state is not None else "this machine")

    @property
    def _dashboard_address(self) -> str | None:
        """The address of the dashboard; a port without a host is one to which other machines cannot connect."""
        address = self._cluster_kwargs.get("dashboard_address", ":0")
        return f"127.0.0.1{address}" if address is not None and address.startswith(":") else address

    async def open(self, topic: str, worker_events: WorkerEvents, logger: SafeLogger) -> None:
        """Connect, after a cluster was started if neither an address nor a client is given.

        Args:
            topic: Topic under which workers log the starts, progress and log records of runs.
            worker_events: Receives these events.
            logger: Logger of changes of the connection.

        Raises:
            ClusterConnectionError: The cluster cannot be reached, or its version does not fit.
            InvalidInputError: The client of the user cannot be used.
        """
        self._topic, self._events, self._logger, self._is_lost = topic, worker_events, logger, False
        # The import takes a second; the loop must not wait for it.
        distributed = await asyncio.to_thread(import_module, "distributed")
        # The constructors have no types in `distributed`.
        make_client: ClientFactory = distributed.Client
        make_cluster: ClusterFactory = distributed.LocalCluster
        try:
            if self._given is None and self._address is None:
                # Raise here, in the program, if it lacks `if __name__ == "__main__":`.
                check_process_start()
                self._allow_nested_processes()
                self._cluster = make_cluster(
                    asynchronous=True,
                    **{**self._security, **self._cluster_kwargs, "dashboard_address": self._dashboard_address},
                )
                await self._cluster
            await self._connect(make_client)
            await self._prepare()
        except BaseException:
            await self.close()
            raise
        self._refresh_state()
        self._watcher = asyncio.create_task(self._watch(make_client))

    async def close(self, *, kill_after: float | None = None) -> None:
        """Close the connection, and the cluster that was started for it.

        Args:
            kill_after: Seconds after which worker processes of that cluster are killed; None for Dask's own limit.
        """
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.wait([self._watcher])
            self._watcher = None
        client, self._client = self._client, None
        if client is not None and self._given is None:
            await self._ended(client)
        elif client is not None and client.status == "running":
            client.unsubscribe_topic(self._topic)
        cluster, self._cluster = self._cluster, None
        if cluster is not None:
            if kill_after is not None:
                await self._end_workers(cluster, kill_after)
            await self._ended(cluster)
        self._cluster_settings.close()
        self.state = None

    def _allow_nested_processes(self) -> None:
        """Let the functions of runs start processes, which daemons, the workers of a cluster by default, cannot.

        If a worker is lost, another one is started later: this applies until the cluster is closed.
        """
        settings: SettingsFactory = getattr(import_module("dask.config"), "set")  # noqa: B009  # it has no types
        self._cluster_settings.enter_context(settings({"distributed.worker.daemon": False}))

    async def _connect(self, make_client: ClientFactory) -> None:
        if self._given is not None:
            self._client = _usable(self._given)
            return
        client = make_client(self._cluster or self._address, asynchronous=True, set_as_default=False, **self._security)
        try:
            await client
        except Exception as error:
            await self._ended(client)
            raise ClusterConnectionError(self.address, f"it cannot be used: {error!r}") from error
        self._client = client

    async def _prepare(self) -> None:
        """Prepare a new connection for runs: it may lead to another scheduler."""
        from asyncz.executors.dask._scheduler_plugin import NoImplicitRetryPlugin

        client = self._client
        assert client is not None
        connection = client.scheduler_comm
        client.subscribe_topic(self._topic, self._on_event)
        try:
            await asyncio.wait_for(as_coroutine(client.register_plugin(NoImplicitRetryPlugin())), _SECONDS_TO_PREPARE)
        except Exception as error:
            self._logger.warning(
                "The scheduler of the cluster at %s rejected a plugin, so Dask may execute the runs of a lost worker"
                " again: %r",
                self.address,
                error,
            )
        self._prepared_for = connection

    async def _watch(self, make_client: ClientFactory) -> None:
        """Poll the state of the connection, because Dask has no event for it."""
        while not self._is_lost:
            try:
                await self._keep_connected(make_client)
            except Exception as error:
                self._logger.warning("%s", error)
                await asyncio.sleep(_PAUSE_BETWEEN_ATTEMPTS)
            self._refresh_state()
            await asyncio.sleep(_LOOK_EVERY)

    async def _keep_connected(self, make_client: ClientFactory) -> None:
        client = self._client
        if client is None or client.status == "closed":
            if self._given is not None:
                self._is_lost = True
                self._lost()
                return
            await self._connect(make_client)
        elif client.status != "running":
            # The client tries to reconnect by itself for some time.
            return
        if self.client is None:
            await self._prepare()
            self._refresh_state()
            self._ready()

    def _on_event(self, event: tuple[float, object]) -> None:
        events = self._events
        if events is None:
            return
        match event:
            case (_, (str(key), str(host), int(pid), str(thread))):
                events.started(_run_id(key), (host, pid, thread))
            case (_, ("progress", str(key), float(done), float() | None as total, str(message))):
                events.progressed(_run_id(key), (done, total, message))
            case (_, ("record", str(key), bytes(content))):
                events.logged(_run_id(key), content)
            case _:
                self._logger.warning("An event of a worker of the cluster is not known, and was ignored: %r", event)

    def _refresh_state(self) -> None:
        client = self._client
        information: Mapping[str, object] = {} if client is None else client.scheduler_info()
        self.state = ClusterState(
            address=f"{information.get('address', self.address)}",
            connected=self.client is not None,
            workers=_count(information.get("n_workers")),
            threads=_count(information.get("total_threads")),
            memory=_count(information.get("total_memory")),
        )

    async def _end_workers(self, cluster: Cluster, kill_after: float) -> None:
        """End the worker processes of a cluster, which would wait longer for functions that do not return."""
        nannies = [worker for worker in cluster.workers.values() if isinstance(worker, Nanny)]
        closed = await asyncio.gather(
            *(as_coroutine(nanny.close(timeout=kill_after)) for nanny in nannies), return_exceptions=True
        )
        for error in closed:
            if isinstance(error, Exception):
                self._logger.warning("A worker of the cluster at %s was not closed well: %r", self.address, error)

    async def _ended(self, closing: Client | Cluster) -> None:
        try:
            await asyncio.wait_for(as_coroutine(closing.close()), _SECONDS_TO_CLOSE)
        except Exception as error:
            self._logger.warning("The connection to the cluster at %s was not closed well: %r", self.address, error)


def _usable(given: DaskClient) -> Client:
    if not is_client(given) or not given.asynchronous:
        raise InvalidInputError(
            "client",
            repr(given),
            "it must be a distributed.Client made with asynchronous=True on this event loop; a pool for"
            " FuturesExecutor is what get_executor() of another one gives",
        )
    return given


def _count(value: object) -> int:
    return int(value) if isinstance(value, int | float) else 0


def _run_id(key: str) -> int:
    return int(key.rpartition("-")[2])
