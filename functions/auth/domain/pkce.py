"""Proof Key for Code Exchange (RFC 7636), method S256 only: whoever redeems a code is who asked for it."""

import hashlib
import hmac
import re

from shared import base64url

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


def is_challenge(text: str) -> bool:
    """Whether it can be a SHA-256 in base64url (§4.2)."""
    return _CHALLENGE.fullmatch(text) is not None


def proves(verifier: str, challenge: str) -> bool:
    """Whether `challenge` was made of `verifier`; False for what is no verifier (§4.1)."""
    if _VERIFIER.fullmatch(verifier) is None:
        return False
    digest = hashlib.sha256(verifier.encode()).digest()
    return hmac.compare_digest(base64url.encode(digest), challenge)
