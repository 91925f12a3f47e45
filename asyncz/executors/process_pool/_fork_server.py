"""Start of processes by the fork server of `multiprocessing`, also if file descriptors run out meanwhile.

`multiprocessing` opens descriptors while it talks to the fork server. If one is missing then, the fork server dies, or
a process waits for its call for ever, and the descriptors opened so far leak. Here all of them are opened before the
request, so that it is made as a whole or not at all. Only for systems that have fork servers.
"""

from __future__ import annotations

import os
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


class _Descriptors:
    """Descriptors that are opened before a request to the fork server.

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
        self.os = SimpleNamespace(**{**vars(os), "pipe": self._pipes.pop, "dup": self._duplicate})
        """The module `os`, except that it hands out these descriptors, which then belong to the caller."""

    def _duplicate(self, descriptor: int) -> int:
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


class _Start(popen_forkserver.Popen):
    """Start of a process that leaves nothing behind if it fails."""

    def _launch(self, process_obj: BaseProcess) -> None:
        # The functions of the standard library with another `os`: the protocol differs between versions of Python.
        descriptors = _Descriptors()

        def connect(sent: list[int]) -> tuple[int, int]:
            request = FunctionType(_CONNECT.__code__, {**vars(forkserver), "os": descriptors.os})
            ends: tuple[int, int] = request(forkserver._forkserver, sent)
            return ends

        server = SimpleNamespace(**{**vars(forkserver), "connect_to_new_process": connect})
        names = {**vars(popen_forkserver), "os": descriptors.os, "forkserver": server}
        try:
            FunctionType(_LAUNCH.__code__, names)(self, process_obj)
        except BaseException:
            # The traceback of the exception would keep the descriptors open.
            finalizer: object = self.finalizer
            if callable(finalizer):
                finalizer()
            raise
        finally:
            descriptors.close()


class ServedProcess(ForkServerProcess):
    """Process that the fork server starts."""

    @override
    @staticmethod
    def _Popen(process_obj: BaseProcess) -> _Start:  # noqa: N802  # the name of `multiprocessing`
        return _Start(process_obj)
