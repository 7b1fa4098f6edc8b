"""Request headers, checked before anybody reads one."""

from collections.abc import Sequence

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
    }
)
"""A second one of these is a second meaning; other headers are lists (RFC 9110 §5.3)."""
CREDENTIALS = frozenset({"authorization", "x-forwarded-authorization"})


def read(raw: Sequence[tuple[bytes, bytes]], limits: Limits) -> tuple[dict[str, str], Error | None]:
    """The headers by lower-case name as far as they are good, and what is wrong with them."""
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
        if name in headers or "_" in name:
            refusal = _refusal(name)
            if refusal is not None:
                return headers, refusal
            headers[name] += ", " + raw_value.decode("latin-1")
        else:
            headers[name] = raw_value.decode("latin-1")
    return headers, None


def _refusal(name: str) -> Error | None:
    if "_" in name:
        # A proxy that turns `_` into `-` would make it another header than the one that was checked.
        return BadRequest("bad_header", "A header name holds an underscore.")
    if name in CREDENTIALS:
        challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
        return Unauthenticated("invalid_token", "Send one access token.", headers=challenge)
    if name in SINGLE or name.startswith("ce-"):
        return BadRequest("bad_header", f"The header {name} comes twice.")
    return None
