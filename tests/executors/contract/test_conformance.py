"""The conformance suite on the executors of asyncz."""

from __future__ import annotations

from typing_extensions import override

from asyncz import AsyncIOExecutor, DebugExecutor, ProcessPoolExecutor, ThreadPoolExecutor, UniversalExecutor
from asyncz.testing import ExecutorConformance


class TestAsyncIOExecutor(ExecutorConformance):
    @override
    def make_executor(self) -> UniversalExecutor:
        return AsyncIOExecutor()


class TestThreadPoolExecutor(ExecutorConformance):
    @override
    def make_executor(self) -> UniversalExecutor:
        return ThreadPoolExecutor(max_workers=4)


class TestThreadPoolExecutorOfOneThread(ExecutorConformance):
    @override
    def make_executor(self) -> UniversalExecutor:
        return ThreadPoolExecutor(max_workers=1, max_queue=8)


class TestProcessPoolExecutor(ExecutorConformance):
    runs_in_another_process = True
    hang_timeout = 30.0

    @override
    def make_executor(self) -> UniversalExecutor:
        return ProcessPoolExecutor(max_workers=1)


class TestDebugExecutor(ExecutorConformance):
    runs_inline = True
    limits_time = False

    @override
    def make_executor(self) -> UniversalExecutor:
        return DebugExecutor()
