"""`application/x-www-form-urlencoded`, of queries and of forms (URL Standard §5.1)."""

from urllib.parse import unquote_to_bytes

from shared.errors import BadRequest

MAX_FIELDS = 100
MAX_ESCAPES = 10_000
"""Of `%`, each of which takes time to decode: 30 kB of them."""


def pairs_of(raw: bytes, code: str) -> list[tuple[str, str]]:
    """Names and values as they came, empty ones too. Raises `BadRequest` with this code.

    Decoded as bytes: of a text that is not all ASCII `urllib` decodes each run by itself, which takes the
    event loop for 30 ms, whoever sent it.
    """
    if raw.count(b"&") >= MAX_FIELDS or raw.count(b"%") > MAX_ESCAPES:
        detail = f"Send at most {MAX_FIELDS} parameters, with at most {MAX_ESCAPES} escapes in all."
        raise BadRequest(code, detail)
    halves = [field.partition(b"=") for field in raw.split(b"&") if field]
    try:
        return [(_decoded(name), _decoded(value)) for name, _, value in halves]
    except UnicodeDecodeError:
        raise BadRequest(code, "The parameters are not URL-encoded UTF-8. Encode them anew.") from None


def _decoded(part: bytes) -> str:
    return unquote_to_bytes(part.replace(b"+", b" ")).decode()
