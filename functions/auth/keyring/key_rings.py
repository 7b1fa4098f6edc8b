"""The key rings that auth has: their names, secrets and paces, and how a key for one is made.

A ring's document says which versions of its secret are in use; the secret store holds the values.
"""

import os
from collections.abc import Mapping
from datetime import timedelta

import msgspec

from functions.auth.domain.key_ring import Algorithm, Pace, RingKey
from functions.auth.domain.session import ABSOLUTE_LIFETIME
from functions.auth.keyring import signing
from shared.access_token import MAX_LIFETIME_SECONDS
from shared.cache import CacheLimits
from shared.ids import Clock
from shared.keyring import KEYRING_NAME
from shared.secrets import Secrets

SIGNING_RING = KEYRING_NAME
REFRESH_RING = "refresh"
LINK_RING = "link"
API_KEY_RING = "api-key"
FACTOR_RING = "factor"

SIGNING_SECRET = "auth-signing-key"  # noqa: S105 - a name
REFRESH_SECRET = "auth-refresh-key"  # noqa: S105 - a name
LINK_SECRET = "auth-link-key"  # noqa: S105 - a name
API_KEY_SECRET = "auth-api-key-pepper"  # noqa: S105 - a name
FACTOR_SECRET = "auth-factor-key"  # noqa: S105 - a name

SECRETS: Mapping[str, str] = {
    SIGNING_RING: SIGNING_SECRET,
    REFRESH_RING: REFRESH_SECRET,
    LINK_RING: LINK_SECRET,
    API_KEY_RING: API_KEY_SECRET,
    FACTOR_RING: FACTOR_SECRET,
}
"""Ring to the secret whose versions it names."""

FOLLOWED = CacheLimits(ttl=timedelta(seconds=30), stale=timedelta(minutes=5), size=1)
"""How long a process goes on with the rings that it read last; the second while the store is out."""

GATEWAY_CACHE = timedelta(minutes=5)
"""So long the gateway keeps the JWKS, and so long whatever is between it and the copy does (`max-age`)."""

_SKEW = timedelta(minutes=1)
_PENDING = 3 * GATEWAY_CACHE
"""A gateway whose first fetch fails knows the key by then, and so does every process."""
_LAST_USE = FOLLOWED.stale + _SKEW
_LAST_TOKEN = timedelta(seconds=MAX_LIFETIME_SECONDS) + 2 * GATEWAY_CACHE
_LONGEST_LINK = timedelta(days=30)
_QUARTER = timedelta(days=90)

PACES: Mapping[str, Pace] = {
    SIGNING_RING: Pace(_PENDING, _LAST_USE + _LAST_TOKEN, _QUARTER),
    REFRESH_RING: Pace(_PENDING, _LAST_USE + ABSOLUTE_LIFETIME, _QUARTER),
    LINK_RING: Pace(_PENDING, _LAST_USE + _LONGEST_LINK, _QUARTER),
    API_KEY_RING: Pace(_PENDING, None, 4 * _QUARTER),
    FACTOR_RING: Pace(_PENDING, None, 4 * _QUARTER),
}
"""By ring. What is at rest under a pepper or a factor key may be years old: those are never removed by
themselves.
"""

MAC_KEY_BYTES = 32


class Material(msgspec.Struct, frozen=True):
    """A new key that no ring names yet: what its secret holds, and its public half where it has one."""

    value: bytes
    public: dict[str, str]


async def material(name: str, algorithm: Algorithm = "ES256") -> Material:
    """For the ring `name`; the algorithm matters to signing keys only."""
    if name == SIGNING_RING:
        return Material(*await signing.new_key(algorithm))
    return Material(os.urandom(MAC_KEY_BYTES), {})


async def stored(secrets: Secrets, name: str, made: Material, clock: Clock) -> RingKey:
    """A pending key, its value a new version of the ring's secret. Raises `SecretUnusable`, `Unavailable`."""
    version = await secrets.add(SECRETS[name], made.value)
    kid = made.public.get("kid", f"{name}-{version}")
    return RingKey(kid=kid, state="pending", secret_version=version, created_at=clock(), public=made.public)
