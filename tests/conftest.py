"""What all tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster import cluster_of
from tests.functions import Recorder


@pytest.fixture
def recorder() -> Recorder:
    """A notifier that keeps what it is told, for executors without a scheduler."""
    return Recorder()


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """The address of a Dask cluster of two workers with two threads each."""
    with cluster_of(workers=2) as address:
        yield address
