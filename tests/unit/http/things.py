"""A function that makes things, for tests of Idempotency-Key: several instances of it over one store."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from shared.errors import Conflict, Unauthenticated
from shared.http import SIGNED_IN, Call, Response, Route, json_response
from shared.http.app import App
from shared.http.idempotency import Idempotency, Once
from shared.identity import Principal
from shared.ids import Clock, new_id
from shared.store import AlreadyExists, Create, Doc, Key, Page, Query, Store, Version, Write
from tests.door import Answer, Door, Headers
from tests.tokens import NOW

THINGS = Query("things_in_test", "things")
RECORDS = Query("idempotency_in_test", "idempotency", order="expires_at")
QUERIES = (THINGS, RECORDS)


class ThingRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    unique: bool = False


class Thing(msgspec.Struct, frozen=True):
    id: str
    name: str
    secret: str


class Things:
    """A use-case as they are: some names are taken once in a tenant, each thing has a secret."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def make(self, tenant_id: str, request: ThingRequest, once: Once[Thing]) -> Thing:
        async def attempt() -> Thing:
            thing = Thing(new_id("thg"), request.name, new_id("secret"))
            scope = self._store.tenant(tenant_id)
            name = Create(scope.key("names", thing.name if request.unique else thing.id), {})
            made = Create(scope.key("things", thing.id), {"name": thing.name})
            try:
                await self._store.commit(name, made, *once.writes(thing))
            except AlreadyExists as met:
                if met.key != name.key:
                    raise
                raise Conflict("name_taken", "Choose another name.") from met
            return thing

        return await once.run(attempt)


class Callers:
    """A token names its bearer: `tenant.subject`."""

    async def verify(self, token: str) -> Principal:
        tenant_id, _, subject = token.partition(".")
        if not subject:
            raise Unauthenticated("invalid_token", "No.")
        return Principal(tenant_id, subject, "app", frozenset(), (), "standard", "jti", NOW, NOW)


class Instance:
    """One process of the function."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._things = Things(store)
        self._idempotency = Idempotency(store, clock)
        self._door = Door()
        self._door.app = App(
            [Route("POST", path, self._make, SIGNED_IN) for path in ("/v1/things", "/v1/thingsk")],
            verifier=Callers(),
            event_door=None,
            serves_http=True,
            version="test",
            access_log=lambda line: None,
        )

    async def post(
        self,
        key: str | bytes | None,
        body: Any = None,
        *,
        who: str = "tnt_1.usr_1",
        path: str = "/v1/things",
        more: Headers = (),
    ) -> Answer:
        """`body` is JSON or a value; the thing `a` without one."""
        raw = body if isinstance(body, bytes) else msgspec.json.encode(body or {"name": "a"})
        headers: list[tuple[str | bytes, str | bytes]] = [
            ("authorization", f"Bearer {who}"),
            ("content-type", "application/json"),
            *more,
        ]
        if key is not None:
            headers.append(("idempotency-key", key))
        return await self._door.send("POST", path, headers, raw)

    async def _make(self, call: Call) -> Response:
        asked = await call.json(ThingRequest)
        tenant_id = call.principal.tenant_id
        return await self._idempotency.answer(
            call, lambda once: self._things.make(tenant_id, asked, once), _shown, _kept
        )


class SteppedStore(Store):
    """Runs `turn` ahead of each read and each commit, and once more behind it; counts the reads."""

    def __init__(self, inner: Store, turn: Callable[[str], Awaitable[None]] | None = None) -> None:
        self._inner = inner
        self.turn = turn
        self.reads = 0

    async def _step(self, name: str) -> None:
        if self.turn is not None:
            await self.turn(name)

    async def read(self, *keys: Key) -> list[Doc | None]:
        self.reads += 1
        await self._step("before read")
        found = await self._inner.read(*keys)
        await self._step("after read")
        return found

    async def run(self, *arguments: Any) -> Page:
        return await self._inner.run(*arguments)

    async def commit(self, *writes: Write) -> list[Version | None]:
        await self._step("before commit")
        versions = await self._inner.commit(*writes)
        await self._step("after commit")
        return versions

    async def close(self) -> None:
        await self._inner.close()


class Pause:
    """A `turn` that stops whoever comes to `step` first, until `go` is set."""

    def __init__(self, step: str) -> None:
        self._step = step
        self.reached = asyncio.Event()
        self.go = asyncio.Event()

    async def __call__(self, step: str) -> None:
        if step == self._step and not self.reached.is_set():
            self.reached.set()
            await self.go.wait()


def replayed(answer: Answer) -> bool:
    return answer.headers.get("idempotency-replayed") == "true"


async def names(store: Store, tenant_id: str = "tnt_1") -> list[str]:
    """Of the things there are."""
    page = await store.tenant(tenant_id).query(THINGS, limit=1000)
    return sorted(doc.body["name"] for doc in page.docs)


async def records(store: Store, tenant_id: str = "tnt_1") -> list[Doc]:
    return (await store.tenant(tenant_id).query(RECORDS, limit=1000)).docs


def _shown(thing: Thing) -> Response:
    return json_response(thing, 201, {"Location": f"/v1/things/{thing.id}"})


def _kept(thing: Thing) -> Response:
    view = {"id": thing.id, "name": thing.name}
    return json_response(view, 201, {"Location": f"/v1/things/{thing.id}"})
