"""The local bus's tables and what is done to them; each function is called inside one transaction."""

import json
import logging
import sqlite3
from datetime import UTC, datetime, timedelta

import msgspec

from shared.bus import Message
from shared.ids import new_id

MAX_ATTEMPTS = 5

SCHEMA = (
    "CREATE TABLE IF NOT EXISTS subscriptions(name TEXT PRIMARY KEY, topic TEXT NOT NULL) WITHOUT ROWID",
    """CREATE TABLE IF NOT EXISTS messages(
         id INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL, data BLOB NOT NULL,
         attributes TEXT NOT NULL, published_at INTEGER NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS deliveries(
         id INTEGER PRIMARY KEY AUTOINCREMENT, subscription TEXT NOT NULL, message INTEGER NOT NULL,
         due INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, lease TEXT)""",
    "CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries(subscription, due)",
    "CREATE INDEX IF NOT EXISTS deliveries_message ON deliveries(message)",
    """CREATE TABLE IF NOT EXISTS dead_letters(
         id INTEGER PRIMARY KEY AUTOINCREMENT, subscription TEXT NOT NULL, message INTEGER NOT NULL,
         attempts INTEGER NOT NULL, last_status TEXT NOT NULL, died_at INTEGER NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS dead_letters_message ON dead_letters(message)",
)
"""Times are microseconds since 1970. `due`: when it may be leased; while `lease` is set, when that ends."""

_FORGET = """
DELETE FROM messages WHERE id = ?1
  AND NOT EXISTS (SELECT 1 FROM deliveries WHERE message = ?1)
  AND NOT EXISTS (SELECT 1 FROM dead_letters WHERE message = ?1)
"""
_LEASE = """
UPDATE deliveries SET attempts = attempts + 1, due = ?, lease = ? WHERE id IN
  (SELECT id FROM deliveries WHERE subscription = ? AND due <= ? ORDER BY due, id LIMIT ?)
"""
_LEASED = """
SELECT d.id, d.lease, d.subscription, d.attempts, m.id, m.topic, m.data, m.attributes, m.published_at
FROM deliveries d JOIN messages m ON m.id = d.message WHERE d.subscription = ? AND d.lease = ? ORDER BY d.id
"""
_DEAD = """
SELECT d.id, d.subscription, d.attempts, d.last_status, d.died_at,
       m.id, m.topic, m.data, m.attributes, m.published_at
FROM dead_letters d JOIN messages m ON m.id = d.message ORDER BY d.id
"""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_log = logging.getLogger(__name__)


class Leased(msgspec.Struct, frozen=True):
    """One delivery, its holder's until the lease ends. `attempt` counts from 1."""

    id: int
    lease: str
    subscription: str
    topic: str
    message_id: str
    message: Message
    published_at: datetime
    attempt: int


class DeadLetter(msgspec.Struct, frozen=True):
    """A message that one subscription gave up on."""

    id: int
    subscription: str
    topic: str
    message_id: str
    message: Message
    published_at: datetime
    attempts: int
    last_status: str
    died_at: datetime


def micros(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


def subscribe(db: sqlite3.Connection, topic: str, subscription: str) -> None:
    db.execute("INSERT OR IGNORE INTO subscriptions VALUES (?, ?)", (subscription, topic))
    if topic_of(db, subscription) != topic:
        raise ValueError(f"{subscription!r} is a subscription to another topic")


def topic_of(db: sqlite3.Connection, subscription: str) -> str:
    row = db.execute("SELECT topic FROM subscriptions WHERE name = ?", (subscription,)).fetchone()
    if row is None:
        raise ValueError(f"{subscription!r} is no subscription")
    return str(row[0])


def publish(db: sqlite3.Connection, topic: str, messages: tuple[Message, ...], now: int) -> None:
    names = db.execute("SELECT name FROM subscriptions WHERE topic = ?", (topic,)).fetchall()
    for message in messages if names else ():
        row = (topic, message.data, json.dumps(message.attributes), now)
        number = db.execute(
            "INSERT INTO messages(topic, data, attributes, published_at) VALUES (?, ?, ?, ?)", row
        ).lastrowid
        db.executemany(
            "INSERT INTO deliveries(subscription, message, due) VALUES (?, ?, ?)",
            [(name, number, now) for (name,) in names],
        )


def next_due(db: sqlite3.Connection, subscription: str) -> int | None:
    topic_of(db, subscription)
    found = db.execute("SELECT min(due) FROM deliveries WHERE subscription = ?", (subscription,)).fetchone()
    return None if found[0] is None else int(found[0])


def expired(db: sqlite3.Connection, subscription: str, now: int) -> list[tuple[int, str]]:
    """Deliveries whose lease ran out, with that lease."""
    return db.execute(
        "SELECT id, lease FROM deliveries WHERE subscription = ? AND due <= ? AND lease IS NOT NULL",
        (subscription, now),
    ).fetchall()


def lease(db: sqlite3.Connection, subscription: str, limit: int, now: int, until: int) -> list[Leased]:
    name = new_id("lse")
    db.execute(_LEASE, (until, name, subscription, now, limit))
    return [
        Leased(
            id=row[0],
            lease=row[1],
            subscription=row[2],
            attempt=row[3],
            message_id=str(row[4]),
            topic=row[5],
            message=Message(row[6], json.loads(row[7])),
            published_at=_time(row[8]),
        )
        for row in db.execute(_LEASED, (subscription, name))
    ]


def ack(db: sqlite3.Connection, delivery: int, lease: str) -> bool:
    gone = db.execute(
        "DELETE FROM deliveries WHERE id = ? AND lease = ? RETURNING message", (delivery, lease)
    )
    row = gone.fetchone()
    if row is not None:
        db.execute(_FORGET, row)
    return row is not None


def attempts(db: sqlite3.Connection, delivery: int, lease: str) -> int | None:
    """How often it was tried; None where the lease is not the present one."""
    found = db.execute("SELECT attempts FROM deliveries WHERE id = ? AND lease = ?", (delivery, lease))
    row = found.fetchone()
    return None if row is None else int(row[0])


def postpone(db: sqlite3.Connection, delivery: int, due: int) -> None:
    db.execute("UPDATE deliveries SET due = ?, lease = NULL WHERE id = ?", (due, delivery))


def bury(db: sqlite3.Connection, delivery: int, status: str, now: int) -> None:
    """Moves a delivery to the dead letters."""
    row = db.execute(
        "DELETE FROM deliveries WHERE id = ? RETURNING subscription, message, attempts", (delivery,)
    ).fetchone()
    db.execute(
        "INSERT INTO dead_letters(subscription, message, attempts, last_status, died_at)"
        " VALUES (?, ?, ?, ?, ?)",
        (*row, status, now),
    )
    _log.error("dead letter: message %s of %s after %d attempts, last %s", row[1], row[0], row[2], status)


def pending(db: sqlite3.Connection, subscription: str) -> int:
    topic_of(db, subscription)
    found = db.execute("SELECT count(*) FROM deliveries WHERE subscription = ?", (subscription,))
    return int(found.fetchone()[0])


def dead_letters(db: sqlite3.Connection) -> list[DeadLetter]:
    return [
        DeadLetter(
            id=row[0],
            subscription=row[1],
            attempts=row[2],
            last_status=row[3],
            died_at=_time(row[4]),
            message_id=str(row[5]),
            topic=row[6],
            message=Message(row[7], json.loads(row[8])),
            published_at=_time(row[9]),
        )
        for row in db.execute(_DEAD)
    ]


def redeliver(db: sqlite3.Connection, dead_letter: int, now: int) -> bool:
    row = db.execute(
        "DELETE FROM dead_letters WHERE id = ? RETURNING subscription, message", (dead_letter,)
    ).fetchone()
    if row is not None:
        db.execute("INSERT INTO deliveries(subscription, message, due) VALUES (?, ?, ?)", (*row, now))
    return row is not None


def _time(count: int) -> datetime:
    return _EPOCH + count * _MICROSECOND
