"""Paths of the project that tests read."""

from __future__ import annotations

from pathlib import Path

PROJECT = Path(__file__).parent.parent.parent
EXAMPLES = PROJECT / "tests" / "examples"
README = PROJECT / "README.md"
