"""API keys as text, and when and from where they work; nothing is read or written here."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as some

from functions.auth.domain import api_key
from functions.auth.domain.api_key import ApiKey, Digest, Presented
from functions.auth.domain.sealed import SealingKeys
from shared.errors import Invalid

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
DAY = timedelta(days=1)
KEY_ID = "key_" + "0f" * 16
SECRET = api_key.secret_of(bytes(range(16)))
PRESENTED = Presented("test", "tnt_acme", KEY_ID, SECRET)
TEXT = api_key.text(PRESENTED)


def key(**changes: object) -> ApiKey:
    fields: dict[str, object] = {
        "id": KEY_ID,
        "name": "x",
        "scopes": ("usage:read",),
        "digest": Digest("", 1),
        "ip_ranges": (),
        "created_by": "usr_1",
        "created_at": NOW,
        "not_before": None,
        "expires_at": NOW + DAY,
    }
    return ApiKey(**(fields | changes))  # type: ignore[arg-type]


@given(
    some.binary(min_size=16, max_size=16),
    some.sampled_from(["platform", "tnt_" + "a1" * 16, "a_key_b", "-", "x" * 64]),
)
def test_a_key_is_read_back_as_it_was_written(random: bytes, tenant_id: str) -> None:
    presented = Presented("p" * 30, tenant_id, KEY_ID, api_key.secret_of(random))
    text = api_key.text(presented)
    assert api_key.read(text) == presented
    assert len(text) <= 170
    assert re.fullmatch(api_key.SCANNER, text)


def test_the_secret_has_128_bits_in_22_digits() -> None:
    assert len(SECRET) == 22
    assert api_key.secret_of(bytes(16)) == "0" * 22
    assert api_key.secret_of(b"\xff" * 16) < "z" * 22
    assert len({api_key.secret_of(bytes(15) + bytes([last])) for last in range(256)}) == 256


@pytest.mark.parametrize("at", range(len(TEXT)))
def test_any_one_wrong_character_is_found_without_a_read(at: int) -> None:
    """K1"""
    for other in "0aZ_-":
        if other != TEXT[at]:
            assert api_key.read(TEXT[:at] + other + TEXT[at + 1 :]) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        TEXT[:-1],
        TEXT + "0",
        TEXT + "\n",
        " " + TEXT,
        TEXT.upper(),
        TEXT[9:],
        "energent_",
        "\0" * 170,
        "é" * 99,
    ],
)
def test_what_is_no_key_is_none(text: str) -> None:
    """K1"""
    assert api_key.read(text) is None


def test_a_scanner_finds_a_key_in_any_text() -> None:
    found = re.findall(api_key.SCANNER, f'export KEY="{TEXT}"; curl -H "X-Api-Key:{TEXT}"')
    assert found == [TEXT, TEXT]


def test_a_secret_belongs_to_one_key_of_one_tenant_under_one_pepper() -> None:
    """K3, S7: what is kept is keyed; two peppers are good at once."""
    old, both, new = (
        SealingKeys({1: b"o" * 32}, 1),
        SealingKeys({1: b"o" * 32, 2: b"n" * 32}, 2),
        SealingKeys({2: b"n" * 32}, 2),
    )
    kept = key(digest=api_key.digest(PRESENTED, old))
    assert SECRET not in kept.digest.mac
    assert api_key.is_secret(PRESENTED, kept, old)
    assert api_key.is_secret(PRESENTED, kept, both)
    assert not api_key.is_secret(PRESENTED, kept, new)
    for other in (
        Presented("test", "tnt_globex", KEY_ID, SECRET),
        Presented("test", "tnt_acme", "key_" + "00" * 16, SECRET),
        Presented("test", "tnt_acme", KEY_ID, "0" * 22),
    ):
        assert not api_key.is_secret(other, kept, both)
        assert not api_key.is_secret(other, None, both)
    assert not api_key.is_secret(PRESENTED, None, both)
    assert not api_key.is_secret(PRESENTED, key(digest=Digest("", 7)), both)
    assert api_key.is_use_due(key(digest=kept.digest, used_at=NOW), both.current, NOW)


def test_it_works_from_its_start_until_exactly_its_end() -> None:
    """K9"""
    tick = timedelta(microseconds=1)
    waiting = key(not_before=NOW + timedelta(hours=1))
    assert api_key.status(waiting, NOW + timedelta(hours=1) - tick) == "not_yet"
    assert api_key.status(waiting, NOW + timedelta(hours=1)) == "active"
    assert api_key.status(key(), NOW + DAY - tick) == "active"
    assert api_key.status(key(), NOW + DAY) == "expired"


def test_a_key_lives_90_days_unless_told_and_a_year_at_most() -> None:
    assert api_key.lifetime(NOW, None, None, NOW) == NOW + 90 * DAY
    assert api_key.lifetime(NOW, NOW, NOW + 365 * DAY, NOW) == NOW + 365 * DAY
    for not_before, expires_at, at in [
        (None, NOW, NOW),
        (None, NOW + 365 * DAY + timedelta(microseconds=1), NOW),
        (None, NOW + 365 * DAY + timedelta(microseconds=1), NOW + 100 * DAY),
        (None, None, NOW + 90 * DAY),
        (NOW + DAY, NOW + DAY, NOW),
    ]:
        with pytest.raises(Invalid):
            api_key.lifetime(NOW, not_before, expires_at, at)


@pytest.mark.parametrize(
    ("ranges", "address", "allowed"),
    [
        ([], "anything", True),
        (["192.0.2.0/24"], "192.0.2.255", True),
        (["192.0.2.0/24"], "192.0.3.0", False),
        (["192.0.2.7"], "192.0.2.7", True),
        (["192.0.2.7"], "192.0.2.8", False),
        (["192.0.2.0/24"], "::ffff:192.0.2.9", True),
        (["192.0.2.0/24"], "::ffff:192.0.3.9", False),
        (["192.0.2.0/24"], "2001:db8::1", False),
        (["192.0.2.0/24", "2001:db8::/32"], "2001:db8:ffff::1", True),
        (["2001:db8::/32"], "2001:db9::1", False),
        (["2001:db8::/32"], "192.0.2.1", False),
        (["0.0.0.0/0"], "2001:db8::1", False),
        (["0.0.0.0/0"], "", False),
        (["0.0.0.0/0"], "testclient", False),
        (["0.0.0.0/0"], "192.0.2.1, 192.0.2.2", False),
        (["::/0"], "192.0.2.1", False),
    ],
)
def test_a_key_works_from_its_ranges_only(ranges: list[str], address: str, allowed: bool) -> None:
    assert api_key.is_allowed(key(ip_ranges=api_key.ip_ranges(ranges)), address) == allowed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "192.0.2.1/24",
        "192.0.2.0/33",
        "2001:db8::1/32",
        "fe80::1%eth0",
        "1.2.3",
        "::ffff:192.0.2.0/120",
        "192.0.2.0/-1",
        "0x7f.1",
    ],
)
def test_a_range_that_is_none_is_named(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        api_key.ip_ranges(["192.0.2.0/24", text])
    assert refused.value.fields[0].path == "/ip_ranges/1"


def test_ranges_are_few_and_each_is_kept_once() -> None:
    assert api_key.ip_ranges(["192.0.2.7", "192.0.2.7/32", "2001:DB8::/32"]) == (
        "192.0.2.7/32",
        "2001:db8::/32",
    )
    with pytest.raises(Invalid):
        api_key.ip_ranges([f"192.0.2.{number}" for number in range(21)])
