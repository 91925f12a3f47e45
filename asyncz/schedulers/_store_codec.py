"""Threads for the code of users that encodes and decodes stored values."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import copy_context

from typing_extensions import TypeVar

from asyncz.executors._helper_threads import HelperThreads
from asyncz.stores._thread import deliver
from asyncz.stores.codecs import Codec

ResultT = TypeVar("ResultT")


class CodecThreads:
    """Threads that decode tasks and encode results, which imports modules and calls validators of users.

    Threads of their own: plain functions of users may fill the default executor of the loop for any time, and then
    the node would not fire anything.

    Args:
        values: Codec of arguments and results; None for JSON.

    Attributes:
        values: The codec.
    """

    def __init__(self, values: Codec | None = None) -> None:
        self.values: Codec | None = values
        self._threads = HelperThreads("asyncz-store-codec")

    async def call(self, call: Callable[[], ResultT]) -> ResultT:
        """Make a call in a thread, in a copy of the current context, and return its result."""
        loop, context = asyncio.get_running_loop(), copy_context()
        future: asyncio.Future[ResultT] = loop.create_future()
        self._threads.call(lambda: deliver(lambda: context.run(call), loop, future))
        return await future
