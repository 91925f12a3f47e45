"""Whether types are true where no checker looks: `python -m typecheck.stubs`.

Compares each stub under `stubs/` with the installed package, and the types of a package of one's own with what it is at
run time, both with mypy's `stubtest`. Everything that the package imports has to be typed: by itself (`py.typed`), by
a package of stubs, or by a stub of ours. A stub of ours for a package that is typed is rejected, since it would hide
the whole package.
"""

from __future__ import annotations

import argparse
import ast
import os
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, get_origin

import mypy

STUBS = Path(__file__).parent.parent / "stubs"
TYPESHED = Path(mypy.__file__).parent / "typeshed" / "stdlib"
MISUNDERSTOOD: Mapping[str, str] = {
    r"\.(__\w+_AttrsAttributes__|_AT|__slots__) is ": "mypy adds these to classes of attrs, and attrs the slots",
    r"\.__[lg][te]__ is inconsistent, stub parameter .other. should": "mypy takes classes of attrs for ordered",
    r" is not a (Union|type)$": "a union of literals is a `Literal` at run time, and a new type a function",
    r" is not a (recognised type alias|type alias for Callable)$": "an alias of one literal, or with type variables",
    r"\.<callable subtype of object>\d* is not present": "mypy makes this type up after `callable()`",
    r" is inconsistent, (runtime does not have \*\*?(args|kwargs)|stub does not have) parameter": "`functools.cache`",
    r"\.Ts is an unknown mypy node$": "stubtest knows no TypeVarTuple",
    r"\.test_\w+ is inconsistent, (stub|runtime) .*(__arg0|self|suite)": "a decorator of checks has no parameter names",
    r"\.__pydantic_serializer__ ": "pydantic builds models on first use; a stand-in is of another class",
    r" variable differs from runtime type ": "the declared type is wider: members of enums, functions, tuples",
    r", runtime parameter \"\w+\" has a default value of type None": "implementations of overloads have more defaults",
    r"\.WorkerEnds is not present": "an alias that only type checkers see",
}
"""Differences that stubtest reports in asyncz and that are none, by a pattern of the report, with the reason."""


def folders_of(module: str) -> list[Path]:
    """Where a package is installed, and those that hold it; empty for a single file, or where it is not installed."""
    parts = module.split(".")
    found: list[Path] = []
    for depth in range(1, len(parts) + 1):
        try:
            spec = find_spec(".".join(parts[:depth]))
        except ModuleNotFoundError:
            break
        if spec is None or spec.submodule_search_locations is None:
            break
        found.extend(Path(folder) for folder in spec.submodule_search_locations)
    return found


def is_typed(module: str) -> bool:
    """Whether an installed package says that it has types."""
    return any((folder / "py.typed").exists() for folder in folders_of(module))


def source_of_types(module: str, stubs: Path) -> str | None:
    """Where checkers find the types of a module that is imported; None if nowhere."""
    top = module.partition(".")[0]
    if (stubs / top).is_dir():
        return "a stub of ours"
    if any((Path(entry) / f"{top}-stubs").is_dir() for entry in sys.path):
        return "a package of stubs"
    if is_typed(module):
        return "py.typed"
    if (TYPESHED / f"{top}.pyi").exists() or (TYPESHED / top).is_dir():
        return "every checker"
    return None


def imports_of(package: str) -> dict[str, Path]:
    """The modules of other packages that a package imports, each with a file that does."""
    found: dict[str, Path] = {}
    for folder in folders_of(package):
        for file in sorted(folder.rglob("*.py")):
            for module in _imported_by(ast.parse(file.read_text())):
                top = module.partition(".")[0]
                if top != package and top not in sys.stdlib_module_names:
                    found.setdefault(module, file)
    return found


def _imported_by(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
            yield node.module


def stubtest(module: str, stubs: Path, *options: str) -> list[str]:
    """What `stubtest` finds in a module, whose stub may lie in `stubs`."""
    command = [sys.executable, "-m", "mypy.stubtest", module, "--concise", "--ignore-missing-stub", *options]
    environment = {**os.environ, "MYPYPATH": str(stubs)}
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if result.returncode == 0:
        return []
    return (result.stdout + result.stderr).splitlines() or [f"stubtest ended with {result.returncode}"]


def faults_of_types(package: str, stubs: Path) -> list[str]:
    """Return how the types of a package differ from run time, apart from `MISUNDERSTOOD`."""
    used: set[str] = set()
    faults: list[str] = []
    for line in stubtest(package, stubs):
        known = [pattern for pattern in MISUNDERSTOOD if re.search(pattern, line)]
        used.update(known)
        if not known and not _is_of_annotated_type(line.partition(" ")[0]):
            faults.append(line)
    # Other packages have few of the differences.
    unused = set(MISUNDERSTOOD) - used if package == "asyncz" else set[str]()
    return faults + [f"{package}: stubtest reports no {pattern!r} any more; remove it" for pattern in sorted(unused)]


def _is_of_annotated_type(name: str) -> bool:
    """Return True for an alias such as `Annotated[int, Gt(0)]`, whose members stubtest takes for those of `int`."""
    parts = name.split(".")
    for end in range(2, len(parts) + 1):
        try:
            found: object = pkgutil.resolve_name(".".join(parts[:end]))
        except (AttributeError, ImportError, ValueError):
            # Not a member: `error: ...`, or the place of an error of mypy.
            break
        if get_origin(found) is Annotated:
            return True
    return False


def faults_of_stub(folder: Path) -> list[str]:
    """What is wrong with one of our stubs."""
    name = folder.name
    if find_spec(name) is None:
        return [f"stubs/{name}: the package is not installed, so the stub cannot be compared with it"]
    if is_typed(name):
        return [f"stubs/{name}: the package has py.typed, and the stub would hide all of it; remove the stub"]
    allowlist = folder / "allowlist.txt"
    return stubtest(name, folder.parent, *(("--allowlist", str(allowlist)) if allowlist.exists() else ()))


def faults_of_imports(package: str, stubs: Path) -> list[str]:
    """Which imports of a package have no types."""
    faults: list[str] = []
    for module, file in imports_of(package).items():
        source = source_of_types(module, stubs)
        print(f"{package} imports {module}: types from {source or 'nowhere'}")
        if source is None:
            faults.append(
                f"{file}: imports {module}, which has no types here; install it if it is not installed, else install "
                f"its package of stubs or write stubs/{module.partition('.')[0]}"
            )
    return faults


def main(arguments: list[str]) -> int:
    """Look at everything, and print what was looked at and what is wrong.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(prog="python -m typecheck.stubs")
    parser.add_argument("package", nargs="?", default="asyncz", help="the package whose types and imports are checked")
    parser.add_argument("--stubs", type=Path, default=STUBS, help="the folder of stubs of our own")
    options = parser.parse_args(arguments)
    folders = sorted(folder for folder in options.stubs.iterdir() if folder.is_dir())
    faults: list[str] = []
    for folder in folders:
        found = faults_of_stub(folder)
        print(f"stubs/{folder.name}: {len(found) or 'no'} faults")
        faults += found
    faults += faults_of_imports(options.package, options.stubs)
    found = faults_of_types(options.package, options.stubs)
    print(f"{options.package} at run time: {len(found) or 'no'} faults")
    faults += found
    print(*faults, sep="\n", end="\n" if faults else "")
    print(f"{len(folders)} stubs, {len(imports_of(options.package))} imported modules, {len(faults)} faults")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
