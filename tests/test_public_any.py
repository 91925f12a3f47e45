"""An `Any` in a public signature is found wherever it hides, and nothing else is taken for one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

pytest.importorskip("mypy", reason="mypy comes with the extra `dev`, which is not installed")

from typecheck import public_any
from typecheck.public_any import EXPLAINED, UnreadablePackageError, main, public_symbols

# What is kept for a module is made once, also where tests run side by side.
pytestmark = pytest.mark.xdist_group("public_any")


HEADER = """\
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import cached_property, wraps
from typing import Any, ClassVar, Generic, Never, Protocol, Self, TypedDict, overload
import attrs
from pydantic import BaseModel, ConfigDict
from typing_extensions import ParamSpec, TypeVar, TypeVarTuple, Unpack
P = ParamSpec("P")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")
"""

WITH_ANY = {
    "written": "def f(x: Any) -> None: ...",
    "returned": "def f(x: int) -> list[Any]: ...",
    "without a type": "def f(x, y: int) -> None: ...",
    "without any type": "def f(x): ...",
    "without a parameter": "def f(x: list) -> None: ...",
    "whatever a function takes": "def f(x: Callable[..., int]) -> None: ...",
    "whatever a variable takes": "f: Callable[..., int]",
    "in a coroutine": "async def f() -> dict[str, Any]: ...",
    "in a coroutine that is written out": "def f() -> Coroutine[Any, Any, int]: ...",
    "in an asynchronous generator": "async def f() -> AsyncIterator[Any]: yield 1",
    "in an overload": "@overload\ndef f(x: int) -> int: ...\n@overload\ndef f(x: str) -> Any: ...\n"
    "def f(x: int | str) -> object: ...",
    "behind a decorator": "def _d(g: Callable[P, T]) -> Callable[P, Any]: return g\n@_d\ndef f() -> int: ...",
    "in an alias": "f = dict[str, Any]",
    "in a base class": "class f(list[Any]): ...",
    "in a bound": 'f = TypeVar("f", bound=list[Any])',
    "in a variable": "f: Any = 1",
    "in an inferred variable": "def _g() -> list[Any]: ...\nf = _g()",
}
"""Ways to have an `Any` in `f`."""

MEMBER_WITH_ANY = {
    "an attribute": "class C:\n    f: Any = 1",
    "an attribute of an instance": "class C:\n    def __init__(self, x: list[int]) -> None: self.f: list[Any] = x",
    "a property": "class C:\n    @property\n    def f(self) -> Any: ...",
    "a setter": "class C:\n    @property\n    def f(self) -> int: ...\n"
    "    @f.setter\n    def f(self, x: Any) -> None: ...",
    "a cached property": "class C:\n    @cached_property\n    def f(self) -> Any: ...",
    "a class method": "class C:\n    @classmethod\n    def f(cls, x: Any) -> Self: ...",
    "a protocol": "class C(Protocol):\n    def f(self, x: Any, /) -> None: ...",
    "attrs": "@attrs.frozen\nclass C:\n    f: dict[str, Any]",
    "pydantic": "class C(BaseModel):\n    f: Any",
    "a key": "class C(TypedDict, total=False):\n    f: Any\ndef g(x: C) -> None: ...",
    "inherited from what is private": "class _B:\n    def f(self) -> Any: ...\nclass C(_B): ...",
}
"""Ways to have an `Any` in a member `f`."""

WITHOUT_ANY = {
    "a coroutine": "async def f() -> int: ...",
    "self": "class C:\n    def f(self, x: int) -> Self: return self\n    async def g(self) -> Self: return self",
    "type variables": "def f(g: Callable[[Unpack[Ts]], T], h: Callable[P, T], /, *x: Unpack[Ts]) -> T: ...",
    "a generic class": "class C(Generic[T]):\n    def f(self, x: T) -> 'C[T]': return self",
    "what pydantic adds": "class C(BaseModel):\n    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True)\n"
    "    f: int",
    "what attrs adds": "@attrs.define\nclass C:\n    f: int = 1",
    "what is private": "def _f(x: Any) -> None: ...\nclass C:\n    _g: Any = 1\n    def __h(self, x: Any) -> None: ...",
    "what is imported": "from json import loads as loads, JSONDecoder as JSONDecoder",
    "object": "class C:\n    def __exit__(self, *x: object) -> None: ...",
}


def plant(folder: Path, package: str, sources: Mapping[str, str]) -> None:
    """Write a package in which each source is a module."""
    (folder / package).mkdir()
    (folder / package / "__init__.py").touch()
    for name, source in sources.items():
        (folder / package / f"{name.replace(' ', '_')}.py").write_text(f"{HEADER}{source}\n")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, set[str]]:
    """The names with an `Any` in each of the sources above."""
    sources = {**WITH_ANY, **MEMBER_WITH_ANY, **WITHOUT_ANY}
    folder = tmp_path_factory.mktemp("planted")
    plant(folder, "planted", sources)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.chdir(folder)
        symbols = public_symbols("planted")
    with_any = {name for name, has_any in symbols.items() if has_any}
    prefixes = {name: f"planted.{name.replace(' ', '_')}." for name in sources}
    for prefix in prefixes.values():
        assert any(name.startswith(prefix) for name in symbols), f"nothing was looked at in {prefix}"
    return {
        name: {each.removeprefix(prefix) for each in with_any if each.startswith(prefix)}
        for name, prefix in prefixes.items()
    }


@pytest.mark.parametrize("way", WITH_ANY)
def test_an_any_is_found_in_a_name(found: Mapping[str, set[str]], way: str) -> None:
    assert found[way] == {"f"}


@pytest.mark.parametrize("way", MEMBER_WITH_ANY)
def test_an_any_is_found_in_a_member(found: Mapping[str, set[str]], way: str) -> None:
    assert {name.partition(".")[2] for name in found[way]} == {"f"}


@pytest.mark.parametrize("way", WITHOUT_ANY)
def test_nothing_else_is_taken_for_an_any(found: Mapping[str, set[str]], way: str) -> None:
    assert found[way] == set()


def test_a_planted_any_fails_the_command_and_is_named(tmp_path: Path) -> None:
    plant(tmp_path, "lying", {"module": "def honest(x: int) -> int: ...\ndef f(x: Any) -> None: ..."})
    result = run("lying", folder=tmp_path)
    assert result.returncode == 1
    assert "lying.module.f has an Any\n" in result.stdout
    assert "1 with Any, 0 explained" in result.stdout


def test_the_library_has_no_any_that_is_not_explained(tmp_path: Path) -> None:
    result = run(folder=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert int(result.stdout.splitlines()[-1].split()[0]) > 450


def test_an_explanation_that_is_not_needed_any_more_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(EXPLAINED, "asyncz.tasks.Task.run", "there is none")
    monkeypatch.setattr(public_any, "public_symbols", lambda package: {"asyncz.config.options.Initializer": True})
    assert main([]) == 1
    assert "asyncz.tasks.Task.run is explained but has no Any" in capsys.readouterr().out


@pytest.mark.parametrize("package", ["there_is_none", "tests.functions"])
def test_what_cannot_be_read_is_not_taken_for_clean(package: str) -> None:
    with pytest.raises(UnreadablePackageError):
        public_symbols(package)


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The command as a shell runs it, on what is installed or in the folder."""
    root = str(Path(public_any.__file__).parent.parent)
    return subprocess.run(
        [sys.executable, "-m", "typecheck.public_any", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": root},
    )
