"""What authenticators send in CBOR, looked through before a library reads it.

They write no tags, and nothing of indefinite length (CTAP 2.2 §8). A library gives tags a meaning: number 35
is a regular expression, and to compile one that somebody chose takes as long as he likes.
"""

from itertools import pairwise

MAX_ITEMS = 256

_TEXT, _BYTES, _TAG = 3, 2, 6
_LONGEST_HEAD = 27
_FLAGS_AT = 32
_ATTESTED, _ID_LENGTH_AT, _ID_AT = 0x40, 53, 55
_REST_AT = 37

_Item = tuple[int, bytes]
"""Major type and, of a string, what is in it. What an array or a map holds are the items after it."""


def is_plain_attestation(attestation: bytes) -> bool:
    """Whether all of an attestation object is such CBOR, and the `authData` in it."""
    found = _items(attestation, 0)
    if found is None:
        return False
    return all(is_plain(data) for name, (_, data) in pairwise(found) if name == (_TEXT, b"authData"))


def is_plain(data: bytes) -> bool:
    """Whether key and extensions in authenticator data (WebAuthn Level 3 §6.1) are such CBOR."""
    rest_at = _REST_AT
    if data[_FLAGS_AT : _FLAGS_AT + 1] and data[_FLAGS_AT] & _ATTESTED:
        rest_at = _ID_AT + int.from_bytes(data[_ID_LENGTH_AT:_ID_AT])
    return _items(data, rest_at) is not None


def _items(data: bytes, at: int) -> list[_Item] | None:
    """All of them, one after the other; None where there are tags, or too many, or one does not end."""
    found: list[_Item] = []
    while at < len(data):
        major, low = data[at] >> 5, data[at] & 31
        if major == _TAG or low > _LONGEST_HEAD or len(found) == MAX_ITEMS:
            return None
        at += 1
        size = 1 << (low - 24) if low >= 24 else 0
        count = int.from_bytes(data[at : at + size]) if size else low
        at += size
        length = count if major in (_BYTES, _TEXT) else 0
        found.append((major, data[at : at + length]))
        at += length
    return found if at == len(data) else None
