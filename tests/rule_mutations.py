"""Proves that the tests bite: `python -m tests.rule_mutations [name …]`.

Each mutation breaks one clause of the rules of a run, in a copy of the library; the tests that are named with it
have to fail there. The table says which one did so first. Not for each change: all of them take many minutes.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from typecheck.mutations import Mutation, copied_project, mutate

BASE = "asyncz/executors/base.py"
LOOP = "asyncz/executors/asyncio.py"
EAGER = "asyncz/executors/_eager.py"
THREADS = "asyncz/executors/thread_pool.py"
POOL = "asyncz/executors/_pool.py"
PROCESSES = "asyncz/executors/process_pool.py"
SUPERVISOR = "asyncz/executors/_supervisor.py"
WORKER = "asyncz/executors/_worker.py"
TRAVEL = "asyncz/executors/_travel.py"
FUTURES = "asyncz/executors/futures.py"
DASK = "asyncz/executors/dask.py"
DASK_LINK = "asyncz/executors/_dask_link.py"
DASK_SCHEDULER = "asyncz/executors/_dask_scheduler.py"
DASK_WORKER = "asyncz/executors/_dask_worker.py"
SCHEDULER = "asyncz/schedulers/asyncio.py"
ENTRIES = "asyncz/schedulers/_entries.py"
INBOX = "asyncz/schedulers/_inbox.py"
TIMETABLE = "asyncz/schedulers/_timetable.py"
THREAD = "asyncz/schedulers/thread.py"
DISPATCH = "asyncz/schedulers/_dispatch.py"
RUNNING = "asyncz/_running.py"
CHAINS = "asyncz/schedulers/_chains.py"
TASKS = "asyncz/tasks.py"
ASGI = "asyncz/schedulers/asgi.py"
MODELS = "asyncz/config/models.py"
READING = "asyncz/config/_reading.py"
LINES = "asyncz/config/_lines.py"
APP = "asyncz/cli/app.py"
MONITOR = "asyncz/cli/monitor.py"
TIMES = "asyncz/triggers/_times.py"
VALUES = "asyncz/triggers/_values.py"
CRON = "asyncz/triggers/cron.py"
CALENDAR = "asyncz/triggers/calendar.py"
INTERVAL = "asyncz/triggers/interval.py"
COMBINATION = "asyncz/triggers/combination.py"

# So many seconds one test may take, and all that are run for a mutation.
_TEST_LIMIT = 60
_LIMIT = 600


class RuleMutation(NamedTuple):
    """One clause broken.

    Attributes:
        rule: The rule that is broken then, by its number, or what it is about.
        mutation: What is changed; its text is in its file exactly once.
        tests: Those that have to notice, from the folder of the tests, without `.py`.
    """

    rule: str
    mutation: Mutation
    tests: tuple[str, ...]


MUTATIONS: list[RuleMutation] = []


def _breaks(rule: str, name: str, file: str, search: str, replacement: str, *tests: str) -> None:
    MUTATIONS.append(RuleMutation(rule, Mutation(name, file, search, replacement), tests))


# 1: every run ends in exactly one notification, after its submission, and is counted

_breaks(
    "1",
    "a base exception of a coroutine is not told",
    TASKS,
    """\
            return TaskExecuted(self.task_id, result, values)
        except asyncio.CancelledError:
            return self.cancelled()
        except BaseException as error:
""",
    """\
            return TaskExecuted(self.task_id, result, values)
        except asyncio.CancelledError:
            return self.cancelled()
        except Exception as error:
""",
    "test_endings::test_what_a_function_does_is_told_once",
)
_breaks(
    "1",
    "a base exception of a function is not told",
    TASKS,
    """\
if context is None else context.run(await_it))
        except asyncio.CancelledError:
            return self.cancelled()
        except BaseException as error:
""",
    """\
if context is None else context.run(await_it))
        except asyncio.CancelledError:
            return self.cancelled()
        except Exception as error:
""",
    "test_endings::test_what_a_function_does_is_told_once",
)
_breaks(
    "1",
    "a function that cancels itself has failed",
    TASKS,
    """\
if context is None else context.run(await_it))
        except asyncio.CancelledError:
            return self.cancelled()
""",
    """\
if context is None else context.run(await_it))
        except asyncio.CancelledError as error:
            return self.failed(error)
""",
    "test_endings::test_what_a_function_does_is_told_once",
)
_breaks(
    "1",
    "a second notification is told as well",
    TASKS,
    "            return False\n        self._ending = self.task._last = notification\n",
    "            pass\n        self._ending = self.task._last = notification\n",
    "test_scheduler::test_an_executor_that_raises_or_tells_twice_harms_only_its_run",
)
_breaks(
    "1",
    "a second notification is refused in silence",
    SCHEDULER,
    'logger.error("A second notification of a run was refused',
    'logger.debug("A second notification of a run was refused',
    "test_scheduler::test_an_executor_that_raises_or_tells_twice_harms_only_its_run",
)
_breaks(
    "1",
    "the submission is told after the end",
    ENTRIES,
    "            core.inbox.put(announcement)\n",
    "            asyncio.get_running_loop().call_later(0.05, announcement)\n",
    "test_executors::test_submitted_comes_before_every_end_and_the_ledger_agrees",
)
_breaks(
    "1",
    "a submission is not counted",
    ENTRIES,
    "            core.submitted += 1\n        try",
    "        try",
    "test_rules::test_what_is_due_is_counted_though_nobody_hears_of_its_submission",
)
_breaks(
    "changes",
    "a task that is replaced while its last run ends takes the new one with it",
    SCHEDULER,
    '            if entry.removed or core.status == "draining":\n                return\n            del',
    '            if core.status == "draining":\n                return\n            del',
    "test_rules::test_a_task_that_another_thread_replaces_while_its_last_run_ends_is_replaced_once",
)
_breaks(
    "4",
    "much that waits takes its turn from what is due",
    SCHEDULER,
    "        look_at = len(calls) + _ADDED_AT_ONCE\n        due",
    "        look_at = _ADDED_AT_ONCE\n        due",
    "test_rules::test_what_is_due_is_not_held_up_by_much_that_waits",
)
_breaks(
    "1",
    "a submission that somebody hears of is not counted",
    ENTRIES,
    "        core.submitted += 1\n        return announcement",
    "        return announcement",
    "test_executors::test_submitted_comes_before_every_end_and_the_ledger_agrees",
)
_breaks(
    "3",
    "of several runs of a task only the last one is known",
    ENTRIES,
    "        if (first is None and others is None) or (first is not None and first.run_id == run.run_id):\n",
    "        if True:\n",
    "test_rules::test_the_runs_of_a_task_are_known_by_their_numbers_the_oldest_first",
)
_breaks(
    "3",
    "a younger run takes the place of the only one while others go on",
    ENTRIES,
    "        if (first is None and others is None) or (first is not None",
    "        if first is None or (first is not None",
    "test_rules::test_the_runs_of_a_task_are_known_by_their_numbers_the_oldest_first",
)
_breaks(
    "3",
    "a task is finished while other runs of it go on",
    ENTRIES,
    "        if self.next_fire is not None or self.others is not None or self.first is not None:\n",
    "        if self.next_fire is not None or self.first is not None:\n",
    "test_rules::test_a_task_is_forgotten_with_the_last_of_its_runs",
)
_breaks(
    "8",
    "an executor is not asked which runs wait",
    BASE,
    "        self._asks_which_wait = waits_in_queue is not BaseExecutor.waits_in_queue\n",
    "        self._asks_which_wait = False\n",
    "test_rules::test_an_executor_may_say_of_each_run_whether_it_waits",
)
_breaks(
    "1",
    "a submission is not counted for its task",
    ENTRIES,
    "            self.submitted += 1\n            core",
    "            core",
    "test_rules::test_what_is_due_is_counted_though_nobody_hears_of_its_submission",
)
_breaks(
    "1",
    "an error is counted as executed",
    ENTRIES,
    '    "errors": (TaskError,),\n',
    '    "errors": (),\n',
    "test_executors::test_submitted_comes_before_every_end_and_the_ledger_agrees",
)
_breaks(
    "1",
    "a missed run is counted as cancelled",
    ENTRIES,
    '    "cancelled": (events.TaskCancelled,),\n',
    '    "cancelled": (events.TaskCancelled, events.TaskMissed),\n',
    "test_scheduler::test_a_run_after_its_grace_time_is_missed",
)
_breaks(
    "1",
    "what submit raises loses the run",
    ENTRIES,
    (
        "        except BaseException as error:\n"
        "            # How it ended, should that be told already, waits in the inbox.\n"
        "            self.end("
    ),
    "        except BaseException as error:\n            str(",
    "test_scheduler::test_an_executor_that_raises_or_tells_twice_harms_only_its_run",
)
_breaks(
    "1",
    "what cannot be pickled loses the run",
    PROCESSES,
    "            executor.finish(run, run.failed(error))\n",
    "            pass\n",
    "test_rules::test_an_argument_that_can_no_longer_be_pickled_when_the_run_is_due_ends_the_run",
)
_breaks(
    "1",
    "a result that cannot be pickled costs the worker",
    WORKER,
    "        return UNPICKLABLE, pickle.dumps((_shortened(repr(type(outcome))), repr(error)))\n",
    "        raise error\n",
    "test_executors::test_what_cannot_be_pickled_is_told",
)
_breaks(
    "1",
    "a result that cannot be unpickled is not told",
    TRAVEL,
    "        except BaseException as error:\n            unloadable",
    "        except MemoryError as error:\n            unloadable",
    "test_executors::test_what_cannot_be_pickled_is_told",
)
_breaks(
    "1",
    "a pool that breaks loses what it had begun",
    FUTURES,
    "                call.end(run.failed(lost))\n",
    "                pass\n",
    "test_futures::test_a_given_pool_that_breaks_breaks_the_executor",
)
_breaks(
    "1",
    "a pool that breaks loses what waits",
    FUTURES,
    "                self._feed.put(call.submit)\n",
    "                pass\n",
    "test_futures::test_a_worker_that_dies_costs_what_the_pool_had_begun_and_nothing_that_waits",
)
_breaks(
    "1",
    "a restart of a cluster is not told",
    DASK,
    '            job.fail(WorkerLostError("was ended by a restart of the cluster"))\n',
    "            pass\n",
    "test_dask::test_a_restart_of_the_cluster_ends_its_runs",
)
_breaks(
    "1",
    "a lost connection is not told",
    DASK,
    "            job.fail(lost)\n",
    "            pass\n",
    "test_dask::test_a_cut_connection_ends_what_was_there_and_holds_what_is_due",
)
_breaks(
    "1",
    "Dask executes again what it lost",
    DASK_SCHEDULER,
    "                task.suspicious = max(",
    "                _ = max(",
    "test_dask::test_a_lost_worker_ends_its_run_which_is_executed_once",
)
_breaks(
    "1",
    "a killed worker loses its run",
    SUPERVISOR,
    ("                self._end_current(slot, WorkerLostError(_reason(exit_code), exit_code, slot.process.pid))\n"),
    "                slot.in_flight.pop(slot.current, None)\n",
    "test_endings::test_what_happens_to_a_process_is_told_once",
)
_breaks(
    "1",
    "a broken pool loses what waits",
    SUPERVISOR,
    "                self._queue.popleft().fail(self._broken_by)\n",
    "                self._queue.popleft()\n",
    "test_executors::test_a_failing_initializer_ends_runs_with_its_cause_and_breaks_the_executor",
)
_breaks(
    "1",
    "a pool whose threads cannot start loses what waits",
    THREADS,
    """\
        for run in waiting:
            run.give_to(partial(self._run_in_thread, loops=_Loops(broken_by=failure)))
""",
    "",
    "test_executors::test_a_failing_initializer_of_threads_ends_runs_with_its_cause",
)
_breaks(
    "1",
    "what is submitted after a failed start of threads fails as well",
    THREADS,
    """\
        for run in waiting:
            run.give_to(partial(self._run_in_thread, loops=_Loops(broken_by=failure)))
""",
    """\
        for run in waiting:
            run.give_to(partial(self._run_in_thread, loops=_Loops(broken_by=failure)))
        while workers.queue:
            workers.queue.popleft().give_to(partial(self._run_in_thread, loops=_Loops(broken_by=failure)))
""",
    "test_rules::test_what_is_submitted_when_a_failed_start_of_a_thread_is_told_runs_on_the_next_thread",
)
_breaks(
    "1",
    "what the default executor drops is not told",
    LOOP,
    "            if future.cancelled() and self.claim(run):\n",
    "            if False:\n",
    "test_endings::test_a_run_that_the_owner_of_the_default_executor_drops_is_told_as_cancelled",
)
_breaks(
    "1",
    "a shutdown leaves what its executor never told",
    ENTRIES,
    "        for run in left:\n            self.end_as_cancelled(run)\n",
    "        for run in left:\n            pass\n",
    "test_drain::test_an_executor_that_never_tells_cannot_keep_a_shutdown_from_its_end",
)
_breaks(
    "1",
    "a run that is killed is not told as cancelled",
    SUPERVISOR,
    "            killed.cancelled()\n",
    "            pass\n",
    "test_executors::test_running_runs_can_be_cancelled",
)

_breaks(
    "1",
    "what was given up is told again when it returns",
    BASE,
    """\
        if not told:
            self.scheduler.notify(run, notification)
        if live:
            self.scheduler.released(run)
""",
    """\
        self.scheduler.notify(run, notification)
        if live:
            self.scheduler.released(run)
""",
    "test_rules::test_a_run_that_returns_after_its_time_limit_is_released_and_not_told_again",
)

# 2: submit does not block, and counts nothing that it refuses

_breaks(
    "2",
    "submit waits until a worker is free",
    BASE,
    "        try:\n            self.submit_run(run)\n",
    """\
        try:
            self.submit_run(run)
            while self._queued:
                __import__("time").sleep(0.01)
""",
    "test_rules::test_submit_returns_while_every_worker_is_busy",
)
_breaks(
    "2",
    "a plain function runs on the loop",
    LOOP,
    "        self._running_loop.run_in_executor(None, self._run_in_thread, run).add_done_callback(ended)\n",
    "        self._run_in_thread(run)\n",
    "test_specification",
)
_breaks(
    "2",
    "a run is counted before it is refused for its instances",
    BASE,
    "        if running >= run.limits.max_instances:\n",
    "        self._instances[task_id] = submitted + 1\n        if running >= run.limits.max_instances:\n",
    "test_rules::test_a_run_that_is_refused_for_its_instances_is_neither_counted_nor_told",
)
_breaks(
    "2",
    "a run is counted before the queue refuses it",
    BASE,
    "        if waits and self._max_queue",
    "        instances[task_id] = running + 1\n        if waits and self._max_queue",
    "test_rules::test_what_is_refused_is_neither_counted_nor_told",
)
_breaks(
    "2",
    "the queue has no limit",
    BASE,
    "len(self._waiting) >= self._max_queue:\n",
    "False:\n",
    "test_executors::test_a_full_queue_refuses",
)
_breaks(
    "2",
    "an executor that does not run takes runs",
    BASE,
    '        if self._status != "running":\n',
    '        if self._status == "stopped" and self._live:\n',
    "test_executors::test_takes_no_runs_before_start_and_after_shutdown",
)
_breaks(
    "2",
    "what failed to be handed over stays counted",
    BASE,
    """\
            with self._lock:
                self._take_out(run)
            raise
""",
    "            raise\n",
    "test_scheduler::test_an_executor_that_raises_or_tells_twice_harms_only_its_run",
    "test_defects",
)
_breaks(
    "2",
    "a run that is refused is told as submitted",
    ENTRIES,
    "            announcement.withdrawn = True\n",
    "            pass\n",
    "test_rules::test_what_is_refused_is_neither_counted_nor_told",
)
_breaks(
    "2",
    "a run that is refused is counted as submitted",
    ENTRIES,
    """\
            announcement.withdrawn = True
        self.submitted -= 1
        self.core.submitted -= 1
        self.over(run)
""",
    """\
            announcement.withdrawn = True
        self.over(run)
""",
    "test_rules::test_what_is_refused_is_neither_counted_nor_told",
)
_breaks(
    "2",
    "a due run that the queue refuses is not told",
    ENTRIES,
    "            self.refuse(events.TaskQueueFull(run.task_id, details=run.details()))\n",
    "            pass\n",
    "test_rules::test_a_due_run_that_the_queue_refuses_is_told_as_refused",
)

_breaks(
    "2",
    "a foreign pool is handed runs by the loop",
    FUTURES,
    "        self._feed.put(_Call(self, run).submit)\n",
    "        _Call(self, run).submit()\n",
    "test_futures::test_a_pool_whose_submit_blocks_does_not_block_the_loop",
)

# 3: instances are counted until the work has ended

_breaks(
    "3",
    "a place that is free may not be found",
    BASE,
    "            running = submitted - self._ended_instances.get(run.task_id, 0)\n",
    "            running = submitted\n",
    "test_rules::test_a_place_is_free_once_its_run_has_ended_however_many_others_have",
)
_breaks(
    "3",
    "a run that ends inside its submission keeps its place",
    BASE,
    "            self._inside = None\n            tells_ends.ended",
    "            tells_ends.ended",
    "test_rules::test_a_run_that_ends_inside_its_submission_frees_its_place",
)
_breaks(
    "1",
    "what was given up inside its submission is told again",
    BASE,
    "        if tells_ends is None or self._given_up or self._inside",
    "        if tells_ends is None or self._inside",
    "test_rules::test_a_run_that_another_thread_gives_up_before_its_submission_is_over_ends_once",
)
_breaks(
    "3",
    "what waits is counted after the runs that it is some of",
    BASE,
    "queued, ended, submitted = len(self._waiting), self._ended_instances.copy(), self._instances.copy()\n",
    "submitted, queued, ended = self._instances.copy(), len(self._waiting), self._ended_instances.copy()\n",
    "test_rules::test_a_state_holds_together_though_a_run_is_submitted_while_it_is_read",
)
_breaks(
    "3",
    "the tasks of runs that have ended are kept",
    BASE,
    "                    del self._instances[task_id]\n                    del self._ended",
    "                    pass\n                elif ended is None:\n                    del self._ended",
    "test_rules::test_an_executor_forgets_the_tasks_that_have_no_runs_any_more",
)
_breaks(
    "3",
    "a task is forgotten that has a run",
    BASE,
    "            if ended is not None and ended == self._instances[task_id]:\n",
    "            if ended is not None:\n",
    "test_rules::test_a_task_of_which_one_run_has_ended_keeps_the_place_of_the_other",
)
_breaks(
    "1",
    "an executor that extends finish does not have all ends",
    BASE,
    "        self._tells_ends_at_once = self._tells_ends if finish is BaseExecutor.finish else None\n",
    "        self._tells_ends_at_once = self._tells_ends\n",
    "test_rules::test_an_executor_that_extends_finish_has_the_ends_of_all_runs",
)
_breaks(
    "10",
    "a shutdown inside a run does not hear of its end",
    BASE,
    "            self._tells_ends_at_once = None\n",
    "",
    "test_rules::test_a_shutdown_that_begins_inside_a_run_hears_of_its_end",
)
_breaks(
    "3",
    "a run whose end could not be told keeps its place",
    SCHEDULER,
    "        finally:\n            if run.released:\n                # As",
    "        finally:\n            pass\n        if True:\n            if run.released:\n                # As",
    "test_rules::test_a_run_gives_its_place_back_though_to_log_its_failure_fails",
)
_breaks(
    "6",
    "what is due runs though the scheduler was paused meanwhile",
    SCHEDULER,
    '        due = core.timetable.due(now) if core.status == "running" else ()\n',
    "        due = core.timetable.due(now)\n",
    "test_rules::test_nothing_runs_once_a_listener_has_paused_the_scheduler_as_the_clock_was_set_back",
)
_breaks(
    "3",
    "a run that submits another has no place",
    BASE,
    "        if self._inside is not None:\n            self._count_inside()\n",
    "",
    "test_rules::test_a_run_has_its_place_while_it_submits_others",
)
_breaks(
    "3",
    "a run that goes on after its submission has no place",
    BASE,
    "        if self._inside is run:\n            self._count_inside()\n",
    "        self._inside = None\n",
    "test_rules::test_a_coroutine_that_waits_has_its_place",
)
_breaks(
    "3",
    "a state does not have the run that is being submitted",
    BASE,
    "        if inside is not None:\n",
    "        if False and inside is not None:\n",
    "test_rules::test_a_run_is_counted_before_its_submission_is_over",
)
_breaks(
    "1",
    "the end of a run in another thread is lost before its submission is over",
    BASE,
    "        elif self._inside is run:\n",
    "        elif False and self._inside is run:\n",
    "test_rules::test_a_run_may_end_in_any_thread_before_its_submission_is_over",
)
_breaks(
    "1",
    "a run cannot be given up before its submission is over",
    BASE,
    "        return run.id in self._live or run is self._inside\n",
    "        return run.id in self._live\n",
    "test_rules::test_a_run_may_end_in_any_thread_before_its_submission_is_over",
)
_breaks(
    "10",
    "a shutdown does not end the run that begins it",
    BASE,
    "        self._count_inside()\n        for run in",
    "        for run in",
    "test_rules::test_a_run_that_its_own_function_has_its_executor_give_up_ends_once",
)
_breaks(
    "10",
    "a shutdown does not wait for the run that begins it",
    BASE,
    "        self._count_inside()\n        with self._lock:\n            if self._has_drained:\n",
    "        with self._lock:\n            if self._has_drained:\n",
    "test_rules::test_a_shutdown_that_begins_inside_a_run_hears_of_its_end",
)
_breaks(
    "7",
    "a schedule that is given by who hears that the one before has ended ends with it",
    ENTRIES,
    "                following = self.next_fire\n            if",
    "                following = None\n            if",
    "test_rules::test_a_task_whose_trigger_raised_can_be_given_another_by_who_hears_of_it",
)
_breaks(
    "4",
    "of two that subscribed the same listener, one takes back both",
    DISPATCH,
    "        subscribed, key = self._subscribed.setdefault(event, {}), object()\n",
    "        subscribed, key = self._subscribed.setdefault(event, {}), listener\n",
    "test_scheduler::test_a_listener_that_subscribed_twice_is_called_twice_until_it_takes_one_back",
)
_breaks(
    "7",
    "a task that is removed by who hears that its trigger raised still runs",
    ENTRIES,
    """\
        elif self.removed:
            return
        if due""",
    "        if due",
    "test_rules::test_a_task_that_is_removed_by_who_hears_that_its_trigger_raised_runs_no_more",
)
_breaks(
    "3",
    "one instance too many is taken",
    BASE,
    "        if running >= run.limits.max_instances:\n",
    "        if running > run.limits.max_instances:\n",
    "test_executors::test_refuses_more_than_max_instances_and_counts_down",
)
_breaks(
    "3",
    "a run is counted after the hand-over",
    BASE,
    """\
            self._live[run.id] = run
            if waits:
                self._waiting.add(run.id)
        try:
            self.submit_run(run)
""",
    """\
            if waits:
                self._waiting.add(run.id)
        try:
            self.submit_run(run)
            self._live[run.id] = run
""",
    "test_rules::test_a_run_is_counted_when_it_is_handed_over",
)
_breaks(
    "3",
    "a run that was given up is released at once",
    BASE,
    """\
                over = False
            else:
""",
    """\
                over = True
                self._take_out(run)
            else:
""",
    "test_executors::test_a_run_that_exceeds_its_timeout_ends_at_once",
)
_breaks(
    "3",
    "the state does not tell what was abandoned",
    BASE,
    "            abandoned=abandoned,\n",
    "",
    "test_executors::test_a_run_that_exceeds_its_timeout_ends_at_once",
)
_breaks(
    "3",
    "a run is released before it is told",
    BASE,
    """\
        if not told:
            self.scheduler.notify(run, notification)
        if live:
            self.scheduler.released(run)
""",
    """\
        if live:
            self.scheduler.released(run)
        if not told:
            self.scheduler.notify(run, notification)
""",
    "test_executors::test_takes_no_runs_before_start_and_after_shutdown",
)
_breaks(
    "3",
    "a run is released twice",
    BASE,
    """\
        if live:
            self.scheduler.released(run)
""",
    """\
        if live:
            self.scheduler.released(run)
            self.scheduler.released(run)
""",
    "test_conformance::TestThreadPoolExecutor::test_every_run_is_released_once",
)
_breaks(
    "3",
    "a second release is not refused",
    SCHEDULER,
    "        if run.released:\n            logger",
    "        if False:\n            logger",
    "test_rules::test_a_second_release_of_a_run_is_refused_and_logged",
)
_breaks(
    "3",
    "the scheduler counts a run only until its end",
    SCHEDULER,
    "                _log_failure(failure)\n            core.dispatcher",
    """\
                _log_failure(failure)
            if entry is not None:
                entry.over(run.run_id)
            core.dispatcher""",
    "test_rules::test_an_abandoned_run_holds_its_place_until_it_is_released",
)
_breaks(
    "3",
    "the backlog does not go on at a release",
    SCHEDULER,
    "        entry.submit_waiting()\n",
    "",
    "test_rules::test_the_backlog_goes_on_when_a_run_is_released",
)
_breaks(
    "3",
    "a drain does not hear of a release",
    BASE,
    "            self._being_told -= 1\n            self._tell_if_drained()\n",
    "            self._being_told -= 1\n",
    "test_executors::test_shutdown_waits_until_the_end_of_a_run_is_told",
)

_breaks(
    "3",
    "a function on a cluster is released before it returns",
    DASK,
    "[job for job in jobs if job.key not in running]",
    "jobs",
    "test_dask::test_a_function_that_cannot_be_stopped_counts_until_it_returns",
)
_breaks(
    "3",
    "what a cluster has not begun stays counted",
    DASK,
    "[job for job in jobs if job.key not in running]",
    "[]",
    "test_dask::test_a_run_that_is_cancelled_before_it_began_is_never_executed",
)
_breaks(
    "3",
    "a cancellation does not reach the coroutine in its worker",
    DASK_WORKER,
    "                cancel_coroutine()\n",
    "                pass\n",
    "test_dask::test_a_cancelled_coroutine_is_cancelled_in_its_worker",
)

# 4: everything on the loop's thread, in bursts

_breaks(
    "4",
    "an end is told inside notify",
    SCHEDULER,
    "            run._reported = notification\n            self._core.inbox.put(run)\n",
    "            run._reported = notification\n            self._conclude(run)\n",
    "test_rules::test_an_end_is_told_on_the_thread_of_the_loop_however_it_is_told",
)
_breaks(
    "4",
    "an end with its release is told inside finish",
    SCHEDULER,
    "            inbox.calls.append(run)\n",
    "            self._conclude(run)\n",
    "test_rules::test_nobody_hears_of_a_run_before_submit_has_returned",
)
_breaks(
    "4",
    "a second end is refused inside ended",
    SCHEDULER,
    "            self._core.inbox.put(partial(_refuse_second, run, notification))\n",
    "            _refuse_second(run, notification)\n",
    "test_scheduler::test_a_second_end_is_refused_on_the_thread_of_the_loop",
)
_breaks(
    "4",
    "what states need is loaded on the loop",
    SCHEDULER,
    '                    await loop.run_in_executor(pool, import_module, "asyncz.states")\n',
    '                    import_module("asyncz.states")\n',
    "test_loops::test_a_start_does_not_hold_the_loop_while_it_loads_what_states_need",
)
_breaks(
    "4",
    "a release takes effect inside released",
    SCHEDULER,
    "        self._core.inbox.put(partial(self._release, run))\n",
    "        self._release(run)\n",
    "test_rules::test_an_end_is_told_on_the_thread_of_the_loop_however_it_is_told",
)
_breaks(
    "4",
    "a submission is told inside submit",
    ENTRIES,
    "            core.inbox.put(announcement)\n",
    "            announcement()\n",
    "test_rules::test_nobody_hears_of_a_run_before_submit_has_returned",
)
_breaks(
    "4",
    "each call wakes the loop",
    INBOX,
    "        if not self.awake:\n            self.wake()\n",
    "        self.wake()\n",
    "test_rules::test_a_burst_from_other_threads_wakes_the_loop_once",
)
_breaks(
    "4",
    "another thread does not wake the loop",
    INBOX,
    "        put = loop.call_soon if threading.get_ident() == self._thread_id else loop.call_soon_threadsafe\n",
    "        put = loop.call_soon\n",
    "test_defects::test_a_task_that_another_thread_adds_runs_at_once",
)
_breaks(
    "4",
    "what comes during a drain is forgotten",
    INBOX,
    """\
wakes the loop itself.
        self.awake = False
        if self.calls:
            self.wake()
""",
    "wakes the loop itself.\n        self.awake = False\n",
    "test_rules::test_a_call_that_comes_as_the_inbox_falls_asleep_is_made_though_nothing_else_happens",
)

# 5: too late

_breaks(
    "5",
    "no run is ever too late",
    TASKS,
    "        return grace is not None and self.attempt == 1 and ",
    "        return grace is not None and self.attempt == 0 and ",
    "test_scheduler::test_a_run_after_its_grace_time_is_missed",
)
_breaks(
    "5",
    "a run is too late at its grace time",
    TASKS,
    "self._clock_now() - self.scheduled > grace",
    "self._clock_now() - self.scheduled >= grace",
    "test_rules::test_a_run_may_start_as_late_as_its_grace_time_and_no_later",
)
_breaks(
    "5",
    "lateness is not looked at when a run is due",
    ENTRIES,
    (
        "        if run.limits.misfire_grace_time is not None and run.is_too_late():\n"
        "            self.end(run, run.missed())\n"
        "        elif"
    ),
    "        if False:\n            self.end(run, run.missed())\n        elif",
    "test_rules::test_what_is_too_late_when_it_is_due_never_reaches_its_executor",
)
_breaks(
    "5",
    "lateness is not looked at when a function leaves the queue",
    TASKS,
    """\
        if self.limits.misfire_grace_time is not None and self.is_too_late():
            return self.missed()
""",
    "",
    "test_rules::test_what_becomes_too_late_in_the_queue_of_its_executor_is_missed",
)
_breaks(
    "5",
    "lateness is not looked at before a run is sent to a process",
    PROCESSES,
    "        if run.is_too_late():\n",
    "        if False:\n",
    "test_rules::test_what_becomes_too_late_in_the_queue_of_its_executor_is_missed",
)
_breaks(
    "5",
    "lateness of a coroutine is not looked at",
    LOOP,
    "        if run.limits.misfire_grace_time is not None and run.is_too_late():\n",
    "        if False:\n",
    "test_rules::test_a_run_may_start_as_late_as_its_grace_time_and_no_later",
)
_breaks(
    "5",
    "the default grace time is a second",
    TASKS,
    "    misfire_grace_time: float | None = None\n",
    "    misfire_grace_time: float | None = 1.0\n",
    "test_rules::test_by_default_no_run_is_too_late_and_of_several_due_times_the_latest_runs_alone",
)
_breaks(
    "5",
    "a further attempt is too late",
    TASKS,
    "grace is not None and self.attempt == 1 and ",
    "grace is not None and ",
    "test_retries::test_a_further_attempt_is_never_too_late",
)

_breaks(
    "5",
    "a worker does not look at the time",
    TRAVEL,
    "    return time.time() + grace - (finished - run.scheduled)\n",
    "    return None\n",
    "test_dask::test_a_run_that_waited_too_long_on_the_cluster_is_missed",
)

# 6: coalesce

_breaks(
    "6",
    "the earliest of several due times runs",
    ENTRIES,
    "            for each in due[-1:] if",
    "            for each in due[:1] if",
    "test_scheduler::test_coalesce_decides_about_several_due_times",
)
_breaks(
    "6",
    "what is put in order is due before all else",
    TIMETABLE,
    "            if in_order and (not heap or in_order[0][:2] < heap[0][:2]):\n",
    "            if in_order:\n",
    "test_timetable::test_it_gives_what_a_sorted_list_would_give",
)
_breaks(
    "6",
    "what is put later is taken to be due later",
    TIMETABLE,
    "        if not in_order or in_order[-1][0] <= at:\n",
    "        if True:\n",
    "test_timetable::test_it_gives_what_a_sorted_list_would_give",
)
_breaks(
    "6",
    "places that were left pile up",
    TIMETABLE,
    "        if self._outdated > max(_FEW, len(self) // 2):\n",
    "        if False:\n",
    "test_timetable::test_places_that_were_left_do_not_pile_up",
)
_breaks(
    "6",
    "the default is to run each due time",
    TASKS,
    "    coalesce: bool = True\n",
    "    coalesce: bool = False\n",
    "test_rules::test_by_default_no_run_is_too_late_and_of_several_due_times_the_latest_runs_alone",
)
_breaks(
    "6",
    "the default is two instances",
    TASKS,
    "    max_instances: int = 1\n",
    "    max_instances: int = 2\n",
    "test_rules::test_one_instance_at_a_time_is_the_default",
)
_breaks(
    "6",
    "each due time runs, in the wrong order",
    ENTRIES,
    "            due.append(following.timestamp())\n",
    "            due.insert(0, following.timestamp())\n",
    "test_scheduler::test_coalesce_decides_about_several_due_times",
)
_breaks(
    "6",
    "due times at the maximum are refused, not kept",
    ENTRIES,
    """\
        while self.waiting and self.run_count() < self.task.limits.max_instances:
            if not self.submit_due(self.waiting[0]):
                return
""",
    """\
        while self.waiting:
            self.submit_due(self.waiting[0])
""",
    "test_scheduler::test_uncoalesced_runs_wait_at_the_maximum_and_are_cancelled_by_a_shutdown",
)
_breaks(
    "6",
    "many due times are more than one run",
    ENTRIES,
    """\
                if self.task._limits.coalesce:
                    due.clear()
                break
""",
    "                break\n",
    "test_rules::test_more_due_times_than_are_looked_at_in_one_turn_are_still_one_run",
)
_breaks(
    "6",
    "a shutdown forgets the backlog",
    ENTRIES,
    "            self.hand_over(run, self.end_as_cancelled)\n",
    "",
    "test_scheduler::test_uncoalesced_runs_wait_at_the_maximum_and_are_cancelled_by_a_shutdown",
)

# Overlap policies

_breaks(
    "overlap",
    "without coalescing what is due at the maximum is refused",
    TASKS,
    """self._overlap or ("skip" if self.coalesce else "queue_all")""",
    """self._overlap or "skip\"""",
    "test_scheduler::test_uncoalesced_runs_wait_at_the_maximum_and_are_cancelled_by_a_shutdown",
)
_breaks(
    "overlap",
    "the latest is refused, not what it replaces",
    ENTRIES,
    "                self.refuse_at_maximum(self.waiting.popleft())\n",
    "                self.refuse_at_maximum(self.waiting.pop())\n",
    "test_overlap::test_the_latest_that_is_due_at_the_maximum_can_wait_alone",
)
_breaks(
    "overlap",
    "what is replaced is passed over in silence",
    ENTRIES,
    "                self.refuse_at_maximum(self.waiting.popleft())\n",
    "                self.waiting.popleft()\n",
    "test_overlap::test_the_latest_that_is_due_at_the_maximum_can_wait_alone",
)
_breaks(
    "overlap",
    "nothing is cancelled for what is due",
    ENTRIES,
    "            self.cancel_oldest()\n",
    "            pass\n",
    "test_overlap::test_what_runs_can_be_cancelled_for_what_is_due",
)
_breaks(
    "overlap",
    "the youngest is cancelled",
    ENTRIES,
    "        for run_id, run in self.running.items():\n",
    "        for run_id, run in reversed(self.running.items()):\n",
    "test_overlap::test_what_runs_can_be_cancelled_for_what_is_due",
)
_breaks(
    "overlap",
    "a run is asked again and again to make place",
    ENTRIES,
    "if not run.cancel_requested and self.cancel_run(run_id):",
    "if self.cancel_run(run_id):",
    "test_overlap::test_a_run_is_asked_once_to_make_place_so_that_its_clean_up_is_not_cut_off",
)
_breaks(
    "overlap",
    "an executor that cannot cancel stops the schedule",
    ENTRIES,
    """\
            except Exception:
                logger.exception("A run of the task %r could not be asked to make place", self.typed_task.id)
""",
    """\
            except MemoryError:
                logger.exception("A run of the task %r could not be asked to make place", self.typed_task.id)
""",
    "test_overlap::test_an_executor_whose_cancel_raises_does_not_stop_the_schedule",
)
_breaks(
    "overlap",
    "what waits goes on although it is held",
    ENTRIES,
    """        if self.paused or self.core.holds(self):\n            return\n""",
    "",
    "test_overlap::test_what_waits_is_held_while_its_task_or_the_scheduler_is",
)
_breaks(
    "overlap",
    "what waited while the scheduler was held stays there",
    SCHEDULER,
    "            self._fill_places(entry)\n        self._set_timer()\n",
    "            str(entry)\n        self._set_timer()\n",
    "test_overlap::test_what_waits_is_held_while_its_task_or_the_scheduler_is",
)
_breaks(
    "overlap",
    "what waits does not see a changed maximum",
    SCHEDULER,
    "        self._schedule(entry)\n        self._fill_places(entry)\n",
    "        self._schedule(entry)\n",
    "test_overlap::test_what_waits_gets_the_places_that_a_change_makes",
)
_breaks(
    "overlap",
    "a run that waits for its next attempt has no place in the line",
    ENTRIES,
    'overlap policy of its task."""\n        if self.waiting or self.attempts or',
    'overlap policy of its task."""\n        if self.waiting or',
    "test_retries::test_uncoalesced_runs_wait_until_the_one_before_has_had_all_its_attempts",
)

# Changes at run time

_breaks(
    "changes",
    "a change is made in the thread that asks for it",
    ENTRIES,
    "            if not self.inbox.is_elsewhere:\n",
    "            if True:\n",
    "test_changes::test_a_change_from_another_thread_is_made_in_its_order_by_the_loop",
)
_breaks(
    "changes",
    "a change overtakes those of other threads",
    ENTRIES,
    "            self.changes.append(change)\n",
    "            self.changes.appendleft(change)\n",
    "test_changes::test_a_change_from_another_thread_is_made_in_its_order_by_the_loop",
)
_breaks(
    "changes",
    "a bad change is found when it is made",
    ENTRIES,
    "            change(self.task.limits)\n",
    "",
    "test_changes::test_a_change_with_one_bad_option_is_refused_and_changes_nothing",
)
_breaks(
    "changes",
    "an executor is registered before the limits are looked at",
    ENTRIES,
    "            self.require_here()\n            # Refused",
    """\
            self.require_here()
            isinstance(executor, Unset) or core.find_executor(executor, self.task.call)
            # Refused""",
    "test_changes::test_a_change_with_one_bad_option_is_refused_and_changes_nothing",
)
_breaks(
    "changes",
    "a paused task is due until the loop has gone on",
    ENTRIES,
    "        self.core.timetable.remove(self)\n        self.core.tell",
    "        self.core.tell",
    "test_changes::test_a_paused_task_is_not_due_from_that_moment_on",
)
_breaks(
    "changes",
    "a task is forgotten although a thread has rescheduled it",
    SCHEDULER,
    "                core.make_changes()\n                if not",
    "                str()\n                if not",
    "test_changes::test_what_is_rescheduled_while_its_last_run_ends_goes_on",
)
_breaks(
    "changes",
    "a changed trigger is forgotten",
    ENTRIES,
    "            self.trigger, self.next_fire = trigger, first\n",
    "            self.next_fire = first\n",
    "test_changes::test_a_task_that_is_rescheduled_is_due_by_its_new_trigger_alone",
)
_breaks(
    "changes",
    "a run is looked for where its task is now",
    ENTRIES,
    "        return elsewhere.get(run_id, self.registration)\n",
    "        return self.registration\n",
    "test_changes::test_a_run_is_cancelled_on_the_executor_where_it_is",
    "test_changes::test_a_drain_that_is_cut_short_cancels_runs_where_they_are",
)
_breaks(
    "changes",
    "a run that stays behind has no place",
    ENTRIES,
    "        elif len(others) >= max_instances:\n            raise MaximumInstancesError(run.task.id, max_instances)\n",
    "",
    "test_changes::test_a_run_that_is_under_way_stays_where_it_is_and_keeps_its_place",
)
_breaks(
    "changes",
    "a moved task counts by itself for ever",
    ENTRIES,
    "        if not moved.elsewhere:\n            self.submit_to = moved.submit\n        elif",
    "        if",
    "test_changes::test_a_task_that_is_moved_counts_as_any_other_once_nothing_is_left_behind",
)
_breaks(
    "changes",
    "a run that waits for a start stays behind",
    ENTRIES,
    "        pending = [run for run in runs if before.pending.pop(run.id, None) is not None]\n",
    "        pending: list[TaskRun[ResultT]] = []\n",
    "test_changes::test_a_run_that_waits_for_the_start_of_its_executor_is_moved_with_its_task",
)
_breaks(
    "changes",
    "an attempt does not wait for the start of its new executor",
    ENTRIES,
    "        attempt.timer.cancel()\n        try:\n            self.submit(run)\n",
    "        attempt.timer.cancel()\n        try:\n            self.submit_to(run)\n",
    "test_changes::test_an_attempt_waits_for_the_start_of_the_executor_that_its_task_was_moved_to",
)
_breaks(
    "changes",
    "nobody wakes what waits for a run of the task that was replaced",
    SCHEDULER,
    "            if successor is not None:\n                self._fill_places(successor)\n",
    "",
    "test_changes::test_what_waits_of_a_new_task_gets_the_place_of_a_run_of_the_replaced_one",
)
_breaks(
    "changes",
    "what is asked of an id is refused where another thread replaces its task meanwhile",
    SCHEDULER,
    "                if not entry.removed:\n                    raise\n",
    "                raise\n",
    "test_changes::test_what_is_asked_of_an_id_holds_for_the_task_that_replaces_it_meanwhile",
)
_breaks(
    "changes",
    "a task is replaced before the new one is known to be good",
    SCHEDULER,
    """\
            registration, submit_to = self._resolve(executor, call)
            if task_id in core.entries:
                self.remove_task(task_id)
""",
    """\
            if task_id in core.entries:
                self.remove_task(task_id)
            registration, submit_to = self._resolve(executor, call)
""",
    "test_changes::test_every_other_change_that_is_refused_changes_nothing",
)
_breaks(
    "changes",
    "what is submitted as a shutdown begins is forgotten",
    ENTRIES,
    "            self.waiting = deque([*(self.waiting or ()), at])\n            self.end_what_waits()\n",
    "            pass\n",
    "test_changes::test_what_is_submitted_as_a_shutdown_begins_is_cancelled_and_not_forgotten",
)
_breaks(
    "changes",
    "a change that changes nothing is told",
    ENTRIES,
    "        if differences:\n",
    "        if True:\n",
    "test_changes::test_nothing_is_told_where_nothing_changes",
)
_breaks(
    "changes",
    "a scheduler has no defaults of its own",
    SCHEDULER,
    "        self._defaults = defaults\n",
    "        self._defaults = DEFAULT_LIMITS\n",
    "test_changes::test_the_defaults_of_a_scheduler_are_those_of_tasks_that_do_not_say_otherwise",
)

# 7: what a user's code raises harms only itself

_breaks(
    "7",
    "a listener that raises stops the others",
    DISPATCH,
    "        except BaseException:\n",
    "        except ValueError:\n",
    "test_scheduler::test_listeners_that_raise_harm_only_themselves_and_coroutine_listeners_are_awaited",
)
_breaks(
    "7",
    "a listener that raises is not logged",
    DISPATCH,
    '                logger.exception("A listener raised")\n            else:\n',
    "                pass\n            else:\n",
    "test_scheduler::test_listeners_that_raise_harm_only_themselves_and_coroutine_listeners_are_awaited",
)
_breaks(
    "7",
    "a coroutine of a listener that raises is not logged",
    DISPATCH,
    '        logger.exception("A listener raised")\n        if isinstance',
    "        if isinstance",
    "test_scheduler::test_listeners_that_raise_harm_only_themselves_and_coroutine_listeners_are_awaited",
)
_breaks(
    "7",
    "a trigger that raises stops the scheduler",
    ENTRIES,
    """\
            except BaseException as error:
                self.next_fire = None
                self.tell_trigger_raised(error)
                #""",
    """\
            except MemoryError as error:
                self.next_fire = None
                self.tell_trigger_raised(error)
                #""",
    "test_rules::test_whatever_a_trigger_raises_ends_its_own_schedule_and_is_told",
)
_breaks(
    "7",
    "a trigger that raises no Exception stops the scheduler",
    ENTRIES,
    """\
            except BaseException as error:
                self.next_fire = None
                self.tell_trigger_raised(error)
                #""",
    """\
            except Exception as error:
                self.next_fire = None
                self.tell_trigger_raised(error)
                #""",
    "test_rules::test_whatever_a_trigger_raises_ends_its_own_schedule_and_is_told",
)
_breaks(
    "7",
    "a trigger that raised is asked again",
    ENTRIES,
    "                following = self.next_fire\n            if",
    "                following = utc(now.timestamp() + 1)\n            if",
    "test_rules::test_whatever_a_trigger_raises_ends_its_own_schedule_and_is_told",
)
_breaks(
    "7",
    "a trigger that raised is not told",
    ENTRIES,
    "        self.core.dispatcher.emit(event)\n\n    def submit_waiting",
    "\n    def submit_waiting",
    "test_rules::test_whatever_a_trigger_raises_ends_its_own_schedule_and_is_told",
)
_breaks(
    "7",
    "a trigger that raises after the clock was set back stops the scheduler",
    ENTRIES,
    """\
        except BaseException as error:
            self.next_fire = None
            self.tell_trigger_raised(error)
        self.schedule()
""",
    """\
        except MemoryError as error:
            self.next_fire = None
            self.tell_trigger_raised(error)
        self.schedule()
""",
    "test_rules::test_a_trigger_that_raises_after_the_clock_was_set_back_ends_its_own_schedule_only",
)
_breaks(
    "7",
    "a base exception of an executor stops the scheduler",
    ENTRIES,
    (
        "        except BaseException as error:\n"
        "            # How it ended, should that be told already, waits in the inbox.\n"
        "            self.end("
    ),
    "        except Exception as error:\n            self.end(",
    "test_rules::test_a_run_whose_executor_raises_a_base_exception_is_its_error_and_the_schedule_goes_on",
)
_breaks(
    "7",
    "a failed run is not logged",
    SCHEDULER,
    '        logger.error("A run of the task %r failed',
    '        logger.debug("A run of the task %r failed',
    "test_scheduler::test_failed_runs_are_logged_where_nobody_listens",
)

# 8: from any thread, at once

_breaks(
    "8",
    "a task that is added takes its place at once",
    SCHEDULER,
    "        core.inbox.put(partial(self._activate, entry))\n",
    "        self._activate(entry) if self.running else core.inbox.put(partial(self._activate, entry))\n",
    "test_rules::test_what_another_thread_does_takes_effect_on_the_thread_of_the_loop_and_waits_for_nothing",
)
_breaks(
    "8",
    "adding a task waits for the loop",
    SCHEDULER,
    "        core.inbox.put(partial(self._activate, entry))\n",
    """\
        core.inbox.put(partial(self._activate, entry))
        if self.running and threading.current_thread() is not threading.main_thread():
            added = threading.Event()
            core.inbox.put(added.set)
            added.wait(20)
""",
    "test_rules::test_what_another_thread_does_takes_effect_on_the_thread_of_the_loop_and_waits_for_nothing",
)
_breaks(
    "8",
    "an id is reserved late",
    SCHEDULER,
    "            core.entries[task_id] = entry\n        core.inbox.put(partial(self._activate, entry))\n",
    """\
        core.inbox.put(partial(core.entries.__setitem__, task_id, entry))
        core.inbox.put(partial(self._activate, entry))
""",
    "test_scheduler::test_other_bad_input_is_refused",
)
_breaks(
    "8",
    "a taken id is not refused",
    SCHEDULER,
    "        if wanted in self._core.entries and not replace_existing:\n",
    "        if False:\n",
    "test_scheduler::test_other_bad_input_is_refused",
)
_breaks(
    "8",
    "what was added before the start is not looked at",
    INBOX,
    "        self.awake = False\n        if self.calls:\n            self.wake()\n\n    def new_context",
    "        self.awake = bool(self.calls)\n\n    def new_context",
    "test_scheduler::test_tasks_may_be_added_from_any_thread_and_before_the_start",
)
_breaks(
    "8",
    "a task that is removed leaves at once",
    SCHEDULER,
    "        self._core.inbox.put(partial(self._removed, entry))\n",
    "        self._removed(entry)\n",
    "test_rules::test_what_another_thread_does_takes_effect_on_the_thread_of_the_loop_and_waits_for_nothing",
)
_breaks(
    "8",
    "a task is paused at once",
    ENTRIES,
    "            self.core.change(lambda: self.make_paused(paused))\n",
    "            self.make_paused(paused)\n",
    "test_rules::test_what_another_thread_does_takes_effect_on_the_thread_of_the_loop_and_waits_for_nothing",
)
_breaks(
    "8",
    "a refused task leaves its executor registered",
    SCHEDULER,
    """\
                _check_call(made, call)
                return self._register(executor, made, made.submit), made.submit
""",
    "                registration = self._register(executor, made, made.submit)\n",
    "test_rules::test_a_task_that_is_refused_leaves_no_trace",
)
_breaks(
    "8",
    "a task with a taken id leaves its executor registered",
    SCHEDULER,
    """\
            task_id = self._free_id(task_id, call, replace_existing)
            registration, submit_to = self._resolve(executor, call)
""",
    """\
            registration, submit_to = self._resolve(executor, call)
            task_id = self._free_id(task_id, call, replace_existing)
""",
    "test_rules::test_a_task_that_is_refused_leaves_no_trace",
)
_breaks(
    "8",
    "bad limits are not refused",
    TASKS,
    '        check_count("max_instances", self.max_instances)\n',
    "",
    "test_bad_input::test_bad_input_is_refused_with_a_message_that_tells_what_and_why",
)

# 9: executors

_breaks(
    "9",
    "an executor that came with a task is left out of a shutdown that follows at once",
    SCHEDULER,
    "        self._start_late()\n        if registration.starting",
    "        if registration.starting",
    "test_drain::test_the_runs_of_an_executor_that_came_with_them_are_finished_also_on_a_busy_loop",
)
_breaks(
    "9",
    "a start that fails leaves what was added meanwhile",
    SCHEDULER,
    "            await self._shut_down(registration, False, None)\n            registration.pending",
    "            if registration.starting is None:\n                await self._shut_down(registration, False, None)\n"
    "            registration.pending",
    "test_defects::test_a_start_that_fails_releases_also_what_was_added_meanwhile",
)
_breaks(
    "9",
    "a start that fails waits for others that start",
    SCHEDULER,
    "                registration.starting.cancel()\n",
    "                pass\n",
    "test_defects::test_a_start_that_fails_waits_for_no_other_and_ends_what_was_submitted",
)
_breaks(
    "9",
    "what was submitted before a start that fails has no end",
    SCHEDULER,
    "            registration.pending.clear()\n        for entry in self._all_entries():\n",
    "            registration.pending.clear()\n        for entry in ():\n",
    "test_defects::test_a_start_that_fails_waits_for_no_other_and_ends_what_was_submitted",
)
_breaks(
    "9",
    "what is due while its executor starts with the scheduler is left to wait",
    SCHEDULER,
    "        registration.ready = True\n        self._submit_pending(registration)\n",
    "        registration.ready = True\n",
    "test_defects::test_what_is_due_while_its_executor_starts_with_the_scheduler_runs_then",
)
_breaks(
    "9",
    "a late start that fails removes who has its alias by then",
    SCHEDULER,
    "            if self._registrations.get(registration.alias) is registration:\n                del ",
    "            if True:\n                del ",
    "test_defects::test_a_late_start_that_fails_leaves_the_executor_that_has_its_alias_by_then",
)
_breaks(
    "9",
    "a shutdown that is cancelled cancels a late start",
    SCHEDULER,
    "                await asyncio.wait([registration.starting])\n",
    "                await registration.starting\n",
    "test_defects::test_a_shutdown_that_is_cancelled_leaves_a_late_start_alone",
)
_breaks(
    "9",
    "a place is free later than its end is told",
    ENTRIES,
    "        self.core.scheduler.ended(run, notification)\n",
    "        self.core.scheduler.notify(run, notification)\n        self.core.scheduler.released(run)\n",
    "test_drain::test_a_run_that_waits_for_the_start_of_its_executor_can_be_cancelled",
)
_breaks(
    "9",
    "a place in a queue is free later than its end is told",
    BASE,
    "        if over and self._tells_ends is not None:\n",
    "        if False:\n",
    "test_changes::test_a_moved_task_can_run_again_once_its_run_was_cancelled_in_the_queue",
)
_breaks(
    "9",
    "an executor that failed to start late stays registered",
    SCHEDULER,
    "                del self._registrations[registration.alias]\n",
    "                pass\n",
    "test_defects::test_an_executor_that_fails_to_start_late_leaves_its_alias_free",
)
_breaks(
    "9",
    "what waits for a start that fails is forgotten",
    SCHEDULER,
    "        for submit in pending:\n            submit()\n",
    "        for submit in pending if registration.ready else ():\n            submit()\n",
    "test_rules::test_whatever_a_late_start_raises_ends_the_runs_that_wait_for_it",
)
_breaks(
    "9",
    "a start that raises no Exception is not seen to have failed",
    SCHEDULER,
    '        except BaseException as error:\n            logger.exception("The executor %r could not start',
    '        except Exception as error:\n            logger.exception("The executor %r could not start',
    "test_rules::test_whatever_a_late_start_raises_ends_the_runs_that_wait_for_it",
)
_breaks(
    "9",
    "runs do not wait for the start of their executor",
    ENTRIES,
    "        elif registration.ready:\n",
    "        elif True:\n",
    "test_drain::test_a_run_that_waits_for_the_start_of_its_executor_can_be_cancelled",
)
_breaks(
    "9",
    "an executor that is added late is not started",
    SCHEDULER,
    "            self._to_start.append(registration)\n",
    "",
    "test_scheduler::test_events_of_a_life_come_in_order",
)
_breaks(
    "9",
    "an executor that tasks name can be removed",
    SCHEDULER,
    "        if using:\n",
    "        if False:\n",
    "test_scheduler::test_events_of_a_life_come_in_order",
)
_breaks(
    "9",
    "an executor that is removed is not shut down",
    SCHEDULER,
    "        await self._shut_down(registration, wait, None)\n",
    "",
    "test_rules::test_a_removed_executor_is_shut_down",
)
_breaks(
    "9",
    "one instance has two aliases",
    SCHEDULER,
    "                raise DuplicateExecutorError(registration.alias)\n",
    "                pass\n",
    "test_scheduler::test_other_bad_input_is_refused",
)
_breaks(
    "9",
    "one alias has two instances",
    SCHEDULER,
    "                raise DuplicateExecutorError(alias)\n",
    "                pass\n",
    "test_scheduler::test_other_bad_input_is_refused",
)
_breaks(
    "9",
    "what is no executor is registered",
    SCHEDULER,
    "        check_executor(executor)\n",
    "",
    "test_bad_input::test_bad_input_is_refused_with_a_message_that_tells_what_and_why",
)
_breaks(
    "9",
    "one instance serves two schedulers",
    BASE,
    '        if self._status not in {"created", "stopped"}:\n            raise DuplicateExecutorError(self._alias)\n',
    '        if self._status == "running":\n            self._status = "stopped"\n',
    "test_rules::test_an_executor_belongs_to_one_scheduler",
)
_breaks(
    "9",
    "a start that fails leaves the others started",
    SCHEDULER,
    "            await self._shut_down(registration, False, None)\n            registration.pending.clear()\n",
    "            registration.pending.clear()\n",
    "test_scheduler::test_an_executor_that_cannot_start_stops_the_start",
)

_breaks(
    "9",
    "what cannot be ended after a failed start hides why that failed",
    SCHEDULER,
    "            await self._shut_down(registration, False, None)\n            registration.pending.clear()\n",
    """\
            registration.ready = False
            await registration.shutdown(False)
            registration.pending.clear()
""",
    "test_rules::test_a_start_that_fails_tells_why_also_where_ending_what_had_started_fails",
)

# 10: shutdown

_breaks(
    "10",
    "a shutdown does not wait",
    BASE,
    "                await self._wait_until_drained()\n",
    "",
    "test_executors::test_shutdown_waits_for_runs_without_blocking_the_loop",
)
_breaks(
    "10",
    "a shutdown blocks the loop",
    BASE,
    "        await self._drained.wait()\n",
    '        while not self._has_drained:\n            __import__("time").sleep(0.01)\n',
    "test_executors::test_shutdown_waits_for_runs_without_blocking_the_loop[threadpool]",
)
_breaks(
    "10",
    "a shutdown blocks the loop until workers have quit",
    PROCESSES,
    "            await asyncio.to_thread(self._supervisor.stop)\n",
    "            self._supervisor.stop()\n",
    "test_rules::test_the_loop_goes_on_while_a_worker_does_not_quit",
)
_breaks(
    "10",
    "a shutdown waits for what was abandoned",
    BASE,
    "        return len(self._live) <= len(self._given_up) and not self._being_told\n",
    "        return not self._live and not self._being_told\n",
    "test_rules::test_a_shutdown_waits_for_what_runs_and_not_for_what_was_abandoned",
)
_breaks(
    "10",
    "a shutdown waits for threads that were abandoned",
    THREADS,
    "            if self.state.abandoned:\n",
    "            if False:\n",
    "test_rules::test_a_shutdown_waits_for_what_runs_and_not_for_what_was_abandoned",
)
_breaks(
    "10",
    "a shutdown that does not wait tells nothing",
    BASE,
    """\
        self.cancel(run)
        self.give_up(run, run.cancelled())
""",
    "        self.cancel(run)\n",
    "test_endings::test_a_shutdown_is_told_after_every_run",
)
_breaks(
    "10",
    "a shutdown that does not wait cancels nothing",
    BASE,
    """\
        self.cancel(run)
        self.give_up(run, run.cancelled())
""",
    "        self.give_up(run, run.cancelled())\n",
    "test_defects::test_a_cancelled_coroutine_cleans_up_before_the_shutdown_is_over",
)
_breaks(
    "10",
    "cancel_futures is ignored",
    POOL,
    "        if self._cancel_futures:\n",
    "        if False:\n",
    "test_executors::test_cancel_futures_drops_the_queue_at_shutdown",
)
_breaks(
    "10",
    "overwrite_wait is ignored",
    POOL,
    "super().shutdown(wait if self._overwrite_wait is None else self._overwrite_wait)",
    "super().shutdown(wait)",
    "test_executors::test_overwrite_wait_wins",
)
_breaks(
    "10",
    "a scheduler that drains takes runs",
    ENTRIES,
    '        if not self.core.running:\n            raise SchedulerNotRunningError(f"running the task',
    '        if self.core.status == "stopped":\n            raise SchedulerNotRunningError(f"running the task',
    "test_drain::test_a_scheduler_that_shuts_down_takes_no_new_runs",
)
_breaks(
    "10",
    "the shutdown is told at its beginning",
    SCHEDULER,
    "            self._before_shutdown = read_counts(core)\n",
    """\
            self._before_shutdown = read_counts(core)
            self._report_shutdown(self._before_shutdown)
""",
    "test_endings::test_a_shutdown_is_told_after_every_run",
)
_breaks(
    "10",
    "the shutdown is told before listeners have heard all",
    SCHEDULER,
    """\
        await core.dispatcher.until_all_have_heard(core.inbox.drain_all)
        self._report_shutdown(self._before_shutdown)
""",
    """\
        self._report_shutdown(self._before_shutdown)
        await core.dispatcher.until_all_have_heard(core.inbox.drain_all)
""",
    "test_rules::test_the_shutdown_is_the_last_event_also_where_a_listener_goes_on_after_the_last_run",
)
_breaks(
    "10",
    "a second shutdown does it all again",
    SCHEDULER,
    """\
        if core.status in {"created", "stopped"}:
            return
        if core.status != "draining":
""",
    """\
        if core.status in {"created"}:
            return
        if core.status != "draining":
""",
    "test_rules::test_a_second_shutdown_waits_for_the_first_and_tells_nothing",
)
_breaks(
    "10",
    "a second shutdown does not wait for the first",
    SCHEDULER,
    "        async with self._shutdown_lock:\n",
    "        if self._shutdown_lock.locked():\n            return\n        async with self._shutdown_lock:\n",
    "test_rules::test_a_second_shutdown_waits_for_the_first_and_tells_nothing",
)
_breaks(
    "10",
    "a shutdown that was cancelled cannot be gone on with",
    SCHEDULER,
    "                registration.ready = True\n                raise\n",
    "                raise\n",
    "test_rules::test_a_shutdown_that_was_cancelled_is_gone_on_with_by_the_next",
)
_breaks(
    "10",
    "a scheduler cannot be started again",
    SCHEDULER,
    '        if core.status not in {"created", "stopped"}:\n',
    '        if core.status not in {"created"}:\n',
    "test_scheduler::test_a_scheduler_can_be_started_again_in_another_loop",
)
_breaks(
    "10",
    "an executor stays with its first loop",
    BASE,
    "        self._loop = asyncio.get_running_loop()\n        self._shutdown_lock",
    "        self._loop = self._loop or asyncio.get_running_loop()\n        self._shutdown_lock",
    "test_rules::test_an_executor_that_is_started_in_another_loop_keeps_time_and_drains_there",
)
_breaks(
    "10",
    "an executor whose shutdown raises stops that of the scheduler",
    SCHEDULER,
    "            await shutdown\n        except BaseException:\n",
    "            await shutdown\n        except Exception:\n",
    "test_rules::test_an_executor_whose_shutdown_raises_does_not_keep_the_scheduler_from_its_end",
)

_breaks(
    "10",
    "an executor that cannot cancel stops the shutdown",
    SCHEDULER,
    '        except Exception:\n            logger.exception("The executor %r could not cancel what runs"',
    '        except MemoryError:\n            logger.exception("The executor %r could not cancel what runs"',
    "test_rules::test_an_executor_that_fails_in_all_that_it_is_asked_does_not_keep_the_scheduler_from_its_end",
)
_breaks(
    "10",
    "an executor that cannot tell its state stops the shutdown",
    SCHEDULER,
    '    except Exception:\n        logger.exception("The executor %r could not tell its state"',
    '    except MemoryError:\n        logger.exception("The executor %r could not tell its state"',
    "test_rules::test_an_executor_that_fails_in_all_that_it_is_asked_does_not_keep_the_scheduler_from_its_end",
)

_breaks(
    "10",
    "cancel_futures leaves what waits in a foreign pool",
    FUTURES,
    "        if self.claim(run):\n",
    "        if True:\n",
    "test_futures::test_cancel_futures_drops_what_the_pool_has_not_begun",
)
_breaks(
    "10",
    "a cluster outlives its executor",
    DASK_LINK,
    "            await self._ended(cluster)\n",
    "            pass\n",
    "test_dask::test_a_cluster_of_its_own_comes_and_goes_with_the_executor",
)

# 11: awaitables

_breaks(
    "11",
    "what a function returns is not awaited",
    TASKS,
    "            if outcome is None or not is_awaitable(outcome):\n",
    "            if True:\n",
    "test_endings::test_what_a_function_does_is_told_once",
)
_breaks(
    "11",
    "only coroutines are awaited",
    TASKS,
    '    return kind is CoroutineType or (kind not in _NEVER_AWAITABLE and hasattr(kind, "__await__"))\n',
    "    return inspect.iscoroutine(outcome)\n",
    "test_rules::test_a_returned_awaitable_of_any_class_is_awaited",
)
_breaks(
    "11",
    "only coroutines are awaited in processes",
    WORKER,
    '    return hasattr(type(outcome), "__await__")\n',
    "    return asyncio.iscoroutine(outcome)\n",
    "test_rules::test_a_returned_awaitable_of_any_class_is_awaited",
)
_breaks(
    "11",
    "what a thread of asyncio returns is awaited in the thread",
    LOOP,
    "        return asyncio.run_coroutine_threadsafe(as_coroutine(awaitable), self._running_loop).result()\n",
    "        return asyncio.run(as_coroutine(awaitable))\n",
    "test_rules::test_coroutines_run_in_a_loop_of_the_worker",
)
_breaks(
    "11",
    "coroutines of a thread pool run on the scheduler's loop",
    THREADS,
    "        return self._runner.run(as_coroutine(awaitable), context=copy_context())\n",
    """\
        return asyncio.run_coroutine_threadsafe(as_coroutine(awaitable), _the_loop[0]).result()


_the_loop: list[asyncio.AbstractEventLoop] = []
_start = ThreadPoolExecutor.start


async def _noting_start(self: ThreadPoolExecutor, scheduler: Notifier, alias: str) -> None:
    _the_loop[:] = [asyncio.get_running_loop()]
    await _start(self, scheduler, alias)


ThreadPoolExecutor.start = _noting_start
""",
    "test_rules::test_coroutines_run_in_a_loop_of_the_worker",
)
_breaks(
    "11",
    "a coroutine cancelled before its first step is not told",
    LOOP,
    "            self.finish(run, run.cancelled() if future.cancelled() else future.result())\n",
    "            if not future.cancelled():\n                self.finish(run, future.result())\n",
    "test_endings::test_a_coroutine_that_is_cancelled_before_its_first_step_is_told_as_cancelled",
)
_breaks(
    "11",
    "plain functions have threads of their own",
    LOOP,
    "        self._running_loop.run_in_executor(None, ",
    '        self._running_loop.run_in_executor(__import__("concurrent.futures").futures.ThreadPoolExecutor(1), ',
    "test_specification",
)

# 12: context variables

_breaks(
    "12",
    "a scheduled run sees the present context",
    ENTRIES,
    "        run = TaskRun(self.typed_task, at, self.context, core.now)\n",
    "        run = TaskRun(self.typed_task, at, contextvars.copy_context(), core.now)\n",
    "test_rules::test_what_a_run_does_to_context_variables_is_its_own",
)
_breaks(
    "12",
    "runs share one context",
    TASKS,
    "None if self._context is None else self._context.copy()\n        try",
    "self._context\n        try",
    "test_rules::test_what_a_run_does_to_context_variables_is_its_own",
)
_breaks(
    "12",
    "a run that is called for sees the context of its task",
    ENTRIES,
    "context=context, clock_now=self.core.now, call=",
    "context=self.context, clock_now=self.core.now, call=",
    "test_rules::test_coroutines_of_one_thread_see_each_its_own_context",
)
_breaks(
    "12",
    "coroutines do not see the context",
    EAGER,
    "            task = asyncio.Task(coroutine, loop=loop, name=name, context=context)\n",
    "            task = asyncio.Task(coroutine, loop=loop, name=name)\n",
    "test_executors::test_context_variables_of_add_task_are_visible",
)
_breaks(
    "12",
    "threads do not see the context",
    TASKS,
    "                outcome = context.run(self.call)\n",
    "                outcome = self.call()\n",
    "test_executors::test_context_variables_of_add_task_are_visible",
)
_breaks(
    "12",
    "coroutines of a thread see the context of the first",
    THREADS,
    "self._runner.run(as_coroutine(awaitable), context=copy_context())",
    "self._runner.run(as_coroutine(awaitable))",
    "test_executors::test_context_variables_of_add_task_are_visible",
    "test_rules::test_coroutines_of_one_thread_see_each_its_own_context",
)
_breaks(
    "12",
    "a further attempt sees the present context",
    TASKS,
    "TaskRun(self.task, self.scheduled, self._context, self._clock_now, call=self.call)\n",
    "TaskRun(self.task, self.scheduled, None, self._clock_now, call=self.call)\n",
    "test_rules::test_a_further_attempt_sees_the_context_of_the_first",
)

# 13: signals and processes

_breaks(
    "13",
    "signal handlers are not restored",
    SCHEDULER,
    "                signal.signal(number, handler)\n",
    "                pass\n",
    "test_rules::test_signals_are_handled_inside_wait_closed_only",
)
_breaks(
    "13",
    "signals are handled from the start on",
    SCHEDULER,
    "        self._last_seen = core.clock.now()\n        try:\n",
    """\
        self._last_seen = core.clock.now()
        signal.signal(signal.SIGTERM, lambda *_: None)
        try:
""",
    "test_rules::test_signals_are_handled_inside_wait_closed_only",
)
_breaks(
    "13",
    "signals are handled in any thread",
    SCHEDULER,
    "        if threading.current_thread() is not threading.main_thread():\n            yield\n",
    "        if False:\n            yield\n",
    "test_scheduler::test_wait_closed_works_outside_the_main_thread",
)
_breaks(
    "13",
    "SIGTERM is not handled",
    SCHEDULER,
    "for number in (signal.SIGINT, signal.SIGTERM)}",
    "for number in (signal.SIGINT,)}",
    "test_rules::test_signals_are_handled_inside_wait_closed_only",
)
_breaks(
    "13",
    "the first signal cancels",
    SCHEDULER,
    "            wait = next(received) == 0\n",
    "            wait = next(received) == 1\n",
    "test_scheduler::test_run_forever_ends_cleanly_on_a_signal",
)
_breaks(
    "13",
    "a second signal changes nothing",
    SCHEDULER,
    "            wait = next(received) == 0\n",
    "            wait = next(received) >= 0\n",
    "test_scheduler::test_a_second_signal_cuts_the_drain_short",
)
_breaks(
    "13",
    "workers end on SIGINT",
    WORKER,
    "    signal.signal(signal.SIGINT, signal.SIG_IGN)\n",
    "    signal.signal(signal.SIGINT, signal.SIG_DFL)\n",
    "test_rules::test_workers_ignore_sigint",
)
_breaks(
    "13",
    "processes start by fork",
    SUPERVISOR,
    'get_context("forkserver" if "forkserver" in methods else "spawn")',
    'get_context("fork")',
    "test_rules::test_processes_start_by_forkserver_unless_the_context_says_otherwise",
)
_breaks(
    "13",
    "there is no start without a fork server",
    SUPERVISOR,
    'get_context("forkserver" if "forkserver" in methods else "spawn")',
    'get_context("forkserver")',
    "test_rules::test_processes_start_by_spawn_where_there_is_no_forkserver",
)
_breaks(
    "13",
    "mp_context is ignored",
    SUPERVISOR,
    'pool_kwargs.get("mp_context") or default_context()',
    "default_context()",
    "test_rules::test_processes_start_by_forkserver_unless_the_context_says_otherwise",
)

# Retries

_breaks(
    "retries",
    "each failed attempt is an end",
    SCHEDULER,
    "_is_tried_again(entry, run, failure):\n                if run.released:\n",
    """\
_is_tried_again(entry, run, failure):
                core.dispatcher.emit(failure)
                if run.released:
""",
    "test_retries::test_each_failed_attempt_but_the_last_is_an_event_and_the_run_ends_once",
)
_breaks(
    "retries",
    "a failed attempt is concluded as well",
    SCHEDULER,
    "                    self._pass_on_place(entry, run)\n                return\n        if run._ending",
    "                    self._pass_on_place(entry, run)\n        if run._ending",
    "test_rules::test_a_run_that_is_tried_again_is_told_once_and_logs_no_second_end",
)
_breaks(
    "retries",
    "one attempt too many",
    "asyncz/retries.py",
    "attempt < self.attempts",
    "attempt <= self.attempts",
    "test_retries::test_the_last_attempt_s_error_is_the_run_s",
)
_breaks(
    "retries",
    "a shutdown lets attempts wait",
    SCHEDULER,
    "        for entry in self._all_entries():\n            entry.end_attempts()\n",
    "",
    "test_retries::test_a_shutdown_makes_no_more_attempts",
)
_breaks(
    "retries",
    "attempts are made while the scheduler drains",
    ENTRIES,
    "        if retry is None or self.removed or not self.core.running or not",
    "        if retry is None or self.removed or not",
    "test_retries::test_a_run_that_fails_while_the_scheduler_drains_is_not_tried_again",
)
_breaks(
    "retries",
    "an attempt that is refused is dropped",
    ENTRIES,
    "            self.wait_for_attempt(run_id, attempt)\n        except",
    "        except",
    "test_retries::test_an_attempt_that_is_refused_waits_for_the_abandoned_one_before",
)
_breaks(
    "retries",
    "an attempt that is refused does not hear of a place",
    SCHEDULER,
    "        entry.submit_attempts()\n",
    "",
    "test_rules::test_an_attempt_that_was_refused_is_made_as_soon_as_there_is_a_place",
)

# Time limits

_breaks(
    "time limits",
    "a time limit is not told",
    BASE,
    "            if self.give_up(run, run.failed(exceeded)):\n",
    "            if False:\n",
    "test_executors::test_a_run_that_exceeds_its_timeout_ends_at_once",
)
_breaks(
    "time limits",
    "what exceeded its time limit is not cancelled",
    BASE,
    "                self.cancel_run(run)\n",
    "",
    "test_executors::test_a_coroutine_that_exceeds_its_timeout_is_cancelled",
)
_breaks(
    "time limits",
    "the time in the queue counts",
    BASE,
    "        try:\n            self.submit_run(run)\n",
    "        self.limit_time(run)\n        try:\n            self.submit_run(run)\n",
    "test_rules::test_a_time_limit_does_not_count_the_time_in_the_queue",
)

# A crash costs one run

_breaks(
    "isolation",
    "what was sent to a worker that died is lost",
    SUPERVISOR,
    "        self._queue.extendleft(reversed(slot.in_flight.values()))\n",
    "",
    "test_worker_faults::test_of_many_runs_in_flight_those_before_a_death_keep_their_results_and_those_behind_run_elsewhere",
)
_breaks(
    "isolation",
    "what was sent to a worker that died fails with it",
    SUPERVISOR,
    "        self._queue.extendleft(reversed(slot.in_flight.values()))\n",
    """\
        for job in slot.in_flight.values():
            job.fail(WorkerLostError("died with another run"))
""",
    "test_worker_faults::test_of_many_runs_in_flight_those_before_a_death_keep_their_results_and_those_behind_run_elsewhere",
)
_breaks(
    "isolation",
    "what was sent behind a long run waits for it",
    SUPERVISOR,
    "                self._recall_from_long_runs()\n",
    "",
    "test_recall::test_what_was_sent_behind_a_long_run_runs_on_the_worker_that_gets_free",
)
_breaks(
    "isolation",
    "a worker begins what was taken back from it",
    WORKER,
    "        if self._permitted != number:\n            return False\n",
    "",
    "test_recall::test_a_worker_that_dies_takes_nothing_along_that_was_taken_back_from_it",
)
_breaks(
    "isolation",
    "a run that was sent in advance is cancelled only once it has begun, with its worker",
    SUPERVISOR,
    "                self._recall(slot)\n                if run_id",
    "                if run_id",
    "test_recall::test_what_was_taken_back_may_be_sent_to_the_same_worker_again",
)
_breaks(
    "isolation",
    "one worker that dies takes all along",
    SUPERVISOR,
    "        _kill(slot.process)\n        exit_code = slot.process.ended_with()\n",
    """\
        for each in [slot, *self._slots]:
            _kill(each.process)
        exit_code = slot.process.ended_with()
""",
    "test_rules::test_a_worker_that_dies_leaves_what_the_others_execute_alone",
)
_breaks(
    "isolation",
    "a worker that died is not replaced",
    SUPERVISOR,
    "        if len(self._slots) < self._max_workers and time.monotonic() >= self._start_again_at:\n",
    "        if len(self._slots) + self.lost_workers < self._max_workers:\n",
    "test_executors::test_pool_kwargs_reach_the_pool_and_its_replacement",
)

# ASGI: a scheduler starts and drains with a server

_breaks(
    "asgi",
    "the scheduler starts before its app",
    ASGI,
    """\
            answer = await app.ask("lifespan.startup")
            if answer is not None and answer["type"] != "lifespan.startup.complete":
                await send(answer)
                return
            try:
                await self._scheduler.start()
""",
    """\
            try:
                await self._scheduler.start()
                answer = await app.ask("lifespan.startup")
                if answer is not None and answer["type"] != "lifespan.startup.complete":
                    await send(answer)
                    return
""",
    "test_asgi",
)
_breaks(
    "asgi",
    "runs in flight are cancelled with the server",
    ASGI,
    "await self._scheduler.shutdown(timeout=self._drain_timeout)",
    "await self._scheduler.shutdown(wait=False)",
    "test_asgi",
)
_breaks(
    "asgi",
    "the drain of an app has no limit",
    ASGI,
    "await self._scheduler.shutdown(timeout=self._drain_timeout)",
    "await self._scheduler.shutdown()",
    "test_asgi::test_the_drain_after_sigterm_can_be_bounded",
)
_breaks(
    "asgi",
    "the drain of a lifespan has no limit",
    SCHEDULER,
    "            await self.shutdown(timeout=drain_timeout)\n",
    "            await self.shutdown()\n",
    "test_asgi::test_the_drain_after_sigterm_can_be_bounded",
)
_breaks(
    "asgi",
    "an app that knows no lifespan fails the start",
    ASGI,
    """\
        except Exception as error:
            # By the specification this is how an app says that it has no lifespan.
""",
    """\
        except TypeError as error:
            # By the specification this is how an app says that it has no lifespan.
""",
    "test_asgi::test_an_app_needs_no_lifespan",
)
_breaks(
    "asgi",
    "a start that fails leaves its app started",
    ASGI,
    """\
                await app.ask("lifespan.shutdown")
                await send({"type": "lifespan.startup.failed\
""",
    """\
                await send({"type": "lifespan.startup.failed\
""",
    "test_asgi::test_a_start_of_the_scheduler_that_fails_is_told_and_ends_the_app",
)
_breaks(
    "asgi",
    "a server that goes leaves its scheduler running",
    ASGI,
    "            ending.push_async_callback(self._scheduler.shutdown, wait=False)\n",
    "",
    "test_asgi::test_a_server_that_goes_without_a_word_leaves_nothing_running",
)
_breaks(
    "asgi",
    "a server that goes leaves its app running",
    ASGI,
    "            ending.push_async_callback(app.close)\n",
    "",
    "test_asgi::test_a_server_that_goes_without_a_word_leaves_nothing_running",
)

# Configuration: all that is wrong is told, with its place

_breaks(
    "config",
    "lines are counted without those in texts",
    LINES,
    """line += token.count("\\n")""",
    """line += token == "\\n\"""",
    "test_config::test_every_key_of_a_toml_text_is_found_in_its_line",
)
_breaks(
    "config",
    "only the first thing that is wrong is told",
    READING,
    "raise ConfigurationError(tuple(sorted(self._problems, key=lambda problem: problem.line or 0)))",
    "raise ConfigurationError(tuple(self._problems[:1]))",
    "test_config::test_all_that_is_wrong_is_told_at_once_in_the_order_of_the_file",
)
_breaks(
    "config",
    "what is right in a wrong part is not looked at",
    READING,
    "wrong.add(path[: 2 if whole else 3])",
    "wrong.add(path[:2])",
    "test_config::test_all_that_is_wrong_is_told_at_once_in_the_order_of_the_file",
)
_breaks(
    "config",
    "what follows from a wrong executor is told too",
    READING,
    "return {*self.config.executors, *unusable}",
    "return {*self.config.executors} - unusable",
    "test_config::test_all_that_is_wrong_is_told_at_once_in_the_order_of_the_file",
)
_breaks(
    "config",
    "arguments are not compared with the function",
    MODELS,
    "        _check_arguments(function, self.args, self.kwargs)\n",
    "",
    "test_config::test_what_is_wrong_is_told_with_its_place",
)
_breaks(
    "config",
    "a number is taken for a time",
    MODELS,
    "Annotated[datetime, BeforeValidator(_refuse_numbers), ",
    "Annotated[datetime, ",
    "test_config::test_what_is_wrong_is_told_with_its_place",
)
_breaks(
    "config",
    "what a task says is lost to the defaults",
    MODELS,
    """_finite(self.timeout) if "timeout" in own else UNSET""",
    """_finite(self.timeout) or UNSET""",
    "test_config::test_a_task_takes_from_the_defaults_what_it_does_not_say",
)
_breaks(
    "config",
    "an option of a pool gets lost",
    MODELS,
    "given[name] = value.create() if isinstance(value, _KwargsConfig) else value",
    "given[name] = {} if isinstance(value, _KwargsConfig) else value",
    "test_config::test_the_options_of_pools_reach_them",
)

# What `asyncz run` shows

_breaks(
    "monitor",
    "what functions print gets among the JSON",
    MONITOR,
    "    os.dup2(_STANDARD_ERROR, _STANDARD_OUTPUT)\n",
    "",
    "test_run_command::test_json_lines_are_the_only_output_whoever_else_prints",
)
_breaks(
    "monitor",
    "a reader that goes away is not noticed",
    MONITOR,
    "except BrokenPipeError:",
    "except ZeroDivisionError:",
    "test_run_command::test_a_reader_that_goes_away_does_not_end_the_tasks",
)
_breaks(
    "monitor",
    "more tasks are shown than fit",
    MONITOR,
    "soonest[:room]",
    "soonest",
    "test_run_command::test_the_table_shows_the_soonest_tasks_where_not_all_fit",
)
_breaks(
    "monitor",
    "the time to drain is not handed on",
    APP,
    "await scheduler.wait_closed(drain_timeout)",
    "await scheduler.wait_closed()",
    "test_run_command::test_a_run_in_flight_at_a_signal",
)


# Chains, and the run that is running

_breaks(
    "chains",
    "a result that comes before its task is added is forgotten",
    CHAINS,
    "        self.take(event.result, self.core.now() if finished is None else finished)\n",
    "        if self.is_active:\n            self.take(event.result, self.core.now())\n",
    "test_chains::test_a_result_that_comes_before_others_have_heard_of_the_next_task_waits_for_that",
)
_breaks(
    "chains",
    "what has finished hands nothing over",
    CHAINS,
    "            self.receive(last)\n",
    "            pass\n",
    "test_chains::test_a_task_that_has_finished_hands_over_its_last_result_once",
)
_breaks(
    "chains",
    "what has finished hands its result over twice",
    CHAINS,
    "if has_ended and not self.results and isinstance",
    "if has_ended and isinstance",
    "test_chains::test_whenever_it_is_chained_to_a_run_its_result_comes_exactly_once",
)
_breaks(
    "chains",
    "the next task goes while a result waits",
    CHAINS,
    "        has_ended = self.upstream is None and self.is_active and",
    "        has_ended = self.is_active and",
    "test_chains::test_each_result_is_handed_to_the_next_task",
)
_breaks(
    "chains",
    "the next task never goes",
    CHAINS,
    "        self.upstream = None\n",
    "        pass\n",
    "test_chains::test_the_next_task_goes_when_the_first_has_gone_and_its_last_result_is_worked_on",
)
_breaks(
    "chains",
    "results come while the next task is paused",
    CHAINS,
    "if not self.is_active or self.paused or self.removed or",
    "if not self.is_active or self.removed or",
    "test_chains::test_results_wait_while_the_next_task_is_paused",
)
_breaks(
    "chains",
    "a result that the executor refuses is forgotten",
    CHAINS,
    "                self.retry_timer = self.core.clock.call_later(_REFUSED_RESULT_WAITS, self.submit_waiting)\n",
    "                self.due_since.popleft()\n                self.results.popleft()\n",
    "test_chains::test_results_wait_for_a_place_in_the_queue_of_their_executor",
)
_breaks(
    "chains",
    "of results that wait only the latest is worked on",
    CHAINS,
    "        if self.typed_task.limits.coalesce:\n            while",
    "        if True:\n            while",
    "test_chains::test_results_wait_for_their_turn_in_their_order_and_none_is_lost",
)
_breaks(
    "chains",
    "the results of a removed task are forgotten in silence",
    CHAINS,
    "        self.cancel_results()\n        super().leave()\n",
    "        super().leave()\n",
    "test_chains::test_results_that_wait_when_their_task_is_removed_are_cancelled_and_told",
)
_breaks(
    "chains",
    "a shutdown does not wait for a chain",
    SCHEDULER,
    "        core.chains_go_on = wait\n",
    "        core.chains_go_on = False\n",
    "test_chains::test_a_shutdown_that_waits_lets_the_chain_come_to_its_end",
)
_breaks(
    "chains",
    "a shutdown waits for a chain that a thread holds up",
    ENTRIES,
    "        if self.first is not None and not self.first.ended:\n",
    "        if self.first is not None:\n",
    "test_chains::test_a_thread_that_does_not_return_does_not_hold_up_the_end_of_a_chain",
)
_breaks(
    "chains",
    "a further attempt has the last result, and not its own",
    TASKS,
    "self._context, self._clock_now, call=self.call)\n",
    "self._context, self._clock_now)\n",
    "test_chains::test_a_further_attempt_has_the_result_of_its_own_run",
)
_breaks(
    "4",
    "what has ended waits until all is submitted",
    SCHEDULER,
    "                    core.inbox.make_calls(deadline)\n                    look_at",
    "                    look_at",
    "test_rules::test_what_has_ended_is_told_while_others_are_still_submitted",
)
_breaks(
    "letting go",
    "a context holds the run that made it",
    RUNNING,
    "        context.run(running_run.set, None)\n",
    "        pass\n",
    "test_letting_go::test_what_a_run_adds_does_not_keep_that_run_alive",
)
_breaks(
    "letting go",
    "a task that has finished holds its place",
    SCHEDULER,
    "            entry.removed = True\n            task._owner = self._former_owner\n",
    "            entry.removed = True\n",
    "test_letting_go::test_a_task_that_is_gone_goes_with_who_holds_it",
)
_breaks(
    "letting go",
    "a task that was removed holds its place",
    SCHEDULER,
    "        entry.task._owner = self._former_owner\n",
    "        pass\n",
    "test_letting_go::test_a_task_that_is_gone_goes_with_who_holds_it",
)
_breaks(
    "letting go",
    "a task holds those that were given its results",
    CHAINS,
    "        self.upstream = None\n        self.chained_call.upstream.remove_listener(self.receive)\n",
    "        self.upstream = None\n",
    "test_letting_go::test_a_task_that_is_gone_goes_with_who_holds_it",
)
_breaks(
    "letting go",
    "a method cannot be taken back as a listener",
    TASKS,
    "    return one is other or (isinstance(one, MethodType) and isinstance(other, MethodType) and one == other)\n",
    "    return one is other\n",
    "test_scheduler::test_a_method_can_be_taken_back_as_a_listener",
)
_breaks(
    "letting go",
    "whatever is equal is taken back as a listener",
    TASKS,
    "    return one is other or (isinstance(one, MethodType) and isinstance(other, MethodType) and one == other)\n",
    "    return one == other\n",
    "test_scheduler::test_a_listener_that_is_equal_to_another_is_not_taken_back_with_it",
)
_breaks(
    "letting go",
    "what an executor begins holds the run that called for another",
    ENTRIES,
    "        context.run(self.hand_over, run, self.submit)\n",
    "        self.hand_over(run, self.submit)\n",
    "test_letting_go::test_what_an_executor_begins_for_one_run_does_not_keep_another_alive",
)
_breaks(
    "1",
    "a waiter of a closed loop stands in the way",
    TASKS,
    "            with contextlib.suppress(RuntimeError):\n                if not waiter.done():\n",
    "            with contextlib.suppress(KeyError):\n                if not waiter.done():\n",
    "test_rules::test_a_run_whose_waiter_went_with_its_loop_still_gives_its_place_back",
)
_breaks(
    "12",
    "listeners do not see the context of the start",
    INBOX,
    "        self._context = context_for_later()\n        self.awake = False\n",
    "        self.awake = False\n",
    "test_rules::test_listeners_see_the_context_of_the_start_whoever_leads_to_their_call",
)
_breaks(
    "12",
    "listeners see the context of who set the timer",
    SCHEDULER,
    "        self._core.inbox.new_context().run(self._submit_what_is_due)\n",
    "        self._submit_what_is_due()\n",
    "test_rules::test_listeners_see_the_context_of_the_start_whoever_leads_to_their_call",
)
_breaks(
    "12",
    "listeners see what others have set in their context",
    INBOX,
    "        return self._context.copy()\n",
    "        return self._context\n",
    "test_rules::test_listeners_see_the_context_of_the_start_whoever_leads_to_their_call",
)
_breaks(
    "letting go",
    "the inbox holds the run that woke it",
    INBOX,
    "            put(self._drain, context=self.new_context())\n",
    "            put(self._drain)\n",
    "test_letting_go::test_what_a_run_adds_does_not_keep_that_run_alive",
    "test_current_run::test_there_is_no_current_run_for_those_who_hear_of_what_a_run_has_added",
)
_breaks(
    "letting go",
    "a chained task that is removed is kept by the first",
    CHAINS,
    "            self.upstream.following.pop(self, None)\n",
    "            pass\n",
    "test_letting_go::test_a_chained_task_that_is_removed_is_not_kept_by_the_first",
)
_breaks(
    "3",
    "a place that a forgotten task leaves is not filled",
    SCHEDULER,
    "        if entry is None or entry.removed:\n            if entry",
    "        if entry is None:\n            return\n        if entry.removed:\n            if entry",
    "test_rules::test_what_waits_for_the_place_of_a_task_that_is_forgotten_gets_it",
)
_breaks(
    "1",
    "what cannot be used stands in the way of a better end",
    SCHEDULER,
    "        run._reported = None\n",
    "",
    "test_rules::test_a_run_of_which_nonsense_is_told_ends_at_the_shutdown",
)
_breaks(
    "7",
    "who takes back a listener is too late for the same event",
    DISPATCH,
    "        yield from first\n        # Those",
    """\
        listeners = self.listeners.get(type(event), ())
        yield from first
        yield from listeners
        return
        # Those""",
    "test_scheduler::test_a_listener_can_take_back_another_before_that_is_called",
)
_breaks(
    "current run",
    "a run stays the current one",
    TASKS,
    "            return call()\n        finally:\n            running_run.reset(token)\n",
    "            return call()\n        finally:\n            del token\n",
    "test_current_run::test_a_run_that_runs_another_one_inline_is_the_current_one_again_after_it",
)
_breaks(
    "current run",
    "a run is held by its own context",
    TASKS,
    "        context = None if self._context is None else self._context.copy()\n",
    "        context = self._context = None if self._context is None else self._context.copy()\n",
    "test_current_run::test_a_run_is_let_go_of_as_soon_as_it_is_over",
)
_breaks(
    "current run",
    "a coroutine that is thrown away raises",
    TASKS,
    "            with contextlib.suppress(ValueError):\n                running_run",
    "            with contextlib.suppress(KeyError):\n                running_run",
    "test_current_run::test_a_coroutine_that_is_thrown_away_elsewhere_harms_nobody",
)
_breaks(
    "current run",
    "a function that was given up is not told",
    TASKS,
    "        return self.cancel_requested or self._ending is not None\n",
    "        return self.cancel_requested\n",
    "test_current_run::test_a_function_over_its_time_limit_learns_of_it",
)
_breaks(
    "current run",
    "a run that was asked to end is tried again",
    ENTRIES,
    " or run.cancel_requested:\n",
    ":\n",
    "test_current_run::test_a_run_that_was_asked_to_end_is_not_tried_again",
)
_breaks(
    "current run",
    "a process that asks is killed at once",
    SUPERVISOR,
    "            elif slot.asking_run == run_id:\n",
    "            elif False:\n",
    "test_current_run::test_a_process_that_asks_is_given_the_time_to_return",
)
_breaks(
    "current run",
    "a process that asks and goes on is never killed",
    SUPERVISOR,
    "                slot.returns_by = None\n                _kill(slot.process)\n",
    "                slot.returns_by = None\n",
    "test_current_run::test_a_process_that_asks_and_goes_on_is_killed",
)
_breaks(
    "current run",
    "coroutines of a worker see the first run",
    WORKER,
    "runner.run(coroutine, context=contextvars.copy_context())",
    "runner.run(coroutine)",
    "test_current_run::test_a_function_sees_its_own_run_and_so_does_what_it_calls",
)


_breaks(
    "chains",
    "a result that is replaced while it waits is forgotten in silence",
    CHAINS,
    "                self.refuse_at_maximum(self.due_since.popleft())\n",
    "                self.due_since.popleft()\n",
    "test_chains::test_only_the_latest_result_waits_where_that_is_wanted",
)

# Other threads, and other loops

_breaks(
    "threads",
    "a start that fails in the thread is not raised",
    THREAD,
    "                self._started.set_exception(error)\n",
    "                self._started.set_result(None)\n",
    "test_in_thread::test_a_start_that_fails_raises_where_the_block_begins_and_leaves_nothing",
)
_breaks(
    "threads",
    "an exception in the block waits for what runs",
    THREAD,
    "self.shutdown(wait=exc_type is None, timeout=self._drain_timeout)",
    "self.shutdown(wait=True, timeout=self._drain_timeout)",
    "test_in_thread::test_an_exception_in_the_block_cancels_what_runs_and_goes_on",
)
_breaks(
    "threads",
    "an interrupt at the end of the block waits for what runs",
    THREAD,
    "            self._cut_short()\n            raise\n        finally:\n",
    "            raise\n        finally:\n",
    "test_in_thread::test_an_interrupt_at_the_end_of_the_block_cancels_what_it_waits_for",
)
_breaks(
    "threads",
    "what would wait for itself is not refused",
    THREAD,
    "        if current is self._thread:\n",
    "        if False:\n",
    "test_in_thread::test_what_would_wait_for_itself_or_in_the_wrong_thread_is_refused_and_does_not_hang",
)
_breaks(
    "threads",
    "what is for the thread of the loop is not refused in another one",
    INBOX,
    "        return loop is not None and threading.get_ident() != self._thread_id and not loop.is_closed()\n",
    "        return False\n",
    "test_in_thread::test_what_would_wait_for_itself_or_in_the_wrong_thread_is_refused_and_does_not_hang",
)
_breaks(
    "threads",
    "an error of the loop is not told",
    THREAD,
    "                self._failure = error\n",
    "                pass\n",
    "test_in_thread::test_an_error_of_the_loop_itself_is_raised_at_the_end_of_the_block",
)
_breaks(
    "threads",
    "a program that never leaves the block does not end",
    THREAD,
    "call_before_exit_waits(_cut_short_all)\n",
    "",
    "test_in_thread::test_a_block_that_is_never_left_does_not_keep_the_program_from_its_end",
)
_breaks(
    "state",
    "all ends of a task are kept",
    ENTRIES,
    "            del self.recent[0]\n",
    "            pass\n",
    "test_recent_runs::test_five_are_kept_unless_said_otherwise_and_none_where_that_is_wanted",
)


# Triggers: nothing is lost or doubled where clocks are set, nothing drifts, and one trigger serves many tasks

_breaks(
    "triggers",
    "what clocks leave out is due an hour later",
    TIMES,
    "    return _change_between(local.replace(tzinfo=zone, fold=1).astimezone(UTC), instant, zone)\n",
    "    return instant\n",
    "test_cron::test_nothing_is_lost_or_doubled_where_clocks_are_set",
    "test_triggers::test_a_calendar_interval_is_due_when_the_calendar_says",
)
_breaks(
    "triggers",
    "what clocks show twice is due twice",
    CRON,
    "len(simulation.hours) == 24",
    "True",
    "test_cron::test_nothing_is_lost_or_doubled_where_clocks_are_set",
)
_breaks(
    "triggers",
    "what is for every hour stands still while clocks show an hour again",
    CRON,
    "        if repeated is not None:\n",
    "        if False:\n",
    "test_cron::test_what_is_for_every_hour_goes_on_in_real_time",
)
_breaks(
    "triggers",
    "what was shown already is due again while clocks show it again",
    CRON,
    "        local = set_back.end - SECOND\n",
    "        pass\n",
    "test_cron::test_what_was_shown_before_is_not_due_while_clocks_show_it_again",
)
_breaks(
    "triggers",
    "a range of one number goes on to the end",
    CRON,
    'fields = re.sub(r"\\b(\\w+)-\\1/\\d+", r"\\1", text, flags=re.IGNORECASE).split()',
    "fields = text.split()",
    "test_cron::test_due_times_are_those_that_are_reckoned_minute_by_minute",
)
_breaks(
    "triggers",
    "an expression is not due at the time at which its task is added",
    CRON,
    "after = now - SECOND if previous is None and not now.microsecond else previous or now",
    "after = previous or now",
    "test_cron::test_an_expression_is_due_when_it_says",
)
_breaks(
    "triggers",
    "a month later is counted from the month before and not from the start",
    CALENDAR,
    "start = self._start_date or self._day_of(now if previous is None else previous)",
    "start = self._day_of(now if previous is None else previous)",
    "test_triggers::test_a_calendar_interval_is_due_when_the_calendar_says",
)
_breaks(
    "triggers",
    "an interval counts from whatever was due before",
    INTERVAL,
    "following = previous + interval - (previous - start) % interval",
    "following = previous + interval",
    "test_triggers::test_intervals_of_a_combination_keep_their_own_distance",
)
_breaks(
    "triggers",
    "jitter goes over the next due time",
    VALUES,
    "            longest = min(longest, following - planned)\n",
    "            pass\n",
    "test_triggers::test_jitter_puts_off_each_due_time_but_not_over_the_next",
)
_breaks(
    "triggers",
    "jitter goes over the end",
    VALUES,
    "            longest = min(longest, self._latest - planned + _MICROSECOND)\n",
    "            pass\n",
    "test_triggers::test_jitter_goes_over_no_end_and_takes_no_last_run",
)
_breaks(
    "triggers",
    "what is put off is lost where another trigger is due meanwhile",
    VALUES,
    "else self._planned_around(previous, now)",
    "else self._planned_time(previous, now)",
    "test_triggers::test_what_is_put_off_is_not_lost_where_others_are_due_meanwhile",
)
_breaks(
    "triggers",
    "all tasks have the same jitter",
    VALUES,
    "            started._seed = random.getrandbits(64)\n",
    "            pass\n",
    "test_triggers::test_jitter_does_not_add_up_and_is_each_tasks_own",
)
_breaks(
    "triggers",
    "a start changes the trigger that is given",
    VALUES,
    "        started = self._copied()\n",
    "        started = self\n",
    "test_triggers::test_one_trigger_serves_many_tasks_each_from_its_own_start",
)
_breaks(
    "triggers",
    "a scheduler does not start triggers",
    ENTRIES,
    "    started = start_trigger(trigger, now)\n",
    "    started = trigger\n",
    "test_triggers::test_one_trigger_serves_many_tasks_each_from_its_own_start",
)
_breaks(
    "triggers",
    "a trigger is not started where a task is rescheduled to it",
    ENTRIES,
    "self.make_schedule(started, first)",
    "self.make_schedule(trigger, first)",
    "test_triggers::test_a_trigger_to_which_tasks_are_rescheduled_counts_for_each_from_its_own_start",
)
_breaks(
    "triggers",
    "a clock that was set back does not start triggers again",
    ENTRIES,
    "            self.trigger, self.next_fire = start_schedule(self.trigger, now)\n",
    "            self.next_fire = start_schedule(self.trigger, now)[1]\n",
    "test_triggers::test_a_clock_that_is_set_back_starts_a_trigger_anew",
)
_breaks(
    "triggers",
    "any of several is the last of them",
    COMBINATION,
    "return min((each.astimezone(UTC)",
    "return max((each.astimezone(UTC)",
    "test_triggers::test_combinations_are_due_when_any_or_all_of_their_triggers_are",
)
_breaks(
    "triggers",
    "all of several need not be due at the same time",
    COMBINATION,
    "            if latest == before:\n",
    "            if True:\n",
    "test_triggers::test_combinations_are_due_when_any_or_all_of_their_triggers_are",
)


class Verdict(NamedTuple):
    """What the tests said.

    Attributes:
        noticed_by: The first test that failed; None where all passed.
        trouble: Why there is no verdict, or nothing.
    """

    noticed_by: str | None
    trouble: str = ""


def run_tests(project: Path, tests: Sequence[str]) -> Verdict:
    """Run tests of the project in that folder until one fails."""
    names = [re.sub(r"^(\w+)", r"tests/\1.py", test) for test in tests]
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", f"--timeout={_TEST_LIMIT}", *names]
    # First on the path also of the processes that tests start.
    environment = {**os.environ, "PYTHONPATH": str(project), "PYTHONDONTWRITEBYTECODE": "1"}
    # What the run around this one was asked for, coverage for example, is not for this one.
    environment.pop("PYTEST_ADDOPTS", None)
    process = subprocess.Popen(
        command,
        cwd=project,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=_LIMIT)
    except subprocess.TimeoutExpired:
        # A test may have failed, and what it left behind keep the process from its end.
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
    if process.returncode == 0:
        return Verdict(None)
    failed = re.search(r"^(?:FAILED|ERROR) tests/(\w+)\.py::([^\s\[]+)", output, re.MULTILINE)
    if failed is not None:
        return Verdict("::".join(failed.groups()))
    return Verdict(None, f"pytest ended with {process.returncode}: {output.strip()[-500:]}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the mutations and print who noticed each.

    Returns:
        The exit status: 0 where each was noticed.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.rule_mutations", description=__doc__)
    parser.add_argument(
        "names", nargs="*", help="those whose rule, colon and name begin so or hold this; by default all"
    )
    parser.add_argument("--unproven", action="store_true", help="do not run the tests without a mutation first")
    options = parser.parse_args(arguments)
    names: list[str] = options.names
    chosen = [each for each in MUTATIONS if not names or any(wanted_by(name, each) for name in names)]
    if not chosen:
        parser.error("there is no such mutation")
    width = max(len(each.mutation.name) for each in MUTATIONS)
    unnoticed = 0
    with copied_project("asyncz", "tests", "typecheck", "stubs") as project:
        if not options.unproven:
            verdict = run_tests(project, sorted({test for each in chosen for test in each.tests}))
            if verdict != Verdict(None):
                print(f"without a mutation: {verdict.noticed_by} fails {verdict.trouble}")
                return 1
        for each in chosen:
            file = project / each.mutation.file
            original = file.read_text()
            mutate(each.mutation, project, once=True)
            verdict = run_tests(project, each.tests)
            file.write_text(original)
            unnoticed += verdict.noticed_by is None
            print(
                f"{each.rule:11} {each.mutation.name:{width}}  {verdict.noticed_by or verdict.trouble or 'NOBODY'}",
                flush=True,
            )
    print(
        f"{unnoticed} of {len(chosen)} mutations were not noticed" if unnoticed else f"all {len(chosen)} were noticed"
    )
    return 1 if unnoticed else 0


def wanted_by(name: str, mutation: RuleMutation) -> bool:
    """Whether a mutation is among those that a user named: by `rule:`, or by a part of its name."""
    return f"{mutation.rule}:" == name or name in mutation.mutation.name


if __name__ == "__main__":
    sys.exit(main())
