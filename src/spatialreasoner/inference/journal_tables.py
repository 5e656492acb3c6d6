"""The tables of a journal, and how those of earlier versions get what they lack."""

from __future__ import annotations

import sqlite3
from pathlib import Path

_TABLES = """
CREATE TABLE IF NOT EXISTS replies (
    key TEXT PRIMARY KEY, policy TEXT NOT NULL, calls INTEGER NOT NULL, prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL, value TEXT NOT NULL, kind TEXT NOT NULL DEFAULT 'answer',
    cached_tokens INTEGER NOT NULL DEFAULT 0, round INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS questions (key TEXT PRIMARY KEY, value TEXT NOT NULL, round INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS attempts (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL, policy TEXT NOT NULL, tokens INTEGER NOT NULL, round INTEGER NOT NULL,
    open INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS grounds (name TEXT NOT NULL, part TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (name, part));
CREATE TABLE IF NOT EXISTS batches (
    token TEXT PRIMARY KEY, policy TEXT NOT NULL, file TEXT NOT NULL, batch TEXT NOT NULL, submitted REAL NOT NULL);
"""
_ZERO = "INTEGER NOT NULL DEFAULT 0"
_ADDED = {
    "replies": {"kind": "TEXT NOT NULL DEFAULT 'answer'", "cached_tokens": _ZERO, "round": _ZERO},
    "questions": {"round": _ZERO},
    "attempts": {"batch": "TEXT NOT NULL DEFAULT ''"},
}
"""Columns that journals of earlier versions lack."""


MAX_ROW = 64 * 2**20
"""Longest row, bytes: a question's holds its tree."""


def open_tables(path: Path) -> sqlite3.Connection:
    """Open a journal's file, made if there is none.

    Raises:
        sqlite3.Error: If it is not a journal, or cannot be opened.
    """
    connection = sqlite3.connect(path, check_same_thread=False, timeout=30)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_ROW)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.executescript(_TABLES)
        for table, columns in _ADDED.items():
            present = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
            for name, form in columns.items():
                if name not in present:
                    connection.execute(f"ALTER TABLE {table} ADD COLUMN {name} {form}")
        connection.execute("CREATE INDEX IF NOT EXISTS attempts_by_key ON attempts (round, key)")
        connection.commit()
    except sqlite3.Error:
        connection.close()
        raise
    return connection
