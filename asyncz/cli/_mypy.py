"""Check of the class of an executor, trigger or store with mypy."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, TypeAlias

import attrs

TypesVerdict: TypeAlias = Literal["kept", "broken", "not checked"]

_PROGRAM = "asyncz_verified_types"
_OPTIONS = (
    "--strict",
    "--follow-imports=silent",
    "--config-file=",
    "--no-error-summary",
    "--no-pretty",
    "--hide-error-context",
    "--show-absolute-path",
)


@attrs.frozen
class TypesReport:
    """Result of mypy for the class of an executor, trigger or store.

    Attributes:
        verdict: `kept` if the class satisfies its protocol and has no type errors.
        protocol: The protocol, as a program writes it.
        message: The errors in the class, or the reason why it was not checked.
        module_errors: Errors elsewhere in the module of the class.
    """

    verdict: TypesVerdict
    protocol: str
    message: str = ""
    module_errors: tuple[str, ...] = ()


def check_types(cls: type[object], protocol: str, method: str, annotation: str) -> TypesReport:
    """Check with `mypy --strict` that a class satisfies a protocol, and that its own code has no type errors.

    Args:
        cls: The class.
        protocol: The protocol, as a program writes it.
        method: A method that needs annotated parameters: mypy checks nothing in a method without annotations.
        annotation: The name that must occur in the annotations of the method.
    """
    if find_spec("mypy") is None:
        return TypesReport("not checked", protocol, "mypy is not installed")
    if "<locals>" in cls.__qualname__:
        return TypesReport("not checked", protocol, f"{cls.__qualname__} is a local class")
    own, others = _mypy_errors(cls, protocol)
    if not any(annotation in f"{each}" for each in _annotations(getattr(cls, method, None))):
        own.append(f"the parameters of `{method}` are not annotated with {annotation}: mypy checks nothing there")
    return TypesReport("broken" if own else "kept", protocol, "\n".join(own), tuple(others))


def _annotations(method: object) -> list[object]:
    return list(inspect.get_annotations(method).values()) if callable(method) else []


def _mypy_errors(cls: type[object], protocol: str) -> tuple[list[str], list[str]]:
    """Return the errors that concern the class, and the other errors of its module."""
    with tempfile.TemporaryDirectory(prefix="asyncz-") as folder:
        program = Path(folder) / f"{_PROGRAM}.py"
        program.write_text(
            f"import asyncz\nimport asyncz.stores\nimport {cls.__module__}\n\n\n"
            f"def verified(value: {cls.__module__}.{cls.__qualname__}) -> asyncz.{protocol}:\n"
            "    return value\n"
        )
        modules = ["-m", _PROGRAM, *(["-m", cls.__module__] if _is_own_module(cls) else [])]
        # Not the cache of the project, because the options differ.
        cache = os.environ.get("MYPY_CACHE_DIR") or f"{folder}/cache"
        command = [sys.executable, "-m", "mypy", *_OPTIONS, "--cache-dir", cache, *modules]
        environment = {**os.environ, "MYPYPATH": os.pathsep.join((folder, str(Path.cwd())))}
        result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)  # noqa: S603  # mypy of this environment
        lines = [line.replace(f"{program}:", "protocol, line ") for line in result.stdout.splitlines()]
    if result.returncode not in {0, 1}:
        return [*lines, *result.stderr.splitlines()], []
    own = [line for line in lines if _is_about(cls, line)]
    return own, [line for line in lines if line not in own and ": error: " in line]


def _is_own_module(cls: type[object]) -> bool:
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    return bool(file) and Path(str(file)).is_relative_to(Path.cwd()) and "site-packages" not in str(file)


def _is_about(cls: type[object], line: str) -> bool:
    """Return True if a line of mypy's output is about the protocol, or about the source lines of a class."""
    if line.startswith("protocol, line "):
        return True
    found = re.match(r".+?:(\d+): error: ", line)
    try:
        source, first = inspect.getsourcelines(cls)
    except (OSError, TypeError):
        return False
    # The file is not compared: except for the protocol, mypy reports errors in the module of the class only.
    return found is not None and first <= int(found.group(1)) < first + len(source)
