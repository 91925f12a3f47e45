"""Type variables of the tests."""

from __future__ import annotations

from typing_extensions import TypeVar, TypeVarTuple

ResultT = TypeVar("ResultT")
Ts = TypeVarTuple("Ts")
