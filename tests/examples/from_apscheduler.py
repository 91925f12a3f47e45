"""A program that was written for APScheduler 3; the comments are the lines that changed."""

from asyncz import AsyncIOScheduler, CronTrigger, IntervalTrigger, TaskError, TaskExecuted, TaskLimits

# scheduler = BlockingScheduler(executors={"default": ThreadPoolExecutor(10)}, job_defaults={"coalesce": False})
scheduler = AsyncIOScheduler(executors={"default": "threadpool"}, defaults=TaskLimits(coalesce=False))


# @scheduler.scheduled_job("interval", seconds=1, id="tick")
@scheduler.task(trigger=IntervalTrigger(seconds=1), id="tick")
def tick() -> str:
    return "tick"


def back_up(folder: str) -> None:
    print("copying", folder)


# scheduler.add_listener(report, EVENT_JOB_EXECUTED | EVENT_JOB_ERROR)
@scheduler.on(TaskExecuted, TaskError)
def report(event: TaskExecuted[object] | TaskError) -> None:
    print(event.task_id, event.result if isinstance(event, TaskExecuted) else event.exception)


if __name__ == "__main__":
    tick.schedule()  # A decorator alone adds no task here.
    # scheduler.add_job(back_up, "cron", day_of_week="mon-fri", hour=2, kwargs={"folder": "/home"}, id="backup")
    scheduler.call(back_up, folder="/home").add(trigger=CronTrigger("0 2 * * MON-FRI", timezone="local"), id="backup")
    scheduler.run_forever()  # scheduler.start()
