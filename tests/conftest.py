"""What all tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster import cluster_of
from tests.functions import Recorder


@pytest.fixture(scope="session", autouse=True)
def mypy_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Where mypy keeps what it has seen: the library is the same for all tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MYPY_CACHE_DIR", str(tmp_path_factory.mktemp("mypy")))
        yield


@pytest.fixture
def recorder() -> Recorder:
    """A notifier that keeps what it is told, for executors without a scheduler."""
    return Recorder()


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """The address of a Dask cluster of two workers with two threads each."""
    with cluster_of(workers=2) as address:
        yield address
