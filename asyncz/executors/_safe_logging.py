"""Logger of the parts that executors share, which know no alias."""

from asyncz._safe_logging import SafeLogger

logger = SafeLogger("asyncz.executors")
