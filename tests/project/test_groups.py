"""Groups of tests that share a process, and so an expensive fixture."""

from __future__ import annotations

import pytest


@pytest.mark.xdist_group("shared")
def test_group_reaches_scheduler_of_xdist(request: pytest.FixtureRequest) -> None:
    """Some versions of pytest and of its plugin lose the groups silently: each process then starts a cluster."""
    if not request.config.getoption("loadgroup", default=False):
        pytest.skip("the tests are not distributed by group")
    assert request.node.nodeid.endswith("@shared")
