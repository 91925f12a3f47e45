"""Threads that pickle and unpickle."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import Never

import pytest

from asyncz.executors import _helper_threads
from asyncz.executors._helper_threads import HelperThreads

TIMEOUT = 60.0


class Calls:
    """Calls that report their thread, and wait until they are released."""

    def __init__(self) -> None:
        self.began: queue.Queue[threading.Thread] = queue.Queue()
        self.released = threading.Event()

    def __call__(self) -> None:
        self.began.put(threading.current_thread())
        assert self.released.wait(TIMEOUT)

    def thread(self) -> threading.Thread:
        """Return the thread of the next call that begins."""
        return self.began.get(timeout=TIMEOUT)


def ended(thread: threading.Thread) -> bool:
    thread.join(TIMEOUT)
    return not thread.is_alive()


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture(autouse=True)
def short_idle_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_helper_threads, "_IDLE_SECONDS", 0.01)


def test_calls_run_at_the_same_time_up_to_maximum(calls: Calls) -> None:
    helpers = HelperThreads("helper", maximum=2)
    for _ in range(3):
        helpers.call(calls)
    threads = {calls.thread(), calls.thread()}
    assert len(threads) == 2
    assert {thread.name for thread in threads} == {"helper"}
    assert calls.began.empty()
    calls.released.set()
    assert calls.thread() in threads


def test_idle_thread_takes_next_call(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_helper_threads, "_IDLE_SECONDS", TIMEOUT)
    helpers = HelperThreads("helper", maximum=1)
    calls.released.set()
    helpers.call(calls)
    first = calls.thread()
    while not helpers._idle:
        assert first.is_alive()
    helpers.call(calls)
    assert calls.thread() is first


def test_idle_thread_ends_and_is_replaced(calls: Calls) -> None:
    helpers = HelperThreads("helper")
    calls.released.set()
    helpers.call(calls)
    first = calls.thread()
    assert ended(first)
    assert helpers._threads == 0
    helpers.call(calls)
    assert calls.thread() is not first


def refuse(_: object) -> Never:
    raise RuntimeError("can't start new thread")


def test_caller_makes_call_if_no_thread_starts(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    helpers = HelperThreads("helper")
    calls.released.set()
    monkeypatch.setattr(threading.Thread, "start", refuse)
    helpers.call(calls)
    assert calls.thread() is threading.current_thread()
    assert helpers._threads == 0


def test_running_thread_makes_call_if_no_other_starts(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    helpers = HelperThreads("helper")
    helpers.call(calls)
    running = calls.thread()
    monkeypatch.setattr(threading.Thread, "start", refuse)
    helpers.call(calls)
    assert calls.began.empty()
    calls.released.set()
    assert calls.thread() is running


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_exception_is_logged_and_thread_goes_on(
    error: type[BaseException], calls: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise error

    helpers = HelperThreads("helper", maximum=1)
    order: list[Callable[[], None]] = [fail, calls]
    calls.released.set()
    with caplog.at_level(logging.ERROR):
        for call in order:
            helpers.call(call)
        assert ended(calls.thread())
    (record,) = caplog.records
    assert "outside of a run" in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[0] is error
