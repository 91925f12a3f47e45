"""No `Any` in what is public: `python -m typecheck.public_any [package]`.

Looks at each name and each member that a package declares itself, as mypy understands them, so that an `Any` counts
which nobody wrote too: an argument without a type, a generic without its parameters. It counts where it is declared,
and not once more wherever that is used or inherited.
"""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Iterable, Iterator
from importlib.util import find_spec

from mypy.build import build
from mypy.modulefinder import BuildSource
from mypy.nodes import (
    Decorator,
    FuncDef,
    MypyFile,
    OverloadedFuncDef,
    SymbolNode,
    TypeAlias,
    TypeInfo,
    TypeVarExpr,
    TypeVarLikeExpr,
    Var,
)
from mypy.options import Options
from mypy.types import (
    AnyType,
    ParamSpecType,
    Type,
    TypeOfAny,
    TypeQuery,
    TypeVarLikeType,
    TypeVarTupleType,
    TypeVarType,
)
from typing_extensions import override

EXPLAINED = {
    "asyncz.config.options.Initializer": (
        "what it takes is in `initargs`; ty knows no TypedDict that could say so (0.0.107)"
    ),
}
"""The public names with an `Any`, each with the reason why it has to be there."""


class UnreadablePackageError(Exception):
    """A package cannot be read whole: what is not read must not look as if it were clean."""


class _WrittenAny(TypeQuery[bool]):
    """Whether a type has an `Any` in what was written for it, and not in what the names there stand for.

    Args:
        special: Count an `Any` of a special form: in an alias it is what was written, elsewhere what mypy puts in
            place of a `self` without a type, or of what a coroutine function yields.
    """

    def __init__(self, *, special: bool) -> None:
        super().__init__()
        self._special = special
        self.skip_alias_target = True

    @override
    def strategy(self, items: Iterable[bool], /) -> bool:
        return any(items)

    @override
    def visit_any(self, t: AnyType, /) -> bool:
        return self._special or t.type_of_any != TypeOfAny.special_form

    @override
    def visit_type_var(self, t: TypeVarType, /) -> bool:
        return self.query_types([t.upper_bound, *self._default_of(t), *t.values])

    @override
    def visit_type_var_tuple(self, t: TypeVarTupleType, /) -> bool:
        return self.query_types([t.upper_bound, *self._default_of(t)])

    @override
    def visit_param_spec(self, t: ParamSpecType, /) -> bool:
        return self.query_types([t.upper_bound, *self._default_of(t), t.prefix])

    @staticmethod
    def _default_of(variable: TypeVarLikeType) -> list[Type]:
        # Where there is no default mypy keeps an `Any` in its place.
        return [variable.default] if variable.has_default() else []


def _signatures(node: SymbolNode) -> list[Type | None]:
    """The types that were declared for a name."""
    match node:
        case FuncDef() | Var():
            return [node.type]
        case Decorator():
            return [node.var.type]
        case OverloadedFuncDef():  # a property with a setter too
            return [written for item in node.items for written in _signatures(item)]
        case TypeAlias():
            return [node.target]
        case TypeVarExpr():
            return [node.upper_bound, *node.values]
        case TypeInfo():
            return list(node.bases)
        case TypeVarLikeExpr():
            return []
        case _:
            raise UnreadablePackageError(f"{node.fullname} is of a kind that is not known here: {type(node).__name__}")


def _has_any(node: SymbolNode) -> bool:
    return any(_holds_any(written, special=isinstance(node, TypeAlias)) for written in _signatures(node))


def _holds_any(written: Type | None, *, special: bool = False) -> bool:
    return written is None or written.accept(_WrittenAny(special=special))


def _is_public(name: str) -> bool:
    return not name.startswith("_") or (name.startswith("__") and name.endswith("__"))


def _public_modules(package: str) -> list[BuildSource]:
    spec = find_spec(package)
    if spec is None or spec.origin is None or spec.submodule_search_locations is None:
        raise UnreadablePackageError(f"there is no package {package!r}")
    sources = [BuildSource(spec.origin, package, None)]
    for module in pkgutil.walk_packages(spec.submodule_search_locations, f"{package}."):
        if not any(part.startswith("_") for part in module.name.split(".")):
            found = find_spec(module.name)
            assert found is not None
            sources.append(BuildSource(found.origin, module.name, None))
    return sources


def _members(info: TypeInfo, package: str) -> Iterator[tuple[str, bool]]:
    """What a class declares itself, or has from a class of the same package, and whether that has an `Any`."""
    for owner in info.mro:
        if owner.module_name.partition(".")[0] != package:
            continue
        if owner.typeddict_type is not None:
            for name, item in owner.typeddict_type.items.items():
                yield f"{owner.fullname}.{name}", _holds_any(item)
        for name, symbol in owner.names.items():
            # What a plugin adds is made of the fields, which are looked at.
            if _is_public(name) and symbol.node is not None and not symbol.plugin_generated:
                implicit = isinstance(symbol.node, Var) and name.startswith("__")
                if not implicit and not isinstance(symbol.node, TypeVarLikeExpr):
                    yield f"{owner.fullname}.{name}", _has_any(symbol.node)


def _declared_in(package: str, module: MypyFile) -> Iterator[SymbolNode]:
    for name, symbol in module.names.items():
        node = symbol.node
        if node is None or isinstance(node, MypyFile) or not symbol.module_public or name.startswith("_"):
            continue
        if node.fullname.partition(".")[0] == package:
            yield node


def public_symbols(package: str) -> dict[str, bool]:
    """The public names and members of a package, and whether each has an `Any`.

    Raises:
        UnreadablePackageError: There is no such package, or mypy cannot read it.
    """
    options = Options()
    options.incremental = False
    options.ignore_errors = True
    options.python_executable = sys.executable
    sources = _public_modules(package)
    modules = build(sources, options).files
    found: dict[str, bool] = {}
    for source in sources:
        for node in _declared_in(package, modules[source.module]):
            found[node.fullname] = _has_any(node)
            if isinstance(node, TypeInfo):
                found |= dict(_members(node, package))
    return found


def main(arguments: list[str]) -> int:
    """Print the count and each public name that has an `Any`.

    Returns:
        The exit status: 0 where each of them is explained.
    """
    package = arguments[0] if arguments else "asyncz"
    symbols = public_symbols(package)
    with_any = {name for name, has_any in symbols.items() if has_any}
    explained = {name: reason for name, reason in EXPLAINED.items() if name.partition(".")[0] == package}
    for name in sorted(with_any):
        print(f"{name} has an Any" + (f", explained: {explained[name]}" if name in explained else ""))
    for name in sorted(explained.keys() - with_any):
        print(f"{name} is explained but has no Any: take it from the list")
    print(f"{len(symbols)} public symbols of {package}, {len(with_any)} with Any, {len(explained)} explained")
    return int(with_any != explained.keys())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
