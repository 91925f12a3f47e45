"""Rows of a job store of APScheduler 3, read by a process of its own."""

from __future__ import annotations

import base64
import contextlib
import re
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import attrs
from pydantic import BaseModel, JsonValue, ValidationError

from asyncz._checks import shown
from asyncz.clock import utc
from asyncz.exceptions import InvalidInputError
from asyncz.stores._admin import StoreAdmin
from asyncz.stores.apscheduler_3._pickles import MAX_ANSWER
from asyncz.stores.exceptions import StoreConnectionError

_PROGRAM = Path(__file__).with_name("_pickles.py")
_TABLE = re.compile(r"[^\W\d][\w$]{0,62}(\.[^\W\d][\w$]{0,62})?")
_PAGE = 100
# Seconds for one page. Each pickle has its own limit of CPU time.
_TIMEOUT = 120.0
# Bytes at the end of the standard error of the process: the line with the exception.
_LONGEST_ERROR = 500
DIED = "the process that read the pickle died: it needed too much time or memory"


@attrs.frozen
class PickledJob:
    """A row of the table of jobs.

    Attributes:
        id: Id of the job.
        next_run_time: Next due time; None if the job is paused.
        pickle: Pickled state.
        note: Note for the report; empty if there is nothing to say.
    """

    id: str
    next_run_time: datetime | None
    pickle: bytes
    note: str = ""


@attrs.frozen
class ReadJob:
    """A row with its pickle, as it was read.

    Attributes:
        id: Id of the job.
        next_run_time: Next due time; None if the job is paused.
        state: State of the job as values of JSON, with a tag `$` for other types; None if it cannot be read.
        error: Reason why it cannot be read.
        note: Note for the report; empty if there is nothing to say.
    """

    id: str
    next_run_time: datetime | None
    state: JsonValue
    error: str
    note: str = ""


class _Answer(BaseModel, frozen=True):
    job: JsonValue = None
    error: str = ""


def quoted_table(table: str) -> str:
    """Return the name of a table as SQL.

    Raises:
        InvalidInputError: It is not a name, or a schema and a name.
    """
    if _TABLE.fullmatch(table) is None:
        raise InvalidInputError("table", repr(table), "pass the name of a table, or schema.table")
    return ".".join(f'"{part}"' for part in table.split("."))


def rows_of(admin: StoreAdmin, table: str) -> Iterator[Sequence[PickledJob]]:
    """Iterate over the rows of a table, in pages, sorted by id.

    Raises:
        InvalidInputError: The name of the table is not a name.
        StoreConnectionError: There is no such table, or it has other columns.
    """
    after = ""
    sql = f"SELECT id, next_run_time, job_state FROM {quoted_table(table)} WHERE id > ? ORDER BY id LIMIT {_PAGE}"  # noqa: S608  # own names
    while True:
        page = [_job_of(admin, row) for row in admin.query(sql, after)]
        if page:
            yield page
            after = page[-1].id
        if len(page) < _PAGE:
            return


def _job_of(admin: StoreAdmin, row: Sequence[object]) -> PickledJob:
    job_id, next_run_time, pickled = row
    if not isinstance(job_id, str) or not isinstance(pickled, bytes):
        raise StoreConnectionError(admin.description, "the table has columns of other types than a job store")
    try:
        due = utc(next_run_time) if isinstance(next_run_time, int | float) else None
    except (OverflowError, ValueError, OSError):
        due = None
    is_valid = next_run_time is None or due is not None
    note = "" if is_valid else f"the next run time {shown(next_run_time)} is not a time: the task is paused"
    return PickledJob(job_id, due, pickled, note)


def read_jobs(jobs: Sequence[PickledJob]) -> Iterator[ReadJob]:
    """Read pickles in another process, which is started again if one of them ends it."""
    remaining = deque(jobs)
    while remaining:
        with contextlib.closing(_Reader(remaining)) as reader:
            while remaining and (answer := reader.next_answer()) is not None:
                job = remaining.popleft()
                yield ReadJob(job.id, job.next_run_time, answer.job, answer.error, job.note)
            if remaining:
                culprit = remaining.popleft()
                yield ReadJob(culprit.id, culprit.next_run_time, None, reader.reason(), culprit.note)


class _Reader:
    """Process that reads pickles. It has one answer in memory at a time, and so has this process.

    Args:
        jobs: Jobs with their pickles.
    """

    def __init__(self, jobs: Iterable[PickledJob]) -> None:
        # -I: neither the current folder nor variables of the environment add modules. The program imports nothing else.
        command = [sys.executable, "-I", "-S", str(_PROGRAM)]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # `close` closes it
        self._process = subprocess.Popen(  # noqa: S603  # the interpreter of this process
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, cwd=_PROGRAM.parent
        )
        self._timer = threading.Timer(_TIMEOUT, self._process.kill)
        # The process answers while it is still fed: without a thread, both would wait for the other to read.
        self._feeder = threading.Thread(target=self._feed, args=(tuple(jobs),), name="asyncz-pickles")
        for thread in (self._timer, self._feeder):
            thread.daemon = True
            thread.start()

    def next_answer(self) -> _Answer | None:
        """Return the next answer, or None if the process died."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline(MAX_ANSWER + 1)
        if not line.endswith(b"\n"):
            if len(line) > MAX_ANSWER:
                self._process.kill()
            return None
        try:
            return _Answer.model_validate_json(line)
        except ValidationError:
            return _Answer(error="its values cannot be passed on")

    def reason(self) -> str:
        """Return the reason why the process died."""
        status = self._process.wait()
        if status <= 0:
            # A signal, as by the limits.
            return DIED
        size = self._errors.seek(0, 2)
        _ = self._errors.seek(max(0, size - _LONGEST_ERROR))
        lines = self._errors.read().decode(errors="replace").splitlines()
        return (
            f"the process that read the pickle ended with the status {status}: {lines[-1] if lines else 'no message'}"
        )

    def close(self) -> None:
        """End the process. Idempotent."""
        self._timer.cancel()
        self._process.kill()
        _ = self._process.wait()
        self._feeder.join()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._errors.close()

    def _feed(self, jobs: Sequence[PickledJob]) -> None:
        assert self._process.stdin is not None
        # The process may die meanwhile; the rest is still in the buffer when the pipe is closed.
        with contextlib.suppress(OSError), self._process.stdin as pipe:
            pipe.writelines(base64.b64encode(job.pickle) + b"\n" for job in jobs)
