"""Every option with a value of another type, in every overload."""

from __future__ import annotations

from asyncz import Executor, Task
from typecheck.accept.functions import fetch
from typecheck.accept.schedulers import scheduler


def read(path: str) -> bytes:
    return path.encode()


def add_task(of_bytes: Executor[bytes]) -> None:
    scheduler.add_task(fetch, "url", trigger=3)  # E
    scheduler.add_task(fetch, "url", executor=3)  # E
    scheduler.add_task(fetch, "url", id=3)  # E
    scheduler.add_task(fetch, "url", max_instances="2")  # E
    scheduler.add_task(fetch, "url", misfire_grace_time="3 s")  # E
    scheduler.add_task(fetch, "url", coalesce="yes")  # E
    scheduler.add_task(fetch, "url", timeout="3 s")  # E
    scheduler.add_task(fetch, "url", retry=3)  # E
    scheduler.add_task(fetch, "url", overlap="drop")  # E
    scheduler.add_task(fetch, "url", paused="yes")  # E
    scheduler.add_task(fetch, "url", replace_existing="yes")  # E
    scheduler.add_task(read, "path", trigger=3)  # E
    scheduler.add_task(read, "path", executor=3)  # E
    scheduler.add_task(read, "path", id=3)  # E
    scheduler.add_task(read, "path", max_instances="2")  # E
    scheduler.add_task(read, "path", misfire_grace_time="3 s")  # E
    scheduler.add_task(read, "path", coalesce="yes")  # E
    scheduler.add_task(read, "path", timeout="3 s")  # E
    scheduler.add_task(read, "path", retry=3)  # E
    scheduler.add_task(read, "path", overlap="drop")  # E
    scheduler.add_task(read, "path", paused="yes")  # E
    scheduler.add_task(read, "path", replace_existing="yes")  # E
    scheduler.add_task(fetch, "url", executor=of_bytes, trigger=3)  # E
    scheduler.add_task(fetch, "url", executor=of_bytes, id=3)  # E
    scheduler.add_task(fetch, "url", executor=of_bytes, max_instances="2")  # E
    scheduler.add_task(fetch, "url", executor=of_bytes, misfire_grace_time="3 s")  # E
    scheduler.add_task(fetch, "url", executor=of_bytes, coalesce="yes")  # E
    scheduler.add_task(fetch, "url", executor=of_bytes, timeout="3 s")  # E
    scheduler.add_task(fetch, "url", executor=of_bytes, retry=3)  # E
    scheduler.add_task(fetch, "url", executor=of_bytes, overlap="drop")  # E
    scheduler.add_task(fetch, "url", executor=of_bytes, paused="yes")  # E
    scheduler.add_task(fetch, "url", executor=of_bytes, replace_existing="yes")  # E
    scheduler.add_task(read, "path", executor=of_bytes, trigger=3)  # E
    scheduler.add_task(read, "path", executor=of_bytes, id=3)  # E
    scheduler.add_task(read, "path", executor=of_bytes, max_instances="2")  # E
    scheduler.add_task(read, "path", executor=of_bytes, misfire_grace_time="3 s")  # E
    scheduler.add_task(read, "path", executor=of_bytes, coalesce="yes")  # E
    scheduler.add_task(read, "path", executor=of_bytes, timeout="3 s")  # E
    scheduler.add_task(read, "path", executor=of_bytes, retry=3)  # E
    scheduler.add_task(read, "path", executor=of_bytes, overlap="drop")  # E
    scheduler.add_task(read, "path", executor=of_bytes, paused="yes")  # E
    scheduler.add_task(read, "path", executor=of_bytes, replace_existing="yes")  # E


def call() -> None:
    scheduler.call(fetch, "url").add(trigger=3)  # E
    scheduler.call(fetch, "url").add(executor=3)  # E
    scheduler.call(fetch, "url").add(id=3)  # E
    scheduler.call(fetch, "url").add(max_instances="2")  # E
    scheduler.call(fetch, "url").add(misfire_grace_time="3 s")  # E
    scheduler.call(fetch, "url").add(coalesce="yes")  # E
    scheduler.call(fetch, "url").add(timeout="3 s")  # E
    scheduler.call(fetch, "url").add(retry=3)  # E
    scheduler.call(fetch, "url").add(overlap="drop")  # E
    scheduler.call(fetch, "url").add(paused="yes")  # E
    scheduler.call(fetch, "url").add(replace_existing="yes")  # E
    scheduler.call(read, "path").add(trigger=3)  # E
    scheduler.call(read, "path").add(executor=3)  # E
    scheduler.call(read, "path").add(id=3)  # E
    scheduler.call(read, "path").add(max_instances="2")  # E
    scheduler.call(read, "path").add(misfire_grace_time="3 s")  # E
    scheduler.call(read, "path").add(coalesce="yes")  # E
    scheduler.call(read, "path").add(timeout="3 s")  # E
    scheduler.call(read, "path").add(retry=3)  # E
    scheduler.call(read, "path").add(overlap="drop")  # E
    scheduler.call(read, "path").add(paused="yes")  # E
    scheduler.call(read, "path").add(replace_existing="yes")  # E


def then(task: Task[str], of_bytes: Executor[bytes]) -> None:
    task.then(fetch, executor=3)  # E
    task.then(fetch, id=3)  # E
    task.then(fetch, max_instances="2")  # E
    task.then(fetch, misfire_grace_time="3 s")  # E
    task.then(fetch, coalesce="yes")  # E
    task.then(fetch, timeout="3 s")  # E
    task.then(fetch, retry=3)  # E
    task.then(fetch, paused="yes")  # E
    task.then(read, executor=3)  # E
    task.then(read, id=3)  # E
    task.then(read, max_instances="2")  # E
    task.then(read, misfire_grace_time="3 s")  # E
    task.then(read, coalesce="yes")  # E
    task.then(read, timeout="3 s")  # E
    task.then(read, retry=3)  # E
    task.then(read, paused="yes")  # E
    task.then(fetch, executor=of_bytes, id=3)  # E
    task.then(fetch, executor=of_bytes, max_instances="2")  # E
    task.then(fetch, executor=of_bytes, misfire_grace_time="3 s")  # E
    task.then(fetch, executor=of_bytes, coalesce="yes")  # E
    task.then(fetch, executor=of_bytes, timeout="3 s")  # E
    task.then(fetch, executor=of_bytes, retry=3)  # E
    task.then(fetch, executor=of_bytes, paused="yes")  # E
    task.then(read, executor=of_bytes, id=3)  # E
    task.then(read, executor=of_bytes, max_instances="2")  # E
    task.then(read, executor=of_bytes, misfire_grace_time="3 s")  # E
    task.then(read, executor=of_bytes, coalesce="yes")  # E
    task.then(read, executor=of_bytes, timeout="3 s")  # E
    task.then(read, executor=of_bytes, retry=3)  # E
    task.then(read, executor=of_bytes, paused="yes")  # E


def then_call(task: Task[str]) -> None:
    task.then_call(fetch).add(executor=3)  # E
    task.then_call(fetch).add(id=3)  # E
    task.then_call(fetch).add(max_instances="2")  # E
    task.then_call(fetch).add(misfire_grace_time="3 s")  # E
    task.then_call(fetch).add(coalesce="yes")  # E
    task.then_call(fetch).add(timeout="3 s")  # E
    task.then_call(fetch).add(retry=3)  # E
    task.then_call(fetch).add(paused="yes")  # E
    task.then_call(read).add(executor=3)  # E
    task.then_call(read).add(id=3)  # E
    task.then_call(read).add(max_instances="2")  # E
    task.then_call(read).add(misfire_grace_time="3 s")  # E
    task.then_call(read).add(coalesce="yes")  # E
    task.then_call(read).add(timeout="3 s")  # E
    task.then_call(read).add(retry=3)  # E
    task.then_call(read).add(paused="yes")  # E


def decorator() -> None:
    scheduler.task(trigger=3)  # E
    scheduler.task(executor=3)  # E
    scheduler.task(id=3)  # E
    scheduler.task(max_instances="2")  # E
    scheduler.task(misfire_grace_time="3 s")  # E
    scheduler.task(coalesce="yes")  # E
    scheduler.task(timeout="3 s")  # E
    scheduler.task(retry=3)  # E
    scheduler.task(overlap="drop")  # E
    scheduler.task(paused="yes")  # E
    scheduler.task(replace_existing="yes")  # E


def changes(task: Task[str]) -> None:
    task.modify(executor=3)  # E
    task.modify(max_instances="2")  # E
    task.modify(misfire_grace_time="3 s")  # E
    task.modify(coalesce="yes")  # E
    task.modify(timeout="3 s")  # E
    task.modify(retry=3)  # E
    task.modify(overlap="drop")  # E
    scheduler.modify_task("id", executor=3)  # E
    scheduler.modify_task("id", max_instances="2")  # E
    scheduler.modify_task("id", misfire_grace_time="3 s")  # E
    scheduler.modify_task("id", coalesce="yes")  # E
    scheduler.modify_task("id", timeout="3 s")  # E
    scheduler.modify_task("id", retry=3)  # E
    scheduler.modify_task("id", overlap="drop")  # E
    scheduler.modify_task(task, executor=3)  # E
    scheduler.modify_task(task, max_instances="2")  # E
    scheduler.modify_task(task, misfire_grace_time="3 s")  # E
    scheduler.modify_task(task, coalesce="yes")  # E
    scheduler.modify_task(task, timeout="3 s")  # E
    scheduler.modify_task(task, retry=3)  # E
    scheduler.modify_task(task, overlap="drop")  # E
