"""The conformance suite for a given trigger."""

from __future__ import annotations

from typing_extensions import override

from asyncz import Trigger
from asyncz.testing import TriggerConformance
from tests.helpers.broken_triggers import Broken


class TriggerSuite(TriggerConformance):
    """Suite for a given trigger; pytest does not collect it."""

    __test__ = False
    longest_answer = 0.02
    hang_timeout = 5.0

    def __init__(self, broken: Broken) -> None:
        self.make = broken.make

    @override
    def make_trigger(self) -> Trigger:
        return self.make()
