"""Passwords: long, of any characters, one normal form when set and verified (NIST SP 800-63B §3.1.1)."""

import unicodedata

from shared.errors import invalid

MIN_CHARACTERS = 15
MAX_BYTES = 1024


def normal(text: str, path: str = "/password") -> str:
    """The form that is hashed: NFKC. Raises `Invalid` for one that no account can have."""
    if len(text) > MAX_BYTES or len(_utf8(text, path)) > MAX_BYTES:
        raise invalid(path, "password_too_long", f"A password has at most {MAX_BYTES} bytes.")
    if not text:
        raise invalid(path, "password_empty", "Give a password.")
    return unicodedata.normalize("NFKC", text)


def new(text: str, path: str = "/password") -> str:
    """The same for a password that is being set, which must be long enough."""
    password = normal(text, path)
    if len(password) < MIN_CHARACTERS:
        raise invalid(path, "password_too_short", f"A password has at least {MIN_CHARACTERS} characters.")
    return password


def _utf8(text: str, path: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise invalid(path, "password_not_text", "A password is made of whole Unicode characters.") from None
