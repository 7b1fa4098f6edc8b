"""Changes to service accounts and OAuth clients, the holders of credentials: secrets, keys, deletion."""

import os
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Generic, Literal, TypeVar

import msgspec

from functions.auth import caller_in_force, records, standing
from functions.auth.domain import credentials, jwk
from functions.auth.domain.credentials import ClientSecret, PublicKey
from functions.auth.domain.machines import STILL_ISSUING, ServiceAccount
from functions.auth.domain.oauth_client import OAuthClient
from functions.auth.records import Found, KeyOf
from shared import audit, base64url, revocations, tenant
from shared.audit import Actor
from shared.errors import NotFound
from shared.http.idempotency import EACH_TIME, Once
from shared.identity import Principal
from shared.ids import Clock, is_id, new_id
from shared.outbox import Outbox
from shared.store import Check, Delete, Store, Write, until_not_stale

H = TypeVar("H", bound=ServiceAccount | OAuthClient)
T = TypeVar("T")

Decide = Callable[[H, datetime], H]
"""Decides what a holder becomes, from what it is and the time."""
CredentialKind = Literal["secrets", "keys"]


class AddedSecret(msgspec.Struct, frozen=True):
    """A new secret. `text` is its only copy: what is stored is a hash."""

    secret: ClientSecret
    text: str


class HolderKind(msgspec.Struct, Generic[H], frozen=True):
    """How the two kinds of holders differ.

    Audit actions and event types begin with `name`. `require_entitled` raises for a caller who may not give
    the holder credentials. `over_at(before, after, now)` says up to which `iat` the change ends the holder's
    access tokens; None: it ends none.
    """

    name: Literal["service_account", "client"]
    type: type[H]
    key_of: KeyOf
    not_found: Callable[[], NotFound]
    require_entitled: Callable[[H, Principal], None]
    over_at: Callable[[H, H, datetime], datetime | None]


class HolderChanges(Generic[H]):
    """Every method raises `NotFound` for a holder that the caller's tenant does not have, and what
    `standing.of_caller` and `caller_in_force.checks` raise.

    Removing a secret or key does not end access tokens that were issued for it: they expire by themselves.
    """

    def __init__(
        self, kind: HolderKind[H], store: Store, outbox: Outbox, clock: Clock, forget: Callable[[str], None]
    ) -> None:
        """`forget` is called with the id of each holder that may have changed."""
        self._kind = kind
        self._forget = forget
        self._store = store
        self._outbox = outbox
        self._clock = clock

    async def add_secret(
        self,
        principal: Principal,
        actor: Actor,
        own_id: str,
        expires_at: datetime | None,
        once: Once[AddedSecret] = EACH_TIME,
    ) -> AddedSecret:
        """Adds a secret to those there are. Raises `Invalid`; `Conflict` `too_many_credentials` or
        `public_client`; `Forbidden` `scope_not_grantable` for a caller who lacks a scope of the holder.
        """
        text = new_secret()

        def decide(holder: H, at: datetime) -> H:
            self._kind.require_entitled(holder, principal)
            secret = credentials.hashed(new_id("sec"), text, at, expires_at)
            return msgspec.structs.replace(holder, secrets=credentials.added(holder.secrets, secret, at))

        def shown(holder: H) -> AddedSecret:
            return AddedSecret(holder.secrets[-1], text)

        return await self._change(principal, actor, own_id, decide, shown, once)

    async def add_key(
        self,
        principal: Principal,
        actor: Actor,
        own_id: str,
        given: Mapping[str, object],
        expires_at: datetime | None,
        once: Once[PublicKey] = EACH_TIME,
    ) -> PublicKey:
        """`given` is a JWK. Raises as `add_secret` does, and `Conflict` `credential_exists`."""
        kid, members = jwk.public(given)

        def decide(holder: H, at: datetime) -> H:
            self._kind.require_entitled(holder, principal)
            key = credentials.public_key(kid, members, at, expires_at)
            return msgspec.structs.replace(holder, keys=credentials.added(holder.keys, key, at))

        return await self._change(principal, actor, own_id, decide, lambda holder: holder.keys[-1], once)

    async def expire(
        self,
        principal: Principal,
        actor: Actor,
        own_id: str,
        kind: CredentialKind,
        credential_id: str,
        expires_at: datetime,
    ) -> H:
        """Sets a deadline for a secret or key. Raises `Invalid`; `NotFound` for one that has expired; what
        `add_secret` raises if the deadline is later than the one before.
        """

        def decide(holder: H, at: datetime) -> H:
            before = getattr(holder, kind)
            after = credentials.expiring(before, credential_id, expires_at, at)
            if credentials.last_longer(before, after):
                self._kind.require_entitled(holder, principal)
            return msgspec.structs.replace(holder, **{kind: after})

        return await self._change(principal, actor, own_id, decide, lambda holder: holder)

    async def remove(
        self, principal: Principal, actor: Actor, own_id: str, kind: CredentialKind, credential_id: str
    ) -> None:
        """Removes a secret or key, which stops working at once. Raises `NotFound` as `expire` does."""

        def decide(holder: H, at: datetime) -> H:
            after = credentials.removed(getattr(holder, kind), credential_id, at)
            return msgspec.structs.replace(holder, **{kind: after})

        await self._change(principal, actor, own_id, decide, lambda holder: holder)

    async def delete(self, principal: Principal, actor: Actor, own_id: str) -> None:
        """Deletes the holder and ends its access tokens. A second call raises `NotFound`."""
        tenant_id = principal.tenant_id

        async def attempt() -> None:
            holder, checks = await self._read(principal, own_id)
            at = self._clock()
            await self._store.commit(
                Delete(holder.key, holder.version),
                *self._told(tenant_id, actor, own_id, "delete", at, {}, {}),
                revocations.record(self._store, tenant_id, own_id, at + STILL_ISSUING),
                *checks,
            )

        try:
            await until_not_stale(attempt)
        finally:
            self._forget(own_id)

    async def _change(
        self,
        principal: Principal,
        actor: Actor,
        own_id: str,
        decide: Decide[H],
        shown: Callable[[H], T],
        once: Once[T] = EACH_TIME,
    ) -> T:
        """Replaces the holder by what `decide` returns, and gives `shown` of that. Writes nothing if nothing
        changes.
        """
        tenant_id = principal.tenant_id

        async def attempt() -> T:
            holder, checks = await self._read(principal, own_id)
            before, at = holder.value, self._clock()
            after = decide(before, at)
            result = shown(after)
            changed = [
                name for name in after.__struct_fields__ if getattr(before, name) != getattr(after, name)
            ]
            if changed:
                detail = {"changed": " ".join(changed), "status": after.status}
                over_at = self._kind.over_at(before, after, at)
                ends: list[Write] = []
                if over_at is not None:
                    detail["access"] = "ended"
                    ends.append(revocations.record(self._store, tenant_id, own_id, over_at))
                now = {name: credentials.recorded(getattr(after, name)) for name in changed}
                told = self._told(tenant_id, actor, own_id, "update", at, detail, now)
                await self._store.commit(holder.replace(after), *told, *ends, *checks, *once.writes(result))
            return result

        try:
            return await once.run(attempt)
        finally:
            self._forget(own_id)

    async def _read(self, principal: Principal, own_id: str) -> tuple[Found[H], list[Check]]:
        """The holder, and the preconditions for changing it. The caller may be the holder itself."""
        if not is_id(own_id):
            raise self._kind.not_found()
        tenant_doc, doc = await self._store.read(
            tenant.key(self._store, principal.tenant_id),
            self._kind.key_of(self._store, principal.tenant_id, own_id),
        )
        owner = standing.of_caller(tenant_doc, principal)
        holder = records.found(doc, self._kind.type)
        if holder is None:
            raise self._kind.not_found()
        beside = (holder.check(),)
        still = await caller_in_force.checks(self._store, principal, self._clock, beside)
        return holder, [owner.check(), *still]

    def _told(
        self,
        tenant_id: str,
        actor: Actor,
        own_id: str,
        verb: Literal["update", "delete"],
        at: datetime,
        detail: dict[str, str],
        now: dict[str, str],
    ) -> list[Write]:
        """The audit record and the event of one change. `now` is for the record alone."""
        name = self._kind.name
        said = {**now, **detail}
        recorded = audit.record(
            self._store, tenant_id, actor=actor, action=f"{name}.{verb}", target=own_id, at=at, detail=said
        )
        event = {f"{name}_id": own_id, **detail}
        return [recorded, *self._outbox.entries(f"{name}.{verb}d", tenant_id, event)]


def new_secret() -> str:
    """256 random bits, with a prefix by which scanners for leaked secrets recognise it."""
    return "sk_" + base64url.encode(os.urandom(32))
