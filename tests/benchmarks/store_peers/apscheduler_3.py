"""APScheduler 3 with its SQLAlchemy job store."""

import sys
import threading
from datetime import UTC, datetime

from apscheduler.events import EVENT_JOB_EXECUTED
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from measuring import Meter


def nothing():
    pass


def main(url, runs):
    meter, ended = Meter(runs), threading.Event()
    scheduler = BackgroundScheduler(
        jobstores={"default": SQLAlchemyJobStore(url=url.replace("postgresql:", "postgresql+psycopg:"))}
    )

    def count(_):
        meter.count()
        if meter.done == runs:
            ended.set()

    scheduler.add_listener(count, EVENT_JOB_EXECUTED)
    scheduler.start()
    at = datetime.fromtimestamp(meter.at, UTC)
    for number in range(runs):
        # As an interval: a job with a date would be deleted instead of updated.
        scheduler.add_job(nothing, "interval", hours=1, start_date=at, id=f"job-{number}", misfire_grace_time=None)
    meter.begin()
    ended.wait(120)
    meter.end()
    scheduler.shutdown()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
