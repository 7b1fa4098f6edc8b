"""The store port on Firestore in native mode (docs/decisions/0008-firestore.md)."""

import asyncio
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from grpc import StatusCode
from grpc.aio import AioRpcError

from shared.google_rpc.messages import BatchGetDocumentsRequest
from shared.store import (
    MAX_DOCUMENT_BYTES,
    Add,
    AlreadyExists,
    Create,
    Doc,
    DocumentTooLarge,
    Key,
    Page,
    Query,
    Replace,
    Stale,
    Unknown,
    Update,
    Version,
    Write,
)
from shared.store.adapter import Adapter
from shared.store.cursors import Operand, Position, cursor, position
from shared.store.firestore.codec import doc_of, maker_of, version_of
from shared.store.firestore.connection import CALL_SECONDS, Connection
from shared.store.firestore.counting import FarCounters, counted, is_blind
from shared.store.firestore.failures import OUTAGE, told, unavailable
from shared.store.firestore.layout import MADE_BY, path
from shared.store.firestore.queries import run_query_request
from shared.store.firestore.writes import commit_request, is_conditional

_SMALL = 100
_DOCUMENTS_A_SECOND = 1_000
_BYTES_A_SECOND = 2_000_000
_PAUSE_SECONDS = 0.05
_COUNTING_TRIES = 30
_STALE = frozenset({StatusCode.FAILED_PRECONDITION, StatusCode.NOT_FOUND, StatusCode.ABORTED})


class FirestoreStore(Adapter):
    """Connects with its first call and belongs to that call's event loop. Must not be used before a fork.

    Raises `Misconfigured`, which names the database, if it is missing or access is denied.
    """

    call_seconds = CALL_SECONDS
    """How long one call of a few small documents may take."""

    def __init__(
        self, project: str, database: str, queries: Iterable[Query], *, emulator_host: str = ""
    ) -> None:
        super().__init__(queries)
        self._database = f"projects/{project}/databases/{database}"
        self._documents = f"{self._database}/documents"
        self._connection = Connection(self._database, emulator_host)
        self._far = FarCounters()

    async def read(self, *keys: Key) -> list[Doc | None]:
        """One BatchGetDocuments call, which Firestore answers from one consistent snapshot."""
        found = await self._found(keys)
        return [doc_of(found[key], key) if key in found else None for key in keys]

    async def run(
        self,
        query: Query,
        collection: str,
        equal: Mapping[str, Operand],
        since: str | int | None,
        until: str | int | None,
        limit: int,
        cursor: str | None,
    ) -> Page:
        if query not in self._queries:
            raise ValueError(f"{query.name} is not declared")
        after = None if cursor is None else position(query, collection, equal, cursor)
        request = run_query_request(self._documents, query, collection, equal, since, until, after, limit + 1)
        if request is None:
            return Page([], None)
        answers = await self._connection.run_query(request, self._call_seconds(limit))
        found = [answer.document for answer in answers if answer.HasField("document")]
        docs = [doc_of(document, self._key(document.name)) for document in found[:limit]]
        more = _cursor(query, collection, equal, docs[-1]) if len(found) > limit else None
        return Page(docs, more)

    async def commit(self, *writes: Write) -> list[Version | None]:
        """Also raises `Unavailable` if all attempts together take too long: 1.75 s for a few small writes."""
        try:
            async with asyncio.timeout(2 * self._commit_seconds(writes) + _PAUSE_SECONDS):
                return await super().commit(*writes)
        except TimeoutError:
            raise unavailable() from None

    async def close(self) -> None:
        await self._connection.close()

    async def _commit_once(self, attempt: str, writes: Sequence[Write]) -> list[Version | None]:
        careful = [write for write in writes if isinstance(write, Add) and self._is_careful(write)]
        if not careful:
            return await self._submit(attempt, writes)
        keys = [write.key for write in careful]
        docs = dict(zip(keys, await self.read(*keys), strict=True))
        for _ in range(_COUNTING_TRIES):
            try:
                return await self._submit(
                    attempt,
                    [
                        counted(write, docs[write.key])
                        if isinstance(write, Add) and write.key in docs
                        else write
                        for write in writes
                    ],
                )
            except (Stale, AlreadyExists):
                await asyncio.sleep(random.uniform(0, 0.05))  # noqa: S311 - jitter
                now = dict(zip(keys, await self.read(*keys), strict=True))
                if now == docs:
                    raise
                docs = now
        raise Unknown

    def _is_careful(self, write: Add) -> bool:
        return not is_blind(write) or self._far.has(write.key)

    async def _submit(self, attempt: str, writes: Sequence[Write]) -> list[Version | None]:
        request = commit_request(self._database, attempt, writes)
        try:
            response = await self._connection.commit(request, self._commit_seconds(writes))
        except AioRpcError as failure:
            raise await self._refusal(failure, writes) from failure
        self._far.see(writes, response)
        return [
            version_of(result.update_time) if _has_version(write) else None
            for write, result in zip(writes, response.write_results, strict=True)
        ]

    async def _refusal(self, failure: AioRpcError, writes: Sequence[Write]) -> Exception:
        code = failure.code()
        if code is StatusCode.ALREADY_EXISTS:
            return await self._met(failure, writes)
        if code in _STALE and any(map(is_conditional, writes)):
            if code is StatusCode.NOT_FOUND:
                await self.read(writes[0].key)  # raises if it is the database that was not found
            return Stale()
        if code is StatusCode.INVALID_ARGUMENT and await self._grows_too_large(writes):
            return DocumentTooLarge("a document that this would make too large")
        if code is StatusCode.ABORTED or (code in OUTAGE and not self._connection.is_cut_off()):
            return Unknown(str(code))
        return told(failure, self._database)

    async def _met(self, failure: AioRpcError, writes: Sequence[Write]) -> AlreadyExists | Unknown:
        """`AlreadyExists` for the document that exists; `Unknown` if it has been deleted since."""
        keys = [write.key for write in writes if isinstance(write, Create)]
        for key in keys:
            if len(keys) == 1 or (failure.details() or "").endswith(f"/documents/{key.path}"):
                return AlreadyExists(key)
        standing = await self._found(keys, path(MADE_BY))
        return next((AlreadyExists(key) for key in keys if key in standing), Unknown("it is gone again"))

    async def _grows_too_large(self, writes: Sequence[Write]) -> bool:
        """Whether an `Update` or `Add` would exceed the limit: only Firestore knows the document's size."""
        growing = {write.key: write for write in writes if isinstance(write, Update | Add)}
        found = await self._found(list(growing))
        return any(
            document.ByteSize() + commit_request(self._database, "", [growing[key]]).ByteSize()
            > MAX_DOCUMENT_BYTES
            for key, document in found.items()
        )

    async def _maker_of(self, key: Key) -> str | None:
        found = await self._found([key], path(MADE_BY))
        return maker_of(found[key]) if key in found else None

    async def _versions(self, attempt: str, writes: Sequence[Write]) -> list[Version | None]:
        """The versions that a commit produced. All its changes have the same time, which is the create time
        of each document that it created.
        """
        keys = [write.key for write in writes if isinstance(write, Create)]
        found = await self._found(keys, path(MADE_BY))
        times = (
            version_of(document.create_time) for document in found.values() if maker_of(document) == attempt
        )
        version = next(times, "gone")
        return [version if _has_version(write) else None for write in writes]

    async def _found(self, keys: Sequence[Key], *fields: str) -> dict[Key, Any]:
        """The documents that exist; with `fields`, only these fields of them."""
        if not keys:
            return {}
        request = BatchGetDocumentsRequest(database=self._database)
        request.documents.extend({f"{self._documents}/{key.path}": None for key in keys})
        if fields:
            request.mask.field_paths.extend(fields)
        answers = await self._connection.batch_get(request, self._call_seconds(len(keys)))
        found = (answer.found for answer in answers if answer.HasField("found"))
        return {self._key(document.name): document for document in found}

    def _call_seconds(self, documents: int) -> float:
        return self.call_seconds + max(0, documents - _SMALL) / _DOCUMENTS_A_SECOND

    def _commit_seconds(self, writes: Sequence[Write]) -> float:
        """An estimate that grows with the number of documents and the length of their texts."""
        bodies = (getattr(write, "body", None) or getattr(write, "fields", None) or {} for write in writes)
        size = sum(len(value) for body in bodies for value in body.values() if type(value) is str)
        return self._call_seconds(len(writes)) + size / _BYTES_A_SECOND

    def _key(self, name: str) -> Key:
        return Key(name[len(self._documents) + 1 :])


def _has_version(write: Write) -> bool:
    return isinstance(write, Create | Replace | Update | Add)


def _cursor(query: Query, collection: str, equal: Mapping[str, Operand], last: Doc) -> str:
    order = None if query.order is None else last.body[query.order]
    return cursor(query, collection, equal, Position(order, last.key.path.rpartition("/")[2]))
