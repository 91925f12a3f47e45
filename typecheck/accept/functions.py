"""What a user might schedule: callables of every kind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from typing_extensions import TypeVar

ItemT = TypeVar("ItemT")


async def fetch(url: str) -> bytes:
    return url.encode()


async def fetch_pages(url: str, pages: int = 1, *, retries: int = 3) -> list[bytes]:
    return [await fetch(url)] * pages * retries


def size(path: str, depth: int = 1) -> int:
    return len(path) * depth


def total(*values: float) -> float:
    return sum(values)


def words(text: str) -> list[str]:
    return text.split()


def clean(folder: str, *, older_than: float = 60) -> None: ...


def future_of(number: int) -> asyncio.Future[str]:
    raise NotImplementedError


def awaitable_of(number: int) -> Awaitable[str]:
    raise NotImplementedError


def same(item: ItemT) -> ItemT:
    return item


async def same_later(item: ItemT) -> ItemT:
    return item


def maybe(path: str) -> int | None:
    return len(path) or None


class Pinger:
    """A callable object, whose methods are callables as well."""

    def __init__(self, host: str) -> None:
        self.host: str = host

    async def __call__(self, times: int) -> float:
        return float(times)

    def once(self, timeout: float) -> bool:
        return timeout > 0

    async def later(self, delay: float) -> complex:
        return complex(delay)

    @classmethod
    def localhost(cls, port: int) -> Pinger:
        return cls(f"localhost:{port}")

    @staticmethod
    def parse(text: str) -> tuple[str, int]:
        return text, 0
