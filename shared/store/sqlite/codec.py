"""Bodies as the JSON text that SQLite holds.

SQLite's JSON functions cut a string at a NUL. So NUL and U+0001 are stored as U+0001 U+0001 and
U+0001 U+0002 in top-level strings, the only ones that queries look at; this keeps their order.
"""

from collections.abc import Iterable

import msgspec

from shared.store import MAX_DOCUMENT_BYTES, Body, DocumentTooLarge

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(dict)


def encoded(body: Body) -> str:
    """Raises ValueError where a body is not what the port calls one, and DocumentTooLarge."""
    try:
        _check(body)
    except RecursionError:
        raise ValueError("a body is nested too deeply") from None
    raw = _encoder.encode(body)
    if b"\\u000" in raw:
        raw = _encoder.encode({name: hidden(value) for name, value in body.items()})
    return _limited(raw)


def decoded(text: str) -> Body:
    body = decoded_stored(text)
    if "\\u0001" in text:
        return {name: _shown(value) for name, value in body.items()}
    return body


def encoded_stored(body: Body) -> str:
    """For a body that is put together from `decoded_stored` ones."""
    return _limited(_encoder.encode(body))


def decoded_stored(text: str) -> Body:
    """The body with its strings as they are stored, for merging without looking at them."""
    body: Body = _decoder.decode(text)
    return body


def hidden(value: object) -> object:
    """A top-level value, or an operand of a query, as it is stored."""
    if isinstance(value, str):
        return value.replace("\x01", "\x01\x02").replace("\0", "\x01\x01")
    return value


def _shown(value: object) -> object:
    if isinstance(value, str):
        return value.replace("\x01\x01", "\0").replace("\x01\x02", "\x01")
    return value


def is_int64(value: int) -> bool:
    return -(2**63) <= value < 2**63


def _limited(raw: bytes) -> str:
    if len(raw) > MAX_DOCUMENT_BYTES:
        raise DocumentTooLarge(f"a document of {len(raw)} bytes")
    return raw.decode()


_PLAIN = frozenset({str, bool, type(None)})


def _check(value: object) -> None:
    if isinstance(value, dict) and type(value) is dict:
        for name in value:
            if type(name) is not str:
                raise ValueError(f"a {type(name).__name__} as a name in a body")
        _check_all(value.values())
    elif isinstance(value, list) and type(value) is list:
        _check_all(value)
    elif type(value) is not int:
        raise ValueError(f"a {type(value).__name__} in a body")
    elif not is_int64(value):
        raise ValueError("an integer beyond 64 bits in a body")


def _check_all(values: Iterable[object]) -> None:
    for value in values:
        if type(value) not in _PLAIN:
            _check(value)
