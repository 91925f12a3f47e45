from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from multiprocessing.context import BaseContext
from typing import Literal

def get_reusable_executor(
    max_workers: int | None = None,
    context: BaseContext | str | None = None,
    timeout: float | None = 10,
    kill_workers: bool = False,
    reuse: bool | Literal["auto"] = "auto",
    job_reducers: Mapping[type[object], Callable[[object], object]] | None = None,
    result_reducers: Mapping[type[object], Callable[[object], object]] | None = None,
    initializer: Callable[..., object] | None = None,
    initargs: tuple[object, ...] = (),
    env: Mapping[str, str] | None = None,
) -> Executor: ...
