"""User codes of the device flow (RFC 8628 §6.1): short enough to type, without vowels, so no words."""

import hashlib
import os
import re

ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"
LENGTH = 8

_SEPARATORS = re.compile(r"[\s\-_.\u2010-\u2015]+")
_MAX_TYPED = 64
_FAIR = 240
"""A byte below it, of which there are twelve for each letter, is each with the same chance."""


def new() -> str:
    """Eight random letters, 34 bits."""
    letters: list[str] = []
    while len(letters) < LENGTH:
        letters += [ALPHABET[byte % len(ALPHABET)] for byte in os.urandom(LENGTH) if byte < _FAIR]
    return "".join(letters[:LENGTH])


def shown(code: str) -> str:
    """`BCDFGHJK` as `BCDF-GHJK`."""
    return f"{code[:4]}-{code[4:]}"


def typed(text: str) -> str | None:
    """The code that somebody means, in any case, with any dashes and spaces; None for what is none."""
    if len(text) > _MAX_TYPED:
        return None
    letters = _SEPARATORS.sub("", text).upper()
    return letters if len(letters) == LENGTH and set(letters) <= set(ALPHABET) else None


def document_id(tenant_id: str, code: str) -> str:
    """Where its grant is stored. The code stands in no path; tenants with the same code share nothing."""
    return hashlib.sha256(f"{tenant_id}:{code}".encode()).hexdigest()[:40]
