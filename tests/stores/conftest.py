"""Fixtures of the tests of stores."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.helpers.commands import build_commands_once
from tests.helpers.postgres import running_server
from tests.helpers.stored_jobs import calls, release


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    with running_server() as url:
        yield url


@pytest.fixture(autouse=True)
def no_calls() -> Iterator[None]:
    """Forget the calls of functions of stored tasks; those that block are released after the test."""
    calls.clear()
    release.clear()
    yield
    release.set()
    calls.clear()


@pytest.fixture(scope="package", autouse=True)
def commands() -> Iterator[None]:
    """Build the commands once, not for each call."""
    with pytest.MonkeyPatch.context() as patch:
        build_commands_once(patch)
        yield
