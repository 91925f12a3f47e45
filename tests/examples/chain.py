"""A chain over two executors: a thread reads files, a process counts their words, the loop adds them up.

`python -m tests.examples.chain FILE...` prints how many words there are.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from pathlib import Path

from asyncz import AsyncIOScheduler, TaskError, current_run


def read(path: Path) -> str:
    """Wait for a disk: work for a thread."""
    return path.read_text()


def count(text: str) -> Counter[str]:
    """Compute: work for a process."""
    words = Counter(text.split())
    # With its end in one piece, as other processes write there too.
    print(f"{current_run().task_id}: {words.total()} words\n", end="")
    return words


async def main(paths: list[Path]) -> Counter[str]:
    """Count the words of files, as each is read."""
    total: Counter[str] = Counter()

    async def add(words: Counter[str]) -> None:
        total.update(words)

    async with AsyncIOScheduler(executors={"disk": "threadpool", "cpu": "processpool"}) as scheduler:
        scheduler.subscribe(TaskError, lambda event: print(event.task_id, "failed:", event.exception))
        texts = [
            scheduler.add_task(read, path, trigger=None, executor="disk", id=f"read {path.name}") for path in paths
        ]
        for path, text in zip(paths, texts, strict=True):
            # A type checker knows that this is a Task[Counter[str]], and rejects a function of anything but a str.
            words = text.then(count, executor="cpu", id=f"count {path.name}")
            words.then(add, id=f"add {path.name}")
        await asyncio.gather(*(text.run() for text in texts), return_exceptions=True)
    # All that was read has been counted and added up: leaving the block let each chain come to its end.
    return total


if __name__ == "__main__":
    for word, times in asyncio.run(main([Path(name) for name in sys.argv[1:]])).most_common(3):
        print(word, times)
