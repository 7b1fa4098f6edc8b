"""Ids as path segments."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.store.paths import collection_name, escaped, is_escaped, unescaped

ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
tricky = st.lists(st.sampled_from(["%", "2", "F", "5", "E", "0", "_", "/", ".", "\0", "a"]), min_size=1).map(
    "".join
)


@given(ids | tricky)
@settings(database=None, derandomize=True)
def test_every_id_comes_back_from_a_segment_that_firestore_accepts(text: str) -> None:
    segment = escaped(text)
    assert unescaped(segment) == text
    assert "/" not in segment
    assert "\0" not in segment
    assert segment not in (".", "..")
    assert not (segment.startswith("__") and segment.endswith("__"))


@given(ids | tricky)
@settings(database=None, derandomize=True)
def test_what_was_escaped_is_known_as_such(text: str) -> None:
    assert is_escaped(escaped(text))


@pytest.mark.parametrize("text", ["", "/", "a/b", ".", "..", "%", "%2", "%zz", "__x__", "x" * 1501, "\ud800"])
def test_what_no_text_is_escaped_to_is_no_segment(text: str) -> None:
    assert not is_escaped(text)


@given(ids | tricky, ids | tricky)
@settings(database=None, derandomize=True)
def test_two_ids_share_a_segment_only_if_they_are_the_same(one: str, other: str) -> None:
    assert (escaped(one) == escaped(other)) == (one == other)


@pytest.mark.parametrize(
    ("text", "segment"),
    [
        ("usr_1", "usr_1"),
        ("a/b", "a%2Fb"),
        ("%2F", "%252F"),
        (".", "%2E"),
        ("..", "%2E%2E"),
        ("...", "..."),
        ("__x__", "%5F_x__"),
        ("__", "%5F_"),
        ("a\0", "a%00"),
        ("é", "é"),
    ],
)
def test_stored_segments_never_change(text: str, segment: str) -> None:
    """Documents are found by them for ever."""
    assert escaped(text) == segment


@pytest.mark.parametrize("text", ["", "x" * 1501, "é" * 751, "%" * 501, "\ud800"])
def test_what_cannot_be_an_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        escaped(text)


@pytest.mark.parametrize("name", ["users", "usage_events", "a1"])
def test_plain_names_are_collections(name: str) -> None:
    assert collection_name(name) == name


@pytest.mark.parametrize("name", ["", "Users", "a/b", "a-b", "é", "1a", "a\n"])
def test_other_names_are_not(name: str) -> None:
    with pytest.raises(ValueError, match="collection"):
        collection_name(name)
