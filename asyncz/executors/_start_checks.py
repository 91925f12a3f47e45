"""Checks of the program before it starts worker processes."""

from __future__ import annotations

import multiprocessing.process
import multiprocessing.spawn
import os
import sys

from asyncz.exceptions import WorkerStartError
from asyncz.executors._remote_call import safe_repr


def check_process_start() -> None:
    """Raise an error if this program cannot start processes that import its main module.

    Raises:
        RuntimeError: This process is itself such a process, and imports the main module: the program starts its
            scheduler without `if __name__ == "__main__":`.
        WorkerStartError: The main module or the working directory is missing.
    """
    try:
        multiprocessing.spawn.get_preparation_data("asyncz")
    except RuntimeError:
        raise
    except Exception as error:
        raise start_error(error) from error


def start_error(error: BaseException) -> WorkerStartError:
    """Return the error of a worker process that could not be started."""
    failure = WorkerStartError("could not start", hint=f"{_missing() or safe_repr(error)}")
    failure.__cause__ = error
    return failure


def _missing() -> str:
    """Return the reason why the system cannot start a process, as far as it is known."""
    if "__main__" not in sys.modules:
        return "sys.modules has no '__main__', which worker processes import: do not remove it"
    try:
        os.getcwd()  # noqa: PTH109  # the question is if there is one
    except OSError:
        return "the working directory does not exist any more: change to another one with os.chdir()"
    return ""


def is_program_file(path: str) -> bool:
    """Return True if the path of a main module is that of a file, which worker processes can import."""
    # A relative path counts from the folder in which the program was started.
    start: str | None = getattr(multiprocessing.process, "ORIGINAL_DIR", None)
    return os.path.exists(os.path.join(start or "", path))  # noqa: PTH110, PTH118  # not always a path


def is_main_importable() -> bool:
    """Return False if the main module is not a file: an interactive session, `python -` or `python -c`."""
    path: object = getattr(sys.modules.get("__main__"), "__file__", None)
    return isinstance(path, str) and is_program_file(path)
