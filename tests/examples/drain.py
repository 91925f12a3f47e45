"""A service that finishes its jobs on SIGTERM, with log lines that name the run: for systemd, Docker and Kubernetes."""

import asyncio
import logging

from asyncz import AsyncIOScheduler, install_log_fields

logger = logging.getLogger("jobs")


async def work() -> None:
    for step in range(3):
        logger.info("step %d", step)
        await asyncio.sleep(0.2)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asyncz_task)s %(message)s")
    install_log_fields()
    scheduler = AsyncIOScheduler()
    scheduler.add_task(work, id="work")
    scheduler.run_forever(drain_timeout=25)
