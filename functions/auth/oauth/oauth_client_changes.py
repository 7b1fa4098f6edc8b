"""OAuth clients after they were registered: changed, disabled, deleted, given new secrets and keys."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Literal, TypeVar

import msgspec

from functions.auth import caller_in_force, records, standing
from functions.auth.domain import credentials, jwk, oauth_client, people
from functions.auth.domain.credentials import PublicKey
from functions.auth.domain.machines import STILL_ISSUING, Status
from functions.auth.domain.oauth_client import GrantType, OAuthClient
from functions.auth.machines.service_account_changes import AddedSecret
from functions.auth.machines.service_accounts import new_secret
from functions.auth.oauth.oauth_clients import not_found
from functions.auth.records import Found
from shared import audit, revocations, tenant
from shared.audit import Actor
from shared.http.idempotency import EACH_TIME, Once
from shared.identity import Principal
from shared.ids import Clock, is_id, new_id
from shared.outbox import Outbox
from shared.store import Check, Delete, Store, Write, until_not_stale

T = TypeVar("T")

Decide = Callable[[OAuthClient, datetime], OAuthClient]
"""From a client as it stands, and the time, to what it becomes."""
CredentialKind = Literal["secrets", "keys"]


class ClientChange(msgspec.Struct, frozen=True):
    """What is None stays as it is."""

    name: str | None = None
    redirect_uris: Sequence[str] | None = None
    grant_types: Sequence[GrantType] | None = None
    scopes: Sequence[str] | None = None
    resources: Sequence[str] | None = None
    status: Status | None = None


class OAuthClientChanges:
    """Everything here raises `NotFound` for a client that is not the caller's tenant's, and what
    `standing.of_caller` and `caller_in_force.checks` raise. Disabled or deleted, a client gets no more
    tokens, its sessions do not go on, and its access tokens end, those of people too.
    """

    def __init__(self, store: Store, outbox: Outbox, clock: Clock) -> None:
        self._store = store
        self._outbox = outbox
        self._clock = clock

    async def update(
        self, principal: Principal, actor: Actor, client_id: str, change: ClientChange
    ) -> OAuthClient:
        """Raises `Invalid`, and `Forbidden` `scope_not_grantable`: who says where codes and tokens go, or how
        the client gets them, has all of its scopes.
        """
        fields: dict[str, object] = {}
        for name in ("redirect_uris", "grant_types", "resources"):
            if getattr(change, name) is not None:
                fields[name] = tuple(getattr(change, name))
        if change.name is not None:
            fields["name"] = people.display_name(change.name)
        if change.scopes is not None:
            fields["scopes"] = oauth_client.grantable(change.scopes, principal.scopes, principal.tenant_id)
        if change.status is not None:
            fields["status"] = change.status

        def decide(client: OAuthClient, at: datetime) -> OAuthClient:
            changed = msgspec.structs.replace(client, **fields)
            oauth_client.check(changed)
            if oauth_client.is_led_elsewhere(client, changed):
                oauth_client.require_equal(changed, principal.scopes)
            return changed

        return await self._change(principal, actor, client_id, decide, lambda client: client)

    async def add_secret(
        self,
        principal: Principal,
        actor: Actor,
        client_id: str,
        expires_at: datetime | None,
        once: Once[AddedSecret] = EACH_TIME,
    ) -> AddedSecret:
        """One more, beside those there are. Raises `Invalid`, `Conflict` `too_many_credentials`,
        `public_client`, and `Forbidden` `scope_not_grantable` for who may less than the client.
        """
        text = new_secret()

        def decide(client: OAuthClient, at: datetime) -> OAuthClient:
            oauth_client.require_credentials(client, principal.scopes)
            secret = credentials.hashed(new_id("sec"), text, at, expires_at)
            return msgspec.structs.replace(client, secrets=credentials.added(client.secrets, secret, at))

        def shown(client: OAuthClient) -> AddedSecret:
            return AddedSecret(client.secrets[-1], text)

        return await self._change(principal, actor, client_id, decide, shown, once)

    async def add_key(
        self,
        principal: Principal,
        actor: Actor,
        client_id: str,
        given: Mapping[str, object],
        expires_at: datetime | None,
        once: Once[PublicKey] = EACH_TIME,
    ) -> PublicKey:
        """`given` is a JWK. Raises as `add_secret` does, and `Conflict` `credential_exists`."""
        kid, members = jwk.public(given)

        def decide(client: OAuthClient, at: datetime) -> OAuthClient:
            oauth_client.require_credentials(client, principal.scopes)
            key = credentials.public_key(kid, members, at, expires_at)
            return msgspec.structs.replace(client, keys=credentials.added(client.keys, key, at))

        return await self._change(principal, actor, client_id, decide, lambda client: client.keys[-1], once)

    async def remove(
        self, principal: Principal, actor: Actor, client_id: str, kind: CredentialKind, credential_id: str
    ) -> None:
        """From now on it does not work. Raises `NotFound` for one that does not work any more."""

        def decide(client: OAuthClient, at: datetime) -> OAuthClient:
            after = credentials.removed(getattr(client, kind), credential_id, at)
            return msgspec.structs.replace(client, **{kind: after})

        await self._change(principal, actor, client_id, decide, lambda client: client)

    async def delete(self, principal: Principal, actor: Actor, client_id: str) -> None:
        """The second time it is unknown."""

        tenant_id = principal.tenant_id

        async def attempt() -> None:
            client, checks = await self._read(principal, client_id)
            at = self._clock()
            await self._store.commit(
                Delete(client.key, client.version),
                *self._told(tenant_id, actor, client_id, "delete", at, {}),
                revocations.record(self._store, tenant_id, client_id, at + STILL_ISSUING),
                *checks,
            )

        await until_not_stale(attempt)

    async def _change(
        self,
        principal: Principal,
        actor: Actor,
        client_id: str,
        decide: Decide,
        shown: Callable[[OAuthClient], T],
        once: Once[T] = EACH_TIME,
    ) -> T:
        """Returns what is `shown` of the client then. Where it stays the same, nothing is written."""

        tenant_id = principal.tenant_id

        async def attempt() -> T:
            client, checks = await self._read(principal, client_id)
            at = self._clock()
            after = decide(client.value, at)
            result = shown(after)
            what = oauth_client.differences(client.value, after)
            if what:
                detail = {"changed": " ".join(what), "status": after.status}
                writes = self._told(tenant_id, actor, client_id, "update", at, detail)
                if oauth_client.loses(client.value, after):
                    writes.append(revocations.record(self._store, tenant_id, client_id, at + STILL_ISSUING))
                await self._store.commit(client.replace(after), *writes, *checks, *once.writes(result))
            return result

        return await once.run(attempt)

    async def _read(self, principal: Principal, client_id: str) -> tuple[Found[OAuthClient], list[Check]]:
        """The client, and what must still be so when it is changed; it may be the caller itself."""
        if not is_id(client_id):
            raise not_found()
        tenant_doc, client_doc = await self._store.read(
            tenant.key(self._store, principal.tenant_id),
            records.client_key(self._store, principal.tenant_id, client_id),
        )
        owner = standing.of_caller(tenant_doc, principal)
        client = records.found(client_doc, OAuthClient)
        if client is None:
            raise not_found()
        beside = (client.check(),)
        still = await caller_in_force.checks(self._store, principal, self._clock, beside)
        return client, [owner.check(), *still]

    def _told(
        self,
        tenant_id: str,
        actor: Actor,
        client_id: str,
        verb: Literal["update", "delete"],
        at: datetime,
        detail: dict[str, str],
    ) -> list[Write]:
        """The audit record and the event of the same change."""
        recorded = audit.record(
            self._store,
            tenant_id,
            actor=actor,
            action=f"client.{verb}",
            target=client_id,
            at=at,
            detail=detail,
        )
        event = {"client_id": client_id, **detail}
        return [recorded, *self._outbox.entries(f"client.{verb}d", tenant_id, event)]
