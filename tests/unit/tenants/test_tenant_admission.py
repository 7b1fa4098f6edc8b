"""What a new customer may be called, from when it pays, who owns it; and how long an answer is waited for."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.auth.domain import email as auth_email
from functions.tenants.domain import contract, operations, slugs
from shared.errors import Invalid

TODAY = date(2026, 3, 4)
NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


def code_and_path(refused: pytest.ExceptionInfo[Invalid]) -> tuple[str, str]:
    (field,) = refused.value.fields
    return field.code, field.path


@pytest.mark.parametrize("slug", ["abc", "a1b", "acme", "a-b", "a--b", "z" + "0" * 39, "acme-2"])
def test_a_slug_is_taken_as_it_is(slug: str) -> None:
    assert slugs.checked(slug) == slug


@pytest.mark.parametrize(
    "slug",
    [
        "",
        "a",
        "ab",
        "a" * 41,
        "1ab",
        "-ab",
        "ab-",
        "Acme",
        "acme_1",
        "a.b",
        "a/b",
        "ac me",
        "acmé",
        "acme\n",
        "ａcme",
    ],
)
def test_a_slug_of_another_shape_is_refused(slug: str) -> None:
    with pytest.raises(Invalid) as refused:
        slugs.checked(slug)
    assert code_and_path(refused) == ("invalid_slug", "/slug")


@pytest.mark.parametrize("slug", ["platform", "www", "api", "admin", "auth", "postmaster", "kube-system"])
def test_a_reserved_word_is_no_slug(slug: str) -> None:
    with pytest.raises(Invalid) as refused:
        slugs.checked(slug)
    assert code_and_path(refused) == ("reserved_slug", "/slug")


def test_every_reserved_word_would_otherwise_be_a_slug() -> None:
    """A word that no slug can be is no use in the list."""
    assert [word for word in slugs.RESERVED if slugs.SLUG.fullmatch(word) is None] == []


def test_a_contract_starts_today_unless_another_day_is_wanted() -> None:
    assert contract.start(None, TODAY) == TODAY
    assert contract.start(date(2025, 12, 1), TODAY) == date(2025, 12, 1)


@pytest.mark.parametrize(("days", "good"), [(366, True), (367, False), (-1830, True), (-1831, False)])
def test_a_contract_starts_within_a_year_ahead_and_five_years_ago(days: int, good: bool) -> None:
    wanted = TODAY + timedelta(days=days)
    if good:
        assert contract.start(wanted, TODAY) == wanted
    else:
        with pytest.raises(Invalid) as refused:
            contract.start(wanted, TODAY)
        assert code_and_path(refused) == ("out_of_range", "/contract_start")


@pytest.mark.parametrize("day", [date.min, date.max])
def test_the_ends_of_the_calendar_are_out_of_range(day: date) -> None:
    with pytest.raises(Invalid):
        contract.start(day, TODAY)


@pytest.mark.parametrize(
    "address", ["owner@acme.example", "first.last+tag@a-b.co", "o'neil@x.example", "a@b.c", "A@B.EXAMPLE"]
)
def test_an_owner_has_an_address(address: str) -> None:
    assert contract.owner_email(address) == address


@pytest.mark.parametrize(
    "address",
    [
        "",
        "owner",
        "@acme.example",
        "owner@",
        "owner@acme",
        "owner@@acme.example",
        "a b@acme.example",
        "owner@acme..example",
        ".owner@acme.example",
        "owner.@acme.example",
        "own..er@acme.example",
        "owner@-acme.example",
        "owner@acme-.example",
        "owner@acme.example\n",
        "owner@acme.example\r\nBcc: all@acme.example",
        "Owner <owner@acme.example>",
        '"owner"@acme.example',
        "owner@[127.0.0.1]",
        "öwner@acme.example",
        "a" * 65 + "@acme.example",
        "owner@" + "a" * 64 + ".example",
        "owner@" + "a." * 123 + "example",
        "=?utf-8?q?a=0d=0abcc=3ae=40x.cc?=@ok.example",
        "a=?b@acme.example",
    ],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(Invalid) as refused:
        contract.owner_email(address)
    assert code_and_path(refused) == ("invalid_email", "/owner_email")


@settings(max_examples=50, deadline=None)
@given(st.from_regex(contract.ADDRESS, fullmatch=True).filter(lambda text: len(text) <= 80))
def test_auth_can_invite_every_owner_that_is_accepted_here(address: str) -> None:
    """Else a tenant would be provisioned that nobody can enter."""
    try:
        accepted = contract.owner_email(address)
    except Invalid:
        return
    assert "@" in auth_email.canonical(accepted)


@pytest.mark.parametrize("name", ["Acme Inc.", "Ü", "株式会社", "O'Neil & Sons <x>", "a" * 200])
def test_a_name_is_what_people_read(name: str) -> None:
    assert contract.name(name) == name


@pytest.mark.parametrize(
    "name", ["", " ", "Acme ", " Acme", "Ac\nme", "Ac\x00me", "Ac\u200bme", "\ud800", "\u202eAcme"]
)
def test_a_name_that_cannot_be_read_is_refused(name: str) -> None:
    with pytest.raises(Invalid) as refused:
        contract.name(name)
    assert code_and_path(refused) == ("invalid_name", "/name")


def test_an_operation_is_overdue_after_a_minute_without_an_answer() -> None:
    operation = operations.provision("op_1", NOW)
    assert not operations.is_overdue(operation, NOW + timedelta(seconds=60))
    assert operations.is_overdue(operation, NOW + timedelta(seconds=60, microseconds=1))


def test_a_closed_operation_is_never_overdue() -> None:
    closed = operations.closed(operations.provision("op_1", NOW), "succeeded", "", NOW)
    assert not operations.is_overdue(closed, NOW + timedelta(days=1))


def test_an_operation_is_exhausted_after_five_repeats() -> None:
    operation = operations.provision("op_1", NOW)
    for expected in range(1, 6):
        assert not operations.is_exhausted(operation)
        operation = operations.repeated(operation, NOW + timedelta(minutes=expected))
        assert (operation.repeats, operation.requested_at) == (expected, NOW + timedelta(minutes=expected))
    assert operations.is_exhausted(operation)


def test_a_long_message_of_the_cluster_is_cut() -> None:
    closed = operations.closed(operations.provision("op_1", NOW), "failed", "x" * 10_000, NOW)
    assert (len(closed.message), closed.closed_at) == (500, NOW)
