"""Service accounts after they were made: renamed, narrowed, disabled, deleted, given new secrets and keys."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Literal, TypeVar

import msgspec

from functions.auth import caller_in_force, records, standing
from functions.auth.domain import credentials, jwk, machines, people
from functions.auth.domain.credentials import ClientSecret, PublicKey
from functions.auth.domain.machines import STILL_ISSUING, Changed, ServiceAccount, Status
from functions.auth.machines.service_accounts import new_secret, not_found
from functions.auth.records import Found
from shared import audit, revocations, tenant
from shared.audit import Actor
from shared.http.idempotency import EACH_TIME, Once
from shared.identity import Principal
from shared.ids import Clock, is_id, new_id
from shared.outbox import Outbox
from shared.store import Check, Delete, Store, Write, until_not_stale

T = TypeVar("T")

Decide = Callable[[ServiceAccount, datetime], ServiceAccount]
"""From an account as it stands, and the time, to what it becomes."""
Kind = Literal["secrets", "keys"]


class AddedSecret(msgspec.Struct, frozen=True):
    """A new secret; `text` exists nowhere else from now on."""

    secret: ClientSecret
    text: str


class ServiceAccountChanges:
    """Everything here raises `NotFound` for an account that is not the caller's tenant's, and what
    `standing.of_caller` raises. An access token that was got with a secret or key lives out its minutes when
    that is removed; disabling the account ends it.
    """

    def __init__(self, store: Store, outbox: Outbox, clock: Clock) -> None:
        self._store = store
        self._outbox = outbox
        self._clock = clock

    async def update(
        self,
        principal: Principal,
        actor: Actor,
        account_id: str,
        *,
        name: str | None = None,
        scopes: list[str] | None = None,
        status: Status | None = None,
    ) -> ServiceAccount:
        """None leaves a field as it is. Disabled, an account gets no token; enabled again, it may be refused
        for the rest of the minute. Fewer scopes end the access tokens that have more.

        Raises `Invalid`, and `Forbidden` `scope_not_grantable`, also for who enables one that may more.
        """
        fields: dict[str, object] = {}
        if name is not None:
            fields["name"] = people.display_name(name)
        if scopes is not None:
            fields["scopes"] = machines.grantable(scopes, principal.scopes, principal.tenant_id)
        if status is not None:
            fields["status"] = status

        def decide(account: ServiceAccount, at: datetime) -> ServiceAccount:
            after = msgspec.structs.replace(account, **fields)
            if account.status == "disabled" and after.status == "active":
                machines.require_equal(after, principal.scopes, principal.roles)
            return after

        return await self._change(principal, actor, account_id, decide, lambda account: account)

    async def add_secret(
        self,
        principal: Principal,
        actor: Actor,
        account_id: str,
        expires_at: datetime | None,
        once: Once[AddedSecret] = EACH_TIME,
    ) -> AddedSecret:
        """One more, beside those there are. Raises `Invalid`, `Conflict` `too_many_credentials`, and
        `Forbidden` `scope_not_grantable` for who may less than the account.
        """
        text = new_secret()

        def decide(account: ServiceAccount, at: datetime) -> ServiceAccount:
            machines.require_equal(account, principal.scopes, principal.roles)
            secret = credentials.hashed(new_id("sec"), text, at, expires_at)
            return msgspec.structs.replace(account, secrets=credentials.added(account.secrets, secret, at))

        def shown(account: ServiceAccount) -> AddedSecret:
            return AddedSecret(account.secrets[-1], text)

        return await self._change(principal, actor, account_id, decide, shown, once)

    async def add_key(
        self,
        principal: Principal,
        actor: Actor,
        account_id: str,
        given: Mapping[str, object],
        expires_at: datetime | None,
        once: Once[PublicKey] = EACH_TIME,
    ) -> PublicKey:
        """`given` is a JWK. Raises as `add_secret` does, and `Conflict` `credential_exists`."""
        kid, members = jwk.public(given)

        def decide(account: ServiceAccount, at: datetime) -> ServiceAccount:
            machines.require_equal(account, principal.scopes, principal.roles)
            key = credentials.public_key(kid, members, at, expires_at)
            return msgspec.structs.replace(account, keys=credentials.added(account.keys, key, at))

        return await self._change(
            principal, actor, account_id, decide, lambda account: account.keys[-1], once
        )

    async def expire(
        self,
        principal: Principal,
        actor: Actor,
        account_id: str,
        kind: Kind,
        credential_id: str,
        expires_at: datetime,
    ) -> ServiceAccount:
        """It works until then. Raises `Invalid`, `NotFound` for one that does not work any more, and
        `Forbidden` `scope_not_grantable` for who puts off a deadline and may less than the account.
        """

        def decide(account: ServiceAccount, at: datetime) -> ServiceAccount:
            before = getattr(account, kind)
            after = credentials.expiring(before, credential_id, expires_at, at)
            if credentials.last_longer(before, after):
                machines.require_equal(account, principal.scopes, principal.roles)
            return msgspec.structs.replace(account, **{kind: after})

        return await self._change(principal, actor, account_id, decide, lambda account: account)

    async def remove(
        self, principal: Principal, actor: Actor, account_id: str, kind: Kind, credential_id: str
    ) -> None:
        """From now on it does not work. Raises `NotFound` as `expire` does."""

        def decide(account: ServiceAccount, at: datetime) -> ServiceAccount:
            after = credentials.removed(getattr(account, kind), credential_id, at)
            return msgspec.structs.replace(account, **{kind: after})

        await self._change(principal, actor, account_id, decide, lambda account: account)

    async def delete(self, principal: Principal, actor: Actor, account_id: str) -> None:
        """The second time it is unknown."""
        tenant_id = principal.tenant_id

        async def attempt() -> None:
            account, checks = await self._read(principal, account_id)
            at = self._clock()
            await self._store.commit(
                Delete(account.key, account.version),
                *self._told(tenant_id, actor, account_id, "delete", "deleted", at, {}),
                revocations.record(self._store, tenant_id, account_id, at + STILL_ISSUING),
                *checks,
            )

        await until_not_stale(attempt)

    async def _change(
        self,
        principal: Principal,
        actor: Actor,
        account_id: str,
        decide: Decide,
        shown: Callable[[ServiceAccount], T],
        once: Once[T] = EACH_TIME,
    ) -> T:
        """Returns what is `shown` of the account then. Where it stays the same, nothing is written."""

        async def attempt() -> T:
            account, checks = await self._read(principal, account_id)
            at = self._clock()
            change = machines.changed(account.value, decide(account.value, at), at)
            result = shown(change.account)
            if change.what:
                await self._store.commit(
                    account.replace(change.account),
                    *self._updated(principal.tenant_id, actor, change, at),
                    *checks,
                    *once.writes(result),
                )
            return result

        return await once.run(attempt)

    def _updated(self, tenant_id: str, actor: Actor, change: Changed, at: datetime) -> list[Write]:
        account_id = change.account.id
        detail = {"changed": " ".join(change.what), "status": change.account.status}
        writes = self._told(tenant_id, actor, account_id, "update", "updated", at, detail)
        if change.ends is not None:
            writes.append(revocations.record(self._store, tenant_id, account_id, change.ends))
        return writes

    async def _read(self, principal: Principal, account_id: str) -> tuple[Found[ServiceAccount], list[Check]]:
        """The account, and what must still be so when it is changed; it may be the caller himself."""
        if not is_id(account_id):
            raise not_found()
        tenant_doc, account_doc = await self._store.read(
            tenant.key(self._store, principal.tenant_id),
            records.service_account_key(self._store, principal.tenant_id, account_id),
        )
        owner = standing.of_caller(tenant_doc, principal)
        account = records.found(account_doc, ServiceAccount)
        if account is None:
            raise not_found()
        beside = (account.check(),)
        still = await caller_in_force.checks(self._store, principal, self._clock, beside)
        return account, [owner.check(), *still]

    def _told(
        self,
        tenant_id: str,
        actor: Actor,
        account_id: str,
        verb: str,
        done: str,
        at: datetime,
        detail: dict[str, str],
    ) -> list[Write]:
        """The audit record and the event of the same change."""
        recorded = audit.record(
            self._store,
            tenant_id,
            actor=actor,
            action=f"service_account.{verb}",
            target=account_id,
            at=at,
            detail=detail,
        )
        event = {"service_account_id": account_id, **detail}
        return [recorded, *self._outbox.entries(f"service_account.{done}", tenant_id, event)]
