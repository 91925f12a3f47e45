"""Retry policy of failed runs."""

from __future__ import annotations

import attrs

from asyncz._checks import check_at_least, check_count, check_optional_seconds, check_seconds
from asyncz._constructors import explain_misuse
from asyncz._text import class_name
from asyncz.exceptions import InvalidInputError, RemoteError


@attrs.frozen(kw_only=True)
class Retry:
    """Retry policy: number of attempts and delays.

    A run is one run, however many attempts it takes: each failed attempt but the last is a `TaskRetrying`
    event, and the last one its only notification. A timeout counts for each attempt. A worker that was lost
    may have done its work already, so name `WorkerLostError` only where that does no harm. A shutdown makes no
    more attempts, and a run that waits for one ends with the error of its last; if a store keeps the run, its next
    attempt is made later, by this scheduler or another one.

    Args:
        attempts: Maximum number of attempts, including the first; at least 1.
        delay: Delay before the second attempt, in seconds.
        backoff: Multiplier applied to the delay after each attempt; at least 1.
        max_delay: Maximum delay in seconds; None for no limit.
        jitter: Maximum of a random number of seconds that is added to each delay, to spread the load.
        on: Exception classes that are retried; may include `TaskTimeoutError` and `WorkerLostError`.

    Raises:
        InvalidInputError: A number is out of its range, or `on` is not a tuple of exception classes.

    Example:
        >>> Retry(attempts=5, delay=1.0, backoff=2.0, on=(OSError,)).delay_after(3)
        4.0
    """

    attempts: int
    """Maximum number of attempts, including the first; at least 1."""
    delay: float = 0.0
    """Delay before the second attempt, in seconds."""
    backoff: float = 1.0
    """Multiplier applied to the delay after each attempt; at least 1."""
    max_delay: float | None = None
    """Maximum delay in seconds; None for no limit."""
    jitter: float = 0.0
    """Maximum of a random number of seconds that is added to each delay, to spread the load."""
    on: tuple[type[BaseException], ...] = (Exception,)
    """Exception classes that are retried; may include `TaskTimeoutError` and `WorkerLostError`."""

    def __attrs_post_init__(self) -> None:
        check_count("attempts", self.attempts)
        check_seconds("delay", self.delay)
        check_at_least("backoff", self.backoff, 1)
        check_optional_seconds("max_delay", self.max_delay, zero_allowed=True)
        check_seconds("jitter", self.jitter)
        if not _are_exception_classes(self.on):
            raise InvalidInputError("on", repr(self.on), "a tuple of exception classes is needed, such as (OSError,)")

    def follows(self, attempt: int, exception: BaseException) -> bool:
        """Return True if another attempt follows a failed attempt, counted from 1. Thread-safe."""
        return attempt < self.attempts and (isinstance(exception, self.on) or self._matches_remote(exception))

    def _matches_remote(self, exception: BaseException) -> bool:
        """Return True if an exception stands for one of a worker, and its class or a base class is in `on`."""
        return isinstance(exception, RemoteError) and not {class_name(cls) for cls in self.on}.isdisjoint(
            exception.class_names
        )

    def delay_after(self, attempt: int) -> float:
        """Return the delay in seconds after a failed attempt, counted from 1. Thread-safe."""
        try:
            # Powers of integers would have millions of digits.
            waiting = float(self.delay) * float(self.backoff) ** (attempt - 1)
        except OverflowError:
            waiting = float("inf")
        if self.max_delay is not None:
            waiting = min(waiting, self.max_delay)
        if not self.jitter:
            return waiting
        import random

        return waiting + random.uniform(0, self.jitter)  # noqa: S311  # spreads load, hides nothing


explain_misuse(Retry)


def _are_exception_classes(classes: tuple[object, ...]) -> bool:
    return type(classes) is tuple and all(
        isinstance(each, type) and issubclass(each, BaseException) for each in classes
    )
