"""Schedulers: when runs are due, and listeners of their outcomes.

The parts of a scheduler, each of which owns its state and imports only parts below it:

    asyncio                               public class: checks of arguments, one call each
    _lifecycle  _chains                   start and shutdown; results for downstream tasks
    _store_part                           exchange with a store: one asyncio task does all the work in turn
    _store_tasks  _stored_schedule        tasks and their records; due times that the store has to accept
    _store_chains  _stored_controller     results for downstream tasks; one stored task
    _store_runs  _store_outcomes          firing, claims and take-over; outcomes on their way to the store
    _store_events  _store_commands        outcomes of all nodes; actions of operators
    _store_lease  _store_cleanup          renewal of the lease; deletion of old runs and tasks
    batches  _batch_runs                  results of a batch, for the reader; its items and runs
    _hot_path                             most frequent runs in few calls
    _task_controller                      one task: schedule, changes, removal
    _task_runs                            base class of the controller: runs and their outcomes
    _parts                                parts that the two use
    _timer  _task_registry  _schedules
    _completion  _retrying  _backlog      outcomes; further attempts; due runs without a slot
    _live_run                             one run
    _executor_registry                    executors by alias
    _runtime                              clock, inbox, dispatcher, counters, lock, status
    _inbox  _timetable  _dispatcher  _counters  _signals  _safe_logging

Threads and locks
=================

The loop's thread owns all state: tasks, live runs, backlogs, schedules, counters. Every other thread only puts calls
into the inbox, under no lock, or makes a change under `Runtime.lock`, see below.

- The loop's thread: timer, schedules, submissions, completions, listeners, log of outcomes, changes, shutdown.
- Any thread, also the loop's: `add_task`, `modify_task` and other methods whose docstrings say so; `finished`, `notify`
  and `released` of `Completion`, which executors call.
- The thread that reads a `ThreadBatch`: takes its items, and puts them into the inbox.
- Worker threads: functions of runs, then `Completion.finished` through the executor.
- With a store: the thread of `LeaseKeeper` renews the lease, and puts its news into the inbox; threads of the store's
  connections make the calls of the session, and set their results on the loop; `CodecThreads` encode and decode values,
  which is user code.
- A `SchedulerThread` is the loop's thread; other threads wait for it with `concurrent.futures`.

A run goes through these steps: the timer takes due tasks from the timetable (loop) → the schedule computes due times
(loop) → `TaskRuns` makes a `LiveRun`, gives it a slot and submits it (loop) → the executor runs the function (any
thread) → `Completion.finished` sets the outcome and puts the run into the inbox (any thread) → the inbox calls the run,
which completes itself: retry or outcome, listeners, log (loop) → the slot is freed, and the backlog refilled (loop) →
tasks that have finished are unregistered together, after the calls of the burst (loop).

Locks, in the order in which they are taken; no two of those after `Runtime.lock` are held together:

1. `SchedulerThread._start_lock` is held during a start, which other starts and stops wait for. `_lock` protects its
   reference to the loop, and the waiting calls. While that is held: `run_coroutine_threadsafe`.
2. `Runtime.lock`, reentrant, protects the registries of tasks and executors, the pending changes and the status. While
   it is held: dictionary operations, checks of limits, `inbox.put`; on the loop's thread also the pending changes.
3. `Dispatcher._lock` protects the subscriptions, and `ClusterEvents._lock` those to all nodes. While they are held:
   nothing. Dropped listeners are released after them, because their `__del__` is user code.
4. The lock of `asyncz._listeners` protects the listeners of tasks, in the same way.
5. Locks of executors, see `asyncz.executors.base`. While they are held: no method of the `Notifier`.
6. Locks of stores: of one transaction in memory, and of one renewal. While they are held: nothing of the scheduler.

The locks of dashboards and metrics protect their own containers, and are taken under none of these. The lock of the
dashboard's index of tasks is held while the states of all tasks are read, so it comes before `Runtime.lock`.

`Lifecycle` needs no lock: a shutdown is one asyncio task that all callers await.

User code never runs under a lock: functions, pickling, triggers, listeners, log handlers, `repr` and `str` of user
objects, constructors of executors, imports of plugins. It is called in one guarded place per kind: functions in
`TaskRun.execute` and `execute_async`, listeners in `Dispatcher._call`, triggers in `TriggerSchedule`, members of
executors in `Registration`, log handlers in `SafeLogger`. Outcomes are emitted before they are logged.

Changes
-------

A change of a task (`modify`, `reschedule`, `pause`) is checked in the calling thread. On the loop's thread it is then
made at once, after the changes that other threads have deferred; in another thread it is deferred: appended under
`Runtime.lock` and made by a call in the inbox. So changes take effect in the order of the calls, and the loop never
waits for user code of another thread. `TaskRegistry.retire_finished` makes the pending changes first, because one
of them may let a finished task continue.

Lock-free steps
---------------

Three steps run without a lock and rely on the GIL, which makes one operation of a built-in container, and a test and an
assignment without a call between them, atomic:

- `Inbox.put` appends a call and then reads `awake`; the loop clears `awake` and then looks at the calls.
- `LiveRun.report` tests and sets the outcome: of two threads that report, exactly one succeeds.
- `RunCounters.snapshot` reads counts while the loop changes them; it reads the submissions last.

A free-threaded build needs atomic operations or a lock for `LiveRun.report`, sequentially consistent access to
`Inbox.awake`, and a lock or a copy for reading `RunCounters` and the sizes of a backlog in other threads. Containers of
the standard library are safe there; the order of two operations on different objects is not guaranteed.
"""

from asyncz.schedulers.asyncio import AsyncIOScheduler as AsyncIOScheduler

__all__ = ["AsyncIOScheduler"]
