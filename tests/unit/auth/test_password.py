"""Passwords: long, of any characters, one form when set and when verified, and none that is tried first."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.auth.domain import password
from functions.auth.sign_in import password_policy
from functions.auth.sign_in.password_policy import PasswordPolicy
from shared.errors import Invalid
from tests.tokens import tenant

WORDS = password_policy.words_of(tenant(), "ada.lovelace@acme.test", "Ada Lovelace")


async def set_password(text: str, *, second_factor: bool = False) -> str:
    return await PasswordPolicy().new(text, path="/password", words=WORDS, second_factor=second_factor)


async def reason(text: str, *, second_factor: bool = False) -> str:
    with pytest.raises(Invalid) as refusal:
        await set_password(text, second_factor=second_factor)
    (field,) = refusal.value.fields
    assert field.path == "/password"
    assert len(text) < 15 or text not in field.detail
    return field.code


@pytest.mark.anyio
@pytest.mark.parametrize(
    "text",
    [
        "correct horse battery staple",
        "a b c d e f g h",
        "\U0001f40e\U0001f50b\U0001f4ce\U0001f511\U0001f6aa" * 2
        + "\U0001f3e0\U0001f332\U0001f40e\U0001f4ce\U0001f50b",
        "\u043f\u0440\u0438\u0432\u0435\u0442, \u0440\u0430\u0437\u0431\u043e\u0439\u043d\u0438\u043a",
        "830194758261947",
        "my acme password is a poem",
        "kTq4" + "lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do",
        "Zwei Seelen wohnen, ach! in meiner Brust; " * 22 + "Faust I, Vor dem Tor",
    ],
)
async def test_fifteen_characters_of_any_kind_are_enough(text: str) -> None:
    """L14: also 64 and up to 1024 bytes, blanks and emoji."""
    assert await set_password(text) == text


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("kTq4 vB7xw p2mZ", None),
        ("kTq4 vB7xw p2m", "password_too_short"),
        ("\U0001f40e" * 14, "password_too_short"),
        ("e\u0301" * 14, "password_too_short"),
        ("", "password_empty"),
        ("x" * 1025, "password_too_long"),
        ("\u00e9" * 600, "password_too_long"),
        ("x" * 1_000_000, "password_too_long"),
        ("\ud800" + "x" * 20, "password_not_text"),
    ],
)
async def test_a_password_of_the_wrong_length_is_refused_with_a_reason(text: str, code: str | None) -> None:
    """L12, L13, L14: 14 characters are too few, and 15 are enough."""
    if code is None:
        assert await set_password(text) == text
    else:
        assert await reason(text) == code


@pytest.mark.anyio
async def test_with_a_second_factor_eight_are_enough() -> None:
    """L14"""
    assert await set_password("kTq4vB7x", second_factor=True) == "kTq4vB7x"
    assert await reason("kTq4vB7", second_factor=True) == "password_too_short"
    assert await reason("password", second_factor=True) == "password_common"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("1q2w3e4r5t6y7u8i9o0p", "password_common"),
        ("1Q2W3E4R5T6Y7U8I9O0P", "password_common"),
        ("\uff11q2w3e4r5t6y7u8i9o0p", "password_common"),
        ("friend of emily", "password_common"),
        ("passwordpassword", "password_common"),
        ("Password12345678", "password_common"),
        ("monkey-dragon-football", "password_common"),
        ("qwertyuiop asdfghjkl", "password_common"),
        ("rtyui fghjk rtyui", "password_predictable"),
        ("\u00fc" * 15, "password_predictable"),
        ("zaubern zaubern zaubern ", "password_predictable"),
        ("abab abab abab abab", "password_predictable"),
        ("acme-acme-acme-2024", "password_from_context"),
        ("Energent.Energent", "password_from_context"),
        ("ada.lovelace.2026", "password_from_context"),
        ("LovelaceAdaLovelace", "password_from_context"),
    ],
)
async def test_what_is_tried_first_is_refused_with_a_reason(text: str, code: str) -> None:
    """L15: common ones, names of the account and of the product, repetition, keyboard runs."""
    assert await reason(text) == code


@pytest.mark.anyio
async def test_a_breached_password_is_refused_and_only_that() -> None:
    class Ranges:
        async def holds(self, text: str) -> bool:
            return text == "caf\u00e9 noir, sans sucre"

    policy = PasswordPolicy(Ranges())
    with pytest.raises(Invalid) as refusal:
        await policy.new("cafe\u0301 noir, sans sucre", path="/new", words=(), second_factor=False)
    assert [(field.path, field.code) for field in refusal.value.fields] == [("/new", "password_breached")]
    assert await policy.new("the au lait, deux sucres", path="/new", words=(), second_factor=False)


def test_composed_and_decomposed_spellings_are_one_password() -> None:
    """L9"""
    assert password.normal("caf\u00e9" * 5) == password.normal("cafe\u0301" * 5)


def test_a_short_one_can_be_tried_at_sign_in_so_that_its_length_tells_nothing() -> None:
    assert password.normal("short") == "short"


def test_characters_after_nul_count() -> None:
    """L10"""
    assert len({password.normal(text) for text in ("a\0b", "a\0c", "a")}) == 3


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=1100), st.lists(st.text(max_size=30), max_size=4))
def test_any_text_is_accepted_in_its_normal_form_or_refused_as_invalid(text: str, words: list[str]) -> None:
    def judged() -> str:
        try:
            return password.new(text, "/password", words, {"hunter2"}.__contains__, second_factor=True)
        except Invalid as refusal:
            return refusal.fields[0].code

    answer = judged()
    assert answer.startswith("password_") or (answer == password.normal(text) and len(answer) >= 8)


@pytest.mark.parametrize("text", ["qwertyuio" * 113, "ab" * 512, "a" * 1024, "abcdefghi1" * 102, "aab" * 341])
def test_the_longest_password_is_judged_in_milliseconds(text: str) -> None:
    def is_common(asked: str) -> bool:
        return False

    started = time.process_time()
    with pytest.raises(Invalid):
        password.new(text, "/password", WORDS, is_common, second_factor=False)
    assert time.process_time() - started < 0.2


@pytest.mark.parametrize("text", [" " * 300 + "a" * 700, " -" * 100 + "ab, " * 200, "ab" * 500 + "c"])
def test_of_a_password_that_repeats_itself_only_so_much_is_looked_at(text: str) -> None:
    """1024 characters of it took 20 ms, from whoever has a link."""
    asked: list[str] = []

    def is_common(part: str) -> bool:
        asked.append(part)
        return False

    with pytest.raises(Invalid) as refused:
        password.new(text, "/password", [], is_common, second_factor=False)
    assert refused.value.fields[0].code == "password_predictable"
    assert len(asked) <= password.MOST_PARTS * 33
