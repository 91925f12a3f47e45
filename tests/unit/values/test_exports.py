"""Exports of the package: a literal `__all__`, and imports without extras."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import asyncz
from asyncz import config, executors, testing, triggers

# The dependencies of an installation without extras, and what they need.
CORE = ["annotated_types", "asyncz", "attr", "attrs", "pydantic", "pydantic_core", "typing_extensions"]
CORE += ["typing_inspection", "_sysconfigdata"]


@pytest.mark.parametrize("package", [asyncz, config, executors, testing, triggers])
def test_all_is_a_literal_of_every_export(package: ModuleType) -> None:
    """Mypy and pyrefly read a literal only: without one, `import *` imports nothing for them."""
    tree = ast.parse(Path(str(package.__file__)).read_text(encoding="utf-8"))
    assignments = [node for node in tree.body if isinstance(node, ast.Assign)]
    literals = [node.value for node in assignments if ast.unparse(node.targets[0]) == "__all__"]
    assert [ast.literal_eval(each) for each in literals] == [list(package.__all__)]
    assert all(hasattr(package, name) for name in package.__all__)


ONLY_CORE = (
    "import sys\n"
    "class OnlyCore:\n"
    "    def find_spec(self, name, path=None, target=None):\n"
    f"        if name.split('.')[0].split('__linux')[0] not in sys.stdlib_module_names.union({CORE!r}):\n"
    "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
    "sys.meta_path.insert(0, OnlyCore())\n"
)
"""Start of a program that runs as if no extra were installed."""


def output_of(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", ONLY_CORE + program], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.slow
def test_star_import_and_help_need_no_extras() -> None:
    program = (
        "from asyncz import *\n"
        "from asyncz.executors import *\n"
        "import asyncz, pydoc\n"
        "assert AsyncIOScheduler and DaskExecutor\n"
        "print('AsyncIOScheduler' in pydoc.render_doc(asyncz))\n"
    )
    assert output_of(program) == "True"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("statement", "extra"),
    [
        ("from asyncz.dashboard import Dashboard", "dashboard"),
        ("import asyncz.dashboard; asyncz.dashboard.redact_secrets, asyncz.dashboard.Dashboard", "dashboard"),
        ("import asyncz.otel", "otel"),
        ("from asyncz import CronTrigger; CronTrigger('* * * * *')", "cron"),
        ("from asyncz import AsyncIOScheduler; AsyncIOScheduler(store='postgresql://x/y')", "postgres"),
    ],
)
def test_missing_extra_is_named(statement: str, extra: str) -> None:
    program = (
        "from asyncz import MissingExtraError\n"
        f"try:\n    {statement}\nexcept MissingExtraError as error:\n    print(error)\n"
    )
    assert f"asyncz-typed[{extra}]" in output_of(program)
