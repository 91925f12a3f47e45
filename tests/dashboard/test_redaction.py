"""Redaction of texts that may contain secrets."""

from __future__ import annotations

import re
from functools import partial

import pytest
from hypothesis import given, strategies as st
from typing_extensions import override

from asyncz.dashboard._redaction import HIDDEN, Redact, RedactedKind, Redactor, redact_secrets
from asyncz.dashboard.states import Argument

SECRET = "hunter-2-very-secret"


def connect(host: str, password: str, *, api_key: str = "", port: int = 1) -> None: ...


def test_arguments_have_names_of_parameters() -> None:
    redactor = Redactor(lambda _kind, _name, text: text)
    found = redactor.arguments(partial(partial(connect, "db", "p"), port=3))
    assert [(each.name, each.value) for each in found] == [("host", "'db'"), ("password", "'p'"), ("port", "3")]


def test_arguments_that_look_secret_are_hidden() -> None:
    found = Redactor(redact_secrets).arguments(partial(connect, "db", SECRET, api_key=SECRET))
    assert SECRET not in f"{found}"
    assert found == (
        Argument(name="host", value="'db'"),
        Argument(name="password", value=HIDDEN),
        Argument(name="api_key", value=HIDDEN),
    )


def test_arguments_without_names_are_hidden() -> None:
    """A dashboard of a store does not know the names of positional arguments."""
    assert redact_secrets("argument", "2", f"'{SECRET}'") == HIDDEN
    assert redact_secrets("argument", "host2", "'db'") == "'db'"


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://app:{SECRET}@db/jobs",
        f"postgresql://app:a/{SECRET}@db/jobs",
        f"postgresql://app:{SECRET}@x@db/jobs",
        f"redis://:{SECRET}@db",
        f"smb://app@corp:{SECRET}@db",
        f"postgresql://app:{SECRET}…",
        f"'request:\\nsig={SECRET}'",
        f"OperationalError: password={SECRET} rejected",
        f"{{'token': '{SECRET}', 'n': 1}}",
        f'{{"api_key": "{SECRET}"}}',
        f'{{\\"token\\": \\"{SECRET}\\", \\"n\\": 1}}',
        f"headers: Authorization: {SECRET}",
        f"Authorization: Bearer {SECRET}",
        f"authorization: Basic {SECRET}==",
        f"Authorization: Digest username=app, response={SECRET}",
        f"{{'Authorization': 'Bearer {SECRET}'}}",
        f"[(b'authorization', b'Bearer {SECRET}')]",
        f"token=Token {SECRET}",
        f"password=b'{SECRET}'",
        f"password=['x', '{SECRET}']",
        f"password=[\n    '{SECRET}']",
        f"credentials: {{'user': 'app', 'key': '{SECRET}'}}",
        f"token = Secret(value='{SECRET}')",
        f"token=<Secret {SECRET}>",
        f"AWS_SECRET_ACCESS_KEY={SECRET}/a+b",
        f"SECRET_KEY='{SECRET}'",
        f"X-Api-Key: {SECRET}",
        f"private_key={SECRET}",
        f"passphrase={SECRET}",
        f"pwd={SECRET};x=1",
        f"https://example.org/a?sig={SECRET}&x=1",
        f"X-Amz-Signature={SECRET}",
        f"password='it\\'s {SECRET}'",
        f'password="a\\"{SECRET}"',
        f"password='{SECRET}",
        f'password="{SECRET}',
        f"password='''a'{SECRET}'''",
        f"password=ab'{SECRET}",
        f"connect(password=a,{SECRET})",
        f"password: str = '{SECRET}'",
        f"password => '{SECRET}'",
        f"['mysql', '--password', '{SECRET}']",
    ],
)
def test_secret_in_text_is_hidden(text: str) -> None:
    shown = redact_secrets("error", "task", text)
    assert SECRET not in shown
    assert HIDDEN in shown


@pytest.mark.parametrize(
    "text",
    [
        "ValueError: tokens are long",
        "https://example.org:8080/a",
        "http://example.org:80…",
        "n=1, m=2",
        "design=3, signal=15",
        "cwd=/home",
    ],
)
def test_text_without_secret_stays(text: str) -> None:
    assert redact_secrets("error", "task", text) == text


@pytest.mark.parametrize(
    "part", ["://a:", "a", "-", "token", "token=)", "token,'", "'token'=\\", "token='''", "password:a ", "a=", "\\"]
)
def test_redaction_of_long_text_ends(part: str) -> None:
    """The time grows with the length: with its square, this takes minutes."""
    redact_secrets("error", "task", part * 100_000)


@pytest.mark.parametrize("kind", ["argument", "result", "error", "log"])
def test_text_is_redacted_before_it_is_cut(kind: RedactedKind) -> None:
    redactor = Redactor(redact_secrets)
    length = {"argument": 300, "result": 300, "error": 1000, "log": 2000}[kind]
    for filling in range(length - 30, length + 5):
        text = f"{'x' * filling} db://app:{SECRET}@db/jobs"
        for shown in (redactor(kind, "task", text), redactor.value(kind, "task", text)):
            assert SECRET[:3] not in shown
            assert len(shown) <= length


class Request:
    @override
    def __repr__(self) -> str:
        return f"Request:\nsig={SECRET}"


def words_hidden(kind: str, name: str, text: str) -> str:
    return re.sub(r"\b(sig|card)=\S+", r"\1=***", text)


@pytest.mark.parametrize("redact", [redact_secrets, words_hidden])
def test_secret_behind_line_break_is_hidden(redact: Redact) -> None:
    """Escape sequences are made after the redaction: their letters would join the name of the secret."""
    redactor = Redactor(redact)
    for kind in ("argument", "result", "error", "log", "progress"):
        for shown in (redactor(kind, "task", f"a\nsig={SECRET}"), redactor.value(kind, "task", Request())):
            assert SECRET not in shown
            assert "\\nsig=" in shown
            assert shown.isprintable()
    assert redactor("traceback", "task", "a\nb") == "a\nb"
    assert SECRET not in f"{redactor.arguments(partial(dict, host=Request()))}"


@pytest.mark.parametrize("kind", ["argument", "result", "error", "log"])
def test_escaped_text_has_its_maximum_length(kind: RedactedKind) -> None:
    shown = Redactor(words_hidden)(kind, "task", "\n" * 5000)
    assert shown.isprintable()
    assert len(shown) == {"argument": 300, "result": 300, "error": 1000, "log": 2000}[kind]


@given(st.text())
def test_redaction_never_fails(text: str) -> None:
    redact_secrets("error", "task", text)


def test_text_is_hidden_if_redaction_raises() -> None:
    def redact(_kind: str, _name: str, _text: str) -> str:
        raise ValueError("wrong")

    assert Redactor(redact)("error", "task", SECRET) == HIDDEN


class Hostile:
    @override
    def __repr__(self) -> str:
        raise KeyError(SECRET)


def test_value_without_repr_is_described() -> None:
    shown = Redactor(redact_secrets).value("result", "task", Hostile())
    assert "Hostile" in shown
    assert SECRET not in shown
