"""Keys: made once by whoever is first, never seen outside, never a wrong one."""

import asyncio
import base64
import json
from pathlib import Path

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from functions.auth import records
from functions.auth.domain.key_ring import KeyRing
from functions.auth.domain.refresh_token import RefreshToken
from functions.auth.keyring.key_rings import (
    API_KEY_SECRET,
    FACTOR_SECRET,
    LINK_SECRET,
    REFRESH_SECRET,
    SIGNING_SECRET,
)
from functions.auth.keyring.keys import KeyRoom
from shared import keyring
from shared.errors import Unavailable
from shared.secrets import SecretUnusable
from shared.secrets.files import FileSecrets
from shared.store import Create
from shared.store.bodies import from_body, to_body
from shared.store.sqlite import SqliteStore
from tests.tokens import Time
from tests.unit.auth.suite import Suite

pytestmark = pytest.mark.anyio

RINGS = {
    SIGNING_SECRET: "signing",
    REFRESH_SECRET: "refresh",
    LINK_SECRET: "link",
    API_KEY_SECRET: "api-key",
    FACTOR_SECRET: "factor",
}


async def test_the_first_key_is_made_once_by_many_at_once(tmp_path: Path) -> None:
    """All processes sign with the same keys, and the losers' keys are destroyed."""
    stores = [SqliteStore(tmp_path / "store.db", ()) for _ in range(4)]
    secrets = FileSecrets(tmp_path / "secrets", Time())
    rooms = [KeyRoom(store, secrets, Time()) for store in stores for _ in range(4)]
    found = await asyncio.gather(*(room.current() for room in rooms))
    for store in stores:
        await store.close()
    assert len({keys.jwks for keys in found}) == 1
    texts = {keys.refresh_tokens.text(RefreshToken("t", "u", "s", 1)) for keys in found}
    assert len(texts) == 1
    for name in RINGS:
        states = [version.state for version in await secrets.versions(name)]
        assert states.count("enabled") == 1
        assert set(states) <= {"enabled", "destroyed"}


async def test_a_token_verifies_with_what_is_published(suite: Suite) -> None:
    client, secret = await suite.add_machine("usage:read")
    token = await suite.machine_token(client, secret)
    (jwk,) = json.loads(suite.jwks)["keys"]
    assert set(jwk) == {"kty", "crv", "x", "y", "kid", "alg", "use"}
    assert (jwk["kid"], jwk["alg"], jwk["use"]) == (keyring.thumbprint(jwk), "ES256", "sig")
    header = jwt.get_unverified_header(token)
    assert header == {"alg": "ES256", "kid": jwk["kid"], "typ": "at+jwt"}
    claims = jwt.decode(
        token,
        jwt.PyJWK(jwk).key,
        algorithms=["ES256"],
        audience="https://api.example.test",
        options={"verify_exp": False, "verify_iat": False},
    )
    assert claims["exp"] - claims["iat"] == 600
    assert set(claims) == {
        "iss",
        "aud",
        "sub",
        "client_id",
        "tid",
        "scope",
        "roles",
        "tier",
        "iat",
        "exp",
        "jti",
    }


async def test_a_ring_publishes_every_key_and_signs_with_the_active_one(suite: Suite) -> None:
    """J34: a key is known before it signs and after."""
    doc = (await suite.store.inner.read(keyring.key(suite.store)))[0]
    assert doc is not None
    active = from_body(doc.body, KeyRing).keys[0]
    other = ec.generate_private_key(ec.SECP256R1())
    public = keyring.public_jwk(other.public_key())
    pending = msgspec.structs.replace(
        active, kid=public["kid"], state="pending", secret_version=9, public=public
    )
    ring = KeyRing((pending, active))
    marker = Create(suite.store.platform().key("keyring", "marker"), {})
    await suite.store.inner.commit(marker, records.Found(doc.key, ring, doc.version).replace(ring))
    keys = await KeyRoom(suite.store, suite.secrets, suite.clock).current()
    assert [key["kid"] for key in json.loads(keys.jwks)["keys"]] == [pending.kid, active.kid]
    header = keys.signer.sign(b"{}").partition(".")[0]
    assert json.loads(base64.urlsafe_b64decode(header + "=="))["kid"] == active.kid


def pem(key: object) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())  # type: ignore[attr-defined,no-any-return]


WRONG = {
    "not text": b"\xff\x00",
    "no PEM": b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    "another curve": pem(ec.generate_private_key(ec.SECP384R1())),
    "another algorithm": pem(ed25519.Ed25519PrivateKey.generate()),
    "RSA": pem(generate_private_key(65537, 2048)),
    "another key": pem(ec.generate_private_key(ec.SECP256R1())),
}


@pytest.mark.parametrize("what", WRONG)
async def test_a_wrong_signing_key_stops_the_start_and_is_named_but_not_shown(
    suite: Suite, what: str
) -> None:
    """S1"""
    version = await suite.secrets.add(SIGNING_SECRET, WRONG[what])
    doc = (await suite.store.inner.read(keyring.key(suite.store)))[0]
    assert doc is not None
    ring = from_body(doc.body, KeyRing)
    changed = KeyRing((msgspec.structs.replace(ring.keys[0], secret_version=version),))
    marker = Create(suite.store.platform().key("keyring", "marker"), {})
    await suite.store.inner.commit(marker, records.Found(doc.key, ring, doc.version).replace(changed))
    with pytest.raises(SecretUnusable) as stopped:
        await KeyRoom(suite.store, suite.secrets, suite.clock).current()
    assert f"{SIGNING_SECRET} version {version}" in str(stopped.value)
    assert "BEGIN" not in str(stopped.value)


@pytest.mark.parametrize("name", RINGS)
@pytest.mark.parametrize("state", ["disabled", "destroyed"])
async def test_a_key_that_is_not_enabled_stops_the_start(suite: Suite, name: str, state: str) -> None:
    """S1"""
    await suite.secrets.set_state(name, 1, state)  # type: ignore[arg-type]
    with pytest.raises(SecretUnusable, match=name):
        await KeyRoom(suite.store, suite.secrets, suite.clock).current()


async def test_a_short_sealing_key_is_refused(tmp_path: Path, suite: Suite) -> None:
    """S1"""
    version = await suite.secrets.add(REFRESH_SECRET, b"short")
    doc = (await suite.store.inner.read(records.ring_key(suite.store, "refresh")))[0]
    found = records.found(doc, KeyRing)
    assert found is not None
    changed = KeyRing((msgspec.structs.replace(found.value.keys[0], secret_version=version),))
    marker = Create(suite.store.platform().key("keyring", "marker"), {})
    await suite.store.inner.commit(marker, found.replace(changed))
    with pytest.raises(SecretUnusable, match=REFRESH_SECRET):
        await KeyRoom(suite.store, suite.secrets, suite.clock).current()


async def test_a_ring_without_an_active_key_is_not_ready(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store.db", ())
    await store.commit(Create(keyring.key(store), to_body(KeyRing(()))))
    with pytest.raises(Unavailable):
        await KeyRoom(store, FileSecrets(tmp_path / "secrets", Time()), Time()).current()
    await store.close()
