"""An API key is exchanged for an access token of five minutes, which the gateway can check (RFC 9068)."""

import logging
from datetime import datetime

import msgspec

from functions.auth import records, standing
from functions.auth.domain import api_key, roles
from functions.auth.domain import client_id as client_ids
from functions.auth.domain.api_key import ApiKey, Presented
from functions.auth.domain.sealed import SealingKeys
from functions.auth.guessing.buckets import Buckets
from functions.auth.guessing.refused_credentials import Refused, RefusedCredentials
from functions.auth.guessing.source import Source
from functions.auth.guessing.throttle import PER_ADDRESS, prefix
from functions.auth.keyring.keys import KeyRoom
from functions.auth.oauth.tokens import AccessTokens, Tokens
from functions.auth.records import Found
from shared import audit, tenant
from shared.audit import Actor
from shared.errors import TooManyRequests, Unauthenticated, Unavailable
from shared.ids import Clock
from shared.metrics import Counts
from shared.store import Stale, Store
from shared.tenant import Tenant

LIFETIME_SECONDS = 300

_log = logging.getLogger(__name__)


class ApiKeyExchange:
    def __init__(
        self,
        store: Store,
        access_tokens: AccessTokens,
        keys: KeyRoom,
        refused: RefusedCredentials,
        environment: str,
        clock: Clock,
    ) -> None:
        self._store = store
        self._access_tokens = access_tokens
        self._keys = keys
        self._refused = refused
        self._environment = environment
        self._clock = clock
        self._wrong = Buckets(PER_ADDRESS, clock)
        self.answered = Counts("energent_api_key_exchanges", "API keys that were tried, by result.", "result")

    async def token(self, text: str, address: str, scope: str | None, request_id: str) -> Tokens:
        """Exchanges a key for an access token. Costs one read of two documents; the last use is written at
        most once an hour, and refusals in aggregate.

        Raises `Unauthenticated` `invalid_api_key`, alike for a wrong key, a wrong time and a wrong address;
        `TooManyRequests` after too many wrong keys from an address; with the right key `Forbidden`
        `tenant_suspended`, `tenant_not_active`; `OAuthError` `invalid_scope`.
        """
        with self.answered.result():
            return await self._token(text, Source(address, request_id=request_id), scope)

    async def _token(self, text: str, source: Source, scope: str | None) -> Tokens:
        presented = api_key.read(text)
        if presented is None or presented.environment != self._environment:
            raise _refused()
        peppers = (await self._keys.current()).peppers
        key, owner = await self._counted(presented, peppers, source)
        at = self._clock()
        await self._require_in_force(presented, key.value, source, at)
        standing.require_active(owner.value)
        tokens = await self._access_tokens.issue(
            owner.value,
            key.value.id,
            client_ids.of(owner.value.id, key.value.id),
            scopes=roles.narrowed(key.value.scopes, scope),
            roles=(),
            lifetime_seconds=LIFETIME_SECONDS,
        )
        if api_key.is_use_due(key.value, peppers.current, at):
            await self._note_use(presented, key, peppers, at, source.request_id)
        return tokens

    async def _counted(
        self, presented: Presented, peppers: SealingKeys, source: Source
    ) -> tuple[Found[ApiKey], Found[Tenant]]:
        """The key and its tenant. A wrong secret counts against its address; an expired key does not, since
        many machines behind one address may use it.
        """
        place = prefix(source.ip)
        wait = self._wrong.take(place)
        if wait:
            raise _too_many(wait)
        try:
            key, owner = await self._read(presented)
        except BaseException:
            self._wrong.give_back(place)
            raise
        is_secret = api_key.is_secret(presented, None if key is None else key.value, peppers)
        if key is None or owner is None:
            raise _refused()
        if not is_secret:
            raise await self._known_refused(presented, "wrong_secret", source)
        self._wrong.give_back(place)
        return key, owner

    async def _read(self, presented: Presented) -> tuple[Found[ApiKey] | None, Found[Tenant] | None]:
        key_doc, tenant_doc = await self._store.read(
            records.api_key_key(self._store, presented.tenant_id, presented.key_id),
            tenant.key(self._store, presented.tenant_id),
        )
        return records.found(key_doc, ApiKey), records.found(tenant_doc, Tenant)

    async def _require_in_force(
        self, presented: Presented, key: ApiKey, source: Source, at: datetime
    ) -> None:
        """Refuses a key by its time and address, with the same answer as for a wrong secret."""
        status = api_key.status(key, at)
        if status != "active":
            raise await self._known_refused(presented, status, source)
        if not api_key.is_allowed(key, source.ip):
            raise await self._known_refused(presented, "address_not_allowed", source)

    async def _known_refused(self, presented: Presented, why: str, source: Source) -> Unauthenticated:
        """The refusal of an existing key. The reason is logged, and recorded in aggregate."""
        _log.info("API key %s was refused: %s", presented.key_id, why)
        await self._refused.note(Refused("api_key", presented.tenant_id, presented.key_id, why), source)
        return _refused()

    async def _note_use(
        self, presented: Presented, key: Found[ApiKey], peppers: SealingKeys, at: datetime, request_id: str
    ) -> None:
        """Stores the time of the use, and the digest under the newest pepper. A lost race is fine: the winner
        has stored the same.
        """
        tenant_id = presented.tenant_id
        digest = api_key.digest(presented, peppers)
        used = msgspec.structs.replace(key.value, used_at=at, digest=digest)
        recorded = audit.record(
            self._store,
            tenant_id,
            actor=Actor("api_key", used.id, tenant_id, request_id),
            action="api_key.use",
            target=used.id,
            at=at,
        )
        try:
            await self._store.commit(recorded, key.replace(used))
        except (Stale, Unavailable) as failure:
            _log.info("the use of API key %s was not noted: %s", used.id, failure)


def _refused() -> Unauthenticated:
    detail = (
        "The API key is not valid here. It must be whole, of this environment, in force, and allowed"
        " from this address."
    )
    return Unauthenticated("invalid_api_key", detail)


def _too_many(wait: int) -> TooManyRequests:
    return TooManyRequests(
        "too_many_api_keys",
        "Too many wrong API keys came from this address. Wait a little, then try again.",
        headers={"Retry-After": str(wait)},
    )
