"""Reads and checks request headers."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from shared.errors import BadRequest, Error, HeadersTooLarge, Unauthenticated
from shared.http.limits import Limits

SINGLE = frozenset(
    {
        "content-type",
        "content-length",
        "content-encoding",
        "transfer-encoding",
        "host",
        "x-apigateway-api-userinfo",
        "x-endpoint-api-userinfo",
        "idempotency-key",
        "x-request-id",
        "traceparent",
        "cookie",
    }
)
"""A second one of these is a second meaning; other headers are lists (RFC 9110 §5.3).

Browsers send one `Cookie`, and whoever takes HTTP/2 apart joins its crumbs (RFC 9113 §8.2.3).
"""
CREDENTIALS = frozenset({"authorization", "x-forwarded-authorization"})

_ADDRESS = re.compile(r"[0-9A-Fa-f:.]{2,45}")

Raw = Sequence[tuple[bytes, bytes]]


def read(raw: Raw, limits: Limits, *, underscores: bool = False) -> tuple[dict[str, str], Error | None]:
    """The valid headers by lower-case name, and the error if any header is invalid."""
    headers: dict[str, str] = {}
    total = 0
    if len(raw) > limits.max_headers:
        return headers, HeadersTooLarge("headers_too_large", "Send fewer headers.")
    for raw_name, raw_value in raw:
        size = len(raw_name) + len(raw_value)
        total += size
        if size > limits.max_header_bytes or total > limits.max_headers_bytes:
            return headers, HeadersTooLarge("headers_too_large", "Send shorter headers.")
        name = raw_name.decode("latin-1")
        if name in headers:
            refusal = _repeated(name)
            if refusal is not None:
                return headers, refusal
            headers[name] += ", " + raw_value.decode("latin-1")
        elif "_" in name and not underscores:
            # Some proxies turn `_` into `-`, and so would make it a header that was not checked.
            return headers, BadRequest("bad_header", "Leave out headers with an underscore in their name.")
        else:
            headers[name] = raw_value.decode("latin-1")
    return headers, None


def read_message(raw: Raw, limits: Limits) -> tuple[dict[str, str], Error | None]:
    """All headers of a pushed message, also invalid ones, and the error if any is invalid. Underscores are
    allowed: unwrapped push makes headers of attributes. Raises `Unauthenticated` for two credentials.
    """
    headers: dict[str, str] = {}
    for raw_name, raw_value in raw:
        name = raw_name.decode("latin-1")
        if name in headers and name in CREDENTIALS:
            raise _two_credentials()
        before = f"{headers[name]}, " if name in headers else ""
        headers[name] = before + raw_value.decode("latin-1")
    return headers, read(raw, limits, underscores=True)[1]


def client_ip(headers: Mapping[str, str], peer: Any, trusted_hops: int) -> str:
    """The address that our outermost proxy saw. Clients can forge what is further left in the header."""
    hops = headers.get("x-forwarded-for", "").split(",") if trusted_hops else []
    seen = hops[-trusted_hops].strip() if len(hops) >= trusted_hops > 0 else ""
    if _ADDRESS.fullmatch(seen):
        return seen
    return str(peer[0]) if peer else ""


def _repeated(name: str) -> Error | None:
    if name in CREDENTIALS:
        return _two_credentials()
    if name in SINGLE or name.startswith("ce-"):
        return BadRequest("bad_header", f"The header {name} comes twice. Send it once.")
    return None


def _two_credentials() -> Unauthenticated:
    challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
    return Unauthenticated("invalid_token", "Send one access token.", headers=challenge)
