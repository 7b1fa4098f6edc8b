"""Refresh tokens and one-time links: readable to us, made by nobody else."""

import hashlib
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.auth.domain import client_id
from functions.auth.domain.one_time_link import LinkKind, OneTimeLink, OneTimeLinks
from functions.auth.domain.refresh_token import RefreshToken, RefreshTokens
from functions.auth.domain.sealed import SealingKeys

KEY = hashlib.sha256(b"one").digest()
KEYS = SealingKeys({1: KEY}, 1)
TOKENS = RefreshTokens(KEYS)
ID = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
TOKEN = st.builds(RefreshToken, tenant_id=ID, user_id=ID, session_id=ID, generation=st.integers(0, 2**32 - 1))

EXAMPLE = RefreshToken("tnt_1", "usr_1", "ses_1", 7)


@given(TOKEN)
def test_what_was_sealed_is_read_back(token: RefreshToken) -> None:
    text = TOKENS.text(token)
    assert TOKENS.read(text) == token
    assert len(text) <= 300
    assert text == TOKENS.text(token)


@given(TOKEN, TOKEN)
def test_different_tokens_have_different_texts(one: RefreshToken, other: RefreshToken) -> None:
    assert (TOKENS.text(one) == TOKENS.text(other)) == (one == other)


@given(TOKEN, st.data())
def test_a_changed_character_anywhere_is_refused(token: RefreshToken, data: st.DataObject) -> None:
    """R13"""
    text = TOKENS.text(token)
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters().filter(lambda character: character != text[at]))
    assert TOKENS.read(text[:at] + other + text[at + 1 :]) is None


@given(st.text() | st.text(alphabet="abcXYZ019-_", min_size=20).map(lambda text: "rt1_" + text))
def test_junk_is_refused(text: str) -> None:
    """R13"""
    assert TOKENS.read(text) is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: "",
        lambda text: text[:-1],
        lambda text: text + "A",
        lambda text: text + "=",
        lambda text: " " + text,
        lambda text: text + "\n",
        lambda text: text + "\0",
        lambda text: text.upper(),
        lambda text: text.replace("rt1_", "rt2_"),
        lambda text: text.replace("rt1_", ""),
        lambda text: text + "A" * 1_000_000,
        lambda text: text.translate({ord("1"): "\u0661"}),
        lambda text: text + "\ud800",
    ],
)
def test_another_spelling_is_refused(spoil: object) -> None:
    """R13"""
    assert callable(spoil)
    assert TOKENS.read(spoil(TOKENS.text(EXAMPLE))) is None


def test_a_token_of_another_key_or_an_unknown_version_is_refused() -> None:
    other = hashlib.sha256(b"two").digest()
    assert RefreshTokens(SealingKeys({1: other}, 1)).read(TOKENS.text(EXAMPLE)) is None
    assert RefreshTokens(SealingKeys({2: KEY}, 2)).read(TOKENS.text(EXAMPLE)) is None


def test_an_older_key_reads_on_while_the_newest_seals() -> None:
    newer = RefreshTokens(SealingKeys({1: KEY, 2: hashlib.sha256(b"two").digest()}, 2))
    assert newer.read(TOKENS.text(EXAMPLE)) == EXAMPLE
    assert newer.text(EXAMPLE) != TOKENS.text(EXAMPLE)
    assert newer.read(newer.text(EXAMPLE)) == EXAMPLE


def test_a_refresh_token_is_no_link_and_a_link_no_refresh_token_even_with_one_key() -> None:
    """J21"""
    links = OneTimeLinks(KEYS)
    link = links.text(OneTimeLink("invitation", "tnt_1", "inv_1"))
    refresh = TOKENS.text(EXAMPLE)
    assert links.read("invitation", link) == OneTimeLink("invitation", "tnt_1", "inv_1")
    assert links.read("invitation", refresh) is None
    assert links.read("invitation", refresh.replace("rt1_", "inv1_")) is None
    assert TOKENS.read(link) is None
    assert TOKENS.read(link.replace("inv1_", "rt1_")) is None


@pytest.mark.parametrize("kind", get_args(LinkKind))
def test_a_link_is_for_one_thing_and_opens_nothing_else(kind: LinkKind) -> None:
    """J21, L18: whatever its prefix is made to say."""
    links = OneTimeLinks(KEYS)
    text = links.text(OneTimeLink(kind, "tnt_1", "doc_1"))
    assert links.read(kind, text) == OneTimeLink(kind, "tnt_1", "doc_1")
    for other in set(get_args(LinkKind)) - {kind}:
        assert links.read(other, text) is None
        prefix = links.text(OneTimeLink(other, "t", "d"))[:5]
        assert links.read(other, prefix + text[5:]) is None


@given(ID, ID)
def test_a_client_id_carries_its_tenant(tenant_id: str, account_id: str) -> None:
    assert client_id.parse(client_id.of(tenant_id, account_id)) == (tenant_id, account_id)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "a.",
        ".b",
        "a.b.c",
        "a/b.c",
        "a.b\n",
        "\u0661.b",
        "a b.c",
        "a" * 65 + ".b",
        client_id.APP,
        "a.\0",
    ],
)
def test_what_cannot_be_a_client_id_is_none(text: str) -> None:
    """T5"""
    assert client_id.parse(text) is None
