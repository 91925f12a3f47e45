"""Exports of the package: a literal `__all__`, and imports without extras."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import asyncz

EXTRAS = ("dask", "distributed", "typer", "click", "rich", "starlette", "uvloop")


def test_all_is_a_literal_of_every_export() -> None:
    tree = ast.parse(Path(asyncz.__file__).read_text(encoding="utf-8"))
    assignments = [node for node in tree.body if isinstance(node, ast.Assign)]
    literals = [node.value for node in assignments if ast.unparse(node.targets[0]) == "__all__"]
    assert [ast.literal_eval(each) for each in literals] == [sorted(asyncz.__all__)]
    assert all(hasattr(asyncz, name) for name in asyncz.__all__)


@pytest.mark.slow
def test_star_import_and_help_need_no_extras() -> None:
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({EXTRAS!r}))\n"
        "from asyncz import *\n"
        "import asyncz, pydoc\n"
        "assert AsyncIOScheduler and DaskExecutor\n"
        "print('AsyncIOScheduler' in pydoc.render_doc(asyncz))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "True"), done.stderr
