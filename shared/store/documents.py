"""Documents, the kinds of writes, and the errors of a store."""

from typing import Any

import msgspec

from shared.store.paths import unescaped

Version = str
"""Opaque; a new one for each write of a document."""

Body = dict[str, Any]
"""JSON without floats: str, bool, None, 64-bit int, list and dict with string keys.

A top-level name has at most `MAX_NAME_BYTES`; a string in a field of a declared query `MAX_COMPARED_BYTES`.
"""

MAX_DOCUMENT_BYTES = 1_000_000
MAX_NAME_BYTES = 400
"""Of a top-level name in a body, in UTF-8."""
MAX_COMPARED_BYTES = 1_499
"""Of a string that a query compares with something, in UTF-8."""
MAX_WRITES = 2_000
MAX_COMMIT_BYTES = 9_000_000


class StoreError(Exception):
    """The base of a store's errors."""


class Stale(StoreError):
    """A document is gone or has another version than the write was made for: read and decide again."""


class AlreadyExists(StoreError):
    """A `Create` found a document that somebody else has made. `key` is that document's."""

    def __init__(self, key: "Key") -> None:
        super().__init__(key.path)
        self.key = key


class Unknown(StoreError):
    """Raised inside of adapters only: it is unknown whether the commit happened."""


class DocumentTooLarge(StoreError):
    """A body is over `MAX_DOCUMENT_BYTES`, or a commit over `MAX_WRITES` or `MAX_COMMIT_BYTES`.

    A document that grows by `Update` or `Add` may exceed that limit a little; 1 MiB is refused in any case.
    """


class OutOfRange(StoreError):
    """An `Add` would leave 64 bits. `Store.commit` names the one case in which the commit is done anyway."""


class Key(msgspec.Struct, frozen=True, gc=False):
    """The path of a document, with escaped ids. Only a `Scope` makes keys."""

    path: str

    @property
    def collection(self) -> str:
        """The path of the collection, e.g. `tenants/tnt_1/users`."""
        return self.path.rpartition("/")[0]

    @property
    def kind(self) -> str:
        """The collection's own name, e.g. `users`."""
        return self.path.rsplit("/", 2)[-2]

    @property
    def id(self) -> str:
        """The document's own id, unescaped."""
        return unescaped(self.path.rpartition("/")[2])


class Doc(msgspec.Struct, frozen=True, gc=False):
    """A document as it was read."""

    key: Key
    body: Body
    version: Version


class Create(msgspec.Struct, frozen=True, gc=False):
    """Makes a document. Fails with `AlreadyExists` if there is one."""

    key: Key
    body: Body


class Replace(msgspec.Struct, frozen=True, gc=False):
    """Replaces the whole body, if the document is at `if_version`."""

    key: Key
    body: Body
    if_version: Version


class Update(msgspec.Struct, frozen=True, gc=False):
    """Sets the named top-level fields and keeps the others, if the document is at `if_version`."""

    key: Key
    fields: Body
    if_version: Version


class Delete(msgspec.Struct, frozen=True, gc=False):
    """Deletes the document if it is at `if_version`; without one, whatever is there, if anything."""

    key: Key
    if_version: Version | None = None


class Add(msgspec.Struct, frozen=True, gc=False):
    """Adds `amounts` to top-level integers and sets `fields`; makes the document if there is none.

    A field that is absent or no integer counts as 0. No field is both added to and set. A sum beyond 64 bits
    raises `OutOfRange`.
    """

    key: Key
    amounts: dict[str, int]
    fields: Body = msgspec.field(default_factory=dict)


class Check(msgspec.Struct, frozen=True, gc=False):
    """Writes nothing: the commit fails with `Stale` unless the document is at `if_version`."""

    key: Key
    if_version: Version


Write = Create | Replace | Update | Delete | Add | Check
