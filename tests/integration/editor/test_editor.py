"""Completion, hover, signatures, definitions and diagnostics in an editor."""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import AsyncIterator
from pathlib import Path
from types import FunctionType
from typing import get_overloads

import pytest

import asyncz
from asyncz import (
    AsyncIOScheduler,
    Executor,
    PoolOptions,
    Retry,
    Task,
    TaskExecuted,
    TaskLimits,
    TaskOptions,
    ThreadPoolExecutor,
)
from asyncz.plugins import BUILTIN_EXECUTORS, BUILTIN_TRIGGERS
from asyncz.triggers.options import IntervalOptions
from tests.helpers.language_server import (
    Document,
    LanguageServer,
    is_installed,
    language_server,
    parameter_labels,
    text_of,
)
from tests.helpers.public_api import MEMBERS, NAMES, documentation, texts_of_attributes

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("editor"), pytest.mark.slow]

PROGRAM = """\
from asyncz import AsyncIOScheduler, Executor, Retry, TaskExecuted, TaskLimits, ThreadPoolExecutor
from asyncz import create_executor, create_trigger


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
"""The program that the user has typed so far."""


class Editor:
    """Editor with a document of the user's program for each test."""

    def __init__(self, server: LanguageServer) -> None:
        self._server = server
        self._numbers = itertools.count()

    def typing(self, text: str) -> Document:
        """Open the user's program followed by a text."""
        return self._server.open(f"program{next(self._numbers)}.py", PROGRAM + text)


@pytest.fixture(scope="module")
async def editor(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Editor]:
    if not is_installed():
        pytest.skip("the language server comes with the extra `dev`, which is not installed")
    async with language_server(tmp_path_factory.mktemp("user")) as server:
        yield Editor(server)


@pytest.mark.parametrize(
    "call",
    [
        'measuring = scheduler.add_task(measure, "u", executor=',
        'fetching = scheduler.add_task(fetch, "u", 1, executor=',
        "@scheduler.task(executor=",
        'scheduler.call(measure, "u").add(executor=',
        'scheduler.call(fetch, "u", 1).add(executor=',
        "task.then_call(len).add(executor=",
        "task.modify(executor=",
        "scheduler.modify_task(task, executor=",
        "create_executor(",
        "scheduler.add_executor(",
        'AsyncIOScheduler(executors={"own": ',
    ],
)
@pytest.mark.parametrize("end", ["", '")'])
async def test_executor_aliases_completed(editor: Editor, call: str, end: str) -> None:
    offered = await editor.typing(f'{call}"{end}').completions(after=f'{call}"')
    assert {f'"{alias}"' for alias in BUILTIN_EXECUTORS} <= set(offered)


async def test_pool_options_completed(editor: Editor) -> None:
    call = 'scheduler.add_executor("processpool", alias="cpu", '
    assert set(ThreadPoolExecutor.__init__.__annotations__) - {"return"} <= {
        name.removesuffix("=") for name in await editor.typing(call).completions(after=call)
    }


async def test_trigger_aliases_and_options_completed(editor: Editor) -> None:
    offered = await editor.typing('create_trigger("').completions(after='create_trigger("')
    assert {f'"{alias}"' for alias in BUILTIN_TRIGGERS} <= set(offered)
    call = 'create_trigger("interval", '
    options = {name.removesuffix("=") for name in await editor.typing(call).completions(after=call)}
    assert {"weeks", "minutes", "start_at", "jitter"} <= options


async def test_call_shows_names_of_arguments_and_options(editor: Editor) -> None:
    (signature,) = await editor.typing("scheduler.call(fetch, ").signatures(after="scheduler.call(fetch, ")
    assert "url" in signature.label
    call = 'scheduler.call(fetch, "u", 1).add('
    options = {name.removesuffix("=") for name in await editor.typing(call).completions(after=call)}
    assert {"trigger", "executor", "timeout", "overlap", "paused"} <= options


@pytest.mark.parametrize(
    ("expression", "name"), [("task", "Task"), ("scheduler", "AsyncIOScheduler"), ("task.run()", "RunHandle")]
)
async def test_public_members_completed_first(editor: Editor, expression: str, name: str) -> None:
    text = f"\n{expression}."
    # The server also offers private members, at the end of the list.
    offered = [member for member in await editor.typing(text).completions(after=text) if not member.startswith("__")]
    public = [member for member in offered if not member.startswith("_")]
    assert set(public) == set(MEMBERS[name])
    assert offered[: len(public)] == public


async def test_public_names_completed_on_import(editor: Editor) -> None:
    text = "from asyncz import "
    offered = list(await editor.typing(text).completions(after=f"\n\n{text}"))
    modules = {path.stem for path in Path(asyncz.__file__).parent.iterdir() if path.suffix == ".py" or path.is_dir()}
    public = [name for name in offered if not name.startswith("_")]
    exported = {name for name in NAMES["asyncz"] if not name.startswith("_")}
    assert set(public) == exported | {name for name in modules if not name.startswith("_")}
    assert offered[: len(public)] == public


async def test_hover_shows_result_types(editor: Editor) -> None:
    program = editor.typing("")
    assert "result: bytes" in await program.hover("result", within="event.result")
    assert "page: bytes" in await program.hover("page", within="page = await")
    assert "duration: float" in await program.hover("duration", within="duration = await")
    assert "task: Task[bytes]" in await program.hover("task", within="\ntask = ")


@pytest.mark.parametrize(
    ("call", "options"),
    [
        ("task.modify(", TaskOptions),
        ("scheduler.task(", TaskOptions),
        ("TaskLimits(", TaskLimits),
        ("Retry(", Retry),
    ],
)
async def test_hover_shows_text_of_option(editor: Editor, call: str, options: type[object]) -> None:
    """Pyright shows the text of a keyword that is a field of a class or TypedDict.

    It shows none for a parameter of an overload or of `__init__`, whose docstring is elsewhere.
    """
    await expect_texts_on_hover(editor, call, options)


@pytest.mark.parametrize(
    ("call", "options"),
    [
        ('create_trigger("interval", ', IntervalOptions),
        ('create_executor("processpool", ', PoolOptions),
    ],
)
async def test_hover_shows_text_of_option_by_alias(tmp_path: Path, call: str, options: type[object]) -> None:
    """Ask a server that was asked nothing before: for these overloads, pyright's texts depend on earlier questions."""
    if not is_installed():
        pytest.skip("the language server comes with the extra `dev`, which is not installed")
    async with language_server(tmp_path) as server:
        await expect_texts_on_hover(Editor(server), call, options)


async def expect_texts_on_hover(editor: Editor, call: str, options: type[object]) -> None:
    texts = texts_of_attributes(options)
    # Pyright shows nothing for an argument that decides no overload.
    nones = ("start_at", "end_at", "timezone", "overwrite_wait")
    values = {"pool_kwargs": "{}", "cancel_futures": "True", **dict.fromkeys(nones, "None")}
    keywords = "".join(f"\n    {name}={values.get(name, '1')}," for name in texts)
    program = editor.typing(f"{call}{keywords}\n)")
    for name, text in texts.items():
        shown = as_written(await program.hover(name, within=f"\n    {name}="))
        assert text
        assert " ".join(shown.split()).endswith(text)


def as_written(shown: str) -> str:
    """Return the docstring behind a hover: Markdown escapes indentation, underscores and code."""
    lines: list[str] = []
    in_code = False
    for line in shown.splitlines():
        if line.startswith("```"):
            in_code = not in_code
        else:
            plain = line if in_code else re.sub(r"\\(\W|_)", r"\1", line.replace("&nbsp;", " "))
            lines.append(f"    {plain}" if in_code else plain.removesuffix("  "))
    return "\n".join(lines).strip()


async def test_signature_shows_parameters_and_docs(editor: Editor) -> None:
    call = "scheduler.add_task("
    expected = list(inspect.signature(get_overloads(AsyncIOScheduler.add_task)[0]).parameters)[1:]
    signatures = await editor.typing(call).signatures(after=f"\n\n{call}")
    for signature in signatures:
        shown = [label.partition(":")[0] for label in parameter_labels(signature)]
        # A call without arguments shows no parameters of the function.
        assert [name for name in shown if name.isidentifier()] == [name for name in expected if name != "args"]
    shown_text = text_of(signatures[0].documentation)
    for name in expected:
        assert f"\n    {name}: " in as_written(shown_text)


@pytest.mark.parametrize(
    ("name", "within", "definition"),
    [
        ("Executor", "executor: Executor", Executor),
        ("AsyncIOScheduler", "= AsyncIOScheduler", AsyncIOScheduler),
        ("TaskExecuted", "import AsyncIOScheduler, Executor, Retry, TaskExecuted", TaskExecuted),
        ("run", "await task.run", Task.run),
    ],
)
async def test_definition_found_through_lazy_exports(
    editor: Editor, name: str, within: str, definition: type[object] | FunctionType
) -> None:
    file, line = await editor.typing("").definition(name, within=within)
    assert file == Path(inspect.getfile(definition))
    assert re.match(rf"\s*(class|def) {name}\b", line)


async def test_hover_shows_docstring_as_written(editor: Editor) -> None:
    documented = documentation()
    program = editor.typing("import asyncz\n" + "".join(f"{name}\n" for name in documented))
    different: list[str] = []
    broken: list[str] = []
    for name, text in documented.items():
        hover = await program.hover(name.rpartition(".")[2], within=f"\n{name}\n")
        _, _, shown = hover.partition("\n---\n")
        # Markdown needs no indentation of the further lines of a list entry.
        if as_written(shown) != re.sub(r"^ {1,3}(?=\S)", "", text, flags=re.MULTILINE):
            different.append(name)
        # Only lists may be broken into lines: a line such as `reason: text` would be taken for an entry.
        lines = [line for line in shown.splitlines() if line.endswith("  ") and not line.startswith("&nbsp;")]
        broken += [f"{name}: {line}" for line in lines if not line.endswith(":  ")]
    assert (different, broken) == ([], [])


async def test_mistake_reported_on_its_line(editor: Editor) -> None:
    mistake = 'scheduler.add_task(fetch, "https://example.org", "many")'
    errors = await editor.typing(f"{mistake}\n").errors(with_one_at=mistake)
    assert set(errors) == {mistake}
    assert "int" in errors[mistake]


async def test_correct_program_has_no_errors(editor: Editor) -> None:
    # An error in the last line shows that the server has checked the whole program.
    last = "no_such_name"
    assert set(await editor.typing(f"{last}\n").errors(with_one_at=last)) == {last}
