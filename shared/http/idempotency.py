"""Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): a repeated request takes effect once.

The answer is stored below the caller's tenant, in the same commit as the effect (docs/decisions/0011).
"""

import hashlib
import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

import msgspec

from shared.errors import BadRequest, Conflict, Invalid
from shared.http import Call, Response
from shared.ids import Clock
from shared.store import AlreadyExists, Create, Key, Replace, Stale, Store, Version, Write, until_not_stale
from shared.store.bodies import from_body, to_body

T = TypeVar("T")

HEADER = "idempotency-key"
REPLAYED = "Idempotency-Replayed"
KEPT_FOR = timedelta(hours=24)
MAX_KEY_CHARACTERS = 255
MAX_ANSWER_BYTES = 16_384

_PLAIN = re.compile(r"[ !#-+\--~]+")
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])+)"')
_ESCAPED = re.compile(r"\\(.)")


class Once(Protocol[T]):
    """Passed to a use-case that creates a `T`, so that a repeated request creates only one."""

    async def run(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Runs `attempt` with `until_not_stale`, unless the request has been answered before. Each attempt
        must include `writes` in its commit.

        Raises the attempt's `Conflict`, unless an earlier copy of the same request has caused it.
        """

    def writes(self, made: T) -> Sequence[Write]:
        """The writes that store the answer for `made`. Call it in each attempt."""


class EachTime(msgspec.Struct, frozen=True):
    """`Once` for requests without a key, each of which is carried out."""

    async def run(self, attempt: Callable[[], Awaitable[T]]) -> T:
        return await until_not_stale(attempt)

    def writes(self, made: object) -> Sequence[Write]:
        return ()


EACH_TIME = EachTime()


class Idempotency:
    """One for each process: it knows which keys are in use there. Between processes the commit decides."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._in_use: set[Key] = set()

    async def answer(
        self,
        call: Call,
        make: Callable[[Once[T]], Awaitable[T]],
        show: Callable[[T], Response],
        keep: Callable[[T], Response] | None = None,
    ) -> Response:
        """Returns `show` of what `make` returns. A repeated request gets the stored answer, with the header
        `Idempotency-Replayed: true`.

        `keep` makes the stored answer (at most 16 KB) if `show` contains a secret; otherwise `show` does. The
        body must be valid JSON without secrets, since a plain hash of it is stored.
        Raises `BadRequest` `invalid_idempotency_key`, `Invalid` `idempotency_key_reused`, `Conflict`
        `idempotency_key_in_use`, and what `make` raises, which is not stored.
        """
        text = call.headers.get(HEADER)
        if text is None:
            return show(await make(EACH_TIME))
        operation = f"{call.method} {call.path}"
        caller = call.principal
        name = _digest(caller.subject, operation, _parsed(text))
        key = self._store.tenant(caller.tenant_id).key("idempotency", name)
        payload = msgspec.json.encode(msgspec.json.decode(await call.body()), order="deterministic")
        if key in self._in_use:
            raise _in_use()
        self._in_use.add(key)
        try:
            fingerprint = _digest(operation, payload.decode())
            return show(await make(_Keyed(self._store, self._clock, key, fingerprint, keep or show)))
        except _AnsweredBefore as before:
            return before.response
        finally:
            self._in_use.remove(key)


class _Record(msgspec.Struct, frozen=True):
    """`tenants/{t}/idempotency/{hash}`: one key of one caller for one operation. It may exist for longer than
    `expires_at`.
    """

    fingerprint: str
    status: int
    headers: dict[str, str]
    body: str
    expires_at: datetime


class _AnsweredBefore(Exception):
    """The request has been carried out before; `response` is the stored answer."""

    def __init__(self, response: Response) -> None:
        super().__init__("answered before")
        self.response = response


class _Keyed(Once[T]):
    """`Once` for a request with a key."""

    def __init__(
        self, store: Store, clock: Clock, key: Key, fingerprint: str, keep: Callable[[T], Response]
    ) -> None:
        self._store = store
        self._clock = clock
        self._key = key
        self._fingerprint = fingerprint
        self._keep = keep
        self._expired: Version | None = None

    async def run(self, attempt: Callable[[], Awaitable[T]]) -> T:
        return await until_not_stale(lambda: self._tried(attempt))

    def writes(self, made: T) -> Sequence[Write]:
        kept = self._keep(made)
        if len(kept.body) > MAX_ANSWER_BYTES:
            raise ValueError(f"an answer over {MAX_ANSWER_BYTES} bytes is not kept")
        expires_at = self._clock() + KEPT_FOR
        body = to_body(_Record(self._fingerprint, kept.status, kept.headers, kept.body.decode(), expires_at))
        if self._expired is None:
            return (Create(self._key, body),)
        return (Replace(self._key, body, self._expired),)

    async def _tried(self, attempt: Callable[[], Awaitable[T]]) -> T:
        await self._look()
        try:
            return await attempt()
        except (AlreadyExists, Conflict) as refusal:
            await self._look()  # the same request may have been carried out meanwhile by another process
            if isinstance(refusal, AlreadyExists) and refusal.key == self._key:
                raise Stale from refusal
            raise

    async def _look(self) -> None:
        """Raises `_AnsweredBefore` or `Invalid` if the key has been used in the last 24 hours."""
        (doc,) = await self._store.read(self._key)
        self._expired = None
        if doc is None:
            return
        record = from_body(doc.body, _Record)
        if self._clock() >= record.expires_at:
            self._expired = doc.version
        elif record.fingerprint != self._fingerprint:
            raise _reused()
        else:
            headers = {**record.headers, REPLAYED: "true"}
            raise _AnsweredBefore(Response(record.status, record.body.encode(), headers=headers))


def _parsed(text: str) -> str:
    """The key: a String of RFC 8941 §3.3.3, or the same without its quotes. Raises `BadRequest`."""
    quoted = _QUOTED.fullmatch(text)
    key = _ESCAPED.sub(r"\1", quoted[1]) if quoted else text
    if (quoted is None and not _PLAIN.fullmatch(key)) or len(key) > MAX_KEY_CHARACTERS:
        detail = (
            f"An Idempotency-Key has 1 to {MAX_KEY_CHARACTERS} printable ASCII characters, in quotes where"
            " there is a quote or a comma. Use a new UUID for each thing you create."
        )
        raise BadRequest("invalid_idempotency_key", detail)
    return key


def _digest(*parts: str) -> str:
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


def _in_use() -> Conflict:
    detail = "A request with this Idempotency-Key is being worked on. Repeat it in a second for its answer."
    return Conflict("idempotency_key_in_use", detail, headers={"Retry-After": "1"})


def _reused() -> Invalid:
    detail = "This Idempotency-Key was used for another request. Use a new one, or repeat that request."
    return Invalid("idempotency_key_reused", detail)
