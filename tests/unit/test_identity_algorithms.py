"""A key is used with the one algorithm that the ring says, whatever a token says (RFC 8725 §3.1)."""

import asyncio
import base64
import hmac

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from shared import keyring, tenant
from shared.errors import Unauthenticated
from shared.identity import Principal, Verifier
from shared.keyring import KeyRing, PublishedKey, public_jwk
from tests.documents import Documents
from tests.tokens import ISSUER, SignerKey, Time, claims, segment
from tests.tokens import tenant as a_tenant

EC = SignerKey()
RSA = rsa.generate_private_key(65537, 2048)
RSA_JWK = public_jwk(RSA.public_key())


def verified(token: str) -> Principal:
    """With both keys in the ring."""
    store = Documents()
    ring = KeyRing((EC.entry(), PublishedKey(RSA_JWK["kid"], RSA_JWK)))
    store.put(keyring.key(store), ring)
    store.put(tenant.key(store, "tnt_acme"), a_tenant())
    return asyncio.run(Verifier(store, ISSUER, ISSUER, Time()).verify(token))


def rsa_token(alg: str = "RS256", kid: str = RSA_JWK["kid"]) -> str:
    return jwt.encode(claims(), RSA, alg, headers={"kid": kid, "typ": "at+jwt"})


def hs256(secret: bytes, kid: str) -> str:
    signed = segment({"alg": "HS256", "typ": "at+jwt", "kid": kid}) + "." + segment(claims())
    mac = hmac.digest(secret, signed.encode(), "sha256")
    return signed + "." + base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def relabelled(token: str, alg: str) -> str:
    """The header says another algorithm; the signature is for that header, by the wrong kind of key."""
    _, body, signature = token.split(".")
    return segment({"alg": alg, "typ": "at+jwt", "kid": RSA_JWK["kid"]}) + f".{body}.{signature}"


PEM = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
DER = RSA.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

CONFUSED = {
    "J3 HS256 with the RSA key's PEM": hs256(PEM, RSA_JWK["kid"]),
    "J4 HS256 with the RSA key's DER": hs256(DER, RSA_JWK["kid"]),
    "J5 PS256 by the RSA key": rsa_token("PS256"),
    "J5 RS384 by the RSA key": rsa_token("RS384"),
    "J5 RS512 by the RSA key": rsa_token("RS512"),
    "J5 RS256 under the EC key's id": rsa_token(kid=EC.kid),
    "J5 ES256 under the RSA key's id": EC.sign(claims(), kid=RSA_JWK["kid"]),
    "J5 said to be RS256, made by the EC key": EC.sign(claims(), alg="RS256"),
    "J5 said to be ES256, made by the RSA key": relabelled(rsa_token(), "ES256"),
    "J1 none under the RSA key's id": relabelled(rsa_token(), "none"),
    "J6 no signature": rsa_token().rpartition(".")[0] + ".",
}


@pytest.mark.parametrize("case", CONFUSED)
def test_no_key_is_used_with_another_algorithm_than_its_own(case: str) -> None:
    with pytest.raises(Unauthenticated) as refused:
        verified(CONFUSED[case])
    assert refused.value.code == "invalid_token"


def test_each_key_is_good_with_its_own() -> None:
    assert verified(rsa_token()).tenant_id == verified(EC.token()).tenant_id == "tnt_acme"
