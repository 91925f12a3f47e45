"""Tasks by id, and removed tasks that still have live runs."""

from __future__ import annotations

import itertools
from collections import Counter, deque
from collections.abc import Callable
from typing import Generic, Protocol

from typing_extensions import TypeVar, override

from asyncz._callables import function_name, is_same_object
from asyncz._checks import check_instance
from asyncz._text import closest
from asyncz.exceptions import DuplicateTaskError, InvalidInputError, TaskLookupError
from asyncz.schedulers._runtime import Runtime
from asyncz.tasks import Task

# Number of tasks up to which a similar id is looked for.
_MAX_COMPARED = 200


class Registered(Protocol):
    """Controller of a task in the registry.

    Attributes:
        removed: True if the task was removed. The registry sets it.
    """

    removed: bool

    @property
    def task(self) -> Task[object]:
        """Task of the controller."""
        ...

    @property
    def is_finished(self) -> bool:
        """True if no run of the task is live or can follow."""
        ...

    @property
    def live_count(self) -> int:
        """Number of live runs of the task."""
        ...

    def on_removed(self) -> None:
        """Handle that the task was removed, on the loop's thread."""
        ...

    def on_retired(self) -> None:
        """Handle that the task has finished and is not registered any more, on the loop's thread."""
        ...


ControllerT = TypeVar("ControllerT", bound=Registered)


class TaskRegistry(Generic[ControllerT]):
    """Controllers of the tasks of a scheduler. Methods without a remark may be called from any thread.

    Attributes:
        finished: Finished tasks that `retire_finished` unregisters together, as each of them would take the lock. For
            the loop's thread.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._controllers: dict[str, ControllerT] = {}
        # Those of removed tasks with live runs, by their identity, as ids may be used again.
        self._leaving: dict[int, ControllerT] = {}
        # Removals that were not handled yet: until then no task is forgotten, even if its last run is over.
        self._unhandled: set[int] = set()
        # Numbers of submissions by calls that the loop's thread has not handled yet, by the identity of the controller:
        # a finished task with one of them stays registered.
        self._demands: Counter[int] = Counter()
        self.finished: list[ControllerT] = []
        # Unregistered ones, whose `on_retired` is still to be called.
        self._retired: deque[ControllerT] = deque()
        self._numbers = itertools.count(1)

    def __len__(self) -> int:
        return len(self._controllers)

    def __bool__(self) -> bool:
        return True

    def task(self, task_id: str) -> Task[object]:
        """Return the task that has an id.

        Raises:
            TaskLookupError: The task is not registered.
        """
        with self._runtime.lock:
            return self.find(task_id).task

    def registered(self) -> tuple[ControllerT, ...]:
        """Return the controllers of all registered tasks."""
        with self._runtime.lock:
            return tuple(self._controllers.values())

    def tasks(self) -> tuple[Task[object], ...]:
        """Return all registered tasks."""
        self.settle()
        with self._runtime.lock:
            return tuple(controller.task for controller in self._controllers.values())

    def all_tasks(self) -> tuple[tuple[Task[object], ControllerT], ...]:
        """Return all tasks with their controllers, removed tasks with live runs included."""
        self.settle()
        with self._runtime.lock:
            return tuple((controller.task, controller) for controller in self.all())

    def all(self) -> tuple[ControllerT, ...]:
        """Return all controllers, those of removed tasks with live runs included."""
        with self._runtime.lock:
            return (*self._controllers.values(), *self._leaving.values())

    def holder(self, task_id: str) -> ControllerT | None:
        """Return the controller of the task that has an id now."""
        return self._controllers.get(task_id)

    def controller_of(self, task: Task[object]) -> ControllerT | None:
        """Return the controller of a task, also of a removed one with live runs."""
        self.settle()
        controller, owner = self._controllers.get(task.id), task._owner
        return controller if is_same_object(controller, owner) else self._leaving.get(id(owner))

    def find(self, task: Task[object] | str) -> ControllerT:
        """Return the controller of a task, given by its id or itself.

        Raises:
            TaskLookupError: The task is not registered.
        """
        if not isinstance(task, str):
            check_instance("task", task, Task)
        self.settle()
        task_id = task if isinstance(task, str) else task.id
        controller = self._controllers.get(task_id)
        if controller is None or not (isinstance(task, str) or is_same_object(controller, task._owner)):
            raise TaskLookupError(task_id, self._similar_id(task_id))
        return controller

    def _similar_id(self, task_id: str) -> str:
        known = tuple(self._controllers)
        # The comparison takes some 20 microseconds for each id.
        if task_id in known or len(known) > _MAX_COMPARED:
            return ""
        return closest(task_id, known)

    def apply(self, task: Task[object] | str, action: Callable[[ControllerT, str], object]) -> None:
        """Do something with the controller of a task, and again if another thread replaces the task meanwhile.

        Args:
            task: Task, or its id.
            action: Called with the controller and the id.
        """
        while True:
            controller = self.find(task)
            try:
                action(controller, task if isinstance(task, str) else task.id)
            except TaskLookupError:
                # An id means the task that has it now.
                if not controller.removed:
                    raise
            else:
                return

    def new_id(self, wanted: str | None, function: object, replace_existing: bool) -> str:
        """Return the id for a new task. Under the lock.

        Raises:
            DuplicateTaskError: The wanted id is in use, and not to be replaced.
        """
        if wanted is None:
            name = function_name(function)
            while (task_id := f"{name}-{next(self._numbers)}") in self._controllers:
                pass
            return task_id
        if wanted in self._controllers:
            self.settle()
        if wanted in self._controllers and not replace_existing:
            raise DuplicateTaskError(wanted)
        return wanted

    def new_unstored_id(self, wanted: str | None, function: object) -> str:
        """Return the id for a new task that no store keeps, such as a downstream task. Under the lock.

        Raises:
            DuplicateTaskError: The wanted id is in use.
        """
        return self.new_id(wanted, function, False)

    def stable_id(self, wanted: str | None) -> str:
        """Return the id for a new task that a store keeps.

        Raises:
            InvalidInputError: No id is given.
        """
        if wanted is None:
            allowed = "a scheduler with a store needs an id that is the same at each start: pass id='...'"
            raise InvalidInputError("id", "None", allowed)
        return wanted

    def add(self, controller: ControllerT) -> None:
        """Register a task. Under the lock."""
        self._controllers[controller.task.id] = controller

    def remove(self, task: Task[object] | str) -> None:
        """Unregister a task, and have its controller handle that; the controller is kept until `forget`.

        Raises:
            TaskLookupError: The task is not registered.
        """
        with self._runtime.lock:
            controller = self.find(task)
            del self._controllers[controller.task.id]
            controller.removed = True
            self._leaving[id(controller)] = controller
            self._unhandled.add(id(controller))
        self._runtime.inbox.put(controller.on_removed)

    def retire(self, controller: ControllerT) -> bool:
        """Unregister a task if it is finished, and no change or submission lets it continue. For the loop's thread.

        Returns:
            False if the task stays, or was removed before.
        """
        if controller.removed:
            return False
        self.finished.append(controller)
        self.retire_finished()
        return controller.removed

    def retire_soon(self, controller: ControllerT) -> None:
        """Do the same after the calls in the inbox, together with other tasks. For the loop's thread."""
        self.finished.append(controller)
        if self._runtime.inbox.last_call is None:
            self._runtime.inbox.last_call = self.retire_finished

    def settle(self) -> None:
        """Unregister the tasks that `retire_soon` has put off, before a listener looks for a task or adds one.

        Calls no user code, and so may be called under the lock. Has no effect in other threads, which may still see a
        finished task until the calls of the burst are made.
        """
        if self.finished and not self._runtime.inbox.called_off_loop:
            self._unregister_finished()

    def retire_finished(self) -> None:
        """Do what `retire_soon` has put off. For the loop's thread, and not under the lock."""
        self._unregister_finished()
        retired = self._retired
        while retired:
            retired.popleft().on_retired()

    def _unregister_finished(self) -> None:
        finished = self.finished
        if not finished:
            return
        self.finished = []
        runtime, controllers, demands = self._runtime, self._controllers, self._demands
        retired = self._retired
        with runtime.lock:
            if runtime.pending_changes:
                # One of them may let a task continue.
                runtime.apply_pending_changes()
            if runtime.status == "draining":
                return
            for controller in finished:
                if controller.is_finished and not (demands and id(controller) in demands):
                    del controllers[controller.task._spec.id]
                    controller.removed = True
                    retired.append(controller)

    def demanded(self, controller: ControllerT) -> None:
        """Keep a task registered until its submission by a call is handled. Under the lock."""
        self._demands[id(controller)] += 1

    def demand_handled(self, controller: ControllerT) -> None:
        """Let a finished task retire, if no other submission by a call is pending. For the loop's thread."""
        key, demands = id(controller), self._demands
        with self._runtime.lock:
            if demands[key] > 1:
                demands[key] -= 1
            else:
                del demands[key]

    def removal_handled(self, controller: ControllerT) -> None:
        """Let a removed task be forgotten, once its last run has ended."""
        with self._runtime.lock:
            self._unhandled.discard(id(controller))

    def forget(self, controller: ControllerT) -> bool:
        """Forget a removed task after its last run; return False if it was forgotten before, or may not be yet."""
        with self._runtime.lock:
            return id(controller) not in self._unhandled and self._leaving.pop(id(controller), None) is not None

    def forget_removed(self) -> None:
        """Forget all removed tasks. For the loop's thread."""
        with self._runtime.lock:
            self._leaving.clear()
            self._unhandled.clear()

    def removed_runs(self, task_id: str) -> int:
        """Return the number of live runs of removed tasks with an id: executors count runs by the id of the task."""
        with self._runtime.lock:
            return sum(each.live_count for each in self._leaving.values() if each.task.id == task_id)


class NamedTaskRegistry(TaskRegistry[ControllerT]):
    """Registry of a scheduler with a store: a task needs an id that is the same at each start of the program."""

    @override
    def new_id(self, wanted: str | None, function: object, replace_existing: bool) -> str:
        """Return the id for a new task; see `TaskRegistry.new_id`.

        Raises:
            InvalidInputError: No id is given.
        """
        return super().new_id(self.stable_id(wanted), function, replace_existing)

    @override
    def new_unstored_id(self, wanted: str | None, function: object) -> str:
        """Return the id for a new task that no store keeps; see `TaskRegistry.new_unstored_id`."""
        return super().new_id(wanted, function, False)
