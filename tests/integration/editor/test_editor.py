"""Completion, hover, signatures, definitions and diagnostics in an editor."""

from __future__ import annotations

import inspect
import itertools
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType

import pytest

import asyncz
from asyncz import AsyncIOScheduler, Executor, Task, TaskExecuted, ThreadPoolExecutor
from asyncz.plugins import BUILTIN_EXECUTORS
from tests.helpers.language_server import Document, LanguageServer, LanguageServerError
from tests.helpers.public_api import MEMBERS, NAMES, documentation

pytestmark = [pytest.mark.xdist_group("editor"), pytest.mark.slow]

PROGRAM = """\
from asyncz import AsyncIOScheduler, Executor, TaskExecuted, ThreadPoolExecutor


async def fetch(url: str, limit: int) -> bytes:
    return b""


def measure(url: str) -> float:
    return 1.5


scheduler = AsyncIOScheduler()
task = scheduler.add_task(fetch, "https://example.org", 1)
executor: Executor[bytes] = ThreadPoolExecutor()


@task.on_executed
def report(event: TaskExecuted[bytes]) -> None:
    print(event.result)


async def main() -> None:
    page = await task.run()
    duration = await scheduler.add_task(measure, "https://example.org").run()


"""
"""What the user has typed so far."""


class Editor:
    """An editor in which each test goes on with the user's program in a document of its own."""

    def __init__(self, server: LanguageServer) -> None:
        self._server = server
        self._numbers = itertools.count()

    def typing(self, text: str) -> Document:
        """The user's program with this text at its end."""
        return self._server.open(f"program{next(self._numbers)}.py", PROGRAM + text)


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editor]:
    if not LanguageServer.is_installed():
        pytest.skip("the language server comes with the extra `dev`, which is not installed")
    with LanguageServer(tmp_path_factory.mktemp("user")) as server:
        yield Editor(server)


@pytest.mark.parametrize(
    "call",
    [
        'measuring = scheduler.add_task(measure, "u", executor=',
        'fetching = scheduler.add_task(fetch, "u", 1, executor=',
        "@scheduler.task(executor=",
        "scheduler.add_executor(",
        'AsyncIOScheduler(executors={"own": ',
    ],
)
@pytest.mark.parametrize("end", ["", '")'])
def test_executor_aliases_completed(editor: Editor, call: str, end: str) -> None:
    offered = editor.typing(f'{call}"{end}').completions(after=f'{call}"')
    assert {f'"{alias}"' for alias in BUILTIN_EXECUTORS} <= set(offered)


def test_pool_options_completed(editor: Editor) -> None:
    call = 'scheduler.add_executor("processpool", alias="cpu", '
    assert set(ThreadPoolExecutor.__init__.__annotations__) - {"return"} <= {
        name.removesuffix("=") for name in editor.typing(call).completions(after=call)
    }


@pytest.mark.parametrize(
    ("expression", "name"), [("task", "Task"), ("scheduler", "AsyncIOScheduler"), ("task.run()", "RunHandle")]
)
def test_public_members_completed_first(editor: Editor, expression: str, name: str) -> None:
    text = f"\n{expression}."
    # The server offers what begins with an underscore too, whatever the class: at the end of the list.
    offered = [member for member in editor.typing(text).completions(after=text) if not member.startswith("__")]
    public = [member for member in offered if not member.startswith("_")]
    assert set(public) == set(MEMBERS[name])
    assert offered[: len(public)] == public


def test_public_names_completed_on_import(editor: Editor) -> None:
    text = "from asyncz import "
    offered = list(editor.typing(text).completions(after=f"\n\n{text}"))
    modules = {path.stem for path in Path(asyncz.__file__).parent.iterdir() if path.suffix == ".py" or path.is_dir()}
    public = [name for name in offered if not name.startswith("_")]
    assert set(public) == set(NAMES["asyncz"]) | {name for name in modules if not name.startswith("_")}
    assert offered[: len(public)] == public


def test_hover_shows_result_types(editor: Editor) -> None:
    program = editor.typing("")
    assert "result: bytes" in program.hover("result", within="event.result")
    assert "page: bytes" in program.hover("page", within="page = await")
    assert "duration: float" in program.hover("duration", within="duration = await")
    assert "task: Task[bytes]" in program.hover("task", within="\ntask = ")


def as_written(shown: str) -> str:
    """The docstring that is shown so: indentation, underscores and code have their own form in Markdown."""
    lines: list[str] = []
    in_code = False
    for line in shown.splitlines():
        if line.startswith("```"):
            in_code = not in_code
        else:
            plain = line if in_code else re.sub(r"\\(\W|_)", r"\1", line.replace("&nbsp;", " "))
            lines.append(f"    {plain}" if in_code else plain.removesuffix("  "))
    return "\n".join(lines).strip()


def test_signature_shows_parameters_and_docs(editor: Editor) -> None:
    call = "scheduler.add_task("
    expected = list(inspect.signature(AsyncIOScheduler.add_task).parameters)[1:]
    signatures = editor.typing(call).signatures(after=f"\n\n{call}")
    for signature in signatures:
        shown = [label.partition(":")[0] for label in signature.parameter_labels]
        # Where the call has no arguments yet, none of those of the function are shown.
        assert [name for name in shown if name.isidentifier()] == [name for name in expected if name != "args"]
    shown_text = signatures[0].documentation
    assert shown_text is not None
    for name in expected:
        assert f"\n    {name}: " in as_written(shown_text.value)


@pytest.mark.parametrize(
    ("name", "within", "definition"),
    [
        ("Executor", "executor: Executor", Executor),
        ("AsyncIOScheduler", "= AsyncIOScheduler", AsyncIOScheduler),
        ("TaskExecuted", "import AsyncIOScheduler, Executor, TaskExecuted", TaskExecuted),
        ("run", "await task.run", Task.run),
    ],
)
def test_definition_found_through_lazy_exports(
    editor: Editor, name: str, within: str, definition: type[object] | FunctionType
) -> None:
    (found,) = editor.typing("").definitions(name, within=within)
    assert found.file == Path(inspect.getfile(definition))
    assert re.match(rf"\s*(class|def) {name}\b", found.line)


def test_hover_shows_docstring_as_written(editor: Editor) -> None:
    documented = documentation()
    program = editor.typing("import asyncz\n" + "".join(f"{name}\n" for name in documented))
    for name, text in documented.items():
        _, _, shown = program.hover(name.rpartition(".")[2], within=f"\n{name}\n").partition("\n---\n")
        assert as_written(shown) == text, name
        # Only lists may be broken into lines: a sentence that looks like the entry of a list would be too.
        broken = [line for line in shown.splitlines() if line.endswith("  ") and not line.startswith("&nbsp;")]
        assert [line for line in broken if not line.endswith(":  ")] == [], name


def test_mistake_reported_on_its_line(editor: Editor) -> None:
    mistake = 'scheduler.add_task(fetch, "https://example.org", "many")'
    errors = editor.typing(f"{mistake}\n").errors(with_one_at=mistake)
    assert set(errors) == {mistake}
    assert "int" in errors[mistake]


def test_correct_program_has_no_errors(editor: Editor) -> None:
    # Nothing may be published before it was looked at; what is wrong in the last line tells that it was.
    last = "no_such_name"
    assert set(editor.typing(f"{last}\n").errors(with_one_at=last)) == {last}


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("import sys; sys.stdin.read()", "did not come in 0.2 seconds"),
        ("import sys; sys.stdin.readline()", "did not come: the server ended"),
        ("import sys; sys.stdin.readline(); print('no header', end=2 * '\\r\\n')", "cannot be read"),
    ],
)
def test_unresponsive_server_fails_in_time(program: str, message: str, tmp_path: Path) -> None:
    deadline = 0.2 if "seconds" in message else 60
    command = [sys.executable, "-c", program]
    with (
        pytest.raises(LanguageServerError, match=message),
        LanguageServer(tmp_path, command=command, deadline=deadline),
    ):
        pass
