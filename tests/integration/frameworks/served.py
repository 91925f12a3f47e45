"""Programs of the README in processes of their own, and their output."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.helpers.paths import PROJECT

_FILE = re.compile(r"<!-- file: (?P<folder>\w+)/(?P<path>\S+) -->\n```python\n(?P<code>.*?)```", re.DOTALL)
_TICK = re.compile(r"^cleaned up by process (\d+)$", re.MULTILINE)
_URL = re.compile(r"http://127\.0\.0\.1:\d+")


def write_files(name: str, folder: Path) -> None:
    """Write the files that the README shows for a framework."""
    written = 0
    for found in _FILE.finditer((PROJECT / "README.md").read_text()):
        if found["folder"] == name:
            path = folder / found["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(found["code"])
            written += 1
    assert written, f"the README shows no files of {name}"


class Served:
    """A running server whose output is read from a file."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self.process = process
        self._output = output

    @property
    def output(self) -> str:
        return self._output.read_text()

    @property
    def ticks(self) -> list[int]:
        """The processes that ran the scheduled function, in order."""
        return [int(pid) for pid in _TICK.findall(self.output)]

    @property
    def url(self) -> str:
        self.until(lambda: _URL.search(self.output) is not None)
        found = _URL.search(self.output)
        assert found is not None
        return found[0]

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition; fail if it does not become true."""
        deadline = time.monotonic() + 80
        while not condition():
            assert time.monotonic() < deadline, self.output
            time.sleep(0.05)

    def until_ticks(self, count: int, other_than: int = 0) -> int:
        """Wait until one process has run the function several times, and return its id."""

        def ticked() -> list[int]:
            return [pid for pid in self.ticks if pid != other_than]

        self.until(lambda: any(ticked().count(pid) >= count for pid in ticked()))
        return next(pid for pid in ticked() if ticked().count(pid) >= count)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, and return the exit status."""
        self.process.send_signal(number)
        return self.process.wait(60)


@contextmanager
def serve(folder: Path, *command: str, **environment: str) -> Iterator[Served]:
    """Start a module of Python in a folder; nothing of it is left afterwards."""
    output = folder / "output"
    with output.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            cwd=folder,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(PROJECT), **environment},
            start_new_session=True,
        )
    try:
        yield Served(process, output)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
