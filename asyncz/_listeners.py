"""Keys of streams and of listeners of progress among the listeners of a task."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from asyncz.events import TaskProgress


@attrs.frozen(eq=False)
class ProgressListener:
    """Listener of the progress of a task; its other listeners are called with outcomes."""

    listener: Callable[[TaskProgress], object]

    def ignore(self, _: object) -> None:
        """Do nothing with an outcome."""


@attrs.frozen(eq=False)
class StreamKey:
    """Key of a stream among the listeners of its task; does not keep the stream alive."""

    close: Callable[[], None]


def listener_of(key: object) -> object:
    """Return the function by which a user knows a listener."""
    return key.listener if isinstance(key, ProgressListener) else key
