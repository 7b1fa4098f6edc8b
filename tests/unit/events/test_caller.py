"""Who may push events (P1): 401 for whoever proves nothing, 403 for the wrong one."""

from pathlib import Path
from typing import Any

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from shared.caller import CACHED_TOKENS, CallerCheck, FileKeys, PlatformKeys, keys_of
from shared.errors import Forbidden, Unauthenticated, Unavailable
from tests.tokens import Time
from tests.unit.events.senders import (
    AUDIENCE,
    EMAIL,
    ISSUER,
    KEY,
    NOW_SECONDS,
    OTHER_KEY,
    bearer,
    check,
    claims,
    hand_made,
    segment,
    signed,
    write_keys,
)

HEADER = {"alg": "RS256", "kid": "k1", "typ": "JWT"}
REMOVED = "SIGNATURE_REMOVED_BY_GOOGLE"


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
def jwks(tmp_path: Path) -> Path:
    return tmp_path / "jwks.json"


@pytest.fixture
def caller(jwks: Path, clock: Time) -> CallerCheck:
    return check(jwks, clock)


def platform(clock: Time) -> CallerCheck:
    return CallerCheck("https://accounts.google.com", AUDIENCE, EMAIL, PlatformKeys(), clock)


def unsigned(signature: str = REMOVED, **changes: Any) -> str:
    payload = claims(**{"iss": "https://accounts.google.com", **changes})
    return f"{segment(HEADER)}.{segment(payload)}.{signature}"


def test_the_sender_comes_in(caller: CallerCheck) -> None:
    caller.check(bearer(signed()))
    caller.check({"authorization": f"bearer {signed()}"})


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "http://127.0.0.1:9002"},
        {"aud": AUDIENCE + "/"},
        {"aud": AUDIENCE.upper()},
        {"email": "somebody@local.invalid"},
        {"email": EMAIL.upper()},
        {"email_verified": False},
    ],
)
def test_a_known_caller_who_is_not_the_sender_is_forbidden(
    caller: CallerCheck, changes: dict[str, Any]
) -> None:
    """P1."""
    with pytest.raises(Forbidden):
        caller.check(bearer(signed(**changes)))


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://accounts.google.com"},
        {"iss": ISSUER + "/"},
        {"iss": [ISSUER]},
        {"iss": ...},
        {"aud": [AUDIENCE]},
        {"aud": ...},
        {"email": ...},
        {"email": None},
        {"email_verified": "true"},
        {"email_verified": 1},
        {"email_verified": ...},
        {"exp": NOW_SECONDS - 30, "iat": NOW_SECONDS - 3000},
        {"exp": str(NOW_SECONDS + 3600)},
        {"exp": NOW_SECONDS + 3600.5},
        {"exp": 1e308},
        {"exp": True},
        {"exp": ...},
        {"exp": NOW_SECONDS + 10 * 365 * 86400},
        {"iat": NOW_SECONDS - 10 * 365 * 86400},
        {"iat": NOW_SECONDS + 31},
        {"iat": NOW_SECONDS, "exp": NOW_SECONDS},
        {"iat": ...},
    ],
)
def test_claims_that_are_not_those_of_a_fresh_token_prove_nothing(
    caller: CallerCheck, changes: dict[str, Any]
) -> None:
    """P1; J13 to J19."""
    with pytest.raises(Unauthenticated):
        caller.check(bearer(hand_made(HEADER, claims(**changes))))


@pytest.mark.parametrize(
    "changes",
    [{"exp": NOW_SECONDS - 29, "iat": NOW_SECONDS - 3000}, {"iat": NOW_SECONDS + 30}],
)
def test_clocks_may_differ_by_thirty_seconds(caller: CallerCheck, changes: dict[str, Any]) -> None:
    caller.check(bearer(signed(**changes)))


@pytest.mark.parametrize(
    "header",
    [
        {**HEADER, "alg": "none"},
        {**HEADER, "alg": "RS512"},
        {**HEADER, "alg": "rs256"},
        {**HEADER, "alg": ["RS256"]},
        {"kid": "k1"},
        {**HEADER, "typ": "at+jwt"},
        {**HEADER, "crit": ["b64"]},
        {**HEADER, "crit": []},
        {**HEADER, "kid": "k2"},
        {**HEADER, "kid": "../../../../dev/null"},
        {**HEADER, "kid": 7},
        {"alg": "RS256"},
        [],
        b"null",
        b'{"alg":"RS256","kid":"k1","kid":"k1"}',
        b"\xef\xbb\xbf" + msgspec.json.encode(HEADER),
        b"[" * 1000,
    ],
)
def test_a_header_that_is_not_googles_proves_nothing(caller: CallerCheck, header: Any) -> None:
    """J1, J2, J5, J7, J22, J24, J26."""
    with pytest.raises(Unauthenticated):
        caller.check(bearer(hand_made(header, claims())))


@pytest.mark.parametrize(
    "payload",
    [
        b"null",
        b"[]",
        b"",
        msgspec.json.encode(claims())[:-1] + f',"email":"{EMAIL}"}}'.encode(),
        msgspec.json.encode(claims()).decode().encode("utf-16"),
        msgspec.json.encode(claims())[:-1] + b',"x":"\\ud800"}',
        msgspec.json.encode(claims())[:-1] + b',"x":' + b"[" * 500 + b"]" * 500 + b"}",
    ],
)
def test_a_payload_that_is_no_strict_json_object_proves_nothing(caller: CallerCheck, payload: bytes) -> None:
    """J24, J26, J27."""
    with pytest.raises(Unauthenticated):
        caller.check(bearer(hand_made(HEADER, payload)))


def test_signatures_of_others_prove_nothing(caller: CallerCheck) -> None:
    """P1: self-signed."""
    public = KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    head, body, signature = signed().split(".")
    elliptic = ec.generate_private_key(ec.SECP256R1())
    forged = [
        signed(key=OTHER_KEY),
        f"{head}.{body}.{REMOVED}",
        f"{head}.{body}.{'A' * len(signature)}",
        f"{head}.{body}.{signature[:-4]}",
        f"{head}.{segment(claims(sub='x'))}.{signature}",
        jwt.encode(claims(), elliptic, algorithm="ES256", headers={"kid": "k1"}),
        jwt.encode(claims(), public.hex(), algorithm="HS256", headers={"kid": "k1"}),
    ]
    for token in forged:
        with pytest.raises(Unauthenticated):
            caller.check(bearer(token))


def test_other_spellings_of_a_good_token_prove_nothing(caller: CallerCheck) -> None:
    """J25, J28, J33."""
    token = signed()
    caller.check(bearer(token))
    last = token[-1]
    spare_bits = token[:-1] + chr(ord(last) + 1)
    values = [
        "",
        "Bearer",
        "Bearer ",
        f"Bearer  {token}",
        f"Bearer {token} ",
        f"Bearer {token}=",
        f"Bearer {token}.",
        f"Bearer {token}\n",
        f"Bearer {spare_bits}",
        f"Basic {token}",
        f"Bearer {'a' * 5000}",
        "Bearer a.b",
        "Bearer ..",
        "Bearer é.é.é",
        token,
    ]
    for value in values:
        with pytest.raises(Unauthenticated):
            caller.check({"authorization": value})
    with pytest.raises(Unauthenticated):
        caller.check({"x-forwarded-authorization": f"Bearer {token}"})


def test_a_token_that_passed_is_refused_when_it_ends(caller: CallerCheck, clock: Time) -> None:
    token = signed()
    caller.check(bearer(token))
    clock.move(3600 + 29)
    caller.check(bearer(token))
    clock.move(1)
    with pytest.raises(Unauthenticated):
        caller.check(bearer(token))


def test_a_token_that_passed_is_refused_once_its_key_is_gone(caller: CallerCheck, jwks: Path) -> None:
    token = signed()
    caller.check(bearer(token))
    write_keys(jwks, k2=OTHER_KEY)
    with pytest.raises(Unauthenticated):
        caller.check(bearer(token))
    caller.check(bearer(signed(key=OTHER_KEY, kid="k2")))


def test_a_signature_is_checked_once_and_remembered_for_few_tokens(jwks: Path, clock: Time) -> None:
    class Counting(FileKeys):
        checked = 0

        def is_genuine(self, kid: str, signed: bytes, signature: str) -> bool:
            self.checked += 1
            return super().is_genuine(kid, signed, signature)

    write_keys(jwks, k1=KEY)
    keys = Counting(jwks)
    caller = CallerCheck(ISSUER, AUDIENCE, EMAIL, keys, clock)
    first = signed()
    for _ in range(3):
        caller.check(bearer(first))
    assert keys.checked == 1
    for number in range(CACHED_TOKENS):
        caller.check(bearer(signed(sub=str(number))))
    caller.check(bearer(first))
    assert keys.checked == CACHED_TOKENS + 2


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"{}",
        b"[]",
        b'{"keys":[{"kty":"RSA"}]}',
        b'{"keys":[{"kty":"EC"}]}',
        b'{"keys":7}',
        b'{"keys":[7]}',
        b'{"keys":[{"kid":"k1","kty":"oct","k":"YQ"}]}',
    ],
)
def test_keys_that_cannot_be_read_are_an_outage_and_no_verdict(
    jwks: Path, clock: Time, content: bytes | None
) -> None:
    if content is not None:
        jwks.write_bytes(content)
    caller = CallerCheck(ISSUER, AUDIENCE, EMAIL, FileKeys(jwks), clock)
    with pytest.raises(Unavailable):
        caller.check(bearer(signed()))
    write_keys(jwks, k1=KEY)
    caller.check(bearer(signed()))


def test_weak_keys_are_not_used(jwks: Path, clock: Time) -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - what is refused
    write_keys(jwks, k1=weak)
    with pytest.raises(Unavailable):
        CallerCheck(ISSUER, AUDIENCE, EMAIL, FileKeys(jwks), clock).check(bearer(signed()))


def test_where_the_platform_checked_the_signature_its_mark_is_enough(clock: Time) -> None:
    platform(clock).check(bearer(unsigned()))


@pytest.mark.parametrize("signature", [segment(b"x" * 256), REMOVED + "A", REMOVED.lower(), "A"])
def test_where_the_platform_should_have_checked_a_signature_still_there_was_not(
    clock: Time, signature: str
) -> None:
    """P1."""
    with pytest.raises(Unauthenticated):
        platform(clock).check(bearer(unsigned(signature)))
    with pytest.raises(Unauthenticated):
        platform(clock).check(bearer(signed(iss="https://accounts.google.com")))


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"aud": "https://other.run.app"}, Forbidden),
        ({"email": "other@p.iam.gserviceaccount.com"}, Forbidden),
        ({"email_verified": False}, Forbidden),
        ({"iss": "accounts.google.com"}, Unauthenticated),
        ({"exp": NOW_SECONDS - 30, "iat": NOW_SECONDS - 3000}, Unauthenticated),
    ],
)
def test_where_the_platform_checked_the_signature_claims_count_the_same(
    clock: Time, changes: dict[str, Any], refusal: type[Exception]
) -> None:
    """P1."""
    with pytest.raises(refusal):
        platform(clock).check(bearer(unsigned(**changes)))


def test_the_setting_names_where_keys_come_from(jwks: Path) -> None:
    assert isinstance(keys_of("platform"), PlatformKeys)
    assert isinstance(keys_of(f"file:{jwks}"), FileKeys)
    for wrong in ("", "file", "file:", "Platform", "https://example.com/jwks.json"):
        with pytest.raises(ValueError, match="platform"):
            keys_of(wrong)
