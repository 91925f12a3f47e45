"""Rows of a job store of APScheduler 3, read by a process of its own."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import attrs
from pydantic import BaseModel, JsonValue, ValidationError

from asyncz.clock import utc
from asyncz.exceptions import InvalidInputError
from asyncz.stores._admin import StoreAdmin
from asyncz.stores.exceptions import StoreConnectionError

_PROGRAM = Path(__file__).with_name("_pickles.py")
_TABLE = re.compile(r"[^\W\d][\w$]{0,62}(\.[^\W\d][\w$]{0,62})?")
_PAGE = 100
# Seconds for one page. Each pickle has its own limit of CPU time.
_TIMEOUT = 120.0
DIED = "the process that read the pickle died: it needed too much time or memory"


@attrs.frozen
class PickledJob:
    """A row of the table of jobs.

    Attributes:
        id: Id of the job.
        next_run_time: Next due time; None if the job is paused.
        pickle: Pickled state.
    """

    id: str
    next_run_time: datetime | None
    pickle: bytes


@attrs.frozen
class ReadJob:
    """A row whose pickle was read.

    Attributes:
        id: Id of the job.
        next_run_time: Next due time; None if the job is paused.
        state: State of the job as values of JSON, with a tag `$` for other types; None if it cannot be read.
        error: Reason why it cannot be read.
    """

    id: str
    next_run_time: datetime | None
    state: JsonValue
    error: str


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
    sql = f"SELECT id, next_run_time, job_state FROM {quoted_table(table)} WHERE id > ? ORDER BY id LIMIT {_PAGE}"  # noqa: S608
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
    return PickledJob(job_id, due, pickled)


def read_jobs(jobs: Sequence[PickledJob]) -> Iterator[ReadJob]:
    """Read pickles in another process, which is started again if one of them ends it."""
    remaining = list(jobs)
    while remaining:
        answers = _ask(remaining)
        for job, answer in zip(remaining, answers, strict=False):
            yield ReadJob(job.id, job.next_run_time, answer.job, answer.error)
        del remaining[: len(answers)]
        if remaining:
            culprit = remaining.pop(0)
            yield ReadJob(culprit.id, culprit.next_run_time, None, DIED)


def _ask(jobs: Sequence[PickledJob]) -> Sequence[_Answer]:
    """Return the answers of a new process until it died."""
    text = b"".join(base64.b64encode(job.pickle) + b"\n" for job in jobs)
    # -I: neither the current folder nor variables of the environment add modules. The program imports nothing else.
    command = [sys.executable, "-I", "-S", str(_PROGRAM)]
    try:
        result = subprocess.run(  # noqa: S603  # the interpreter of this process
            command, input=text, capture_output=True, check=False, timeout=_TIMEOUT, cwd=_PROGRAM.parent
        )
        output = result.stdout
    except subprocess.TimeoutExpired as error:
        output = error.stdout or b""
    answers: list[_Answer] = []
    # The last line is empty, or was not finished.
    for line in output.split(b"\n")[:-1]:
        try:
            answers.append(_Answer.model_validate_json(line))
        except ValidationError:
            answers.append(_Answer(error="its values cannot be passed on"))
    return answers[: len(jobs)]
