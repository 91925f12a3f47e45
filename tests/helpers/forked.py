"""Python programs that start in a few milliseconds: forks of one process, which has imported asyncz and its commands.

A program of its own costs a second of CPU time before its first statement, and there are hundreds. `Program` and
`run_program` are for those that test what the program does. Tests of imports, of the interpreter's exit or of options
and variables of the interpreter need `subprocess`.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from select import select
from typing import IO, NoReturn, Self

from tests.helpers.paths import PROJECT

_MODULES = ("asyncz.cli.app", "asyncz.dashboard", "cronsim", "uvicorn", "zoneinfo")
"""Modules that many programs import."""


class Program:
    """A running program, with a part of the interface of `subprocess.Popen`.

    Args:
        arguments: `-m` and a module, or a file; then the arguments of the program.
        cwd: Its current folder.
        env: Its environment; by default that of this process.
        stdin: Its standard input; by default nothing.
        stdout: Its standard output; by default a pipe.
        stderr: Its standard error; by default a pipe.
        new_session: Give it a session of its own, whose terminal is its standard input.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        stdin: int | None = None,
        stdout: IO[str] | int | None = None,
        stderr: IO[str] | int | None = None,
        new_session: bool = False,
    ) -> None:
        self.returncode: int | None = None
        self.stdout: IO[str] | None = None
        self.stderr: IO[str] | None = None
        own, others = socket.socketpair()
        with contextlib.ExitStack() as opened:
            opened.callback(others.close)
            if stdin is None:
                stdin = os.open(os.devnull, os.O_RDONLY)
                opened.callback(os.close, stdin)
            outputs: list[int] = []
            for name, given in (("stdout", stdout), ("stderr", stderr)):
                if given is None:
                    reading, writing = os.pipe()
                    opened.callback(os.close, writing)
                    setattr(self, name, os.fdopen(reading, "r", encoding="utf-8"))
                    outputs.append(writing)
                else:
                    outputs.append(given if isinstance(given, int) else given.fileno())
            request = {
                "arguments": list(arguments),
                "cwd": str(cwd),
                "env": dict(os.environ if env is None else env),
                "new_session": new_session,
            }
            message = json.dumps(request).encode()
            header = len(message).to_bytes(8, "big")
            socket.send_fds(_server(), [header], [stdin, *outputs, others.fileno()])
            _server().sendall(message)
        self._replies = own.makefile("r")
        own.close()
        self.pid = int(self._replies.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def poll(self) -> int | None:
        """Return the exit status if the program has ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit status, which is negative for a signal."""
        if self.returncode is None:
            if not select([self._replies], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("program", timeout or 0)
            self.returncode = int(self._replies.readline())
            self._replies.close()
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Read all output, wait for the end and return the output."""
        found = {"stdout": "", "stderr": ""}

        def read(name: str, stream: IO[str]) -> None:
            with stream:
                found[name] = stream.read()

        streams = {"stdout": self.stdout, "stderr": self.stderr}
        readers = [
            threading.Thread(target=read, args=(name, stream)) for name, stream in streams.items() if stream is not None
        ]
        for reader in readers:
            reader.start()
        try:
            self.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            self.wait()
            raise
        finally:
            for reader in readers:
                reader.join()
        return found["stdout"], found["stderr"]

    def send_signal(self, number: int) -> None:
        """Send a signal if the program has not ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask the program to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the program."""
        self.send_signal(signal.SIGKILL)

    def close(self) -> None:
        """Kill the program if it has not ended, and close its pipes."""
        self.kill()
        self.wait()
        for stream in (self.stdout, self.stderr):
            if stream is not None:
                stream.close()


def run_program(
    *arguments: str, cwd: Path, env: Mapping[str, str] | None = None, timeout: float = 100
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, and return its status and output."""
    program = Program(arguments, cwd=cwd, env=env)
    output, errors = program.communicate(timeout)
    return subprocess.CompletedProcess(arguments, program.wait(), output, errors)


@functools.cache
def _server() -> socket.socket:
    """Start the process that forks; it ends with this one, as its end of the socket is then closed."""
    own, others = socket.socketpair()
    command = [sys.executable, "-m", "tests.helpers.forked", str(others.fileno())]
    process = subprocess.Popen(command, pass_fds=[others.fileno()], stdin=subprocess.DEVNULL, cwd=PROJECT)
    others.close()

    def end() -> None:
        own.close()
        process.wait(60)

    atexit.register(end)
    return own


# The process that forks


def _serve(control: socket.socket) -> None:
    """Fork for each request until the other end of the socket is closed."""
    for module in _MODULES:
        with contextlib.suppress(ImportError):
            __import__(module)
    gc.collect()
    gc.freeze()
    # The system reaps the children, each of which waits for its program.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        header, descriptors, _, _ = socket.recv_fds(control, 8, 4)
        if not header:
            return
        size, message = int.from_bytes(header, "big"), b""
        while len(message) < size:
            message += control.recv(size - len(message))
        if os.fork() == 0:
            control.close()
            _attend(json.loads(message), descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _attend(request: dict[str, object], descriptors: list[int]) -> NoReturn:
    """Start a program, report its id, wait for its end and report its status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    *standard, replies = descriptors
    pid = os.fork()
    if pid == 0:
        os.close(replies)
        for number, descriptor in enumerate(standard):
            os.dup2(descriptor, number)
            os.close(descriptor)
        _run(request)
    for descriptor in standard:
        os.close(descriptor)
    for number in range(3):
        os.close(number)
    with contextlib.suppress(OSError):
        os.write(replies, f"{pid}\n".encode())
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(OSError):
        os.write(replies, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    # Not with the data of coverage: it has run nothing.
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def _run(request: dict[str, object]) -> NoReturn:
    """Run a program in this process, as the interpreter would, and exit."""
    arguments, environment = request["arguments"], request["env"]
    assert isinstance(arguments, list)
    assert isinstance(environment, dict)
    if request["new_session"]:
        os.setsid()
        import fcntl
        import termios

        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(str(request["cwd"]))
    sys.stdout.reconfigure(line_buffering=os.isatty(1) or "PYTHONUNBUFFERED" in environment)  # type: ignore[union-attr]
    sys.dont_write_bytecode = bool(environment.get("PYTHONDONTWRITEBYTECODE"))
    gc.unfreeze()
    _restart_coverage()
    status = 1
    try:
        status = _status_of(arguments)
    finally:
        threading._shutdown()  # type: ignore[attr-defined]  # as the interpreter does
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        if status == -signal.SIGINT:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
        os._exit(status)


def _status_of(arguments: list[str]) -> int:
    try:
        if arguments[0] == "-m":
            sys.argv = ["-m", *arguments[2:]]
            sys.path[0] = str(Path.cwd())
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = list(arguments)
            sys.path[0] = str(Path(arguments[0]).parent.absolute())
            runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as error:
        if error.code is None or isinstance(error.code, int):
            return (error.code or 0) & 0xFF
        print(error.code, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        traceback.print_exc()
        return -signal.SIGINT
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _restart_coverage() -> None:
    """Have the program write data of its own, if coverage is measured."""
    control = sys.modules.get("coverage.control")
    if control is not None:
        control._after_fork_in_child()


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
