"""Mistakes with executors and triggers by their aliases."""

from __future__ import annotations

from asyncz import ThreadPoolExecutor, create_executor, create_trigger, executor_aliases, trigger_aliases
from asyncz.plugins import is_executor

threads: ThreadPoolExecutor = create_executor("processpool")  # E
create_executor("threadpool", max_wrkers=3)  # E[-ty]: unpacked TypedDict
create_executor("debug", max_workers=3)  # E
create_executor("dask", address=8786)  # E
create_trigger("interval", minute=5)  # E[-ty]: unpacked TypedDict
create_trigger("interval", minutes="5")  # E
create_trigger("date", run_at="tomorrow")  # E
create_executor()  # E
create_executor(ThreadPoolExecutor)  # E
create_executor("threadpool").cancel_runs()  # E
create_trigger("interval").weekday  # E
create_trigger(5)  # E
create_trigger("cron")  # E
create_trigger("and")  # E
create_trigger("or")  # E
executor_aliases().append("mine")  # E
executor_aliases("mine")  # E
first: int = trigger_aliases()[0]  # E


def asked(value: object) -> None:
    value.shutdown()  # E
    if is_executor(value):
        value.cancel_all()  # E
