"""Number and names of pool threads."""

from __future__ import annotations

import pytest

from asyncz import AsyncIOScheduler
from asyncz.executors import ThreadPoolExecutor
from tests.helpers import payloads

pytestmark = pytest.mark.anyio


async def test_max_workers_and_pool_kwargs_apply() -> None:
    pool = ThreadPoolExecutor(max_workers=2, pool_kwargs={"thread_name_prefix": "named-by-the-user"})
    async with AsyncIOScheduler(executors={"io": pool}) as scheduler:
        names: set[str] = set()
        tasks = [scheduler.add_task(payloads.sleep, 0.01, executor="io") for _ in range(10)]
        for task in tasks:
            task.on_executed(lambda event: names.add(str(event.details.worker)))
        for task in tasks:
            await task.result()
    assert 1 <= len(names) <= 2
    assert all(name.startswith("named-by-the-user") for name in names)
