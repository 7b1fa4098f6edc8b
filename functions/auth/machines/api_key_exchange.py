"""An API key is exchanged for an access token of five minutes, which the gateway can check (RFC 9068)."""

import logging
from datetime import datetime

import msgspec

from functions.auth import records, standing
from functions.auth.domain import api_key, roles
from functions.auth.domain import client_id as client_ids
from functions.auth.domain.api_key import ApiKey, Presented
from functions.auth.domain.sealed import SealingKeys
from functions.auth.keyring.keys import KeyRoom
from functions.auth.oauth.tokens import AccessTokens, Tokens
from functions.auth.records import Found
from functions.auth.sign_in.buckets import Buckets
from functions.auth.sign_in.throttle import PER_ADDRESS, prefix
from shared import audit, tenant
from shared.audit import Actor
from shared.errors import TooManyRequests, Unauthenticated, Unavailable
from shared.ids import Clock
from shared.store import Stale, Store
from shared.tenant import Tenant

LIFETIME_SECONDS = 300

_log = logging.getLogger(__name__)


class ApiKeyExchange:
    def __init__(
        self, store: Store, access_tokens: AccessTokens, keys: KeyRoom, environment: str, clock: Clock
    ) -> None:
        self._store = store
        self._access_tokens = access_tokens
        self._keys = keys
        self._environment = environment
        self._clock = clock
        self._wrong = Buckets(PER_ADDRESS, clock)

    async def token(self, text: str, address: str, scope: str | None, request_id: str) -> Tokens:
        """One read of two documents; once an hour a write, of which nothing depends.

        Raises `Unauthenticated` `invalid_api_key`, the same for whatever is wrong with the key, with its time
        or the caller's address; `TooManyRequests` where too many were wrong from there; `Forbidden`
        `tenant_suspended`, `tenant_not_active` where the key is good; `OAuthError` `invalid_scope`.
        """
        presented = api_key.read(text)
        if presented is None or presented.environment != self._environment:
            raise _refused()
        peppers = (await self._keys.current()).peppers
        key, owner = await self._counted(presented, peppers, prefix(address))
        at = self._clock()
        self._require_in_force(key.value, address, at)
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
            await self._note_use(presented, key, peppers, at, request_id)
        return tokens

    async def _counted(
        self, presented: Presented, peppers: SealingKeys, place: str
    ) -> tuple[Found[ApiKey], Found[Tenant]]:
        """A secret that is wrong counts against the place it comes from; a right one that has expired, which
        many machines behind one address may have, does not.
        """
        wait = self._wrong.take(place)
        if wait:
            raise _too_many(wait)
        try:
            known = await self._known(presented, peppers)
        except BaseException:
            self._wrong.give_back(place)
            raise
        if known is None:
            raise _refused()
        self._wrong.give_back(place)
        return known

    async def _known(
        self, presented: Presented, peppers: SealingKeys
    ) -> tuple[Found[ApiKey], Found[Tenant]] | None:
        """The key and its tenant, where the secret is that of the key."""
        key_doc, tenant_doc = await self._store.read(
            records.api_key_key(self._store, presented.tenant_id, presented.key_id),
            tenant.key(self._store, presented.tenant_id),
        )
        key, owner = records.found(key_doc, ApiKey), records.found(tenant_doc, Tenant)
        is_secret = api_key.is_secret(presented, None if key is None else key.value, peppers)
        return None if key is None or owner is None or not is_secret else (key, owner)

    def _require_in_force(self, key: ApiKey, address: str, at: datetime) -> None:
        """Whoever holds the secret is told no more than others; why is in the log."""
        status = api_key.status(key, at)
        if status != "active":
            _log.info("API key %s was refused: %s", key.id, status)
            raise _refused()
        if not api_key.is_allowed(key, address):
            _log.info("API key %s was refused: the address is in none of its ranges", key.id)
            raise _refused()

    async def _note_use(
        self, presented: Presented, key: Found[ApiKey], peppers: SealingKeys, at: datetime, request_id: str
    ) -> None:
        """When it was used, under the newest pepper. Somebody else who was faster has done as much."""
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
