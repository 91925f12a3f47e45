"""The import contracts of `pyproject.toml` hold, and notice an import that breaks them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("importlinter", reason="import-linter comes with the extra `dev`, which is not installed")

ROOT = Path(__file__).resolve().parent.parent.parent


def lint(folder: Path) -> tuple[int, str]:
    """Check the contracts of a project and return the exit status and the report."""
    result = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as main; main()", "--no-cache"],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        timeout=60,
    )
    return result.returncode, result.stdout + result.stderr


def test_package_keeps_contracts() -> None:
    status, report = lint(ROOT)
    assert status == 0, report


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("tasks.py", "from asyncz.schedulers import asyncio as _", "An import points down"),
        ("schedulers/_inbox.py", "from asyncz.schedulers import asyncio as _", "No two modules or packages"),
    ],
)
def test_import_that_points_up_breaks_contract(file: str, line: str, contract: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "asyncz", tmp_path / "asyncz", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / "asyncz" / file).open("a") as module:
        module.write(f"\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    {line}\n")
    status, report = lint(tmp_path)
    assert status == 1, report
    assert any(row.startswith(contract) and "BROKEN" in row for row in report.splitlines()), report
