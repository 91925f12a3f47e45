"""Runs in pools that a user brings: what they have in common, and what breaks them."""

from __future__ import annotations

import asyncio
import concurrent.futures
import importlib.util
import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import cloudpickle
import loky
import pytest
from typing_extensions import ParamSpec, TypeVar, override

from asyncz import (
    AsyncIOScheduler,
    FuturesExecutor,
    InvalidInputError,
    SerializationError,
    TaskCancelled,
    TaskError,
    TaskMissed,
    TaskTimeoutError,
    WorkerLostError,
)
from asyncz.testing import ExecutorConformance, FakeClock
from tests import functions
from tests.functions import Recorder, run_of, until

P = ParamSpec("P")
ResultT = TypeVar("ResultT")

processes = partial(ProcessPoolExecutor, 1, multiprocessing.get_context("forkserver"))
processes_of_loky = partial(loky.get_reusable_executor, 1)
