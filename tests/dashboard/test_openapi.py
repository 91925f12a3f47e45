"""OpenAPI document, and answers that follow it for generated requests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings

from tests.dashboard.serving import served
from tests.dashboard.test_servers import Server, serving
from tests.helpers.effort import examples


@pytest.mark.anyio
async def test_document_describes_every_operation() -> None:
    async with served() as (_, dashboard, client):
        document = (await client.get("/api/openapi.json")).json()
        described = {(path, method.upper()) for path, methods in document["paths"].items() for method in methods}
        routed = {
            (path, method)
            for path, methods in dashboard._routes.items()
            for method in methods
            if path.startswith("/api/") and path != "/api/openapi.json"
        }
        assert described == routed


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving("tests.dashboard.apps:alone", tmp_path_factory.mktemp("server"), "") as found:
        yield found


# Requests take their time on a busy machine, and negative values are filtered.
_SLOW = (HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large)

READING = ("info", "tasks", "task", "runs", "run", "executors", "timeline", "events")
ACTING = ("actions", "cancel-run", "scheduler")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "name"),
    [
        *(("positive", name) for name in (*READING, *ACTING)),
        # The others have no parameters that could be wrong.
        *(("negative", name) for name in (*READING, *ACTING) if name not in {"info", "executors"}),
    ],
)
def test_answers_follow_document(server: Server, name: str, mode: str) -> None:
    """Valid and invalid requests get the statuses, content types and values that the document names."""
    schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
    schema = schemathesis.openapi.from_url(f"{server.url}/api/openapi.json")
    operation = schema[f"/api/{name}"]["GET" if name in READING else "POST"]
    strategy = operation.as_strategy(generation_mode=schemathesis.GenerationMode(mode))

    @settings(max_examples=examples(12), deadline=None, database=None, suppress_health_check=_SLOW)
    @given(case=strategy)
    def check(case: object) -> None:
        response = case.call(base_url=server.url, headers=case.headers)  # type: ignore[attr-defined]  # a Case
        assert response.status_code != 500, server.log
        # The document cannot say which options of a trigger go together.
        excluded = [schemathesis.checks.positive_data_acceptance] if name == "actions" else []
        case.validate_response(response, excluded_checks=excluded)  # type: ignore[attr-defined]  # a Case

    check()
    assert "Traceback" not in server.log, server.log
