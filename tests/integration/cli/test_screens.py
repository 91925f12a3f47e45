"""The live table of `asyncz run` in a terminal of 80x24 and 120x40."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from tests.integration.cli.terminal import Terminal

pytestmark = pytest.mark.slow


class Start(Protocol):
    """Starts a command in a terminal."""

    def __call__(self, *arguments: str, columns: int, lines: int) -> Terminal: ...


MODULE = r"""
import os, time
from pathlib import Path
from typing import Protocol

def quick():
    return 1

def fail():
    raise OSError("no route to " + "host " * 60 + "\x1b[31mred\x1b]0;title\x07\u202e")

def text_raises():
    class Odd(Exception):
        def __str__(self):
            raise RuntimeError("no text")
    raise Odd

def half_done():
    from asyncz import current_run
    run = current_run()
    run.report(40, 80, "/srv/customers/europe/a-file-with-a-long-name.csv")
    while not run.is_cancelled():
        time.sleep(0.01)

def wait():
    Path("waiting").touch()
    while not Path("gate").exists():
        time.sleep(0.01)
"""
HOSTILE_ID = r"path[/x] [link=https://example.org]l\u001b]0;owned\u0007 \u202e"
CONFIG = f"""
[executors."pool[/y]"]
type = "threadpool"
[tasks."nightly-report-of-all-warehouses-in-northern-europe"]
call = "own:quick"
trigger = {{ type = "cron", expression = "0 3 1 1 *" }}
[tasks."{HOSTILE_ID}"]
call = "own:quick"
trigger = {{ type = "interval", seconds = 0.2 }}
executor = "pool[/y]"
[tasks.failing]
call = "own:fail"
trigger = {{ type = "interval", seconds = 0.2 }}
[tasks.odd]
call = "own:text_raises"
trigger = {{ type = "interval", seconds = 0.2 }}
[tasks.held]
call = "own:quick"
paused = true
trigger = {{ type = "interval", seconds = 0.2 }}
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    (tmp_path / "own.py").write_text(MODULE)
    (tmp_path / "own.toml").write_text(CONFIG)
    started: list[Terminal] = []

    def start(*arguments: str, columns: int, lines: int) -> Terminal:
        started.append(Terminal(tmp_path, *arguments, columns=columns, lines=lines))
        return started[-1]

    yield start
    for each in started:
        each.close()


def row_of(terminal: Terminal, beginning: str) -> str:
    return next((line for line in terminal.lines if line.startswith(beginning)), "")


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (120, 40)])
def test_live_table_fits_the_terminal(columns: int, lines: int, start: Start) -> None:
    terminal = start("run", "--config", "own.toml", "--log-level", "critical", columns=columns, lines=lines)
    terminal.until(lambda: "OSError: no route" in row_of(terminal, "failing"))
    terminal.until(lambda: "Odd: <str() raised" in row_of(terminal, "odd"))
    titles = row_of(terminal, "task ")
    assert titles.split("  ")[0] == "task"
    assert {"next run", "errors", "last outcome"} <= set(re.split(r"  +", titles))
    assert ("executed" in titles) == (columns == 120)
    # Ids are complete, over several lines if necessary; markup is text, and control characters are escaped.
    width = titles.index("next run") - 2
    shown = "".join(line[:width].strip() for line in terminal.lines)
    assert "nightly-report-of-all-warehouses-in-northern-europe" in shown
    assert r"path[/x][link=https://example.org]l\x1b]0;owned\x07\u202e" in shown.replace(" ", "")
    assert b"\x1b]0;" not in terminal.raw
    assert "\u202e" not in terminal.raw.decode(errors="replace")
    assert re.search(r"\d\d\d\d-\d\d-\d\d \d\d:\d\d [A-Z+]\S*", row_of(terminal, "nightly"))
    assert "paused" in row_of(terminal, "held")
    assert "Press Ctrl-C to stop" in terminal.text
    # The table was drawn in place: it is on the screen once.
    assert sum(line.startswith("task ") for line in terminal.lines) == 1
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.wait() == 0
    assert "stopped: submitted" in terminal.text
    # Nothing is due any more.
    assert not re.search(r"\bin \d+ s\b", row_of(terminal, "nightly"))
    assert not re.search(r"\d\d:\d\d", row_of(terminal, "nightly"))


PROGRESS = """
[tasks."copy-the-customer-files-of-all-of-europe-to-the-archive"]
call = "own:half_done"
trigger = { type = "date" }
executor = "threadpool"
[tasks."nightly-report-of-all-warehouses-in-northern-europe"]
call = "own:fail"
trigger = { type = "cron", expression = "0 3 1 1 *" }
"""


@pytest.mark.parametrize(("columns", "lines"), [(60, 24), (80, 24), (120, 40)])
def test_progress_is_shown_beside_long_ids(columns: int, lines: int, tmp_path: Path, start: Start) -> None:
    (tmp_path / "progress.toml").write_text(PROGRESS)
    terminal = start("run", "--config", "progress.toml", columns=columns, lines=lines)
    terminal.until(lambda: "50 %" in row_of(terminal, "copy"))
    titles = row_of(terminal, "task ")
    assert row_of(terminal, "copy")[titles.index("progress") :].startswith("━━━━────  50 %")
    assert ("last outcome" in titles) == (columns > 60)
    shown = "".join(line[: titles.index("next run") - 2].strip() for line in terminal.lines)
    assert "copy-the-customer-files-of-all-of-europe-to-the-archive" in shown
    assert "nightly-report-of-all-warehouses-in-northern-europe" in shown


def test_numbers_are_aligned_to_the_right(start: Start) -> None:
    terminal = start("run", "--config", "own.toml", "--log-level", "critical", columns=120, lines=40)
    terminal.until(lambda: re.search(r"failing .* [1-9] ", terminal.text))
    titles, row = row_of(terminal, "task "), row_of(terminal, "failing")
    for title in ("running", "executed", "errors"):
        found = re.search(rf"\b{title}\b", titles)
        assert found is not None, titles
        assert row[found.end() - 1].isdigit()
        assert row[found.end() : found.end() + 2] == "  "


def test_draining_is_shown_and_can_be_cut_short(tmp_path: Path, start: Start) -> None:
    (tmp_path / "own.toml").write_text('[tasks.waiting]\ncall = "own:wait"\nexecutor = "threadpool"\n')
    terminal = start("run", "--config", "own.toml", columns=80, lines=24)
    terminal.until((tmp_path / "waiting").exists)
    terminal.process.send_signal(signal.SIGINT)
    terminal.until(lambda: "draining: " in terminal.text and "waiting for 1 run" in terminal.text)
    assert "Press Ctrl-C again to cancel" in terminal.text
    (tmp_path / "gate").touch()
    assert terminal.wait() == 0


def test_kill_after_ends_a_function_that_hangs(tmp_path: Path, start: Start) -> None:
    (tmp_path / "own.toml").write_text('[tasks.waiting]\ncall = "own:wait"\nexecutor = "threadpool"\n')
    terminal = start("run", "--config", "own.toml", "--kill-after", "0.5", columns=80, lines=24)
    terminal.until((tmp_path / "waiting").exists)
    terminal.process.send_signal(signal.SIGTERM)
    assert terminal.wait() == 3
    assert "killed 0.5 s after the signal; functions did not return: waiting" in " ".join(terminal.text.split())


SLOW_OUTPUT = """
os_write = os.write

def slow_write(descriptor, data):
    written = os_write(descriptor, data)
    if b"killed" in data or b"?25h" in data:
        time.sleep(0.6)
    return written

os.write = slow_write
"""


def test_screen_does_not_cover_message_of_kill(tmp_path: Path, start: Start) -> None:
    """The screen is drawn four times per second, also while the last message is written."""
    (tmp_path / "own.py").write_text(MODULE + SLOW_OUTPUT)
    (tmp_path / "own.toml").write_text('[tasks.waiting]\ncall = "own:wait"\nexecutor = "threadpool"\n')
    terminal = start("run", "--config", "own.toml", "--kill-after", "0.5", columns=80, lines=24)
    terminal.until((tmp_path / "waiting").exists)
    terminal.process.send_signal(signal.SIGTERM)
    assert terminal.wait() == 3
    assert "asyncz run: killed 0.5 s after the signal; functions did not return: waiting" in terminal.lines


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (120, 40)])
def test_demo_tells_its_story(columns: int, lines: int, tmp_path: Path, start: Start) -> None:
    for number in range(5):
        (tmp_path / f"{number}.txt").write_text("line\n" * number)
    terminal = start("demo", "--path", ".", columns=columns, lines=lines)
    assert terminal.wait() == 0
    shown = " ".join(terminal.text.split())
    assert "hash each file" in shown
    assert "1 failed (on purpose)" in shown
    assert "slow-patrol was still running (on purpose)" in shown
    assert "lost 0, doubled 0" in shown
    assert all(len(line) <= columns for line in terminal.lines)
