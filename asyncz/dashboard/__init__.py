"""Dashboard and JSON API of a scheduler, as an ASGI app.

Exports are imported on first use: they need the extra `dashboard`, and the states of the API do not.

Example:
    >>> app.mount("/scheduler", Dashboard(scheduler, authorize))
"""

from typing import TYPE_CHECKING

from asyncz._lazy import lazy_exports

__all__ = [
    "Access",
    "Authorize",
    "Dashboard",
    "OperatorAction",
    "Permission",
    "Redact",
    "RedactedKind",
    "StoreDashboard",
    "User",
    "Verdict",
    "redact_secrets",
]

if TYPE_CHECKING:
    from asyncz.dashboard._actions import OperatorAction as OperatorAction
    from asyncz.dashboard._redaction import (
        Redact as Redact,
        RedactedKind as RedactedKind,
        redact_secrets as redact_secrets,
    )
    from asyncz.dashboard._security import Authorize as Authorize, User as User, Verdict as Verdict
    from asyncz.dashboard.app import Dashboard as Dashboard, StoreDashboard as StoreDashboard
    from asyncz.dashboard.states import Access as Access, Permission as Permission
else:
    _get, __dir__ = lazy_exports(
        __name__,
        {
            "asyncz.dashboard._actions": ("OperatorAction",),
            "asyncz.dashboard._redaction": ("Redact", "RedactedKind", "redact_secrets"),
            "asyncz.dashboard._security": ("Authorize", "User", "Verdict"),
            "asyncz.dashboard.app": ("Dashboard", "StoreDashboard"),
            "asyncz.dashboard.states": ("Access", "Permission"),
        },
    )

    def __getattr__(name: str) -> object:
        try:
            return _get(name)
        except ModuleNotFoundError as error:
            package = f"{error.name}".partition(".")[0]
            if package == "asyncz":
                raise
            from asyncz.exceptions import MissingExtraError

            raise MissingExtraError(f"asyncz.dashboard.{name}", package, "dashboard") from error
