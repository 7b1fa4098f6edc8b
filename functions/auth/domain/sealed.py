"""Opaque tokens with fields that only we can make; nothing about them is stored.

Text: prefix, then base64url without padding of: key version (2 bytes), fields (each with its length in
one byte), HMAC-SHA-256 over prefix and all of that, cut to 128 bits (RFC 2104 §5), CRC-32 of everything
before it. The checksum lets typing errors and junk be told apart from forgeries without a key.
"""

import hmac
from binascii import crc32
from collections.abc import Mapping

from shared import base64url
from shared.errors import Unavailable

MAX_CHARACTERS = 512
_MAC_BYTES = 16
_CRC_BYTES = 4


class SealingKeys:
    """HMAC keys by version; new tokens are sealed with `current`. None: a key of ours that is unavailable."""

    def __init__(self, keys: Mapping[int, bytes | None], current: int) -> None:
        self._keys = {
            version: None if key is None else hmac.new(key, digestmod="sha256")
            for version, key in keys.items()
        }
        self.current = current
        self._keys[current]

    def mac(self, version: int, message: bytes) -> bytes | None:
        """128 bits; None for a version that is not ours (any more). Raises `Unavailable`."""
        if version not in self._keys:
            return None
        key = self._keys[version]
        if key is None:
            raise Unavailable("key_unavailable", "A key cannot be had for now. Try again.")
        keyed = key.copy()  # to look the digest up by its name each time takes as long as all of this
        keyed.update(message)
        return keyed.digest()[:_MAC_BYTES]


class Seal:
    """One kind of token: its prefix, and how many fields it has."""

    def __init__(self, prefix: str, fields: int, keys: SealingKeys) -> None:
        self._prefix = prefix
        self._context = prefix.encode()
        self._fields = fields
        self._keys = keys

    def seal(self, *fields: bytes) -> str:
        """The token of these fields. The same fields give the same token until the current key changes."""
        if len(fields) != self._fields or max(map(len, fields)) > 255:
            raise ValueError(f"{self._prefix} takes {self._fields} fields of at most 255 bytes")
        version = self._keys.current
        content = version.to_bytes(2) + b"".join([len(field).to_bytes(1) + field for field in fields])
        mac = self._keys.mac(version, self._context + content)
        if mac is None:
            raise ValueError(f"no key of version {version}")
        return self._prefix + _text(content + mac)

    def open(self, text: str) -> list[bytes] | None:
        """The fields of a token; None for any text that `seal` did not make, character for character."""
        if len(text) > MAX_CHARACTERS or not text.startswith(self._prefix):
            return None
        raw = _bytes(text[len(self._prefix) :])
        if raw is None:
            return None
        content, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
        expected = self._keys.mac(int.from_bytes(content[:2]), self._context + content)
        if expected is None or not hmac.compare_digest(expected, mac):
            return None
        return _split(content[2:], self._fields)


def _text(content: bytes) -> str:
    return base64url.encode(content + crc32(content).to_bytes(_CRC_BYTES))


def _bytes(text: str) -> bytes | None:
    """The inverse of `_text`; None for any other spelling, a wrong checksum, or too little to hold a MAC."""
    try:
        raw = base64url.decode(text)
    except ValueError:
        return None
    content, checksum = raw[:-_CRC_BYTES], raw[-_CRC_BYTES:]
    if len(content) < 2 + _MAC_BYTES or crc32(content).to_bytes(_CRC_BYTES) != checksum:
        return None
    return content


def _split(content: bytes, count: int) -> list[bytes] | None:
    fields = []
    while content:
        length = content[0]
        field, content = content[1 : 1 + length], content[1 + length :]
        if len(field) != length:
            return None
        fields.append(field)
    return fields if len(fields) == count else None
