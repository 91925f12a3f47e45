"""A client for a language server: what an editor asks when somebody types, with a deadline for every answer."""

from __future__ import annotations

import importlib.util
import itertools
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, ClassVar, Self
from urllib.parse import urlsplit
from urllib.request import url2pathname

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter
from typing_extensions import TypeVar

COMMAND = (str(Path(sys.executable).with_name("basedpyright-langserver")), "--stdio")
"""How the server of the extra `dev` is started."""


DEADLINE = 60.0
"""Seconds until a missing answer fails the test; the first one takes long, as the server reads the library."""


AnswerT = TypeVar("AnswerT")


class LanguageServerError(Exception):
    """The server answered with an error, ended, or did not answer in time."""


class _Sent(BaseModel):
    """A part of what the server sends: of its fields those that the tests look at."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="ignore")


class Position(_Sent):
    """A place in a document; both numbers count from 0."""

    line: int
    character: int


class Range(_Sent):
    """A part of a document."""

    start: Position
    end: Position


class Markup(_Sent):
    """A text as the editor shows it."""

    kind: str
    value: str


class Hover(_Sent):
    """What is shown over a name."""

    contents: Markup


class CompletionItem(_Sent):
    """One of the things that can be typed here; it is sent back as it came to learn more of it."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow")

    label: str
    documentation: Markup | None = None
    sort_text: str = Field(default="", alias="sortText")
    """Editors show the completions in the order of this text."""


class CompletionList(_Sent):
    """Everything that can be typed here."""

    items: list[CompletionItem]


class Parameter(_Sent):
    """A parameter of a signature."""

    label: str | tuple[int, int]


class Signature(_Sent):
    """One way to call a function."""

    label: str
    documentation: Markup | None = None
    parameters: list[Parameter] = []

    @property
    def parameter_labels(self) -> list[str]:
        """The text of each parameter."""
        labels = [parameter.label for parameter in self.parameters]
        return [label if isinstance(label, str) else self.label[label[0] : label[1]] for label in labels]


class SignatureHelp(_Sent):
    """The ways to call a function."""

    signatures: list[Signature]


class Location(_Sent):
    """A place in a file."""

    uri: str
    range: Range

    @property
    def file(self) -> Path:
        """The file."""
        return Path(url2pathname(urlsplit(self.uri).path))

    @property
    def line(self) -> str:
        """The text of its line."""
        return self.file.read_text().splitlines()[self.range.start.line]


class Diagnostic(_Sent):
    """What the server reports of a document without being asked."""

    range: Range
    severity: int
    message: str


class _ConfigurationItem(_Sent):
    section: str = ""


class _ConfigurationRequest(_Sent):
    items: list[_ConfigurationItem]


class _PublishedDiagnostics(_Sent):
    uri: str
    diagnostics: list[Diagnostic]


class _Message(_Sent):
    """A request, a notification or an answer, each with its own of these fields."""

    id: int | str | None = None
    method: str = ""
    params: JsonValue = None
    result: JsonValue = None
    error: JsonValue = None


class LanguageServer:
    """A language server that talks over its standard streams.

    Args:
        folder: The folder that the editor has open.
        command: How the server is started.
        deadline: How many seconds it has for each answer.
    """

    def __init__(self, folder: Path, *, command: Sequence[str] = COMMAND, deadline: float = DEADLINE) -> None:
        self._folder = folder
        self._deadline = deadline
        self._ids = itertools.count(1)
        self._answers: dict[int | str, _Message] = {}
        self._diagnostics: dict[str, list[Diagnostic]] = {}
        self._ended = ""
        self._news = threading.Condition()
        self._sending = threading.Lock()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=folder,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input: IO[bytes] = self._process.stdin
        self._output: IO[bytes] = self._process.stdout
        self._reader = threading.Thread(target=self._read_all, name="language-server-reader", daemon=True)

    @staticmethod
    def is_installed() -> bool:
        """Whether the extra that brings the server is installed."""
        return importlib.util.find_spec("basedpyright") is not None

    def __enter__(self) -> Self:
        self._reader.start()
        try:
            self._initialize()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.ask("shutdown", None, TypeAdapter(None))
            self._send({"method": "exit"})
            self._process.wait(self._deadline)
        finally:
            self._end()

    def _initialize(self) -> None:
        text_document: dict[str, JsonValue] = {
            "completion": {"completionItem": {"documentationFormat": ["markdown"]}},
            "hover": {"contentFormat": ["markdown"]},
            "signatureHelp": {"signatureInformation": {"documentationFormat": ["markdown"]}},
            "publishDiagnostics": {},
        }
        uri = self._folder.as_uri()
        self.ask(
            "initialize",
            {
                "processId": None,
                "rootUri": uri,
                "workspaceFolders": [{"uri": uri, "name": "user"}],
                "capabilities": {"workspace": {"configuration": True}, "textDocument": text_document},
            },
            TypeAdapter(dict[str, JsonValue]),
        )
        self._send({"method": "initialized", "params": {}})

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join(self._deadline)
        self._input.close()
        self._output.close()

    def open(self, name: str, text: str) -> Document:
        """Open a document, as if it were being typed: it needs not be on the disk."""
        uri = (self._folder / name).as_uri()
        document: JsonValue = {"uri": uri, "languageId": "python", "version": 1, "text": text}
        self._send({"method": "textDocument/didOpen", "params": {"textDocument": document}})
        return Document(self, uri, text)

    def ask(self, method: str, params: JsonValue, answer: TypeAdapter[AnswerT]) -> AnswerT:
        """Send a request, and wait for its answer.

        Raises:
            LanguageServerError: The answer is an error, or there was none in time.
        """
        number = next(self._ids)
        self._send({"id": number, "method": method, "params": params})
        with self._news:
            self._wait_for(lambda: number in self._answers, f"an answer to {method}")
            message = self._answers.pop(number)
        if message.error is not None:
            raise LanguageServerError(f"{method}: {message.error}")
        return answer.validate_python(message.result)

    def diagnostics(self, uri: str, complete: Callable[[list[Diagnostic]], bool]) -> list[Diagnostic]:
        """What was published of a document, waiting until that is complete: it may be published in parts."""
        with self._news:
            self._wait_for(lambda: complete(self._diagnostics.get(uri, [])), f"diagnostics of {uri}")
            return self._diagnostics[uri]

    def _wait_for(self, arrived: Callable[[], bool], what: str) -> None:
        if not self._news.wait_for(lambda: arrived() or self._ended, self._deadline):
            raise LanguageServerError(f"{what} did not come in {self._deadline:g} seconds")
        if not arrived():
            raise LanguageServerError(f"{what} did not come: {self._ended}")

    def _send(self, message: Mapping[str, JsonValue]) -> None:
        body = TypeAdapter(dict[str, JsonValue]).dump_json({"jsonrpc": "2.0", **message})
        with self._sending:
            self._input.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
            self._input.flush()

    def _read_all(self) -> None:
        reason = "the server ended"
        try:
            while (message := self._read()) is not None:
                self._take(message)
        except Exception as error:
            reason = f"what the server sent cannot be read: {error!r}"
        with self._news:
            self._ended = reason
            self._news.notify_all()

    def _read(self) -> _Message | None:
        length = 0
        while (header := self._output.readline()) not in {b"\r\n", b""}:
            name, _, value = header.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        return _Message.model_validate_json(self._output.read(length)) if header else None

    def _take(self, message: _Message) -> None:
        if message.method and message.id is not None:
            self._send({"id": message.id, "result": self._answer_to(message)})
            return
        with self._news:
            if message.method == "textDocument/publishDiagnostics":
                published = _PublishedDiagnostics.model_validate(message.params)
                self._diagnostics[published.uri] = published.diagnostics
            elif message.id is not None:
                self._answers[message.id] = message
            self._news.notify_all()

    def _answer_to(self, request: _Message) -> JsonValue:
        """What the server wants to know of the editor: its settings. The rest it is only told."""
        if request.method != "workspace/configuration":
            return None
        settings: dict[str, JsonValue] = {"python": {"pythonPath": sys.executable}}
        items = _ConfigurationRequest.model_validate(request.params).items
        return [settings.get(item.section) for item in items]


class Document:
    """A document that is open in the editor. Places are named by the text that stands there."""

    def __init__(self, server: LanguageServer, uri: str, text: str) -> None:
        self._server = server
        self._uri = uri
        self._text = text

    def completions(self, *, after: str) -> dict[str, CompletionItem]:
        """What can be typed after a text, by its label, in the order in which an editor shows it."""
        place = self._place(after, len(after))
        offered = self._server.ask("textDocument/completion", place, TypeAdapter(CompletionList))
        return {item.label: item for item in sorted(offered.items, key=lambda item: item.sort_text)}

    def documentation_of(self, item: CompletionItem) -> str:
        """What is shown beside a completion, once it is selected."""
        sent = TypeAdapter(dict[str, JsonValue]).validate_python(item.model_dump(exclude_unset=True, by_alias=True))
        resolved = self._server.ask("completionItem/resolve", sent, TypeAdapter(CompletionItem))
        return "" if resolved.documentation is None else resolved.documentation.value

    def hover(self, name: str, *, within: str) -> str:
        """What is shown over a name that stands within a text."""
        place = self._place(within, within.rindex(name))
        hover = self._server.ask("textDocument/hover", place, TypeAdapter(Hover | None))
        return "" if hover is None else hover.contents.value

    def signatures(self, *, after: str) -> list[Signature]:
        """The ways to call the function whose parenthesis was just opened."""
        place = self._place(after, len(after))
        answer = self._server.ask("textDocument/signatureHelp", place, TypeAdapter(SignatureHelp | None))
        return [] if answer is None else answer.signatures

    def definitions(self, name: str, *, within: str) -> list[Location]:
        """Where the name is defined that stands within a text."""
        place = self._place(within, within.rindex(name))
        return self._server.ask("textDocument/definition", place, TypeAdapter(list[Location]))

    def errors(self, *, with_one_at: str) -> dict[str, str]:
        """The errors that were published of it, each by the text of its line, once there is one at a certain line."""
        lines = self._text.splitlines()

        def by_line(diagnostics: list[Diagnostic]) -> dict[str, str]:
            return {lines[each.range.start.line]: each.message for each in diagnostics if each.severity == 1}

        return by_line(self._server.diagnostics(self._uri, lambda published: with_one_at in by_line(published)))

    def _place(self, text: str, offset: int) -> dict[str, JsonValue]:
        assert self._text.count(text) == 1, f"{text!r} does not stand in the document once"
        before = self._text[: self._text.index(text) + offset].split("\n")
        position: JsonValue = {"line": len(before) - 1, "character": len(before[-1])}
        return {"textDocument": {"uri": self._uri}, "position": position}
