"""A run that failed is tried again, and still ends once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from asyncz import (
    AsyncIOScheduler,
    InvalidInputError,
    Retry,
    TaskCancelled,
    TaskError,
    TaskExecuted,
    TaskNotification,
    TaskRetrying,
    TaskSubmitted,
    TaskTimeoutError,
    ThreadPoolExecutor,
    WorkerLostError,
)
from asyncz.testing import FakeClock
from tests import functions


class Flaky:
    """Fails so many times, then gives the number of its calls."""

    def __init__(self, failures: int, error: BaseException | None = None) -> None:
        self.failures = failures
        self.error = error or OSError("no answer")
        self.calls = 0

    async def __call__(self) -> int:
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error
        return self.calls


class Watch:
    """Everything that is told of the runs of a scheduler, in order."""

    def __init__(self, scheduler: AsyncIOScheduler) -> None:
        self.submitted: list[TaskSubmitted] = []
        self.retrying: list[TaskRetrying] = []
        self.endings: list[TaskNotification[object]] = []
        scheduler.subscribe(TaskSubmitted, self.submitted.append)
        scheduler.subscribe(TaskRetrying, self.retrying.append)
        scheduler.subscribe(TaskExecuted, self.endings.append)
        scheduler.subscribe(TaskError, self.endings.append)
        scheduler.subscribe(TaskCancelled, self.endings.append)


def test_each_failed_attempt_but_the_last_is_an_event_and_the_run_ends_once() -> None:
    async def main() -> None:
        clock, flaky = FakeClock(), Flaky(3)
        async with AsyncIOScheduler(clock=clock) as scheduler:
            watch = Watch(scheduler)
            task = scheduler.add_task(flaky, retry=Retry(attempts=5, delay=1.0, backoff=2.0), trigger=None)
            handle = task.run()
            started = clock.now()
            await clock.advance(seconds=0.9)
            assert (flaky.calls, handle.done(), task.state.running) == (1, False, 1)
            await clock.advance(seconds=0.2)
            assert flaky.calls == 2
            await clock.advance(seconds=2 + 4)
            assert await handle == 4
            ending = await handle.notification()
        assert [event.delay for event in watch.retrying] == [1.0, 2.0, 4.0]
        assert [event.details.attempt for event in watch.retrying] == [1, 2, 3]
        assert [type(ending) for ending in watch.endings] == [TaskExecuted]
        assert ending.details.attempt == 4
        assert ending.details.scheduled == started
        run_ids = {event.details.run_id for event in [*watch.submitted, *watch.retrying, *watch.endings]}
        assert run_ids == {handle.run_id}
        assert len(watch.submitted) == 1
        assert (scheduler.state.submitted, scheduler.state.executed, scheduler.state.errors) == (1, 1, 0)

    asyncio.run(main())


def test_the_last_attempt_s_error_is_the_run_s() -> None:
    async def main() -> None:
        async with AsyncIOScheduler() as scheduler:
            watch = Watch(scheduler)
            task = scheduler.add_task(Flaky(9), retry=Retry(attempts=3), trigger=None)
            with pytest.raises(OSError, match="no answer"):
                await task.run()
            assert (len(watch.retrying), len(watch.endings), task.state.errors) == (2, 1, 1)

    asyncio.run(main())


def test_only_the_named_exceptions_are_tried_again() -> None:
    async def main() -> None:
        async with AsyncIOScheduler() as scheduler:
            retry = Retry(attempts=3, on=(OSError, WorkerLostError))
            other = Flaky(1, ValueError("wrong"))
            with pytest.raises(ValueError, match="wrong"):
                await scheduler.add_task(other, retry=retry).result()
            assert other.calls == 1
            assert await scheduler.add_task(Flaky(1), retry=retry).result() == 2

    asyncio.run(main())


def test_a_request_to_exit_is_not_tried_again_unless_it_is_named() -> None:
    async def main() -> None:
        async with AsyncIOScheduler() as scheduler:
            leaving = Flaky(1, SystemExit(3))
            task = scheduler.add_task(leaving, retry=Retry(attempts=2), trigger=None)
            assert isinstance(await task.run().notification(), TaskError)
            named = scheduler.add_task(Flaky(1, SystemExit(3)), retry=Retry(attempts=2, on=(SystemExit,)))
            assert await named.result() == 2

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["asyncio", "threadpool", "debug"])
def test_functions_are_tried_again_wherever_they_run(kind: str) -> None:
    calls: list[str] = []

    def flaky() -> int:
        calls.append(threading.current_thread().name)
        if len(calls) < 3:
            raise OSError("no answer")
        return len(calls)

    async def main() -> None:
        async with AsyncIOScheduler(executors={"tried": kind}) as scheduler:
            assert await scheduler.add_task(flaky, retry=Retry(attempts=3), executor="tried").result() == 3

    asyncio.run(main())


def test_a_lost_worker_is_tried_again_only_as_often_as_the_user_said() -> None:
    async def main() -> None:
        async with AsyncIOScheduler(executors={"cpu": "processpool"}) as scheduler:
            watch = Watch(scheduler)
            retry = Retry(attempts=3, on=(WorkerLostError,))
            task = scheduler.add_task(functions.die, retry=retry, executor="cpu", trigger=None)
            with pytest.raises(WorkerLostError):
                await task.run()
            assert (len(watch.retrying), len(watch.endings)) == (2, 1)
            assert scheduler.state.executors[0].lost_workers == 3

    asyncio.run(main())


def test_an_attempt_that_is_rejected_waits_for_the_abandoned_one_before() -> None:
    async def main() -> None:
        go_on = threading.Event()
        calls: list[bool] = []

        def slow_at_first() -> int:
            calls.append(True)
            if len(calls) == 1:
                go_on.wait(30)
            return len(calls)

        async with AsyncIOScheduler(executors={"io": ThreadPoolExecutor(2)}) as scheduler:
            retried = asyncio.Event()
            scheduler.subscribe(TaskRetrying, lambda _: retried.set())
            retry = Retry(attempts=2, on=(TaskTimeoutError,))
            task = scheduler.add_task(slow_at_first, timeout=0.05, retry=retry, executor="io", trigger=None)
            handle = task.run()
            await retried.wait()
            await asyncio.sleep(0)
            assert scheduler.state.executors[0].abandoned == 1
            assert not handle.done()
            go_on.set()
            assert await handle == 2

    asyncio.run(main())


@pytest.mark.parametrize("wait", [True, False])
def test_a_shutdown_makes_no_more_attempts(wait: bool) -> None:
    async def main() -> None:
        flaky = Flaky(9)
        scheduler = AsyncIOScheduler()
        await scheduler.start()
        watch = Watch(scheduler)
        handle = scheduler.add_task(flaky, retry=Retry(attempts=5, delay=3600), trigger=None).run()
        while not watch.retrying:
            await asyncio.sleep(0)
        await scheduler.shutdown(wait=wait)
        with pytest.raises(OSError, match="no answer"):
            await handle
        assert (flaky.calls, len(watch.endings), scheduler.state.errors) == (1, 1, 1)

    asyncio.run(main())


def test_a_run_that_fails_while_the_scheduler_drains_is_not_tried_again() -> None:
    async def main() -> None:
        go_on = asyncio.Event()

        async def work() -> None:
            await go_on.wait()
            raise OSError("no answer")

        scheduler = AsyncIOScheduler()
        await scheduler.start()
        handle = scheduler.add_task(work, retry=Retry(attempts=5), trigger=None).run()
        shutdown = asyncio.ensure_future(scheduler.shutdown())
        await asyncio.sleep(0)
        go_on.set()
        await shutdown
        with pytest.raises(OSError, match="no answer"):
            await handle

    asyncio.run(main())


def ways_to_cancel() -> dict[str, Callable[[AsyncIOScheduler], object]]:
    return {
        "cancel_runs": lambda scheduler: scheduler.get_task("flaky").cancel_runs(),
        "remove_task": lambda scheduler: scheduler.remove_task("flaky"),
    }


@pytest.mark.parametrize("way", ways_to_cancel())
def test_what_waits_for_its_next_attempt_can_be_cancelled(way: str) -> None:
    async def main() -> None:
        flaky = Flaky(9)
        async with AsyncIOScheduler() as scheduler:
            watch = Watch(scheduler)
            task = scheduler.add_task(flaky, id="flaky", retry=Retry(attempts=5, delay=3600), trigger=None)
            handle = task.run()
            while not watch.retrying:
                await asyncio.sleep(0)
            ways_to_cancel()[way](scheduler)
            ending = await handle.notification()
            assert isinstance(ending, TaskCancelled if way == "cancel_runs" else TaskError)
            assert not handle.cancel()
        assert (flaky.calls, len(watch.endings)) == (1, 1)
        assert scheduler.state.submitted == scheduler.state.cancelled + scheduler.state.errors == 1

    asyncio.run(main())


def test_a_fake_clock_that_waits_for_runs_does_not_wait_for_what_waits_for_it() -> None:
    async def main() -> None:
        clock = FakeClock()
        async with AsyncIOScheduler(clock=clock) as scheduler:
            task = scheduler.add_task(Flaky(2), retry=Retry(attempts=3, delay=60), trigger=None)
            handle = task.run()
            await clock.advance(seconds=59, wait_for_runs=True)
            assert (task.state.running, task.state.retrying) == (1, 1)
            await clock.advance(minutes=2, wait_for_runs=True)
            assert handle.done()
            assert await handle == 3

    asyncio.run(main())


def test_a_further_attempt_is_never_too_late() -> None:
    async def main() -> None:
        clock = FakeClock()
        async with AsyncIOScheduler(clock=clock) as scheduler:
            retry = Retry(attempts=2, delay=60)
            handle = scheduler.add_task(Flaky(1), retry=retry, misfire_grace_time=1, trigger=None).run()
            await clock.advance(minutes=2)
            assert await handle == 2

    asyncio.run(main())


def test_uncoalesced_runs_wait_until_the_one_before_has_had_all_its_attempts() -> None:
    from asyncz import IntervalTrigger

    async def main() -> None:
        clock = FakeClock()
        order: list[int] = []
        failures = [True, True]

        async def work() -> None:
            if failures:
                failures.pop()
                raise OSError("no answer")

        async with AsyncIOScheduler(clock=clock) as scheduler:
            task = scheduler.add_task(
                work, trigger=IntervalTrigger(seconds=1), coalesce=False, retry=Retry(attempts=3, delay=2)
            )
            task.on_executed(lambda event: order.append(int(event.details.scheduled or 0)))
            await clock.advance(3)
            assert (task.state.running, task.state.backlog) == (1, 2)
            await clock.advance(3)
        assert order == sorted(order)
        assert len(order) >= 5

    asyncio.run(main())


numbers = st.floats(min_value=0, max_value=1e6)


@given(
    st.integers(1, 500),
    numbers,
    st.floats(min_value=1, max_value=1e3),
    st.none() | numbers,
    numbers,
    st.integers(2, 500),
)
def test_the_delay_never_shrinks_and_stays_within_its_bounds(
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
def test_a_retry_that_makes_no_sense_is_rejected(make: Callable[[], Retry], message: str) -> None:
    with pytest.raises(InvalidInputError) as rejected:
        make()
    assert message in str(rejected.value)
