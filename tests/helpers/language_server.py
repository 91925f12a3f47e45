"""Client of a language server: the questions of an editor, with a deadline for each answer."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from lsprotocol import types
from pytest_lsp import LanguageClient, make_test_lsp_client

from tests.helpers.generics import ResultT
from tests.helpers.waiting import until

SERVERS = {
    "basedpyright": ("basedpyright-langserver", "--stdio"),
    "ty": ("ty", "server"),
    "pyrefly": ("pyrefly", "lsp"),
}
"""Commands of the language servers of the extra `dev`, by their package."""

DEADLINE = 100.0
"""Maximum seconds for an answer; the first answer takes long, as the server reads the library."""


def is_installed(server: str = "basedpyright") -> bool:
    """Return True if the extra with the language server is installed."""
    return importlib.util.find_spec(server) is not None


async def answer(request: Awaitable[ResultT]) -> ResultT:
    """Wait for an answer until the deadline."""
    async with asyncio.timeout(DEADLINE):
        return await request


def text_of(content: object) -> str:
    """Return the text of a documentation or of a hover."""
    match content:
        case types.MarkupContent(value=value):
            return value
        case str():
            return content
        case _:
            return ""


class Document:
    """Document that is open in the editor. Positions are given by the text at that place."""

    def __init__(self, client: LanguageClient, uri: str, text: str) -> None:
        self._client = client
        self._uri = uri
        self._text = text

    async def completions(self, *, after: str) -> dict[str, types.CompletionItem]:
        """Return the completions after a text by label, in the order in which an editor shows them."""
        document, position = self._place(after, len(after))
        offered = await answer(self._client.text_document_completion_async(types.CompletionParams(document, position)))
        items: Sequence[types.CompletionItem] = (
            offered.items if isinstance(offered, types.CompletionList) else offered or []
        )
        return {item.label: item for item in sorted(items, key=lambda item: item.sort_text or "")}

    async def hover(self, name: str, *, within: str) -> str:
        """Return the hover of a name within a text."""
        document, position = self._place(within, within.rindex(name))
        hover = await answer(self._client.text_document_hover_async(types.HoverParams(document, position)))
        return "" if hover is None else text_of(hover.contents)

    async def signatures(self, *, after: str) -> Sequence[types.SignatureInformation]:
        """Return the signatures of the function whose parenthesis was just opened."""
        document, position = self._place(after, len(after))
        found = await answer(
            self._client.text_document_signature_help_async(types.SignatureHelpParams(document, position))
        )
        return [] if found is None else found.signatures

    async def definition(self, name: str, *, within: str) -> tuple[Path, str]:
        """Return the file and the line of the only definition of a name within a text."""
        document, position = self._place(within, within.rindex(name))
        found = await answer(self._client.text_document_definition_async(types.DefinitionParams(document, position)))
        assert isinstance(found, Sequence)
        (location,) = found
        assert isinstance(location, types.Location)
        file = Path(url2pathname(urlsplit(location.uri).path))
        text = await asyncio.to_thread(file.read_text)
        return file, text.splitlines()[location.range.start.line]

    async def errors(self, *, with_one_at: str) -> dict[str, str]:
        """Return the published errors by the text of their line, as soon as there is one at a given line."""
        lines = self._text.splitlines()

        def found() -> dict[str, str]:
            return {
                lines[each.range.start.line]: text_of(each.message)
                for each in self._client.diagnostics.get(self._uri, ())
                if each.severity == types.DiagnosticSeverity.Error
            }

        await until(lambda: with_one_at in found())
        return found()

    def _place(self, text: str, offset: int) -> tuple[types.TextDocumentIdentifier, types.Position]:
        assert self._text.count(text) == 1, f"{text!r} is not in the document exactly once"
        before = self._text[: self._text.index(text) + offset].split("\n")
        return types.TextDocumentIdentifier(self._uri), types.Position(len(before) - 1, len(before[-1]))


class LanguageServer:
    """Running language server with a folder open in the editor."""

    def __init__(self, client: LanguageClient, folder: Path) -> None:
        self._client = client
        self._folder = folder

    def open(self, name: str, text: str) -> Document:
        """Open a document that needs not be on the disk."""
        uri = (self._folder / name).as_uri()
        item = types.TextDocumentItem(uri, types.LanguageKind.Python, 1, text)
        self._client.text_document_did_open(types.DidOpenTextDocumentParams(item))
        return Document(self._client, uri, text)


def parameter_labels(signature: types.SignatureInformation) -> list[str]:
    """Return the text of each parameter."""
    labels = [parameter.label for parameter in signature.parameters or ()]
    return [label if isinstance(label, str) else signature.label[label[0] : label[1]] for label in labels]


def _ignore_notebooks(client: LanguageClient) -> None:
    """Ignore the notebooks that a server supports: lsprotocol 2025.0.0 cannot read these capabilities."""
    for filters in (types.NotebookDocumentFilterWithNotebook, types.NotebookDocumentFilterWithCells):
        client.protocol._converter.register_structure_hook(filters, lambda *_: None)


@asynccontextmanager
async def language_server(folder: Path, server: str = "basedpyright") -> AsyncIterator[LanguageServer]:
    """Start a language server, and shut it down at the end."""
    client = make_test_lsp_client()
    _ignore_notebooks(client)
    client.set_configuration({"python": {"pythonPath": sys.executable}})
    # The interpreter for ty and pyrefly: the first one that is found in a virtual environment above the folder.
    program, *options = SERVERS[server]
    environment = {**os.environ, "VIRTUAL_ENV": sys.prefix}
    command = str(Path(sys.executable).with_name(program))
    await client.start_io(command, *options, cwd=folder, env=environment)
    markdown = [types.MarkupKind.Markdown]
    capabilities = types.ClientCapabilities(
        workspace=types.WorkspaceClientCapabilities(configuration=True),
        text_document=types.TextDocumentClientCapabilities(
            completion=types.CompletionClientCapabilities(
                completion_item=types.ClientCompletionItemOptions(documentation_format=markdown)
            ),
            hover=types.HoverClientCapabilities(content_format=markdown),
            signature_help=types.SignatureHelpClientCapabilities(
                signature_information=types.ClientSignatureInformationOptions(documentation_format=markdown)
            ),
            publish_diagnostics=types.PublishDiagnosticsClientCapabilities(),
        ),
    )
    uri = folder.as_uri()
    parameters = types.InitializeParams(
        capabilities, root_uri=uri, workspace_folders=[types.WorkspaceFolder(uri, "user")]
    )
    try:
        await answer(client.initialize_session(parameters))
        yield LanguageServer(client, folder)
        await answer(client.shutdown_session())
    finally:
        await answer(client.stop())  # type: ignore[no-untyped-call]  # pytest-lsp has no types here
