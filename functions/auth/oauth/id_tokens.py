"""ID tokens (OpenID Connect Core §2) tell a client who signed in. They give access to nothing."""

import jwt
import msgspec

from functions.auth.domain import claims
from functions.auth.domain.claims import IdClaims
from functions.auth.domain.session import Session
from functions.auth.keyring.keys import KeyRoom
from shared import base64url, keyring, strict_json
from shared.ids import Clock

_TYP = "JWT"

_encoder = msgspec.json.Encoder()


class _Header(msgspec.Struct, frozen=True):
    alg: str
    typ: str
    kid: str


class _Published(msgspec.Struct, frozen=True):
    keys: tuple[dict[str, str], ...]


class IdTokens:
    def __init__(self, keys: KeyRoom, issuer: str, clock: Clock) -> None:
        self._keys = keys
        self._issuer = issuer
        self._clock = clock

    async def issue(self, tenant_id: str, session: Session, access_token: str, nonce: str | None) -> str:
        """An ID token for the session's client, to accompany `access_token`. `nonce` is that of the
        authorization request.
        """
        said = claims.of_person(
            session,
            tenant_id,
            issuer=self._issuer,
            at=self._clock(),
            access_token=access_token,
            nonce=nonce,
        )
        return (await self._keys.current()).signer.sign(_encoder.encode(said), _TYP)

    async def read(self, text: str) -> IdClaims | None:
        """The claims of an ID token that we issued, expired or not.

        None for anything else, and for one whose key is no longer published.
        """
        try:
            header = strict_json.decode(base64url.decode(text.partition(".")[0]), _Header, max_depth=1)
            jwk = await self._published(header.kid)
            if jwk is None or header.typ != _TYP:
                return None
            payload = jwt.api_jws.decode(text, keyring.public_key(jwk), algorithms=[jwk["alg"]])
            said = msgspec.json.decode(payload, type=IdClaims)
        except (ValueError, strict_json.Malformed, jwt.PyJWTError):
            return None
        return said if said.iss == self._issuer else None

    async def _published(self, kid: str) -> dict[str, str] | None:
        """The JWK with that id. Its `alg` is the only algorithm that it may be used with."""
        published = msgspec.json.decode(await self._keys.jwks(), type=_Published)
        return next((jwk for jwk in published.keys if jwk["kid"] == kid), None)
