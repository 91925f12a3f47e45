"""No expression of the accepted code has a type with `Any`, unless its own code brings it."""

from __future__ import annotations

import linecache
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Their functions have an explicit `Any` in the signature, or the types of web frameworks do.
OWN_ANY = {"asgi.py", "batches.py", "calls.py", "dashboard.py"}
ACCEPTED = [each for each in sorted((ROOT / "typecheck" / "accept").glob("*.py")) if each.name not in OWN_ANY]
# mypy gives `Any` to a lambda before it knows the overload; the others are marked, or calls of other packages.
OWN_ANY_LINE = re.compile(r"lambda|pickle\.dumps|@attrs\.|model_copy|functools\.(lru_)?cache|every explicit Any")

pytest.importorskip("mypy", reason="mypy comes with the extra `dev`, which is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("mypy")]


@pytest.fixture(scope="module")
def leaking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A module with an expression of type `Any`."""
    module = tmp_path_factory.mktemp("any") / "leaking.py"
    # With the name of the file: for an equal text, mypy would repeat the errors of another file from its cache.
    module.write_text(f"import json  # {module}\n\nfound = json.loads('1')\n")
    return module


@pytest.fixture(scope="module")
def any_expressions(leaking: Path) -> list[tuple[str, str]]:
    """The names of the files and the lines in which mypy finds an expression with `Any`.

    Only the modules that are looked at have another option than the project: so the library comes from the cache of the
    project, and a later run of mypy finds it there.
    """
    config = leaking.with_name("pyproject.toml")
    override = "[[tool.mypy.overrides]]\nmodule = ['typecheck.accept.*', 'leaking']\ndisallow_any_expr = true\n"
    config.write_text(f"{(ROOT / 'pyproject.toml').read_text()}\n{override}")
    files = [str(each) for each in ACCEPTED]
    options = ["--config-file", str(config), "--cache-dir", str(ROOT / ".mypy_cache"), "--no-error-summary"]
    command = [sys.executable, "-m", "mypy", *options, *files, str(leaking)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
    found = re.findall(r"^([^:\n]+):(\d+): error: Expression .*Any", done.stdout, re.MULTILINE)
    assert found, done.stdout + done.stderr
    return [(Path(file).name, linecache.getline(str(ROOT / file), int(line)).strip()) for file, line in found]


def test_accepted_code_has_no_any(any_expressions: list[tuple[str, str]], leaking: Path) -> None:
    assert len(ACCEPTED) > 15
    found = [line for file, line in any_expressions if file != leaking.name]
    assert [line for line in found if not OWN_ANY_LINE.search(line)] == []


def test_any_is_found(any_expressions: list[tuple[str, str]], leaking: Path) -> None:
    assert (leaking.name, "found = json.loads('1')") in any_expressions
