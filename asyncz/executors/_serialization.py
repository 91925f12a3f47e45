"""What runs and their ends become on their way to other processes and back."""

from __future__ import annotations

import contextlib
import pickle
import time
from collections.abc import Callable

from typing_extensions import TypeVar

from asyncz._callables import function_reference
from asyncz.events import TaskNotification, Worker
from asyncz.exceptions import RemoteError, SerializationError
from asyncz.executors import _remote_call, _remote_worker
from asyncz.runs import TaskRun

ResultT = TypeVar("ResultT")


def pickled(call: Callable[[], object], dumps: Callable[[object], bytes] = _remote_call.dumps) -> bytes:
    """A call as bytes.

    Raises:
        SerializationError: The function or an argument cannot be pickled.
    """
    try:
        return dumps(call)
    except Exception as error:
        raise SerializationError("function or argument", function_reference(call), f"{error}") from error


def parcel_of(run: TaskRun[ResultT], dumps: Callable[[object], bytes] = _remote_call.dumps) -> bytes:
    """A run as bytes: what its function can ask for, and its call.

    Raises:
        SerializationError: The function or an argument cannot be pickled.
    """
    return _remote_call.run_content(run.run_id, run.attempt, run.scheduled, run.task_id, pickled(run.call, dumps))


def ending_of(run: TaskRun[ResultT], kind: int, content: bytes) -> TaskNotification[ResultT]:
    """How a run ended, from what its worker sent. The one place that takes a type on trust."""
    if kind == _remote_call.CANCELLED:
        return run.cancelled()
    if kind == _remote_call.RESULT:
        try:
            result: ResultT = pickle.loads(content)
        except BaseException as error:
            unloadable = SerializationError("result", f"of {run.task.function}", f"it cannot be unpickled: {error!r}")
            unloadable.__cause__ = error
            return run.failed(unloadable)
        return run.executed(result)
    if kind == _remote_call.UNPICKLABLE:
        description, reason = pickle.loads(content)
        return run.failed(SerializationError("result", description, reason))
    exception, text = error_of(content)
    if kind == _remote_call.UNLOADABLE:
        unloadable = SerializationError(
            "function or argument", run.task.function, f"the worker cannot load it: {exception!r}"
        )
        unloadable.__cause__ = exception
        exception = unloadable
    return run.failed(exception, traceback_text=text)


def ending_of_report(run: TaskRun[ResultT], report: _remote_worker.Report) -> TaskNotification[ResultT]:
    """How a run ended, from the report of a worker that is not of asyncz's own."""
    kind, content, started, (host, pid, thread) = report
    if kind == _remote_worker.MISSED:
        return run.missed()
    if started is not None:
        # The clock of another machine may be ahead of this one's.
        run.begin(min(started, time.time()), Worker(host=host, pid=pid, thread=thread))
    return ending_of(run, kind, content)


def latest_start(run: TaskRun[ResultT]) -> float | None:
    """Until when a worker may call its function, in seconds since the epoch; None where there is no limit."""
    grace = run.limits.misfire_grace_time
    finished = run.details().finished
    if grace is None or finished is None or run.attempt > 1:
        return None
    # What the scheduler takes for the present time may be what a test says.
    return time.time() + grace - (finished - run.scheduled)


def error_of(content: bytes) -> tuple[BaseException, str]:
    """The exception that a worker reported, and its traceback as text."""
    report: _remote_call.ErrorReport = pickle.loads(content)
    type_name, message, text, pickled = report
    exception: BaseException = RemoteError(type_name, message)
    if pickled is not None:
        with contextlib.suppress(BaseException):
            loaded: object = pickle.loads(pickled)
            if isinstance(loaded, BaseException):
                exception = loaded
    exception.add_note(f"In the worker process:\n{text}")
    return exception, text
