"""State machine of a worker slot, without a process: every state and event of its diagram."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from typing_extensions import override

from asyncz import WorkerLostError
from asyncz.events import Worker
from asyncz.executors import _remote_call
from asyncz.executors.process_pool import _frames, _pickling, _prefetch
from asyncz.executors.process_pool._frames import Content, FrameError
from asyncz.executors.process_pool._jobs import JobTable
from asyncz.executors.process_pool._pickling import JobPickler
from asyncz.executors.process_pool._slot import SECONDS_TO_QUIT, SECONDS_TO_RETURN, Job, Slot, SlotEnd, SlotState
from asyncz.executors.process_pool._user_code import Lane, UserCodeThreads

WORKER = Worker(host="here", pid=7, thread="MainThread")
PLAIN = (b"run",)


class FakeJob:
    """A job that notes its reports."""

    def __init__(self, run_id: int, can_return: bool = False, plain: bool = True) -> None:
        self.run_id = run_id
        self.can_return = can_return
        self.plain = plain
        self.notes: list[str] = []
        self.error: BaseException | None = None

    def claim(self) -> bool:
        return True

    def pickle_plain(self) -> tuple[bytes, ...] | None:
        return PLAIN if self.plain else None

    @property
    def is_plain(self) -> bool:
        return self.plain

    def limit_pickling(self) -> Callable[[], None]:
        self.notes.append("limited")
        return lambda: self.notes.append("not limited")

    def pickle(self) -> tuple[bytes, ...]:
        return PLAIN

    def handed_over(self) -> None:
        self.notes.append("handed over")

    def started(self, at: float, worker: Worker) -> None:
        self.notes.append("started")

    def progressed(self, content: Content) -> None:
        self.notes.append("progressed")

    def deliver_plain(self, kind: int, content: Content) -> bool:
        self.deliver(kind, content)
        return True

    def deliver(self, kind: int, content: Content) -> None:
        self.notes.append("delivered")

    def fail(self, error: BaseException) -> None:
        self.error = error
        self.notes.append("failed")

    def cancelled(self) -> None:
        self.notes.append("cancelled")


class FakeOwner:
    """Reports at once."""

    def report(self, lane: Lane, job: Job, report: Callable[[], None]) -> None:
        report()

    def deliver(self, lane: Lane, job: Job, kind: int, content: Content) -> None:
        job.deliver(kind, content)

    def log(self, lane: Lane, content: Content, note_handled: Callable[[], None]) -> None:
        note_handled()


@dataclass
class FakeLink:
    """A link that keeps the frames, and the tokens that its worker has not taken."""

    sent: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    tokens: list[int] = field(default_factory=list[int])
    is_within_frame: bool = False

    def send(self, kind: int, run_id: int = 0, *parts: bytes) -> None:
        self.sent.append((kind, run_id))

    def send_run(self, run_id: int, parts: tuple[bytes, ...]) -> None:
        self.sent.append((_frames.RUN, run_id))
        self.tokens.append(run_id)

    def revoke(self) -> list[int]:
        taken, self.tokens = self.tokens, []
        return taken


@dataclass
class FakeProcess:
    pid: int = 7
    kills: int = 0

    def kill(self) -> None:
        self.kills += 1


class Bench:
    """A slot with a fake process, and its events at the time 0."""

    def __init__(self, max_runs: int | None = None) -> None:
        self.window = _prefetch.PrefetchWindow()
        self.slot: Slot[FakeProcess, FakeLink] = Slot(FakeOwner(), self.window, max_runs, 0.0)
        self.link = FakeLink()
        self.process = FakeProcess()

    def spawn(self) -> None:
        self.slot.on_spawned(self.process, self.link, WORKER)

    def ready(self) -> None:
        self.frame(_frames.READY)

    def give(self, job: FakeJob) -> FakeJob:
        self.slot.reserve(job, 0.0)
        self.slot.send(job, PLAIN)
        return job

    def start(self, job: FakeJob) -> None:
        self.link.tokens.remove(job.run_id)
        self.frame(_frames.STARTED, job.run_id, _frames.TIME.pack(1.0))

    def result(self, job: FakeJob) -> None:
        self.frame(_remote_call.RESULT, job.run_id, _frames.TIME.pack(2.0))

    def frame(self, kind: int, run_id: int = 0, content: bytes = b"") -> None:
        self.slot.on_frame(kind, run_id, content, 0.0)


def bench_in(state: SlotState) -> tuple[Bench, FakeJob]:
    """Return a slot in a state, and its job if the state has one."""
    bench, job = Bench(), FakeJob(1, can_return=state is SlotState.RETURNING)
    if state is SlotState.STARTING:
        return bench, job
    bench.spawn()
    bench.ready()
    if state is SlotState.IDLE:
        return bench, job
    if state is SlotState.RETIRING:
        bench.slot.retire(0.0)
        return bench, job
    bench.give(job)
    bench.start(job)
    if state is SlotState.RETURNING:
        bench.slot.cancel(job.run_id, 0.0)
    elif state is SlotState.KILLING:
        bench.slot.kill()
    elif state is SlotState.DEAD:
        bench.slot.on_death()
    return bench, job


@pytest.mark.parametrize("state", SlotState)
def test_bench_reaches_each_state(state: SlotState) -> None:
    assert bench_in(state)[0].slot.state is state


# Event, state before, state after. An event that is not listed for a state cannot happen in it.
TABLE: list[tuple[str, SlotState, SlotState]] = [
    ("ready", SlotState.STARTING, SlotState.IDLE),
    ("started", SlotState.IDLE, SlotState.RUNNING),
    ("outcome", SlotState.RUNNING, SlotState.IDLE),
    ("outcome", SlotState.RETURNING, SlotState.IDLE),
    ("outcome", SlotState.KILLING, SlotState.KILLING),
    ("cancel", SlotState.STARTING, SlotState.KILLING),
    ("cancel", SlotState.RUNNING, SlotState.KILLING),
    ("cancel", SlotState.RETURNING, SlotState.RETURNING),
    ("cancel", SlotState.KILLING, SlotState.KILLING),
    ("cancel", SlotState.DEAD, SlotState.DEAD),
    ("stop", SlotState.STARTING, SlotState.KILLING),
    ("stop", SlotState.IDLE, SlotState.RETIRING),
    ("stop", SlotState.RUNNING, SlotState.KILLING),
    ("stop", SlotState.RETURNING, SlotState.RETURNING),
    ("stop", SlotState.RETIRING, SlotState.RETIRING),
    ("stop", SlotState.KILLING, SlotState.KILLING),
    ("stop", SlotState.DEAD, SlotState.DEAD),
    ("deadline", SlotState.STARTING, SlotState.STARTING),
    ("deadline", SlotState.IDLE, SlotState.IDLE),
    ("deadline", SlotState.RUNNING, SlotState.RUNNING),
    ("deadline", SlotState.RETURNING, SlotState.KILLING),
    ("deadline", SlotState.RETIRING, SlotState.KILLING),
    ("deadline", SlotState.KILLING, SlotState.KILLING),
    ("deadline", SlotState.DEAD, SlotState.DEAD),
    *[("bad bytes", state, SlotState.KILLING) for state in SlotState if state is not SlotState.DEAD],
    *[("death", state, SlotState.DEAD) for state in SlotState],
]


@pytest.mark.parametrize(("event", "before", "after"), TABLE, ids=lambda value: getattr(value, "name", value))
def test_slot_event_changes_state(event: str, before: SlotState, after: SlotState) -> None:
    bench, job = bench_in(before)
    slot = bench.slot
    if before is SlotState.STARTING:
        bench.spawn()
        bench.give(job)
    elif before is SlotState.IDLE and event == "started":
        bench.give(job)
    events: dict[str, Callable[[], object]] = {
        "ready": bench.ready,
        "started": lambda: bench.start(job),
        "outcome": lambda: bench.result(job),
        "cancel": lambda: slot.cancel(job.run_id, 0.0),
        "stop": lambda: slot.stop(0.0),
        "deadline": lambda: slot.act_on_deadlines(100.0),
        "bad bytes": lambda: slot.on_frame_error(FrameError("bytes that are not a frame")),
        "death": slot.on_death,
    }
    events[event]()
    assert slot.state is after
    assert (slot.deadline is not None) == (after in {SlotState.RETURNING, SlotState.RETIRING})
    if after is SlotState.KILLING:
        assert bench.process.kills


@pytest.mark.parametrize(
    ("before", "end", "notes"),
    [
        (SlotState.STARTING, SlotEnd.START_FAILED, []),
        (SlotState.IDLE, SlotEnd.LOST, []),
        (SlotState.RUNNING, SlotEnd.LOST, ["failed"]),
        (SlotState.RETURNING, SlotEnd.KILLED, ["cancelled"]),
        (SlotState.RETIRING, SlotEnd.RETIRED, []),
        (SlotState.KILLING, SlotEnd.LOST, ["failed"]),
    ],
)
def test_slot_death_decides_outcomes(before: SlotState, end: SlotEnd, notes: list[str]) -> None:
    """Report the job whose function was called; return the jobs behind it to the queue, in order."""
    bench, job = bench_in(before)
    behind = [FakeJob(2), FakeJob(3)]
    if before is not SlotState.RETIRING:
        for each in behind:
            bench.give(each)
    requeued = bench.slot.on_death()
    assert requeued == ([] if before is SlotState.RETIRING else behind)
    assert bench.slot.end is end
    bench.slot.report_death(-9)
    assert job.notes[2:] == notes
    if notes == ["failed"]:
        assert isinstance(job.error, WorkerLostError)
        assert job.error.pid == WORKER.pid
    assert {note for each in behind for note in each.notes} <= {"handed over"}


@pytest.mark.parametrize("asks", [True, False])
def test_slot_cancel_lets_asking_function_return(asks: bool) -> None:
    bench, job = bench_in(SlotState.RUNNING)
    if asks:
        bench.frame(_frames.ASKS, job.run_id)
    assert bench.slot.cancel(job.run_id, 10.0) == []
    assert bench.slot.is_cancelling(job.run_id)
    if asks:
        assert bench.slot.deadline == 10.0 + SECONDS_TO_RETURN
        assert bench.link.sent[-1] == (_frames.CANCEL, job.run_id)
        assert not bench.process.kills
        bench.result(job)
    else:
        assert bench.process.kills == 1
        bench.slot.on_death()
        bench.slot.report_death(-9)
    assert job.notes[-1] == "cancelled"


def test_slot_cancel_recalls_run_that_has_not_started() -> None:
    bench, _ = bench_in(SlotState.RUNNING)
    second, third = bench.give(FakeJob(2)), bench.give(FakeJob(3))
    assert bench.slot.cancel(2, 0.0) == [second, third]
    assert list(bench.slot.jobs) == [1]
    assert bench.slot.state is SlotState.RUNNING


def test_slot_cancel_of_run_that_starts_does_nothing() -> None:
    """The worker has taken the token, and its STARTED frame is under way: the cancellation has to be repeated."""
    bench, job = bench_in(SlotState.IDLE)
    bench.give(job)
    bench.link.tokens.clear()
    assert bench.slot.cancel(job.run_id, 0.0) == []
    assert not bench.slot.is_cancelling(job.run_id)
    bench.frame(_frames.STARTED, job.run_id, _frames.TIME.pack(1.0))
    bench.slot.cancel(job.run_id, 0.0)
    assert bench.slot.is_cancelling(job.run_id)


def test_slot_is_retired_after_last_run() -> None:
    bench, job = Bench(max_runs=1), FakeJob(1)
    bench.spawn()
    bench.ready()
    bench.give(job)
    assert not bench.slot.accepts_jobs
    bench.start(job)
    bench.result(job)
    assert bench.slot.state is SlotState.RETIRING
    assert bench.slot.deadline == SECONDS_TO_QUIT
    assert bench.link.sent[-1] == (_frames.QUIT, 0)


@pytest.mark.parametrize(
    ("state", "kind", "run_id", "length"),
    [
        (SlotState.STARTING, _frames.STARTED, 1, 8),
        (SlotState.IDLE, _frames.READY, 0, 0),
        (SlotState.IDLE, _frames.STARTED, 1, 8),
        (SlotState.IDLE, _remote_call.RESULT, 1, 8),
        (SlotState.IDLE, _remote_call.RESULT, 0, 8),
        (SlotState.RUNNING, _frames.STARTED, 1, 8),
        (SlotState.RUNNING, _remote_call.RESULT, 2, 8),
        (SlotState.RUNNING, _remote_call.RESULT, 1, 1 << 40),
        (SlotState.RUNNING, _frames.ASKS, 1, 1),
        (SlotState.RUNNING, _frames.LOG, 0, 1 << 40),
        (SlotState.RUNNING, 99, 1, 0),
    ],
)
def test_slot_rejects_frame_that_does_not_fit(state: SlotState, kind: int, run_id: int, length: int) -> None:
    bench, _ = bench_in(state)
    with pytest.raises(FrameError):
        bench.slot.check_header(kind, run_id, length)
    if length < 1 << 20:
        with pytest.raises(FrameError):
            bench.slot.on_frame(kind, run_id, b"\0" * length, 0.0)


def test_slot_batch_is_limited_by_room_and_share() -> None:
    bench, _ = bench_in(SlotState.IDLE)
    assert bench.slot.batch_size(100) == 1
    bench.give(FakeJob(1))
    bench.window.size = 11
    assert [bench.slot.batch_size(share) for share in (0, 3, 100)] == [1, 3, 5]
    bench.slot.is_recalled = True
    assert bench.slot.batch_size(100) == 1


def test_slot_kills_worker_with_incomplete_frame() -> None:
    bench, _ = bench_in(SlotState.RUNNING)
    bench.link.is_within_frame = True
    deadline = bench.slot.next_deadline
    assert deadline is not None
    bench.slot.act_on_deadlines(deadline)
    assert bench.slot.state is SlotState.KILLING


def test_slot_recall_takes_jobs_behind_pickled_one() -> None:
    bench, _ = bench_in(SlotState.RUNNING)
    sent, pickling, behind = bench.give(FakeJob(2)), FakeJob(3), FakeJob(4)
    for job, content in ((pickling, None), (behind, PLAIN)):
        bench.slot.reserve(job, 0.0)
        bench.slot.wait_for_pickle(job, content)
    assert bench.slot.recall() == [sent, pickling, behind]
    assert list(bench.slot.jobs) == [1]
    assert not bench.slot.unsent


class HeldThreads(UserCodeThreads):
    """Threads that make no call until `run` is called."""

    def __init__(self) -> None:
        super().__init__("test")
        self.calls: list[Callable[[], None]] = []

    @override
    def call(self, lane: Lane, call: Callable[[], None]) -> None:
        self.calls.append(call)

    def run(self) -> None:
        while self.calls:
            self.calls.pop(0)()


class PicklingBench(Bench):
    """A slot, a pickler and a job that calls user code when it is pickled."""

    def __init__(self) -> None:
        super().__init__()
        self.threads = HeldThreads()
        self.jobs = JobTable(self.threads, lambda: None)
        self.pickler: JobPickler[FakeProcess, FakeLink] = JobPickler(self.jobs, self.threads, lambda call: call())
        self.job = FakeJob(1, plain=False)
        self.jobs.add(self.job)
        self.jobs.queue.clear()


def test_pickler_keeps_slot_of_process_that_starts() -> None:
    """A process that starts cannot execute other jobs: the order of the jobs is kept."""
    bench = PicklingBench()
    bench.pickler.send(bench.slot, bench.job, 0.0)
    bench.pickler.release_slots(10.0)
    assert bench.pickler.next_deadline is None
    assert list(bench.slot.jobs) == [1]
    bench.spawn()
    bench.slot.on_frame(_frames.READY, 0, b"", 10.0)
    bench.pickler.release_slots(10.0)
    assert list(bench.slot.jobs) == [1]
    bench.threads.run()
    assert bench.link.sent == [(_frames.RUN, 1)]


def test_pickler_releases_slot_of_slow_job() -> None:
    bench = PicklingBench()
    bench.spawn()
    bench.ready()
    bench.pickler.send(bench.slot, bench.job, 0.0)
    behind = FakeJob(2)
    bench.pickler.send(bench.slot, behind, 0.0)
    assert bench.link.sent == []
    deadline = bench.pickler.next_deadline
    assert deadline is not None
    bench.pickler.release_slots(deadline)
    assert bench.link.sent == [(_frames.RUN, 2)]
    bench.threads.run()
    assert list(bench.jobs.queue) == [bench.job]


def test_pickler_postpones_jobs_while_it_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain jobs overtake them; each end of a pickling lets one go on."""
    monkeypatch.setattr(_pickling, "_MAX_STARTED", 1)
    bench = PicklingBench()
    bench.spawn()
    bench.ready()
    was_full = bench.pickler.is_full
    bench.pickler.send(bench.slot, bench.job, 0.0)
    assert (was_full, bench.pickler.is_full) == (False, True)
    postponed = [FakeJob(number, plain=False) for number in (2, 3)]
    assert not bench.pickler.postpone(FakeJob(4))
    assert all(map(bench.pickler.postpone, postponed))
    assert not bench.pickler.return_postponed()
    bench.threads.run()
    assert bench.job.notes[:2] == ["limited", "not limited"]
    assert [*bench.jobs.queue] == postponed[:1]
    assert bench.pickler.return_postponed()
    assert not bench.pickler.return_postponed()
    assert [*bench.jobs.queue] == postponed[::-1]
