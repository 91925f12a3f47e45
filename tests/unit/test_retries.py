"""Arguments of `Retry`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from asyncz import InvalidInputError, Retry


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (partial(Retry, attempts=0), "attempts cannot be 0: it must be a whole number, at least 1"),
        (partial(Retry, attempts=2, delay=-1), "delay cannot be -1"),
        (partial(Retry, attempts=2, delay=float("nan")), "delay cannot be nan"),
        (partial(Retry, attempts=2, backoff=0.5), "backoff cannot be 0.5"),
        (partial(Retry, attempts=2, jitter=-1), "jitter cannot be -1"),
        (partial(Retry, attempts=2, max_delay=-1), "max_delay cannot be -1"),
        (partial(Retry, attempts=2, on=OSError), "on cannot be <class 'OSError'>"),  # type: ignore[arg-type]  # on purpose
        (partial(Retry, attempts=2, on=(OSError, "x")), "a tuple of exception classes"),  # type: ignore[arg-type]  # same
    ],
)
def test_retry_invalid_argument_rejected(make: Callable[[], Retry], message: str) -> None:
    with pytest.raises(InvalidInputError) as rejected:
        make()
    assert message in str(rejected.value)


def test_retry_with_integers_computes_floats() -> None:
    """The power of integers would have a million digits."""
    assert Retry(attempts=10**7, delay=1, backoff=2).delay_after(10**6) == float("inf")
    assert isinstance(Retry(attempts=10, delay=1, backoff=2).delay_after(3), float)
