"""Keys: the ring of ES256 signing keys, and the HMAC keys that seal refresh tokens and one-time links.

A ring document says which versions of a secret are in use; the secret store holds the values.
"""

import os
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import timedelta

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from functions.auth import records
from functions.auth.domain.one_time_link import OneTimeLinks
from functions.auth.domain.refresh_token import RefreshTokens
from functions.auth.domain.sealed import SealingKeys
from functions.auth.records import MacKeyRing
from shared.cache import Cache, CacheLimits
from shared.errors import Unavailable
from shared.ids import Clock
from shared.keyring import KEYRING_NAME, KeyRing, SigningKey, public_jwk
from shared.secrets import Secrets, SecretUnusable
from shared.store import AlreadyExists, Store
from shared.store.bodies import from_body

SIGNING_SECRET = "auth-signing-key"  # noqa: S105 - a name
REFRESH_SECRET = "auth-refresh-key"  # noqa: S105 - a name
LINK_SECRET = "auth-link-key"  # noqa: S105 - a name
API_KEY_SECRET = "auth-api-key-pepper"  # noqa: S105 - a name
REFRESH_RING = "refresh"
LINK_RING = "link"
API_KEY_RING = "api-key"

LIMITS = CacheLimits(ttl=timedelta(seconds=30), stale=timedelta(minutes=5), size=1)
"""How long a process goes on with the rings that it read last; the second while the store is out."""

_MAC_KEY_BYTES = 32
_COORDINATE_BYTES = 32
_ALGORITHM = ec.ECDSA(SHA256())


class Signer:
    """Makes compact JWS (RFC 7515 §3.1) with one key, which is parsed already."""

    def __init__(self, kid: str, key: ec.EllipticCurvePrivateKey) -> None:
        self._kid = kid
        self._key = key
        self._starts: dict[str, bytes] = {}

    def sign(self, payload: bytes, typ: str = "at+jwt") -> str:
        """`typ` is one of the program's own few: each has its header kept."""
        start = self._starts.get(typ)
        if start is None:
            header = msgspec.json.encode({"alg": "ES256", "kid": self._kid, "typ": typ})
            start = self._starts[typ] = _base64url(header) + b"."
        signed = start + _base64url(payload)
        r, s = decode_dss_signature(self._key.sign(signed, _ALGORITHM))
        signature = r.to_bytes(_COORDINATE_BYTES) + s.to_bytes(_COORDINATE_BYTES)
        return (signed + b"." + _base64url(signature)).decode()


class Keys(msgspec.Struct, frozen=True):
    """Everything auth seals and signs with, and the public half as it is published (RFC 7517).

    `peppers`: what is kept of an API key is `peppers.mac(version, secret)` with `peppers.current` as version.
    """

    signer: Signer
    jwks: bytes
    refresh_tokens: RefreshTokens
    links: OneTimeLinks
    peppers: SealingKeys


class KeyRoom:
    """Fetches the keys, and makes the first of each kind where there are none yet."""

    def __init__(self, store: Store, secrets: Secrets, clock: Clock) -> None:
        self._store = store
        self._secrets = secrets
        self._clock = clock
        self._kept: Cache[str, Keys] = Cache("keys", self._fetch, clock, LIMITS)

    async def current(self) -> Keys:
        """What `ensure` gives, at most 30 s old: a running process follows the rings without a new start."""
        return await self._kept.get("")

    async def _fetch(self, _: str) -> Keys:
        return await self.ensure()

    async def ensure(self) -> Keys:
        """Any number of processes may do this at once: all end up with the same keys.

        Raises `SecretUnusable`, which names the secret, and `Unavailable`.
        """
        ring = await self._signing_ring()
        active = next((key for key in ring.keys if key.state == "active"), None)
        if active is None:
            raise Unavailable("no_signing_key", "No key of the ring is active.")
        return Keys(
            signer=Signer(active.kid, await self._private_key(active)),
            jwks=published(ring),
            refresh_tokens=RefreshTokens(await self._sealing_keys(REFRESH_RING, REFRESH_SECRET)),
            links=OneTimeLinks(await self._sealing_keys(LINK_RING, LINK_SECRET)),
            peppers=await self._sealing_keys(API_KEY_RING, API_KEY_SECRET),
        )

    async def _signing_ring(self) -> KeyRing:
        ring = await self._ring(KEYRING_NAME, KeyRing)
        return ring or await self._first(KEYRING_NAME, KeyRing, SIGNING_SECRET, self._new_signing_key)

    async def _sealing_keys(self, name: str, secret: str) -> SealingKeys:
        ring = await self._ring(name, MacKeyRing)
        ring = ring or await self._first(name, MacKeyRing, secret, _new_mac_key)
        keys = {}
        for version in ring.secret_versions:
            keys[version] = await self._secrets.access(secret, version)
            if len(keys[version]) < _MAC_KEY_BYTES:
                raise SecretUnusable(secret, version, f"shorter than {_MAC_KEY_BYTES} bytes")
        return SealingKeys(keys, ring.secret_versions[-1])

    async def _ring(self, name: str, kind: type[records.T]) -> records.T | None:
        doc = (await self._store.read(records.ring_key(self._store, name)))[0]
        return None if doc is None else from_body(doc.body, kind)

    async def _first(
        self,
        name: str,
        kind: type[records.T],
        secret: str,
        make: Callable[[], tuple[bytes, Callable[[int], records.T]]],
    ) -> records.T:
        """The ring's first key, or the ring that somebody else made meanwhile; the loser's is destroyed."""
        value, ring_of = make()
        version = await self._secrets.add(secret, value)
        ring = ring_of(version)
        try:
            await self._store.commit(records.create(records.ring_key(self._store, name), ring))
        except AlreadyExists:
            await self._secrets.set_state(secret, version, "destroyed")
            winner = await self._ring(name, kind)
            if winner is None:
                raise Unavailable("no_key_ring", "The key ring is gone.") from None
            return winner
        return ring

    def _new_signing_key(self) -> tuple[bytes, Callable[[int], KeyRing]]:
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        public = public_jwk(key.public_key())
        made_at = self._clock()

        def ring(version: int) -> KeyRing:
            return KeyRing((SigningKey(public["kid"], "active", version, made_at, public),))

        return pem, ring

    async def _private_key(self, known: SigningKey) -> ec.EllipticCurvePrivateKey:
        """The private half of `known`. Raises `SecretUnusable` for anything else."""
        pem = await self._secrets.access(SIGNING_SECRET, known.secret_version)
        try:
            key = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError):
            raise SecretUnusable(SIGNING_SECRET, known.secret_version, "no private key in PEM") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise SecretUnusable(SIGNING_SECRET, known.secret_version, "no P-256 key")
        if public_jwk(key.public_key())["kid"] != known.kid:
            raise SecretUnusable(SIGNING_SECRET, known.secret_version, "not the key that the ring names")
        return key


def published(ring: KeyRing) -> bytes:
    """The public half of a ring, which is the same bytes for the same ring (RFC 7517 §5)."""
    return msgspec.json.encode({"keys": [key.public for key in ring.keys]})


def _new_mac_key() -> tuple[bytes, Callable[[int], MacKeyRing]]:
    return os.urandom(_MAC_KEY_BYTES), lambda version: MacKeyRing((version,))


def _base64url(raw: bytes) -> bytes:
    return urlsafe_b64encode(raw).rstrip(b"=")
