"""Tasks from rows of a database; a changed row replaces its task, a wrong one is reported."""

import asyncio
import sqlite3
from json import loads

from asyncz import AsyncIOScheduler, AsynczError, create_trigger

ROWS = [("clean", '{"minutes": 5}'), ("report", '{"hours": 1}'), ("clean", '{"hours": 2}'), ("broken", '{"minute": 1}')]


async def main() -> None:
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE job (id TEXT, options TEXT)")
    database.executemany("INSERT INTO job VALUES (?, ?)", ROWS)
    async with AsyncIOScheduler() as scheduler:
        for task_id, options in database.execute("SELECT * FROM job"):
            try:
                trigger = create_trigger("interval", **loads(options))
                scheduler.add_task(print, task_id, trigger=trigger, id=task_id, replace_existing=True)
            except AsynczError as error:
                print(f"{task_id}: {error}")
        print([(task.id, task.state.trigger) for task in scheduler.tasks])
    database.close()


asyncio.run(main())
