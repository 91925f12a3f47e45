"""Values that are passed between the steps."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

import attrs

Priority: TypeAlias = Literal["low", "high"]


@attrs.frozen
class Feed:
    """A source of documents.

    Attributes:
        name: A unique name, also the prefix of the ids of its tasks.
        url: The address that is fetched.
        priority: `high` feeds are fetched more often.
    """

    name: str
    url: str
    priority: Priority = "low"


@attrs.frozen
class Page:
    """The body of a feed as it was fetched."""

    feed: str
    body: bytes


@attrs.frozen
class Document:
    """One entry of a feed.

    Attributes:
        feed: The name of the feed.
        title: The first line of the entry.
        words: Number of words.
    """

    feed: str
    title: str
    words: int


@attrs.frozen
class Stored:
    """Result of a write: how many documents were new, and when they were written (UTC)."""

    feed: str
    new: int
    at: datetime
