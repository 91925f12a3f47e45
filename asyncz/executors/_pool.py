"""What executors whose runs wait for a worker have in common: their parameters and their shutdown."""

from __future__ import annotations

from collections.abc import Mapping

from typing_extensions import override

from asyncz._checks import check_count, check_flag, check_optional_instance
from asyncz.exceptions import InvalidInputError
from asyncz.executors.base import BaseExecutor


def check_pool_kwargs(given: Mapping[str, object] | None, known: type[object]) -> None:
    """Reject what is not a mapping, or holds what a pool does not take.

    Args:
        given: What was given for `pool_kwargs`.
        known: The TypedDict of what the pool takes.
    """
    check_optional_instance("pool_kwargs", given, Mapping)
    names = known.__annotations__
    if given is not None and not given.keys() <= names.keys():
        raise InvalidInputError("pool_kwargs", repr(given), f"the pool takes: {', '.join(names)}")


class QueueExecutor(BaseExecutor):
    """An executor whose runs wait until a worker is free, whoever the workers belong to.

    Args:
        cancel_futures: Cancel the runs that wait for a worker at shutdown.
        overwrite_wait: Where set, it is used instead of the `wait` of `shutdown`.
        max_queue: How many runs may wait for a worker at most; None is no limit.

    Raises:
        InvalidInputError: One of these is not what it should be.
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
    """The same with workers of its own.

    Args:
        max_workers: The maximum number of workers.
        cancel_futures: Cancel the runs that wait for a worker at shutdown.
        overwrite_wait: Where set, it is used instead of the `wait` of `shutdown`.
        max_queue: How many runs may wait for a worker at most; None is no limit.

    Raises:
        InvalidInputError: One of these is not what it should be.
    """

    def __init__(
        self, max_workers: int, *, cancel_futures: bool, overwrite_wait: bool | None, max_queue: int | None
    ) -> None:
        super().__init__(cancel_futures=cancel_futures, overwrite_wait=overwrite_wait, max_queue=max_queue)
        check_count("max_workers", max_workers)
        self._max_workers = max_workers
