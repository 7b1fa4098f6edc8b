"""How a document is laid out: a map `doc` of `made_by`, `rev` and `body`, and `expires` where it has that.

`made_by` is the attempt that created the document, `rev` the attempt that last changed it: without `rev`, a
write that changes nothing would keep Firestore's update time, and two writers who read the same version would
both succeed. Only the fields that declared queries use are indexed (`deploy/indexes.py`). A database has 200
index exemptions, and one exemption covers a whole map.
"""

from shared.store.paths import escaped, unescaped

HELD = "doc"
MADE_BY = "made_by"
REVISION = "rev"
BODY = "body"
EXPIRES = "expires"
NESTED = "json"
"""A list or map in a body is stored as a map with this one field, its JSON: Firestore refuses nested lists,
empty names and more than 20 levels, and sorts maps after every value that a query looks for."""

EXPIRING = {
    "assertions": "expires_at",
    "authorization_codes": "expires_at",
    "challenges": "expires_at",
    "device_codes": "expires_at",
    "idempotency": "expires_at",
    "links": "expires_at",
    "revocations": "expires_at",
}
"""By collection, the field that holds a document's expiry, a `stamp`. Firestore deletes an expired document
within about a day. Until then it is read like any other, so callers must compare the time themselves.
"""

_EMPTY = "%"
"""Stands for the empty name; in an escaped name two digits follow each `%`."""


def stored_name(name: str) -> str:
    """A top-level name of a body, escaped for Firestore; at most three times as long."""
    if _is_plain(name):
        return name
    return escaped(name) if name else _EMPTY


def shown_name(stored: str) -> str:
    if "%" not in stored:
        return stored
    return "" if stored == _EMPTY else unescaped(stored)


def path(field: str) -> str:
    """The field path of `MADE_BY`, `REVISION` or `BODY`."""
    return f"{HELD}.{field}"


def body_path(name: str) -> str:
    """The field path of a top-level field of the body, for masks, transforms, queries and indexes."""
    if _is_plain(name):
        return f"{HELD}.{BODY}.{name}"
    quoted = stored_name(name).replace("\\", "\\\\").replace("`", "\\`")
    return f"{HELD}.{BODY}.`{quoted}`"


def _is_plain(name: str) -> bool:
    return name.isidentifier() and name.isascii() and not name.startswith("__")
