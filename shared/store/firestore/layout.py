"""How a document is laid out: `made_by`, `rev`, `body`, and `expires` where its collection has an expiry.

`made_by` is the attempt that created it, `rev` that of the last change since: a write that changes nothing
would keep Firestore's update time, and two writers who read the same version would both succeed. Only
`body.<field>` of declared queries is indexed (`deploy/indexes.py`), so a body costs no index entries.
"""

from shared.store.paths import escaped, unescaped

MADE_BY = "made_by"
REVISION = "rev"
BODY = "body"
EXPIRES = "expires"
NESTED = "json"
"""A list or a map in a body is a map with this one field, its JSON: Firestore refuses lists in lists, empty
names and more than 20 levels, and it sorts maps after all that a query looks for."""

EXPIRING = {"idempotency": "expires_at"}
"""By collection, the field of the body after whose time Firestore deletes a document, usually within a day.

Until then it is read like any other: code that cares compares the time itself. The field holds a `stamp`.
"""

MAX_INDEXED_BYTES = 1_500
"""Firestore cuts what it indexes there."""

_MAX_PATH_BYTES = 1_500
_EMPTY = "%"
"""Stands for the empty name; in an escaped name two digits follow each `%`."""


def stored_name(name: str) -> str:
    """A top-level name of a body as Firestore accepts it. Raises ValueError for one that is too long."""
    if _is_plain(name):
        return name
    return escaped(name) if name else _EMPTY


def shown_name(stored: str) -> str:
    if "%" not in stored:
        return stored
    return "" if stored == _EMPTY else unescaped(stored)


def body_path(name: str) -> str:
    """The field path of a top-level field of the body, for masks, transforms, queries and indexes."""
    if _is_plain(name):
        return f"{BODY}.{name}"
    quoted = stored_name(name).replace("\\", "\\\\").replace("`", "\\`")
    path = f"{BODY}.`{quoted}`"
    if len(path.encode()) > _MAX_PATH_BYTES:
        raise ValueError("a field name is too long")
    return path


def _is_plain(name: str) -> bool:
    return name.isidentifier() and name.isascii() and len(name) < 1000 and not name.startswith("__")
