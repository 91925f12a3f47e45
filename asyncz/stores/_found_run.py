"""State of a run in a transaction of a user."""

from __future__ import annotations

from typing import NamedTuple


class FoundRun(NamedTuple):
    """State of a run in the transaction of a connection, which has rejected an outcome.

    Attributes:
        fence: Fence of the run; None if the transaction does not see the run.
        has_written: True if the run has the outcome that was written before.
        isolation: Isolation of the transaction, in lower case; empty if it does not matter.
    """

    fence: int | None
    has_written: bool = False
    isolation: str = ""
