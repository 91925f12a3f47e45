"""Fixtures of the tests of stores."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.helpers.postgres import running_server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    with running_server() as url:
        yield url
