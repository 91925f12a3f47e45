"""Runs on a Dask cluster, by Dask's own asynchronous client on the event loop."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import pickle
import time
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Generic, Never, Protocol

from typing_extensions import TypeVar, override

from asyncz import _shutdown_limits
from asyncz._callables import function_name
from asyncz._checks import check_amounts, check_count
from asyncz._constructors import explain_misuse
from asyncz._running import context_for_later
from asyncz._safe_logging import SafeLogger
from asyncz.config import DaskClusterKwargs
from asyncz.events import TaskNotification, Worker
from asyncz.exceptions import (
    ClusterConnectionError,
    InvalidInputError,
    MissingExtraError,
    SerializationError,
    WorkerLostError,
)
from asyncz.executors import _remote_progress, _remote_records, _remote_worker
from asyncz.executors._helper_threads import HelperThreads, OrderedCalls
from asyncz.executors._serialization import (
    is_plain_call,
    latest_start,
    outcome_of,
    parcel_of,
    pickled,
    plain_outcome_of_report,
)
from asyncz.executors.base import limit_pickling, safe_logger
from asyncz.executors.dask import _client_protocol, _connection, _worker
from asyncz.executors.pool import QueueExecutor
from asyncz.protocols import Notifier
from asyncz.runs import TaskRun

if TYPE_CHECKING:
    from asyncz.states import ExecutorState
else:
    # `typing.get_type_hints` needs the name; importing pydantic here would double the time of the import.
    ExecutorState = object

ResultT = TypeVar("ResultT")

# A large submission would hold the loop, and Dask warns if a graph is large.
_RUNS_AT_ONCE = 200
_BYTES_AT_ONCE = 1_000_000
_SECONDS_TO_CANCEL = 5.0


class DaskExecutor(QueueExecutor):
    """Executor on a Dask cluster. Alias `dask`; needs `pip install 'asyncz-typed[dask]'`.

    Functions, arguments and results are sent in the form in which Dask pickles them; asyncz has to be installed on the
    scheduler and the workers of the cluster. A coroutine function runs in an event loop of its own, in a thread of its
    worker. Runs that are due together are sent in one submission. If a worker is lost, its runs end as
    `WorkerLostError`. If the connection is lost, the runs on the cluster end as `ClusterConnectionError`, and later
    runs wait until the cluster is back. A function is executed again only if its result was lost together with its
    worker.

    If a run is cancelled or exceeds its timeout, it ends at once. Its coroutine is cancelled in the worker; a plain
    function cannot be stopped, and its run counts as `abandoned` until it returns. A timeout counts from the call of
    the function. The misfire grace time is checked when the run is sent, and again by the clock of its worker.

    The log records that a run makes in its worker, at the levels that are enabled there, are handled in this process
    too, at most 1,000 of an attempt, and long ones shortened. Those of threads that a function starts are not.

    Args:
        address: The address of the cluster's scheduler, such as `tcp://10.0.0.5:8786`. With neither an address nor a
            client, a cluster of processes is started on this machine, and ends with the executor.
        client: A `distributed.Client` that was made with `asynchronous=True` on the event loop. Its owner closes it.
        resources: Resources of a worker that each run occupies, such as `{"GPU": 1}`.
        retries: Number of times that Dask executes a run again if it fails or is lost.
        security: A `distributed.Security` with certificates for TLS, for the given address or the started cluster.
            Without TLS, every program that can reach the address can execute code on the cluster.
        cluster_kwargs: Keyword arguments of the `distributed.LocalCluster` that is started.
        cancel_futures: Cancel the runs that have not left for the cluster at shutdown.
        overwrite_wait: If set, it is used instead of the `wait` of `shutdown`.
        max_queue: Maximum number of runs that wait for a submission or for the cluster; None if unlimited.

    Raises:
        PluginError: Dask is not installed.
        InvalidInputError: A client is given together with an address or `security`, or another argument is not valid.

    Example:
        >>> scheduler.add_executor(DaskExecutor("tcp://10.0.0.5:8786"), alias="cluster")
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        client: _client_protocol.DaskClient | None = None,
        resources: Mapping[str, float] | None = None,
        retries: int = 0,
        security: _client_protocol.DaskSecurity | None = None,
        cluster_kwargs: DaskClusterKwargs | None = None,
        cancel_futures: bool = False,
        overwrite_wait: bool | None = None,
        max_queue: int | None = None,
    ) -> None:
        super().__init__(cancel_futures=cancel_futures, overwrite_wait=overwrite_wait, max_queue=max_queue)
        check_count("retries", retries, at_least=0)
        if resources is not None:
            check_amounts("resources", resources)
        if address is not None and client is not None:
            raise InvalidInputError("address", repr(address), "a client is given, which has one")
        if security is not None and client is not None:
            raise InvalidInputError("security", repr(security), "a client is given, which has its own")
        if security is not None and not callable(getattr(security, "get_connection_args", None)):
            raise InvalidInputError("security", repr(security), "it must be a distributed.Security")
        if find_spec("distributed") is None:
            raise MissingExtraError("DaskExecutor", "distributed", "dask")
        self._link = _connection.Connection(
            address,
            client,
            {**(cluster_kwargs or {})},
            security=security,
            ready=self._flush_soon,
            lost=self._client_closed,
        )
        self._resources = dict(resources) if resources else None
        self._retries = retries
        self._token = ""
        self._outgoing: deque[_Outgoing] = deque()
        self._parcels: deque[tuple[_Outgoing, bytes]] = deque()
        # Runs that are being pickled, or wait for the cluster afterwards.
        self._unsent: dict[int, _Outgoing] = {}
        # Threads of their own: a call that hangs while it is pickled must not delay the results of others.
        self._picklers = HelperThreads("asyncz-dask-pickle")
        self._readers = HelperThreads("asyncz-dask-read")
        self._on_cluster: dict[int, _Outgoing] = {}
        self._to_cancel: list[_Outgoing] = []
        self._will_flush = False
        self._cancelling: set[asyncio.Task[None]] = set()
        self._following: set[asyncio.Task[None]] = set()

    @override
    async def start(self, scheduler: Notifier, alias: str, /) -> None:
        """Connect to the cluster, or start one.

        Raises:
            ClusterConnectionError: It cannot be reached, or its version does not fit.
            InvalidInputError: The client was not made with `asynchronous=True` on this event loop.
            DuplicateExecutorError: It runs already.
        """
        self.check_not_started()
        self._token = uuid.uuid4().hex
        _worker.local_topics.add(self._topic)
        listener = _connection.WorkerEvents(self._began, self._progressed, self._logged)
        await self._link.open(self._topic, listener, SafeLogger(f"asyncz.executors.{alias}"))
        await super().start(scheduler, alias)

    @property
    def _topic(self) -> str:
        return f"asyncz-{self._token}"

    @property
    @override
    def state(self) -> ExecutorState:
        """Snapshot of the executor and its cluster. Thread-safe."""
        cluster = self._link.state
        return super().state.model_copy(
            update={"workers": 0 if cluster is None else cluster.workers, "cluster": cluster}
        )

    def check_call(self, call: Callable[[], object], /) -> None:
        """Reject a call that cannot be pickled.

        Raises:
            SerializationError: The function or an argument cannot be pickled.
        """
        pickled(call, _worker.dumps)

    @override
    def submit_run(self, run: TaskRun[ResultT], /) -> None:
        self._outgoing.append(_Job(self, run, f"{function_name(run.call)}{_worker.KEY_MARKER}{self._token}-{run.id}"))
        self._flush_soon()

    @override
    def cancel_run(self, run: TaskRun[ResultT], /) -> bool:
        job = self._on_cluster.get(run.id)
        if job is None:
            unsent = self._unsent.pop(run.id, None)
            if unsent is None:
                return False
            # Its pickling may continue, or hang.
            unsent.cancelled()
            return True
        self.abandon(run, run.cancelled())
        # All that are cancelled in this turn of the loop go out together.
        if not self._to_cancel:
            _keep(self._cancelling, self._cancel_on_cluster())
        self._to_cancel.append(job)
        return True

    @override
    async def release(self, *, wait: bool) -> None:
        """Close the connection, and the cluster if it was started for this executor."""
        limit = _shutdown_limits.LEAST_SECONDS
        if self._cancelling:
            await asyncio.wait(self._cancelling, timeout=limit)
        # Abandoned runs report nothing any more. Their functions may never return.
        abandoned = list(self._on_cluster.values())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._drop(abandoned), limit)
        await self._link.close(kill_after=_shutdown_limits.CLEANUP_SECONDS if abandoned else None)
        if self._following:
            _, deaf = await asyncio.wait(self._following, timeout=limit)
            for following in deaf:
                following.cancel()
        self._outgoing.clear()
        self._parcels.clear()
        self._unsent.clear()
        _worker.local_topics.discard(self._topic)

    def _parcel_of(self, run: TaskRun[ResultT], key: str) -> bytes | None:
        """Take a run out of the queue and pickle it for the cluster; return None if the run has ended instead."""
        if not self.claim(run):
            return None
        if run.is_too_late():
            self.finish(run, run.missed())
            return None
        try:
            content = parcel_of(run, _worker.dumps)
        except SerializationError as error:
            self.finish(run, run.failed(error))
            return None
        may_repeat = self._retries > 0
        parcel: _worker.Parcel = (
            key,
            content,
            # If Dask executes the run again, it has started in time.
            None if may_repeat else latest_start(run),
            self._topic,
            run.limits.timeout is not None,
            may_repeat,
        )
        return pickle.dumps(parcel)

    def _flush_soon(self) -> None:
        if (self._outgoing or self._parcels) and not self._will_flush:
            self._will_flush = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        """Send the waiting runs if the cluster is connected; else the connection calls this again."""
        self._will_flush = False
        client = self._link.client
        if client is None:
            return
        batch: list[tuple[_Outgoing, bytes]] = []
        size = 0
        for job, parcel in self._next_parcels():
            if batch and size + len(parcel) > _BYTES_AT_ONCE:
                self._hand_over(client, batch)
                batch, size = list[tuple[_Outgoing, bytes]](), 0
            batch.append((job, parcel))
            size += len(parcel)
        if batch:
            self._hand_over(client, batch)
        self._flush_soon()

    def _next_parcels(self) -> Iterator[tuple[_Outgoing, bytes]]:
        """Return runs that can be sent now. The calls of others are pickled in other threads, as user code may hang."""
        for _ in range(min(len(self._parcels), _RUNS_AT_ONCE)):
            job, parcel = self._parcels.popleft()
            if self._unsent.pop(job.run_id, None) is not None:
                yield job, parcel
        for _ in range(min(len(self._outgoing), _RUNS_AT_ONCE)):
            job = self._outgoing.popleft()
            if not job.is_plain:
                self._unsent[job.run_id] = job
                self._picklers.call(partial(self._pickle, job, self._token))
            elif (plain := job.parcel()) is not None:
                yield job, plain

    def _pickle(self, job: _Outgoing, token: str) -> None:
        """Pickle the call of a run, in any thread."""
        stop_timeout, parcel = job.limit_pickling(), None
        try:
            parcel = job.parcel()
        except BaseException as error:
            job.fail(error)
        finally:
            stop_timeout()
        self._base_executor_state.call_on_loop(partial(self._send_soon, job, parcel, token))

    def _send_soon(self, job: _Outgoing, parcel: bytes | None, token: str) -> None:
        if token != self._token or job.run_id not in self._unsent:
            # The run has ended meanwhile.
            return
        if parcel is None:
            del self._unsent[job.run_id]
        else:
            self._parcels.append((job, parcel))
            self._flush_soon()

    def _hand_over(self, client: _client_protocol.Client, batch: list[tuple[_Outgoing, bytes]]) -> None:
        try:
            futures = client.map(
                _worker.execute,
                [parcel for _, parcel in batch],
                key=[job.key for job, _ in batch],
                pure=False,
                resources=self._resources,
                retries=self._retries or None,
            )
        except Exception as error:
            for job, _ in batch:
                job.fail(error)
            return
        for (job, _), future in zip(batch, futures, strict=True):
            job.future = future
            self._on_cluster[job.run_id] = job
            _keep(self._following, self._follow(job, future))

    async def _follow(self, job: _Outgoing, future: Awaitable[bytes]) -> None:
        try:
            report: _remote_worker.Report = pickle.loads(await future)
            self._deliver(job, report)
        except asyncio.CancelledError:
            job.cancelled()
            raise
        except _worker.RetryableFailure as failed:
            self._deliver(job, failed.report)
        except concurrent.futures.CancelledError as error:
            self._was_dropped(job, error)
        except Exception as error:
            job.fail(_translated(error))
        finally:
            del self._on_cluster[job.run_id]
            # The cluster keeps a result as long as a future of it exists.
            job.future = None

    def _deliver(self, job: _Outgoing, report: _remote_worker.Report) -> None:
        # The log records of the run come before its outcome.
        if job.records is not None and not job.records.is_idle:
            job.records.call(lambda: job.deliver(report))
        elif not job.deliver_plain(report):
            self._readers.call(lambda: job.deliver(report))

    def _was_dropped(self, job: _Outgoing, error: concurrent.futures.CancelledError) -> None:
        """End a run after Dask has cancelled its future, for one of many reasons."""
        reason: object = getattr(error, "reason", None)
        if reason == "scheduler-restart":
            job.fail(WorkerLostError("was ended by a restart of the cluster"))
        elif reason is not None or (self._link.client is None and self.state.status == "running"):
            lost = ClusterConnectionError(self._link.address, f"it was lost while it had a run: {error}")
            lost.__cause__ = error
            job.fail(lost)
        else:
            job.cancelled()

    def _began(self, run_id: int, address: _remote_worker.WorkerAddress) -> None:
        job = self._on_cluster.get(run_id)
        if job is not None:
            job.began(address)

    def _progressed(self, run_id: int, report: _remote_progress.Report) -> None:
        job = self._on_cluster.get(run_id)
        if job is not None:
            job.progressed(report)

    def _logged(self, run_id: int, record: bytes) -> None:
        """Handle a log record of a run, in another thread: handlers are user code."""
        job = self._on_cluster.get(run_id)
        if job is not None:
            if job.records is None:
                job.records = OrderedCalls(self._readers)
            job.records.call(partial(_remote_records.handle_record, record))

    async def _cancel_on_cluster(self) -> None:
        """Cancel runs in their workers, and remove runs from the cluster that have not started."""
        jobs, self._to_cancel = self._to_cancel, list[_Outgoing]()
        client = self._link.client
        if client is None:
            return
        try:
            async with asyncio.timeout(_SECONDS_TO_CANCEL):
                replies = await client.run(_worker.cancel, [job.key for job in jobs], on_error="return")
        except Exception as error:
            safe_logger(self).warning("The workers of the cluster did not hear of a cancellation: %r", error)
            return
        running: set[str] = set()
        for worker, reply in replies.items():
            if isinstance(reply, BaseException):
                safe_logger(self).warning("The worker %s did not hear of a cancellation: %r", worker, reply)
                return
            running.update(job.key for job in jobs if isinstance(reply, list) and job.key in reply)
        await self._drop([job for job in jobs if job.key not in running])

    async def _drop(self, jobs: list[_Outgoing]) -> None:
        client = self._link.client
        futures = [job.future for job in jobs if job.future is not None]
        if client is not None and futures:
            await client.cancel(futures, force=True)

    def _client_closed(self) -> None:
        """End the waiting runs: the client of the user has been closed, so that the cluster does not come back."""
        self.mark_broken()
        while self._outgoing:
            self._outgoing.popleft().fail(ClusterConnectionError(self._link.address, "its client was closed"))
        self._parcels.clear()
        while self._unsent:
            _, job = self._unsent.popitem()
            job.fail(ClusterConnectionError(self._link.address, "its client was closed"))


explain_misuse(DaskExecutor)


class _Outgoing(Protocol):
    """A run on its way through the cluster, without its type, which runs of different result types do not share."""

    key: str
    run_id: int
    future: Awaitable[bytes] | None
    records: OrderedCalls | None

    @property
    def is_plain(self) -> bool:
        """True if pickling the call is quick and calls no user code."""
        ...

    def parcel(self) -> bytes | None:
        """Return the parcel of the run, or None if the run has ended instead. Thread-safe."""
        ...

    def limit_pickling(self) -> Callable[[], None]:
        """Start the timeout of the run while it is pickled; return a function that stops it. From any thread."""
        ...

    def began(self, address: _remote_worker.WorkerAddress) -> None:
        """Note that the function was called by a worker."""
        ...

    def progressed(self, report: _remote_progress.Report) -> None:
        """Report the progress of the run."""
        ...

    def deliver_plain(self, report: _remote_worker.Report) -> bool:
        """Report the outcome that the worker sent; return False if reading it calls user code."""
        ...

    def deliver(self, report: _remote_worker.Report) -> None:
        """Report the outcome that the worker sent, from any thread. Calls user code."""
        ...

    def fail(self, error: BaseException) -> None:
        """Report an exception as the outcome."""
        ...

    def cancelled(self) -> None:
        """Report the run as cancelled."""
        ...


class _Job(Generic[ResultT]):
    """A run on its way through the cluster."""

    __slots__ = ("_executor", "_has_begun", "_run", "future", "key", "records", "run_id")

    def __init__(self, executor: DaskExecutor, run: TaskRun[ResultT], key: str) -> None:
        self._executor = executor
        self._run = run
        self._has_begun = False
        self.key = key
        self.run_id = run.id
        self.future: Awaitable[bytes] | None = None
        # Log records that its worker sent; None before the first one.
        self.records: OrderedCalls | None = None

    @property
    def is_plain(self) -> bool:
        call = self._run.call
        # Dask pickles a function by value, with the objects that it refers to, if workers cannot import it.
        return is_plain_call(call) and _is_importable(call)

    def parcel(self) -> bytes | None:
        return self._executor._parcel_of(self._run, self.key)

    def limit_pickling(self) -> Callable[[], None]:
        return limit_pickling(self._executor, self._run)

    def began(self, address: _remote_worker.WorkerAddress) -> None:
        # If Dask executes the run again, its timeout continues.
        if not self._has_begun:
            self._has_begun = True
            host, pid, thread = address
            self._run.begin(time.time(), Worker(host=host, pid=pid, thread=thread))
            self._executor.start_timeout(self._run)

    def progressed(self, report: _remote_progress.Report) -> None:
        self._run.report_progress(*report)

    def deliver_plain(self, report: _remote_worker.Report) -> bool:
        outcome = plain_outcome_of_report(self._run, report)
        if outcome is None:
            return False
        self._end(outcome)
        return True

    def deliver(self, report: _remote_worker.Report) -> None:
        self._end(outcome_of(self._run, report[0], report[1]))

    def fail(self, error: BaseException) -> None:
        self._end(self._run.failed(error))

    def cancelled(self) -> None:
        self._end(self._run.cancelled())

    def _end(self, notification: TaskNotification[ResultT]) -> None:
        # In the queue it may have been cancelled before.
        if self._executor.claim(self._run):
            self._executor.finish(self._run, notification)


def _is_importable(call: object) -> bool:
    function: object = call.func if isinstance(call, partial) else call
    return getattr(function, "__module__", "__main__") != "__main__" and "<" not in getattr(
        function, "__qualname__", "<"
    )


def _translated(error: Exception) -> Exception:
    from distributed.scheduler import KilledWorker

    if not isinstance(error, KilledWorker):
        return error
    lost = WorkerLostError(
        f"was lost: {error.last_worker.address}",
        hint="its log may tell why; asyncz of this version has to be installed there",
    )
    lost.__cause__ = error
    return lost


def _keep(tasks: set[asyncio.Task[None]], coroutine: Coroutine[object, Never, None]) -> None:
    """Run a coroutine as an asyncio task, with a reference until its end."""
    task = asyncio.get_running_loop().create_task(coroutine, context=context_for_later())
    tasks.add(task)
    task.add_done_callback(tasks.discard)
