"""Encoding of arguments and results that are not JSON: the protocol, and signed pickles."""

from __future__ import annotations

import base64
import hashlib
import hmac
import pickle
import re
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from asyncz._checks import check_instance
from asyncz.exceptions import InvalidInputError

_SHORTEST_KEY = 16
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,30}", re.ASCII)
_ENCODED = re.compile(rf"({_NAME.pattern}):", re.ASCII)


@runtime_checkable
class Codec(Protocol):
    """Encoding of arguments and results, instead of JSON by the signature of the function.

    Stored values carry the name of the codec. Values of another codec are not decoded: their tasks are kept, and do
    not run. JSON is always read. The methods are called in threads of the scheduler, and may raise.

    Example:
        >>> class Encrypted:
        ...     name = "encrypted"
        ...     def encode(self, value: object) -> str: ...
        ...     def decode(self, text: str) -> object: ...
        >>> options = StoreOptions(codec=Encrypted())
    """

    @property
    def name(self) -> str:
        """Name of the codec: lower-case letters, digits, `-` and `_`."""
        ...

    def encode(self, value: object, /) -> str:
        """Return a value as text. If equal values give equal texts, an unchanged declaration writes nothing."""
        ...

    def decode(self, text: str, /) -> object:
        """Return the value of a text that `encode` has returned."""
        ...


class PickleCodec:
    """Codec for values that are not JSON: pickles with a signature (HMAC-SHA-256).

    A pickle can execute any code, so that only pickles with the signature of the key are loaded. Whoever has the key
    can execute code in every node: keep it as secret as a password, and out of the database.

    Args:
        key: Secret key, at least 16 bytes, the same in all programs that share the store.

    Raises:
        InvalidInputError: The key is not bytes, or too short.

    Example:
        >>> options = StoreOptions(codec=PickleCodec(os.environb[b"ASYNCZ_KEY"]))
    """

    name: str = "pickle"

    def __init__(self, key: bytes) -> None:
        check_instance("key", key, bytes)
        if len(key) < _SHORTEST_KEY:
            raise InvalidInputError("key", "the given bytes", f"a key has at least {_SHORTEST_KEY} bytes")
        self._key = key

    def encode(self, value: object, /) -> str:
        """Return a value as a signed pickle."""
        pickled = pickle.dumps(value)
        return base64.b64encode(self._signature(pickled) + pickled).decode("ascii")

    def decode(self, text: str, /) -> object:
        """Return the value of a pickle with the signature of the key.

        Raises:
            ValueError: The signature is another one; nothing was loaded.
        """
        signed = base64.b64decode(text, validate=True)
        signature, pickled = signed[:32], signed[32:]
        if not hmac.compare_digest(signature, self._signature(pickled)):
            message = "the stored pickle has no valid signature: it was changed, or signed with another key"
            raise ValueError(message)
        load: Callable[[bytes], object] = pickle.loads
        return load(pickled)

    def _signature(self, pickled: bytes) -> bytes:
        return hmac.digest(self._key, pickled, hashlib.sha256)


def as_codec(codec: object) -> Codec:
    """Return an object as a codec.

    Raises:
        InvalidInputError: It lacks a method, or its name cannot be used.
    """
    if isinstance(codec, type) or not isinstance(codec, Codec):
        raise InvalidInputError("codec", repr(codec), "pass an object with the members of asyncz.stores.Codec")
    if not _NAME.fullmatch(codec.name):
        raise InvalidInputError("the name of the codec", repr(codec.name), "use lower-case letters, digits, - and _")
    return codec


def codec_of_result(text: str) -> str | None:
    """Return the name of the codec that has encoded a stored result; None if it is JSON."""
    found = _ENCODED.match(text)
    return None if found is None else found[1]


def check_codec(codec: object) -> None:
    """Check that an object is a codec, or None.

    Raises:
        InvalidInputError: It lacks a method, or its name cannot be used.
    """
    if codec is not None:
        _ = as_codec(codec)
