"""Functions of stored tasks, for tests with several schedulers or processes."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated

import attrs
from pydantic import BeforeValidator
from typing_extensions import override

from asyncz import current_run
from asyncz.stores import stable_name


@attrs.frozen
class Page:
    """Result that is not plain JSON."""

    title: str
    day: date


calls: list[str] = []
release = threading.Event()


def note(text: str) -> str:
    calls.append(text)
    return text.upper()


async def note_soon(text: str, *, times: int = 1) -> list[str]:
    await asyncio.sleep(0)
    calls.append(text)
    return [text] * times


def _amount(value: object) -> int:
    # Pydantic passes an AttributeError of a validator on, instead of a ValidationError.
    raise AttributeError(f"no amount: {value!r}")


def unreadable_result() -> Annotated[int, BeforeValidator(_amount)]:
    """Return a result that no other process can read."""
    return 1


def fail(text: str) -> None:
    calls.append(text)
    raise ValueError(text)


def fail_unstorably() -> None:
    """Raise an error whose text no database accepts as it is."""
    raise ValueError("\udcff\0")


def block(text: str) -> None:
    """Run until the test releases it."""
    calls.append(text)
    assert release.wait(60)


def day_after(day: date, *, moment: datetime = datetime(2030, 1, 1, tzinfo=UTC)) -> date:
    assert isinstance(day, date)
    assert isinstance(moment, datetime)
    return date.fromordinal(day.toordinal() + 1)


def as_set(number: int) -> set[int]:
    return {number}


def write_line(folder: str, line: str) -> None:
    """Append a line with the process to a file, in one write."""
    with Path(folder, "lines").open("a", buffering=1) as file:
        file.write(f"{line} {os.getpid()} {time.time()}\n")


def kill_if_asked(file: Path) -> None:
    """Kill the process if a file exists, and delete that before."""
    if file.exists():
        file.unlink()
        os.kill(os.getpid(), signal.SIGKILL)


def write_and_hang(folder: str, line: str) -> None:
    """Write a line, then run until the process is killed, unless a file says otherwise."""
    write_line(folder, line)
    while not Path(folder, "go on").exists():
        time.sleep(0.01)


def ownership() -> tuple[str, int | None, str | None]:
    """Return how the run that calls this is stored."""
    run = current_run()
    return f"{run.run_id}", run.fence, run.node


def work_until_cancelled() -> None:
    """Run until the run is cancelled."""
    calls.append("begun")
    while not current_run().is_cancelled():
        time.sleep(0.005)
    calls.append("cancelled")


@stable_name("tests: moved", formerly=("old.jobs:moved", "older.jobs:moved"))
def moved(text: str) -> str:
    calls.append(text)
    return text


class Tenths:
    """Trigger of a user that a store keeps: due each few tenths of a second since its start."""

    def __init__(self, *, tenths: int, started_at: float | None = None) -> None:
        self._tenths, self._started_at = tenths, started_at

    def next_due_time(self, previous: datetime | None, now: datetime) -> datetime | None:
        return (previous or now) + timedelta(seconds=self._tenths / 10)

    def to_config(self) -> dict[str, object]:
        return {"tenths": self._tenths}

    @override
    def __str__(self) -> str:
        return f"each {self._tenths} tenths"


class ForgetfulTrigger(Tenths):
    """Trigger whose class does not make it again."""

    @override
    def to_config(self) -> dict[str, object]:
        return {"tenths": self._tenths + 1}


def count_up(numbers: set[int]) -> frozenset[int]:
    """Return a set, which JSON does not have."""
    calls.append(f"{sorted(numbers)}")
    return frozenset(number + 1 for number in numbers)


def next_day(text: str) -> date:
    """Return the day after one that is given as a text; its JSON is a text, too."""
    calls.append(text)
    return date.fromordinal(date.fromisoformat(text).toordinal() + 1)


def note_day(day: date) -> str:
    assert isinstance(day, date)
    calls.append(f"{day}")
    return f"{day}"


def note_any(value: object) -> object:
    calls.append(f"{value}")
    return value


def some_object() -> object:
    """Return a value that is not JSON."""
    return threading.Event()


def some_function() -> Callable[[], int]:
    return lambda: 1


def repeat(number: int) -> str:
    calls.append(f"{number}")
    return "x" * number


def length(prefix: str, text: str) -> str:
    calls.append(f"{prefix}{len(text)}")
    return f"{prefix}{len(text)}"


def as_callable(call: Callable[[], int]) -> int:
    return call()


def some_thread() -> threading.Thread:
    return threading.current_thread()


def as_thread(thread: threading.Thread) -> str:
    return thread.name
