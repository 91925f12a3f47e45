"""The chart and the table of the README show the measurements that are kept beside the benchmarks."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

from tests.benchmarks import svg
from tests.benchmarks.results import APSCHEDULER, Results, as_json, from_json

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests" / "benchmarks"
RESULTS = FOLDER / "results.json"


def kept() -> Results:
    return from_json(RESULTS.read_text())


def test_chart_agrees_with_kept_results() -> None:
    """`python -m tests.benchmarks --peers --json ... --svg ...` writes both files."""
    assert (FOLDER / "speed.svg").read_text() == svg.svg_chart(kept())


def test_table_of_readme_agrees_with_kept_results() -> None:
    readme = (ROOT / "README.md").read_text()
    assert svg.ratio_table(kept()) in readme
    assert "](tests/benchmarks/speed.svg)" in readme


def test_readme_is_what_the_benchmarks_would_write() -> None:
    readme = (ROOT / "README.md").read_text()
    assert svg.speed_claim(kept()) in " ".join(readme.split())
    assert svg.with_results(readme, kept()) == readme
    other = {
        key: {name: figure * (3 if name == "asyncz" else 1) for name, figure in found.items()}
        for key, found in kept().items()
    }
    changed = svg.with_results(readme, other)
    assert changed != readme
    assert svg.with_results(changed, kept()) == readme


def test_kept_results_survive_a_round_trip() -> None:
    assert as_json(kept()) == RESULTS.read_text()


def test_chart_has_bar_and_figure_of_each_contender() -> None:
    figures = {"asyncz": 10.0, APSCHEDULER: 40.0, "bare": 5.0}
    root = ET.fromstring(svg.svg_chart({("threads", "cost"): figures, ("threads", "longest turn"): {"asyncz": 1.0}}))
    namespace = "{http://www.w3.org/2000/svg}"
    texts = [each.text for each in root.iter(f"{namespace}text")]
    assert texts[-4:] == ["thread pool", "10 µs", "40 µs, 4.0 x asyncz", "5 µs, 0.5 x asyncz"]
    widths = [float(each.get("width", "")) for each in root.iter(f"{namespace}rect")][-3:]
    assert widths[0] / widths[1] == 0.25


def test_chart_and_table_leave_out_missing_contenders() -> None:
    results = {("inline", "cost"): {"asyncz": 10.0, APSCHEDULER: 20.0}}
    assert svg.ratio_table(results).splitlines()[-1] == "| on the loop | 2.0 |  |"
    assert "without a scheduler" in svg.svg_chart(results)
