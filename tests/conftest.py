"""Options and fixtures of all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from asyncz.schedulers import _inbox, _timer
from tests.helpers.recorder import Recorder


def give_turns(patch: pytest.MonkeyPatch, seconds: float) -> None:
    """How long a scheduler works before it gives the loop back."""
    for module in (_inbox, _timer):
        patch.setattr(module, "TIME_SLICE", seconds)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--cut-turns`: a test that needs several calls to be made in one turn fails now and then, on a busy machine."""
    parser.addoption("--cut-turns", action="store_true", help="end the turn of a scheduler after each call")


@pytest.fixture(scope="session", autouse=True)
def turns(request: pytest.FixtureRequest) -> Iterator[None]:
    """Turns as on a machine so busy that each is over after one call, where that is asked for."""
    with pytest.MonkeyPatch.context() as patch:
        if request.config.getoption("--cut-turns"):
            give_turns(patch, -1.0)
        yield


@pytest.fixture
def cut_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turns that are over after one call each."""
    give_turns(monkeypatch, -1.0)


@pytest.fixture
def long_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turns that are not cut short, however busy the machine is."""
    give_turns(monkeypatch, 60.0)


@pytest.fixture(scope="session", autouse=True)
def mypy_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Where mypy keeps what it has seen: the library is the same for all tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MYPY_CACHE_DIR", str(tmp_path_factory.mktemp("mypy")))
        yield


@pytest.fixture
def recorder() -> Recorder:
    """A notifier that keeps what it is told, for executors without a scheduler."""
    return Recorder()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run coroutine tests on asyncio only."""
    return "asyncio"
