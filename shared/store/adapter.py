"""What all implementations of the store port share: checks before a commit, and resolving lost replies."""

import asyncio
import random
from abc import abstractmethod
from collections.abc import Iterable, Sequence

from shared.errors import Unavailable
from shared.ids import new_id
from shared.store import (
    MAX_WRITES,
    AlreadyExists,
    Create,
    Delete,
    DocumentTooLarge,
    Key,
    Query,
    Stale,
    Store,
    Unknown,
    Version,
    Write,
)
from shared.store.checks import check_compared

_PAUSES_SECONDS = (0.0, 0.05, 0.2, 0.5)


class Adapter(Store):
    """A store on some technology. Subclasses do a single try; retries and lost replies are handled here."""

    def __init__(self, queries: Iterable[Query]) -> None:
        self._queries = frozenset(queries)
        for query in self._queries:
            if query.descending and query.order is None:
                raise ValueError(f"{query.name}: ids are walked upwards only")
        self._compared: dict[str, set[str]] = {}
        for query in self._queries:
            fields = (*query.equal, query.order)
            self._compared.setdefault(query.kind, set()).update(field for field in fields if field)

    @abstractmethod
    async def _commit_once(self, attempt: str, writes: Sequence[Write]) -> list[Version | None]:
        """One try. Every document that it makes keeps `attempt` for as long as it exists.

        Raises Stale, AlreadyExists, Unknown, Unavailable, DocumentTooLarge, OutOfRange, ValueError.
        """

    @abstractmethod
    async def _maker_of(self, key: Key) -> str | None:
        """The attempt id of the commit that made this document; None where there is no document."""

    @abstractmethod
    async def _versions(self, attempt: str, writes: Sequence[Write]) -> list[Version | None]:
        """What `_commit_once` would have returned for an attempt that is known to have happened."""

    async def commit(self, *writes: Write) -> list[Version | None]:
        marker = _marker(writes)
        for write in writes:
            check_compared(write, self._compared.get(write.key.kind, ()))
        attempt = new_id("att")
        for pause in _PAUSES_SECONDS:
            if pause:
                await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
            try:
                return await self._commit_once(attempt, writes)
            except Unknown:
                continue
            except (AlreadyExists, Stale) as refusal:
                witness = refusal.key if isinstance(refusal, AlreadyExists) else marker
                if not pause or not await self._happened(attempt, witness):
                    raise
                return await self._versions(attempt, writes)
        if await self._happened(attempt, marker):
            return await self._versions(attempt, writes)
        raise Unavailable("store_unavailable", "The store did not answer. Try again.")

    async def _happened(self, attempt: str, witness: Key | None) -> bool:
        return witness is not None and await self._maker_of(witness) == attempt


def _marker(writes: Sequence[Write]) -> Key | None:
    """The key whose maker tells whether a commit happened: not an outbox entry, if possible, since these are
    deleted soon. Raises ValueError and `DocumentTooLarge` for what is no commit.
    """
    if not writes:
        raise ValueError("an empty commit")
    if len(writes) > MAX_WRITES:
        raise DocumentTooLarge(f"{len(writes)} writes in one commit")
    if len({write.key.path for write in writes}) != len(writes):
        raise ValueError("two writes of one document in one commit")
    made = [write.key for write in writes if isinstance(write, Create)]
    if made:
        return next((key for key in made if not key.path.startswith("outbox/")), made[0])
    if all(isinstance(write, Delete) and write.if_version is None for write in writes):
        return None
    raise ValueError("a commit that changes something holds a Create (event, audit record, marker)")
