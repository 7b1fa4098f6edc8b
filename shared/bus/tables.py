"""The tables of the local bus and their statements. Call each function inside a transaction."""

import json
import logging
import sqlite3
from datetime import UTC, datetime, timedelta

import msgspec

from shared.bus import Message
from shared.bus.dead_letters import dead_letter
from shared.ids import new_id

PROJECT = "local"

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
    """CREATE TABLE IF NOT EXISTS dead_letter_policies(
         subscription TEXT PRIMARY KEY, topic TEXT NOT NULL) WITHOUT ROWID""",
)
"""Times are microseconds since 1970. `due`: when it may be leased; while `lease` is set, when that ends."""

_FORGET = """
DELETE FROM messages WHERE id = ?1
  AND NOT EXISTS (SELECT 1 FROM deliveries WHERE message = ?1)
"""
_LEASE = """
UPDATE deliveries SET attempts = attempts + 1, due = ?, lease = ? WHERE id IN
  (SELECT id FROM deliveries WHERE subscription = ? AND due <= ? ORDER BY due, id LIMIT ?)
"""
_LEASED = """
SELECT d.id, d.lease, d.subscription, d.attempts, m.id, m.topic, m.data, m.attributes, m.published_at
FROM deliveries d JOIN messages m ON m.id = d.message WHERE d.subscription = ? AND d.lease = ? ORDER BY d.id
"""
_DYING = """
SELECT d.subscription, d.attempts, m.id, m.data, m.attributes, m.published_at, p.topic
FROM deliveries d JOIN messages m ON m.id = d.message JOIN dead_letter_policies p USING (subscription)
WHERE d.id = ?
"""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_log = logging.getLogger(__name__)


class Leased(msgspec.Struct, frozen=True):
    """A delivery that is leased until its lease expires. `attempt` counts from 1."""

    id: int
    lease: str
    subscription: str
    topic: str
    message_id: str
    message: Message
    published_at: datetime
    attempt: int


def micros(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


def subscribe(db: sqlite3.Connection, topic: str, subscription: str, dead_letter_topic: str) -> None:
    db.execute("INSERT OR IGNORE INTO subscriptions VALUES (?, ?)", (subscription, topic))
    if topic_of(db, subscription) != topic:
        raise ValueError(f"{subscription!r} is a subscription to another topic")
    if dead_letter_topic:
        policy = (subscription, dead_letter_topic)
        db.execute("INSERT OR REPLACE INTO dead_letter_policies VALUES (?, ?)", policy)


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
    """The ids and leases of deliveries whose lease has expired."""
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


def release(db: sqlite3.Connection, delivery: int, lease: str, now: int) -> None:
    db.execute(
        "UPDATE deliveries SET attempts = attempts - 1, due = ?, lease = NULL WHERE id = ? AND lease = ?",
        (now, delivery, lease),
    )


def attempts(db: sqlite3.Connection, delivery: int, lease: str) -> int | None:
    """The number of attempts; None if `lease` is not the current one."""
    found = db.execute("SELECT attempts FROM deliveries WHERE id = ? AND lease = ?", (delivery, lease))
    row = found.fetchone()
    return None if row is None else int(row[0])


def postpone(db: sqlite3.Connection, delivery: int, due: int) -> None:
    db.execute("UPDATE deliveries SET due = ?, lease = NULL WHERE id = ?", (due, delivery))


def forward(db: sqlite3.Connection, delivery: int, now: int) -> bool:
    """Replaces a delivery by a dead letter. False if its subscription has no dead-letter topic."""
    row = db.execute(_DYING, (delivery,)).fetchone()
    if row is None:
        return False
    subscription, attempts, number, data, attributes, published_at, topic = row
    letter = dead_letter(
        Message(data, json.loads(attributes)),
        subscription=subscription,
        project=PROJECT,
        published_at=_time(published_at),
        attempts=attempts,
    )
    publish(db, topic, (letter,), now)
    db.execute("DELETE FROM deliveries WHERE id = ?", (delivery,))
    db.execute(_FORGET, (number,))
    _log.error("dead letter: message %s of %s after %d attempts", number, subscription, attempts)
    return True


def pending(db: sqlite3.Connection, subscription: str) -> int:
    topic_of(db, subscription)
    found = db.execute("SELECT count(*) FROM deliveries WHERE subscription = ?", (subscription,))
    return int(found.fetchone()[0])


def _time(count: int) -> datetime:
    return _EPOCH + count * _MICROSECOND
