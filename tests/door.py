"""An `App` driven in the process: a raw request in, what would go over the wire out."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from shared.errors import Unauthenticated
from shared.http import Route
from shared.http.app import App, EventHandling
from shared.http.limits import Limits
from shared.identity import Principal
from shared.logs import Access
from tests.tokens import NOW

Headers = Sequence[tuple[str | bytes, str | bytes]]
NEVER = b"\0never"
"""A chunk that does not come."""
GONE = b"\0gone"
"""Instead of a chunk: the client has gone."""
Chunk = bytes | asyncio.Event
"""An event: nothing comes until it is set."""


class Answer(msgspec.Struct):
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def code(self) -> str:
        return str(self.json()["code"])


class OneToken:
    """Knows the token `good`, and for `scope:x` a caller with the scope x."""

    async def verify(self, token: str) -> Principal:
        if token == "good":
            return principal()
        if token.startswith("scope:"):
            return principal(scopes=frozenset({token.removeprefix("scope:")}))
        challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
        raise Unauthenticated("invalid_token", "No.", headers=challenge)


class Door:
    """An app with its access log, asked as a server would ask it."""

    def __init__(
        self,
        *routes: Route,
        limits: Limits | None = None,
        event_door: EventHandling | None = None,
        serves_http: bool = True,
    ) -> None:
        self.log: list[Access] = []
        self.app = App(
            routes,
            verifier=OneToken(),
            event_door=event_door,
            serves_http=serves_http,
            version="local",
            access_log=self.log.append,
            limits=limits,
        )

    def ask(self, method: str, target: str | bytes, headers: Headers = (), *chunks: bytes) -> Answer:
        return asyncio.run(self.send(method, target, headers, *chunks))

    def post(self, target: str, body: bytes, content_type: str | None = "application/json") -> Answer:
        headers = [] if content_type is None else [("content-type", content_type)]
        return self.ask("POST", target, [*headers, ("content-length", str(len(body)))], body)

    async def send(self, method: str, target: str | bytes, headers: Headers = (), *chunks: Chunk) -> Answer:
        return await serve(self.app, method, target, headers, *chunks)


async def serve(app: App, method: str, target: str | bytes, headers: Headers, *chunks: Chunk) -> Answer:
    """One request to an app."""
    raw = target if isinstance(target, bytes) else target.encode()
    path, _, query = raw.partition(b"?")
    scope = {
        "type": "http",
        "method": method,
        "path": path.decode("latin-1"),
        "raw_path": path,
        "query_string": query,
        "headers": [(_bytes(name).lower(), _bytes(value)) for name, value in headers],
        "client": ("192.0.2.9", 4711),
    }
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, _receiver(chunks), send)
    names = [name for name, _ in sent[0]["headers"]]
    assert len(names) == len(set(names)), "a header was sent twice"
    received = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], received, sent[1]["body"])


def principal(scopes: frozenset[str] = frozenset()) -> Principal:
    return Principal(
        tenant_id="tnt_acme",
        subject="usr_1",
        client_id="first-party",
        scopes=scopes,
        roles=("member",),
        tier="standard",
        token_id="jti_1",
        issued_at=NOW,
        expires_at=NOW,
        session_id="ses_1",
    )


def _receiver(chunks: Sequence[Chunk]) -> Callable[[], Awaitable[Any]]:
    left = list(chunks) or [b""]

    async def receive() -> Any:
        chunk = left.pop(0) if left else GONE
        if isinstance(chunk, asyncio.Event):
            await chunk.wait()
            chunk = b""
        if chunk is NEVER:
            await asyncio.Event().wait()
        if chunk is GONE:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": chunk, "more_body": bool(left)}

    return receive


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")
