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
"""By ring, the secret that holds its keys."""

FOLLOWED = CacheLimits(ttl=timedelta(seconds=30), stale=timedelta(minutes=5), size=1)
"""For how long a process uses the rings that it read last; `stale` during an outage of the store."""

GATEWAY_CACHE = timedelta(minutes=5)
"""The gateway caches the JWKS for this long, and so does whatever is between it and the copy (`max-age`)."""

_SKEW = timedelta(minutes=1)
_PENDING = 3 * GATEWAY_CACHE
"""By then even a gateway whose first fetch has failed knows the key, and so does every process."""
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
"""By ring. Data at rest under a pepper or a factor key may be years old, so these keys are never removed
automatically.
"""

MAC_KEY_BYTES = 32


class Material(msgspec.Struct, frozen=True):
    """A new key that is in no ring yet: the value of its secret, and its public JWK if it has one."""

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
