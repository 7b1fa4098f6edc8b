"""Keys as JWKs."""

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key

from shared.keyring import public_jwk, public_key, thumbprint
from tests.tokens import SignerKey


def test_a_public_key_survives_being_a_jwk() -> None:
    key = SignerKey()
    assert public_key(key.jwk) == key.private.public_key()
    assert key.jwk["alg"] == "ES256"
    assert key.jwk["use"] == "sig"
    assert key.jwk["kid"] == thumbprint(key.jwk)


def test_the_thumbprint_is_that_of_rfc_7638() -> None:
    """The example key of RFC 7517 §A.1; its thumbprint was computed with another implementation."""
    jwk = {
        "kty": "EC",
        "crv": "P-256",
        "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
        "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
        "use": "enc",
        "kid": "1",
    }
    assert thumbprint(jwk) == "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s"


@pytest.mark.parametrize(
    "change",
    [
        {"crv": "P-384"},
        {"kty": "RSA"},
        {"alg": "RS256"},
        {"alg": "ES384"},
        {"x": "AAAA"},
        {"x": ""},
        {"x": "A" * 43, "y": "A" * 43},
        {"y": "*" * 43},
    ],
)
def test_anything_but_a_point_on_p256_is_refused(change: dict[str, str]) -> None:
    """S1."""
    with pytest.raises(ValueError, match=r"."):
        public_key(SignerKey().jwk | change)


def test_another_curve_cannot_become_a_jwk() -> None:
    with pytest.raises((ValueError, OverflowError)):
        public_jwk(generate_private_key(SECP384R1()).public_key())


def test_an_rsa_key_survives_being_a_jwk() -> None:
    key = rsa.generate_private_key(65537, 2048).public_key()
    jwk = public_jwk(key)
    assert public_key(jwk) == key
    assert (jwk["alg"], jwk["use"], jwk["kid"]) == ("RS256", "sig", thumbprint(jwk))


def test_the_thumbprint_of_an_rsa_key_is_that_of_rfc_7638() -> None:
    """The key and its thumbprint of RFC 7638 §3.1."""
    modulus = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMs"
        "tn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbI"
        "SD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    )
    assert (
        thumbprint({"kty": "RSA", "n": modulus, "e": "AQAB"}) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    )


@pytest.mark.parametrize("change", [{"n": "AQAB"}, {"n": ""}, {"e": ""}, {"alg": "ES256"}, {"crv": "P-256"}])
def test_anything_but_a_whole_rsa_key_is_refused(change: dict[str, str]) -> None:
    """S1."""
    jwk = public_jwk(rsa.generate_private_key(65537, 2048).public_key())
    with pytest.raises(ValueError, match=r"."):
        public_key(jwk | change)


def test_a_modulus_has_2048_bits() -> None:
    """A library would still take 1024."""

    def of_bits(bits: int) -> dict[str, str]:
        return public_jwk(rsa.RSAPublicNumbers(65_537, 2 ** (bits - 1) + 1).public_key())

    assert public_key(of_bits(2048))
    with pytest.raises(ValueError, match="2048 bits"):
        public_key(of_bits(2047))
