"""Refresh tokens: which session, and which of its generations. Nobody else can make one."""

import msgspec

from functions.auth.domain.sealed import Seal, SealingKeys

PREFIX = "rt1_"


class RefreshToken(msgspec.Struct, frozen=True):
    """Names all that is read to answer it, so that it is read at once."""

    tenant_id: str
    user_id: str
    session_id: str
    generation: int


class RefreshTokens:
    """`rt1_…` ↔ `RefreshToken`. A generation has one token, so every racer is given the same successor."""

    def __init__(self, keys: SealingKeys) -> None:
        self._seal = Seal(PREFIX, 4, keys)

    def text(self, token: RefreshToken) -> str:
        return self._seal.seal(
            token.tenant_id.encode(),
            token.user_id.encode(),
            token.session_id.encode(),
            token.generation.to_bytes(4),
        )

    def read(self, text: str) -> RefreshToken | None:
        """None for anything that was not made by `text`; no store is asked."""
        fields = self._seal.open(text)
        if fields is None:
            return None
        tenant_id, user_id, session_id, generation = fields
        return RefreshToken(
            tenant_id.decode(), user_id.decode(), session_id.decode(), int.from_bytes(generation)
        )
