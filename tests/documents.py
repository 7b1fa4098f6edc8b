"""A store for tests of readers: documents in a dict, reads counted, outages on demand."""

from collections.abc import Mapping

import msgspec

from shared.errors import Unavailable
from shared.store import Doc, Key, Page, Query, Store, Version, Write
from shared.store.bodies import to_body


class Documents(Store):
    """Only reads. `down` makes each of them fail."""

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
        raise NotImplementedError

    async def commit(self, *writes: Write) -> list[Version | None]:
        raise NotImplementedError

    async def close(self) -> None:
        pass
