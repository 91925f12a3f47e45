"""Options and fixtures of all tests."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.helpers.coverage_data import remove_unfinished_data
from tests.helpers.effort import has_only_slow_tests
from tests.helpers.waiting import Gate

# Several processes import all tests, and hundreds of programs import the library: without files of bytecode, each
# of them compiles everything anew.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Each worker of a process pool imports the module of its first function: half a second for pytest and the helpers.
multiprocessing.set_forkserver_preload(["pytest", "asyncz.executors.process_pool._worker", "tests.helpers.executors"])

# How long an example takes depends on the load of the machine.
settings.register_profile("asyncz", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("asyncz")

# A job in the background of a shell ignores the signal, and so would the programs that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def set_time_slice(patch: pytest.MonkeyPatch, seconds: float) -> None:
    """Set the time slice after which a scheduler yields to the loop."""
    from asyncz.schedulers import _inbox, _timer

    for module in (_inbox, _timer):
        patch.setattr(module, "TIME_SLICE", seconds)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--cut-slices`, which exposes tests that need several calls in one time slice."""
    parser.addoption("--cut-slices", action="store_true", help="end each time slice after one call")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import no module of slow tests if they are left out: their imports are half of the collection's time."""
    if config.getoption("markexpr") != "not slow" or not collection_path.match("test_*.py"):
        return None
    return True if has_only_slow_tests(collection_path) else None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect no garbage meanwhile: modules and collected tests stay until the end.

    They are frozen up to Python 3.13, so that later collections of all objects take 10 ms instead of 200. From 3.14 on,
    `gc.get_referrers`, by which hypothesis checks its own objects, does not see frozen ones.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        if sys.version_info < (3, 14):
            gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Distribute groups and modules of tests."""
    from tests.helpers.distribution import scheduling  # xdist need not be installed

    return scheduling(config, log)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Prepare the data of coverage, which its plugin combines after this."""
    try:
        return (yield)
    finally:
        if not hasattr(session.config, "workerinput"):
            remove_unfinished_data(session.config.rootpath)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Make captured output encodable: a lone surrogate in it would end the process that runs the tests."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.fixture(scope="session", autouse=True)
def time_slices(request: pytest.FixtureRequest) -> Iterator[None]:
    """End each time slice after one call, as on a very busy machine, if `--cut-slices` is given."""
    with pytest.MonkeyPatch.context() as patch:
        if request.config.getoption("--cut-slices"):
            set_time_slice(patch, -1.0)
        yield


@pytest.fixture
def cut_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """End each time slice after one call."""
    set_time_slice(monkeypatch, -1.0)


@pytest.fixture
def long_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make time slices so long that no load ends them early."""
    set_time_slice(monkeypatch, 60.0)


@pytest.fixture(scope="session", autouse=True)
def mypy_cache(pytestconfig: pytest.Config) -> Iterator[None]:
    """Share a cache of mypy between tests, and with the next run of them: the library is the same for all."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MYPY_CACHE_DIR", str(pytestconfig.rootpath / ".mypy_cache" / "tests"))
        yield


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """Function that waits for the test, which need not open it in the end."""
    gate = Gate(tmp_path)
    yield gate
    gate.open()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run coroutine tests on asyncio only."""
    return "asyncio"
