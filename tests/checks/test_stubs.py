"""Checks of the type stubs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

pytest.importorskip("mypy", reason="mypy comes with the extra `dev`, which is not installed")
from typecheck import stubs  # it imports mypy

pytestmark = [pytest.mark.xdist_group("mypy"), pytest.mark.slow]

FUNCTION = "def double(x, times=2):\n    return x * times\n"
TRUE_STUB = "def double(x: int, times: int = 2) -> int: ...\n"
Files = Mapping[str, str]
Check = Callable[[Files], "tuple[int, str]"]


@pytest.fixture
def check(check_all: Check, monkeypatch: pytest.MonkeyPatch) -> Check:
    """Do the same as `check_all`, without the comparison of `own` with its types, which takes seconds."""
    monkeypatch.setattr(stubs, "faults_of_types", lambda *_: list[str]())
    return check_all


@pytest.fixture
def check_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Check:
    """Write packages and stubs, and look at the package `own` with the command: its exit status and output."""
    installed = tmp_path / "installed"
    (tmp_path / "stubs").mkdir()
    monkeypatch.syspath_prepend(installed)
    monkeypatch.setenv("PYTHONPATH", str(installed))
    monkeypatch.chdir(tmp_path)

    def run(files: Files) -> tuple[int, str]:
        for name, text in {"installed/own/__init__.py": "", "installed/own/py.typed": "", **files}.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        status = stubs.main(["own", "--stubs", str(tmp_path / "stubs")])
        return status, capsys.readouterr().out

    return run


def test_true_stub_passes(check_all: Check) -> None:
    status, printed = check_all(
        {
            "installed/untyped_a/__init__.py": FUNCTION,
            "stubs/untyped_a/__init__.pyi": TRUE_STUB,
            "installed/own/__init__.py": "from untyped_a import double as double\n",
        }
    )
    assert status == 0, printed
    assert printed.splitlines() == [
        "stubs/untyped_a: no faults",
        "own imports untyped_a: types from a stub of ours",
        "own at run time: no faults",
        "1 stubs, 1 imported modules, 0 faults",
    ]


FALSE_STUB = "def double(x: int, times: int = 3) -> int: ...\n"


def test_stub_may_omit_but_not_invent_or_change(check: Check) -> None:
    status, printed = check(
        {
            "installed/untyped_c/__init__.py": FUNCTION + "def halve(x):\n    return x / 2\n",
            "stubs/untyped_c/__init__.pyi": FALSE_STUB + "def triple(x: int) -> int: ...\n",
        }
    )
    assert status == 1
    assert "untyped_c.double is inconsistent" in printed
    assert "untyped_c.triple is not present at runtime" in printed
    assert "halve" not in printed


def test_allowlist_used_and_required(check: Check) -> None:
    status, printed = check(
        {
            "installed/untyped_d/__init__.py": FUNCTION,
            "stubs/untyped_d/__init__.pyi": FALSE_STUB,
            "stubs/untyped_d/allowlist.txt": "untyped_d.double\nunneeded\n",
        }
    )
    assert status == 1
    assert "unused allowlist entry unneeded" in printed
    assert "untyped_d.double" not in printed


def test_stub_of_typed_package_fails(check: Check) -> None:
    status, printed = check(
        {
            "installed/typed_a/__init__.py": FUNCTION,
            "installed/typed_a/py.typed": "",
            "stubs/typed_a/__init__.pyi": TRUE_STUB,
        }
    )
    assert status == 1
    assert "stubs/typed_a: the package has py.typed, and the stub would hide all of it" in printed


def test_stub_of_missing_package_fails(check: Check) -> None:
    status, printed = check({"stubs/missing_a/__init__.pyi": TRUE_STUB})
    assert status == 1
    assert "stubs/missing_a: the package is not installed" in printed


@pytest.mark.parametrize(
    "statement", ["import untyped_e", "from untyped_e import double", "def f() -> None:\n    import untyped_e.part"]
)
def test_untyped_import_fails(check: Check, statement: str) -> None:
    status, printed = check(
        {
            "installed/untyped_e/__init__.py": FUNCTION,
            "installed/untyped_e/part.py": "",
            "installed/own/module.py": f"{statement}\n",
        }
    )
    assert status == 1
    assert "module.py: imports untyped_e" in printed
    assert "types from nowhere" in printed


def test_missing_import_fails(check: Check) -> None:
    status, printed = check({"installed/own/module.py": "try:\n    import missing_b\nexcept ImportError:\n    pass\n"})
    assert status == 1
    assert "install it if it is not installed" in printed


def test_type_sources_reported(check: Check) -> None:
    status, printed = check(
        {
            "installed/typed_b/part/__init__.py": "",
            "installed/typed_b/part/py.typed": "",
            "installed/untyped_f/__init__.py": "",
            "installed/untyped_f-stubs/__init__.pyi": "",
            "installed/own/module.py": "import typed_b.part\nimport untyped_f\nimport typing_extensions\nimport json\n",
        }
    )
    assert status == 0, printed
    assert "typed_b.part: types from py.typed" in printed
    assert "untyped_f: types from a package of stubs" in printed
    assert "typing_extensions: types from every checker" in printed
    assert "json" not in printed


def test_package_unlike_its_types_fails(check_all: Check) -> None:
    lie = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    def double(x: int) -> int: ...\n"
    status, printed = check_all({"installed/own/__init__.py": lie})
    assert status == 1
    assert "own.double is not present at runtime" in printed


def test_members_of_annotated_types_pass(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    invented = "asyncz.limits.TaskLimits.invented is not present at runtime"
    reported = [
        "asyncz.states._Text.upper is not present at runtime",
        "asyncz.states._Text cannot be subclassed",
        invented,
    ]
    monkeypatch.setattr(stubs, "stubtest", lambda *_: reported)
    monkeypatch.setattr(stubs, "MISUNDERSTOOD", dict[str, str]())
    assert stubs.faults_of_types("asyncz", tmp_path) == [invented]


def test_unused_pattern_of_misunderstood_types_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(stubs, "stubtest", lambda *_: ["asyncz.limits.OverlapPolicy is not a Union"])
    monkeypatch.setattr(stubs, "MISUNDERSTOOD", {r" is not a Union$": "aliases", r"\.gone$": "nothing"})
    assert stubs.faults_of_types("asyncz", tmp_path) == ["asyncz: stubtest reports no '\\\\.gone$' any more; remove it"]
