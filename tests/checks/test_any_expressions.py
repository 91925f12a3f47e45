"""No expression of the accepted code has a type with `Any`, unless its own code brings it."""

from __future__ import annotations

import linecache
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ACCEPTED = ROOT / "typecheck" / "accept"
# Their functions have an explicit `Any` in the signature, or the types of web frameworks do.
OWN_ANY = {"asgi.py", "batches.py", "calls.py", "dashboard.py"}
# mypy gives `Any` to a lambda before it knows the overload; the others are marked, or calls of other packages.
OWN_ANY_LINE = re.compile(r"lambda|pickle\.dumps|@attrs\.|model_copy|functools\.(lru_)?cache|every explicit Any")

pytest.importorskip("mypy", reason="mypy comes with the extra `dev`, which is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("mypy")]


def any_expressions(*files: Path) -> list[str]:
    """Return the lines in which mypy finds an expression with `Any`."""
    command = [sys.executable, "-m", "mypy", "--disallow-any-expr", "--no-error-summary", *map(str, files)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
    found = re.findall(r"^([^:\n]+):(\d+): error: Expression .*Any", done.stdout, re.MULTILINE)
    assert found or not done.returncode, done.stdout + done.stderr
    return [linecache.getline(str(ROOT / file), int(line)).strip() for file, line in found]


def test_accepted_code_has_no_any() -> None:
    files = [each for each in sorted(ACCEPTED.glob("*.py")) if each.name not in OWN_ANY]
    assert len(files) > 15
    assert [line for line in any_expressions(*files) if not OWN_ANY_LINE.search(line)] == []


def test_any_is_found(tmp_path: Path) -> None:
    module = tmp_path / "leaking.py"
    module.write_text("import json\n\nfound = json.loads('1')\n")
    assert "found = json.loads('1')" in any_expressions(module)
