"""Connections of users to the database of a store."""

from __future__ import annotations

import sqlite3

import psycopg


def connect(url: str) -> sqlite3.Connection | psycopg.Connection[object]:
    if url.startswith("sqlite"):
        return sqlite3.connect(url.removeprefix("sqlite:///"), timeout=5)
    return psycopg.Connection[object].connect(url)
