"""ID tokens (OpenID Connect Core §2): who signed in, for the client that asked. They open nothing."""

import msgspec

from functions.auth.domain import claims
from functions.auth.domain.session import Session
from functions.auth.keyring.keys import KeyRoom
from shared.ids import Clock

_encoder = msgspec.json.Encoder()


class IdTokens:
    def __init__(self, keys: KeyRoom, issuer: str, clock: Clock) -> None:
        self._keys = keys
        self._issuer = issuer
        self._clock = clock

    async def issue(self, tenant_id: str, session: Session, access_token: str, nonce: str | None) -> str:
        """For the session's client, beside `access_token`. `nonce`: what the authorization request had."""
        said = claims.of_person(
            session,
            tenant_id,
            issuer=self._issuer,
            at=self._clock(),
            access_token=access_token,
            nonce=nonce,
        )
        return (await self._keys.current()).signer.sign(_encoder.encode(said), "JWT")
