"""Logger of all parts of the dashboard."""

from asyncz._safe_logging import SafeLogger

logger = SafeLogger("asyncz.dashboard")
