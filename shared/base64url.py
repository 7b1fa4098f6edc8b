"""Base64url without padding (RFC 7515 §2), which has one spelling for each value."""

from base64 import urlsafe_b64decode, urlsafe_b64encode


def encode(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """The inverse of `encode`. Raises ValueError for any text that `encode` does not make: with padding, with
    characters of another alphabet, with bits set that mean nothing.
    """
    raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if encode(raw) != text:
        raise ValueError("not base64url without padding")
    return raw
