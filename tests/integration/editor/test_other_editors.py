"""Completion and hover in the language servers of ty and pyrefly, and in jedi."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import NamedTuple, Protocol

import pytest

from asyncz import AsyncIOScheduler, BoundCall, DownstreamCall, Retry, Task, TaskLimits, TaskOptions
from asyncz.plugins import BUILTIN_EXECUTORS, BUILTIN_TRIGGERS
from asyncz.triggers.options import IntervalOptions
from tests.helpers.language_server import is_installed, language_server
from tests.helpers.public_api import texts_of_arguments, texts_of_attributes
from tests.integration.editor.test_editor import PROGRAM, Editor

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("other_editors"), pytest.mark.slow]

KEYS = texts_of_attributes(TaskOptions)
"""Options that many functions have as `**options: Unpack[TaskOptions]`, with their texts."""


class Call(NamedTuple):
    """Beginning of a call in the user's program.

    Attributes:
        code: The code up to the first option.
        texts: Options with the texts of the docstring.
        keys: Options with the texts of a TypedDict.
    """

    code: str
    texts: Mapping[str, str]
    keys: Mapping[str, str]


CALLS = [
    Call('scheduler.call(fetch, "u", 1).add(', texts_of_arguments(BoundCall.add), {}),
    Call('scheduler.add_task(fetch, "u", 1, ', texts_of_arguments(AsyncIOScheduler.add_task), {}),
    Call("task.then_call(len).add(", texts_of_arguments(DownstreamCall.add), {}),
    Call("task.modify(", texts_of_arguments(Task.modify), KEYS),
    Call("scheduler.task(", texts_of_arguments(AsyncIOScheduler.task), KEYS),
    Call('create_trigger("interval", ', {}, texts_of_attributes(IntervalOptions)),
]
CONSTRUCTORS = [
    Call("TaskLimits(", texts_of_arguments(TaskLimits), {}),
    Call("Retry(", texts_of_arguments(Retry), {}),
]


@pytest.fixture(scope="module")
async def ty(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Editor]:
    if not is_installed("ty"):
        pytest.skip("ty comes with the extra `dev`, which is not installed")
    async with language_server(tmp_path_factory.mktemp("ty"), "ty") as server:
        yield Editor(server)


@pytest.fixture(scope="module")
async def pyrefly(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Editor]:
    if not is_installed("pyrefly"):
        pytest.skip("pyrefly comes with the extra `dev`, which is not installed")
    async with language_server(tmp_path_factory.mktemp("pyrefly"), "pyrefly") as server:
        yield Editor(server)


async def missing_completions(editor: Editor, call: Call) -> set[str]:
    """Return the options that an editor does not offer after the beginning of a call."""
    offered = await editor.typing(call.code).completions(after=f"\n\n{call.code}")
    return {name for name in [*call.texts, *call.keys] if f"{name}=" not in offered}


async def missing_texts(editor: Editor, call: Call) -> set[str]:
    """Return the options whose hover does not show the first words of their text."""
    texts = {**call.texts, **call.keys}
    keywords = "".join(f"\n    {name}=anything," for name in texts)
    program = editor.typing(f"from typing import Any, cast\nanything = cast(Any, None)\n{call.code}{keywords}\n)")
    shown = {name: await program.hover(name, within=f"\n    {name}=") for name in texts}
    return {name for name, text in texts.items() if " ".join(text.split()[:4]) not in shown[name]}


@pytest.mark.parametrize("call", [*CALLS, *CONSTRUCTORS])
async def test_ty_completes_and_explains_options(ty: Editor, call: Call) -> None:
    """ty explains no parameter of `__init__` of an ordinary class: it ignores the docstring of the class."""
    assert await missing_completions(ty, call) == set()
    assert await missing_texts(ty, call) == set()


@pytest.mark.parametrize("call", [*CALLS, *CONSTRUCTORS])
async def test_pyrefly_completes_and_explains_options(pyrefly: Editor, call: Call) -> None:
    """Pyrefly 1.5 explains no key of an unpacked TypedDict."""
    assert await missing_completions(pyrefly, call) == set()
    assert await missing_texts(pyrefly, call) == set(call.keys)


@pytest.mark.parametrize(
    ("code", "aliases"),
    [
        ('scheduler.call(fetch, "u", 1).add(executor="', BUILTIN_EXECUTORS),
        ('scheduler.call(measure, "u").add(executor="', BUILTIN_EXECUTORS),
        ('task.then_call(len).add(executor="', BUILTIN_EXECUTORS),
        ('scheduler.add_task(fetch, "u", 1, executor="', BUILTIN_EXECUTORS),
        ('scheduler.add_task(measure, "u", executor="', BUILTIN_EXECUTORS),
        ('scheduler.task(executor="', BUILTIN_EXECUTORS),
        ('scheduler.map(len, ["u"], executor="', BUILTIN_EXECUTORS),
        ('task.then(len, executor="', BUILTIN_EXECUTORS),
        ('task.modify(executor="', BUILTIN_EXECUTORS),
        ('scheduler.modify_task(task, executor="', BUILTIN_EXECUTORS),
        ('create_executor("', BUILTIN_EXECUTORS),
        ('create_trigger("', BUILTIN_TRIGGERS),
    ],
)
async def test_pyrefly_completes_aliases(pyrefly: Editor, code: str, aliases: Sequence[str]) -> None:
    """Pyrefly offers no literal of `Literal["pool"] | str`, but keeps those beside `OtherAlias`."""
    assert {f"'{alias}'" for alias in aliases} <= set(await pyrefly.typing(f'{code}")').completions(after=code))


async def test_ty_completes_aliases_of_overloads(ty: Editor) -> None:
    """ty offers the literals of a parameter that has no other type: not those of `executor`."""
    for code, aliases in {'create_executor("': BUILTIN_EXECUTORS, 'create_trigger("': BUILTIN_TRIGGERS}.items():
        assert set(aliases) <= set(await ty.typing(f'{code}")').completions(after=code))


class Named(Protocol):
    """Completion, parameter or value of jedi."""

    @property
    def name(self) -> str:
        """The name."""
        ...


class Signature(Protocol):
    """Signature in jedi."""

    params: Sequence[Named]

    def docstring(self) -> str:
        """Return the docstring of the function."""
        ...


class Script(Protocol):
    """Program in jedi, which has no types."""

    def complete(self, line: int, column: int) -> Sequence[Named]:
        """Return the completions."""
        ...

    def get_signatures(self, line: int, column: int) -> Sequence[Signature]:
        """Return the signatures of the call at a place."""
        ...

    def infer(self, line: int, column: int) -> Sequence[Named]:
        """Return the values of a name."""
        ...


def in_jedi(code: str) -> tuple[Script, int, int]:
    """Return the user's program with code at the end, and the place of the end."""
    if importlib.util.find_spec("jedi") is None:
        pytest.skip("jedi comes with the extra `dev`, which is not installed")
    jedi = importlib.import_module("jedi")

    text = PROGRAM + code
    script: Script = jedi.Script(text)
    return script, text.count("\n") + 1, len(text.splitlines()[-1])


@pytest.mark.parametrize("call", [*CALLS[:3], *CONSTRUCTORS])
def test_jedi_completes_and_shows_options(call: Call) -> None:
    """Jedi 0.20 knows no keys of an unpacked TypedDict, and completes no literals, so no aliases.

    It shows the whole docstring of a function or class, with the entry of each option.
    """
    script, *end = in_jedi(call.code)
    signatures = script.get_signatures(*end)
    assert signatures
    for signature in signatures[:1]:
        names = [parameter.name for parameter in signature.params]
        assert [name for name in names if name.startswith("_")] == []
        assert set(call.texts) <= {*names, "args"}
        for name, text in call.texts.items():
            assert f"{name}: {' '.join(text.split()[:4])}" in " ".join(signature.docstring().split())


@pytest.mark.parametrize("call", [CALLS[0], CALLS[2], *CONSTRUCTORS])
def test_jedi_completes_keywords(call: Call) -> None:
    """Jedi offers no keywords behind positional arguments (`add_task`)."""
    script, *end = in_jedi(call.code)
    offered = {completion.name for completion in script.complete(*end)}
    assert {f"{name}=" for name in call.texts} <= offered
    assert [name for name in offered if name.startswith("_") and name.endswith("=")] == []


@pytest.mark.parametrize(
    ("expression", "name"),
    [
        ("task", "Task"),
        ('scheduler.call(fetch, "u", 1).add()', "Task"),
        ("task.run()", "RunHandle"),
        ('create_trigger("interval")', "Trigger"),
        ("page", ""),
    ],
)
def test_jedi_knows_classes_of_values(expression: str, name: str) -> None:
    """Jedi knows neither literal overloads nor TypeVarTuple, so it does not know results."""
    script, line, _ = in_jedi(f"value = {expression}\nvalue")
    assert [value.name for value in script.infer(line, 2)][:1] == [name] * bool(name)
