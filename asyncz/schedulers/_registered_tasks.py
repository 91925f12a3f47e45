"""Methods of a scheduler that concern its registered tasks."""

from __future__ import annotations

from typing_extensions import Unpack

from asyncz._aliases import ClusterAlias, LoopAlias, PoolAlias
from asyncz.limits import TaskOptions
from asyncz.protocols import Trigger
from asyncz.schedulers._task_controller import SchedulerParts
from asyncz.tasks import Task


class RegisteredTasks:
    """Registered tasks of a scheduler: lookup, changes and removal. All methods may be called from any thread.

    Args:
        parts: Parts of the scheduler.
    """

    def __init__(self, parts: SchedulerParts) -> None:
        self._parts = parts

    @property
    def tasks(self) -> tuple[Task[object], ...]:
        """All registered tasks. May be read from any thread."""
        return tuple(controller.task for controller in self._parts.tasks.registered())

    def get_task(self, task_id: str) -> Task[object]:
        """Return the task with an id. May be called from any thread.

        Raises:
            TaskLookupError: No task has the id.
        """
        return self._parts.tasks.find(task_id).task

    def remove_task(self, task: Task[object] | str) -> None:
        """Remove a task with its backlog; its live runs go on. May be called from any thread.

        Raises:
            TaskLookupError: The task is not registered.
        """
        controller = self._parts.tasks.remove(task)
        self._parts.runtime.inbox.put(controller.on_removed)

    def remove_all_tasks(self) -> None:
        """Remove all tasks; see `remove_task`. May be called from any thread."""
        with self._parts.runtime.lock:
            for task in self.tasks:
                self.remove_task(task)

    def modify_task(
        self,
        task: Task[object] | str,
        *,
        executor: PoolAlias | ClusterAlias | LoopAlias | str | None = None,
        **options: Unpack[TaskOptions],
    ) -> None:
        """Change the given options of a task. May be called from any thread.

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
        self._parts.tasks.apply(task, lambda found: found.modify(found.task.id, options, executor))

    def reschedule_task(self, task: Task[object] | str, trigger: Trigger | None) -> None:
        """Replace the trigger of a task; the new one starts now. May be called from any thread.

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
        self._parts.tasks.apply(task, lambda found: found.reschedule(found.task.id, trigger))

    def submit_task(self, task: Task[object] | str) -> None:
        """Make a task due once, now, beside its schedule; see `Task.submit`. May be called from any thread.

        Raises:
            TaskLookupError: The task is not registered.
            SchedulerNotRunningError: The scheduler is not running.
        """
        self._parts.tasks.apply(task, lambda found: found.submit(found.task.id))

    def pause_task(self, task: Task[object] | str) -> None:
        """Pause the schedule and the backlog of a task until `resume_task`. May be called from any thread.

        Raises:
            TaskLookupError: The task is not registered.
        """
        self._parts.tasks.apply(task, lambda found: found.set_paused(found.task.id, True))

    def resume_task(self, task: Task[object] | str) -> None:
        """Resume the schedule of a task; missed due times are due now. May be called from any thread.

        Raises:
            TaskLookupError: The task is not registered.
        """
        self._parts.tasks.apply(task, lambda found: found.set_paused(found.task.id, False))
