"""Coverage of killed processes."""

from __future__ import annotations

from pathlib import Path

from coverage import CoverageData

from tests.helpers.coverage_data import remove_unfinished_data


def test_unfinished_data_removed_before_combination(tmp_path: Path) -> None:
    finished = tmp_path / ".coverage.host.pid1.X1"
    data = CoverageData(str(finished))
    data.add_lines({"module.py": {1, 2}})
    data.write()
    data.close()
    (tmp_path / ".coverage.host.pid2.X2").touch()
    (tmp_path / ".coverage.host.pid3.X3").write_bytes(finished.read_bytes()[:30])
    (tmp_path / ".coverage").touch()
    remove_unfinished_data(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {finished.name, ".coverage"}
