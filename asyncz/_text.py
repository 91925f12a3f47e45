"""Safe texts of values and exceptions from user code."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType

DEFAULT_LENGTH = 500


def shortened(text: str, length: int = DEFAULT_LENGTH) -> str:
    """Return a text of a maximum length: longer ones end with an ellipsis."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def quoted(text: str, length: int = DEFAULT_LENGTH) -> str:
    """Return a text in quotes for a message, with escape sequences in the place of characters as in `printable`.

    `repr` escapes the same characters. The `repr` of a printable text would escape the backslashes again.
    """
    return repr(shortened(text, length))


def printable(text: str, length: int = DEFAULT_LENGTH) -> str:
    r"""Return a text in one line that a terminal, a log file and a UTF-8 encoder accept.

    Control characters (ESC, C1, DEL, line breaks), characters that change the text direction and lone surrogates
    become escape sequences such as `\x1b` and `\u202e`.

    Args:
        text: The text; it may contain anything.
        length: The maximum number of characters; longer texts end with an ellipsis.
    """
    text = shortened(text, length)
    if text.isprintable():
        return text
    escaped = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
    return shortened(escaped, length)


def encodable(text: str) -> str:
    """Return a text without lone surrogates, which UTF-8 cannot encode; a different one for each text.

    Lone surrogates, and the character U+FFFD itself, become U+FFFD with the number of the character.
    """
    if text.isascii():
        return text
    return "".join(
        f"\ufffd{ord(each):04x}" if "\ud800" <= each <= "\udfff" or each == "\ufffd" else each for each in text
    )


def escape_surrogates(text: str) -> str:
    r"""Return a text that UTF-8 and JSON can contain: lone surrogates become escape sequences such as `\udc80`."""
    return text.encode("utf-8", "backslashreplace").decode()


# The attributes themselves: a subclass or a metaclass may define a property of this name that raises.
_name_of_class = vars(type)["__name__"]
_traceback_of = vars(BaseException)["__traceback__"]


def type_name(value: object) -> str:
    """Return the name of the class of an object without calling code of that class or of its metaclass."""
    name: str = _name_of_class.__get__(type(value))
    return name


def traceback_of(error: BaseException) -> TracebackType | None:
    """Return the traceback of an exception without calling code of its class."""
    found: TracebackType | None = _traceback_of.__get__(error)
    return found


def message_of(error: BaseException) -> str:
    """Return the message of an exception, or a substitute if its `__str__` raises."""
    try:
        # Not an instance of a subclass, whose length and format are user code again.
        return str.__str__(str(error))
    except BaseException as failure:
        return f"<str() raised {type_name(failure)}>"


def raw_exception_text(error: BaseException, length: int = DEFAULT_LENGTH) -> str:
    """Return the class and the message of an exception, with all characters: for texts that are redacted first.

    A `__str__` that raises does not matter: the text says so instead.
    """
    name, message = type_name(error), message_of(error)
    return shortened(f"{name}: {message}" if message else name, length)


def exception_text(error: BaseException, length: int = DEFAULT_LENGTH) -> str:
    """Return the class and the message of an exception as a printable text.

    A `__str__` that raises does not matter: the text says so instead.
    """
    return printable(raw_exception_text(error, length), length)


def raw_value_text(value: object, length: int = DEFAULT_LENGTH) -> str:
    """Return the `repr` of a value, with all characters, even if its `__repr__` raises: for texts to redact first."""
    import reprlib

    of_value = reprlib.Repr()
    of_value.maxstring = of_value.maxother = length
    try:
        return shortened(str.__str__(of_value.repr(value)), length)
    except BaseException as failure:
        return f"<{type_name(value)}: repr() raised {type_name(failure)}>"


def value_text(value: object, length: int = DEFAULT_LENGTH) -> str:
    """Return the `repr` of a value as a printable text of bounded length, even if its `__repr__` raises."""
    return printable(raw_value_text(value, length), length)


def without_secrets(text: str) -> str:
    """Return a text without the rest of a URL after its scheme, and without the values of settings of passwords.

    A URL with a mistake cannot be taken apart reliably: all that follows may belong to its password.
    """
    import re

    text = re.sub(r"(?s)://.*", "://...", text)
    return re.sub(r"(?is)(pass(?:word|wd|file)?\s*=).*", r"\1...", text)


def class_name(cls: type[object]) -> str:
    """Return the qualified name of a class, the same in a process and in the worker processes that it starts.

    If the metaclass raises, it is the plain name.
    """
    name: str
    try:
        # The main module has another name in worker processes.
        module = "__main__" if cls.__module__ == "__mp_main__" else cls.__module__
        name = f"{module}.{cls.__qualname__}"
    except BaseException:
        name = _name_of_class.__get__(cls)
    return name


def closest(wrong: str, known: Iterable[str]) -> str:
    """Return the known name that is most similar to a wrong one; empty if none is similar."""
    import difflib

    return next(iter(difflib.get_close_matches(wrong, list(known), n=1)), "")


def did_you_mean(name: str, known: tuple[str, ...]) -> str:
    """Return a question that names the most similar known name; empty if there is none."""
    similar = closest(name, known)
    return f"did you mean {similar!r}? " if similar else ""


def pickling_advice(failure: str) -> str:
    """Return an advice for a function that cannot be pickled; empty if the text of the failure names another cause."""
    if not any(sign in failure for sign in ("<lambda>", "<locals>", "module '__main__'")):
        return ""
    return (
        "; define it at the top level of a module that workers can import, or use"
        " FuturesExecutor(pool, dumps=cloudpickle.dumps)"
    )


def toml_key(name: str) -> str:
    """Return a key in TOML notation, quoted if it needs quotes."""
    if name and all(each.isalnum() or each in "_-" for each in name):
        return name
    import json

    return json.dumps(name, ensure_ascii=False)
