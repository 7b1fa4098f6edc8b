"""Access tokens (RFC 9068): claims signed with the active key."""

from datetime import datetime

import msgspec

from functions.auth.domain import claims
from functions.auth.domain.session import Session
from functions.auth.keyring.keys import KeyRoom
from shared.ids import Clock, new_id
from shared.tenant import Tenant

_encoder = msgspec.json.Encoder()


class Tokens(msgspec.Struct, frozen=True, omit_defaults=True):
    """A successful answer of the token endpoint (RFC 6749 §5.1). Machines get no refresh token."""

    access_token: str
    token_type: str
    expires_in: int
    scope: str
    refresh_token: str | None = None
    id_token: str | None = None


class AccessTokens:
    """`issuer` is the public address of the API, and the audience of tokens unless another one is given."""

    def __init__(self, keys: KeyRoom, issuer: str, clock: Clock) -> None:
        self._keys = keys
        self._issuer = issuer
        self._clock = clock

    async def issue(
        self,
        tenant: Tenant,
        subject: str,
        client_id: str,
        *,
        scopes: tuple[str, ...],
        roles: tuple[str, ...],
        session: Session | None = None,
        audience: str | None = None,
        lifetime_seconds: int = claims.LIFETIME_SECONDS,
        at: datetime | None = None,
    ) -> Tokens:
        """A signed access token. `session` is the person's, None for a machine. `audience` is another API
        than this one (RFC 8707).

        `at` becomes `iat`, and the lifetime begins then. It is the moment at which the scopes and roles were
        read, so that a revocation after that moment ends the token; None: now.
        """
        now = self._clock()
        scope = claims.scope_text(scopes)
        said = claims.build(
            issuer=self._issuer,
            audience=audience or self._issuer,
            subject=subject,
            client_id=client_id,
            tenant_id=tenant.id,
            tier=tenant.tier,
            scope=scope,
            roles=roles,
            token_id=new_id("tok"),
            at=at or now,
            lifetime_seconds=lifetime_seconds,
            session=session,
        )
        keys = await self._keys.current()
        signed = keys.signer.sign(_encoder.encode(said))
        return Tokens(signed, "Bearer", said.exp - int(now.timestamp()), scope)
