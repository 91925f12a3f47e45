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
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import mypy

STUBS = Path(__file__).parent.parent / "stubs"
TYPESHED = Path(mypy.__file__).parent / "typeshed" / "stdlib"
ALLOWLIST = Path(__file__).with_name("stubtest_allowlist.txt")
"""What `stubtest` does not understand in asyncz, each with its reason."""


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
    parser.add_argument("--allowlist", type=Path, help="what stubtest does not understand in the package")
    options = parser.parse_args(arguments)
    allowlist = options.allowlist or (ALLOWLIST if options.package == "asyncz" else None)
    folders = sorted(folder for folder in options.stubs.iterdir() if folder.is_dir())
    faults: list[str] = []
    for folder in folders:
        found = faults_of_stub(folder)
        print(f"stubs/{folder.name}: {len(found) or 'no'} faults")
        faults += found
    faults += faults_of_imports(options.package, options.stubs)
    found = stubtest(options.package, options.stubs, *(("--allowlist", str(allowlist)) if allowlist else ()))
    print(f"{options.package} at run time: {len(found) or 'no'} faults")
    faults += found
    print(*faults, sep="\n", end="\n" if faults else "")
    print(f"{len(folders)} stubs, {len(imports_of(options.package))} imported modules, {len(faults)} faults")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
