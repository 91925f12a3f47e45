"""Program that reads the pickled jobs of APScheduler 3 without importing anything that they name.

Executed in a process of its own, with limits of memory and time, and with the standard library only. Each line of the
input is a pickle as base64, each line of the output the job as JSON. A pickle can name any function to be called; here
each name stands for an inert object that only records its arguments, so that no code of a pickle runs.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import pickle
import signal
import sys
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, ClassVar, TypeGuard, cast

if TYPE_CHECKING:
    from typing_extensions import override
else:

    def override(method: Callable[..., object]) -> Callable[..., object]:
        """Stand for the decorator, which the standard library has since Python 3.12."""
        return method


MEMORY = 1 << 29
"""Limit of the memory of the process, in bytes."""
SECONDS = 5.0
"""Limit of the CPU time for one pickle: the process dies by SIGVTALRM."""
MAX_NODES = 100_000
"""Maximum number of values in a job."""
MAX_PICKLE = 1 << 24
"""Maximum length of a pickle, in bytes."""
MAX_ANSWER = 1 << 22
"""Maximum length of a job as JSON, in bytes. A short pickle may refer to a long text many times."""

_APSCHEDULER = "apscheduler.triggers."


class StandIn:
    """Object of a class that is not imported: it records the arguments and the state that a pickle gives it."""

    name: ClassVar[str] = ""

    def __init__(self, *args: object, **kwargs: object) -> None:
        self.args = args
        self.kwargs = kwargs
        self.state: object = None

    def __setstate__(self, state: object) -> None:
        self.state = state

    def __setitem__(self, key: object, value: object) -> None:
        """Ignore an item of a subclass of `dict`."""

    def append(self, item: object) -> None:
        """Ignore an item of a subclass of `list`."""

    def extend(self, items: object) -> None:
        """Ignore the items of a subclass of `list`."""

    def add(self, item: object) -> None:
        """Ignore an item of a subclass of `set`."""


class Zone:
    """Time zone by its name, or a constant offset from UTC in seconds."""

    def __init__(self, name: object, offset: object = None) -> None:
        self.name = name
        self.offset = offset


class Moment:
    """Local time with its time zone."""

    def __init__(self, local: datetime, zone: object) -> None:
        self.local = local
        self.zone = zone


def _local_time(raw: bytes | str) -> datetime:
    # As `pickle` calls it: the type hints of the standard library do not know this form.
    make = cast("Callable[[bytes | str], datetime]", datetime)
    return make(raw)


def _datetime(*args: object) -> object:
    match args:
        case [bytes() | str() as raw]:
            return _local_time(raw)
        case [bytes() | str() as raw, zone]:
            return Moment(_local_time(raw), zone)
        case _:
            raise pickle.UnpicklingError("a datetime of an unknown form")


def _simple(make: Callable[..., object], *kinds: type) -> Callable[..., object]:  # type: ignore[explicit-any]  # of pickles
    """Return a constructor that accepts plain arguments only."""

    def construct(*args: object) -> object:
        if not all(isinstance(each, kinds) for each in args):
            raise pickle.UnpicklingError("a time with arguments of unknown types")
        return make(*args)

    return construct


def _named_zone(name: object, *_: object) -> Zone:
    return Zone(name)


def _pytz_zone(name: object, *offset: object) -> Zone:
    # A localized time of pytz has its offset beside the name.
    return Zone(name, offset[0] if offset and isinstance(offset[0], int) else None)


def _constant_zone(offset: object, *_: object) -> Zone:
    return Zone("", offset.total_seconds() if isinstance(offset, timedelta) else None)


def _attribute(owner: object, name: object) -> object:
    """Stand for `getattr`, by which older pickles find a method of `ZoneInfo`."""
    if owner is _named_zone and name == "_unpickle":
        return _named_zone
    raise pickle.UnpicklingError("getattr of an unknown object")


def _utc() -> Zone:
    return Zone("UTC")


def _reconstructed(cls: object, *_: object) -> object:
    """Stand for `copyreg._reconstructor`, by which pickles before protocol 2 make objects."""
    if isinstance(cls, type) and issubclass(cls, StandIn):
        return cls()
    raise pickle.UnpicklingError("an object of an unknown form")


def _encoded(text: object, *_: object) -> bytes:
    """Stand for `_codecs.encode`, by which pickles before protocol 3 make bytes."""
    return text.encode("latin-1") if isinstance(text, str) else b""


_NAMES: dict[str, object] = {
    "datetime.datetime": _datetime,
    "datetime.date": _simple(date, bytes, str),
    "datetime.time": _simple(time, bytes, str),
    "datetime.timedelta": _simple(timedelta, int),
    "datetime.timezone": _constant_zone,
    "zoneinfo.ZoneInfo": _named_zone,
    "zoneinfo.ZoneInfo._unpickle": _named_zone,
    "backports.zoneinfo.ZoneInfo": _named_zone,
    "backports.zoneinfo.ZoneInfo._unpickle": _named_zone,
    "pytz._p": _pytz_zone,
    "pytz._UTC": _utc,
    "builtins.getattr": _attribute,
    "__builtin__.getattr": _attribute,
    "copyreg._reconstructor": _reconstructed,
    "copy_reg._reconstructor": _reconstructed,
    "builtins.object": StandIn,
    "__builtin__.object": StandIn,
    "builtins.set": set,
    "__builtin__.set": set,
    "builtins.frozenset": frozenset,
    "_codecs.encode": _encoded,
}


class InertUnpickler(pickle.Unpickler):
    """Unpickler that knows times and time zones, and makes an inert object of everything else."""

    @override
    def find_class(self, module_name: str, global_name: str, /) -> object:
        """Return the object that stands for a name. Nothing is imported."""
        name = f"{module_name}.{global_name}"
        known = _NAMES.get(name)
        return type("StandIn", (StandIn,), {"name": name}) if known is None else known


class _Plain:
    """Conversion of one job into values of JSON."""

    def __init__(self) -> None:
        self._nodes = 0
        self._length = 0

    def of(self, value: object) -> object:  # noqa: C901  # one case for each kind
        """Return a value as JSON."""
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise ValueError("it has too many values")
        match value:
            case str():
                return self._counted(value, len(value))
            case int():
                return self._counted(value, value.bit_length() // 4)
            case None | float():
                return value
            case _ if _is_list(value):
                return [self.of(each) for each in value]
            case _ if _is_tuple(value):
                return {"$": "tuple", "items": [self.of(each) for each in value]}
            case _ if _is_dict(value):
                return {"$": "dict", "items": [[self.of(key), self.of(each)] for key, each in value.items()]}
            case Moment():
                local = value.local
                return {"$": "moment", "local": local.isoformat(), "fold": local.fold, "zone": self.of(value.zone)}
            case Zone():
                return {"$": "zone", "name": self.of(value.name), "offset": self.of(value.offset)}
            case datetime() | date() | time():
                return {"$": type(value).__name__, "text": value.isoformat()}
            case timedelta():
                return {"$": "timedelta", "seconds": value.total_seconds()}
            case StandIn():
                # Only the state of triggers is of use; that of other objects may be anything.
                is_trigger = value.name.startswith(_APSCHEDULER)
                name = self._counted(value.name, len(value.name))
                return {"$": "object", "name": name, "state": self.of(value.state) if is_trigger else None}
            case _:
                return {"$": "object", "name": f"builtins.{type(value).__name__}", "state": None}

    def _counted(self, value: object, length: int) -> object:
        """Return a value after its length is counted, so that too long values are found before they are text."""
        self._length += length
        _check_length(self._length)
        return value


def _check_length(length: int) -> None:
    if length > MAX_ANSWER:
        raise ValueError(f"its values have more than {MAX_ANSWER >> 20} MB")


def _is_list(value: object) -> TypeGuard[list[object]]:
    return isinstance(value, list)


def _is_tuple(value: object) -> TypeGuard[tuple[object, ...]]:
    return isinstance(value, tuple)


def _is_dict(value: object) -> TypeGuard[dict[object, object]]:
    return isinstance(value, dict)


def read_job(pickled: bytes) -> str:
    """Return a pickled job as JSON, or the reason why it cannot be read."""
    try:
        if len(pickled) > MAX_PICKLE:
            return json.dumps({"error": f"the pickle has more than {MAX_PICKLE >> 20} MB"})
        job = _Plain().of(InertUnpickler(io.BytesIO(pickled)).load())
        text = json.dumps({"job": job}, ensure_ascii=False)
        # The receiver does not accept lone surrogates.
        _check_length(len(text.encode()))
    except Exception as error:
        return json.dumps({"error": f"{type(error).__name__}: {error}"[:500]})
    return text


def _set_limits() -> None:
    """Limit the memory of this process, and write no core dumps. A lower limit of the system stays."""
    try:
        import resource
    except ImportError:
        return
    for kind, limit in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CORE, 0)):
        _, hard = resource.getrlimit(kind)
        lowest = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        # Some systems reject a limit. Those of the lengths and of the time remain.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (lowest, lowest))


def main() -> None:
    """Read all pickles of the standard input. The output is flushed after each: a later one may end the process."""
    _set_limits()
    for line in sys.stdin:
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
        _ = sys.stdout.buffer.write(f"{read_job(base64.b64decode(line))}\n".encode())
        _ = sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
