"""Reports of progress that arrive late."""

from __future__ import annotations

from unittest.mock import Mock

from asyncz.schedulers._progress import _RunReports
from asyncz.schedulers._runtime import Runtime
from asyncz.testing import FakeClock


def test_report_of_forgotten_run_is_dropped() -> None:
    """A report that is on its way when the outcome closes the reports finds the run forgotten."""
    run = Mock(_completed=True)
    _RunReports(Runtime(FakeClock(), 5), run, {}, 1).emit()
    run.details.assert_not_called()
