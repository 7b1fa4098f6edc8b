"""The OAuth clients of a tenant: registered, listed, found."""

from typing import Annotated

import msgspec
from msgspec import Meta

from functions.auth import caller_in_force, records, standing
from functions.auth.credentials.holder_changes import new_secret
from functions.auth.domain import client_id as client_ids
from functions.auth.domain import credentials, oauth_client, people
from functions.auth.domain.oauth_client import GrantType, Kind, OAuthClient
from functions.auth.domain.people import Name
from functions.auth.records import Found
from shared import audit
from shared.audit import Actor
from shared.errors import NotFound
from shared.http.idempotency import EACH_TIME, Once
from shared.http.pagination import Listing
from shared.identity import Principal
from shared.ids import Clock, new_id
from shared.outbox import Outbox
from shared.store import Store

Uri = Annotated[str, Meta(min_length=1, max_length=oauth_client.MAX_URI_CHARACTERS)]
Uris = Annotated[tuple[Uri, ...], Meta(max_length=oauth_client.MAX_REDIRECT_URIS)]
Scopes = Annotated[tuple[str, ...], Meta(max_length=oauth_client.MAX_SCOPES)]
GrantTypes = Annotated[tuple[GrantType, ...], Meta(min_length=1, max_length=4)]


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A client as somebody wants to register it; whether its fields fit together is not checked yet."""

    name: Name
    kind: Kind
    grant_types: GrantTypes
    scopes: Scopes
    redirect_uris: Uris = ()
    post_logout_redirect_uris: Uris = ()
    resources: Uris = ()


class Registered(msgspec.Struct, frozen=True):
    """A new client and its only copy of the secret; None for a public client."""

    client: OAuthClient
    secret: str | None


class OAuthClients:
    def __init__(self, store: Store, outbox: Outbox, clock: Clock) -> None:
        self._store = store
        self._outbox = outbox
        self._clock = clock

    async def create(
        self, principal: Principal, actor: Actor, wanted: Wanted, once: Once[Registered] = EACH_TIME
    ) -> Registered:
        """Raises `Invalid`, `Forbidden` `scope_not_grantable` for more than the creator has, and what
        `standing.of_caller` and `caller_in_force.checks` raise.
        """
        tenant_id = principal.tenant_id
        name = people.display_name(wanted.name)
        scopes = oauth_client.grantable(wanted.scopes, principal.scopes, tenant_id)

        async def attempt() -> Registered:
            at = self._clock()
            secret = new_secret() if wanted.kind == "confidential" else None
            client = OAuthClient(
                id=new_id("cli"),
                tenant_id=tenant_id,
                name=name,
                kind=wanted.kind,
                redirect_uris=wanted.redirect_uris,
                post_logout_redirect_uris=wanted.post_logout_redirect_uris,
                grant_types=wanted.grant_types,
                scopes=scopes,
                resources=wanted.resources,
                secrets=(credentials.hashed(new_id("sec"), secret, at),) if secret else (),
                keys=(),
                created_by=actor.id,
                created_at=at,
            )
            oauth_client.check(client)
            owner = await standing.read(self._store, principal)
            made = Registered(client, secret)
            await self._store.commit(
                records.create(records.client_key(self._store, tenant_id, client.id), client),
                *self._outbox.entries("client.created", tenant_id, {"client_id": client.id}),
                audit.record(
                    self._store,
                    tenant_id,
                    actor=actor,
                    action="client.create",
                    target=client.id,
                    at=at,
                    detail={"kind": client.kind, "scopes": " ".join(scopes)},
                ),
                owner.check(),
                *await caller_in_force.checks(self._store, principal, self._clock),
                *once.writes(made),
            )
            return made

        return await once.run(attempt)

    async def page(self, tenant_id: str, limit: int, cursor: str | None) -> Listing[OAuthClient]:
        """Oldest first. Raises `BadRequest` `invalid_cursor`."""
        return await records.listed(self._store, tenant_id, records.CLIENTS, OAuthClient, limit, cursor)

    async def get(self, tenant_id: str, own_id: str) -> OAuthClient:
        """The client with the id `cli_…`. Raises `NotFound`, alike for unknown and for other tenants' ids."""
        found = await self._read(tenant_id, own_id)
        if found is None:
            raise not_found()
        return found.value

    async def find(self, client_id: str) -> Found[OAuthClient] | None:
        """The client with the full id `<tenant>.<cli_…>`. None for an unknown or disabled one."""
        ids = client_ids.parse(client_id)
        found = None if ids is None else await self._read(*ids)
        return found if found is not None and found.value.status == "active" else None

    async def _read(self, tenant_id: str, own_id: str) -> Found[OAuthClient] | None:
        return await records.by_id(self._store, records.client_key, tenant_id, own_id, OAuthClient)


def not_found() -> NotFound:
    return NotFound("client_not_found", "There is no such client. GET /v1/clients lists those there are.")
