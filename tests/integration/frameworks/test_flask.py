"""A scheduler in a Flask app, served by `flask run` and by gunicorn."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import httpx
import pytest

from tests.integration.frameworks.served import serve, write_files

pytestmark = pytest.mark.slow

SLOW_TASK = """
import time

def slow():
    print("slow begins", flush=True)
    time.sleep(2)
    print("slow ends", flush=True)
    return "slow"

scheduler.add_task(slow, trigger=IntervalTrigger(seconds=1), id="slow")
"""
STARTED_BEFORE_FORK = """
from flask import Flask
from asyncz import AsyncIOScheduler, SchedulerNotRunningError

scheduler = AsyncIOScheduler()
task = scheduler.add_task(pow, 2, 10, trigger=None)
thread = scheduler.in_thread().start()

def create_app():
    app = Flask(__name__)

    @app.get("/")
    def run():
        answers = []
        for call in (lambda: thread.run(task), lambda: task.submit(), lambda: scheduler.add_task(pow, 2, 3)):
            try:
                answers.append(f"no error: {call()}")
            except SchedulerNotRunningError as error:
                answers.append(str(error))
        return "\\n".join(answers)

    return app
"""


def test_flask_run_starts_one_scheduler(tmp_path: Path) -> None:
    write_files("flask", tmp_path)
    with serve(tmp_path, "flask", "run", "--port", "0") as server:
        pid = server.until_ticks(3)
        assert pid == server.process.pid
        assert set(server.ticks) == {pid}
        assert httpx.get(f"{server.url}/clean-up").text == f"cleaned up by process {pid}"


def test_flask_reloader_runs_one_scheduler(tmp_path: Path) -> None:
    write_files("flask", tmp_path)
    with serve(tmp_path, "flask", "run", "--debug", "--port", "0") as server:
        first = server.until_ticks(3)
        assert first != server.process.pid
        assert set(server.ticks) == {first}
        assert httpx.get(f"{server.url}/clean-up").text == f"cleaned up by process {first}"
        app = tmp_path / "app.py"
        app.write_text(app.read_text() + "\n# changed\n")
        second = server.until_ticks(3, other_than=first)
        assert set(server.ticks[server.ticks.index(second) :]) == {second}
        assert httpx.get(f"{server.url}/clean-up").text == f"cleaned up by process {second}"


def test_flask_run_drains_on_sigint(tmp_path: Path) -> None:
    write_files("flask", tmp_path)
    app = tmp_path / "app.py"
    app.write_text(app.read_text() + SLOW_TASK)
    with serve(tmp_path, "flask", "run", "--port", "0") as server:
        server.until(lambda: "slow begins" in server.output)
        server.stop(signal.SIGINT)
        assert server.output.count("slow begins") == server.output.count("slow ends")


def test_gunicorn_runs_the_scheduler_in_one_worker(tmp_path: Path) -> None:
    write_files("flask", tmp_path)
    with serve(tmp_path, "gunicorn", "--bind", "127.0.0.1:0", "app:create_app()") as server:
        first = server.until_ticks(3)
        assert set(server.ticks) == {first}
        assert first != server.process.pid
        # Another worker takes over.
        os.kill(first, signal.SIGKILL)
        second = server.until_ticks(3, other_than=first)
        assert set(server.ticks[server.ticks.index(second) :]) == {second}
        # All workers are replaced.
        server.process.send_signal(signal.SIGHUP)
        server.until(lambda: server.ticks[-1] not in {first, second})
        third = server.ticks[-1]
        server.until(lambda: server.ticks.count(third) >= 3)
        assert set(server.ticks[server.ticks.index(third) :]) == {third}
        assert server.stop() == 0
        assert "Traceback" not in server.output


def test_gunicorn_worker_drains_on_sigterm(tmp_path: Path) -> None:
    write_files("flask", tmp_path)
    app = tmp_path / "app.py"
    app.write_text(app.read_text() + SLOW_TASK)
    with serve(tmp_path, "gunicorn", "--bind", "127.0.0.1:0", "app:create_app()") as server:
        server.until(lambda: "slow begins" in server.output)
        assert server.stop() == 0
        assert server.output.count("slow begins") == server.output.count("slow ends")


def test_gunicorn_reports_a_start_before_the_fork(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(STARTED_BEFORE_FORK)
    command = ("gunicorn", "--bind", "127.0.0.1:0", "--workers", "2", "--preload", "app:create_app()")
    with serve(tmp_path, *command) as server:
        answers = httpx.get(server.url, timeout=30).text.splitlines()
        assert len(answers) == 3
        for answer in answers:
            assert f"a fork copied the scheduler of process {server.process.pid}" in answer
            assert "post_fork" in answer
        assert server.stop() == 0
        assert "Traceback" not in server.output
