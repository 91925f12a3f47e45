"""Alert rules and queries of the examples, checked by promtool of Prometheus."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # has no annotations

PROMTOOL = shutil.which("promtool") or ""
EXAMPLES = Path(__file__).parents[1] / "examples" / "monitoring"

pytestmark = pytest.mark.skipif(not PROMTOOL, reason="promtool, of the package prometheus, is not installed")


def promtool(*arguments: object) -> None:
    """Run promtool; a problem fails the test with its output."""
    done = subprocess.run([PROMTOOL, *map(str, arguments)], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_alert_rules_are_valid() -> None:
    promtool("check", "rules", EXAMPLES / "alerts.yml")


def test_alerts_fire_for_their_series() -> None:
    promtool("test", "rules", Path(__file__).with_name("alerts_test.yml"))


def test_queries_of_dashboard_are_valid(tmp_path: Path) -> None:
    panels = json.loads((EXAMPLES / "grafana.json").read_text())["panels"]
    queries = [target["expr"] for panel in panels for target in panel["targets"]]
    assert len(queries) > 10
    rules = [
        {"record": f"query:{number}", "expr": query.replace("$__rate_interval", "5m").replace("$instance", ".*")}
        for number, query in enumerate(queries)
    ]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    promtool("check", "rules", file)
