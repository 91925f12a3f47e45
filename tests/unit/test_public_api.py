"""Public names, members and their documentation."""

from __future__ import annotations

import ast
import inspect
import itertools
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType

import pytest
from pydantic import BaseModel

import asyncz.triggers
from asyncz import config, dashboard, executors, stores, triggers
from tests.helpers.interpreter import python_output
from tests.helpers.public_api import MEMBERS, NAMES, documentation


@pytest.mark.parametrize("package", NAMES)
def test_package_exports_public_names(package: str) -> None:
    module = import_module(package)
    assert sorted(module.__all__) == sorted(NAMES[package])
    assert set(NAMES[package]) <= set(dir(module))
    for name in NAMES[package]:
        assert getattr(module, name) is not None


LAZY_PACKAGES = [asyncz, config, dashboard, executors, stores, triggers]


def imports_for_checkers(package: ModuleType) -> dict[str, list[str]]:
    """Return the imports of a package for type checkers, by module."""
    found: dict[str, list[str]] = {}
    for node in ast.parse(inspect.getsource(package)).body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for statement in node.body:
                assert isinstance(statement, ast.ImportFrom)
                assert all(alias.name == alias.asname for alias in statement.names), "a re-export is `X as X`"
                found.setdefault(str(statement.module), []).extend(alias.name for alias in statement.names)
    return found


def table_of_lazy_exports(package: ModuleType) -> dict[str, list[str]]:
    """Return the imports of a package on first use, by module."""
    for node in ast.walk(ast.parse(inspect.getsource(package))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "lazy_exports":
            return {module: list(names) for module, names in ast.literal_eval(node.args[1]).items()}
    pytest.fail(f"{package.__name__} has no lazy exports")


@pytest.mark.parametrize("package", LAZY_PACKAGES)
def test_type_checkers_see_lazy_exports(package: ModuleType) -> None:
    table = table_of_lazy_exports(package)
    assert imports_for_checkers(package) == table
    assert sorted(itertools.chain.from_iterable(table.values())) == sorted(NAMES[package.__name__])


@pytest.mark.slow
@pytest.mark.parametrize("package", LAZY_PACKAGES)
def test_dir_lists_names_before_import(package: ModuleType) -> None:
    code = f"import sys, {package.__name__} as package; print(*dir(package)); assert 'pydantic' not in sys.modules"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert set(NAMES[package.__name__]) <= set(result.stdout.split())


def test_unknown_name_raises_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"'asyncz.executors' has no attribute 'missing'"):
        _ = asyncz.executors.missing  # type: ignore[attr-defined]  # wrong on purpose


def declared_members(owner: type[object]) -> Iterator[str]:
    """Return the names that the source of a class declares, in its body and as attributes of instances."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
    assert isinstance(definition, ast.ClassDef)
    for statement in definition.body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            yield statement.name
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            yield statement.target.id
    for node in ast.walk(definition):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self":
            yield node.attr


def public_members(owner: type[object]) -> set[str]:
    """Return the members of a class, including those inherited from other classes of asyncz."""
    own = [each for each in owner.__mro__ if each.__module__.startswith("asyncz.")]
    names = {name for each in own for name in declared_members(each) if not name.startswith("_")}
    return names - set(dir(BaseModel)) if issubclass(owner, BaseModel) else names


@pytest.mark.parametrize("name", MEMBERS)
def test_class_has_public_members(name: str) -> None:
    assert public_members(getattr(asyncz, name)) == set(MEMBERS[name])


EXECUTORS = {  # members besides those of `BaseExecutor`
    asyncz.AsyncIOExecutor: [],
    asyncz.DaskExecutor: ["check_call"],
    asyncz.DebugExecutor: [],
    asyncz.FuturesExecutor: [],
    asyncz.ProcessPoolExecutor: ["check_call"],
    asyncz.ThreadPoolExecutor: [],
}


@pytest.mark.parametrize("executor", EXECUTORS)
def test_executors_have_members_of_base_executor(executor: type[asyncz.BaseExecutor]) -> None:
    assert public_members(executor) == {*MEMBERS["BaseExecutor"], *EXECUTORS[executor]}


def test_public_api_is_documented() -> None:
    found = documentation()
    assert len(found) > 150
    assert [name for name, text in found.items() if not text] == []


@pytest.mark.slow
def test_every_public_class_has_listed_members() -> None:
    public = [getattr(asyncz, name) for name in NAMES["asyncz"]]
    told = {getattr(asyncz, name) for name in MEMBERS} | set(EXECUTORS)
    classes = [value for value in public if inspect.isclass(value) and not issubclass(value, Exception | dict)]
    assert [owner for owner in classes if public_members(owner) and owner not in told] == []


@pytest.mark.parametrize(
    "statement", ["import asyncz", "from asyncz import AsyncIOScheduler, IntervalTrigger, ThreadPoolExecutor"]
)
def test_import_loads_no_heavy_modules(statement: str) -> None:
    heavy = {"multiprocessing", "distributed", "rich", "typer", "pydantic"}
    code = f"{statement}; import sys; print({heavy} & set(sys.modules))"
    assert python_output("-c", code).strip() == "set()"
