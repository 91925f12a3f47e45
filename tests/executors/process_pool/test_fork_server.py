"""Requests to the fork server while file descriptors are missing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import gc, json, multiprocessing, os, resource, sys, time
from multiprocessing import forkserver
from asyncz.executors.process_pool import _process


def open_descriptors():
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def children(pid):
    return len(open(f"/proc/{pid}/task/{pid}/children").read().split())


def settled(count, wanted):
    deadline = time.monotonic() + 30
    while count() != wanted and time.monotonic() < deadline:
        time.sleep(0.01)
    return count()


def main():
    context = multiprocessing.get_context("forkserver")
    links = []
    process, link = _process.spawn(context, None, (), links.append)
    server = forkserver._forkserver._forkserver_pid
    before, failed = open_descriptors(), 0
    used = max(int(each) for each in os.listdir("/proc/self/fd"))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # One descriptor more each time, from none to enough, so that each one is missing once.
    for number in range(1, 40):
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + number, hard))
        try:
            started = _process.spawn(context, None, (), links.append)
        except OSError:
            failed += 1
            continue
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        break
    started[0].kill()
    started[0].wait_exit_code()
    started[1].close()
    started[0].close()
    del started
    print(json.dumps({
        "failed": failed,
        "descriptors": open_descriptors() - before,
        "same server": forkserver._forkserver._forkserver_pid == server,
        "children": settled(lambda: children(server), 1),
    }))
    process.kill()
    process.wait_exit_code()


if __name__ == "__main__":
    main()
"""


@pytest.mark.slow
def test_missing_descriptor_leaves_nothing_behind(tmp_path: Path) -> None:
    """Neither a descriptor nor a process, and the fork server lives on."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    result = subprocess.run([sys.executable, program], capture_output=True, text=True, check=False, timeout=100)
    assert result.stdout, result.stderr
    found = json.loads(result.stdout)
    assert found.pop("failed") > 5
    assert found == {"descriptors": 0, "same server": True, "children": 1}, result.stderr
    assert result.stderr == ""
