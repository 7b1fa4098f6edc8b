"""The signature of Stripe's webhooks: HMAC-SHA256 over time stamp and raw body (scheme `v1`)."""

import hashlib
import hmac
import re
from collections.abc import Iterable
from datetime import datetime

TOLERANCE_SECONDS = 300
MAX_HEADER_CHARS = 2_000

_STAMP = re.compile(r"[0-9]{1,12}", re.ASCII)
_V1 = re.compile(r"[0-9a-f]{64}", re.ASCII)


class BadSignature(Exception):
    """`code`: `signature_missing`, `signature_malformed`, `signature_wrong`, `signature_out_of_time`."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


def verify(body: bytes, header: str, secrets: Iterable[str], now: datetime) -> None:
    """Raises `BadSignature` unless one `v1` in the header was made with one of the secrets, at most five
    minutes ago and at most five minutes ahead of our clock.
    """
    if not header:
        raise BadSignature("signature_missing", "Send the header Stripe-Signature.")
    stamp, signatures = _parsed(header)
    signed = b"%s.%b" % (stamp.encode(), body)
    expected = [hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in secrets]
    if not any(hmac.compare_digest(one, other) for one in expected for other in signatures):
        raise BadSignature("signature_wrong", "No signature in Stripe-Signature is right for this body.")
    if abs(now.timestamp() - int(stamp)) > TOLERANCE_SECONDS:
        raise BadSignature(
            "signature_out_of_time",
            f"The signature's time is more than {TOLERANCE_SECONDS} s from now. Check the clocks.",
        )


def _parsed(header: str) -> tuple[str, list[str]]:
    """The time stamp as it is written, and the signatures of the scheme `v1`."""
    pairs = [part.strip().partition("=") for part in header[:MAX_HEADER_CHARS].split(",")]
    stamps = [value for name, _, value in pairs if name == "t"]
    signatures = [value for name, _, value in pairs if name == "v1" and _V1.fullmatch(value)]
    if len(stamps) != 1 or not _STAMP.fullmatch(stamps[0]):
        raise BadSignature("signature_malformed", "Stripe-Signature has no time stamp, or several.")
    if not signatures:
        raise BadSignature("signature_malformed", "Stripe-Signature has no signature of the scheme v1.")
    return stamps[0], signatures
