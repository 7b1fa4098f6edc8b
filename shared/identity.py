"""Verifies access tokens (RFC 9068, RFC 8725) and turns them into a `Principal`."""

import hashlib
import math
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import jwt
import msgspec

from shared import keyring, revocations, tenant
from shared.access_token import MAX_TOKEN_CHARS, Claims, NotAToken, read
from shared.cache import Cache, CacheLimits
from shared.errors import Forbidden, Unauthenticated
from shared.ids import Clock
from shared.keyring import KeyRing, PublicKey
from shared.metrics import Reading
from shared.revocations import Ended
from shared.store import Store
from shared.store.bodies import from_body
from shared.tenant import Tenant

KEY_LIMITS = CacheLimits(ttl=timedelta(seconds=60), stale=timedelta(minutes=5), size=1)
TENANT_LIMITS = CacheLimits(ttl=timedelta(seconds=25), stale=timedelta(minutes=5), size=10_000)
UNKNOWN_KID_COOLDOWN = timedelta(seconds=30)
MAX_VERIFIED_TOKENS = 10_000

_RING = keyring.KEYRING_NAME
_CHALLENGE = {"WWW-Authenticate": 'Bearer error="invalid_token"'}


class Principal(msgspec.Struct, frozen=True):
    """A verified caller. The tenant of a request comes from here and from nowhere else.

    `authenticated_at` and `amr` (RFC 8176) say when and how a person last proved who they are.
    """

    tenant_id: str
    subject: str
    client_id: str
    scopes: frozenset[str]
    roles: tuple[str, ...]
    tier: str
    token_id: str
    issued_at: datetime
    expires_at: datetime
    session_id: str | None = None
    authenticated_at: datetime | None = None
    amr: tuple[str, ...] = ()
    audience: str = ""


class _Key(msgspec.Struct, frozen=True):
    """A public key of the ring, and the only algorithm it may be used with (RFC 8725 §3.1)."""

    alg: str
    public: PublicKey


class _Verified(msgspec.Struct, frozen=True, gc=False):
    """A token that was verified: the key that signed it, and its caller."""

    kid: str
    principal: Principal


class _Standing(msgspec.Struct, frozen=True):
    """A tenant as it was read. `ended` says which of its tokens are revoked; None: none are."""

    is_active: bool
    ended: Ended | None


def authorization(headers: Mapping[str, str]) -> str | None:
    """The caller's `Authorization` header, which the gateway moves aside to send its own identity there."""
    return headers.get("x-forwarded-authorization") or headers.get("authorization")


def bearer_token(headers: Mapping[str, str]) -> str | None:
    """The access token in a request's headers (RFC 6750 §2.1); None if there is none."""
    scheme, _, token = (authorization(headers) or "").partition(" ")
    return token if scheme.lower() == "bearer" else None


def require_scope(principal: Principal, scope: str) -> None:
    """Raises `Forbidden` `insufficient_scope` for a caller without the scope."""
    if scope not in principal.scopes:
        challenge = {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'}
        raise Forbidden("insufficient_scope", f"This needs the scope {scope}.", headers=challenge)


class Verifier:
    """Verifies tokens with caches of the key ring, of tenants and of verified tokens.

    A suspension or revocation is seen after at most 25 s, a removed key after 60 s. While the store cannot be
    reached, the caches are used for up to five minutes. `audience` is the API that tokens must be for
    (RFC 8707); None: any.
    """

    def __init__(self, store: Store, issuer: str, audience: str | None, clock: Clock) -> None:
        self._store = store
        self.issuer = issuer
        self._audience = audience
        self._clock = clock
        self._rings = Cache("key ring", self._fetch_keys, clock, KEY_LIMITS)
        self._tenants = Cache("tenant", self._fetch_tenant, clock, TENANT_LIMITS)
        self._verified: OrderedDict[bytes, _Verified] = OrderedDict()
        self._asked_for_kid_at: datetime | None = None
        self._asked = 0
        self._asked_anew = 0

    def readings(self) -> Iterator[Reading]:
        """What `Metrics` shows of it."""
        yield Reading("energent_token_verifications", "Access tokens looked at.", self._asked)
        help_text = "Access tokens whose signature was checked; of the others the verdict was known."
        yield Reading("energent_token_signature_checks", help_text, self._asked_anew)
        help_text = "Answers from a key ring or tenant that was kept, because the store was out."
        stale = self._rings.stale_answers + self._tenants.stale_answers
        yield Reading("energent_token_stale_answers", help_text, stale)

    async def verify(self, token: str) -> Principal:
        """The caller. Raises `Unauthenticated` `invalid_token`, `Forbidden` `tenant_suspended`,
        `Unavailable`.
        """
        self._asked += 1
        if len(token) > MAX_TOKEN_CHARS or not token.isascii():
            raise invalid_token()
        digest = hashlib.sha256(token.encode()).digest()
        verified = self._verified.get(digest)
        if verified is None or verified.kid not in await self._rings.get(_RING):
            verified = await self._verify_anew(token, digest)
        principal = verified.principal
        if self._clock() >= principal.expires_at:
            self._verified.pop(digest, None)
            raise invalid_token()
        await self._require_active(principal)
        return principal

    async def _verify_anew(self, token: str, digest: bytes) -> _Verified:
        self._asked_anew += 1
        try:
            unproven = read(token)
            key = await self._key(unproven.kid)
            claims = unproven.claims
            if unproven.alg != key.alg or claims.iss != self.issuer:
                raise NotAToken
            if self._audience not in (None, claims.aud):
                raise NotAToken
            jwt.api_jws.decode(token, key.public, algorithms=[key.alg])
            claims.check_times(math.floor(self._clock().timestamp()))
        except (NotAToken, jwt.PyJWTError):
            raise invalid_token() from None
        verified = _Verified(unproven.kid, _principal(claims))
        self._verified[digest] = verified
        if len(self._verified) > MAX_VERIFIED_TOKENS:
            self._verified.popitem(last=False)
        return verified

    async def _key(self, kid: str) -> _Key:
        keys = await self._rings.get(_RING)
        if kid not in keys and self._may_ask_again(empty=not keys):
            keys = await self._rings.refetch(_RING)
        try:
            return keys[kid]
        except KeyError:
            raise NotAToken from None

    def _may_ask_again(self, *, empty: bool) -> bool:
        """Whether an unknown `kid` is worth another read of the ring. The key may be new, but made-up ids
        must not cause a read each.
        """
        if empty or self._rings.is_asking(_RING):
            return True
        age = self._rings.age(_RING)
        if age is not None and age < timedelta(seconds=1):
            return False
        now = self._clock()
        if self._asked_for_kid_at is not None and now < self._asked_for_kid_at + UNKNOWN_KID_COOLDOWN:
            return False
        self._asked_for_kid_at = now
        return True

    async def _require_active(self, principal: Principal) -> None:
        standing = await self._tenants.get(principal.tenant_id)
        if standing is None:
            raise invalid_token()
        if not standing.is_active:
            raise Forbidden("tenant_suspended", "This tenant is not active. Contact its owner.")
        if standing.ended is not None and _is_over(principal, standing.ended):
            raise invalid_token()

    async def _fetch_keys(self, _: str) -> dict[str, _Key]:
        doc = (await self._store.read(keyring.key(self._store)))[0]
        ring = from_body(doc.body, KeyRing) if doc else KeyRing()
        return {key.kid: _Key(key.public["alg"], keyring.public_key(key.public)) for key in ring.keys}

    async def _fetch_tenant(self, tenant_id: str) -> _Standing | None:
        asked_at = self._clock()
        doc = (await self._store.read(tenant.key(self._store, tenant_id)))[0]
        if doc is None:
            return None
        found = from_body(doc.body, Tenant)
        recent = await revocations.recent(self._store, tenant_id, asked_at)
        ended = recent.with_all_until(found.tokens_valid_after)
        return _Standing(found.status == "active", None if ended.is_nothing else ended)


def _is_over(principal: Principal, ended: Ended) -> bool:
    return ended.covers(
        int(principal.issued_at.timestamp()),
        subject=principal.subject,
        client=principal.client_id.rpartition(".")[2],
        roles=principal.roles,
        session_id=principal.session_id,
        token_id=principal.token_id,
    )


def _principal(claims: Claims) -> Principal:
    return Principal(
        tenant_id=claims.tid,
        subject=claims.sub,
        client_id=claims.client_id,
        scopes=frozenset(claims.scope.split(" ")) - {""},
        roles=tuple(claims.roles),
        tier=claims.tier,
        token_id=claims.jti,
        issued_at=datetime.fromtimestamp(claims.iat, UTC),
        expires_at=datetime.fromtimestamp(claims.exp, UTC),
        session_id=claims.sid,
        authenticated_at=None if claims.auth_time is None else datetime.fromtimestamp(claims.auth_time, UTC),
        amr=tuple(claims.amr),
        audience=claims.aud,
    )


def invalid_token() -> Unauthenticated:
    """The one answer to every bad token: it does not tell which check failed."""
    detail = "The access token is not valid. Sign in again."
    return Unauthenticated("invalid_token", detail, headers=_CHALLENGE)
