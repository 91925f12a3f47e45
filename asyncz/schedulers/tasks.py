"""Methods of a scheduler that add, find and change tasks."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Coroutine, Iterable
from datetime import datetime
from functools import partial
from typing import Never, get_args, overload

from typing_extensions import ParamSpec, TypeVar, TypeVarTuple, Unpack

from asyncz._aliases import ClusterAlias, ExistingTaskPolicy, LoopAlias, OtherAlias, PoolAlias
from asyncz._checks import check_callable, check_choice, check_count, check_flag, check_text
from asyncz._signatures import check_function, warn_of_trigger
from asyncz.calls import NOW, BoundCall, FunctionTasks, TaskDecorator, bind, reject_misplaced
from asyncz.clock import utc
from asyncz.exceptions import InvalidInputError
from asyncz.limits import OverlapPolicy, TaskLimits, TaskOptions
from asyncz.plugins import check_trigger
from asyncz.protocols import Executor, Trigger, UniversalExecutor
from asyncz.retries import Retry
from asyncz.schedulers._hot_path import HotController
from asyncz.schedulers._lifecycle import Lifecycle
from asyncz.schedulers._parts import SchedulerParts
from asyncz.schedulers._schedules import TriggerSchedule
from asyncz.schedulers.batches import MAX_INSTANCES, Batch, BatchOptions, BatchPlanner, batch_of, check_items
from asyncz.specs import TaskSpec
from asyncz.tasks import AwaitedT, Task

P = ParamSpec("P")
Ts = TypeVarTuple("Ts")
CallT = TypeVar("CallT")
ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")
SendT = TypeVar("SendT")
YieldT = TypeVar("YieldT")


class TaskScheduler:
    """The methods of `AsyncIOScheduler` that add, find and change tasks; thread-safe.

    Args:
        parts: Parts of the scheduler.
        defaults: Limits of tasks that set no others.
        lifecycle: Start and shutdown of the scheduler, which logs decorated functions without a task.
    """

    def __init__(self, parts: SchedulerParts, defaults: TaskLimits, lifecycle: Lifecycle) -> None:
        self._parts = parts
        self._defaults = defaults
        self._lifecycle = lifecycle
        self._batches = BatchPlanner(parts, defaults)

    # Aliases and executors have separate overloads: editors complete aliases only in a parameter whose type has no
    # type variable.
    # pyrefly: ignore[invalid-type-var]  # the rule is for classes: no argument list of types is ambiguous here
    @overload
    def add_task(
        self,
        fn: Callable[[Unpack[Ts]], Awaitable[AwaitedT]],
        /,
        *args: Unpack[Ts],
        trigger: Trigger | None = NOW,
        executor: UniversalExecutor | PoolAlias | ClusterAlias | LoopAlias | OtherAlias | None = None,
        id: str | None = None,
        max_instances: int = ...,
        misfire_grace_time: float | None = ...,
        coalesce: bool = ...,
        timeout: float | None = ...,
        retry: Retry | None = ...,
        overlap: OverlapPolicy | None = ...,
        paused: bool = False,
        replace_existing: bool = False,
        existing: ExistingTaskPolicy | None = None,
    ) -> Task[AwaitedT]: ...
    @overload
    def add_task(
        self,
        fn: Callable[[Unpack[Ts]], ResultT],
        /,
        *args: Unpack[Ts],
        trigger: Trigger | None = NOW,
        executor: UniversalExecutor | PoolAlias | ClusterAlias | LoopAlias | OtherAlias | None = None,
        id: str | None = None,
        max_instances: int = ...,
        misfire_grace_time: float | None = ...,
        coalesce: bool = ...,
        timeout: float | None = ...,
        retry: Retry | None = ...,
        overlap: OverlapPolicy | None = ...,
        paused: bool = False,
        replace_existing: bool = False,
        existing: ExistingTaskPolicy | None = None,
    ) -> Task[ResultT]: ...
    # pyrefly: ignore[invalid-type-var]  # the rule is for classes: no argument list of types is ambiguous here
    @overload
    def add_task(
        self,
        fn: Callable[[Unpack[Ts]], Awaitable[AwaitedT]],
        /,
        *args: Unpack[Ts],
        trigger: Trigger | None = NOW,
        executor: Executor[AwaitedT],
        id: str | None = None,
        max_instances: int = ...,
        misfire_grace_time: float | None = ...,
        coalesce: bool = ...,
        timeout: float | None = ...,
        retry: Retry | None = ...,
        overlap: OverlapPolicy | None = ...,
        paused: bool = False,
        replace_existing: bool = False,
        existing: ExistingTaskPolicy | None = None,
    ) -> Task[AwaitedT]: ...
    @overload
    def add_task(
        self,
        fn: Callable[[Unpack[Ts]], ResultT],
        /,
        *args: Unpack[Ts],
        trigger: Trigger | None = NOW,
        executor: Executor[ResultT],
        id: str | None = None,
        max_instances: int = ...,
        misfire_grace_time: float | None = ...,
        coalesce: bool = ...,
        timeout: float | None = ...,
        retry: Retry | None = ...,
        overlap: OverlapPolicy | None = ...,
        paused: bool = False,
        replace_existing: bool = False,
        existing: ExistingTaskPolicy | None = None,
    ) -> Task[ResultT]: ...
    def add_task(
        self,
        fn: Callable[[Unpack[Ts]], ResultT | Awaitable[ResultT]],
        /,
        *args: Unpack[Ts],
        trigger: Trigger | None = NOW,
        executor: Executor[ResultT] | OtherAlias | None = None,
        id: str | None = None,
        paused: bool = False,
        replace_existing: bool = False,
        existing: ExistingTaskPolicy | None = None,
        **options: Unpack[TaskOptions],
    ) -> Task[ResultT]:
        """Add a task: a function with its arguments, a trigger and an executor.

        Thread-safe; may be called before the start. Pass keyword arguments of the function with
        `functools.partial`.

        Args:
            fn: Function, coroutine function, or another callable.
            args: Positional arguments of the function.
            trigger: Source of the due times; by default the task is due once, immediately. None: the task runs only
                when `task.run()` or `task.submit()` is called.
            executor: Alias of an executor, or an executor, which is registered on first use. None: the executor that
                is registered as `default`, or else `asyncio`.
            id: Id; by default derived from the name of the function.
            max_instances: Maximum number of runs at the same time. This option and the next five default to the
                scheduler's `defaults`; see `TaskLimits`.
            misfire_grace_time: Maximum seconds that a run may start late; None for no limit.
            coalesce: If several due times were missed, run only the latest. If False, run each; those that are due at
                `max_instances` wait.
            timeout: Maximum seconds of an attempt of a run; None for no limit.
            retry: Retry policy of failed runs; None for no retries.
            overlap: Policy for a run that is due at `max_instances`: `skip`, `queue_one`, `queue_all` or
                `cancel_running`.
            paused: Add the task with its schedule paused, until `resume_task`.
            replace_existing: Remove the task that has the id, if there is one. Its live runs end as usual, and count
                for the new task's `max_instances` on the same executor until then.
            existing: With a store, the policy for this task if the store has it with another declaration; None for that
                of `StoreOptions`.

        Raises:
            DuplicateTaskError: The id is in use, and `replace_existing` is False.
            UnknownAliasError: No executor has that alias; the error lists the known ones.
            InvalidInputError: The function, an option or the trigger cannot be used.
            ArgumentMismatchError: The function does not accept the arguments.
            SerializationError: The executor is a process pool and the function cannot be pickled.

        Example:
            >>> task = scheduler.add_task(checksum, "image.iso", executor="processpool")
        """
        check_function("fn", fn, args)
        if args and trigger is NOW:
            warn_of_trigger(fn, args[0])
        limits = self._defaults.evolve(**options) if options else self._defaults
        call = bind(fn, args)
        return self._add(
            call,
            trigger,
            executor,
            id,
            limits=limits,
            paused=paused,
            replace_existing=replace_existing,
            existing=existing,
        )

    def call(self, fn: Callable[P, CallT], /, *args: P.args, **kwargs: P.kwargs) -> BoundCall[CallT]:
        """Return a function with its arguments, keyword arguments included; `add` makes it a task.

        Every argument is checked by its name, and the result has its exact type in every type checker: also of a
        coroutine function with an explicit `Any` in its signature, for which mypy infers `Task[Any]` from `add_task`.
        Thread-safe.

        Args:
            fn: Function, coroutine function, or another callable.
            args: Positional arguments of the function.
            kwargs: Keyword arguments of the function.

        Raises:
            InvalidInputError: `fn` is not callable, or is a generator function.
            ArgumentMismatchError: The function does not accept the arguments.

        Example:
            >>> task = scheduler.call(clean_up, "/tmp", older_than=60).add(trigger=IntervalTrigger(hours=1))
        """
        check_function("fn", fn, args, kwargs, used_by="call")
        return BoundCall(partial(fn, *args, **kwargs), self._add, self._defaults)

    def _add(
        self,
        call: Callable[[], ResultT | Awaitable[ResultT]],
        trigger: Trigger | None,
        executor: Executor[ResultT] | OtherAlias | None,
        task_id: str | None,
        /,
        *,
        limits: TaskLimits,
        paused: bool = False,
        replace_existing: bool = False,
        existing: ExistingTaskPolicy | None = None,
    ) -> Task[ResultT]:
        if trigger is not NOW:
            check_trigger(trigger)
        if task_id is not None or paused is not False or replace_existing is not False or existing is not None:
            _check_task_options(task_id, paused, replace_existing)
            _check_policy(existing, replace_existing, has_store=self._parts.store is not None)
            if task_id is not None and self._parts.store is not None:
                return self._parts.store.add(
                    call,
                    trigger,
                    executor,
                    task_id,
                    limits=limits,
                    paused=paused,
                    replace_existing=replace_existing,
                    existing=existing,
                )
        parts, runtime = self._parts, self._parts.runtime
        # User code runs before the lock is taken: triggers, constructors of executors, pickling.
        if executor is None:
            executor = parts.executors.default_alias
        schedule = TriggerSchedule(trigger, utc(runtime.now()))
        created = parts.executors.prepare(executor, call)
        with runtime.lock:
            task_id = parts.tasks.new_id(task_id, call, replace_existing)
            registration, submit_to = parts.executors.resolve(executor, created)
            if replace_existing and parts.tasks.holder(task_id) is not None:
                self.remove_task(task_id)
            # Naming the type in the call would take longer than the call.
            spec: TaskSpec[ResultT] = TaskSpec(  # ty: ignore[invalid-assignment]  # ty infers the union as the result
                task_id, call, registration.alias, limits
            )
            controller = HotController(parts, spec, schedule, registration, submit_to, paused)
            parts.tasks.add(controller)
        # Before the loop's thread may run the task, and remove it.
        task = controller.task
        runtime.inbox.put(controller.activate)
        return task

    def task(  # noqa: D417  # `misplaced` is no argument for users
        self,
        *misplaced: Never,
        trigger: Trigger | None = NOW,
        executor: UniversalExecutor | PoolAlias | ClusterAlias | LoopAlias | OtherAlias | None = None,
        id: str | None = None,
        paused: bool = False,
        replace_existing: bool = False,
        existing: ExistingTaskPolicy | None = None,
        **options: Unpack[TaskOptions],
    ) -> TaskDecorator:
        """Decorate a function so that it can schedule itself: `function.schedule(...)` adds a task.

        The function stays callable as before; `schedule` takes its arguments, keyword arguments included. Methods can
        be decorated too. The decorator alone adds no task. A function with a trigger that is never scheduled is logged.
        Thread-safe.

        Args:
            trigger: Source of the due times; by default each task is due once, immediately. With None the task runs
                only when `task.run()` or `task.submit()` is called.
            executor: Alias of an executor, or an executor for runs of every type, which is registered on first use.
                With None, the one that is registered as `default`, or else `asyncio`.
            id: Id of the task; by default derived from the name of the function.
            paused: Add the task with its schedule paused, until `resume_task`.
            replace_existing: Let each `schedule` remove the task that has the id, if there is one.
            existing: With a store, the policy if the store has the task with another declaration.
            options: Limits of the runs; `TaskLimits` describes each.

        Raises:
            InvalidInputError: An option or the trigger cannot be used.

        Example:
            >>> @scheduler.task(trigger=IntervalTrigger(hours=1), executor="threadpool")
            ... def clean_up(folder: str, *, older_than: float = 3600) -> int: ...
            >>> task = clean_up.schedule("/tmp", older_than=60)
        """
        reject_misplaced(misplaced)
        limits = self._defaults.evolve(**options)
        check_trigger(trigger)
        _check_task_options(id, paused, replace_existing)
        _check_policy(existing, replace_existing, has_store=self._parts.store is not None)

        def schedule(call: Callable[[], ResultT | Awaitable[ResultT]], /) -> Task[ResultT]:
            return self._add(
                call,
                trigger,
                executor,
                id,
                limits=limits,
                paused=paused,
                replace_existing=replace_existing,
                existing=existing,
            )

        return TaskDecorator(schedule, None if trigger is NOW else self._lifecycle.unscheduled)

    # Not an overload for every `Awaitable`: mypy infers `Any` for a function with an `Any` in its signature, unless all
    # overloads that accept the function give its parameter the same type, as these do. Without type variables for the
    # values that a coroutine yields and receives, the types would differ. `Batch` unwraps other awaitables.
    @overload
    def map(
        self,
        fn: Callable[[ItemT], Coroutine[YieldT, SendT, AwaitedT]],
        items: Iterable[ItemT] | AsyncIterable[ItemT],
        /,
        *,
        executor: UniversalExecutor | PoolAlias | ClusterAlias | LoopAlias | OtherAlias | None = None,
        id: str | None = None,
        max_instances: int = MAX_INSTANCES,
        timeout: float | None = ...,
        retry: Retry | None = ...,
        ordered: bool = True,
    ) -> Batch[ItemT, AwaitedT]: ...
    @overload
    def map(
        self,
        fn: Callable[[ItemT], CallT],
        items: Iterable[ItemT] | AsyncIterable[ItemT],
        /,
        *,
        executor: UniversalExecutor | PoolAlias | ClusterAlias | LoopAlias | OtherAlias | None = None,
        id: str | None = None,
        max_instances: int = MAX_INSTANCES,
        timeout: float | None = ...,
        retry: Retry | None = ...,
        ordered: bool = True,
    ) -> Batch[ItemT, CallT]: ...
    @overload
    def map(
        self,
        fn: Callable[[ItemT], Coroutine[YieldT, SendT, AwaitedT]],
        items: Iterable[ItemT] | AsyncIterable[ItemT],
        /,
        *,
        executor: Executor[AwaitedT],
        id: str | None = None,
        max_instances: int = MAX_INSTANCES,
        timeout: float | None = ...,
        retry: Retry | None = ...,
        ordered: bool = True,
    ) -> Batch[ItemT, AwaitedT]: ...
    @overload
    def map(
        self,
        fn: Callable[[ItemT], CallT],
        items: Iterable[ItemT] | AsyncIterable[ItemT],
        /,
        *,
        executor: Executor[CallT],
        id: str | None = None,
        max_instances: int = MAX_INSTANCES,
        timeout: float | None = ...,
        retry: Retry | None = ...,
        ordered: bool = True,
    ) -> Batch[ItemT, CallT]: ...
    def map(
        self,
        fn: Callable[[ItemT], ResultT | Awaitable[ResultT]],
        items: Iterable[ItemT] | AsyncIterable[ItemT],
        /,
        *,
        executor: Executor[ResultT] | OtherAlias | None = None,
        id: str | None = None,
        ordered: bool = True,
        **options: Unpack[BatchOptions],
    ) -> Batch[ItemT, ResultT]:
        """Return an async iterator of the typed results of a function for each of many items.

        The iteration begins the batch: one task with a run per item, at most `max_instances` at the same time.
        An item is taken when its run can start, and while fewer than twice `max_instances` items are taken and not yet
        handed out. So items may be endless, and a slow consumer, or with `ordered` a slow item, holds the others.

        The first item without a result raises `BatchItemError` and cancels the others; `outcomes()` of the returned
        object yields failures too. An error of `items` is raised after the results before it. Items are read on the
        loop's thread, which they must not block; use an async iterator if they come slowly. Thread-safe.

        Args:
            fn: Function of one argument, coroutine function, or another callable; partials give it more arguments.
            items: Iterable or async iterable, also an endless one.
            executor: Alias of an executor, or an executor, which is registered on first use. None: the executor that
                is registered as `default`, or else `asyncio`.
            id: Id of the task; by default derived from the name of the function.
            max_instances: Maximum number of runs at the same time.
            timeout: Maximum seconds of an attempt of an item; None for no limit. By default that of `defaults`.
            retry: Retry policy of failed items; None for no retries. By default that of `defaults`.
            ordered: Return the results in the order of the items; if False, as they are completed.

        Raises:
            DuplicateTaskError: The id is in use.
            UnknownAliasError: No executor has that alias; the error lists the known ones.
            InvalidInputError: The function, the items or an option cannot be used.
            UnknownOptionError: An option has a name that does not exist.
            ArgumentMismatchError: The function does not accept one argument.
            SerializationError: The executor is a process pool and the function cannot be pickled.

        Example:
            >>> async for page in scheduler.map(fetch, urls, max_instances=20, timeout=30):
            ...     print(len(page))
        """
        check_items(items, (Iterable, AsyncIterable), "a list or another iterable, or an async one,")
        return batch_of(self._batches.plan(fn, executor, id, options, ordered=ordered), items)

    @property
    def tasks(self) -> tuple[Task[object], ...]:
        """All registered tasks. Thread-safe."""
        return self._parts.tasks.tasks()

    def get_task(self, task_id: str) -> Task[object]:
        """Return the task with an id. Thread-safe.

        For the result type, name the function: `scheduler.tasks_of(fetch).get("front page")`.

        Raises:
            TaskLookupError: No task has the id.

        Example:
            >>> scheduler.get_task("front page").pause()
        """
        return self._parts.tasks.task(task_id)

    def tasks_of(self, fn: Callable[P, CallT], /) -> FunctionTasks[CallT]:
        """Return the tasks of one function, with its result type. Thread-safe.

        Args:
            fn: Function; of tasks of `then`, the downstream function. A decorated function is the same as its
                `__wrapped__`, and a `functools.partial` the same as the function inside.

        Raises:
            InvalidInputError: `fn` is not callable.

        Example:
            >>> page = await scheduler.tasks_of(fetch).get("front page").run()
        """
        check_callable("fn", fn)
        return FunctionTasks(fn, self.get_task, lambda: self.tasks)

    def remove_task(self, task: Task[object] | str) -> None:
        """Remove a task with its backlog; its live runs continue. Thread-safe.

        Raises:
            TaskLookupError: The task is not registered.
        """
        self._parts.tasks.remove(task)

    def remove_all_tasks(self) -> None:
        """Remove all tasks; see `remove_task`. Thread-safe."""
        with self._parts.runtime.lock:
            for task in self.tasks:
                self.remove_task(task)

    def modify_task(
        self,
        task: Task[object] | str,
        *,
        executor: PoolAlias | ClusterAlias | LoopAlias | OtherAlias | None = None,
        **options: Unpack[TaskOptions],
    ) -> None:
        """Change the given options of a task. Thread-safe.

        On the loop's thread the change takes effect at once, from another thread soon, in the order of the calls. It
        emits `TaskModified`. Submitted runs keep their limits; their further attempts have the new ones. The next runs
        and attempts use the new executor; live runs stay on the old one and keep their slots until they end.

        Args:
            task: Task, or its id.
            executor: Alias of an executor for runs of every task; None keeps the present one. Pass an executor for
                runs of one type to `add_task`, which compares the types.
            options: Options to change; `TaskLimits` describes each. The backlog stays as it is.

        Raises:
            TaskLookupError: The task is not registered.
            InvalidInputError: A limit is not valid; nothing was changed.
            UnknownOptionError: An option does not exist; nothing was changed.
            UnknownAliasError: No executor for runs of every task has that alias; nothing was changed.
            SerializationError: The executor is a process pool and the function cannot be pickled; nothing was changed.

        Example:
            >>> scheduler.modify_task("nightly", timeout=3600, executor="processpool")
        """
        self._parts.tasks.apply(task, lambda found, task_id: found.modify(task_id, options, executor))

    def reschedule_task(self, task: Task[object] | str, trigger: Trigger | None) -> None:
        """Replace the trigger of a task; the new one starts now. Thread-safe.

        The backlog stays as it is. On the loop's thread the change takes effect at once, from another thread soon. It
        emits `TaskModified`.

        Args:
            task: Task, or its id.
            trigger: New trigger; None: the task runs only when `task.run()` or `task.submit()` is called.

        Raises:
            TaskLookupError: The task is not registered.
            InvalidInputError: The object is not a trigger; nothing was changed.

        Example:
            >>> scheduler.reschedule_task(task, IntervalTrigger(minutes=5))
        """
        self._parts.tasks.apply(task, lambda found, task_id: found.reschedule(task_id, trigger))

    def submit_task(self, task: Task[object] | str) -> None:
        """Make a task due once, now, beside its schedule; see `Task.submit`. Thread-safe.

        Raises:
            TaskLookupError: The task is not registered.
            SchedulerNotRunningError: The scheduler is not running.
        """
        self._parts.tasks.apply(task, lambda found, task_id: found.submit(task_id))

    def due_times(self, task: Task[object] | str, limit: int = 10) -> tuple[datetime, ...]:
        """Return the next due times of a task, UTC, without changing anything. Thread-safe.

        The trigger is asked in the calling thread. A pause and limits such as `max_instances` are not considered.

        Args:
            task: Task, or its id.
            limit: Maximum number of due times, at least 1.

        Raises:
            TaskLookupError: The task is not registered.
            InvalidInputError: `limit` is less than 1.

        Example:
            >>> scheduler.due_times("nightly", 3)
        """
        check_count("limit", limit)
        with self._parts.runtime.lock:
            schedule = self._parts.tasks.find(task).schedule
        return schedule.due_times(limit) if isinstance(schedule, TriggerSchedule) else ()

    def pause_task(self, task: Task[object] | str) -> None:
        """Pause the schedule and the backlog of a task until `resume_task`. Thread-safe.

        Raises:
            TaskLookupError: The task is not registered.
        """
        self._parts.tasks.apply(task, lambda found, task_id: found.set_paused(task_id, True))

    def resume_task(self, task: Task[object] | str) -> None:
        """Resume the schedule of a task; missed due times are due now. Thread-safe.

        Raises:
            TaskLookupError: The task is not registered.
        """
        self._parts.tasks.apply(task, lambda found, task_id: found.set_paused(task_id, False))


def _check_task_options(task_id: str | None, paused: bool, replace_existing: bool) -> None:
    if task_id is not None:
        check_text("id", task_id)
    elif replace_existing:
        raise InvalidInputError("replace_existing", "True", "pass the id of the task to replace")
    check_flag("paused", paused)
    check_flag("replace_existing", replace_existing)


def _check_policy(existing: ExistingTaskPolicy | None, replace_existing: bool, *, has_store: bool) -> None:
    if existing is None:
        return
    check_choice("existing", existing, get_args(ExistingTaskPolicy))
    if not has_store:
        raise InvalidInputError("existing", repr(existing), "it needs a store; without one, pass replace_existing=True")
    if replace_existing and existing != "replace":
        raise InvalidInputError("existing", repr(existing), "leave it out, as replace_existing=True says the opposite")
