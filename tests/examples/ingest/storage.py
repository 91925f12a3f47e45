"""A repository over sqlite3, whose blocking calls run in threads."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.examples.ingest.models import Document, Stored


class Repository:
    """Documents in an SQLite file. May be used from any thread.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, check_same_thread=False)
        with self._connection:
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS documents (feed TEXT, title TEXT, words INTEGER, UNIQUE (feed, title))"
            )

    def store(self, documents: Sequence[Document]) -> Stored:
        """Write the documents that are not stored yet."""
        rows = [(each.feed, each.title, each.words) for each in documents]
        with self._lock, self._connection:
            before = self._connection.total_changes
            self._connection.executemany("INSERT OR IGNORE INTO documents VALUES (?, ?, ?)", rows)
            new = self._connection.total_changes - before
        return Stored(documents[0].feed if documents else "", new, datetime.now(UTC))

    def count(self, feed: str) -> int:
        """Return the number of stored documents of a feed."""
        query = "SELECT title FROM documents WHERE feed = ?"
        with self._lock:
            return len(self._connection.execute(query, (feed,)).fetchall())

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()
