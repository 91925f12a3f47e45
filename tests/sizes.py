"""Sizes of modules, classes and functions: `python -m tests.sizes [folder]`.

Code lines are the lines of a body with code: without blank lines, comments and docstrings. A function that only
declares (an overload, a member of a protocol, an abstract method) is left out.
"""

from __future__ import annotations

import argparse
import ast
import io
import statistics
import sys
import tokenize
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

PACKAGE = Path(__file__).resolve().parent.parent / "asyncz"

MAX_MODULE_LINES = 700
MAX_CLASS_METHODS = 40
MAX_FUNCTION_P90 = 15

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef

_NO_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


class Sizes(NamedTuple):
    """Sizes in a package by qualified name: lines of modules, methods of classes, code lines of functions."""

    modules: Mapping[str, int]
    classes: Mapping[str, int]
    functions: Mapping[str, int]

    def function_p90(self) -> float:
        """Return the 90th percentile of the code lines of functions."""
        return _p90(self.functions.values())

    def violations(self) -> list[str]:
        """Return a sentence per limit that is exceeded."""
        found = [
            f"{name}: {lines} lines; the limit is {MAX_MODULE_LINES}"
            for name, lines in self.modules.items()
            if lines > MAX_MODULE_LINES
        ]
        found += [
            f"{name}: {methods} methods; the limit is {MAX_CLASS_METHODS}"
            for name, methods in self.classes.items()
            if methods > MAX_CLASS_METHODS
        ]
        if (p90 := self.function_p90()) > MAX_FUNCTION_P90:
            found.append(f"90th percentile of function length: {p90:.1f} code lines; the limit is {MAX_FUNCTION_P90}")
        return found


def _p90(values: Collection[int]) -> float:
    return statistics.quantiles([0, *values], n=10, method="inclusive")[8]


def measure(package: Path) -> Sizes:
    """Return the sizes of a package."""
    modules, classes, functions = dict[str, int](), dict[str, int](), dict[str, int]()
    for file in sorted(package.rglob("*.py")):
        source = file.read_text()
        tree = ast.parse(source)
        module = ".".join(file.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__")
        modules[module] = len(source.splitlines())
        code_lines = _code_lines(source, tree)
        for name, node in _definitions(tree, f"{module}:"):
            if isinstance(node, ast.ClassDef):
                classes[name] = len({each.name for each in node.body if isinstance(each, Function)})
            elif not _only_declares(node):
                functions[name] = sum(node.body[0].lineno <= line <= (node.end_lineno or 0) for line in code_lines)
    return Sizes(modules, classes, functions)


def _code_lines(source: str, tree: ast.Module) -> set[int]:
    """Return the numbers of the lines that hold code."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant(value=str()), lineno=first, end_lineno=int() as last):
                lines.difference_update(range(first, last + 1))
            case _:
                pass
    return lines


def _definitions(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.ClassDef | Function]]:
    """Yield classes and functions below a node, each with its qualified name."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield prefix + child.name, child
            yield from _definitions(child, f"{prefix}{child.name}.")
        else:
            yield from _definitions(child, prefix)


def _only_declares(node: Function) -> bool:
    match node.body[-1]:
        case ast.Expr(value=ast.Constant()) | ast.Pass():
            return len(node.body) <= 2
        case ast.Raise(exc=ast.Name(id="NotImplementedError") | ast.Call(func=ast.Name(id="NotImplementedError"))):
            return len(node.body) <= 2
        case _:
            return False


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the largest of each kind and return 1 if a limit is exceeded."""
    parser = argparse.ArgumentParser(prog="python -m tests.sizes", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=PACKAGE, help="a package; default: asyncz")
    parser.add_argument("--top", type=int, default=8, help="rows per kind; default: 8")
    options = parser.parse_args(arguments)
    folder: Path = options.folder.resolve()
    sizes = measure(folder)
    kinds = {"lines of modules": sizes.modules, "methods of classes": sizes.classes, "code lines": sizes.functions}
    for kind, values in kinds.items():
        ordered = sorted(values.values())
        summary = f"median {statistics.median(ordered):g}, 90 % {_p90(ordered):g}, max {ordered[-1]}"
        print(f"{kind}: {len(ordered)}, {summary}")
        for name in sorted(values, key=values.__getitem__, reverse=True)[: options.top]:
            print(f"  {values[name]:5} {name}")
    violations = sizes.violations()
    print(*violations, sep="\n")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
