"""The signature of Stripe's webhooks: HMAC-SHA256 over time stamp and raw body (scheme `v1`)."""

import hashlib
import hmac
import re
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

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


class Claim(NamedTuple):
    """What a header says: the time stamp as it is written, and the signatures of the scheme `v1`."""

    stamp: str
    signatures: list[str]


def read(header: str, now: datetime) -> Claim:
    """The header of a request that was signed at most five minutes ago and at most five minutes ahead of our
    clock, which no secret is needed to see. Raises `BadSignature`.
    """
    if not header:
        raise BadSignature("signature_missing", "Send the header Stripe-Signature.")
    claim = _parsed(header)
    if abs(now.timestamp() - int(claim.stamp)) > TOLERANCE_SECONDS:
        raise BadSignature(
            "signature_out_of_time",
            f"The signature's time is more than {TOLERANCE_SECONDS} s from now. Check the clocks.",
        )
    return claim


def verify(body: bytes, claim: Claim, secrets: Iterable[str]) -> None:
    """Raises `BadSignature` unless one signature was made with one of the secrets."""
    signed = b"%s.%b" % (claim.stamp.encode(), body)
    expected = [hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in secrets]
    if not any(hmac.compare_digest(one, other) for one in expected for other in claim.signatures):
        raise BadSignature("signature_wrong", "No signature in Stripe-Signature is right for this body.")


def _parsed(header: str) -> Claim:
    pairs = [part.strip().partition("=") for part in header[:MAX_HEADER_CHARS].split(",")]
    stamps = [value for name, _, value in pairs if name == "t"]
    signatures = [value for name, _, value in pairs if name == "v1" and _V1.fullmatch(value)]
    if len(stamps) != 1 or not _STAMP.fullmatch(stamps[0]):
        raise BadSignature("signature_malformed", "Stripe-Signature has no time stamp, or several.")
    if not signatures:
        raise BadSignature("signature_malformed", "Stripe-Signature has no signature of the scheme v1.")
    return Claim(stamps[0], signatures)
