"""The keys of a running process: those that the rings name, fetched from the secret store and cached."""

import asyncio
import logging
from collections.abc import Iterator

import msgspec

from functions.auth import records
from functions.auth.domain import key_ring
from functions.auth.domain.key_ring import KeyRing, RingKey
from functions.auth.domain.known_device import DeviceTokens
from functions.auth.domain.one_time_link import OneTimeLinks
from functions.auth.domain.refresh_token import RefreshTokens
from functions.auth.domain.sealed import SealingKeys
from functions.auth.keyring import key_rings, signing
from functions.auth.keyring.key_rings import (
    API_KEY_RING,
    FACTOR_RING,
    FOLLOWED,
    LINK_RING,
    REFRESH_RING,
    SECRETS,
    SIGNING_RING,
)
from functions.auth.keyring.signing import Signer
from shared.cache import Cache
from shared.errors import Unavailable
from shared.ids import Clock
from shared.metrics import Reading
from shared.secrets import Secrets, SecretUnusable
from shared.store import AlreadyExists, Store
from shared.store.bodies import from_body

_SEALING_RINGS = (REFRESH_RING, LINK_RING, API_KEY_RING, FACTOR_RING)

_log = logging.getLogger(__name__)


class Keys(msgspec.Struct, frozen=True):
    """Everything auth seals and signs with, and the published public keys (RFC 7517).

    `peppers` make the stored digests of API keys. `front_channel` seals what a browser carries during a
    sign-in, `factors` what is stored of second factors.
    """

    signer: Signer
    jwks: bytes
    refresh_tokens: RefreshTokens
    devices: DeviceTokens
    links: OneTimeLinks
    front_channel: SealingKeys
    peppers: SealingKeys
    factors: SealingKeys


class KeyRoom:
    """Fetches the keys of all rings, and makes the first key of a ring that has none."""

    def __init__(self, store: Store, secrets: Secrets, clock: Clock) -> None:
        self._store = store
        self._secrets = secrets
        self._clock = clock
        self._kept: Cache[str, Keys] = Cache("keys", self._fetch, clock, FOLLOWED)
        self._signers: dict[str, Signer] = {}
        self._jwks = b""
        self._seen: dict[str, KeyRing] = {}

    def readings(self) -> Iterator[Reading]:
        """What `Metrics` shows of the rings as they were read last."""
        help_text = "For how long the oldest key of a ring has been in its state."
        for name, ring in self._seen.items():
            for state, seconds in key_ring.ages(ring, self._clock()).items():
                labels = {"ring": name, "state": state}
                yield Reading("energent_key_age_seconds", help_text, seconds, counts=False, labels=labels)

    async def current(self) -> Keys:
        """The keys that the rings name, as they were at most 30 s ago: a running process follows the rings.

        The first call makes the first key of each ring that has none. Any number of processes may do so at
        once, and all end up with the same keys. Raises `Unavailable`, and `SecretUnusable`, which names the
        secret; after the first success a sealing key that cannot be fetched fails only those who need it.
        """
        return await self._kept.get("")

    async def jwks(self) -> bytes:
        """The public keys as a JWKS; in an outage, as they were read last."""
        try:
            return (await self.current()).jwks
        except (Unavailable, SecretUnusable):
            if not self._jwks:
                raise
            return self._jwks

    async def try_out(self, name: str, key: RingKey) -> None:
        """Fetches a key before it is needed. Raises `SecretUnusable` or `Unavailable` if that fails."""
        if name == SIGNING_RING:
            await self._signer(key)
        else:
            await self._mac_key(name, key.secret_version)

    async def _fetch(self, _: str) -> Keys:
        is_start = not self._jwks
        rings = self._seen = await self._rings()
        ring = rings[SIGNING_RING]
        jwks = published(ring)
        if not is_start:
            self._jwks = jwks  # whatever becomes of the rest
        signer = await self._active_signer(ring)
        refresh, link, peppers, factors = await asyncio.gather(
            *(self._sealing(name, rings[name], is_start) for name in _SEALING_RINGS)
        )
        self._jwks = jwks
        return Keys(
            signer=signer,
            jwks=jwks,
            refresh_tokens=RefreshTokens(refresh),
            devices=DeviceTokens(refresh),
            links=OneTimeLinks(link),
            front_channel=link,
            peppers=peppers,
            factors=factors,
        )

    async def _active_signer(self, ring: KeyRing) -> Signer:
        """The active key's signer. The pending key is fetched too, so that its activation cannot fail."""
        if ring.active is None:
            raise Unavailable("no_signing_key", "No key of the ring is active.")
        active = await self._signer(ring.active)
        if ring.pending is not None:
            try:
                await self._signer(ring.pending)
            except (SecretUnusable, Unavailable) as failure:
                _log.warning("the next signing key cannot be had: %s", failure)
        self._signers = {key.kid: self._signers[key.kid] for key in ring.keys if key.kid in self._signers}
        return active

    async def _signer(self, key: RingKey) -> Signer:
        """Parsed once. Raises `SecretUnusable` for anything but the private half of `key`."""
        known = self._signers.get(key.kid)
        if known is not None:
            return known
        secret = SECRETS[SIGNING_RING]
        pem = await self._secrets.access(secret, key.secret_version)
        try:
            made = signing.signer(pem, key.public)
        except ValueError as wrong:
            raise SecretUnusable(secret, key.secret_version, str(wrong)) from None
        self._signers[key.kid] = made
        return made

    async def _sealing(self, name: str, ring: KeyRing, is_start: bool) -> SealingKeys:
        """The keys of a sealing ring. What a disabled or destroyed version has sealed is refused; for a
        version that cannot be fetched at present, whoever needs it gets a 503.
        """
        if ring.active is None:
            raise Unavailable("no_key", f"No key of the ring {name} is active.")
        current = ring.active.secret_version
        values: dict[int, bytes | None] = {}
        for key in ring.keys:
            version = key.secret_version
            try:
                values[version] = await self._mac_key(name, version)
            except (SecretUnusable, Unavailable) as failure:
                if is_start and version == current:
                    raise
                _log.warning("a sealing key cannot be had: %s", failure)
                if version == current or isinstance(failure, Unavailable):
                    values[version] = None
        return SealingKeys(values, current)

    async def _mac_key(self, name: str, version: int) -> bytes:
        value = await self._secrets.access(SECRETS[name], version)
        if len(value) < key_rings.MAC_KEY_BYTES:
            raise SecretUnusable(SECRETS[name], version, f"shorter than {key_rings.MAC_KEY_BYTES} bytes")
        return value

    async def _rings(self) -> dict[str, KeyRing]:
        """One consistent view of them."""
        names = tuple(SECRETS)
        docs = await self._store.read(*(records.ring_key(self._store, name) for name in names))
        return {
            name: await self._first(name) if doc is None else from_body(doc.body, KeyRing)
            for name, doc in zip(names, docs, strict=True)
        }

    async def _first(self, name: str) -> KeyRing:
        """Makes the ring with its first key, or returns the ring that another process has made meanwhile and
        destroys the own key.
        """
        made = await key_rings.material(name)
        key = await key_rings.stored(self._secrets, name, made, self._clock)
        ring = key_ring.first(key)
        where = records.ring_key(self._store, name)
        try:
            await self._store.commit(records.create(where, ring))
        except AlreadyExists:
            await self._secrets.set_state(SECRETS[name], key.secret_version, "destroyed")
            winner = await records.read(self._store, where, KeyRing)
            if winner is None:
                raise Unavailable("no_key_ring", "The key ring is gone.") from None
            return winner.value
        return ring


def published(ring: KeyRing) -> bytes:
    """The JWKS of a ring (RFC 7517 §5), always the same bytes for the same ring."""
    return msgspec.json.encode({"keys": [key.public for key in ring.keys]})
