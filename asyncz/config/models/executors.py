"""Configuration of executors."""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Annotated, Literal, Protocol, TypeAlias

from pydantic import Discriminator, NonNegativeInt, PositiveInt, Tag
from typing_extensions import override

from asyncz._references import load
from asyncz.config.models.base import (
    Amount,
    ChoiceConfig,
    Config,
    KwargsConfig,
    PluginAlias,
    Reference,
    Values,
    create_with,
    models_by_alias,
    problem,
    tag_of,
)
from asyncz.exceptions import MissingExtraError
from asyncz.plugins import executor_aliases, load_executor
from asyncz.protocols import UniversalExecutor


class BasePoolKwargsConfig(KwargsConfig, frozen=True):
    """Base class of the further options of pools."""

    initializer: Reference | None = None
    """A function that each worker calls once when it starts, as "package.module:function"."""
    initargs: Values = ()
    """The arguments of the initializer."""

    @override
    def create(self) -> dict[str, object]:
        given = super().create()
        if self.initializer is not None:
            given["initializer"] = load(self.initializer, "pool_kwargs", "initializer")
        return given


class ThreadPoolKwargsConfig(BasePoolKwargsConfig, frozen=True):
    """Options of the `concurrent.futures` thread pool."""

    thread_name_prefix: str = "asyncz"
    """Prefix of the thread names."""


class ProcessPoolKwargsConfig(BasePoolKwargsConfig, frozen=True):
    """Options of the `concurrent.futures` process pool."""

    mp_context: Literal["fork", "forkserver", "spawn"] | None = None
    """Start method of the worker processes."""
    max_tasks_per_child: PositiveInt | None = None
    """Number of runs after which a worker process is replaced."""

    @override
    def create(self) -> dict[str, object]:
        given = super().create()
        if self.mp_context is not None:
            given["mp_context"] = multiprocessing.get_context(self.mp_context)
        return given


class BaseExecutorConfig(ChoiceConfig, frozen=True):
    """Base class of the models of executors."""

    def create(self) -> UniversalExecutor:
        """Create the executor, without starting it. Thread-safe.

        Raises:
            ConfigurationError: A name in it cannot be imported, or an option is rejected.
            PluginError: Its class cannot be loaded, or is not an executor.
            InvalidInputError: The options together are rejected.
        """
        return create_with(partial(load_executor, self.type), self.options(), {})


class AsyncIOExecutorConfig(BaseExecutorConfig, frozen=True):
    """Executor for coroutines on the event loop; plain functions run in the loop's default executor."""

    type: Literal["asyncio", "default"]


class DebugExecutorConfig(BaseExecutorConfig, frozen=True):
    """Executor that runs functions inline, on the event loop's thread."""

    type: Literal["debug"]


class BasePoolConfig(BaseExecutorConfig, frozen=True):
    """Base class of the models of pools."""

    max_workers: PositiveInt = 10
    """Maximum number of workers."""
    cancel_futures: bool = False
    """Cancel queued runs at shutdown."""
    overwrite_wait: bool | None = None
    """Replaces the `wait` argument of `shutdown` if it is set."""
    max_queue: NonNegativeInt | None = None
    """Maximum number of runs that wait for a worker; by default unlimited."""


class ThreadPoolExecutorConfig(BasePoolConfig, frozen=True):
    """Executor that runs functions in threads."""

    type: Literal["threadpool", "pool"]
    pool_kwargs: ThreadPoolKwargsConfig = ThreadPoolKwargsConfig()
    """Options passed to the `concurrent.futures` thread pool."""


class ProcessPoolExecutorConfig(BasePoolConfig, frozen=True):
    """Executor that runs functions in processes; a crash affects one run only."""

    type: Literal["processpool"]
    pool_kwargs: ProcessPoolKwargsConfig = ProcessPoolKwargsConfig()
    """Options passed to the `concurrent.futures` process pool."""


class DaskClusterKwargsConfig(KwargsConfig, frozen=True):
    """Options of a cluster that is started on this machine."""

    n_workers: PositiveInt | None = None
    """Number of worker processes."""
    threads_per_worker: PositiveInt | None = None
    """Number of threads of each worker process."""
    memory_limit: str | None = None
    """Memory limit of each worker process, such as "2GiB"; "auto" divides the memory of the machine."""
    host: str | None = None
    """The address on which it listens; by default other machines cannot connect."""
    dashboard_address: str | None = None
    """The address of its dashboard; by default a free port to which other machines cannot connect."""


class DaskSecurityConfig(Config, frozen=True):
    """Certificates with which the cluster and its clients identify themselves to each other, by TLS."""

    ca_file: str
    """Path of the certificate of the authority that has issued the others, in the format PEM."""
    cert_file: str
    """Path of the certificate of this program, and of the cluster if it is started."""
    key_file: str
    """Path of the private key of that certificate."""

    def create(self) -> object:
        """Create a `distributed.Security`.

        Raises:
            ConfigurationError: A file does not exist.
            MissingExtraError: Dask is not installed.
        """
        for name in ("ca_file", "cert_file", "key_file"):
            path: str = getattr(self, name)
            if not Path(path).is_file():
                raise problem(("security", name), "no such file", repr(path))
        try:
            make: _SecurityFactory = import_module("distributed").Security
        except ImportError as error:
            raise MissingExtraError("DaskExecutor", "distributed", "dask") from error
        files: dict[str, object] = {"tls_ca_file": self.ca_file, "require_encryption": True}
        for role in ("client", "scheduler", "worker"):
            files |= {f"tls_{role}_cert": self.cert_file, f"tls_{role}_key": self.key_file}
        return make(**files)


class _SecurityFactory(Protocol):
    def __call__(self, **options: object) -> object: ...


class DaskExecutorConfig(BaseExecutorConfig, frozen=True):
    """Executor that runs functions on a Dask cluster; needs the extra `dask`."""

    type: Literal["dask"]
    address: str | None = None
    """The address of the cluster's scheduler; by default a cluster is started on this machine."""
    resources: Mapping[str, Amount] | None = None
    """Amounts that a run needs of the resources that workers declare."""
    retries: NonNegativeInt = 0
    """Number of times that Dask repeats a run that failed or was lost."""
    security: DaskSecurityConfig | None = None
    """Certificates for TLS; without them, the connection to the cluster is neither private nor authenticated."""
    cluster_kwargs: DaskClusterKwargsConfig | None = None
    """Options of the cluster that is started on this machine."""
    cancel_futures: bool = False
    """Cancel the runs that have not been sent to the cluster at shutdown."""
    overwrite_wait: bool | None = None
    """Replaces the `wait` argument of `shutdown` if it is set."""
    max_queue: NonNegativeInt | None = None
    """Maximum number of runs that wait to be sent to the cluster; by default unlimited."""

    @override
    def options(self) -> dict[str, object]:
        given = super().options()
        if self.security is not None:
            given["security"] = self.security.create()
        return given


class CustomExecutorConfig(BaseExecutorConfig, frozen=True, extra="allow"):
    """Executor of your own or of another package; all other keys are its options."""

    type: Annotated[str, PluginAlias(executor_aliases, lambda: BUILTIN_EXECUTOR_CONFIGS)]
    """The alias of a plugin, or a class as "package.module:Class"."""

    @override
    def options(self) -> dict[str, object]:
        return self.model_extra or {}


BUILTIN_EXECUTOR_CONFIGS: Mapping[str, type[ChoiceConfig]] = models_by_alias(
    AsyncIOExecutorConfig,
    DebugExecutorConfig,
    ThreadPoolExecutorConfig,
    ProcessPoolExecutorConfig,
    DaskExecutorConfig,
)


def _executor_tag(value: object) -> str | None:
    return tag_of(value, BUILTIN_EXECUTOR_CONFIGS, CustomExecutorConfig, executor_aliases())


# Each tag is the name of the model: pydantic includes tags in the location of an error, and no key has such a name.
ExecutorConfig: TypeAlias = Annotated[
    Annotated[AsyncIOExecutorConfig, Tag("AsyncIOExecutorConfig")]
    | Annotated[DebugExecutorConfig, Tag("DebugExecutorConfig")]
    | Annotated[ThreadPoolExecutorConfig, Tag("ThreadPoolExecutorConfig")]
    | Annotated[ProcessPoolExecutorConfig, Tag("ProcessPoolExecutorConfig")]
    | Annotated[DaskExecutorConfig, Tag("DaskExecutorConfig")]
    | Annotated[CustomExecutorConfig, Tag("CustomExecutorConfig")],
    Discriminator(_executor_tag),
]
"""Any executor; its `type` selects the model."""
