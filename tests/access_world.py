"""The three functions in one process over one store, and everybody who might call them."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec

from functions.auth import records as auth_records
from functions.auth.domain import client_id as client_ids
from functions.auth.domain.factors import Factors
from functions.auth.domain.passkeys import Passkey
from functions.auth.domain.people import login_id
from functions.auth.domain.roles import SCOPES
from functions.auth.domain.session import Session
from functions.billing import records as billing_records
from functions.billing import routes as billing_routes
from functions.tenants import records as tenants_records
from shared import outbox, quarantine, revocations, tenant
from shared.audit import Actor
from shared.http import Route
from shared.http.app import App
from shared.identity import Verifier
from shared.quarantine import Quarantine
from shared.store import Body, Create, Delete, Key
from shared.store.bodies import from_body, to_body
from shared.store.sqlite import SqliteStore
from shared.tenant import Tenant
from tests.stripe_stand_in import secrets as stripe_secrets
from tests.tokens import ISSUER, SignerKey
from tests.unit.auth.suite import ACME, OWNER, SESSIONS, Suite
from tests.unit.billing.world import Now
from tests.unit.billing.world import World as Billing
from tests.unit.events.deliveries import delivery, event_bytes
from tests.unit.tenants.world import World as Tenants

GLOBEX = "tnt_globex"
SUSPENDED = "tnt_suspended"
PLATFORM = "platform"
REQUEST_ID = "req_the_same"
QUERIES = {
    *(auth_records.QUERIES + billing_records.QUERIES + tenants_records.QUERIES),
    *(outbox.QUERIES + quarantine.QUERIES + revocations.QUERIES),
    SESSIONS,
}

PEOPLE: dict[str, frozenset[str]] = {
    "owner": frozenset({"*", "openid"}),
    "admin": frozenset({"*"}),
    "member": frozenset({"tenant:read", "usage:read"}),
    "billing": frozenset({"tenant:read", "usage:read", "invoices:read"}),
    "read_only": frozenset({"tenant:read", "usage:read", "invoices:read", "users:read"}),
}
"""Role to scopes; `*`: all but those of the platform and of OpenID."""
MACHINES: dict[str, frozenset[str]] = {
    "service_account": frozenset(
        {"users:read", "usage:read", "service_accounts:read", "service_accounts:write"}
    ),
    "api_key": frozenset({"usage:read", "invoices:read", "clients:read"}),
}
"""Kind of machine to what it was made with."""
OPERATOR = frozenset({"platform:*", "audit:read"})
STRANGERS = ("none", "junk", "revoked_session", "suspended_owner")
CALLERS = (*PEOPLE, "foreign_owner", *MACHINES, "operator", *STRANGERS)


TENANTS = (ACME, GLOBEX, SUSPENDED, PLATFORM)
CLIENT = {
    "name": "Portal",
    "kind": "confidential",
    "grant_types": ["authorization_code", "refresh_token"],
    "scopes": ["openid", "usage:read"],
    "redirect_uris": ["https://app.example.test/callback"],
}
MADE: dict[str, tuple[str, dict[str, Any]]] = {
    "service_accounts": ("/v1/service-accounts", {"name": "export", "scopes": ["usage:read"]}),
    "api_keys": ("/v1/api-keys", {"name": "export", "scopes": ["usage:read"]}),
    "clients": ("/v1/clients", CLIENT),
    "roles": ("/v1/roles", {"scopes": ["usage:read"]}),
    "invitations": ("/v1/invitations", {"email": "invited@acme.test", "role": "member"}),
}
"""Collection to the request that makes one of its things."""
ENROL = "factors:enrol"
AMR = ["mfa", "otp", "pwd"]
"""How everybody has signed in: enough for whatever asks for a second factor."""
ID_FIELDS = {"logins": "user_id", "roles": "name"}
"""Where a body does not call it `id`."""


class Caller(msgspec.Struct):
    """Somebody who sends a request. `token`: None for none."""

    kind: str
    tenant_id: str
    token: str | None
    user_id: str = ""
    session_id: str = ""


def holds(kind: str, scope: str) -> bool:
    """Whether a caller has been given a scope."""
    if kind == "operator":
        return scope in OPERATOR or scope.startswith("platform:")
    held = MACHINES.get(kind) or PEOPLE.get(kind, PEOPLE["owner"])
    return scope in held or ("*" in held and not scope.startswith(("platform:", "openid")))


class AccessWorld:
    def __init__(self, suite: Suite, store: SqliteStore) -> None:
        self.suite = suite
        self._store = store
        self._numbers = itertools.count()
        tenants = Tenants(suite.store)
        billing = Billing(suite.store, now=Now(suite.clock()), secrets=stripe_secrets())
        self._billing = billing
        self.routes: dict[str, tuple[Route, ...]] = {
            "auth": suite.routes,
            "billing": billing_routes.table(billing.reports, billing.invoice_reader, billing.webhooks),
            "tenants": tenants.routes,
        }
        self._clients = {function: self._client(routes) for function, routes in self.routes.items()}
        self.strangers: dict[str, Caller] = {}
        self._residents: dict[str, Caller] = {}
        self._seeds: dict[tuple[str, str], Body] = {}

    def all_routes(self) -> list[Route]:
        return [route for routes in self.routes.values() for route in routes]

    def function_of(self, method: str, path: str) -> str:
        for function, routes in self.routes.items():
            if any((route.method, route.path) == (method, path) for route in routes):
                return function
        raise LookupError(f"{method} {path}")

    async def populate(self) -> None:
        """Three tenants and the platform, and one of each thing in two of them, to be copied."""
        await self.suite.add_tenant(GLOBEX, "globex")
        await self.suite.add_tenant(SUSPENDED, "suspended")
        await self.suite.add_tenant(PLATFORM, PLATFORM)
        user = await self.suite.add_user()
        await self.suite.login()
        session = await self.suite.only_session()
        for kind, thing_id in (("logins", login_id(OWNER)), ("users", user.id), ("sessions", session.id)):
            seed = await self._read(ACME, kind, thing_id)
            self._seeds |= {(tenant_id, kind): seed for tenant_id in TENANTS}
        for tenant_id in (ACME, GLOBEX):
            await self._make_seeds(tenant_id)
        suspended = await self.caller("owner", SUSPENDED)
        await self.suite.set_status("suspended", SUSPENDED)
        over = await self.caller("owner")
        await self.suite.do.session_end.end(ACME, over.session_id, "test", Actor("user", over.user_id, ACME))
        self.suite.clock.move(30)
        self.strangers = {
            "none": Caller("none", ACME, None),
            "junk": Caller("junk", ACME, "eyJhbGciOiJFUzI1NiJ9.e30.AAAA"),
            "revoked_session": over,
            "suspended_owner": suspended,
        }

    async def caller(self, kind: str, tenant_id: str = ACME) -> Caller:
        """A new one of its kind, which nothing has happened to; strangers are what they are."""
        if kind in self.strangers:
            return self.strangers[kind]
        if kind == "foreign_owner":
            return await self._person("owner", GLOBEX, kind)
        if kind in PEOPLE:
            return await self._person(kind, tenant_id, kind)
        home = PLATFORM if kind == "operator" else tenant_id
        scopes = tuple(sorted(scope for scope in SCOPES if holds(kind, scope)))
        roles = ("operator",) if kind == "operator" else ()
        subject = await self._machine("api_keys" if kind == "api_key" else "service_accounts", home, scopes)
        issued = await self.suite.do.access_tokens.issue(
            await self._tenant(home), subject, client_ids.of(home, subject), scopes=scopes, roles=roles
        )
        return Caller(kind, home, issued.access_token)

    async def _machine(self, kind: str, tenant_id: str, scopes: tuple[str, ...]) -> str:
        body = self._seeds[ACME, kind] | {"id": f"{kind}_{self.number()}", "scopes": list(scopes)}
        await self._store.commit(Create(self._key(tenant_id, kind, body["id"]), body))
        return str(body["id"])

    async def resident(self, kind: str) -> Caller:
        """The same one each time."""
        if kind not in self._residents:
            self._residents[kind] = await self.caller(kind)
        return self._residents[kind]

    async def ask(self, method: str, path: str, target: str, caller: Caller, **more: Any) -> httpx.Response:
        """`path` is the route's, `target` what is sent."""
        headers = {"X-Request-Id": REQUEST_ID, **more.pop("headers", {})}
        if caller.token is not None:
            headers["Authorization"] = f"Bearer {caller.token}"
        client = self._clients[self.function_of(method, path)]
        return await client.request(method, target, headers=headers, **more)

    async def copy(self, tenant_id: str, kind: str, **changes: Any) -> Body:
        """A new thing like the one that was made first."""
        name = ID_FIELDS.get(kind, "id")
        thing_id = f"{kind[:3]}_{_letters(next(self._numbers))}"
        body = self._seeds[tenant_id, kind] | {name: thing_id} | changes
        await self._store.commit(Create(self._key(tenant_id, kind, body[name]), body))
        return body

    def number(self) -> int:
        """Another one each time."""
        return next(self._numbers)

    def seed(self, tenant_id: str, kind: str) -> Body:
        return self._seeds[tenant_id, kind]

    def ids_of(self, tenant_id: str) -> set[str]:
        """The ids of the things that were made first in it."""
        kinds = ("users", "service_accounts", "api_keys", "clients", "invitations", "invoices")
        return {str(self._seeds[tenant_id, kind]["id"]) for kind in kinds}

    async def remove(self, tenant_id: str, kind: str, thing_id: str) -> None:
        await self._store.commit(Delete(self._key(tenant_id, kind, thing_id)))

    async def set_aside(self) -> str:
        """The id of a message in the quarantine."""
        shelf = Quarantine(self._store, self.suite.clock, "billing")
        write = shelf.write(delivery(event_bytes()), "bad", "It is bad.", None)
        await shelf.put(write)
        return write.key.id

    async def dismiss(self, quarantine_id: str) -> None:
        await self._store.commit(Delete(self._store.platform().key("quarantine", quarantine_id)))

    async def passkey(self, tenant_id: str, user_id: str) -> str:
        """The id of a passkey of the user's, who has no other factor."""
        number = next(self._numbers)
        kept = Passkey(f"psk_{number}", f"cred{number}", "AAAA", 0, False, (), "Phone", self.suite.clock())
        key = self._key(tenant_id, "factors", user_id)
        await self._store.commit(Create(key, to_body(Factors(user_id, passkeys=(kept,)))))
        return kept.id

    async def key_of_ring(self) -> dict[str, str]:
        """A ring, and a key that has just been added to it."""
        (doc,) = await self._store.read(auth_records.ring_key(self._store, "link"))
        assert doc is not None
        return {"ring": "link", "kid": doc.body["keys"][-1]["kid"]}

    async def _make_seeds(self, tenant_id: str) -> None:
        """Through the doors, so that each is what the functions make of it."""
        owner = await self._person("owner", tenant_id, "owner")
        for kind, (path, body) in MADE.items():
            if kind == "roles":
                body = body | {"name": "auditor" if tenant_id == ACME else "controller"}
            answer = await self.ask("POST", path, path, owner, json=body)
            assert answer.status_code == 201, (path, answer.text)
            thing_id = answer.json()[ID_FIELDS.get(kind, "id")]
            if kind in ("service_accounts", "clients"):
                name = "service_account_id" if kind == "service_accounts" else "client_id"
                for more, given in (("secrets", {}), ("keys", {"jwk": SignerKey().jwk})):
                    nested = f"{path}/{{{name}}}/{more}"
                    answer = await self.ask("POST", nested, f"{path}/{thing_id}/{more}", owner, json=given)
                    assert answer.status_code == 201, (nested, answer.text)
            self._seeds[tenant_id, kind] = await self._read(tenant_id, kind, thing_id)
        somebody = await self.caller("member", tenant_id)
        self._seeds[tenant_id, "users"] = await self._read(tenant_id, "users", somebody.user_id)
        self._seeds[tenant_id, "sessions"] = await self._read(tenant_id, "sessions", somebody.session_id)
        self._seeds[tenant_id, "tenants"] = await self._read(tenant_id, "tenants", tenant_id)
        billing = Billing(self._store, tenant_id, Now(datetime(2026, 4, 4, tzinfo=UTC)))
        await billing.close("2026-03")
        self._seeds[tenant_id, "invoices"] = to_body(await billing.invoice())

    async def _person(self, role: str, tenant_id: str, kind: str) -> Caller:
        user = await self.copy(tenant_id, "users", role=role, email=f"p{next(self._numbers)}@acme.test")
        login = self._seeds[tenant_id, "logins"] | {"user_id": user["id"]}
        await self._store.commit(Create(self._key(tenant_id, "logins", login_id(user["email"])), login))
        scopes = sorted(scope for scope in SCOPES | {"openid"} if holds(role, scope))
        body = await self.copy(
            tenant_id, "sessions", user_id=user["id"], roles=[role], scopes=scopes, amr=AMR
        )
        session = from_body(body, Session)
        issued = await self.suite.do.access_tokens.issue(
            await self._tenant(tenant_id),
            session.user_id,
            session.client_id,
            scopes=session.scopes,
            roles=session.roles,
            session=session,
        )
        return Caller(kind, tenant_id, issued.access_token, session.user_id, session.id)

    async def enrolling(self) -> Caller:
        """Who has signed in with a password where the tenant requires a second factor, and has none yet."""
        member = await self._person("member", ACME, "enrolling")
        body = await self._read(ACME, "sessions", member.session_id)
        session = from_body(body | {"scopes": [ENROL], "amr": ["pwd"]}, Session)
        issued = await self.suite.do.access_tokens.issue(
            await self._tenant(ACME),
            session.user_id,
            session.client_id,
            scopes=session.scopes,
            roles=session.roles,
            session=session,
        )
        return Caller("enrolling", ACME, issued.access_token, session.user_id, session.id)

    async def _tenant(self, tenant_id: str) -> Tenant:
        return from_body(await self._read(tenant_id, "tenants", tenant_id), Tenant)

    async def _read(self, tenant_id: str, kind: str, thing_id: str) -> Body:
        (doc,) = await self._store.read(self._key(tenant_id, kind, thing_id))
        assert doc is not None, (tenant_id, kind, thing_id)
        return doc.body

    def _key(self, tenant_id: str, kind: str, thing_id: str) -> Key:
        if kind == "tenants":
            return tenant.key(self._store, thing_id)
        return self._store.tenant(tenant_id).key(kind, thing_id)

    async def close(self) -> None:
        for client in self._clients.values():
            await client.aclose()

    def _client(self, routes: tuple[Route, ...]) -> httpx.AsyncClient:
        app = App(
            routes,
            verifier=Verifier(self._store, ISSUER, ISSUER, self.suite.clock),
            event_door=None,
            serves_http=True,
            version="test",
            access_log=lambda line: None,
        )

        return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ISSUER)


def _letters(number: int) -> str:
    """A name has no digits."""
    return "".join(chr(ord("a") + int(digit)) for digit in str(number))


@asynccontextmanager
async def standing_world(folder: Path) -> AsyncIterator[AccessWorld]:
    """Populated."""
    store = SqliteStore(folder / "store.db", QUERIES)
    suite = Suite(folder, store)
    try:
        await suite.assemble()
        await suite.add_tenant()
        world = AccessWorld(suite, store)
        await world.populate()
        yield world
        await world.close()
    finally:
        suite.passwords.close()
        await suite.publishing.close()
