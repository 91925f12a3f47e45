"""Start of processes by the fork server of `multiprocessing`, also if file descriptors run out meanwhile.

`multiprocessing` connects to the fork server first, and opens the two pipes of the request and a duplicate afterwards.
If a descriptor is missing by then, it closes the connection without a request. The fork server ends with an error,
which loses the exit status of every process that it has started, or a process waits for its call for ever; the
descriptors opened so far leak. A program that has run out of descriptors would lose its whole pool by starting one
process.

So all descriptors are opened before the connection. The steps of the request are still those of the standard library,
called with other globals: `os` with a `pipe` and a `dup` that hand out the descriptors opened before. The alternatives
are worse:

- A copy of the two functions would have to follow each version of Python: 3.14 added an authentication to the request.
- Other functions in the modules themselves, even for a moment, would serve each thread of the program.
- Descriptors that are opened and closed again to make room may be taken by another thread before the request.

A version of Python that opens more descriptors than these gets the others from the system, as without this module. One
that renames the functions fails at the import of this module, and with it the tests. Only for systems with fork
servers.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from multiprocessing import forkserver, popen_forkserver
from multiprocessing.context import ForkServerProcess
from multiprocessing.process import BaseProcess
from types import FunctionType, SimpleNamespace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import override
else:
    # Worker processes import this module; this import would cost more than all the rest.
    def override(method: object) -> object:
        return method


_CONNECT: FunctionType = vars(forkserver.ForkServer)["connect_to_new_process"]
_LAUNCH: FunctionType = vars(popen_forkserver.Popen)["_launch"]


class _DescriptorReserve:
    """Descriptors that are opened before a request to the fork server: two pipes, and one for a duplicate.

    Raises:
        OSError: A descriptor is missing.
    """

    def __init__(self) -> None:
        self._pipes: list[tuple[int, int]] = []
        self._spare: int | None = None
        try:
            self._pipes.append(os.pipe())
            self._pipes.append(os.pipe())
            self._spare = os.dup(self._pipes[0][0])
        except BaseException:
            self.close()
            raise

    def pipe(self) -> tuple[int, int]:
        """Return a pipe, which then belongs to the caller; in place of `os.pipe`."""
        return self._pipes.pop() if self._pipes else os.pipe()

    def dup(self, descriptor: int) -> int:
        """Return a duplicate, which then belongs to the caller; in place of `os.dup`."""
        spare, self._spare = self._spare, None
        return os.dup(descriptor) if spare is None else os.dup2(descriptor, spare, inheritable=False)

    def close(self) -> None:
        """Close the descriptors that were not handed out."""
        while self._pipes:
            for descriptor in self._pipes.pop():
                os.close(descriptor)
        if self._spare is not None:
            os.close(self._spare)
            self._spare = None


class _ServedPopen(popen_forkserver.Popen):
    """Start of a process that leaves nothing behind if it fails."""

    def _launch(self, process_obj: BaseProcess) -> None:
        reserve = _DescriptorReserve()
        os_names = _namespace(os, pipe=reserve.pipe, dup=reserve.dup)
        connect: Callable[[list[int]], tuple[int, int]] = partial(
            _with_globals(_CONNECT, os=os_names), forkserver._forkserver
        )
        server = _namespace(forkserver, connect_to_new_process=connect)
        try:
            _with_globals(_LAUNCH, os=os_names, forkserver=server)(self, process_obj)
        except BaseException:
            # The traceback of the exception would keep the descriptors open.
            finalizer: object = self.finalizer
            if callable(finalizer):
                finalizer()
            raise
        finally:
            reserve.close()


class ServedProcess(ForkServerProcess):
    """Process that the fork server starts."""

    @override
    @staticmethod
    def _Popen(process_obj: BaseProcess) -> _ServedPopen:  # noqa: N802  # the name of `multiprocessing`
        return _ServedPopen(process_obj)


def _namespace(module: object, **replaced: object) -> SimpleNamespace:
    """Return the names of a module, some of them replaced."""
    return SimpleNamespace(**{**vars(module), **replaced})


def _with_globals(function: FunctionType, **replaced: object) -> FunctionType:
    """Return a function with the same code, for which some names of its module are replaced."""
    return FunctionType(function.__code__, {**function.__globals__, **replaced})
