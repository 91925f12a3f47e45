"""A scheduler in a Django project, with `runserver` and with a management command."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.frameworks.served import serve, write_files

pytestmark = pytest.mark.slow

SETTINGS = """
SECRET_KEY = "secret"
DEBUG = True
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "site_urls"
INSTALLED_APPS = ["jobs"]
USE_TZ = True
"""
URLS = """
import os
from django.http import HttpResponse
from django.urls import path
from jobs.schedule import scheduler

urlpatterns = [path("", lambda request: HttpResponse(f"{os.getpid()} {scheduler.running}"))]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write_files("django", tmp_path)
    (tmp_path / "site_settings.py").write_text(SETTINGS)
    (tmp_path / "site_urls.py").write_text(URLS)
    for package in ("jobs", "jobs/management", "jobs/management/commands"):
        (tmp_path / package / "__init__.py").touch()
    return tmp_path


def test_runserver_runs_one_scheduler(project: Path) -> None:
    command = ("django", "runserver", "--skip-checks", "127.0.0.1:0")
    with serve(project, *command, DJANGO_SETTINGS_MODULE="site_settings") as server:
        first = server.until_ticks(3)
        assert first != server.process.pid
        assert set(server.ticks) == {first}
        schedule = project / "jobs" / "schedule.py"
        schedule.write_text(schedule.read_text() + "\n# changed\n")
        second = server.until_ticks(3, other_than=first)
        assert set(server.ticks[server.ticks.index(second) :]) == {second}
        assert "Traceback" not in server.output


def test_other_commands_start_no_scheduler(project: Path) -> None:
    with serve(project, "django", "check", DJANGO_SETTINGS_MODULE="site_settings") as command:
        assert command.process.wait(60) == 0
        assert command.ticks == []


def test_management_command_runs_until_sigterm(project: Path) -> None:
    with serve(project, "django", "run_jobs", DJANGO_SETTINGS_MODULE="site_settings") as command:
        assert command.until_ticks(3) == command.process.pid
        assert command.stop() == 0
        assert "Traceback" not in command.output
