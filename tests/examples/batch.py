"""A batch on all cores with a progress bar that moves from inside of the work."""

from rich.progress import Progress

from asyncz import AsyncIOScheduler, TaskProgress, current_run


def count_primes(start: int, stop: int) -> int:
    found = 0
    for number in range(start, stop):
        found += number > 1 and all(number % divisor for divisor in range(2, int(number**0.5) + 1))
        current_run().report(number - start + 1, stop - start)
    return found


if __name__ == "__main__":
    with AsyncIOScheduler(executors={"default": "processpool"}).in_thread() as thread, Progress() as bars:
        shown = {f"from {start}": bars.add_task(f"from {start}", total=5000) for start in range(0, 20_000, 5000)}

        def show(event: TaskProgress) -> None:
            bars.update(shown[event.task_id], completed=event.done)

        thread.scheduler.subscribe(TaskProgress, show)
        tasks = [thread.scheduler.add_task(count_primes, n, n + 5000, id=f"from {n}") for n in range(0, 20_000, 5000)]
        total = sum(thread.result(task) for task in tasks)
    print(total, "primes")
