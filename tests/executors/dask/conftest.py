"""A Dask cluster for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.helpers.cluster import cluster_of


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """The address of a Dask cluster of two workers with two threads each."""
    with cluster_of(workers=2) as address:
        yield address
