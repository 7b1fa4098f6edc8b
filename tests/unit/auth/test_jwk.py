"""Public keys that machines sign with: the three kinds, and nothing private, weak or odd."""

import base64

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from functions.auth.domain import jwk
from shared.errors import Invalid

EC = jwt.algorithms.ECAlgorithm(jwt.algorithms.ECAlgorithm.SHA256)
P256 = EC.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key(), as_dict=True)
P384 = EC.to_jwk(ec.generate_private_key(ec.SECP384R1()).public_key(), as_dict=True)
ED25519 = jwt.algorithms.OKPAlgorithm.to_jwk(ed25519.Ed25519PrivateKey.generate().public_key(), as_dict=True)
RSA_PRIVATE = rsa.generate_private_key(65537, 2048)
RSA = jwt.algorithms.RSAAlgorithm.to_jwk(RSA_PRIVATE.public_key(), as_dict=True)
RFC_7638 = {
    "kty": "RSA",
    "n": (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3"
        "oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdA"
        "ZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-"
        "kEgU8awapJzKnqDKgw"
    ),
    "e": "AQAB",
}


def number(value: int, size: int | None = None) -> str:
    raw = value.to_bytes(size or (value.bit_length() + 7) // 8)
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


@pytest.mark.parametrize("given", [P256, ED25519, RSA], ids=["EC", "OKP", "RSA"])
def test_a_good_key_is_kept_as_what_a_library_reads(given: dict[str, str]) -> None:
    alg = jwk.ALGORITHMS[given["kty"]]
    kid, kept = jwk.public({**given, "key_ops": ["verify"], "x5c": ["…"], "use": "sig", "alg": alg})
    assert jwt.PyJWK({**kept, "kid": kid}).key is not None
    assert set(kept) <= {"kty", "crv", "x", "y", "n", "e"}


def test_without_a_kid_it_is_the_thumbprint_of_rfc_7638() -> None:
    assert jwk.public(RFC_7638)[0] == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (P256 | {"d": "AAAA"}, "private_key"),
        (jwt.algorithms.RSAAlgorithm.to_jwk(RSA_PRIVATE, as_dict=True), "private_key"),
        ({"kty": "oct", "k": "AAAA"}, "private_key"),
        ({}, "invalid_key"),
        ({"kty": "oct"}, "invalid_key"),
        ({"kty": ["EC"]}, "invalid_key"),
        (P384, "invalid_key"),
        (P384 | {"crv": "P-256"}, "invalid_key"),
        (P256 | {"crv": "P-384"}, "invalid_key"),
        (P256 | {"crv": "secp256k1"}, "invalid_key"),
        (P256 | {"x": P256["y"], "y": P256["x"]}, "invalid_key"),
        (P256 | {"x": number(0, 32), "y": number(0, 32)}, "invalid_key"),
        (P256 | {"x": P256["x"] + "="}, "invalid_key"),
        (P256 | {"x": "é" * 43}, "invalid_key"),
        (P256 | {"x": None}, "invalid_key"),
        (P256 | {"alg": "ES384"}, "invalid_key"),
        (P256 | {"alg": "none"}, "invalid_key"),
        (RSA | {"alg": "PS256"}, "invalid_key"),
        (P256 | {"use": "enc"}, "invalid_key"),
        (P256 | {"kid": ""}, "invalid_kid"),
        (P256 | {"kid": "a/b"}, "invalid_kid"),
        (P256 | {"kid": 7}, "invalid_kid"),
        (P256 | {"kid": "k" * 65}, "invalid_kid"),
        (ED25519 | {"crv": "X25519"}, "invalid_key"),
        (ED25519 | {"x": "AAAA"}, "invalid_key"),
        (RSA | {"n": number((1 << 1024) + 1)}, "invalid_key"),
        (RSA | {"n": number((1 << 2046) + 1)}, "invalid_key"),
        (RSA | {"n": number((1 << 2047) + 2)}, "invalid_key"),
        (RSA | {"n": number((1 << 4096) + 1)}, "invalid_key"),
        (RSA | {"n": "A" * 100_000}, "invalid_key"),
        (RSA | {"e": number(3)}, "invalid_key"),
        (RSA | {"e": number(65538)}, "invalid_key"),
        (RSA | {"e": number((1 << 32) + 1)}, "invalid_key"),
        (RSA | {"e": "AAEAAQ"}, "invalid_key"),
    ],
)
def test_what_is_no_public_key_of_these_kinds_is_refused(given: dict[str, object], code: str) -> None:
    with pytest.raises(Invalid) as refused:
        jwk.public(given)
    assert refused.value.fields[0].code == code
    assert refused.value.fields[0].path.startswith("/jwk")


def test_a_coordinate_is_less_than_the_prime_of_its_curve() -> None:
    """Or one point would have two spellings, and a key two thumbprints."""
    prime = 2**256 - 2**224 + 2**192 + 2**96 - 1
    b = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
    x, y = next(
        (x, y)
        for x in range(100)
        if pow(y := pow(x**3 - 3 * x + b, (prime + 1) // 4, prime), 2, prime) == (x**3 - 3 * x + b) % prime
    )
    point = {"kty": "EC", "crv": "P-256", "x": number(x, 32), "y": number(y, 32)}
    assert jwk.public(point)[1] == point
    with pytest.raises(Invalid):
        jwk.public(point | {"x": number(x + prime, 32)})
