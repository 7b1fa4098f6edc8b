"""Keys as a running process has them: what the rings name, fetched from the secret store and kept a while."""

import asyncio
import logging
import os
from collections.abc import Mapping
from datetime import timedelta

import msgspec

from functions.auth import records, signing
from functions.auth.domain import key_ring
from functions.auth.domain.key_ring import Algorithm, KeyRing, Pace, RingKey
from functions.auth.domain.one_time_link import InvitationLinks
from functions.auth.domain.refresh_token import RefreshTokens
from functions.auth.domain.sealed import SealingKeys
from functions.auth.domain.session import ABSOLUTE_LIFETIME
from functions.auth.signing import Signer
from shared.access_token import MAX_LIFETIME_SECONDS
from shared.cache import Cache, CacheLimits
from shared.errors import Unavailable
from shared.ids import Clock
from shared.keyring import KEYRING_NAME
from shared.secrets import Secrets, SecretUnusable
from shared.store import AlreadyExists, Doc, Store

SIGNING_SECRET = "auth-signing-key"  # noqa: S105 - a name
REFRESH_SECRET = "auth-refresh-key"  # noqa: S105 - a name
LINK_SECRET = "auth-link-key"  # noqa: S105 - a name
API_KEY_SECRET = "auth-api-key-pepper"  # noqa: S105 - a name
REFRESH_RING = "refresh"
LINK_RING = "link"
API_KEY_RING = "api-key"

LIMITS = CacheLimits(ttl=timedelta(seconds=30), stale=timedelta(minutes=5), size=1)
"""How long a process goes on with the rings that it read last; the second while the store is out."""

GATEWAY_CACHE = timedelta(minutes=5)
"""So long the gateway keeps the JWKS, and so long whatever is between it and the copy does (`max-age`)."""
CLOCK_SKEW = timedelta(minutes=1)

PENDING = 3 * GATEWAY_CACHE
"""A gateway whose first fetch fails knows the key by then, and so does every process (`LIMITS.stale`)."""
_AFTER_LAST_USE = LIMITS.stale + CLOCK_SKEW
_QUARTER = timedelta(days=90)

PACES: Mapping[str, Pace] = {
    KEYRING_NAME: Pace(
        PENDING,
        _AFTER_LAST_USE + timedelta(seconds=MAX_LIFETIME_SECONDS) + 2 * GATEWAY_CACHE,
        _QUARTER,
    ),
    REFRESH_RING: Pace(PENDING, _AFTER_LAST_USE + ABSOLUTE_LIFETIME, _QUARTER),
    LINK_RING: Pace(PENDING, _AFTER_LAST_USE + timedelta(days=30), _QUARTER),
    API_KEY_RING: Pace(PENDING, None, timedelta(days=365)),
}
"""By ring. Of peppers none is ever removed by itself: a key that is still in use may have been made with it."""

SECRETS: Mapping[str, str] = {
    KEYRING_NAME: SIGNING_SECRET,
    REFRESH_RING: REFRESH_SECRET,
    LINK_RING: LINK_SECRET,
    API_KEY_RING: API_KEY_SECRET,
}
"""Ring to the secret whose versions it names."""

_MAC_KEY_BYTES = 32

_log = logging.getLogger(__name__)


class Keys(msgspec.Struct, frozen=True):
    """Everything auth seals and signs with, and the public half as it is published (RFC 7517).

    `peppers`: what is kept of an API key is `peppers.mac(version, secret)` with `peppers.current` as version.
    """

    signer: Signer
    jwks: bytes
    refresh_tokens: RefreshTokens
    links: InvitationLinks
    peppers: SealingKeys


class KeyRoom:
    """Fetches the keys, and makes the first of each kind where there are none yet."""

    def __init__(self, store: Store, secrets: Secrets, clock: Clock) -> None:
        self._store = store
        self._secrets = secrets
        self._clock = clock
        self._kept: Cache[str, Keys] = Cache("keys", self._fetch, clock, LIMITS)
        self._signers: dict[str, Signer] = {}
        self._jwks = b""

    async def current(self) -> Keys:
        """What `ensure` gives, at most 30 s old: a running process follows the rings without a new start.

        Once it runs, a key for sealing that cannot be had is missed by those alone who need it.
        """
        return await self._kept.get("")

    async def jwks(self) -> bytes:
        """The public keys, in any outage as they were known last."""
        try:
            return (await self.current()).jwks
        except (Unavailable, SecretUnusable):
            if not self._jwks:
                raise
            return self._jwks

    async def ensure(self) -> Keys:
        """Any number of processes may do this at once: all end up with the same keys.

        Raises `SecretUnusable`, which names the secret, and `Unavailable`.
        """
        return await self._loaded(is_start=True)

    async def load(self, name: str, key: RingKey) -> None:
        """Whether a key can be used, before it is. Raises `SecretUnusable` and `Unavailable`."""
        if name == KEYRING_NAME:
            await self._signer(key)
        else:
            await self._mac_key(name, key)

    async def _fetch(self, _: str) -> Keys:
        return await self._loaded(is_start=not self._jwks)

    async def _loaded(self, *, is_start: bool) -> Keys:
        rings = await self._rings()
        ring = rings[KEYRING_NAME]
        if ring.active is None:
            raise Unavailable("no_signing_key", "No key of the ring is active.")
        jwks = published(ring)
        if not is_start:
            self._jwks = jwks
        signer, refresh, link, api_key = await asyncio.gather(
            self._signer(ring.active),
            *(
                self._sealing_keys(name, rings[name], is_start)
                for name in (REFRESH_RING, LINK_RING, API_KEY_RING)
            ),
        )
        self._jwks = jwks
        self._signers = {ring.active.kid: signer}
        return Keys(signer, jwks, RefreshTokens(refresh), InvitationLinks(link), api_key)
