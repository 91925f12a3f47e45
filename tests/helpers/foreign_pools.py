"""Pools of `concurrent.futures` for the futures executor."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from functools import partial

pool_of_one_process = partial(ProcessPoolExecutor, 1, multiprocessing.get_context("forkserver"))
