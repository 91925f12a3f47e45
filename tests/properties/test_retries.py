"""Delays between attempts."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, strategies as st

from asyncz import Retry

numbers = st.floats(min_value=0, max_value=1e6)


@given(
    st.integers(1, 500),
    numbers,
    st.floats(min_value=1, max_value=1e3),
    st.none() | numbers,
    numbers,
    st.integers(2, 500),
)
def test_retry_delay_grows_within_bounds(
    attempts: int, delay: float, backoff: float, max_delay: float | None, jitter: float, attempt: int
) -> None:
    retry = Retry(attempts=attempts, delay=delay, backoff=backoff, max_delay=max_delay)
    delays = [retry.delay_after(number) for number in range(1, attempt)]
    assert all(before <= after for before, after in pairwise(delays))
    bound = float("inf") if max_delay is None else max_delay
    assert delays[0] == min(delay, bound)
    assert delays[-1] <= bound
    noisy = Retry(attempts=attempts, delay=delay, backoff=backoff, max_delay=max_delay, jitter=jitter)
    assert delays[-1] <= noisy.delay_after(attempt - 1) <= delays[-1] + jitter
    assert retry.follows(attempts, OSError()) is False
    assert retry.follows(attempts - 1, OSError()) is True
