"""Pickling of jobs on the way to their slots.

Plain jobs are pickled at once. All others call user code, which may take any time: they are pickled on
`UserCodeThreads`, while the slot keeps their place and that of the jobs behind them. If the pickling of a job takes
long, its slot goes to other jobs, and the job to the head of the queue once it is pickled. At most `_MAX_STARTED` jobs
are being pickled, some of which may hang: others that are not plain wait, and the plain ones overtake them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Generic

from asyncz.executors.process_pool._jobs import JobTable
from asyncz.executors.process_pool._slot import Job, LinkT, ProcessT, Slot
from asyncz.executors.process_pool._user_code import Lane, UserCodeThreads

_SECONDS_UNTIL_SLOW = 0.02
_MAX_STARTED = 32


class JobPickler(Generic[ProcessT, LinkT]):
    """Jobs that are being pickled, and those that lost their slot meanwhile. For the supervisor's thread.

    Args:
        jobs: All jobs.
        user_code: Threads that pickle.
        post: Makes a call on the supervisor's thread.

    Attributes:
        is_full: True if no more jobs may be pickled at the moment, unless they are plain.
        postponed: Jobs that wait for that.
    """

    def __init__(self, jobs: JobTable, user_code: UserCodeThreads, post: Callable[[Callable[[], None]], None]) -> None:
        self._jobs = jobs
        self._user_code = user_code
        self._post = post
        # By run: the slot, None if it went to other jobs, and the start of the pickling.
        self._started: dict[int, tuple[Slot[ProcessT, LinkT] | None, float]] = {}
        self._contents: dict[int, tuple[bytes, ...]] = {}
        self.postponed: deque[Job] = deque()
        self.is_full = False

    def postpone(self, job: Job) -> bool:
        """Let a job from the queue wait until another one is pickled; return False if it need not be pickled."""
        if job.run_id in self._contents or job.is_plain:
            return False
        self.postponed.append(job)
        return True

    def return_postponed(self) -> bool:
        """Return the first postponed job to the queue if it can be pickled now; return False if there is none."""
        if self.is_full or not self.postponed:
            return False
        self._jobs.queue.appendleft(self.postponed.popleft())
        return True

    def send(self, slot: Slot[ProcessT, LinkT], job: Job, now: float) -> None:
        """Send a job to the worker of a slot as soon as it is pickled."""
        content = (self._contents.pop(job.run_id, None) if self._contents else None) or job.pickle_plain()
        slot.reserve(job, now)
        if content is not None and not slot.unsent:
            slot.send_next(job, content)
            return
        if content is None:
            self._started[job.run_id] = slot, now
            self.is_full = len(self._started) >= _MAX_STARTED
            self._user_code.call(Lane(), partial(self._pickle, job))
        slot.wait_for_pickle(job, content)

    def _pickle(self, job: Job) -> None:
        """Pickle a job, on a thread for user code."""
        stop_timeout = job.limit_pickling()
        try:
            content = job.pickle()
        except BaseException as error:
            stop_timeout()
            self._post(partial(self._on_failed, job, error))
        else:
            stop_timeout()
            self._post(partial(self._on_pickled, job, content))

    def _end(self, job: Job) -> Slot[ProcessT, LinkT] | None:
        """Note that the pickling of a job has ended, and return its slot."""
        slot, _ = self._started.pop(job.run_id, (None, 0.0))
        self.is_full = len(self._started) >= _MAX_STARTED
        self.return_postponed()
        return slot

    def _on_pickled(self, job: Job, content: tuple[bytes, ...]) -> None:
        slot = self._end(job)
        if not self._jobs.is_open(job):
            return
        if slot is not None and slot.jobs.get(job.run_id) is job:
            slot.send(job, content)
        else:
            self._contents[job.run_id] = content
            self._jobs.queue.appendleft(job)

    def _on_failed(self, job: Job, error: BaseException) -> None:
        slot = self._end(job)
        if slot is not None:
            slot.drop_unsent(job)
        self._jobs.fail(job, error)

    def requeue(self, jobs: Iterable[Job]) -> None:
        """Return jobs to the head of the queue, in order; those that are being pickled follow when they are ready."""
        pickled: list[Job] = []
        for job in jobs:
            if job.run_id in self._started:
                self._started[job.run_id] = None, 0.0
            else:
                pickled.append(job)
        self._jobs.queue.extendleft(reversed(pickled))

    @property
    def next_deadline(self) -> float | None:
        """Earliest time at which `release_slots` has something to do."""
        times = [
            max(since, slot.ready_at) + _SECONDS_UNTIL_SLOW
            for slot, since in self._started.values()
            if slot is not None and slot.ready_at is not None
        ]
        return min(times) if times else None

    def release_slots(self, now: float) -> None:
        """Release the slots of jobs that take long to pickle.

        A process that still starts cannot execute other jobs either: its slot is kept.
        """
        if not self._started:
            return
        for run_id, (slot, since) in list(self._started.items()):
            if slot is None or slot.ready_at is None or now < max(since, slot.ready_at) + _SECONDS_UNTIL_SLOW:
                continue
            self._started[run_id] = None, since
            job = self._jobs.get(run_id)
            if job is not None:
                slot.drop_unsent(job)

    def forget(self, job: Job) -> None:
        """Drop the pickled form of a job."""
        self._contents.pop(job.run_id, None)

    def forget_contents(self) -> None:
        """Drop the pickled forms of all jobs in the queue."""
        self._contents.clear()

    def return_all_postponed(self) -> None:
        """Return the postponed jobs to the queue."""
        self._jobs.queue.extend(self.postponed)
        self.postponed.clear()

    def clear(self) -> None:
        """Forget all jobs."""
        self._started.clear()
        self._contents.clear()
        self.postponed.clear()
        self.is_full = False
