"""Mutations that the matrix has to notice: `python -m typecheck.mutations [--checkers ty] [--only text] [--sample 20]`.

Each mutation, generated from the public signatures, widens one annotation to `object` or drops one re-export in a copy
of the library. At least one line of `accept/`, `reject/` or `conformance.py` must then be judged differently. Messages
about the library itself do not count. A mutation that no checker notices is a survivor: either these files miss a
case, or `SURVIVORS` gives the reason.
"""

from __future__ import annotations

import argparse
import ast
import shutil
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple, TypeAlias

from typecheck.runner import CHECKERS, PROJECT, Checker, check

SURVIVORS: Mapping[str, str] = {
    "asyncz.config.models.*": "users write configuration as TOML or mappings; only asyncz reads the models",
    "asyncz.config.models:*": "users write configuration as TOML or mappings; only asyncz reads the models",
    "asyncz.config:Initializer": "only `asyncz.config.options` needs this name; the subpackage repeats it",
    "asyncz.config:*Alias": "only `asyncz` itself documents this name; the subpackage repeats it",
    "asyncz.config.options.*": "the files misuse a few keys of each TypedDict, not every key",
    "asyncz.tasks.Task.__init__(*": "only a scheduler makes tasks",
    "asyncz.runs.TaskRun.__init__(*": "only a scheduler makes runs",
    "asyncz.runs.TaskRun.shared_outcome()": "the type is not public; only a scheduler reads it",
    "asyncz.runs.RunHandle.__init__(*": "only a scheduler makes handles of runs",
    "asyncz.specs.TaskSpec.__init__(*": "only a scheduler makes specifications",
    "asyncz.calls.*.__init__(*": "only a scheduler makes calls and decorators",
    "asyncz.schedulers.subscriptions.Subscription.__init__(*": "only a scheduler makes subscriptions",
    "asyncz.schedulers.thread.SchedulerThread.__init__(*": "only a scheduler makes its thread",
    "asyncz.calls.TaskFunction.__get__[[]*](*": "the interpreter passes the instance and its class",
    "asyncz.calls.BoundCall.add[[]1](*": "a call that selects this overload is rejected anyway, as deprecated",
    "asyncz.calls.TaskFunction.schedule[[]1](*": "a call that selects this overload is rejected anyway, as deprecated",
    "asyncz.*.__*exit__(exc_type)": "the interpreter passes the exception",
    "asyncz.*.__enter__()": "raises an error that shows `async with`",
    "asyncz.schedulers.asgi.AppWithScheduler.__call__(*": "an ASGI server passes the arguments",
    "asyncz.dashboard.app.DashboardApp.__call__(*": "an ASGI server passes the arguments",
    "asyncz.dashboard.app.DashboardApp.__init__(*": "each dashboard has a constructor of its own",
    "asyncz.executors.*Executor.start(*": "schedulers call it through the protocol `Executor`",
    "asyncz.executors.*Executor.shutdown(*": "schedulers call it through the protocol `Executor`",
    "asyncz.executors.*Executor.cancel_run(*": "`BaseExecutor` calls it",
    "asyncz.executors.*Executor.submit_run(*": "`BaseExecutor` calls it",
    "asyncz.executors.*Executor.release(*": "`BaseExecutor` calls it",
    "asyncz.executors.*Executor.waits_in_queue(*": "`BaseExecutor` calls it",
    "asyncz.executors.*Executor.check_call(*": "schedulers call it through the protocol `SupportsCheckCall`",
    "asyncz.schedulers.tasks.TaskScheduler.__init__(*": "`AsyncIOScheduler` has a constructor of its own",
    "asyncz.schedulers.batches.*Batch.__init__(*": "only a scheduler makes batches",
    "asyncz.tasks.DownstreamCall.__init__(*": "only a task makes its downstream calls",
    "asyncz.executors.pool.*.__init__(*": "each pool has a constructor of its own",
    "asyncz.triggers.base.JitteredTrigger.__init__(*": "each trigger has a constructor of its own",
    "asyncz.triggers.base.CombinedTrigger.__init__(*": "each trigger has a constructor of its own",
    "asyncz.otel.Instrumentation.*": "only `instrument` makes it, and schedulers call it",
    "asyncz.testing.*.__test__": "pytest reads it",
}
"""Reasons for mutations that no checker notices, by a pattern of their names."""

_PRIVATE_FOLDERS = ("cli",)
"""Folders without a typed interface: a terminal is their only user."""

_DIRECT_MODULES = ("asyncz.otel", "asyncz.prometheus")
"""Public modules whose names no package re-exports."""

_KNOWN_OF_OBJECT = frozenset(dir(object)) - {"__init__", "__new__"}
"""Methods that checkers know from `object`, whatever a subclass declares."""

_Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


class Mutation(NamedTuple):
    """A replacement of one piece of source.

    Attributes:
        name: The qualified name of the annotation or re-export.
        file: The module, relative to the project.
        start: First line and column, in bytes, as `ast` counts them.
        end: Last line and column.
        replacement: The new text.
    """

    name: str
    file: str
    start: tuple[int, int]
    end: tuple[int, int]
    replacement: str

    def apply(self, project: Path) -> None:
        """Mutate the module below a project folder."""
        file = project / self.file
        lines = file.read_bytes().splitlines(keepends=True)
        head = b"".join(lines[: self.start[0] - 1]) + lines[self.start[0] - 1][: self.start[1]]
        tail = lines[self.end[0] - 1][self.end[1] :] + b"".join(lines[self.end[0] :])
        file.write_bytes(head + self.replacement.encode() + tail)

    def survivor_reason(self) -> str | None:
        """Return why no checker can notice the mutation, if `SURVIVORS` explains it."""
        return next((reason for pattern, reason in SURVIVORS.items() if fnmatchcase(self.name, pattern)), None)


def mutations_of(project: Path) -> list[Mutation]:
    """Return every mutation of the public signatures of the package in a project folder."""
    trees = {
        file.relative_to(project).as_posix(): ast.parse(file.read_bytes())
        for file in sorted((project / "asyncz").rglob("*.py"))
        if not set(_PRIVATE_FOLDERS) & set(file.parts)
    }
    reexported = {
        (imported.module, alias.name)
        for file, tree in trees.items()
        if file.endswith("/__init__.py") and not _is_private(file)
        for imported, alias in _reexports(tree)
    }
    direct = {
        (_module_of(file), name)
        for file, tree in trees.items()
        if _module_of(file) in _DIRECT_MODULES
        for name in _names_of(tree)
        if not name.startswith("_")
    }
    public_names = _with_bases(reexported | direct, {_module_of(file): tree for file, tree in trees.items()})
    found: list[Mutation] = []
    for file, tree in trees.items():
        module = _module_of(file)
        public = {name for name in _names_of(tree) if (module, name) in public_names}
        for name, node in _annotations(tree, public):
            if ast.unparse(node) not in {"object", "None", "Self"}:
                found.append(_replace(f"{module}.{name}", file, node, "object"))
        if file.endswith("__init__.py"):
            found += [_drop(file, module, alias) for _, alias in _reexports(tree)]
    return found


def _module_of(file: str) -> str:
    return file.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def _is_private(file: str) -> bool:
    return any(part.startswith("_") and part != "__init__" for part in Path(file).with_suffix("").parts)


def _reexports(tree: ast.Module) -> Iterator[tuple[ast.ImportFrom, ast.alias]]:
    """Yield `from module import name as name`, at any depth."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from ((node, alias) for alias in node.names if alias.asname == alias.name)


def _with_bases(names: Set[tuple[str | None, str]], trees: Mapping[str, ast.Module]) -> Set[tuple[str | None, str]]:
    """Add the base classes of the package, whose members a public class inherits."""
    found, missing = set(names), list(names)
    while missing:
        module, name = missing.pop()
        tree = trees.get(module or "", ast.Module([], []))
        imported = {
            alias.asname or alias.name: (node.module, alias.name)
            for node in tree.body
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        bases = [
            base for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name for base in node.bases
        ]
        for base in map(_name_of_base, bases):
            place = imported.get(base, (module, base))
            if place not in found:
                found.add(place)
                missing.append(place)
    return found


def _name_of_base(base: ast.expr) -> str:
    return ast.unparse(base.value if isinstance(base, ast.Subscript) else base)


def _names_of(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name
            case _:
                pass


def _annotations(tree: ast.Module, public: set[str]) -> Iterator[tuple[str, ast.expr]]:
    """Yield the annotations of public names, each with its name in the module."""
    for node in tree.body:
        match node:
            case ast.AnnAssign(
                target=ast.Name(id=name), annotation=ast.Name(id="TypeAlias"), value=ast.expr() as value
            ):
                if name in public:
                    yield name, value
            case _:
                yield from _annotations_of(node, "", lambda name: name in public, tree.body)


def _annotations_of(
    node: ast.stmt, prefix: str, is_public: Callable[[str], bool], siblings: Sequence[ast.stmt]
) -> Iterator[tuple[str, ast.expr]]:
    """Yield the annotations of a statement, and of those below it if it is a public class."""
    match node:
        case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation) if is_public(name):
            yield prefix + name, annotation
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) if is_public(name):
            if not _implements_overloads(node, siblings):
                yield from _annotations_in_signature(node, f"{prefix}{name}{_overload_number(node, siblings)}")
        case ast.ClassDef(name=name, body=body) if is_public(name):
            for child in body:
                yield from _annotations_of(child, f"{prefix}{name}.", _is_public_member, body)
        case ast.If(body=body):
            for child in body:
                yield from _annotations_of(child, prefix, is_public, body)
        case _:
            pass


def _is_public_member(name: str) -> bool:
    is_dunder = name.startswith("__") and name.endswith("__")
    return not name.startswith("_") or (is_dunder and name not in _KNOWN_OF_OBJECT)


def _overloads_of(name: str, siblings: Sequence[ast.stmt]) -> list[_Function]:
    return [
        each
        for each in siblings
        if isinstance(each, _Function) and each.name == name and any(map(_is_overload, each.decorator_list))
    ]


def _is_overload(decorator: ast.expr) -> bool:
    return ast.unparse(decorator) == "overload"


def _implements_overloads(node: _Function, siblings: Sequence[ast.stmt]) -> bool:
    overloads = _overloads_of(node.name, siblings)
    return bool(overloads) and node not in overloads


def _overload_number(node: _Function, siblings: Sequence[ast.stmt]) -> str:
    overloads = _overloads_of(node.name, siblings)
    return f"[{overloads.index(node)}]" if node in overloads else ""


def _annotations_in_signature(node: _Function, name: str) -> Iterator[tuple[str, ast.expr]]:
    given = node.args
    for argument in (*given.posonlyargs, *given.args, given.vararg, *given.kwonlyargs, given.kwarg):
        if argument is not None and argument.annotation is not None:
            yield f"{name}({argument.arg})", argument.annotation
    if node.returns is not None:
        yield f"{name}()", node.returns


def _replace(name: str, file: str, node: ast.expr | ast.alias, replacement: str) -> Mutation:
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    start, end = (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)
    return Mutation(name, file, start, end, replacement)


def _drop(file: str, module: str, alias: ast.alias) -> Mutation:
    return _replace(f"{module}:{alias.name}", file, alias, f"{alias.name} as _")


@contextmanager
def copied_project(*folders: str) -> Generator[Path]:
    """Copy folders of the project, and its configuration, into a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder).resolve()
        for name in folders:
            shutil.copytree(PROJECT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(PROJECT / "pyproject.toml", copy)
        yield copy


def sample_of(mutations: Sequence[Mutation], size: int) -> list[Mutation]:
    """Return so many mutations, evenly spread over the package."""
    count = min(size, len(mutations))
    return [mutations[number * len(mutations) // count] for number in range(count)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the mutations and print the survivors.

    Returns:
        The exit status: 0 if enough of those that are not explained were noticed by a checker.
    """
    parser = argparse.ArgumentParser(prog="python -m typecheck.mutations", description=__doc__)
    parser.add_argument(
        "--checkers", default=",".join(CHECKERS), help="checkers to ask, in this order, until one notices; default: all"
    )
    parser.add_argument("--only", default="", help="run mutations whose name contains this text")
    parser.add_argument("--sample", type=int, default=sys.maxsize, help="number of mutations, evenly spread")
    parser.add_argument("--floor", type=float, default=100, help="percentage that must be noticed; default: 100")
    parser.add_argument("--list", action="store_true", help="print the names only")
    parser.add_argument("--verbose", action="store_true", help="print each mutation, not only survivors")
    options = parser.parse_args(arguments)
    names: list[str] = options.checkers.split(",")
    chosen = sample_of([each for each in mutations_of(PROJECT) if options.only in each.name], options.sample)
    if not chosen:
        parser.error(f"no mutation contains {options.only!r}")
    if options.list:
        print(*(each.name for each in chosen), sep="\n")
        return 0
    return _run(chosen, names, floor=options.floor, verbose=options.verbose)


def _run(mutations: Sequence[Mutation], names: Sequence[str], *, floor: float, verbose: bool) -> int:
    checkers = {name: CHECKERS[name] for name in names}
    explained, unexplained, failures = 0, 0, 0
    with copied_project("asyncz", "typecheck", "stubs") as project:
        if not all(report.agrees for report in check(project, checkers).values()):
            print("python -m typecheck fails without a mutation")
            return 1
        for mutation in mutations:
            original = (project / mutation.file).read_bytes()
            mutation.apply(project)
            noticed_by, broken = _first_to_notice(project, checkers)
            (project / mutation.file).write_bytes(original)
            reason = mutation.survivor_reason()
            failures += bool(broken)
            explained += noticed_by is None and reason is not None
            unexplained += noticed_by is None and reason is None
            if broken or noticed_by is None or verbose:
                verdict = noticed_by or (f"survives: {reason}" if reason else "SURVIVES")
                print(f"{mutation.name}: {verdict}", *broken, flush=True)
    total = len(mutations)
    print(f"{total} mutations: {total - explained - unexplained} noticed, {explained} explained, {unexplained} survive")
    share = 100 * (1 - unexplained / max(total - explained, 1))
    return 1 if failures or share < floor else 0


def _first_to_notice(project: Path, checkers: Mapping[str, Checker]) -> tuple[str | None, list[str]]:
    """Return the first checker that judges a line differently, and why those before it gave no answer."""
    failures: list[str] = []
    for name, checker in checkers.items():
        report = check(project, {name: checker})[name]
        if report.wrong:
            return name, failures
        failures += [report.failure] if report.failure else []
    return None, failures


if __name__ == "__main__":
    sys.exit(main())
