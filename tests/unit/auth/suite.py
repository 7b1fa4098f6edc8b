"""Auth put together for tests: real store, real secret files, a bus and a mailbox that keep what they get."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTPUTF8
from pathlib import Path
from typing import Any

import argon2
import msgspec

from functions.auth import events, records, routes
from functions.auth.domain import client_id
from functions.auth.domain.one_time_link import OneTimeLink
from functions.auth.domain.people import User
from functions.auth.domain.roles import Role, scopes_of
from functions.auth.domain.session import Session
from functions.auth.guessing.pause import Work
from functions.auth.guessing.source import Source
from functions.auth.machines.operators import Operators
from functions.auth.machines.service_accounts import Made
from functions.auth.mail.mailbox import MailboxFolder
from functions.auth.oauth.tokens import Tokens
from functions.auth.sign_in.passwords import Passwords
from functions.auth.sign_in.sign_in import SignedIn
from functions.auth.use_cases import Ports, UseCases
from shared import outbox, revocations, tenant
from shared.audit import Actor
from shared.bus import Message
from shared.envelope import Delivery
from shared.errors import Unavailable
from shared.events import CloudEvent, make, short_name
from shared.http.app import App
from shared.identity import Principal, Verifier
from shared.ids import new_id
from shared.logs import Access
from shared.objects.files import FileObjects
from shared.outbox import Outbox, PublishingStore
from shared.secrets.cached import CachedSecrets
from shared.secrets.files import FileSecrets
from shared.store import Create, Doc, Key, Page, Query, Replace, Store, Version, Write
from shared.store.bodies import from_body, to_body
from shared.store.sqlite import SqliteStore
from shared.tenant import Status, Tenant
from tests import tokens
from tests.tokens import ISSUER, Time

PASSWORD = "correct horse battery staple"
ACME = "tnt_acme"
OWNER = "owner@acme.test"
CHEAP = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
SOURCE = Source("192.0.2.1", request_id="req_1")

AUDIT = Query("audit_in_test", "audit", order="at")
SESSIONS = Query("sessions_in_test", "sessions", order="created_at")
QUERIES = (*records.QUERIES, *outbox.QUERIES, *revocations.QUERIES, AUDIT, SESSIONS)


class RecordingBus:
    def __init__(self) -> None:
        self.messages: list[tuple[str, Message]] = []
        self.down = False

    async def publish(self, topic: str, messages: Sequence[Message]) -> None:
        if self.down:
            raise Unavailable("bus_down", "The bus is down.")
        self.messages += [(topic, message) for message in messages]

    async def close(self) -> None:
        pass

    def events(self, name: str | None = None) -> list[CloudEvent]:
        found = [msgspec.json.decode(message.data, type=CloudEvent) for _, message in self.messages]
        return [event for event in found if name is None or short_name(event.type) == name]


class WatchedStore(Store):
    """Passes everything on; counts, runs `before_commit` once ahead of the next commit, `after_read` once
    behind the next read.
    """

    def __init__(self, inner: Store) -> None:
        self.inner = inner
        self.reads: list[tuple[str, ...]] = []
        self.commits: list[tuple[Write, ...]] = []
        self.before_commit: Any = None
        self.after_read: Any = None
        self.down = False

    async def read(self, *keys: Key) -> list[Doc | None]:
        self.reads.append(tuple(key.path for key in keys))
        if self.down:
            raise Unavailable("store_unavailable", "The store did not answer. Try again.")
        docs = await self.inner.read(*keys)
        hook, self.after_read = self.after_read, None
        if hook is not None:
            await hook()
        return docs

    async def run(self, *arguments: Any) -> Page:
        return await self.inner.run(*arguments)

    async def commit(self, *writes: Write) -> list[Version | None]:
        hook, self.before_commit = self.before_commit, None
        if hook is not None:
            await hook()
        versions = await self.inner.commit(*writes)
        self.commits.append(writes)
        return versions

    async def close(self) -> None:
        await self.inner.close()


class WatchedPasswords(Passwords):
    """Counts what it does, which takes microseconds: no more than a few tests are about the cost."""

    def __init__(self) -> None:
        super().__init__(workers=2, waiting=100)
        self._hasher = CHEAP
        self._decoy = CHEAP.hash("nobody's")
        self.verified: list[bool] = []
        self.hashed = 0

    async def verify(self, known: str | None, password: str) -> bool:
        self.verified.append(known is not None)
        return await super().verify(known, password)

    async def hash(self, password: str) -> str:
        self.hashed += 1
        return await super().hash(password)


class Suite:
    """Every use-case, one file of documents, one clock that tests move."""

    def __init__(self, folder: Path, store: Store, clock: Time | None = None, issuer: str = ISSUER) -> None:
        self.folder = folder
        self.issuer = issuer
        self.clock = clock or Time()
        self.bus = RecordingBus()
        self.store = WatchedStore(store)
        self.publishing = PublishingStore(self.store, self.bus)
        self.secrets = FileSecrets(folder / "secrets", self.clock)
        self.outbox = Outbox(self.publishing, self.bus, self.clock, "auth")
        self.passwords = WatchedPasswords()
        self.pauses = 0

    async def pause(self, began: float, work: Work | None = None) -> None:
        """Takes no time of its own, and is counted."""
        self.pauses += 1
        if work is not None:
            await work

    async def assemble(self) -> None:
        self.mailbox = self.folder / "mailbox"
        self.objects = FileObjects(self.folder / "objects")
        self.do = UseCases(
            Ports(
                store=self.publishing,
                outbox=self.outbox,
                secrets=CachedSecrets(self.secrets, self.clock),
                objects=self.objects,
                mailer=MailboxFolder(self.mailbox),
                passwords=self.passwords,
                clock=self.clock,
                issuer=self.issuer,
                environment="test",
                pause=self.pause,
            )
        )
        keys = await self.do.keys.current()
        self.jwks = keys.jwks
        self.refresh_tokens = keys.refresh_tokens
        self.links = keys.links
        self.sign_in = self.do.sign_in
        self.sessions = self.do.sessions
        self.service_accounts = self.do.service_accounts
        self.endpoint = self.do.tokens
        self.users = self.do.users
        self.invitations = self.do.invitations
        self.handlers = events.table(self.do)
        self.verifier = Verifier(self.publishing, self.issuer, self.issuer, self.clock)
        self.operators = Operators(self.publishing, self.clock)
        self.routes = routes.table(self.do)

    def app(self, log: Callable[[Access], None]) -> App:
        """The HTTP door, for an ASGI client."""
        return App(
            self.routes,
            verifier=self.verifier,
            event_door=None,
            serves_http=True,
            version="test",
            access_log=log,
        )

    async def add_tenant(self, tenant_id: str = ACME, slug: str = "acme", status: Status = "active") -> None:
        owner = msgspec.structs.replace(tokens.tenant(tenant_id, status=status), slug=slug)
        await self.store.inner.commit(
            Create(tenant.key(self.store, tenant_id), to_body(owner)),
            Create(records.slug_key(self.store, slug), {"tenant_id": tenant_id}),
        )

    async def set_status(self, status: Status, tenant_id: str = ACME) -> None:
        """As the tenants function does it: a suspension ends what is older than now, for good."""
        floor = {"tokens_valid_after": self.clock()} if status == "suspended" else {}
        await self.change_tenant(tenant_id, status=status, **floor)

    async def change_tenant(self, tenant_id: str = ACME, **changes: Any) -> None:
        doc = (await self.store.inner.read(tenant.key(self.store, tenant_id)))[0]
        assert doc is not None
        after = msgspec.structs.replace(from_body(doc.body, Tenant), **changes)
        marker = Create(self.store.tenant(tenant_id).key("audit", new_id("aud")), {})
        await self.store.inner.commit(marker, Replace(doc.key, to_body(after), doc.version))

    async def add_user(self, email: str = OWNER, role: Role = "owner", tenant_id: str = ACME) -> User:
        """By invitation, as everybody."""
        token = await self.invite(email, role, tenant_id)
        return await self.invitations.accept(token, PASSWORD, "Ada Owner", "req_1")

    async def invite(self, email: str, role: Role = "member", tenant_id: str = ACME) -> str:
        """The token that the mail would hold."""
        invitation = await self.invitations.invite(
            principal("owner", tenant_id), Actor("user", "usr_test", tenant_id), email, role
        )
        return self.links.text(OneTimeLink("invitation", tenant_id, invitation.id))

    async def login(self, email: str = OWNER, password: str = PASSWORD, slug: str = "acme") -> Tokens:
        signed_in = await self.sign_in.login(slug, email, password, SOURCE)
        assert isinstance(signed_in, SignedIn)
        return signed_in.tokens

    async def refresh(self, token: str | None, scope: str | None = None, **form: str) -> Tokens:
        assert token is not None
        given = {"grant_type": "refresh_token", "refresh_token": token, **form}
        if scope is not None:
            given["scope"] = scope
        return await self.endpoint.answer(given, None, "req_1")

    async def add_machine(self, *scopes: str, tenant_id: str = ACME) -> tuple[str, str]:
        """Client id and secret."""
        made: Made = await self.service_accounts.create(
            principal("owner", tenant_id),
            Actor("user", "usr_test", tenant_id),
            "nightly export",
            list(scopes),
        )
        return client_id.of(tenant_id, made.account.id), made.secret

    async def machine_token(self, client: str, secret: str) -> str:
        """Its access token, by client credentials."""
        form = {"grant_type": "client_credentials", "client_id": client, "client_secret": secret}
        return (await self.endpoint.answer(form, None, "req_1")).access_token

    async def deliver(self, name: str, data: Any, tenant_id: str = ACME, event_id: str = "evt_1") -> None:
        event = make(
            name, event_id=event_id, source="//test", subject=tenant_id, time=self.clock(), data=data
        )
        await self.handlers[name](event, Delivery("msg_1", b"", {}))

    async def deliver_published(self, name: str) -> None:
        for event in self.bus.events(name):
            await self.handlers[name](event, Delivery("msg_1", b"", {}))

    def mails(self) -> list[EmailMessage]:
        files = sorted(self.mailbox.glob("*.eml"))
        return [message_from_bytes(file.read_bytes(), policy=SMTPUTF8) for file in files]

    async def audit(self, tenant_id: str = ACME) -> list[str]:
        page = await self.store.tenant(tenant_id).query(AUDIT, limit=1000)
        return [doc.body["action"] for doc in page.docs]

    async def only_session(self, tenant_id: str = ACME) -> Session:
        page = await self.store.tenant(tenant_id).query(SESSIONS)
        assert len(page.docs) == 1
        return from_body(page.docs[0].body, Session)


def principal(role: Role, tenant_id: str = ACME, session_id: str | None = "ses_1") -> Principal:
    return Principal(
        tenant_id=tenant_id,
        subject="usr_test",
        client_id=client_id.APP,
        scopes=scopes_of([role]),
        roles=(role,),
        tier="standard",
        token_id="tok_1",
        issued_at=tokens.NOW,
        expires_at=tokens.NOW,
        session_id=session_id,
    )


@asynccontextmanager
async def running(
    folder: Path,
    *,
    with_tenant: bool = True,
    clock: Time | None = None,
    issuer: str = ISSUER,
    store: Store | None = None,
) -> AsyncIterator[Suite]:
    """`store` has `QUERIES`, and is closed in the end; without one it is a file in the folder."""
    store = store or SqliteStore(folder / "store.db", QUERIES)
    suite = Suite(folder, store, clock, issuer)
    try:
        await suite.assemble()
        if with_tenant:
            await suite.add_tenant()
        yield suite
    finally:
        suite.passwords.close()
        await suite.publishing.close()
