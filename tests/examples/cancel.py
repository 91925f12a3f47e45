"""A long job in a thread that can be cancelled, and retries with backoff, from a program without asyncio."""

import threading

from asyncz import AsyncIOScheduler, Retry, current_run

begun = threading.Event()


def count_files() -> int:
    begun.set()
    while not current_run().is_cancelled():
        begun.wait(0.01)  # one block of work
    return 0


def fetch() -> str:
    if current_run().attempt < 3:
        raise ConnectionError("no answer")
    return f"fetched by attempt {current_run().attempt}"


thread = AsyncIOScheduler(executors={"default": "threadpool"}).in_thread().start()
print(thread.run(thread.scheduler.add_task(fetch, trigger=None, retry=Retry(attempts=5, delay=0.01))))
task = thread.scheduler.add_task(count_files)
begun.wait(30)
thread.cancel(task)
thread.stop()
print(task.last_notification)
