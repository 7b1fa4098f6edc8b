"""Time-based one-time passwords (RFC 6238): SHA-1, six digits, thirty seconds, no step accepted twice."""

import base64
import hmac
from datetime import datetime
from urllib.parse import quote, urlencode

SECRET_BYTES = 20
"""As long as the hash (RFC 4226 §4)."""
DIGITS = 6
STEP_SECONDS = 30
DRIFT_STEPS = 1
"""How far an authenticator's clock may be from ours."""


def step_at(at: datetime) -> int:
    """RFC 6238 §4.2: the number of whole steps since 1970."""
    return int(at.timestamp()) // STEP_SECONDS


def code(secret: bytes, step: int) -> str:
    """RFC 4226 §5.3."""
    mac = hmac.digest(secret, step.to_bytes(8), "sha1")
    start = mac[-1] & 0x0F
    number = int.from_bytes(mac[start : start + 4]) & 0x7FFF_FFFF
    return str(number % 10**DIGITS).zfill(DIGITS)


def matched(secret: bytes, given: str, at: datetime, used_step: int) -> int | None:
    """The step whose code was given, which is later than `used_step`; None for any other code.

    Each step of the window is compared, so that the time tells nothing.
    """
    now, found = step_at(at), None
    for step in range(now - DRIFT_STEPS, now + DRIFT_STEPS + 1):
        if hmac.compare_digest(code(secret, step).encode(), given.encode()) and step > used_step:
            found = step
    return found


def secret_text(secret: bytes) -> str:
    """Base32 without padding, as people type it into an authenticator."""
    return base64.b32encode(secret).decode().rstrip("=")


def uri(secret: bytes, issuer: str, account: str) -> str:
    """What a QR code shows: `otpauth://totp/…`, the key URI format that every authenticator reads."""
    label = quote(f"{issuer}:{account}", safe="")
    asked = {
        "secret": secret_text(secret),
        "issuer": issuer,
        "algorithm": "SHA1",
        "digits": DIGITS,
        "period": STEP_SECONDS,
    }
    return f"otpauth://totp/{label}?{urlencode(asked, quote_via=quote)}"
