"""The sender of events as a test needs it: any token can be signed, also a wrong one."""

import base64
from pathlib import Path
from typing import Any

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from shared.caller import CallerCheck, FileKeys
from tests.tokens import NOW, Time

ISSUER = "http://127.0.0.1/local-relay"
AUDIENCE = "http://127.0.0.1:9001"
EMAIL = "relay@local.invalid"
NOW_SECONDS = int(NOW.timestamp())
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def claims(**changes: Any) -> dict[str, Any]:
    """Claims as Google writes them; a claim that is `...` is left out."""
    whole = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "azp": EMAIL,
        "sub": "1234567890",
        "email": EMAIL,
        "email_verified": True,
        "iat": NOW_SECONDS,
        "exp": NOW_SECONDS + 3600,
        **changes,
    }
    return {name: value for name, value in whole.items() if value is not ...}


def signed(key: rsa.RSAPrivateKey = KEY, kid: str = "k1", **changes: Any) -> str:
    return jwt.encode(claims(**changes), key, algorithm="RS256", headers={"kid": kid})


def segment(value: Any) -> str:
    """One part of a token: JSON, or bytes as they are."""
    raw = value if isinstance(value, bytes) else msgspec.json.encode(value)
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def hand_made(header: Any, payload: Any, key: rsa.RSAPrivateKey = KEY) -> str:
    """A token with a true RS256 signature over any header and payload."""
    text = f"{segment(header)}.{segment(payload)}"
    signature = RSAAlgorithm(RSAAlgorithm.SHA256).sign(text.encode(), key)
    return f"{text}.{segment(signature)}"


def write_keys(path: Path, **keys: rsa.RSAPrivateKey) -> None:
    """A JWKS of `kid=key`, put in place as a whole."""
    jwks = [{**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid} for kid, key in keys.items()]
    draft = path.with_suffix(".draft")
    draft.write_bytes(msgspec.json.encode({"keys": jwks}))
    draft.replace(path)


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def check(path: Path, clock: Time) -> CallerCheck:
    """A check against the keys in a file, which holds KEY as `k1`."""
    write_keys(path, k1=KEY)
    return CallerCheck(ISSUER, AUDIENCE, EMAIL, FileKeys(path), clock)
