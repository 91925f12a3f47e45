"""Parsing, which needs a processor: plain functions that worker processes can import."""

from __future__ import annotations

from tests.examples.ingest.models import Document, Page


def parse(page: Page) -> list[Document]:
    """Split a page into documents: entries are separated by empty lines.

    Raises:
        UnicodeDecodeError: The page is not UTF-8.
    """
    entries = [entry.strip() for entry in page.body.decode().split("\n\n")]
    return [Document(page.feed, entry.splitlines()[0], len(entry.split())) for entry in entries if entry]


def checksum(page: Page) -> bytes:
    """Return four bytes that change with the page."""
    return sum(page.body).to_bytes(4, "big")
