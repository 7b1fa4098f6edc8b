"""Passwords: long, any characters, the same form when set and when verified."""

import pytest

from functions.auth.domain import password
from shared.errors import Invalid


@pytest.mark.parametrize(
    "text", ["x" * 15, "x" * 64, "x" * 1024, "a b c d e f g h", "🐎🔋📎" * 5, "пароль" * 3]
)
def test_fifteen_characters_of_any_kind_are_enough(text: str) -> None:
    """L14"""
    assert password.new(text) == text


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("x" * 14, "password_too_short"),
        ("🐎" * 14, "password_too_short"),
        ("e\u0301" * 14, "password_too_short"),
        ("", "password_empty"),
        ("x" * 1025, "password_too_long"),
        ("é" * 600, "password_too_long"),
        ("x" * 1_000_000, "password_too_long"),
        ("\ud800" + "x" * 20, "password_not_text"),
    ],
)
def test_a_password_nobody_should_have_is_refused_with_a_reason(text: str, code: str) -> None:
    """L12, L13, L14"""
    with pytest.raises(Invalid) as refusal:
        password.new(text)
    assert [(field.path, field.code) for field in refusal.value.fields] == [("/password", code)]


def test_composed_and_decomposed_spellings_are_one_password() -> None:
    """L9"""
    assert password.normal("caf\u00e9" * 5) == password.normal("cafe\u0301" * 5)


def test_a_short_one_can_be_tried_at_sign_in_so_that_its_length_tells_nothing() -> None:
    assert password.normal("short") == "short"


def test_characters_after_nul_count() -> None:
    """L10"""
    assert len({password.normal(text) for text in ("a\0b", "a\0c", "a")}) == 3
