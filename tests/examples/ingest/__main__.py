"""Program that fetches three feeds once and prints new entries: `python -m tests.examples.ingest [FOLDER]`."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path

from asyncz import AsyncIOScheduler
from tests.examples.ingest.fetching import FetchError, fetch
from tests.examples.ingest.models import Feed, Stored
from tests.examples.ingest.service import Ingest
from tests.examples.ingest.storage import Repository

CONFIG = Path(__file__).with_name("ingest.toml")

FEEDS = (
    Feed("weather", "https://example.org/weather", "high"),
    Feed("tides", "https://example.org/tides"),
    Feed("broken", "https://example.org/broken"),
)

SITE: Mapping[str, bytes] = {
    "https://example.org/weather": b"Sun\nno clouds\n\nRain\nin the north",
    "https://example.org/tides": b"High water at 12:30",
}


class Site:
    """A transport that answers from a mapping.

    Args:
        pages: Bodies by address.
    """

    def __init__(self, pages: Mapping[str, bytes]) -> None:
        self._pages = pages

    async def get(self, url: str, /) -> bytes:
        """Return the body of an address.

        Raises:
            FetchError: The address is not known.
        """
        await asyncio.sleep(0)
        if url not in self._pages:
            raise FetchError(f"{url} does not answer")
        return self._pages[url]


async def ingest_once(folder: Path) -> list[Stored]:
    """Fetch every feed once, and return the stored entries."""
    scheduler = AsyncIOScheduler.from_config(CONFIG)
    with closing(Repository(folder / "documents.db")) as repository:
        ingest = Ingest(scheduler, Site(SITE), repository)
        for feed in FEEDS:
            ingest.add_feed(feed)
        async with scheduler:
            for feed in FEEDS:
                with suppress(FetchError):
                    await scheduler.tasks_of(fetch).get(f"{feed.name}-fetch").run()
        for problem in ingest.problems:
            print(problem)
        return ingest.stored


def main() -> None:
    """Run the program."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(temporary)
        for stored in sorted(asyncio.run(ingest_once(folder)), key=lambda each: each.feed):
            print(f"{stored.feed}: {stored.new} new")


if __name__ == "__main__":
    main()
