"""Numbered SQL files of the package, in the order in which they are applied."""

from __future__ import annotations

import functools
from typing import Literal, NamedTuple, TypeAlias

FOREIGN_TABLES = "remove tables that were not made by asyncz, or use another database"
"""Advice if a migration fails."""

NO_TABLES = "run `asyncz store migrate`, or start a scheduler with this store"
"""Advice if a database lacks tables or columns."""

Dialect: TypeAlias = Literal["sqlite", "postgres"]
"""Folder of the migrations of a database."""


class Migration(NamedTuple):
    """One numbered SQL file.

    Attributes:
        number: Number of the file, from 1.
        name: Name of the file.
        sql: Statements, separated by semicolons.
    """

    number: int
    name: str
    sql: str


SCHEMA_TABLE = "CREATE TABLE IF NOT EXISTS asyncz_schema (number integer PRIMARY KEY)"
"""Statement for the table with the numbers of the applied migrations. The other tables of the database are a user's."""


def statements(migration: Migration) -> list[str]:
    """Return the statements of a migration, without comments, and the one that records it."""
    found, statement = list[str](), ""
    sql = "\n".join(line for line in migration.sql.splitlines() if not line.startswith("--"))
    for part in sql.split(";"):
        statement = f"{statement};{part}" if statement else part.strip()
        # A trigger contains statements.
        if not statement.startswith("CREATE TRIGGER") or part.strip() == "END":
            found.append(statement)
            statement = ""
    record = f"INSERT INTO asyncz_schema (number) VALUES ({migration.number})"  # noqa: S608  # a number
    return [*(each for each in found if each), record]


@functools.cache
def migrations(dialect: Dialect) -> tuple[Migration, ...]:
    """Return the migrations of a database, in order."""
    # Its import costs as much as that of the store.
    from importlib import resources

    folder = resources.files("asyncz.stores") / "migrations" / dialect
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return tuple(
        Migration(int(file.name.partition("_")[0]), file.name, file.read_text(encoding="utf-8")) for file in files
    )
