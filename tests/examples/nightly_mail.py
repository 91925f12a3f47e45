"""A nightly report in Berlin, and a mail if it fails or does not run."""

import asyncio
from datetime import UTC, datetime

from asyncz import AsyncIOScheduler, CronTrigger, TaskError, TaskMissed
from asyncz.testing import FakeClock


async def write_report() -> None:
    raise OSError("the disk is full")


async def send_mail(event: TaskError | TaskMissed) -> None:
    reason = event.exception if isinstance(event, TaskError) else "it was missed"
    print(f"mail: {event.task_id} at {event.details.scheduled_at:%H:%M} UTC: {reason}")


async def main() -> None:
    clock = FakeClock(datetime(2026, 7, 1, tzinfo=UTC))  # a program leaves the clock out, and calls run_forever()
    async with AsyncIOScheduler(clock=clock) as scheduler:
        trigger = CronTrigger("30 2 * * *", timezone="Europe/Berlin")
        task = scheduler.add_task(write_report, trigger=trigger, id="nightly", misfire_grace_time=3600)
        task.on_error(send_mail)
        task.on_missed(send_mail)
        await clock.advance(24 * 3600)


asyncio.run(main())
