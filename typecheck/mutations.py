"""Proves that the matrix bites: `python -m typecheck.mutations [--checkers mypy,pyright] [--only task] [--sample 4]`.

Each mutation makes one annotation of the library wrong, in a copy. A user's checker has to notice: one of the lines
of `accept/`, `reject/` or `conformance.py` must be judged otherwise than before. What a checker would say of the
library itself does not count. A mutation that nobody notices shows what these files do not cover yet.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from typecheck.runner import CHECKERS, PROJECT, check


class Mutation(NamedTuple):
    """One annotation made wrong.

    Attributes:
        name: What is wrong then.
        file: The file of the library, from the project's folder.
        search: The text that is replaced, wherever it stands in the file.
        replacement: What it becomes.
    """

    name: str
    file: str
    search: str
    replacement: str


class NothingToMutateError(Exception):
    """The text that a mutation replaces is not in its file any more, or is there too often."""


TASKS = "asyncz/tasks.py"
EVENTS = "asyncz/events.py"
PROTOCOLS = "asyncz/protocols.py"
SCHEDULER = "asyncz/schedulers/asyncio.py"
THREAD = "asyncz/schedulers/thread.py"
BASE = "asyncz/executors/base.py"
THREADS = "asyncz/executors/thread_pool.py"
PROCESSES = "asyncz/executors/process_pool/_executor.py"
FUTURES = "asyncz/executors/futures.py"
DASK = "asyncz/executors/dask/_executor.py"
ASGI = "asyncz/schedulers/asgi.py"
CONFIG = "asyncz/config/options.py"
MODELS = "asyncz/config/models.py"
STATES = "asyncz/states.py"
STATUSES = "asyncz/_statuses.py"
EXCEPTIONS = "asyncz/exceptions.py"
PLUGINS = "asyncz/plugins.py"
CRON = "asyncz/triggers/cron.py"
CALENDAR = "asyncz/triggers/calendar.py"
COMBINATION = "asyncz/triggers/combination.py"
TRIGGER_BASE = "asyncz/triggers/base.py"

_DECORATOR = """\
    @overload
    def __call__(
        self, fn: Callable[P, Coroutine[object, Never, ResultT]], /
    ) -> TaskFunction[P, Coroutine[object, Never, ResultT], ResultT]: ...
    @overload
    def __call__(self, fn: Callable[P, ResultT], /) -> TaskFunction[P, ResultT, ResultT]: ...
"""
_STATE = '''\
    @property
    def state(self) -> ExecutorState:
        """A snapshot of what it does. May be read from any thread."""
        ...
'''

MUTATIONS: list[Mutation] = [
    # Results that lose their type
    Mutation(
        "Task.run gives any handle",
        TASKS,
        "def run(self) -> RunHandle[ResultT_co]:",
        "def run(self) -> RunHandle[object]:",
    ),
    Mutation(
        "Task.then gives anything",
        TASKS,
        "        paused: bool = False,\n    ) -> Task[NextT]: ...",
        "        paused: bool = False,\n    ) -> Task[object]: ...",
    ),
    Mutation(
        "Task.then takes functions of anything only",
        TASKS,
        "        fn: Callable[[ResultT_co], NextT],\n",
        "        fn: Callable[[object], NextT],\n",
    ),
    Mutation(
        "Task.then takes coroutine functions of anything only",
        TASKS,
        "        fn: Callable[[ResultT_co], Awaitable[NextT]],\n",
        "        fn: Callable[[object], Awaitable[NextT]],\n",
    ),
    Mutation(
        "Task.then takes an executor of anything",
        TASKS,
        "        executor: Executor[NextT],\n",
        "        executor: object,\n",
    ),
    Mutation(
        "SchedulerThread.run gives anything",
        THREAD,
        "def run(self, task: Task[ResultT], *, timeout: float | None = None) -> ResultT:",
        "def run(self, task: Task[ResultT], *, timeout: float | None = None) -> object:",
    ),
    Mutation(
        "SchedulerThread.result gives anything",
        THREAD,
        "def result(self, task: Task[ResultT], *, timeout: float | None = None) -> ResultT:",
        "def result(self, task: Task[ResultT], *, timeout: float | None = None) -> object:",
    ),
    Mutation(
        "current_run gives anything",
        "asyncz/running.py",
        "def current_run() -> CurrentRun:",
        "def current_run() -> object:",
    ),
    Mutation(
        "what recent runs are is not known",
        STATES,
        "    recent_runs: tuple[RunSummary, ...] = ()\n",
        "    recent_runs: tuple[object, ...] = ()\n",
    ),
    Mutation(
        "Task.result gives anything",
        TASKS,
        "async def result(self) -> ResultT_co:",
        "async def result(self) -> object:",
    ),
    Mutation(
        "awaiting a handle gives anything",
        TASKS,
        "Generator[object, None, ResultT_co]",
        "Generator[object, None, object]",
    ),
    Mutation(
        "RunHandle.notification of anything",
        TASKS,
        "async def notification(self) -> TaskNotification[ResultT_co]:",
        "async def notification(self) -> TaskNotification[object]:",
    ),
    Mutation(
        "Task.notifications of anything",
        TASKS,
        "def notifications(self) -> NotificationStream[ResultT_co]:",
        "def notifications(self) -> NotificationStream[object]:",
    ),
    Mutation(
        "a stream gives anything",
        TASKS,
        "async def __anext__(self) -> TaskNotification[ResultT_co]:",
        "async def __anext__(self) -> TaskNotification[object]:",
    ),
    Mutation(
        "Task.last_notification of anything",
        TASKS,
        "def last_notification(self) -> TaskNotification[ResultT_co] | None:",
        "def last_notification(self) -> TaskNotification[object] | None:",
    ),
    Mutation("Task.state is anything", TASKS, "def state(self) -> TaskState:", "def state(self) -> object:"),
    Mutation(
        "TaskRun.execute ends in anything",
        TASKS,
        ') -> TaskNotification[ResultT]:\n        """Call its function here and now',
        ') -> TaskNotification[object]:\n        """Call its function here and now',
    ),
    Mutation(
        "TaskRun.execute_async ends in anything",
        TASKS,
        "async def execute_async(self) -> TaskNotification[ResultT]:",
        "async def execute_async(self) -> TaskNotification[object]:",
    ),
    Mutation("TaskRun.executed takes anything", TASKS, "self, result: ResultT, /", "self, result: object, /"),
    Mutation("TaskRun.failed takes anything", TASKS, "exception: BaseException, /,", "exception: object, /,"),
    Mutation("add_task gives any task", SCHEDULER, ") -> Task[ResultT]: ...", ") -> Task[object]: ..."),
    Mutation(
        "a decorated function schedules any task",
        TASKS,
        "**kwargs: P.kwargs) -> Task[ResultT_co]:",
        "**kwargs: P.kwargs) -> Task[object]:",
    ),
    Mutation("get_task gives anything", SCHEDULER, "task_id: str) -> Task[object]:", "task_id: str) -> object:"),
    Mutation(
        "entering a scheduler gives anything",
        SCHEDULER,
        "async def __aenter__(self) -> Self:",
        "async def __aenter__(self) -> object:",
    ),
    Mutation(
        "create_executor gives anything",
        PLUGINS,
        "**options: object) -> UniversalExecutor:",
        "**options: object) -> object:",
    ),
    Mutation(
        "RunDetails.scheduled_at is anything",
        EVENTS,
        "def scheduled_at(self) -> datetime | None:",
        "def scheduled_at(self) -> object:",
    ),
    # Parameters that take too much
    Mutation("add_task takes any arguments", SCHEDULER, "*args: Unpack[Ts],", "*args: object,"),
    Mutation(
        "add_task takes any maximum", SCHEDULER, "max_instances: int | Unset = UNSET,", "max_instances: object = UNSET,"
    ),
    Mutation(
        "add_task takes any timeout", SCHEDULER, "timeout: float | Unset | None = UNSET,", "timeout: object = UNSET,"
    ),
    Mutation(
        "add_task takes any overlap policy",
        SCHEDULER,
        "overlap: OverlapPolicy | Unset | None = UNSET,",
        "overlap: str | Unset | None = UNSET,",
    ),
    Mutation(
        "add_task takes no overlap policy of the default kind",
        SCHEDULER,
        "overlap: OverlapPolicy | Unset | None = UNSET,",
        "overlap: OverlapPolicy | Unset = UNSET,",
    ),
    Mutation(
        "add_task takes anything for replace_existing",
        SCHEDULER,
        "replace_existing: bool = False,",
        "replace_existing: object = False,",
    ),
    Mutation("a scheduler takes any defaults", SCHEDULER, "defaults: TaskLimits =", "defaults: object ="),
    Mutation(
        "a task is moved to any executor",
        SCHEDULER,
        "executor: PoolAlias | ClusterAlias | LoopAlias | str | Unset = UNSET,",
        "executor: object = UNSET,",
    ),
    Mutation(
        "a task is moved to executors themselves",
        TASKS,
        "executor: str | Unset = UNSET,",
        "executor: object = UNSET,",
    ),
    Mutation(
        "a task is rescheduled by name",
        SCHEDULER,
        "task: Task[object] | str, trigger: Trigger | None) -> None:",
        "task: Task[object] | str, trigger: Trigger | str | None) -> None:",
    ),
    Mutation(
        "a task reschedules itself by name",
        TASKS,
        "def reschedule(self, trigger: Trigger | None) -> None:",
        "def reschedule(self, trigger: Trigger | str | None) -> None:",
    ),
    Mutation(
        "anything is submitted",
        SCHEDULER,
        "def submit_task(self, task: Task[object] | str) -> None:",
        "def submit_task(self, task: object) -> None:",
    ),
    Mutation(
        "a task changes to any limit",
        TASKS,
        "        timeout: float | Unset | None = UNSET,\n",
        "        timeout: object = UNSET,\n",
    ),
    Mutation(
        "limits change to anything",
        TASKS,
        '    ) -> TaskLimits:\n        """The same limits',
        '    ) -> object:\n        """The same limits',
    ),
    Mutation(
        "a policy is any text",
        TASKS,
        'OverlapPolicy: TypeAlias = Literal["skip", "queue_one", "queue_all", "cancel_running"]',
        "OverlapPolicy: TypeAlias = str",
    ),
    Mutation(
        "the policy of limits is any text", TASKS, "def overlap(self) -> OverlapPolicy:", "def overlap(self) -> str:"
    ),
    Mutation(
        "limits can be set",
        TASKS,
        "@attrs.frozen(kw_only=True)\nclass TaskLimits",
        "@attrs.define(kw_only=True)\nclass TaskLimits",
    ),
    Mutation(
        "an option is not given by its class", TASKS, "UNSET: Final = Unset.UNSET", "UNSET: Final[object] = Unset.UNSET"
    ),
    Mutation("a change has other fields", EVENTS, "    fields: tuple[str, ...] =", "    fields: tuple[object, ...] ="),
    Mutation(
        "add_task takes triggers by name",
        SCHEDULER,
        "trigger: Trigger | None = NOW,",
        "trigger: Trigger | str | None = NOW,",
    ),
    Mutation(
        "add_task takes executors of any type",
        SCHEDULER,
        "        executor: Executor[ResultT],\n",
        "        executor: Executor[bytes],\n",
    ),
    Mutation(
        "add_task takes no restricted executor",
        SCHEDULER,
        "        executor: Executor[ResultT],\n",
        "        executor: UniversalExecutor,\n",
    ),
    Mutation(
        "add_task awaits coroutines only",
        SCHEDULER,
        "fn: Callable[[Unpack[Ts]], Awaitable[ResultT]],",
        "fn: Callable[[Unpack[Ts]], Coroutine[object, Never, ResultT]],",
    ),
    Mutation(
        "add_executor takes restricted executors",
        SCHEDULER,
        "def add_executor(self, executor: UniversalExecutor, /, alias: str) -> None: ...",
        "def add_executor(self, executor: Executor[bytes], /, alias: str) -> None: ...",
    ),
    Mutation(
        "add_executor takes any options",
        SCHEDULER,
        "**options: Unpack[PoolOptions]) -> None: ...",
        "**options: object) -> None: ...",
    ),
    Mutation(
        "a scheduler takes restricted executors",
        SCHEDULER,
        "executors: Mapping[str, UniversalExecutor | PoolAlias",
        "executors: Mapping[str, Executor[bytes] | PoolAlias",
    ),
    Mutation(
        "on_done takes any listener",
        TASKS,
        "self, listener: Callable[[TaskNotification[ResultT_co]], object], /",
        "self, listener: Callable[..., object], /",
    ),
    Mutation(
        "on_executed takes any listener",
        TASKS,
        "self, listener: Callable[[TaskExecuted[ResultT_co]], object], /",
        "self, listener: Callable[..., object], /",
    ),
    Mutation(
        "on_executed takes a listener for errors",
        TASKS,
        "self, listener: Callable[[TaskExecuted[ResultT_co]], object], /",
        "self, listener: Callable[[TaskError], object], /",
    ),
    Mutation(
        "on_error takes any listener",
        TASKS,
        "def on_error(self, listener: Callable[[TaskError], object], /)",
        "def on_error(self, listener: Callable[..., object], /)",
    ),
    Mutation(
        "on_missed takes any listener",
        TASKS,
        "def on_missed(self, listener: Callable[[TaskMissed], object], /)",
        "def on_missed(self, listener: Callable[..., object], /)",
    ),
    Mutation(
        "on_cancelled takes any listener",
        TASKS,
        "def on_cancelled(self, listener: Callable[[TaskCancelled], object], /)",
        "def on_cancelled(self, listener: Callable[..., object], /)",
    ),
    Mutation(
        "on_executed gives a listener of anything",
        TASKS,
        ") -> Callable[[TaskExecuted[ResultT_co]], object]:",
        ") -> Callable[..., object]:",
    ),
    Mutation(
        "subscribe takes any listener of results",
        SCHEDULER,
        "listener: Callable[[TaskExecuted[object]], object], /",
        "listener: Callable[..., object], /",
    ),
    Mutation(
        "subscribe takes any other listener",
        SCHEDULER,
        "listener: Callable[[PlainEventT], object], /) -> Subscription: ...",
        "listener: Callable[..., object], /) -> Subscription: ...",
    ),
    Mutation("subscribe does not know an event", SCHEDULER, "    events.TaskCancelled,\n", ""),
    Mutation("threads take any number of workers", THREADS, "max_workers: int = 10,", "max_workers: int | str = 10,"),
    Mutation(
        "processes take any queue", PROCESSES, "max_queue: int | None = None,", "max_queue: int | str | None = None,"
    ),
    Mutation("anything is a pool", FUTURES, "pool: Executor | MakePool,", "pool: object,"),
    Mutation("anything pickles", FUTURES, "dumps: Callable[[object], bytes] =", "dumps: object ="),
    Mutation("anything is a client of Dask", DASK, "client: _client_protocol.DaskClient | None", "client: object"),
    Mutation("any text is a number of retries", DASK, "retries: int = 0,", "retries: int | str = 0,"),
    Mutation(
        "a cluster has no options",
        SCHEDULER,
        "executor: ClusterAlias, /, alias: str, **options: Unpack[DaskOptions]",
        "executor: ClusterAlias, /, alias: str",
    ),
    Mutation(
        "threads take the options of processes",
        THREADS,
        "pool_kwargs: ThreadPoolKwargs | None = None,",
        "pool_kwargs: PoolKwargs | None = None,",
    ),
    Mutation("options of any type", CONFIG, "    max_workers: int\n", "    max_workers: object\n"),
    Mutation("an interval of anything", "asyncz/triggers/interval.py", "minutes: float = 0,", "minutes: object = 0,"),
    Mutation(
        "a date of anything", "asyncz/triggers/date.py", "run_at: datetime | None = None,", "run_at: object = None,"
    ),
    Mutation("a cron expression of anything", CRON, "expression: str,", "expression: object,"),
    Mutation(
        "a cron trigger by the clocks of anything", CRON, 'timezone: str | tzinfo = "UTC",', "timezone: object = UTC,"
    ),
    Mutation(
        "a cron trigger starts at anything", CRON, "start_at: datetime | None = None,", "start_at: object = None,"
    ),
    Mutation("months of anything", CALENDAR, "months: int = 0,", "months: object = 0,"),
    Mutation(
        "a calendar interval starts at anything",
        CALENDAR,
        "start_date: date | None = None,",
        "start_date: object = None,",
    ),
    Mutation(
        "combinations of anything", COMBINATION, "triggers: Iterable[Trigger], *,", "triggers: Iterable[object], *,"
    ),
    Mutation("jitter of anything", COMBINATION, "jitter: float = 0.0", "jitter: object = 0.0"),
    Mutation("any with anything", TRIGGER_BASE, "def __or__(self, other: Trigger)", "def __or__(self, other: object)"),
    Mutation(
        "all with anything", TRIGGER_BASE, "def __and__(self, other: Trigger)", "def __and__(self, other: object)"
    ),
    Mutation("an error of any fields", EXCEPTIONS, "task_id: str, timeout: float)", "task_id: str, timeout: object)"),
    Mutation("a lost worker of any exit", EXCEPTIONS, "exit_code: int | None = None,", "exit_code: object = None,"),
    # Parameters that are forgotten
    Mutation(
        "a decorated function takes any arguments",
        TASKS,
        "def __call__(self, *args: P.args, **kwargs: P.kwargs) -> CallT:",
        "def __call__(self, *args: object, **kwargs: object) -> CallT:",
    ),
    Mutation(
        "schedule takes any arguments",
        TASKS,
        "def schedule(self, *args: P.args, **kwargs: P.kwargs)",
        "def schedule(self, *args: object, **kwargs: object)",
    ),
    Mutation(
        "the decorator forgets the parameters",
        SCHEDULER,
        "-> TaskFunction[P, ResultT, ResultT]: ...",
        "-> TaskFunction[..., ResultT, ResultT]: ...",
    ),
    Mutation(
        "the decorator forgets those of coroutine functions",
        SCHEDULER,
        "-> TaskFunction[P, Coroutine[object, Never, ResultT], ResultT]: ...",
        "-> TaskFunction[..., Coroutine[object, Never, ResultT], ResultT]: ...",
    ),
    Mutation(
        "the decorator does not know coroutine functions",
        SCHEDULER,
        _DECORATOR,
        "    def __call__(self, fn: Callable[P, ResultT], /) -> TaskFunction[P, ResultT, ResultT]: ...\n",
    ),
    # Variance
    Mutation(
        "a run is covariant",
        TASKS,
        'ResultT = TypeVar("ResultT")',
        'ResultT = TypeVar("ResultT", covariant=True)',
    ),
    Mutation(
        "a task is invariant",
        TASKS,
        'ResultT_co = TypeVar("ResultT_co", covariant=True)',
        'ResultT_co = TypeVar("ResultT_co")',
    ),
    Mutation(
        "an event is invariant",
        EVENTS,
        'ResultT_co = TypeVar("ResultT_co", covariant=True)',
        'ResultT_co = TypeVar("ResultT_co")',
    ),
    Mutation(
        "a listener is invariant",
        PROTOCOLS,
        'TypeVar("EventT_contra", contravariant=True)',
        'TypeVar("EventT_contra")',
    ),
    # Protocols that ask for more or for less
    Mutation(
        "shutdown has another parameter",
        PROTOCOLS,
        "async def shutdown(self, wait: bool = True) -> None:",
        "async def shutdown(self, wait: bool = True, timeout: float = 0) -> None:",
    ),
    Mutation(
        "shutdown is synchronous",
        PROTOCOLS,
        "async def shutdown(self, wait: bool = True) -> None:",
        "def shutdown(self, wait: bool = True) -> None:",
    ),
    Mutation(
        "start has another parameter",
        PROTOCOLS,
        "async def start(self, scheduler: Notifier, alias: str, /) -> None:",
        "async def start(self, scheduler: Notifier, alias: str, workers: int, /) -> None:",
    ),
    Mutation(
        "start takes names of parameters",
        PROTOCOLS,
        "async def start(self, scheduler: Notifier, alias: str, /) -> None:",
        "async def start(self, scheduler: Notifier, alias: str) -> None:",
    ),
    Mutation("a state must be writable", PROTOCOLS, _STATE, "    state: ExecutorState\n"),
    Mutation("a state is anything", PROTOCOLS, "def state(self) -> ExecutorState:", "def state(self) -> object:"),
    Mutation(
        "executors submit runs of anything",
        PROTOCOLS,
        'run: TaskRun[ResultT], /) -> None:\n        """Take a run.',
        'run: TaskRun[object], /) -> None:\n        """Take a run.',
    ),
    Mutation(
        "submit need not be a function that ends",
        PROTOCOLS,
        'run: TaskRun[ResultT], /) -> None:\n        """Take a run.',
        'run: TaskRun[ResultT], /) -> object:\n        """Take a run.',
    ),
    Mutation(
        "a notifier takes endings of other runs",
        PROTOCOLS,
        "notification: TaskNotification[ResultT], /) -> None:",
        "notification: TaskNotification[object], /) -> None:",
    ),
    Mutation(
        "cancelling tells nothing",
        PROTOCOLS,
        "def cancel(self, run: TaskRun[ResultT], /) -> bool:",
        "def cancel(self, run: TaskRun[ResultT], /) -> object:",
    ),
    Mutation(
        "a trigger gives anything", TASKS, "now: datetime, /) -> datetime | None:", "now: datetime, /) -> object:"
    ),
    Mutation("a start gives anything", PROTOCOLS, "now: datetime, /) -> Trigger:", "now: datetime, /) -> object:"),
    Mutation(
        "a started trigger is any",
        "asyncz/triggers/_values.py",
        "now: datetime, /) -> Self:",
        "now: datetime, /) -> BaseTrigger:",
    ),
    Mutation("all triggers together are any of them", TRIGGER_BASE, "-> AndTrigger:", "-> AndTrigger | OrTrigger:"),
    Mutation(
        "a trigger always knows the time before",
        TASKS,
        "previous: datetime | None, now",
        "previous: datetime, now",
    ),
    Mutation(
        "a clock gives no timers",
        PROTOCOLS,
        "callback: Callable[[], object], /) -> Timer:",
        "callback: Callable[[], object], /) -> object:",
    ),
    Mutation("a clock tells anything", PROTOCOLS, "def now(self) -> float:", "def now(self) -> object:"),
    # Executors that no longer are what they claim
    Mutation(
        "BaseExecutor ends runs with anything",
        BASE,
        "def finish(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:",
        "def finish(self, run: TaskRun[ResultT], notification: TaskNotification[object], /) -> None:",
    ),
    Mutation(
        "BaseExecutor gives up with anything",
        BASE,
        "def abandon(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> bool:",
        "def abandon(self, run: TaskRun[ResultT], notification: TaskNotification[object], /) -> bool:",
    ),
    Mutation(
        "BaseExecutor is restricted",
        BASE,
        "def submit(self, run: TaskRun[ResultT], /) -> None:",
        "def submit(self, run: TaskRun[bytes], /) -> None:",
    ),
    Mutation(
        "BaseExecutor leaves submit_run restricted",
        BASE,
        "def submit_run(self, run: TaskRun[ResultT], /) -> None:",
        "def submit_run(self, run: TaskRun[bytes], /) -> None:",
    ),
    Mutation(
        "BaseExecutor cancels nothing",
        BASE,
        "def cancel(self, run: TaskRun[ResultT], /) -> bool:",
        "def cancel(self, run: TaskRun[ResultT], /) -> object:",
    ),
    Mutation(
        "pools do not shut down",
        "asyncz/executors/_pool.py",
        "async def shutdown(self, wait: bool = True) -> None:",
        "async def shutdown(self) -> None:",
    ),
    Mutation(
        "threads have another state",
        THREADS,
        "def state(self) -> ExecutorState:",
        "def state(self) -> object:",
    ),
    Mutation(
        "processes have another state",
        PROCESSES,
        "def state(self) -> ExecutorState:",
        "def state(self) -> object:",
    ),
    Mutation(
        "a scheduler takes endings of other runs",
        SCHEDULER,
        "def notify(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:",
        "def notify(self, run: TaskRun[ResultT], notification: TaskNotification[object], /) -> None:",
    ),
    # Values that no longer are exact
    Mutation(
        "results can be changed",
        EVENTS,
        "        return self._result\n",
        "        return self._result\n\n    @result.setter\n    def result(self, _: object) -> None: ...\n",
    ),
    Mutation("events can be subclassed", EVENTS, "@final\n", ""),
    Mutation("an error of anything", EVENTS, "    exception: BaseException\n", "    exception: object\n"),
    Mutation("no run is cancelled", EVENTS, "TaskError, TaskMissed, TaskCancelled]", "TaskError, TaskMissed]"),
    Mutation("an event is forgotten", EVENTS, "    ExecutorAdded,\n    ExecutorRemoved,\n]", "    ExecutorAdded,\n]"),
    Mutation(
        "states can be changed",
        STATES,
        "class ExecutorState(_Snapshot, frozen=True):",
        "class ExecutorState(BaseModel):",
    ),
    Mutation("states hold lists", STATES, "instances: tuple[InstanceCount, ...]", "instances: list[InstanceCount]"),
    Mutation("counts may be texts", STATES, "    running: NonNegativeInt = 0\n", "    running: int | str = 0\n"),
    Mutation(
        "a status is any text",
        STATUSES,
        'ExecutorStatus: TypeAlias = Literal["created", "starting", "running", "draining", "stopped", "broken"]',
        "ExecutorStatus: TypeAlias = str",
    ),
    Mutation(
        "a scheduler's status is any text",
        STATUSES,
        'SchedulerStatus: TypeAlias = Literal["created", "running", "paused", "draining", "stopped"]',
        "SchedulerStatus: TypeAlias = str",
    ),
    Mutation("an alias of a pool is any text", CONFIG, 'Literal["threadpool", "pool", "processpool"]', "str"),
    Mutation("an alias of the others is any text", CONFIG, 'Literal["asyncio", "default", "debug"]', "str"),
    Mutation(
        "an alias of a trigger is any text",
        CONFIG,
        "TriggerAlias: TypeAlias = Literal[",
        "TriggerAlias: TypeAlias = str  # [",
    ),
    # Names that are no longer to be had
    Mutation(
        "a name is not re-exported",
        "asyncz/__init__.py",
        "        RunHandle as RunHandle,\n",
        "        RunHandle as _,\n",
    ),
    Mutation(
        "a name is not re-exported by its subpackage",
        "asyncz/executors/__init__.py",
        "    from asyncz.executors.debug import DebugExecutor as DebugExecutor\n",
        "",
    ),
    # Configuration and ASGI
    Mutation(
        "an ASGI app loses its types",
        SCHEDULER,
        ") -> AppWithScheduler[ScopeT, ReceiveT, SendT]:",
        ") -> AppWithScheduler[Mapping[str, object], ReceiveT, SendT]:",
    ),
    Mutation(
        "an ASGI app takes its arguments in another order",
        ASGI,
        "async def __call__(self, scope: ScopeT, receive: ReceiveT, send: SendT, /) -> None:",
        "async def __call__(self, scope: ScopeT, send: SendT, receive: ReceiveT, /) -> None:",
    ),
    Mutation(
        "a lifespan is any object",
        SCHEDULER,
        ") -> AbstractAsyncContextManager[None]:",
        ") -> object:",
    ),
    Mutation(
        "a lifespan takes no app",
        SCHEDULER,
        """\
        app: object = None,  # noqa: ARG002  # frameworks hand it over
        /,
        *,
""",
        """\
        *,
""",
    ),
    Mutation(
        "from_config gives any scheduler",
        SCHEDULER,
        "def from_config(cls, source: ConfigSource, *, clock: Clock | None = None) -> Self:",
        "def from_config(cls, source: ConfigSource, *, clock: Clock | None = None) -> object:",
    ),
    Mutation(
        "a configuration of anything",
        MODELS,
        "ConfigSource: TypeAlias = SchedulerConfig | Mapping[str, object] | str | os.PathLike[str]",
        "ConfigSource: TypeAlias = object",
    ),
    Mutation(
        "tasks of anything", MODELS, "    tasks: Mapping[str, TaskConfig] = {}", "    tasks: Mapping[str, object] = {}"
    ),
    Mutation(
        "configured tasks can be changed",
        MODELS,
        "    tasks: Mapping[str, TaskConfig] = {}",
        "    tasks: dict[str, TaskConfig] = {}",
    ),
    Mutation("any kind of a pool", MODELS, '    type: Literal["threadpool", "pool"]', "    type: str"),
    Mutation(
        "any way to start a process",
        MODELS,
        '    mp_context: Literal["fork", "forkserver", "spawn"] | None = None',
        "    mp_context: str | None = None",
    ),
    Mutation(
        "a configured call of anything",
        MODELS,
        "    def load_call(self) -> Callable[[], object]:",
        "    def load_call(self) -> object:",
    ),
    Mutation(
        "problems that are texts",
        EXCEPTIONS,
        "    def __init__(self, problems: tuple[ConfigurationProblem, ...]) -> None:",
        "    def __init__(self, problems: tuple[str, ...]) -> None:",
    ),
]


def mutate(mutation: Mutation, project: Path, *, once: bool = False) -> None:
    """Make one thing wrong, in the project in that folder; with `once`, in one place.

    Raises:
        NothingToMutateError: Its text is not there any more; with `once`, or it is there several times.
    """
    file = project / mutation.file
    source = file.read_text()
    found = source.count(mutation.search)
    if not found:
        raise NothingToMutateError(f"{mutation.name}: {mutation.search!r} is not in {mutation.file} any more")
    if once and found > 1:
        raise NothingToMutateError(f"{mutation.name}: {mutation.search!r} is in {mutation.file} {found} times")
    file.write_text(source.replace(mutation.search, mutation.replacement))


@contextmanager
def copied_project(*folders: str) -> Generator[Path]:
    """A copy of those folders of the project and of its configuration, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder).resolve()
        for name in folders:
            shutil.copytree(PROJECT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(PROJECT / "pyproject.toml", copy)
        yield copy


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the mutations and print who noticed each.

    Returns:
        The exit status: 0 where each was noticed by a checker.
    """
    parser = argparse.ArgumentParser(prog="python -m typecheck.mutations", description=__doc__)
    parser.add_argument("--checkers", default=",".join(CHECKERS), help="those to run; by default all")
    parser.add_argument("--only", default="", help="those whose name holds this text; by default all")
    parser.add_argument("--sample", type=int, default=len(MUTATIONS), help="so many of them, evenly spread")
    options = parser.parse_args(arguments)
    names: list[str] = options.checkers.split(",")
    chosen = [mutation for mutation in MUTATIONS if options.only in mutation.name]
    sample: int = min(options.sample, len(chosen))
    if sample < 1:
        parser.error("there is no such mutation")
    checkers = {name: CHECKERS[name] for name in names}
    width = max(len(mutation.name) for mutation in MUTATIONS)
    failed = 0
    with copied_project("asyncz", "typecheck", "stubs") as project:
        if not all(report.agrees for report in check(project, checkers).values()):
            print("python -m typecheck fails already without a mutation")
            return 1
        print(" " * width, *(f"{name:>13}" for name in names))
        for mutation in chosen[:: len(chosen) // sample][:sample]:
            original = (project / mutation.file).read_text()
            mutate(mutation, project)
            reports = check(project, checkers)
            (project / mutation.file).write_text(original)
            cells = [
                "no answer" if report.failure else f"{len(report.wrong)} lines" if report.wrong else "-"
                for report in reports.values()
            ]
            noticed = any(report.wrong for report in reports.values())
            broken = [report.failure for report in reports.values() if report.failure]
            failed += bool(broken) or not noticed
            print(f"{mutation.name:{width}}", *(f"{cell:>13}" for cell in cells), "" if noticed else "NOBODY", *broken)
            sys.stdout.flush()
    print(f"{failed} mutations were not noticed" if failed else "each was noticed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
