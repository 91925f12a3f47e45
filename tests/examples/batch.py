"""A batch on all cores with a progress bar that moves from inside of the work."""

from rich.progress import Progress

from asyncz import AsyncIOScheduler, TaskProgress, current_run

STEP = 1000


def count_primes(start: int) -> int:
    found = 0
    for number in range(start, start + STEP):
        found += number > 1 and all(number % divisor for divisor in range(2, int(number**0.5) + 1))
        current_run().report(number - start + 1, STEP)
    return found


if __name__ == "__main__":
    starts, done = range(0, 20_000, STEP), dict[object, float]()
    with AsyncIOScheduler(executors={"default": "processpool"}).in_thread() as thread, Progress() as bars:
        bar = bars.add_task("counting", total=STEP * len(starts))

        def show(event: TaskProgress) -> None:
            done[event.details.run_id] = event.done
            bars.update(bar, completed=sum(done.values()))

        thread.scheduler.subscribe(TaskProgress, show)
        total = sum(thread.map(count_primes, starts, timeout=60))
    print(total, "primes")
