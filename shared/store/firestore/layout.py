"""How a document is laid out: a map `doc` of `made_by`, `rev` and `body`, and `expires` where it has that.

`made_by` is the attempt that created it, `rev` that of the last change since: a write that changes nothing
would keep Firestore's update time, and two writers who read the same version would both succeed. Of the map
nothing is indexed but what a declared query looks at (`deploy/indexes.py`): an exemption covers all of a map,
and a database has 200 of them.
"""

from shared.store.paths import escaped, unescaped

HELD = "doc"
MADE_BY = "made_by"
REVISION = "rev"
BODY = "body"
EXPIRES = "expires"
NESTED = "json"
"""A list or a map in a body is a map with this one field, its JSON: Firestore refuses lists in lists, empty
names and more than 20 levels, and it sorts maps after all that a query looks for."""

EXPIRING = {
    "assertions": "expires_at",
    "authorization_codes": "expires_at",
    "challenges": "expires_at",
    "device_codes": "expires_at",
    "idempotency": "expires_at",
    "links": "expires_at",
    "revocations": "expires_at",
}
"""By collection, the field of the body after whose time Firestore deletes a document, usually within a day.

Until then it is read like any other: code that cares compares the time itself. The field holds a `stamp`.
"""

_EMPTY = "%"
"""Stands for the empty name; in an escaped name two digits follow each `%`."""


def stored_name(name: str) -> str:
    """A top-level name of a body as Firestore accepts it: three times as long at most."""
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
