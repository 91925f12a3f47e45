"""Redaction of texts that may contain secrets."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given, strategies as st
from typing_extensions import override

from asyncz.dashboard._redaction import HIDDEN, Redactor, redact_secrets
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


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://app:{SECRET}@db/jobs",
        f"OperationalError: password={SECRET} rejected",
        f"{{'token': '{SECRET}', 'n': 1}}",
        f'{{"api_key": "{SECRET}"}}',
        f"headers: Authorization: {SECRET}",
    ],
)
def test_secret_in_text_is_hidden(text: str) -> None:
    shown = redact_secrets("error", "task", text)
    assert SECRET not in shown
    assert HIDDEN in shown


@pytest.mark.parametrize("text", ["ValueError: tokens are long", "https://example.org:8080/a@b", "n=1, m=2"])
def test_text_without_secret_stays(text: str) -> None:
    assert redact_secrets("error", "task", text) == text


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
