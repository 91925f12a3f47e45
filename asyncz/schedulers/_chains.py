"""Results that are handed from an upstream to a downstream task: `Task.then`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Generic, cast

from typing_extensions import TypeVar, override

from asyncz._aliases import OtherAlias
from asyncz._callables import CallWrapper
from asyncz._checks import check_flag, check_text
from asyncz._signatures import check_function
from asyncz._traced_call import CallWithOrigin
from asyncz.events import TaskExecuted
from asyncz.exceptions import NoResultError
from asyncz.limits import OverlapPolicy, TaskLimits, TaskOptions
from asyncz.protocols import Executor
from asyncz.schedulers._hot_path import HotController
from asyncz.schedulers._parts import AnyController, ChainEnds, SchedulerParts
from asyncz.schedulers._runtime import Runtime
from asyncz.schedulers._schedules import ChainSchedule
from asyncz.schedulers._task_controller import TaskController
from asyncz.specs import TaskSpec
from asyncz.tasks import Task

ArgumentT = TypeVar("ArgumentT")
ResultT = TypeVar("ResultT")


class ChainedCall(CallWrapper, Generic[ArgumentT, ResultT]):
    """Call of a downstream task: its function with a result of the upstream task.

    Args:
        function: Function of the downstream task.
        upstream: Upstream task.
    """

    __slots__ = ("_function", "_upstream")

    def __init__(
        self, function: Callable[[ArgumentT], ResultT | Awaitable[ResultT]], upstream: Task[ArgumentT]
    ) -> None:
        super().__init__(function)
        self._function = function
        self._upstream: Task[ArgumentT] = upstream

    def with_result(self, result: ArgumentT) -> Callable[[], ResultT | Awaitable[ResultT]]:
        """Return the call with a result."""
        return partial(self._function, result)

    def with_last_result(self) -> Callable[[], ResultT | Awaitable[ResultT]]:
        """Return the call with the result of the last run of the upstream task.

        Raises:
            NoResultError: The last run had no result, or there was none yet.
        """
        last = self._upstream.last_notification
        if not isinstance(last, TaskExecuted):
            raise NoResultError(self._upstream.id)
        return self.with_result(last.result)

    @override
    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the function only, for the check of an executor: each run carries its own result."""
        return partial, (self.func,)

    def __call__(self) -> ResultT | Awaitable[ResultT]:
        """Call the function with the result of the last run of the upstream task."""
        return self.with_last_result()()


class ChainLink(Generic[ArgumentT, ResultT]):
    """Link between an upstream and a downstream task. For the loop's thread, except for `attach`.

    Args:
        runtime: Shared state of the scheduler.
        upstream: Upstream task. The link receives its results as a listener.
        call: Call of the downstream task.
    """

    def __init__(self, runtime: Runtime, upstream: Task[ArgumentT], call: ChainedCall[ArgumentT, ResultT]) -> None:
        self._runtime = runtime
        self._upstream: Task[ArgumentT] = upstream
        self._upstream_controller: AnyController | None = None
        self._downstream: TaskController[ResultT] | None = None
        self._call: ChainedCall[ArgumentT, ResultT] = call
        # Results that came before the downstream task was announced.
        self._early: list[TaskExecuted[ArgumentT]] | None = []
        self.schedule: ChainSchedule[ResultT] = ChainSchedule[ResultT](upstream.id, call.with_last_result)

    def attach(self, upstream: AnyController | None, downstream: TaskController[ResultT]) -> None:
        """Connect the controllers; the upstream one is None if that task is gone. Under the lock."""
        downstream.chain_ends = ChainEnds(self.close)
        self._upstream_controller = upstream
        self._downstream = downstream
        self._upstream.on_executed(self.receive)
        if upstream is not None:
            upstream.chain_ends = upstream.chain_ends or ChainEnds()
            upstream.chain_ends.downstream[self] = self.on_upstream_gone

    def activate(self) -> None:
        """Announce the downstream task and hand over the results; a finished upstream task hands over its last one."""
        downstream, upstream, early = self._downstream, self._upstream_controller, self._early
        if downstream is None:
            return
        downstream.activate()
        self._early = None
        last = self._upstream.last_notification
        if not early and (upstream is None or upstream.has_ended) and isinstance(last, TaskExecuted):
            early = [last]
        for event in early or ():
            self.receive(event)
        if upstream is None or (upstream.removed and not upstream.live_count):
            self.on_upstream_gone()

    def receive(self, event: TaskExecuted[ArgumentT]) -> None:
        """Hand over a result."""
        if self._early is not None:
            self._early.append(event)
        elif self._downstream is not None:
            finished = event.details.finished
            at = self._runtime.now() if finished is None else finished
            call, hook = self._call.with_result(event.result), self._runtime.run_hook
            if hook is not None:
                call = CallWithOrigin[ResultT](call, hook.origin_of_result(event.details))
            self._downstream.offer_result(at, call)

    def on_upstream_gone(self) -> None:
        """Note that no results can follow; if `activate` is still to come, it does so instead."""
        if self._early is not None:
            return
        self.schedule.upstream_is_gone = True
        self._upstream.remove_listener(self.receive)
        # Without the references, none of the tasks is part of a reference cycle.
        downstream, self._downstream, self._upstream_controller = self._downstream, None, None
        if downstream is not None:
            downstream.retire_if_finished()

    def close(self) -> None:
        """Stop receiving results, because the downstream task was removed."""
        self._upstream.remove_listener(self.receive)
        upstream, self._downstream, self._upstream_controller = self._upstream_controller, None, None
        if upstream is not None and upstream.chain_ends is not None:
            upstream.chain_ends.downstream.pop(self, None)


class Chains:
    """Adds downstream tasks; the `ChainFactory` of a scheduler.

    Args:
        defaults: Limits of tasks that set no others.

    Attributes:
        parts: Parts of the scheduler, of which this is one.
    """

    parts: SchedulerParts

    def __init__(self, defaults: TaskLimits) -> None:
        self._defaults = defaults

    def __call__(  # noqa: PLR0917  # see `ChainFactory`
        self,
        upstream: Task[ArgumentT],
        fn: Callable[[ArgumentT], ResultT | Awaitable[ResultT]],
        executor: Executor[ResultT] | OtherAlias | None,
        task_id: str | None,
        options: TaskOptions,
        paused: bool,
        /,
    ) -> Task[ResultT]:
        """Add a task that receives the results of `upstream`; see `Task.then`. Thread-safe."""
        parts = self.parts
        check_function("fn", fn, (upstream,), used_by="then")
        limits = self._chain_limits(options)
        check_flag("paused", paused)
        if task_id is not None:
            check_text("id", task_id)
        if executor is None:
            executor = parts.executors.default_alias
        store = parts.store
        if store is not None and self._is_stored(upstream):
            # Unverified: nothing calls the function without the result, which each run of the store brings.
            without_result = cast("Callable[[], ResultT | Awaitable[ResultT]]", partial(fn))
            return store.add(
                without_result,
                None,
                executor,
                parts.tasks.stable_id(task_id),
                limits=limits,
                paused=paused,
                replace_existing=False,
                upstream=upstream,
            )
        call = ChainedCall[ArgumentT, ResultT](fn, upstream)
        link = ChainLink[ArgumentT, ResultT](parts.runtime, upstream, call)
        created = parts.executors.prepare(executor, call)
        with parts.runtime.lock:
            task_id = parts.tasks.new_unstored_id(task_id, call)
            registration, submit_to = parts.executors.resolve(executor, created)
            spec = TaskSpec[ResultT](task_id, call, registration.alias, limits)
            controller = HotController[ResultT](parts, spec, link.schedule, registration, submit_to, paused)
            parts.tasks.add(controller)
            link.attach(parts.tasks.controller_of(upstream), controller)
        # Before the loop's thread may run the task, and remove it.
        task = controller.task
        parts.runtime.inbox.put(link.activate)
        return task

    def _is_stored(self, upstream: Task[object]) -> bool:
        parts = self.parts
        with parts.runtime.lock:
            return parts.store is not None and parts.store.keeps(parts.tasks.controller_of(upstream))

    def _chain_limits(self, options: TaskOptions) -> TaskLimits:
        """Return the limits of a downstream task: by default no result is passed over."""
        coalesce = options.get("coalesce", False)
        overlap: OverlapPolicy = "queue_one" if coalesce else "queue_all"
        chained: TaskOptions = {**options, "coalesce": coalesce, "overlap": overlap}
        return self._defaults.evolve(**chained)
