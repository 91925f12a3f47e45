"""Logger of all parts of a scheduler."""

from asyncz._safe_logging import SafeLogger

logger = SafeLogger("asyncz.scheduler")
