"""Rules of the domain at their edges: what is equal, what is missing, what is somebody else's."""

import hashlib
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from functions.auth.domain import (
    credentials,
    device_code,
    factors,
    login,
    passkeys,
    password,
    password_reset,
    people,
    pkce,
    security_policy,
)
from functions.auth.domain.credentials import ClientSecret
from functions.auth.domain.factors import Factors, RecoveryCodes, Totp
from functions.auth.domain.known_device import KnownDevice
from functions.auth.domain.passkeys import Passkey
from functions.auth.domain.people import Login, User
from functions.auth.domain.sealed import Seal, SealingKeys
from functions.auth.domain.security_policy import SecurityPolicy
from functions.auth.domain.session import Session
from shared import base64url
from shared.errors import Invalid

NOW = datetime(2026, 3, 1, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)
HOUR = timedelta(hours=1)


def challenge(verifier: str) -> str:
    return base64url.encode(hashlib.sha256(verifier.encode()).digest())


@pytest.mark.parametrize(("length", "proven"), [(42, False), (43, True), (128, True), (129, False)])
def test_a_verifier_has_the_length_of_the_standard(length: int, proven: bool) -> None:
    """RFC 7636 §4.1: also where the challenge was made of it."""
    verifier = "v" * length
    assert pkce.proves(verifier, challenge(verifier)) == proven


def test_a_device_code_is_that_of_its_grant_and_of_its_client() -> None:
    """A grant may have the place of an older one, whose code people type was the same."""
    grant = device_code.ask("tnt_acme.cli_1", ("openid",), "dc1_new", NOW, None)
    assert device_code.is_of(grant, "dc1_new", "tnt_acme.cli_1")
    assert not device_code.is_of(grant, "dc1_old", "tnt_acme.cli_1")
    assert not device_code.is_of(grant, "dc1_new", "tnt_acme.cli_2")


def test_a_device_is_known_if_it_was_seen_since_the_password_was_set() -> None:
    """L6."""
    known = Login("usr_1", "", password_set_at=NOW)
    for seen_at, expected in ((NOW, None), (NOW + INSTANT, "dev_1")):
        device = KnownDevice("tnt_acme", "usr_1", "dev_1", seen_at, "log_1")
        assert login.device_id(known, "tnt_acme", device, NOW + HOUR) == expected


def test_a_link_is_for_the_password_it_was_asked_for_and_has_a_time_of_its_own() -> None:
    first = password_reset.request(None, "req_1", NOW, NOW)
    assert first is not None
    both = password_reset.request(first, "req_2", NOW, NOW + timedelta(minutes=10))
    assert both is not None
    assert password_reset.opens(both, "req_2", NOW, NOW + timedelta(minutes=39))
    assert not password_reset.opens(both, "req_2", NOW + INSTANT, NOW + timedelta(minutes=39))
    assert not password_reset.opens(both, "req_2", NOW, NOW + timedelta(minutes=40))
    assert password_reset.expires_at(both, "req_2") == NOW + timedelta(minutes=40)
    assert password_reset.expires_at(both, "req_3") is None


@pytest.mark.parametrize(
    ("before", "after", "longer"),
    [
        (HOUR, 2 * HOUR, True),
        (HOUR, None, True),
        (HOUR, HOUR, False),
        (2 * HOUR, HOUR, False),
        (None, HOUR, False),
        (None, None, False),
    ],
)
def test_without_a_deadline_a_secret_works_longest(
    before: timedelta | None, after: timedelta | None, longer: bool
) -> None:
    def until(left: timedelta | None) -> list[ClientSecret]:
        return [ClientSecret("sec_1", "", NOW, None if left is None else NOW + left)]

    assert credentials.last_longer(until(before), until(after)) == longer


def test_what_never_was_enough_may_be_taken_away() -> None:
    policy, nothing = SecurityPolicy("required", ("passkey",)), Factors("usr_1")
    some = Factors("usr_1", totp=Totp("", NOW, 0))
    assert not security_policy.is_last(policy, some, nothing)
    assert security_policy.is_last(msgspec.structs.replace(policy, methods=("totp",)), some, nothing)
    assert not security_policy.is_last(SecurityPolicy("optional", ("totp",)), some, nothing)


def passkey_of(number: int, sign_count: int = 0) -> Passkey:
    return Passkey(f"psk_{number}", f"credential{number}", "", sign_count, False, (), "Laptop", NOW)


@pytest.mark.parametrize(
    ("known", "shown", "copy"),
    [(0, 0, False), (0, 1, False), (1, 2, False), (1, 1, True), (2, 1, True), (1, 0, True)],
)
def test_a_counter_that_does_not_grow_is_that_of_a_copy(known: int, shown: int, copy: bool) -> None:
    """WebAuthn Level 3 §6.1.1: also one that has stopped counting."""
    assert passkeys.is_copy(passkey_of(1, known), shown) == copy


def test_of_several_passkeys_the_one_that_is_meant_is_found() -> None:
    both = Factors("usr_1", passkeys=(passkey_of(1), passkey_of(2)))
    for one in both.passkeys:
        assert factors.passkey(both, one.id) == factors.credential(both, one.credential_id) == one
    assert factors.passkey(both, "psk_3") is factors.credential(both, "credential3") is None
    assert factors.without_passkey(both, "psk_1").passkeys == (passkey_of(2),)


def test_recovery_codes_stand_in_for_a_factor_and_only_while_there_are_any() -> None:
    codes = RecoveryCodes(("digest",), 1, NOW)
    enrolled = Factors("usr_1", passkeys=(passkey_of(1),), recovery_codes=codes)
    assert factors.usable(enrolled) == ("passkey", "recovery_code")
    assert factors.usable(msgspec.structs.replace(enrolled, passkeys=())) == ()
    none_left = RecoveryCodes((), 1, NOW)
    assert factors.usable(msgspec.structs.replace(enrolled, recovery_codes=none_left)) == ("passkey",)


def test_a_session_goes_on_for_its_own_user_until_it_is_revoked() -> None:
    """R8, T1."""
    user = User("usr_1", "ada@acme.test", "Ada", "member", "active", NOW, epoch=2)
    session = Session(
        "ses_1", "usr_1", "energent-app", ("member",), (), NOW, NOW, NOW, ("pwd",), user_epoch=2
    )
    assert people.goes_on(user, session)
    for changed in ({"user_id": "usr_2"}, {"revoked_at": NOW}, {"user_epoch": 1}):
        assert not people.goes_on(user, msgspec.structs.replace(session, **changed))
    assert not people.goes_on(msgspec.structs.replace(user, status="disabled"), session)


def test_a_password_has_fifteen_characters_alone_and_1024_bytes_at_most() -> None:
    """L12, L14."""
    assert [password.is_short("x" * characters) for characters in (14, 15)] == [True, False]
    for longest in ("x" * 1024, "\u00e9" * 512):
        assert password.normal(longest) == longest
        with pytest.raises(Invalid):
            password.normal(longest + "x")


def test_a_field_that_does_not_fit_is_not_sealed() -> None:
    """Its length has one byte."""
    seal = Seal("x1_", 1, SealingKeys({1: bytes(32)}, 1))
    assert seal.open(seal.seal(bytes(255))) == [bytes(255)]
    with pytest.raises(ValueError, match="255 bytes"):
        seal.seal(bytes(256))
    with pytest.raises(ValueError, match="1 fields"):
        seal.seal(b"", b"")
