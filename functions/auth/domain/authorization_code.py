"""Authorization codes (RFC 6749 §4.1.2): one use within a minute, by the client whose request they answer."""

import hashlib
from datetime import datetime, timedelta

import msgspec

from functions.auth.domain.sealed import Seal, SealingKeys

LIFETIME = timedelta(seconds=60)
REMEMBERED = timedelta(hours=1)
"""A second use is known as such for so long."""


class AuthorizationCode(msgspec.Struct, frozen=True):
    """What somebody allowed a client. The text is stored nowhere: the document's id is its hash.

    `browser_session_id` is the sign-in that it rests on; `session_id` what it became, once it was used.
    """

    client_id: str
    redirect_uri: str
    code_challenge: str
    scopes: tuple[str, ...]
    user_id: str
    browser_session_id: str
    authenticated_at: datetime
    amr: tuple[str, ...]
    valid_until: datetime
    expires_at: datetime
    nonce: str | None = None
    resource: str | None = None
    session_id: str | None = None


class AuthorizationCodes:
    """`ac1_…`: which tenant's, and 128 random bits."""

    def __init__(self, keys: SealingKeys) -> None:
        self._seal = Seal("ac1_", 2, keys)

    def text(self, tenant_id: str, random: bytes) -> str:
        return self._seal.seal(tenant_id.encode(), random)

    def tenant_of(self, text: str) -> str | None:
        """None for anything that was not made by `text`; no store is asked."""
        fields = self._seal.open(text)
        return None if fields is None else fields[0].decode()


def document_id(text: str) -> str:
    """From the code to where it is stored, and not back."""
    return hashlib.sha256(text.encode()).hexdigest()
