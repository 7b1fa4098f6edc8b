"""Documents, what can be written to them, and what a store can say to that."""

from typing import Any

import msgspec

from shared.store.paths import unescaped

Version = str
"""Opaque; a new one for each write of a document."""

Body = dict[str, Any]
"""JSON without floats: str, bool, None, 64-bit int, list and dict with string keys.

Its own names have at most `MAX_NAME_BYTES`, a string that a declared query looks at `MAX_COMPARED_BYTES`.
"""

MAX_DOCUMENT_BYTES = 1_000_000
MAX_NAME_BYTES = 400
"""Of a top-level name in a body, in UTF-8."""
MAX_COMPARED_BYTES = 1_499
"""Of a string that a query compares with something, in UTF-8."""
MAX_WRITES = 2_000
MAX_COMMIT_BYTES = 9_000_000


class StoreError(Exception):
    """The family of what a store can say."""


class Stale(StoreError):
    """A document is not at the version the write was made for (or is gone): read again, decide again."""


class AlreadyExists(StoreError):
    """A `Create` met a document that somebody else made. `key` is that document's."""

    def __init__(self, key: "Key") -> None:
        super().__init__(key.path)
        self.key = key


class Unknown(StoreError):
    """Raised inside of adapters only: nobody knows whether the commit happened."""


class DocumentTooLarge(StoreError):
    """A body over `MAX_DOCUMENT_BYTES`, or a commit over `MAX_WRITES` or `MAX_COMMIT_BYTES`.

    An `Update` or `Add` that lets a document grow beyond it is refused at 1 MiB at the latest.
    """


class OutOfRange(StoreError):
    """An `Add` would leave 64 bits; `Store.commit` says when the commit stands for all that."""


class Key(msgspec.Struct, frozen=True, gc=False):
    """Where a document lives. Made by a `Scope` only; `path` has its ids escaped."""

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
    """Fails with `AlreadyExists` where a document stands."""

    key: Key
    body: Body


class Replace(msgspec.Struct, frozen=True, gc=False):
    """The whole body anew, if the document is at `if_version`."""

    key: Key
    body: Body
    if_version: Version


class Update(msgspec.Struct, frozen=True, gc=False):
    """Sets the named top-level fields and keeps the others, if the document is at `if_version`."""

    key: Key
    fields: Body
    if_version: Version


class Delete(msgspec.Struct, frozen=True, gc=False):
    """With a version: only that one. Without: whatever stands there, and nothing is fine too."""

    key: Key
    if_version: Version | None = None


class Add(msgspec.Struct, frozen=True, gc=False):
    """Adds to top-level integers, sets `fields`, makes the document if need be.

    What is absent or no integer counts as 0. No field is both added to and set. An amount that would leave
    64 bits is `OutOfRange`, which see.
    """

    key: Key
    amounts: dict[str, int]
    fields: Body = msgspec.field(default_factory=dict)


class Check(msgspec.Struct, frozen=True, gc=False):
    """Writes nothing; the commit fails with `Stale` unless the document is at `if_version`."""

    key: Key
    if_version: Version


Write = Create | Replace | Update | Delete | Add | Check
