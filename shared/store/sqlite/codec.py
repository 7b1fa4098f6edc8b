"""Bodies as the JSON text that SQLite holds.

SQLite's JSON functions cut a string at a NUL. So NUL and U+0001 are stored as U+0001 U+0001 and
U+0001 U+0002 in top-level strings, the only ones that queries use. This keeps their order, and does not
count towards the size of a document.
"""

import msgspec

from shared.store import MAX_DOCUMENT_BYTES, Body, DocumentTooLarge
from shared.store.checks import check_body

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(dict)


def encoded(body: Body) -> str:
    """Raises ValueError for an invalid body, and DocumentTooLarge."""
    check_body(body)
    raw = _encoder.encode(body)
    _check_size(len(raw))
    if b"\\u000" in raw:
        raw = _encoder.encode({name: hidden(value) for name, value in body.items()})
    return raw.decode()


def decoded(text: str) -> Body:
    body = decoded_stored(text)
    if "\\u0001" in text:
        return {name: _shown(value) for name, value in body.items()}
    return body


def encoded_stored(body: Body) -> str:
    """Encodes a body merged from results of `decoded_stored`. Raises DocumentTooLarge."""
    raw = _encoder.encode(body)
    if len(raw) > MAX_DOCUMENT_BYTES:
        _check_size(len(_encoder.encode({name: _shown(value) for name, value in body.items()})))
    return raw.decode()


def decoded_stored(text: str) -> Body:
    """The body with its strings still in stored form, for merging."""
    body: Body = _decoder.decode(text)
    return body


def hidden(value: object) -> object:
    """A top-level value, or an operand of a query, in its stored form."""
    if isinstance(value, str):
        return value.replace("\x01", "\x01\x02").replace("\0", "\x01\x01")
    return value


def _shown(value: object) -> object:
    if isinstance(value, str):
        return value.replace("\x01\x01", "\0").replace("\x01\x02", "\x01")
    return value


def _check_size(size: int) -> None:
    if size > MAX_DOCUMENT_BYTES:
        raise DocumentTooLarge(f"a document of {size} bytes")
