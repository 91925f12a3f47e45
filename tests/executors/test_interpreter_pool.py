"""Conformance of a pool of subinterpreters, which Python has from 3.14 on."""

from __future__ import annotations

import concurrent.futures
import sys
from collections.abc import Callable
from functools import partial

import pytest
from typing_extensions import override

from asyncz import FuturesExecutor, UniversalExecutor
from asyncz.testing import ExecutorConformance

# The type checkers run on Python 3.11.
POOL = "InterpreterPoolExecutor"


@pytest.mark.skipif(sys.version_info < (3, 14), reason="Python before 3.14 has no InterpreterPoolExecutor")
class TestInterpreterPoolExecutor(ExecutorConformance):
    runs_in_another_process = True
    hang_timeout = 30.0

    @override
    def make_executor(self) -> UniversalExecutor:
        pool: Callable[[int], concurrent.futures.Executor] = getattr(concurrent.futures, POOL)
        return FuturesExecutor(partial(pool, 2))
