"""Files and values that are not a configuration end as ConfigurationError, and execute nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from asyncz import (
    AsyncIOScheduler,
    ConfigurationError,
    ConfigurationProblem,
    PluginError,
)
from asyncz.config._loader import MAX_FILE_SIZE
from asyncz.plugins import load_executor, load_trigger
from tests.helpers.effort import examples

ONE = '[tasks.one]\ncall = "builtins:abs"\nargs = [-1]\n'


def problems_of(source: object) -> tuple[ConfigurationProblem, ...]:
    with pytest.raises(ConfigurationError) as caught:
        AsyncIOScheduler.from_config(source)  # type: ignore[arg-type]  # hostile on purpose
    return caught.value.problems


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "own.toml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (f"{ONE}timeout = {'9' * 5000}", "not valid TOML"),
        (f"{ONE}timeout = -{'9' * 5000}", "not valid TOML"),
        (f"{ONE}kwargs = {{ x = {'[' * 3000}{']' * 3000} }}", "nested too deeply"),
        (f"x = {'{ x = ' * 3000}1{' }' * 3000}", "nested too deeply"),
        (f"{'.'.join('a' * 50_000)} = 1", "nested too deeply"),
        (f"x = [{{ {' . '.join(('b', 'c') * 25_000)} = 1 }}]", "nested too deeply"),
        (b"\xef\xbb\xbf" + ONE.encode(), "byte order mark"),
        (ONE.encode("utf-16"), "not UTF-8"),
        (b"\x00" * 100, "not valid TOML"),
        (b"# " + b"x" * MAX_FILE_SIZE, "larger than 4 MB"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 40 else "",
)
def test_file_with_hostile_content_is_rejected(content: str | bytes, reason: str, tmp_path: Path) -> None:
    (problem,) = problems_of(written(tmp_path, content))
    assert reason in problem.reason


@pytest.mark.slow
def test_file_with_many_problems_is_rejected_soon(tmp_path: Path) -> None:
    """The time does not grow with the square of their number."""
    content = "\n".join(f"[tasks.t{number}]\nunknown = 1" for number in range(20_000))
    problems = problems_of(written(tmp_path, content))
    assert 100 < len(problems) <= 500


@pytest.mark.parametrize("digits", [400, 5000])
def test_huge_number_in_data_is_rejected(digits: int) -> None:
    task = {"call": "builtins:abs", "args": [-1], "timeout": 10**digits}
    (problem,) = problems_of({"tasks": {"one": task}})
    assert problem.key == "tasks.one.timeout"
    assert len(str(problem)) < 300


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/stdin", ".", "fifo", "a\0b", "missing\x1b[2J", ""])
def test_path_of_no_regular_file_is_rejected(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("fifo")
    (problem,) = problems_of(path)
    assert "regular file" in problem.reason or "cannot be read" in problem.reason
    assert str(problem).isprintable()


MODULES = {
    "raising_exit": "raise SystemExit(3)",
    "raising_base": "class Odd(BaseException): pass\nraise Odd('odd')",
    "raising_text": "class Odd(Exception):\n    def __str__(self): raise RuntimeError\nraise Odd",
    "raising_escape": "raise ValueError('\\x1b[2J\\u202e')",
}


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, text in MODULES.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in MODULES:
        sys.modules.pop(name, None)


@pytest.mark.usefixtures("modules")
@pytest.mark.parametrize("name", MODULES)
def test_module_that_raises_is_a_problem(name: str) -> None:
    (problem,) = problems_of({"tasks": {"one": {"call": f"{name}:run"}}})
    assert problem.key == "tasks.one.call"
    assert "cannot be imported" in problem.reason
    assert problem.reason.isprintable()


@pytest.mark.parametrize(
    "reference", ["os:system", "os:abort", "builtins:exec", "subprocess:Popen", "builtins:dict", "os:environ"]
)
def test_reference_to_no_trigger_is_never_called(reference: str, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[object] = []
    monkeypatch.setattr(os, "system", called.append)
    monkeypatch.setattr(os, "abort", lambda: called.append("abort"))
    with pytest.raises(PluginError):
        load_trigger(reference, command="touch X")
    with pytest.raises(PluginError):
        load_executor(reference, command="touch X")
    trigger = {"type": reference, "command": "touch X"}
    config: dict[str, object] = {"tasks": {"one": {"call": "builtins:abs", "args": [-1], "trigger": trigger}}}
    (problem,) = problems_of(config)
    assert problem.key == "tasks.one.trigger"
    assert called == []


class _Cycle(dict[str, object]):
    """A table that contains itself."""

    def __init__(self) -> None:
        super().__init__(type="or")
        self["triggers"] = [self]


def test_table_that_contains_itself_is_rejected() -> None:
    cycle = _Cycle()
    assert problems_of({"tasks": {"one": {"call": "builtins:abs", "args": [-1], "trigger": cycle}}})


KEYS = st.sampled_from(
    ["tasks", "executors", "defaults", "one", "call", "args", "kwargs", "trigger", "type", "minutes", "expression",
     "timezone", "triggers", "retry", "attempts", "on", "timeout", "executor", "max_workers", "pool_kwargs", "jitter"]
)  # fmt: skip
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(300, 5000).map(lambda digits: 10**digits)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["builtins:abs", "os:system", "interval", "cron", "or", "date", "pool", "processpool", "a:b.c"])
    | st.datetimes()
    | st.binary(max_size=3)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=3), inner, max_size=4),
    max_leaves=15,
)
TASKS = st.fixed_dictionaries(
    {"call": st.just("builtins:abs"), "args": st.just([-1])}, optional={"trigger": VALUES, "retry": VALUES, "x": VALUES}
)
CONFIGS = st.dictionaries(KEYS, VALUES, max_size=3) | st.fixed_dictionaries(
    {"tasks": st.dictionaries(st.text(max_size=3), TASKS, max_size=2)}, optional={"executors": VALUES}
)


@pytest.mark.slow
@given(CONFIGS)
@settings(max_examples=examples(50), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_data_raises_asyncz_errors_only(config: dict[str, object]) -> None:
    try:
        AsyncIOScheduler.from_config(config)
    except ConfigurationError as error:
        problems = error.problems
    else:
        return
    assert problems
    assert all(len(str(problem)) < 5000 for problem in problems)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@pytest.mark.slow
@given(content=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode(errors="surrogatepass")))
@settings(max_examples=examples(50), deadline=None)
def test_any_file_raises_configuration_errors_only(folder: Path, content: bytes) -> None:
    try:
        AsyncIOScheduler.from_config(written(folder, content))
    except ConfigurationError as error:
        problems = error.problems
    else:
        return
    assert all(problem.file for problem in problems)
