"""What is said to come from an authenticator is looked through before a library gives it a meaning."""

import time
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.auth.domain import authenticator_data
from tests.authenticator import Authenticator, raw, text
from tests.unit.auth.second_factor import SOURCE, assertion, loaded, person, refused
from tests.unit.auth.suite import Suite

NO_KEY = bytes(32) + b"\x05" + bytes(4)
WITH_KEY = (
    bytes(32) + b"\x45" + bytes(4) + bytes(16) + b"\x00\x02id" + cbor2.dumps({1: 2, 3: -7, -2: b"x" * 32})
)
EXTENSIONS = cbor2.dumps({"credProps": True, "uvm": [[2, 4, 2]]})


def costly() -> Any:
    """A regular expression, which CBOR has a tag for, and its compiler takes 4 ms for each range."""
    return cbor2.CBORTag(35, "(?i)[" + "".join(f"{chr(256 + at)}-\ud7ff" for at in range(500)) + "]")


def attested(**more: Any) -> dict[str, Any]:
    return {"fmt": "none", "attStmt": {}, "authData": WITH_KEY} | more


@pytest.mark.parametrize(
    "told",
    [
        attested(x=costly()),
        attested(attStmt={"x": [costly()]}),
        attested(authData=NO_KEY + cbor2.dumps(costly())),
        attested(authData=WITH_KEY + cbor2.dumps({"x": costly()})),
        attested(attStmt={"authData": NO_KEY}, authData=WITH_KEY + cbor2.dumps(costly())),
        attested(x=cbor2.CBORTag(2, b"\xff")),
        attested(x=list(range(300))),
    ],
)
def test_an_attestation_with_a_tag_anywhere_is_none(told: Any) -> None:
    assert not authenticator_data.is_plain_attestation(cbor2.dumps(told))


@pytest.mark.parametrize(
    "data",
    [b"\xff", b"\x9f\x00\xff", b"\x5f\x41a\xff", b"\x1c", b"\x62a", b"\x19\x00", b"\x5b" + b"\xff" * 8],
)
def test_what_has_no_end_or_no_length_is_none(data: bytes) -> None:
    assert not authenticator_data.is_plain_attestation(data)
    assert not authenticator_data.is_plain(NO_KEY + data)
    assert not authenticator_data.is_plain(WITH_KEY + data)


@pytest.mark.parametrize("data", [NO_KEY, NO_KEY + EXTENSIONS, WITH_KEY, WITH_KEY + EXTENSIONS])
def test_what_authenticators_write_is_plain(data: bytes) -> None:
    assert authenticator_data.is_plain(data)
    statement = {"alg": -7, "sig": b"s" * 70, "x5c": [b"c" * 900, b"c" * 900]}
    assert authenticator_data.is_plain_attestation(cbor2.dumps(attested(authData=data, attStmt=statement)))


@given(st.binary(max_size=60))
def test_any_bytes_are_looked_through(data: bytes) -> None:
    for looked_at in (authenticator_data.is_plain_attestation(data), authenticator_data.is_plain(data)):
        assert looked_at in (True, False)


@pytest.mark.anyio
async def test_nobody_keeps_a_process_busy_with_what_his_passkey_says(suite: Suite) -> None:
    """Neither who enrols one nor who knows the id of one: 24 kB of this took a quarter of a minute."""
    ada, authenticator = await person(suite), Authenticator()
    caller = await ada.principal()
    made = authenticator.create(await ada.creation_options(caller))
    good = made["response"]["attestationObject"]
    made["response"]["attestationObject"] = text(cbor2.dumps(cbor2.loads(raw(good)) | {"x": costly()}))
    started = time.process_time()
    assert (await refused(ada.register(caller, made))).code == "invalid_field"
    made["response"]["attestationObject"] = good
    await ada.register(caller, made)
    given = authenticator.get(loaded(await suite.do.passkey_sign_in.options("acme")))
    extended = bytearray(raw(given["response"]["authenticatorData"])) + cbor2.dumps(costly())
    extended[32] |= 0x80
    given["response"]["authenticatorData"] = text(bytes(extended))
    refusal = await refused(suite.do.passkey_sign_in.login("acme", assertion(given), SOURCE))
    assert refusal.code == "invalid_credentials"
    assert time.process_time() - started < 1
