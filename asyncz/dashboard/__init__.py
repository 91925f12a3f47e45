"""Dashboard and JSON API of a scheduler, as an ASGI app; needs the extra `dashboard`.

Example:
    >>> app.mount("/scheduler", Dashboard(scheduler, authorize))
"""

from asyncz.dashboard._actions import OperatorAction as OperatorAction
from asyncz.dashboard._redaction import Redact as Redact, RedactedKind as RedactedKind, redact_secrets as redact_secrets
from asyncz.dashboard._security import Authorize as Authorize, User as User, Verdict as Verdict
from asyncz.dashboard.app import Dashboard as Dashboard
from asyncz.dashboard.states import Access as Access

__all__ = [
    "Access",
    "Authorize",
    "Dashboard",
    "OperatorAction",
    "Redact",
    "RedactedKind",
    "User",
    "Verdict",
    "redact_secrets",
]
