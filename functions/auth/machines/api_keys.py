"""API keys: made, listed, changed and revoked by people and machines of the tenant, which owns them."""

import os
from collections.abc import Sequence
from datetime import datetime

import msgspec

from functions.auth import caller_in_force, records, standing
from functions.auth.domain import api_key, machines, people
from functions.auth.domain.api_key import ApiKey, Presented
from functions.auth.domain.machines import STILL_ISSUING
from functions.auth.keyring.keys import KeyRoom
from functions.auth.records import Found
from shared import audit, revocations, tenant
from shared.audit import Actor
from shared.errors import NotFound
from shared.http.idempotency import EACH_TIME, Once
from shared.http.pagination import Listing
from shared.identity import Principal
from shared.ids import Clock, is_id, new_id
from shared.outbox import Outbox
from shared.store import Delete, Store, Write, until_not_stale
from shared.tenant import Tenant


class MadeKey(msgspec.Struct, frozen=True):
    """A new key. `text` is its only copy: what is stored is a digest."""

    key: ApiKey
    text: str


class ApiKeys:
    """Every change raises what `standing.of_caller` raises. The text of a key names its `environment`."""

    def __init__(self, store: Store, outbox: Outbox, keys: KeyRoom, environment: str, clock: Clock) -> None:
        self._store = store
        self._outbox = outbox
        self._keys = keys
        self._environment = environment
        self._clock = clock

    async def create(
        self,
        principal: Principal,
        actor: Actor,
        name: str,
        scopes: list[str],
        *,
        ip_ranges: Sequence[str] = (),
        not_before: datetime | None = None,
        expires_at: datetime | None = None,
        once: Once[MadeKey] = EACH_TIME,
    ) -> MadeKey:
        """Raises `Invalid`, and `Forbidden` `scope_not_grantable` for more than the creator has."""
        at = self._clock()
        secret = api_key.secret_of(os.urandom(api_key.SECRET_BYTES))
        presented = Presented(self._environment, principal.tenant_id, new_id("key"), secret)
        key = ApiKey(
            id=presented.key_id,
            name=people.display_name(name),
            scopes=machines.grantable(scopes, principal.scopes, principal.tenant_id),
            digest=api_key.digest(presented, (await self._keys.current()).peppers),
            ip_ranges=api_key.ip_ranges(ip_ranges),
            created_by=actor.id,
            created_at=at,
            not_before=api_key.start(not_before, at),
            expires_at=api_key.lifetime(at, not_before, expires_at, at),
        )
        made = MadeKey(key, api_key.text(presented))

        async def attempt() -> MadeKey:
            owner = await standing.read(self._store, principal)
            await self._store.commit(
                *await caller_in_force.checks(self._store, principal, self._clock),
                records.create(records.api_key_key(self._store, owner.value.id, key.id), key),
                *self._told(owner, actor, key.id, "create", "created", {"scopes": " ".join(key.scopes)}),
                owner.check(),
                *once.writes(made),
            )
            return made

        return await once.run(attempt)

    async def page(self, tenant_id: str, limit: int, cursor: str | None) -> Listing[ApiKey]:
        """Oldest first. Raises `BadRequest` `invalid_cursor`."""
        return await records.listed(self._store, tenant_id, records.API_KEYS, ApiKey, limit, cursor)

    async def get(self, tenant_id: str, key_id: str) -> ApiKey:
        """Raises `NotFound`."""
        found = await records.by_id(self._store, records.api_key_key, tenant_id, key_id, ApiKey)
        if found is None:
            raise _not_found()
        return found.value

    async def update(
        self,
        principal: Principal,
        actor: Actor,
        key_id: str,
        *,
        name: str | None = None,
        ip_ranges: Sequence[str] | None = None,
        expires_at: datetime | None = None,
    ) -> ApiKey:
        """Changes a key; None leaves a field as it is. Scopes cannot be changed.

        Raises `Invalid`, `NotFound`, `Conflict` `api_key_expired`, and `Forbidden` `scope_not_grantable` for
        a caller who lacks a scope of the key.
        """
        fields: dict[str, object] = {}
        if name is not None:
            fields["name"] = people.display_name(name)
        if ip_ranges is not None:
            fields["ip_ranges"] = api_key.ip_ranges(ip_ranges)

        async def attempt() -> ApiKey:
            owner, found = await self._read(principal, key_id)
            before, at = found.value, self._clock()
            api_key.require_changeable(before, principal.scopes, at)
            if expires_at is not None:
                fields["expires_at"] = api_key.lifetime(before.created_at, before.not_before, expires_at, at)
            after = msgspec.structs.replace(before, **fields)
            if after != before:
                changed = " ".join(
                    field for field in fields if getattr(after, field) != getattr(before, field)
                )
                writes = (
                    found.replace(after),
                    *self._told(owner, actor, key_id, "update", "updated", {"changed": changed}),
                    owner.check(),
                )
                still = await caller_in_force.checks(self._store, principal, self._clock, writes)
                await self._store.commit(*writes, *still)
            return after

        return await until_not_stale(attempt)

    async def revoke(self, principal: Principal, actor: Actor, key_id: str) -> None:
        """Deletes a key; its access tokens are refused within 30 s. Raises `NotFound`, also for a second
        call.
        """

        async def attempt() -> None:
            owner, found = await self._read(principal, key_id)
            over_at = self._clock() + STILL_ISSUING
            await self._store.commit(
                Delete(found.key, found.version),
                *self._told(owner, actor, key_id, "revoke", "revoked", {}),
                revocations.record(self._store, owner.value.id, key_id, over_at),
                owner.check(),
            )

        await until_not_stale(attempt)

    async def _read(self, principal: Principal, key_id: str) -> tuple[Found[Tenant], Found[ApiKey]]:
        if not is_id(key_id):
            raise _not_found()
        tenant_doc, key_doc = await self._store.read(
            tenant.key(self._store, principal.tenant_id),
            records.api_key_key(self._store, principal.tenant_id, key_id),
        )
        owner = standing.of_caller(tenant_doc, principal)
        found = records.found(key_doc, ApiKey)
        if found is None:
            raise _not_found()
        return owner, found

    def _told(
        self,
        owner: Found[Tenant],
        actor: Actor,
        key_id: str,
        verb: str,
        done: str,
        detail: dict[str, str],
    ) -> list[Write]:
        """The audit record and the event of the same change."""
        recorded = audit.record(
            self._store,
            owner.value.id,
            actor=actor,
            action=f"api_key.{verb}",
            target=key_id,
            at=self._clock(),
            detail=detail,
        )
        event = {"api_key_id": key_id, **detail}
        return [recorded, *self._outbox.entries(f"api_key.{done}", owner.value.id, event)]


def _not_found() -> NotFound:
    return NotFound("api_key_not_found", "There is no such API key. GET /v1/api-keys lists those there are.")
