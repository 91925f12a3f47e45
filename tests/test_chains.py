"""Chains: each result of a task is handed to the next, and none is lost on the way."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from asyncz import (
    AsyncIOScheduler,
    DateTrigger,
    DuplicateTaskError,
    Event,
    IntervalTrigger,
    InvalidInputError,
    NoResultError,
    ProcessPoolExecutor,
    Retry,
    SerializationError,
    Task,
    TaskAdded,
    TaskCancelled,
    TaskError,
    TaskExecuted,
    TaskLimits,
    TaskMaxInstances,
    TaskMissed,
    TaskNotification,
    TaskRemoved,
    TaskSubmitted,
    ThreadPoolExecutor,
    UnknownAliasError,
    current_run,
)
from asyncz.testing import FakeClock
from tests import functions
from tests.test_defects import until
from tests.test_executors import every_executor, scheduler_with

START = datetime(2030, 1, 1, tzinfo=UTC)


def double(number: int) -> int:
    return 2 * number


async def double_later(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


def text_of(number: int) -> str:
    return str(number)


def fail_at(number: int) -> int:
    if number == 2:
        raise ValueError("two")
    return number


def make_lock() -> object:
    return threading.Lock()


def wait_for(path: str, number: int) -> int:
    abandon_at = time.monotonic() + 60
    while not Path(path).exists():
        assert time.monotonic() < abandon_at
        time.sleep(0.002)
    return number


class Log:
    """Every ending of tasks, in order."""

    def __init__(self, *tasks: Task[object]) -> None:
        self.endings: list[TaskNotification[object]] = []
        for task in tasks:
            task.on_done(self.endings.append)

    def results(self, task: Task[object]) -> list[object]:
        return [each.result for each in self.endings if isinstance(each, TaskExecuted) and each.task_id == task.id]

    def kinds(self, task: Task[object]) -> list[type[object]]:
        return [type(each) for each in self.endings if each.task_id == task.id]


@every_executor
@pytest.mark.parametrize("function", [double, double_later, partial(pow, 2)])
def test_each_result_is_handed_to_the_next_task(kind: str, function: Callable[[int], int]) -> None:
    async def main() -> None:
        async with scheduler_with(kind) as scheduler:
            numbers = iter(range(1, 4))
            first = scheduler.add_task(lambda: next(numbers), trigger=None)
            second = first.then(function, executor="tried")
            for number in range(1, 4):
                handle = first.run()
                assert await second.result() == function_of(function, number)
                assert await handle == number

    asyncio.run(main())


def function_of(function: Callable[[int], int], number: int) -> int:
    return pow(2, number) if isinstance(function, partial) else 2 * number


def test_a_chain_of_three_and_two_that_follow_one() -> None:
    async def main() -> None:
        async with AsyncIOScheduler() as scheduler:
            numbers = iter(range(3))
            first = scheduler.add_task(lambda: next(numbers), trigger=None)
            second = first.then(double_later)
            third = second.then(text_of, executor="threadpool")
            other = first.then(double, executor="debug")
            log = Log(second, third, other)
            for _ in range(3):
                await first.run()
            await until(lambda: len(log.endings) == 9)
            assert log.results(second) == log.results(other) == [0, 2, 4]
            assert log.results(third) == ["0", "2", "4"]

    asyncio.run(main())


def test_only_a_result_is_handed_on_and_a_task_that_fails_harms_nobody() -> None:
    async def main() -> None:
        async with AsyncIOScheduler() as scheduler:
            numbers = iter(range(1, 4))
            first = scheduler.add_task(lambda: fail_at(next(numbers)), trigger=None)
            second = first.then(double)
            failing = first.then(lambda number: fail_at(number - 1), id="failing")
            third = failing.then(double)
            log = Log(first, second, failing, third)
            for _ in range(3):
                await first.run().notification()
            await until(lambda: len(log.endings) == 3 + 2 + 2 + 1)
            assert log.kinds(first) == [TaskExecuted, TaskError, TaskExecuted]
            assert log.results(second) == [2, 6]
            assert log.kinds(failing) == [TaskExecuted, TaskError]
            assert log.results(third) == [0]

    asyncio.run(main())


def test_a_run_of_a_chain_tells_its_events_and_is_due_when_the_result_came() -> None:
    async def main() -> None:
        clock = FakeClock()
        heard: list[Event] = []
        async with AsyncIOScheduler(clock=clock) as scheduler:
            scheduler.subscribe(TaskAdded, heard.append)
            scheduler.subscribe(TaskSubmitted, heard.append)
            scheduler.subscribe(TaskExecuted, heard.append)
            first = scheduler.add_task(functions.add, 1, 2, trigger=IntervalTrigger(hours=1), executor="debug", id="a")
            second = first.then(lambda _: current_run().scheduled_at, executor="debug", id="b")
            await clock.advance(hours=2, wait_for_runs=True)
            of_first = [event for event in heard if getattr(event, "task_id", "") == "a"]
            of_second = [event for event in heard if getattr(event, "task_id", "") == "b"]
            assert [type(event) for event in of_first] == [TaskAdded, *(TaskSubmitted, TaskExecuted) * 2]
            assert [type(event) for event in of_second] == [TaskAdded, *(TaskSubmitted, TaskExecuted) * 2]
            submitted = [event.details for event in of_second if isinstance(event, TaskSubmitted)]
            assert [details.scheduled_at for details in submitted] == [START + timedelta(hours=n) for n in (1, 2)]
            executed = [event for event in of_second if isinstance(event, TaskExecuted)]
            assert [event.details.run_id for event in executed] == [details.run_id for details in submitted]
            assert [event.result for event in executed] == [details.scheduled_at for details in submitted]
            assert (second.state.trigger, second.next_run_at) == ("after 'a'", None)
            assert (second.state.submitted, second.state.executed) == (2, 2)

    asyncio.run(main())


def test_it_sees_the_context_of_the_call_that_chained_it() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="nothing")

    def see(_: object) -> str:
        seen = variable.get()
        variable.set("changed by a run")
        return seen

    async def main() -> None:
        async with AsyncIOScheduler() as scheduler:
            variable.set("first")
            first = scheduler.add_task(variable.get, trigger=None)
            variable.set("second")
            second = first.then(see, executor="threadpool")
            variable.set("later")
            for _ in range(2):
                await first.run()
                assert await second.result() == "second"

    asyncio.run(main())


# Where results come faster than they are worked on


@pytest.mark.parametrize("kind", ["asyncio", "threadpool", "processpool"])
def test_results_wait_for_their_turn_in_their_order_and_none_is_lost(kind: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with asyncio.timeout(60), scheduler_with(kind) as scheduler:
            numbers = iter(range(20))
            first = scheduler.add_task(lambda: next(numbers), trigger=None)
            go_on = tmp_path / "go-on"
            second = first.then(partial(wait_for, str(go_on)), executor="tried")
            log = Log(second)
            for _ in range(20):
                await first.run()
            await until(lambda: second.state.backlog == 19)
            assert (second.state.running, second.state.rejected) == (1, 0)
            go_on.touch()
            await until(lambda: len(log.endings) == 20)
            assert log.results(second) == list(range(20))

    asyncio.run(main())


def test_several_results_are_worked_on_at_a_time_where_that_is_wanted() -> None:
    async def main() -> None:
        async with asyncio.timeout(30), AsyncIOScheduler() as scheduler:
            first = scheduler.add_task(functions.add, 1, 2, trigger=None)
            go_on = asyncio.Event()

            async def wait(_: int) -> None:
                await go_on.wait()

            second = first.then(wait, max_instances=3)
            for _ in range(5):
                await first.run()
            await until(lambda: second.state.running == 3 and second.state.backlog == 2)
            go_on.set()
            await until(lambda: second.state.executed == 5)

    asyncio.run(main())


def test_only_the_latest_result_waits_where_that_is_wanted() -> None:
    async def main() -> None:
        async with asyncio.timeout(30), AsyncIOScheduler() as scheduler:
            numbers = iter(range(5))
            first = scheduler.add_task(lambda: next(numbers), trigger=None)
            go_on = asyncio.Event()

            async def wait(number: int) -> int:
                await go_on.wait()
                return number

            second = first.then(wait, coalesce=True)
            log = Log(second)
            rejected: list[TaskMaxInstances] = []
            scheduler.subscribe(TaskMaxInstances, rejected.append)
            for _ in range(5):
                await first.run()
            await until(lambda: second.state.running == 1 and first.state.executed == 5)
            assert second.state.backlog == 1
            go_on.set()
            await until(lambda: len(log.endings) == 2)
            assert log.results(second) == [0, 4]
            # Those that it did not get to are told.
            assert second.state.rejected == len(rejected) == 3

    asyncio.run(main())


def test_a_result_that_waited_too_long_is_missed_and_not_forgotten() -> None:
    async def main() -> None:
        clock = FakeClock()
        async with asyncio.timeout(30), AsyncIOScheduler(clock=clock) as scheduler:
            first = scheduler.add_task(functions.add, 1, 2, trigger=None, executor="debug")
            go_on = asyncio.Event()

            async def wait(_: int) -> None:
                await go_on.wait()

            second = first.then(wait, misfire_grace_time=5)
            log = Log(second)
            for _ in range(2):
                await first.run()
            await until(lambda: second.state.backlog == 1)
            await clock.advance(6)
            go_on.set()
            await until(lambda: len(log.endings) == 2)
            assert log.kinds(second) == [TaskExecuted, TaskMissed]

    asyncio.run(main())


def test_results_wait_for_a_place_in_the_queue_of_their_executor() -> None:
    async def main() -> None:
        clock = FakeClock()
        executors = {"narrow": ThreadPoolExecutor(1, max_queue=0)}
        async with asyncio.timeout(30), AsyncIOScheduler(executors=executors, clock=clock) as scheduler:
            # Runs of a pool wait for a moment, so that one without a queue takes none.
            first = scheduler.add_task(functions.add, 1, 2, trigger=None)
            second = first.then(double, executor="narrow")
            log = Log(second)
            await first.run()
            await until(lambda: second.state.backlog == 1)
            executors["narrow"]._base_executor_state.max_queue = 1
            await clock.advance(1)
            await until(lambda: len(log.endings) == 1)
            assert log.results(second) == [6]
            assert second.state.rejected == 0

    asyncio.run(main())


def test_results_wait_while_the_next_task_is_paused() -> None:
    async def main() -> None:
        async with asyncio.timeout(30), AsyncIOScheduler() as scheduler:
            numbers = iter(range(4))
            first = scheduler.add_task(lambda: next(numbers), trigger=None)
            second = first.then(double, paused=True)
            log = Log(second)
            for _ in range(2):
                await first.run()
            await until(lambda: second.state.backlog == 2)
            scheduler.resume_task(second)
            await until(lambda: len(log.endings) == 2)
            scheduler.pause_task(second)
            for _ in range(2):
                await first.run()
            await until(lambda: second.state.backlog == 2)
            scheduler.resume_task(second)
            await until(lambda: len(log.endings) == 4)
            assert log.results(second) == [0, 2, 4, 6]

    asyncio.run(main())


def test_a_further_attempt_has_the_result_of_its_own_run() -> None:
    async def main() -> None:
        clock = FakeClock()
        async with asyncio.timeout(30), AsyncIOScheduler(clock=clock) as scheduler:
            numbers = iter([1, 2])
            first = scheduler.add_task(lambda: next(numbers), trigger=None)

            def fail_at_first(number: int) -> int:
                if current_run().attempt == 1:
                    raise OSError("not yet")
                return number

            second = first.then(fail_at_first, retry=Retry(attempts=2, delay=60))
            log = Log(second)
            for _ in range(2):
                await first.run()
            await until(lambda: second.state.retrying == 1 and second.state.backlog == 1)
            await clock.advance(60)
            await until(lambda: second.state.executed == 1 and second.state.retrying == 1)
            await clock.advance(60)
            await until(lambda: len(log.endings) == 2)
            assert log.results(second) == [1, 2]

    asyncio.run(main())


def test_a_result_that_cannot_be_pickled_is_the_error_of_the_run_that_was_to_have_it() -> None:
    async def main() -> None:
        async with AsyncIOScheduler(executors={"cpu": ProcessPoolExecutor(1)}) as scheduler:
            first = scheduler.add_task(make_lock, trigger=None)
            second = first.then(id, executor="cpu")
            await first.run()
            with pytest.raises(SerializationError, match="function or argument"):
                await second.result()
            assert first.state.executed == second.state.errors == 1

    asyncio.run(main())


# The life of a chain


def test_the_next_task_goes_when_the_first_has_gone_and_its_last_result_is_worked_on() -> None:
    async def main() -> None:
        removed: list[str] = []
        async with asyncio.timeout(30), AsyncIOScheduler() as scheduler:
            scheduler.subscribe(TaskRemoved, lambda event: removed.append(event.task_id))
            first = scheduler.add_task(functions.add, 1, 2, id="a")
            second = first.then(double_later, id="b", executor="threadpool")
            third = second.then(double, id="c")
            assert await third.result() == 12
            await until(lambda: scheduler.tasks == ())
        assert removed == ["a", "b", "c"]

    asyncio.run(main())


def test_what_runs_when_the_first_task_is_removed_still_hands_its_result_on() -> None:
    async def main() -> None:
        async with asyncio.timeout(30), AsyncIOScheduler() as scheduler:
            go_on = asyncio.Event()

            async def wait() -> int:
                await go_on.wait()
                return 1

            first = scheduler.add_task(wait, trigger=None)
            second = first.then(double)
            log = Log(second)
            handle = first.run()
            scheduler.remove_task(first)
            await asyncio.sleep(0.01)
            assert scheduler.tasks == (second,)
            go_on.set()
            await handle
            await until(lambda: scheduler.tasks == ())
            assert log.results(second) == [2]

    asyncio.run(main())


def test_results_that_wait_when_their_task_is_removed_are_cancelled_and_told() -> None:
    async def main() -> None:
        async with asyncio.timeout(30), AsyncIOScheduler() as scheduler:
            go_on = asyncio.Event()

            async def wait(number: int) -> int:
                await go_on.wait()
                return number

            first = scheduler.add_task(functions.add, 1, 2, trigger=None)
            second = first.then(wait)
            log = Log(second)
            for _ in range(3):
                await first.run()
            await until(lambda: second.state.backlog == 2)
            scheduler.remove_task(second)
            await first.run()
            go_on.set()
            await until(lambda: len(log.endings) == 3)
            assert sorted(kind.__name__ for kind in log.kinds(second)) == ["TaskCancelled"] * 2 + ["TaskExecuted"]
            await first.run()
            await asyncio.sleep(0.01)
            assert len(log.endings) == 3

    asyncio.run(main())


def test_a_task_that_has_finished_hands_over_its_last_result_once() -> None:
    async def main() -> None:
        async with asyncio.timeout(30), AsyncIOScheduler() as scheduler:
            first = scheduler.add_task(functions.add, 1, 2)
            assert await first.result() == 3
            await until(lambda: scheduler.tasks == ())
            second = first.then(double)
            assert await second.result() == 6
            await until(lambda: scheduler.tasks == ())
            failed = scheduler.add_task(functions.fail, "broken")
            with pytest.raises(ValueError, match="broken"):
                await failed.result()
            never = failed.then(double)
            log = Log(second, never)
            await until(lambda: scheduler.tasks == ())
            assert log.endings == []

    asyncio.run(main())


@pytest.mark.parametrize("turns", range(8))
def test_whenever_it_is_chained_to_a_run_its_result_comes_exactly_once(turns: int) -> None:
    async def main() -> None:
        async with asyncio.timeout(30), AsyncIOScheduler() as scheduler:
            first = scheduler.add_task(double_later, 1, trigger=DateTrigger())
            for _ in range(turns):
                await asyncio.sleep(0)
            second = first.then(double, executor="debug")
            log = Log(second)
            await until(lambda: scheduler.tasks == ())
            assert log.results(second) == [4]

    asyncio.run(main())


def test_a_result_that_comes_before_others_have_heard_of_the_next_task_waits_for_that() -> None:
    async def main() -> None:
        async with asyncio.timeout(30), AsyncIOScheduler() as scheduler:
            first = scheduler.add_task(functions.add, 1, 2, trigger=None, executor="debug")
            await first.run()
            heard: list[object] = []
            # Its end is told at the next turn of the loop, and that of the next task was added after that.
            first.run()
            second = first.then(double, executor="debug")
            scheduler.subscribe(TaskAdded, heard.append)
            scheduler.subscribe(TaskSubmitted, heard.append)
            log = Log(second)
            await until(lambda: len(log.endings) == 1)
            assert log.results(second) == [6]
            assert [type(event) for event in heard] == [TaskAdded, TaskSubmitted]

    asyncio.run(main())


def test_chains_are_made_from_any_thread_while_results_come() -> None:
    async def main() -> None:
        async with asyncio.timeout(60), AsyncIOScheduler() as scheduler:
            made: list[Task[int]] = []
            tasks = [scheduler.add_task(double, number, executor="threadpool", trigger=None) for number in range(20)]
            handles = [task.run() for task in tasks]

            def chain() -> None:
                made.extend(task.then(double, executor="debug") for task in tasks for _ in range(5))

            threads = [threading.Thread(target=chain) for _ in range(2)]
            for thread in threads:
                thread.start()
            await asyncio.gather(*handles)
            for thread in threads:
                await asyncio.to_thread(thread.join)
            # Whoever was chained while another thread chained too is given this one, at the latest.
            await asyncio.gather(*(task.run() for task in tasks))
            await until(lambda: all(task.state.executed for task in made))
            assert len(made) == 200

    asyncio.run(main())


def test_on_demand_it_takes_the_last_result() -> None:
    async def main() -> None:
        async with AsyncIOScheduler() as scheduler:
            texts = iter(["1", "2", "no number"])
            first = scheduler.add_task(lambda: int(next(texts)), trigger=None, id="first")
            second = first.then(double, executor="threadpool", paused=True)
            with pytest.raises(NoResultError, match="'first' has no result"):
                second.run()
            for _ in range(2):
                await first.run()
            assert await second.run() == 4
            assert second.call() == 4
            await first.run().notification()
            with pytest.raises(NoResultError):
                second.run()
            assert second.state.submitted == 1

    asyncio.run(main())


def test_it_can_be_submitted_from_any_thread_with_the_last_result() -> None:
    async def main() -> None:
        async with asyncio.timeout(30), AsyncIOScheduler() as scheduler:
            texts = iter(["1", "no number"])
            first = scheduler.add_task(lambda: int(next(texts)), trigger=None)
            second = first.then(double)
            log = Log(second)
            await first.run()
            await until(lambda: len(log.endings) == 1)
            await asyncio.to_thread(second.submit)
            await until(lambda: len(log.endings) == 2)
            await first.run().notification()
            await asyncio.to_thread(second.submit)
            await until(lambda: len(log.endings) == 3)
            assert log.results(second) == [2, 2]
            assert isinstance(last := log.endings[-1], TaskError)
            assert isinstance(last.exception, NoResultError)

    asyncio.run(main())


def test_what_limits_it_is_the_default_of_the_scheduler_and_can_be_changed() -> None:
    async def main() -> None:
        retry = Retry(attempts=2)
        scheduler = AsyncIOScheduler(defaults=TaskLimits(max_instances=3, timeout=60, retry=retry, coalesce=True))
        first = scheduler.add_task(functions.add, 1, 2, trigger=None)
        second = first.then(double, timeout=30)
        limits = second.limits
        assert (limits.max_instances, limits.timeout, limits.retry, limits.coalesce) == (3, 30, retry, False)
        second.modify(max_instances=1, executor="threadpool")
        with pytest.raises(InvalidInputError, match="due by the results of"):
            second.reschedule(IntervalTrigger(hours=1))
        async with asyncio.timeout(30), scheduler:
            log = Log(second)
            for _ in range(3):
                await first.run()
            await until(lambda: len(log.endings) == 3)
            assert log.results(second) == [6, 6, 6]
            assert (second.executor, second.limits.max_instances) == ("threadpool", 1)

    asyncio.run(main())


def test_nothing_is_handed_on_while_the_scheduler_is_paused() -> None:
    async def main() -> None:
        async with asyncio.timeout(30), AsyncIOScheduler() as scheduler:
            first = scheduler.add_task(functions.add, 1, 2, trigger=None)
            second = first.then(double)
            scheduler.pause()
            await first.run()
            await until(lambda: second.state.backlog == 1)
            scheduler.resume()
            await until(lambda: second.state.executed == 1)

    asyncio.run(main())


def test_it_is_named_by_its_function_and_known_as_a_coroutine() -> None:
    scheduler = AsyncIOScheduler()
    first = scheduler.add_task(functions.add, 1, 2)
    assert first.then(double_later).function == "tests.test_chains:double_later"
    assert first.then(partial(double_later)).id == "double_later-3"
    assert first.then(double_later).is_coroutine
    assert not first.then(double).is_coroutine


def test_what_cannot_be_chained_is_rejected_and_nothing_has_changed() -> None:
    scheduler = AsyncIOScheduler()
    first = scheduler.add_task(functions.add, 1, 2, id="first")
    before = scheduler.state
    rejections: list[tuple[type[Exception], Callable[[], object]]] = [
        (InvalidInputError, lambda: first.then(3)),  # type: ignore[call-overload]  # wrong on purpose
        (InvalidInputError, lambda: first.then(double, max_instances=0)),
        (InvalidInputError, lambda: first.then(double, timeout=-1)),
        (InvalidInputError, lambda: first.then(double, id="")),
        (DuplicateTaskError, lambda: first.then(double, id="first")),
        (UnknownAliasError, lambda: first.then(double, executor="kubernetes")),
        (SerializationError, lambda: first.then(lambda number: number, executor="processpool")),
    ]
    for error, call in rejections:
        with pytest.raises(error):
            call()
        assert scheduler.state == before
    assert not first._listeners


# Shutting down


@pytest.mark.parametrize("kind", ["asyncio", "threadpool", "processpool"])
def test_a_shutdown_that_waits_lets_the_chain_come_to_its_end(kind: str, tmp_path: Path) -> None:
    async def main() -> None:
        scheduler = scheduler_with(kind)
        async with asyncio.timeout(60), scheduler:
            go_on = tmp_path / "go-on"
            first = scheduler.add_task(wait_for, str(go_on), 1, executor="tried", trigger=None, max_instances=3)
            second = first.then(double_later, executor="tried")
            third = second.then(text_of, executor="threadpool")
            log = Log(first, second, third)
            for _ in range(3):
                first.run()
            await until(lambda: scheduler.state.executors[0].running == 3)
            shutdown = asyncio.ensure_future(scheduler.shutdown())
            await asyncio.sleep(0)
            go_on.touch()
            await shutdown
        assert log.results(third) == ["2"] * 3
        assert scheduler.state.submitted == scheduler.state.executed == 9

    asyncio.run(main())


@pytest.mark.parametrize(("wait", "timeout"), [(False, None), (True, 0.05)])
def test_a_shutdown_that_does_not_wait_for_it_cancels_and_tells_what_a_result_would_have_led_to(
    wait: bool, timeout: float | None
) -> None:
    async def main() -> None:
        scheduler = AsyncIOScheduler()
        await scheduler.start()
        go_on = asyncio.Event()

        async def wait_for_nothing(number: int) -> None:
            await go_on.wait()

        first = scheduler.add_task(functions.add, 1, 2, trigger=None)
        second = first.then(wait_for_nothing)
        log = Log(second)
        for _ in range(3):
            await first.run()
        await until(lambda: second.state.backlog == 2)
        async with asyncio.timeout(30):
            await scheduler.shutdown(wait, timeout)
        assert log.kinds(second) == [TaskCancelled] * 3

    asyncio.run(main())


def test_a_thread_that_does_not_return_does_not_hold_up_the_end_of_a_chain() -> None:
    async def main() -> None:
        go_on = threading.Event()
        scheduler = AsyncIOScheduler(executors={"tried": ThreadPoolExecutor(1)})
        await scheduler.start()
        first = scheduler.add_task(functions.add, 1, 2, trigger=None)
        second = first.then(lambda number: go_on.wait(30) and number, executor="tried", timeout=0.05)
        log = Log(second)
        for _ in range(2):
            await first.run()
        await until(lambda: len(log.endings) == 1)
        async with asyncio.timeout(30):
            await scheduler.shutdown()
        go_on.set()
        assert log.kinds(second) == [TaskError, TaskCancelled]

    asyncio.run(main())


def test_a_chain_goes_on_after_the_scheduler_was_started_again() -> None:
    async def main() -> None:
        scheduler = AsyncIOScheduler()
        first = scheduler.add_task(functions.add, 1, 2, trigger=None)
        second = first.then(double)
        log = Log(second)
        for _ in range(2):
            async with scheduler:
                await first.run()
        assert log.results(second) == [6, 6]

    asyncio.run(main())
