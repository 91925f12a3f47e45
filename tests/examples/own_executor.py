"""An executor of one's own, and the check that it keeps all rules: `asyncz verify tests.examples.own_executor`."""

import threading

from typing_extensions import TypeVar, override

from asyncz import BaseExecutor, TaskRun, UniversalExecutor
from asyncz.testing import ExecutorConformance

ResultT = TypeVar("ResultT")


class ThreadPerRun(BaseExecutor):
    @override
    def submit_run(self, run: TaskRun[ResultT], /) -> None:
        threading.Thread(target=self._work, args=(run,)).start()

    def _work(self, run: TaskRun[ResultT]) -> None:
        self.start_timeout(run)
        self.finish(run, run.execute())


class TestThreadPerRun(ExecutorConformance):
    @override
    def make_executor(self) -> UniversalExecutor:
        return ThreadPerRun()


if __name__ == "__main__":
    print({verdict.verdict for verdict in TestThreadPerRun().verify(at_once=8)})
