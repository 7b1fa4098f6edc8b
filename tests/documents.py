"""A store for tests of readers: documents in a dict, reads counted, outages on demand."""

from collections.abc import Mapping

import msgspec

from shared.errors import Unavailable
from shared.store import Doc, Key, Page, Query, Store, Version, Write
from shared.store.bodies import to_body


class Documents(Store):
    """Reads are recorded by path; `down` makes each of them fail. A reader that writes fails its test."""

    def __init__(self) -> None:
        self.values: dict[str, msgspec.Struct] = {}
        self.reads: list[str] = []
        self.down = False

    def put(self, key: Key, value: msgspec.Struct) -> None:
        self.values[key.path] = value

    async def read(self, *keys: Key) -> list[Doc | None]:
        self.reads.extend(key.path for key in keys)
        if self.down:
            raise Unavailable("store_unavailable", "The store did not answer. Try again.")
        found = [(key, self.values.get(key.path)) for key in keys]
        return [Doc(key, to_body(value), "1") if value is not None else None for key, value in found]

    async def run(
        self,
        query: Query,
        collection: str,
        equal: Mapping[str, str | int | bool],
        since: str | int | None,
        until: str | int | None,
        limit: int,
        cursor: str | None,
    ) -> Page:
        """Newest first, as revocations are asked for; a cursor is a number of documents."""
        self.reads.append(collection)
        if self.down:
            raise Unavailable("store_unavailable", "The store did not answer. Try again.")
        assert query.order is not None
        assert query.descending
        docs = [
            Doc(Key(path), to_body(value), "1")
            for path, value in self.values.items()
            if path.rpartition("/")[0] == collection
        ]
        order = query.order
        docs = [doc for doc in docs if since is None or doc.body[order] >= since]
        docs.sort(key=lambda doc: str(doc.body[order]), reverse=True)
        start = int(cursor or 0)
        rest = len(docs) > start + limit
        return Page(docs[start : start + limit], str(start + limit) if rest else None)

    async def commit(self, *writes: Write) -> list[Version | None]:
        raise AssertionError(f"a reader writes {writes}")

    async def close(self) -> None:
        pass
