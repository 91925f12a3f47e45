"""Casts stand in one module, each with its reason."""

from __future__ import annotations

import re
from pathlib import Path

import asyncz

_PACKAGE = Path(asyncz.__file__).parent
# Modules that `asyncz._unsafe` would import again through their own types, or that keep a constructor from being
# a call.
_OTHERS = {
    "calls.py",
    "events.py",
    "executors/_run_registry.py",
    "executors/base.py",
    "schedulers/_chains.py",
    "schedulers/_dispatcher.py",
    "schedulers/_store_events.py",
    "schedulers/_store_part.py",
    "schedulers/_stored_controller.py",
    "schedulers/stored.py",
    "stores/_columns.py",
    "stores/_triggers.py",
    "stores/_unvalidated.py",
    "stores/apscheduler_3/_pickles.py",
}


def test_casts_are_in_one_module() -> None:
    found = {
        path.relative_to(_PACKAGE).as_posix()
        for path in _PACKAGE.rglob("*.py")
        if re.search(r"\bcast\(", path.read_text())
    }
    assert found <= {"_unsafe.py", *_OTHERS}
