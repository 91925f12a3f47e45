"""When runs are due, and who is told."""

from asyncz.schedulers.asyncio import AsyncIOScheduler

__all__ = ["AsyncIOScheduler"]
