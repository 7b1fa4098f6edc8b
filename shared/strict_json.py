"""Strict JSON decoding: refuses what two parsers could understand differently (RFC 8725 §2.4)."""

import re
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

MAX_DEPTH = 32
MAX_EXPONENTS = 16
"""The limit on numbers like `1e300`: msgspec may take 20 µs for each, a request has room for ten thousand.
Numbers with an exponent of one or two digits are fast and are not counted.
"""

MIN_CONTAINERS = 1_000
BYTES_PER_CONTAINER = 16
"""Arrays and objects take most of the time, as many as a request has room for 15 ms. There may be one in 16
bytes, and a thousand in a short text.
"""

_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_ESCAPED_COLON = re.compile(rb"(?<!\\)(?:\\\\)*\\u003[aA]")
_EXPONENT = re.compile(rb"[\[:,]\s*+-?[0-9]++(?:\.[0-9]++)?[eE][+-]?[0-9]{3}")
_STRING = re.compile(rb'"[^"\\]*+(?:\\.?[^"\\]*+)*+(?:"|\Z)', re.DOTALL)
"""Matches an unterminated string, too, so that it is scanned only once."""


class Malformed(Exception):
    """No JSON we accept. `reason`: `empty`, `not_utf8`, `byte_order_mark`, `not_json`, `too_deep`,
    `duplicate_key`, `nul_character`, `too_many_exponents`, `too_many_containers`. `detail` never quotes the
    input.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def loads(raw: bytes, *, max_depth: int = MAX_DEPTH) -> Any:
    """The decoded value. A scalar has depth 0, `[]` has depth 1. Raises `Malformed`."""
    if not raw:
        raise Malformed("empty", "The body is empty. Send JSON.")
    if raw.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise Malformed("byte_order_mark", "The body begins with a byte order mark. Leave it out.")
    if _has_many_exponents(raw):
        detail = f"More than {MAX_EXPONENTS} numbers have an exponent of three digits. Write them without."
        raise Malformed("too_many_exponents", detail)
    if _has_many_containers(raw):
        detail = f"There is more than one array or object in {BYTES_PER_CONTAINER} bytes. Send fewer."
        raise Malformed("too_many_containers", detail)
    tree = _decoded(raw)
    if _deeper_than(max_depth, tree):
        raise Malformed("too_deep", f"Nest the body at most {max_depth} levels deep.")
    encoded = msgspec.json.encode(tree)
    if b"\\u0000" in raw and _NUL.search(encoded):
        raise Malformed("nul_character", "A string holds the character NUL. Leave it out.")
    if _colons(raw) != encoded.count(b":"):
        # A member that a later one of the same name replaced is missing, and with it at least one colon.
        raise Malformed("duplicate_key", "An object names the same member twice. Name it once.")
    return tree


def decode(raw: bytes, kind: type[T], *, max_depth: int = MAX_DEPTH) -> T:
    """The value as `kind`. Raises `Malformed`, or `msgspec.ValidationError` for JSON that is not a `kind`."""
    loads(raw, max_depth=max_depth)
    return msgspec.json.decode(raw, type=kind)


def _decoded(raw: bytes) -> Any:
    try:
        return msgspec.json.decode(raw)
    except UnicodeDecodeError:
        raise Malformed("not_utf8", "The body is not UTF-8. Encode it as that.") from None
    except RecursionError:
        raise Malformed("too_deep", f"Nest the body at most {MAX_DEPTH} levels deep.") from None
    except msgspec.DecodeError as wrong:
        # msgspec also reports a lone high surrogate as truncated data.
        what = str(wrong).replace("data was truncated", "ends early, or in half of a surrogate pair")
        raise Malformed("not_json", f"{what.rstrip('.')}. Correct the JSON.") from None


def _deeper_than(max_depth: int, tree: Any) -> bool:
    level = [tree] if isinstance(tree, (dict, list)) else []
    for _ in range(max_depth):
        level = [
            item
            for container in level
            for item in (container.values() if isinstance(container, dict) else container)
            if isinstance(item, (dict, list))
        ]
        if not level:
            return False
    return bool(level)


def _has_many_exponents(raw: bytes) -> bool:
    """Counts outside of strings. Strings are removed only if the count with them is over the limit."""
    if len(_EXPONENT.findall(raw)) <= MAX_EXPONENTS:
        return False
    return len(_EXPONENT.findall(_STRING.sub(b"", raw))) > MAX_EXPONENTS


def _has_many_containers(raw: bytes) -> bool:
    """Outside of strings, as with exponents."""
    most = max(MIN_CONTAINERS, len(raw) // BYTES_PER_CONTAINER)
    if _containers(raw) <= most:
        return False
    return _containers(_STRING.sub(b"", raw)) > most


def _containers(raw: bytes) -> int:
    return raw.count(b"[") + raw.count(b"{")


def _colons(raw: bytes) -> int:
    """The number of colons in strings and outside of them, escaped ones (`\\u003a`) included."""
    written = raw.count(b":")
    return written + len(_ESCAPED_COLON.findall(raw)) if b"\\u003" in raw else written
