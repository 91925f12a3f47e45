"""Runs and outcomes as bytes, in the parent.

Pickling and unpickling call user code, which may raise anything or take long. The functions here that accept it say so;
those named `plain` decide without calling user code, and may be used on a thread that other runs depend on.
"""

from __future__ import annotations

import inspect
import io
import pickle
import time
from collections.abc import Callable, Collection, Iterable
from functools import partial
from types import BuiltinFunctionType, FunctionType, ModuleType, NoneType
from typing import Never, TypeGuard

from typing_extensions import TypeVar, override

from asyncz._callables import CallWrapper, function_reference
from asyncz._run_ids import run_id_bytes
from asyncz.events import TaskNotification, Worker
from asyncz.exceptions import RemoteError, SerializationError
from asyncz.executors import _remote_call, _remote_worker
from asyncz.executors._remote_call import RUN_INFO, safe_repr, safe_str, safe_text
from asyncz.executors._start_checks import is_main_importable
from asyncz.runs import TaskRun

ResultT = TypeVar("ResultT")

_OWNERS = frozenset({ModuleType, NoneType})
_NUMBER_CLASSES = frozenset({bool, complex, float, int, NoneType})
_TEXT_CLASSES = frozenset({bytes, str})
_COLLECTION_CLASSES = frozenset({bytes, dict, list, str, tuple})
_MAX_PLAIN_BYTES = 1 << 16
_MAX_SCANNED_BYTES = 64
_MAX_PLAIN_ITEMS = 64
_MAX_PLAIN_DEPTH = 4
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def pickled(call: Callable[[], object], dumps: Callable[[object], bytes] = _remote_call.dumps) -> bytes:
    """Return a call as bytes. Calls user code.

    Raises:
        SerializationError: The function or an argument cannot be pickled.
    """
    try:
        return dumps(call)
    except Exception as error:
        raise _unpicklable(call, error, dumps) from error


def pickled_in_worker_thread(
    call: Callable[[], object], dumps: Callable[[object], bytes] = _remote_call.dumps
) -> bytes:
    """Return a call as bytes, on a thread that no exit or interrupt of user code may end.

    Raises:
        SerializationError: The function or an argument cannot be pickled.
    """
    try:
        return dumps(call)
    except BaseException as error:
        raise _unpicklable(call, error, dumps) from error


def _unpicklable(
    call: Callable[[], object], error: BaseException, dumps: Callable[[object], bytes]
) -> SerializationError:
    """Return the error for a call that cannot be pickled, which names the first part that cannot. Calls user code."""
    description = safe_text(lambda: function_reference(call), "function ")
    for name, part in _parts_of(call):
        try:
            dumps(part)
        except BaseException as reason:
            return SerializationError(name, description, _reason_of(part, reason))
    return SerializationError("function or argument", description, _reason_of(call, error))


def _parts_of(call: object) -> list[tuple[str, object]]:
    """Return the function and the arguments of a call, each with a name for messages."""
    if isinstance(call, CallWrapper):
        call = call.func
    if not isinstance(call, partial):
        return [("function", call)]
    names = _parameter_names(call.func, len(call.args))
    positional = [(f"argument {name} of", each) for name, each in zip(names, call.args, strict=True)]
    by_name = [(f"argument {name!r} of", each) for name, each in call.keywords.items()]
    return [("function", call.func), *positional, *by_name]


def _parameter_names(function: object, count: int) -> list[str]:
    """Return the names of the first parameters in quotes, or their numbers if they have no names."""
    numbers = [f"{number}" for number in range(1, count + 1)]
    if not callable(function):
        return numbers
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except BaseException:
        # Some functions written in C have no signature, and a user's `__signature__` may raise anything.
        return numbers
    names = [repr(each.name) for each in parameters if each.kind in _POSITIONAL]
    return [*names[:count], *numbers[len(names) :]]


def _reason_of(part: object, error: BaseException) -> str:
    if type(part) is FunctionType and part.__name__ == "<lambda>":
        return f"a lambda cannot be pickled ({safe_str(error)})"
    return safe_str(error)


def parcel_of(run: TaskRun[ResultT], dumps: Callable[[object], bytes] = _remote_call.dumps) -> bytes:
    """Return a run as bytes: the values of `current_run()`, and the pickled call. Calls user code.

    Raises:
        SerializationError: The function or an argument cannot be pickled.
    """
    return run_header_of(run) + pickled_in_worker_thread(run.call, dumps)


def run_header_of(run: TaskRun[ResultT]) -> bytes:
    """Return the part of a sent run that precedes its pickled call: the values of `current_run()`."""
    name = run.task_id.encode("utf-8", "surrogatepass")
    return RUN_INFO.pack(run_id_bytes(run._key), run.attempt, run.scheduled, len(name)) + name


def is_plain_call(call: object) -> bool:
    """Return True if pickling a call is quick and calls no user code: a function with small, built-in arguments."""
    if type(call) is partial:
        return (
            _is_plain_function(call.func)
            and not call.__dict__
            and _are_plain(call.args, 0)
            and (not call.keywords or _are_plain(call.keywords.values(), 0))
        )
    return _is_plain_function(call)


def _is_plain_function(function: object) -> bool:
    cls = type(function)
    # A method of an object written in C, such as `[].append`, is pickled with that object.
    return cls is FunctionType or (cls is BuiltinFunctionType and type(getattr(function, "__self__", None)) in _OWNERS)


def _are_plain(values: Iterable[object], depth: int) -> bool:
    # Exact types only: a subclass may define how it is pickled.
    for value in values:
        cls = type(value)
        if cls in _NUMBER_CLASSES:
            continue
        if not _is_collection(value) or len(value) > _MAX_PLAIN_BYTES:
            return False
        if cls in _TEXT_CLASSES:
            continue
        if depth >= _MAX_PLAIN_DEPTH or len(value) > _MAX_PLAIN_ITEMS or not _are_plain(value, depth + 1):
            return False
        if _is_dict(value) and not _are_plain(value.values(), depth + 1):
            return False
    return True


def _is_collection(value: object) -> TypeGuard[Collection[object]]:
    return type(value) in _COLLECTION_CLASSES


def _is_dict(value: object) -> TypeGuard[dict[object, object]]:
    return type(value) is dict


# Opcodes by which a pickle refers to classes, functions and persistent objects. Without these bytes it cannot, whatever
# they may mean in a text or number.
_NAMES_CLASSES = frozenset(
    b"".join(
        (
            pickle.GLOBAL,
            pickle.STACK_GLOBAL,
            pickle.INST,
            pickle.EXT1,
            pickle.EXT2,
            pickle.EXT4,
            pickle.PERSID,
            pickle.BINPERSID,
        )
    )
)


class _NotPlainError(Exception):
    """A pickle refers to a class or function."""


class _PlainUnpickler(pickle.Unpickler):
    """Unpickler of built-in values only: without classes and functions, unpickling cannot call user code."""

    @override
    def find_class(self, module: str, name: str, /) -> Never:
        raise _NotPlainError


def plain_outcome_of(run: TaskRun[ResultT], kind: int, content: bytes | bytearray) -> TaskNotification[ResultT] | None:
    """Return the outcome of a run if reading it is quick and calls no user code, else None."""
    if kind == _remote_call.CANCELLED:
        return run.cancelled()
    if kind != _remote_call.RESULT or len(content) > _MAX_PLAIN_BYTES:
        return None
    try:
        # The worker is trusted to send a result of the function's type, as in `outcome_of`. Without classes, the C
        # function reads the same values as the unpickler, several times as fast.
        result: ResultT
        if len(content) <= _MAX_SCANNED_BYTES and _NAMES_CLASSES.isdisjoint(content):
            result = pickle.loads(content)
        else:
            result = _PlainUnpickler(io.BytesIO(content)).load()
    except Exception:
        return None
    return run.executed(result)


def outcome_of(run: TaskRun[ResultT], kind: int, content: bytes | bytearray) -> TaskNotification[ResultT]:
    """Return the outcome of a run from the report of its worker. Calls user code, but never raises.

    The type of the result is taken on trust: the worker called the task's function.
    """
    try:
        return _outcome_of(run, kind, content)
    except BaseException as error:
        damaged = SerializationError("outcome", f"of {run.task_id!r}", f"its report cannot be read: {safe_repr(error)}")
        return run.failed(damaged, traceback_text=f"{damaged}")


def _outcome_of(run: TaskRun[ResultT], kind: int, content: bytes | bytearray) -> TaskNotification[ResultT]:
    if kind == _remote_call.CANCELLED:
        return run.cancelled()
    if kind == _remote_call.RESULT:
        try:
            result: ResultT = pickle.loads(content)
        except BaseException as error:
            return failure_of(run, _unloadable("result", f"of {run.task.function}", error))
        return run.executed(result)
    if kind == _remote_call.UNPICKLABLE:
        description, reason = pickle.loads(content)
        return run.failed(SerializationError("result", description, reason))
    exception, text = error_of(content)
    if kind == _remote_call.UNLOADABLE:
        reason = "the worker cannot load it"
        if run.task.function.startswith("__main__:") and not is_main_importable():
            reason = "the main module is not a file, as in a notebook, so workers cannot import it"
        exception = _unloadable("function or argument", run.task.function, exception, reason)
    return failure_of(run, exception, text)


def _unloadable(
    kind: str, description: str, cause: BaseException, reason: str = "it cannot be unpickled"
) -> SerializationError:
    error = SerializationError(kind, description, f"{reason}: {safe_repr(cause)}")
    error.__cause__ = cause
    return error


def failure_of(run: TaskRun[ResultT], error: BaseException, traceback_text: str = "") -> TaskNotification[ResultT]:
    """Return the outcome of a run that failed with an exception; its methods may raise, too."""
    try:
        return run.failed(error, traceback_text=traceback_text)
    except BaseException:
        names = _remote_call.class_names(error)
        stand_in = RemoteError(names[0], safe_str(error), names)
        return run.failed(stand_in, traceback_text=traceback_text or f"{stand_in}")


def plain_outcome_of_report(run: TaskRun[ResultT], report: _remote_worker.Report) -> TaskNotification[ResultT] | None:
    """Return the outcome of a run from the report of a worker that belongs to the user, else None.

    None means that `outcome_of` has to read the report, because reading it is not quick or calls user code.
    """
    kind, content, started, (host, pid, thread) = report
    if kind == _remote_worker.MISSED:
        return run.missed()
    if started is not None:
        # The clock of another machine may be ahead.
        run.begin(min(started, time.time()), Worker(host=host, pid=pid, thread=thread))
    return plain_outcome_of(run, kind, content)


def latest_start(run: TaskRun[ResultT]) -> float | None:
    """Return the latest start of a run's function, in seconds since the epoch; None means no limit."""
    grace = run.limits.misfire_grace_time
    finished = run.details().finished
    if grace is None or finished is None or run.attempt > 1:
        return None
    # The scheduler's clock may be a test's, the worker's is not.
    return time.time() + grace - (finished - run.scheduled)


def error_of(content: bytes | bytearray) -> tuple[BaseException, str]:
    """Return the exception that a worker reported, and its traceback as text. Calls user code."""
    report: _remote_call.ErrorReport = pickle.loads(content)
    type_name, message, text, pickled_error, names = report
    exception: BaseException = RemoteError(type_name, message, names)
    if pickled_error is not None:
        loaded = _loaded_exception(pickled_error)
        exception = exception if loaded is None else loaded
    _add_note(exception, f"In the worker process:\n{text}")
    return exception, text


def _loaded_exception(content: bytes) -> BaseException | None:
    try:
        loaded: object = pickle.loads(content)
        # `isinstance` would ask the object itself.
        return loaded if issubclass(type(loaded), BaseException) and isinstance(loaded, BaseException) else None
    except BaseException:
        return None


def _add_note(exception: BaseException, note: str) -> None:
    try:
        exception.add_note(note)
    except BaseException:
        # The exception rejects notes, as a frozen dataclass does. The notification has the traceback as well.
        return
