"""The stand-in's state in SQLite: objects, answers under idempotency keys, and webhooks still to deliver.

Each request is one transaction, so that what a process leaves behind when it is killed is whole.
"""

import contextlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

Object = dict[str, Any]
"""An object of Stripe's API as it is in JSON."""

_TABLES = """
CREATE TABLE IF NOT EXISTS objects (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS objects_of_kind ON objects (kind, position);
CREATE INDEX IF NOT EXISTS objects_of_invoice ON objects (kind, json_extract(body, '$.invoice'));
CREATE INDEX IF NOT EXISTS objects_of_customer ON objects (kind, json_extract(body, '$.customer'));
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, endpoint TEXT NOT NULL, parameters TEXT NOT NULL, request_id TEXT NOT NULL,
    status INTEGER NOT NULL, body BLOB NOT NULL, at INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL, attempts INTEGER NOT NULL, due REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS numbers (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""


class Storage:
    """One connection, used by one thread. Objects are copies: a change is kept when it is `put`."""

    def __init__(self, file: Path | None = None) -> None:
        self.connection = sqlite3.connect(file or ":memory:", isolation_level=None, check_same_thread=False)
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("PRAGMA synchronous = NORMAL")
        self.connection.executescript(_TABLES)

    def close(self) -> None:
        self.connection.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All that the block writes, or nothing if it raises."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    @contextlib.contextmanager
    def undone_by(self, failure: type[Exception], *, but: type[Exception]) -> Iterator[None]:
        """A part of a transaction; what it writes is undone by a kind of exception, `but` for one of them."""
        self.connection.execute("SAVEPOINT part")
        try:
            yield
        except but:
            raise
        except failure:
            self.connection.execute("ROLLBACK TO part")
            raise
        finally:
            self.connection.execute("RELEASE part")

    def put(self, item: Object) -> None:
        """An object, new or changed; a changed one keeps its place in the order of creation."""
        self.connection.execute(
            "INSERT INTO objects (id, kind, body) VALUES (?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET body = excluded.body",
            (item["id"], item["object"], json.dumps(item)),
        )

    def get(self, object_id: str) -> Object | None:
        row = self.connection.execute("SELECT body FROM objects WHERE id = ?", (object_id,)).fetchone()
        return None if row is None else _object(row[0])

    def delete(self, object_id: str) -> None:
        self.connection.execute("DELETE FROM objects WHERE id = ?", (object_id,))

    def of_kind(self, kind: str, where: Mapping[str, str | int | None]) -> list[Object]:
        """All objects of a kind whose fields (JSON paths like `$.customer`) are as said, oldest first."""
        conditions = "".join(f" AND json_extract(body, '{path}') IS ?" for path in where)
        rows = self.connection.execute(
            f"SELECT body FROM objects WHERE kind = ?{conditions} ORDER BY position",  # noqa: S608
            (kind, *where.values()),
        )
        return [_object(row[0]) for row in rows]

    def number(self, name: str) -> int:
        """A number that is kept under a name, 0 at first."""
        row = self.connection.execute("SELECT value FROM numbers WHERE name = ?", (name,)).fetchone()
        return 0 if row is None else int(row[0])

    def set_number(self, name: str, value: int) -> None:
        self.connection.execute(
            "INSERT INTO numbers VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (name, value),
        )

    def clear(self) -> None:
        """Forgets everything."""
        with self.transaction():
            for table in ("objects", "answers", "deliveries", "numbers"):
                self.connection.execute(f"DELETE FROM {table}")  # noqa: S608


def _object(text: str) -> Object:
    found: Object = json.loads(text)
    return found
