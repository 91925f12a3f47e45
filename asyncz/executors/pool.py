"""Base classes of executors with a queue of runs: parameters and shutdown."""

from __future__ import annotations

from collections.abc import Mapping

from typing_extensions import override

from asyncz._checks import check_count, check_flag, check_optional_instance
from asyncz.exceptions import InvalidInputError
from asyncz.executors.base import BaseExecutor


def check_pool_kwargs(given: Mapping[str, object] | None, known: type[object]) -> None:
    """Reject a value that is not a mapping, or has a key that the pool does not know.

    Args:
        given: The value of `pool_kwargs`.
        known: The TypedDict of the keyword arguments of the pool.

    Raises:
        InvalidInputError: The value is not valid.
    """
    check_optional_instance("pool_kwargs", given, Mapping)
    names = known.__annotations__
    if given is not None and not given.keys() <= names.keys():
        raise InvalidInputError("pool_kwargs", repr(given), f"the pool accepts: {', '.join(names)}")


class QueueExecutor(BaseExecutor):
    """Base class of executors that queue runs until a worker is free.

    Args:
        cancel_futures: Cancel the queued runs at shutdown.
        overwrite_wait: If set, it replaces the `wait` argument of `shutdown`.
        max_queue: The maximum number of queued runs; None for no limit.

    Raises:
        InvalidInputError: An argument is not valid.
    """

    has_queue = True

    def __init__(self, *, cancel_futures: bool, overwrite_wait: bool | None, max_queue: int | None) -> None:
        super().__init__(max_queue=max_queue)
        check_flag("cancel_futures", cancel_futures)
        if overwrite_wait is not None:
            check_flag("overwrite_wait", overwrite_wait)
        self._cancel_futures = cancel_futures
        self._overwrite_wait = overwrite_wait

    @override
    async def shutdown(self, wait: bool = True) -> None:
        if self._cancel_futures:
            self.cancel_queued()
        await super().shutdown(wait if self._overwrite_wait is None else self._overwrite_wait)


class PoolExecutor(QueueExecutor):
    """Base class of executors with workers of their own.

    Args:
        max_workers: The maximum number of workers.
        cancel_futures: Cancel the queued runs at shutdown.
        overwrite_wait: If set, it replaces the `wait` argument of `shutdown`.
        max_queue: The maximum number of queued runs; None for no limit.

    Raises:
        InvalidInputError: An argument is not valid.
    """

    def __init__(
        self, max_workers: int, *, cancel_futures: bool, overwrite_wait: bool | None, max_queue: int | None
    ) -> None:
        super().__init__(cancel_futures=cancel_futures, overwrite_wait=overwrite_wait, max_queue=max_queue)
        check_count("max_workers", max_workers)
        self._max_workers = max_workers
